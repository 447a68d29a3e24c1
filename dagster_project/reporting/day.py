"""The files that leaders and analysts read for a day, all from the published file alone."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import duckdb

from dagster_project.errors import ConfigError
from dagster_project.progress import say
from dagster_project.reporting.dictionary import published_descriptions
from dagster_project.reporting.exports import replace_files
from dagster_project.reporting.report import ReportFiles, write_report
from dagster_project.reporting.report.dictionary_page import write_dictionary
from dagster_project.reporting.workbook import write_workbook
from dagster_project.settings import Settings
from dagster_project.warehouse import connect


def write_day(con: duckdb.DuckDBPyConnection, folder: Path, as_of: date) -> ReportFiles:
    """Write workbook, report, owners' pages, print edition and dictionary into a folder."""
    write_workbook(con, folder / "metrics.xlsx", as_of, published_descriptions(con))
    write_dictionary(con, folder / "dictionary.html", as_of)
    return write_report(con, folder, as_of)


def account_count(con: duckdb.DuckDBPyConnection, as_of: date) -> int:
    """Accounts of a day."""
    [(count,)] = con.execute(
        "select count(*) from marts.fct_account_health_daily where as_of_date = ?", [as_of]
    ).fetchall()
    return int(count)


def published_day(con: duckdb.DuckDBPyConnection, as_of: date | None) -> date:
    """The day asked for, or the published one.

    Raises:
        ConfigError: the file holds no such day; it names the days it holds.
    """
    (last,) = con.execute("select as_of_date from pipeline.publication").fetchall()[0]
    if as_of is None:
        return date.fromisoformat(str(last))
    first, newest, is_known = con.execute(
        "select min(as_of_date), max(as_of_date), coalesce(bool_or(as_of_date = ?), false) "
        "from marts.fct_account_health_daily",
        [as_of],
    ).fetchall()[0]
    if not is_known and as_of != last:
        held = f"it holds {first} to {newest}" if first else "it holds no account on any day"
        raise ConfigError(f"--as-of {as_of} is no published day: {held}")
    return as_of


def report_day(settings: Settings, as_of: date | None) -> Path:
    """Write report, workbook and dictionary of a day again, from the published file alone.

    Raises:
        ConfigError: the published file does not hold the day.
        CspError: nothing is published yet, or the files cannot be written.
    """
    with connect(settings.published, settings, read_only=True) as con:
        day = published_day(con, as_of)
        return replace_files(
            settings.exports, day, lambda folder: say_note(write_day(con, folder, day))
        )


def say_note(files: ReportFiles) -> None:
    """Tell what of the report could not be written on this machine."""
    if files.note:
        say(files.note)
