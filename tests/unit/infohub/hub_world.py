"""A small build file for InfoHub tests: the tables it reads, and rows put in by hand."""

from __future__ import annotations

import json
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import duckdb

from dagster_project.infohub.store import Applied, apply_staged
from dagster_project.infohub.write import StagedHub, note_files, stage_infohub
from dagster_project.settings import PROJECT_ROOT

DAY = date(2026, 6, 30)
TEMPLATES = PROJECT_ROOT / "playbook_rules" / "templates"
SEEDS = PROJECT_ROOT / "dbt" / "seeds"
TRIAGE = "PB_CS_301_health_triage"
COMPONENTS = ("engagement", "adoption", "outcomes", "support", "relationship", "commercial")

_COMPONENT_COLUMNS = ", ".join(
    f"{name}_score double, {name}_status varchar, {name}_weight double" for name in COMPONENTS
)
_SEEDS = {
    "infohub_policy": "infohub",
    "infohub_calls": "infohub",
    "call_types": "cadence",
    "call_agenda_blocks": "cadence",
    "call_required_roles": "cadence",
    "stages": "stages",
    "solution_areas": "stages",
    "enablement_activities": "stages",
    "health_components": "health",
    "health_statuses": "health",
}
_TABLES = {
    "intermediate.int_core__account_days": "account_id varchar, as_of_date date,"
    " account_name varchar, tier varchar, segment varchar, region varchar, industry varchar,"
    " owner_ca varchar, owner_sa varchar, owner_ae varchar, owner_ve varchar,"
    " owner_governance varchar, arr_usd decimal(18, 2), seats_licensed bigint, is_paused boolean,"
    " next_renewal_on date, customer_since_on date",
    "intermediate.int_usage__area_daily": "account_id varchar, solution_area varchar,"
    " as_of_date date, active_users_28d bigint, active_days_28d bigint, features_used_28d bigint,"
    " usage_count_28d bigint, usage_count_prev_28d bigint, last_used_on date",
    "intermediate.int_health__objective_measurements": "objective_id varchar, measured_on date,"
    " current_value double, realised_value_usd decimal(18, 2)",
    "marts.dim_account": "account_id varchar, realm varchar, node varchar, churned_on date,"
    " removed_on date",
    "marts.fct_account_health_daily": "account_id varchar, as_of_date date, health_zone varchar,"
    " score_status varchar, unscored_reason varchar, override_id varchar,"
    " override_reason varchar, override_author varchar, override_zone varchar,"
    " health_score double, computed_score double, override_score double, coverage_ratio double,"
    f" arr_usd decimal(18, 2), override_expires_on date, {_COMPONENT_COLUMNS}",
    "marts.fct_health_facts_daily": "account_id varchar, as_of_date date,"
    " active_days_value double, active_days_score double, active_days_status tinyint",
    "marts.fct_health_measure_daily": "account_id varchar, as_of_date date, measure varchar,"
    " component varchar, status varchar, value double, measure_score double,"
    " effective_weight double, contribution double",
    "marts.ledger": "account_id varchar, as_of_date date, compared_to_date date,"
    " cause_kind varchar, cause varchar, points double",
    "marts.fct_zone_transition": "account_id varchar, from_zone varchar, to_zone varchar,"
    " occurred_on date",
    "marts.fct_stage_daily": "account_id varchar, solution_area varchar, as_of_date date,"
    " stage varchar, stage_rank integer, next_stage varchar, arr_usd decimal(18, 2),"
    " readiness_ratio double, criteria_met_count integer, criteria_pending_count integer,"
    " is_stalled boolean, is_regressed boolean, stage_entered_on date, go_live_on date",
    "marts.fct_stage_criterion": "account_id varchar, solution_area varchar,"
    " criterion_id varchar, as_of_date date, stage varchar, criterion_name varchar, kind varchar,"
    " measure varchar, status varchar, activity_id varchar, threshold double,"
    " observed_value double, is_mandatory boolean, is_met boolean, is_for_next_stage boolean,"
    " met_since_on date",
    "marts.fct_stage_transition": "account_id varchar, solution_area varchar, from_stage varchar,"
    " to_stage varchar, kind varchar, to_stage_rank integer, occurred_on date",
    "marts.fct_stage_blocker": "blocker_id varchar, account_id varchar, solution_area varchar,"
    " category varchar, status varchar, description varchar, is_open boolean, is_aged boolean,"
    " opened_on date, resolved_on date",
    "marts.fct_cadence_daily": "account_id varchar, call_type varchar, as_of_date date,"
    " tier varchar, account_state varchar, calls_per_day double, adherence_ratio double,"
    " attendance_ratio double, met_count integer, missed_count integer,"
    " consecutive_missed_count integer, is_at_risk boolean, is_held_early boolean,"
    " next_due_on date",
    "marts.fct_cadence_slot": "account_id varchar, call_type varchar, slot_number bigint,"
    " status varchar, expected_attendee_count bigint, attended_count bigint, opened_on date,"
    " due_on date, grace_ends_on date, met_on date",
    "staging.stg_crm__subscriptions": "account_id varchar, solution_area varchar, seats bigint,"
    " started_on date, ended_on date, renews_on date, removed_on date",
    "staging.stg_crm__success_objectives": "objective_id varchar, account_id varchar,"
    " solution_area varchar, objective_name varchar, created_on date, due_on date,"
    " baseline_value double, target_value double, current_value double, measured_on date,"
    " met_on date, planned_value_usd decimal(18, 2), realised_value_usd decimal(18, 2),"
    " removed_on date",
    "staging.stg_crm__contacts": "contact_id varchar, account_id varchar, contact_name varchar,"
    " role varchar, is_active boolean, created_on date, departed_on date, removed_on date",
    "staging.stg_crm__risk_flags": "risk_id varchar, account_id varchar, kind varchar,"
    " severity varchar, raised_on date, cleared_on date, note varchar, removed_on date",
    "staging.stg_crm__opportunities": "opportunity_id varchar, account_id varchar, kind varchar,"
    " solution_area varchar, stage varchar, probability_ratio double, amount_usd decimal(18, 2),"
    " created_on date, expected_close_on date, closed_on date, removed_on date",
    "staging.stg_crm__touchpoints": "touchpoint_id varchar, account_id varchar,"
    " call_type varchar, held_on date, expected_attendee_count bigint, attended_count bigint,"
    " is_executive_present boolean, sentiment double, removed_on date",
    "staging.stg_support__tickets": "ticket_id varchar, account_id varchar, severity varchar,"
    " opened_at timestamp, resolved_at timestamp, escalated_at timestamp, removed_on date",
    "playbooks.playbooks": "playbook_id varchar, playbook_name varchar, definition varchar",
    "playbooks.rules": "rule_id varchar, why varchar",
    "playbooks.signals": "signal_id varchar, signal varchar, cause varchar, account_id varchar,"
    " scope varchar, solution_area varchar, occurred_on date",
    "playbooks.actions": "action_id varchar, playbook_id varchar, rule_id varchar,"
    " source varchar, title varchar,"
    " account_id varchar, solution_area varchar, owner_role varchar, owner varchar,"
    " severity varchar, status varchar, close_reason varchar, outcome varchar,"
    " intervention varchar, escalation_level integer, opened_on date, due_on date,"
    " plan_due_on date, started_on date, closed_on date, objective_due_on date,"
    " objective_met_on date, objective_status varchar, evidence varchar",
    "playbooks.action_events": "action_id varchar, event_number integer, event varchar,"
    " occurred_on date, detail varchar",
}


