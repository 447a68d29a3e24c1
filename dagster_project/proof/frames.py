"""The backtest as frames, one per table: what notebooks and dashboards show.

The monthly job publishes the tables (`tables`); a file without them, or with those of an earlier
day, is asked anew, so that the numbers are always of the published day.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import astuple, dataclass
from datetime import date
from typing import Any

import duckdb
import polars as pl
from polars._typing import PolarsDataType

from dagster_project.proof.backtest import backtest
from dagster_project.proof.options import ProofOptions, proof_options
from dagster_project.proof.tables import BACKTEST_TABLES

_TYPES: dict[str, PolarsDataType] = {
    "varchar": pl.String,
    "integer": pl.Int32,
    "bigint": pl.Int64,
    "double": pl.Float64,
    "date": pl.Date,
    "boolean": pl.Boolean,
}


@dataclass(frozen=True)
class BacktestFrames:
    """The four tables `marts.fct_health_backtest_*` as of a day; columns as in `tables`.

    `is_published`: they were read from the file; otherwise they were computed now.
    """

    as_of_date: date
    options: ProofOptions
    is_published: bool
    summary: pl.DataFrame
    zones: pl.DataFrame
    calibration: pl.DataFrame
    lead_time: pl.DataFrame


def backtest_frames(con: duckdb.DuckDBPyConnection, as_of: date) -> BacktestFrames:
    """The backtest as of a day, from the file where it is published, else computed.

    Raises:
        CspError: the file holds no account on any day. ConfigError: the seeds are wrong.
    """
    options = proof_options(con)
    names = list(BACKTEST_TABLES)
    stored = {
        f"{schema}.{table}"
        for schema, table in con.execute(
            "select schema_name, table_name from duckdb_tables() "
            "where database_name = current_catalog()"
        ).fetchall()
    }
    if stored.issuperset(names):
        days = con.execute(f"select distinct as_of_date from {names[0]}").fetchall()
        if days == [(as_of,)]:
            frames = [
                con.sql(f"select {', '.join(BACKTEST_TABLES[name].columns)} from {name}").pl()
                for name in names
            ]
            return BacktestFrames(as_of, options, True, *frames)
    result = backtest(con, as_of=as_of, options=options)
    parts: tuple[Sequence[Any], ...] = (
        result.summary,
        result.zones,
        result.calibration,
        result.lead_time,
    )
    return BacktestFrames(
        as_of,
        options,
        False,
        *(
            pl.DataFrame(
                [(as_of, *astuple(row)) for row in rows],
                schema={
                    column: _TYPES[kind]
                    for column, (kind, _) in BACKTEST_TABLES[name].columns.items()
                },
                orient="row",
            )
            for name, rows in zip(names, parts, strict=True)
        ),
    )
