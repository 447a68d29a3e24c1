"""Templates into pages: strict escaping, and a content security policy that names its parts."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import jinja2
from markupsafe import Markup

from dagster_project.reporting import style, svg, words
from dagster_project.reporting.report import theme
from dagster_project.templating import RowEnvironment

TEMPLATES = Path(__file__).parent / "templates"


@cache
def environment() -> jinja2.Environment:
    """Every text is escaped, and a name that a template does not know is an error."""
    made = RowEnvironment(
        loader=jinja2.FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
    )
    for name in ("money", "number", "percent", "signed", "measured", "change", "day", "long_day"):
        made.filters[name] = getattr(words, name)
    made.filters["words"] = words.words
    made.filters["sentence_case"] = words.sentence
    made.filters["person"] = words.person
    made.globals.update(
        marks=style.ZONE_MARKS,
        zone_colours=style.ZONE_COLOURS,
        state_colours=style.STATE_COLOURS,
        status_words=style.STATUS_WORDS,
        status_zones=style.STATUS_ZONES,
        navy=style.NAVY,
        bar=svg.bar,
        plural=words.plural,
    )
    return made


def macro(template: str, name: str) -> Callable[..., Markup]:
    """A macro of a template, for parts that many pages share."""
    found: Callable[..., Markup] = getattr(environment().get_template(template).module, name)
    return found


@cache
def _script(name: str) -> str:
    return (TEMPLATES / name).read_text(encoding="utf-8")


def screen_page(template: str, values: Mapping[str, Any], script: str | None = None) -> str:
    """A page for the screen: its policy allows its own style sheet and script, and nothing else.

    `script` names a file beside the templates.
    """
    css, code = theme.screen_css(), _script(script) if script else ""
    policy = "; ".join(
        [
            "default-src 'none'",
            f"style-src '{_hash(css)}'",
            f"script-src '{_hash(code)}'" if script else "script-src 'none'",
            "img-src data:",
            "base-uri 'none'",
            "form-action 'none'",
        ]
    )
    return (
        environment()
        .get_template(template)
        .render(**values, edition="screen", policy=policy, css=Markup(css), script=Markup(code))
    )


def paper_page(template: str, values: Mapping[str, Any]) -> str:
    """The same page for print: no script, no details on demand."""
    return (
        environment()
        .get_template(template)
        .render(
            **values, edition="paper", policy="default-src 'none'", css=Markup(theme.paper_css())
        )
    )


@cache
def _hash(text: str) -> str:
    digest = hashlib.sha256(text.encode()).digest()
    return f"sha256-{base64.b64encode(digest).decode()}"
