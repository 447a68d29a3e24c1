"""Write a sample: live the lives, draw the facts, cut the extracts. The only module that writes."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Final

import duckdb

from dagster_project.sampling import extracts, world
from dagster_project.sampling.dirt import Dirt
from dagster_project.sampling.facts import Rows, record
from dagster_project.sampling.options import SampleOptions, SampleSummary
from dagster_project.sampling.tables import COLUMNS, FACTS, to_frame

_BATCH: Final = 500
_EPOCH: Final = date(1970, 1, 1)


def write_sample(
    out: Path, options: SampleOptions, progress: Callable[[str], None] | None = None
) -> SampleSummary:
    """Write every table's extracts to `<out>/<source>/<table>/` and say what was written.

    Writes over its own files; refuses a folder that holds other extracts (FileExistsError), as two
    worlds in one landing folder would be read as one.
    """
    tell = progress or (lambda _: None)
    days = extracts.extract_dates(options.first, options.until, options.extract_every_days)
    mine = {
        out / extracts.file_name(table, day, options.file_format)
        for table in COLUMNS
        for day in days
    }
    for table in COLUMNS:
        for path in sorted((out / table).glob("*")):
            if path not in mine:
                raise FileExistsError(f"{path} is of another sample; choose an empty folder")
    connection = duckdb.connect(":memory:")
    try:
        _draw(connection, options, tell)
        return _cut(connection, out, days, options, tell)
    finally:
        connection.close()


def _draw(
    connection: duckdb.DuckDBPyConnection, options: SampleOptions, tell: Callable[[str], None]
) -> None:
    until = (options.until - _EPOCH).days
    first = (options.first - _EPOCH).days
    for table, columns in FACTS.items():
        shape = ", ".join(f"{name} {_sql_type(kind)}" for name, kind in columns.items())
        connection.execute(f"create table {table} ({shape})")
    for begin in range(1, options.accounts + 1, _BATCH):
        rows: Rows = {table: [] for table in FACTS}
        end = min(begin + _BATCH, options.accounts + 1)
        for number in range(begin, end):
            record(world.live(number, options.seed, first, until), options.seed, until, rows)
        for table, drawn in rows.items():
            _append(connection, table, drawn)
        tell(f"drawn {end - 1} of {options.accounts} accounts")


def _sql_type(kind: str) -> str:
    return {
        "text": "varchar",
        "day": "date",
        "second": "timestamp",
        "integer": "bigint",
        "number": "double",
        "flag": "boolean",
        "cents": "decimal(18, 2)",
    }[kind]


def _append(
    connection: duckdb.DuckDBPyConnection, table: str, rows: list[tuple[object, ...]]
) -> None:
    values = ", ".join(
        f"({name} * 0.01::decimal(3, 2))::decimal(18, 2)" if kind == "cents" else name
        for name, kind in FACTS[table].items()
    )
    connection.register("drawn_rows", to_frame(table, rows))
    connection.execute(f"insert into {table} select {values} from drawn_rows")
    connection.unregister("drawn_rows")


def _cut(
    connection: duckdb.DuckDBPyConnection,
    out: Path,
    days: list[date],
    options: SampleOptions,
    tell: Callable[[str], None],
) -> SampleSummary:
    summary = SampleSummary()
    after: date | None = None
    dirt = Dirt(options.seed, options.file_format) if options.dirt else None
    for day in days:
        for table in COLUMNS:
            frame = connection.sql(extracts.query(table, options.seed, after, day)).pl()
            name = extracts.file_name(table, day, options.file_format)
            if dirt is None:
                data, height = extracts.encode(frame, options.file_format), frame.height
            else:
                data, height = dirt.soil(table, day, frame, name, is_last=day == days[-1])
            summary.bytes += extracts.write(out / name, data, options.file_format)
            summary.files += 1
            summary.rows[table] = summary.rows.get(table, 0) + height
        tell(f"written the extracts of {day}")
        after = day
    if dirt is not None:
        (out / "dirt.json").write_text(dirt.report(), encoding="utf-8")
        for entry in dirt.entries:
            kind = str(entry["kind"])
            summary.dirt[kind] = summary.dirt.get(kind, 0) + int(entry["rows"])
    return summary
