"""Laws of the score and its ledger over drawn accounts, while the policy changes under them.

The models that score and compare are the real ones; what they measure is drawn here, so that a law
is held on values no sample would bring. The policy changes in mid-range in every way it can.
"""

from __future__ import annotations

import csv
import json
import os
import random
import shutil
import subprocess
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import duckdb
import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dagster_project.defs.dbt_project import dbt_executable
from dagster_project.policy import check_policy
from dagster_project.settings import PROJECT_ROOT

pytestmark = pytest.mark.slow

FIRST = date(2026, 3, 1)
DAYS = 40
# Days on which the policy changes, and days without a change on which one measure does.
WEIGHTS_ON, RULES_ON, FORCE_ON, SCALED_ON = 12, 20, 26, 34
QUIET = (5, 30)
GAUGE = "laws_gauge"
# Taken out of the policy from RULES_ON on.
DROPPED = "feature_breadth"
FORCING, FORCED_TO, FORCE_AT = "csm_pulse", 20.0, 25.0
REDEFINED = "nps_score"
Rows = list[dict[str, str]]


def day(number: int) -> date:
    return FIRST + timedelta(days=number)


# --- the policy and its changes ------------------------------------------------------------------


def edit(seeds: Path, table: str, change: Callable[[Rows], Iterable[dict[str, str]]]) -> None:
    """Add what `change` makes of a seed's rows to them."""
    (path,) = seeds.rglob(f"{table}.csv")
    with path.open(newline="") as handle:
        reader = csv.DictReader(handle)
        rows = list(reader)
        columns = list(reader.fieldnames or [])
    rows += change([row for row in rows if row.get("policy_set", "standard") == "standard"])
    with path.open("w", newline="") as handle:
        writer = csv.DictWriter(handle, columns, lineterminator="\n", restval="")
        writer.writeheader()
        writer.writerows(rows)


def times(rows: Rows, factor: float, on: int, **more: str) -> Rows:
    """The newest rows of each subject with their weight multiplied, from a day on."""
    newest: dict[tuple[str, ...], dict[str, str]] = {}
    for row in sorted(rows, key=lambda row: row["effective_from"]):
        key = (row["profile_id"], row.get("measure") or row.get("component") or "")
        newest[key] = row
    return [
        {
            **row,
            **more,
            "weight": str(float(row["weight"]) * factor),
            "effective_from": str(day(on)),
        }
        for row in newest.values()
        if row["weight"]
    ]


def change_policy(seeds: Path) -> None:
    """Everything that happens to the policy in these 40 days, each with its day."""
    one = {"policy_set": "standard", "profile_id": "default"}
    edit(
        seeds,
        "health_measures",
        lambda _: [
            {
                "measure": GAUGE,
                "component": "adoption",
                "measure_order": "299",
                "source": "gauge",
                "gauge_measure": GAUGE,
                "better": "higher",
                "label": "a gauge",
                "unit": "count",
                "description": "A gauge that became a measure",
            }
        ],
    )
    edit(
        seeds,
        "health_profiles",
        lambda _: [
            {
                **one,
                "profile_id": "young",
                "priority": "5",
                "max_tenure_days": "50",
                "effective_from": "2000-01-01",
                "description": "A profile that accounts grow out of",
            }
        ],
    )
    edit(
        seeds,
        "health_component_weights",
        lambda _: [
            {**one, "profile_id": "young", "component": "outcomes", "weight": "3",
             "effective_from": "2000-01-01"},
            {**one, "component": "engagement", "weight": "35",
             "effective_from": str(day(WEIGHTS_ON))},
            {**one, "component": "commercial", "weight": "4",
             "effective_from": str(day(WEIGHTS_ON))},
        ],
    )  # fmt: skip

    def lines(rows: Rows) -> Rows:
        default = {row["measure"]: row for row in rows if row["profile_id"] == "default"}

        def from_day(measure: str, on: int, **cells: str) -> dict[str, str]:
            return {**default[measure], **cells, "effective_from": str(day(on))}

        return [
            from_day("active_days", WEIGHTS_ON, weight="40", ceiling_value="12"),
            from_day("tickets_per_seat", WEIGHTS_ON, method="linear", floor_value="0.2"),
            from_day("csat_score", RULES_ON, expiry_days="4"),
            {**one, "measure": DROPPED, "effective_from": str(day(RULES_ON))},
            {**one, "profile_id": "tier_commercial", "measure": DROPPED,
             "effective_from": str(day(RULES_ON))},
            from_day(FORCING, FORCE_ON, force_scope="component", force_at_or_below=str(FORCE_AT),
                     force_to=str(FORCED_TO)),
            {**one, "measure": GAUGE, "weight": "30", "method": "linear", "floor_value": "0",
             "ceiling_value": "10", "expiry_days": "60", "min_tenure_days": "30",
             "effective_from": str(day(FORCE_ON))},
        ]  # fmt: skip

    edit(seeds, "health_measure_policy", lines)
    edit(
        seeds,
        "health_policy",
        lambda _: [
            {"policy_set": "standard", "parameter": "coverage_floor", "value": "0.75",
             "unit": "ratio", "effective_from": str(day(RULES_ON))}
        ],
    )  # fmt: skip
    edit(
        seeds,
        "health_definitions",
        lambda _: [
            {"parameter": "survey_window_days", "value": "30", "unit": "days",
             "effective_from": str(day(RULES_ON))}
        ],
    )  # fmt: skip
    # Of equal effect: every weight of a level times the same number.
    edit(seeds, "health_component_weights", lambda rows: times(rows, 7, SCALED_ON))
    edit(seeds, "health_measure_policy", lambda rows: times(rows, 3, SCALED_ON))
    edit(
        seeds,
        "health_bands",
        lambda rows: [{**row, "effective_from": str(day(SCALED_ON))} for row in rows],
    )


