"""The whole dbt project over empty sources, unit tests included: it builds, every test runs."""

from __future__ import annotations

import json
import os
import subprocess
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from dagster_project.contracts import ensure_raw_tables
from dagster_project.defs.dbt_project import dbt_executable
from dagster_project.playbooks import create_playbook_tables
from dagster_project.settings import Settings
from dagster_project.warehouse import connect

DAY = date(2026, 1, 31)


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Any]]:
    settings = Settings(data_dir=tmp_path_factory.mktemp("dbt"))
    with connect(settings.warehouse, settings) as con:
        ensure_raw_tables(con)
        create_playbook_tables(con)
    done = subprocess.run(
        [
            dbt_executable(),
            "build",
            "--profiles-dir",
            str(settings.dbt_project),
            "--vars",
            json.dumps({"from_date": str(DAY), "as_of_date": str(DAY)}),
        ],
        cwd=settings.dbt_project,
        env={**os.environ, **settings.dbt_environment()},
        capture_output=True,
        text=True,
        check=False,
    )
    path = Path(settings.dbt_target) / "run_results.json"
    assert path.exists(), done.stdout[-3000:]
    parsed: list[dict[str, Any]] = json.loads(path.read_text())["results"]
    return parsed


def test_every_model_seed_and_test_passes(results: list[dict[str, Any]]) -> None:
    failed = [
        f"{r['unique_id']}: {r['message']}"
        for r in results
        if r["status"] not in {"success", "pass", "no-op"}
    ]
    assert not failed, "\n".join(failed)


@pytest.mark.parametrize("subject", ["health", "stage", "cadence", "metric"])
def test_every_subject_has_unit_tests(results: list[dict[str, Any]], subject: str) -> None:
    ran = [r["unique_id"] for r in results if r["unique_id"].startswith("unit_test.")]
    assert any(subject in name or (subject == "metric" and "mtr_" in name) for name in ran), ran
