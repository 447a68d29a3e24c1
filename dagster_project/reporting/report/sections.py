"""What each section of the report says: frames of `queries` turned into what a template shows.

Every number keeps its exact value beside its words, so that a test can trace it to a query.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any, TypeAlias

import polars as pl
from markupsafe import Markup

from dagster_project.reporting import charts, queries, style, svg, words
from dagster_project.reporting.queries import CHANGE_DAYS, Snapshot

Row: TypeAlias = dict[str, Any]
RISK_SHOWN = 6
OWNERS_SHOWN = 12
REVIEWS_SHOWN = 6
_MOVES_SHOWN = 3


@dataclass(frozen=True)
class Picture:
    """A chart in two widths, what it shows in words, and its numbers as a table."""

    wide: Markup
    narrow: Markup
    text: str
    heads: Sequence[str]
    rows: Sequence[Sequence[str]]


def report_sections(snapshot: Snapshot) -> dict[str, Any]:
    """All sections of the day, by the name under which the template knows them."""
    overview = queries.accounts(snapshot)
    zones = zone_section(snapshot)
    metrics = metric_section(snapshot)
    renewals = renewal_section(snapshot)
    playbooks = playbook_section(snapshot)
    quality = quality_section(snapshot, overview)
    headline = headline_section(snapshot, overview)
    return {
        "as_of": snapshot.as_of,
        "change_days": CHANGE_DAYS,
        "trend_days": queries.TREND_DAYS,
        "headline": headline,
        "tiles": tiles(zones, metrics, renewals, playbooks, headline),
        "standouts": standouts(headline, zones, metrics, renewals, playbooks),
        "zones": zones,
        "matrix": matrix_section(snapshot, overview),
        "stages": stage_section(snapshot),
        "metrics": metrics,
        "cadence": cadence_section(snapshot),
        "risk": risk_section(snapshot, overview),
        "renewals": renewals,
        "playbooks": playbooks,
        "quality": quality,
    }


# Headline -------------------------------------------------------------------------------------


def headline_section(snapshot: Snapshot, overview: pl.DataFrame) -> Row:
    """Accounts, ARR, mean score and coverage of the day, each with its change over 30 days."""
    days = {row["as_of_date"]: row for row in queries.mean_scores(snapshot).iter_rows(named=True)}
    today = days.get(snapshot.as_of)
    earlier = days.get(_earlier(snapshot))
    scored = overview["health_score"].count()
    return {
        "account_count": overview.height,
        "scored_count": scored,
        "arr_usd": _sum(overview["arr_usd"]),
        "mean_score": today["mean_score"] if today else None,
        "mean_coverage": today["mean_coverage"] if today else None,
        **{
            f"{name}_change": _difference(today, earlier, name)
            for name in ("account_count", "arr_usd", "mean_score", "mean_coverage")
        },
    }


def tiles(zones: Row, metrics: Row, renewals: Row, playbooks: Row, headline: Row) -> list[Row]:
    """The headline tiles: one per zone, then what else a leader asks first."""
    made = [
        {
            "key": f"zone.{row['zone']}",
            "label": row["zone"].capitalize(),
            "zone": row["zone"],
            "value": row["account_count"],
            "text": words.number(row["account_count"]),
            "lines": [
                f"{words.money(row['arr_usd'])} ARR",
                _in_days(row["account_change"], "account"),
            ],
        }
        for row in zones["rows"]
    ]
    made += [
        {
            "key": "mean_score",
            "label": "Mean score",
            "zone": None,
            "value": headline["mean_score"],
            "text": words.number(headline["mean_score"], 1),
            "lines": [
                f"{headline['scored_count']:,} of {headline['account_count']:,} scored",
                _in_days(headline["mean_score_change"], "", digits=1),
            ],
        },
        {
            "key": "metrics_met",
            "label": "Metrics on target",
            "zone": None,
            "value": metrics["met_count"],
            "text": f"{metrics['met_count']} / {len(metrics['rows'])}",
            "lines": [
                f"{metrics['alert_count']} on alert",
                f"{metrics['silent_count']} without data",
            ],
        },
        {
            "key": "renewals_at_risk",
            "label": "Renewals at risk",
            "zone": None,
            "value": renewals["risk_arr_usd"],
            "text": words.money(renewals["risk_arr_usd"]),
            "lines": [
                f"of {words.money(renewals['arr_usd'])} due in {queries.RENEWAL_DAYS} days",
                words.plural(renewals["risk_count"], "account"),
            ],
        },
        {
            "key": "overdue_actions",
            "label": "Actions overdue",
            "zone": None,
            "value": playbooks["total"]["overdue_count"],
            "text": words.number(playbooks["total"]["overdue_count"]),
            "lines": [
                f"of {playbooks['total']['open_count']:,} open",
                f"{playbooks['total']['escalated_count']:,} escalated",
            ],
        },
        {
            "key": "mean_coverage",
            "label": "Data coverage",
            "zone": None,
            "value": headline["mean_coverage"],
            "text": words.percent(headline["mean_coverage"]),
            "lines": [
                "of the score's weight is known",
                _in_days(_times(headline["mean_coverage_change"], 100), "pp", digits=1),
            ],
        },
    ]
    return made


def standouts(headline: Row, zones: Row, metrics: Row, renewals: Row, playbooks: Row) -> list[str]:
    """What a reader with one minute should know, in sentences; nothing is said without data."""
    said: list[str] = []
    if headline["account_count"] and not headline["scored_count"]:
        said.append(
            "No account is scored: too little of the score's weight is known. "
            "The section on data quality says what is missing."
        )
    at_risk = [row for row in zones["rows"] if row["zone"] in queries.RISK_ZONES]
    count = sum(row["account_count"] for row in at_risk)
    if count:
        change = [row["account_change"] for row in at_risk if row["account_change"] is not None]
        trend = f", {_in_days(sum(change), '')}" if change else ""
        said.append(
            f"{words.plural(count, 'account')} with "
            f"{words.money(sum(row['arr_usd'] for row in at_risk))} ARR "
            f"{'is' if count == 1 else 'are'} orange or red{trend}."
        )
    if zones["worsened_count"] or zones["improved_count"]:
        said.append(
            f"{words.plural(zones['worsened_count'], 'account')} moved to a worse zone in "
            f"{CHANGE_DAYS} days, {zones['improved_count']:,} to a better one."
        )
    alerts = [row["name"] for row in metrics["rows"] if row["status"] == "alert"]
    below = [row["name"] for row in metrics["rows"] if row["status"] == "below_target"]
    if alerts:
        said.append(f"On alert: {_listed(alerts)}.")
    if below:
        said.append(f"Below target: {_listed(below)}.")
    if renewals["risk_count"]:
        said.append(
            f"{words.money(renewals['risk_arr_usd'])} of the {words.money(renewals['arr_usd'])} "
            f"that renews within {queries.RENEWAL_DAYS} days stands in orange or red."
        )
    total = playbooks["total"]
    if total["open_count"]:
        said.append(
            f"{total['overdue_count']:,} of {words.plural(total['open_count'], 'open action')} "
            f"{'is' if total['overdue_count'] == 1 else 'are'} overdue, "
            f"{total['escalated_count']:,} escalated."
        )
    return said


# Zones ----------------------------------------------------------------------------------------


def zone_section(snapshot: Snapshot) -> Row:
    """Accounts and ARR by zone now, 30 days ago, and over the trend's days."""
    days = queries.zone_days(snapshot)
    earlier_day = _earlier(snapshot)
    today, earlier = _by_zone(days, snapshot.as_of), _by_zone(days, earlier_day)
    has_earlier = earlier_day in set(days["as_of_date"].to_list())
    found = set(days["health_zone"].to_list())
    zones = style.zone_order(found | set(style.ZONES))
    total = sum(amount for _, amount in today.values())
    rows = []
    for zone in zones:
        count, amount = today.get(zone, (0, 0.0))
        before_count, before_amount = earlier.get(zone, (0, 0.0))
        rows.append(
            {
                "zone": zone,
                "account_count": count,
                "arr_usd": amount,
                "arr_share": amount / total if total else None,
                "account_change": count - before_count if has_earlier else None,
                "arr_change": amount - before_amount if has_earlier else None,
            }
        )
    moves = queries.zone_moves(snapshot)
    ranks = {zone: rank for rank, zone in enumerate(z for z in style.ZONES if z != "unscored")}
    known = [
        (ranks[row["to_zone"]] - ranks[row["from_zone"]], row["account_count"])
        for row in moves.iter_rows(named=True)
        if row["from_zone"] in ranks and row["to_zone"] in ranks
    ]
    return {
        "rows": rows,
        "moves": moves.to_dicts(),
        "worsened_count": sum(count for step, count in known if step > 0),
        "improved_count": sum(count for step, count in known if step < 0),
        "accounts": _zone_picture(days, "account_count", "Accounts", "zones"),
        "arr": _zone_picture(days, "arr_usd", "ARR", "arr"),
    }


