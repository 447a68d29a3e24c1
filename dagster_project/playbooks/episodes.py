"""Spans of matched days to actions: open once, continue, close, open again; then what happened.

One action per playbook, account and scope is open at a time. Everything is decided by dates in the
data, so that any split of a range into runs gives the same actions. Playbooks are worked in layers,
each after those it reacts to or gives way to; within a layer, in rounds: all first episodes at
once, then all second ones, and so on.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

import duckdb

from dagster_project.expressions import quote_text
from dagster_project.playbooks.model import SEVERITIES, Playbook
from dagster_project.playbooks.rulebook import RuleBook
from dagster_project.playbooks.spans import day
from dagster_project.playbooks.tables import (
    ACTIONS,
    CONDITION_SPANS,
    WORK_SPANS,
)

_FAR = "date '9999-12-31'"
_SEVERITY = (
    "case {rank} " + " ".join(f"when {i} then '{s}'" for i, s in enumerate(SEVERITIES)) + " end"
)


def severity_word(rank: str) -> str:
    """SQL for the word of a severity rank."""
    return _SEVERITY.replace("{rank}", rank)


def severity_rank(word: str) -> str:
    """SQL for the rank of a severity word."""
    whens = " ".join(f"when '{s}' then {i}" for i, s in enumerate(SEVERITIES))
    return f"case {word} {whens} end"


def held_out(params: str, account_id: str) -> str:
    """SQL: whether an account is in the control group of a rule (`params`: its rule_params).

    The hash has no rule in it, so that the rules of one playbook hold out the same accounts.
    """
    place = f"md5_number_lower(concat('holdout|', {params}.playbook_id, '|', {account_id}))"
    return f"({params}.holdout_ratio > 0 and {place} % 1000000 < {params}.holdout_ratio * 1000000)"


@dataclass
class EpisodeCounts:
    """How many actions of the run were continued and opened, and in how many rounds."""

    continued: int = 0
    opened: int = 0
    rounds: int = 0


def merged(source: str, keys: str, carried: str = "") -> str:
    """SQL that joins overlapping and touching spans [from_on, to_on) of equal `keys` into one.

    `source` is a relation with the keys, `from_on`, `to_on` (never null) and the columns whose
    least value `carried` (a comma list) keeps.
    """
    kept = "".join(
        f", min({name.strip()}) as {name.strip()}" for name in carried.split(",") if name
    )
    return f"""
        with starts as (
            -- One row per start, so that no two rows of a window tie.
            select {keys}, from_on, max(to_on) as to_on{kept} from ({source})
            group by {keys}, from_on
        ),
        marked as (
            select *, coalesce(from_on > max(to_on) over (
                partition by {keys} order by from_on
                rows between unbounded preceding and 1 preceding
            ), true) as is_first
            from starts
        ),
        numbered as (
            select *, count(*) filter (where is_first) over (
                partition by {keys} order by from_on
                rows between unbounded preceding and current row
            ) as piece
            from marked
        )
        select {keys}, min(from_on) as from_on, max(to_on) as to_on{kept}
        from numbered
        group by {keys}, piece
    """


def register_rules(con: duckdb.DuckDBPyConnection, rules: RuleBook) -> None:
    """Temp tables `rule_params`, `escalation_steps`, `interventions`, `supersedings`."""
    con.execute(
        """
        create or replace temp table rule_params (
            rule_id varchar, rule_version integer, playbook_id varchar, playbook_version integer,
            owner_role varchar, severity_rank integer, sla_days integer, cooldown_days integer,
            hysteresis_days integer, reraise_days integer, expires_days integer,
            closes_when_clear boolean, auto_close_id varchar, priority integer,
            raises_open_work boolean, after_playbook varchar, after_state varchar,
            after_min_days integer, survives_churn boolean, plan_days integer, why varchar,
            holdout_ratio double
        )
        """
    )
    for rule in rules.rules:
        playbook = rules.playbooks[rule.playbook_id]
        con.execute(
            f"insert into rule_params values ({', '.join('?' * 22)})",
            [
                rule.rule_id,
                rule.version,
                rule.playbook_id,
                playbook.version,
                playbook.owner_role,
                rule.severity_rank,
                rule.sla_days,
                rule.cooldown_days,
                rule.hysteresis_days,
                rule.reraise_days,
                rule.expires_days,
                rule.closes_when_clear,
                rule.auto_close_id,
                rule.priority,
                rule.raises_open_work,
                rule.after.playbook if rule.after else None,
                rule.after.state if rule.after else None,
                rule.after.min_days if rule.after else None,
                playbook.survives_churn,
                plan_days(playbook),
                rule.why,
                rule.holdout_ratio,
            ],
        )
    con.execute(
        "create or replace temp table playbook_params (playbook_id varchar, horizon_days integer,"
        " objective_scope varchar, counts_from varchar, is_on_data boolean, becomes boolean,"
        " clears boolean, rise_name varchar, rise_by double)"
    )
    con.execute(
        "create or replace temp table escalation_steps"
        " (playbook_id varchar, step integer, target varchar, days_past_due integer)"
    )
    con.execute(
        "create or replace temp table interventions"
        " (playbook_id varchar, component varchar, name varchar)"
    )
    con.execute("create or replace temp table supersedings (winner varchar, loser varchar)")
    con.execute(
        "create or replace temp table playbook_steps (playbook_id varchar, step_id varchar)"
    )
    for playbook in rules.deployed:
        goal = playbook.objective
        con.execute(
            "insert into playbook_params values (?, ?, ?, ?, ?, ?, ?, ?, ?)",
            [
                playbook.id,
                goal.horizon_days,
                goal.scope,
                goal.counts_from,
                goal.is_on_data,
                goal.becomes,
                goal.clears,
                goal.rise.name if goal.rise else None,
                goal.rise.by if goal.rise else None,
            ],
        )
        for number, step in enumerate(playbook.escalation, start=1):
            con.execute(
                "insert into escalation_steps values (?, ?, ?, ?)",
                [playbook.id, number, step.to, step.days_past_due],
            )
        for one in playbook.interventions:
            con.execute(
                "insert into interventions values (?, ?, ?)",
                [playbook.id, one.component, one.name],
            )
        for loser in playbook.supersedes:
            con.execute("insert into supersedings values (?, ?)", [playbook.id, loser])
        for todo in playbook.steps:
            con.execute("insert into playbook_steps values (?, ?)", [playbook.id, todo.id])


def plan_days(playbook: Playbook) -> int:
    """Days from opening to the due date of the playbook's last step."""
    return max(step.day for step in playbook.steps)


