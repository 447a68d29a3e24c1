"""A small world for playbook tests: empty tables of the marts' shapes, a compact rule set."""

from __future__ import annotations

import random
from collections.abc import Iterable, Sequence
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import duckdb

START = date(2025, 1, 1)
COMPONENTS = ("engagement", "adoption", "outcomes", "support", "relationship", "commercial")

_COMPONENT_COLUMNS = ", ".join(f"{name}_score double, {name}_status varchar" for name in COMPONENTS)

TABLES = {
    "pipeline.files": "source varchar, table_name varchar, extracted_on date, status varchar",
    "intermediate.int_core__account_days": "account_id varchar, as_of_date date,"
    " account_name varchar, tier varchar, segment varchar, region varchar, industry varchar,"
    " owner_ca varchar, owner_sa varchar, owner_ae varchar, owner_ve varchar,"
    " owner_governance varchar, arr_usd decimal(18, 2), seats_licensed bigint,"
    " active_area_count integer, days_to_renewal integer, tenure_days integer, is_paused boolean,"
    " is_at_risk_flagged boolean, next_renewal_on date, customer_since_on date",
    "intermediate.int_core__area_days": "account_id varchar, solution_area varchar,"
    " as_of_date date, seats_licensed bigint, arr_usd decimal(18, 2),"
    " subscription_started_on date, go_live_on date, days_since_go_live integer",
    "intermediate.int_usage__account_daily": "account_id varchar, as_of_date date,"
    " active_users_28d bigint, usage_count_28d bigint, usage_count_prev_28d bigint",
    "intermediate.int_usage__area_daily": "account_id varchar, solution_area varchar,"
    " as_of_date date, active_users_28d bigint",
    "intermediate.int_cadence__tier_adherence_daily": "account_id varchar, as_of_date date,"
    " cadence_adherence_ratio double, consecutive_missed_count integer, last_held_on date",
    "marts.dim_account": "account_id varchar, account_name varchar, tier varchar, region varchar,"
    " realm varchar, node varchar, arr_usd decimal(18, 2), customer_since_on date,"
    " churned_on date, removed_on date, next_renewal_on date",
    "marts.fct_account_health_daily": "account_id varchar, as_of_date date, health_score double,"
    " health_zone varchar, previous_health_zone varchar, score_change_30d double,"
    " score_status varchar, coverage_ratio double, " + _COMPONENT_COLUMNS,
    "marts.fct_stage_daily": "account_id varchar, solution_area varchar, as_of_date date,"
    " stage varchar, stage_rank integer, stage_age_days integer, readiness_ratio double,"
    " criteria_pending_count integer, is_stalled boolean, is_regressed boolean",
    "marts.fct_stage_transition": "account_id varchar, solution_area varchar, occurred_on date,"
    " from_stage_rank integer, to_stage_rank integer",
    "marts.fct_cadence_daily": "account_id varchar, call_type varchar, as_of_date date,"
    " next_due_on date, adherence_ratio double, attendance_ratio double,"
    " consecutive_missed_count integer, account_state varchar",
    "marts.fct_cadence_slot": "account_id varchar, call_type varchar, slot_number bigint,"
    " opened_on date, due_on date, grace_ends_on date, met_on date, status varchar",
    "staging.stg_crm__account_versions": "account_id varchar, owner_ca varchar, owner_sa varchar,"
    " owner_ae varchar, owner_ve varchar, owner_governance varchar, valid_from_on date,"
    " valid_to_on date, is_first_version boolean",
    "staging.stg_crm__contacts": "contact_id varchar, account_id varchar, role varchar,"
    " departed_on date, removed_on date",
    "staging.stg_crm__invoices": "invoice_id varchar, account_id varchar, issued_on date,"
    " due_on date, paid_on date, removed_on date",
    "staging.stg_crm__risk_flags": "risk_id varchar, account_id varchar, kind varchar,"
    " severity varchar, raised_on date, cleared_on date, removed_on date",
    "staging.stg_crm__adoption_blockers": "blocker_id varchar, account_id varchar,"
    " solution_area varchar, category varchar, opened_on date, resolved_on date, removed_on date",
    "staging.stg_crm__success_objectives": "objective_id varchar, account_id varchar,"
    " solution_area varchar, created_on date, removed_on date",
    "staging.stg_crm__opportunities": "opportunity_id varchar, account_id varchar, kind varchar,"
    " solution_area varchar, created_on date, closed_on date, is_won boolean, removed_on date",
    "staging.stg_crm__opportunity_versions": "opportunity_id varchar, stage varchar,"
    " amount_usd decimal(18, 2), probability_ratio double, valid_from_on date, valid_to_on date",
    "staging.stg_crm__subscriptions": "subscription_id varchar, account_id varchar,"
    " solution_area varchar, started_on date, ended_on date, go_live_on date,"
    " is_displacement boolean, previous_subscription_id varchar, arr_usd decimal(18, 2),"
    " removed_on date",
    "staging.stg_crm__touchpoints": "touchpoint_id varchar, account_id varchar,"
    " call_type varchar, held_on date, is_executive_present boolean, removed_on date",
    "staging.stg_crm__playbook_runs": "action_id varchar, event varchar, occurred_on date,"
    " step_id varchar, reason varchar, outcome varchar, actor varchar, removed_on date",
    "staging.stg_support__tickets": "ticket_id varchar, account_id varchar, severity varchar,"
    " opened_at timestamp, escalated_at timestamp, resolved_at timestamp, removed_on date",
}