def _zone_picture(days: pl.DataFrame, value: str, name: str, prefix: str) -> Picture | None:
    if days.is_empty():
        return None
    zones = style.zone_order(set(days["health_zone"].to_list()))
    wide = days.pivot("health_zone", index="as_of_date", values=value).fill_null(0)
    # A table of half a year by day helps nobody: the first of each month, and the last day.
    marks = wide.filter(
        (pl.col("as_of_date").dt.day() == 1) | (pl.col("as_of_date") == pl.col("as_of_date").max())
    ).sort("as_of_date")
    show = words.money if value == "arr_usd" else lambda amount: f"{amount:,}"
    known = sorted(wide["as_of_date"].to_list())
    return Picture(
        svg.chart_svg(charts.zone_trend(days, value=value), f"{prefix}-wide"),
        svg.chart_svg(
            charts.zone_trend(days, value=value, width=235, height=200), f"{prefix}-narrow"
        ),
        f"{name} by zone from {known[0]} to {known[-1]}, stacked from worst to best.",
        ["Day", *zones],
        [
            [words.day(row["as_of_date"]), *(show(row[zone]) for zone in zones)]
            for row in marks.iter_rows(named=True)
        ],
    )


# Stages ---------------------------------------------------------------------------------------


def matrix_section(snapshot: Snapshot, overview: pl.DataFrame) -> Row:
    """The maturity-health matrix: each account once by its mean stage, then per solution area."""
    stages = queries.stage_names(snapshot)["stage"].to_list()
    whole = (
        overview.with_columns(pl.col("mean_stage").fill_null("no solution area").alias("stage"))
        .group_by("stage", "health_zone")
        .agg(pl.len().alias("account_count"), pl.col("arr_usd").fill_null(0).sum())
    )
    per_area = queries.matrix(snapshot)
    rows = [*reversed(stages)]
    if "no solution area" in set(whole["stage"].to_list()):
        rows.append("no solution area")
    return {
        "all": _grid(whole, rows),
        "areas": [
            {"area": area, "grid": _grid(part, [*reversed(stages)])}
            for (area,), part in _partitioned(per_area, "solution_area")
        ],
        "account_count": overview.height,
    }