# What an episode is, while it is being decided; the rest of an action follows from it.
_WORK_COLUMNS = (
    "action_id, playbook_id, playbook_version, rule_id, rule_version, account_id, scope,"
    " solution_area, owner_role, opened_on, due_on, plan_due_on, evidence"
)


def open_episodes(
    con: duckdb.DuckDBPyConnection, rules: RuleBook, from_date: date, as_of_date: date
) -> EpisodeCounts:
    """Decide every episode of the run.

    Fills the temp table `episodes`: those open on or after `from_date`, with `closed_on`,
    `close_reason` and `is_new`; and `chained_matches`, the matched spans left after chains and
    supersedings. Brings `pipeline.work_spans` up to `as_of_date`.
    """
    counts = EpisodeCounts()
    _load_standing(con, from_date, as_of_date)
    counts.continued = _count(con, "standing")
    for layer in rules.strata:
        _load_matches(con, layer, from_date, as_of_date)
        _join_islands(con, layer, from_date, as_of_date)
        con.execute(
            "create or replace temp table pending as select * from standing"
            " where list_contains(?, playbook_id)",
            [list(layer)],
        )
        _close(con, as_of_date)
        _start_frontier(con)
        number = 0
        while True:
            opened = _open_next(con, from_date, as_of_date)
            if opened == 0:
                break
            number += 1
            counts.opened += opened
            _close(con, as_of_date)
            _advance_frontier(con)
        counts.rounds = max(counts.rounds, number)
    # Actions of playbooks that no longer run still hear feedback and end with their account.
    con.execute(
        "create or replace temp table pending as select * from standing"
        " where not list_contains(?, playbook_id)",
        [[playbook for layer in rules.strata for playbook in layer]],
    )
    _close(con, as_of_date)
    return counts


def _count(con: duckdb.DuckDBPyConnection, table: str) -> int:
    rows = con.execute(f"select count(*) from {table}").fetchall()
    return int(rows[0][0])


