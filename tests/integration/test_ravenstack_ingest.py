"""Somebody else's data through the shipped mapping; its folder's README gives the counts."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest

from dagster_project.ingestion import IngestResult, load_mapping
from dagster_project.settings import PROJECT_ROOT
from tests.unit.ingestion_world import WORDS, World

FOLDER = PROJECT_ROOT.parent / "shared" / "data" / "ravenstack"

pytestmark = pytest.mark.skipif(not FOLDER.is_dir(), reason="the RavenStack files are not here")


@pytest.fixture(scope="module")
def world() -> World:
    return World(FOLDER, load_mapping("ravenstack", FOLDER, WORDS))


@pytest.fixture(scope="module", autouse=True)
def result(world: World) -> IngestResult:
    return world.run()


def test_every_row_is_accounted_for(result: IngestResult) -> None:
    counts = {
        table.name: (table.read_rows, table.accepted_rows, table.rejected_rows)
        for table in result.tables
        if table.read_rows
    }
    assert counts == {
        "crm/accounts": (500, 500, 0),
        "crm/subscriptions": (5000, 5000, 0),
        "usage/feature_usage": (25000, 24979, 21),
        "support/tickets": (2000, 2000, 0),
        "support/surveys": (1175, 1175, 0),
    }
    assert result.warnings == ()
    assert result.newest_extract_on == date(2024, 12, 31)


def test_dirt_is_counted_as_the_readme_counts_it(world: World) -> None:
    flags = dict(world.rows("select flag, row_count from pipeline.quality_flags"))
    assert flags == {
        "account_flagged_churned": 110,
        "account_with_churned_subscription": 312,
        "account_with_churn_event": 352,
        "churned_without_event": 35,
        "churn_event_without_flag": 277,
        "used_before_subscription": 19142,
        "used_after_subscription": 290,
        "opened_before_signup": 1077,
        "ticket_without_score": 825,
    }
    assert round(100 * flags["used_before_subscription"] / 25000, 1) == 76.6
    assert world.rows("select rule, count(*) from raw_usage.feature_usage__rejects group by 1") == [
        ("duplicate_key", 21)
    ]


def test_values_are_the_vendor_s(world: World) -> None:
    assert world.rows("select tier, count(*) from raw_crm.accounts group by all order by all") == [
        ("commercial", 168),
        ("enterprise", 178),
        ("strategic", 154),
    ]
    assert world.rows("select count(churned_on) from raw_crm.accounts") == [(75,)]
    assert world.rows(
        "select severity, count(*), count(resolved_at), count(first_responded_at) "
        "from raw_support.tickets group by all order by all"
    ) == [
        ("critical", 514, 514, 514),
        ("high", 510, 510, 510),
        ("low", 485, 485, 485),
        ("medium", 491, 491, 491),
    ]
    assert world.rows("select min(score), max(score) from raw_support.surveys") == [(3.0, 5.0)]
    assert world.rows(
        "select count(*) from raw_usage.feature_usage as usage "
        "anti join raw_crm.accounts using (account_id)"
    ) == [(0,)]


def test_a_second_run_changes_nothing(world: World) -> None:
    before = world.everything()
    assert world.run().file_count == 0
    assert world.everything() == before


def test_the_folder_is_only_read(world: World) -> None:
    assert sorted(path.name for path in Path(FOLDER).iterdir()) == [
        "ravenstack_accounts.csv",
        "ravenstack_churn_events.csv",
        "ravenstack_feature_usage.csv",
        "ravenstack_subscriptions.csv",
        "ravenstack_support_tickets.csv",
    ]
