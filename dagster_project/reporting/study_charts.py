"""Charts of the notebooks: one account's past, what renews, what the proof found.

Like `charts`, whose looks they share: frames in, Altair out, and no meaning by colour alone. Lists
without a row make an empty picture, never an error.
"""

from __future__ import annotations

from collections.abc import Sequence

import altair as alt
import polars as pl

from dagster_project.reporting import style
from dagster_project.reporting.charts import AnyChart, dressed
from dagster_project.reporting.words import sentence, words

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
    placed = (
        states.with_columns(
            pl.col("component").map_elements(sentence, pl.String).alias("name"),
            pl.col("status").map_elements(words, pl.String).alias("state"),
            pl.col("status")
            .replace_strict({state: at for at, state in enumerate(known)}, return_dtype=pl.Int64)
            .alias("rank"),
            (pl.col("account_count") / pl.col("account_count").sum().over("component")).alias(
                "share"
            ),
        )
        .sort("position", "rank")
        .with_columns(pl.col("share").cum_sum().over("component").alias("upto"))
        .with_columns((pl.col("upto") - pl.col("share")).alias("start"))
        .with_columns(((pl.col("start") + pl.col("upto")) / 2).alias("middle"))
    )
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