def _load_standing(con: duckdb.DuckDBPyConnection, from_date: date, as_of_date: date) -> None:
    start, today = day(from_date), day(as_of_date)
    con.execute(
        f"""
        create or replace temp table standing as
        select {_WORK_COLUMNS}
        from {ACTIONS.name}
        where opened_on < {start} and (closed_on is null or closed_on >= {start})
            and source is distinct from 'meeting'
            and close_reason is distinct from 'restated'
        """
    )
    con.execute(
        "create or replace temp table episodes as select *, cast(null as date) as closed_on,"
        " cast(null as varchar) as close_reason from standing where false"
    )
    # Work that ended before the run: it decides cooldowns, chains and what counts as handled.
    con.execute(
        f"""
        create or replace temp view past_episodes as
        select action_id, playbook_id, rule_id, account_id, scope, solution_area, opened_on,
            closed_on, close_reason
        from {ACTIONS.name}
        where opened_on < {start} and closed_on < {start}
            and source is distinct from 'meeting'
            and close_reason is distinct from 'restated'
        """
    )
    con.execute(
        """
        create or replace temp view all_episodes as
        select * from past_episodes
        union all
        select action_id, playbook_id, rule_id, account_id, scope, solution_area, opened_on,
            closed_on, close_reason
        from episodes
        """
    )
    con.execute(
        f"""
        create or replace temp view feedback as
        select action_id, event, occurred_on, coalesce(step_id, '') as step_id, reason, outcome,
            actor
        from staging.stg_crm__playbook_runs
        where occurred_on <= {today} and (removed_on is null or removed_on > {today})
        """
    )
    con.execute(
        f"""
        create or replace temp table endings as
        select account_id, least(coalesce(churned_on, {_FAR}), coalesce(removed_on, {_FAR}))
            as ended_on
        from marts.dim_account
        where least(coalesce(churned_on, {_FAR}), coalesce(removed_on, {_FAR})) <= {today}
        """
    )
    con.execute(
        """
        create or replace temp table chained_matches (
            rule_id varchar, playbook_id varchar, account_id varchar, scope varchar,
            solution_area varchar, from_on date, to_on date, match_from_on date, evidence varchar
        )
        """
    )
    con.execute(
        "create or replace temp table superseded_days"
        " (playbook_id varchar, account_id varchar, from_on date, to_on date)"
    )


def _load_matches(
    con: duckdb.DuckDBPyConnection, layer: tuple[str, ...], from_date: date, as_of_date: date
) -> None:
    """Matched spans of a layer's rules that can still matter, cut to chains and supersedings."""
    start = day(from_date)
    pieces = merged(
        f"select * from chained where from_on < to_on and from_on <= {day(as_of_date)}",
        "rule_id, playbook_id, account_id, scope, match_from_on",
        "solution_area, evidence",
    )
    con.execute(
        f"""
        create or replace temp table raw_matches as
        select params.rule_id, params.playbook_id, spans.account_id, spans.scope,
            spans.solution_area, spans.from_on, spans.to_on, spans.from_on as match_from_on,
            spans.evidence
        from {CONDITION_SPANS.name} as spans
        inner join rule_params as params on spans.condition_id = params.rule_id
        where spans.verdict = 'matched' and list_contains(?, params.playbook_id)
            and (spans.to_on is null or spans.to_on + params.hysteresis_days - 1 >= {start})
            and not {held_out("params", "spans.account_id")}
        """,
        [list(layer)],
    )
    con.execute(
        f"""
        create or replace temp table layer_matches as
        with windows as (
            select params.rule_id, up.account_id, up.solution_area,
                case params.after_state when 'open' then up.opened_on + params.after_min_days
                    when 'opened' then up.opened_on else up.closed_on end as from_on,
                case params.after_state when 'open' then up.closed_on
                    when 'opened' then up.opened_on + 1 else up.closed_on + 1 end as to_on
            from rule_params as params
            inner join all_episodes as up on params.after_playbook = up.playbook_id
            where list_contains(?, params.playbook_id)
                and (params.after_state <> 'completed' or up.close_reason = 'completed')
        ),
        chained as (
            select raw.rule_id, raw.playbook_id, raw.account_id, raw.scope, raw.solution_area,
                greatest(raw.from_on, windows.from_on) as from_on,
                least(coalesce(raw.to_on, {_FAR}), coalesce(windows.to_on, {_FAR})) as to_on,
                raw.match_from_on, raw.evidence
            from raw_matches as raw
            inner join windows
                on raw.rule_id = windows.rule_id and raw.account_id = windows.account_id
                and (raw.solution_area is null or windows.solution_area is null
                    or raw.solution_area = windows.solution_area)
        ),
        -- Two actions of the other playbook may stand at once (several scopes): one window.
        pieces as ({pieces})
        select rule_id, playbook_id, account_id, scope, solution_area, from_on,
            nullif(to_on, {_FAR}) as to_on, match_from_on, evidence
        from pieces
        union all
        select raw.* from raw_matches as raw
        inner join rule_params as params on raw.rule_id = params.rule_id
        where params.after_playbook is null
        """,
        [list(layer)],
    )
    _cut_superseded(con, layer)
    con.execute("insert into chained_matches select * from layer_matches")


