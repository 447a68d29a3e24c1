"""What the InfoHub shows, read in one query per subject for all accounts at once.

Belongs here: SQL and the grouping of its rows by account. Does not belong here: how a file looks.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from typing import Any

import duckdb

from dagster_project.infohub.paths import AccountPlace
from dagster_project.sentences import MEETING_WHY, write_why

Row = dict[str, Any]
Grouped = Mapping[str, list[Row]]


@dataclass(frozen=True)
class CallPolicy:
    """How calls of one type are prepared."""

    call_type: str
    name: str
    prep_lead_days: int
    owner_role: str
    template: str
    min_minutes: int | None
    max_minutes: int | None


@dataclass(frozen=True)
class HubPolicy:
    """The InfoHub's own numbers, from the policy seeds."""

    calendar_days: int
    ledger_days: int
    trend_weeks: int
    recent_slot_count: int
    recent_signal_days: int
    next_plan_month: int
    prep_keep_days: int
    calls: Mapping[str, CallPolicy]


@dataclass(frozen=True)
class Facts:
    """What the files say, by account; only of the accounts and subjects that were asked for."""

    as_of: date
    policy: HubPolicy
    playbooks: Mapping[str, Row] = field(default_factory=dict)
    agendas: Grouped = field(default_factory=dict)
    required_roles: Grouped = field(default_factory=dict)
    areas: Grouped = field(default_factory=dict)
    criteria: Grouped = field(default_factory=dict)
    transitions: Grouped = field(default_factory=dict)
    blockers: Grouped = field(default_factory=dict)
    objectives: Grouped = field(default_factory=dict)
    measurements: Grouped = field(default_factory=dict)
    health: Grouped = field(default_factory=dict)
    measures: Grouped = field(default_factory=dict)
    moves: Grouped = field(default_factory=dict)
    history: Grouped = field(default_factory=dict)
    zone_moves: Grouped = field(default_factory=dict)
    cadence: Grouped = field(default_factory=dict)
    slots: Grouped = field(default_factory=dict)
    contacts: Grouped = field(default_factory=dict)
    risks: Grouped = field(default_factory=dict)
    opportunities: Grouped = field(default_factory=dict)
    actions: Grouped = field(default_factory=dict)
    signals: Grouped = field(default_factory=dict)
    tickets: Grouped = field(default_factory=dict)
    usage: Grouped = field(default_factory=dict)
    usage_areas: Grouped = field(default_factory=dict)
    last_calls: Grouped = field(default_factory=dict)
    triages: Grouped = field(default_factory=dict)


def read_policy(con: duckdb.DuckDBPyConnection) -> HubPolicy:
    """The InfoHub's numbers and call settings."""
    numbers = {
        str(name): int(value)
        for name, value in con.execute(
            "select parameter, value from policy.infohub_policy"
        ).fetchall()
    }
    calls = {
        row["call_type"]: CallPolicy(**row)
        for row in _rows(
            con,
            """
            select
                calls.call_type, types.call_name as name, calls.prep_lead_days, calls.owner_role,
                calls.template, types.min_minutes, types.max_minutes
            from policy.infohub_calls as calls
            inner join policy.call_types as types on calls.call_type = types.call_type
            order by types.call_order, calls.call_type
            """,
        )
    }
    return HubPolicy(calls=calls, **numbers)


def read_places(con: duckdb.DuckDBPyConnection, as_of: date) -> list[AccountPlace]:
    """What CRM says about the place of every account that is a customer on the day."""
    return [
        AccountPlace(*row)
        for row in con.execute(
            """
            select days.account_id, account.realm, account.node, days.region
            from intermediate.int_core__account_days as days
            left join marts.dim_account as account on days.account_id = account.account_id
            where days.as_of_date = $as_of
            order by days.account_id
            """,
            {"as_of": as_of},
        ).fetchall()
    ]


