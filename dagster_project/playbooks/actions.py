"""From decided episodes to the published tables: actions, their events, and the rules' states.

Belongs here: what follows from an episode's dates (people, status, severity, escalation, outcome).
Does not belong here: when an episode opens or closes (`episodes`).
"""

from __future__ import annotations

from datetime import date

import duckdb

from dagster_project.playbooks.episodes import held_out, merged, severity_rank, severity_word
from dagster_project.playbooks.spans import day
from dagster_project.playbooks.tables import (
    ACTION_EVENTS,
    ACTIONS,
    CONDITION_SPANS,
    FEEDBACK_REJECTS,
    RULE_STATES,
    SIGNALS,
    close_restated,
    replace_changed,
)

_FAR = "date '9999-12-31'"
# What `rule_states` says of matches in the control group of an experiment.
HELD_OUT = "held out"
_OWNED_ROLES = ("ca", "sa", "ae", "ve", "governance")


def write_actions(
    con: duckdb.DuckDBPyConnection, from_date: date, as_of_date: date
) -> dict[str, int]:
    """Write actions, events, feedback rejects, playbook signals and rule states of the run.

    Reads the temp tables of `episodes`. Returns counts: opened, closed, escalated, restated.
    """
    start, today = day(from_date), day(as_of_date)
    _collect_touched(con, start)
    _find_owners(con, today)
    _find_joins(con, today)
    _find_progress(con)
    _find_objectives(con, today)
    _build_events(con, today)
    restated = _mark_restated(con, start, today)
    _write_tables(con, today)
    _write_rejects(con, start, today)
    _write_signals(con, start)
    write_rule_states(con, start, today)
    return {**_counts(con, start, today), "restated": restated}


def _collect_touched(con: duckdb.DuckDBPyConnection, start: str) -> None:
    """Temp table `touched`: every action whose row or events this run may change."""
    con.execute(
        f"""
        create or replace temp table touched as
        select * from episodes
        union all
        select action_id, playbook_id, playbook_version, rule_id, rule_version, account_id, scope,
            solution_area, owner_role, opened_on, due_on, plan_due_on, evidence, closed_on,
            close_reason
        from {ACTIONS.name}
        where opened_on < {start} and closed_on < {start} and close_reason = 'completed'
            and objective_due_on + 1 >= {start}
        """
    )


def _find_owners(con: duckdb.DuckDBPyConnection, today: str) -> None:
    """Temp table `owner_spans`: who held which role of an account from when until when."""
    roles = " union all ".join(
        f"select account_id, '{role}' as role, owner_{role} as owner, valid_from_on,"
        " is_first_version from versions"
        for role in _OWNED_ROLES
    )
    con.execute(
        f"""
        create or replace temp table owner_spans as
        with versions as (
            select * from staging.stg_crm__account_versions
            where account_id in (select account_id from touched)
                and (valid_from_on <= {today} or is_first_version)
        ),
        by_role as ({roles}),
        dated as (
            select account_id, role, owner,
                -- Who the account had first reaches back to its start.
                case when is_first_version then date '0001-01-01' else valid_from_on end as from_on
            from by_role
        ),
        changed as (
            select * from dated
            window versions as (partition by account_id, role order by from_on)
            qualify row_number() over versions = 1
                or owner is distinct from lag(owner) over versions
        )
        select account_id, role, owner, from_on,
            coalesce(lead(from_on) over (partition by account_id, role order by from_on), {_FAR})
                as to_on
        from changed
        """
    )


