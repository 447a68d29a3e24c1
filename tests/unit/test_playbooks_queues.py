"""The agents' queues: whole records, stable order, one file per agent."""

from __future__ import annotations

import json
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from dagster_project.playbooks import load_rules, run_playbooks, write_queues
from dagster_project.playbooks.queues import AGENTS
from dagster_project.sentences import write_why
from tests.unit.playbook_world import (
    TRIAGE,
    actions,
    add,
    add_account,
    day,
    open_world,
    report,
    write_rules,
)

SHIPPED = Path(__file__).resolve().parents[2] / "playbook_rules"


def read(folder: Path, agent: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / f"{agent}.jsonl").read_text().splitlines()]


@pytest.fixture
def queues(tmp_path: Path) -> Path:
    rules = load_rules(write_rules(tmp_path / "rules"))
    con = open_world()
    add_account(con, "calm", [90] * 6)
    add_account(con, "low", [65] * 6)
    add_account(con, "red", [30] * 6, owner=None)
    add_account(con, "done", [65] * 6)
    run_playbooks(con, rules, day(0), day(0))
    ids = dict(actions(con, "account_id, action_id", f"playbook_id = '{TRIAGE}'"))
    report(con, ids["done"], "completed", day(1))
    run_playbooks(con, rules, day(0), day(5))
    paths = write_queues(con, tmp_path / "out", day(5))
    assert [path.name for path in paths] == [f"{agent}.jsonl" for agent in AGENTS]
    first = {path.name: path.read_bytes() for path in paths}
    write_queues(con, tmp_path / "out", day(5))
    assert {path.name: path.read_bytes() for path in paths} == first
    return tmp_path / "out"


def test_every_agent_has_a_file_and_only_open_work_is_in_it(queues: Path) -> None:
    assert {path.stem for path in queues.iterdir()} == {
        "ca", "sa", "ae", "ve", "governance", "meeting_notes",
    }  # fmt: skip
    ours = [record for record in read(queues, "ca") if record["playbook_id"] == TRIAGE]
    # The most severe first.
    assert [record["account"]["account_id"] for record in ours] == ["red", "low"]
    assert read(queues, "sa") == []


def test_a_record_says_why_what_by_when_and_how_to_know(queues: Path) -> None:
    [record] = [
        one
        for one in read(queues, "ca")
        if one["playbook_id"] == TRIAGE and one["account"]["account_id"] == "low"
    ]
    assert record["why"] == "The score is 65."
    assert record["evidence"] == {"health_score": 65.0, "health_zone": "yellow"}
    assert record["due_on"] == "2025-01-04"
    assert record["days_past_due"] == 2
    assert [step["due_on"] for step in record["steps"]] == ["2025-01-03", "2025-01-11"]
    assert record["steps"][0]["done_when"] == "Seen."
    assert record["owner"] == "ann@example.com"
    assert record["is_unassigned"] is False
    assert record["escalation_level"] == 1
    assert record["objective"]["horizon_days"] == 20
    assert record["idempotency_key"].startswith(record["action_id"])


def test_work_without_a_person_is_in_the_role_queue_and_flagged(queues: Path) -> None:
    record = next(r for r in read(queues, "ca") if r["account"]["account_id"] == "red")
    assert record["owner"] is None
    assert record["is_unassigned"] is True


def test_calls_stand_in_the_meeting_notes_queue_too_with_their_agenda(tmp_path: Path) -> None:
    con = open_world()
    add_account(con, "a", [90] * 6)
    add(con, "marts.fct_cadence_slot", account_id="a", call_type="technical_checkin",
        slot_number=1, opened_on=day(0), due_on=day(7), grace_ends_on=day(9))  # fmt: skip
    for number in range(6):
        add(con, "marts.fct_cadence_daily", account_id="a", call_type="technical_checkin",
            as_of_date=day(number), next_due_on=day(7), consecutive_missed_count=0,
            account_state="active")  # fmt: skip
    run_playbooks(con, load_rules(SHIPPED), day(0), day(5))
    write_queues(con, tmp_path, day(5))
    [notes] = read(tmp_path, "meeting_notes")
    assert notes["queue_role"] == "support"
    assert notes["call_type"] == "technical_checkin"
    assert [block["minutes"] for block in notes["agenda"]["blocks"]] == [10, 10, 10]
    assert notes["opened_on"] == "2025-01-05"
    assert notes["why"] == "The technical_checkin is due on 2025-01-08."
    [owned] = [one for one in read(tmp_path, "ca") if one["action_id"] == notes["action_id"]]
    assert owned["queue_role"] == "owner"


