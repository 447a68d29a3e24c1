"""Frames of one day, from the public tables: what report, dashboard and notebooks show.

Each function asks one question of a published (or about to be published) file and returns a
completely ordered Polars frame. What a number is was decided in dbt or in the published views;
here it is only selected, counted and added up.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta
from functools import cached_property

import duckdb
import polars as pl
from polars import selectors

from dagster_project.warehouse import views

TREND_DAYS = 180
CHANGE_DAYS = 30
MOVEMENT_DAYS = 90
RENEWAL_DAYS = 180
REVIEW_DAYS = 365
RISK_ZONES = ("orange", "red")


@dataclass(frozen=True)
class Snapshot:
    """An open published file and the day it is asked about."""

    con: duckdb.DuckDBPyConnection
    as_of: date

    def frame(self, query: str, **values: object) -> pl.DataFrame:
        """The rows of a query; `$as_of` is always there, money comes as floats (USD)."""
        given: dict[str, object] = {**values, "as_of": self.as_of}
        used = {name: value for name, value in given.items() if f"${name}" in query}
        found: pl.DataFrame = self.con.sql(query, params=used or None).pl()
        return found.with_columns(selectors.decimal().cast(pl.Float64))

    def components(self) -> tuple[str, ...]:
        """The components of the score, in their order."""
        return self._components

    @cached_property
    def _components(self) -> tuple[str, ...]:
        return views.components(self.con)

    def has_table(self, name: str) -> bool:
        """Whether the file holds a table `schema.table`."""
        schema, table = name.split(".")
        ((count,),) = self.con.execute(
            "select count(*) from duckdb_tables() where database_name = current_catalog() "
            "and schema_name = ? and table_name = ?",
            [schema, table],
        ).fetchall()
        return bool(count)


_DAY = "$as_of::date"


# Health ---------------------------------------------------------------------------------------


def accounts(snapshot: Snapshot) -> pl.DataFrame:
    """One row per account of the day, as in the view account_overview; worst scores first."""
    overview = views.account_overview(_DAY, snapshot.components())
    return snapshot.frame(
        f"select * from ({overview}) order by health_score nulls last, arr_usd desc nulls last, "
        "account_id"
    )


def component_states(snapshot: Snapshot) -> pl.DataFrame:
    """Per account and component of the day: score (0-100), status, effective weight (0-1)."""
    parts = " union all ".join(
        f"select account_id, '{name}' as component, {position} as position, "
        f"{name}_score as score, {name}_status as status, {name}_weight as weight "
        f"from marts.fct_account_health_daily where as_of_date = {_DAY}"
        for position, name in enumerate(snapshot.components(), start=1)
    )
    return snapshot.frame(f"{parts} order by account_id, position")


def zone_days(snapshot: Snapshot) -> pl.DataFrame:
    """Accounts and ARR (USD) per day and zone over the trend's days; unscored is a zone here."""
    return snapshot.frame(
        """
        select
            as_of_date,
            coalesce(health_zone, 'unscored') as health_zone,
            count(*) as account_count,
            coalesce(sum(arr_usd), 0) as arr_usd
        from marts.fct_account_health_daily
        where as_of_date > $as_of::date - $days::integer and as_of_date <= $as_of
        group by all order by all
        """,
        days=TREND_DAYS,
    )


def mean_scores(snapshot: Snapshot) -> pl.DataFrame:
    """Per day of the trend: accounts, scored accounts, mean score (0-100), mean coverage (0-1)."""
    return snapshot.frame(
        """
        select
            as_of_date,
            count(*) as account_count,
            count(health_score) as scored_count,
            round(avg(health_score), 6) as mean_score,
            round(avg(coverage_ratio), 6) as mean_coverage,
            coalesce(sum(arr_usd), 0) as arr_usd
        from marts.fct_account_health_daily
        where as_of_date > $as_of::date - $days::integer and as_of_date <= $as_of
        group by all order by all
        """,
        days=TREND_DAYS,
    )


def score_history(snapshot: Snapshot, account_ids: list[str]) -> pl.DataFrame:
    """The score of the given accounts on each day of the trend (null while unscored)."""
    return snapshot.frame(
        """
        select account_id, as_of_date, health_score
        from marts.fct_account_health_daily
        where as_of_date > $as_of::date - $days::integer and as_of_date <= $as_of
            and list_contains($ids, account_id)
        order by all
        """,
        days=TREND_DAYS,
        ids=account_ids,
    )


