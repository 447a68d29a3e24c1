"""What comes late, a corrected record or a note, restates the past as if it had been known."""

from __future__ import annotations

import csv
import gzip
import json
from datetime import timedelta
from pathlib import Path

import duckdb
import pytest

from dagster_project.infohub.paths import AccountPlace, folder_of
from tests.integration.conftest import LAST_DAY, Installation, differences

pytestmark = pytest.mark.slow


def _rewrite(path: Path, change: dict[str, str], where: tuple[str, str]) -> int:
    """Change columns of the rows of a csv.gz where a column has a value; how many."""
    with gzip.open(path, "rt", encoding="utf-8", newline="") as handle:
        reader = csv.DictReader(handle)
        rows = list(reader)
        names = reader.fieldnames or []
    touched = 0
    for row in rows:
        if row[where[0]] == where[1]:
            row.update(change)
            touched += 1
    with gzip.open(path, "wt", encoding="utf-8", newline="") as handle:
        writer = csv.DictWriter(handle, names, lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
    return touched


NOTE = """---
date: {day}
call_type: technical
sentiment: negative
attendees:
  - Ann Lee (executive sponsor)
  - {{name: Bo, attended: no}}
next_call: {after}
blockers:
  - {{solution_area: {area}, category: skill, description: Nobody knows the rules}}
---

## Action items
- [ ] Plan a training (owner: CA)
- [x] Send the list (done: {day})
"""
NOTE_DAY = LAST_DAY - timedelta(days=12)


def _put_note(installation: Installation, account: tuple[str, str, str, str, str]) -> None:
    account_id, realm, node, region, area = account
    folder = folder_of(AccountPlace(account_id, realm, node, region))
    assert folder is not None
    path = installation.settings.infohub / folder / "meetings" / "calls" / "technical.md"
    path.parent.mkdir(parents=True)
    after = NOTE_DAY + timedelta(days=40)
    path.write_text(NOTE.format(day=NOTE_DAY, after=after, area=area), encoding="utf-8")


@pytest.fixture(scope="module")
def corrected(
    backfilled: Installation, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Installation, Installation, str]:
    """A correction and a note that came late, a run that knew both, and the note's account."""
    root = tmp_path_factory.mktemp("corrected")
    late = backfilled.copy_to(root)
    with duckdb.connect(str(backfilled.settings.published), read_only=True) as con:
        ((*account,),) = con.execute(
            "select account_id, realm, node, region, min(solution_area) from marts.dim_account "
            "join marts.fct_stage_daily using (account_id) where as_of_date = ? "
            "and churned_on is null group by all order by account_id limit 1",
            [LAST_DAY],
        ).fetchall()
    tickets = sorted((late.landing / "support" / "tickets").glob("*.csv.gz"))
    with gzip.open(tickets[-1], "rt", encoding="utf-8") as handle:
        newest = max(csv.DictReader(handle), key=lambda ticket: ticket["opened_at"])
        victim = newest["ticket_id"]
    for path in tickets:
        _rewrite(path, {"severity": "critical", "resolved_at": ""}, ("ticket_id", victim))
    fresh = Installation(root / "fresh", late.landing)
    for installation in (late, fresh):
        _put_note(installation, tuple(account))
        installation.run()
    return late, fresh, account[0]


def test_a_late_correction_restates_and_equals_having_known_it(
    backfilled: Installation, corrected: tuple[Installation, Installation, str]
) -> None:
    late, fresh, _ = corrected
    mine, theirs = late.tables(), fresh.tables()
    marts_only = [
        {name: rows for name, rows in tables.items() if name.startswith("marts.")}
        for tables in (mine, theirs)
    ]
    assert not differences(*marts_only)
    assert (
        mine["marts.fct_account_health_daily"]
        != backfilled.tables()["marts.fct_account_health_daily"]
    ), "the correction was meant to matter"
    surplus = [row for row in mine["playbooks.actions"] if row not in theirs["playbooks.actions"]]
    assert all("restated" in row for row in surplus), surplus[:3]


def test_a_meeting_note_is_a_call_with_mood_blocker_and_promises(
    corrected: tuple[Installation, Installation, str],
) -> None:
    late, _, account = corrected
    with duckdb.connect(str(late.settings.warehouse), read_only=True) as con:
        assert con.execute(
            "select call_type, attended_count, expected_attendee_count, is_executive_present,"
            " sentiment from staging.stg_crm__touchpoints"
            " where note_id is not null and held_on = ? and account_id = ?",
            [NOTE_DAY, account],
        ).fetchall() == [("technical_checkin", 1, 2, True, -0.5)]
        assert con.execute(
            "select category, age_days from marts.fct_stage_blocker"
            " where description like 'Nobody%'"
        ).fetchall() == [("skill", 12)]
        assert con.execute(
            "select title, owner_role, status, opened_on, due_on, closed_on"
            " from playbooks.actions where source = 'meeting' order by title"
        ).fetchall() == [
            ("Plan a training", "ca", "open", NOTE_DAY, NOTE_DAY + timedelta(days=14), None),
            ("Send the list", "meeting_notes", "completed", NOTE_DAY,
             NOTE_DAY + timedelta(days=14), NOTE_DAY),
        ]  # fmt: skip
    queue = late.settings.exports / LAST_DAY.isoformat() / "actions" / "ca.jsonl"
    (record,) = [
        found
        for found in map(json.loads, queue.read_text().splitlines())
        if found["source"] == "meeting"
    ]
    assert record["title"] == "Plan a training"
    assert record["why"] == f"Promised in the call of {NOTE_DAY} (technical_checkin)."
    for path in late.settings.logs.rglob("*"):
        if path.is_file():
            assert "Plan a training" not in path.read_text(errors="replace"), path