def _grid(cells: pl.DataFrame, stages: Sequence[str]) -> Row:
    found = {(row["stage"], row["health_zone"]): row for row in cells.iter_rows(named=True)}
    zones = [
        zone
        for zone in reversed(style.zone_order(set(cells["health_zone"].to_list()) | set(_SCORED)))
        if zone != "unscored"
    ]
    if "unscored" in set(cells["health_zone"].to_list()):
        zones.insert(0, "unscored")
    most = max([row["account_count"] for row in found.values()] or [1])
    return {
        "zones": zones,
        "rows": [
            {
                "stage": stage,
                "cells": [
                    {
                        "zone": zone,
                        "account_count": (cell or {}).get("account_count", 0),
                        "arr_usd": (cell or {}).get("arr_usd", 0.0),
                        "level": _level((cell or {}).get("account_count", 0), most),
                    }
                    for zone in zones
                    for cell in [found.get((stage, zone))]
                ],
            }
            for stage in stages
        ],
    }


_SCORED = tuple(zone for zone in style.ZONES if zone != "unscored")


def _level(count: int, most: int) -> int:
    """0 for none, then 1 to 4 by the share of the fullest cell."""
    return 0 if not count else 1 + min(3, int(4 * (count - 1) / max(most, 1)))


def stage_section(snapshot: Snapshot) -> Row:
    """Stages per solution area, and what moved in 90 days."""
    counts = queries.stage_counts(snapshot)
    stages = queries.stage_names(snapshot)["stage"].to_list()
    picture = None
    if not counts.is_empty():
        wide = counts.pivot("stage", index="solution_area", values="account_count").fill_null(0)
        picture = Picture(
            svg.chart_svg(charts.stage_bars(counts, stages), "stages-wide"),
            svg.chart_svg(
                charts.stage_bars(counts, stages, width=225, row_height=40), "stages-narrow"
            ),
            "Share of accounts per stage in each solution area.",
            ["Solution area", *(words.words(stage) for stage in stages)],
            [
                [words.words(row["solution_area"]), *(f"{row.get(stage, 0):,}" for stage in stages)]
                for row in wide.sort("solution_area").iter_rows(named=True)
            ],
        )
    return {
        "names": stages,
        "picture": picture,
        "movements": queries.stage_movements(snapshot).to_dicts(),
        "movement_days": queries.MOVEMENT_DAYS,
    }


