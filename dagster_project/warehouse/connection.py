"""The one connection factory, and the lock that keeps two runs apart."""

from __future__ import annotations

import fcntl
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import duckdb

from dagster_project.errors import CspError, WarehouseBusyError
from dagster_project.settings import Settings

# Analysts' tools still ship 1.x clients; a file of this version opens in 1.5 and in 2.x.
STORAGE_VERSION = "v1.5.0"


@contextmanager
def connect(
    path: Path, settings: Settings, *, read_only: bool = False
) -> Iterator[duckdb.DuckDBPyConnection]:
    """Open a DuckDB file and close it whatever happens, so that the lock never outlives its use.

    Raises:
        WarehouseBusyError: another process holds the file.
        CspError: the file is missing (read-only), or no database.
    """
    if read_only and not path.exists():
        raise CspError(f"{path}: there is no such warehouse yet — run `csp run` first")
    path.parent.mkdir(parents=True, exist_ok=True)
    settings.spill.mkdir(parents=True, exist_ok=True)
    config: dict[str, str | bool | int | float | list[str]] = {
        "threads": settings.threads,
        "memory_limit": settings.memory_limit,
        "temp_directory": str(settings.spill),
        "preserve_insertion_order": False,
    }
    try:
        connection = duckdb.connect(str(path), read_only=read_only, config=config)
    except duckdb.IOException as error:
        if "lock" in str(error).lower():
            raise WarehouseBusyError(
                f"{path}: another process holds this warehouse — wait for it or stop it, "
                "then run again; nothing was changed"
            ) from error
        raise CspError(f"{path}: cannot be opened as a DuckDB file ({error})") from error
    try:
        connection.execute("set TimeZone = 'UTC'")
        # The engine loops where it expects few rows on the left, and it expects too few.
        connection.execute("set asof_loop_join_threshold = 0")
        yield connection
    finally:
        connection.close()


def copy_database(source: Path, copy: Path) -> None:
    """Copy a DuckDB file with what is not yet merged into it; keep it open for reading meanwhile,
    so that nobody writes it."""
    for suffix in ("", ".wal"):
        part = source.with_name(source.name + suffix)
        if part.exists():
            shutil.copyfile(part, copy.with_name(copy.name + suffix))


@contextmanager
def run_lock(settings: Settings) -> Iterator[None]:
    """Hold the right to write this data directory for a whole run.

    DuckDB locks the file only while it is open, and a run closes it between stages.

    Raises:
        WarehouseBusyError: another run holds it.
    """
    path = settings.warehouse.parent / "run.lock"
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w") as handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise WarehouseBusyError(
                f"{settings.data_dir}: another run is at work here — wait for it, "
                "then run again; nothing was changed"
            ) from error
        handle.write(str(os.getpid()))
        handle.flush()
        yield