FACT_TABLES = (
    "accounts", "contacts", "invoices", "risk_flags", "adoption_blockers", "success_objectives",
    "opportunities", "touchpoints", "tickets",
)  # fmt: skip

PUBLIC = ("signals", "rule_states", "actions", "action_events", "feedback_rejects")


def open_world() -> duckdb.DuckDBPyConnection:
    """An empty world in memory."""
    con = duckdb.connect(":memory:")
    con.execute("set threads = 1")
    for schema in ("pipeline", "intermediate", "marts", "staging"):
        con.execute(f"create schema {schema}")
    for name, columns in TABLES.items():
        con.execute(f"create table {name} ({columns})")
    for table in FACT_TABLES:
        add(con, "pipeline.files", source="crm", table_name=table, extracted_on=START,
            status="accepted")  # fmt: skip
    return con


def add(con: duckdb.DuckDBPyConnection, table: str, **values: Any) -> None:
    """One row; columns left out are null."""
    con.execute(
        f"insert into {table} ({', '.join(values)}) values ({', '.join('?' * len(values))})",
        list(values.values()),
    )


def zone_of(score: float | None) -> str | None:
    if score is None:
        return None
    return (
        "green" if score >= 80 else "yellow" if score >= 60 else "orange" if score >= 40 else "red"
    )


def add_account(
    con: duckdb.DuckDBPyConnection,
    account_id: str,
    scores: Sequence[float | None],
    *,
    churned_on: date | None = None,
    days_to_renewal: int | None = None,
    owner: str | None = "ann@example.com",
) -> None:
    """An account with one health score per day from START; a None day is unscored."""
    add(con, "marts.dim_account", account_id=account_id, account_name=f"Name {account_id}",
        customer_since_on=START, churned_on=churned_on)  # fmt: skip
    add(con, "staging.stg_crm__account_versions", account_id=account_id, owner_ca=owner,
        valid_from_on=START, is_first_version=True)  # fmt: skip
    last = len(scores) if churned_on is None else (churned_on - START).days
    con.execute(
        """
        create or replace temp table given_days as
        select cast(? as varchar) as account_id, cast(? as date) + cast(number as integer)
                as as_of_date,
            cast(number as integer) as number, cast(score as double) as score,
            cast(zone as varchar) as zone
        from (select unnest(?) as number, unnest(?) as score, unnest(?) as zone)
        """,
        [
            account_id,
            START,
            list(range(last)),
            list(scores[:last]),
            [zone_of(score) for score in scores[:last]],
        ],
    )
    con.execute(
        """
        insert into intermediate.int_core__account_days (
            account_id, as_of_date, tier, owner_ca, is_paused, customer_since_on,
            days_to_renewal, tenure_days, arr_usd
        )
        select account_id, as_of_date, 'strategic', ?, false, ?, cast(? as integer) - number,
            number, 1000
        from given_days
        """,
        [owner, START, days_to_renewal],
    )
    con.execute(
        """
        insert into marts.fct_account_health_daily (
            account_id, as_of_date, health_score, health_zone, previous_health_zone,
            score_change_30d, score_status, adoption_score, adoption_status
        )
        select account_id, as_of_date, score, zone, lag(zone) over (order by as_of_date),
            score - lag(score, 30) over (order by as_of_date),
            case when score is null then 'unscored' else 'scored' end, score,
            case when score is null then 'no_data' else 'scored' end
        from given_days
        """
    )


def change_scores(con: duckdb.DuckDBPyConnection, score: float, where: str) -> None:
    """Correct the scores of some account-days, and what the mart derives from them."""
    con.execute(
        "update marts.fct_account_health_daily set health_score = ?, health_zone = ?"
        f" where {where}",
        [score, zone_of(score)],
    )
    con.execute(
        """
        update marts.fct_account_health_daily as today set previous_health_zone = before.health_zone
        from marts.fct_account_health_daily as before
        where today.account_id = before.account_id and today.as_of_date = before.as_of_date + 1
        """
    )


def report(
    con: duckdb.DuckDBPyConnection, action_id: str, event: str, day: date, **more: Any
) -> None:
    """Feedback from outside about an action."""
    add(con, "staging.stg_crm__playbook_runs", action_id=action_id, event=event, occurred_on=day,
        **more)  # fmt: skip


