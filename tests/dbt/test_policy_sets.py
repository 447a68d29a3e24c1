"""The shipped policy sets on known values, scored by the real models from the real seeds.

The expected scores are worked out here from the published formulas, not by the code under test.
"""

from __future__ import annotations

import csv
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import duckdb
import pytest

from dagster_project.settings import PROJECT_ROOT

pytestmark = pytest.mark.slow

DAY = "2026-03-10"
# account: (tenure in days, value of each measure that is known)
Accounts = dict[str, tuple[int, dict[str, float]]]
Scores = dict[str, tuple[float | None, float]]

PROVE = {
    "active_user_ratio": 0.8,  # 87.5
    "active_days": 8,  # 62.5
    "scm_adoption_pct": 30,  # 87.5
    "ci_adoption_pct": 15,  # 62.5
    "devsecops_adoption_pct": 5,  # 25
    "objectives_met_ratio": 0.8,  # 87.5
    "open_escalation_age_days": 0,  # 87.5
    "days_since_last_call": 10,  # 87.5
    "sponsor_engaged": 1,  # 87.5
}
# Continuous delivery is silent: its weight goes to the rest of product.
PRODUCT = (30 * 87.5 + 10 * 62.5 + 15 * 87.5 + 15 * 62.5 + 15 * 25) / 85
TECHNICAL = {"open_escalation_age_days": 0, "resolution_vs_target_ratio": 0.8}
ACTIVE = ["product_analytics", "session_replay", "feature_flags", "experiments", "surveys"]

CASES: dict[str, tuple[Accounts, Scores]] = {
    "gitlab_prove": (
        {
            "whole": (400, {**PROVE, "csm_pulse": 4}),
            "red sentiment": (400, {**PROVE, "csm_pulse": 1}),
            "no sentiment": (400, PROVE),
            "day 29": (29, {**PROVE, "csm_pulse": 3}),
            "day 29, no sentiment": (29, PROVE),
            "day 30": (30, {**PROVE, "csm_pulse": 4}),
        },
        {
            "whole": (0.5 * PRODUCT + 0.5 * 87.5, 0.9),
            "red sentiment": (25.0, 0.9),
            "no sentiment": ((50 * PRODUCT + 25 * 87.5) / 75, 0.65),
            "day 29": (62.5, 1.0),
            "day 29, no sentiment": (None, 0.0),
            "day 30": (0.5 * PRODUCT + 0.5 * 87.5, 0.9),
        },
    ),
    "posthog": (
        {
            "upper edges": (
                400,
                {
                    "product_analytics_active_pct": 40,
                    "session_replay_active_pct": 39.9,
                    "feature_flags_active_pct": 20,
                    "experiments_active_pct": 19.9,
                    "usage_trend_ratio": 0.95,
                    "days_since_last_call": 30,
                },
            ),
            "yellow": (
                400,
                {
                    **{f"{product}_active_pct": 30.0 for product in ACTIVE},
                    "usage_trend_ratio": 0.8,
                    "days_since_last_call": 90,
                },
            ),
            "red": (400, {"usage_trend_ratio": 0.79, "days_since_last_call": 91}),
        },
        {
            "upper edges": (0.75 * (10 * (100 + 50 + 50 + 0) + 50 * 100) / 90 + 0.25 * 100, 0.925),
            "yellow": (50.0, 1.0),
            "red": (0.0, 0.625),
        },
    ),
    "sourcegraph": (
        {
            "green use": (400, {**TECHNICAL, "active_user_ratio": 0.8, "csm_pulse": 3}),
            "champion": (
                400,
                {
                    **TECHNICAL,
                    "active_user_ratio": 0.8,
                    "csm_pulse": 3,
                    "champion_present": 0,
                    "sponsor_engaged": 0,
                    "active_roles_count": 0,
                },
            ),
            "yellow use": (400, {**TECHNICAL, "active_user_ratio": 0.7999, "csm_pulse": 3}),
            "red use": (400, {**TECHNICAL, "active_user_ratio": 0.4999, "csm_pulse": 3}),
        },
        {
            "green use": (55 + 15 + 15, 1.0),
            "champion": (55 + 15 + 15, 1.0),
            "yellow use": (27.5 + 15 + 15, 1.0),
            "red use": (15 + 15, 1.0),
        },
    ),
    "mattermost": (
        {
            "middle": (
                365,
                {
                    "account_tenure_days": 365,
                    "days_to_licence_end": 18,
                    "tickets_opened_count": 5,
                    "days_since_last_call": 18,
                },
            ),
            "licence at 5": (365, {"account_tenure_days": 0, "days_to_licence_end": 5}),
            "licence at 35": (365, {"account_tenure_days": 0, "days_to_licence_end": 35}),
        },
        {
            "middle": ((100 + 1100 / 23 + 50 + 1200 / 23) / 4, 1.0),
            "licence at 5": (0.0, 0.5),
            "licence at 35": (50.0, 0.5),
        },
    ),
}


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The dbt project as it is."""
    folder = tmp_path_factory.mktemp("sets") / "dbt"
    shutil.copytree(
        PROJECT_ROOT / "dbt", folder, ignore=shutil.ignore_patterns("target", "logs", "tests")
    )
    (folder / "tests").mkdir()
    return folder


def give_values(project: Path, accounts: Accounts) -> None:
    """Put the accounts' values in the place of the model that measures."""
    with (project / "seeds" / "health" / "health_measures.csv").open(newline="") as handle:
        measures = [row["measure"] for row in csv.DictReader(handle)]
    rows = []
    for account, (tenure, values) in accounts.items():
        assert set(values) <= set(measures)
        columns = [
            f"'{account}' as account_id",
            f"date '{DAY}' as as_of_date",
            "'enterprise' as tier",
            "'any' as segment",
            f"{tenure} as tenure_days",
        ]
        for measure in measures:
            value = values.get(measure, "null")
            columns += [
                f"cast({value} as double) as {measure}_value",
                f"date '{DAY}' as {measure}_observed_on",
                f"true as {measure}_is_applicable",
            ]
        rows.append("select " + ", ".join(columns))
    # The names of the seeds keep their place in the order of the build.
    hint = "-- depends_on: {{ ref('health_measures') }}\n"
    model = project / "models" / "intermediate" / "health" / "int_health__measures_daily.sql"
    model.write_text(hint + "\nunion all\n".join(rows) + "\n")


