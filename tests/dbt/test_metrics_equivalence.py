"""Metrics over a small world: many short runs equal one long one, and both equal a plain reference
written here without SQL, case by case.

The world is drawn from a seed: zones that wander, days without a score, accounts that leave and
one that comes back, areas with a gap, actions in every state. It holds the future as well, so a run
that looked past its last day would show.
"""

from __future__ import annotations

import json
import os
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta
from pathlib import Path
from typing import Any

import duckdb
import polars as pl
import pytest
from dbt.adapters.duckdb.connections import DuckDBConnectionManager
from dbt.cli.main import dbtRunner
from dbt.contracts.graph.manifest import Manifest

from dagster_project.contracts import ensure_raw_tables
from dagster_project.playbooks import create_playbook_tables
from dagster_project.settings import Settings

pytestmark = pytest.mark.slow

FIRST = date(2024, 1, 1)
LAST = FIRST + timedelta(days=429)
FUTURE = LAST + timedelta(days=40)
SHORT_RUNS = [380, 1, 1, 7, 20, 1]
YEAR = timedelta(days=365)
QUARTER = timedelta(days=90)
DAY = timedelta(days=1)
# First report on an action: what opened before could not be reported as started.
REPORTED = FIRST + timedelta(days=25)
METRIC_TABLES = (
    "mtr_playbook_effectiveness",
    "mtr_stage_adoption",
    "mtr_engagement",
    "mtr_maturity_health_matrix",
)
CUTS = (("all", "all"), ("tier", "enterprise"), ("region", "unknown"), ("owner", "ana@x.io"))
WINDOWS = {"technical_checkin": QUARTER, "business_review": QUARTER, "executive_review": YEAR}


@dataclass
class World:
    """What the metrics read, as plain rows. `health` and `stages` are by key and day."""

    health: dict[str, dict[date, dict[str, Any]]] = field(default_factory=dict)
    stages: dict[tuple[str, str], dict[date, dict[str, Any]]] = field(default_factory=dict)
    transitions: list[dict[str, Any]] = field(default_factory=list)
    slots: list[dict[str, Any]] = field(default_factory=list)
    outreach: list[dict[str, Any]] = field(default_factory=list)
    actions: list[dict[str, Any]] = field(default_factory=list)
    openers: dict[str, str | None] = field(default_factory=dict)


def draw(seed: int) -> World:
    """A world that depends on the seed alone."""
    rng = random.Random(seed)
    world = World()
    for number in range(24):
        account = f"A{number:02d}"
        _draw_health(rng, world, account, number)
        for area in ("security", "search")[: 1 + number % 2]:
            _draw_stages(rng, world, account, area, number)
        _draw_engagement(rng, world, account)
        _draw_actions(rng, world, account)
    return world


def _days(start: date, end: date) -> Iterator[date]:
    while start < end:
        yield start
        start += DAY


def _draw_health(rng: random.Random, world: World, account: str, number: int) -> None:
    start = FIRST if number % 4 else FIRST + timedelta(days=rng.randrange(100))
    end = FUTURE if number % 5 else FIRST + timedelta(days=rng.randrange(250, 425))
    gap = range(200, 212) if number == 7 else range(0)
    tier = ("strategic", "enterprise", "commercial")[number % 3]
    days: dict[date, dict[str, Any]] = {}
    zone: str | None = "orange" if number == 3 else "green"
    for day in _days(start, end):
        if rng.random() < 0.09:
            zone = rng.choice(["green", "green", "yellow", "orange", "red", None])
        if number == 9 and (day - FIRST).days == 150:
            tier = "strategic"
        if (day - FIRST).days in gap:
            continue
        days[day] = {
            "tier": tier,
            "region": None if number % 4 == 0 else "EMEA",
            "owner_ca": ("ana@x.io", "bo@x.io", None)[number % 3],
            "health_zone": zone,
            "adoption_score": None if rng.random() < 0.1 else round(rng.uniform(20, 95), 3),
        }
    world.health[account] = days


