"""The views analysts ask for first, put into the published file with a comment on every column.

They are comfort over the public tables, so they belong to the publication and not to the models:
their SQL may be DuckDB's own. Each is written for a day (an SQL expression), which is the published
day in the views; the report asks the same SQL about any day, so a number is defined once.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import duckdb

# How far ahead a week of work looks.
WEEK_DAYS = 7


# What moved the score: the view that readers ask, and where a publication keeps its day of it.
LEDGER_VIEW = "marts.fct_health_change"
LEDGER = "pipeline.health_ledger"


@dataclass(frozen=True)
class View:
    """A published view: its query, what it is, and what each of its columns means, in order."""

    name: str
    sql: str
    description: str
    columns: Mapping[str, str]
    reads: tuple[str, ...]
    defined_in: str = "dagster_project/warehouse/views.py"


def analyst_views(con: duckdb.DuckDBPyConnection) -> tuple[View, ...]:
    """The views over the published day; `con` stands on the published file while it is built.

    The day stands in them as a literal, so that a scan reads that day's rows and no others.
    """
    (day,) = con.execute("select as_of_date from pipeline.publication").fetchall()[0]
    published_day = f"date '{day}'"
    names = components(con)
    return (
        View(
            "marts.account_overview",
            account_overview(published_day, names),
            "One row per account that is a customer on the published day: who it is, its health, "
            "stages, calls, open work and renewal, side by side.",
            {
                **_OVERVIEW,
                **{
                    f"{name}_score": f"Score of the component {name} (0-100); null when it is not "
                    "scored, see marts.fct_account_health_daily for why."
                    for name in names
                },
            },
            (
                "marts.fct_account_health_daily",
                "marts.fct_stage_daily",
                "marts.fct_cadence_daily",
                "marts.dim_account",
                "playbooks.actions",
                "policy.stages",
            ),
        ),
        View(
            "marts.my_week",
            week(published_day),
            "One row per piece of work due within 7 days of the published day or overdue, with the "
            "person who holds it: open actions, calls due, renewals. Filter on owner.",
            _WEEK,
            (
                "marts.fct_account_health_daily",
                "marts.fct_cadence_daily",
                "marts.dim_account",
                "playbooks.actions",
                "playbooks.playbooks",
                "policy.call_types",
            ),
        ),
        View(
            "marts.why_changed",
            why_changed(published_day, look_backs(con)),
            "One row per account, look-back (1, 7, 30 and 90 days) and cause: what moved the score "
            "until the published day. The points of one account and look-back add up to the move.",
            _WHY,
            (
                "marts.fct_health_change",
                "marts.fct_health_measure_daily",
                "marts.fct_account_health_daily",
                "marts.dim_account",
            ),
        ),
    )


def components(con: duckdb.DuckDBPyConnection) -> tuple[str, ...]:
    """The components of the score, in the order of the health table's columns."""
    columns = [
        str(name)
        for (name,) in con.execute(
            "select column_name from duckdb_columns() where database_name = current_catalog() "
            "and schema_name = 'marts' and table_name = 'fct_account_health_daily' "
            "order by column_index"
        ).fetchall()
    ]
    return tuple(
        name.removesuffix("_weight")
        for name in columns
        if name.endswith("_weight") and f"{name.removesuffix('_weight')}_score" in columns
    )


