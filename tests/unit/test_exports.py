"""The exported folder: what is in it, that it is whole, and that equal tables make equal bytes."""

from __future__ import annotations

import csv
import hashlib
import shutil
from collections.abc import Iterator
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import duckdb
import pytest

from dagster_project.errors import CspError
from dagster_project.reporting.exports import (
    METRIC_DAYS,
    read_manifest,
    write_exports,
)
from tests.unit.reporting_warehouse import ACCOUNT, DAY, OWNER, build


@pytest.fixture
def con() -> Iterator[duckdb.DuckDBPyConnection]:
    with duckdb.connect() as connection:
        build(connection)
        yield connection


def read_csv(folder: Path, name: str) -> list[dict[str, str]]:
    with (folder / "tables" / f"{name}.csv").open(newline="") as handle:
        return list(csv.DictReader(handle))


def fingerprints(folder: Path) -> dict[str, str]:
    return {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in folder.rglob("*")
        if path.is_file()
    }


def files_of(folder: Path) -> dict[str, dict[str, Any]]:
    manifest: dict[str, Any] = read_manifest(folder)
    return {entry["file"]: entry for entry in manifest["files"]}


def test_every_public_table_and_view_is_there_twice(
    con: duckdb.DuckDBPyConnection, tmp_path: Path
) -> None:
    folder = write_exports(con, tmp_path, DAY)
    assert folder == tmp_path / "2026-03-20"
    tables = con.execute(
        "select distinct schema_name || '/' || table_name from duckdb_columns() "
        "where schema_name in ('marts', 'playbooks', 'metrics')"
    ).fetchall()
    wanted = {f"tables/{name}.{kind}" for (name,) in tables for kind in ("csv", "parquet")}
    assert "tables/marts/fct_zone_view.csv" in wanted
    assert set(files_of(folder)) == wanted


def test_parquet_and_csv_hold_the_rows_of_the_warehouse(
    con: duckdb.DuckDBPyConnection, tmp_path: Path
) -> None:
    folder = write_exports(con, tmp_path, DAY)
    path = folder / "tables" / "marts" / "fct_account_health_daily.parquet"
    difference = con.execute(
        "select * from read_parquet($path) except all "
        "select * from marts.fct_account_health_daily where as_of_date = $day",
        {"path": str(path), "day": DAY},
    ).fetchall()
    assert not difference
    rows = read_csv(folder, "marts/fct_account_health_daily")
    assert [(row["account_id"], row["health_score"]) for row in rows] == [("a", "55.5"), ("b", "")]


def test_size_does_not_grow_with_history(con: duckdb.DuckDBPyConnection, tmp_path: Path) -> None:
    folder = write_exports(con, tmp_path, DAY)
    files = files_of(folder)
    daily = files["tables/marts/fct_account_health_daily.csv"]
    assert (daily["row_count"], daily["rows"]) == (2, "the day")
    assert {row["as_of_date"] for row in read_csv(folder, "marts/fct_zone_view")} == {str(DAY)}
    slots = read_csv(folder, "marts/fct_cadence_slot")
    assert [(r["account_id"], r["call_type"], r["slot_number"]) for r in slots] == [
        ("a", "executive_review", "1"),
        ("a", "technical_checkin", "1"),
        ("b", "executive_review", "1"),
    ]
    assert [row["action_id"] for row in read_csv(folder, "playbooks/actions")] == ["act_1", "act_2"]
    assert files["tables/metrics/mtr_engagement.csv"]["row_count"] == METRIC_DAYS * 3 * 2


def test_metric_tables_hold_the_trailing_days_only(
    con: duckdb.DuckDBPyConnection, tmp_path: Path
) -> None:
    for days, name in ((METRIC_DAYS, "too old"), (METRIC_DAYS - 1, "just in"), (-1, "future")):
        con.execute(
            "insert into metrics.mtr_engagement (metric_id, as_of_date, dimension, dimension_value)"
            " values ('response_rate', ?, 'owner', ?)",
            [DAY - timedelta(days=days), name],
        )
    rows = read_csv(write_exports(con, tmp_path, DAY), "metrics/mtr_engagement")
    values = {row["dimension_value"] for row in rows}
    assert "just in" in values
    assert not values & {"too old", "future"}


def test_csv_cells_cannot_start_a_formula_and_parquet_keeps_the_text(
    con: duckdb.DuckDBPyConnection, tmp_path: Path
) -> None:
    con.execute("insert into marts.dim_account (account_id) values ('\tx'), ('-x'), ('x=1')")
    folder = write_exports(con, tmp_path, DAY)
    accounts = {row["account_id"]: row for row in read_csv(folder, "marts/dim_account")}
    assert accounts["a"]["account_name"] == "'" + ACCOUNT
    assert accounts["a"]["owner_ca"] == "'" + OWNER
    assert {"'\tx", "'-x", "x=1"} <= set(accounts)
    for path in (folder / "tables").rglob("*.csv"):
        with path.open(newline="") as handle:
            for row in csv.reader(handle):
                assert not [cell for cell in row if cell[:1] in set("=+@\t\r")]
    names = con.execute(
        "select account_name, owner_ca from read_parquet(?) where account_id = 'a'",
        [str(folder / "tables" / "marts" / "dim_account.parquet")],
    ).fetchone()
    assert names == (ACCOUNT, OWNER)