def _find_joins(con: duckdb.DuckDBPyConnection, today: str) -> None:
    """Temp table `joins`: rules that match while an action of their playbook is open."""
    con.execute(
        f"""
        create or replace temp table joins as
        select touched.action_id, params.rule_id, params.severity_rank, params.raises_open_work,
            greatest(spans.from_on, touched.opened_on) as joined_on,
            coalesce(spans.to_on, {_FAR}) as left_on
        from touched
        inner join rule_params as params on touched.playbook_id = params.playbook_id
            and (params.after_playbook is null or params.rule_id = touched.rule_id)
        inner join {CONDITION_SPANS.name} as spans on params.rule_id = spans.condition_id
            and touched.account_id = spans.account_id and touched.scope = spans.scope
            and spans.verdict = 'matched'
            and spans.from_on < coalesce(touched.closed_on, {today} + 1)
            and coalesce(spans.to_on, {_FAR}) > touched.opened_on
        union all
        -- The rule that opened the action counts even if it is no longer in the book.
        select touched.action_id, touched.rule_id,
            coalesce(params.severity_rank, {severity_rank("prior.severity")}, 0), false,
            touched.opened_on, touched.opened_on + 1
        from touched
        left join rule_params as params on touched.rule_id = params.rule_id
        left join {ACTIONS.name} as prior on touched.action_id = prior.action_id
        """
    )


def _find_progress(con: duckdb.DuckDBPyConnection) -> None:
    """Temp table `progress`: when each action was started, and what feedback said at its end."""
    con.execute(
        f"""
        create or replace temp table progress as
        select touched.action_id,
            min(feedback.occurred_on) filter (
                where feedback.event in ('started', 'step_done', 'completed')
            ) as started_on,
            count(distinct feedback.step_id) filter (where feedback.event = 'step_done')
                as steps_done_count,
            min(feedback.reason) filter (where feedback.event = 'cancelled') as cancel_reason,
            min(feedback.outcome) filter (where feedback.event = 'completed') as outcome
        from touched
        inner join feedback on touched.action_id = feedback.action_id
            and feedback.occurred_on >= touched.opened_on
            and feedback.occurred_on <= coalesce(touched.closed_on, {_FAR})
        group by touched.action_id
        """
    )