# Metrics --------------------------------------------------------------------------------------


def metric_section(snapshot: Snapshot) -> Row:
    """The metrics against target, each with its trend, sample and definition."""
    days = {
        str(metric): part
        for (metric,), part in _partitioned(queries.metric_days(snapshot), "metric_id")
    }
    rows = []
    for row in queries.metrics(snapshot).to_dicts():
        values = _on_a_grid(days.get(row["metric_id"]), snapshot)
        known = [value for value in values if value is not None]
        high = {"ratio": 1.0, "points": 100.0}.get(
            row["unit"], max([*known, row["target"] or 0, 1.0]) * 1.1
        )
        lines = [] if row["target"] is None else [row["target"]]
        row["trend"] = svg.sparkline(values, low=0.0, high=high, lines=lines) if known else None
        row["goal"] = _goal(row)
        row["is_better"] = _is_better(row)
        rows.append(row)
    return {
        "rows": rows,
        "met_count": sum(row["status"] == "met" for row in rows),
        "alert_count": sum(row["status"] == "alert" for row in rows),
        "silent_count": sum(row["status"] == "no_data" for row in rows),
    }


def _goal(row: Row) -> str:
    if row["target"] is None:
        return words.MISSING
    sign = ">" if row["direction"] == "higher" else "<"
    sign = {">": "≥", "<": "≤"}[sign] if row["is_target_inclusive"] else sign
    return f"{sign} {words.measured(row['target'], row['unit'])}"


def _is_better(row: Row) -> bool | None:
    change = row["value_change"]
    if change is None or abs(change) < 1e-9:
        return None
    return bool((change > 0) == (row["direction"] == "higher"))


def _on_a_grid(days: pl.DataFrame | None, snapshot: Snapshot) -> list[float | None]:
    """A value every third day of the trend, oldest first; None where there is none."""
    found = (
        dict(zip(days["as_of_date"].to_list(), days["value"].to_list(), strict=True))
        if days is not None
        else {}
    )
    return [
        found.get(snapshot.as_of - timedelta(days=back))
        for back in range(queries.TREND_DAYS - 1, -1, -3)
    ]


def cadence_section(snapshot: Snapshot) -> Row:
    """Cadence adherence by tier, and by owner: those with the most missed slots first."""
    owners = queries.metric_cuts(snapshot, "cadence_adherence", "owner")
    missed = owners.with_columns((pl.col("denominator") - pl.col("numerator")).alias("missed"))
    worst = missed.sort(["missed", "dimension_value"], descending=[True, False])
    reviews = queries.missed_reviews(snapshot)
    tiers = queries.metric_cuts(snapshot, "cadence_adherence", "tier")
    return {
        "tiers": tiers.to_dicts(),
        "owners": worst.head(OWNERS_SHOWN).to_dicts(),
        "owner_count": owners.height,
        "reviews": reviews.head(REVIEWS_SHOWN).to_dicts(),
        "review_count": reviews.height,
        "review_days": queries.REVIEW_DAYS,
        "has_data": bool((tiers["denominator"] > 0).any()) if tiers.height else False,
    }


