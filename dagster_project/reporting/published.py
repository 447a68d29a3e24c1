"""The published file as notebooks open it: read-only, with the day it is about.

Belongs here: opening. Does not belong here: what is asked (`queries`) and how it is shown.
"""

from __future__ import annotations

from datetime import date

import duckdb

from dagster_project.errors import CspError
from dagster_project.reporting.day import published_day
from dagster_project.reporting.queries import Snapshot
from dagster_project.settings import Settings, load_settings


def open_published(settings: Settings | None = None, as_of: date | None = None) -> Snapshot:
    """Open what was published, for as long as the caller keeps it.

    The file is opened read-only and nothing is made beside it, so it may lie in a folder the reader
    cannot write to. Temporary tables are allowed: they stay in memory.

    Args:
        settings: the installation; default: what the environment (`CSP_DATA_DIR`) says.
        as_of: the day asked about; default: the published one.

    Raises:
        ConfigError: the environment is wrong, or the file does not hold the day.
        CspError: nothing is published there, or the file cannot be read.
    """
    settings = settings or load_settings()
    path = settings.published
    if not path.exists():
        raise CspError(
            f"{path}: nothing is published there yet — run `make run` first, or let CSP_DATA_DIR "
            "name the data directory of a run"
        )
    config: dict[str, str | bool | int | float | list[str]] = {
        "threads": settings.threads,
        "memory_limit": settings.memory_limit,
        # Made only when something is spilled.
        "temp_directory": str(settings.spill),
    }
    try:
        con = duckdb.connect(str(path), read_only=True, config=config)
    except duckdb.Error as error:
        raise CspError(f"{path}: cannot be opened as a published file ({error})") from error
    try:
        con.execute("set TimeZone = 'UTC'")
        return Snapshot(con, published_day(con, as_of))
    except duckdb.CatalogException as error:
        con.close()
        raise CspError(f"{path}: this is no published file — run `make run` to make one") from error
    except CspError:
        con.close()
        raise