def _find_objectives(con: duckdb.DuckDBPyConnection, today: str) -> None:
    """Temp table `objectives`: of completed actions, until when and since when it holds."""
    con.execute(
        """
        create or replace temp table goals as
        select touched.action_id, touched.playbook_id, touched.rule_id, touched.account_id,
            touched.scope, touched.solution_area, params.objective_scope,
            case when params.is_on_data then touched.closed_on else touched.opened_on end
                + params.horizon_days as due_on,
            touched.opened_on, touched.closed_on, params.is_on_data, params.becomes,
            params.clears, params.rise_name, params.rise_by,
            case params.counts_from when 'opened' then touched.opened_on + 1
                else touched.closed_on end as counts_from_on
        from touched
        inner join playbook_params as params on touched.playbook_id = params.playbook_id
        where touched.close_reason = 'completed'
        """
    )
    con.execute(
        f"""
        create or replace temp table objectives as
        with goal_spans as (
            select goals.*, spans.from_on, coalesce(spans.to_on, {_FAR}) as to_on
            from goals
            inner join {CONDITION_SPANS.name} as spans
                on 'objective:' || goals.playbook_id = spans.condition_id
                and goals.account_id = spans.account_id
                and (
                    goals.objective_scope = 'account'
                    or goals.scope in (spans.scope, 'account')
                    or (
                        goals.objective_scope = 'solution_area'
                        and coalesce(goals.solution_area = spans.solution_area, true)
                    )
                )
        ),
        -- What held on the opening day already was not brought about by the work.
        held_before as (
            select action_id from goal_spans
            where becomes and from_on <= opened_on and to_on > opened_on
        ),
        rule_days as (
            select goals.action_id, spans.from_on, coalesce(spans.to_on, {_FAR}) as to_on
            from goals
            inner join rule_params as params on goals.rule_id = params.rule_id
            inner join {CONDITION_SPANS.name} as spans on goals.rule_id = spans.condition_id
                and goals.account_id = spans.account_id and goals.scope = spans.scope
            where goals.clears
        ),
        -- Days it matched or could not be judged; the day after them it has cleared.
        uncleared as ({merged("select * from rule_days", "action_id")}),
        cleared as (
            select goals.action_id, coalesce(
                max(uncleared.to_on) filter (
                    uncleared.from_on <= goals.counts_from_on
                    and uncleared.to_on > goals.counts_from_on
                ), min(goals.counts_from_on)
            ) as met_on
            from goals
            inner join uncleared on goals.action_id = uncleared.action_id
            group by goals.action_id
        ),
        reached as (
            select action_id, min(greatest(from_on, counts_from_on)) as met_on
            from goal_spans
            anti join held_before using (action_id)
            where to_on > counts_from_on
            group by action_id
            union all
            select cleared.action_id, cleared.met_on
            from cleared
            inner join goals on cleared.action_id = goals.action_id
            left join endings on goals.account_id = endings.account_id
            where coalesce(cleared.met_on < endings.ended_on, true)
            union all
            select goals.action_id, min(daily.as_of_date)
            from goals
            inner join marts.fct_account_health_daily as before
                on goals.account_id = before.account_id and goals.opened_on = before.as_of_date
            inner join marts.fct_account_health_daily as daily
                on goals.account_id = daily.account_id
                and daily.as_of_date between goals.counts_from_on and goals.due_on
            where goals.rise_name = 'health_score'
                and round(daily.health_score - before.health_score, 9) >= goals.rise_by
            group by goals.action_id
            union all
            select goals.action_id, min(daily.as_of_date)
            from goals
            inner join marts.fct_stage_daily as before
                on goals.account_id = before.account_id and goals.opened_on = before.as_of_date
                and goals.solution_area = before.solution_area
            inner join marts.fct_stage_daily as daily
                on goals.account_id = daily.account_id
                and goals.solution_area = daily.solution_area
                and daily.as_of_date between goals.counts_from_on and goals.due_on
            where goals.rise_name = 'readiness_ratio' and (
                daily.stage_rank > before.stage_rank
                or daily.stage_rank = before.stage_rank
                and round(daily.readiness_ratio - before.readiness_ratio, 9) >= goals.rise_by
            )
            group by goals.action_id
            union all
            -- Where the work itself is the objective, its completion in time is.
            select action_id, closed_on from goals where not is_on_data
        ),
        held as (
            select goals.action_id, min(reached.met_on) as met_on
            from goals
            inner join reached on goals.action_id = reached.action_id
            where reached.met_on <= least(goals.due_on, {today})
            group by goals.action_id
        )
        select goals.action_id, goals.due_on, goals.closed_on, held.met_on,
            case when held.met_on is not null then 'met'
                when goals.is_on_data and goals.due_on >= {today} then 'pending'
                else 'missed' end as status
        from goals
        left join held on goals.action_id = held.action_id
        """
    )


