"""Rules over past days, on a copy of the build file: the core of `csp replay` and `csp rules-diff`.

The engine and the models are the ones of the nightly run; the data directory is only read.
"""

from __future__ import annotations

import os
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import date, timedelta
from pathlib import Path

import duckdb

from dagster_project.defs.dbt_project import dbt_executable
from dagster_project.defs.resources import build_variables
from dagster_project.defs.revisions import unpack_revision
from dagster_project.errors import ConfigError, CspError, Fault
from dagster_project.playbooks import load_rules
from dagster_project.playbooks.ideas import with_condition
from dagster_project.playbooks.proposals import Proposal, propose
from dagster_project.playbooks.replay import (
    Range,
    ReplayResult,
    RulesDiff,
    compare,
    measure,
    run_aside,
)
from dagster_project.policy import read_gauges
from dagster_project.progress import stage
from dagster_project.settings import Settings
from dagster_project.warehouse import RunWindow, connect, copy_database, current_window
from dagster_project.warehouse.runs import first_published_on, last_published_on

DEFAULT_DAYS = 90
# What the rules read of the run's own days only; a daily run leaves one day of them.
_DAY_MODELS = (
    "int_core__account_days",
    "int_core__area_days",
    "int_usage__account_daily",
    "int_usage__area_daily",
    "int_cadence__tier_adherence_daily",
)


def replay_rules(
    settings: Settings,
    given: str,
    from_date: date | None,
    to_date: date | None,
) -> ReplayResult:
    """What a rule, a playbook file or an edited folder would have opened between two days.

    Args:
        settings: the installation whose history is used.
        given: a rule or playbook id, a YAML file, or a folder of them.
        from_date: first day reported; default: 90 days up to `to_date`.
        to_date: last day reported; default: the published day.

    Raises:
        ConfigError: the rules have faults, nothing has this name, or history does not cover the
            range; nothing was changed.
        WarehouseBusyError: a run is writing the build file.
        CspError: nothing was published yet, or dbt failed.
    """
    with tempfile.TemporaryDirectory(prefix="csp-replay-") as name:
        work = Path(name)
        proposal = propose(settings.rules, given, work, read_gauges(settings.seeds))
        with _history(settings, work, from_date, to_date) as (con, days):
            with stage(f"replay {proposal.name}"):
                run_aside(con, proposal.rules, days, "replayed")
            return measure(con, proposal, days, "replayed")


def rules_diff(
    settings: Settings, old: str, new: str, from_date: date | None, to_date: date | None
) -> RulesDiff:
    """What two rule sets open differently between two days.

    Args:
        settings: the installation whose history is used.
        old: a folder or file of rules (laid over today's unless it is a whole set), or a git
            revision.
        new: the same.
        from_date: first day compared; default: 90 days up to `to_date`.
        to_date: last day compared; default: the published day.

    Raises:
        ConfigError: a side has faults (all faults of both at once), or history does not cover the
            range; nothing was changed.
        WarehouseBusyError: a run is writing the build file.
        CspError: nothing was published yet, or dbt failed.
    """
    with tempfile.TemporaryDirectory(prefix="csp-rules-diff-") as name:
        work = Path(name)
        sides = prepare_sides(settings, (old, new), work)
        with _history(settings, work, from_date, to_date) as (con, days):
            for side, proposal in zip(("old", "new"), sides, strict=True):
                with stage(f"replay {proposal.name}"):
                    run_aside(con, proposal.rules, days, side)
            return compare(con, sides[0], sides[1], days)


@dataclass(frozen=True)
class Trial:
    """A rule with another condition, held against the one in force over the same past days.

    `tests` are the rule's inline tests that the new condition breaks, to be mended with it.
    """

    in_force: ReplayResult
    proposed: ReplayResult
    diff: RulesDiff
    tests: tuple[Fault, ...]


def try_condition(
    settings: Settings,
    rule_id: str,
    condition: str,
    from_date: date | None = None,
    to_date: date | None = None,
) -> Trial:
    """What a rule would open, and what followed, if its condition were another one.

    Args:
        settings: the installation whose history and rules are used; nothing of it is changed.
        rule_id: a rule of the rule folder; a draft is taken as deployed.
        condition: the condition instead of its own.
        from_date: first day reported; default: 90 days up to `to_date`.
        to_date: last day reported; default: the published day.

    Raises:
        ConfigError: there is no such rule, the condition is refused, or history does not cover the
            range.
        WarehouseBusyError: a run is writing the build file.
        CspError: nothing was published yet, or dbt failed.
    """
    with tempfile.TemporaryDirectory(prefix="csp-trial-") as name:
        work = Path(name)
        now = propose(settings.rules, rule_id, work / "now", read_gauges(settings.seeds))
        new, tests = _with_condition(settings, rule_id, condition, work)
        with _history(settings, work, from_date, to_date) as (con, days):
            for side, proposal in (("old", now), ("new", new)):
                with stage(f"replay {proposal.name}"):
                    run_aside(con, proposal.rules, days, side)
            return Trial(
                in_force=measure(con, now, days, "old"),
                proposed=measure(con, new, days, "new"),
                diff=compare(con, now, new, days),
                tests=tests,
            )


def replay_condition(
    settings: Settings,
    rule_id: str,
    condition: str,
    from_date: date | None = None,
    to_date: date | None = None,
) -> tuple[ReplayResult, tuple[Fault, ...]]:
    """What a rule would have opened with another condition, and the inline tests it breaks.

    The arguments and errors are those of `try_condition`, which holds it against the rule in force
    and takes twice as long.
    """
    with tempfile.TemporaryDirectory(prefix="csp-trial-") as name:
        work = Path(name)
        proposal, tests = _with_condition(settings, rule_id, condition, work)
        with _history(settings, work, from_date, to_date) as (con, days):
            with stage(f"replay {proposal.name}"):
                run_aside(con, proposal.rules, days, "replayed")
            return measure(con, proposal, days, "replayed"), tests