def weekly_scores(snapshot: Snapshot) -> pl.DataFrame:
    """Per account its score each seventh day back from the day, oldest first, as a list."""
    return snapshot.frame(
        """
        select account_id, list(round(health_score, 1) order by as_of_date) as scores
        from marts.fct_account_health_daily
        where as_of_date > $as_of::date - $days::integer and as_of_date <= $as_of
            and ($as_of::date - as_of_date) % 7 = 0
            and account_id in (
                select account_id from marts.fct_account_health_daily where as_of_date = $as_of
            )
        group by all order by all
        """,
        days=TREND_DAYS,
    )


def measures(snapshot: Snapshot) -> pl.DataFrame:
    """Per account and measure of the day: value, score, status, weight and points it gives."""
    return snapshot.frame(
        """
        select
            facts.account_id, facts.component, facts.measure, facts.status, facts.value,
            facts.measure_score, facts.effective_weight, facts.contribution
        from marts.fct_health_measure_daily as facts
        left join policy.health_measures as measures on measures.measure = facts.measure
        where facts.as_of_date = $as_of
        order by facts.account_id, measures.measure_order nulls last, facts.measure
        """
    )


def measure_names(snapshot: Snapshot) -> pl.DataFrame:
    """What each measure is: component, unit, which values are better, description."""
    return snapshot.frame(
        "select measure, component, measure_order, better, unit, description "
        "from policy.health_measures order by measure_order, measure"
    )


def score_moves(snapshot: Snapshot, days: int = CHANGE_DAYS) -> pl.DataFrame:
    """Per account and cause the points that moved its score in the last `days` days.

    Columns account_id, cause_kind, cause, points; largest first within an account. The points of
    an account add up to its move.
    """
    compared = snapshot.as_of - timedelta(days=days)
    source = "marts.health_change($compared::date, $as_of::date)"
    if snapshot.has_table(views.LEDGER):
        # The published day's moves are stored; any other pair of days is computed.
        stored = f"from {views.LEDGER} where as_of_date = $as_of and compared_to_date = $compared"
        if snapshot.frame(f"select count(*) as n {stored}", compared=compared)["n"].item():
            source = f"({stored})"
    return snapshot.frame(
        f"select account_id, cause_kind, cause, points from {source} "
        # A score that began or ended moved by no number of points.
        "where points is not null "
        "order by account_id, abs(points) desc, cause_kind, cause",
        compared=compared,
    )


def zone_lines(snapshot: Snapshot) -> dict[str, float]:
    """From which score (0-100) each zone begins, best first, by the policy in force on the day."""
    found = snapshot.frame(
        """
        select health_zone, score_from
        from policy.health_zones
        where policy_set in (select policy_set from marts.dim_health_policy)
            and effective_from <= $as_of
        qualify
            effective_from = max(effective_from) over (partition by policy_set)
        order by zone_rank
        """
    )
    return {row["health_zone"]: row["score_from"] or 0.0 for row in found.iter_rows(named=True)}


def zone_moves(snapshot: Snapshot) -> pl.DataFrame:
    """Accounts and ARR that stand in another zone than 30 days ago, by from and to."""
    return snapshot.frame(
        """
        select
            coalesce(old.health_zone, 'unscored') as from_zone,
            coalesce(new.health_zone, 'unscored') as to_zone,
            count(*) as account_count,
            coalesce(sum(new.arr_usd), 0) as arr_usd
        from marts.fct_account_health_daily as new
        inner join marts.fct_account_health_daily as old
            on old.account_id = new.account_id
        where new.as_of_date = $as_of and old.as_of_date = $as_of::date - $days::integer
            and old.health_zone is distinct from new.health_zone
        group by all order by account_count desc, from_zone, to_zone
        """,
        days=CHANGE_DAYS,
    )


# Stages ---------------------------------------------------------------------------------------


def stage_names(snapshot: Snapshot) -> pl.DataFrame:
    """The stages in order, with what they mean."""
    return snapshot.frame(
        "select stage, stage_rank, description from policy.stages order by stage_rank"
    )


def matrix(snapshot: Snapshot) -> pl.DataFrame:
    """Accounts and ARR of the day by solution area, stage and zone; only cells with accounts."""
    return snapshot.frame(
        """
        select solution_area, stage, health_zone, account_count, arr_usd
        from metrics.mtr_maturity_health_matrix
        where as_of_date = $as_of and account_count > 0
        order by all
        """
    )