def account_overview(day: str, component_names: tuple[str, ...]) -> str:
    """The query of `account_overview` for the day that the SQL expression `day` gives."""
    scores = "".join(f"    health.{name}_score,\n" for name in component_names)
    # The component that costs the most points; of equals the first in order.
    lost = ", ".join(
        f"{{'lost': health.{name}_weight * (100 - health.{name}_score), "
        f"'position': -{position}, 'component': '{name}'}}"
        for position, name in enumerate(component_names)
    )
    return f"""
with
stages as (
    select
        account_id,
        count(*) as solution_area_count,
        count(*) filter (where is_stalled) as stalled_area_count,
        count(*) filter (where is_regressed) as regressed_area_count,
        min_by(stage, stage_rank) as lowest_stage,
        max_by(stage, stage_rank) as highest_stage,
        floor(avg(stage_rank))::integer as mean_stage_rank
    from marts.fct_stage_daily
    where as_of_date = {day}
    group by account_id
),
calls as (
    select
        account_id,
        sum(met_count) / nullif(sum(met_count + missed_count), 0) as cadence_adherence_ratio,
        max(consecutive_missed_count) as consecutive_missed_count,
        min_by(call_type, (next_due_on, call_type)) as next_call_type,
        min(next_due_on) as next_call_due_on
    from marts.fct_cadence_daily
    where as_of_date = {day}
    group by account_id
),
work as (
    select
        account_id,
        count(*) as open_action_count,
        count(*) filter (where is_overdue) as overdue_action_count
    from ({open_actions(day)}) as open_actions
    group by account_id
),
health as (
    select
        *,
        list_max([unit for unit in [{lost}] if unit.lost is not null]) as costliest
    from marts.fct_account_health_daily as health
    where as_of_date = {day}
)
select
    health.account_id,
    accounts.account_name,
    health.tier,
    health.segment,
    health.region,
    accounts.industry,
    health.owner_ca,
    accounts.owner_sa,
    accounts.owner_ae,
    accounts.owner_ve,
    accounts.owner_governance,
    health.arr_usd,
    coalesce(health.health_zone, 'unscored') as health_zone,
    health.health_score,
    health.score_change_30d,
    health.coverage_ratio,
    health.score_status,
    health.unscored_reason,
    case when health.health_score is not null then health.costliest.component end
        as costliest_component,
    case when health.health_score is not null then health.costliest.lost end
        as costliest_component_points,
{scores}    health.override_reason,
    mean_stages.stage as mean_stage,
    stages.lowest_stage,
    stages.highest_stage,
    coalesce(stages.solution_area_count, 0)::integer as solution_area_count,
    coalesce(stages.stalled_area_count, 0)::integer as stalled_area_count,
    coalesce(stages.regressed_area_count, 0)::integer as regressed_area_count,
    calls.cadence_adherence_ratio,
    calls.consecutive_missed_count,
    calls.next_call_type,
    calls.next_call_due_on,
    coalesce(work.open_action_count, 0)::integer as open_action_count,
    coalesce(work.overdue_action_count, 0)::integer as overdue_action_count,
    accounts.customer_since_on,
    health.as_of_date + health.days_to_renewal as next_renewal_on,
    health.days_to_renewal,
    health.as_of_date
from health
left join marts.dim_account as accounts on accounts.account_id = health.account_id
left join stages on stages.account_id = health.account_id
left join policy.stages as mean_stages on mean_stages.stage_rank = stages.mean_stage_rank
left join calls on calls.account_id = health.account_id
left join work on work.account_id = health.account_id
order by health.account_id
"""


def open_actions(day: str) -> str:
    """The actions open on a day, as they stood then, and whether each is overdue.

    Overdue is an action not started by its due date, or started and not done by the plan's.
    """
    return f"""
select
    *,
    case
        when started_on is null or started_on > {day} then due_on < {day}
        else coalesce(plan_due_on < {day}, false)
    end as is_overdue
from playbooks.actions
where opened_on <= {day} and (closed_on is null or closed_on > {day})
"""