# Accounts at risk -----------------------------------------------------------------------------


def risk_section(snapshot: Snapshot, overview: pl.DataFrame) -> Row:
    """The largest accounts in orange and red: what makes the score and what moved it."""
    at_risk = overview.filter(pl.col("health_zone").is_in(queries.RISK_ZONES)).sort(
        ["arr_usd", "account_id"], descending=[True, False], nulls_last=True
    )
    shown = at_risk.head(RISK_SHOWN)
    ids = [str(account) for account in shown["account_id"].to_list()]
    components = _rows_by_account(
        queries.component_states(snapshot).filter(pl.col("account_id").is_in(ids))
    )
    history = _rows_by_account(queries.score_history(snapshot, ids))
    moves = _rows_by_account(
        queries.score_moves(snapshot).filter(pl.col("account_id").is_in(ids)) if ids else None
    )
    lines = queries.zone_lines(snapshot)
    levels = [line for line in lines.values() if line > 0]
    cards = []
    for row in shown.iter_rows(named=True):
        account = str(row["account_id"])
        parts = components.get(account, [])
        heaviest = max([part["weight"] or 0 for part in parts] or [1]) or 1
        for part in parts:
            part["points"] = (
                None if part["score"] is None else (part["weight"] or 0) * part["score"]
            )
            part["zone"] = style.zone_of(part["score"], lines)
            part["picture"] = _weighted_bar(part, heaviest)
        scores = [day["health_score"] for day in history.get(account, [])]
        cards.append(
            {
                **row,
                "components": parts,
                "spark": svg.sparkline(scores, low=0, high=100, lines=levels, width=300, height=46),
                "moves": moves.get(account, [])[:_MOVES_SHOWN],
            }
        )
    return {"cards": cards, "count": at_risk.height, "arr_usd": _sum(at_risk["arr_usd"])}


def _weighted_bar(part: Row, heaviest: float) -> Markup:
    """A bar whose track is as long as the component is heavy, filled by its score."""
    width = max(24, round(96 * (part["weight"] or 0) / heaviest))
    share = None if part["score"] is None else part["score"] / 100
    return svg.bar(share, style.ZONE_COLOURS[part["zone"]], width=width)


# Renewals and playbooks -----------------------------------------------------------------------


def renewal_section(snapshot: Snapshot) -> Row:
    """What renews in the next 180 days, by month and zone."""
    months = queries.renewals(snapshot)
    risk = months.filter(pl.col("health_zone").is_in(queries.RISK_ZONES))
    picture = None
    if not months.is_empty():
        zones = style.zone_order(set(months["health_zone"].to_list()))
        wide = months.pivot("health_zone", index="renewal_month", values="arr_usd").fill_null(0)
        picture = Picture(
            svg.chart_svg(charts.renewals(months), "renewals-wide"),
            svg.chart_svg(charts.renewals(months, width=250, height=190), "renewals-narrow"),
            "ARR that renews per month, stacked by zone.",
            ["Month", *zones],
            [
                [f"{row['renewal_month']:%b %Y}", *(words.money(row[zone]) for zone in zones)]
                for row in wide.sort("renewal_month").iter_rows(named=True)
            ],
        )
    by_zone = (
        months.group_by("health_zone")
        .agg(pl.col("account_count").sum(), pl.col("arr_usd").sum())
        .to_dicts()
    )
    order = style.zone_order({row["health_zone"] for row in by_zone})
    return {
        "days": queries.RENEWAL_DAYS,
        "picture": picture,
        "rows": sorted(by_zone, key=lambda row: order.index(row["health_zone"])),
        "account_count": int(_sum(months["account_count"])),
        "arr_usd": _sum(months["arr_usd"]),
        "risk_count": int(_sum(risk["account_count"])),
        "risk_arr_usd": _sum(risk["arr_usd"]),
    }