def stage_counts(snapshot: Snapshot) -> pl.DataFrame:
    """Accounts per solution area and stage on the day."""
    return snapshot.frame(
        """
        select solution_area, stage, stage_rank, count(*) as account_count
        from marts.fct_stage_daily
        where as_of_date = $as_of
        group by all order by all
        """
    )


def account_stages(snapshot: Snapshot) -> pl.DataFrame:
    """Per account and solution area of the day: stage, age, readiness for the next, flags."""
    return snapshot.frame(
        """
        select
            account_id, solution_area, stage, stage_age_days, readiness_ratio, next_stage,
            is_stalled, is_regressed
        from marts.fct_stage_daily
        where as_of_date = $as_of
        order by account_id, solution_area
        """
    )


def stage_movements(snapshot: Snapshot) -> pl.DataFrame:
    """Per solution area: promotions and demotions of the last 90 days, stalled, regressed."""
    return snapshot.frame(
        """
        with
        areas as (
            select
                solution_area,
                count(*) as account_count,
                count(*) filter (where is_stalled) as stalled_count,
                count(*) filter (where is_regressed) as regressed_count,
                round(avg(readiness_ratio) filter (where next_stage is not null), 6)
                    as mean_readiness_ratio
            from marts.fct_stage_daily
            where as_of_date = $as_of
            group by solution_area
        ),
        moves as (
            select
                solution_area,
                count(*) filter (where kind = 'promotion') as promotion_count,
                count(*) filter (where kind = 'demotion') as demotion_count
            from marts.fct_stage_transition
            where occurred_on > $as_of::date - $days::integer and occurred_on <= $as_of
            group by solution_area
        )
        select
            areas.*,
            coalesce(moves.promotion_count, 0) as promotion_count,
            coalesce(moves.demotion_count, 0) as demotion_count
        from areas
        left join moves on moves.solution_area = areas.solution_area
        order by areas.solution_area
        """,
        days=MOVEMENT_DAYS,
    )


# Metrics --------------------------------------------------------------------------------------

_METRICS = " union all by name ".join(
    f"select * from metrics.{table}"
    for table in ("mtr_playbook_effectiveness", "mtr_stage_adoption", "mtr_engagement")
)


def metrics(snapshot: Snapshot) -> pl.DataFrame:
    """The metrics over all accounts with definition, target, status, sample and 30-day change."""
    return snapshot.frame(
        f"""
        with metrics as ({_METRICS})
        select
            definitions.metric_id, definitions.name, definitions.formula, definitions.unit,
            definitions.grain, definitions.window_days, definitions.target,
            definitions.is_target_inclusive, definitions.alert, definitions.direction,
            definitions.owner, coalesce(today.status, 'no_data') as status, today.value,
            today.numerator, today.denominator, today.sample_size, today.at_risk_count,
            today.excluded_count, coalesce(today.reason, definitions.no_data_reason) as reason,
            today.value - earlier.value as value_change
        from policy.metric_definitions as definitions
        left join metrics as today
            on
                today.metric_id = definitions.metric_id
                and today.as_of_date = $as_of
                and today.dimension = 'all'
        left join metrics as earlier
            on
                earlier.metric_id = definitions.metric_id
                and earlier.as_of_date = $as_of::date - $days::integer
                and earlier.dimension = 'all'
        order by definitions.metric_order, definitions.metric_id
        """,
        days=CHANGE_DAYS,
    )


def metric_days(snapshot: Snapshot) -> pl.DataFrame:
    """The value of each metric over all accounts on each day of the trend."""
    return snapshot.frame(
        f"""
        select metric_id, as_of_date, value
        from ({_METRICS})
        where dimension = 'all'
            and as_of_date > $as_of::date - $days::integer and as_of_date <= $as_of
        order by all
        """,
        days=TREND_DAYS,
    )


def metric_cuts(snapshot: Snapshot, metric_id: str, dimension: str) -> pl.DataFrame:
    """One metric of the day by the values of a dimension, largest samples first."""
    return snapshot.frame(
        f"""
        select
            dimension_value, unit, value, target, alert, status, numerator, denominator,
            sample_size, reason
        from ({_METRICS})
        where as_of_date = $as_of and metric_id = $metric and dimension = $dimension
        order by denominator desc, dimension_value
        """,
        metric=metric_id,
        dimension=dimension,
    )


