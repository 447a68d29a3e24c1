"""Templates and the style sheet of the dashboard: the report's, kept inside one class.

The page around belongs to somebody else, so every rule is nested under `.csp`: nothing of it
changes what is outside. Every text of the data is escaped by the templates.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any, Protocol, TypeAlias
from urllib.parse import urlencode

import jinja2
from markupsafe import Markup

from dagster_project.reporting import style, svg, words
from dagster_project.reporting.report.page import TEMPLATES, environment
from dagster_project.reporting.report.theme import screen_css


class Element(Protocol):
    """What marimo shows: an element that is HTML of its own."""

    @property
    def text(self) -> str:
        """The HTML."""


Showable: TypeAlias = str | Element
_OWN = Path(__file__).parent / "templates"
#: Pages of the dashboard, by the name an address knows them by.
PAGES = {
    "portfolio": "Portfolio",
    "account": "Account",
    "rules": "Rules",
    "data": "Data quality",
}


def page_label(page: str) -> str:
    """A page's title as a tab shows it: marimo's own grey on grey is too faint to read."""
    return f'<span style="color:var(--csp-tab)">{PAGES[page]}</span>'


def page_labels() -> dict[str, str]:
    """The pages by what their tabs show, in order."""
    return {page_label(page): page for page in PAGES}


def address(page: str, **values: str | None) -> str:
    """The address of a page of the dashboard, relative to wherever it is served."""
    given = {name: value for name, value in values.items() if value}
    return f"?{urlencode({'page': page, **given})}"


@cache
def _environment() -> jinja2.Environment:
    made = environment().overlay(
        loader=jinja2.ChoiceLoader(
            [jinja2.FileSystemLoader(_OWN), jinja2.FileSystemLoader(TEMPLATES)]
        )
    )
    made.filters["plain"] = plain
    made.globals.update(address=address, columns=svg.columns, stage_colours=style.STAGE_COLOURS)
    return made


def plain(value: float | None) -> str:
    """A number without digits that say nothing: 2, 0.5, 1,250."""
    if value is None:
        return words.MISSING
    return f"{value:,.2f}".rstrip("0").rstrip(".").replace("-", "−")


def render(template: str, *, label: str, **values: Any) -> str:
    """A template of the dashboard with its values, as a part of the page that `label` names."""
    text = _environment().get_template(template).render(**values, edition="screen")
    return landmark(label, text, style="csp")


def landmark(label: str, content: Showable, *, tag: str = "section", style: str = "") -> str:
    """A part of the page that a screen reader can jump to.

    Args:
        label: what it is called.
        content: HTML, or an element of marimo's; escaped already.
        tag: section or nav.
        style: a class.
    """
    inner = Markup(content if isinstance(content, str) else content.text)
    return str(
        Markup('<{0} class="{1}" aria-label="{2}">{3}</{0}>').format(tag, style, label, inner)
    )


def style_element() -> str:
    """The whole style sheet as an element, for the page that shows the parts."""
    nested = screen_css().replace(":root", "&")
    own = (_OWN / "dashboard.css").read_text(encoding="utf-8")
    around = (_OWN / "around.css").read_text(encoding="utf-8")
    return f"<style>.csp{{{nested}\n{own}}}\n{around}</style>"


def message(title: str, text: str, *, tone: str = "navy") -> str:
    """A plain card: something is missing, and what to do."""
    return str(
        Markup(
            '<section class="csp" aria-label="{1}"><div class="card said t-{0}"><h2>{1}</h2>'
            "<p>{2}</p></div></section>"
        )
        .format(tone, title, text)
        .replace("\n", Markup("<br>"))
    )
