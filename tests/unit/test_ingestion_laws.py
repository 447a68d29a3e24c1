"""What is stored is a function of the extracts: not of their order, nor of how runs cut them up."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.unit.ingestion_world import USAGE, World, lines

FIRST = date(2026, 1, 1)
INVOICE = "invoice_id,account_id,issued_on,due_on,paid_on,amount_usd"
KEYS = ("i1", "i2", "i3")

# An extract: which invoices it holds, with which amount.
Extract = dict[str, int]
_extract = st.dictionaries(st.sampled_from(KEYS), st.integers(1, 2), max_size=3)
_history = st.lists(_extract, min_size=1, max_size=5)
# Rows of one usage file: (user, day of use, count); a missing user is a user of its own.
_usage_row = st.tuples(st.sampled_from(["u", "v", ""]), st.integers(0, 2), st.integers(1, 2))
_usage = st.lists(st.lists(_usage_row, max_size=4), min_size=1, max_size=4)

SETTINGS = settings(deadline=None, max_examples=15)


def _day(number: int) -> date:
    return FIRST + timedelta(days=number)


def _snapshot_file(number: int, extract: Extract) -> tuple[str, str]:
    rows = (f"{key},a,2025-12-0{key[1]},2026-03-01,,{value}" for key, value in extract.items())
    return f"crm/invoices/i_{_day(number)}.csv", lines(INVOICE, *rows)


def _event_file(number: int, rows: Iterable[tuple[str, int, int]]) -> tuple[str, str]:
    texts = (f"a,search,{user},f,{_day(day)},{count}," for user, day, count in rows)
    return f"usage/feature_usage/u_{_day(number)}.csv", lines(USAGE, *texts)


def _world() -> World:
    return World(Path(tempfile.mkdtemp(prefix="ingestion-")))


def _log(world: World) -> list[tuple[Any, ...]]:
    return world.rows(
        "select invoice_id, _extracted_on, cast(amount_usd as integer), _is_deleted, "
        "parse_filename(_source_file) from raw_crm.invoices order by all"
    )


def _events(world: World) -> list[tuple[Any, ...]]:
    return world.rows(
        "select coalesce(user_id, ''), used_on, usage_count, _extracted_on, "
        "_source_file, _source_line from raw_usage.feature_usage order by all"
    )


def _expected_log(history: list[Extract]) -> list[tuple[Any, ...]]:
    """The change log, told row by row."""
    log: list[tuple[Any, ...]] = []
    before: Extract = {}
    for number, extract in enumerate(history):
        file = f"i_{_day(number)}.csv"
        for key in KEYS:
            if key in extract and extract[key] != before.get(key):
                log.append((key, _day(number), extract[key], False, file))
            elif key in before and key not in extract:
                log.append((key, _day(number), None, True, file))
        before = extract
    return sorted(log, key=lambda row: row[:2])


def _expected_events(files: list[list[tuple[str, int, int]]]) -> list[tuple[Any, ...]]:
    """For each key the newest file's value, with the first file of the run that says so."""
    standing: dict[tuple[str, int], tuple[int, int]] = {}
    for number, rows in enumerate(files):
        seen: set[tuple[str, int]] = set()
        for user, day, count in rows:
            if (user, day) in seen:
                continue
            seen.add((user, day))
            if standing.get((user, day), (None,))[0] != count:
                standing[user, day] = (count, number)
    return sorted(
        (user, _day(day), count, _day(number)) for (user, day), (count, number) in standing.items()
    )


@SETTINGS
@given(history=_history, data=st.data())
def test_the_change_log_is_a_function_of_the_extracts(
    history: list[Extract], data: st.DataObject
) -> None:
    order = data.draw(st.permutations(range(len(history))))
    run_after = data.draw(st.lists(st.booleans(), min_size=len(order), max_size=len(order)))
    world = _world()
    for number, is_run in zip(order, run_after, strict=True):
        world.put(*_snapshot_file(number, history[number]))
        if is_run:
            world.run()
    world.run()
    assert _log(world) == _expected_log(history)
    before = world.everything()
    assert world.run().affected_from_on is None
    assert world.everything() == before