def test_why_writes_numbers_plainly_and_names_what_is_missing() -> None:
    evidence = {"a": 65.0, "b": -12.345, "c": None, "d": True, "e": "red"}
    assert write_why("{a} {b} {c} {d} {e} {f}", evidence) == "65 -12.35 unknown yes red unknown"


def test_links_are_the_files_the_infohub_has(tmp_path: Path) -> None:
    con = open_world()
    add_account(con, "a", [30] * 6)
    add_account(con, "b", [30] * 6)
    run_playbooks(con, load_rules(SHIPPED), day(0), day(5))
    con.execute(
        "create table pipeline.infohub_files (account_id varchar, path varchar, key varchar, "
        "dated_on date, call_type varchar, slot_number bigint)"
    )
    folder = "emea/a/internal-infohub"
    for path, dated_on in (
        (f"{folder}/governance/health_score.yaml", None),
        (f"{folder}/governance/health_triage_2024-12-01.md", date(2024, 12, 1)),
        (f"{folder}/governance/health_triage_2025-01-01.md", day(0)),
        (f"{folder}/governance/health_triage_2025-01-04.md", day(3)),
        (f"{folder}/actions/account_plan_2024.md", date(2024, 1, 1)),
        (f"{folder}/actions/account_plan_2025.md", date(2025, 1, 1)),
    ):
        add(con, "pipeline.infohub_files", account_id="a", path=path, key="", dated_on=dated_on)
    write_queues(con, tmp_path, day(5))
    records = {
        (record["account"]["account_id"], record["playbook_id"]): record
        for agent in AGENTS
        for record in read(tmp_path, agent)
    }
    triage = records["a", "PB_CS_301_health_triage"]
    assert triage["opened_on"] == "2025-01-01"
    assert triage["infohub"] == [
        f"{folder}/governance/health_score.yaml",
        f"{folder}/governance/health_triage_2025-01-01.md",
    ]
    # Nothing was written for the other account: no link is better than a wrong one.
    assert records["b", "PB_CS_301_health_triage"]["infohub"] == []


def test_a_call_links_to_its_own_pack(tmp_path: Path) -> None:
    con = open_world()
    add_account(con, "a", [90] * 6)
    add(con, "marts.fct_cadence_slot", account_id="a", call_type="technical_checkin",
        slot_number=1, opened_on=day(0), due_on=day(7), grace_ends_on=day(9))  # fmt: skip
    for number in range(6):
        add(con, "marts.fct_cadence_daily", account_id="a", call_type="technical_checkin",
            as_of_date=day(number), next_due_on=day(7), consecutive_missed_count=0,
            account_state="active")  # fmt: skip
    run_playbooks(con, load_rules(SHIPPED), day(0), day(5))
    con.execute(
        "create table pipeline.infohub_files (account_id varchar, path varchar, key varchar, "
        "dated_on date, call_type varchar, slot_number bigint)"
    )
    for call_type, slot in (("technical_checkin", 1), ("technical_checkin", 2), ("other", 1)):
        add(con, "pipeline.infohub_files", account_id="a", call_type=call_type, slot_number=slot,
            path=f"emea/a/meetings/prep/{call_type}_{slot}.md")  # fmt: skip
    write_queues(con, tmp_path, day(5))
    [notes] = read(tmp_path, "meeting_notes")
    assert notes["infohub"] == ["emea/a/meetings/prep/technical_checkin_1.md"]
