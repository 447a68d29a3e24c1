"""Event extracts: rows append; of rows with one natural key the newest file's stands.

Which rows stand is a function of the files alone: what a newer file replaced is kept aside and
returns when that file is corrected. Of a row that files repeat unchanged, the first file's stands,
so that a repetition is no news. Nothing here reads rows outside the dates that the new rows span.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

import duckdb

from dagster_project.contracts import Contract
from dagster_project.ingestion.sql import quoted, scalar

REMOVED = "_removed"


@dataclass(frozen=True)
class Span:
    """The business dates that changed rows lie in, both included."""

    first: date
    last: date


def take_out(con: duckdb.DuckDBPyConnection, contract: Contract, files: Sequence[str]) -> None:
    """Move the rows of files that come anew out of the table, into `_removed`."""
    con.execute(
        f"create or replace temp table {REMOVED} as "
        f"select *, true as stood from {contract.raw_table} "
        "where _source_file in (select unnest($files)) "
        f"union all select *, false as stood from {contract.superseded_table} "
        "where _source_file in (select unnest($files))",
        {"files": list(files)},
    )
    if files:
        drop_file_rows(con, contract, files)


def drop_file_rows(
    con: duckdb.DuckDBPyConnection, contract: Contract, files: Sequence[str]
) -> None:
    """Delete the rows of the given files."""
    for table in (contract.raw_table, contract.superseded_table):
        con.execute(
            f"delete from {table} where _source_file in (select unnest($files))",
            {"files": list(files)},
        )


def put_back(con: duckdb.DuckDBPyConnection, contract: Contract, files: Sequence[str]) -> None:
    """Undo `take_out` for files that were refused after all."""
    drop_file_rows(con, contract, files)
    for table, stood in ((contract.raw_table, "stood"), (contract.superseded_table, "not stood")):
        con.execute(
            f"insert into {table} select * exclude (stood) from {REMOVED} "
            f"where {stood} and _source_file in (select unnest($files))",
            {"files": list(files)},
        )
    con.execute(
        f"delete from {REMOVED} where _source_file in (select unnest($files))",
        {"files": list(files)},
    )


def resolve(
    con: duckdb.DuckDBPyConnection, contract: Contract, files: Sequence[str], span: Span | None
) -> date | None:
    """Settle equal keys after the rows of `files` were inserted; `span` is that of their dates.

    Repetitions inside one file are listed in the temporary table `_duplicates` and dropped; the
    first line stays. Returns the earliest day whose facts changed, None when none did.
    """
    day = quoted(contract.date_columns[0])
    ends: list[date] = [
        end
        for side in ("min", "max")
        if (end := scalar(con, f"select {side}({day}) from {REMOVED}")) is not None
    ]
    if span is not None:
        ends += [span.first, span.last]
    con.execute(
        "create or replace temp table _duplicates "
        "(_source_file varchar, _source_line bigint, first_line bigint, rule varchar, "
        '"column" varchar, value varchar)'
    )
    if not ends:
        return None
    settling = _Settling(con, contract, list(files), min(ends), max(ends))
    settling.find_contested()
    settling.drop_repeated_keys()
    for column in contract.unique_columns:
        settling.drop_repeated_values(column)
    affected = settling.choose()
    for table in ("_hashes", "_contested", "_ranked"):
        con.execute(f"drop table if exists {table}")
    return affected


class _Settling:
    """The steps of `resolve`, over the rows whose date lies in a span."""

    def __init__(
        self,
        con: duckdb.DuckDBPyConnection,
        contract: Contract,
        files: list[str],
        first: date,
        last: date,
    ) -> None:
        self.con = con
        self.main, self.side = contract.raw_table, contract.superseded_table
        self.keys = ", ".join(quoted(name) for name in contract.key)
        self.key_names = contract.key
        self.day = quoted(contract.date_columns[0])
        rest = [quoted(name) for name in contract.column_names if name not in contract.key]
        self.content = f"struct_pack({', '.join(f'{name} := {name}' for name in rest)})"
        if not rest:
            self.content = "true"
        # A date outside the key may differ between two files, so that no span can be trusted.
        in_key = contract.date_columns[0] in contract.key
        self.in_span = f"{self.day} between $first and $last" if in_key else "true"
        self.span: dict[str, object] = {"first": first, "last": last} if in_key else {}
        self.files: dict[str, object] = {"files": files}

    def find_contested(self) -> None:
        """Rows of every key that stands more than once, or lost a row."""
        # Only a new row can contest a key. Counting all keys is cheaper when most rows are new;
        # when few are, their keys keep the old ones out of the count.
        counted = f"from {self.main} where {self.in_span}"
        new_rows = f"{counted} and _source_file in (select unnest($files))"
        params = {**self.span, **self.files}
        old, new = self.con.execute(
            f"select (select count(*) {counted}), (select count(*) {new_rows})", params
        ).fetchall()[0]
        if new * 4 < old:
            counted += f" and hash({self.keys}) in (select hash({self.keys}) {new_rows})"
        else:
            params = self.span
        self.con.execute(
            f"""
            create or replace temp table _hashes as
            select h from (select hash({self.keys}) as h {counted}) group by h having count(*) > 1
            union
            select hash({self.keys}) from {REMOVED}
            """,
            params,
        )
        self.con.execute(
            f"""
            create or replace temp table _contested as
            select
                *,
                row_number() over same_file as copy,
                first_value(_source_line) over same_file as first_line
            from (
                select rowid as rid, true as stands, * from {self.main}
                where {self.in_span} and hash({self.keys}) in (select h from _hashes)
                union all
                select rowid as rid, false as stands, * from {self.side}
                where hash({self.keys}) in (select h from _hashes)
            )
            window same_file as (partition by {self.keys}, _source_file order by _source_line)
            """,
            self.span,
        )

    def drop_repeated_keys(self) -> None:
        """Keep the first of a file's rows with one key."""
        shown = ", ".join(f"cast({quoted(name)} as varchar)" for name in self.key_names)
        self.con.execute(
            f"""
            insert into _duplicates
            select _source_file, _source_line, first_line, 'duplicate_key',
                '{", ".join(self.key_names)}', concat_ws(', ', {shown})
            from _contested where copy > 1
            """
        )
        self.con.execute(
            f"delete from {self.main} "
            "where rowid in (select rid from _contested where stands and copy > 1)"
        )
        self.con.execute("delete from _contested where copy > 1")

    def drop_repeated_values(self, column: str) -> None:
        """Keep the first of a file's rows with one value of a column that may not repeat."""
        name = quoted(column)
        new_rows = (
            f"from {self.main} where {self.in_span} and {name} is not null "
            "and _source_file in (select unnest($files))"
        )
        self.con.execute(
            f"""
            create or replace temp table _repeated as
            select rowid as rid, _source_file, _source_line, {name} as value,
                first_value(_source_line) over same_value as first_line
            {new_rows} and hash(_source_file, {name}) in (
                select h from (select hash(_source_file, {name}) as h {new_rows})
                group by h having count(*) > 1
            )
            window same_value as (partition by _source_file, {name} order by _source_line)
            qualify row_number() over same_value > 1
            """,
            {**self.span, **self.files},
        )
        self.con.execute(
            "insert into _duplicates select _source_file, _source_line, first_line, "
            f"'duplicate_{column}', '{column}', value from _repeated"
        )
        self.con.execute(f"delete from {self.main} where rowid in (select rid from _repeated)")
        self.con.execute(
            "delete from _contested where stands and rid in (select rid from _repeated)"
        )
        self.con.execute("drop table _repeated")

    def choose(self) -> date | None:
        """Let one row of each contested key stand; the earliest day that reads differently now."""
        self.con.execute(
            f"""
            create or replace temp table _ranked as
            select *, place = max(case when is_news then place end) over (partition by {self.keys})
                as wins
            from (
                select
                    *,
                    row_number() over by_age as place,
                    row_number() over by_age = 1
                        or {self.content} is distinct from lag({self.content}) over by_age
                        or {self.day} is distinct from lag({self.day}) over by_age as is_news
                from _contested
                window by_age as (partition by {self.keys} order by _extracted_on, _source_file)
            )
            """
        )
        same_key = " and ".join(
            f"n.{quoted(name)} is not distinct from o.{quoted(name)}" for name in self.key_names
        )
        is_new = "_source_file in (select unnest($files))"
        changed = scalar(
            self.con,
            f"""
            with
            new_rows as (select {self.keys}, {self.day} as day, {self.content} as content
                from _ranked where wins),
            old_rows as (
                select {self.keys}, {self.day} as day, {self.content} as content
                from {REMOVED} where stood
                union all
                select {self.keys}, {self.day}, {self.content}
                from _contested where stands and not {is_new}
            )
            select min(least(n.day, o.day)) from new_rows as n full join old_rows as o on {same_key}
            where n.day is distinct from o.day or n.content is distinct from o.content
            """,
            self.files,
        )
        uncontested = scalar(
            self.con,
            f"select min({self.day}) from {self.main} where {self.in_span} and {is_new} "
            f"and hash({self.keys}) not in (select h from _hashes)",
            {**self.span, **self.files},
        )
        columns = [row[0] for row in self.con.execute(f"describe {self.main}").fetchall()]
        stored = ", ".join(quoted(name) for name in columns)
        for table, other, stands, wins in (
            (self.main, self.side, "stands", "not wins"),
            (self.side, self.main, "not stands", "wins"),
        ):
            chosen = f"from _ranked where {stands} and {wins}"
            self.con.execute(f"insert into {other} ({stored}) select {stored} {chosen}")
            self.con.execute(f"delete from {table} where rowid in (select rid {chosen})")
        return min((d for d in (changed, uncontested) if d is not None), default=None)
