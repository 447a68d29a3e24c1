"""Conditions to spans of days with one verdict, for all conditions of a scope in one pass.

Each day every condition is 0 (no), 1 (matched) or 2 (unknown); the codes of one thing on one day
are packed into integers, so that a change is one comparison and only changes are ever unpacked. A
run continues the spans that stand open the day before it, exactly.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import date, timedelta

import duckdb

from dagster_project.expressions import quote_identifier, quote_text
from dagster_project.playbooks.loader import INPUT
from dagster_project.playbooks.rulebook import Condition, RuleBook
from dagster_project.playbooks.scopes import Scope
from dagster_project.playbooks.tables import CONDITION_SPANS, SIGNALS

# A backfill goes through the range in pieces of about this many account-days, which bounds memory.
PIECE_ACCOUNT_DAYS = 1_000_000
# Two bits per condition in a signed 64-bit integer.
_PER_WORD = 31


def day(value: date) -> str:
    """A date as a SQL literal."""
    return f"date '{value.isoformat()}'"


def evaluate_conditions(
    con: duckdb.DuckDBPyConnection,
    rules: RuleBook,
    from_date: date,
    as_of_date: date,
    *,
    known_from: Mapping[str, date],
    piece_days: int | None = None,
) -> None:
    """Bring `pipeline.condition_spans` and the model signals up to `as_of_date`.

    Everything on or after `from_date` is computed anew; what stood open before is continued. The
    result does not depend on `piece_days`, the days computed at once (chosen by size when None).
    """
    if piece_days is None:
        piece_days = _piece_days(con, from_date, as_of_date)
    _reopen(con, rules, from_date)
    by_scope = {
        name: [one for one in rules.conditions if one.scope == name] for name in rules.scopes
    }
    for first, last in _pieces(from_date, as_of_date, piece_days):
        for name, conditions in by_scope.items():
            if conditions:
                _evaluate_scope(con, rules.scopes[name], conditions, (first, last), known_from)


def _pieces(first: date, last: date, days: int) -> Iterator[tuple[date, date]]:
    start = first
    while start <= last:
        end = min(start + timedelta(days=days - 1), last)
        yield start, end
        start = end + timedelta(days=1)


def _piece_days(con: duckdb.DuckDBPyConnection, first: date, last: date) -> int:
    rows = con.execute(
        "select count(*) from intermediate.int_core__account_days"
        f" where as_of_date between {day(first)} and {day(last)}"
    ).fetchall()
    days = (last - first).days + 1
    return min(days, max(7, PIECE_ACCOUNT_DAYS * days // max(int(rows[0][0]), 1)))


def _reopen(con: duckdb.DuckDBPyConnection, rules: RuleBook, from_date: date) -> None:
    """Take the state back to the evening before `from_date`."""
    start = day(from_date)
    con.execute(f"delete from {SIGNALS.name} where occurred_on >= {start}")
    con.execute(f"delete from {CONDITION_SPANS.name} where from_on >= {start}")
    con.execute(f"update {CONDITION_SPANS.name} set to_on = null where to_on >= {start}")
    # A condition that is no longer judged ends here; its past stays.
    con.execute(
        f"update {CONDITION_SPANS.name} set to_on = {start}"
        " where to_on is null and not list_contains(?, condition_id)",
        [[one.condition_id for one in rules.conditions]],
    )


def _evaluate_scope(
    con: duckdb.DuckDBPyConnection,
    scope: Scope,
    conditions: Sequence[Condition],
    piece: tuple[date, date],
    known_from: Mapping[str, date],
) -> None:
    first, last = piece
    wanted = dict.fromkeys(name for one in conditions for name in (*one.needed, *one.evidence))
    relation = scope.sql(wanted, first, last, known_from)
    con.execute(f"create or replace temp table scope_input as {relation}")
    _write_event_signals(con, [one for one in conditions if one.is_event])
    judged = [one for one in conditions if not one.is_event]
    if judged:
        _write_edges(con, judged, first, last)
        _write_spans(con, judged)
        _write_level_signals(con, judged)
    con.execute("drop table scope_input")


def _code(condition: Condition) -> str:
    unknown = 2 if condition.keeps_unknown else 0
    return f"coalesce(cast(({condition.sql}) as bigint), {unknown})"


def _words(conditions: Sequence[Condition]) -> list[Sequence[Condition]]:
    return [conditions[at : at + _PER_WORD] for at in range(0, len(conditions), _PER_WORD)]


def _write_edges(
    con: duckdb.DuckDBPyConnection, conditions: Sequence[Condition], first: date, last: date
) -> None:
    """Temp table `edges`: every (condition, thing, day) on which the verdict changes."""
    words = _words(conditions)
    packed = [
        " | ".join(f"({_code(one)} << {2 * bit})" for bit, one in enumerate(word)) for word in words
    ]
    names = [f"w{number}" for number in range(len(words))]
    numbers = ", ".join(
        f"({word}, {2 * bit}, {quote_text(one.condition_id)})"
        for word, members in enumerate(words)
        for bit, one in enumerate(members)
    )
    con.execute(
        "create or replace temp table condition_bits as"
        f" select * from (values {numbers}) as bits (word, shift, condition_id)"
    )
    is_any = " or ".join(f"{name} <> 0" for name in names)
    carried = ", ".join(
        f"coalesce(cast(sum(case when bits.word = {number} then"
        " cast(case spans.verdict when 'matched' then 1 else 2 end as bigint) << bits.shift end)"
        f" as bigint), 0) as {name}"
        for number, name in enumerate(names)
    )
    before = ", ".join(
        f"case when lag(as_of_date) over days = as_of_date - 1 then lag({name}) over days"
        f" else 0 end as old_{name}"
        for name in names
    )
    changed = " or ".join(f"{name} <> old_{name}" for name in names)
    opening = ", ".join(f"{name}, old_{name}" for name in names)
    closing = ", ".join(f"cast(0 as bigint) as {name}, {name} as old_{name}" for name in names)
    both = ", ".join(f"{name}, old_{name}" for name in names)
    new_word = "case bits.word " + " ".join(
        f"when {number} then {name}" for number, name in enumerate(names)
    ) + " end"  # fmt: skip
    old_word = new_word.replace("then w", "then old_w")
    con.execute(
        f"""
        create or replace temp table edges as
        with today as (
            select account_id, scope, solution_area, as_of_date,
                {", ".join(f"{sql} as {name}" for sql, name in zip(packed, names, strict=True))}
            from scope_input as {INPUT}
        ),
        standing as (
            select spans.account_id, spans.scope, min(spans.solution_area) as solution_area,
                {day(first - timedelta(days=1))} as as_of_date, {carried}
            from {CONDITION_SPANS.name} as spans
            inner join condition_bits as bits on spans.condition_id = bits.condition_id
            where spans.to_on is null
            group by spans.account_id, spans.scope
        ),
        known as (
            select * from standing
            union all
            select * from today where {is_any}
        ),
        ordered as (
            select *, {before}, lead(as_of_date) over days as next_on
            from known
            window days as (partition by account_id, scope order by as_of_date)
        ),
        changes as (
            select account_id, scope, solution_area, as_of_date, {opening} from ordered
            where as_of_date >= {day(first)} and ({changed})
            union all
            -- A thing that is not judged the next day is matched by nothing from then on.
            select account_id, scope, solution_area, as_of_date + 1 as as_of_date, {closing}
            from ordered
            where as_of_date < {day(last)} and (next_on is null or next_on > as_of_date + 1)
        ),
        unpacked as (
            select bits.condition_id, changes.account_id, changes.scope, changes.solution_area,
                changes.as_of_date, ({new_word} >> bits.shift) & 3 as code,
                ({old_word} >> bits.shift) & 3 as old_code
            from (select account_id, scope, solution_area, as_of_date, {both} from changes)
                as changes
            cross join condition_bits as bits
        )
        select condition_id, account_id, scope, solution_area, as_of_date, code,
            lead(as_of_date) over (
                partition by condition_id, account_id, scope order by as_of_date
            ) as next_on
        from unpacked
        where code <> old_code
        """
    )


def _json(names: Sequence[str]) -> str:
    if not names:
        return "'{}'"
    fields = ", ".join(f"{quote_identifier(name)} := {INPUT}.{quote_identifier(name)}"
                       for name in sorted(names))  # fmt: skip
    return f"cast(to_json(struct_pack({fields})) as varchar)"


def _by_condition(column: str, cases: Mapping[str, str], otherwise: str) -> str:
    if not cases:
        return otherwise
    whens = " ".join(f"when {quote_text(key)} then {sql}" for key, sql in cases.items())
    return f"case {column} {whens} else {otherwise} end"


def _write_spans(con: duckdb.DuckDBPyConnection, conditions: Sequence[Condition]) -> None:
    """Close the standing spans that end in this piece, add those that begin in it."""
    con.execute(
        f"""
        update {CONDITION_SPANS.name} as spans set to_on = ends.to_on
        from (
            select condition_id, account_id, scope, min(as_of_date) as to_on from edges
            group by condition_id, account_id, scope
        ) as ends
        where spans.to_on is null and spans.condition_id = ends.condition_id
            and spans.account_id = ends.account_id and spans.scope = ends.scope
        """
    )
    evidence = _by_condition(
        "edges.condition_id",
        {one.condition_id: _json(one.evidence) for one in conditions if one.evidence},
        "'{}'",
    )
    missing = _by_condition(
        "edges.condition_id",
        {
            one.condition_id: "concat_ws(', ', "
            + ", ".join(
                f"case when {INPUT}.{quote_identifier(name)} is null then {quote_text(name)} end"
                for name in one.needed
            )
            + ")"
            for one in conditions
            if one.keeps_unknown and one.needed
        },
        "''",
    )
    con.execute(
        f"""
        insert into {CONDITION_SPANS.name} ({CONDITION_SPANS.column_names})
        select edges.condition_id, edges.account_id, edges.scope, edges.solution_area,
            edges.as_of_date, edges.next_on,
            case edges.code when 1 then 'matched' else 'unknown' end,
            case when edges.code = 2 then {missing} end,
            {evidence}
        from edges
        inner join scope_input as {INPUT}
            on edges.account_id = {INPUT}.account_id and edges.scope = {INPUT}.scope
            and edges.as_of_date = {INPUT}.as_of_date
        where edges.code <> 0
        order by edges.as_of_date, edges.condition_id, edges.account_id, edges.scope
        """
    )


def _signal_columns(cause_sql: str, area: str, on: str, evidence: str, table: str) -> str:
    signal = f"split_part({cause_sql}, ':', 1)"
    cause = f"split_part({cause_sql}, ':', 2)"
    hashed = f"md5(concat_ws('|', {cause_sql}, {table}.account_id, {table}.scope, {on}))"
    return (
        f"'sig_' || left({hashed}, 24), {signal}, {cause}, {table}.account_id, {table}.scope,"
        f" {area}, {on}, {evidence}"
    )


def _write_event_signals(con: duckdb.DuckDBPyConnection, conditions: Sequence[Condition]) -> None:
    for one in conditions:
        columns = _signal_columns(
            quote_text(one.condition_id),
            f"{INPUT}.solution_area",
            f"{INPUT}.as_of_date",
            _json(one.evidence),
            INPUT,
        )
        con.execute(
            f"insert into {SIGNALS.name} ({SIGNALS.column_names}) select {columns}"
            f" from scope_input as {INPUT} where {one.sql}"
            f" order by {INPUT}.as_of_date, {INPUT}.account_id, {INPUT}.scope"
        )


def _write_level_signals(con: duckdb.DuckDBPyConnection, conditions: Sequence[Condition]) -> None:
    causes = [one.condition_id for one in conditions if one.kind == "cause"]
    if not causes:
        return
    columns = _signal_columns(
        "spans.condition_id", "spans.solution_area", "spans.from_on", "spans.evidence", "spans"
    )
    con.execute(
        f"""
        insert into {SIGNALS.name} ({SIGNALS.column_names})
        select {columns}
        from {CONDITION_SPANS.name} as spans
        inner join edges on spans.condition_id = edges.condition_id
            and spans.account_id = edges.account_id and spans.scope = edges.scope
            and spans.from_on = edges.as_of_date and edges.code = 1
        where list_contains(?, spans.condition_id)
        order by spans.from_on, spans.condition_id, spans.account_id, spans.scope
        """,
        [causes],
    )
