"""Ingestion from end to end: which extracts are new, row by contract, into the raw tables.

Each table is one transaction: its rows, rejects, flags and file records appear together or not at
all. A refused file leaves what was there; other tables go on.
"""

from __future__ import annotations

import hashlib
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import date, timedelta
from functools import cached_property
from pathlib import Path
from typing import Protocol

import duckdb
import polars as pl

from dagster_project.contracts import (
    CONTRACTS,
    Contract,
    Kind,
    Vocabulary,
    ensure_raw_tables,
)
from dagster_project.errors import CspError
from dagster_project.expressions.names import nearest
from dagster_project.ingestion import changelog, events
from dagster_project.ingestion.discovery import Discovery, Extract, discover
from dagster_project.ingestion.mapped import discover_mapped
from dagster_project.ingestion.mapping import SourceMapping
from dagster_project.ingestion.reading import LINE, FileRefused, RawBatch
from dagster_project.ingestion.result import IngestResult, TableSummary
from dagster_project.ingestion.sql import insert_frame, scalar
from dagster_project.ingestion.validation import FILE, MAX_VALUE_LENGTH, Validator

# Rows are judged and stored in pieces of about this size.
BATCH_ROWS = 250_000
# The change log is derived in passes of about this many incoming rows.
PASS_ROWS = 3_000_000
# "Many" rows: below it, a table that shrinks or empties is an ordinary day.
MANY_ROWS = 20
UNKNOWN_COLUMN = "unknown_column"


class IngestSettings(Protocol):
    """What ingestion needs to know besides the data."""

    @property
    def min_snapshot_ratio(self) -> float:
        """A snapshot with a smaller share of the previous one's rows is refused."""


def newest_extract(landing: Path, mapping: SourceMapping | None) -> date:
    """Date of the newest extract; errors as in `ingest`."""
    return max(extract.extracted_on for extract in _discover(landing, mapping).extracts)


def _discover(landing: Path, mapping: SourceMapping | None) -> Discovery:
    return discover(landing) if mapping is None else discover_mapped(landing, mapping)


def ingest(  # noqa: PLR0917 - the run passes its six inputs in this order
    con: duckdb.DuckDBPyConnection,
    landing: Path,
    mapping: SourceMapping | None,
    as_of: date | None,
    vocabulary: Vocabulary,
    settings: IngestSettings,
) -> IngestResult:
    """Bring every new or changed extract dated on or before `as_of` into the raw tables.

    `as_of` None means the newest extract's date. A file whose bytes are already in is skipped; one
    whose bytes changed replaces its rows.

    Raises:
        ConfigError: there is no landing folder.
        CspError: it holds no extract, or the rows could not be stored; what was there is untouched.
    """
    discovery = _discover(landing, mapping)
    ensure_raw_tables(con)
    last = as_of or max(extract.extracted_on for extract in discovery.extracts)
    by_table: dict[str, list[Extract]] = defaultdict(list)
    for extract in discovery.extracts:
        if extract.extracted_on <= last:
            by_table[extract.table].append(extract)
    summaries: list[TableSummary] = []
    touched: list[date] = []
    prints = _Fingerprints(con)
    with _ordered_inserts(con):
        for name, contract in sorted(CONTRACTS.items()):
            table = _TableIngest(con, contract, vocabulary, settings.min_snapshot_ratio, prints)
            summaries.append(table.run(by_table[name]))
            if table.affected_from_on is not None:
                touched.append(table.affected_from_on)
    prints.save()
    newest = scalar(
        con,
        "select max(extracted_on) from pipeline.files where status = 'accepted' "
        "and extracted_on <= ?",
        [last],
    )
    return IngestResult(
        tables=tuple(summaries),
        affected_from_on=min(touched, default=None),
        newest_extract_on=newest,
        earliest_business_on=_earliest_business_date(con),
        warnings=discovery.warnings,
    )


@contextmanager
def _ordered_inserts(con: duckdb.DuckDBPyConnection) -> Iterator[None]:
    """Keep the order of inserted rows: usage stored by date is what lets a day's run skip."""
    before = scalar(con, "select current_setting('preserve_insertion_order')")
    con.execute("set preserve_insertion_order = true")
    try:
        yield
    finally:
        con.execute(f"set preserve_insertion_order = {before}")


