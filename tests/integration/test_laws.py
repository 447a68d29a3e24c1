"""The laws of the daily job, held on the real job: same input, same rows, however it was run."""

from __future__ import annotations

from datetime import date, timedelta
from pathlib import Path

import duckdb
import polars as pl
import pytest

from dagster_project.reporting.explain import explain_account
from dagster_project.reporting.plain_words import day_text, points_text
from tests.integration.conftest import (
    LAST_DAY,
    SMALL_WORLD_WORK,
    Installation,
    Tables,
    differences,
    small_world,
)
from tests.unit.infohub.hub_world import contents

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def day_by_day(
    tmp_path_factory: pytest.TempPathFactory, small_landing: Path
) -> tuple[Installation, dict[date, Tables]]:
    """Three daily runs, each seeing only the extracts up to its own day."""
    installation = Installation(tmp_path_factory.mktemp("daily"), small_landing)
    seen: dict[date, Tables] = {}
    for back in (2, 1, 0):
        day = LAST_DAY - timedelta(days=back)
        installation.run(day)
        seen[day] = installation.tables()
    return installation, seen


def test_the_job_fills_every_public_schema(backfilled: Installation) -> None:
    rows = {name: len(rows) for name, rows in backfilled.tables().items()}
    for name in (
        "marts.dim_account",
        "marts.fct_account_health_daily",
        "marts.fct_stage_daily",
        "marts.fct_cadence_slot",
        "playbooks.signals",
        "playbooks.rule_states",
        "playbooks.actions",
        "playbooks.action_events",
        "metrics.mtr_playbook_effectiveness",
        "metrics.mtr_stage_adoption",
        "metrics.mtr_engagement",
        "metrics.mtr_maturity_health_matrix",
    ):
        assert rows.get(name), f"{name} is missing or empty"


def test_what_people_report_becomes_what_happened_to_their_actions(
    backfilled: Installation,
) -> None:
    work = pl.read_csv(SMALL_WORLD_WORK)
    reported = dict(work.group_by("event").len().iter_rows())
    assert min(reported.values()) > 0 and set(reported) >= {"started", "step_done", "completed"}
    with duckdb.connect(str(backfilled.settings.published), read_only=True) as con:
        refused = con.execute("select message, count(*) from playbooks.feedback_rejects group by 1")
        assert refused.fetchall() == [], "the kept work names no action of this world: see conftest"
        told = con.execute(
            "select event, count(*) from playbooks.action_events where event in"
            " ('started', 'step_done', 'completed', 'cancelled') group by event"
        ).fetchall()
        assert dict(told) == reported
        (done,) = con.execute(
            "select count(*) from playbooks.actions where status = 'completed'"
        ).fetchall()
        assert done[0] == reported["completed"]
        rates = con.execute(
            "select numerator, denominator from metrics.mtr_playbook_effectiveness where as_of_date"
            " = ? and metric_id = 'execution_rate' and dimension = 'all'",
            [LAST_DAY],
        ).fetchall()
        assert rates and rates[0][0] > 0


def test_every_scored_account_is_explained_and_its_ledger_sums_to_the_move(
    backfilled: Installation,
) -> None:
    before = LAST_DAY - timedelta(days=45)
    with duckdb.connect(str(backfilled.settings.published), read_only=True) as con:
        moves = con.execute(
            """
            with score as (
                select account_id, as_of_date, health_score from marts.fct_account_health_daily
                where health_score is not null
            ),
            ledger as (
                select account_id, sum(points) as points
                from marts.health_change($before, $day) group by account_id
            )
            select new.account_id, new.health_score - old.health_score, coalesce(points, 0)
            from score as new
            inner join score as old
                on old.account_id = new.account_id and old.as_of_date = $before
            left join ledger on ledger.account_id = new.account_id
            where new.as_of_date = $day
            order by all
            """,
            {"before": before, "day": LAST_DAY},
        ).fetchall()
        assert moves
        for account, move, points in moves:
            assert abs(move - points) < 1e-9, account
            text = explain_account(con, account, since=before)
            assert f"{points_text(round(10 * move))} since {day_text(before)} (" in text


def test_daily_runs_equal_one_backfill(
    backfilled: Installation, day_by_day: tuple[Installation, dict[date, Tables]]
) -> None:
    installation, _ = day_by_day
    assert not differences(installation.tables(), backfilled.tables())


def test_a_full_refresh_equals_the_daily_runs(
    day_by_day: tuple[Installation, dict[date, Tables]], tmp_path: Path
) -> None:
    installation, seen = day_by_day
    again = installation.copy_to(tmp_path)
    again.run(full_refresh=True)
    assert not differences(again.tables(), seen[LAST_DAY])


def test_running_a_day_twice_changes_nothing(backfilled: Installation, tmp_path: Path) -> None:
    again = backfilled.copy_to(tmp_path)
    again.run()
    assert not differences(again.tables(), backfilled.tables())


def test_an_unrelated_account_changes_no_other_rows(
    backfilled: Installation, tmp_path: Path
) -> None:
    small_world(tmp_path / "landing", accounts=9)
    more = Installation(tmp_path / "data", tmp_path / "landing")
    more.run()
    before, after = backfilled.tables(), more.tables()
    known = {row[0] for row in before["marts.dim_account"]}
    (newcomer,) = {row[0] for row in after["marts.dim_account"]} - known
    # An event names its action, not its account.
    own = {newcomer} | {row[0] for row in after["playbooks.actions"] if newcomer in row}
    for name in before:
        # Metrics and rejects count over accounts; policy has none.
        if name.startswith(("marts.", "playbooks.")):
            others = [row for row in after[name] if own.isdisjoint(map(str, row))]
            assert others == before[name], name


def test_the_folders_of_daily_runs_are_those_of_one_backfill(
    backfilled: Installation, day_by_day: tuple[Installation, dict[date, Tables]]
) -> None:
    """Only packs of calls that are no longer due stay behind, and the index that lists them."""
    at_once = contents(backfilled.settings.infohub)
    daily = contents(day_by_day[0].settings.infohub)
    assert len(at_once) > 40
    differing = {path for path in at_once if daily.get(path) != at_once[path]}
    assert {path.rpartition("/")[2] for path in differing} <= {"index.yaml"}
    assert all("/meetings/prep/" in path for path in set(daily) - set(at_once))