@SETTINGS
@given(history=_history, wrong=_extract, data=st.data())
def test_a_corrected_extract_is_as_if_it_had_been_right_at_once(
    history: list[Extract], wrong: Extract, data: st.DataObject
) -> None:
    number = data.draw(st.integers(0, len(history) - 1))
    world = _world()
    for other, extract in enumerate(history):
        world.put(*_snapshot_file(other, wrong if other == number else extract))
    world.run()
    world.put(*_snapshot_file(number, history[number]))
    world.run()
    assert _log(world) == _expected_log(history)


@SETTINGS
@given(history=_history, wrong=_extract, data=st.data())
def test_nothing_before_the_touched_day_reads_differently(
    history: list[Extract], wrong: Extract, data: st.DataObject
) -> None:
    """Day by day, what the log says only changes from `affected_from_on` on."""
    number = data.draw(st.integers(0, len(history) - 1))
    world = _world()
    for other, extract in enumerate(history):
        world.put(*_snapshot_file(other, wrong if other == number else extract))
    world.run()
    before = _facts(world)
    world.put(*_snapshot_file(number, history[number]))
    touched = world.run().affected_from_on
    after = _facts(world)
    changed = {day for day in before if before[day] != after[day]}
    assert touched is not None or not changed
    assert all(day >= touched for day in changed if touched is not None)


def _facts(world: World) -> dict[date, list[tuple[Any, ...]]]:
    """The invoices each day reads: the latest version from its issue on, until it vanished."""
    rows = world.rows(
        "select invoice_id, issued_on, amount_usd, _is_deleted, _extracted_on "
        "from raw_crm.invoices order by _extracted_on"
    )
    latest: dict[str, tuple[date, Any]] = {}
    removed: dict[str, date] = {}
    for key, issued_on, amount, is_deleted, extracted_on in rows:
        if is_deleted:
            removed[key] = extracted_on
        else:
            latest[key] = (issued_on, amount)
            removed.pop(key, None)
    return {
        day: sorted(
            (key, amount)
            for key, (issued_on, amount) in latest.items()
            if issued_on <= day and day < removed.get(key, date.max)
        )
        for day in (_day(number) for number in range(-40, 8))
    }


@SETTINGS
@given(files=_usage, data=st.data())
def test_standing_events_are_a_function_of_the_files(
    files: list[list[tuple[str, int, int]]], data: st.DataObject
) -> None:
    order = data.draw(st.permutations(range(len(files))))
    run_after = data.draw(st.lists(st.booleans(), min_size=len(order), max_size=len(order)))
    wrong = data.draw(st.integers(-1, len(files) - 1))
    world = _world()
    for number, is_run in zip(order, run_after, strict=True):
        rows = files[number]
        if number == wrong:
            # First delivered with nothing but another row, corrected below.
            rows = [("u", 0, 7), *rows]
        world.put(*_event_file(number, rows))
        if is_run:
            world.run()
    if wrong >= 0:
        world.run()
        world.put(*_event_file(wrong, files[wrong]))
    world.run()
    assert [row[:4] for row in _events(world)] == _expected_events(files)
    before = world.everything()
    assert world.run().affected_from_on is None
    assert world.everything() == before


@SETTINGS
@given(files=_usage, new=st.lists(_usage_row, max_size=4))
def test_touched_events_are_found(
    files: list[list[tuple[str, int, int]]], new: list[tuple[str, int, int]]
) -> None:
    """The earliest day on which standing events differ is exactly the day that is reported.

    A table's first rows touch all days: until then nothing was known of what it tells.
    """
    world = _world()
    for number, rows in enumerate(files):
        world.put(*_event_file(number, rows))
    world.run()
    before = {row[:3] for row in _events(world)}
    world.put(*_event_file(0, new))
    touched = world.run().affected_from_on
    after = {row[:3] for row in _events(world)}
    if after and not before:
        assert touched == date.min
    else:
        assert touched == min((row[1] for row in before ^ after), default=None)


@pytest.mark.parametrize("count", [1, 3])
def test_history_in_one_run_costs_one_pass_and_gives_the_same(count: int) -> None:
    """Many small files are one batch; the log is that of a run a day."""
    history: list[Extract] = [{key: (n * int(key[1])) % 3 for key in KEYS} for n in range(40)]
    world = _world()
    for number, extract in enumerate(history):
        world.put(*_snapshot_file(number, extract))
        if number % (40 // count) == 0:
            world.run()
    world.run()
    assert _log(world) == _expected_log(history)
