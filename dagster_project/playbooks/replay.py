"""What a rule set would have opened over a past range, and what followed.

The engine is the one of the nightly run (`run_playbooks`), given other rules and a database of its
own; this module only reads what it leaves. A replay begins where history begins, so that what was
open, handled or cooling down at the range's start is known, and reports on the range.

Belongs here: running a rule set aside and measuring it. Does not belong here: making the database
(`defs`), words and files (`replay_text`).
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date

import duckdb

from dagster_project.errors import ConfigError
from dagster_project.expressions import quote_identifier
from dagster_project.playbooks.actions import HELD_OUT
from dagster_project.playbooks.proposals import Proposal
from dagster_project.playbooks.rulebook import Rule, RuleBook
from dagster_project.playbooks.runner import run_playbooks
from dagster_project.playbooks.scopes import zone_rank
from dagster_project.playbooks.spans import day
from dagster_project.playbooks.tables import PUBLIC_TABLES, STATE_TABLES
from dagster_project.sentences import write_why

# What is kept of a side when the next one is run.
_KEPT = ("actions", "action_events", "rule_states")
_FAR = "date '9999-12-31'"


@dataclass(frozen=True)
class Range:
    """The days of a replay.

    `history_from` is the first day computed, [`from_date`, `to_date`] the days reported on,
    `known_until` the last day of which anything is known: what followed is read up to it.
    """

    history_from: date
    from_date: date
    to_date: date
    known_until: date


@dataclass(frozen=True)
class Opening:
    """One action the rules would have opened within the range."""

    action_id: str
    playbook_id: str
    rule_id: str
    account_id: str
    account_name: str | None
    scope: str
    solution_area: str | None
    severity: str
    owner_role: str
    #: person in the owner's role on the opening day; None: nobody
    owner: str | None
    opened_on: date
    #: None: open on the last known day
    closed_on: date | None
    close_reason: str | None
    #: the rule's sentence with the evidence in it
    why: str
    #: JSON object of the names and values that opened it
    evidence: str


@dataclass(frozen=True)
class WeekCount:
    """Openings of one rule in one week, which begins on a Monday; weeks of none are there too."""

    week_on: date
    rule_id: str
    opened: int


@dataclass(frozen=True)
class OwnerCount:
    """What one person (None: nobody holds the role) would have been given."""

    owner_role: str
    owner: str | None
    opened: int
    accounts: int
    most_in_a_week: int
    #: still open on the last day of the range
    open_at_end: int


@dataclass(frozen=True)
class Overlap:
    """Work of another playbook that stood on the account when the rule opened its own.

    `openings` of the rule's openings met it, `same_day` of these on the very day.
    """

    rule_id: str
    other_playbook_id: str
    other_rule_id: str
    openings: int
    same_day: int
    #: share of the rule's openings, 0 to 1
    ratio: float


@dataclass(frozen=True)
class HeldBack:
    """Matches within the range that opened nothing: of the rule itself, or, by it, of others.

    `direction` is `own` (the rule's matches; `other` holds them back, empty when no rule does) or
    `others` (matches of the rule `other` that this rule's work holds back). `kind` is same_work,
    cooldown, handled, superseded, chain or held_out.
    """

    rule_id: str
    direction: str
    kind: str
    other: str
    matches: int
    accounts: int
    #: account-days within the range
    days: int


@dataclass(frozen=True)
class Unjudged:
    """Where a rule could not say yes or no, and which inputs were missing."""

    rule_id: str
    missing: str
    accounts: int
    days: int


@dataclass(frozen=True)
class Followed:
    """What followed the openings of a rule within the horizon, beside what follows any day.

    `judged` are openings whose horizon is over. The base is every day of every customer in the
    range. Recovery is asked of openings in a zone that can get better: a better zone than on the
    opening day, kept for the confirming days. Ratios are 0 to 1, None where nothing can be judged.
    """

    rule_id: str
    horizon_days: int
    openings: int
    judged: int
    churned: int
    churn_ratio: float | None
    base_churn_ratio: float | None
    #: customers who left in the range, and those of them the rule had opened for before
    left: int
    left_after_opening: int
    recovery_judged: int
    recovered: int
    recovery_ratio: float | None
    base_recovery_ratio: float | None
    #: closed by themselves within the horizon, of the judged
    cleared: int

    @property
    def churn_lift(self) -> float | None:
        """How many times likelier churn is after an opening than on any day."""
        if self.churn_ratio is None or not self.base_churn_ratio:
            return None
        return self.churn_ratio / self.base_churn_ratio


@dataclass(frozen=True)
class ReplayResult:
    """One rule set over one range."""

    name: str
    range: Range
    confirm_days: int
    rule_ids: tuple[str, ...]
    notes: tuple[str, ...]
    #: actions of the rules that were open when the range began
    open_before: int
    openings: tuple[Opening, ...]
    weeks: tuple[WeekCount, ...]
    owners: tuple[OwnerCount, ...]
    overlaps: tuple[Overlap, ...]
    held_back: tuple[HeldBack, ...]
    unjudged: tuple[Unjudged, ...]
    followed: tuple[Followed, ...]


@dataclass(frozen=True)
class OneSided:
    """An opening of one side, and why the other side did not open on that day."""

    opening: Opening
    why_not: str


@dataclass(frozen=True)
class RulesDiff:
    """Two rule sets over one range.

    An opening is on both sides when the same playbook opens for the same account and scope on the
    same day; `moved` pairs those where the days differ but the work is the same (it stood on both
    sides at once). `standing_only_new` is what only the new rules hold open on the last day: about
    what the first night after the change would open.
    """

    old_name: str
    new_name: str
    range: Range
    notes: tuple[str, ...]
    #: playbook id, openings by the old rules, by the new rules
    counts: tuple[tuple[str, int, int], ...]
    same: int
    only_old: tuple[OneSided, ...]
    only_new: tuple[OneSided, ...]
    moved: tuple[tuple[Opening, Opening], ...]
    standing_only_old: int
    standing_only_new: int
    #: rule, or signal and cause, and what is different about it, in words
    changes: tuple[tuple[str, str], ...]


def run_aside(con: duckdb.DuckDBPyConnection, rules: RuleBook, days: Range, side: str) -> None:
    """Run the engine from the start of history to the last known day and keep what it left.

    It goes on behind the range, because how work opened in the range ended is asked, too; no day
    depends on later ones. `con` is a private copy: its playbook tables are emptied first. What is
    kept goes into the schema `side`.
    """
    for table in (*PUBLIC_TABLES, *STATE_TABLES):
        con.execute(f"drop table if exists {table.name}")
    run_playbooks(con, rules, days.history_from, days.known_until)
    schema = quote_identifier(side)
    con.execute(f"create schema if not exists {schema}")
    for name in _KEPT:
        con.execute(f"create or replace table {schema}.{name} as from playbooks.{name}")


def confirm_days(con: duckdb.DuckDBPyConnection) -> int:
    """Days a better zone must last to be a recovery, from the metrics' policy."""
    rows = con.execute(
        "select cast(value as integer) from policy.metric_policy"
        " where parameter = 'green_confirm_days'"
    ).fetchall()
    if not rows:
        raise ConfigError("the seed metric_policy has no green_confirm_days")
    return int(rows[0][0])


def horizons(con: duckdb.DuckDBPyConnection) -> tuple[int, ...]:
    """The horizons (days) within which what followed counts: those of the score's proof."""
    rows = con.execute(
        "select horizon_days from policy.proof_horizons order by horizon_days"
    ).fetchall()
    return tuple(int(days) for (days,) in rows)


def measure(
    con: duckdb.DuckDBPyConnection, proposal: Proposal, days: Range, side: str
) -> ReplayResult:
    """Read what `run_aside` kept in the schema `side` about the rules the caller asked about."""
    confirm = confirm_days(con)
    _load_openings(con, proposal.rules, days, side)
    con.execute("create or replace temp table asked (rule_id varchar, playbook_id varchar)")
    for rule in proposal.rules.rules:
        if rule.rule_id in proposal.rule_ids:
            con.execute("insert into asked values (?, ?)", [rule.rule_id, rule.playbook_id])
    con.execute(
        "create or replace temp table openings as"
        " select * from side_openings semi join asked using (rule_id)"
    )
    before = con.execute(
        f"select count(*) from {quote_identifier(side)}.actions semi join asked using (rule_id)"
        f" where opened_on < {day(days.from_date)}"
        f" and coalesce(closed_on, {_FAR}) >= {day(days.from_date)}"
    ).fetchall()
    return ReplayResult(
        name=proposal.name,
        range=days,
        confirm_days=confirm,
        rule_ids=proposal.rule_ids,
        notes=proposal.notes,
        open_before=int(before[0][0]),
        openings=_openings(con, "openings"),
        weeks=_weeks(con, days),
        owners=_owners(con, days),
        overlaps=_overlaps(con, side),
        held_back=_held_back(con, proposal.rules, days, side),
        unjudged=_unjudged(con, days, side),
        followed=_followed(con, days, side, horizons(con), confirm),
    )


def compare(con: duckdb.DuckDBPyConnection, old: Proposal, new: Proposal, days: Range) -> RulesDiff:
    """Compare the sides `old` and `new`, which `run_aside` kept."""
    for side, proposal in (("old", old), ("new", new)):
        _load_openings(con, proposal.rules, days, side)
        con.execute(f"create or replace temp table openings_{side} as from side_openings")
    for side, other in (("old", "new"), ("new", "old")):
        con.execute(
            f"create or replace temp table only_{side} as select * from openings_{side}"
            f" anti join openings_{other} using (action_id)"
        )
    # The same work on other days: both stood at once. Each is paired with the nearest of the other.
    con.execute(
        f"""
        create or replace temp table moved as
        with pairs as (
            select a.action_id as old_id, b.action_id as new_id,
                abs(a.opened_on - b.opened_on) as gap_days
            from only_old as a
            inner join only_new as b on a.playbook_id = b.playbook_id
                and a.account_id = b.account_id and a.scope = b.scope
                and a.opened_on < coalesce(b.closed_on, {_FAR})
                and b.opened_on < coalesce(a.closed_on, {_FAR})
        ),
        nearest_new as (
            select * from pairs
            qualify row_number() over (partition by old_id order by gap_days, new_id) = 1
        )
        select old_id, new_id from nearest_new
        qualify row_number() over (partition by new_id order by gap_days, old_id) = 1
        """
    )
    con.execute("create or replace temp table moved_old as select old_id as action_id from moved")
    con.execute("create or replace temp table moved_new as select new_id as action_id from moved")
    for side in ("old", "new"):
        for name, kind in (("pair", "semi"), ("gone", "anti")):
            con.execute(
                f"create or replace temp table {name}_{side} as select * from only_{side}"
                f" {kind} join moved_{side} using (action_id)"
            )
    counts = con.execute(
        """
        select playbook_id, count(*) filter (side = 'old'), count(*) filter (side = 'new')
        from (
            select playbook_id, 'old' as side from openings_old
            union all select playbook_id, 'new' from openings_new
        ) group by playbook_id order by playbook_id
        """
    ).fetchall()
    same = con.execute(
        "select count(*) from openings_old semi join openings_new using (action_id)"
    ).fetchall()
    paired = con.execute("select old_id, new_id from moved order by all").fetchall()
    by_id = {
        one.action_id: one for table in ("pair_old", "pair_new") for one in _openings(con, table)
    }
    return RulesDiff(
        old_name=old.name,
        new_name=new.name,
        range=days,
        notes=(*old.notes, *new.notes),
        counts=tuple((str(playbook), int(a), int(b)) for playbook, a, b in counts),
        same=int(same[0][0]),
        only_old=_one_sided(con, "gone_old", "new"),
        only_new=_one_sided(con, "gone_new", "old"),
        moved=tuple((by_id[a], by_id[b]) for a, b in paired),
        standing_only_old=_standing_only(con, days, "old", "new"),
        standing_only_new=_standing_only(con, days, "new", "old"),
        changes=tuple(_rule_changes(old.rules, new.rules)),
    )


def _one_sided(con: duckdb.DuckDBPyConnection, table: str, other: str) -> tuple[OneSided, ...]:
    """The openings of `table` with what the side `other` had on their day."""
    schema = quote_identifier(other)
    rows = con.execute(
        f"""
        with standing as (
            select mine.action_id, max(work.opened_on) as since_on,
                max_by(work.rule_id, work.opened_on) as rule_id
            from {table} as mine
            inner join {schema}.actions as work on mine.playbook_id = work.playbook_id
                and mine.account_id = work.account_id and mine.scope = work.scope
                and work.opened_on <= mine.opened_on
                and coalesce(work.closed_on, {_FAR}) > mine.opened_on
            group by mine.action_id
        )
        select mine.action_id, case
            when standing.action_id is not null
                then 'already at work since ' || standing.since_on || ' (' || standing.rule_id
                    || ')'
            when state.verdict is not null then state.verdict || ': ' || state.reason
            else 'no match' end
        from {table} as mine
        left join standing on mine.action_id = standing.action_id
        left join {schema}.rule_states as state on mine.rule_id = state.rule_id
            and mine.account_id = state.account_id and mine.scope = state.scope
            and state.valid_from_on <= mine.opened_on
            and coalesce(state.valid_to_on, {_FAR}) > mine.opened_on
        """
    ).fetchall()
    reasons = dict(rows)
    return tuple(OneSided(one, str(reasons[one.action_id])) for one in _openings(con, table))


def _standing_only(con: duckdb.DuckDBPyConnection, days: Range, side: str, other: str) -> int:
    """How many things have work open on the range's last day on one side only."""
    standing = (
        "(select playbook_id, account_id, scope from {side}.actions"
        f" where opened_on <= {day(days.to_date)}"
        f" and coalesce(closed_on, {_FAR}) > {day(days.to_date)})"
    )
    rows = con.execute(
        f"select count(*) from {standing.replace('{side}', quote_identifier(side))}"
        f" anti join {standing.replace('{side}', quote_identifier(other))}"
        " using (playbook_id, account_id, scope)"
    ).fetchall()
    return int(rows[0][0])


def _load_openings(con: duckdb.DuckDBPyConnection, rules: RuleBook, days: Range, side: str) -> None:
    """Temp table `side_openings`: every action a side opened in the range."""
    con.execute("create or replace temp table rule_words (rule_id varchar, why varchar)")
    for rule in rules.rules:
        con.execute("insert into rule_words values (?, ?)", [rule.rule_id, rule.why])
    schema = quote_identifier(side)
    con.execute(
        f"""
        create or replace temp table side_openings as
        select actions.action_id, actions.playbook_id, actions.rule_id, actions.account_id,
            account.account_name, actions.scope, actions.solution_area,
            json_extract_string(opened.detail, '$.severity') as severity,
            actions.owner_role, json_extract_string(opened.detail, '$.owner') as owner,
            actions.opened_on, actions.closed_on, actions.close_reason, words.why,
            actions.evidence
        from {schema}.actions as actions
        inner join {schema}.action_events as opened on actions.action_id = opened.action_id
            and opened.event = 'opened'
        left join rule_words as words on actions.rule_id = words.rule_id
        left join marts.dim_account as account on actions.account_id = account.account_id
        where actions.opened_on between {day(days.from_date)} and {day(days.to_date)}
        """
    )


def _openings(con: duckdb.DuckDBPyConnection, table: str) -> tuple[Opening, ...]:
    rows = con.execute(
        "select action_id, playbook_id, rule_id, account_id, account_name, scope, solution_area,"
        f" severity, owner_role, owner, opened_on, closed_on, close_reason, why, evidence"
        f" from {table} order by opened_on, playbook_id, account_id, scope"
    ).fetchall()
    return tuple(
        Opening(*row[:13], write_why(row[13] or "", json.loads(row[14])), row[14])  # type: ignore[call-arg]
        for row in rows
    )


def _weeks(con: duckdb.DuckDBPyConnection, days: Range) -> tuple[WeekCount, ...]:
    rows = con.execute(
        f"""
        with weeks as (
            select cast(unnest(generate_series(
                date_trunc('week', {day(days.from_date)}), {day(days.to_date)}, interval 7 day
            )) as date) as week_on
        )
        select weeks.week_on, asked.rule_id, count(openings.action_id)
        from weeks
        cross join asked
        left join openings on openings.rule_id = asked.rule_id
            and openings.opened_on >= weeks.week_on and openings.opened_on < weeks.week_on + 7
        group by all order by all
        """
    ).fetchall()
    return tuple(WeekCount(*row) for row in rows)


def _owners(con: duckdb.DuckDBPyConnection, days: Range) -> tuple[OwnerCount, ...]:
    rows = con.execute(
        f"""
        with weekly as (
            select owner_role, owner, date_trunc('week', opened_on) as week_on,
                count(*) as opened
            from openings group by all
        ),
        busiest as (
            select owner_role, owner, max(opened) as most from weekly group by all
        )
        select openings.owner_role, openings.owner, count(*),
            count(distinct openings.account_id), min(busiest.most),
            count(*) filter (coalesce(openings.closed_on, {_FAR}) > {day(days.to_date)})
        from openings
        inner join busiest on openings.owner_role = busiest.owner_role
            and openings.owner is not distinct from busiest.owner
        group by openings.owner_role, openings.owner
        order by 3 desc, 1, 2
        """
    ).fetchall()
    return tuple(OwnerCount(*row) for row in rows)


def _overlaps(con: duckdb.DuckDBPyConnection, side: str) -> tuple[Overlap, ...]:
    rows = con.execute(
        f"""
        with met as (
            select openings.rule_id, other.playbook_id, other.rule_id as other_rule_id,
                openings.action_id, max(other.opened_on) = openings.opened_on as is_same_day
            from openings
            inner join {quote_identifier(side)}.actions as other
                on openings.account_id = other.account_id
                and openings.playbook_id <> other.playbook_id
                and coalesce(openings.solution_area = other.solution_area, true)
                and other.opened_on <= openings.opened_on
                and coalesce(other.closed_on, {_FAR}) > openings.opened_on
            group by openings.rule_id, other.playbook_id, other.rule_id, openings.action_id,
                openings.opened_on
        ),
        totals as (select rule_id, count(*) as total from openings group by rule_id)
        select met.rule_id, met.playbook_id, met.other_rule_id, count(*),
            count(*) filter (met.is_same_day), count(*) / min(totals.total)
        from met
        inner join totals on met.rule_id = totals.rule_id
        group by met.rule_id, met.playbook_id, met.other_rule_id
        order by 4 desc, 1, 2, 3
        """
    ).fetchall()
    return tuple(Overlap(*row) for row in rows)


def _held_back(
    con: duckdb.DuckDBPyConnection, rules: RuleBook, span: Range, side: str
) -> tuple[HeldBack, ...]:
    """Suppressed matches within the range, by reason; `reason` is written by the engine."""
    con.execute("create or replace temp table winners (winner varchar, loser varchar)")
    for playbook in rules.deployed:
        for loser in playbook.supersedes:
            con.execute("insert into winners values (?, ?)", [playbook.id, loser])
    con.execute(
        f"""
        create or replace temp table held as
        select rule_id, playbook_id, account_id, reason,
            case
                when reason like 'same work as %' then 'same_work'
                when reason like 'cooldown until %' then 'cooldown'
                when reason like 'handled by %' then 'handled'
                when reason = 'superseded' then 'superseded'
                when reason like 'waits for %' then 'chain'
                when reason = '{HELD_OUT}' then 'held_out'
                else reason
            end as kind,
            regexp_extract(reason, '^same work as \\S+ opened by (\\S+)$', 1) as by_rule,
            least(coalesce(valid_to_on, {_FAR}), {day(span.to_date)} + 1)
                - greatest(valid_from_on, {day(span.from_date)}) as days
        from {quote_identifier(side)}.rule_states
        where verdict = 'suppressed' and valid_from_on <= {day(span.to_date)}
            and coalesce(valid_to_on, {_FAR}) > {day(span.from_date)}
        """
    )
    rows = con.execute(
        """
        with own as (
            select rule_id, 'own' as direction, kind,
                case kind when 'same_work' then by_rule
                    when 'chain' then regexp_extract(reason, '^waits for (.*)$', 1) else '' end
                    as other,
                account_id, days
            from held semi join asked using (rule_id)
        ),
        others as (
            select held.by_rule as rule_id, 'others' as direction, held.kind,
                held.rule_id as other, held.account_id, held.days
            from held inner join asked on held.by_rule = asked.rule_id
            where held.kind = 'same_work'
            union all
            select playbook_id, 'others', 'superseded', rule_id, account_id, days from (
                select distinct asked.playbook_id, held.rule_id, held.account_id, held.days,
                    held.reason
                from held
                inner join winners on held.playbook_id = winners.loser
                inner join asked on winners.winner = asked.playbook_id
                where held.kind = 'superseded'
            )
        )
        select rule_id, direction, kind, other, count(*), count(distinct account_id),
            cast(sum(days) as bigint)
        from (select * from own union all select * from others)
        group by rule_id, direction, kind, other
        order by direction desc, 5 desc, rule_id, kind, other
        """
    ).fetchall()
    return tuple(HeldBack(*row) for row in rows)


def _unjudged(con: duckdb.DuckDBPyConnection, days: Range, side: str) -> tuple[Unjudged, ...]:
    rows = con.execute(
        f"""
        select rule_id, regexp_replace(reason, '^missing: ', ''), count(distinct account_id),
            sum(least(coalesce(valid_to_on, {_FAR}), {day(days.to_date)} + 1)
                - greatest(valid_from_on, {day(days.from_date)}))
        from {quote_identifier(side)}.rule_states
        semi join asked using (rule_id)
        where verdict = 'unknown' and valid_from_on <= {day(days.to_date)}
            and coalesce(valid_to_on, {_FAR}) > {day(days.from_date)}
        group by all order by 4 desc, 1, 2
        """
    ).fetchall()
    return tuple(Unjudged(rule, missing, int(n), int(d)) for rule, missing, n, d in rows)


def _followed(
    con: duckdb.DuckDBPyConnection,
    days: Range,
    side: str,
    within: tuple[int, ...],
    confirm: int,
) -> tuple[Followed, ...]:
    """Churn, recovery and clearing after the openings, and after any day of the range."""
    _load_health_days(con, days, confirm)
    rows = [row for horizon in within for row in _followed_within(con, days, side, horizon)]
    return tuple(sorted(rows, key=lambda row: (row.rule_id, row.horizon_days)))


def _load_health_days(con: duckdb.DuckDBPyConnection, days: Range, confirm: int) -> None:
    """Temp table `health_days`: the zone of each customer's day, and the day it had recovered."""
    rank = zone_rank("health_zone")
    ranks = (1, 2, 3)
    better = ", ".join(
        f"min(case when worst_ahead < {rank} then as_of_date end) over later as better_{rank}_on"
        for rank in ranks
    )
    recovered_on = (
        "case zone_rank "
        + " ".join(f"when {rank} then better_{rank}_on + {confirm - 1}" for rank in ranks)
        + " end"
    )
    con.execute(
        f"""
        create or replace temp table health_days as
        with ranked as (
            select account_id, as_of_date, {rank} as zone_rank
            from marts.fct_account_health_daily
            where as_of_date between {day(days.from_date)} and {day(days.known_until)}
        ),
        -- The worst zone of the confirming days that begin here; nothing where one is unknown.
        ahead as (
            select account_id, as_of_date, zone_rank,
                case when count(zone_rank) over confirming = {confirm}
                    then max(zone_rank) over confirming end as worst_ahead
            from ranked
            window confirming as (
                partition by account_id order by as_of_date
                range between current row and interval {confirm - 1} day following
            )
        ),
        following as (
            select account_id, as_of_date, zone_rank, {better}
            from ahead
            window later as (
                partition by account_id order by as_of_date
                rows between 1 following and unbounded following
            )
        )
        select account_id, as_of_date, zone_rank, {recovered_on} as recovered_on from following
        """
    )


def _followed_within(
    con: duckdb.DuckDBPyConnection, days: Range, side: str, horizon_days: int
) -> list[Followed]:
    con.execute(
        f"""
        create or replace temp table customer_days as
        select health.account_id, health.as_of_date,
            health.as_of_date + {horizon_days} <= {day(days.known_until)} as is_judged,
            coalesce(account.churned_on <= health.as_of_date + {horizon_days}, false)
                as is_churned,
            health.zone_rank > 0 as can_recover,
            coalesce(health.recovered_on <= health.as_of_date + {horizon_days}, false)
                as is_recovered
        from health_days as health
        inner join marts.dim_account as account on health.account_id = account.account_id
        where health.as_of_date <= {day(days.to_date)}
        """
    )
    rows = con.execute(
        f"""
        with judged as (
            select openings.rule_id, openings.action_id, coalesce(after.is_judged, false)
                as is_judged, after.is_churned, after.can_recover, after.is_recovered,
                coalesce(openings.close_reason = 'recovered'
                    and openings.closed_on <= openings.opened_on + {horizon_days}, false)
                    as is_cleared
            from openings
            left join customer_days as after on openings.account_id = after.account_id
                and openings.opened_on = after.as_of_date
        ),
        base as (
            select count(*) filter (is_judged and is_churned)
                    / nullif(count(*) filter (is_judged), 0) as churn_ratio,
                count(*) filter (is_judged and can_recover and is_recovered)
                    / nullif(count(*) filter (is_judged and can_recover), 0) as recovery_ratio
            from customer_days
        ),
        leavers as (
            select account_id, churned_on from marts.dim_account
            where churned_on > {day(days.from_date)} and churned_on <= {day(days.to_date)}
        ),
        warned as (
            select actions.rule_id, count(distinct leavers.account_id) as warned
            from leavers
            inner join {quote_identifier(side)}.actions as actions
                on leavers.account_id = actions.account_id
                and actions.opened_on < leavers.churned_on
                and actions.opened_on >= leavers.churned_on - {horizon_days}
            semi join asked on actions.rule_id = asked.rule_id
            group by actions.rule_id
        ),
        counted as (
            select rule_id, count(*) as openings, count(*) filter (is_judged) as judged,
                count(*) filter (is_judged and is_churned) as churned,
                count(*) filter (is_judged and can_recover) as recovery_judged,
                count(*) filter (is_judged and can_recover and is_recovered) as recovered,
                count(*) filter (is_judged and is_cleared) as cleared
            from judged group by rule_id
        )
        select asked.rule_id, {horizon_days}, coalesce(counted.openings, 0),
            coalesce(counted.judged, 0), coalesce(counted.churned, 0),
            counted.churned / nullif(counted.judged, 0), base.churn_ratio,
            (select count(*) from leavers), coalesce(warned.warned, 0),
            coalesce(counted.recovery_judged, 0), coalesce(counted.recovered, 0),
            counted.recovered / nullif(counted.recovery_judged, 0), base.recovery_ratio,
            coalesce(counted.cleared, 0)
        from asked
        cross join base
        left join counted on asked.rule_id = counted.rule_id
        left join warned on asked.rule_id = warned.rule_id
        """
    ).fetchall()
    return [Followed(*row) for row in rows]


# What of a rule decides what it opens; words are left out.
_DECIDING: tuple[tuple[str, Callable[[Rule], object]], ...] = (
    ("condition", lambda rule: rule.text),
    ("signal", lambda rule: rule.signal),
    ("scope", lambda rule: rule.scope),
    ("severity", lambda rule: rule.severity),
    ("priority", lambda rule: rule.priority),
    ("sla_days", lambda rule: rule.sla_days),
    ("cooldown_days", lambda rule: rule.cooldown_days),
    ("hysteresis_days", lambda rule: rule.hysteresis_days),
    ("reraise_days", lambda rule: rule.reraise_days),
    ("expires_days", lambda rule: rule.expires_days),
    ("holdout_ratio", lambda rule: rule.holdout_ratio),
    ("auto_close", lambda rule: rule.closes_when_clear or rule.auto_close_id),
    ("after", lambda rule: rule.after),
)


def _rule_changes(old: RuleBook, new: RuleBook) -> list[tuple[str, str]]:
    """What is different between two rule sets, rule by rule, in words."""
    before = {rule.rule_id: rule for rule in old.rules}
    after = {rule.rule_id: rule for rule in new.rules}
    causes = [
        {
            f"{signal.id}:{cause.cause}": cause.condition
            for signal in book.signals.values()
            for cause in signal.causes
        }
        for book in (old, new)
    ]
    changes = [
        (name, f"{_shown(causes[0].get(name))} -> {_shown(causes[1].get(name))}")
        for name in sorted(causes[0].keys() | causes[1].keys())
        if causes[0].get(name) != causes[1].get(name)
    ]
    for rule_id in sorted(before.keys() | after.keys()):
        if rule_id not in after:
            changes.append((rule_id, "gone"))
        elif rule_id not in before:
            changes.append((rule_id, "new"))
        else:
            one, two = before[rule_id], after[rule_id]
            differences = [
                f"{name}: {_shown(get(one))} -> {_shown(get(two))}"
                for name, get in _DECIDING
                if get(one) != get(two)
            ]
            if differences and two.signal:
                # A wider condition opens nothing where the signal in front of it does not stand.
                differences.append(f"read where {two.signal} stands")
            if not differences and one.condition.sql != two.condition.sql:
                differences.append(f"reads {two.signal}, which changed")
            if differences:
                changes.append((rule_id, "; ".join(differences)))
    return changes


def _shown(value: object) -> str:
    return "none" if value is None else str(value)