class FactReader:
    """Every subject as a temporary table of its own, made by one query for all accounts.

    What changed is told by fingerprints, which the engine makes; only rows of files that must be
    rendered ever become Python objects. A fingerprint is for comparing with the last run's on the
    same engine, no more: when it changes for nothing, a file is rendered and found equal.
    """

    def __init__(
        self, con: duckdb.DuckDBPyConnection, as_of: date, accounts: Iterable[str]
    ) -> None:
        self.con = con
        self.as_of = as_of
        self.policy = read_policy(con)
        self.playbooks: dict[str, Row] = {
            str(name): json.loads(definition)
            for name, definition in con.execute(
                "select playbook_id, definition from playbooks.playbooks order by playbook_id"
            ).fetchall()
        }
        # Rows are read back in the order in which a subject's query put them.
        con.execute("set preserve_insertion_order = true")
        con.execute("create or replace temp table hub_account (account_id varchar)")
        con.execute("insert into hub_account select unnest($ids)", {"ids": sorted(accounts)})
        values: dict[str, object] = {
            "as_of": as_of,
            "since": as_of - timedelta(days=self.policy.ledger_days),
            "signals_since": as_of - timedelta(days=self.policy.recent_signal_days),
            "weeks": [as_of - timedelta(weeks=week) for week in range(self.policy.trend_weeks)],
            "count": self.policy.recent_slot_count,
            "playbooks": [name for name, one in self.playbooks.items() if one.get("interventions")],
        }
        self._fingerprints: dict[str, dict[str, int]] = {}
        for subject, sql in _SUBJECTS.items():
            used = {name: value for name, value in values.items() if f"${name}" in sql}
            con.execute(f"create or replace temp table hub_{subject} as {sql}", used)
            self._fingerprints[subject] = dict(
                con.execute(
                    f"select account_id, (count(*) + sum(hash(one)))::varchar "
                    f"from hub_{subject} as one group by account_id"
                ).fetchall()
            )

    def fingerprints(self, account_id: str, subjects: Iterable[str]) -> list[object]:
        """One value per subject that changes when the account's rows of it do."""
        return [self._fingerprints[subject].get(account_id) for subject in subjects]

    def accounts(self) -> list[Row]:
        """The accounts with what every file needs of them, in order."""
        return _rows(self.con, "select * from hub_accounts order by rowid")

    def names(self) -> dict[str, str | None]:
        """Names of all customers of the day, with a folder or without."""
        return dict(
            self.con.execute(
                "select account_id, account_name from intermediate.int_core__account_days "
                "where as_of_date = $as_of",
                {"as_of": self.as_of},
            ).fetchall()
        )

    def left(self) -> dict[str, str]:
        """Known accounts that are no customers on the day, and why."""
        return dict(self.con.execute(_LEFT, {"as_of": self.as_of}).fetchall())

    def due_calls(self) -> Grouped:
        """Calls to prepare, in order of due date."""
        return _grouped(_rows(self.con, "select * from hub_due_call order by rowid"))

    def triage_days(self) -> Grouped:
        """Of each triage its playbook, when it opened and closed, and its fingerprint."""
        return _grouped(
            _rows(
                self.con,
                """
                select
                    account_id, playbook_id, opened_on, closed_on, hash(one)::varchar as fingerprint
                from hub_triages as one order by rowid
                """,
            )
        )

    def load(self, wanted: Mapping[str, set[str]]) -> Facts:
        """The rows of each subject for the accounts that want it."""
        loaded = {
            subject: self._load(subject, accounts)
            for subject, accounts in wanted.items()
            if accounts
        }
        for subject in ("actions", "triages"):
            if subject in loaded:
                loaded[subject] = _with_why(loaded[subject])
        return Facts(
            as_of=self.as_of,
            policy=self.policy,
            playbooks=self.playbooks,
            agendas=_grouped(_rows(self.con, _AGENDAS), "call_type"),
            required_roles=_grouped(_rows(self.con, _REQUIRED_ROLES), "call_type"),
            **loaded,
        )

    def _load(self, subject: str, accounts: set[str]) -> Grouped:
        return _grouped(
            _rows(
                self.con,
                f"select one.* from hub_{subject} as one "
                "semi join (select unnest($ids::varchar[]) as account_id) as wanted "
                "on one.account_id = wanted.account_id order by one.rowid",
                {"ids": sorted(accounts)},
            )
        )


