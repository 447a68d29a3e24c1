"""Dagster's own home for this installation: run history, one writer at a time, no telemetry."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from dagster._core.storage.event_log.sqlite import sqlite_event_log
from sqlalchemy import event
from sqlalchemy.engine import Engine

from dagster_project.settings import Settings

_DAGSTER_YAML = """\
# Written by the pipeline; edit dagster_project/defs/instance.py instead.
telemetry:
  enabled: false
concurrency:
  pools:
    default_limit: 1
    granularity: run
run_monitoring:
  enabled: true
"""


def prepare_home(settings: Settings) -> Path:
    """Create the home, point this process at it, and return it."""
    home = settings.data_dir / "dagster_home"
    home.mkdir(parents=True, exist_ok=True)
    config = home / "dagster.yaml"
    if not config.exists() or config.read_text() != _DAGSTER_YAML:
        config.write_text(_DAGSTER_YAML)
    os.environ["DAGSTER_HOME"] = str(home)
    os.environ["DAGSTER_DISABLE_TELEMETRY"] = "true"
    return home


@contextmanager
def swift_history() -> Iterator[None]:
    """Keep Dagster's run history without waiting for the disk at every event.

    Dagster opens, commits and closes a SQLite file per event and waits for the disk each time,
    which took more than half of a small run. Within this context commits wait for no disk (after a
    power cut the last lines of the history may be missing, nothing else), one connection per file
    stays open, so that closing the others does not copy the journal back, and one engine per file
    serves all events, so that the same few statements are not compiled a thousand times.
    """
    kept: dict[str, sqlite3.Connection] = {}

    def connected(connection: Any, _: object) -> None:
        if not isinstance(connection, sqlite3.Connection):
            return
        connection.execute("pragma synchronous = normal")
        path = str(connection.execute("pragma database_list").fetchone()[2])
        if not path:
            return
        if path not in kept:
            kept[path] = sqlite3.connect(path, check_same_thread=False)
        # Only who has read since the file got its journal holds the journal open.
        kept[path].execute("pragma schema_version").fetchone()

    engines: dict[str, Engine] = {}
    history = vars(sqlite_event_log)
    create_engine = history["create_engine"]

    def engine_of(address: str, **options: Any) -> Engine:
        if address not in engines:
            engines[address] = create_engine(address, **options)
        return engines[address]

    event.listen(Engine, "connect", connected)
    history["create_engine"] = engine_of
    try:
        yield
    finally:
        history["create_engine"] = create_engine
        event.remove(Engine, "connect", connected)
        for connection in kept.values():
            connection.close()