def _earliest_business_date(con: duckdb.DuckDBPyConnection) -> date | None:
    parts = [
        f'select min(cast("{column}" as date)) as day from {contract.raw_table}'
        for contract in CONTRACTS.values()
        for column in contract.date_columns
    ]
    day: date | None = scalar(con, f"select min(day) from ({' union all '.join(parts)})")
    return day


@dataclass
class _File:
    """One extract on its way in."""

    extract: Extract
    index: int
    sha256: str
    size_bytes: int
    was_accepted: bool
    good_count: int = 0
    rejected_count: int = 0
    flags: Counter[str] = field(default_factory=Counter)
    messages: dict[str, str] = field(default_factory=dict)
    refusal: FileRefused | None = None

    @property
    def read_count(self) -> int:
        """Rows of the file, good and bad."""
        return self.good_count + self.rejected_count


class _TableIngest:
    """One canonical table, one transaction."""

    def __init__(
        self,
        con: duckdb.DuckDBPyConnection,
        contract: Contract,
        vocabulary: Vocabulary,
        min_ratio: float,
        fingerprints: _Fingerprints,
    ) -> None:
        self.con = con
        self.contract = contract
        self.fingerprints = fingerprints
        self._vocabulary = vocabulary
        self.min_ratio = min_ratio
        self.affected_from_on: date | None = None
        self._span: events.Span | None = None
        self._target = (
            contract.raw_table if contract.kind is Kind.EVENT else f"temp.{changelog.INCOMING}"
        )

    @cached_property
    def validator(self) -> Validator:
        """Made only when there is something to judge."""
        return Validator(self.contract, self._vocabulary)

    # -- which files ------------------------------------------------------------------------------

    def run(self, extracts: Sequence[Extract]) -> TableSummary:
        """Ingest what is new among `extracts`, and say what was done."""
        files = self._pending(extracts)
        if not files:
            return self._summary([])
        before = self._coverage()
        self.con.execute("begin")
        try:
            self._ingest(files, extracts)
            self._touch_gap(before)
        except (duckdb.IOException, duckdb.OutOfMemoryException, OSError) as error:
            self.con.execute("rollback")
            why = (str(error).splitlines() or [type(error).__name__])[0]
            raise CspError(
                f"{self.contract.name}: could not be stored ({why}) — free space or memory and "
                "run again; what was there is untouched"
            ) from error
        except BaseException:
            self.con.execute("rollback")
            raise
        self.con.execute("commit")
        return self._summary(files)

    def _coverage(self) -> tuple[date | None, int]:
        """Newest accepted extract of the table, and how many rows were accepted so far."""
        row = self.con.execute(
            "select max(extracted_on), coalesce(sum(accepted_count), 0)::bigint "
            "from pipeline.files where source = ? and table_name = ? and status = 'accepted'",
            [self.contract.source, self.contract.table],
        ).fetchall()[0]
        return row[0], row[1]

    def _touch_gap(self, before: tuple[date | None, int]) -> None:
        """What an extract covers is known from then on, also of whom it has no row.

        Days since the extract before it were computed without knowing; and with a table's first
        rows, all days, because until then nothing was known of what the table tells.
        """
        newest, rows = self._coverage()
        if newest is None:
            return
        if before[0] is None or (before[1] == 0 and rows > 0):
            self._touch(date.min)
        elif newest > before[0] + timedelta(days=1):
            self._touch(before[0] + timedelta(days=1))

    def _known(self) -> dict[str, tuple[str, date]]:
        """SHA-256 and date of the accepted files."""
        rows = self.con.execute(
            "select file_name, sha256, extracted_on from pipeline.files "
            "where source = ? and table_name = ? and status = 'accepted'",
            [self.contract.source, self.contract.table],
        ).fetchall()
        return {name: (sha256, extracted_on) for name, sha256, extracted_on in rows}

    def _pending(self, extracts: Sequence[Extract]) -> list[_File]:
        """Files to read: new or changed ones; of a snapshot, all files of such a date."""
        known = self._known()
        prints = {extract.name: self.fingerprints.of(extract) for extract in extracts}
        changed = {
            extract.name
            for extract in extracts
            if extract.name not in known
            or known[extract.name] != (prints[extract.name][0], extract.extracted_on)
        }
        dates = {extract.extracted_on for extract in extracts if extract.name in changed}
        return [
            _File(extract, index, *prints[extract.name], was_accepted=extract.name in known)
            for index, extract in enumerate(extracts)
            if extract.name in changed
            or (self.contract.kind is Kind.SNAPSHOT and extract.extracted_on in dates)
        ]

    # -- the transaction --------------------------------------------------------------------------

    def _ingest(self, files: list[_File], extracts: Sequence[Extract]) -> None:
        self.con.execute(
            f"create or replace temp table _rejects ({FILE} bigint, {LINE} bigint, rule varchar, "
            '"column" varchar, value varchar, message varchar)'
        )
        if self.contract.kind is Kind.SNAPSHOT:
            self._refuse_incomplete(files, extracts)
            self._ingest_snapshot(files)
        else:
            self._ingest_events(files)
        self._record(files)
        self.con.execute("drop table _rejects")

    def _refuse_incomplete(self, files: list[_File], extracts: Sequence[Extract]) -> None:
        """A date whose extract came in several files is read whole or not at all."""
        present = {extract.name for extract in extracts}
        missing: dict[date, list[str]] = defaultdict(list)
        for name, (_, extracted_on) in self._known().items():
            if name not in present:
                missing[extracted_on].append(name)
        for file in files:
            for name in missing.get(file.extract.extracted_on, []):
                file.refusal = FileRefused(
                    f"{name} belongs to the same extract and is gone", "put it back beside this one"
                )

    def _ingest_snapshot(self, files: list[_File]) -> None:
        columns = ", ".join(f'"{c.name}" {c.duckdb_type}' for c in self.contract.columns)
        by_date: dict[date, list[_File]] = defaultdict(list)
        for file in files:
            by_date[file.extract.extracted_on].append(file)
        for dates in self._passes(by_date):
            self.con.execute(
                f"create or replace temp table {changelog.INCOMING} ({columns}, "
                "_extracted_on date, _source_file varchar, _source_line bigint)"
            )
            batch = [file for day in dates for file in by_date[day]]
            self._stage(batch)
            self._drop_repeated_snapshot_keys(batch)
            self._drop_unknown_references(batch)
            self._judge_counts({day: by_date[day] for day in dates})
            refused = [file for file in batch if file.refusal is not None]
            self._drop_staged(refused)
            new_dates = sorted({f.extract.extracted_on for f in batch if f.refusal is None})
            if new_dates:
                known = self._known_dates(batch)
                touched = changelog.apply_extracts(self.con, self.contract, new_dates, known)
                self._touch(touched)
            self._record_files(batch)
        self.con.execute(f"drop table {changelog.INCOMING}")

    def _passes(self, by_date: dict[date, list[_File]]) -> Iterator[list[date]]:
        """Dates in order, grouped so that one pass fits in memory (judged by bytes on disk)."""
        group: list[date] = []
        size = 0
        for day in sorted(by_date):
            # A row of text takes about 100 bytes on disk; in a packed file far fewer.
            rows = sum(
                file.size_bytes // (50 if file.extract.name.endswith(("csv", "jsonl")) else 10)
                for file in by_date[day]
            )
            if group and size + rows > PASS_ROWS:
                yield group
                group, size = [], 0
            group.append(day)
            size += rows
        yield group

    def _known_dates(self, batch: list[_File]) -> dict[date, str]:
        """Every accepted extract date with the first of its files, this pass included."""
        known: dict[date, str] = {}
        names = [(day, name) for name, (_, day) in self._known().items()]
        names += [(f.extract.extracted_on, f.extract.name) for f in batch if f.refusal is None]
        for day, name in sorted(names):
            known.setdefault(day, name)
        return known

    def _ingest_events(self, files: list[_File]) -> None:
        again = [file.extract.name for file in files if file.was_accepted]
        events.take_out(self.con, self.contract, again)
        self._stage(files)
        by_date: dict[date, list[_File]] = defaultdict(list)
        for file in files:
            by_date[file.extract.extracted_on].append(file)
        self._judge_counts(by_date)
        refused = [file for file in files if file.refusal is not None]
        self._drop_staged(refused)
        kept_names = [file.extract.name for file in refused if file.was_accepted]
        if kept_names:
            events.put_back(self.con, self.contract, kept_names)
        new_names = [file.extract.name for file in files if file.refusal is None]
        self._touch(events.resolve(self.con, self.contract, new_names, self._span))
        self._count_duplicates("_duplicates", files)
        self._record_files(files)
        self.con.execute(f"drop table if exists {events.REMOVED}")
        self.con.execute("drop table _duplicates")

    def _touch(self, day: date | None) -> None:
        if day is not None:
            self.affected_from_on = min(day, self.affected_from_on or day)

    # -- rows -------------------------------------------------------------------------------------

    def _stage(self, files: list[_File]) -> None:
        """Read, judge and store the rows of the files; small files are judged together."""
        names = pl.DataFrame(
            {
                FILE: [file.index for file in files],
                "_source_file": [file.extract.name for file in files],
                "_extracted_on": [file.extract.extracted_on for file in files],
            },
            schema={FILE: pl.Int64, "_source_file": pl.String, "_extracted_on": pl.Date},
        )
        by_index = {file.index: file for file in files}
        waiting: list[pl.DataFrame] = []
        height = 0
        for file in files:
            if file.refusal is not None:
                continue
            for frame in self._cells(file):
                if height and (height + frame.height > BATCH_ROWS or _disagree(waiting[0], frame)):
                    self._judge(waiting, by_index, names)
                    waiting, height = [], 0
                waiting.append(frame)
                height += frame.height
        if waiting:
            self._judge(waiting, by_index, names)

    def _cells(self, file: _File) -> Iterator[pl.DataFrame]:
        """The cells of one file, with `_file`; its bad lines go to the rejects at once."""
        unknown: dict[str, None] = {}
        is_first = True
        try:
            for batch in file.extract.read(self.con):
                if is_first:
                    self._check_columns(batch)
                is_first = False
                unknown |= dict.fromkeys(
                    name for name in batch.columns if name not in self.validator.column_names
                )
                for rejects in batch.line_rejects:
                    self._add_rejects(rejects.with_columns(pl.lit(file.index).alias(FILE)))
                    file.rejected_count += rejects[LINE].n_unique()
                for flag, count in batch.flags.items():
                    file.flags[flag] += count
                file.messages |= batch.messages
                yield batch.frame.with_columns(pl.lit(file.index, dtype=pl.Int64).alias(FILE))
        except FileRefused as refusal:
            file.refusal = refusal
        if unknown:
            self._flag_unknown(file, tuple(unknown))

    def _check_columns(self, batch: RawBatch) -> None:
        if not batch.columns:
            # JSON Lines without a row name no columns, and miss none.
            return
        missing = [name for name in self.contract.required_columns if name not in batch.columns]
        if missing:
            unknown = [n for n in batch.columns if n not in self.validator.column_names]
            hints = [(name, nearest(name, unknown)) for name in missing]
            likely = ", ".join(f"rename {found} to {name}" for name, found in hints if found)
            raise FileRefused(
                f"has no column {', '.join(missing)}",
                likely or "deliver it with that column, or name a source mapping with --sources",
            )

    def _flag_unknown(self, file: _File, names: tuple[str, ...]) -> None:
        known = self.validator.column_names
        shown = [
            name + (f" (did you mean {near}?)" if (near := nearest(name, known)) else "")
            for name in names
        ]
        file.flags[UNKNOWN_COLUMN] = 0
        file.messages[UNKNOWN_COLUMN] = "not in the contract and not read: " + ", ".join(shown)

    def _judge(
        self, waiting: list[pl.DataFrame], by_index: dict[int, _File], names: pl.DataFrame
    ) -> None:
        judged = self.validator.judge(pl.concat(waiting, how="diagonal"))
        for index, count in judged.good.group_by(FILE).len().iter_rows():
            by_index[index].good_count += count
        if judged.rejects.height:
            counts = judged.rejects.unique([FILE, LINE]).group_by(FILE).len()
            for index, count in counts.iter_rows():
                by_index[index].rejected_count += count
            self._add_rejects(judged.rejects)
        rows = judged.good.join(names, on=FILE, how="left", maintain_order="left").rename(
            {LINE: "_source_line"}
        )
        if rows.height == 0:
            return
        if self.contract.stored_order:
            rows = rows.sort(self.contract.stored_order, maintain_order=True)
        if self.contract.kind is Kind.EVENT:
            self._widen_span(rows[self.contract.date_columns[0]])
        insert_frame(self.con, self._target, rows.drop(FILE))

    def _widen_span(self, days: pl.Series) -> None:
        first, last = days.min(), days.max()
        assert isinstance(first, date) and isinstance(last, date)
        if self._span is not None:
            first, last = min(first, self._span.first), max(last, self._span.last)
        self._span = events.Span(first, last)

    def _add_rejects(self, rejects: pl.DataFrame) -> None:
        shown = pl.col("value").str.slice(0, MAX_VALUE_LENGTH)
        insert_frame(self.con, "_rejects", rejects.with_columns(shown))

    def _drop_staged(self, files: list[_File]) -> None:
        """Take the rows of refused files out again."""
        names = [file.extract.name for file in files]
        if names:
            self.con.execute(
                f"delete from {self._target} where _source_file in (select unnest($names))",
                {"names": names},
            )

    # -- duplicates and counts --------------------------------------------------------------------

    def _drop_repeated_snapshot_keys(self, files: list[_File]) -> None:
        """Keep the first of an extract's rows with one key, in order of file and line."""
        keys = ", ".join(f'"{name}"' for name in self.contract.key)
        shown = ", ".join(f'cast("{name}" as varchar)' for name in self.contract.key)
        self.con.execute(
            f"""
            create or replace temp table _duplicates as
            select
                rowid as rid, _source_file, _source_line,
                first_value(_source_line) over same_key as first_line,
                'duplicate_key' as rule, '{", ".join(self.contract.key)}' as "column",
                concat_ws(', ', {shown}) as value
            from {self._target}
            window same_key as (
                partition by {keys}, _extracted_on order by _source_file, _source_line
            )
            qualify row_number() over same_key > 1
            """
        )
        self.con.execute(f"delete from {self._target} where rowid in (select rid from _duplicates)")
        self._count_duplicates("_duplicates", files)
        self.con.execute("drop table _duplicates")

    def _drop_unknown_references(self, files: list[_File]) -> None:
        """Take out rows that name what no extract up to theirs has told of."""
        for reference in self.contract.references:
            target = CONTRACTS[reference.target]
            self.con.execute(
                f"""
                create or replace temp table _unknown as
                select
                    rowid as rid, _source_file, _source_line,
                    'unknown_{reference.column}' as rule, '{reference.column}' as "column",
                    cast("{reference.column}" as varchar) as value,
                    'no extract of {target.name} up to this one has it; correct it, or deliver '
                        || '{target.name} with it' as message
                from {self._target} as incoming
                where not exists (
                    select 1 from {target.raw_table} as known
                    where known."{reference.target_column}" = incoming."{reference.column}"
                        and known._extracted_on <= incoming._extracted_on
                )
                """
            )
            self.con.execute(
                f"delete from {self._target} where rowid in (select rid from _unknown)"
            )
            self._count_rejected("_unknown", "message", files)
            self.con.execute("drop table _unknown")

    def _count_duplicates(self, table: str, files: list[_File]) -> None:
        message = (
            "'repeats \"' || \"column\" || '\" of line ' || first_line "
            "|| '; the first row was kept, deliver each row once'"
        )
        self._count_rejected(table, message, files)

    def _count_rejected(self, table: str, message: str, files: list[_File]) -> None:
        """Note rows that were taken out of the stage as rejects of their files.

        Args:
            table: with _source_file, _source_line, rule, column and value of each.
            message: SQL over that table.
            files: those that the rows can come from.
        """
        by_name = {file.extract.name: file for file in files}
        names = pl.DataFrame(
            {"name": list(by_name), FILE: [file.index for file in by_name.values()]},
            schema={"name": pl.String, FILE: pl.Int64},
        )
        self.con.register("_names", names)
        self.con.execute(
            f"""
            insert into _rejects by name
            select
                {FILE}, _source_line as {LINE}, rule, "column",
                left(value, {MAX_VALUE_LENGTH}) as value, {message} as message
            from {table} join _names on name = _source_file
            """
        )
        counts = self.con.execute(
            f"select _source_file, count(distinct _source_line) from {table} group by all"
        ).fetchall()
        self.con.unregister("_names")
        for name, count in counts:
            by_name[name].good_count -= count
            by_name[name].rejected_count += count

    def _judge_counts(self, by_date: dict[date, list[_File]]) -> None:
        """Refuse an extract that lost its rows, and with it all files of its date."""
        history = self._accepted_counts([file for day in by_date for file in by_date[day]])
        for day in sorted(by_date):
            files = by_date[day]
            refusal = next((file.refusal for file in files if file.refusal is not None), None)
            if refusal is not None and self.contract.kind is Kind.SNAPSHOT:
                for file in files:
                    if file.refusal is None:
                        file.refusal = FileRefused(
                            "belongs to an extract of which another file was refused", refusal.mend
                        )
                continue
            usable = [file for file in files if file.refusal is None]
            if not usable:
                continue
            good = sum(file.good_count for file in usable)
            read = sum(file.read_count for file in usable)
            before = max((d for d in history if d < day), default=None)
            reason = self._count_fault(good, read, history[before] if before else 0)
            if reason is not None:
                for file in usable:
                    file.refusal = FileRefused(*reason)
                continue
            history[day] = good

    def _accepted_counts(self, files: list[_File]) -> dict[date, int]:
        """Accepted rows by extract date, without the files that come anew."""
        rows = self.con.execute(
            "select extracted_on, sum(accepted_count) from pipeline.files "
            "where source = ? and table_name = ? and status = 'accepted' "
            "and not list_contains(?, file_name) group by all",
            [self.contract.source, self.contract.table, [f.extract.name for f in files]],
        ).fetchall()
        return {day: int(count) for day, count in rows}

    def _count_fault(self, good: int, read: int, before: int) -> tuple[str, str] | None:
        """Message and mend when an extract's row count cannot be believed."""
        if good == 0 and read >= MANY_ROWS:
            return (
                f"every one of its {read} rows was rejected",
                f"mend what {self.contract.rejects_table} names and deliver it again",
            )
        if good == 0 and before >= MANY_ROWS:
            return f"holds no rows where the extract before had {before}", "deliver it again"
        is_snapshot = self.contract.kind is Kind.SNAPSHOT
        if is_snapshot and before >= MANY_ROWS and good < self.min_ratio * before:
            return (
                f"holds {good} good rows where the extract before had {before}",
                "deliver it whole; if so many rows are really gone, run once with "
                "CSP_MIN_SNAPSHOT_RATIO=0",
            )
        return None

    # -- bookkeeping ------------------------------------------------------------------------------

    def _record_files(self, files: list[_File]) -> None:
        place = [self.contract.source, self.contract.table]
        for file in files:
            status = "accepted" if file.refusal is None else "refused"
            # A refused correction does not make the accepted version before it unknown.
            self.con.execute(
                "delete from pipeline.files where source = ? and table_name = ? and file_name = ? "
                "and (status = 'refused' or status = ?)",
                [*place, file.extract.name, status],
            )
        rows = [
            (
                *place,
                file.extract.name,
                file.extract.extracted_on,
                file.sha256,
                file.size_bytes,
                file.read_count,
                file.good_count if file.refusal is None else 0,
                file.rejected_count,
                0,
                "accepted" if file.refusal is None else "refused",
                str(file.refusal) if file.refusal is not None else None,
            )
            for file in files
        ]
        self.con.executemany(
            f"insert into pipeline.files values ({', '.join('?' * len(rows[0]))})", rows
        )

    def _record(self, files: list[_File]) -> None:
        """Rejects and flags of the files, in place of what an earlier version of them had."""
        place = [self.contract.source, self.contract.table]
        names = [file.extract.name for file in files]
        self.con.execute(
            f"delete from {self.contract.rejects_table} where list_contains(?, file)", [names]
        )
        self.con.execute(
            "delete from pipeline.quality_flags "
            "where source = ? and table_name = ? and list_contains(?, file_name)",
            [*place, names],
        )
        index = pl.DataFrame(
            {
                FILE: [file.index for file in files],
                "file": names,
                "extracted_on": [file.extract.extracted_on for file in files],
            },
            schema={FILE: pl.Int64, "file": pl.String, "extracted_on": pl.Date},
        )
        self.con.register("_names", index)
        self.con.execute(
            f"""
            insert into {self.contract.rejects_table} by name
            select names.file, {LINE} as line, rule, "column", value, message, extracted_on
            from _rejects join _names as names using ({FILE})
            order by all
            """
        )
        self.con.unregister("_names")
        flags = [
            (
                *place,
                file.extract.name,
                flag,
                # How many rows a column stands in is known only when all are read.
                file.read_count if flag == UNKNOWN_COLUMN else count,
                file.messages.get(flag),
                extracted_on,
            )
            for file in files
            for flag, count in sorted(file.flags.items())
            for extracted_on in [file.extract.extracted_on]
        ]
        if flags:
            self.con.executemany(
                "insert into pipeline.quality_flags values (?, ?, ?, ?, ?, ?, ?)", flags
            )
        if self.contract.kind is Kind.SNAPSHOT:
            self._count_unchanged(min(file.extract.extracted_on for file in files))

    def _count_unchanged(self, first: date) -> None:
        """Of a snapshot's accepted rows, how many were as in the extract before."""
        self.con.execute(
            f"""
            update pipeline.files as files
            set unchanged_count = accepted_count - coalesce((
                select count(*) from {self.contract.raw_table} as log
                where log._extracted_on = files.extracted_on
                    and log._source_file = files.file_name and not log._is_deleted
            ), 0)
            where source = $source and table_name = $table_name and status = 'accepted'
                and extracted_on >= $first
            """,
            {"source": self.contract.source, "table_name": self.contract.table, "first": first},
        )

    def _summary(self, files: list[_File]) -> TableSummary:
        refused = [file for file in files if file.refusal is not None]
        rejected = sum(file.rejected_count for file in files)
        mends = []
        if refused:
            mends.append(str(refused[0].refusal and refused[0].refusal.mend))
        if rejected:
            mends.append(f"{rejected} rows were rejected: {self.contract.rejects_table} says why")
        return TableSummary(
            name=self.contract.name,
            file_count=len(files),
            read_rows=sum(file.read_count for file in files),
            accepted_rows=sum(file.good_count for file in files if file.refusal is None),
            rejected_rows=rejected,
            stored_rows=scalar(self.con, f"select count(*) from {self.contract.raw_table}"),
            refusals=tuple(f"{file.extract.name}: {file.refusal}" for file in refused),
            mend="; ".join(mends),
        )


