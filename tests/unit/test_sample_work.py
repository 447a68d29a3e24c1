"""People's work on a sample: lawful whatever the actions are, and the same for the same action."""

from __future__ import annotations

import gzip
import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path

import duckdb
import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dagster_project.playbooks.tables import create_playbook_tables
from dagster_project.sampling import SampleOptions, write_sample
from dagster_project.sampling.work import draw_work, extract_files, write_work

FIRST, UNTIL = date(2026, 1, 1), date(2026, 6, 30)
STEPS = [{"id": "call", "day": 2}, {"id": "plan", "day": 10}, {"id": "review", "day": 30}]


@dataclass(frozen=True)
class Action:
    number: int
    opened_on: date
    closed_on: date | None = None
    close_reason: str | None = None
    owner: str | None = "a@example.com"

    @property
    def action_id(self) -> str:
        return f"act_{self.number}"


def world(actions: Sequence[Action]) -> duckdb.DuckDBPyConnection:
    con = duckdb.connect(":memory:")
    create_playbook_tables(con)
    con.execute(
        "insert into playbooks.playbooks (playbook_id, definition) values ('PB_1', ?)",
        [json.dumps({"id": "PB_1", "steps": STEPS})],
    )
    for one in actions:
        con.execute(
            "insert into playbooks.actions (action_id, playbook_id, owner, opened_on, due_on,"
            " closed_on, close_reason) values (?, 'PB_1', ?, ?, ?, ?, ?)",
            [
                one.action_id,
                one.owner,
                one.opened_on,
                one.opened_on + timedelta(days=5),
                one.closed_on,
                one.close_reason,
            ],
        )
    return con


def draw(actions: Sequence[Action], seed: int = 1) -> list[dict[str, object]]:
    with world(actions) as con:
        return draw_work(con, seed, FIRST, UNTIL).to_dicts()


@st.composite
def some_actions(draw_: st.DrawFn) -> list[Action]:
    actions = []
    for number in draw_(st.lists(st.integers(0, 10_000), unique=True, max_size=25)):
        opened = FIRST - timedelta(days=20) + timedelta(days=draw_(st.integers(0, 200)))
        reason = draw_(st.sampled_from([None, "recovered", "churned", "completed", "restated"]))
        closed = opened + timedelta(days=draw_(st.integers(0, 60))) if reason else None
        owner = draw_(st.sampled_from(["a@example.com", "b@example.com", None]))
        actions.append(Action(number, opened, closed, reason, owner))
    return actions


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(some_actions())
def test_work_is_possible(actions: list[Action]) -> None:
    by_id = {one.action_id: one for one in actions}
    ends: dict[object, object] = {}
    started: dict[object, object] = {}
    events = draw(actions)
    for event in events:
        action, day = by_id[str(event["action_id"])], event["occurred_on"]
        assert isinstance(day, date)
        assert action.owner == event["actor"]
        assert FIRST <= action.opened_on <= day <= UNTIL
        assert action.close_reason != "restated"
        if action.close_reason in ("recovered", "churned"):
            assert action.closed_on is not None and day < action.closed_on
        if event["event"] == "started":
            assert action.action_id not in started, "started twice"
            started[action.action_id] = day
        if event["event"] in ("completed", "cancelled"):
            assert action.action_id not in ends, "ended twice"
            ends[action.action_id] = day
    for event in events:
        begun = started[event["action_id"]]
        assert begun <= event["occurred_on"]  # type: ignore[operator]
        if event["event"] == "step_done" and event["action_id"] in ends:
            assert event["occurred_on"] <= ends[event["action_id"]]  # type: ignore[operator]


def test_the_fate_of_an_action_hangs_on_nothing_else() -> None:
    many = [Action(n, FIRST + timedelta(days=n % 90)) for n in range(60)]
    alone = draw(many[7:8])
    assert alone
    assert [row for row in draw(many) if row["action_id"] == "act_7"] == alone
    assert draw(many, seed=2) != draw(many)


def test_people_differ_in_what_they_finish() -> None:
    events = draw([Action(n, FIRST + timedelta(days=n % 60)) for n in range(600)])
    counts = Counter(event["event"] for event in events)
    assert 500 < counts["started"] < 600
    assert counts["cancelled"] > 20
    assert 350 < counts["completed"] < counts["started"]


def test_events_go_into_the_extract_of_their_day(tmp_path: Path) -> None:
    write_sample(
        tmp_path, SampleOptions(accounts=2, days=60, seed=3, until=UNTIL, extract_every_days=30)
    )
    files = extract_files(tmp_path)
    with world([Action(n, UNTIL - timedelta(days=50)) for n in range(20)]) as con:
        work = draw_work(con, 1, FIRST, UNTIL)
    assert write_work(tmp_path, work) == work.height
    after = date.min
    for day, path in files.items():
        rows = pl.read_csv(gzip.decompress(path.read_bytes()), try_parse_dates=True)
        expected = work.filter(pl.col("occurred_on").is_between(after, day, closed="right"))
        assert rows["action_id"].to_list() == expected["action_id"].to_list()
        after = day


def test_a_folder_without_a_sample_is_refused(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="write a sample there first"):
        extract_files(tmp_path)