def _cut_superseded(con: duckdb.DuckDBPyConnection, layer: tuple[str, ...]) -> None:
    """Take out of `layer_matches` the days a superseding playbook has work open."""
    con.execute(
        f"""
        create or replace temp table blocked as
        with windows as (
            select supersedings.loser as playbook_id, up.account_id, up.opened_on as from_on,
                coalesce(up.closed_on, {_FAR}) as to_on
            from supersedings
            inner join all_episodes as up on supersedings.winner = up.playbook_id
            where list_contains(?, supersedings.loser)
        )
        select * from ({merged("select * from windows", "playbook_id, account_id")})
        """,
        [list(layer)],
    )
    con.execute("insert into superseded_days select * from blocked")
    con.execute(
        f"""
        create or replace temp table layer_matches as
        with starts as (
            select matches.*, matches.from_on as piece_from_on from layer_matches as matches
            union
            select matches.*, blocked.to_on as piece_from_on
            from layer_matches as matches
            inner join blocked on matches.playbook_id = blocked.playbook_id
                and matches.account_id = blocked.account_id
                and blocked.to_on > matches.from_on
                and blocked.to_on < coalesce(matches.to_on, {_FAR})
        ),
        free as (
            select starts.* from starts
            anti join blocked on starts.playbook_id = blocked.playbook_id
                and starts.account_id = blocked.account_id
                and blocked.from_on <= starts.piece_from_on
                and blocked.to_on > starts.piece_from_on
        ),
        ends as (
            select free.rule_id, free.account_id, free.scope, free.piece_from_on,
                min(blocked.from_on) as next_blocked_on
            from free
            inner join blocked on free.playbook_id = blocked.playbook_id
                and free.account_id = blocked.account_id
                and blocked.from_on > free.piece_from_on
            group by all
        )
        select free.rule_id, free.playbook_id, free.account_id, free.scope, free.solution_area,
            free.piece_from_on as from_on,
            nullif(least(coalesce(free.to_on, {_FAR}), coalesce(ends.next_blocked_on, {_FAR})),
                {_FAR}) as to_on,
            free.match_from_on, free.evidence
        from free
        left join ends on free.rule_id = ends.rule_id and free.account_id = ends.account_id
            and free.scope = ends.scope and free.piece_from_on = ends.piece_from_on
        """
    )