def read_openings(
    con: duckdb.DuckDBPyConnection, pairs: Sequence[tuple[str, date]], ledger_days: int
) -> dict[tuple[str, date], Row]:
    """The analysis of the days on which triages opened: score, components and their measures.

    Only the asked (account, day) pairs are taken from the wide facts; unpivoting history for a
    few days of it would cost more than the whole run.
    """
    if not pairs:
        return {}
    con.execute("create or replace temp table hub_opening (account_id varchar, opened_on date)")
    con.execute(
        "insert into hub_opening select unnest($ids), unnest($days)",
        {"ids": [pair[0] for pair in pairs], "days": [pair[1] for pair in pairs]},
    )
    components = [
        name
        for (name,) in con.execute(
            "select component from policy.health_components order by component_order, component"
        ).fetchall()
    ]
    states = dict(con.execute("select status_code, status from policy.health_statuses").fetchall())
    measures = con.execute(
        "select measure, component from policy.health_measures order by measure_order, measure"
    ).fetchall()
    scores = {
        (row["account_id"], row["opened_on"]): row
        for row in _rows(
            con,
            """
            select opening.opened_on, day.*, earlier.health_score as earlier_score,
                earlier.as_of_date as earlier_on,
                {earlier}
            from hub_opening as opening
            inner join marts.fct_account_health_daily as day
                on opening.account_id = day.account_id and opening.opened_on = day.as_of_date
            left join marts.fct_account_health_daily as earlier
                on opening.account_id = earlier.account_id
                and earlier.as_of_date = opening.opened_on - $days::integer
            """.replace(
                "{earlier}",
                ", ".join(f"earlier.{c}_score as earlier_{c}_score" for c in components),
            ),
            {"days": ledger_days},
        )
    }
    wide = {
        (row["account_id"], row["as_of_date"]): row
        for row in _rows(
            con,
            """
            select facts.* from marts.fct_health_facts_daily as facts
            inner join hub_opening as opening
                on facts.account_id = opening.account_id and facts.as_of_date = opening.opened_on
            """,
        )
    }
    openings: dict[tuple[str, date], Row] = {}
    for key, day in scores.items():
        facts = wide.get(key, {})
        openings[key] = {
            "health_score": day["health_score"],
            "health_zone": day["health_zone"],
            "coverage_ratio": day["coverage_ratio"],
            "earlier_on": day["earlier_on"],
            "earlier_score": day["earlier_score"],
            "components": [
                {
                    "component": component,
                    "score": day[f"{component}_score"],
                    "status": day[f"{component}_status"],
                    "weight": day[f"{component}_weight"],
                    "earlier_score": day[f"earlier_{component}_score"],
                    "measures": [
                        {
                            "measure": measure,
                            "status": states[facts[f"{measure}_status"]],
                            "value": facts[f"{measure}_value"],
                            "score": facts[f"{measure}_score"],
                        }
                        for measure, of in measures
                        if of == component and facts.get(f"{measure}_status") is not None
                    ],
                }
                for component in components
            ],
        }
    return openings


def _rows(
    con: duckdb.DuckDBPyConnection, sql: str, values: Mapping[str, object] | None = None
) -> list[Row]:
    cursor = con.execute(sql, dict(values) if values else None)
    names = [column[0] for column in cursor.description or ()]
    return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]


def _grouped(rows: Iterable[Row], by: str = "account_id") -> Grouped:
    groups: defaultdict[str, list[Row]] = defaultdict(list)
    for row in rows:
        groups[row[by]].append(row)
    return groups


def _with_why(actions: Grouped) -> Grouped:
    """Put the rule's sentence and the evidence as data into each action."""
    for rows in actions.values():
        for row in rows:
            row["evidence"] = json.loads(row["evidence"])
            template = MEETING_WHY if row.get("source") == "meeting" else row["why"] or ""
            row["why"] = write_why(template, row["evidence"])
    return actions


_ACCOUNTS = """
select
    days.account_id, days.account_name, days.tier, days.segment, days.region, days.industry,
    days.owner_ca, days.owner_sa, days.owner_ae, days.owner_ve, days.owner_governance,
    cast(days.arr_usd as double) as arr_usd, days.seats_licensed, days.is_paused,
    days.next_renewal_on, days.customer_since_on, health.health_zone,
    health.account_id is not null as has_health
from intermediate.int_core__account_days as days
inner join hub_account on days.account_id = hub_account.account_id
left join marts.fct_account_health_daily as health
    on days.account_id = health.account_id and health.as_of_date = $as_of
where days.as_of_date = $as_of
order by days.account_id
"""