def missed_reviews(snapshot: Snapshot) -> pl.DataFrame:
    """Current accounts with executive reviews missed in a year, largest ARR (USD) first."""
    return snapshot.frame(
        """
        select
            health.account_id, accounts.account_name, health.owner_ca, health.arr_usd,
            count(*) as missed_count, max(slots.due_on) as last_due_on
        from marts.fct_cadence_slot as slots
        inner join marts.fct_account_health_daily as health
            on health.account_id = slots.account_id and health.as_of_date = $as_of
        left join marts.dim_account as accounts on accounts.account_id = slots.account_id
        where slots.call_type = 'executive_review' and slots.status = 'missed'
            and slots.decided_on <= $as_of
            and slots.decided_on > $as_of::date - $days::integer
        group by all
        order by health.arr_usd desc nulls last, health.account_id
        """,
        days=REVIEW_DAYS,
    )


# Work -----------------------------------------------------------------------------------------


def playbooks(snapshot: Snapshot) -> pl.DataFrame:
    """Per playbook: opened in 30 days, open, overdue, escalated, and its effect as metrics.

    Effect: execution_rate, completion_rate, outcome_achievement (ratios, null without a sample)
    with `<metric>_status` and `<metric>_count` (the denominator).
    """
    effect = ", ".join(
        f"max(value) filter (where metric_id = '{metric}') as {metric}, "
        f"max(status) filter (where metric_id = '{metric}') as {metric}_status, "
        f"max(denominator) filter (where metric_id = '{metric}') as {metric}_count"
        for metric in ("execution_rate", "completion_rate", "outcome_achievement")
    )
    return snapshot.frame(
        f"""
        with
        open_actions as ({views.open_actions(_DAY)}),
        escalations as (
            select distinct action_id from playbooks.action_events
            where event = 'escalated' and occurred_on <= $as_of
        ),
        opened as (
            select playbook_id, count(*) as opened_count from playbooks.actions
            where opened_on > $as_of::date - $days::integer and opened_on <= $as_of
            group by playbook_id
        ),
        standing as (
            select
                playbook_id,
                count(*) as open_count,
                count(*) filter (where is_overdue) as overdue_count,
                count(escalations.action_id) as escalated_count
            from open_actions
            left join escalations on escalations.action_id = open_actions.action_id
            group by playbook_id
        ),
        effect as (
            select dimension_value as playbook_id, {effect}
            from metrics.mtr_playbook_effectiveness
            where as_of_date = $as_of and dimension = 'playbook'
            group by dimension_value
        )
        select
            playbooks.playbook_id, playbooks.playbook_name, playbooks.category,
            playbooks.owner_role,
            coalesce(opened.opened_count, 0) as opened_count,
            coalesce(standing.open_count, 0) as open_count,
            coalesce(standing.overdue_count, 0) as overdue_count,
            coalesce(standing.escalated_count, 0) as escalated_count,
            effect.* exclude (playbook_id)
        from playbooks.playbooks
        left join opened on opened.playbook_id = playbooks.playbook_id
        left join standing on standing.playbook_id = playbooks.playbook_id
        left join effect on effect.playbook_id = playbooks.playbook_id
        where playbooks.status <> 'retired' or opened.opened_count > 0 or standing.open_count > 0
        order by playbooks.playbook_id
        """,
        days=CHANGE_DAYS,
    )


def open_actions(snapshot: Snapshot) -> pl.DataFrame:
    """The actions open on the day, with the playbook's name; by account, due date and id."""
    return snapshot.frame(
        f"""
        select
            open_actions.account_id, open_actions.action_id, open_actions.playbook_id,
            coalesce(
                playbooks.playbook_name, open_actions.playbook_id, 'Promised in a call'
            ) as playbook_name,
            open_actions.solution_area, open_actions.severity, open_actions.owner_role,
            open_actions.owner, open_actions.opened_on, open_actions.due_on,
            open_actions.is_overdue
        from ({views.open_actions(_DAY)}) as open_actions
        left join playbooks.playbooks on playbooks.playbook_id = open_actions.playbook_id
        order by open_actions.account_id, open_actions.due_on, open_actions.action_id
        """
    )


def work_of_the_week(snapshot: Snapshot) -> pl.DataFrame:
    """Actions, calls and renewals due within a week or overdue, as in the view my_week."""
    return snapshot.frame(views.week(_DAY))


