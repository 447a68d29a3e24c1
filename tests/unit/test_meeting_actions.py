"""Action items of notes as actions: whose, until when, what ends them, what an agent may say."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any

import duckdb
import pytest

from dagster_project.playbooks import create_playbook_tables, write_meeting_actions
from tests.unit.playbook_world import add

DAY = date(2026, 3, 10)
TODAY = date(2026, 3, 31)
PEOPLE = ("ca", "sa", "ae", "ve", "governance")


@pytest.fixture
def con() -> duckdb.DuckDBPyConnection:
    con = duckdb.connect()
    for schema in ("staging", "marts", "policy"):
        con.execute(f"create schema {schema}")
    owners = ", ".join(f"owner_{role} varchar" for role in PEOPLE)
    con.execute(
        "create table marts.dim_account (account_id varchar, churned_on date, removed_on date, "
        f"{owners})"
    )
    con.execute(
        "create table staging.stg_infohub__note_actions (action_item_id varchar, "
        "account_id varchar, note_id varchar, call_type varchar, item_text varchar, "
        "owner varchar, opened_on date, due_on date, done_on date)"
    )
    con.execute(
        "create table staging.stg_crm__playbook_runs (action_id varchar, event varchar, "
        "occurred_on date, step_id varchar, reason varchar, outcome varchar, actor varchar, "
        "removed_on date)"
    )
    con.execute(
        "create table policy.note_policy as select 14 as action_due_days, "
        "'medium' as action_severity"
    )
    create_playbook_tables(con)
    add(con, "marts.dim_account", account_id="A", owner_ca="Cara@x.org", owner_sa="Sam")
    return con


def item(con: duckdb.DuckDBPyConnection, action: str = "act_1", **more: Any) -> None:
    row = {
        "action_item_id": action,
        "account_id": "A",
        "note_id": "note_1",
        "call_type": "business_review",
        "item_text": "Send the list",
        "opened_on": DAY,
    }
    add(con, "staging.stg_infohub__note_actions", **(row | more))


def feedback(con: duckdb.DuckDBPyConnection, event: str, on: date, **more: Any) -> None:
    row = {"action_id": "act_1", "event": event, "occurred_on": on}
    add(con, "staging.stg_crm__playbook_runs", **(row | more))


def action(con: duckdb.DuckDBPyConnection, columns: str) -> tuple[Any, ...]:
    ((*values,),) = con.execute(f"select {columns} from playbooks.actions").fetchall()
    return tuple(values)


def events(con: duckdb.DuckDBPyConnection) -> list[tuple[Any, ...]]:
    return con.execute(
        "select event_number, event, occurred_on from playbooks.action_events order by all"
    ).fetchall()


@pytest.mark.parametrize(
    ("owner", "role", "person"),
    [
        ("cara@X.org", "ca", "Cara@x.org"),
        ("SA", "sa", "Sam"),
        ("AE", "ae", None),
        ("Bo of the customer", "meeting_notes", "Bo of the customer"),
        (None, "meeting_notes", None),
    ],
)
def test_an_item_goes_to_who_promised_it(
    con: duckdb.DuckDBPyConnection, owner: str | None, role: str, person: str | None
) -> None:
    item(con, owner=owner)
    write_meeting_actions(con, TODAY)
    assert action(con, "source, title, playbook_id, owner_role, owner, is_unassigned") == (
        "meeting",
        "Send the list",
        None,
        role,
        person,
        person is None,
    )


def test_an_item_without_a_date_is_due_as_policy_says(con: duckdb.DuckDBPyConnection) -> None:
    item(con)
    write_meeting_actions(con, TODAY)
    assert action(con, "opened_on, due_on, severity") == (DAY, DAY + timedelta(14), "medium")


@pytest.mark.parametrize(
    ("today", "status", "closed_on"),
    [(date(2026, 3, 19), "open", None), (date(2026, 3, 20), "completed", date(2026, 3, 20))],
)
def test_a_tick_counts_from_its_day(
    con: duckdb.DuckDBPyConnection, today: date, status: str, closed_on: date | None
) -> None:
    item(con, done_on=date(2026, 3, 20))
    write_meeting_actions(con, today)
    assert action(con, "status, closed_on") == (status, closed_on)


def test_an_item_of_tomorrows_call_is_not_there_yet(con: duckdb.DuckDBPyConnection) -> None:
    item(con)
    write_meeting_actions(con, DAY - timedelta(1))
    assert con.execute("select count(*) from playbooks.actions").fetchall() == [(0,)]


def test_feedback_ends_an_item_that_nobody_ticked(con: duckdb.DuckDBPyConnection) -> None:
    item(con)
    feedback(con, "started", date(2026, 3, 12))
    feedback(con, "completed", date(2026, 3, 15), outcome="sent")
    feedback(con, "started", date(2026, 3, 16))
    write_meeting_actions(con, TODAY)
    assert action(con, "status, close_reason, outcome, started_on, closed_on") == (
        "completed",
        "completed",
        "sent",
        date(2026, 3, 12),
        date(2026, 3, 15),
    )
    assert events(con) == [
        (1, "opened", DAY),
        (2, "started", date(2026, 3, 12)),
        (3, "completed", date(2026, 3, 15)),
    ]
    assert con.execute("select message from playbooks.feedback_rejects").fetchall() == [
        ("after the action closed on 2026-03-15",)
    ]


def test_feedback_is_no_longer_about_an_unknown_action(con: duckdb.DuckDBPyConnection) -> None:
    """The playbooks judge feedback first, and do not know the actions of meetings."""
    add(con, "playbooks.feedback_rejects", action_id="act_1", event="completed", step_id="",
        occurred_on=date(2026, 3, 15), message="no such action")  # fmt: skip
    item(con)
    feedback(con, "completed", date(2026, 3, 15))
    write_meeting_actions(con, TODAY)
    assert con.execute("select count(*) from playbooks.feedback_rejects").fetchall() == [(0,)]


def test_an_account_that_left_takes_its_promises_along(con: duckdb.DuckDBPyConnection) -> None:
    con.execute("update marts.dim_account set churned_on = '2026-03-20'")
    item(con)
    item(con, "act_late", opened_on=date(2026, 3, 22))
    write_meeting_actions(con, TODAY)
    assert action(con, "action_id, status, close_reason, closed_on") == (
        "act_1",
        "closed",
        "churned",
        date(2026, 3, 20),
    )


def test_running_again_changes_nothing(con: duckdb.DuckDBPyConnection) -> None:
    item(con)
    feedback(con, "started", date(2026, 3, 12))
    write_meeting_actions(con, TODAY)
    before = [con.execute(f"from playbooks.{t} order by all").fetchall()
              for t in ("actions", "action_events")]  # fmt: skip
    assert write_meeting_actions(con, TODAY) == {"open": 1, "done": 0, "restated": 0}
    assert before == [con.execute(f"from playbooks.{t} order by all").fetchall()
                      for t in ("actions", "action_events")]  # fmt: skip


def test_an_item_that_left_the_notes_is_closed_not_deleted_and_may_return(
    con: duckdb.DuckDBPyConnection,
) -> None:
    item(con)
    write_meeting_actions(con, TODAY)
    con.execute("delete from staging.stg_infohub__note_actions")
    assert write_meeting_actions(con, TODAY)["restated"] == 1
    assert action(con, "status, close_reason, closed_on") == ("closed", "restated", TODAY)
    assert events(con)[-1] == (2, "restated", TODAY)
    item(con)
    write_meeting_actions(con, TODAY)
    assert action(con, "status, close_reason") == ("open", None)
    assert events(con) == [(1, "opened", DAY)]


def test_actions_of_playbooks_are_left_alone(con: duckdb.DuckDBPyConnection) -> None:
    add(con, "playbooks.actions", action_id="act_0", source="playbook", opened_on=DAY,
        playbook_id="PB", status="open")  # fmt: skip
    write_meeting_actions(con, TODAY)
    assert action(con, "action_id, status") == ("act_0", "open")
