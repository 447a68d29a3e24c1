"""Every public table as Parquet and CSV, with a manifest, in one folder per day.

What a file holds keeps its size from growing with history:

- a daily table (it has `as_of_date`): the rows of the day;
- a metric table: the days of the trailing `METRIC_DAYS`;
- a history of events or intervals: what is still open, or ended or happened in the trailing
  `HISTORY_DAYS`;
- anything else: all rows.

Rows are ordered by all columns, left to right (keys stand first), so that equal tables make equal
bytes. In CSV a text cell that starts like a formula (`=`, `+`, `-`, `@`, tab, carriage return) is
led by an apostrophe, because spreadsheets would run it; Parquet holds the text as it is.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import tempfile
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from datetime import date
from importlib.metadata import version
from pathlib import Path

import duckdb

from dagster_project.errors import CspError

PUBLIC_SCHEMAS = ("marts", "playbooks", "metrics")
METRIC_DAYS = 31
HISTORY_DAYS = 90
MANIFEST = "manifest.json"
# The date that ends a row of a history, in order of preference; null means it has not ended yet.
_ENDS = ("valid_to_on", "closed_on", "decided_on", "occurred_on")
_TEXT_TYPES = ("VARCHAR", "ENUM", "JSON")
_FORMULA_STARTS = "'=', '+', '-', '@', chr(9), chr(13)"


@dataclass(frozen=True)
class PublicTable:
    """A table or view of a public schema and its columns as (name, type), in order."""

    schema: str
    name: str
    columns: tuple[tuple[str, str], ...]

    @property
    def column_names(self) -> tuple[str, ...]:
        """The names of the columns, in order."""
        return tuple(name for name, _ in self.columns)


@dataclass(frozen=True)
class Rows:
    """Which rows of a table leave: a SQL condition on `$as_of`, and the same in words."""

    condition: str
    meaning: str


def public_tables(con: duckdb.DuckDBPyConnection) -> list[PublicTable]:
    """Tables and views of the public schemas, ordered by schema and name."""
    rows = con.execute(
        "select schema_name, table_name, column_name, data_type from duckdb_columns() "
        "where database_name = current_catalog() and list_contains(?, schema_name) "
        "order by schema_name, table_name, column_index",
        [list(PUBLIC_SCHEMAS)],
    ).fetchall()
    columns: dict[tuple[str, str], list[tuple[str, str]]] = {}
    for schema, table, column, data_type in rows:
        columns.setdefault((schema, table), []).append((column, data_type))
    return [PublicTable(schema, name, tuple(found)) for (schema, name), found in columns.items()]


def rows_to_export(table: PublicTable) -> Rows:
    """Which rows of the table a day's folder holds; see the module's text."""
    if "as_of_date" in table.column_names:
        if table.schema == "metrics":
            return Rows(
                f"as_of_date > $as_of::date - {METRIC_DAYS} and as_of_date <= $as_of::date",
                f"the {METRIC_DAYS} days up to the day",
            )
        return Rows("as_of_date = $as_of::date", "the day")
    for end in _ENDS:
        if end in table.column_names:
            return Rows(
                f"({end} is null or {end} > $as_of::date - {HISTORY_DAYS})",
                f"open, or {end} within {HISTORY_DAYS} days",
            )
    return Rows("true", "all")


def write_exports(
    con: duckdb.DuckDBPyConnection,
    out_dir: Path,
    as_of: date,
    add_files: Callable[[Path], None] | None = None,
    beside: Callable[[Path], AbstractContextManager[None]] = lambda _: nullcontext(),
) -> Path:
    """Write `<out_dir>/<as_of>/` and return its path; the folder appears whole or not at all.

    `add_files` puts further files (workbook, queues) into the folder before the manifest is made.
    What `beside` opens on the folder works while that is done, and has ended when it closes.

    Raises:
        CspError: the files could not be written (a full disk, no permission); an earlier folder
            of the same day is untouched.
    """
    target = out_dir / as_of.isoformat()
    try:
        out_dir.mkdir(parents=True, exist_ok=True)
        _remove_leftovers(out_dir, as_of)
        folder = Path(tempfile.mkdtemp(prefix=f".{as_of.isoformat()}.", dir=out_dir))
        try:
            with beside(folder):
                contents = _write_tables(con, folder / "tables", as_of)
                if add_files is not None:
                    add_files(folder)
            _write_manifest(folder, as_of, contents)
            folder.chmod(0o755)
            _swap(folder, target)
        finally:
            shutil.rmtree(folder, ignore_errors=True)
    except (OSError, duckdb.IOException) as error:
        raise CspError(
            f"{target}: the exports could not be written ({error}) — free space or mend the "
            "permission, then run again; what was exported before is untouched"
        ) from error
    return target


def replace_files(out_dir: Path, as_of: date, write_files: Callable[[Path], None]) -> Path:
    """Write some of a day's files again, each replaced whole; the folder's other files stay.

    `write_files` writes them into an empty folder. A folder inside it (a page per owner) takes the
    place of the one of its name. The manifest is made anew, last.

    Raises:
        CspError: a file could not be written; what was not replaced yet is as it was.
    """
    target = out_dir / as_of.isoformat()
    try:
        target.mkdir(parents=True, exist_ok=True)
        fresh = Path(tempfile.mkdtemp(prefix=f".{as_of.isoformat()}.", dir=out_dir))
        try:
            write_files(fresh)
            for path in sorted(fresh.iterdir()):
                if path.is_dir():
                    _swap(path, target / path.name)
                else:
                    path.replace(target / path.name)
            known = _known_contents(target)
            _write_manifest(fresh, as_of, known, of=target)
            (fresh / MANIFEST).replace(target / MANIFEST)
        finally:
            shutil.rmtree(fresh, ignore_errors=True)
    except OSError as error:
        raise CspError(
            f"{target}: the report could not be written ({error}) — free space or mend the "
            "permission, then run again"
        ) from error
    return target


def _known_contents(folder: Path) -> dict[str, tuple[int, str]]:
    """What the folder's manifest says of the tables: rows, and which rows they are."""
    if not (folder / MANIFEST).exists():
        return {}
    files = read_manifest(folder)["files"]
    assert isinstance(files, list)
    return {
        entry["file"]: (entry["row_count"], entry["rows"])
        for entry in files
        if "row_count" in entry
    }


