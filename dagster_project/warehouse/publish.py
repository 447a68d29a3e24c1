"""Publication: a copy of the public schemas under a temporary name, swapped in atomically.

A reader that has yesterday's file open keeps it; the next one sees today's. A day's publication
copies yesterday's file as bytes and then only takes out the rows that went and puts in those that
came, so that it writes what changed and not what there is; without a matching predecessor
everything is copied.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date, timedelta
from pathlib import Path

import duckdb

from dagster_project.errors import CspError
from dagster_project.settings import Settings
from dagster_project.warehouse import meaning
from dagster_project.warehouse.connection import STORAGE_VERSION, connect
from dagster_project.warehouse.runs import RunWindow, note_publication
from dagster_project.warehouse.views import LEDGER, LEDGER_VIEW, View, analyst_views, look_backs

PUBLIC_SCHEMAS = ("marts", "playbooks", "metrics", "policy")
_RESTATEMENTS = "pipeline.restatements"
# Operational tables a reader needs to judge the data: what was read, refused, restated, published
# before, and which rows no account claims.
PUBLIC_TABLES = (
    "pipeline.files",
    "pipeline.publications",
    "pipeline.quality_flags",
    _RESTATEMENTS,
    "intermediate.int_core__unmatched_keys",
)
# The date by which a table's rows are compared in parts: that at which most of them stay the same.
_DATED_BY = ("as_of_date", "occurred_on", "opened_on", "valid_from_on", "extracted_on")


@dataclass(frozen=True)
class Publication:
    """What one publication wrote."""

    path: Path
    is_full_copy: bool
    row_counts: dict[str, int]
    restated_days: int


@dataclass(frozen=True)
class Lineage:
    """A table and what it is made of: names with their schema, and the file that defines it."""

    table_name: str
    kind: str
    defined_in: str
    reads: tuple[str, ...] = ()


@dataclass(frozen=True)
class Dictionary:
    """Meaning of the published tables: texts shown by every client as comments.

    `tables` maps `schema.table` to its description; `columns` maps (`schema.table`, column).
    `views` makes the analysts' views from the file being published.
    """

    tables: Mapping[str, str] = field(default_factory=dict)
    columns: Mapping[tuple[str, str], str] = field(default_factory=dict)
    lineage: tuple[Lineage, ...] = ()
    views: Callable[[duckdb.DuckDBPyConnection], tuple[View, ...]] = analyst_views


def quoted(*parts: str) -> str:
    """A quoted, dotted identifier."""
    return ".".join('"' + part.replace('"', '""') + '"' for part in parts)


def _literal(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def public_tables(con: duckdb.DuckDBPyConnection, catalog: str) -> list[tuple[str, str]]:
    """(schema, table) of every table that is published, in order of name."""
    return con.execute(
        """
        select schema_name, table_name from duckdb_tables()
        where database_name = ? and (
            list_contains(?, schema_name) or list_contains(?, schema_name || '.' || table_name)
            or (schema_name like 'raw!_%' escape '!' and table_name like '%!_!_rejects' escape '!')
        )
        order by all
        """,
        [catalog, list(PUBLIC_SCHEMAS), list(PUBLIC_TABLES)],
    ).fetchall()


def publish_snapshot(
    settings: Settings,
    window: RunWindow,
    *,
    daily_tables: Iterable[str],
    dictionary: Dictionary,
    config_sha256: str,
    before_swap: Callable[[Path], None] = lambda _: None,
) -> Publication:
    """Publish the build file's public tables; on any failure the old publication stays.

    Args:
        settings: where the build and the published file are.
        window: the range the run computed; rows of daily tables before it are already published.
        daily_tables: `schema.table` of the tables that a run replaces by date range.
        dictionary: comments to put on tables and columns.
        config_sha256: fingerprint of policy and rules, kept with the publication.
        before_swap: what else must succeed before the new file takes the old one's place; it is
            given the new file, which nobody writes any more.

    Raises:
        CspError: the file could not be written (a full disk, for example), or a published table
            or column has no description.
    """
    target = settings.published
    target.parent.mkdir(parents=True, exist_ok=True)
    temporary = target.with_name(f".{target.stem}.publishing.duckdb")
    try:
        publication = _build(settings, window, temporary, set(daily_tables), dictionary)
        before_swap(temporary)
        temporary.replace(target)
    except (OSError, duckdb.IOException, duckdb.OutOfMemoryException) as error:
        raise CspError(
            f"{target}: could not be published ({error}) — free space or check the folder, then "
            "run again; the previous publication is untouched"
        ) from error
    finally:
        for leftover in (temporary, temporary.with_name(temporary.name + ".wal")):
            leftover.unlink(missing_ok=True)
    with connect(settings.warehouse, settings) as con:
        note_publication(con, window, config_sha256)
    return publication


def _build(
    settings: Settings,
    window: RunWindow,
    temporary: Path,
    daily_tables: set[str],
    dictionary: Dictionary,
) -> Publication:
    for leftover in (temporary, temporary.with_name(temporary.name + ".wal")):
        leftover.unlink(missing_ok=True)
    continues = not window.is_full_refresh and _continues(settings)
    if continues:
        shutil.copyfile(settings.published, temporary)
    # The catalogue is called as the published file will be, so that views can name it.
    catalog = settings.published.stem
    with connect(settings.warehouse, settings) as con:
        con.execute(
            f"attach {_literal(str(temporary))} as {quoted(catalog)}"
            + ("" if continues else f" (storage_version '{STORAGE_VERSION}')")
        )
        counts, restated = _copy_tables(con, catalog, window, daily_tables, continues=continues)
        _copy_views(con, catalog)
        con.execute(f"create schema if not exists {quoted(catalog)}.pipeline")
        _keep_ledger(con, catalog, window, daily_tables)
        con.execute(
            f"create or replace table {quoted(catalog)}.pipeline.publication as "
            "select coalesce(max(publication_number), 0) + 1 as publication_number, "
            "?::date as from_date, ?::date as as_of_date from pipeline.publications",
            [window.from_date, window.as_of_date],
        )
        views = _create_views(con, catalog, dictionary)
        _note_lineage(con, catalog, dictionary, views)
        _comment(con, catalog, dictionary, views)
        con.execute(f"checkpoint {quoted(catalog)}")
        con.execute(f"detach {quoted(catalog)}")
    return Publication(settings.published, not continues, counts, restated)


def _continues(settings: Settings) -> bool:
    """Whether the published file is the build file's own last publication."""
    if not settings.published.exists():
        return False
    with connect(settings.warehouse, settings) as con:
        mine = con.execute(
            "select publication_number, from_date, as_of_date from pipeline.publications "
            "order by publication_number desc limit 1"
        ).fetchone()
    if mine is None:
        return False
    with connect(settings.published, settings, read_only=True) as con:
        try:
            theirs = con.execute(
                "select publication_number, from_date, as_of_date from pipeline.publication"
            ).fetchone()
        except duckdb.CatalogException:
            return False
    return bool(mine == theirs)


