"""A rule tried on the past from the dashboard: as it is in force, or with another condition.

A replay needs the build file, because the published file does not hold what the rules are judged
on. It is copied and only read; nothing that is published or in force changes.
"""

from __future__ import annotations

import tempfile
import threading
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import polars as pl
import yaml

from dagster_project.defs.replay import replay_rules
from dagster_project.errors import ConfigError, CspError
from dagster_project.playbooks.proposals import propose
from dagster_project.playbooks.replay import ReplayResult
from dagster_project.policy import read_gauges
from dagster_project.reporting import charts, style, svg
from dagster_project.reporting.dashboard.html import message, render
from dagster_project.reporting.dashboard.publication import Publication
from dagster_project.settings import Settings
from dagster_project.yaml_lines import read_document

_SHOWN = 40
# A replay copies the build file and takes the machine's cores: one at a time.
_at_work = threading.Lock()


@dataclass(frozen=True)
class Trial:
    """What a replay of one rule found.

    `broken_tests` are inline tests of the rule's file that the edited condition breaks, in words.
    """

    rule_id: str
    condition: str | None
    is_edited: bool
    result: ReplayResult
    broken_tests: tuple[str, ...]


def try_rule(
    settings: Settings,
    rule_id: str,
    playbook_id: str,
    condition: str | None,
    *,
    since: date,
    until: date,
) -> Trial:
    """Replay one rule between two days; with another condition when one is given.

    Args:
        settings: the installation whose rules and history are used.
        rule_id: a rule of the files in force.
        playbook_id: the playbook that has it.
        condition: the condition to try, in the rules' own grammar; None: the rule in force.
        since: first day reported.
        until: last day reported.

    Raises:
        ConfigError: the condition has faults, or history does not cover the days.
        CspError: another replay is running, the build file is missing or held by a run.
    """
    if not _at_work.acquire(blocking=False):
        raise CspError("another replay is running here — wait for it, then try again")
    try:
        with tempfile.TemporaryDirectory(prefix="csp-trial-") as name:
            work = Path(name)
            given = rule_id
            broken: tuple[str, ...] = ()
            if condition is not None:
                path = edited_file(settings.rules, playbook_id, rule_id, condition, work)
                broken = _broken_tests(settings, path, work)
                given = str(path)
            found = replay_rules(settings, given, since, until, runs_tests=False)
    finally:
        _at_work.release()
    return Trial(rule_id, condition, condition is not None, _only(found, rule_id), broken)


def edited_file(rules: Path, playbook_id: str, rule_id: str, condition: str, work: Path) -> Path:
    """The playbook's file with another condition for one of its rules, written into `work`.

    An empty condition takes it away, which a rule that has a signal can do without.

    Raises:
        ConfigError: the files in force have no such playbook or rule any more.
    """
    sources = [path for path in sorted(rules.glob("*.y*ml")) if path.stem == playbook_id]
    document = read_document(sources[0]) if sources else None
    data = document.data if document is not None and not document.faults else None
    triggers = data.get("triggers", []) if isinstance(data, dict) else []
    mine = [trigger for trigger in triggers if trigger.get("rule") == rule_id]
    if not mine:
        raise ConfigError(
            f"{rule_id} is not in the rule files any more: what is published was made by others"
        )
    if condition.strip():
        mine[0]["condition"] = condition.strip()
    else:
        mine[0].pop("condition", None)
    path = work / f"{playbook_id}.yml"
    path.write_text(yaml.safe_dump(data, sort_keys=False, allow_unicode=True), encoding="utf-8")
    return path


def _broken_tests(settings: Settings, path: Path, work: Path) -> tuple[str, ...]:
    """The inline tests that no longer hold.

    Raises:
        ConfigError: anything else is wrong with the file; its faults only.
    """
    gauges = read_gauges(settings.seeds)
    propose(settings.rules, str(path), work / "untested", gauges, runs_tests=False)
    try:
        propose(settings.rules, str(path), work / "tested", gauges)
    except ConfigError as error:
        return tuple(fault.message for fault in error.faults)
    return ()


def _only(found: ReplayResult, rule_id: str) -> ReplayResult:
    """The part of a replay that is about one rule; a file brings all of its rules."""
    kept: dict[str, Any] = {
        name: tuple(row for row in getattr(found, name) if row.rule_id == rule_id)
        for name in ("openings", "weeks", "overlaps", "held_back", "unjudged", "followed")
    }
    return ReplayResult(**{**found.__dict__, **kept, "rule_ids": (rule_id,)})


def trial_page(publication: Publication, trial: Trial) -> str:
    """The replay beside what was published: how many, which, held back why, what followed."""
    days = trial.result.range
    published = {
        (row[0], row[1], row[2])
        for row in publication.snapshot()
        .con.execute(
            "select account_id, scope, opened_on from playbooks.actions "
            "where rule_id = ? and opened_on between ? and ? order by all",
            [trial.rule_id, days.from_date, days.to_date],
        )
        .fetchall()
    }
    tried = {(one.account_id, one.scope, one.opened_on): one for one in trial.result.openings}
    new = [tried[key] for key in sorted(set(tried) - published, key=lambda key: (key[2], key[:2]))]
    gone = sorted(published - set(tried), key=lambda key: (key[2], key[:2]))
    kinds = {"in force": style.STAGE_COLOURS[1], "tried": style.NAVY}
    weeks = _weeks(published, trial.result)
    return render(
        "trial.html.jinja",
        label="The replay",
        trial=trial,
        days=days,
        count=len(tried),
        published_count=len(published),
        same_count=len(set(tried) & published),
        new=new[::-1][:_SHOWN],
        new_count=len(new),
        gone=gone[::-1][:_SHOWN],
        gone_count=len(gone),
        wide=svg.chart_svg(charts.paired_weeks(weeks, kinds), "trial-wide"),
        narrow=svg.chart_svg(charts.paired_weeks(weeks, kinds, width=240), "trial-narrow"),
        names=dict(
            publication.snapshot()
            .con.execute("select account_id, account_name from marts.dim_account")
            .fetchall()
        ),
    )


def _weeks(published: set[tuple[str, str, date]], result: ReplayResult) -> pl.DataFrame:
    """Openings per week of both sides; weeks of none are there too."""
    weeks = {week.week_on: [0, 0] for week in result.weeks}
    for _, _, opened_on in published:
        weeks.setdefault(_monday(opened_on), [0, 0])[0] += 1
    for one in result.openings:
        weeks.setdefault(_monday(one.opened_on), [0, 0])[1] += 1
    return pl.DataFrame(
        [
            {"week_on": week, "kind": kind, "count": count}
            for week, counts in sorted(weeks.items())
            for kind, count in zip(("in force", "tried"), counts, strict=True)
        ],
        schema={"week_on": pl.Date, "kind": pl.String, "count": pl.Int64},
    )


def _monday(day: date) -> date:
    return day - timedelta(days=day.weekday())


def trial_refused(error: CspError) -> str:
    """Why a trial could not be made, with every fault and its mend."""
    if isinstance(error, ConfigError) and error.faults:
        lines = "\n".join(
            f"{fault.message}" + (f" — {fault.mend}" if fault.mend else "")
            for fault in error.faults
        )
        return message("The condition cannot be judged", lines, tone="red")
    return message("No replay", str(error), tone="yellow")