def known_on(seeds: Path, last: date) -> None:
    """Take out what begins after the day: the policy as its authors had it then."""
    for path in seeds.rglob("health/*.csv"):
        with path.open(newline="") as handle:
            reader = csv.DictReader(handle)
            rows = list(reader)
            columns = list(reader.fieldnames or [])
        if "effective_from" not in columns:
            continue
        with path.open("w", newline="") as handle:
            writer = csv.DictWriter(handle, columns, lineterminator="\n")
            writer.writeheader()
            writer.writerows(row for row in rows if row["effective_from"] <= str(last))


# --- the accounts --------------------------------------------------------------------------------


@dataclass
class Reading:
    """One measure on one day; no value is silence."""

    value: float | None
    age_days: int = 0
    is_applicable: bool = True


@dataclass
class Drawn:
    """An account: per day its readings by measure, and what a person set."""

    account_id: str
    tier: str
    tenure_days: int
    readings: list[dict[str, Reading]]
    overrides: dict[int, tuple[float | None, str | None]] = field(default_factory=dict)


@dataclass(frozen=True)
class Line:
    """Where a measure's values lie, and which end is the better."""

    low: float
    high: float
    better: str


def lines_of(seeds: Path) -> dict[str, Line]:
    """Per measure of the standard set the span its values are drawn from."""
    better = {}
    with (seeds / "health" / "health_measures.csv").open(newline="") as handle:
        for row in csv.DictReader(handle):
            better[row["measure"]] = row["better"]
    found: dict[str, Line] = {}
    with (seeds / "health" / "health_measure_policy.csv").open(newline="") as handle:
        for row in csv.DictReader(handle):
            name = row["measure"]
            if row["policy_set"] != "standard" or name in found:
                continue
            edges = [float(row[c]) for c in ("floor_value", "ceiling_value") if row[c]] or [0, 4]
            found[name] = Line(min(edges), max(edges), better[name])
    found[GAUGE] = Line(0, 10, "higher")
    return found