def _columns(
    con: duckdb.DuckDBPyConnection, catalog: str, schema: str, table: str
) -> list[tuple[str, str]]:
    return con.execute(
        "select column_name, data_type from duckdb_columns() "
        "where database_name = ? and schema_name = ? and table_name = ? order by column_index",
        [catalog, schema, table],
    ).fetchall()


def _can_continue(
    con: duckdb.DuckDBPyConnection, build: str, catalog: str, schema: str, table: str
) -> bool:
    """Whether the published table has the same columns, so that days can be replaced in it."""
    theirs = _columns(con, catalog, schema, table)
    return bool(theirs) and theirs == _columns(con, build, schema, table)


def _build_catalog(con: duckdb.DuckDBPyConnection) -> str:
    row = con.execute("select current_catalog()").fetchone()
    assert row is not None
    return str(row[0])


def _copy_tables(
    con: duckdb.DuckDBPyConnection,
    catalog: str,
    window: RunWindow,
    daily_tables: set[str],
    *,
    continues: bool,
) -> tuple[dict[str, int], int]:
    """Make the published tables equal to the build's; rows per table, and how many days the run
    changed among those already published.
    """
    build = _build_catalog(con)
    ours = public_tables(con, build)
    for schema, table in public_tables(con, catalog):
        if (schema, table) not in set(ours):
            con.execute(f"drop table {quoted(catalog, schema, table)}")
    if continues:
        con.execute(
            f"delete from {_RESTATEMENTS} where restated_by_as_of_date >= ?", [window.as_of_date]
        )
    counts: dict[str, int] = {}
    # What was restated is known, and can be published, when all else is done.
    for schema, table in sorted(ours, key=lambda one: ".".join(one) == _RESTATEMENTS):
        source, target = quoted(build, schema, table), quoted(catalog, schema, table)
        con.execute(f"create schema if not exists {quoted(catalog, schema)}")
        name = f"{schema}.{table}"
        is_daily = name in daily_tables
        columns = [column for column, _ in _columns(con, build, schema, table)]
        is_done = False
        if continues and _can_continue(con, build, catalog, schema, table):
            update = _Update(
                con,
                source,
                (catalog, schema, table),
                columns,
                window.from_date if is_daily else None,
            )
            if is_daily:
                _note_restated(con, update, name, window)
            is_done = update.apply()
        if not is_done:
            con.execute(f"create or replace table {target} as from {source}")
        row = con.execute(
            f"select (select count(*) from {source}), (select count(*) from {target})"
        ).fetchone()
        assert row is not None
        if row[0] != row[1]:
            # The published past no longer agrees with the build (somebody edited it): copy anew.
            con.execute(f"create or replace table {target} as from {source}")
        counts[name] = int(row[0])
    restated = con.execute(
        f"select count(distinct as_of_date) from {_RESTATEMENTS} where restated_by_as_of_date = ?",
        [window.as_of_date],
    ).fetchone()
    return counts, int(restated[0]) if restated and continues else 0


