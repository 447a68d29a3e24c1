"""The spine and the usage windows over a small world: the run of one day, the run of a few and the
backfill agree on every day they share, and all agree with a plain reference written without SQL.

The world is told as extracts would tell it: every row arrives on the day it speaks of, so a run as
of day D reads only what was known on D, and must still equal the backfill that knows everything.
"""

from __future__ import annotations

import json
import os
import random
from collections import defaultdict
from collections.abc import Iterator
from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import polars as pl
import pytest
from dbt.adapters.duckdb.connections import DuckDBConnectionManager
from dbt.cli.main import dbtRunner

from dagster_project.contracts import ensure_raw_tables
from dagster_project.settings import Settings

pytestmark = pytest.mark.slow

FIRST = date(2025, 1, 1)
LAST = FIRST + timedelta(days=149)
# Beginnings and ends of runs; single days around changes, and a run into the middle of windows.
RUNS = [(0, 0), (59, 59), (60, 62), (99, 99), (100, 100), (128, 149), (149, 149)]
KEYS = {
    "int_core__account_days": ["account_id", "as_of_date"],
    "int_core__area_days": ["account_id", "solution_area", "as_of_date"],
    "int_usage__account_daily": ["account_id", "as_of_date"],
    "int_usage__area_daily": ["account_id", "solution_area", "as_of_date"],
}
Row = dict[str, Any]


def day(number: int) -> date:
    return FIRST + timedelta(days=number)


def draw_world(seed: int) -> dict[str, list[Row]]:
    """Raw rows by table. Numbers of accounts carry the cases: 0 pauses, 1 churns, 2 vanishes,
    3 joins late, 4 names no users, 5 never uses anything, 6 has no subscription, 7 has a gap.
    """
    rng = random.Random(seed)
    world: dict[str, list[Row]] = defaultdict(list)
    for number in range(8):
        account = f"A{number}"
        born = {3: 40}.get(number, -rng.randrange(1, 300))
        row: Row = {
            "account_id": account,
            "account_name": account,
            "tier": "commercial",
            "owner_ca": "ca@example.test",
            "arr_usd": Decimal(1000 + number),
            "is_at_risk": False,
            "customer_since_on": day(born),
            "_extracted_on": day(max(born, 0)),
        }
        changes: list[tuple[int, Row]] = [
            (rng.randrange(50, 60), {"tier": "strategic"}),
            (60, {"is_at_risk": True, "arr_usd": Decimal(2000)}),
            (rng.randrange(61, 98), {"owner_ca": None}),
        ]
        if number == 0:
            changes.append((99, {"paused_from_on": day(99)}))
            changes.append((104, {"paused_until_on": day(104)}))
        if number == 1:
            changes.append((100, {"churned_on": day(100)}))
        world["raw_crm.accounts"].append(row)
        for on, change in sorted(changes, key=lambda c: c[0]):
            row = row | change | {"_extracted_on": day(on)}
            world["raw_crm.accounts"].append(row)
        if number == 2:
            gone = dict.fromkeys(row) | {"account_id": account, "_is_deleted": True}
            world["raw_crm.accounts"].append(gone | {"_extracted_on": day(128)})
        areas = [] if number == 6 else rng.sample(["security", "observability", "search"], 2)
        for area in areas:
            draw_subscriptions(rng, world["raw_crm.subscriptions"], number, area, born)
        users = [None] if number == 4 else [f"{account}-u{n}" for n in range(6)]
        for area in ["security", *areas]:
            if number != 5:
                draw_usage(rng, world["raw_usage.feature_usage"], account, area, users, born)
    return world