def _draw_stages(rng: random.Random, world: World, account: str, area: str, number: int) -> None:
    first = min(world.health[account]) + timedelta(days=rng.randrange(0, 120))
    live = first + timedelta(days=rng.randrange(0, 25))
    gap = range(40, 52) if number == 11 else range(0)
    rank, days = 0, {}
    for day in sorted(world.health[account]):
        if day < first or (day - first).days in gap:
            continue
        before = rank
        if rng.random() < 0.015:
            rank = min(4, rank + 1) if rng.random() < 0.8 else max(0, rank - 1)
        if rank != before and days:
            world.transitions.append(
                {
                    "account_id": account,
                    "solution_area": area,
                    "to_stage_rank": rank,
                    "occurred_on": day,
                }
            )
        else:
            rank = before
        days[day] = {
            "stage_rank": rank,
            "stage": ("not_started", "foundation", "operational", "advanced", "optimized")[rank],
            "go_live_on": live if day >= live else first,
            "is_stalled": (day - first).days % 200 > 150,
            "arr_usd": 100 + number,
        }
    world.stages[account, area] = days


def _draw_engagement(rng: random.Random, world: World, account: str) -> None:
    for call_type, gap in (("technical_checkin", 11), ("executive_review", 60)):
        for slot, offset in enumerate(range(rng.randrange(gap), 470, gap), start=1):
            world.slots.append(
                {
                    "account_id": account,
                    "call_type": call_type,
                    "slot_number": slot,
                    "status": rng.choice(["met", "met", "missed", "open"]),
                    "decided_on": FIRST + timedelta(days=offset),
                }
            )
    for number in range(30):
        sent = datetime.combine(
            FIRST + timedelta(days=rng.randrange(470)), time(rng.randrange(24), 30)
        )
        answered = sent + timedelta(hours=rng.choice([1, 30, 168, 169, 400]))
        removed = sent.date() + timedelta(days=rng.randrange(1, 60))
        world.outreach.append(
            {
                "outreach_id": f"{account}-{number}",
                "account_id": account,
                "sent_at": sent,
                "responded_at": answered if rng.random() < 0.7 else None,
                "removed_on": removed if rng.random() < 0.1 else None,
            }
        )


def _draw_actions(rng: random.Random, world: World, account: str) -> None:
    for number in range(25):
        opened = FIRST + timedelta(days=rng.randrange(460))
        if opened not in world.health[account]:
            continue
        due = opened + timedelta(days=rng.randrange(1, 12))
        started = opened + timedelta(days=rng.randrange(0, 16)) if rng.random() < 0.7 else None
        closed = (started or opened) + timedelta(days=rng.randrange(1, 60))
        reasons = ["cancelled", "recovered", "expired", "restated"] + 3 * ["completed"]
        reason = rng.choice(reasons)
        is_open = rng.random() < 0.2
        is_completed = reason == "completed" and not is_open
        horizon = closed + timedelta(days=30)
        action = f"act_{account}_{number}"
        world.openers[action] = rng.choice(["ana@x.io", "bo@x.io", None])
        world.actions.append(
            {
                "action_id": action,
                "account_id": account,
                "playbook_id": f"PB_{number % 3}",
                "rule_id": f"rule_{number % 2}",
                "rule_version": 1 + number % 3,
                "solution_area": "search" if number % 4 == 0 else None,
                "opened_on": opened,
                "due_on": due,
                "plan_due_on": opened + timedelta(days=30),
                "started_on": started,
                "closed_on": None if is_open else closed,
                "close_reason": None if is_open else reason,
                "cancel_reason": rng.choice(["Invalid", "no time"])
                if reason == "cancelled" and not is_open
                else None,
                "objective_due_on": horizon if is_completed else None,
                "objective_met_on": closed + timedelta(days=rng.randrange(31))
                if is_completed and rng.random() < 0.6
                else None,
            }
        )


# The warehouse ---------------------------------------------------------------------------------