def _note_restated(
    con: duckdb.DuckDBPyConnection, update: _Update, name: str, window: RunWindow
) -> None:
    """Record how many rows of each day that was published already went or came."""
    con.execute(
        f"insert into {_RESTATEMENTS} select bucket, $name, count(*), $as_of_date from "
        "(select bucket from published_gone union all select bucket from published_fresh) "
        "where bucket <= $last group by all",
        {"name": name, "as_of_date": window.as_of_date, "last": update.last_on},
    )


class _Update:
    """What a published table lacks and what it has too much of, told by fingerprints of rows.

    Reading and hashing rows costs a tenth of writing them, and history hardly changes. Days (months
    where a table is no daily one) whose fingerprints agree are passed over; in the others, rows are
    compared. The places of the rows that go and come stand in `published_gone` and
    `published_fresh`.
    """

    def __init__(
        self,
        con: duckdb.DuckDBPyConnection,
        source: str,
        published: tuple[str, str, str],
        columns: list[str],
        from_date: date | None,
    ) -> None:
        self.con = con
        self.source = source
        self.published = published
        self.target = target = quoted(*published)
        self.fingerprint = f"hash({', '.join(quoted(column) for column in columns)})"
        dated = next((column for column in _DATED_BY if column in columns), None)
        self.bucket = "null::date"
        self.range = "true"
        self.last_on: date | None = None
        if from_date is not None:
            self.bucket = "as_of_date"
            self.range = f"as_of_date >= date '{from_date}'"
            [(self.last_on,)] = con.execute(f"select max(as_of_date) from {target}").fetchall()
        elif dated is not None:
            self.bucket = f"date_trunc('month', {quoted(dated)})::date"
        self.changed = self._changed_buckets()
        # A table without a date is one bucket; rows without a date are one, too.
        known = ", ".join(f"date '{one}'" for one in self.changed if one is not None)
        self.touched = " or ".join(
            [f"{self.bucket} in ({known})"] * bool(known)
            + [f"{self.bucket} is null"] * (None in self.changed)
        )
        self.touched = f"{self.range} and ({self.touched or 'false'})"
        for name, rows, other in (("gone", target, source), ("fresh", source, target)):
            con.execute(
                f"create or replace temp table published_{name} as "
                f"select rows.place, rows.bucket from (select rowid as place, "
                f"{self.bucket} as bucket, {self.fingerprint} as fingerprint from {rows} "
                f"where {self.touched}) as rows "
                f"anti join (select {self.fingerprint} as fingerprint from {other} "
                f"where {self.touched}) as others on rows.fingerprint = others.fingerprint"
            )

    def apply(self) -> bool:
        """Take out and put in; False when the table had better be copied whole."""
        [(gone, fresh, live, stored)] = self.con.execute(
            "select (select count(*) from published_gone), (select count(*) from published_fresh), "
            f"(select count(*) from {self.target}), (select estimated_size from duckdb_tables() "
            "where database_name = ? and schema_name = ? and table_name = ?)",
            self.published,
        ).fetchall()
        # Rows that went keep their place on the disk until few enough are left around it.
        if 2 * (gone + fresh) > live or 2 * (stored - live + gone) > live:
            return False
        if gone:
            self.con.execute(
                f"delete from {self.target} where rowid in (select place from published_gone)"
            )
        if fresh:
            self.con.execute(
                f"insert into {self.target} select * from {self.source} "
                f"where {self.touched} and rowid in (select place from published_fresh)"
            )
        # Rows that stand several times are not told apart by the comparison: look again.
        return not self.changed or not self._changed_buckets()

    def _changed_buckets(self) -> list[date | None]:
        summed = (
            f"select {self.bucket} as bucket, count(*) as row_count, "
            f"sum({self.fingerprint}) as fingerprint from {{}} where {self.range} group by all"
        )
        found = self.con.execute(
            f"select coalesce(ours.bucket, theirs.bucket) "
            f"from ({summed.format(self.source)}) as ours "
            f"full join ({summed.format(self.target)}) as theirs "
            "on ours.bucket is not distinct from theirs.bucket "
            "where ours.row_count is distinct from theirs.row_count "
            "or ours.fingerprint is distinct from theirs.fingerprint order by all"
        ).fetchall()
        return [day for (day,) in found]