_DUE_CALLS = """
select
    slot.account_id, slot.call_type, slot.slot_number, slot.opened_on, slot.due_on,
    slot.grace_ends_on
from marts.fct_cadence_slot as slot
inner join hub_account on slot.account_id = hub_account.account_id
inner join policy.infohub_calls as calls on slot.call_type = calls.call_type
where
    slot.status = 'open' and slot.due_on - calls.prep_lead_days::integer <= $as_of
    and slot.opened_on <= $as_of and slot.grace_ends_on >= $as_of
order by slot.account_id, slot.due_on, slot.call_type, slot.slot_number
"""

_LEFT = """
select
    account_id,
    case
        when removed_on <= $as_of then 'no longer in CRM since ' || removed_on
        when churned_on <= $as_of then 'left on ' || churned_on
        else 'not a customer on this day'
    end
from marts.dim_account
where account_id not in (
    select account_id from intermediate.int_core__account_days where as_of_date = $as_of
)
order by account_id
"""

_AREAS = """
with

contract as (
    select
        account_id, solution_area,
        min(renews_on) filter (where renews_on >= $as_of) as renews_on,
        cast(sum(seats) as bigint) as seats
    from staging.stg_crm__subscriptions
    where
        started_on <= $as_of and (ended_on is null or ended_on > $as_of)
        and (removed_on is null or removed_on > $as_of)
    group by all
)

select
    stage.account_id, stage.solution_area, area.area_name, stage.stage, stage.stage_rank,
    stage.next_stage, stage.stage_entered_on, stage.readiness_ratio, stage.criteria_met_count,
    stage.criteria_pending_count, stage.is_stalled, stage.is_regressed, stage.go_live_on,
    cast(stage.arr_usd as double) as arr_usd, contract.renews_on, contract.seats
from marts.fct_stage_daily as stage
inner join hub_account on stage.account_id = hub_account.account_id
left join policy.solution_areas as area on stage.solution_area = area.solution_area
left join contract
    on stage.account_id = contract.account_id and stage.solution_area = contract.solution_area
where stage.as_of_date = $as_of
order by stage.account_id, area.area_order, stage.solution_area
"""

_CRITERIA = """
select
    criterion.account_id, criterion.solution_area, criterion.criterion_id,
    criterion.criterion_name, criterion.stage, stage.stage_rank, criterion.kind, criterion.measure,
    criterion.status, criterion.threshold, criterion.observed_value, criterion.is_mandatory,
    criterion.is_met, criterion.is_for_next_stage, criterion.met_since_on,
    activity.activity_name, activity.format, activity.owner_role,
    cast(activity.effort_hours as double) as effort_hours
from marts.fct_stage_criterion as criterion
inner join hub_account on criterion.account_id = hub_account.account_id
inner join policy.stages as stage on criterion.stage = stage.stage
left join policy.enablement_activities as activity
    on criterion.activity_id = activity.activity_id
where criterion.as_of_date = $as_of
order by criterion.account_id, criterion.solution_area, stage.stage_rank, criterion.criterion_id
"""

_TRANSITIONS = """
select
    move.account_id, move.solution_area, move.occurred_on, move.from_stage, move.to_stage, move.kind
from marts.fct_stage_transition as move
inner join hub_account on move.account_id = hub_account.account_id
where move.occurred_on <= $as_of
order by move.account_id, move.solution_area, move.occurred_on, move.to_stage_rank
"""

_BLOCKERS = """
select
    blocker.account_id, blocker.solution_area, blocker.blocker_id, blocker.category,
    blocker.description, blocker.status, blocker.is_open, blocker.is_aged, blocker.opened_on,
    blocker.resolved_on
from marts.fct_stage_blocker as blocker
inner join hub_account on blocker.account_id = hub_account.account_id
where blocker.opened_on <= $as_of
order by
    blocker.account_id, blocker.solution_area, blocker.is_open desc, blocker.opened_on,
    blocker.blocker_id
"""