def _build_events(con: duckdb.DuckDBPyConnection, today: str) -> None:
    """Temp table `events`: the whole story of every touched action, unnumbered."""
    open_until = f"coalesce(touched.closed_on, {today} + 1)"
    con.execute(
        f"""
        create or replace temp table events as
        with severities as (
            select action_id, joined_on, max(severity_rank) as severity_rank
            from joins group by action_id, joined_on
        ),
        raised as (
            select severities.*, max(severity_rank) over (
                partition by action_id order by joined_on
                rows between unbounded preceding and 1 preceding
            ) as rank_before
            from severities
        ),
        escalations as (
            select touched.action_id, steps.step, steps.target,
                touched.due_on + steps.days_past_due as start_late_on,
                greatest(touched.due_on, touched.plan_due_on) + steps.days_past_due
                    as finish_late_on,
                progress.started_on, {open_until} as open_until
            from touched
            inner join escalation_steps as steps on touched.playbook_id = steps.playbook_id
            left join progress on touched.action_id = progress.action_id
        ),
        -- Late is who has not started by the due date, or has not finished by the last step's.
        climbed as (
            select action_id, step, target, least(
                case when start_late_on < open_until
                    and coalesce(started_on > start_late_on, true) then start_late_on end,
                case when finish_late_on < open_until and started_on <= finish_late_on
                    then finish_late_on end
            ) as occurred_on
            from escalations
        ),
        reminders as (
            select touched.action_id, cast(unnest(generate_series(
                touched.opened_on + params.reraise_days, {open_until} - 1,
                to_days(params.reraise_days)
            )) as date) as occurred_on
            from touched
            inner join rule_params as params on touched.rule_id = params.rule_id
            where params.reraise_days is not null
        ),
        stories as (
            select touched.action_id, 'opened' as event, 0 as place, touched.opened_on
                as occurred_on, cast(to_json(struct_pack(
                    rule := touched.rule_id,
                    severity := {severity_word("raised.severity_rank")},
                    owner_role := touched.owner_role,
                    owner := owners.owner,
                    due_on := touched.due_on
                )) as varchar) as detail
            from touched
            left join raised on touched.action_id = raised.action_id
                and raised.joined_on = touched.opened_on
            left join owner_spans as owners on touched.account_id = owners.account_id
                and touched.owner_role = owners.role and owners.from_on <= touched.opened_on
                and owners.to_on > touched.opened_on
            union all
            select touched.action_id, 'reassigned', 1, owners.from_on, cast(to_json(struct_pack(
                    owner_before := before.owner, owner := owners.owner
                )) as varchar)
            from touched
            inner join owner_spans as owners on touched.account_id = owners.account_id
                and touched.owner_role = owners.role and owners.from_on > touched.opened_on
                and owners.from_on < {open_until}
            inner join owner_spans as before on touched.account_id = before.account_id
                and touched.owner_role = before.role and before.to_on = owners.from_on
            union all
            select raised.action_id, 'severity_raised', 2, raised.joined_on, cast(to_json(
                    struct_pack(severity := {severity_word("raised.severity_rank")})
                ) as varchar)
            from raised
            where raised.severity_rank > raised.rank_before
            union all
            select joins.action_id, 're_raised', 3, joins.joined_on, cast(to_json(
                    struct_pack(rule := joins.rule_id)) as varchar)
            from joins
            inner join touched on joins.action_id = touched.action_id
            where joins.raises_open_work and joins.joined_on > touched.opened_on
                and joins.rule_id <> touched.rule_id
            union all
            select reminders.action_id, 're_raised', 3, reminders.occurred_on, cast(to_json(
                    struct_pack(rule := touched.rule_id)) as varchar)
            from reminders
            inner join touched on reminders.action_id = touched.action_id
            semi join joins on reminders.action_id = joins.action_id
                and reminders.occurred_on >= joins.joined_on
                and reminders.occurred_on < joins.left_on
            union all
            select touched.action_id, feedback.event,
                case feedback.event when 'started' then 4 else 5 end, feedback.occurred_on,
                cast(to_json(struct_pack(
                    step_id := nullif(feedback.step_id, ''), actor := feedback.actor
                )) as varchar)
            from touched
            inner join feedback on touched.action_id = feedback.action_id
                and feedback.event in ('started', 'step_done')
                and feedback.occurred_on >= touched.opened_on
                and feedback.occurred_on <= coalesce(touched.closed_on, {_FAR})
            union all
            select climbed.action_id, 'escalated', 6, climbed.occurred_on, cast(to_json(
                    struct_pack(step := climbed.step, to_role := climbed.target)) as varchar)
            from climbed
            where climbed.occurred_on is not null
            union all
            select touched.action_id,
                case when touched.close_reason in ('completed', 'cancelled')
                    then touched.close_reason else 'closed' end,
                7, touched.closed_on, cast(to_json(struct_pack(
                    close_reason := touched.close_reason, reason := case touched.close_reason
                        when 'cancelled' then progress.cancel_reason
                        when 'completed' then progress.outcome end
                )) as varchar)
            from touched
            left join progress on touched.action_id = progress.action_id
            where touched.closed_on is not null
            union all
            select objectives.action_id, 'objective_' || objectives.status, 8,
                coalesce(objectives.met_on, greatest(objectives.due_on + 1, objectives.closed_on)),
                cast(to_json(struct_pack(
                    due_on := objectives.due_on)) as varchar)
            from objectives
            where objectives.status <> 'pending'
        )
        select distinct action_id, event, place, occurred_on, detail from stories
        """
    )


