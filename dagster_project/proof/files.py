"""Suggested weights as policy files: the seeds as they are, with new rows at their end."""

from __future__ import annotations

import csv
import io
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path

from dagster_project.errors import ConfigError, Fault

_COMPONENTS = "health_component_weights.csv"
_MEASURES = "health_measure_policy.csv"
_BANDS = "health_bands.csv"
_DEFAULT = "default"

_Row = Mapping[str, str]


@dataclass(frozen=True)
class NewWeights:
    """Weights as text, for the profiles that share them; no measures: components alone."""

    policy_set: str
    profiles: tuple[str, ...]
    components: Mapping[str, str]
    measures: Mapping[str, str]


def write_policy_files(
    seeds: Path, out: Path, weights: NewWeights, *, as_of: date, starts: date
) -> tuple[Path, ...]:
    """Copy the seeds that change into `out`, byte for byte, and append the rows from `starts` on.

    Args:
        seeds: folder of the health seeds.
        out: folder to write into; made when it is not there.
        weights: what the new rows say; all else they take from the row in force on `as_of`.
        as_of: day whose rows are in force.
        starts: first day of the new rows.

    Raises:
        ConfigError: a seed cannot be read, or holds rows from `starts` on already.
    """
    texts = {name: _read(seeds / name) for name in (_COMPONENTS, _MEASURES, _BANDS)}
    new: dict[str, list[_Row]] = {}
    new[_COMPONENTS] = [
        {**row, "weight": weights.components[row["component"]]}
        for row in _in_force(seeds / _COMPONENTS, texts, weights, "component", (as_of, starts))
        if row["component"] in weights.components
    ]
    if weights.measures:
        measures = [
            row
            for row in _in_force(seeds / _MEASURES, texts, weights, "measure", (as_of, starts))
            if row["measure"] in weights.measures and row["weight"]
        ]
        new[_MEASURES] = [{**row, "weight": weights.measures[row["measure"]]} for row in measures]
        # Bands are found by the date of the measure's own row, so they move with it.
        banded = {
            (row["profile_id"], row["measure"], row["effective_from"])
            for row in measures
            if row["method"] == "bands"
        }
        new[_BANDS] = [
            row
            for row in _parse(texts[_BANDS])
            if row["policy_set"] == weights.policy_set
            and (row["profile_id"], row["measure"], row["effective_from"]) in banded
        ]
    out.mkdir(parents=True, exist_ok=True)
    files: list[Path] = []
    for name, rows in new.items():
        path = out / name
        temporary = path.with_name(f".{name}.{os.getpid()}")
        dated = [{**row, "effective_from": starts.isoformat()} for row in rows]
        temporary.write_text(_append(texts[name], dated), encoding="utf-8", newline="")
        temporary.replace(path)
        files.append(path)
    return tuple(files)


def _read(path: Path) -> str:
    try:
        with path.open(encoding="utf-8", newline="") as handle:
            return handle.read()
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read ({error.strerror})") from error


def _parse(text: str) -> list[_Row]:
    return list(csv.DictReader(io.StringIO(text)))


def _append(text: str, rows: Sequence[_Row]) -> str:
    columns = next(csv.reader(io.StringIO(text)))
    ending = "\r\n" if "\r\n" in text else "\n"
    written = io.StringIO()
    csv.DictWriter(written, columns, lineterminator=ending).writerows(rows)
    return text + ("" if text.endswith("\n") else ending) + written.getvalue()


def _in_force(
    path: Path,
    texts: Mapping[str, str],
    weights: NewWeights,
    column: str,
    days: tuple[date, date],
) -> list[_Row]:
    """Newest row per profile and name on the first of `days`, for the profiles of `weights`.

    The default profile's rows are theirs where one of them has no row of its own. Raises
    ConfigError when a row of theirs starts on or after the second of `days`.
    """
    as_of, starts = days
    rows = [row for row in _parse(texts[path.name]) if row["policy_set"] == weights.policy_set]
    names = {row[column] for row in rows}
    having = {(row["profile_id"], row[column]) for row in rows}
    shared = {name for name in names if any((one, name) not in having for one in weights.profiles)}
    own = [
        row
        for row in rows
        if row["profile_id"] in weights.profiles
        or (row["profile_id"] == _DEFAULT and row[column] in shared)
    ]
    late = [row for row in own if date.fromisoformat(row["effective_from"]) >= starts]
    if late:
        raise ConfigError(
            f"rows from {starts} on are there already:",
            [
                Fault(
                    str(path),
                    0,
                    "effective_from",
                    f"{row['profile_id']}/{row[column]} starts on {row['effective_from']}",
                    "give a later date",
                )
                for row in late
            ],
        )
    newest: dict[tuple[str, str], _Row] = {}
    for row in sorted(own, key=lambda row: row["effective_from"]):
        if date.fromisoformat(row["effective_from"]) <= as_of:
            newest[row["profile_id"], row[column]] = row
    return list(newest.values())
