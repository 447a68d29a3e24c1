"""Small change for the SQL of this package."""

from __future__ import annotations

from typing import Any

import duckdb
import polars as pl


def quoted(name: str) -> str:
    """A contract's column name as SQL identifier."""
    return f'"{name}"'


def scalar(
    con: duckdb.DuckDBPyConnection, query: str, params: dict[str, Any] | list[Any] | None = None
) -> Any:
    """The only value of a query of one row and one column."""
    # Fetched to the end: a connection with a result half read refuses other work.
    return con.execute(query, params).fetchall()[0][0]


def insert_frame(con: duckdb.DuckDBPyConnection, table: str, rows: pl.DataFrame) -> None:
    """Append a frame to a table, by column name.

    The engine finds `rows` by its Python name. Registering it would keep every frame of a
    transaction in memory until the commit.
    """
    con.execute(f"insert into {table} by name from rows")