def _mark_restated(con: duckdb.DuckDBPyConnection, start: str, today: str) -> int:
    """Close what was published for days of this run and no longer opens; how many."""
    con.execute(
        f"""
        create or replace temp table restated as
        select action_id from {ACTIONS.name}
        where opened_on >= {start} and opened_on <= {today}
            and source is distinct from 'meeting'
            and close_reason is distinct from 'restated'
            and action_id not in (select action_id from touched)
        """
    )
    return close_restated(con, "restated", "later data took back what opened it", today)


def _write_tables(con: duckdb.DuckDBPyConnection, today: str) -> None:
    con.execute(
        """
        create or replace temp table final_events as
        select action_id, cast(row_number() over (
                partition by action_id order by occurred_on, place, event, detail
            ) as integer) as event_number, event, occurred_on, detail
        from events
        """
    )
    # A day after the clock is stale: it comes again when its own run comes.
    replace_changed(
        con,
        ACTION_EVENTS,
        "final_events",
        "action_id in (select action_id from touched)"
        f" or action_id in (select action_id from {ACTIONS.name} where opened_on > {today})",
        "action_id, event_number",
    )
    con.execute(
        f"""
        create or replace temp table final_actions as
        with told as (
            select action_id,
                count(*) filter (where event = 'escalated') as escalation_level,
                count(*) filter (where event = 're_raised') as reraised_count
            from events group by action_id
        ),
        worst as (
            select action_id, max(severity_rank) as severity_rank from joins group by action_id
        )
        select touched.action_id, 'playbook' as source, touched.playbook_id,
            touched.playbook_version, touched.rule_id, touched.rule_version, touched.account_id,
            touched.scope, touched.solution_area, touched.owner_role, owners.owner,
            cast(null as varchar) as title,
            {severity_word("worst.severity_rank")} as severity,
            case
                when touched.close_reason in ('completed', 'cancelled') then touched.close_reason
                when touched.closed_on is not null then 'closed'
                when progress.started_on is not null then 'in_progress'
                else 'open'
            end as status,
            touched.close_reason,
            case when touched.close_reason = 'cancelled' then progress.cancel_reason end
                as cancel_reason,
            case when touched.close_reason = 'completed' then progress.outcome end as outcome,
            interventions.name as intervention,
            coalesce(told.escalation_level, 0) as escalation_level,
            coalesce(told.reraised_count, 0) as reraised_count,
            coalesce(progress.steps_done_count, 0) as steps_done_count,
            owners.owner is null as is_unassigned,
            touched.opened_on, touched.due_on, touched.plan_due_on, progress.started_on,
            touched.closed_on, objectives.due_on as objective_due_on,
            objectives.met_on as objective_met_on, objectives.status as objective_status,
            touched.evidence
        from touched
        left join told on touched.action_id = told.action_id
        left join worst on touched.action_id = worst.action_id
        left join progress on touched.action_id = progress.action_id
        left join objectives on touched.action_id = objectives.action_id
        left join owner_spans as owners on touched.account_id = owners.account_id
            and touched.owner_role = owners.role
            and owners.from_on <= coalesce(touched.closed_on, {today})
            and owners.to_on > coalesce(touched.closed_on, {today})
        left join interventions on touched.playbook_id = interventions.playbook_id
            and interventions.component
                = json_extract_string(touched.evidence, '$.weakest_component')
        """
    )
    replace_changed(
        con,
        ACTIONS,
        "final_actions",
        f"opened_on > {today} or action_id in (select action_id from touched)",
        "opened_on, action_id",
    )