def add(con: duckdb.DuckDBPyConnection, table: str, **values: Any) -> None:
    """One row; columns left out are null."""
    con.execute(
        f"insert into {table} ({', '.join(values)}) values ({', '.join('?' * len(values))})",
        list(values.values()),
    )


def open_hub_world() -> duckdb.DuckDBPyConnection:
    """The tables, the policy as shipped, and the triage playbook; no account."""
    con = duckdb.connect(":memory:")
    con.execute("set threads = 1")
    for schema in ("pipeline", "intermediate", "marts", "staging", "playbooks", "policy"):
        con.execute(f"create schema {schema}")
    for name, columns in _TABLES.items():
        con.execute(f"create table {name} ({columns})")
    con.execute(
        "create macro marts.health_change(from_date, to_date) as table select account_id, "
        "compared_to_date, cause_kind, cause, points from marts.ledger "
        "where compared_to_date = from_date and as_of_date = to_date"
    )
    for name, folder in _SEEDS.items():
        con.execute(f"create table policy.{name} as from read_csv('{SEEDS / folder / name}.csv')")
    con.execute(
        "create table policy.health_measures as select 'active_days' as measure, "
        "'adoption' as component, 202 as measure_order"
    )
    add(con, "playbooks.playbooks", playbook_id=TRIAGE, playbook_name="Health triage",
        definition=json.dumps(PLAYBOOK))  # fmt: skip
    add(con, "playbooks.rules", rule_id="low", why="The score is {health_score}.")
    return con


