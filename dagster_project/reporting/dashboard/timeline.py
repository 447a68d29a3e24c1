"""The timeline of an account: its story, month by month, newest first."""

from __future__ import annotations

from collections.abc import Collection
from datetime import date, timedelta

from dagster_project.reporting.dashboard.html import render
from dagster_project.reporting.dashboard.publication import Publication
from dagster_project.reporting.story import FIRST_SHOWN, KINDS, Row, account_story

#: How far back a reader may look, in days; None is all there is.
SPANS: dict[str, int | None] = {
    "Month": 30,
    "Quarter": 91,
    "Half a year": 182,
    "Year": 365,
    "All": None,
}
_MOST = 400
_MARKS = {
    "zone": "◆",
    "stage": "▲",
    "call": "☎",
    "support": "!",
    "action": "▶",
    "step": "✓",
    "blocker": "✕",
    "people": "☺",
    "deal": "$",
    "signal": "•",
    "person": "✎",
    "life": "●",
}


def since(day: date, span: int | None) -> date | None:
    """The first day of a span of days up to `day`; None for all of it."""
    return None if span is None else day - timedelta(days=span - 1)


def timeline_page(
    publication: Publication,
    account_id: str,
    *,
    kinds: Collection[str] = FIRST_SHOWN,
    since: date | None = None,
) -> str:
    """The story up to the published day.

    Args:
        publication: the file.
        account_id: whose.
        kinds: of `KINDS`; others are ignored.
        since: the first day shown; the whole of it when not given.
    """
    told = publication.once(
        ("story", account_id), lambda: account_story(publication.snapshot(), account_id)
    )
    fitting = [
        row
        for row in told
        if row["kind"] in kinds and (since is None or row["occurred_on"] >= since)
    ]
    months: dict[str, list[Row]] = {}
    for row in fitting[:_MOST]:
        months.setdefault(f"{row['occurred_on']:%B %Y}", []).append(row)
    return render(
        "timeline.html.jinja",
        label="The timeline",
        months=months,
        marks_of=_MARKS,
        kinds=KINDS,
        count=len(fitting),
        shown=min(len(fitting), _MOST),
    )