def draw(lines: dict[str, Line], seed: int) -> list[Drawn]:
    rng = random.Random(seed)
    drawn: list[Drawn] = []

    def value(line: Line) -> float:
        # A little beyond both ends, where the line is flat.
        return rng.uniform(line.low - 0.2 * (line.high - line.low), line.high * 1.2)

    for number in range(24):
        now = {name: Reading(value(line)) for name, line in lines.items()}
        days: list[dict[str, Reading]] = []
        for _ in range(DAYS):
            for name, line in lines.items():
                luck = rng.random()
                old = now[name]
                if luck < 0.10:
                    now[name] = Reading(value(line))
                elif luck < 0.14:
                    now[name] = Reading(None, is_applicable=rng.random() < 0.5)
                elif old.value is not None:
                    now[name] = Reading(old.value, old.age_days + rng.choice((0, 1, 9)))
            if rng.random() < 0.03:
                now = dict.fromkeys(now, Reading(None))
            days.append(dict(now))
        overrides: dict[int, tuple[float | None, str | None]] = {}
        if number % 4 == 0:
            start = rng.randrange(DAYS - 8)
            what = rng.choice(((rng.uniform(0, 100), None), (None, "red"), (55.0, "orange")))
            overrides = dict.fromkeys(range(start, start + 8), what)
        tier = rng.choice(("strategic", "enterprise", "commercial"))
        drawn.append(Drawn(f"any{number}", tier, rng.choice((5, 20, 300)), days, overrides))

    # Still accounts: all is the same on every day, but one measure from a quiet day on.
    for name, line in lines.items():
        for quiet in QUIET:
            base = {other: Reading(value(span)) for other, span in lines.items()}
            # A bad pulse forces: its silence must be silence all the same.
            base[FORCING] = Reading(rng.choice((1.0, 1.5, 5.0)))
            # On an edge, and just under one.
            base["consecutive_missed_calls"] = Reading(rng.choice((0.0, 1.0, 2.0, 2.9999999, 3.0)))
            better = line.high if line.better == "higher" else line.low
            for kind, change in (("silent", Reading(None)), ("better", Reading(better))):
                days = [
                    {**base, name: change} if number >= quiet else base for number in range(DAYS)
                ]
                drawn.append(Drawn(f"{kind}:{name}:{quiet}", "enterprise", 300, days))
    return drawn


def fill(con: duckdb.DuckDBPyConnection, drawn: list[Drawn]) -> None:
    """The schema `world`: what the replaced models read."""
    measures: list[dict[str, Any]] = []
    days: list[dict[str, Any]] = []
    overrides: list[dict[str, Any]] = []
    for account in drawn:
        for number, readings in enumerate(account.readings):
            row: dict[str, Any] = {
                "account_id": account.account_id,
                "as_of_date": day(number),
                "tier": account.tier,
                "segment": "any",
                "tenure_days": account.tenure_days + number,
            }
            days.append(row)
            row = dict(row)
            for name, reading in readings.items():
                row[f"{name}_value"] = reading.value
                row[f"{name}_observed_on"] = day(number) - timedelta(days=reading.age_days)
                row[f"{name}_is_applicable"] = reading.is_applicable
            measures.append(row)
            if number in account.overrides:
                score, zone = account.overrides[number]
                overrides.append(
                    {
                        "account_id": account.account_id,
                        "as_of_date": day(number),
                        "override_id": "o",
                        "override_score": score,
                        "override_zone": zone,
                        "override_reason": "why",
                        "override_author": "who",
                        "override_expires_on": day(DAYS),
                    }
                )
    con.execute("create schema world")
    for name, rows in (("measures", measures), ("account_days", days), ("overrides", overrides)):
        frame = pl.DataFrame(rows, infer_schema_length=None)
        con.register("_rows", frame)
        con.execute(f"create table world.{name} as select * from _rows order by all")
        con.unregister("_rows")
    con.execute(
        "create schema pipeline; create table pipeline.files "
        "(table_name varchar, status varchar, extracted_on date)"
    )


_DAYS = "where as_of_date between {{ from_date() }} and {{ as_of_date() }}"
_REPLACED = {
    "intermediate/health/int_health__measures_daily": (
        f"-- depends_on: {{{{ ref('health_measures') }}}}\nselect * from world.measures {_DAYS}\n"
    ),
    "intermediate/health/int_health__override_days": f"select * from world.overrides {_DAYS}\n",
    "intermediate/core/int_core__account_days": (
        "select *, cast(null as varchar) as region, cast(null as varchar) as owner_ca,\n"
        "    cast(null as decimal(18, 2)) as arr_usd, cast(null as integer) as days_to_renewal\n"
        f"from world.account_days {_DAYS}\n"
    ),
}
_SELECTED = (
    "path:seeds/health",
    "int_health__policy",
    "int_health__policy_wide",
    *(name.rpartition("/")[2] for name in _REPLACED),
    "fct_health_facts_daily",
    "dim_health_policy",
    "fct_account_health_daily",
    "fct_health_measure_daily",
    "fct_health_change",
)