def draw_subscriptions(
    rng: random.Random, rows: list[Row], number: int, area: str, born: int
) -> None:
    started = max(born, -40) + rng.randrange(30)
    for term in range(3):
        row: Row = {
            "subscription_id": f"A{number}-{area}-{term}",
            "account_id": f"A{number}",
            "solution_area": area,
            "started_on": day(started),
            "renews_on": day(started + 60),
            "arr_usd": Decimal(rng.randrange(100, 999)),
            "seats": rng.choice([None, 10, 25]),
            "_extracted_on": day(max(started, 0)),
        }
        rows.append(row)
        changes: list[tuple[int, Row]] = [
            (started + rng.randrange(5, 20), {"arr_usd": Decimal(rng.randrange(100, 999))}),
            (started + rng.randrange(20, 30), {"renews_on": day(started + 75), "seats": 30}),
        ]
        live = started + rng.randrange(3, 40)
        if rng.random() < 0.7:
            changes.append((live, {"go_live_on": day(live)}))
        if term < 2:
            changes.append((started + 60, {"ended_on": day(started + 60)}))
        for on, change in sorted(changes, key=lambda c: c[0]):
            row = row | change | {"_extracted_on": day(max(on, 0))}
            rows[:] = [
                r
                for r in rows
                if (r["subscription_id"], r["_extracted_on"])
                != (row["subscription_id"], row["_extracted_on"])
            ]
            rows.append(row)
        started += 60 + (20 if number == 7 else 0)


def draw_usage(
    rng: random.Random,
    rows: list[Row],
    account: str,
    area: str,
    users: list[str | None],
    born: int,
) -> None:
    seen = {
        (r["account_id"], r["solution_area"], r["user_id"], r["feature"], r["used_on"])
        for r in rows
    }
    for user in users:
        on = max(born, -80)
        while on < (LAST - FIRST).days:
            # Silences reach over the 28 and the 60 days, and some land exactly on them.
            on += rng.choice([1, 1, 2, 3, 7, 27, 28, 29, 61, 70])
            for feature in rng.sample(["f1", "f2", "f3", "f4"], rng.randrange(1, 4)):
                if (account, area, user, feature, day(on)) in seen or day(on) > LAST:
                    continue
                rows.append(
                    {
                        "account_id": account,
                        "solution_area": area,
                        "user_id": None if rng.random() < 0.1 else user,
                        "feature": feature,
                        "used_on": day(on),
                        "usage_count": rng.choice([0, 1, 5, 40]),
                        "_extracted_on": day(max(on, 0)),
                    }
                )


def store(path: Path, world: dict[str, list[Row]]) -> None:
    lineage = {"_source_file": "f.csv", "_source_line": 1, "_is_deleted": False}
    with duckdb.connect(str(path)) as con:
        ensure_raw_tables(con)
        for table, rows in world.items():
            frame = pl.DataFrame([lineage | row for row in rows], infer_schema_length=None)
            stored = {name for name, *_ in con.execute(f"describe {table}").fetchall()}
            frame = frame.select([name for name in frame.columns if name in stored])
            con.register("frame", frame.to_arrow())
            con.execute(f"insert into {table} by name select * from frame")
            con.unregister("frame")


def read(path: Path, table: str) -> list[Row]:
    with duckdb.connect(str(path), read_only=True) as con:
        cursor = con.execute(f"select * from intermediate.{table} order by all")
        names = [column[0] for column in cursor.description or []]
        return [dict(zip(names, values, strict=True)) for values in cursor.fetchall()]


@pytest.fixture(scope="module")
def world() -> dict[str, list[Row]]:
    return draw_world(seed=11)