def playbook_section(snapshot: Snapshot) -> Row:
    """Playbooks opened, open, overdue and escalated, and their effect against target."""
    rows = queries.playbooks(snapshot).to_dicts()
    targets = {row["metric_id"]: row for row in queries.metrics(snapshot).to_dicts()}
    counted = ("opened_count", "open_count", "overdue_count", "escalated_count")
    return {
        "rows": [row for row in rows if any(row[name] for name in counted)],
        "idle": [row["playbook_name"] for row in rows if not any(row[name] for name in counted)],
        "total": {name: sum(row[name] for row in rows) for name in counted},
        "effects": [
            {"metric_id": metric, "name": targets[metric]["name"], "goal": _goal(targets[metric])}
            for metric in ("execution_rate", "completion_rate", "outcome_achievement")
            if metric in targets
        ],
    }


# Data quality ---------------------------------------------------------------------------------


def quality_section(snapshot: Snapshot, overview: pl.DataFrame) -> Row:
    """What is known and what is missing: components by state, sources by age, refused rows."""
    states: dict[str, dict[str, int]] = {}
    for row in queries.component_coverage(snapshot).iter_rows(named=True):
        states.setdefault(row["component"], {})[str(row["status"])] = row["account_count"]
    known = list(style.STATE_COLOURS)
    found = {state for counts in states.values() for state in counts}
    order = [state for state in known if state in found] + sorted(found - set(known))
    sources = queries.sources(snapshot).to_dicts()
    reasons = (
        overview.filter(pl.col("health_score").is_null())
        .group_by(pl.col("unscored_reason").fill_null("unscored"))
        .agg(pl.len().alias("account_count"))
        .sort(["account_count", "unscored_reason"], descending=[True, False])
    )
    return {
        "states": order,
        "components": [
            {
                "component": component,
                "counts": [counts.get(state, 0) for state in order],
                "share": counts.get("scored", 0) / max(sum(counts.values()), 1),
            }
            for component, counts in states.items()
        ],
        "account_count": overview.height,
        "unscored": reasons.to_dicts(),
        "sources": sources,
        "stale_count": sum(row["is_stale"] for row in sources),
        "row_count": sum(row["row_count"] for row in sources),
        "rejected_count": sum(row["rejected_count"] for row in sources),
        "refused_count": sum(row["refused_count"] for row in sources),
        "flags": queries.quality_flags(snapshot).to_dicts(),
        "restatements": queries.restatements(snapshot).to_dicts(),
    }


# Shared ---------------------------------------------------------------------------------------


def _earlier(snapshot: Snapshot) -> date:
    return snapshot.as_of - timedelta(days=CHANGE_DAYS)


def _by_zone(days: pl.DataFrame, day: Any) -> dict[str, tuple[int, float]]:
    return {
        row["health_zone"]: (row["account_count"], row["arr_usd"])
        for row in days.filter(pl.col("as_of_date") == day).iter_rows(named=True)
    }


def _partitioned(frame: pl.DataFrame, by: str) -> Iterator[tuple[tuple[Any, ...], pl.DataFrame]]:
    yield from frame.group_by([by], maintain_order=True)


def _rows_by_account(frame: pl.DataFrame | None) -> dict[str, list[Row]]:
    groups: dict[str, list[Row]] = {}
    if frame is not None:
        for row in frame.iter_rows(named=True):
            groups.setdefault(str(row["account_id"]), []).append(row)
    return groups


def _sum(column: pl.Series) -> float:
    return float(column.sum() or 0)


def _difference(today: Mapping[str, Any] | None, earlier: Any, name: str) -> float | None:
    if today is None or earlier is None or today[name] is None or earlier[name] is None:
        return None
    return float(today[name]) - float(earlier[name])


def _times(value: float | None, factor: float) -> float | None:
    return None if value is None else value * factor


def _in_days(value: float | None, what: str, digits: int = 0) -> str:
    if value is None:
        return f"no day to compare {CHANGE_DAYS} days ago"
    unit = {"account": " account" if abs(value) == 1 else " accounts", "pp": " pp"}.get(what, "")
    return f"{words.signed(value, digits)}{unit} in {CHANGE_DAYS} days"


def _listed(names: Sequence[str]) -> str:
    lowered = [name.lower() for name in names]
    return lowered[0] if len(lowered) == 1 else f"{', '.join(lowered[:-1])} and {lowered[-1]}"