def _write_rejects(con: duckdb.DuckDBPyConnection, start: str, today: str) -> None:
    """Feedback that contradicts the actions it names; kept, told, and otherwise without effect."""
    con.execute(f"delete from {FEEDBACK_REJECTS.name} where occurred_on >= {start}")
    con.execute(
        f"""
        insert into {FEEDBACK_REJECTS.name} ({FEEDBACK_REJECTS.column_names})
        with judged as (
            select feedback.action_id, feedback.event, feedback.step_id, feedback.occurred_on,
                case
                    when actions.action_id is null then 'no such action'
                    when feedback.occurred_on < actions.opened_on
                        then 'before the action opened on ' || actions.opened_on
                    when feedback.occurred_on > actions.closed_on
                        and actions.close_reason <> 'restated'
                        then 'after the action closed on ' || actions.closed_on
                    when feedback.event = 'step_done' and steps.step_id is null
                        then 'the playbook has no such step'
                end as message
            from feedback
            left join {ACTIONS.name} as actions on feedback.action_id = actions.action_id
            left join playbook_steps as steps on actions.playbook_id = steps.playbook_id
                and feedback.step_id = steps.step_id
            where feedback.occurred_on between {start} and {today}
        )
        select distinct action_id, event, step_id, occurred_on, message from judged
        where message is not null
        order by all
        """
    )


def _write_signals(con: duckdb.DuckDBPyConnection, start: str) -> None:
    """The signals playbooks make: started, completed, an escalation to governance."""
    con.execute(
        f"""
        insert into {SIGNALS.name} ({SIGNALS.column_names})
        with facts as (
            select case events.event when 'started' then 'SIG_PB_001'
                    when 'completed' then 'SIG_PB_002' else 'SIG_GOV_001' end as signal,
                case events.event when 'started' then 'playbook_started'
                    when 'completed' then 'playbook_completed' else 'action_escalated' end as cause,
                touched.account_id, touched.scope, touched.solution_area, events.occurred_on,
                touched.action_id, touched.playbook_id
            from events
            inner join touched on events.action_id = touched.action_id
            where events.occurred_on >= {start} and (
                events.event in ('started', 'completed')
                or (
                    events.event = 'escalated'
                    and json_extract_string(events.detail, '$.to_role') = 'governance'
                )
            )
        )
        select distinct 'sig_' || left(md5(concat_ws('|', signal, action_id, occurred_on)), 24),
            signal, cause, account_id, scope, solution_area, occurred_on,
            cast(to_json(struct_pack(action_id := action_id, playbook_id := playbook_id))
                as varchar)
        from facts
        order by all
        """
    )