def store(world: World, path: Path) -> None:
    """Write the world where the metric models read it."""
    con = duckdb.connect(str(path))
    ensure_raw_tables(con)
    create_playbook_tables(con)
    con.execute("create schema marts; create schema staging")
    health = [
        {"account_id": account, "as_of_date": day} | row
        for account, days in world.health.items()
        for day, row in days.items()
    ]
    stages = [
        {"account_id": account, "solution_area": area, "as_of_date": day} | row
        for (account, area), days in world.stages.items()
        for day, row in days.items()
    ]
    for table, rows in (
        ("marts.fct_account_health_daily", health),
        ("marts.fct_stage_daily", stages),
        ("marts.fct_stage_transition", world.transitions),
        ("marts.fct_cadence_slot", world.slots),
        ("marts.dim_cadence_feed", [{"has_touchpoint_feed": True}]),
        ("staging.stg_crm__outreach", world.outreach),
        ("staging.stg_crm__playbook_runs", [{"occurred_on": REPORTED}]),
    ):
        con.register("frame", pl.DataFrame(rows, infer_schema_length=None).to_arrow())
        con.execute(f"create table {table} as select * from frame")
        con.unregister("frame")
    events = [
        {
            "action_id": action,
            "event_number": 1,
            "event": "opened",
            "detail": json.dumps({"owner": owner}),
        }
        for action, owner in world.openers.items()
    ]
    for table, rows in (("actions", world.actions), ("action_events", events)):
        con.register("frame", pl.DataFrame(rows, infer_schema_length=None).to_arrow())
        con.execute(f"insert into playbooks.{table} by name select * from frame")
        con.unregister("frame")
    con.close()


