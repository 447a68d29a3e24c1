"""The laws of the daily job, held on the real job: same input, same rows, however it was run."""

from __future__ import annotations

import csv
import gzip
import json
from datetime import date, timedelta
from pathlib import Path

import duckdb
import pytest

from dagster_project.infohub.paths import AccountPlace, folder_of
from dagster_project.reporting.explain import explain_account
from dagster_project.reporting.plain_words import day_text, points_text
from tests.integration.conftest import (
    LAST_DAY,
    Installation,
    Tables,
    differences,
    small_world,
)
from tests.unit.infohub.hub_world import contents

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def day_by_day(
    tmp_path_factory: pytest.TempPathFactory, small_landing: Path
) -> tuple[Installation, dict[date, Tables]]:
    """Three daily runs, each seeing only the extracts up to its own day."""
    installation = Installation(tmp_path_factory.mktemp("daily"), small_landing)
    seen: dict[date, Tables] = {}
    for back in (2, 1, 0):
        day = LAST_DAY - timedelta(days=back)
        installation.run(day)
        seen[day] = installation.tables()
    return installation, seen


def test_the_job_fills_every_public_schema(backfilled: Installation) -> None:
    rows = {name: len(rows) for name, rows in backfilled.tables().items()}
    for name in (
        "marts.dim_account",
        "marts.fct_account_health_daily",
        "marts.fct_stage_daily",
        "marts.fct_cadence_slot",
        "playbooks.signals",
        "playbooks.rule_states",
        "playbooks.actions",
        "playbooks.action_events",
        "metrics.mtr_playbook_effectiveness",
        "metrics.mtr_stage_adoption",
        "metrics.mtr_engagement",
        "metrics.mtr_maturity_health_matrix",
    ):
        assert rows.get(name), f"{name} is missing or empty"


def test_every_scored_account_is_explained_and_its_ledger_sums_to_the_move(
    backfilled: Installation,
) -> None:
    before = LAST_DAY - timedelta(days=45)
    with duckdb.connect(str(backfilled.settings.published), read_only=True) as con:
        moves = con.execute(
            """
            with score as (
                select account_id, as_of_date, health_score from marts.fct_account_health_daily
                where health_score is not null
            ),
            ledger as (
                select account_id, sum(points) as points
                from marts.health_change($before, $day) group by account_id
            )
            select new.account_id, new.health_score - old.health_score, coalesce(points, 0)
            from score as new
            inner join score as old
                on old.account_id = new.account_id and old.as_of_date = $before
            left join ledger on ledger.account_id = new.account_id
            where new.as_of_date = $day
            order by all
            """,
            {"before": before, "day": LAST_DAY},
        ).fetchall()
        assert moves
        for account, move, points in moves:
            assert abs(move - points) < 1e-9, account
            text = explain_account(con, account, since=before)
            assert f"{points_text(round(10 * move))} since {day_text(before)} (" in text


def test_daily_runs_equal_one_backfill(
    backfilled: Installation, day_by_day: tuple[Installation, dict[date, Tables]]
) -> None:
    installation, _ = day_by_day
    assert not differences(installation.tables(), backfilled.tables())


def test_a_full_refresh_equals_the_daily_runs(
    day_by_day: tuple[Installation, dict[date, Tables]], tmp_path: Path
) -> None:
    installation, seen = day_by_day
    again = installation.copy_to(tmp_path)
    again.run(full_refresh=True)
    assert not differences(again.tables(), seen[LAST_DAY])


def test_running_a_day_twice_changes_nothing(backfilled: Installation, tmp_path: Path) -> None:
    again = backfilled.copy_to(tmp_path)
    again.run()
    assert not differences(again.tables(), backfilled.tables())


def test_an_unrelated_account_changes_no_other_rows(
    backfilled: Installation, tmp_path: Path
) -> None:
    small_world(tmp_path / "landing", accounts=9)
    more = Installation(tmp_path / "data", tmp_path / "landing")
    more.run()
    before, after = backfilled.tables(), more.tables()
    known = {row[0] for row in before["marts.dim_account"]}
    (newcomer,) = {row[0] for row in after["marts.dim_account"]} - known
    # An event names its action, not its account.
    own = {newcomer} | {row[0] for row in after["playbooks.actions"] if newcomer in row}
    for name in before:
        # Metrics and rejects count over accounts; policy has none.
        if name.startswith(("marts.", "playbooks.")):
            others = [row for row in after[name] if own.isdisjoint(map(str, row))]
            assert others == before[name], name


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


def test_the_folders_of_daily_runs_are_those_of_one_backfill(
    backfilled: Installation, day_by_day: tuple[Installation, dict[date, Tables]]
) -> None:
    """Only packs of calls that are no longer due stay behind, and the index that lists them."""
    at_once = contents(backfilled.settings.infohub)
    daily = contents(day_by_day[0].settings.infohub)
    assert len(at_once) > 40
    differing = {path for path in at_once if daily.get(path) != at_once[path]}
    assert {path.rpartition("/")[2] for path in differing} <= {"index.yaml"}
    assert all("/meetings/prep/" in path for path in set(daily) - set(at_once))


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