def _with_condition(
    settings: Settings, rule_id: str, condition: str, work: Path
) -> tuple[Proposal, tuple[Fault, ...]]:
    """The rules in force with another condition for one of them, and the tests that breaks."""
    gauges = read_gauges(settings.seeds)
    rules = load_rules(settings.rules, gauges).rules
    playbook_id = next((rule.playbook_id for rule in rules if rule.rule_id == rule_id), None)
    if playbook_id is None:
        raise ConfigError(
            f"{rule_id} is not in the rule files any more: what is published was made by others"
        )
    own = settings.rules / f"{playbook_id}.yml"
    idea = work / "idea" / own.name
    idea.parent.mkdir(parents=True)
    idea.write_text(
        with_condition(own.read_text(encoding="utf-8"), rule_id, condition.strip()),
        encoding="utf-8",
    )
    proposal = propose(settings.rules, str(idea), work / "new", gauges, runs_tests=False)
    tests: tuple[Fault, ...] = ()
    try:
        load_rules(work / "new" / "rules", gauges, deployed=(playbook_id,))
    except ConfigError as error:
        tests = error.faults
    return replace(proposal, name=f"{rule_id}, changed", rule_ids=(rule_id,)), tests


def prepare_sides(settings: Settings, given: Sequence[str], work: Path) -> list[Proposal]:
    """The rule set of every side named, checked.

    Raises:
        ConfigError: with the faults of all of them.
    """
    gauges = read_gauges(settings.seeds)
    proposals: list[Proposal] = []
    refused: list[tuple[str, ConfigError]] = []
    for number, name in enumerate(given, start=1):
        own = work / f"side-{number}"
        source = name
        try:
            if not Path(name).exists():
                source = str(
                    unpack_revision(
                        settings.rules.parent,
                        settings.rules.name,
                        name,
                        own / "revision",
                        otherwise="a folder or file of rules, or a revision",
                    )
                )
            proposals.append(replace(propose(settings.rules, source, own, gauges), name=name))
        except ConfigError as error:
            if not error.faults:
                raise
            refused.append((name, error))
    if refused:
        faults = [
            replace(fault, file=f"{name}: {fault.file}")
            for name, error in refused
            for fault in error.faults
        ]
        raise ConfigError(f"the rules have {len(faults)} fault(s)", faults)
    return proposals


@contextmanager
def _history(
    settings: Settings, work: Path, from_date: date | None, to_date: date | None
) -> Iterator[tuple[duckdb.DuckDBPyConnection, Range]]:
    """A private copy of the build file in which every day of history can be judged."""
    copy = work / "build.duckdb"
    with (
        stage("copy the build file"),
        connect(settings.warehouse, settings, read_only=True) as con,
    ):
        days = _range(con, from_date, to_date)
        window = current_window(con)
        if window.as_of_date != days.known_until:
            raise CspError(
                f"the run up to {window.as_of_date} was not published — run `csp run` to its "
                "end, then replay"
            )
        copy_database(settings.warehouse, copy)
    if window.from_date > days.history_from:
        with stage(f"compute the days from {days.history_from} again"):
            _compute_days(settings, copy, work, replace(window, from_date=days.history_from))
    private = settings.model_copy(update={"data_dir": work / "data"})
    with connect(copy, private) as con:
        yield con, days


def _range(con: duckdb.DuckDBPyConnection, from_date: date | None, to_date: date | None) -> Range:
    """The days asked for, held against the days there are.

    Raises:
        ConfigError: a day is outside of history, or the range is empty.
        CspError: there is no history.
    """
    try:
        first, last = first_published_on(con), last_published_on(con)
    except duckdb.CatalogException:
        first = last = None
    if first is None or last is None:
        raise CspError("nothing was published from this build file yet — run `csp run` first")
    until = to_date or last
    since = from_date or max(first, until - timedelta(days=DEFAULT_DAYS - 1))
    for option, asked in (("--from", since), ("--to", until)):
        if not first <= asked <= last:
            raise ConfigError(
                f"{option} {asked}: history here reaches from {first} to {last} — give days in it"
                + (
                    f", or compute more with `csp run --from {asked}`"
                    if asked < first
                    else ", or run up to that day first"
                )
            )
    if since > until:
        raise ConfigError(f"the range ends ({until}) before it starts ({since})")
    return Range(history_from=first, from_date=since, to_date=until, known_until=last)


def _compute_days(settings: Settings, copy: Path, work: Path, window: RunWindow) -> None:
    """Fill the tables that hold one run's days for all of `window`, by the nightly models."""
    done = subprocess.run(
        [
            dbt_executable(),
            "--quiet",
            "run",
            "--profiles-dir",
            str(settings.dbt_project),
            "--vars",
            build_variables(replace(window, is_full_refresh=False), settings.policy_set),
            "--select",
            *(f"+{model},path:models/intermediate" for model in _DAY_MODELS),
        ],
        cwd=settings.dbt_project,
        env={
            **os.environ,
            **settings.dbt_environment(),
            "CSP_WAREHOUSE": str(copy),
            "CSP_TEMP_DIR": str(work / "spill"),
            "DBT_TARGET_PATH": str(work / "target"),
            "DBT_LOG_PATH": str(work / "logs"),
        },
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        raise CspError(f"dbt failed:\n{done.stdout.strip()[-4000:]}")