def _join_islands(
    con: duckdb.DuckDBPyConnection, layer: tuple[str, ...], from_date: date, as_of_date: date
) -> None:
    """Islands of days that call for work: all rules of a playbook, gaps under hysteresis bridged.

    Temp table `layer_spans`: the layer's matches with the island each belongs to.
    """
    start = day(from_date)
    con.execute(
        f"""
        create or replace temp table standing_islands as
        select playbook_id, account_id, scope, from_on from {WORK_SPANS.name}
        where list_contains(?, playbook_id) and from_on < {start}
            and (to_on is null or to_on >= {start})
        """,
        [list(layer)],
    )
    con.execute(
        f"delete from {WORK_SPANS.name} where list_contains(?, playbook_id)"
        f" and (to_on is null or to_on >= {start} or from_on >= {start})",
        [list(layer)],
    )
    con.execute(
        f"""
        create or replace temp table islands as
        with stretches as (
            select matches.playbook_id, matches.account_id, matches.scope, matches.from_on,
                coalesce(matches.to_on + params.hysteresis_days - 1, {_FAR}) as to_on
            from layer_matches as matches
            inner join rule_params as params on matches.rule_id = params.rule_id
            where coalesce(matches.to_on + params.hysteresis_days - 1, {_FAR}) >= {start}
            union all
            select playbook_id, account_id, scope, from_on, {start} as to_on
            from standing_islands
        )
        select playbook_id, account_id, scope, from_on, nullif(to_on, {_FAR}) as to_on
        from ({merged("select * from stretches", "playbook_id, account_id, scope")})
        """
    )
    con.execute(
        f"insert into {WORK_SPANS.name} ({WORK_SPANS.column_names})"
        " select playbook_id, account_id, scope, from_on, to_on from islands"
        " order by from_on, playbook_id, account_id, scope"
    )
    con.execute(
        f"""
        create or replace temp table layer_spans as
        select matches.*, islands.from_on as island_from_on
        from layer_matches as matches
        inner join islands
            on matches.playbook_id = islands.playbook_id
            and matches.account_id = islands.account_id and matches.scope = islands.scope
            and matches.from_on >= islands.from_on
            and matches.from_on <= coalesce(islands.to_on, {_FAR})
        where matches.from_on <= {day(as_of_date)}
            and coalesce(matches.to_on, {_FAR}) >= {start}
        qualify row_number() over (
            partition by matches.rule_id, matches.account_id, matches.scope, matches.from_on
            order by islands.from_on desc
        ) = 1
        """
    )


def _start_frontier(con: duckdb.DuckDBPyConnection) -> None:
    """Temp table `frontier`: everything matched that has no work open, with its latest work."""
    con.execute(
        """
        create or replace temp table frontier as
        with groups as (
            select distinct playbook_id, account_id, scope from layer_spans
        ),
        latest as (
            select playbook_id, account_id, scope, max_by(rule_id, opened_on) as rule_id,
                max(closed_on) as closed_on, bool_or(closed_on is null) as is_open
            from all_episodes
            semi join groups using (playbook_id, account_id, scope)
            group by playbook_id, account_id, scope
        )
        select groups.playbook_id, groups.account_id, groups.scope, latest.rule_id,
            latest.closed_on
        from groups
        left join latest on groups.playbook_id = latest.playbook_id
            and groups.account_id = latest.account_id and groups.scope = latest.scope
        where not coalesce(latest.is_open, false)
        """
    )


def _advance_frontier(con: duckdb.DuckDBPyConnection) -> None:
    """Only what closed again can open again, and only by what matches after that."""
    con.execute(
        "create or replace temp table frontier as select playbook_id, account_id, scope,"
        " rule_id, closed_on from decided where closed_on is not null"
    )
    con.execute(
        f"""
        create or replace temp table layer_spans as
        select spans.* from layer_spans as spans
        semi join frontier on spans.playbook_id = frontier.playbook_id
            and spans.account_id = frontier.account_id and spans.scope = frontier.scope
            and coalesce(spans.to_on, {_FAR}) > frontier.closed_on
        """
    )


def _open_next(con: duckdb.DuckDBPyConnection, from_date: date, as_of_date: date) -> int:
    """Open the next episode of everything in `frontier`, into `pending`; how many."""
    con.execute(
        f"""
        create or replace temp table openings as
        with bounded as (
            select spans.*, params.priority, params.severity_rank,
                case
                    when latest.closed_on is null then spans.from_on
                    when spans.island_from_on > latest.closed_on
                        then latest.closed_on + greatest(coalesce(last_rule.cooldown_days, 0), 1)
                    -- A worse turn, or a milestone, is new work although the old was handled.
                    when spans.match_from_on > latest.closed_on and (
                        params.raises_open_work
                        or params.severity_rank > coalesce(last_rule.severity_rank, -1)
                    )
                        then latest.closed_on + greatest(coalesce(last_rule.cooldown_days, 0), 1)
                    when last_rule.reraise_days is not null
                        then latest.closed_on + greatest(
                            last_rule.cooldown_days, last_rule.reraise_days
                        )
                end as earliest_on
            from layer_spans as spans
            inner join frontier as latest on spans.playbook_id = latest.playbook_id
                and spans.account_id = latest.account_id and spans.scope = latest.scope
            inner join rule_params as params on spans.rule_id = params.rule_id
            left join rule_params as last_rule on latest.rule_id = last_rule.rule_id
        ),
        candidates as (
            select *, greatest(from_on, earliest_on, {day(from_date)}) as opened_on
            from bounded
            where earliest_on is not null
        )
        select playbook_id, account_id, scope, opened_on, rule_id, solution_area, evidence
        from candidates
        where opened_on < coalesce(to_on, {_FAR}) and opened_on <= {day(as_of_date)}
        qualify row_number() over (
            partition by playbook_id, account_id, scope
            order by opened_on, priority, severity_rank desc, rule_id
        ) = 1
        """
    )
    opened = _count(con, "openings")
    if opened:
        con.execute(
            """
            create or replace temp table pending as
            select 'act_' || left(md5(concat_ws(
                    '|', openings.playbook_id, openings.account_id, openings.scope,
                    openings.opened_on
                )), 24) as action_id,
                openings.playbook_id, params.playbook_version, openings.rule_id,
                params.rule_version, openings.account_id, openings.scope, openings.solution_area,
                params.owner_role, openings.opened_on,
                openings.opened_on + params.sla_days as due_on,
                openings.opened_on + params.plan_days as plan_due_on,
                openings.evidence
            from openings
            inner join rule_params as params on openings.rule_id = params.rule_id
            """
        )
    return opened