def week(day: str) -> str:
    """The query of `my_week` for the day that the SQL expression `day` gives."""
    return f"""
with
actions as (
    select
        open_actions.owner,
        open_actions.owner_role,
        'action' as kind,
        open_actions.account_id,
        coalesce(playbooks.playbook_name, open_actions.playbook_id, open_actions.title) as what,
        open_actions.solution_area,
        open_actions.severity,
        case
            when open_actions.started_on is null or open_actions.started_on > {day}
                then open_actions.due_on
            else coalesce(open_actions.plan_due_on, open_actions.due_on)
        end as due_on,
        open_actions.is_overdue,
        open_actions.action_id as reference
    from ({open_actions(day)}) as open_actions
    left join playbooks.playbooks on playbooks.playbook_id = open_actions.playbook_id
),
calls as (
    select
        health.owner_ca as owner,
        'ca' as owner_role,
        'call' as kind,
        calls.account_id,
        coalesce(call_types.call_name, calls.call_type) as what,
        null as solution_area,
        null as severity,
        calls.next_due_on as due_on,
        calls.next_due_on < {day} as is_overdue,
        calls.call_type as reference
    from marts.fct_cadence_daily as calls
    inner join marts.fct_account_health_daily as health
        on health.account_id = calls.account_id and health.as_of_date = calls.as_of_date
    left join policy.call_types on call_types.call_type = calls.call_type
    where calls.as_of_date = {day} and calls.next_due_on is not null
),
renewals as (
    select
        coalesce(accounts.owner_ae, health.owner_ca) as owner,
        case when accounts.owner_ae is not null then 'ae' else 'ca' end as owner_role,
        'renewal' as kind,
        health.account_id,
        'Renewal' as what,
        null as solution_area,
        null as severity,
        health.as_of_date + health.days_to_renewal as due_on,
        false as is_overdue,
        health.account_id as reference
    from marts.fct_account_health_daily as health
    left join marts.dim_account as accounts on accounts.account_id = health.account_id
    where health.as_of_date = {day} and health.days_to_renewal >= 0
),
work as (
    from actions
    union all from calls
    union all from renewals
)
select
    work.owner,
    work.owner_role,
    work.kind,
    work.account_id,
    accounts.account_name,
    work.what,
    work.solution_area,
    work.severity,
    work.reference,
    health.arr_usd,
    coalesce(health.health_zone, 'unscored') as health_zone,
    work.due_on,
    date_diff('day', {day}, work.due_on)::integer as days_left,
    work.is_overdue
from work
left join marts.dim_account as accounts on accounts.account_id = work.account_id
left join marts.fct_account_health_daily as health
    on health.account_id = work.account_id and health.as_of_date = {day}
where work.is_overdue or work.due_on <= {day} + {WEEK_DAYS}
order by
    work.owner, work.owner_role, work.due_on, work.kind, work.account_id, work.what, work.reference
"""


def look_backs(con: duckdb.DuckDBPyConnection) -> tuple[int, ...]:
    """How many days back the change of a score is explained: policy."""
    return tuple(
        int(days)
        for (days,) in con.execute(
            "select compared_days from policy.health_change_lags order by all"
        ).fetchall()
    )


def why_changed(day: str, compared_days: tuple[int, ...]) -> str:
    """The query of `why_changed` for the day that the SQL expression `day` gives."""
    days = ", ".join([day, *(f"{day} - {back}" for back in compared_days)])
    return f"""
with
ledger as (
    select account_id, compared_to_date, as_of_date, cause_kind, cause, points
    from marts.fct_health_change
    where as_of_date = {day}
),
measures as (
    select account_id, as_of_date, measure, component, value, status
    from marts.fct_health_measure_daily
    where as_of_date in ({days})
)
select
    ledger.account_id,
    accounts.account_name,
    date_diff('day', ledger.compared_to_date, ledger.as_of_date)::integer as compared_days,
    ledger.cause_kind,
    coalesce(now_measured.component, before_measured.component) as component,
    ledger.cause,
    ledger.points,
    before_measured.value as value_before,
    now_measured.value as value_now,
    before_measured.status as status_before,
    now_measured.status as status_now,
    before_health.health_score as score_before,
    now_health.health_score as score_now,
    ledger.compared_to_date,
    ledger.as_of_date
from ledger
left join marts.dim_account as accounts on accounts.account_id = ledger.account_id
left join measures as before_measured
    on
        before_measured.account_id = ledger.account_id
        and before_measured.measure = ledger.cause
        and before_measured.as_of_date = ledger.compared_to_date
left join measures as now_measured
    on
        now_measured.account_id = ledger.account_id
        and now_measured.measure = ledger.cause
        and now_measured.as_of_date = ledger.as_of_date
left join marts.fct_account_health_daily as before_health
    on
        before_health.account_id = ledger.account_id
        and before_health.as_of_date = ledger.compared_to_date
        and before_health.as_of_date in ({days})
left join marts.fct_account_health_daily as now_health
    on
        now_health.account_id = ledger.account_id
        and now_health.as_of_date = {day}
order by
    ledger.account_id, compared_days, abs(ledger.points) desc, ledger.cause_kind, ledger.cause
"""


