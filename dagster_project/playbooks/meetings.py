"""What was promised in calls, kept as actions with the source `meeting`.

A note carries action items; each is one action from the day of its call until it is ticked, until
feedback says it is done or dropped, or until the account leaves. Actions are told as of the run's
last day, from the notes as they read now, so every run writes them anew; one whose item is gone
from the notes is closed as `restated`, since an agent may have seen it.

Belongs here: action items to actions and events. Does not belong here: reading notes (`infohub`),
and the work that rules open (`episodes`, `actions`).
"""

from __future__ import annotations

from datetime import date

import duckdb

from dagster_project.playbooks.spans import day
from dagster_project.playbooks.tables import (
    ACTION_EVENTS,
    ACTIONS,
    FEEDBACK_REJECTS,
    close_restated,
    create_playbook_tables,
)

MEETING = "meeting"
_NOTES_ROLE = "meeting_notes"
_OWNED_ROLES = ("ca", "sa", "ae", "ve", "governance")
_FAR = "date '9999-12-31'"


def write_meeting_actions(con: duckdb.DuckDBPyConnection, as_of_date: date) -> dict[str, int]:
    """Write the actions of meetings up to `as_of_date`, after those of the playbooks.

    Reads `staging.stg_infohub__note_actions`, the feedback, `marts.dim_account` and the policy of
    notes. All or nothing. Returns counts: open and done actions of meetings, and restated ones.
    """
    today = day(as_of_date)
    create_playbook_tables(con)
    con.execute("begin transaction")
    try:
        _collect_items(con, today)
        restated = _restate(con, today)
        _write_actions(con)
        _write_events(con)
        _write_rejects(con, today)
        counts = con.execute(
            "select count(*) filter (where closed_on is null),"
            " count(*) filter (where close_reason = 'completed') from meeting_items"
        ).fetchall()[0]
        con.execute("commit")
    except BaseException:
        con.execute("rollback")
        raise
    return {"open": int(counts[0]), "done": int(counts[1]), "restated": restated}


def _collect_items(con: duckdb.DuckDBPyConnection, today: str) -> None:
    """Temp table `meeting_items`: every item with its owner's role and how it ended by today."""
    people = " ".join(
        f"when lower(items.owner) in (lower(accounts.owner_{role}), '{role}') then '{role}'"
        for role in _OWNED_ROLES
    )
    persons = " ".join(f"when '{role}' then owner_{role}" for role in _OWNED_ROLES)
    con.execute(
        f"""
        create or replace temp table meeting_feedback as
        select action_id, event, coalesce(step_id, '') as step_id, occurred_on, reason, outcome,
            actor
        from staging.stg_crm__playbook_runs
        where occurred_on <= {today} and (removed_on is null or removed_on > {today})
        """
    )
    con.execute(
        f"""
        create or replace temp table meeting_items as
        with owned as (
            select items.*,
                -- Who promised it may be ours, named or by role; a customer's promise is followed
                -- up by who reads the notes.
                case {people} else '{_NOTES_ROLE}' end as owner_role,
                least(coalesce(accounts.churned_on, {_FAR}), coalesce(accounts.removed_on, {_FAR}))
                    as left_on,
                accounts.owner_ca, accounts.owner_sa, accounts.owner_ae, accounts.owner_ve,
                accounts.owner_governance
            from staging.stg_infohub__note_actions as items
            inner join marts.dim_account as accounts on items.account_id = accounts.account_id
            where items.opened_on <= {today}
        ),
        reported as (
            select owned.action_item_id,
                min(feedback.occurred_on) filter (where feedback.event = 'completed')
                    as completed_on,
                min(feedback.occurred_on) filter (where feedback.event = 'cancelled')
                    as cancelled_on,
                min(feedback.occurred_on) as started_on
            from owned
            inner join meeting_feedback as feedback
                on owned.action_item_id = feedback.action_id
                and feedback.occurred_on >= owned.opened_on
            group by owned.action_item_id
        ),
        ends as (
            select owned.action_item_id, least(owned.done_on, reported.completed_on) as done_on,
                reported.cancelled_on, owned.left_on
            from owned
            left join reported on owned.action_item_id = reported.action_item_id
        ),
        closed as (
            select action_item_id, least(done_on, cancelled_on, left_on) as closed_on,
                case least(done_on, cancelled_on, left_on)
                    when done_on then 'completed' when cancelled_on then 'cancelled'
                    else 'churned' end as close_reason
            from ends
        )
        select owned.action_item_id as action_id, owned.account_id, owned.note_id,
            owned.call_type, owned.item_text as title, owned.owner_role,
            case when owned.owner_role = '{_NOTES_ROLE}' then owned.owner
                else case owned.owner_role {persons} end end as owner,
            policy.action_severity as severity, owned.opened_on,
            coalesce(owned.due_on, owned.opened_on + policy.action_due_days) as due_on,
            case when closed.closed_on <= {today} then closed.closed_on end as closed_on,
            case when closed.closed_on <= {today} then closed.close_reason end as close_reason,
            case when reported.started_on <= closed.closed_on then reported.started_on end
                as started_on
        from owned
        inner join closed on owned.action_item_id = closed.action_item_id
        left join reported on owned.action_item_id = reported.action_item_id
        cross join policy.note_policy as policy
        where owned.opened_on < owned.left_on
        """
    )


