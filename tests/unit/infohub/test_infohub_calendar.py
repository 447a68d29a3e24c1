"""The owners' calendars, read back by a calendar parser."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import icalendar
from hypothesis import given
from hypothesis import strategies as st

from dagster_project.infohub import calendar as calendar_module
from dagster_project.infohub.calendar import write_calendars
from tests.unit.infohub.hub_world import DAY, add, add_customer, open_hub_world


def events(path: Path) -> list[dict[str, Any]]:
    """The events of a file, as plain values, in the file's order."""
    calendar = icalendar.Calendar.from_ical(path.read_bytes())
    return [
        {
            "uid": str(event["UID"]),
            "day": event.decoded("DTSTART"),
            "until": event.decoded("DTEND"),
            "stamp": event.decoded("DTSTAMP"),
            "summary": str(event["SUMMARY"]),
            "description": str(event["DESCRIPTION"]),
            "status": str(event["STATUS"]),
        }
        for event in calendar.walk("VEVENT")
    ]


def test_calls_of_thirty_days_stand_in_the_owners_calendar(tmp_path: Path) -> None:
    con = open_hub_world()
    add_customer(con, "a", name="Acme; Ltd, \\ \nEND:VEVENT")
    [path] = write_calendars(con, tmp_path / "calendar", DAY)
    assert path.name == "ann-example-com.ics"
    found = events(path)
    # The slot in progress, then every 14 days while it is within 30 days.
    assert [event["day"] for event in found] == [
        date(2026, 7, 2),
        date(2026, 7, 16),
        date(2026, 7, 30),
    ]
    assert [event["status"] for event in found] == ["CONFIRMED", "TENTATIVE", "TENTATIVE"]
    assert {event["stamp"] for event in found} == {datetime(2026, 6, 30, tzinfo=UTC)}
    assert all(event["until"] - event["day"] == timedelta(days=1) for event in found)
    assert found[0]["summary"] == "Technical check-in: Acme; Ltd, \\ \nEND:VEVENT"
    assert "Plan 30 minutes." in found[0]["description"]
    assert len({event["uid"] for event in found}) == 3
    before = path.read_bytes()
    write_calendars(con, tmp_path / "calendar", DAY)
    assert path.read_bytes() == before


def test_an_event_keeps_its_identity_when_its_day_moves(tmp_path: Path) -> None:
    con = open_hub_world()
    add_customer(con, "a")
    [path] = write_calendars(con, tmp_path, DAY)
    first = events(path)
    for table, column in (("fct_cadence_slot", "due_on"), ("fct_cadence_daily", "next_due_on")):
        con.execute(f"update marts.{table} set {column} = '2026-07-05'")
    [path] = write_calendars(con, tmp_path, DAY)
    second = events(path)
    assert [event["uid"] for event in second] == [event["uid"] for event in first[:2]]
    assert second[0]["day"] == date(2026, 7, 5)


def test_overdue_held_paused_and_unowned_calls(tmp_path: Path) -> None:
    con = open_hub_world()
    for account in ("held", "late", "nobody", "paused"):
        add_customer(con, account)
    con.execute("update marts.fct_cadence_slot set status = 'met' where account_id = 'held'")
    # Late: the slot before is still within its grace.
    add(con, "marts.fct_cadence_slot", account_id="late", call_type="technical_checkin",
        slot_number=6, status="open", opened_on=date(2026, 6, 10), due_on=date(2026, 6, 29),
        grace_ends_on=date(2026, 7, 1))  # fmt: skip
    for column, account in (("owner_ca = null", "nobody"), ("is_paused = true", "paused")):
        con.execute(
            f"update intermediate.int_core__account_days set {column} where account_id = ?",
            [account],
        )
    paths = {path.stem: events(path) for path in write_calendars(con, tmp_path, DAY)}
    assert set(paths) == {"ann-example-com", "unassigned-ca"}
    assert len(paths["unassigned-ca"]) == 3
    ours = {(event["summary"], event["day"]) for event in paths["ann-example-com"]}
    assert (
        "Technical check-in: Name late (overdue: last day that counts)",
        date(2026, 7, 1),
    ) in ours
    # A call held early needs no event, the one after it does.
    assert sorted(day for summary, day in ours if summary.endswith("held")) == [
        date(2026, 7, 16), date(2026, 7, 30),
    ]  # fmt: skip
    assert not [summary for summary, _ in ours if "paused" in summary]


def test_owners_whose_names_come_to_one_file_get_one_each(tmp_path: Path) -> None:
    con = open_hub_world()
    for account, owner in (("a", "x.y@example.com"), ("b", "x-y@example.com"), ("c", "../../z")):
        add_customer(con, account)
        con.execute(
            "update intermediate.int_core__account_days set owner_ca = ? where account_id = ?",
            [owner, account],
        )
    names = sorted(path.name for path in write_calendars(con, tmp_path / "calendar", DAY))
    assert names[-1] == "z.ics"
    assert all(name.startswith("x-y-example-com-") for name in names[:2])
    assert {path.parent for path in (tmp_path / "calendar").rglob("*.ics")} == {
        tmp_path / "calendar"
    }


def test_a_run_without_calls_writes_no_calendar(tmp_path: Path) -> None:
    assert write_calendars(open_hub_world(), tmp_path / "calendar", DAY) == []


@given(owner=st.text(alphabet="ab\\^;,N\n\r\té ", max_size=200))
def test_a_name_cannot_add_a_line_to_the_calendar(owner: str) -> None:
    written = calendar_module._calendar(owner, [], datetime(2026, 6, 30, tzinfo=UTC))
    found = icalendar.Calendar.from_ical(written)
    assert set(found) == {"PRODID", "VERSION", "METHOD", "X-WR-CALNAME"}