_OBJECTIVES = """
select
    objective.account_id, objective.objective_id, objective.objective_name,
    objective.solution_area, objective.created_on, objective.due_on,
    case when objective.met_on <= $as_of then objective.met_on end as met_on,
    case
        when objective.met_on <= $as_of then 'met'
        when objective.due_on < $as_of then 'past_due'
        else 'open'
    end as status,
    objective.baseline_value, objective.target_value,
    case when objective.measured_on <= $as_of then objective.current_value end as current_value,
    cast(objective.planned_value_usd as double) as planned_value_usd,
    case
        when objective.measured_on <= $as_of
            then cast(objective.realised_value_usd as double)
    end as realised_value_usd
from staging.stg_crm__success_objectives as objective
inner join hub_account on objective.account_id = hub_account.account_id
where
    coalesce(objective.created_on, $as_of) <= $as_of
    and (objective.removed_on is null or objective.removed_on > $as_of)
order by
    objective.account_id, objective.due_on nulls last, objective.created_on nulls last,
    objective.objective_id
"""

_MEASUREMENTS = """
select
    objective.account_id, objective.objective_id, measurement.measured_on,
    measurement.current_value as value,
    cast(measurement.realised_value_usd as double) as realised_value_usd
from intermediate.int_health__objective_measurements as measurement
inner join staging.stg_crm__success_objectives as objective
    on measurement.objective_id = objective.objective_id
inner join hub_account on objective.account_id = hub_account.account_id
where measurement.measured_on <= $as_of
order by objective.account_id, objective.objective_id, measurement.measured_on
"""

_HEALTH = """
select health.* exclude (arr_usd)
from marts.fct_account_health_daily as health
inner join hub_account on health.account_id = hub_account.account_id
where health.as_of_date = $as_of
order by health.account_id
"""

_MEASURES = """
select
    measure.account_id, measure.component, measure.measure, measure.status, measure.value,
    measure.measure_score as score, measure.effective_weight as weight, measure.contribution
from marts.fct_health_measure_daily as measure
inner join hub_account on measure.account_id = hub_account.account_id
left join policy.health_measures as defined on measure.measure = defined.measure
where measure.as_of_date = $as_of
order by measure.account_id, defined.measure_order, measure.measure
"""

_MOVES = """
select
    change.account_id, change.compared_to_date as since_on, change.cause_kind, change.cause,
    change.points
from marts.health_change($since::date, $as_of::date) as change
inner join hub_account on change.account_id = hub_account.account_id
-- A score that began or ended moved by no number of points.
where change.points is not null
order by change.account_id, abs(change.points) desc, change.cause_kind, change.cause
"""

_HISTORY = """
select health.account_id, health.as_of_date, health.health_score, health.health_zone
from marts.fct_account_health_daily as health
inner join hub_account on health.account_id = hub_account.account_id
where list_contains($weeks::date[], health.as_of_date)
order by health.account_id, health.as_of_date
"""

_ZONE_MOVES = """
select move.account_id, move.occurred_on, move.from_zone, move.to_zone
from marts.fct_zone_transition as move
inner join hub_account on move.account_id = hub_account.account_id
where move.occurred_on <= $as_of
order by move.account_id, move.occurred_on desc
"""

_CADENCE = """
select
    cadence.account_id, cadence.call_type, type.call_name, cadence.tier, cadence.calls_per_day,
    cadence.adherence_ratio, cadence.attendance_ratio, cadence.met_count, cadence.missed_count,
    cadence.consecutive_missed_count, cadence.is_at_risk, cadence.is_held_early,
    cadence.account_state, cadence.next_due_on
from marts.fct_cadence_daily as cadence
inner join hub_account on cadence.account_id = hub_account.account_id
left join policy.call_types as type on cadence.call_type = type.call_type
where cadence.as_of_date = $as_of
order by cadence.account_id, type.call_order, cadence.call_type
"""

_SLOTS = """
select
    slot.account_id, slot.call_type, slot.slot_number, slot.due_on, slot.grace_ends_on,
    slot.status, slot.met_on, slot.attended_count, slot.expected_attendee_count
from marts.fct_cadence_slot as slot
inner join hub_account on slot.account_id = hub_account.account_id
where slot.due_on is not null and slot.opened_on <= $as_of
qualify row_number() over (
    partition by slot.account_id, slot.call_type order by slot.slot_number desc
) <= $count
order by slot.account_id, slot.call_type, slot.slot_number desc
"""