def read_manifest(folder: Path) -> dict[str, object]:
    """The manifest of an export folder."""
    parsed: dict[str, object] = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
    return parsed


def _write_tables(
    con: duckdb.DuckDBPyConnection, folder: Path, as_of: date
) -> dict[str, tuple[int, str]]:
    """Write every public table twice; by file name the number of rows and which rows they are."""
    contents: dict[str, tuple[int, str]] = {}
    con.execute("set preserve_insertion_order = true")
    for table in public_tables(con):
        (folder / table.schema).mkdir(parents=True, exist_ok=True)
        rows = rows_to_export(table)
        # Sorted once, written twice.
        ordered = ", ".join(_quoted(name) for name in table.column_names)
        con.execute(
            "create or replace temp table export_rows as "
            f"select * from {_quoted(table.schema, table.name)} "
            f"where {rows.condition.replace('$as_of', _literal(as_of.isoformat()))} "
            f"order by {ordered}"
        )
        cells = ", ".join(_csv_cell(name, data_type) for name, data_type in table.columns)
        count = con.execute("select count(*) from export_rows").fetchone()
        assert count is not None
        for suffix, query, options in (
            (
                "parquet",
                "select * from export_rows order by rowid",
                "format parquet, compression zstd",
            ),
            (
                "csv",
                f"select {cells} from export_rows order by rowid",
                "format csv, header true",
            ),
        ):
            path = folder / table.schema / f"{table.name}.{suffix}"
            con.execute(f"copy ({query}) to {_literal(str(path))} ({options})")
            relative = path.relative_to(folder.parent).as_posix()
            contents[relative] = (int(count[0]), rows.meaning)
    con.execute("drop table if exists export_rows")
    return contents


def _csv_cell(name: str, data_type: str) -> str:
    column = f"export_rows.{_quoted(name)}"
    if not data_type.startswith(_TEXT_TYPES):
        return f"{column} as {_quoted(name)}"
    text = f"{column}::varchar"
    return (
        f"case when left({text}, 1) in ({_FORMULA_STARTS}) "
        f"then '''' || {text} else {text} end as {_quoted(name)}"
    )


def _write_manifest(
    folder: Path, as_of: date, contents: dict[str, tuple[int, str]], of: Path | None = None
) -> None:
    """Write the manifest of the files below `of` (the folder itself when not given)."""
    described = of or folder
    files: list[dict[str, object]] = []
    for path in sorted(path for path in described.rglob("*") if path.is_file()):
        relative = path.relative_to(described).as_posix()
        if relative == MANIFEST:
            continue
        entry: dict[str, object] = {
            "file": relative,
            "size_bytes": path.stat().st_size,
            "sha256": _sha256(path),
        }
        if relative in contents:
            entry["row_count"], entry["rows"] = contents[relative]
        files.append(entry)
    manifest = {
        "as_of_date": as_of.isoformat(),
        "versions": {
            name: version(name)
            for name in ("customer-success-pipeline", "dbt-core", "dbt-duckdb", "duckdb")
        },
        "files": files,
    }
    text = json.dumps(manifest, indent=2, ensure_ascii=False)
    (folder / MANIFEST).write_text(text + "\n", encoding="utf-8")


def _sha256(path: Path) -> str:
    with path.open("rb") as handle:
        return hashlib.file_digest(handle, "sha256").hexdigest()


def _swap(folder: Path, target: Path) -> None:
    """Put the finished folder in place; a folder cannot be replaced in one step, so the old one
    steps aside first and comes back when the second step fails.
    """
    if not target.exists():
        folder.rename(target)
        return
    aside = folder.with_name(folder.name + ".old")
    target.rename(aside)
    try:
        folder.rename(target)
    except OSError:
        aside.rename(target)
        raise
    shutil.rmtree(aside, ignore_errors=True)


def _remove_leftovers(out_dir: Path, as_of: date) -> None:
    """Clear what a killed run left behind; when it died between the two renames, undo the first."""
    target = out_dir / as_of.isoformat()
    for path in sorted(out_dir.glob(f".{as_of.isoformat()}.*")):
        if path.name.endswith(".old") and not target.exists():
            path.replace(target)
        else:
            shutil.rmtree(path, ignore_errors=True)


def _quoted(*names: str) -> str:
    return ".".join('"' + name.replace('"', '""') + '"' for name in names)


def _literal(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"
