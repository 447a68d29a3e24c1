"""A large day's report is written by a process of its own: the same files, the same errors."""

from __future__ import annotations

from pathlib import Path

import pytest

from dagster_project.defs import publish
from dagster_project.errors import CspError
from dagster_project.reporting.exports import read_manifest
from tests.integration.conftest import LAST_DAY, Installation


def test_a_report_written_beside_the_tables_is_the_same(
    backfilled: Installation, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    copy = backfilled.copy_to(tmp_path)
    folder = copy.settings.exports / LAST_DAY.isoformat()
    before = read_manifest(folder)
    inline = {
        path.relative_to(folder): path.read_bytes() for path in sorted(folder.rglob("*.html"))
    }
    assert inline
    monkeypatch.setattr(publish, "LARGE_DAY", 1)
    publish.export_day(copy.settings, copy.settings.published)
    assert read_manifest(folder) == before
    assert {
        path.relative_to(folder): path.read_bytes() for path in sorted(folder.rglob("*.html"))
    } == inline


def test_what_goes_wrong_beside_is_told_here(backfilled: Installation, tmp_path: Path) -> None:
    missing = tmp_path / "missing.duckdb"
    with (
        pytest.raises(CspError, match="missing.duckdb: there is no such warehouse"),
        publish._report_beside(backfilled.settings, missing, tmp_path, LAST_DAY),
    ):
        pass