def test_negative_numbers_stay_numbers_in_csv(
    con: duckdb.DuckDBPyConnection, tmp_path: Path
) -> None:
    con.execute("create table marts.moves as select 'a' as account_id, -1.5 as points")
    rows = read_csv(write_exports(con, tmp_path, DAY), "marts/moves")
    assert rows == [{"account_id": "a", "points": "-1.5"}]


def test_equal_tables_make_equal_bytes_whatever_the_order_of_their_rows(
    con: duckdb.DuckDBPyConnection, tmp_path: Path
) -> None:
    first = fingerprints(write_exports(con, tmp_path / "one", DAY))
    con.execute("set threads = 4")
    for schema, table in con.execute(
        "select schema_name, table_name from duckdb_tables() where schema_name <> 'policy'"
    ).fetchall():
        con.execute(
            f"create or replace table {schema}.{table} as "
            f"select * from {schema}.{table} order by random()"
        )
    second = fingerprints(write_exports(con, tmp_path / "two", DAY))
    assert first == second


def test_manifest_tells_the_truth(con: duckdb.DuckDBPyConnection, tmp_path: Path) -> None:
    def add(folder: Path) -> None:
        (folder / "actions").mkdir()
        (folder / "actions" / "ca.jsonl").write_text('{"a": 1}\n')

    folder = write_exports(con, tmp_path, DAY, add)
    manifest = read_manifest(folder)
    assert manifest["as_of_date"] == "2026-03-20"
    versions = manifest["versions"]
    assert isinstance(versions, dict)
    assert versions["duckdb"] == duckdb.__version__
    on_disk = fingerprints(folder)
    del on_disk["manifest.json"]
    assert {name: entry["sha256"] for name, entry in files_of(folder).items()} == on_disk
    for name, entry in files_of(folder).items():
        assert entry["size_bytes"] == (folder / name).stat().st_size
        if name.endswith(".csv"):
            with (folder / name).open(newline="") as handle:
                assert entry["row_count"] == sum(1 for _ in csv.reader(handle)) - 1


def test_second_export_replaces_the_first_whole(
    con: duckdb.DuckDBPyConnection, tmp_path: Path
) -> None:
    folder = write_exports(con, tmp_path, DAY)
    (folder / "stray.txt").write_text("x")
    write_exports(con, tmp_path, DAY)
    assert not (folder / "stray.txt").exists()
    assert [path.name for path in tmp_path.iterdir()] == ["2026-03-20"]


def test_failure_leaves_the_earlier_folder_and_nothing_else(
    con: duckdb.DuckDBPyConnection, tmp_path: Path
) -> None:
    before = fingerprints(write_exports(con, tmp_path, DAY))

    def full(folder: Path) -> None:
        raise OSError(28, "No space left on device")

    con.execute("insert into marts.dim_account (account_id) values ('new')")
    with pytest.raises(CspError, match="No space left"):
        write_exports(con, tmp_path, DAY, full)
    assert fingerprints(tmp_path / "2026-03-20") == before
    assert [path.name for path in tmp_path.iterdir()] == ["2026-03-20"]


def test_swap_that_fails_halfway_brings_the_old_folder_back(
    con: duckdb.DuckDBPyConnection, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = fingerprints(write_exports(con, tmp_path, DAY))
    rename = Path.rename

    def refuse(self: Path, target: Path) -> Path:
        if target.name == "2026-03-20" and not self.name.endswith(".old"):
            raise PermissionError(13, "Permission denied")
        return rename(self, target)

    monkeypatch.setattr(Path, "rename", refuse)
    with pytest.raises(CspError, match="Permission denied"):
        write_exports(con, tmp_path, DAY)
    assert fingerprints(tmp_path / "2026-03-20") == before
    assert [path.name for path in tmp_path.iterdir()] == ["2026-03-20"]


def test_leftovers_of_a_killed_run_are_cleared_or_brought_back(
    con: duckdb.DuckDBPyConnection, tmp_path: Path
) -> None:
    folder = write_exports(con, tmp_path, DAY)
    before = fingerprints(folder)
    folder.rename(tmp_path / ".2026-03-20.killed.old")
    shutil.copytree(tmp_path / ".2026-03-20.killed.old", tmp_path / ".2026-03-20.killed")

    def fail(folder: Path) -> None:
        raise OSError("stop here")

    with pytest.raises(CspError):
        write_exports(con, tmp_path, DAY, fail)
    assert fingerprints(folder) == before
    assert [path.name for path in tmp_path.iterdir()] == ["2026-03-20"]


def test_other_days_stay(con: duckdb.DuckDBPyConnection, tmp_path: Path) -> None:
    earlier = date(2026, 3, 19)
    kept = fingerprints(write_exports(con, tmp_path, earlier))
    write_exports(con, tmp_path, DAY)
    assert fingerprints(tmp_path / "2026-03-19") == kept
