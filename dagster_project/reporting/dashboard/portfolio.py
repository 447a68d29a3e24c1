"""The portfolio: headline, zones over time, the matrix, metrics, renewals, and all accounts."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import date

import polars as pl

from dagster_project.reporting import queries, style, svg
from dagster_project.reporting.dashboard.html import render
from dagster_project.reporting.dashboard.publication import Publication
from dagster_project.reporting.report import sections

PAGE_SIZE = 50
_ROLES = ("ca", "sa", "ae", "ve", "governance")
#: What the list can be ordered by: words, column, whether the largest come first.
ORDERS: dict[str, tuple[str, bool]] = {
    "Lowest score": ("health_score", False),
    "Largest ARR": ("arr_usd", True),
    "Fell most in 30 days": ("score_change_30d", False),
    "Rose most in 30 days": ("score_change_30d", True),
    "Renews first": ("next_renewal_on", False),
    "Most overdue actions": ("overdue_action_count", True),
    "Least known": ("coverage_ratio", False),
    "Name": ("account_name", False),
}


@dataclass(frozen=True)
class Choice:
    """What of the list a reader wants to see; empty means everything."""

    text: str = ""
    zones: Collection[str] = ()
    tiers: Collection[str] = ()
    owner: str | None = None
    stage: str | None = None
    order: str = "Lowest score"


def accounts(publication: Publication, day: date) -> pl.DataFrame:
    """Every account of the day, as in the view account_overview."""
    return publication.once(("accounts", day), lambda: queries.accounts(publication.snapshot(day)))


def portfolio_page(publication: Publication, day: date) -> str:
    """Everything above the list of accounts."""
    return publication.once(("portfolio", day), lambda: _portfolio(publication, day))


def _portfolio(publication: Publication, day: date) -> str:
    snapshot = publication.snapshot(day)
    overview = accounts(publication, day)
    zones = sections.zone_section(snapshot)
    metrics = sections.metric_section(snapshot)
    renewals = sections.renewal_section(snapshot)
    playbooks = sections.playbook_section(snapshot)
    headline = sections.headline_section(snapshot, overview)
    return render(
        "portfolio.html.jinja",
        label="The portfolio",
        as_of=day,
        trend_days=queries.TREND_DAYS,
        change_days=queries.CHANGE_DAYS,
        headline=headline,
        tiles=sections.tiles(zones, metrics, renewals, playbooks, headline),
        standouts=sections.standouts(headline, zones, metrics, renewals, playbooks),
        zones=zones,
        matrix=sections.matrix_section(snapshot, overview),
        stages=sections.stage_section(snapshot),
        metrics=metrics,
        renewals=renewals,
        playbooks=playbooks,
    )


def chosen(overview: pl.DataFrame, choice: Choice) -> pl.DataFrame:
    """The accounts that fit, in the order asked for; unknown values come last."""
    found = overview
    needle = choice.text.strip().lower()
    if needle:
        found = found.filter(
            pl.any_horizontal(
                pl.col(column).fill_null("").str.to_lowercase().str.contains(needle, literal=True)
                for column in ("account_id", "account_name", "region", "segment", "industry")
            )
        )
    if choice.zones:
        found = found.filter(pl.col("health_zone").is_in(list(choice.zones)))
    if choice.tiers:
        found = found.filter(pl.col("tier").is_in(list(choice.tiers)))
    if choice.stage:
        found = found.filter(pl.col("mean_stage") == choice.stage)
    if choice.owner:
        found = found.filter(
            pl.any_horizontal(pl.col(f"owner_{role}") == choice.owner for role in _ROLES).fill_null(
                False
            )  # noqa: FBT003 - Polars' own signature
        )
    column, is_descending = ORDERS[choice.order]
    return found.sort([column, "account_id"], descending=[is_descending, False], nulls_last=True)


def account_list(publication: Publication, day: date, choice: Choice, page: int = 1) -> str:
    """One page of the list, with scores of half a year as a line per account."""
    found = chosen(accounts(publication, day), choice)
    scores = publication.once(
        ("weekly", day),
        lambda: {
            row["account_id"]: row["scores"]
            for row in queries.weekly_scores(publication.snapshot(day)).iter_rows(named=True)
        },
    )
    snapshot = publication.snapshot(day)
    lines = publication.once(("lines", day), lambda: queries.zone_lines(snapshot))
    components = snapshot.components()
    start = PAGE_SIZE * (page - 1)
    rows = []
    for row in found.slice(start, PAGE_SIZE).iter_rows(named=True):
        parts = [(row[f"{name}_score"], name) for name in components]
        row["line"] = svg.sparkline(
            scores.get(row["account_id"], []), low=0, high=100, width=96, height=24
        )
        row["parts"] = svg.columns(
            [(score, style.ZONE_COLOURS[style.zone_of(score, lines)]) for score, _ in parts]
        )
        row["parts_said"] = ", ".join(
            f"{name} {'unknown' if score is None else round(score)}" for score, name in parts
        )
        rows.append(row)
    return render(
        "accounts.html.jinja",
        label="All accounts",
        rows=rows,
        components=components,
        count=found.height,
        all_count=accounts(publication, day).height,
        arr_usd=float(found["arr_usd"].sum() or 0),
        first=start + 1,
        last=min(start + PAGE_SIZE, found.height),
    )


def page_count(found: int) -> int:
    """How many pages a list of this many accounts has, at least one."""
    return max(1, -(-found // PAGE_SIZE))


def zones(overview: pl.DataFrame) -> dict[str, str]:
    """The zones that occur, best first, with their shapes, to their names."""
    found = style.zone_order(set(overview["health_zone"].to_list()))
    return {f"{style.ZONE_MARKS.get(zone, '')} {zone}": zone for zone in found}


def values(overview: pl.DataFrame, column: str) -> dict[str, str]:
    """The values that occur in a column, in words, to themselves."""
    found = sorted(str(value) for value in overview[column].drop_nulls().unique().to_list())
    return {value.replace("_", " "): value for value in found}


def owners(overview: pl.DataFrame) -> list[str]:
    """Everybody who holds an account in any role, in order of name."""
    found = {
        str(name)
        for role in _ROLES
        for name in overview[f"owner_{role}"].drop_nulls().unique().to_list()
    }
    return sorted(found)