@pytest.fixture(scope="module")
def runs(
    world: dict[str, list[Row]], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[dict[tuple[int, int], dict[str, list[Row]]]]:
    """What each run left, by its first and last day; the backfill is one of them."""
    root = tmp_path_factory.mktemp("core")
    warehouse = root / "build.duckdb"
    project = str(Settings(data_dir=root).dbt_project)
    overridden = {"CSP_WAREHOUSE": str(warehouse), "DBT_TARGET_PATH": str(root / "target")}
    before = {name: os.environ.get(name) for name in overridden}
    os.environ.update(overridden)
    store(warehouse, world)
    manifest = None
    found = {}
    for first, last in [(0, (LAST - FIRST).days), *RUNS]:
        dates = {"from_date": str(day(first)), "as_of_date": str(day(last))}
        common = ["--project-dir", project, "--profiles-dir", project, "--quiet"]
        common += ["--vars", json.dumps(dates)]
        if manifest is None:  # parsing takes longer than a run
            parsed = dbtRunner().invoke(["parse", *common])
            assert parsed.success, parsed.exception
            manifest = parsed.result
        done = dbtRunner(manifest=manifest).invoke(
            ["run", "--select", *(f"+{name}" for name in KEYS), *common]
        )
        assert done.success, done.exception or [r.message for r in done.result]
        # A run in this process keeps the file open for the next; reading needs it closed.
        DuckDBConnectionManager.env().close()
        DuckDBConnectionManager.close_all_connections()
        found[first, last] = {table: read(warehouse, table) for table in KEYS}
    yield found
    for name, value in before.items():
        if value is None:
            os.environ.pop(name, None)
        else:
            os.environ[name] = value


@pytest.mark.parametrize("table", KEYS)
@pytest.mark.parametrize("run", RUNS)
def test_a_short_run_leaves_what_the_backfill_has_for_its_days(
    runs: dict[tuple[int, int], dict[str, list[Row]]], run: tuple[int, int], table: str
) -> None:
    first, last = day(run[0]), day(run[1])
    whole = runs[0, (LAST - FIRST).days][table]
    expected = [row for row in whole if first <= row["as_of_date"] <= last]
    assert expected
    assert runs[run][table] == expected


def known_on(rows: list[Row], key: str, on: date) -> dict[str, tuple[list[Row], Row | None]]:
    """By key: its live versions in order, and the one extracted last on or before `on`."""
    versions: dict[str, list[Row]] = defaultdict(list)
    for row in sorted(rows, key=lambda r: r["_extracted_on"]):
        versions[row[key]].append(row)
    found = {}
    for name, all_versions in versions.items():
        past = [v for v in all_versions if v["_extracted_on"] <= on]
        found[name] = (
            [v for v in all_versions if not v.get("_is_deleted")],
            past[-1] if past else None,
        )
    return found


def reference_days(world: dict[str, list[Row]], on: date) -> tuple[list[Row], list[Row]]:
    """Account rows and area rows of one day, straight from the rules."""
    areas: dict[tuple[str, str], list[tuple[Row, Row]]] = defaultdict(list)
    subscriptions = known_on(world["raw_crm.subscriptions"], "subscription_id", on)
    for live, now in subscriptions.values():
        if live[-1]["started_on"] <= on:
            version = now or live[0]
            areas[version["account_id"], version["solution_area"]].append((live[-1], version))
    area_rows = []
    renewals = defaultdict(list)
    for (account, area), terms in areas.items():
        active = [v for s, v in terms if not (s.get("ended_on") and s["ended_on"] <= on)]
        if not active:
            continue
        started = min(s["started_on"] for s, _ in terms)
        lived = [s["go_live_on"] for s, _ in terms if s.get("go_live_on") and s["go_live_on"] <= on]
        seats = [v["seats"] for v in active if v["seats"] is not None]
        renewals[account] += [v["renews_on"] for v in active if v["renews_on"] >= on]
        area_rows.append(
            {
                "account_id": account,
                "solution_area": area,
                "as_of_date": on,
                "seats_licensed": sum(seats) if seats else None,
                "arr_usd": sum(v["arr_usd"] for v in active),
                "subscription_started_on": started,
                "go_live_on": min(lived, default=started),
                "days_since_go_live": (on - min(lived, default=started)).days,
            }
        )
    account_rows = []
    for account, (live, now) in known_on(world["raw_crm.accounts"], "account_id", on).items():
        last = live[-1]
        gone = now is not None and now.get("_is_deleted")
        churned = last.get("churned_on") and last["churned_on"] <= on
        if last["customer_since_on"] > on or churned or gone:
            continue
        version = now or live[0]
        mine = [row for row in area_rows if row["account_id"] == account]
        seats = [row["seats_licensed"] for row in mine if row["seats_licensed"] is not None]
        paused_from, paused_until = last.get("paused_from_on"), last.get("paused_until_on")
        renewal = min(renewals[account], default=None)
        account_rows.append(
            {
                "account_id": account,
                "as_of_date": on,
                "account_name": account,
                "tier": version["tier"],
                "owner_ca": version["owner_ca"],
                "arr_usd": sum(r["arr_usd"] for r in mine) if mine else (now or {}).get("arr_usd"),
                "seats_licensed": sum(seats) if seats else None,
                "active_area_count": len(mine),
                "days_to_renewal": (renewal - on).days if renewal else None,
                "tenure_days": (on - last["customer_since_on"]).days,
                "is_paused": bool(paused_from and paused_from <= on)
                and not (paused_until and paused_until < on),
                "is_at_risk_flagged": (now or {}).get("is_at_risk"),
                "next_renewal_on": renewal,
                "customer_since_on": last["customer_since_on"],
            }
        )
    return account_rows, area_rows


def reference_usage(rows: list[Row], on: date) -> Row:
    """The trailing figures of one day from the rows of one account or area."""
    used = [r for r in rows if r["usage_count"] > 0 and r["used_on"] <= on]
    if not used:
        return dict.fromkeys(FIGURES)
    window = [r for r in used if r["used_on"] > on - timedelta(days=28)]
    previous = [
        r for r in used if on - timedelta(days=56) < r["used_on"] <= on - timedelta(days=28)
    ]
    users = {r["user_id"] for r in window} - {None}
    last = max(r["used_on"] for r in used)
    return {
        "active_users_28d": None if window and not users else len(users),
        "active_days_28d": len({r["used_on"] for r in window}),
        "features_used_28d": len({(r["solution_area"], r["feature"]) for r in window}),
        "usage_count_28d": sum(r["usage_count"] for r in window),
        "usage_count_prev_28d": sum(r["usage_count"] for r in previous),
        "last_used_on": last if (on - last).days <= 60 else None,
        "first_used_on": min(r["used_on"] for r in used),
    }


FIGURES = [
    "active_users_28d",
    "active_days_28d",
    "features_used_28d",
    "usage_count_28d",
    "usage_count_prev_28d",
    "last_used_on",
    "first_used_on",
]


def by_key(rows: list[Row], table: str) -> dict[tuple[Any, ...], Row]:
    return {tuple(row[name] for name in KEYS[table]): row for row in rows}


def test_the_spine_is_what_the_rules_say_of_each_day(
    runs: dict[tuple[int, int], dict[str, list[Row]]], world: dict[str, list[Row]]
) -> None:
    whole = runs[0, (LAST - FIRST).days]
    found = {table: by_key(whole[table], table) for table in KEYS}
    expected: dict[str, dict[tuple[Any, ...], Row]] = defaultdict(dict)
    for number in range((LAST - FIRST).days + 1):
        account_rows, area_rows = reference_days(world, day(number))
        for table, rows in (
            ("int_core__account_days", account_rows),
            ("int_core__area_days", area_rows),
        ):
            expected[table].update(by_key(rows, table))
    for table, rows_by_key in expected.items():
        assert found[table].keys() == rows_by_key.keys()
        for key, row in rows_by_key.items():
            assert {name: found[table][key][name] for name in row} == row, key


@pytest.mark.parametrize(
    ("table", "spine"),
    [
        ("int_usage__account_daily", "int_core__account_days"),
        ("int_usage__area_daily", "int_core__area_days"),
    ],
)
def test_trailing_figures_are_those_of_counting_day_by_day(
    runs: dict[tuple[int, int], dict[str, list[Row]]],
    world: dict[str, list[Row]],
    table: str,
    spine: str,
) -> None:
    whole = runs[0, (LAST - FIRST).days]
    found = by_key(whole[table], table)
    assert found.keys() == by_key(whole[spine], spine).keys()
    usage: dict[tuple[Any, ...], list[Row]] = defaultdict(list)
    for row in world["raw_usage.feature_usage"]:
        usage[tuple(row[name] for name in KEYS[table][:-1])].append(row)
    unknown = 0
    for key, row in found.items():
        expected = reference_usage(usage[key[:-1]], key[-1])
        assert {name: row[name] for name in FIGURES} == expected, key
        unknown += row["active_users_28d"] is None
    assert 0 < unknown < len(found)