def _disagree(first: pl.DataFrame, second: pl.DataFrame) -> bool:
    """Whether a column that both frames have differs in type, so that they cannot be joined."""
    return any(
        first.schema[name] != dtype
        for name, dtype in second.schema.items()
        if name in first.columns
    )


class _Fingerprints:
    """SHA-256 of files, remembered while a file's size and time of change stand as they were."""

    def __init__(self, con: duckdb.DuckDBPyConnection) -> None:
        self._con = con
        rows = con.execute(
            "select path, size_bytes, modified_ns, sha256 from pipeline.file_times"
        ).fetchall()
        self._known: dict[tuple[str, int, int], str] = {
            (path, size, modified): sha256 for path, size, modified, sha256 in rows
        }
        self._fresh: list[tuple[str, int, int, str]] = []

    def of(self, extract: Extract) -> tuple[str, int]:
        """Fingerprint of everything the extract's rows depend on, and its size in bytes."""
        prints = [self._of_file(path) for path in extract.paths]
        size = sum(path.stat().st_size for path in extract.paths)
        if len(prints) == 1 and not extract.salt:
            return prints[0], size
        return hashlib.sha256("\n".join([*prints, extract.salt]).encode()).hexdigest(), size

    def _of_file(self, path: Path) -> str:
        stat = path.stat()
        key = (str(path.resolve()), stat.st_size, stat.st_mtime_ns)
        if key not in self._known:
            with path.open("rb") as handle:
                self._known[key] = hashlib.file_digest(handle, "sha256").hexdigest()
            self._fresh.append((*key, self._known[key]))
        return self._known[key]

    def save(self) -> None:
        """Remember what was hashed since the start."""
        if not self._fresh:
            return
        rows = pl.DataFrame(
            self._fresh, schema=["path", "size_bytes", "modified_ns", "sha256"], orient="row"
        ).unique("path", keep="last")
        self._con.register("_fresh_times", rows)
        self._con.execute(
            "delete from pipeline.file_times where path in (select path from _fresh_times)"
        )
        self._con.execute("insert into pipeline.file_times by name from _fresh_times")
        self._con.unregister("_fresh_times")
