"""Which days a run computes, and what was published before: schema `pipeline` of the build file."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta

import duckdb

from dagster_project.errors import ConfigError

_TABLES = """
create schema if not exists pipeline;
create table if not exists pipeline.publications (
    publication_number bigint, from_date date, as_of_date date, config_sha256 varchar,
    is_full_refresh boolean
);
create table if not exists pipeline.pending (affected_from_on date);
create table if not exists pipeline.run_window (
    from_date date, as_of_date date, is_full_refresh boolean
);
alter table pipeline.run_window add column if not exists policy_mode varchar default 'in_force';
create table if not exists pipeline.restatements (
    as_of_date date, table_name varchar, changed_row_count bigint, restated_by_as_of_date date
);
create table if not exists pipeline.run_counts (
    stage varchar, position integer, name varchar, value bigint
);
"""


@dataclass(frozen=True)
class RunWindow:
    """The days one run computes, both ends included."""

    from_date: date
    as_of_date: date
    is_full_refresh: bool = False
    policy_mode: str = "in_force"
    """`in_force`: each day by the policy of that day; `latest`: all by that of the last day."""

    @property
    def day_count(self) -> int:
        """Number of days in the range."""
        return (self.as_of_date - self.from_date).days + 1


def create_run_tables(con: duckdb.DuckDBPyConnection) -> None:
    """Create the run's own tables where they are missing."""
    con.execute(_TABLES)


def last_published_on(con: duckdb.DuckDBPyConnection) -> date | None:
    """Newest day that was published from this build file."""
    row = con.execute("select max(as_of_date) from pipeline.publications").fetchone()
    return row[0] if row else None


def first_published_on(con: duckdb.DuckDBPyConnection) -> date | None:
    """First day that was published from this build file since its last full refresh."""
    row = con.execute(
        "select min(from_date) from pipeline.publications where publication_number >= coalesce("
        "(select max(publication_number) from pipeline.publications where is_full_refresh), 0)"
    ).fetchone()
    return row[0] if row else None


def note_pending(con: duckdb.DuckDBPyConnection, affected_from_on: date | None) -> None:
    """Remember that published days from this one on are stale, until the next publication.

    A run that fails between ingestion and publication must not lose what ingestion found.
    """
    if affected_from_on is not None:
        con.execute("insert into pipeline.pending values (?)", [affected_from_on])


def choose_window(
    con: duckdb.DuckDBPyConnection,
    *,
    as_of: date,
    requested_from: date | None,
    first_business_on: date | None,
    max_history_days: int,
    full_refresh: bool,
    policy_mode: str = "in_force",
) -> RunWindow:
    """Decide the range and store it as the current one.

    The range begins at the requested day, else the day after the last published one, pulled back
    to the earliest day that late or corrected records touched; never longer than the history limit,
    and never before the first published day unless asked: history keeps the start it was given.

    Raises:
        ConfigError: the range would end before it starts, or leave a hole behind the last
            published day, or go back behind it.
    """
    last = None if full_refresh else last_published_on(con)
    pending_row = con.execute("select min(affected_from_on) from pipeline.pending").fetchone()
    pending = pending_row[0] if pending_row else None
    if last is not None and as_of < last:
        raise ConfigError(
            f"--as-of {as_of} lies before the last published day {last}: days cannot be taken back "
            "— read that day from the published tables, or rebuild up to it with --full-refresh"
        )
    if requested_from is not None and requested_from > as_of:
        raise ConfigError(
            f"the range ends ({as_of}) before it starts ({requested_from}) — give --from a day on "
            "or before --as-of"
        )
    if requested_from is not None and last is not None and requested_from > last + timedelta(1):
        raise ConfigError(
            f"--from {requested_from} would leave days without rows after the last published day "
            f"{last} — give --from {last + timedelta(1)} or earlier, or leave it out"
        )
    earliest = as_of - timedelta(days=max_history_days - 1)
    if last is None:
        begin = first_business_on or as_of
    else:
        begin = min(last + timedelta(days=1), as_of, pending or as_of)
        begin = max(begin, first_published_on(con) or begin)
    if requested_from is not None:
        begin = requested_from if last is None else min(begin, requested_from)
    window = RunWindow(min(max(begin, earliest), as_of), as_of, full_refresh, policy_mode)
    con.execute("delete from pipeline.run_window")
    con.execute(
        "insert into pipeline.run_window (from_date, as_of_date, is_full_refresh, policy_mode) "
        "values (?, ?, ?, ?)",
        [window.from_date, window.as_of_date, window.is_full_refresh, window.policy_mode],
    )
    return window


def current_window(con: duckdb.DuckDBPyConnection) -> RunWindow:
    """The range that the run in progress computes."""
    row = con.execute(
        "select from_date, as_of_date, is_full_refresh, policy_mode from pipeline.run_window"
    ).fetchone()
    if row is None:
        raise ConfigError("no range was chosen yet — materialise `pipeline/run_window` first")
    return RunWindow(*row)


def next_publication_number(con: duckdb.DuckDBPyConnection) -> int:
    """The number the next publication will have."""
    row = con.execute(
        "select coalesce(max(publication_number), 0) + 1 from pipeline.publications"
    ).fetchone()
    assert row is not None
    return int(row[0])


def note_publication(con: duckdb.DuckDBPyConnection, window: RunWindow, config_sha256: str) -> None:
    """Record that the range was published, and forget what was pending."""
    con.execute("begin")
    con.execute(
        "insert into pipeline.publications "
        "select coalesce(max(publication_number), 0) + 1, ?, ?, ?, ? from pipeline.publications",
        [window.from_date, window.as_of_date, config_sha256, window.is_full_refresh],
    )
    con.execute("delete from pipeline.pending")
    con.execute("commit")


def note_counts(con: duckdb.DuckDBPyConnection, stage: str, counts: dict[str, int]) -> None:
    """Keep what a stage of the run in progress counted, for the summary at the end."""
    con.execute("begin")
    con.execute("delete from pipeline.run_counts where stage = ?", [stage])
    for position, (name, value) in enumerate(counts.items()):
        con.execute(
            "insert into pipeline.run_counts values (?, ?, ?, ?)", [stage, position, name, value]
        )
    con.execute("commit")