class Project:
    """The dbt project, parsed once; only its metrics are run."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.folder = Settings(data_dir=root).dbt_project
        self.manifest: Manifest | None = None

    def invoke(self, warehouse: Path, *arguments: str, **dates: date) -> None:
        os.environ["CSP_WAREHOUSE"] = str(warehouse)
        os.environ["DBT_TARGET_PATH"] = str(self.root / "target")
        common = ["--project-dir", str(self.folder), "--profiles-dir", str(self.folder)]
        common += ["--quiet", "--no-write-json", "--log-level-file", "none"]
        common += ["--vars", json.dumps({name: str(day) for name, day in dates.items()})]
        if self.manifest is None:
            parsed = dbtRunner().invoke(["parse", *common])
            assert isinstance(parsed.result, Manifest), parsed.exception
            self.manifest = parsed.result
        done = dbtRunner(manifest=self.manifest).invoke([*arguments, *common])
        failed = [
            f"{result.node.unique_id}: {result.message}"
            for result in getattr(done.result, "results", [])
            if result.status not in ("success", "pass")
        ]
        assert done.success, "\n".join(failed) or str(done.exception)


@pytest.fixture(scope="module")
def world() -> World:
    return draw(seed=11)


@pytest.fixture(scope="module")
def warehouses(
    world: World, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Path, Path]]:
    """One world computed in one run, and in many short ones of which some repeat days."""
    root = tmp_path_factory.mktemp("metrics")
    before = {name: os.environ.get(name) for name in ("CSP_WAREHOUSE", "DBT_TARGET_PATH")}
    project = Project(root)
    seeds = ["path:seeds/metrics", "stages", "call_types", "health_zones", "cadence_at_risk_zones"]
    whole, parts = root / "whole" / "build.duckdb", root / "parts" / "build.duckdb"
    for path in (whole, parts):
        path.parent.mkdir()
        store(world, path)
        project.invoke(path, "seed", "--select", *seeds, from_date=FIRST, as_of_date=LAST)

    def run(path: Path, start: date, end: date) -> None:
        # The tests of the tables run as they do every night. Two tables read what this world does
        # not have; they have unit tests, and the laws of the whole job compare them.
        arguments = (
            *("build", "--select", "tag:metrics", "--exclude", "test_type:unit"),
            *("mtr_adoption_blockers", "mtr_maturity_health_movement"),
        )
        project.invoke(path, *arguments, from_date=start, as_of_date=end)

    run(whole, FIRST, LAST)
    start = FIRST
    for length in SHORT_RUNS:
        end = min(start + timedelta(days=length - 1), LAST)
        run(parts, start, end)
        start = end + DAY
    run(parts, start - timedelta(days=5), LAST)
    DuckDBConnectionManager.close_all_connections()
    yield whole, parts
    for name, value in before.items():
        if value is None:
            os.environ.pop(name, None)
        else:
            os.environ[name] = value


@pytest.fixture(scope="module")
def con(warehouses: tuple[Path, Path]) -> Iterator[duckdb.DuckDBPyConnection]:
    with duckdb.connect(str(warehouses[0]), read_only=True) as connection:
        yield connection


def measured(
    con: duckdb.DuckDBPyConnection, table: str, metric: str, day: date, cut: tuple[str, str]
) -> tuple[Any, ...]:
    """value, numerator, denominator, at_risk_count, excluded_count; no row counts nothing."""
    row = con.execute(
        "select value, numerator, denominator, at_risk_count, excluded_count "
        f"from metrics.{table} where metric_id = ? and as_of_date = ? and dimension = ? "
        "and dimension_value = ?",
        [metric, day, *cut],
    ).fetchone()
    return row or (None, 0, 0, 0, 0)


@pytest.fixture(scope="module", params=range(6))
def some_day(request: pytest.FixtureRequest) -> date:
    chosen = random.Random(request.param).randrange(30, 430)
    return FIRST + timedelta(days=429 if request.param == 0 else chosen)


# The reference ---------------------------------------------------------------------------------


def median_of(observed: list[tuple[int, bool]]) -> int | None:
    """Kaplan-Meier median of (days, ended), by its definition."""
    survival = 1.0
    for days in sorted({days for days, _ in observed}):
        ended = sum(1 for found, is_ended in observed if is_ended and found == days)
        exposed = sum(1 for found, _ in observed if found >= days)
        survival *= 1 - ended / exposed
        if ended and survival <= 0.5 + 1e-12:
            return days
    return None


def is_cut(row: dict[str, Any], cut: tuple[str, str], owner: str | None) -> bool:
    """Whether a case with the account's attributes belongs to the cut."""
    dimension, value = cut
    return value == {
        "all": "all",
        "tier": row.get("tier") or "unknown",
        "region": row.get("region") or "unknown",
        "owner": owner or "unassigned",
    }.get(dimension)


def recovery_spells(
    days: dict[date, dict[str, Any]], day: date
) -> Iterator[tuple[date, date, bool]]:
    """(first day, first day after, ended) of the spells as known on `day`, by walking the days."""
    started: date | None = None
    green_run: list[date] = []
    known = [found for found in sorted(days) if found <= day]
    for found in known:
        zone = days[found]["health_zone"]
        is_next = bool(green_run) and found - green_run[-1] == DAY
        green_run = [*(green_run if is_next else []), found] if zone == "green" else []
        if started is None and zone in {"orange", "red"}:
            started = found
        if started is not None and len(green_run) >= 7:
            yield started, green_run[-7], True
            started = None
    if started is not None:
        yield started, day if known[-1] == day else known[-1] + DAY, False


# The laws --------------------------------------------------------------------------------------


@pytest.mark.parametrize("table", METRIC_TABLES)
def test_many_short_runs_equal_one_long_run(warehouses: tuple[Path, Path], table: str) -> None:
    whole, parts = warehouses
    with duckdb.connect() as both:
        both.execute(
            f"attach '{whole}' as whole (read_only); attach '{parts}' as parts (read_only)"
        )
        difference = both.execute(
            f"(from whole.metrics.{table} except all from parts.metrics.{table}) union all "
            f"(from parts.metrics.{table} except all from whole.metrics.{table}) limit 5"
        ).fetchall()
        days = both.execute(
            f"select min(as_of_date), max(as_of_date) from whole.metrics.{table}"
        ).fetchone()
    assert not difference
    assert days is not None
    assert days[1] == LAST
    assert days[0] == FIRST or table == "mtr_maturity_health_matrix"


