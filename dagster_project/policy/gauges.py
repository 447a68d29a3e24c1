"""Gauges that policy names: what a row of a seed makes of a number in an extract.

A gauge becomes a name in rule conditions by the same row that makes it a stage criterion's measure
(`stage_measures`, source `gauge`: read per solution area) or a health measure (`health_measures`,
source `gauge`: read per account).
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from dagster_project.policy.tables import read_tables


@dataclass(frozen=True)
class Gauge:
    """A gauge as a name of its own, and where the row stands that says so."""

    name: str
    scope: Literal["account", "solution_area"]
    #: its name in the extract
    gauge_measure: str
    #: the one area it is read from; None: each area by itself, or the mean of all
    solution_area: str | None
    unit: str
    meaning: str
    #: days after which a reading is no value any more
    lookback_days: int
    file: str
    line: int


def read_gauges(folder: Path) -> tuple[Gauge, ...]:
    """The gauges of the seeds under `folder`, in order of scope and row; what cannot be read is
    left to `check_policy`."""
    policy, _ = read_tables(folder)
    lookback = max(
        (row["gauge_lookback_days"] or 0 for row in policy.rows("stage_policy")), default=0
    )
    found = [
        Gauge(
            name=row["measure"],
            scope="account",
            gauge_measure=row["gauge_measure"],
            solution_area=row["gauge_solution_area"],
            unit=row["unit"] or "",
            meaning=row["description"] or "",
            lookback_days=lookback,
            file=policy.place("health_measures"),
            line=row.line,
        )
        for row in policy.rows("health_measures")
        if row["source"] == "gauge" and row["gauge_measure"]
    ]
    found += [
        Gauge(
            name=row["measure"],
            scope="solution_area",
            gauge_measure=row["measure"],
            solution_area=None,
            unit=row["unit"] or "",
            meaning=row["description"] or "",
            lookback_days=lookback,
            file=policy.place("stage_measures"),
            line=row.line,
        )
        for row in policy.rows("stage_measures")
        if row["source"] == "gauge"
    ]
    return tuple(found)
