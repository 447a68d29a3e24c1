"""Carry a source mapping out: the vendor's files of a landing folder as canonical extracts.

The vendor's cells are typed as the mapping says and stand in temporary tables; joins, filters and
derived columns are one query over them, compiled from the closed grammar.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from itertools import count
from pathlib import Path

import duckdb
import polars as pl

from dagster_project.errors import CspError
from dagster_project.expressions import quote_identifier, quote_text, to_sql
from dagster_project.ingestion.casting import Target, cast, clean, lost
from dagster_project.ingestion.discovery import Discovery, Extract, check_landing, file_format
from dagster_project.ingestion.mapping import (
    ColumnSource,
    ExtractDate,
    MappedTable,
    SourceMapping,
    VendorFile,
)
from dagster_project.ingestion.reading import (
    LINE,
    LINE_REJECTS,
    FileRefused,
    RawBatch,
    read_batches,
)
from dagster_project.ingestion.sql import insert_frame, scalar

SLICE_ROWS = 1_000_000
_TYPES: dict[str, pl.DataType] = {
    "number": pl.Float64(),
    "text": pl.String(),
    "date": pl.Date(),
    "timestamp": pl.Datetime("us"),
    "boolean": pl.Boolean(),
}
_table_numbers = count()


@dataclass(frozen=True)
class _Found:
    """One file that a pattern matched."""

    path: Path
    name: str
    extracted_on: date


def discover_mapped(landing: Path, mapping: SourceMapping) -> Discovery:
    """The canonical extracts that the mapping makes of a landing folder.

    Raises:
        ConfigError: there is no such folder.
        CspError: it holds none of the mapping's files, or an extract date cannot be found.
    """
    check_landing(landing)
    paths = {
        name: sorted(path for path in landing.glob(file.path) if path.is_file())
        for name, file in mapping.model.files.items()
    }
    if not any(paths.values()):
        wanted = ", ".join(file.path for file in mapping.model.files.values())
        raise CspError(
            f"{landing}: holds none of the files of the mapping {mapping.name} ({wanted}) — "
            "give the folder that holds them with --landing"
        )
    warnings = [
        f"{mapping.model.files[name].path}: no such file for {name} of the mapping {mapping.name}"
        for name, matches in paths.items()
        if not matches
    ]
    used = {path for matches in paths.values() for path in matches}
    warnings += [
        f"{path.relative_to(landing).as_posix()}: not read: no file of the mapping {mapping.name}"
        for path in sorted(landing.rglob("*"))
        if path.is_file()
        and path not in used
        and not path.name.startswith(".")
        and path.name != "sources.yml"
    ]
    dates = _Dates(landing, mapping, paths)
    found = {
        name: sorted(
            (
                _Found(path, path.relative_to(landing).as_posix(), dates.of(name, path))
                for path in matches
            ),
            key=lambda file: (file.extracted_on, file.name),
        )
        for name, matches in paths.items()
    }
    extracts = [
        _extract(mapping, table, file, found)
        for table in mapping.tables
        for file in found[table.source]
    ]
    extracts.sort(key=lambda extract: (extract.table, extract.extracted_on, extract.name))
    return Discovery(tuple(extracts), tuple(warnings))


class _Dates:
    """Extract dates of vendor files."""

    def __init__(self, landing: Path, mapping: SourceMapping, paths: dict[str, list[Path]]) -> None:
        self._landing = landing
        self._mapping = mapping
        self._paths = paths
        self._newest: dict[str, date] = {}

    def of(self, name: str, path: Path) -> date:
        """The extract date of one matched file of the vendor file `name`."""
        rule = self._mapping.model.files[name].extracted_on or self._mapping.model.extracted_on
        assert rule is not None, "checked when the mapping was loaded"
        if rule.constant is not None:
            return rule.constant
        if rule.from_name is not None:
            return self._from_name(rule.from_name, path)
        return self._newest_of(rule)

    def _from_name(self, pattern: str, path: Path) -> date:
        match = re.search(pattern, path.name)
        try:
            return date.fromisoformat(match[1] if match else "")
        except ValueError as error:
            raise CspError(
                f"{path.relative_to(self._landing)}: its name gives no extract date by {pattern} — "
                "rename it, or change from_name in the mapping"
            ) from error

    def _newest_of(self, rule: ExtractDate) -> date:
        newest = []
        for reference in rule.newest_of or ():
            if reference not in self._newest:
                file, _, column = reference.partition(".")
                found = [
                    day
                    for path in self._paths[file]
                    if (day := self._newest_in(file, column, path)) is not None
                ]
                if found:
                    self._newest[reference] = max(found)
            if reference in self._newest:
                newest.append(self._newest[reference])
        if not newest:
            raise CspError(
                f"{self._landing}: no date in {', '.join(rule.newest_of or ())}, so the extract "
                "date is unknown — give extracted_on as a constant in the mapping"
            )
        return max(newest)

    def _newest_in(self, file: str, column: str, path: Path) -> date | None:
        kind = file_format(path)
        assert kind is not None
        spec = self._mapping.model.files[file].column(column)
        newest: list[date] = []
        con = duckdb.connect()
        try:
            for batch in read_batches(con, path, kind, {column}):
                if column not in batch.frame.columns:
                    continue
                typed = cast(
                    clean(batch.frame.select(column)), {column: Target(pl.Date(), spec.format)}
                )
                days = typed.to_series()
                if isinstance(day := days.max(), date):
                    newest.append(day)
        except FileRefused:
            # The file itself is refused when its table is read; here it just gives no date.
            return None
        finally:
            con.close()
        return max(newest, default=None)


def _extract(
    mapping: SourceMapping, table: MappedTable, main: _Found, found: dict[str, list[_Found]]
) -> Extract:
    """The main file with, of each joined file, the newest extract up to its date."""
    inputs: dict[str, list[_Found]] = {table.source: [main]}
    for name in table.files[1:]:
        days = [file.extracted_on for file in found[name] if file.extracted_on <= main.extracted_on]
        inputs[name] = [file for file in found[name] if days and file.extracted_on == max(days)]
    paths = tuple(file.path for name in table.files for file in inputs[name])
    return Extract(
        table=table.contract.name,
        name=main.name,
        extracted_on=main.extracted_on,
        paths=paths,
        read=lambda con: _MappedRead(con, mapping, table, inputs).batches(),
        salt=mapping.salt,
    )


class _MappedRead:
    """One reading of one mapped table."""

    def __init__(
        self,
        con: duckdb.DuckDBPyConnection,
        mapping: SourceMapping,
        table: MappedTable,
        inputs: dict[str, list[_Found]],
    ) -> None:
        self.con = con
        self.files = mapping.model.files
        self.table = table
        self.inputs = inputs
        self._rejects: list[pl.DataFrame] = []
        self._flags: dict[str, int] = {}
        self._messages: dict[str, str] = {}
        # Readings may overlap in one connection: each has its own tables.
        number = next(_table_numbers)
        self._names = {name: f"_vendor_{number}_{index}" for index, name in enumerate(inputs)}
        self._rows = f"_vendor_{number}_rows"
        self._result = f"_vendor_{number}_result"

    def batches(self) -> Iterator[RawBatch]:
        """The canonical rows in pieces; faults and flags come with the first."""
        try:
            self._load()
            self._combine()
            self._count_flags()
            self._reject()
            self._derive()
            columns = tuple(self.table.columns)
            height = scalar(self.con, f"select count(*) from {self._result}")
            for first in range(0, max(height, 1), SLICE_ROWS):
                frame = self.con.sql(
                    f"select * exclude (_n) from {self._result} where _n > $first "
                    "and _n <= $last order by _n",
                    params={"first": first, "last": first + SLICE_ROWS},
                ).pl()
                is_first = first == 0
                yield RawBatch(
                    frame,
                    columns,
                    self._rejects if is_first else [],
                    self._flags if is_first else {},
                    self._messages,
                )
        finally:
            for name in (*self._names.values(), self._rows, self._result):
                self.con.execute(f"drop table if exists {name}")

    # -- vendor rows ------------------------------------------------------------------------------

    def _load(self) -> None:
        for name, files in self.inputs.items():
            spec = self.files[name]
            columns = ", ".join(
                f"{quote_identifier(column)} {_duckdb_type(spec.column(column).type)}"
                for column in spec.columns
            )
            self.con.execute(
                f"create or replace temp table {self._names[name]} ({LINE} bigint, {columns})"
            )
            if not files:
                raise FileRefused(
                    f"needs {spec.path}, and there is none up to its date", "deliver it too"
                )
            for file in files:
                self._load_file(name, spec, file)

    def _load_file(self, name: str, spec: VendorFile, file: _Found) -> None:
        kind = file_format(file.path)
        assert kind is not None
        is_main = name == self.table.source
        for batch in read_batches(self.con, file.path, kind, spec.columns):
            missing = [column for column in spec.columns if column not in batch.columns]
            if missing and batch.columns:
                raise FileRefused(
                    f"{file.name} has no column {', '.join(missing)}",
                    "deliver it with that column, or change the mapping",
                )
            rejects = [*batch.line_rejects]
            typed = self._typed(spec, batch.frame, rejects)
            if is_main:
                self._rejects += rejects
                self._flags |= {
                    flag: self._flags.get(flag, 0) + n for flag, n in batch.flags.items()
                }
                self._messages |= batch.messages
            elif bad := sum(part[LINE].n_unique() for part in rejects):
                flag = f"unreadable_{name}_row"
                self._flags[flag] = self._flags.get(flag, 0) + bad
                self._messages[flag] = f"rows of {spec.path} that could not be read were left out"
            insert_frame(self.con, self._names[name], typed)

    def _typed(
        self, spec: VendorFile, cells: pl.DataFrame, rejects: list[pl.DataFrame]
    ) -> pl.DataFrame:
        """Cells as the mapping types them; rows with a cell that is not are rejected."""
        kinds = {name: spec.column(name) for name in spec.columns if name in cells.columns}
        cleaned = clean(cells.select(LINE, *kinds))
        typed = cast(
            cleaned, {name: Target(_TYPES[kind.type], kind.format) for name, kind in kinds.items()}
        )
        bad = pl.repeat(False, typed.height, dtype=pl.Boolean, eager=True)
        faults = []
        for name, kind in kinds.items():
            is_lost = lost(cleaned, typed, name)
            if is_lost is None:
                continue
            bad = bad | is_lost
            faults.append(
                cleaned.filter(is_lost).select(
                    LINE,
                    pl.lit("type").alias("rule"),
                    pl.lit(name).alias("column"),
                    pl.col(name).cast(pl.String).alias("value"),
                    pl.lit(f"{name} is not a {kind.type}").alias("message"),
                )
            )
        if not faults:
            return typed
        rejects.append(
            pl.concat(faults)
            .group_by([LINE, "rule"], maintain_order=True)
            .agg(pl.col("column", "value").str.join(", "), pl.col("message").str.join("; "))
            .select(list(LINE_REJECTS))
        )
        return typed.filter(~bad)

    # -- canonical rows ---------------------------------------------------------------------------

    def _combine(self) -> None:
        """Vendor rows with what the joins take, and how often a row's key stood before."""
        selected = [f"main.{LINE}"]
        spec = self.files[self.table.source]
        selected += [f"main.{quote_identifier(column)}" for column in spec.columns]
        joins = []
        for index, (join, where) in enumerate(self.table.joins):
            other, alias = self._names[join.file], f"j{index}"
            taken = []
            for name, source in join.take.items():
                if isinstance(source, str):
                    # A key that stands twice is the joined file's fault: its first row stands.
                    column = quote_identifier(source)
                    taken.append(f"first({column} order by {LINE}) as {quote_identifier(name)}")
                    selected.append(f"{alias}.{quote_identifier(name)}")
                    continue
                ((function, column),) = source.chosen().items()
                sql = {"any": "bool_or"}.get(function, function)
                taken.append(f"{sql}({quote_identifier(column)}) as {quote_identifier(name)}")
                value = f"{alias}.{quote_identifier(name)}"
                if function in ("any", "count"):
                    value = f"coalesce({value}, {'false' if function == 'any' else '0'})"
                selected.append(f"{value} as {quote_identifier(name)}")
            keys = ", ".join(quote_identifier(right) for right in join.by.values())
            condition = " and ".join(
                f"main.{quote_identifier(left)} = {alias}.{quote_identifier(right)}"
                for left, right in join.by.items()
            )
            kept = f"where {to_sql(where)}" if where is not None else ""
            joins.append(
                f"left join (select {keys}, {', '.join(taken)} from {other} {kept} group by {keys})"
                f" as {alias} on {condition}"
            )
        keys = ", ".join(f"main.{quote_identifier(column)}" for column in spec.key)
        repeated = f"first_value(main.{LINE}) over (partition by {keys} order by main.{LINE})"
        self.con.execute(
            f"""
            create or replace temp table {self._rows} as
            select {", ".join(selected)}, {repeated if keys else f"main.{LINE}"} as _first_line
            from {self._names[self.table.source]} as main {" ".join(joins)}
            """
        )

    def _count_flags(self) -> None:
        """Flags count over all of the file's rows, repeated and filtered ones included."""
        flags = [checked for checked in self.table.checks if checked.check.flag is not None]
        if not flags:
            return
        counts = self.con.execute(
            f"select {', '.join(f'count_if({to_sql(c.condition)})' for c in flags)} "
            f"from {self._rows}"
        ).fetchall()[0]
        for checked, number in zip(flags, counts, strict=True):
            if number:
                self._flags[checked.check.name] = int(number)
                self._messages[checked.check.name] = checked.check.message

    def _reject(self) -> None:
        """Take out repeated, refused and unmapped rows, each with its reason."""
        if self.table.where is not None:
            self.con.execute(
                f"delete from {self._rows} where not coalesce({to_sql(self.table.where)}, false)"
            )
        key = self.files[self.table.source].key
        if key:
            shown = ", ".join(f"cast({quote_identifier(column)} as varchar)" for column in key)
            self._reject_where(
                f"{LINE} <> _first_line",
                "duplicate_key",
                ", ".join(key),
                f"concat_ws(', ', {shown})",
                f"{quote_text('repeats ' + ', '.join(key) + ' of line ')} || _first_line || "
                f"{quote_text('; the first row was kept, deliver each row once')}",
            )
        for checked in self.table.checks:
            if checked.check.reject is not None:
                columns = ", ".join(checked.condition.names)
                shown = ", ".join(
                    f"cast({quote_identifier(name)} as varchar)" for name in checked.condition.names
                )
                self._reject_where(
                    to_sql(checked.condition),
                    checked.check.name,
                    columns,
                    f"concat_ws(', ', {shown})" if shown else "null",
                    quote_text(checked.check.message),
                )
        for name, source in self.table.columns.items():
            if source.map is not None and source.otherwise is None:
                text = _as_text(self.table, name)
                known = ", ".join(quote_text(value) for value in source.map)
                self._reject_where(
                    f"{text} is not null and {text} not in ({known})",
                    "not_mapped",
                    source.source or "",
                    text,
                    quote_text(f"{source.source} has no canonical {name}; add it to the map"),
                )

    def _reject_where(self, condition: str, rule: str, column: str, value: str, why: str) -> None:
        frame = self.con.sql(
            f'select {LINE}, {quote_text(rule)} as rule, {quote_text(column)} as "column", '
            f"cast({value} as varchar) as value, {why} as message "
            f"from {self._rows} where {condition} order by {LINE}"
        ).pl()
        if frame.height:
            self._rejects.append(frame.cast(dict(LINE_REJECTS)))
            self.con.execute(f"delete from {self._rows} where {condition}")

    def _derive(self) -> None:
        columns = [
            f"{_column_sql(self.table, name, source)} as {quote_identifier(name)}"
            for name, source in self.table.columns.items()
        ]
        self.con.execute(
            f"create or replace temp table {self._result} as "
            f"select row_number() over (order by {LINE}) as _n, {LINE}, {', '.join(columns)} "
            f"from {self._rows}"
        )


def _as_text(table: MappedTable, name: str) -> str:
    return f"cast({to_sql(table.expressions[name])} as varchar)"


def _column_sql(table: MappedTable, name: str, source: ColumnSource) -> str:
    if source.constant is not None:
        value = source.constant
        if isinstance(value, bool | int | float):
            return str(value).lower()
        text = quote_text(str(value))
        return f"cast({text} as date)" if isinstance(value, date) else text
    if source.map is None:
        return to_sql(table.expressions[name])
    branches = " ".join(
        f"when {quote_text(given)} then {quote_text(meant)}" for given, meant in source.map.items()
    )
    otherwise = "null" if source.otherwise is None else quote_text(source.otherwise)
    text = _as_text(table, name)
    return (
        f"case when {text} is null then null else case {text} {branches} else {otherwise} end end"
    )


def _duckdb_type(kind: str) -> str:
    return {"number": "double", "text": "varchar"}.get(kind, kind)
