"""Objectives: true on data after the work, not what held anyway; each way to reach one."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import duckdb
import pytest

from dagster_project.errors import ConfigError
from dagster_project.playbooks import load_rules, run_playbooks
from tests.unit.playbook_world import (
    RULE_FILES,
    SIGNALS,
    TRIAGE,
    add,
    add_account,
    day,
    open_world,
    playbook_text,
    report,
    write_rules,
)

DAYS = 40
OBJECTIVE = (
    "objective: {condition: health_score >= 70, horizon_days: 20, meaning: Back over the line.}"
)
AREA = "PB_4_area"
AREA_FILE = playbook_text(
    AREA,
    """\
  - rule: stalled
    scope: solution_area
    condition: is_stalled
    why: It is stalled.
""",
    """\
  - {rule: stalled, given: {is_stalled: true}, expect: matched}
  - {rule: stalled, given: {is_stalled: false}, expect: not_matched}
""",
)


def outcome(
    folder: Path,
    con: duckdb.DuckDBPyConnection,
    objective: str,
    *,
    completed: int,
    playbook: str = TRIAGE,
    last: int = DAYS - 1,
    by_day: bool = False,
) -> tuple[str, date | None]:
    """Status and day of the objective of the first action, completed on the given day."""
    files = {**RULE_FILES, f"{AREA}.yml": AREA_FILE}
    files[f"{playbook}.yml"] = files[f"{playbook}.yml"].replace(
        OBJECTIVE, f"objective: {{{objective}, horizon_days: 20, meaning: Test.}}"
    )
    rules = load_rules(write_rules(folder, files))
    run_playbooks(con, rules, day(0), day(0))
    for number in range(1, completed):
        run_playbooks(con, rules, day(number), day(number))
    [(action, *_), *_] = con.execute(
        "select action_id from playbooks.actions where playbook_id = ? order by opened_on",
        [playbook],
    ).fetchall()
    report(con, action, "completed", day(completed))
    steps = range(completed, last + 1) if by_day else [completed]
    for number in steps:
        run_playbooks(con, rules, day(number), day(number if by_day else last))
    [row] = con.execute(
        "select objective_status, objective_met_on from playbooks.actions where action_id = ?",
        [action],
    ).fetchall()
    return row[0], row[1]


def world(scores: list[float | None]) -> duckdb.DuckDBPyConnection:
    con = open_world()
    add_account(con, "a", (scores + [scores[-1]] * DAYS)[:DAYS])
    return con


@pytest.mark.parametrize("by_day", [False, True])
def test_a_score_must_rise_from_where_it_was_on_the_opening_day(
    tmp_path: Path, by_day: bool
) -> None:
    scores: list[float | None] = [75, 62, 60, 60, 60, 60, 69, 71.9, 72, 65]
    goal = "rise: {name: health_score, by: 10}"
    assert outcome(tmp_path, world(scores), goal, completed=3, by_day=by_day) == ("met", day(8))


def test_a_rise_that_does_not_last_until_the_days_that_count_is_none(tmp_path: Path) -> None:
    scores: list[float | None] = [75, 62, 62, 73, 62, 62]
    goal = "rise: {name: health_score, by: 10}"
    assert outcome(tmp_path, world(scores), goal, completed=4) == ("missed", None)
    early = f"{goal}, counts_from: opened"
    assert outcome(tmp_path, world(scores), early, completed=4) == ("met", day(3))


def test_a_condition_that_held_on_the_opening_day_is_no_achievement(tmp_path: Path) -> None:
    # Triage opens in yellow, under the line of 70: "in green or yellow" holds from the first day.
    scores: list[float | None] = [75, 65, 65, 65]
    goal = "condition: \"health_zone in ('green', 'yellow')\""
    assert outcome(tmp_path, world(scores), goal, completed=3) == ("met", day(3))
    assert outcome(tmp_path, world(scores), f"{goal}, becomes: true", completed=3) == (
        "missed",
        None,
    )
    fallen: list[float | None] = [75, 55, 55, 55, 55, 55, 61]
    assert outcome(tmp_path, world(fallen), f"{goal}, becomes: true", completed=3) == (
        "met",
        day(6),
    )


def test_whichever_way_holds_first_meets_it(tmp_path: Path) -> None:
    goal = "condition: health_score >= 70, becomes: true, rise: {name: health_score, by: 10}"
    low: list[float | None] = [75, 35, 35, 35, 45, 70]
    assert outcome(tmp_path, world(low), goal, completed=2) == ("met", day(4))
    near: list[float | None] = [75, 65, 65, 65, 70, 75]
    assert outcome(tmp_path, world(near), goal, completed=2) == ("met", day(4))


def test_clears_asks_the_rule_that_opened_the_work(tmp_path: Path) -> None:
    scores: list[float | None] = [75, 65, 65, 65, 65, None, 72, 65]
    # Not judged on day 5 is not clear.
    assert outcome(tmp_path, world(scores), "clears: true", completed=3) == ("met", day(6))
    assert outcome(tmp_path, world([75, 65]), "clears: true", completed=3) == ("missed", None)
    before: list[float | None] = [75, 65, 65, 72, 72, 72, 72]
    assert outcome(tmp_path, world(before), "clears: true", completed=4) == ("met", day(4))


def test_an_account_that_leaves_has_cleared_nothing(tmp_path: Path) -> None:
    con = open_world()
    add_account(con, "a", [75, 65, *[65.0] * 38], churned_on=day(12))
    assert outcome(tmp_path, con, "clears: true", completed=3) == ("missed", None)


def test_an_objective_whose_horizon_lasts_is_pending(tmp_path: Path) -> None:
    goal = "rise: {name: health_score, by: 10}"
    assert outcome(tmp_path, world([75, 65]), goal, completed=3, last=23) == ("pending", None)
    assert outcome(tmp_path, world([75, 65]), goal, completed=3, last=24) == ("missed", None)


@pytest.mark.parametrize(
    ("later", "expected"),
    [
        # Twenty points within the stage; nineteen; less, but in a higher stage; more, but lower.
        ((1, 0.6), "met"),
        ((1, 0.59), "missed"),
        ((2, 0.0), "met"),
        ((0, 0.9), "missed"),
    ],
)
def test_readiness_rises_within_a_stage_or_by_reaching_the_next(
    tmp_path: Path, later: tuple[int, float], expected: str
) -> None:
    con = world([75])
    for number in range(DAYS):
        add(con, "intermediate.int_core__area_days", account_id="a", solution_area="search",
            as_of_date=day(number))  # fmt: skip
        rank, ratio = (1, 0.4) if number < 10 else later
        add(con, "marts.fct_stage_daily", account_id="a", solution_area="search", is_stalled=True,
            as_of_date=day(number), stage_rank=rank, readiness_ratio=ratio)  # fmt: skip
    goal = "rise: {name: readiness_ratio, by: 0.2}"
    status, on = outcome(tmp_path, con, goal, completed=2, playbook=AREA)
    assert (status, on) == (expected, day(10) if expected == "met" else None)


def test_work_about_the_account_is_met_by_anything_of_the_scope(tmp_path: Path) -> None:
    con = world([75, 65])
    add(con, "marts.fct_cadence_slot", account_id="a", call_type="business_review", slot_number=1,
        opened_on=day(0), due_on=day(9), grace_ends_on=day(12), met_on=day(11))  # fmt: skip
    for number in range(DAYS):
        add(con, "marts.fct_cadence_daily", account_id="a", call_type="business_review",
            as_of_date=day(number), next_due_on=day(9 if number < 10 else 30),
            account_state="active", consecutive_missed_count=0)  # fmt: skip
    goal = "scope: call, condition: is_slot_met"
    assert outcome(tmp_path, con, goal, completed=3) == ("met", day(11))


@pytest.mark.parametrize(
    ("objective", "message"),
    [
        ("becomes: true", "becomes says when a condition counts"),
        ("rise: {name: readiness_ratio, by: 0.1}", "no solution area"),
        ("rise: {name: health_score, by: 0}", "greater than 0"),
        ("rise: {name: helth_score, by: 1}", "did you mean health_score"),
    ],
)
def test_an_objective_that_cannot_be_judged_is_refused(
    tmp_path: Path, objective: str, message: str
) -> None:
    text = RULE_FILES[f"{TRIAGE}.yml"].replace(
        OBJECTIVE, f"objective: {{{objective}, horizon_days: 20, meaning: Test.}}"
    )
    folder = write_rules(tmp_path, {"signals.yml": SIGNALS, f"{TRIAGE}.yml": text})
    with pytest.raises(ConfigError, match=message):
        load_rules(folder)
