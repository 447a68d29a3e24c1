"""The published file as the dashboard sees it: opened once, read-only, and again after a swap.

Every publication is attached to an engine of its own: opening the same path twice in one process
would otherwise give the file that was there first. Sessions share the engine, each with a cursor
of its own, and what was computed for a day is computed once.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Any, TypeVar

import duckdb

from dagster_project.errors import CspError
from dagster_project.reporting.queries import Snapshot

_CATALOG = "analytics"
# Pages of some days and accounts; what falls out is computed again.
_KEPT = 256
_Made = TypeVar("_Made")
#: Inode, size and time of the last change: a swap changes it, reading does not.
Stamp = tuple[int, int, int]


class NothingPublishedError(CspError):
    """There is no published file yet."""


@dataclass
class _Shelf:
    """What was computed from one publication, least recently used first."""

    made: OrderedDict[Hashable, Any] = field(default_factory=OrderedDict)
    lock: threading.RLock = field(default_factory=threading.RLock)


@dataclass(frozen=True)
class Publication:
    """One published file, open; `first_on` and `as_of` are its first and its published day."""

    path: Path
    stamp: Stamp
    number: int
    first_on: date
    as_of: date
    _engine: duckdb.DuckDBPyConnection
    _shelf: _Shelf = field(default_factory=_Shelf)

    def snapshot(self, day: date | None = None) -> Snapshot:
        """A cursor of its own on the file, asked about the published day or another."""
        cursor = self._engine.cursor()
        cursor.execute(f"use {_CATALOG}")
        return Snapshot(cursor, day or self.as_of)

    def once(self, key: Hashable, make: Callable[[], _Made]) -> _Made:
        """What `make` gives, computed the first time this publication is asked for `key`."""
        shelf = self._shelf
        # Held while it is made: two sessions that open one page at once compute it once.
        with shelf.lock:
            if key not in shelf.made:
                shelf.made[key] = make()
                if len(shelf.made) > _KEPT:
                    shelf.made.popitem(last=False)
            shelf.made.move_to_end(key)
            made: _Made = shelf.made[key]
            return made

    def is_current(self) -> bool:
        """Whether the file is still the one that stands in its place."""
        try:
            return stamp_of(self.path) == self.stamp
        except OSError:
            return True


_open: dict[Path, Publication] = {}
_opening = threading.Lock()


def stamp_of(path: Path) -> Stamp:
    """What tells this publication from the next one.

    Raises:
        OSError: there is no such file.
    """
    status = path.stat()
    return status.st_ino, status.st_size, status.st_mtime_ns


def current_publication(
    path: Path, *, threads: int = 2, memory_limit: str = "2GB", spill: Path | None = None
) -> Publication:
    """The publication that stands at `path` now; the same object until it is swapped.

    Sessions that hold the one before go on reading it. Nothing is written, not even beside it.

    Args:
        path: the published file.
        threads: of the engine.
        memory_limit: of the engine, as DuckDB writes it.
        spill: a folder that exists, for what does not fit in memory.

    Raises:
        NothingPublishedError: there is no published file.
        CspError: the file cannot be read, or is no publication of this project.
    """
    with _opening:
        try:
            stamp = stamp_of(path)
        except OSError as error:
            raise NothingPublishedError(
                f"{path}: nothing is published here yet — run `csp run` first, then reload"
            ) from error
        known = _open.get(path)
        if known is None or known.stamp != stamp:
            known = _attach(path, stamp, threads, memory_limit, spill)
            _open[path] = known
        return known


def _attach(
    path: Path, stamp: Stamp, threads: int, memory_limit: str, spill: Path | None
) -> Publication:
    config: dict[str, str | bool | int | float | list[str]] = {
        "threads": threads,
        "memory_limit": memory_limit,
        "preserve_insertion_order": False,
    }
    if spill is not None:
        config["temp_directory"] = str(spill)
    engine = duckdb.connect(":memory:", config=config)
    try:
        literal = str(path).replace("'", "''")
        engine.execute(f"attach '{literal}' as {_CATALOG} (read_only)")
        engine.execute(f"use {_CATALOG}")
        engine.execute("set TimeZone = 'UTC'")
        # From here on the engine can reach nothing but this file.
        engine.execute("set enable_external_access = false")
        engine.execute("set lock_configuration = true")
        rows = engine.execute(
            "select publication_number, as_of_date, coalesce((select min(as_of_date) "
            "from marts.fct_account_health_daily), as_of_date) from pipeline.publication"
        ).fetchall()
    except duckdb.Error as error:
        engine.close()
        raise CspError(f"{path}: cannot be read as a publication ({error})") from error
    if not rows:
        engine.close()
        raise CspError(f"{path}: holds no published day — run `csp run` again")
    number, as_of, first_on = rows[0]
    return Publication(path, stamp, int(number), first_on, as_of, engine)
