"""One account's past: how far its score moved, by what, and what happened around it.

Like `queries`, whose snapshot it asks: every function returns a completely ordered frame, and the
numbers are those of the published tables.
"""

from __future__ import annotations

from datetime import date

import polars as pl

from dagster_project.reporting.queries import Snapshot
from dagster_project.reporting.story import KINDS, account_story

#: Days of a score's line before the published day.
LINE_DAYS = 180


def moves(snapshot: Snapshot, days: int) -> pl.DataFrame:
    """Every account of the day with its move in `days` days, the largest fall first.

    Columns account_id, account_name, score_before, score_now (0-100), move (points), zone_before,
    zone_now, arr_usd. Without a score on either day an account has no move and stands at the end.
    """
    return snapshot.frame(
        """
        select
            now.account_id, coalesce(accounts.account_name, now.account_id) as account_name,
            before.health_score as score_before, now.health_score as score_now,
            now.health_score - before.health_score as move,
            coalesce(before.health_zone, 'unscored') as zone_before,
            coalesce(now.health_zone, 'unscored') as zone_now,
            now.arr_usd
        from marts.fct_account_health_daily as now
        left join marts.fct_account_health_daily as before
            on
                before.account_id = now.account_id
                and before.as_of_date = $as_of::date - $days::integer
        left join marts.dim_account as accounts on accounts.account_id = now.account_id
        where now.as_of_date = $as_of
        order by move nulls last, now.arr_usd desc nulls last, now.account_id
        """,
        days=days,
    )


def look_backs(snapshot: Snapshot) -> list[int]:
    """How many days back a change is explained, by policy."""
    return snapshot.frame(
        "select compared_days from policy.health_change_lags order by compared_days"
    )["compared_days"].to_list()


def score_line(snapshot: Snapshot, account_id: str) -> pl.DataFrame:
    """Score, zone and coverage of the account on each day of the line (null while unscored)."""
    return snapshot.frame(
        """
        select as_of_date, health_score, health_zone, coverage_ratio, override_reason
        from marts.fct_account_health_daily
        where account_id = $account
            and as_of_date > $as_of::date - $days::integer and as_of_date <= $as_of
        order by as_of_date
        """,
        account=account_id,
        days=LINE_DAYS,
    )


def ledger(snapshot: Snapshot, account_id: str, since: date) -> pl.DataFrame:
    """What moved the score from `since` to the day, in points; the points add up to the move.

    Columns cause_kind, cause, label (in words), points; the largest first. A score that began or
    ended is one cause without points.
    """
    return snapshot.frame(
        """
        select
            changes.cause_kind, changes.cause,
            case changes.cause_kind
                when 'config' then 'another policy'
                when 'override' then 'set by a person'
                else coalesce(measures.label, replace(changes.cause, '_', ' '))
            end || case changes.cause_kind when 'coverage' then ' (data came or went)' else '' end
                as label,
            changes.points
        from marts.health_change($since::date, $as_of::date) as changes
        left join policy.health_measures as measures on measures.measure = changes.cause
        where changes.account_id = $account
        order by abs(changes.points) desc nulls last, changes.cause_kind, changes.cause
        """,
        account=account_id,
        since=since,
    )


def measure_pairs(snapshot: Snapshot, account_id: str, since: date) -> pl.DataFrame:
    """Every measure of the account on both days: value, status, score, and the points it gives.

    In the order of the components and measures; a measure that one day's policy does not have is
    null on that day.
    """
    return snapshot.frame(
        """
        with
        facts as (
            select
                measure, component, as_of_date, value, status, measure_score, effective_weight,
                contribution
            from marts.fct_health_measure_daily
            where account_id = $account and as_of_date in ($since::date, $as_of::date)
        )
        select
            max(facts.component) as component, facts.measure,
            coalesce(max(measures.label), replace(facts.measure, '_', ' ')) as label,
            coalesce(max(measures.unit), '') as unit,
            max(facts.value) filter (where as_of_date = $since) as value_before,
            max(facts.value) filter (where as_of_date = $as_of) as value_now,
            max(facts.status) filter (where as_of_date = $since) as status_before,
            max(facts.status) filter (where as_of_date = $as_of) as status_now,
            max(facts.measure_score) filter (where as_of_date = $since) as score_before,
            max(facts.measure_score) filter (where as_of_date = $as_of) as score_now,
            max(facts.effective_weight) filter (where as_of_date = $as_of) as weight_now,
            max(facts.contribution) filter (where as_of_date = $as_of) as points_now
        from facts
        left join policy.health_measures as measures on measures.measure = facts.measure
        left join policy.health_components as components
            on components.component = facts.component
        group by facts.measure
        order by
            max(components.component_order) nulls last, max(measures.measure_order) nulls last,
            facts.measure
        """,
        account=account_id,
        since=since,
    )


def measure_lines(snapshot: Snapshot, account_id: str, names: list[str]) -> pl.DataFrame:
    """The values of some measures on each day of the line: measure, label, as_of_date, value."""
    return snapshot.frame(
        """
        select
            facts.measure,
            coalesce(measures.label, replace(facts.measure, '_', ' ')) as label,
            facts.as_of_date, facts.value
        from marts.fct_health_measure_daily as facts
        left join policy.health_measures as measures on measures.measure = facts.measure
        where facts.account_id = $account and list_contains($names::varchar[], facts.measure)
            and facts.as_of_date > $as_of::date - $days::integer and facts.as_of_date <= $as_of
        order by facts.measure, facts.as_of_date
        """,
        account=account_id,
        names=names,
        days=LINE_DAYS,
    )


def happenings(snapshot: Snapshot, account_id: str, since: date) -> pl.DataFrame:
    """The account's story from `since` to the day, in order of time, without the single steps.

    Columns occurred_on, kind (a title of `story.KINDS`), what.
    """
    told = [
        (
            row["occurred_on"],
            KINDS[row["kind"]],
            ": ".join(filter(None, (row["text"], row["more"]))),
        )
        for row in account_story(snapshot, account_id)
        if row["occurred_on"] >= since and row["kind"] != "step"
    ]
    return pl.DataFrame(
        told[::-1],
        schema={"occurred_on": pl.Date, "kind": pl.String, "what": pl.String},
        orient="row",
    )


def work(snapshot: Snapshot, account_id: str, since: date) -> pl.DataFrame:
    """Actions of the account open at some time from `since` to the day, by opening day and id."""
    return snapshot.frame(
        """
        select
            coalesce(playbooks.playbook_name, actions.title, actions.playbook_id) as playbook,
            actions.severity, actions.owner, actions.status, actions.opened_on, actions.due_on,
            actions.started_on, actions.closed_on, actions.close_reason
        from playbooks.actions
        left join playbooks.playbooks on playbooks.playbook_id = actions.playbook_id
        where actions.account_id = $account and actions.opened_on <= $as_of
            and (actions.closed_on is null or actions.closed_on >= $since)
        order by actions.opened_on, actions.action_id
        """,
        account=account_id,
        since=since,
    )
