"""The Markdown templates: a sandbox in which a value from the data can only ever be text.

Belongs here: the Jinja environment, the filters, and the check that every template renders. The
templates themselves are operations' own, under `playbook_rules/templates`.

Whatever a template prints is escaped for Markdown and HTML: a customer's name cannot become a
heading, a link, a table cell's end or a marker of people's part. Filters return finished text.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

from jinja2 import FileSystemLoader, StrictUndefined, TemplateError, TemplateSyntaxError
from markupsafe import Markup

from dagster_project.errors import ConfigError, Fault
from dagster_project.infohub.people import BEGIN, END, BrokenBlockError, split
from dagster_project.templating import SandboxedRowEnvironment

TRIAGE = "health_triage.md.j2"
PLAN = "account_plan.md.j2"
PREP = "prep"
NOTHING = "—"
_NOTHING = Markup(NOTHING)
_HARMLESS = re.compile(r"[A-Za-z][A-Za-z0-9 ,@%'-]*(?:\.[A-Za-z0-9 ,@%'-]+)*\Z")
_SPECIAL = re.compile(r"([\\`*_\[\]|~^$])")
_LINE_START = re.compile(r"^([#+=:-]|\d{1,9}(?=[.)]))")
_SPARKS = "▁▂▃▄▅▆▇█"


def markdown_text(text: str) -> str:
    """A text that reads as itself in one line of Markdown."""
    if _HARMLESS.match(text) and "www." not in text:
        return text
    # Line ends, controls, and the marks that turn the direction of writing.
    text = "".join(" " if unicodedata.category(char)[0] in "CZ" else char for char in text)
    text = " ".join(text.split())
    text = _SPECIAL.sub(r"\\\1", text)
    text = text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    # No address becomes a link of its own.
    text = text.replace("://", ":\\/\\/").replace("www.", "www\\.")
    start = _LINE_START.match(text)
    if start:
        mark = start.group(1)
        text = f"{mark}\\{text[len(mark) :]}" if mark[0].isdigit() else f"\\{text}"
    return text


@lru_cache(maxsize=65536)
def _text(value: str) -> Markup:
    return Markup(markdown_text(value))


def _printed(value: object) -> Markup:
    """What a template prints: finished text as it is, everything else escaped."""
    if isinstance(value, Markup):
        return value
    if value is None:
        return _NOTHING
    if isinstance(value, str):
        return _text(value)
    if isinstance(value, bool):
        return Markup("yes" if value else "no")
    return Markup(markdown_text(str(value)) if isinstance(value, (list, dict)) else str(value))


def number(value: float | None, digits: int = 1) -> Markup:
    """A number with thousands separated; `—` when unknown."""
    if value is None:
        return Markup(NOTHING)
    text = f"{float(value) + 0.0:,.{digits}f}"
    text = text.rstrip("0").rstrip(".") if "." in text else text
    return Markup("0" if text == "-0" else text)


def signed(value: float | None, digits: int = 1) -> Markup:
    """A number with its sign."""
    if value is None:
        return Markup(NOTHING)
    shown = number(value, digits)
    return shown if shown.startswith("-") or shown == "0" else Markup(f"+{shown}")


def usd(value: float | None) -> Markup:
    """An amount in whole US dollars."""
    return Markup(NOTHING) if value is None else Markup(f"{float(value):,.0f} USD")


def percent(value: float | None) -> Markup:
    """A ratio as per cent."""
    return Markup(NOTHING) if value is None else Markup(f"{number(100 * value, 0)} %")


def label(value: str | None) -> Markup:
    """A key of policy as words: `technical_checkin` -> `technical checkin`."""
    return Markup(NOTHING if value is None else markdown_text(value.replace("_", " ")))


def bar(ratio: float | None, width: int = 20) -> Markup:
    """A ratio as a bar of text, with the number; the bar ends at 0 and 1, the number does not."""
    if ratio is None:
        return Markup(NOTHING)
    full = round(min(max(ratio, 0.0), 1.0) * width)
    return Markup(f"`{'█' * full}{'░' * (width - full)}` {percent(ratio)}")


def spark(values: Sequence[float | None]) -> Markup:
    """One character per value between the lowest and the highest; a dot where one is unknown."""
    known = [value for value in values if value is not None]
    if not known:
        return Markup(NOTHING)
    low, spread = min(known), max(known) - min(known)
    signs = [
        "·"
        if value is None
        else _SPARKS[round((value - low) / spread * (len(_SPARKS) - 1)) if spread else 3]
        for value in values
    ]
    return Markup(f"`{''.join(signs)}`")


def people_block() -> Markup:
    """The part of a file that belongs to people, empty."""
    return Markup(f"{BEGIN.decode()}\n\n{END.decode()}")


class Templates:
    """The templates of one folder, compiled once."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._environment = SandboxedRowEnvironment(
            loader=FileSystemLoader(folder),
            undefined=StrictUndefined,
            autoescape=True,
            finalize=_printed,
            trim_blocks=True,
            lstrip_blocks=True,
            keep_trailing_newline=True,
        )
        self._environment.filters.update(
            number=number, signed=signed, usd=usd, percent=percent, label=label, bar=bar,
            spark=spark,
        )  # fmt: skip
        self._environment.globals["people_block"] = people_block
        self._files = {
            path.relative_to(folder).as_posix(): path.read_bytes()
            for path in sorted(folder.rglob("*.j2"))
        }

    @property
    def names(self) -> list[str]:
        """Every template file, relative to the folder; those that start with `_` are parts."""
        return list(self._files)

    @property
    def source(self) -> bytes:
        """All templates as one text: what a rendered file depends on besides its facts."""
        return b"\0".join(name.encode() + b"\0" + body for name, body in self._files.items())

    def render(self, name: str, context: Mapping[str, Any]) -> bytes:
        """The file a template makes of a context.

        Raises:
            ConfigError: the template is missing or wrong: file, line and what is the matter.
        """
        try:
            text = self._environment.get_template(name).render(context)
        except (TemplateError, TypeError, ValueError, KeyError, AttributeError) as error:
            fault = self._fault(name, error)
            raise ConfigError(f"the template {name} cannot be used", [fault]) from error
        # Blank lines pile up where a condition printed nothing.
        text = re.sub(r"\n{3,}", "\n\n", text).rstrip("\n") + "\n"
        return text.encode()

    def check(self, name: str, context: Mapping[str, Any]) -> list[Fault]:
        """The faults of a template, tried on a context."""
        try:
            split(self.render(name, context))
        except ConfigError as error:
            return list(error.faults)
        except BrokenBlockError:
            return [
                Fault(
                    self._shown(name),
                    0,
                    "",
                    "it must have people's part exactly once",
                    "put one line with {{ people_block() }} where people may write",
                )
            ]
        return []

    def _fault(self, name: str, error: Exception) -> Fault:
        line = 0
        place = name
        if isinstance(error, TemplateSyntaxError):
            line, place = error.lineno, error.name or name
        trace = error.__traceback__
        while trace is not None:
            file = Path(trace.tb_frame.f_code.co_filename)
            if file.suffix == ".j2" and file.is_relative_to(self.folder):
                line, place = trace.tb_lineno, file.relative_to(self.folder).as_posix()
            trace = trace.tb_next
        return Fault(
            self._shown(place),
            line,
            "",
            f"{type(error).__name__}: {error}",
            "see playbook_rules/templates/README.md for the names and filters",
        )

    def _shown(self, name: str) -> str:
        return f"{self.folder.parent.name}/{self.folder.name}/{name}"
