"""A replay as one picture: openings per week by rule, as SVG."""

from __future__ import annotations

import os
from collections.abc import Sequence
from datetime import date
from pathlib import Path

import altair as alt
import vl_convert as vlc

from dagster_project.reporting.style import INK, LINE, MUTED, NAVY, STAGE_COLOURS, ZONE_COLOURS

_COLOURS = (
    NAVY,
    ZONE_COLOURS["orange"],
    ZONE_COLOURS["green"],
    ZONE_COLOURS["yellow"],
    STAGE_COLOURS[2],
    ZONE_COLOURS["red"],
    ZONE_COLOURS["unscored"],
)
# More rules than this share one colour: nobody tells twenty of them apart.
_RULES_SHOWN = len(_COLOURS) - 1
_OTHERS = "other rules"


def write_replay_chart(weeks: Sequence[tuple[date, str, int]], title: str, path: Path) -> Path:
    """Write stacked bars of (week, rule, openings) as SVG; the file is there whole or not at all.

    Weeks without openings are drawn as gaps, so all of them must be given.
    """
    totals: dict[str, int] = {}
    for _, rule_id, opened in weeks:
        totals[rule_id] = totals.get(rule_id, 0) + opened
    ranked = sorted(totals, key=lambda rule_id: (-totals[rule_id], rule_id))
    shown = ranked if len(ranked) <= len(_COLOURS) else [*ranked[:_RULES_SHOWN], _OTHERS]
    counts: dict[tuple[date, str], int] = {}
    for week_on, rule_id, opened in weeks:
        name = rule_id if rule_id in shown else _OTHERS
        counts[week_on, name] = counts.get((week_on, name), 0) + opened
    rows = [
        {"week": week_on.isoformat(), "rule": name, "opened": opened, "place": shown.index(name)}
        for (week_on, name), opened in sorted(counts.items())
    ]
    chart = (
        alt.Chart(alt.InlineData(values=rows), title=title)
        .mark_bar(size=24)
        .encode(
            x=alt.X("week:O", title="week from", axis=alt.Axis(labelAngle=-45)),
            y=alt.Y("opened:Q", title="actions opened", axis=alt.Axis(tickMinStep=1)),
            color=alt.Color(
                "rule:N",
                title="rule",
                scale=alt.Scale(domain=shown, range=list(_COLOURS[: len(shown)])),
            ),
            order=alt.Order("place:Q"),
        )
        .properties(width=alt.Step(34), height=260)
        .configure(font="sans-serif")
        .configure_view(stroke=None)
        .configure_axis(gridColor=LINE, domainColor=LINE, labelColor=MUTED, titleColor=INK)
        .configure_title(color=INK, anchor="start")
        .configure_legend(labelColor=INK, titleColor=INK, labelLimit=320)
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    temporary.write_text(vlc.vegalite_to_svg(chart.to_dict()), encoding="utf-8")
    temporary.replace(path)
    return path
