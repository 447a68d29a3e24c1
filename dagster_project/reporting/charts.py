"""Charts that report, dashboard and notebooks share: frames of `queries` in, Altair out.

A chart never carries its meaning by colour alone: bands and bars are labelled, ordered and parted.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date
from typing import TypeAlias

import altair as alt
import polars as pl

from dagster_project.reporting import style
from dagster_project.reporting.words import money, words

AnyChart: TypeAlias = alt.Chart | alt.LayerChart | alt.FacetChart | alt.ConcatChart
_FONT = "Liberation Sans, Arial, Helvetica, sans-serif"
# A band thinner than this share of the whole has no room for its label.
_LABEL_SHARE = 0.055


def zone_trend(
    days: pl.DataFrame, *, value: str = "account_count", width: int = 570, height: int = 300
) -> AnyChart:
    """Accounts or ARR by zone over time, stacked, the zones named at the last day.

    `days` is `queries.zone_days`; `value` its account_count or arr_usd (USD).
    """
    zones = style.zone_order(set(days["health_zone"].to_list()))
    ranked = days.with_columns(
        pl.col("health_zone").replace_strict(_ranks(zones), return_dtype=pl.Int64).alias("rank"),
        pl.col(value).cast(pl.Float64).alias("amount"),
    ).select("as_of_date", "health_zone", "rank", "amount")
    # A zone that is empty on a day still has its place in the stack.
    grid = (
        ranked.select("as_of_date")
        .unique()
        .join(ranked.select("health_zone", "rank").unique(), how="cross")
        .join(ranked, on=["as_of_date", "health_zone", "rank"], how="left")
        .with_columns(pl.col("amount").fill_null(0))
        .sort("as_of_date", "rank")
    )
    last = (
        grid.filter(pl.col("as_of_date") == pl.col("as_of_date").max())
        .sort("rank", descending=True)
        .with_columns((pl.col("amount").cum_sum() - pl.col("amount") / 2).alias("middle"))
    )
    total = max(float(last["amount"].sum()), 1.0)
    labels = last.filter(pl.col("amount") >= _LABEL_SHARE * total).with_columns(
        pl.col("health_zone")
        .map_elements(lambda zone: f"{style.ZONE_MARKS.get(zone, '')} {zone}", pl.String)
        .alias("label")
    )
    top = _scale_top(grid)
    x = alt.X(
        "as_of_date:T",
        title=None,
        axis=alt.Axis(
            format="%b %Y", tickCount={"interval": "month", "step": 1 if width > 400 else 2}
        ),
    )
    area = (
        alt.Chart(grid)
        .mark_area(stroke="#FFFFFF", strokeWidth=0.8)
        .encode(
            x=x,
            y=alt.Y(
                "amount:Q",
                stack=True,
                title=None,
                scale=alt.Scale(domain=[0, top], nice=False),
                axis=_amount_axis(value, top),
            ),
            color=_zone_colour(zones),
            order=alt.Order("rank:Q", sort="descending"),
        )
    )
    names = (
        alt.Chart(labels)
        .mark_text(align="left", dx=6, fontSize=11, fontWeight="bold")
        .encode(
            x=alt.X("as_of_date:T"),
            y=alt.Y("middle:Q"),
            text="label:N",
            color=alt.Color(
                "health_zone:N",
                scale=alt.Scale(
                    domain=zones, range=[style.ZONE_INKS.get(zone, style.MUTED) for zone in zones]
                ),
                legend=None,
            ),
        )
    )
    layers = alt.layer(area, names).resolve_scale(color="independent")
    return dressed(layers.properties(width=width, height=height))


def stage_bars(
    counts: pl.DataFrame, stages: Sequence[str], *, width: int = 450, row_height: int = 44
) -> AnyChart:
    """Share of accounts per stage in each solution area, with the number in its segment.

    `counts` is `queries.stage_counts`; `stages` all stages in order.
    """
    colours = [_stage_colour(stages, stage) for stage in stages]
    inks = ["#FFFFFF" if index >= len(stages) - 2 else style.INK for index in range(len(stages))]
    placed = stacked(
        counts.with_columns(
            pl.col("solution_area").map_elements(words, pl.String).alias("area")
        ).sort("solution_area", "stage_rank"),
        "solution_area",
    )
    area_count = max(placed["area"].n_unique(), 1)
    y = alt.Y("area:N", title=None, sort=None, axis=alt.Axis(domain=False, ticks=False))
    bars = (
        alt.Chart(placed)
        .mark_bar(stroke="#FFFFFF", strokeWidth=1.2)
        .encode(
            x=alt.X(
                "start:Q",
                title=None,
                scale=alt.Scale(domain=[0, 1]),
                axis=alt.Axis(format="%", tickCount=5),
            ),
            x2="upto:Q",
            y=y,
            color=alt.Color(
                "stage:N", scale=alt.Scale(domain=list(stages), range=colours), legend=None
            ),
        )
    )
    texts = (
        alt.Chart(placed.filter(pl.col("share") >= _LABEL_SHARE))
        .mark_text(fontSize=11, fontWeight="bold")
        .encode(
            x=alt.X("middle:Q"),
            y=y,
            text="account_count:Q",
            color=alt.Color(
                "stage:N", scale=alt.Scale(domain=list(stages), range=inks), legend=None
            ),
        )
    )
    layers = alt.layer(bars, texts).resolve_scale(color="independent")
    return dressed(layers.properties(width=width, height=row_height * area_count))


def renewals(months: pl.DataFrame, *, width: int = 580, height: int = 230) -> AnyChart:
    """ARR that renews per month, stacked by zone, with the month's whole above its bar.

    `months` is `queries.renewals`.
    """
    zones = style.zone_order(set(months["health_zone"].to_list()))
    ranked = months.with_columns(
        pl.col("health_zone").replace_strict(_ranks(zones), return_dtype=pl.Int64).alias("rank"),
        pl.col("renewal_month").dt.strftime("%b %Y").alias("month"),
    ).sort("renewal_month", "rank")
    wholes = (
        ranked.group_by("month", maintain_order=True)
        .agg(pl.col("arr_usd").sum())
        .with_columns(pl.col("arr_usd").map_elements(money, pl.String).alias("label"))
    )
    top = max([float(value) for value in wholes["arr_usd"].to_list()] or [1.0]) * 1.12 or 1.0
    scale = alt.Scale(domain=[0, top], nice=False)
    x = alt.X("month:N", title=None, sort=None, axis=alt.Axis(labelAngle=0, domain=False))
    bars = (
        alt.Chart(ranked)
        .mark_bar(stroke="#FFFFFF", strokeWidth=1, cornerRadius=1)
        .encode(
            x=x,
            y=alt.Y(
                "arr_usd:Q",
                title=None,
                stack=True,
                scale=scale,
                axis=_amount_axis("arr_usd", top),
            ),
            color=_zone_colour(zones),
            order=alt.Order("rank:Q", sort="descending"),
        )
    )
    texts = (
        alt.Chart(wholes)
        .mark_text(dy=-7, fontSize=10.5, fontWeight="bold", color=style.INK)
        .encode(x=x, y=alt.Y("arr_usd:Q", scale=scale), text="label:N")
    )
    return dressed(alt.layer(bars, texts).properties(width=width, height=height))


def metric_trend(
    days: pl.DataFrame, *, unit: str, target: float | None, width: int = 420, height: int = 180
) -> AnyChart:
    """One metric over time against its target (dashed); `days` has as_of_date and value."""
    top = 1.0 if unit == "ratio" else 100.0 if unit == "points" else None
    scale = alt.Scale(domain=[0, top]) if top else alt.Scale(zero=True)
    line = (
        alt.Chart(days)
        .mark_line(color=style.NAVY, strokeWidth=2)
        .encode(
            x=alt.X("as_of_date:T", title=None, axis=alt.Axis(format="%b %Y", labelOverlap=True)),
            y=alt.Y(
                "value:Q",
                title=None,
                scale=scale,
                axis=alt.Axis(format="%" if unit == "ratio" else "~s", tickCount=4),
            ),
        )
    )
    rule = (
        alt.Chart(pl.DataFrame({"target": [target] if target is not None else []}))
        .mark_rule(strokeDash=[4, 3], color=style.MUTED)
        .encode(y=alt.Y("target:Q", scale=scale))
    )
    return dressed(alt.layer(line, rule).properties(width=width, height=height))


def score_history(
    days: pl.DataFrame,
    lines: Mapping[str, float],
    since: date | None = None,
    *,
    width: int = 560,
    height: int = 240,
) -> AnyChart:
    """An account's score over time, before the zones it passed through.

    Args:
        days: as_of_date, health_score (0-100; null while unscored), ordered by day.
        lines: from which score each zone begins, best first.
        since: a day that the score is compared with, drawn dashed.
        width: of the picture without its labels, in pixels.
        height: the same.
    """
    starts = list(lines.values())
    bands = pl.DataFrame(
        {
            "health_zone": list(lines),
            "low": starts,
            "high": [100.0, *starts[:-1]][: len(starts)],
            "label": [f"{style.ZONE_MARKS.get(zone, '')} {zone}" for zone in lines],
        },
        schema={
            "health_zone": pl.String,
            "low": pl.Float64,
            "high": pl.Float64,
            "label": pl.String,
        },
    ).with_columns(((pl.col("low") + pl.col("high")) / 2).alias("middle"))
    scale = alt.Scale(domain=[0, 100], nice=False)
    zones = bands["health_zone"].to_list()
    ground = (
        alt.Chart(bands)
        .mark_rect(opacity=0.22)
        .encode(
            y=alt.Y("low:Q", scale=scale, title=None, axis=alt.Axis(values=[0, *starts, 100])),
            y2="high:Q",
            color=_zone_colour(zones),
        )
    )
    names = (
        alt.Chart(bands)
        .mark_text(align="left", dx=6, fontSize=11, fontWeight="bold")
        .encode(
            x=alt.value(width),
            y=alt.Y("middle:Q", scale=scale),
            text="label:N",
            color=alt.Color(
                "health_zone:N",
                scale=alt.Scale(
                    domain=zones, range=[style.ZONE_INKS.get(zone, style.MUTED) for zone in zones]
                ),
                legend=None,
            ),
        )
    )
    line = (
        alt.Chart(days.select("as_of_date", "health_score"))
        .mark_line(color=style.INK, strokeWidth=2, interpolate="step-after")
        .encode(
            x=alt.X(
                "as_of_date:T",
                title=None,
                axis=alt.Axis(format="%b %Y", tickCount=6 if width > 400 else 3),
            ),
            y=alt.Y("health_score:Q", scale=scale, title=None),
        )
    )
    rules = [] if since is None else [day_rule(since)]
    layers = alt.layer(ground, line, *rules, names).resolve_scale(color="independent")
    return dressed(layers.properties(width=width, height=height))


def weekly_bars(
    weeks: pl.DataFrame, kinds: Mapping[str, str], *, width: int = 560, height: int = 220
) -> AnyChart:
    """Counts per week, stacked by kind, with a legend below.

    Args:
        weeks: week_on (a Monday), kind, count; ordered.
        kinds: the kinds in order from the bottom up, each with its colour.
        width: of the picture without its labels, in pixels.
        height: the same.
    """
    order = {kind: place for place, kind in enumerate(kinds)}
    placed = weeks.with_columns(
        pl.col("kind").replace_strict(order, return_dtype=pl.Int64).alias("place"),
        pl.col("week_on").cast(pl.String).alias("week"),
    ).sort("week", "place")
    shown = placed["week"].unique(maintain_order=True).to_list()
    step = max(1, -(-len(shown) // (12 if width > 400 else 4)))
    bars = (
        alt.Chart(placed.select("week", "kind", "count", "place"))
        .mark_bar(stroke="#FFFFFF", strokeWidth=0.6)
        .encode(
            x=alt.X(
                "week:O",
                title="week from",
                sort=shown,
                axis=alt.Axis(values=shown[::step], labelAngle=0 if width > 400 else -40),
            ),
            y=alt.Y("count:Q", title=None, axis=alt.Axis(tickCount=5, tickMinStep=1)),
            color=alt.Color(
                "kind:N",
                title=None,
                scale=alt.Scale(domain=list(kinds), range=list(kinds.values())),
                legend=alt.Legend(orient="bottom", columns=3 if width > 400 else 1),
            ),
            order=alt.Order("place:Q"),
        )
    )
    return dressed(bars.properties(width=width, height=height))


def two_sides_by_week(
    weeks: pl.DataFrame, other: str = "proposed", *, width: int = 640, height: int = 200
) -> AnyChart:
    """Openings per week of two rules: the one in force as a wide bar, the other as a narrow one.

    Args:
        weeks: week_on (a Monday), in_force and proposed (counts).
        other: what the narrow one is called.
        width: of the picture without its labels, in pixels.
        height: the same.
    """
    labelled = weeks.sort("week_on").with_columns(
        pl.col("week_on").dt.strftime("%d %b").alias("week")
    )
    order = labelled["week"].to_list()
    x = alt.X(
        "week:N",
        title="week from",
        sort=order,
        scale=alt.Scale(domain=order),
        axis=alt.Axis(labelAngle=0, labelOverlap=True, domain=False),
    )
    axis = alt.Axis(tickMinStep=1, tickCount=5, domain=False, ticks=False, format=",d")
    sides = ("in force (wide)", f"{other} (narrow)")
    layers = [
        alt.Chart(labelled.with_columns(pl.lit(side).alias("side")))
        .mark_bar(width={"band": band}, cornerRadius=1)
        .encode(
            x=x,
            y=alt.Y(f"{column}:Q", title=None, axis=axis),
            color=alt.Color(
                "side:N",
                title=None,
                scale=alt.Scale(
                    domain=list(sides), range=[style.STAGE_COLOURS[1], style.STAGE_COLOURS[4]]
                ),
                legend=alt.Legend(orient="top"),
            ),
            tooltip=["week:N", "in_force:Q", "proposed:Q"],
        )
        for side, column, band in zip(sides, ("in_force", "proposed"), (0.8, 0.35), strict=True)
    ]
    return dressed(alt.layer(*layers).properties(width=width, height=height))


def day_rule(day: date) -> alt.Chart:
    """A dashed line at a day."""
    rule: alt.Chart = (
        alt.Chart(pl.DataFrame({"day": [day]}))
        .mark_rule(strokeDash=[4, 3], color=style.MUTED)
        .encode(x=alt.X("day:T"))
    )
    return rule


def stacked(counts: pl.DataFrame, bar: str) -> pl.DataFrame:
    """The parts of each bar, in the order of the rows: share (0-1), and where it lies.

    `counts` has account_count; start, middle and upto are places in its bar (0-1).
    """
    whole = pl.col("account_count").sum().over(bar)
    return (
        counts.with_columns((pl.col("account_count") / whole).alias("share"))
        .with_columns(pl.col("share").cum_sum().over(bar).alias("upto"))
        .with_columns((pl.col("upto") - pl.col("share")).alias("start"))
        .with_columns(((pl.col("start") + pl.col("upto")) / 2).alias("middle"))
    )


def _ranks(names: Sequence[str]) -> dict[str, int]:
    return {name: rank for rank, name in enumerate(names)}


def _zone_colour(zones: Sequence[str]) -> alt.Color:
    return alt.Color(
        "health_zone:N",
        scale=alt.Scale(
            domain=list(zones),
            range=[style.ZONE_COLOURS.get(zone, style.MUTED) for zone in zones],
        ),
        legend=None,
    )


def _stage_colour(stages: Sequence[str], stage: str) -> str:
    return style.STAGE_COLOURS[list(stages).index(stage) % len(style.STAGE_COLOURS)]


def _scale_top(grid: pl.DataFrame) -> float:
    whole = grid.group_by("as_of_date").agg(pl.col("amount").sum())["amount"].max()
    return max(float(str(whole or 0)), 1.0)


def _amount_axis(value: str, top: float) -> alt.Axis:
    if value == "arr_usd":
        return alt.Axis(format="$~s", tickCount=5, domain=False, ticks=False)
    return alt.Axis(
        format=",d", tickCount=int(min(5, top)), tickMinStep=1, domain=False, ticks=False
    )


def dressed(chart: AnyChart) -> AnyChart:
    """The looks that every chart shares."""
    drawn: AnyChart = (
        chart.configure(font=_FONT, background="#FFFFFF", padding=4)
        .configure_view(stroke=None)
        .configure_axis(
            labelColor=style.MUTED,
            labelFontSize=11,
            gridColor=style.GRID,
            domainColor=style.LINE,
            tickColor=style.LINE,
            titleColor=style.MUTED,
            titleFontSize=11,
            titleFontWeight="normal",
            labelPadding=6,
        )
        .configure_legend(labelColor=style.INK, labelFontSize=11)
        .configure_axisX(grid=False)
    )
    return drawn
