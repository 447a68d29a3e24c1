"""Run the real Dagster job on small extracts, and read everything it published."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import duckdb
import polars as pl
import pytest

from dagster_project.defs.ingest import RunRequest
from dagster_project.defs.runner import run_daily
from dagster_project.sampling import SampleOptions, write_sample
from dagster_project.sampling.work import write_work
from dagster_project.settings import PROJECT_ROOT, Settings

LAST_DAY = date(2026, 3, 31)
# Where history starts decides the state of latches and slots, so every run is given the same start.
FIRST_DAY = date(2025, 12, 15)
# What people did about the actions of the small world. Actions have stable ids, so it is kept. When
# rules change their meaning: write the small world, run it from FIRST_DAY, call `csp sample-work`.
SMALL_WORLD_WORK = PROJECT_ROOT / "tests" / "golden" / "small_world_work.csv"
Tables = dict[str, list[tuple[object, ...]]]


def small_world(out: Path, accounts: int = 8) -> None:
    """Extracts of a few customers and of the work on their actions over 40 days, the last three of
    them day by day."""
    write_sample(
        out,
        SampleOptions(accounts=accounts, days=40, seed=5, until=LAST_DAY, extract_every_days=20),
    )
    write_work(out, pl.read_csv(SMALL_WORLD_WORK, schema_overrides={"occurred_on": pl.Date}))


@dataclass
class Installation:
    """A data directory with its landing folder, and the job that runs on them."""

    data_dir: Path
    landing: Path
    sources: str | None = None

    @property
    def settings(self) -> Settings:
        return Settings(
            data_dir=self.data_dir,
            landing_dir=self.landing,
            sources=self.sources,
            memory_limit="2GB",
        )

    def run(self, as_of: date | None = None, *, full_refresh: bool = False) -> None:
        first = full_refresh or not self.settings.published.exists()
        run_daily(
            self.settings,
            RunRequest(
                as_of=as_of.isoformat() if as_of else None,
                from_date=FIRST_DAY.isoformat() if first else None,
                full_refresh=full_refresh,
            ),
        )

    def tables(self) -> Tables:
        """Every published table, rows sorted; the log of publications itself left out."""
        with duckdb.connect(str(self.settings.published), read_only=True) as con:
            names = con.execute(
                "select schema_name, table_name from duckdb_tables() "
                "where schema_name in ('marts', 'playbooks', 'metrics', 'policy') "
                "or schema_name like 'raw%' order by all"
            ).fetchall()
            return {
                f"{schema}.{table}": con.execute(
                    f'from "{schema}"."{table}" order by all'
                ).fetchall()
                for schema, table in names
            }

    def copy_to(self, folder: Path) -> Installation:
        """The same installation with everything it has, elsewhere; extracts are copied as well."""
        shutil.copytree(self.data_dir, folder / "data")
        shutil.copytree(self.landing, folder / "landing")
        return Installation(folder / "data", folder / "landing", self.sources)


@pytest.fixture(scope="session")
def small_landing(tmp_path_factory: pytest.TempPathFactory) -> Path:
    landing = tmp_path_factory.mktemp("landing")
    small_world(landing)
    return landing


@pytest.fixture(scope="session")
def backfilled(tmp_path_factory: pytest.TempPathFactory, small_landing: Path) -> Installation:
    """One run over all days."""
    installation = Installation(tmp_path_factory.mktemp("backfilled"), small_landing)
    installation.run()
    return installation


def differences(left: Tables, right: Tables) -> dict[str, tuple[list[object], list[object]]]:
    """Per table what only one side has, a few rows each; empty when equal."""
    found: dict[str, tuple[list[object], list[object]]] = {}
    for name in sorted({*left, *right}):
        mine, theirs = left.get(name), right.get(name)
        if mine != theirs:
            ours, others = set(mine or []), set(theirs or [])
            only_left = [row for row in mine or [] if row not in others]
            only_right = [row for row in theirs or [] if row not in ours]
            found[name] = (only_left[:3], only_right[:3])
    return found
