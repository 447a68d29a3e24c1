"""The list of accounts and the explanation of each, as compact rows for the page's script.

Names that repeat (measures, people, stages) stand once in `legend`; rows refer to their position.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date
from typing import Any

import polars as pl

from dagster_project.reporting import queries, style
from dagster_project.reporting.queries import Snapshot
from dagster_project.reporting.report.packing import CHUNK_SIZE

_MOVES_SHOWN = 6
_ACTIONS_SHOWN = 12


class _Names:
    """Positions of names, given in the order in which they come up."""

    def __init__(self, known: Iterable[str] = ()) -> None:
        self.names: list[str] = list(known)
        self._places = {name: place for place, name in enumerate(self.names)}

    def place(self, name: object) -> int | None:
        if name is None:
            return None
        text = str(name)
        if text not in self._places:
            self._places[text] = len(self.names)
            self.names.append(text)
        return self._places[text]


@dataclass(frozen=True)
class AccountData:
    """What the page's script reads.

    `rows` is the list, worst scores first; `chunks` holds the explanations of CHUNK_SIZE rows
    each, in the same order; `legend` the names that both refer to.
    """

    legend: dict[str, Any]
    rows: list[list[Any]]
    chunks: list[list[list[Any]]]


def account_data(snapshot: Snapshot) -> AccountData:
    """Everything about every account of the day, from one query per table."""
    overview = queries.accounts(snapshot)
    measure_names = queries.measure_names(snapshot)
    people, words = _Names(), _Names()
    measures = _Names(measure_names["measure"].to_list())
    zones = _Names(style.ZONES)
    components = _Names(snapshot.components())
    rows = [
        [
            row["account_id"],
            row["account_name"] or row["account_id"],
            words.place(row["tier"]),
            words.place(row["segment"]),
            words.place(row["region"]),
            people.place(row["owner_ca"]),
            _money(row["arr_usd"]),
            _day(row["next_renewal_on"]),
            _round(row["health_score"], 1),
            zones.place(row["health_zone"]),
            _round(row["score_change_30d"], 1),
            components.place(row["costliest_component"]),
            _round(row["costliest_component_points"], 1),
            _round(row["coverage_ratio"], 2),
            words.place(row["unscored_reason"]),
            row["open_action_count"],
            row["overdue_action_count"],
        ]
        for row in overview.iter_rows(named=True)
    ]
    parts = [
        _grouped(
            queries.component_states(snapshot),
            lambda row: [
                _round(row["score"], 1),
                words.place(row["status"]),
                _round(row["weight"], 4),
            ],
        ),
        _grouped(
            queries.measures(snapshot),
            lambda row: [
                measures.place(row["measure"]),
                _significant(row["value"]),
                _round(row["measure_score"], 1),
                words.place(row["status"]),
                _round(row["effective_weight"], 4),
                _round(row["contribution"], 2),
            ],
        ),
        _moves(queries.score_moves(snapshot), words, measures),
        _grouped(
            queries.open_actions(snapshot),
            lambda row: [
                words.place(row["playbook_name"]),
                words.place(row["severity"]),
                words.place(row["owner_role"]),
                people.place(row["owner"]),
                _day(row["opened_on"]),
                _day(row["due_on"]),
                int(row["is_overdue"]),
            ],
            limit=_ACTIONS_SHOWN,
        ),
        {
            str(row["account_id"]): row["scores"]
            for row in queries.weekly_scores(snapshot).iter_rows(named=True)
        },
        _grouped(
            queries.account_stages(snapshot),
            lambda row: [
                words.place(row["solution_area"]),
                words.place(row["stage"]),
                row["stage_age_days"],
                _round(row["readiness_ratio"], 2),
                words.place(row["next_stage"]),
                int(row["is_stalled"] or False) + 2 * int(row["is_regressed"] or False),
            ],
        ),
    ]
    explained = [
        [
            *(part.get(row["account_id"], []) for part in parts),
            [
                words.place(row["next_call_type"]),
                _day(row["next_call_due_on"]),
                _round(row["cadence_adherence_ratio"], 2),
                row["consecutive_missed_count"],
            ],
            row["override_reason"],
        ]
        for row in overview.iter_rows(named=True)
    ]
    legend = {
        "asOf": snapshot.as_of.isoformat(),
        "components": components.names,
        "measures": measures.names,
        "measureComponents": [
            components.place(name) for name in _aligned(measure_names, measures, "component")
        ],
        "measureUnits": _aligned(measure_names, measures, "unit"),
        "measureTexts": _aligned(measure_names, measures, "description"),
        "zones": zones.names,
        "marks": [style.ZONE_MARKS.get(zone, "") for zone in zones.names],
        "people": people.names,
        "words": words.names,
        "chunkSize": CHUNK_SIZE,
    }
    chunks = [explained[at : at + CHUNK_SIZE] for at in range(0, len(explained), CHUNK_SIZE)]
    return AccountData(legend, rows, chunks)


def _moves(moves: pl.DataFrame, words: _Names, measures: _Names) -> dict[str, list[list[Any]]]:
    """The largest causes per account, and one row for the rest so that they add up."""
    largest = _grouped(
        moves,
        lambda row: [
            words.place(row["cause_kind"]),
            measures.place(row["cause"]),
            _round(row["points"], 2),
        ],
        limit=_MOVES_SHOWN,
    )
    rest = (
        moves.with_columns(pl.int_range(pl.len()).over("account_id").alias("place"))
        .filter(pl.col("place") >= _MOVES_SHOWN)
        .group_by("account_id", maintain_order=True)
        .agg(pl.col("points").sum(), pl.len().alias("count"))
    )
    for row in rest.iter_rows(named=True):
        largest[str(row["account_id"])].append([None, row["count"], _round(row["points"], 2)])
    return largest


def _grouped(frame: pl.DataFrame, shape: Any, limit: int | None = None) -> dict[str, list[Any]]:
    """Rows by account, in order, each put into shape."""
    groups: dict[str, list[Any]] = {}
    for row in frame.iter_rows(named=True):
        group = groups.setdefault(str(row["account_id"]), [])
        if limit is None or len(group) < limit:
            group.append(shape(row))
    return groups


def _aligned(frame: pl.DataFrame, names: _Names, column: str) -> list[Any]:
    """A column of the measures, in the order of the names; None for one that policy dropped."""
    found = dict(zip(frame["measure"].to_list(), frame[column].to_list(), strict=True))
    return [found.get(name) for name in names.names]


def _round(value: float | None, digits: int) -> float | None:
    return None if value is None else round(float(value), digits) + 0.0


def _money(value: float | None) -> int | None:
    return None if value is None else round(float(value))


def _significant(value: float | None) -> float | None:
    """Four significant digits: what the eye takes in."""
    return None if value is None else float(f"{float(value):.4g}")


def _day(value: date | None) -> str | None:
    return None if value is None else value.isoformat()