PLAYBOOK = {
    "id": TRIAGE, "name": "Health triage", "owner_role": "ca",
    "steps": [
        {"id": "assess", "owner": "ca", "day": 1, "do": "Look.", "done_when": "Seen."},
        {"id": "review", "owner": "sa", "day": 45, "do": "Review.", "done_when": "Done."},
    ],
    "checklist": ["Cause written down"],
    "agendas": [{"call_type": "technical_checkin"}],
    "interventions": [
        {"component": "adoption", "name": "adoption_acceleration", "weeks_min": 4,
         "weeks_max": 6, "do": ["Win back users"]},
        {"component": "support", "name": "technical_crisis", "weeks_min": 1, "weeks_max": 4,
         "do": ["Name one owner"]},
    ],
    "objective": {"meaning": "The score rose.", "horizon_days": 60},
    "escalation": [{"to": "manager", "days_past_due": 2}],
}  # fmt: skip


def add_customer(
    con: duckdb.DuckDBPyConnection,
    account_id: str,
    *,
    day: date = DAY,
    realm: str | None = "emea",
    node: str | None = None,
    name: str | None = None,
    score: float = 55.0,
) -> None:
    """A customer with health, one area, a call due, a triage and an objective."""
    name = name or f"Name {account_id}"
    add(con, "marts.dim_account", account_id=account_id, realm=realm, node=node or account_id)
    add_day(con, account_id, day, name=name, score=score)
    add(con, "staging.stg_crm__subscriptions", account_id=account_id, solution_area="security",
        seats=40, started_on=date(2025, 1, 1), renews_on=date(2026, 12, 1))  # fmt: skip
    add(con, "staging.stg_crm__success_objectives", objective_id=f"O-{account_id}",
        account_id=account_id, solution_area="security", objective_name=f"Goal of {account_id}",
        created_on=date(2025, 2, 1), due_on=date(2026, 9, 1), baseline_value=100.0,
        target_value=20.0, current_value=60.0, measured_on=date(2026, 6, 1),
        planned_value_usd=50000, realised_value_usd=10000)  # fmt: skip
    add(con, "intermediate.int_health__objective_measurements", objective_id=f"O-{account_id}",
        measured_on=date(2026, 6, 1), current_value=60.0, realised_value_usd=10000)  # fmt: skip
    add(con, "staging.stg_crm__contacts", contact_id=f"C-{account_id}", account_id=account_id,
        contact_name="Kim Secret", role="technical_champion", is_active=True,
        created_on=date(2025, 2, 1))  # fmt: skip
    add(
        con,
        "staging.stg_crm__risk_flags",
        risk_id=f"R-{account_id}",
        account_id=account_id,
        kind="budget",
        severity="high",
        raised_on=date(2026, 6, 1),
        note="frozen secretly",
    )
    add(con, "marts.fct_stage_blocker", blocker_id=f"B-{account_id}", account_id=account_id,
        solution_area="security", category="technical", status="open",
        description="says the lazy admin", is_open=True, is_aged=False,
        opened_on=date(2026, 6, 10))  # fmt: skip
    add(con, "marts.fct_stage_transition", account_id=account_id, solution_area="security",
        from_stage="operational", to_stage="foundation", kind="demotion", to_stage_rank=1,
        occurred_on=date(2026, 5, 1))  # fmt: skip
    add(con, "marts.fct_cadence_slot", account_id=account_id, call_type="technical_checkin",
        slot_number=7, status="open", opened_on=date(2026, 6, 20), due_on=date(2026, 7, 2),
        grace_ends_on=date(2026, 7, 5))  # fmt: skip
    add_health(con, account_id, date(2026, 6, 1))
    add_triage(con, account_id, date(2026, 6, 1))