def dump(con: duckdb.DuckDBPyConnection) -> dict[str, list[tuple[Any, ...]]]:
    """Every public row, sorted."""
    return {
        name: con.execute(f"select * from playbooks.{name} order by all").fetchall()
        for name in PUBLIC
    }


def actions(con: duckdb.DuckDBPyConnection, columns: str, where: str = "true") -> list[Any]:
    return con.execute(
        f"select {columns} from playbooks.actions where {where}"
        " order by opened_on, playbook_id, scope"
    ).fetchall()


def day(number: int) -> date:
    """Day number of the world, 0 = START."""
    return START + timedelta(days=number)


SIGNALS = """
signals:
  - id: SIG_HLT_001
    fact: Health alert.
    scope: account
    kind: level
    evidence: [health_zone]
    causes:
      - {cause: score_under_line, condition: health_score < 70}
  - id: zone_changed
    fact: The zone changed.
    scope: account
    kind: event
    causes:
      - {cause: changed, condition: is_zone_changed}
"""

_TAIL = """
steps:
  - {id: look, owner: ca, day: 2, do: Look., done_when: Seen.}
  - {id: act, owner: ca, day: 10, do: Act., done_when: Done.}
objective: {condition: health_score >= 70, horizon_days: 20, meaning: Back over the line.}
escalation:
  - {to: manager, days_past_due: 2}
  - {to: governance, days_past_due: 5}
"""


def playbook_text(
    playbook_id: str,
    triggers: str,
    tests: str,
    *,
    defaults: str = "{severity: medium, sla_days: 3, cooldown_days: 5, hysteresis_days: 3}",
    extra: str = "",
) -> str:
    """A whole playbook file around the given triggers and tests."""
    return (
        f"id: {playbook_id}\nname: A playbook\nversion: 1\nstatus: deployed\n"
        "category: health_management\nowner_role: ca\npurpose: Test.\nrationale: Test.\n"
        f"defaults: {defaults}\n{extra}triggers:\n{triggers}{_TAIL}tests:\n{tests}"
    )


TRIAGE = "PB_1_triage"
FOLLOW = "PB_2_follow"
CALLS = "PB_3_calls"

RULE_FILES = {
    "signals.yml": SIGNALS,
    f"{TRIAGE}.yml": playbook_text(
        TRIAGE,
        """\
  - rule: under_line
    scope: account
    signal: SIG_HLT_001
    priority: 20
    auto_close: {when: trigger_clears}
    reraise_days: 9
    why: The score is {health_score}.
  - rule: in_red
    scope: account
    condition: health_zone = 'red'
    severity: critical
    priority: 10
    auto_close: {when: trigger_clears}
    why: The zone is {health_zone}.
""",
        """\
  - {rule: under_line, given: {health_score: 69}, expect: matched}
  - {rule: under_line, given: {health_score: 70}, expect: not_matched}
  - {rule: in_red, given: {health_zone: red}, expect: matched}
  - {rule: in_red, given: {health_zone: green}, expect: not_matched}
""",
    ),
    f"{FOLLOW}.yml": playbook_text(
        FOLLOW,
        f"""\
  - rule: still_low
    scope: account
    condition: health_score < 60
    after: {{playbook: {TRIAGE}, state: open, min_days: 4}}
    expires_days: 15
    why: Triage is open and the score is {{health_score}}.
""",
        """\
  - {rule: still_low, given: {health_score: 59}, expect: matched}
  - {rule: still_low, given: {health_score: 60}, expect: not_matched}
""",
    ),
    f"{CALLS}.yml": playbook_text(
        CALLS,
        """\
  - rule: zone_moved
    scope: account
    signal: zone_changed
    cooldown_days: 2
    hysteresis_days: 1
    auto_close: {condition: "health_zone = 'green' and not is_zone_changed"}
    why: The zone is {health_zone}.
""",
        """\
  - {rule: zone_moved, given: {is_zone_changed: true}, expect: matched}
  - {rule: zone_moved, given: {is_zone_changed: false}, expect: not_matched}
""",
        extra=f"supersedes: [{FOLLOW}]\n",
    ),
}


def write_rules(folder: Path, files: dict[str, str] | None = None) -> Path:
    """Write rule files into a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in (files if files is not None else RULE_FILES).items():
        (folder / name).write_text(text, encoding="utf-8")
    return folder


def answer_some(rows: Iterable[tuple[str, date]], last: date) -> list[tuple[str, str, date]]:
    """What people would report about actions: a fixed function of the action, up to `last`."""
    told: list[tuple[str, str, date]] = []
    for action_id, opened_on in rows:
        chance = random.Random(action_id)
        luck = chance.random()
        if luck < 0.3:
            continue
        started = opened_on + timedelta(days=chance.randint(0, 5))
        told.append((action_id, "started", started))
        if luck > 0.55:
            event = "cancelled" if luck > 0.9 else "completed"
            told.append((action_id, event, started + timedelta(days=chance.randint(0, 8))))
    return [one for one in told if one[2] <= last]
