"""Data without a signal: a score that told its churn well would have seen the future."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator
from datetime import date
from pathlib import Path

import duckdb
import pytest

from dagster_project.contracts import Vocabulary, ensure_raw_tables
from dagster_project.defs.dbt_project import dbt_executable
from dagster_project.ingestion import ingest, load_mapping
from dagster_project.playbooks import create_playbook_tables
from dagster_project.policy import vocabulary
from dagster_project.proof import BacktestResult, backtest
from dagster_project.settings import PROJECT_ROOT, Settings
from dagster_project.warehouse import connect

FOLDER = PROJECT_ROOT.parent / "shared" / "data" / "ravenstack"
FIRST, LAST = date(2023, 10, 1), date(2024, 12, 31)

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not FOLDER.is_dir(), reason="the RavenStack files are not here"),
]


@pytest.fixture(scope="module")
def warehouse(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The files through the shipped mapping and the real models, as far as health."""
    settings = Settings(
        data_dir=tmp_path_factory.mktemp("raven"),
        landing_dir=FOLDER,
        sources="ravenstack",
        policy_set="usage_support",
        memory_limit="2GB",
    )
    lists = vocabulary(settings.seeds)
    words = Vocabulary(lists.tiers, lists.solution_areas, lists.call_types)
    with connect(settings.warehouse, settings) as con:
        ensure_raw_tables(con)
        create_playbook_tables(con)
        ingest(con, FOLDER, load_mapping("ravenstack", FOLDER, words), None, words, settings)
    variables = {
        "from_date": str(FIRST),
        "as_of_date": str(LAST),
        "health_policy_set": settings.policy_set,
    }
    done = subprocess.run(
        [
            dbt_executable(),
            "--quiet",
            "build",
            "--profiles-dir",
            str(settings.dbt_project),
            "--exclude-resource-type",
            "test",
            "unit_test",
            "--vars",
            json.dumps(variables),
            "--select",
            "+fct_account_health_daily",
            "dim_account",
            "path:seeds",
        ],
        cwd=settings.dbt_project,
        env={**os.environ, **settings.dbt_environment()},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-3000:]
    return settings.warehouse


@pytest.fixture(scope="module")
def result(warehouse: Path) -> Iterator[BacktestResult]:
    with duckdb.connect(str(warehouse), read_only=True) as con:
        yield backtest(con)


def test_most_account_days_are_scored_on_what_is_there(result: BacktestResult) -> None:
    rows = [row for row in result.summary if row.dimension == "all" and row.scored_ratio]
    assert rows
    assert min(row.scored_ratio or 0.0 for row in rows) > 0.7


def test_no_ranking_is_better_than_chance(result: BacktestResult) -> None:
    """Near one half: within what this many losses can tell, and never well above it."""
    judged = [
        row
        for row in result.summary
        if row.dimension == "all"
        and row.predictor in {"health_score", "usage_only"}
        and row.auc is not None
    ]
    assert len(judged) >= 8
    for row in judged:
        assert row.auc is not None and row.auc_low is not None
        assert row.auc < 0.58, row
        assert row.auc_low < 0.5, row
    # Over 90 days there are enough losses for a narrower judgement.
    (score,) = [
        row
        for row in judged
        if row.predictor == "health_score"
        and row.outcome == "churn_or_contraction"
        and row.horizon_days == 90
    ]
    assert score.auc is not None and abs(score.auc - 0.5) < 0.05, score