_CONTACTS = """
select
    contact.account_id, contact.contact_id, contact.contact_name, contact.role, contact.created_on
from staging.stg_crm__contacts as contact
inner join hub_account on contact.account_id = hub_account.account_id
where
    coalesce(contact.created_on, $as_of) <= $as_of
    and (contact.departed_on is null or contact.departed_on > $as_of)
    and (contact.removed_on is null or contact.removed_on > $as_of)
    and coalesce(contact.is_active, true)
order by contact.account_id, contact.role, contact.contact_name, contact.contact_id
"""

_RISKS = """
select
    risk.account_id, risk.risk_id, risk.kind, risk.severity, risk.raised_on, risk.note
from staging.stg_crm__risk_flags as risk
inner join hub_account on risk.account_id = hub_account.account_id
where
    risk.kind <> 'csm_pulse' and risk.raised_on <= $as_of
    and (risk.cleared_on is null or risk.cleared_on > $as_of)
    and (risk.removed_on is null or risk.removed_on > $as_of)
order by
    risk.account_id,
    case risk.severity when 'high' then 0 when 'medium' then 1 when 'low' then 2 else 3 end,
    risk.raised_on, risk.risk_id
"""

_OPPORTUNITIES = """
select
    deal.account_id, deal.opportunity_id, deal.kind, deal.solution_area, deal.stage,
    deal.probability_ratio, cast(deal.amount_usd as double) as amount_usd, deal.expected_close_on
from staging.stg_crm__opportunities as deal
inner join hub_account on deal.account_id = hub_account.account_id
where
    coalesce(deal.created_on, $as_of) <= $as_of
    and (deal.closed_on is null or deal.closed_on > $as_of)
    and (deal.removed_on is null or deal.removed_on > $as_of)
order by deal.account_id, deal.expected_close_on nulls last, deal.opportunity_id
"""

_ACTIONS = """
select
    action.account_id, action.action_id, action.source, action.playbook_id,
    -- What was promised in a call has its own words where work of a playbook has a name.
    coalesce(action.title, playbook.playbook_name) as playbook_name, rules.why,
    action.solution_area, action.owner_role, action.owner, action.severity, action.status,
    action.opened_on, action.due_on, action.plan_due_on, action.escalation_level, action.evidence
from playbooks.actions as action
inner join hub_account on action.account_id = hub_account.account_id
left join playbooks.rules as rules on action.rule_id = rules.rule_id
left join playbooks.playbooks as playbook on action.playbook_id = playbook.playbook_id
where action.closed_on is null and action.opened_on <= $as_of
order by
    action.account_id,
    case action.severity
        when 'critical' then 0 when 'high' then 1 when 'medium' then 2 else 3
    end,
    action.due_on, action.action_id
"""

_SIGNALS = """
select
    signal.account_id, signal.signal, signal.cause, signal.solution_area, signal.occurred_on
from playbooks.signals as signal
inner join hub_account on signal.account_id = hub_account.account_id
where
    signal.occurred_on between $signals_since and $as_of
    and signal.account_id in (select account_id from hub_due_call)
order by
    signal.account_id, signal.occurred_on desc, signal.signal, signal.cause, signal.scope,
    signal.signal_id
"""

_TICKETS = """
select
    ticket.account_id, ticket.ticket_id, ticket.severity,
    cast(ticket.opened_at as date) as opened_on,
    coalesce(cast(ticket.escalated_at as date) <= $as_of, false) as is_escalated
from staging.stg_support__tickets as ticket
where
    ticket.account_id in (select account_id from hub_due_call)
    and cast(ticket.opened_at as date) <= $as_of
    and (ticket.resolved_at is null or cast(ticket.resolved_at as date) > $as_of)
    and (ticket.removed_on is null or ticket.removed_on > $as_of)
order by
    ticket.account_id,
    case ticket.severity
        when 'critical' then 0 when 'high' then 1 when 'medium' then 2 else 3
    end,
    ticket.opened_at, ticket.ticket_id
"""

