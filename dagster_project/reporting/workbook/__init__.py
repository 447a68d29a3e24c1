"""The metrics workbook: a summary, a sheet per metric table, their trend, what a column means.

Every cell that holds text from data is written as a string, so it can never start a formula, and
nothing in the file depends on when or where it was written: equal tables make equal bytes.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, datetime, time
from pathlib import Path

import duckdb
import xlsxwriter  # type: ignore[import-untyped]

from dagster_project.reporting.dictionary import column_descriptions
from dagster_project.reporting.workbook.book import METRIC_SHEETS, TREND_DAYS, Book
from dagster_project.reporting.workbook.native_charts import (
    stage_data_sheet,
    trend_data_sheet,
    trend_sheet,
    zone_trend_sheet,
)
from dagster_project.reporting.workbook.summary import headline, summary_sheet
from dagster_project.reporting.workbook.tables import (
    column_sheet,
    definition_sheet,
    matrix_sheet,
    metric_sheet,
    review_sheet,
)

__all__ = ["write_workbook"]


def write_workbook(
    con: duckdb.DuckDBPyConnection,
    path: Path,
    as_of: date,
    descriptions: Mapping[tuple[str, str], str] | None = None,
) -> None:
    """Write `metrics.xlsx` of the day from an open warehouse (the build or the published file).

    `descriptions` explains columns by (table, column); by default the text beside the dbt models.
    """
    texts = column_descriptions() if descriptions is None else descriptions
    path.parent.mkdir(parents=True, exist_ok=True)
    book = xlsxwriter.Workbook(
        str(path),
        {
            "strings_to_formulas": False,
            "strings_to_numbers": False,
            "strings_to_urls": False,
            "nan_inf_to_errors": False,
        },
    )
    try:
        book.set_properties(
            {
                "title": "Customer success metrics",
                "subject": f"As of {as_of.isoformat()}",
                "author": "customer-success-pipeline",
                "created": datetime.combine(as_of, time()),
            }
        )
        _write_sheets(Book(con, book, as_of, texts))
    finally:
        book.close()


def _write_sheets(book: Book) -> None:
    """All sheets; the data sheets of the charts come last."""
    summary = book.sheet("Summary", "Customer success metrics", headline(book))
    trend = book.sheet(
        "Trend",
        "Metrics over time",
        f"All accounts, the {TREND_DAYS} days up to {book.as_of.isoformat()}; "
        "the dashed line is the target. The numbers are on the sheet Trend data.",
    )
    for name, table, title in METRIC_SHEETS:
        metric_sheet(book, name, table, title)
    matrix, chart_column = matrix_sheet(book)
    review_sheet(book)
    definition_sheet(book)
    zone_rows, zones = zone_trend_sheet(book)
    trend_rows = trend_data_sheet(book)
    by_area, by_stage = stage_data_sheet(book) or (None, None)
    if by_stage is not None:
        by_stage.set_size({"width": 560, "height": 380})
        matrix.insert_chart(3, chart_column, by_stage, {"object_position": 2})
    summary_sheet(book, summary, zone_rows, zones, by_area)
    trend_sheet(book, trend, trend_rows)
    column_sheet(book)
    summary.activate()
