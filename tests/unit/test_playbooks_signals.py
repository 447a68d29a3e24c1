"""The shipped signals and chains on a small world: each fact once, with its evidence."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import duckdb
import pytest

from dagster_project.playbooks import RuleBook, load_rules, run_playbooks
from tests.unit.playbook_world import START, actions, add, add_account, day, open_world, report

SHIPPED = Path(__file__).resolve().parents[2] / "playbook_rules"


@pytest.fixture(scope="module")
def rules() -> RuleBook:
    return load_rules(SHIPPED)


def signals(con: duckdb.DuckDBPyConnection, signal: str) -> list[tuple[str, str, int]]:
    """(cause, scope, day number) of a signal, in order."""
    rows = con.execute(
        "select cause, scope, occurred_on from playbooks.signals where signal = ?"
        " order by occurred_on, cause, scope",
        [signal],
    ).fetchall()
    return [(cause, scope, (on - START).days) for cause, scope, on in rows]


def opened(con: duckdb.DuckDBPyConnection, playbook_id: str) -> list[Any]:
    return actions(con, "rule_id, scope, opened_on", f"playbook_id = '{playbook_id}'")


def add_area(con: duckdb.DuckDBPyConnection, area: str, first: int, days: int, rank: int) -> None:
    stages = ("not_started", "foundation", "operational", "advanced", "optimized")
    for number in range(first, days):
        add(
            con,
            "intermediate.int_core__area_days",
            account_id="a",
            solution_area=area,
            as_of_date=day(number),
            subscription_started_on=day(first),
            days_since_go_live=number - first,
            seats_licensed=10,
        )
        add(
            con,
            "marts.fct_stage_daily",
            account_id="a",
            solution_area=area,
            as_of_date=day(number),
            stage=stages[rank],
            stage_rank=rank,
            stage_age_days=number - first,
            readiness_ratio=0.0,
        )


def test_a_new_area_signals_once_and_opens_its_stage_playbook(rules: RuleBook) -> None:
    con = open_world()
    add_account(con, "a", [90.0] * 10)
    add_area(con, "security", 3, 10, 0)
    add_area(con, "search", 5, 10, 0)
    run_playbooks(con, rules, day(0), day(9))
    assert signals(con, "SIG_LC_002") == [
        ("area_started", "area:security", 3),
        ("area_started", "area:search", 5),
    ]
    assert opened(con, "PB_CS_101_security_stage_adoption") == [
        ("security_new_area", "area:security", day(3))
    ]
    assert opened(con, "PB_CS_103_search_stage_adoption") == [
        ("search_new_area", "area:search", day(5))
    ]
    assert opened(con, "PB_CS_102_observability_stage_adoption") == []


def test_a_fall_signals_health_zone_and_component_and_opens_triage(rules: RuleBook) -> None:
    con = open_world()
    add_account(con, "a", [85.0] * 31 + [55.0] * 4)
    for number in range(35):
        add(
            con,
            "intermediate.int_cadence__tier_adherence_daily",
            account_id="a",
            as_of_date=day(number),
            last_held_on=day(number),
        )
    run_playbooks(con, rules, day(0), day(34))
    assert signals(con, "SIG_HLT_001") == [
        ("score_declining", "account", 31),
        ("score_dropped", "account", 31),
        ("score_under_line", "account", 31),
        ("zone_worsened", "account", 31),
    ]
    assert signals(con, "zone_changed") == [("worsened", "account", 31)]
    assert signals(con, "component_declining") == [("adoption", "account", 31)]
    [(rule_id, _, on)] = opened(con, "PB_CS_301_health_triage")
    # A worse zone comes before a drop, and a drop before the line.
    assert (rule_id, on) == ("triage_zone_worsened", day(31))
    # The zone change goes to the cadence playbook.
    assert ("zone_change_adjusts_cadence", "account", day(31)) in opened(
        con, "PB_CS_202_cadence_calls"
    )
    [(evidence,)] = con.execute(
        "select evidence from playbooks.signals where cause = 'score_dropped'"
    ).fetchall()
    assert json.loads(evidence)["score_change_30d"] == -30.0


def test_triage_with_falling_adoption_opens_the_weakest_area(rules: RuleBook) -> None:
    con = open_world()
    add_account(con, "a", [85.0] * 31 + [55.0] * 4)
    add_area(con, "security", 0, 35, 1)
    add_area(con, "search", 0, 35, 2)
    run_playbooks(con, rules, day(0), day(34))
    # Its work as a new area is done (a stage is reached), so the chain opens work of its own.
    assert opened(con, "PB_CS_101_security_stage_adoption") == [
        ("security_new_area", "area:security", day(0)),
        ("security_adoption_declining", "area:security", day(31)),
    ]
    assert con.execute(
        "select count(*) from playbooks.rule_states"
        " where rule_id = 'search_adoption_declining' and verdict <> 'unknown'"
    ).fetchall() == [(0,)]


def test_a_zone_change_while_calls_are_worked_on_reminds_instead_of_opening_twice(
    rules: RuleBook,
) -> None:
    con = open_world()
    add_account(con, "a", [85.0] * 35 + [75.0] * 4)
    run_playbooks(con, rules, day(0), day(38))
    assert opened(con, "PB_CS_202_cadence_calls") == [("no_engagement", "account", day(30))]
    assert con.execute(
        "select e.occurred_on from playbooks.action_events e join playbooks.actions a"
        " using (action_id) where e.event = 're_raised' and a.rule_id = 'no_engagement'"
    ).fetchall() == [(day(35),)]


def test_a_blocker_of_30_days_opens_five_whys_until_it_is_resolved(rules: RuleBook) -> None:
    con = open_world()
    add_account(con, "a", [90.0] * 40)
    add(
        con,
        "staging.stg_crm__adoption_blockers",
        blocker_id="b",
        account_id="a",
        solution_area="security",
        category="technical",
        opened_on=day(2),
        resolved_on=day(35),
    )
    run_playbooks(con, rules, day(0), day(39))
    assert signals(con, "adoption_blocker_aged") == [("open_30_days", "blocker:b", 32)]
    [(rule_id, scope, on)] = opened(con, "PB_105_five_whys_analysis")
    assert (rule_id, scope, on) == ("blocker_open_30_days", "blocker:b", day(32))
    [(area, closed_on, reason)] = actions(
        con, "solution_area, closed_on, close_reason", "playbook_id like 'PB_105%'"
    )
    assert (area, closed_on, reason) == ("security", day(35), "recovered")


def test_the_renewal_window_opens_once_and_reminds_at_each_milestone(rules: RuleBook) -> None:
    con = open_world()
    add_account(con, "a", [90.0] * 160, days_to_renewal=182)
    run_playbooks(con, rules, day(0), day(159))
    assert signals(con, "SIG_LC_003") == [("renewal_window", "account", 2)]
    [(rule_id, _, on)] = opened(con, "PB_CS_303_renewal_protection")
    assert (rule_id, on) == ("renewal_window", day(2))
    reminders = con.execute(
        "select e.occurred_on from playbooks.action_events e join playbooks.actions a"
        " using (action_id) where e.event = 're_raised' and a.rule_id = 'renewal_window'"
        " order by 1"
    ).fetchall()
    assert [(on - START).days for (on,) in reminders] == [62, 92, 122, 152]


def test_people_deals_and_competitors_make_their_signals(rules: RuleBook) -> None:
    con = open_world()
    add_account(con, "a", [90.0] * 20)
    for contact_id, role in (("c", "champion"), ("s", "executive_sponsor"), ("u", "user")):
        add(
            con,
            "staging.stg_crm__contacts",
            contact_id=contact_id,
            account_id="a",
            role=role,
            departed_on=day(4),
        )
    add(
        con,
        "staging.stg_crm__risk_flags",
        risk_id="r",
        account_id="a",
        kind="competitor",
        severity="high",
        raised_on=day(6),
    )
    add(
        con,
        "staging.stg_crm__opportunities",
        opportunity_id="o",
        account_id="a",
        kind="renewal",
        created_on=day(1),
        closed_on=day(8),
        is_won=False,
    )
    run_playbooks(con, rules, day(0), day(19))
    assert signals(con, "SIG_STK_002") == [
        ("champion_left", "contact:c", 4),
        ("sponsor_left", "contact:s", 4),
    ]
    assert signals(con, "SIG_TECH_001") == [("competitor_flagged", "account", 6)]
    assert signals(con, "SIG_COM_002") == [("lost", "opportunity:o", 8)]
    assert ("deal_closed", "opportunity:o", day(8)) in opened(con, "PB_601_retrospective")


def test_a_story_from_signal_to_outcome(rules: RuleBook) -> None:
    con = open_world()
    add_account(con, "a", [85.0] * 31 + [55.0] * 6 + [75.0] * 60)
    run_playbooks(con, rules, day(0), day(31))
    [(action_id,)] = actions(con, "action_id", "playbook_id = 'PB_CS_301_health_triage'")
    report(con, action_id, "started", day(32), actor="ann@example.com")
    report(con, action_id, "step_done", day(33), step_id="read_ledger")
    report(con, action_id, "completed", day(36), outcome="adoption acceleration agreed")
    run_playbooks(con, rules, day(32), day(96))
    story = con.execute(
        "select event, occurred_on from playbooks.action_events where action_id = ?"
        " order by event_number",
        [action_id],
    ).fetchall()
    assert [(event, (on - START).days) for event, on in story] == [
        ("opened", 31),
        ("started", 32),
        ("step_done", 33),
        ("completed", 36),
        ("objective_met", 37),
    ]
    assert signals(con, "SIG_PB_001") == [("playbook_started", "account", 32)]
    assert signals(con, "SIG_PB_002") == [("playbook_completed", "account", 36)]


def test_an_account_that_leaves_gets_a_retrospective_that_stays_open(rules: RuleBook) -> None:
    con = open_world()
    add_account(con, "a", [50.0] * 20, churned_on=day(12))
    run_playbooks(con, rules, day(0), day(19))
    assert actions(con, "scope, opened_on, closed_on", "playbook_id = 'PB_601_retrospective'") == [
        ("account:left", day(12), None)
    ]
    others = actions(con, "close_reason", "playbook_id <> 'PB_601_retrospective'")
    assert {reason for (reason,) in others} <= {"churned", "recovered", "expired"}
