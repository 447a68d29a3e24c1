"""Score one day under two policies, on a copy of the build file: the core of `csp policy-diff`.

The models that score are the ones of the nightly run, on the same inputs; only the seeds differ.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path

import duckdb

from dagster_project.defs.dbt_project import dbt_executable
from dagster_project.defs.resources import build_variables
from dagster_project.defs.revisions import unpack_revision
from dagster_project.errors import ConfigError, CspError, Fault
from dagster_project.policy import check_policy, load_policy, require_policy_set
from dagster_project.policy.compare import AccountHealth, PolicyDiff, compare_policies
from dagster_project.policy.overlay import bring_forward, changed_seeds, lay_over
from dagster_project.progress import stage
from dagster_project.settings import Settings
from dagster_project.warehouse import RunWindow, connect, copy_database

SET_PREFIX = "set:"
# What scores an account from the inputs of the last run, and the seeds that it reads. The change
# ledger compares days, not policies, and is left alone.
_SELECTED = (
    "path:seeds/health",
    "path:models/intermediate/health",
    "fct_health_facts_daily",
    "dim_health_policy",
    "fct_health_measure_daily",
    "fct_account_health_daily",
)
_ACTS_THROUGH_CADENCE = ("health/zone_multipliers",)


@dataclass(frozen=True)
class Side:
    """One policy: its name as the caller wrote it, a whole folder of seeds, the set in use."""

    name: str
    seeds: Path
    policy_set: str


@dataclass(frozen=True)
class DiffResult:
    """The comparison, the day it is for, and what a reader must know about it."""

    diff: PolicyDiff
    as_of: date
    notes: tuple[str, ...]


def policy_diff(settings: Settings, old: str, new: str, *, as_of: date | None) -> DiffResult:
    """Compare two policies on one day; the data directory is only read.

    Args:
        settings: the installation whose accounts are scored.
        old: a folder of seeds, a git revision, or `set:NAME`.
        new: the same.
        as_of: a day of the last run; default: the published day.

    Raises:
        ConfigError: a policy is faulty (all faults of both at once), or the day is not there.
        WarehouseBusyError: a run is writing the build file.
        CspError: dbt failed.
    """
    with tempfile.TemporaryDirectory(prefix="csp-policy-diff-") as name:
        work = Path(name)
        sides = prepare_sides(settings, (old, new), work)
        changed = changed_seeds(sides[0].seeds, sides[1].seeds)
        elsewhere = [
            seed
            for seed in changed
            if not seed.startswith("health/") or seed in _ACTS_THROUGH_CADENCE
        ]
        notes = []
        if elsewhere:
            notes.append(
                f"not reckoned, because they act through stages, cadence and metrics of many days: "
                f"{', '.join(elsewhere)}"
            )
        day, scored, moved = score_sides(settings, sides, as_of, work)
        notes += [
            f"{count} row(s) of {side.name} begin after {day}; they are taken as begun"
            for side, count in zip(sides, moved, strict=True)
            if count
        ]
        return DiffResult(compare_policies(scored[0], scored[1]), day, tuple(notes))


def prepare_sides(settings: Settings, given: Sequence[str], work: Path) -> list[Side]:
    """A whole folder of seeds for every policy named, each checked.

    Raises:
        ConfigError: with the faults of all of them.
    """
    sides: list[Side] = []
    faults: list[Fault] = []
    for number, name in enumerate(given, start=1):
        home = work / str(number) / "dbt"
        policy_set, folder = settings.policy_set, None
        if name.startswith(SET_PREFIX):
            policy_set = name.removeprefix(SET_PREFIX)
        elif Path(name).is_dir():
            folder = Path(name)
        else:
            folder = unpack_revision(
                settings.dbt_project,
                "seeds",
                name,
                work / f"revision-{number}",
                otherwise=f"a folder of seeds, a revision, or {SET_PREFIX}NAME for a policy set of "
                "the seeds in force",
            )
        own = lay_over(settings.seeds, folder, home / "seeds")
        own += check_policy(home / "seeds")
        if own:
            faults += [replace(fault, file=f"{name}: {fault.file}") for fault in own]
            continue
        require_policy_set(home / "seeds", policy_set)
        sides.append(Side(name, home / "seeds", policy_set))
    if faults:
        raise ConfigError(f"the policies have {len(faults)} fault(s)", faults)
    return sides


def score_sides(
    settings: Settings, sides: Sequence[Side], as_of: date | None, work: Path
) -> tuple[date, list[dict[str, AccountHealth]], list[int]]:
    """Score the day once per side, on one copy of the build file under `work`.

    Returns the day, the accounts of each side by account_id, and per side how many rows of its
    policy begin after the day and were taken as begun. The sides' seeds are changed by that.

    Raises:
        ConfigError: the day is not among those of the last run.
        WarehouseBusyError: a run is writing the build file.
        CspError: dbt failed.
    """
    copy = work / "build.duckdb"
    project = work / "project"
    with stage("copy the build file"):
        window = _copy_build_file(settings, copy, as_of)
        day = window.from_date
    shutil.copytree(
        settings.dbt_project, project, ignore=shutil.ignore_patterns("target", "logs", "seeds")
    )
    scored: list[dict[str, AccountHealth]] = []
    moved: list[int] = []
    for side in sides:
        with stage(f"score {day} by {side.name}"):
            moved.append(bring_forward(side.seeds, day))
            shutil.rmtree(project / "seeds", ignore_errors=True)
            shutil.copytree(side.seeds, project / "seeds")
            _make_ready(copy, side)
            _build(settings, project, copy, side, window)
            with duckdb.connect(str(copy), read_only=True) as con:
                scored.append(_read_day(con, day))
    return day, scored, moved


def _copy_build_file(settings: Settings, copy: Path, as_of: date | None) -> RunWindow:
    """Copy the build file, cut to the accounts of the day; what to compute on it.

    The range ends where the last run's ended, so that the same extracts are known as when the day
    was published.
    """
    with ExitStack() as stack:
        # Held open for reading, nobody can write it while it is copied.
        con = stack.enter_context(connect(settings.warehouse, settings, read_only=True))
        run = con.execute("select max(as_of_date) from pipeline.publications").fetchone()
        if run is None or run[0] is None:
            raise CspError("nothing was published from this build file yet — run `csp run` first")
        day: date = as_of or run[0]
        days = con.execute(
            "select min(as_of_date), max(as_of_date), count(*) filter (as_of_date = ?) "
            "from intermediate.int_core__account_days",
            [day],
        ).fetchone()
        assert days is not None
        first, last, count = days
        if not count:
            held = f"the days {first} to {last}" if first else "no day"
            raise ConfigError(
                f"--as-of {day}: the build file holds the inputs of {held}, those of its last run "
                f"— give one of them, or compute the day again with `csp run --from {day}`"
            )
        copy_database(settings.warehouse, copy)
    with duckdb.connect(str(copy)) as own:
        own.execute("delete from intermediate.int_core__account_days where as_of_date <> ?", [day])
        window = own.execute("select max(as_of_date) from pipeline.run_window").fetchone()
    return RunWindow(day, window[0] if window and window[0] else last)


def _make_ready(copy: Path, side: Side) -> None:
    """Make the copy take the side's policy, even one of other columns or other measures.

    Seeds are loaded anew, and the facts get the columns of the side's measures: a model may read
    its own past rows by name, before dbt would append them.
    """
    measures = {
        row["measure"]
        for row in load_policy(side.seeds).rows("health_measure_policy")
        if row["policy_set"] == side.policy_set
    }
    with duckdb.connect(str(copy)) as con:
        for path in sorted((side.seeds / "health").glob("*.csv")):
            con.execute(f'drop table if exists policy."{path.stem}"')
        for measure in sorted(measures):
            for suffix, kind in (("value", "double"), ("score", "double"), ("status", "tinyint")):
                con.execute(
                    f"alter table marts.fct_health_facts_daily "
                    f'add column if not exists "{measure}_{suffix}" {kind}'
                )


def _build(settings: Settings, project: Path, copy: Path, side: Side, window: RunWindow) -> None:
    """Run the scoring models from the day on, of which only the day has accounts in the copy."""
    target = copy.parent / "target"
    done = subprocess.run(
        [
            dbt_executable(),
            "--quiet",
            "build",
            "--profiles-dir",
            str(project),
            "--exclude-resource-type",
            "test",
            "unit_test",
            "--vars",
            build_variables(window, side.policy_set),
            "--select",
            *_SELECTED,
        ],
        cwd=project,
        env={**os.environ, **_environment(settings, copy, target)},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        raise CspError(f"dbt failed on {side.name}:\n{done.stdout.strip()[-4000:]}")


def _environment(settings: Settings, copy: Path, target: Path) -> Mapping[str, str]:
    return {
        **settings.dbt_environment(),
        "CSP_WAREHOUSE": str(copy),
        "CSP_TEMP_DIR": str(target / "spill"),
        "DBT_TARGET_PATH": str(target),
        "DBT_LOG_PATH": str(target / "logs"),
    }


def _read_day(con: duckdb.DuckDBPyConnection, day: date) -> dict[str, AccountHealth]:
    contributions: dict[str, dict[str, float]] = {}
    for account, measure, points in con.execute(
        "select account_id, measure, contribution from marts.fct_health_measure_daily "
        "where as_of_date = ? and contribution is not null",
        [day],
    ).fetchall():
        contributions.setdefault(account, {})[measure] = points
    rows = con.execute(
        """
        select
            health.account_id, account.account_name, health.arr_usd, health.health_zone,
            health.health_score, health.coverage_ratio, health.override_id is not null
        from marts.fct_account_health_daily as health
        left join marts.dim_account as account on health.account_id = account.account_id
        where health.as_of_date = ?
        """,
        [day],
    ).fetchall()
    return {
        account: AccountHealth(
            account_id=account,
            account_name=name,
            arr_usd=arr,
            zone=zone,
            score=score,
            coverage=coverage,
            is_overridden=overridden,
            contributions=contributions.get(account, {}),
        )
        for account, name, arr, zone, score, coverage, overridden in rows
    }
