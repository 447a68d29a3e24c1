"""A day's publication, which writes only what changed, holds what a whole copy would hold."""

from __future__ import annotations

import tempfile
from collections import Counter
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import duckdb
import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as settings_of_hypothesis
from hypothesis import strategies as st

from dagster_project.settings import Settings
from dagster_project.warehouse import RunWindow, connect, publish_snapshot
from dagster_project.warehouse.publish import Dictionary
from dagster_project.warehouse.runs import create_run_tables
from dagster_project.warehouse.views import LEDGER, LEDGER_VIEW

DAY = date(2026, 3, 10)
FROM = DAY - timedelta(days=3)
TABLES = {
    "marts.fct_daily": "account_id varchar, as_of_date date, n double, note varchar",
    "playbooks.actions": "action_id varchar, status varchar, opened_on date",
    "raw_crm.accounts__rejects": "file varchar, line bigint",
}
Rows = list[tuple[Any, ...]]


def write(settings: Settings, tables: dict[str, Rows], window: RunWindow) -> None:
    """A build file that holds these rows and is about to publish this range."""
    with connect(settings.warehouse, settings) as con:
        create_run_tables(con)
        for name, columns in TABLES.items():
            con.execute(f"create schema if not exists {name.split('.')[0]}")
            con.execute(f"create or replace table {name} ({columns})")
            if tables[name]:
                marks = f"({', '.join('?' for _ in columns.split(','))})"
                values = [value for row in tables[name] for value in row]
                con.execute(
                    f"insert into {name} values {', '.join([marks] * len(tables[name]))}", values
                )
        con.execute("delete from pipeline.run_window")
        con.execute(
            "insert into pipeline.run_window values (?, ?, ?, ?)",
            [window.from_date, window.as_of_date, window.is_full_refresh, window.policy_mode],
        )


def publish(settings: Settings, window: RunWindow) -> bool:
    """Publish; whether everything was copied."""
    words = Dictionary(
        dict.fromkeys(TABLES, "t"),
        {
            (name, column.split()[0]): "c"
            for name, columns in TABLES.items()
            for column in columns.split(", ")
        },
        views=lambda _: (),
    )
    return publish_snapshot(
        settings,
        window,
        daily_tables=["marts.fct_daily"],
        dictionary=words,
        config_sha256="x",
    ).is_full_copy


def published(settings: Settings) -> dict[str, Counter[tuple[Any, ...]]]:
    with duckdb.connect(str(settings.published), read_only=True) as con:
        return {name: Counter(con.execute(f"from {name}").fetchall()) for name in TABLES}


