"""A rule tried on the past from the dashboard: as it is in force, or with another condition.

A replay needs the build file, because the published file does not hold what the rules are judged
on. It is copied and only read; nothing that is published or in force changes.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass
from datetime import date, timedelta

import polars as pl

from dagster_project.defs.replay import replay_condition, replay_rules
from dagster_project.errors import ConfigError, CspError
from dagster_project.playbooks.replay import ReplayResult
from dagster_project.reporting import charts, svg
from dagster_project.reporting.dashboard.html import message, render
from dagster_project.reporting.dashboard.publication import Publication
from dagster_project.settings import Settings

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
    result: ReplayResult
    broken_tests: tuple[str, ...]

    @property
    def is_edited(self) -> bool:
        """Whether it is not the condition in force."""
        return self.condition is not None


def try_rule(
    settings: Settings,
    rule_id: str,
    condition: str | None,
    *,
    since: date,
    until: date,
) -> Trial:
    """Replay one rule between two days; with another condition when one is given.

    Args:
        settings: the installation whose rules and history are used.
        rule_id: a rule of the files in force.
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
        if condition is None:
            return Trial(rule_id, None, replay_rules(settings, rule_id, since, until), ())
        found, tests = replay_condition(settings, rule_id, condition, since, until)
        return Trial(rule_id, condition, found, tuple(fault.message for fault in tests))
    finally:
        _at_work.release()


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
        wide=svg.chart_svg(charts.two_sides_by_week(weeks, "tried"), "trial-wide"),
        narrow=svg.chart_svg(charts.two_sides_by_week(weeks, "tried", width=240), "trial-narrow"),
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
        [(week, *counts) for week, counts in sorted(weeks.items())],
        schema={"week_on": pl.Date, "in_force": pl.Int64, "proposed": pl.Int64},
        orient="row",
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
