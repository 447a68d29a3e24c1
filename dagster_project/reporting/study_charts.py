"""Charts of the notebooks: one account's past, what renews, what the proof found.

Like `charts`, whose looks they share: frames in, Altair out, and no meaning by colour alone. Lists
without a row make an empty picture, never an error.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date

import altair as alt
import polars as pl

from dagster_project.reporting import style
from dagster_project.reporting.charts import AnyChart, day_rule, dressed, stacked
from dagster_project.reporting.words import money, sentence, signed, words

_STATES = tuple(style.STATE_COLOURS)
# A part thinner than this share of its bar has no room for its number.
_LABEL_SHARE = 0.05


def _names(zones: Sequence[str]) -> list[str]:
    return [f"{style.ZONE_MARKS.get(zone, '')} {words(zone)}".strip() for zone in zones]


def _colours(zones: Sequence[str]) -> list[str]:
    return [style.ZONE_COLOURS.get(zone, style.MUTED) for zone in zones]


def component_states(states: pl.DataFrame, *, width: int = 520, row_height: int = 34) -> AnyChart:
    """Share of the accounts per state of each component, the number in its part.

    `states` is `queries.component_coverage`: position, component, status, account_count.
    """
    known = [state for state in _STATES if state in set(states["status"].to_list())]
    known += sorted(set(states["status"].to_list()) - set(known))
    colours = [style.STATE_COLOURS.get(state, style.MUTED) for state in known]
    placed = states.with_columns(
        pl.col("component").map_elements(sentence, pl.String).alias("name"),
        pl.col("status").map_elements(words, pl.String).alias("state"),
        pl.col("status")
        .replace_strict({state: at for at, state in enumerate(known)}, return_dtype=pl.Int64)
        .alias("rank"),
    )
    placed = stacked(placed.sort("position", "rank"), "component")
    y = alt.Y("name:N", title=None, sort=None, axis=alt.Axis(domain=False, ticks=False))
    bars = (
        alt.Chart(placed)
        .mark_bar(stroke="#FFFFFF", strokeWidth=1)
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
                "state:N",
                title=None,
                scale=alt.Scale(domain=[words(state) for state in known], range=colours),
                legend=alt.Legend(orient="top"),
            ),
            tooltip=["name:N", "state:N", "account_count:Q"],
        )
    )
    texts = (
        alt.Chart(
            placed.filter(pl.col("share") >= _LABEL_SHARE).with_columns(
                # The state's name stands in the part where it fits, so colour is not needed.
                pl.when(pl.col("share") >= 4 * _LABEL_SHARE)
                .then(pl.format("{} {}", pl.col("account_count"), pl.col("state")))
                .otherwise(pl.col("account_count").cast(pl.String))
                .alias("label")
            )
        )
        .mark_text(fontSize=11, fontWeight="bold")
        .encode(
            x=alt.X("middle:Q"),
            y=y,
            text="label:N",
            color=alt.condition(
                "datum.state === 'scored'", alt.value("#FFFFFF"), alt.value(style.INK)
            ),
        )
    )
    height = row_height * max(placed["component"].n_unique(), 1)
    return dressed(alt.layer(bars, texts).properties(width=width, height=height))


def ledger_steps(
    ledger: pl.DataFrame,
    score_before: float,
    score_now: float,
    *,
    shown: int = 12,
    width: int = 520,
    row_height: int = 26,
) -> AnyChart:
    """From the score before to the score now, cause by cause, each bar with its signed points.

    `ledger` has label and points, in the order to draw; what follows the first `shown` causes is
    one bar, so that the bars always lead from one score to the other.
    """
    causes = [(row["label"], row["points"]) for row in ledger.iter_rows(named=True)]
    if len(causes) > shown:
        rest = causes[shown - 1 :]
        causes = [*causes[: shown - 1], (f"{len(rest)} more", sum(points for _, points in rest))]
    rows = [("Score before", 0.0, score_before, f"{score_before:.1f}", "score")]
    level = score_before
    for label, points in causes:
        kind = "down" if points < 0 else "up"
        # A sign on what rounds to nothing would say something.
        text = signed(points, 1) if round(points, 1) else "0.0"
        rows.append((label, level, level + points, text, kind))
        level += points
    rows.append(("Score now", 0.0, score_now, f"{score_now:.1f}", "score"))
    placed = pl.DataFrame(
        [
            (place, label, min(a, b), max(a, b), text, kind)
            for place, (label, a, b, text, kind) in enumerate(rows)
        ],
        schema=["place", "label", "low", "high", "text", "kind"],
        orient="row",
    )
    order = alt.EncodingSortField("place", order="ascending")
    y = alt.Y(
        "label:N",
        title=None,
        sort=order,
        axis=alt.Axis(domain=False, ticks=False, labelLimit=300),
    )
    scale = alt.Scale(domain=[0, max(100.0, float(str(placed["high"].max())))], nice=False)
    bars = (
        alt.Chart(placed)
        .mark_bar(cornerRadius=1, height=row_height - 9)
        .encode(
            x=alt.X("low:Q", title=None, scale=scale, axis=alt.Axis(tickCount=5, grid=True)),
            x2="high:Q",
            y=y,
            color=alt.Color(
                "kind:N",
                scale=alt.Scale(
                    domain=["score", "down", "up"],
                    range=[style.NAVY, style.ZONE_COLOURS["red"], style.ZONE_COLOURS["green"]],
                ),
            ).legend(None),
            tooltip=["label:N", "text:N"],
        )
    )
    texts = (
        alt.Chart(placed)
        .mark_text(align="left", dx=5, fontSize=11, fontWeight="bold", color=style.INK)
        .encode(x=alt.X("high:Q", scale=scale), y=y, text="text:N")
    )
    return dressed(
        alt.layer(bars, texts).properties(width=width, height=row_height * placed.height)
    )


def measure_lines(
    values: pl.DataFrame, since: date, *, columns: int = 2, width: int = 330, height: int = 110
) -> AnyChart:
    """One small picture per measure, each on its own scale; gaps are days without a value.

    `values` has label, as_of_date and value.
    """
    labels = list(dict.fromkeys(values["label"].to_list()))
    pictures = [
        alt.layer(
            alt.Chart(values.filter(pl.col("label") == label).select("as_of_date", "value"))
            .mark_line(color=style.NAVY, strokeWidth=1.8)
            .encode(
                x=_time("as_of_date"),
                y=alt.Y(
                    "value:Q",
                    title=None,
                    scale=alt.Scale(zero=False),
                    axis=alt.Axis(tickCount=3, domain=False, ticks=False, format="~r"),
                ),
                tooltip=["as_of_date:T", "value:Q"],
            ),
            day_rule(since),
        ).properties(
            width=width,
            height=height,
            title=alt.Title(
                sentence(label), anchor="start", fontSize=12, color=style.INK, fontWeight="bold"
            ),
        )
        for label in labels
    ]
    chart: AnyChart = dressed(alt.concat(*pictures, columns=columns))
    return chart


def happening_lanes(
    happenings: pl.DataFrame, since: date, *, width: int = 720, lane_height: int = 34
) -> AnyChart:
    """What happened when, a lane per kind; what it was stands beside in a table.

    `happenings` has occurred_on, kind and what.
    """
    chart = (
        alt.Chart(happenings)
        .mark_tick(thickness=2, size=16, color=style.NAVY)
        .encode(
            x=_time("occurred_on"),
            y=alt.Y("kind:N", title=None, sort=None, axis=alt.Axis(domain=False, ticks=False)),
            tooltip=["occurred_on:T", "kind:N", "what:N"],
        )
    )
    lanes = max(happenings["kind"].n_unique(), 1)
    return dressed(
        alt.layer(chart, day_rule(since)).properties(width=width, height=lane_height * lanes)
    )


def _time(name: str) -> alt.X:
    return alt.X(
        f"{name}:T",
        title=None,
        axis=alt.Axis(format="%d %b %Y", labelOverlap=True, tickCount=6),
    )


def auc_ladder(
    rows: pl.DataFrame, *, width: int = 460, row_height: int = 30, coin: float = 0.5
) -> AnyChart:
    """Who ranks how well: the AUC with its interval against a coin (dashed), one row each.

    `rows` has label, auc, auc_low, auc_high, in the order to draw; a row without a number stays
    empty.
    """
    labels = rows["label"].to_list()
    y = alt.Y(
        "label:N",
        title=None,
        sort=labels,
        scale=alt.Scale(domain=labels),
        axis=alt.Axis(domain=False, ticks=False, labelLimit=300),
    )
    known = rows.filter(pl.col("auc").is_not_null()).with_columns(
        pl.col("auc").round(3).map_elements(lambda auc: f"{auc:.3f}", pl.String).alias("text"),
        pl.coalesce("auc_high", "auc").alias("edge"),
    )
    low = min([coin, *(value for value in known["auc_low"].to_list() if value is not None)])
    scale = alt.Scale(domain=[max(0.0, min(0.4, low - 0.05)), 1.0], nice=False)
    x_axis = alt.Axis(tickCount=6, grid=True, format=".1f")
    spans = (
        alt.Chart(known.filter(pl.col("auc_low").is_not_null()))
        .mark_rule(strokeWidth=3, color=style.STAGE_COLOURS[1])
        .encode(x=alt.X("auc_low:Q", title=None, scale=scale, axis=x_axis), x2="auc_high:Q", y=y)
    )
    points = (
        alt.Chart(known)
        .mark_point(filled=True, size=70, color=style.NAVY, opacity=1)
        .encode(
            x=alt.X("auc:Q", title=None, scale=scale, axis=x_axis), y=y, tooltip=["label", "auc"]
        )
    )
    texts = (
        alt.Chart(known)
        .mark_text(align="left", dx=8, fontSize=11, fontWeight="bold", color=style.INK)
        .encode(x=alt.X("edge:Q", scale=scale), y=y, text="text:N")
    )
    rule = (
        alt.Chart(pl.DataFrame({"coin": [coin]}))
        .mark_rule(strokeDash=[4, 3], color=style.MUTED)
        .encode(x=alt.X("coin:Q", scale=scale))
    )
    return dressed(
        alt.layer(rule, spans, points, texts).properties(
            width=width, height=row_height * max(rows.height, 1)
        )
    )


def zone_rates(rates: pl.DataFrame, *, width: int = 460, row_height: int = 34) -> AnyChart:
    """The rate of an outcome per zone with its interval; rate and sample stand beside the bar.

    `rates` has health_zone, ratio, low, high (0-1, null where there is no rate) and note (what the
    rate rests on), in the order to draw.
    """
    zones = rates["health_zone"].to_list()
    names = _names(zones)
    placed = rates.with_columns(
        pl.Series("name", names, dtype=pl.String),
        pl.coalesce("high", "ratio", pl.lit(0.0)).alias("edge"),
    )
    top = max([0.05, *(float(value) for value in placed["edge"].to_list())])
    # Room for the words behind the longest interval.
    scale = alt.Scale(domain=[0, min(top * 1.75, 1.75)], nice=False)
    axis = alt.Axis(
        format="%", grid=True, values=[step / 100 for step in _steps(min(top, 1.0) * 100)]
    )
    y = alt.Y(
        "name:N",
        title=None,
        sort=names,
        scale=alt.Scale(domain=names),
        axis=alt.Axis(domain=False, ticks=False),
    )
    colour = alt.Color("name:N", scale=alt.Scale(domain=names, range=_colours(zones))).legend(None)
    x = alt.X("ratio:Q", title=None, scale=scale, axis=axis)
    bars = (
        alt.Chart(placed)
        .mark_bar(height=row_height - 16, cornerRadius=1)
        .encode(x=x, y=y, color=colour)
    )
    spans = (
        alt.Chart(placed.filter(pl.col("low").is_not_null()))
        .mark_rule(strokeWidth=1.6, color=style.INK)
        .encode(x=alt.X("low:Q", scale=scale), x2="high:Q", y=y)
    )
    texts = (
        alt.Chart(placed)
        .mark_text(align="left", dx=8, fontSize=11, color=style.INK)
        .encode(x=alt.X("edge:Q", scale=scale), y=y, text="note:N")
    )
    return dressed(
        alt.layer(bars, spans, texts).properties(
            width=width, height=row_height * max(rates.height, 1)
        )
    )


def calibration(bands: pl.DataFrame, *, width: int = 640, height: int = 240) -> AnyChart:
    """What a score meant: the rate per band with its interval, and in the two halves of history.

    `bands` has band, score_from, score_to, event_ratio, event_ratio_low, event_ratio_high,
    earlier_event_ratio, later_event_ratio. The halves differ from the whole by shape.
    """
    labelled = bands.sort("band").with_columns(
        pl.format(
            "{}–{}",
            pl.col("score_from").round(0).cast(pl.Int64),
            pl.col("score_to").round(0).cast(pl.Int64),
        ).alias("scores")
    )
    order = labelled["scores"].to_list()
    halves = ("both halves", "earlier half", "later half")
    long = pl.concat(
        labelled.select("band", "scores", pl.col(column).alias("ratio"), pl.lit(name).alias("when"))
        for column, name in zip(
            ("event_ratio", "earlier_event_ratio", "later_event_ratio"), halves, strict=True
        )
    ).filter(pl.col("ratio").is_not_null())
    x = alt.X(
        "scores:N",
        title="score",
        sort=order,
        scale=alt.Scale(domain=order),
        axis=alt.Axis(labelAngle=0),
    )
    axis = alt.Axis(format="%", tickCount=5, domain=False)
    spans = (
        alt.Chart(labelled.filter(pl.col("event_ratio_low").is_not_null()))
        .mark_rule(strokeWidth=3, color=style.STAGE_COLOURS[1])
        .encode(x=x, y=alt.Y("event_ratio_low:Q", title=None, axis=axis), y2="event_ratio_high:Q")
    )
    points = (
        alt.Chart(long)
        .mark_point(size=70, strokeWidth=2, filled=False)
        .encode(
            x=x,
            y=alt.Y("ratio:Q", title=None, axis=axis),
            shape=alt.Shape(
                "when:N",
                title=None,
                scale=alt.Scale(domain=list(halves), range=["circle", "triangle-up", "square"]),
                legend=alt.Legend(orient="top"),
            ),
            color=alt.Color(
                "when:N",
                title=None,
                scale=alt.Scale(
                    domain=list(halves),
                    range=[style.NAVY, style.ZONE_COLOURS["orange"], style.ZONE_COLOURS["green"]],
                ),
                legend=alt.Legend(orient="top"),
            ),
            tooltip=["scores:N", "when:N", alt.Tooltip("ratio:Q", format=".1%")],
        )
    )
    return dressed(alt.layer(spans, points).properties(width=width, height=height))


def _steps(top: float) -> list[float]:
    """Marks from 0 to `top` in steps of 1, 2 or 5 times a power of ten, four to eight of them."""
    step = 1.0
    while top / step > 8:
        step *= 2 if step / 10 ** int(len(str(int(step))) - 1) != 2 else 2.5
    count = int(top // step)
    return [step * place for place in range(count + 1)]


def expected_renewals(months: pl.DataFrame, *, width: int = 640, height: int = 240) -> AnyChart:
    """ARR that renews per month as a bar, what is expected to stay as a point with its range.

    `months` has renewal_month, arr_usd, expected_usd, low_usd, high_usd (USD; null where nothing
    can be expected).
    """
    labelled = months.sort("renewal_month").with_columns(
        pl.col("renewal_month").dt.strftime("%b %Y").alias("month"),
        pl.col("expected_usd").map_elements(money, pl.String).alias("label"),
    )
    order = labelled["month"].to_list()
    x = alt.X(
        "month:N",
        title=None,
        sort=order,
        scale=alt.Scale(domain=order),
        axis=alt.Axis(labelAngle=0, domain=False),
    )
    axis = alt.Axis(format="$~s", tickCount=5, domain=False, ticks=False)
    bars = (
        alt.Chart(labelled)
        .mark_bar(color=style.STAGE_COLOURS[0], cornerRadius=1)
        .encode(x=x, y=alt.Y("arr_usd:Q", title=None, axis=axis))
    )
    known = labelled.filter(pl.col("expected_usd").is_not_null())
    spans = (
        alt.Chart(known)
        .mark_rule(strokeWidth=3, color=style.STAGE_COLOURS[3])
        .encode(x=x, y=alt.Y("low_usd:Q", title=None, axis=axis), y2="high_usd:Q")
    )
    points = (
        alt.Chart(known)
        .mark_point(filled=True, size=70, color=style.NAVY, opacity=1)
        .encode(x=x, y=alt.Y("expected_usd:Q", title=None, axis=axis))
    )
    texts = (
        alt.Chart(known)
        .mark_text(align="left", dx=9, fontSize=10.5, fontWeight="bold", color=style.INK)
        .encode(x=x, y=alt.Y("expected_usd:Q", title=None, axis=axis), text="label:N")
    )
    return dressed(alt.layer(bars, spans, points, texts).properties(width=width, height=height))