# Before the range both runs hold the same rows: that is what a range means.
BASE: dict[str, Rows] = {
    "marts.fct_daily": [
        (name, FROM + timedelta(days=back), 1.0, None) for name in "abcdef" for back in range(-2, 4)
    ],
    "playbooks.actions": [
        (f"{name}{month}", "open", date(2026, month, 5) if month else None)
        for name in "abcdef"
        for month in range(3)
    ],
    # Nothing says that rejects differ from each other.
    "raw_crm.accounts__rejects": [(name, line // 2) for name in "abc" for line in range(6)],
}
TEXTS = st.none() | st.sampled_from(["", "a"])
NEW: dict[str, st.SearchStrategy[tuple[Any, ...]]] = {
    "marts.fct_daily": st.tuples(
        st.sampled_from("ghi"),
        st.integers(min_value=0, max_value=4).map(lambda back: FROM + timedelta(days=back)),
        st.none() | st.sampled_from([0.0, -1.5, 1e300]),
        TEXTS,
    ),
    "playbooks.actions": st.tuples(
        st.sampled_from("ghi"), TEXTS, st.none() | st.sampled_from([date(2026, 1, 5), DAY])
    ),
    "raw_crm.accounts__rejects": st.tuples(
        st.sampled_from("ab"), st.integers(min_value=0, max_value=2)
    ),
}


@st.composite
def states(draw: st.DrawFn) -> dict[str, Rows]:
    """The base with some rows gone and some that came, so that most of them stay."""
    state = {}
    for name, rows in BASE.items():
        gone = draw(st.sets(st.integers(min_value=0, max_value=len(rows) - 1), max_size=5))
        kept = [
            row
            for place, row in enumerate(rows)
            if place not in gone or (name == "marts.fct_daily" and row[1] < FROM)
        ]
        unique_by = (lambda row: row[:2]) if name == "marts.fct_daily" else None
        state[name] = kept + draw(st.lists(NEW[name], max_size=5, unique_by=unique_by))
    return state


@settings_of_hypothesis(deadline=None, max_examples=8, suppress_health_check=[HealthCheck.too_slow])
@given(before=states(), after=states())
def test_changes_lead_to_what_a_whole_copy_holds(
    before: dict[str, Rows], after: dict[str, Rows]
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        settings = Settings(data_dir=Path(folder))
        first, second = RunWindow(FROM - timedelta(days=40), DAY), RunWindow(FROM, DAY)
        write(settings, before, first)
        assert publish(settings, first)
        write(settings, after, second)
        assert not publish(settings, second)
        assert published(settings) == {name: Counter(rows) for name, rows in after.items()}
        with duckdb.connect(str(settings.published), read_only=True) as con:
            restated = dict(
                con.execute(
                    "select as_of_date, changed_row_count from pipeline.restatements"
                ).fetchall()
            )
        last = max((row[1] for row in before["marts.fct_daily"]), default=DAY)
        old, new = (Counter(state["marts.fct_daily"]) for state in (before, after))
        changed = Counter(row[1] for row in ((old - new) + (new - old)).elements())
        assert restated == {day: n for day, n in changed.items() if day <= last}


def test_rows_that_stay_are_not_written_again(tmp_path: Path) -> None:
    settings = Settings(data_dir=tmp_path)
    window = RunWindow(FROM, DAY)
    write(settings, BASE, window)
    publish(settings, window)
    place = "select rowid from playbooks.actions where action_id = 'f2'"
    with duckdb.connect(str(settings.published), read_only=True) as con:
        before = con.execute(place).fetchall()
    write(settings, BASE | {"playbooks.actions": BASE["playbooks.actions"][3:]}, window)
    publish(settings, window)
    with duckdb.connect(str(settings.published), read_only=True) as con:
        assert con.execute(place).fetchall() == before
        assert con.execute("select count(*) from playbooks.actions").fetchall() == [(15,)]


def test_a_file_does_not_grow_with_the_days_that_are_restated(tmp_path: Path) -> None:
    settings = Settings(data_dir=tmp_path)
    window = RunWindow(FROM, DAY)
    sizes = []
    for turn in range(6):
        days = [FROM + timedelta(days=back) for back in range(4)]
        rows = [
            (f"a{number}", day, float(number), f"{turn}-{number % 3 * turn}")
            for day in days
            for number in range(40)
        ]
        write(settings, {name: [] for name in TABLES} | {"marts.fct_daily": rows}, window)
        publish(settings, window)
        sizes.append(settings.published.stat().st_size)
    assert max(sizes[2:]) <= 2 * sizes[1]
    with duckdb.connect(str(settings.published), read_only=True) as con:
        [(stored,)] = con.execute(
            "select estimated_size from duckdb_tables() where table_name = 'fct_daily'"
        ).fetchall()
    assert stored <= 2 * 160


@pytest.fixture
def with_ledger(tmp_path: Path) -> Settings:
    """Published twice, on two days: a file whose ledger view looks one and seven days back."""
    settings = Settings(data_dir=tmp_path)
    for as_of in (DAY - timedelta(days=1), DAY):
        window = RunWindow(as_of - timedelta(days=10), as_of)
        write(settings, {name: [] for name in TABLES}, window)
        with connect(settings.warehouse, settings) as con:
            con.execute(
                """
                create schema if not exists policy;
                create or replace table policy.health_change_lags as
                    select unnest([1, 7]) as compared_days;
                create or replace table marts.fct_daily as
                    select account_id, day::date as as_of_date, epoch(day) / 86400 as n,
                        null::varchar as note
                    from unnest(['a', 'b']) as accounts(account_id)
                    cross join range(date '2026-01-01', $day::date + 1, interval 1 day) as r(day);
                """,
                {"day": as_of},
            )
            con.execute(
                f"""
                create or replace view {LEDGER_VIEW} as
                select later.account_id, later.as_of_date, earlier.as_of_date as compared_to_date,
                    'behaviour' as cause_kind, 'n' as cause, later.n - earlier.n as points
                from marts.fct_daily as later
                cross join policy.health_change_lags as lags
                inner join "build".marts.fct_daily as earlier
                    on earlier.account_id = later.account_id
                    and earlier.as_of_date = later.as_of_date - lags.compared_days::integer
                """
            )
        publish_snapshot(
            settings,
            window,
            daily_tables=["marts.fct_daily"],
            dictionary=_described(settings),
            config_sha256="x",
        )
    return settings


def _described(settings: Settings) -> Dictionary:
    with connect(settings.warehouse, settings, read_only=True) as con:
        columns = con.execute(
            "select schema_name || '.' || table_name, column_name from duckdb_columns()"
        ).fetchall()
    return Dictionary(
        {table: "t" for table, _ in columns},
        dict.fromkeys(columns, "c"),
        views=lambda _: (),
    )


def test_the_change_ledger_of_the_published_day_is_stored(with_ledger: Settings) -> None:
    expected = [
        (account, DAY, DAY - timedelta(days=back), "behaviour", "n", float(back))
        for account in "ab"
        for back in (7, 1)
    ]
    with duckdb.connect(str(with_ledger.published), read_only=True) as con:
        assert con.execute(f"from {LEDGER_VIEW} order by all").fetchall() == expected
        assert con.execute(f"from {LEDGER} order by all").fetchall() == expected
        [(kind,)] = con.execute(
            "select count(*) from duckdb_views() where view_name = 'fct_health_change'"
        ).fetchall()
        assert kind == 1