_USAGE = """
select measure.account_id, measure.measure, measure.as_of_date, measure.value
from marts.fct_health_measure_daily as measure
inner join policy.health_measures as defined on measure.measure = defined.measure
where
    measure.component = 'adoption' and list_contains($weeks::date[], measure.as_of_date)
    and measure.value is not null
    and measure.account_id in (select account_id from hub_due_call)
order by
    measure.account_id, defined.measure_order, measure.measure, measure.as_of_date
"""

_USAGE_AREAS = """
select
    usage.account_id, usage.solution_area, area.area_name, usage.active_users_28d,
    usage.active_days_28d, usage.features_used_28d, usage.usage_count_28d,
    usage.usage_count_prev_28d, usage.last_used_on
from intermediate.int_usage__area_daily as usage
left join policy.solution_areas as area on usage.solution_area = area.solution_area
where
    usage.as_of_date = $as_of and usage.account_id in (select account_id from hub_due_call)
order by usage.account_id, area.area_order, usage.solution_area
"""

_LAST_CALLS = """
select
    touch.account_id, touch.call_type, touch.held_on, touch.attended_count,
    touch.expected_attendee_count, touch.is_executive_present, touch.sentiment
from staging.stg_crm__touchpoints as touch
where
    touch.held_on <= $as_of and (touch.removed_on is null or touch.removed_on > $as_of)
    and touch.account_id in (select account_id from hub_due_call)
qualify row_number() over (
    partition by touch.account_id, touch.call_type order by touch.held_on desc, touch.touchpoint_id
) = 1
order by touch.account_id, touch.held_on desc, touch.call_type
"""

_TRIAGES = """
with

events as (
    select
        event.action_id,
        list(
            {
                'event_number': event.event_number,
                'event': event.event,
                'occurred_on': event.occurred_on,
                'detail': event.detail
            }
            order by event.event_number
        ) as events
    from playbooks.action_events as event
    semi join playbooks.actions as action
        on
            event.action_id = action.action_id
            and list_contains($playbooks::varchar[], action.playbook_id)
    where event.occurred_on <= $as_of
    group by event.action_id
)

select
    action.account_id, action.action_id, action.playbook_id, rules.why, action.owner_role,
    action.owner, action.severity, action.status, action.close_reason, action.outcome,
    action.intervention, action.opened_on, action.due_on, action.plan_due_on, action.started_on,
    action.closed_on, action.objective_due_on, action.objective_met_on, action.objective_status,
    action.evidence, events.events
from playbooks.actions as action
inner join hub_account on action.account_id = hub_account.account_id
left join playbooks.rules as rules on action.rule_id = rules.rule_id
left join events on action.action_id = events.action_id
where
    list_contains($playbooks::varchar[], action.playbook_id) and action.opened_on <= $as_of
    and action.close_reason is distinct from 'restated'
order by action.account_id, action.opened_on, action.action_id
"""

_AGENDAS = """
select call_type, block_name, minutes from policy.call_agenda_blocks
order by call_type, block_order
"""

_REQUIRED_ROLES = """
select call_type, role from policy.call_required_roles order by call_type, role_order, role
"""

# In the order in which they are made: what speaks of calls asks which calls are due.
_SUBJECTS = {
    "accounts": _ACCOUNTS,
    "due_call": _DUE_CALLS,
    "areas": _AREAS,
    "criteria": _CRITERIA,
    "transitions": _TRANSITIONS,
    "blockers": _BLOCKERS,
    "objectives": _OBJECTIVES,
    "measurements": _MEASUREMENTS,
    "health": _HEALTH,
    "measures": _MEASURES,
    "moves": _MOVES,
    "history": _HISTORY,
    "zone_moves": _ZONE_MOVES,
    "cadence": _CADENCE,
    "slots": _SLOTS,
    "contacts": _CONTACTS,
    "risks": _RISKS,
    "opportunities": _OPPORTUNITIES,
    "actions": _ACTIONS,
    "signals": _SIGNALS,
    "tickets": _TICKETS,
    "usage": _USAGE,
    "usage_areas": _USAGE_AREAS,
    "last_calls": _LAST_CALLS,
    "triages": _TRIAGES,
}