def renewals(snapshot: Snapshot) -> pl.DataFrame:
    """Accounts and ARR that renew within 180 days, by the month of the renewal and zone."""
    return snapshot.frame(
        """
        select
            date_trunc('month', as_of_date + days_to_renewal)::date as renewal_month,
            coalesce(health_zone, 'unscored') as health_zone,
            count(*) as account_count,
            coalesce(sum(arr_usd), 0) as arr_usd
        from marts.fct_account_health_daily
        where as_of_date = $as_of and days_to_renewal between 0 and $days
        group by all order by all
        """,
        days=RENEWAL_DAYS,
    )


# Data quality ---------------------------------------------------------------------------------


def component_coverage(snapshot: Snapshot) -> pl.DataFrame:
    """Accounts of the day per component and status of the component."""
    parts = " union all ".join(
        f"select {position} as position, '{name}' as component, {name}_status as status "
        f"from marts.fct_account_health_daily where as_of_date = {_DAY}"
        for position, name in enumerate(snapshot.components(), start=1)
    )
    return snapshot.frame(
        f"select position, component, status, count(*) as account_count from ({parts}) "
        "group by all order by all"
    )


def sources(snapshot: Snapshot) -> pl.DataFrame:
    """Per source table: newest extract, its age, files, rows, rejected rows, refused files.

    `is_stale`: the newest accepted extract is older than the longest gap there ever was between
    two extracts of the table, so one was due.
    """
    return snapshot.frame(
        """
        with
        extracts as (
            select distinct source, table_name, extracted_on
            from pipeline.files
            where extracted_on <= $as_of and status = 'accepted'
        ),
        gaps as (
            select
                source, table_name, extracted_on,
                extracted_on - lag(extracted_on)
                    over (partition by source, table_name order by extracted_on) as gap_days
            from extracts
        ),
        rhythm as (
            select
                source, table_name, max(extracted_on) as newest_on,
                max(gap_days)::integer as longest_gap_days
            from gaps
            group by source, table_name
        )
        select
            files.source, files.table_name, rhythm.newest_on,
            ($as_of::date - rhythm.newest_on)::integer as age_days,
            rhythm.longest_gap_days,
            coalesce(
                rhythm.newest_on is null
                or $as_of::date - rhythm.newest_on > rhythm.longest_gap_days,
                false
            ) as is_stale,
            count(*) as file_count,
            coalesce(sum(files.row_count), 0)::bigint as row_count,
            coalesce(sum(files.rejected_count), 0)::bigint as rejected_count,
            count(*) filter (where files.status <> 'accepted') as refused_count
        from pipeline.files as files
        left join rhythm
            on rhythm.source = files.source and rhythm.table_name = files.table_name
        where files.extracted_on <= $as_of
        group by all order by files.source, files.table_name
        """
    )


def quality_flags(snapshot: Snapshot) -> pl.DataFrame:
    """What the checks of the source mapping counted, by source table and flag."""
    return snapshot.frame(
        """
        select
            source, table_name, flag, sum(row_count)::bigint as row_count,
            min(message) as message
        from pipeline.quality_flags
        where extracted_on <= $as_of
        group by all order by all
        """
    )


def restatements(snapshot: Snapshot) -> pl.DataFrame:
    """Days that a later run changed: by that run's day and table, first, last, days and rows."""
    return snapshot.frame(
        """
        select
            restated_by_as_of_date, table_name, count(distinct as_of_date) as day_count,
            min(as_of_date) as first_on, max(as_of_date) as last_on,
            sum(changed_row_count)::bigint as row_count
        from pipeline.restatements
        where restated_by_as_of_date <= $as_of
            and restated_by_as_of_date > $as_of::date - $days::integer
        group by all order by restated_by_as_of_date desc, table_name
        """,
        days=CHANGE_DAYS,
    )


def people(snapshot: Snapshot) -> pl.DataFrame:
    """Who holds which current account in which role: account_id, role, owner; ordered by owner."""
    roles = ("ca", "sa", "ae", "ve", "governance")
    parts = " union all ".join(
        f"select account_id, '{role}' as role, {position} as position, owner_{role} as owner "
        "from overview"
        for position, role in enumerate(roles)
    )
    overview = views.account_overview(_DAY, snapshot.components())
    return snapshot.frame(
        f"with overview as materialized ({overview}) "
        f"select account_id, role, owner from ({parts}) where owner is not null "
        "order by owner, position, account_id"
    )