@pytest.mark.parametrize("cut", CUTS)
def test_time_to_green(
    world: World, con: duckdb.DuckDBPyConnection, some_day: date, cut: tuple[str, str]
) -> None:
    observed: list[tuple[int, bool]] = []
    unseen = at_risk = 0
    for days in world.health.values():
        for start, end, is_ended in recovery_spells(days, some_day):
            if start <= some_day - YEAR or not is_cut(days[start], cut, days[start]["owner_ca"]):
                continue
            if start == FIRST:
                unseen += 1
                continue
            observed.append(((end - start).days, is_ended))
            at_risk += not is_ended and some_day in days and (end - start).days > 60
    wanted = (
        median_of(observed),
        sum(is_ended for _, is_ended in observed),
        len(observed),
        at_risk,
        unseen,
    )
    assert measured(con, "mtr_playbook_effectiveness", "time_to_green", some_day, cut) == wanted


@pytest.mark.parametrize("cut", [("all", "all"), ("solution_area", "search"), CUTS[1]])
def test_time_to_foundation(
    world: World, con: duckdb.DuckDBPyConnection, some_day: date, cut: tuple[str, str]
) -> None:
    first_seen = min(min(days) for days in world.stages.values() if days)
    observed: list[tuple[int, bool]] = []
    unseen = 0
    for (account, area), days in world.stages.items():
        known = [day for day in sorted(days) if day <= some_day]
        if not known:
            continue
        live = days[known[-1]]["go_live_on"]
        state = [day for day in known if days[day]["go_live_on"] == live]
        # The state of the day began where the days are unbroken and the go-live is the same.
        begun = known[-1]
        while begun - DAY in days and begun - DAY in state:
            begun -= DAY
        attributes = world.health[account][begun]
        is_in = area == cut[1] if cut[0] == "solution_area" else is_cut(attributes, cut, None)
        if not is_in or not some_day - YEAR < live <= some_day:
            continue
        if live < first_seen:
            unseen += 1
            continue
        reached = [
            row["occurred_on"]
            for row in world.transitions
            if (row["account_id"], row["solution_area"]) == (account, area)
            and row["to_stage_rank"] >= 1
            and row["occurred_on"] <= some_day
        ]
        if reached:
            observed.append((max((min(reached) - live).days, 0), True))
        else:
            end = some_day if known[-1] == some_day else known[-1] + DAY
            observed.append(((end - live).days, False))
    value, numerator, denominator, _, excluded = measured(
        con, "mtr_stage_adoption", "time_to_foundation", some_day, cut
    )
    assert (numerator, denominator, excluded) == (
        sum(is_ended for _, is_ended in observed),
        len(observed),
        unseen,
    )
    assert value == median_of(observed)


@pytest.mark.parametrize("cut", [("all", "all"), ("solution_area", "security"), CUTS[1]])
def test_stage_progression(
    world: World, con: duckdb.DuckDBPyConnection, some_day: date, cut: tuple[str, str]
) -> None:
    numerator = denominator = stalled = 0
    for (account, area), days in world.stages.items():
        then, now = days.get(some_day - YEAR), days.get(some_day)
        if then is None or then["stage_rank"] == 4:
            continue
        attributes = world.health[account].get(
            some_day, world.health[account].get(some_day - YEAR, {})
        )
        is_in = area == cut[1] if cut[0] == "solution_area" else is_cut(attributes, cut, None)
        if is_in:
            denominator += 1
            numerator += now is not None and now["stage_rank"] > then["stage_rank"]
            stalled += now is not None and now["is_stalled"]
    value = numerator / denominator if denominator else None
    wanted = (value, numerator, denominator, stalled, 0)
    assert measured(con, "mtr_stage_adoption", "stage_progression", some_day, cut) == wanted


