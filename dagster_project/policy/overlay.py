"""A proposed policy as a folder of seeds: files laid over today's, future rows taken as begun."""

from __future__ import annotations

import csv
import io
import shutil
from collections.abc import Mapping, Sequence
from datetime import date
from pathlib import Path

from dagster_project.errors import Fault
from dagster_project.policy.tables import nearest

# What a row is about, besides the day from which it holds: the newest of these replaces the others.
_SUBJECTS: Mapping[str, tuple[str, ...]] = {
    "health_component_weights": ("policy_set", "profile_id", "component"),
    "health_measure_policy": ("policy_set", "profile_id", "measure"),
    "health_bands": ("policy_set", "profile_id", "measure"),
    "health_profiles": ("policy_set", "profile_id"),
    "health_zones": ("policy_set", "health_zone"),
    "health_policy": ("policy_set", "parameter"),
    "health_definitions": ("parameter",),
    "health_contact_roles": ("role",),
    "support_targets": ("severity",),
    # Its ranges hold together, so the newest day replaces them all.
    "health_renewal_expectations": (),
}


def lay_over(current: Path, given: Path | None, out: Path) -> list[Fault]:
    """Copy the seeds of `current` to `out` and lay the CSV files under `given` over them, by name.

    What `given` lacks stays as it is today; the declarations (YAML) are always today's, as the
    models that read the seeds are. A file that is no seed of today is a fault.
    """
    shutil.copytree(current, out)
    places = {path.name: path for path in out.rglob("*.csv")}
    faults: list[Fault] = []
    seen: dict[str, Path] = {}
    files = sorted(given.rglob("*.csv")) if given is not None else []
    for path in files:
        place = path.relative_to(given).as_posix() if given is not None else path.name
        if path.name in seen:
            faults.append(
                Fault(place, 0, "", f"{seen[path.name].name} is there twice", "keep one of them")
            )
        elif path.name not in places:
            known = {name.removesuffix(".csv") for name in places}
            faults.append(Fault(place, 0, "", "no seed has this name", nearest(path.stem, known)))
        else:
            shutil.copyfile(path, places[path.name])
        seen[path.name] = path
    if given is not None and not files:
        faults.append(Fault(given.name, 0, "", "the folder holds no CSV file", "name another"))
    return faults


def changed_seeds(old: Path, new: Path) -> list[str]:
    """Names of the seeds whose bytes differ, as `folder/name`, in order."""
    return sorted(
        path.relative_to(old).with_suffix("").as_posix()
        for path in old.rglob("*.csv")
        if path.read_bytes() != (new / path.relative_to(old)).read_bytes()
    )


def bring_forward(seeds: Path, day: date) -> int:
    """Rewrite dated rows of the health seeds that begin after `day` as begun on it.

    Of several rows about the same thing the newest is kept, so that a policy prepared for next
    month is judged today as it will be then. Returns how many rows were moved. The seeds must have
    been checked: columns are there and dates are dates.
    """
    moved = 0
    for path in sorted(seeds.rglob("*.csv")):
        subject = _SUBJECTS.get(path.stem)
        if subject is None:
            continue
        with path.open(encoding="utf-8", newline="") as handle:
            reader = csv.DictReader(handle)
            columns, rows = list(reader.fieldnames or ()), list(reader)
        kept, count = _begun(rows, subject, day.isoformat())
        if count:
            text = io.StringIO()
            writer = csv.DictWriter(text, columns, lineterminator="\n")
            writer.writeheader()
            writer.writerows(kept)
            path.write_text(text.getvalue(), encoding="utf-8", newline="")
        moved += count
    return moved


def _begun(
    rows: Sequence[dict[str, str]], subject: Sequence[str], day: str
) -> tuple[list[dict[str, str]], int]:
    """The rows with future ones taken as begun, and how many those are. Days are ISO texts."""
    newest: dict[tuple[str, ...], str] = {}
    for row in rows:
        key = tuple(row[column] for column in subject)
        newest[key] = max(newest.get(key, ""), row["effective_from"])
    kept: list[dict[str, str]] = []
    moved = 0
    for row in rows:
        last = newest[tuple(row[column] for column in subject)]
        if last <= day or row["effective_from"] < day:
            kept.append(row)
        elif row["effective_from"] == last:
            kept.append({**row, "effective_from": day})
            moved += 1
    return kept, moved
