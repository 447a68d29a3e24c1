"""`dictionary.html`: the dictionary as a page to search, with no network."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import duckdb

from dagster_project.reporting import queries
from dagster_project.reporting.dictionary import read_dictionary
from dagster_project.reporting.report.page import screen_page


def write_dictionary(con: duckdb.DuckDBPyConnection, path: Path, as_of: date) -> None:
    """Write the page about every table of an open published file.

    Args:
        con: the published file, or one about to be published.
        path: the file to write.
        as_of: the day whose metric definitions are shown.
    """
    tables = read_dictionary(con)
    groups: dict[str, list[object]] = {}
    for table in tables:
        group = "rejects" if table.schema.startswith("raw_") else table.schema
        groups.setdefault(group, []).append(table)
    metrics = queries.metrics(queries.Snapshot(con, as_of)).to_dicts()
    values = {
        "as_of": as_of,
        "groups": groups,
        "known": {table.full_name for table in tables},
        "table_count": len(tables),
        "column_count": sum(len(table.columns) for table in tables),
        "metrics": metrics,
    }
    page = screen_page("dictionary.html.jinja", values, "dictionary.js")
    path.write_text(page, encoding="utf-8")