@pytest.mark.parametrize("cut", [*CUTS, ("solution_area", "search")])
def test_adoption_score(
    world: World, con: duckdb.DuckDBPyConnection, some_day: date, cut: tuple[str, str]
) -> None:
    scores = [
        row["adoption_score"]
        for account, days in world.health.items()
        if (row := days.get(some_day)) and row["adoption_score"] is not None
        if (
            some_day in world.stages.get((account, cut[1]), {})
            if cut[0] == "solution_area"
            else is_cut(row, cut, row["owner_ca"])
        )
    ]
    value, _, denominator, at_risk, _ = measured(
        con, "mtr_stage_adoption", "adoption_score", some_day, cut
    )
    assert (denominator, at_risk) == (len(scores), sum(score < 40 for score in scores))
    assert value == (pytest.approx(sum(scores) / len(scores), abs=1e-9) if scores else None)


@pytest.mark.parametrize("cut", CUTS)
@pytest.mark.parametrize("metric", ["cadence_adherence", "executive_engagement"])
def test_slots(
    world: World,
    con: duckdb.DuckDBPyConnection,
    some_day: date,
    metric: str,
    cut: tuple[str, str],
) -> None:
    met = missed = 0
    for slot in world.slots:
        decided = slot["decided_on"]
        row = world.health[slot["account_id"]].get(decided)
        window = WINDOWS[slot["call_type"]]
        if metric == "executive_engagement" and slot["call_type"] != "executive_review":
            continue
        if row is None or not some_day - window < decided <= some_day:
            continue
        if is_cut(row, cut, row["owner_ca"]):
            met += slot["status"] == "met"
            missed += slot["status"] == "missed"
    value = met / (met + missed) if met + missed else None
    wanted = (value, met, met + missed, missed, 0)
    assert measured(con, "mtr_engagement", metric, some_day, cut) == wanted


@pytest.mark.parametrize("cut", CUTS)
def test_response_rate(
    world: World, con: duckdb.DuckDBPyConnection, some_day: date, cut: tuple[str, str]
) -> None:
    sent_count = answered = overdue = 0
    for row in world.outreach:
        sent, responded, removed = row["sent_at"], row["responded_at"], row["removed_on"]
        account = world.health[row["account_id"]].get(sent.date())
        if account is None or not is_cut(account, cut, account["owner_ca"]):
            continue
        if not some_day - QUARTER < sent.date() <= some_day or (removed and removed <= some_day):
            continue
        is_in_time = responded is not None and responded - sent <= timedelta(days=7)
        sent_count += 1
        answered += is_in_time and responded.date() <= some_day
        overdue += not is_in_time and (some_day - sent.date()).days > 7
    value = answered / sent_count if sent_count else None
    wanted = (value, answered, sent_count, overdue, 0)
    assert measured(con, "mtr_engagement", "response_rate", some_day, cut) == wanted


def _execution(action: dict[str, Any], day: date) -> tuple[int, int, int, int]:
    closed, started, due = action["closed_on"], action["started_on"], action["due_on"]
    if started is None and action["close_reason"] == "completed":
        started = closed
    is_closed = closed is not None and closed <= day
    is_withdrawn = is_closed and (
        action["cancel_reason"] == "Invalid"
        or action["close_reason"] == "restated"
        or (
            closed <= due and started is None and action["close_reason"] in {"recovered", "expired"}
        )
    )
    if is_withdrawn:
        return 0, 0, 0, int(closed > day - QUARTER)
    is_decided = day - QUARTER < due + DAY <= day
    is_started = started is not None and started <= day
    is_late = due < day and not is_started and not is_closed
    in_time = started is not None and started <= due
    return int(is_decided and in_time), int(is_decided), int(is_late), 0


def _completion(action: dict[str, Any], day: date) -> tuple[int, int, int, int]:
    closed, started, reason = action["closed_on"], action["started_on"], action["close_reason"]
    if started is None and reason == "completed":
        started = closed
    is_started = started is not None and started <= day
    is_closed = closed is not None and closed <= day
    is_late = is_started and not is_closed and action["plan_due_on"] < day
    if not is_closed or closed <= day - QUARTER or reason == "restated":
        return 0, 0, int(is_late), 0
    is_executed = started is not None and started <= closed
    return int(is_executed and reason == "completed"), int(is_executed), 0, 0