def write_rule_states(con: duckdb.DuckDBPyConnection, start: str, today: str) -> None:
    """Cut raw verdicts where work opens and closes, and say of every piece what became of it."""
    con.execute(
        f"""
        create or replace temp table verdicts as
        with chosen as (
            select params.rule_id, params.playbook_id, params.after_playbook,
                params.after_playbook is not null
                or params.playbook_id in (select loser from supersedings) as can_be_held_back,
                {held_out("params", "spans.account_id")} as is_held_out,
                spans.account_id, spans.scope, spans.solution_area, spans.from_on,
                coalesce(spans.to_on, {_FAR}) as to_on, spans.verdict, spans.missing,
                spans.evidence
            from {CONDITION_SPANS.name} as spans
            inner join rule_params as params on spans.condition_id = params.rule_id
            where spans.to_on is null or spans.to_on >= {start}
        ),
        -- Numbers instead of texts from here on: the joins below are many.
        groups as (
            select playbook_id, account_id, scope, row_number() over () as group_id
            from chosen
            where verdict = 'matched'
            group by playbook_id, account_id, scope
        )
        select chosen.*, groups.group_id, row_number() over () as span_id
        from chosen
        left join groups on chosen.playbook_id = groups.playbook_id
            and chosen.account_id = groups.account_id and chosen.scope = groups.scope
        """
    )
    con.execute(
        f"""
        create or replace temp table work_of_group as
        with groups as (
            select distinct playbook_id, account_id, scope, group_id from verdicts
            where group_id is not null
        )
        select groups.group_id, actions.action_id, actions.rule_id, actions.opened_on,
            coalesce(actions.closed_on, {_FAR}) as closed_on, actions.close_reason,
            actions.closed_on + greatest(coalesce(params.cooldown_days, 0), 1) as cool_on
        from {ACTIONS.name} as actions
        inner join groups on actions.playbook_id = groups.playbook_id
            and actions.account_id = groups.account_id and actions.scope = groups.scope
        left join rule_params as params on actions.rule_id = params.rule_id
        where actions.close_reason is distinct from 'restated'
        """
    )
    # Where chains and supersedings let a match be work.
    con.execute(
        f"""
        create or replace temp table held_spans as
        select verdicts.span_id, free.from_on, coalesce(free.to_on, {_FAR}) as to_on,
            true as is_free
        from verdicts
        inner join chained_matches as free on verdicts.rule_id = free.rule_id
            and verdicts.account_id = free.account_id and verdicts.scope = free.scope
            and verdicts.from_on = free.match_from_on
        where verdicts.can_be_held_back and verdicts.verdict = 'matched'
        union all
        select verdicts.span_id, blocked.from_on, blocked.to_on, false
        from verdicts
        inner join superseded_days as blocked on verdicts.playbook_id = blocked.playbook_id
            and verdicts.account_id = blocked.account_id
        where verdicts.can_be_held_back and verdicts.verdict = 'matched'
        """
    )
    con.execute(
        f"""
        create or replace temp table states_now as
        -- Most matches lie within one action from their first day to their last.
        with covered as (
            select verdicts.span_id, verdicts.from_on as valid_from_on,
                verdicts.to_on as valid_to_on,
                case when work.rule_id = verdicts.rule_id then 'matched'
                    else 'suppressed' end as verdict,
                case when work.rule_id = verdicts.rule_id then work.action_id
                    else 'same work as ' || work.action_id || ' opened by ' || work.rule_id end
                    as reason
            from verdicts
            inner join work_of_group as work on verdicts.group_id = work.group_id
                and work.opened_on <= verdicts.from_on and work.closed_on >= verdicts.to_on
            where verdicts.verdict = 'matched'
        ),
        matched as (
            select span_id, group_id, rule_id, after_playbook, can_be_held_back, is_held_out,
                from_on, to_on
            from verdicts
            anti join covered on verdicts.span_id = covered.span_id
            where verdict = 'matched'
        ),
        points as (
            select span_id, from_on as point_on from matched
            union
            select matched.span_id, unnest([work.opened_on, work.closed_on, work.cool_on])
            from matched
            inner join work_of_group as work on matched.group_id = work.group_id
                and work.opened_on < matched.to_on and work.cool_on is null
                or matched.group_id = work.group_id and work.opened_on < matched.to_on
                and work.cool_on > matched.from_on
            union
            select span_id, unnest([from_on, to_on]) from held_spans
        ),
        pieces as (
            select matched.*, points.point_on as piece_from_on,
                coalesce(lead(points.point_on) over (
                    partition by matched.span_id order by points.point_on
                ), matched.to_on) as piece_to_on
            from matched
            inner join points on matched.span_id = points.span_id
                and points.point_on >= matched.from_on and points.point_on < matched.to_on
                and points.point_on <= {today}
        ),
        labelled as (
            select pieces.*, latest.action_id as latest_id, latest.rule_id as latest_rule,
                latest.opened_on as latest_opened_on,
                latest.closed_on > pieces.piece_from_on as is_standing, latest.cool_on,
                latest.close_reason,
                not pieces.can_be_held_back or exists (
                    select 1 from held_spans as free
                    where free.span_id = pieces.span_id and free.is_free
                        and free.from_on <= pieces.piece_from_on
                        and free.to_on > pieces.piece_from_on
                ) as is_free,
                pieces.can_be_held_back and exists (
                    select 1 from held_spans as blocked
                    where blocked.span_id = pieces.span_id and not blocked.is_free
                        and blocked.from_on <= pieces.piece_from_on
                        and blocked.to_on > pieces.piece_from_on
                ) as is_superseded
            from pieces
            -- The latest work opened by then; two of one group never stand at once.
            asof left join work_of_group as latest on pieces.group_id = latest.group_id
                and pieces.piece_from_on >= latest.opened_on
        ),
        reasoned as (
            select *,
                case when is_standing and latest_rule = rule_id then 'matched'
                    else 'suppressed' end as verdict_,
                case
                    when is_standing and latest_rule = rule_id then latest_id
                    when is_standing
                        then 'same work as ' || latest_id || ' opened by ' || latest_rule
                    when is_held_out then '{HELD_OUT}'
                    when is_superseded then 'superseded'
                    when not is_free then 'waits for ' || after_playbook
                    when piece_from_on < cool_on
                        then 'cooldown until ' || cool_on || ' after ' || latest_id
                    when latest_id is not null
                        then 'handled by ' || latest_id || ' (' || close_reason || ')'
                    else 'not opened'
                end as reason
            from labelled
        ),
        marked as (
            select *, coalesce(
                verdict_ <> lag(verdict_) over of_span or reason <> lag(reason) over of_span, true
            ) as is_first
            from reasoned
            window of_span as (partition by span_id order by piece_from_on)
        ),
        numbered as (
            select *, count(*) filter (where is_first) over (
                partition by span_id order by piece_from_on
                rows between unbounded preceding and current row
            ) as run
            from marked
        ),
        runs as (
            select span_id, min(piece_from_on) as valid_from_on, max(piece_to_on) as valid_to_on,
                min(verdict_) as verdict, min(reason) as reason
            from numbered
            group by span_id, run
            union all
            select span_id, valid_from_on, valid_to_on, verdict, reason from covered
        ),
        merged as (
            select spans.rule_id, spans.playbook_id, spans.account_id, spans.scope,
                spans.solution_area, runs.valid_from_on, runs.valid_to_on, runs.verdict,
                runs.reason, spans.evidence
            from runs
            inner join verdicts as spans on runs.span_id = spans.span_id
            union all
            select rule_id, playbook_id, account_id, scope, solution_area, from_on, to_on,
                verdict, 'missing: ' || missing, evidence
            from verdicts
            where verdict = 'unknown'
        )
        select rule_id, playbook_id, account_id, scope, solution_area, valid_from_on,
            nullif(valid_to_on, {_FAR}) as valid_to_on, verdict, reason, evidence
        from merged
        where valid_to_on >= {start}
        """
    )
    replace_changed(
        con,
        RULE_STATES,
        "states_now",
        f"valid_from_on >= {start} or valid_to_on is null or valid_to_on >= {start}",
        "valid_from_on, rule_id, account_id, scope",
    )


def _counts(con: duckdb.DuckDBPyConnection, start: str, today: str) -> dict[str, int]:
    rows = con.execute(
        f"""
        select count(*) filter (where event = 'opened'),
            count(*) filter (where event in ('completed', 'cancelled', 'closed')),
            count(*) filter (where event = 'escalated')
        from events where occurred_on between {start} and {today}
        """
    ).fetchall()
    opened, closed, escalated = rows[0]
    return {"opened": int(opened), "closed": int(closed), "escalated": int(escalated)}
