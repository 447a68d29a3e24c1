"""Snapshots to a change log: a row is stored when it changed, a vanished key is a tombstone.

The log is a function of the extracts alone: whichever order they come in, in however many runs,
and however often one is corrected, the log is the same. To that end the log from the earliest new
extract on is derived anew: the state just before it, the new extracts, and those already in, which
are spread out again from the log. On an ordinary day nothing old is spread out.

One trace of the order remains: a row that comes to be stored for an extract that is no longer read
has that extract's file but no line.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date

import duckdb

from dagster_project.contracts import Contract, Dating
from dagster_project.ingestion.sql import quoted, scalar

INCOMING = "_incoming"


def apply_extracts(
    con: duckdb.DuckDBPyConnection,
    contract: Contract,
    new_dates: Sequence[date],
    known_files: Mapping[date, str],
) -> date | None:
    """Bring the extracts of `new_dates`, whose whole rows stand in `_incoming`, into the log.

    `known_files` gives every accepted extract date (new ones included) and the file it is known
    by. Returns the earliest day whose facts changed, None when none did.
    """
    first = min(new_dates)
    dates = [day for day in sorted(known_files) if day >= first]
    con.execute("create or replace temp table _dates (d date, o bigint, f varchar, is_new boolean)")
    con.executemany(
        "insert into _dates values (?, ?, ?, ?)",
        [(d, o, known_files[d], d in set(new_dates)) for o, d in enumerate(dates, start=1)],
    )
    keys = _list(contract.key)
    columns = _list(contract.column_names)
    content = _content(contract)
    log = contract.raw_table
    con.execute(
        f"""
        create or replace temp table _base as
        select * from {log} where _extracted_on < $first
        qualify row_number() over (partition by {keys} order by _extracted_on desc) = 1
        """,
        {"first": first},
    )
    con.execute(
        f"create or replace temp table _old_tail as select * from {log} "
        "where _extracted_on >= $first",
        {"first": first},
    )
    con.execute(
        f"""
        create or replace temp table _new_tail as
        with
        states as (
            select 0 as o, {columns}, _extracted_on, _source_file, _source_line
            from _base where not _is_deleted
            union all
            select o, {columns}, _extracted_on, _source_file, _source_line
            from {INCOMING} join _dates on d = _extracted_on
            union all
            select
                o, {columns}, d as _extracted_on,
                case when _extracted_on = d then _source_file else f end as _source_file,
                case when _extracted_on = d then _source_line end as _source_line
            from (
                select dates.o, dates.d, dates.f, log.*
                from (from _dates where not is_new) as dates
                join (from _base union all from _old_tail) as log on log._extracted_on <= dates.d
                qualify row_number() over (
                    partition by dates.o, {_list(contract.key, "log")}
                    order by log._extracted_on desc
                ) = 1
            )
            where not _is_deleted
        ),
        neighbours as (
            select
                *,
                lag(o) over by_key as previous_o,
                lag({content}) over by_key as previous_content,
                lead(o) over by_key as next_o
            from states
            window by_key as (partition by {keys} order by o)
        )
        select {columns}, false as _is_deleted, _extracted_on, _source_file, _source_line
        from neighbours
        where o > 0 and (
            previous_o is null or previous_o <> o - 1
            or {content} is distinct from previous_content
        )
        union all
        select
            {_keys_only(contract)}, true as _is_deleted, d as _extracted_on, f as _source_file,
            cast(null as bigint) as _source_line
        from neighbours join _dates on _dates.o = neighbours.o + 1
        where next_o is null or next_o <> neighbours.o + 1
        """
    )
    con.execute(f"delete from {log} where _extracted_on >= $first", {"first": first})
    con.execute(f"insert into {log} by name from _new_tail order by _extracted_on, {keys}")
    affected = _affected_from(con, contract)
    for table in ("_dates", "_base", "_old_tail", "_new_tail"):
        con.execute(f"drop table {table}")
    return affected


def _affected_from(con: duckdb.DuckDBPyConnection, contract: Contract) -> date | None:
    """Earliest day touched by versions that came, went or changed, each against the one before."""
    same = " and ".join(
        f"a.{name} is not distinct from b.{name}"
        for name in ("_extracted_on", "_is_deleted", *map(quoted, contract.column_names))
    )
    key_pair = " and ".join(f"p.{quoted(k)} = n.{quoted(k)}" for k in contract.key)
    keys = _list(contract.key)
    parts = [
        f"""
        select min({_touched(contract)}) as touched
        from (
            select *, row_number() over (partition by {keys} order by _extracted_on) as version
            from (from _base union all by name from {mine})
        ) as n
        left join (
            select *, row_number() over (partition by {keys} order by _extracted_on) as version
            from (from _base union all by name from {mine})
        ) as p on {key_pair} and p.version = n.version - 1
        semi join (
            from {mine} as a where not exists (from {other} as b where {same})
        ) as changed
            on n._extracted_on = changed._extracted_on
            and {" and ".join(f"n.{quoted(k)} = changed.{quoted(k)}" for k in contract.key)}
        """
        for mine, other in (("_new_tail", "_old_tail"), ("_old_tail", "_new_tail"))
    ]
    touched: date | None = scalar(con, f"select min(touched) from ({' union all '.join(parts)})")
    return touched


def _touched(contract: Contract) -> str:
    """SQL for the first day on which version `n` differs from the one before, `p`."""
    dates = [quoted(name) for name in contract.date_columns]
    born = f"least({', '.join(f'cast(n.{name} as date)' for name in dates)})"
    moves = []
    for column in contract.columns:
        name = quoted(column.name)
        differs = f"n.{name} is distinct from p.{name}"
        match column.dating:
            case Dating.DATE:
                day = f"least(cast(n.{name} as date), cast(p.{name} as date))"
            case Dating.DATED_BY:
                of = [", ".join(f"{v}.{quoted(d)}" for d in column.dated_by) for v in "np"]
                day = f"least(cast(coalesce({of[0]}) as date), cast(coalesce({of[1]}) as date))"
            case Dating.KEY:
                continue
            case _:
                day = "n._extracted_on"
        moves.append(f"case when {differs} then {day} end")
    return f"""
        case
            when n._is_deleted then n._extracted_on
            when p.version is null then coalesce({born}, n._extracted_on)
            when p._is_deleted then least({born}, p._extracted_on)
            else least({", ".join([*moves, "null"])})
        end"""


def _list(names: Sequence[str], alias: str = "") -> str:
    prefix = f"{alias}." if alias else ""
    return ", ".join(prefix + quoted(name) for name in names)


def _content(contract: Contract) -> str:
    names = [name for name in contract.column_names if name not in contract.key]
    return f"struct_pack({', '.join(f'{quoted(name)} := {quoted(name)}' for name in names)})"


def _keys_only(contract: Contract) -> str:
    return ", ".join(
        quoted(column.name)
        if column.name in contract.key
        else f"cast(null as {column.duckdb_type}) as {quoted(column.name)}"
        for column in contract.columns
    )