@pytest.mark.parametrize("policy_set", CASES)
def test_set_scores_as_published(project: Path, policy_set: str) -> None:
    accounts, expected = CASES[policy_set]
    warehouse = project.parent / f"{policy_set}.duckdb"
    give_values(project, accounts)
    with duckdb.connect(str(warehouse)) as con:
        con.execute(
            "create schema pipeline; create table pipeline.files "
            "(table_name varchar, status varchar, extracted_on date)"
        )
    variables = {"from_date": DAY, "as_of_date": DAY, "health_policy_set": policy_set}
    done = subprocess.run(
        [
            str(Path(sys.executable).parent / "dbt"),
            "--quiet",
            "build",
            "--profiles-dir",
            str(project),
            "--exclude-resource-type",
            "test",
            "unit_test",
            "--vars",
            json.dumps(variables),
            "--select",
            "path:seeds/health",
            "int_health__policy",
            "int_health__policy_wide",
            "int_health__measures_daily",
            "fct_health_facts_daily",
        ],
        cwd=project,
        env={
            **os.environ,
            "CSP_WAREHOUSE": str(warehouse),
            "CSP_TEMP_DIR": str(project.parent / "spill"),
            "DBT_TARGET_PATH": str(project.parent / "target"),
            "DBT_LOG_PATH": str(project.parent / "logs"),
        },
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout
    with duckdb.connect(str(warehouse), read_only=True) as con:
        found: Scores = {
            account: (score, coverage)
            for account, score, coverage in con.execute(
                "select account_id, computed_score, coverage_ratio "
                "from marts.fct_health_facts_daily"
            ).fetchall()
        }
    assert found.keys() == expected.keys()
    for account, (score, coverage) in expected.items():
        assert found[account][0] == (None if score is None else pytest.approx(score, abs=1e-9)), (
            account
        )
        assert found[account][1] == pytest.approx(coverage, abs=1e-9), account
