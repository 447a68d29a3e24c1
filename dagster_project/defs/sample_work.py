"""Let people work on a sample's actions, until what they did and what it led to agree.

Work closes actions, and closed actions let others open, which are worked on in turn: so the
playbooks of the nightly run are judged again and again on a copy of the build file, each time with
the work drawn for the actions of the time before.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable
from datetime import date, timedelta
from pathlib import Path

import duckdb
import polars as pl

from dagster_project.errors import ConfigError, CspError
from dagster_project.playbooks import load_rules, run_playbooks
from dagster_project.policy import read_gauges
from dagster_project.sampling.work import draw_work, extract_files, write_work
from dagster_project.settings import Settings
from dagster_project.warehouse import connect

# Each round settles at least the earliest action that the round before had wrong.
_MOST_ROUNDS = 100


def add_work(settings: Settings, *, seed: int, tell: Callable[[str], None]) -> int:
    """Write the work on the last run's actions into the landing folder; the number of events.

    The data directory is only read. People report from the day on that the sample's feedback table
    has extracts for: the span of one extract before its first.

    Raises:
        ConfigError: the landing folder is no sample's, or the last run did not compute all days.
        CspError: nothing was computed yet, or the work does not settle.
    """
    try:
        days = sorted(extract_files(settings.landing))
    except FileNotFoundError as error:
        raise ConfigError(str(error)) from error
    first = days[0] - (days[1] - days[0] if len(days) > 1 else timedelta(days=30))
    with tempfile.TemporaryDirectory(prefix="csp-sample-work-") as folder:
        copy = Path(folder) / "build.duckdb"
        with connect(settings.warehouse, settings, read_only=True):
            # Held open for reading, nobody writes it while it is copied.
            shutil.copyfile(settings.warehouse, copy)
        with duckdb.connect(str(copy)) as con:
            work = _settle(con, settings, seed, (first, days[-1]), tell)
    return write_work(settings.landing, work, tell)


def _settle(
    con: duckdb.DuckDBPyConnection,
    settings: Settings,
    seed: int,
    worked: tuple[date, date],
    tell: Callable[[str], None],
) -> pl.DataFrame:
    first, until = worked
    window = con.execute(
        "select min(as_of_date), max(as_of_date) from intermediate.int_core__account_days"
    ).fetchall()[0]
    if window[0] is None:
        raise CspError("the build file holds no day yet — run `csp run` first")
    if window[0] > first:
        raise ConfigError(
            f"the last run computed the days from {window[0]} only, and people work from {first} "
            "on — run the sample into an empty --data-dir first"
        )
    rules = load_rules(settings.rules, read_gauges(settings.seeds))
    before: pl.DataFrame | None = None
    for number in range(1, _MOST_ROUNDS + 1):
        run_playbooks(con, rules, window[0], window[1])
        work = draw_work(con, seed, first, until)
        if before is not None and work.equals(before):
            tell(f"settled after {number} rounds: {work.height} events")
            return work
        tell(f"round {number}: {work.height} events")
        con.execute("delete from raw_crm.playbook_runs")
        con.register("drawn_work", work)
        con.execute(
            "insert into raw_crm.playbook_runs by name"
            " select *, occurred_on as _extracted_on, 'drawn' as _source_file,"
            " cast(row_number() over () as bigint) as _source_line from drawn_work"
        )
        con.unregister("drawn_work")
        before = work
    raise CspError(f"the work on the sample did not settle in {_MOST_ROUNDS} rounds")