def add_day(
    con: duckdb.DuckDBPyConnection,
    account_id: str,
    day: date,
    *,
    name: str,
    score: float = 55.0,
) -> None:
    """What the daily tables say of an account on a day."""
    add(con, "intermediate.int_core__account_days", account_id=account_id, as_of_date=day,
        account_name=name, tier="enterprise", segment="large", region="emea",
        owner_ca="ann@example.com", arr_usd=120000, seats_licensed=40, is_paused=False,
        next_renewal_on=date(2026, 12, 1), customer_since_on=date(2025, 1, 1))  # fmt: skip
    add_health(con, account_id, day, score)
    add(con, "marts.fct_health_measure_daily", account_id=account_id, as_of_date=day,
        measure="active_days", component="adoption", status="scored", value=3.0,
        measure_score=30.0, effective_weight=1.0, contribution=30.0)  # fmt: skip
    add(con, "marts.ledger", account_id=account_id, as_of_date=day,
        compared_to_date=day - timedelta(days=30), cause_kind="behaviour", cause="active_days",
        points=-4.5)  # fmt: skip
    add(con, "marts.fct_stage_daily", account_id=account_id, solution_area="security",
        as_of_date=day, stage="foundation", stage_rank=1, next_stage="operational",
        arr_usd=120000, readiness_ratio=0.5, criteria_met_count=1, criteria_pending_count=1,
        is_stalled=False, is_regressed=True, stage_entered_on=date(2026, 5, 1),
        go_live_on=date(2025, 2, 1))  # fmt: skip
    add(con, "marts.fct_stage_criterion", account_id=account_id, solution_area="security",
        as_of_date=day, criterion_id="sec_detection_rules", stage="operational",
        criterion_name="20 or more detection rules active", kind="measure",
        measure="detection_rules_active", status="unmet",
        activity_id="enable_sec_detection_rules", threshold=20.0, observed_value=4.0,
        is_mandatory=True, is_met=False, is_for_next_stage=True)  # fmt: skip
    add(con, "marts.fct_cadence_daily", account_id=account_id, call_type="technical_checkin",
        as_of_date=day, tier="enterprise", account_state="active", calls_per_day=1 / 14,
        adherence_ratio=0.5, met_count=3, missed_count=3, consecutive_missed_count=1,
        is_at_risk=True, is_held_early=False, next_due_on=date(2026, 7, 2))  # fmt: skip
    add(con, "intermediate.int_usage__area_daily", account_id=account_id, as_of_date=day,
        solution_area="security", active_users_28d=4, active_days_28d=3, features_used_28d=2,
        usage_count_28d=30, usage_count_prev_28d=60, last_used_on=date(2026, 6, 28))  # fmt: skip


def add_health(
    con: duckdb.DuckDBPyConnection, account_id: str, day: date, score: float = 55.0
) -> None:
    """An account's score on a day, all of it from its adoption."""
    add(con, "marts.fct_account_health_daily", account_id=account_id, as_of_date=day,
        health_zone="orange", score_status="scored", health_score=score, computed_score=score,
        coverage_ratio=0.9, arr_usd=120000, adoption_score=30.0, adoption_status="scored",
        adoption_weight=1.0,
        **{f"{one}_status": "no_data" for one in COMPONENTS if one != "adoption"})  # fmt: skip
    add(con, "marts.fct_health_facts_daily", account_id=account_id, as_of_date=day,
        active_days_value=3.0, active_days_score=30.0, active_days_status=1)  # fmt: skip


def add_triage(con: duckdb.DuckDBPyConnection, account_id: str, opened_on: date) -> str:
    """An open triage of the weak adoption; its action's id."""
    action_id = f"act_{account_id}_{opened_on:%m%d}"
    add(con, "playbooks.actions", action_id=action_id, playbook_id=TRIAGE, rule_id="low",
        account_id=account_id, owner_role="ca", owner="ann@example.com", severity="high",
        status="open", intervention="adoption_acceleration", escalation_level=0,
        opened_on=opened_on, due_on=opened_on + timedelta(days=3),
        plan_due_on=opened_on + timedelta(days=45),
        evidence='{"health_score": 55.0, "weakest_component": "adoption"}')  # fmt: skip
    add(con, "playbooks.action_events", action_id=action_id, event_number=1, event="opened",
        occurred_on=opened_on, detail="{}")  # fmt: skip
    return action_id


def write(
    con: duckdb.DuckDBPyConnection,
    root: Path,
    day: date = DAY,
    from_date: date | None = None,
    templates: Path = TEMPLATES,
) -> tuple[StagedHub, Applied]:
    """Stage and apply a day."""
    staged = stage_infohub(con, root, templates, from_date or day, day)
    note_files(con, staged)
    return staged, apply_staged(root, day)


def contents(root: Path) -> dict[str, bytes]:
    """Every file of the InfoHub but its bookkeeping."""
    return {
        path.relative_to(root).as_posix(): path.read_bytes()
        for path in sorted(root.rglob("*"))
        if path.is_file() and not path.relative_to(root).parts[0].startswith(".")
    }