def _restate(con: duckdb.DuckDBPyConnection, today: str) -> int:
    """Close what an earlier run told and the notes no longer carry; how many."""
    con.execute(
        f"""
        create or replace temp table gone_items as
        select action_id from {ACTIONS.name}
        where source = '{MEETING}' and opened_on <= {today}
            and close_reason is distinct from 'restated'
            and action_id not in (select action_id from meeting_items)
        """
    )
    return close_restated(con, "gone_items", "the notes no longer carry it", today)


def _write_actions(con: duckdb.DuckDBPyConnection) -> None:
    con.execute(
        f"""
        delete from {ACTION_EVENTS.name} where action_id in (select action_id from meeting_items)
        """
    )
    con.execute(
        f"delete from {ACTIONS.name} where action_id in (select action_id from meeting_items)"
    )
    columns = {
        "action_id": "items.action_id",
        "source": f"'{MEETING}'",
        "title": "items.title",
        "account_id": "items.account_id",
        "scope": "'note:' || items.note_id",
        "owner_role": "items.owner_role",
        "owner": "items.owner",
        "severity": "items.severity",
        "status": "case when items.close_reason in ('completed', 'cancelled')"
        " then items.close_reason when items.closed_on is not null then 'closed'"
        " when items.started_on is not null then 'in_progress' else 'open' end",
        "close_reason": "items.close_reason",
        "cancel_reason": "case when items.close_reason = 'cancelled' then told.reason end",
        "outcome": "case when items.close_reason = 'completed' then told.outcome end",
        "escalation_level": "0",
        "reraised_count": "0",
        "steps_done_count": "0",
        "is_unassigned": "items.owner is null",
        "opened_on": "items.opened_on",
        "due_on": "items.due_on",
        "plan_due_on": "items.due_on",
        "started_on": "items.started_on",
        "closed_on": "items.closed_on",
        "evidence": "cast(to_json(struct_pack(note_id := items.note_id,"
        " call_type := items.call_type, held_on := items.opened_on)) as varchar)",
    }
    con.execute(
        f"""
        insert into {ACTIONS.name} ({", ".join(columns)})
        with told as (
            select action_id,
                min(reason) filter (where event = 'cancelled') as reason,
                min(outcome) filter (where event = 'completed') as outcome
            from meeting_feedback group by action_id
        )
        select {", ".join(columns.values())}
        from meeting_items as items
        left join told on items.action_id = told.action_id
        order by items.opened_on, items.action_id
        """
    )


def _write_events(con: duckdb.DuckDBPyConnection) -> None:
    con.execute(
        f"""
        insert into {ACTION_EVENTS.name} ({ACTION_EVENTS.column_names})
        with stories as (
            select action_id, 'opened' as event, 0 as place, opened_on as occurred_on,
                cast(to_json(struct_pack(
                    note := note_id, severity := severity, owner_role := owner_role,
                    owner := owner, due_on := due_on
                )) as varchar) as detail
            from meeting_items
            union all
            select items.action_id, feedback.event, 1, feedback.occurred_on,
                cast(to_json(struct_pack(actor := feedback.actor)) as varchar)
            from meeting_items as items
            inner join meeting_feedback as feedback on items.action_id = feedback.action_id
            where feedback.event = 'started' and feedback.occurred_on >= items.opened_on
                and feedback.occurred_on <= coalesce(items.closed_on, {_FAR})
            union all
            select action_id,
                case when close_reason in ('completed', 'cancelled') then close_reason
                    else 'closed' end,
                2, closed_on,
                cast(to_json(struct_pack(close_reason := close_reason)) as varchar)
            from meeting_items
            where closed_on is not null
        ),
        told as (select distinct * from stories)
        select action_id, cast(row_number() over (
                partition by action_id order by occurred_on, place, event, detail
            ) as integer), event, occurred_on, detail
        from told
        order by all
        """
    )


def _write_rejects(con: duckdb.DuckDBPyConnection, today: str) -> None:
    """Judge the feedback on meetings' actions, which the playbooks do not know."""
    con.execute(
        f"""
        delete from {FEEDBACK_REJECTS.name} where action_id in (select action_id from meeting_items)
        """
    )
    con.execute(
        f"""
        insert into {FEEDBACK_REJECTS.name} ({FEEDBACK_REJECTS.column_names})
        with judged as (
            select feedback.action_id, feedback.event, feedback.step_id, feedback.occurred_on,
                case
                    when feedback.occurred_on < items.opened_on
                        then 'before the action opened on ' || items.opened_on
                    when feedback.occurred_on > items.closed_on
                        then 'after the action closed on ' || items.closed_on
                    when feedback.event = 'step_done' then 'an action of a meeting has no steps'
                end as message
            from meeting_feedback as feedback
            inner join meeting_items as items on feedback.action_id = items.action_id
            where feedback.occurred_on <= {today}
        )
        select distinct action_id, event, step_id, occurred_on, message from judged
        where message is not null
        order by all
        """
    )
