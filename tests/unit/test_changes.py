"""Changes since the last publication: every one once, in CloudEvents form, whatever dies when."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import duckdb
import pytest

from dagster_project.playbooks import RuleBook, load_rules, run_playbooks
from dagster_project.playbooks.changes import (
    note_deliveries,
    settle_changes,
    stage_changes,
    waiting_changes,
    write_changes,
)
from tests.unit.playbook_world import (
    actions,
    add_account,
    change_scores,
    day,
    open_world,
    report,
    write_rules,
)


@pytest.fixture(scope="module")
def rules(tmp_path_factory: pytest.TempPathFactory) -> RuleBook:
    return load_rules(write_rules(tmp_path_factory.mktemp("rules")))


class Publisher:
    """Publishes as the real one does: stage, swap, settle; it can be made to die in between."""

    def __init__(self, con: duckdb.DuckDBPyConnection, folder: Path) -> None:
        self.con = con
        self.folder = folder
        self.file = folder / "analytics.duckdb"
        self.number = 0

    def stage(self, number: int, *, wants_delivery: bool = True) -> list[dict[str, Any]]:
        as_of = day(number)
        stage_changes(
            self.con,
            self.file if self.file.exists() else None,
            as_of,
            self.number + 1,
            wants_delivery=wants_delivery,
        )
        path = write_changes(self.con, self.folder / str(number), as_of)
        return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]

    def swap(self) -> None:
        self.number += 1
        self.file.unlink(missing_ok=True)
        self.con.execute(f"attach '{self.file}' as target")
        for schema in ("playbooks", "marts", "pipeline"):
            self.con.execute(f"create schema target.{schema}")
        for table in ("actions", "action_events", "playbooks", "rules"):
            self.con.execute(f"create table target.playbooks.{table} as from playbooks.{table}")
        self.con.execute("create table target.marts.dim_account as from marts.dim_account")
        self.con.execute(
            "create table target.pipeline.publication as select ? as publication_number",
            [self.number],
        )
        self.con.execute("detach target")

    def publish(self, number: int, *, wants_delivery: bool = True) -> list[dict[str, Any]]:
        told = self.stage(number, wants_delivery=wants_delivery)
        self.swap()
        settle_changes(self.con, self.file)
        return told


@pytest.fixture
def publisher(tmp_path: Path) -> Publisher:
    return Publisher(open_world(), tmp_path)


def types(told: list[dict[str, Any]]) -> list[tuple[str, str]]:
    return [(one["type"].removeprefix("csp.action."), one["time"][:10]) for one in told]


def waiting(con: duckdb.DuckDBPyConnection) -> list[str]:
    return [one.change_id for one in waiting_changes(con)]


def test_the_first_publication_tells_the_open_work_and_the_next_what_changed(
    rules: RuleBook, publisher: Publisher
) -> None:
    con = publisher.con
    # `over` was dealt with before anybody listened.
    add_account(con, "over", [65] + [75] * 9)
    add_account(con, "a", [75, 75, 75, 65, 65, 65, 65, 65, 65, 65])
    run_playbooks(con, rules, day(0), day(5))
    first = publisher.publish(5)
    assert types(first) == [("opened", str(day(3)))]
    [event] = first
    assert {key: event[key] for key in event if key != "data"} == {
        "specversion": "1.0",
        "id": event["id"],
        "source": "urn:csp:playbooks",
        "type": "csp.action.opened",
        "subject": actions(con, "action_id", "closed_on is null")[0][0],
        "time": f"{day(3)}T00:00:00Z",
        "datacontenttype": "application/json",
    }
    data = event["data"]
    assert (data["event"], data["kind"], data["queue"]) == ("opened", "added", "ca")
    assert data["action"]["account"]["account_id"] == "a"
    assert data["action"]["why"] == "The score is 65."
    assert [step["step_id"] for step in data["action"]["steps"]] == ["look", "act"]

    report(con, event["subject"], "started", day(6))
    report(con, event["subject"], "completed", day(7))
    run_playbooks(con, rules, day(6), day(6))
    assert types(publisher.publish(6)) == [("started", str(day(6)))]
    run_playbooks(con, rules, day(7), day(7))
    told = publisher.publish(7)
    assert ("completed", str(day(7))) in types(told)
    closed = told[-1]["data"]["action"]
    assert (closed["status"], closed["closed_on"], "steps" in closed) == (
        "completed", str(day(7)), False,
    )  # fmt: skip
    run_playbooks(con, rules, day(8), day(8))
    assert publisher.publish(8) == []


def test_publishing_a_day_again_keeps_what_it_told_and_adds_what_is_new(
    rules: RuleBook, publisher: Publisher
) -> None:
    con = publisher.con
    add_account(con, "a", [75, 75, 65, 65])
    run_playbooks(con, rules, day(0), day(1))
    publisher.publish(1)
    run_playbooks(con, rules, day(2), day(2))
    first = publisher.publish(2)
    assert [kind for kind, _ in types(first)] == ["opened"]
    run_playbooks(con, rules, day(2), day(2))
    assert publisher.publish(2) == first
    report(con, first[0]["subject"], "started", day(2))
    run_playbooks(con, rules, day(2), day(2))
    again = publisher.publish(2)
    assert again[:1] == first
    assert [kind for kind, _ in types(again)] == ["opened", "started"]
    assert len(waiting(con)) == 2


def test_restated_corrected_and_withdrawn_events_are_told(
    rules: RuleBook, publisher: Publisher
) -> None:
    con = publisher.con
    add_account(con, "a", [75, 75, 65, 65, 65, 65, 65, 65, 65])
    run_playbooks(con, rules, day(0), day(7))
    publisher.publish(7)
    [(action,)] = actions(con, "action_id")
    # Late: it had been started in time, so nobody had to be told that it was not.
    report(con, action, "started", day(3), actor="ann")
    run_playbooks(con, rules, day(3), day(7))
    told = publisher.publish(7)[1:]
    assert types(told) == [("started", str(day(3))), ("escalated.withdrawn", str(day(7)))]
    con.execute("update staging.stg_crm__playbook_runs set actor = 'bob'")
    run_playbooks(con, rules, day(3), day(7))
    corrected = publisher.publish(7)[3:]
    assert types(corrected) == [("started.corrected", str(day(3)))]
    assert corrected[0]["data"]["detail"]["actor"] == "bob"

    con.execute("delete from staging.stg_crm__playbook_runs")
    change_scores(con, 75, "true")
    run_playbooks(con, rules, day(0), day(8))
    last = publisher.publish(8)
    assert ("restated", str(day(8))) in types(last)
    restated = next(one for one in last if one["type"] == "csp.action.restated")
    assert restated["subject"] == action
    assert restated["data"]["action"]["close_reason"] == "restated"


def test_taken_back_and_made_again_on_one_day_is_a_change_of_its_own(
    rules: RuleBook, publisher: Publisher
) -> None:
    con = publisher.con
    add_account(con, "a", [75, 65, 65])
    run_playbooks(con, rules, day(0), day(1))
    publisher.publish(1)
    [(action,)] = actions(con, "action_id")
    for _ in range(2):
        report(con, action, "started", day(2))
        run_playbooks(con, rules, day(2), day(2))
        publisher.publish(2)
        con.execute("delete from staging.stg_crm__playbook_runs")
        run_playbooks(con, rules, day(2), day(2))
        told = publisher.publish(2)
    assert [kind for kind, _ in types(told)] == ["started", "started.withdrawn"] * 2
    assert len({one["id"] for one in told}) == 4


def test_an_action_that_is_gone_is_told_with_what_it_last_was(
    rules: RuleBook, publisher: Publisher
) -> None:
    con = publisher.con
    add_account(con, "a", [75, 65, 65])
    run_playbooks(con, rules, day(0), day(2))
    publisher.publish(2)
    con.execute("delete from playbooks.actions")
    con.execute("delete from playbooks.action_events")
    told = publisher.publish(2)
    assert types(told)[1:] == [("opened.withdrawn", str(day(1)))]
    assert told[1]["data"]["action"]["account"]["account_id"] == "a"


def test_a_run_that_dies_before_the_swap_told_nothing(
    rules: RuleBook, publisher: Publisher
) -> None:
    con = publisher.con
    add_account(con, "a", [75, 65, 65, 65])
    run_playbooks(con, rules, day(0), day(0))
    publisher.publish(0)
    run_playbooks(con, rules, day(1), day(1))
    dead = publisher.stage(1)
    assert len(dead) == 1
    assert waiting(con) == []
    assert publisher.publish(1) == dead
    assert waiting(con) == [dead[0]["id"]]


def test_a_run_that_dies_after_the_swap_still_delivers(
    rules: RuleBook, publisher: Publisher
) -> None:
    con = publisher.con
    add_account(con, "a", [75, 65, 65, 65])
    run_playbooks(con, rules, day(0), day(1))
    told = publisher.stage(1)
    publisher.swap()
    # Nobody settled. The next run does, before it stages its own.
    run_playbooks(con, rules, day(2), day(2))
    assert publisher.publish(2) == []
    assert waiting(con) == [told[0]["id"]]
    note_deliveries(con, [told[0]["id"]], {})
    assert waiting(con) == []


def test_nothing_waits_for_a_webhook_that_is_off_and_old_changes_go(
    rules: RuleBook, publisher: Publisher
) -> None:
    con = publisher.con
    add_account(con, "a", [75, 65] * 30)
    run_playbooks(con, rules, day(0), day(2))
    publisher.publish(2, wants_delivery=False)
    assert waiting(con) == []
    run_playbooks(con, rules, day(3), day(3))
    # From now on somebody listens; what was told before is not told again.
    told = publisher.publish(3)
    assert waiting(con) == [one["id"] for one in told]
    refused = {one["id"]: "HTTP 422" for one in told}
    note_deliveries(con, [], refused)
    run_playbooks(con, rules, day(4), day(50))
    publisher.publish(50)
    kept = con.execute(
        "select as_of_date, count(*), min(attempt_count), min(problem)"
        " from pipeline.action_changes where as_of_date < ? group by all",
        [day(50)],
    ).fetchall()
    # Day 2 is gone; day 3 still waits, however old it is.
    assert kept == ([(day(3), len(told), 1, "HTTP 422")] if told else [])


def test_names_from_data_stay_data(rules: RuleBook, publisher: Publisher) -> None:
    con = publisher.con
    name = "x'); drop table playbooks.actions; --\n\u2028\""
    add_account(con, name, [75, 65])
    con.execute("update marts.dim_account set account_name = ?", [name])
    run_playbooks(con, rules, day(0), day(1))
    [event] = publisher.publish(1)
    assert event["data"]["action"]["account"]["account_name"] == name
    assert (publisher.folder / "1" / "changes.jsonl").read_bytes().count(b"\n") == 1