def _copy_views(con: duckdb.DuckDBPyConnection, catalog: str) -> None:
    """Recreate public views and table macros over the published tables, whatever their order."""
    build = _build_catalog(con)
    views = con.execute(
        "select schema_name, view_name, sql from duckdb_views() "
        "where database_name = ? and not internal and list_contains(?, schema_name) order by all",
        [build, list(PUBLIC_SCHEMAS)],
    ).fetchall()
    for schema, view in con.execute(
        "select schema_name, view_name from duckdb_views() "
        "where database_name = ? and not internal",
        [catalog],
    ).fetchall():
        con.execute(f"drop view {quoted(catalog, schema, view)}")
    waiting = {(schema, view): _without_catalog(sql, build) for schema, view, sql in views}
    functions = [
        (schema, name, parameters, _without_catalog(sql, build))
        for schema, name, parameters, sql in con.execute(
            "select schema_name, function_name, parameters, macro_definition "
            "from duckdb_functions() where database_name = ? and function_type = 'table_macro' "
            "and not internal and list_contains(?, schema_name) order by all",
            [build, list(PUBLIC_SCHEMAS)],
        ).fetchall()
    ]
    con.execute(f"use {quoted(catalog)}")
    try:
        while waiting:
            failures: dict[tuple[str, str], str] = {}
            for key, sql in waiting.items():
                try:
                    con.execute(f"create schema if not exists {quoted(key[0])}")
                    con.execute(f"drop view if exists {quoted(*key)}")
                    con.execute(sql)
                    con.execute(f"from {quoted(*key)} limit 0")
                except (duckdb.CatalogException, duckdb.BinderException) as error:
                    failures[key] = str(error)
            if len(failures) == len(waiting):
                text = "; ".join(f"{'.'.join(key)}: {why}" for key, why in failures.items())
                raise CspError(f"a public view reads what is not published: {text}")
            waiting = {key: waiting[key] for key in failures}
        for schema, name, parameters, sql in functions:
            con.execute(
                f"create or replace macro {quoted(schema, name)}({', '.join(parameters)}) "
                f"as table ({sql})"
            )
    finally:
        con.execute(f"use {quoted(build)}")


def _keep_ledger(
    con: duckdb.DuckDBPyConnection, catalog: str, window: RunWindow, daily_tables: set[str]
) -> None:
    """Store the published day's change ledger, and let its view read what is stored.

    The view splits moves of every day and looks back from each, so every reader of one day would
    read months of the widest table. Here it runs once, over copies of the few days it compares.
    """
    build = _build_catalog(con)
    schema, view = LEDGER_VIEW.split(".")
    found = con.execute(
        "select sql from duckdb_views() "
        "where database_name = ? and schema_name = ? and view_name = ?",
        [build, schema, view],
    ).fetchone()
    if found is None:
        return
    day = window.as_of_date
    days = [day, *(day - timedelta(days=back) for back in look_backs(con))]
    con.execute("attach ':memory:' as scratch")
    try:
        for name in sorted(_tables_read(con, found[0])):
            table = quoted(build, *name.split("."))
            # A scan for one day reads that day's blocks; one for a list of days reads all between.
            rows = (
                " union all ".join(f"from {table} where as_of_date = date '{one}'" for one in days)
                if name in daily_tables
                else f"from {table}"
            )
            con.execute(f"create schema if not exists {quoted('scratch', name.split('.')[0])}")
            con.execute(f"create table {quoted('scratch', *name.split('.'))} as {rows}")
        con.execute("use scratch")
        con.execute(_without_catalog(found[0], build))
        con.execute(f"use {quoted(build)}")
        con.execute(
            f"create or replace table {quoted(catalog, *LEDGER.split('.'))} as "
            f"from {quoted('scratch', schema, view)} where as_of_date = ? order by all",
            [day],
        )
    finally:
        con.execute(f"use {quoted(build)}")
        con.execute("detach scratch")
    con.execute(f"use {quoted(catalog)}")
    try:
        con.execute(f"create or replace view {quoted(schema, view)} as from {LEDGER}")
    finally:
        con.execute(f"use {quoted(build)}")