def build(project: Path, warehouse: Path, first: int, last: int) -> None:
    done = subprocess.run(
        [
            dbt_executable(),
            "--quiet",
            "build",
            "--profiles-dir",
            str(project),
            "--exclude-resource-type",
            "test",
            "unit_test",
            "--vars",
            json.dumps({"from_date": str(day(first)), "as_of_date": str(day(last))}),
            "--select",
            *_SELECTED,
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
    assert done.returncode == 0, done.stdout[-4000:]


@dataclass(frozen=True)
class World:
    """Warehouses over the same accounts: scored at once, in parts, and with rows of policy gone."""

    backfilled: Path
    as_run: Path
    forgotten: Path


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    folder = tmp_path_factory.mktemp("laws")
    project = folder / "dbt"
    shutil.copytree(
        PROJECT_ROOT / "dbt", project, ignore=shutil.ignore_patterns("target", "logs", "tests")
    )
    (project / "tests").mkdir()
    # What is not run is not parsed either.
    for path in (project / "models").rglob("*.*"):
        if path.stem not in _SELECTED:
            path.unlink()
    for name, text in _REPLACED.items():
        (project / "models" / f"{name}.sql").write_text(text)
        (project / "models" / f"{name}.yml").unlink(missing_ok=True)
    original = folder / "original"
    shutil.copytree(project / "seeds", original)

    def set_policy(change: Callable[[Path], None]) -> None:
        shutil.rmtree(project / "seeds")
        shutil.copytree(original, project / "seeds")
        change_policy(project / "seeds")
        change(project / "seeds")
        assert check_policy(project / "seeds") == []

    empty = folder / "empty.duckdb"
    with duckdb.connect(str(empty)) as con:
        fill(con, draw(lines_of(project / "seeds"), seed=11))
    paths = {name: folder / f"{name}.duckdb" for name in ("backfilled", "as_run", "forgotten")}
    set_policy(lambda seeds: None)
    shutil.copyfile(empty, paths["backfilled"])
    build(project, paths["backfilled"], 0, DAYS - 1)

    shutil.copyfile(empty, paths["as_run"])
    set_policy(lambda seeds: known_on(seeds, day(FORCE_ON - 1)))
    build(project, paths["as_run"], 0, FORCE_ON - 1)
    shutil.copyfile(paths["as_run"], paths["forgotten"])
    set_policy(lambda seeds: None)
    build(project, paths["as_run"], FORCE_ON, DAYS - 1)

    def forget(seeds: Path) -> None:
        """Somebody deletes a measure's rows, and moves another to a different component."""
        for table in ("health_measure_policy", "health_bands"):
            path = seeds / "health" / f"{table}.csv"
            kept = [
                line.replace(",response_ratio,,", ",response_ratio,support,")
                if line.startswith("standard,")
                else line
                for line in path.read_text().splitlines()
                if not line.startswith("standard,") or ",active_days," not in line
            ]
            path.write_text("\n".join(kept) + "\n")

    set_policy(forget)
    build(project, paths["forgotten"], FORCE_ON, DAYS - 1)
    return World(**paths)


@pytest.fixture(scope="module", params=["backfilled", "as_run", "forgotten"])
def con(request: pytest.FixtureRequest, world: World) -> Iterable[duckdb.DuckDBPyConnection]:
    with duckdb.connect(str(getattr(world, request.param)), read_only=True) as opened:
        yield opened


@pytest.fixture(scope="module")
def whole(world: World) -> Iterable[duckdb.DuckDBPyConnection]:
    with duckdb.connect(str(world.backfilled), read_only=True) as opened:
        yield opened


# --- the laws ------------------------------------------------------------------------------------

# One query over the whole table: pairs whose causes do not sum to the move. The last line is the
# move without size, which is one cause without points.
SUMS = """
with moves as (
    select
        later.account_id, later.as_of_date, earlier.as_of_date as compared_to_date,
        later.health_score - earlier.health_score as move
    from marts.fct_account_health_daily as later
    inner join marts.fct_account_health_daily as earlier using (account_id)
    where {pairs} and (later.health_score is not null or earlier.health_score is not null)
),
ledger as (
    select
        account_id, as_of_date, compared_to_date, sum(points) as points, count(*) as causes
    from {ledger}
    group by all
)
select moves.*, ledger.points, ledger.causes
from moves
left join ledger using (account_id, as_of_date, compared_to_date)
where abs(moves.move - coalesce(ledger.points, 0)) > 1e-9
    or (moves.move is null and (ledger.points is not null or coalesce(ledger.causes, 0) <> 1))
"""


def test_the_whole_table_sums_to_the_moves(con: duckdb.DuckDBPyConnection) -> None:
    pairs = (
        "later.as_of_date - earlier.as_of_date in "
        "(select compared_days from policy.health_change_lags)"
    )
    assert con.execute(SUMS.format(pairs=pairs, ledger="marts.fct_health_change")).fetchall() == []
    kinds = dict(
        con.execute(
            "select cause_kind, count(*) from marts.fct_health_change group by 1"
        ).fetchall()
    )
    assert {"behaviour", "coverage", "config", "override"} <= kinds.keys()
    without_size = con.execute(
        "select distinct cause_kind, cause from marts.fct_health_change where points is null"
    ).fetchall()
    assert {("coverage", "became_unscored"), ("coverage", "became_scored")} <= set(without_size)


@settings(
    max_examples=6, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(data=st.data())
def test_any_two_days_sum_to_the_move(con: duckdb.DuckDBPyConnection, data: st.DataObject) -> None:
    first = data.draw(st.integers(0, DAYS - 2), label="earlier")
    second = data.draw(st.integers(first + 1, DAYS - 1), label="later")
    pairs = f"later.as_of_date = date '{day(second)}' and earlier.as_of_date = date '{day(first)}'"
    ledger = f"marts.health_change(date '{day(first)}', date '{day(second)}')"
    assert con.execute(SUMS.format(pairs=pairs, ledger=ledger)).fetchall() == []


def test_every_day_shows_the_measures_that_made_its_score(con: duckdb.DuckDBPyConnection) -> None:
    assert (
        con.execute(
            """
        with shares as (
            select account_id, as_of_date, sum(contribution) as points
            from marts.fct_health_measure_daily group by all
        )
        select health.account_id, health.as_of_date, health.computed_score, shares.points
        from marts.fct_account_health_daily as health
        left join shares using (account_id, as_of_date)
        where health.computed_score is not null
            and coalesce(abs(health.computed_score - shares.points) > 1e-9, true)
        """
        ).fetchall()
        == []
    )


def test_backfilled_is_as_run(world: World) -> None:
    with duckdb.connect() as both:
        both.execute(f"attach '{world.backfilled}' as one (read_only)")
        both.execute(f"attach '{world.as_run}' as parts (read_only)")
        for table in ("fct_account_health_daily", "fct_health_facts_daily"):
            # Columns that a later measure added stand in another order.
            columns = ", ".join(
                name
                for (name,) in both.execute(
                    "select column_name from duckdb_columns() where database_name = 'one' "
                    f"and table_name = '{table}' order by 1"
                ).fetchall()
            )
            rows = [
                both.execute(f"select {columns} from {name}.marts.{table} order by all").fetchall()
                for name in ("one", "parts")
            ]
            assert rows[0] == rows[1], table
        versions = both.execute(
            "select count(distinct split_part(policy_key, '/', 3)) "
            "from one.marts.fct_account_health_daily"
        ).fetchone()
    assert versions == (5,)


def causes(con: duckdb.DuckDBPyConnection, quiet: int, kind: str) -> list[tuple[Any, ...]]:
    return con.execute(
        f"""
        select
            split_part(account_id, ':', 2) as measure, cause_kind, cause, points
        from marts.health_change(date '{day(quiet - 1)}', date '{day(quiet)}')
        where account_id like '{kind}:%:{quiet}'
        order by all
        """
    ).fetchall()


@pytest.mark.parametrize("quiet", QUIET)
def test_removing_data_moves_only_coverage(whole: duckdb.DuckDBPyConnection, quiet: int) -> None:
    found = causes(whole, quiet, "silent")
    assert len(found) > 15
    wrong = [row for row in found if row[1] != "coverage" or row[2] not in {row[0], "score_cap"}]
    assert wrong == []
    if quiet > FORCE_ON:
        # A forcing measure that falls silent forces no more; that is silence, too.
        assert any(row[2] == "score_cap" for row in found)


@pytest.mark.parametrize("quiet", QUIET)
def test_the_score_is_monotone_in_every_measure(
    whole: duckdb.DuckDBPyConnection, quiet: int
) -> None:
    found = causes(whole, quiet, "better")
    assert len(found) > 15
    # What a cap takes of a gain is a cause of its own; it never takes more than the gain.
    gains = [row for row in found if row[2] != "score_cap"]
    assert [row for row in gains if row[1] != "behaviour" or row[3] < 0] == []
    assert (
        whole.execute(
            f"""
            select later.account_id from marts.fct_account_health_daily as later
            inner join marts.fct_account_health_daily as earlier
                on later.account_id = earlier.account_id
                and earlier.as_of_date = later.as_of_date - 1
            where later.as_of_date = date '{day(quiet)}'
                and later.account_id like 'better:%:{quiet}'
                and later.computed_score < earlier.computed_score - 1e-9
            """
        ).fetchall()
        == []
    )


def test_policies_of_equal_effect_score_equal(whole: duckdb.DuckDBPyConnection) -> None:
    rows = whole.execute(
        f"""
        select
            count(*), count(distinct later.policy_key || earlier.policy_key),
            max(abs(later.computed_score - earlier.computed_score)),
            count(*) filter (where later.health_zone is distinct from earlier.health_zone)
        from marts.fct_account_health_daily as later
        inner join marts.fct_account_health_daily as earlier
            on later.account_id = earlier.account_id and earlier.as_of_date = later.as_of_date - 1
        where later.as_of_date = date '{day(SCALED_ON)}' and later.policy_key <> earlier.policy_key
            and later.account_id not like 'any%'
        """
    ).fetchone()
    assert rows is not None
    count, versions, largest, moved = rows
    assert count > 50
    assert versions >= 1
    assert largest < 1e-9
    assert moved == 0
    assert (
        whole.execute(
            f"select * from marts.health_change(date '{day(SCALED_ON - 1)}', "
            f"date '{day(SCALED_ON)}') where account_id not like 'any%'"
        ).fetchall()
        == []
    )


def test_what_a_policy_redefines_is_not_charged_to_the_measure(
    whole: duckdb.DuckDBPyConnection,
) -> None:
    """NPS counts over another window from RULES_ON on: that day nothing is NPS's behaviour."""
    found = whole.execute(
        f"""
        select distinct cause_kind, cause
        from marts.health_change(date '{day(RULES_ON - 1)}', date '{day(RULES_ON)}')
        where points is not null
        """
    ).fetchall()
    kinds = {kind for kind, _ in found}
    assert {"behaviour", "config"} <= kinds
    assert [row for row in found if row[1] == REDEFINED] == []


def test_a_forcing_measure_forces_its_component(whole: duckdb.DuckDBPyConnection) -> None:
    """Pulse 1 or 1.5 of 5 scores 0 or 12.5, under the line: the component is 20 at most."""
    rows = whole.execute(
        f"""
        select
            health.as_of_date >= date '{day(FORCE_ON)}' as is_in_force,
            measure.measure_score <= {FORCE_AT} as is_bad,
            count(*),
            max(health.relationship_score),
            count(*) filter (where health.relationship_score > {FORCED_TO})
        from marts.fct_account_health_daily as health
        inner join marts.fct_health_measure_daily as measure
            on health.account_id = measure.account_id
            and health.as_of_date = measure.as_of_date and measure.measure = '{FORCING}'
        where measure.status = 'scored' and health.account_id not like 'any%'
        group by all
        order by 1, 2
        """
    ).fetchall()
    highest = {(in_force, bad): (count, top, above) for in_force, bad, count, top, above in rows}
    assert highest[True, True][0] > 100
    assert highest[True, True][1:] == (FORCED_TO, 0)
    for other in ((False, True), (False, False), (True, False)):
        assert highest[other][2] > 0, other


def test_bands_and_lines_are_half_open(whole: duckdb.DuckDBPyConnection) -> None:
    """Every scored value against the bands as written: the edge belongs to the band above."""
    assert (
        whole.execute(
            """
        select measure.account_id, measure.value, measure.measure_score, bands.score
        from marts.fct_health_measure_daily as measure
        inner join policy.health_bands as bands
            on bands.policy_set = 'standard' and bands.measure = measure.measure
            and coalesce(measure.value >= bands.band_from, true)
            and coalesce(measure.value < bands.band_to, true)
        where measure.status = 'scored' and measure.measure_score <> bands.score
        """
        ).fetchall()
        == []
    )