def _outcome(action: dict[str, Any], day: date) -> tuple[int, int, int, int]:
    horizon = action["objective_due_on"]
    if horizon is None or not day - QUARTER < horizon + DAY <= day:
        return 0, 0, 0, 0
    return int(action["objective_met_on"] is not None), 1, 0, 0


Judge = Callable[[dict[str, Any], date], tuple[int, int, int, int]]


@pytest.mark.parametrize(
    "cut",
    [
        *CUTS,
        ("playbook", "PB_1"),
        ("rule_version", "rule_1 v2"),
        ("solution_area", "search"),
        ("solution_area", "none"),
    ],
)
@pytest.mark.parametrize(
    ("metric", "judge"),
    [
        ("execution_rate", _execution),
        ("completion_rate", _completion),
        ("outcome_achievement", _outcome),
    ],
)
def test_actions(
    world: World,
    con: duckdb.DuckDBPyConnection,
    some_day: date,
    metric: str,
    judge: Judge,
    cut: tuple[str, str],
) -> None:
    totals = [0, 0, 0, 0]
    for action in world.actions:
        if not REPORTED <= action["opened_on"] <= some_day:
            continue
        row = world.health[action["account_id"]][action["opened_on"]]
        special = {
            "playbook": action["playbook_id"],
            "rule_version": f"{action['rule_id']} v{action['rule_version']}",
            "solution_area": action["solution_area"] or "none",
        }
        is_in = (
            special[cut[0]] == cut[1]
            if cut[0] in special
            else is_cut(row, cut, world.openers[action["action_id"]])
        )
        if is_in:
            totals = [sum(pair) for pair in zip(totals, judge(action, some_day), strict=True)]
    numerator, denominator, at_risk, excluded = totals
    value = numerator / denominator if denominator else None
    found = measured(con, "mtr_playbook_effectiveness", metric, some_day, cut)
    assert found == (value, numerator, denominator, at_risk, excluded)


def test_matrix_counts_every_area_once(
    world: World, con: duckdb.DuckDBPyConnection, some_day: date
) -> None:
    counts: dict[tuple[str, str, str], int] = {}
    for (account, area), days in world.stages.items():
        if some_day in days:
            zone = world.health[account][some_day]["health_zone"] or "unscored"
            key = (area, days[some_day]["stage"], zone)
            counts[key] = counts.get(key, 0) + 1
    rows = con.execute(
        "select solution_area, stage, health_zone, account_count "
        "from metrics.mtr_maturity_health_matrix where as_of_date = ?",
        [some_day],
    ).fetchall()
    assert {tuple(row[:3]): row[3] for row in rows if row[3]} == counts
    assert len(rows) == len({row[0] for row in rows}) * 5 * 5


def test_cuts_add_up_to_all(con: duckdb.DuckDBPyConnection) -> None:
    """Every case is in exactly one value of each cut, except that an account may have two areas."""
    for table in METRIC_TABLES[:3]:
        wrong = con.execute(
            f"""
            with cuts as (
                select metric_id, as_of_date, dimension, sum(denominator) as denominator,
                    sum(numerator) as numerator, sum(excluded_count) as excluded_count
                from metrics.{table} where dimension <> 'all' group by all
            )
            select cuts.*, whole.denominator from cuts
            inner join metrics.{table} as whole
                on cuts.metric_id = whole.metric_id and cuts.as_of_date = whole.as_of_date
                and whole.dimension = 'all'
            where (cuts.denominator <> whole.denominator
                or abs(cuts.numerator - whole.numerator) > 1e-6
                or cuts.excluded_count <> whole.excluded_count)
                and not (cuts.metric_id = 'adoption_score' and cuts.dimension = 'solution_area')
            limit 5
            """
        ).fetchall()
        assert not wrong