def _tables_read(con: duckdb.DuckDBPyConnection, view_sql: str) -> set[str]:
    """`schema.table` of the tables that a view's definition reads, views and CTEs left out."""
    known = con.execute(
        "select schema_name || '.' || table_name from duckdb_tables() "
        "where database_name = current_catalog()"
    ).fetchall()
    plain = view_sql.replace('"', "")
    return {
        name
        for (name,) in known
        if re.search(rf"(?<![\w]){re.escape(name)}(?![\w])", plain) is not None
    }


def _without_catalog(sql: str, catalog: str) -> str:
    """A definition whose names do not say which file they are in."""
    own_name = rf'(?<![\w"])(?:"{re.escape(catalog)}"|{re.escape(catalog)})\.'
    return re.sub(own_name, "", sql.strip().rstrip(";"))


def _create_views(
    con: duckdb.DuckDBPyConnection, catalog: str, dictionary: Dictionary
) -> tuple[View, ...]:
    """Create the analysts' views over the published tables."""
    build = _build_catalog(con)
    con.execute(f"use {quoted(catalog)}")
    try:
        views = dictionary.views(con)
        for view in views:
            con.execute(f"create or replace view {quoted(*view.name.split('.'))} as {view.sql}")
    finally:
        con.execute(f"use {quoted(build)}")
    return views


def _note_lineage(
    con: duckdb.DuckDBPyConnection,
    catalog: str,
    dictionary: Dictionary,
    views: tuple[View, ...],
) -> None:
    table = f"{quoted(catalog)}.pipeline.lineage"
    con.execute(
        f"create or replace table {table} "
        "(table_name varchar, kind varchar, defined_in varchar, reads varchar)"
    )
    rows = [
        (entry.table_name, entry.kind, entry.defined_in, read)
        for entry in (
            *dictionary.lineage,
            *(Lineage(view.name, "view", view.defined_in, view.reads) for view in views),
        )
        for read in entry.reads or (None,)
    ]
    for row in sorted(set(rows), key=lambda row: (row[0], row[3] or "")):
        con.execute(f"insert into {table} values (?, ?, ?, ?)", row)


def _comment(
    con: duckdb.DuckDBPyConnection,
    catalog: str,
    dictionary: Dictionary,
    views: tuple[View, ...],
) -> None:
    """Put its meaning on every published table and column.

    Raises:
        CspError: one has none; all that lack it are named.
    """
    kinds = {
        f"{schema}.{name}": kind
        for schema, name, kind in con.execute(
            "select schema_name, table_name, 'table' from duckdb_tables() where database_name = $1 "
            "union all select schema_name, view_name, 'view' from duckdb_views() "
            "where database_name = $1 and not internal",
            [catalog],
        ).fetchall()
    }
    columns = con.execute(
        "select schema_name || '.' || table_name, column_name from duckdb_columns() "
        "where database_name = ? order by schema_name, table_name, column_index",
        [catalog],
    ).fetchall()
    tables = dict(dictionary.tables) | {view.name: view.description for view in views}
    texts = dict(dictionary.columns) | {
        (view.name, column): text for view in views for column, text in view.columns.items()
    }
    silent: list[str] = []
    for name, kind in sorted(kinds.items()):
        text = tables.get(name) or meaning.table_text(name)
        if text is None:
            silent.append(name)
        else:
            con.execute(
                f"comment on {kind} {quoted(catalog, *name.split('.'))} is {_literal(text)}"
            )
    for name, column in columns:
        text = texts.get((name, column)) or meaning.column_text(name, column)
        if text is None:
            silent.append(f"{name}.{column}")
        else:
            con.execute(
                f"comment on column {quoted(catalog, *name.split('.'), column)} is {_literal(text)}"
            )
    if silent:
        raise CspError(
            f"published without a description: {', '.join(silent)} — describe them in the YAML "
            "beside the model (or in warehouse/meaning.py); the previous publication is untouched"
        )