_OVERVIEW = {
    "account_id": "Account (text, key).",
    "account_name": "Name (text).",
    "tier": "Tier on the day (text).",
    "segment": "Segment on the day (text).",
    "region": "Region on the day (text).",
    "industry": "Industry (text).",
    "owner_ca": "Customer architect on the day (text).",
    "owner_sa": "Solution architect (text).",
    "owner_ae": "Account executive (text).",
    "owner_ve": "Value engineer (text).",
    "owner_governance": "Person of governance (text).",
    "arr_usd": "Annual recurring revenue on the day (USD).",
    "health_zone": "green, yellow, orange, red, or unscored (text).",
    "health_score": "Score in force, overrides included (0-100); null when unscored.",
    "score_change_30d": "Score now less the score 30 days ago (points).",
    "coverage_ratio": "Share of the original weight that was scored (0-1).",
    "score_status": "scored or unscored (text).",
    "unscored_reason": "Why most of the missing weight is missing (text; null when scored).",
    "costliest_component": "Component that costs the score most points (text; null when unscored).",
    "costliest_component_points": "How many points of the score it costs (0-100).",
    "override_reason": "Why a person set the score or the zone (text; null when nobody did).",
    "mean_stage": "Mean stage over the account's solution areas, rounded down (text).",
    "lowest_stage": "Stage of the solution area that is least far (text).",
    "highest_stage": "Stage of the solution area that is farthest (text).",
    "solution_area_count": "Active solution areas.",
    "stalled_area_count": "Solution areas that stand too long in a stage below the last.",
    "regressed_area_count": "Solution areas that fell back and have not recovered.",
    "cadence_adherence_ratio": "Call slots met of those closed in their windows, all types (0-1).",
    "consecutive_missed_count": "Longest run of slots missed up to the day, over the call types.",
    "next_call_type": "Call type that is due next (text).",
    "next_call_due_on": "When it is due (date).",
    "open_action_count": "Actions open on the day.",
    "overdue_action_count": "Of these, not started by their due date or not done by the plan's.",
    "customer_since_on": "First day as a customer (date).",
    "next_renewal_on": "Next renewal (date; null when none is known).",
    "days_to_renewal": "Days until then.",
    "as_of_date": "The published day (date).",
}
_WEEK = {
    "owner": "Person who holds the work (text; null when nobody does).",
    "owner_role": "Role that holds it: ca, sa, ae, ve, governance (text).",
    "kind": "action, call or renewal (text).",
    "account_id": "Account (text).",
    "account_name": "Name of the account (text).",
    "what": "Playbook or call, in words (text).",
    "solution_area": "Solution area; null when it is about none (text).",
    "severity": "Severity of an action: low, medium, high or critical (text).",
    "reference": "Action, call type or account it stands for (text).",
    "arr_usd": "Annual recurring revenue of the account (USD).",
    "health_zone": "Zone of the account, or unscored (text).",
    "due_on": "When it is due (date).",
    "days_left": "Days until then; negative when it has passed.",
    "is_overdue": "Whether it is late.",
}
_WHY = {
    "account_id": "Account (text).",
    "account_name": "Name of the account (text).",
    "compared_days": "Days looked back: 1, 7, 30 or 90.",
    "cause_kind": "behaviour, coverage, config or override (text).",
    "component": "Component of the measure; null when the cause is no measure (text).",
    "cause": "Measure or other cause (text).",
    "points": "Points of the score it moved, up or down.",
    "value_before": "Value of the measure on the earlier day, in its unit.",
    "value_now": "Value of the measure on the published day, in its unit.",
    "status_before": "State of the measure on the earlier day (text).",
    "status_now": "State of the measure on the published day (text).",
    "score_before": "Score of the account on the earlier day (0-100).",
    "score_now": "Score of the account on the published day (0-100).",
    "compared_to_date": "The earlier day (date).",
    "as_of_date": "The published day (date).",
}