# Which reason stands when an action could close for several on one day.
_CLOSE_ORDER = ("completed", "cancelled", "churned", "superseded", "recovered", "expired")


def _close(con: duckdb.DuckDBPyConnection, as_of_date: date) -> None:
    """Decide when and why the episodes of `pending` close; `decided` has them, `episodes` too."""
    order = " ".join(f"when {quote_text(r)} then {i}" for i, r in enumerate(_CLOSE_ORDER))
    con.execute(
        f"""
        create or replace temp table closings as
        with reasons as (
            select pending.action_id, feedback.event as reason, min(feedback.occurred_on) as on_day
            from pending
            inner join feedback on pending.action_id = feedback.action_id
            where feedback.event in ('completed', 'cancelled')
                and feedback.occurred_on >= pending.opened_on
            group by pending.action_id, feedback.event
            union all
            select pending.action_id, 'churned', endings.ended_on
            from pending
            inner join endings on pending.account_id = endings.account_id
            left join rule_params as params on pending.rule_id = params.rule_id
            where endings.ended_on >= pending.opened_on
                and not coalesce(params.survives_churn, false)
            union all
            select pending.action_id, 'superseded', min(winners.opened_on)
            from pending
            inner join supersedings on pending.playbook_id = supersedings.loser
            inner join all_episodes as winners on supersedings.winner = winners.playbook_id
                and pending.account_id = winners.account_id
                and winners.opened_on > pending.opened_on
            group by pending.action_id
            union all
            select pending.action_id, 'recovered', min(islands.to_on)
            from pending
            inner join rule_params as params on pending.rule_id = params.rule_id
                and params.closes_when_clear
            inner join {WORK_SPANS.name} as islands
                on pending.playbook_id = islands.playbook_id
                and pending.account_id = islands.account_id and pending.scope = islands.scope
                and islands.from_on <= pending.opened_on
                and islands.to_on > pending.opened_on
            group by pending.action_id
            union all
            select pending.action_id, 'recovered',
                min(greatest(spans.from_on, pending.opened_on + 1))
            from pending
            inner join rule_params as params on pending.rule_id = params.rule_id
            inner join {CONDITION_SPANS.name} as spans
                on params.auto_close_id = spans.condition_id
                and pending.account_id = spans.account_id and pending.scope = spans.scope
                and coalesce(spans.to_on, {_FAR}) > pending.opened_on + 1
            group by pending.action_id
            union all
            select pending.action_id, 'expired', pending.opened_on + params.expires_days
            from pending
            inner join rule_params as params on pending.rule_id = params.rule_id
            anti join feedback on pending.action_id = feedback.action_id
                and feedback.event in ('started', 'step_done')
                and feedback.occurred_on >= pending.opened_on
                and feedback.occurred_on <= pending.opened_on + params.expires_days
            where params.expires_days is not null
        )
        select action_id, reason, on_day from reasons
        where on_day <= {day(as_of_date)}
        qualify row_number() over (
            partition by action_id order by on_day, case reason {order} end
        ) = 1
        """
    )
    con.execute(
        "create or replace temp table decided as select pending.*, closings.on_day as closed_on,"
        " closings.reason as close_reason from pending"
        " left join closings on pending.action_id = closings.action_id"
    )
    con.execute("insert into episodes select * from decided")
