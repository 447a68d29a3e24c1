"""The run's range, publication by swap, and what happens when something is in the way."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path

import duckdb
import pytest
from hypothesis import given
from hypothesis import settings as settings_of_hypothesis
from hypothesis import strategies as st

from dagster_project.errors import ConfigError, CspError, WarehouseBusyError
from dagster_project.settings import Settings
from dagster_project.warehouse import (
    RunWindow,
    choose_window,
    connect,
    current_window,
    publish_snapshot,
    run_lock,
)
from dagster_project.warehouse import publish as publish_module
from dagster_project.warehouse.publish import Dictionary, Lineage
from dagster_project.warehouse.runs import create_run_tables, note_pending, note_publication
from dagster_project.warehouse.views import View

DAY = date(2026, 3, 10)
# Another process that opens a file, says so, and holds it until its input ends.
HOLD_OPEN = """
import duckdb, sys
held = duckdb.connect(sys.argv[1], read_only=sys.argv[2] == "read-only")
print("open", flush=True)
sys.stdin.read()
"""


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(data_dir=tmp_path)


@pytest.fixture
def con() -> Iterator[duckdb.DuckDBPyConnection]:
    with duckdb.connect() as connection:
        create_run_tables(connection)
        yield connection


def window_of(con: duckdb.DuckDBPyConnection, as_of: date, **options: object) -> RunWindow:
    arguments: dict[str, object] = {
        "requested_from": None,
        "first_business_on": date(2026, 1, 1),
        "max_history_days": 730,
        "full_refresh": False,
        **options,
    }
    return choose_window(con, as_of=as_of, **arguments)  # type: ignore[arg-type]


def test_first_run_starts_at_the_first_business_day(con: duckdb.DuckDBPyConnection) -> None:
    assert window_of(con, DAY) == RunWindow(date(2026, 1, 1), DAY)


def test_first_run_is_no_longer_than_the_history_limit(con: duckdb.DuckDBPyConnection) -> None:
    assert window_of(con, DAY, max_history_days=10).day_count == 10


def test_next_run_starts_after_the_last_published_day(con: duckdb.DuckDBPyConnection) -> None:
    note_publication(con, window_of(con, DAY), "x")
    tomorrow = DAY + timedelta(days=1)
    assert window_of(con, tomorrow) == RunWindow(tomorrow, tomorrow)


def test_same_day_again_computes_that_day(con: duckdb.DuckDBPyConnection) -> None:
    note_publication(con, window_of(con, DAY), "x")
    assert window_of(con, DAY) == RunWindow(DAY, DAY)


def test_policy_mode_is_kept_with_the_range_and_an_older_table_gets_its_column() -> None:
    with duckdb.connect() as con:
        con.execute(
            "create schema pipeline; create table pipeline.run_window "
            "(from_date date, as_of_date date, is_full_refresh boolean)"
        )
        con.execute("insert into pipeline.run_window values ('2026-01-01', '2026-01-02', false)")
        create_run_tables(con)
        assert current_window(con).policy_mode == "in_force"
        window_of(con, DAY, policy_mode="latest")
        assert current_window(con).policy_mode == "latest"


def test_late_records_do_not_move_the_start_of_history(con: duckdb.DuckDBPyConnection) -> None:
    note_publication(con, window_of(con, DAY), "x")
    note_pending(con, date(2025, 7, 1))
    assert window_of(con, DAY + timedelta(days=1)).from_date == date(2026, 1, 1)
    asked = window_of(con, DAY + timedelta(days=1), requested_from=date(2025, 7, 1))
    assert asked.from_date == date(2025, 7, 1)


@settings_of_hypothesis(deadline=None)
@given(late=st.integers(min_value=0, max_value=60), ahead=st.integers(min_value=0, max_value=5))
def test_late_records_pull_the_start_back_until_they_are_published(late: int, ahead: int) -> None:
    with duckdb.connect() as con:
        create_run_tables(con)
        note_publication(con, window_of(con, DAY), "x")
        touched = DAY - timedelta(days=late)
        note_pending(con, touched)
        again = window_of(con, DAY + timedelta(days=ahead))
        assert again.from_date == min(touched, DAY + timedelta(days=1), again.as_of_date)
        note_publication(con, again, "x")
        after = again.as_of_date + timedelta(days=1)
        assert window_of(con, after) == RunWindow(after, after)


@pytest.mark.parametrize(
    ("as_of", "requested_from", "words"),
    [
        (DAY, DAY + timedelta(days=1), "before it starts"),
        (DAY - timedelta(days=1), None, "--full-refresh"),
        (DAY + timedelta(days=9), DAY + timedelta(days=5), "without rows"),
    ],
)
def test_impossible_ranges_are_refused_with_the_mend(
    con: duckdb.DuckDBPyConnection, as_of: date, requested_from: date | None, words: str
) -> None:
    note_publication(con, window_of(con, DAY), "x")
    with pytest.raises(ConfigError, match=words):
        window_of(con, as_of, requested_from=requested_from)


def build(settings: Settings, days: list[date], value: int = 1) -> RunWindow:
    """Put one daily table, one whole table and one view over both into the build file."""
    with connect(settings.warehouse, settings) as con:
        create_run_tables(con)
        con.execute("create schema if not exists marts")
        con.execute("create schema if not exists raw_crm")
        con.execute("create table if not exists raw_crm.accounts (secret varchar)")
        con.execute("create table if not exists marts.fct_daily (as_of_date date, n int)")
        con.execute("delete from marts.fct_daily where as_of_date >= ?", [days[0]])
        for day in days:
            con.execute("insert into marts.fct_daily values (?, ?)", [day, value])
        con.execute("create or replace table marts.dim_account as select 'a' as account_id")
        con.execute(
            'create or replace view marts.both as select * from "build".marts.fct_daily '
            "cross join build.marts.dim_account"
        )
        return window_of(con, days[-1], requested_from=None, first_business_on=days[0])


DICTIONARY = Dictionary(
    {
        "marts.fct_daily": "it's daily",
        "marts.dim_account": "accounts",
        "marts.both": "both",
    },
    {
        ("marts.fct_daily", "as_of_date"): "the day",
        ("marts.fct_daily", "n"): "a number, count",
        ("marts.dim_account", "account_id"): "the account",
        ("marts.both", "as_of_date"): "the day",
        ("marts.both", "n"): "a number, count",
        ("marts.both", "account_id"): "the account",
    },
    (Lineage("marts.fct_daily", "model", "dbt/models/fct_daily.sql", ("raw.b", "raw.a")),),
    lambda _: (
        View(
            "marts.summed",
            "select count(*) as row_count from marts.fct_daily",
            "counted",
            {"row_count": "rows"},
            ("marts.fct_daily",),
        ),
    ),
)


def publish(
    settings: Settings, window: RunWindow, dictionary: Dictionary = DICTIONARY
) -> publish_module.Publication:
    return publish_snapshot(
        settings,
        window,
        daily_tables=["marts.fct_daily"],
        dictionary=dictionary,
        config_sha256="x",
    )


def published_rows(settings: Settings) -> list[tuple[object, ...]]:
    # Under any catalogue name, as a tool that attaches the file would see it.
    with duckdb.connect() as con:
        con.execute(f"attach '{settings.published}' as other (read_only)")
        return con.execute("from other.marts.fct_daily order by all").fetchall()


def test_publication_holds_public_tables_views_and_comments_only(settings: Settings) -> None:
    first = publish(settings, build(settings, [DAY]))
    assert first.is_full_copy
    with duckdb.connect(str(settings.published), read_only=True) as con:
        assert con.execute("from marts.both").fetchall() == [(DAY, 1, "a")]
        names = con.execute("select schema_name || '.' || table_name from duckdb_tables()")
        assert {name for (name,) in names.fetchall()} == {
            "marts.fct_daily",
            "marts.dim_account",
            "pipeline.publications",
            "pipeline.publication",
            "pipeline.restatements",
            "pipeline.lineage",
        }
        comment = con.execute(
            "select comment from duckdb_tables() where table_name = 'fct_daily'"
        ).fetchone()
        assert comment == ("it's daily",)


def test_analysts_views_and_lineage_are_published_under_any_name(settings: Settings) -> None:
    publish(settings, build(settings, [DAY]))
    publish(settings, build(settings, [DAY + timedelta(days=1)]))
    with duckdb.connect() as con:
        con.execute(f"attach '{settings.published}' as other (read_only)")
        con.execute("use other")
        assert con.execute("from marts.summed").fetchall() == [(2,)]
        assert con.execute("from pipeline.lineage order by all").fetchall() == [
            ("marts.fct_daily", "model", "dbt/models/fct_daily.sql", "raw.a"),
            ("marts.fct_daily", "model", "dbt/models/fct_daily.sql", "raw.b"),
            ("marts.summed", "view", "dagster_project/warehouse/views.py", "marts.fct_daily"),
        ]
        assert con.execute(
            "select comment from duckdb_columns() where table_name = 'summed'"
        ).fetchall() == [("rows",)]


def test_a_column_without_a_description_is_not_published(settings: Settings) -> None:
    publish(settings, build(settings, [DAY]))
    before = settings.published.read_bytes()
    texts = {key: text for key, text in DICTIONARY.columns.items() if key[1] != "n"}
    silent = replace(DICTIONARY, columns=texts)
    with pytest.raises(CspError, match=r"marts\.both\.n, marts\.fct_daily\.n"):
        publish(settings, build(settings, [DAY + timedelta(days=1)]), silent)
    assert settings.published.read_bytes() == before


def test_next_day_replaces_only_its_own_days(settings: Settings) -> None:
    publish(settings, build(settings, [DAY]))
    tomorrow = DAY + timedelta(days=1)
    second = publish(settings, build(settings, [tomorrow], value=2))
    assert not second.is_full_copy
    assert second.restated_days == 0
    assert published_rows(settings) == [(DAY, 1), (tomorrow, 2)]


def test_a_changed_published_day_is_recorded_as_restated(settings: Settings) -> None:
    publish(settings, build(settings, [DAY]))
    again = publish(settings, build(settings, [DAY], value=5))
    assert again.restated_days == 1
    assert published_rows(settings) == [(DAY, 5)]
    with duckdb.connect(str(settings.published), read_only=True) as con:
        assert con.execute("from pipeline.restatements").fetchall() == [
            (DAY, "marts.fct_daily", 2, DAY)
        ]


def test_a_publication_that_somebody_edited_is_copied_whole(settings: Settings) -> None:
    publish(settings, build(settings, [DAY]))
    with duckdb.connect(str(settings.published)) as con:
        con.execute("delete from marts.fct_daily")
    tomorrow = DAY + timedelta(days=1)
    publish(settings, build(settings, [tomorrow], value=2))
    assert published_rows(settings) == [(DAY, 1), (tomorrow, 2)]


def test_a_failure_while_publishing_leaves_yesterday_untouched(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    publish(settings, build(settings, [DAY]))
    before = settings.published.read_bytes()

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    window = build(settings, [DAY + timedelta(days=1)])
    monkeypatch.setattr(publish_module, "_copy_views", full)
    with pytest.raises(CspError, match="No space left.*untouched"):
        publish(settings, window)
    assert settings.published.read_bytes() == before
    assert [path.name for path in settings.published.parent.iterdir()] == ["analytics.duckdb"]
    monkeypatch.undo()
    assert publish(settings, window).row_counts["marts.fct_daily"] == 2


def test_a_reader_does_not_stop_a_publication(settings: Settings) -> None:
    publish(settings, build(settings, [DAY]))
    reader = subprocess.Popen(
        [sys.executable, "-c", HOLD_OPEN, str(settings.published), "read-only"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    assert reader.stdout is not None
    reader.stdout.readline()
    tomorrow = DAY + timedelta(days=1)
    publish(settings, build(settings, [tomorrow]))
    reader.communicate()
    assert len(published_rows(settings)) == 2


def test_a_warehouse_held_by_another_process_is_a_clear_error(settings: Settings) -> None:
    build(settings, [DAY])
    writer = subprocess.Popen(
        [sys.executable, "-c", HOLD_OPEN, str(settings.warehouse), "writing"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    assert writer.stdout is not None
    writer.stdout.readline()
    try:
        with (
            pytest.raises(WarehouseBusyError, match="another process"),
            connect(settings.warehouse, settings),
        ):
            pass
    finally:
        writer.communicate()


def test_two_runs_do_not_share_a_data_directory(settings: Settings) -> None:
    with (
        run_lock(settings),
        pytest.raises(WarehouseBusyError, match="another run"),
        run_lock(settings),
    ):
        pass


def test_the_lock_is_free_after_an_error(settings: Settings) -> None:
    with pytest.raises(RuntimeError), run_lock(settings):
        raise RuntimeError
    with run_lock(settings):
        pass
