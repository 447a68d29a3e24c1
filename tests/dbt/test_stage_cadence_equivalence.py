"""Stages and cadence over a small world: many short runs equal one long one, and both equal a
plain day-by-day reference written here without SQL.

The world is drawn from a seed: tiers that change, pauses, churn, areas with gaps, gauges that cross
their thresholds, evidence that is revoked, calls early, late and twice, and meeting notes on calls
that the CRM has and has not. Zones are given, not computed, so that the bent cadence is tested
without the health models.

The policy is the shipped one and rows more: a fourth solution area and a further type of call. No
model knows of them.
"""

from __future__ import annotations

import json
import math
import os
import random
import shutil
from collections import defaultdict
from collections.abc import Iterator
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import duckdb
import polars as pl
import pytest
from dbt.adapters.duckdb.connections import DuckDBConnectionManager
from dbt.cli.main import dbtRunner
from dbt.contracts.graph.manifest import Manifest

from dagster_project.contracts import ensure_raw_tables
from dagster_project.policy import check_policy, vocabulary
from dagster_project.settings import PROJECT_ROOT

pytestmark = pytest.mark.slow

FIRST = date(2024, 1, 1)
LAST = date(2024, 7, 3)
# One long run, then short ones whose borders fall into graces, runs of days and open slots.
SHORT_RUNS = [100, 1, 1, 14, 6, 32, 30, 1]
EXTRACTED = date(2024, 1, 1)
MICRO = 1_000_000

MODELS = [
    "+fct_stage_criterion",
    "+fct_stage_blocker",
    "fct_enablement_activity",
    "+fct_cadence_slot",
    "+fct_cadence_daily",
    "int_cadence__tier_adherence_daily",
]
# Everything that is stored from run to run or published, with the column that dates it.
STORED = {
    "intermediate.int_stages__criterion_changes": None,
    "intermediate.int_stages__latch_changes": None,
    "intermediate.int_cadence__tier_rate_changes": None,
    "intermediate.int_cadence__bent_rate_changes": None,
    "intermediate.int_cadence__tier_slots": None,
    "intermediate.int_cadence__bent_slots": None,
    "marts.fct_cadence_schedule_daily": None,
    "intermediate.int_cadence__tier_adherence_daily": "as_of_date",
    "marts.fct_stage_daily": None,
    "marts.fct_stage_transition": None,
    "marts.fct_stage_criterion": None,
    "marts.fct_stage_blocker": None,
    "marts.fct_enablement_activity": None,
    "marts.fct_cadence_slot": None,
    "marts.fct_cadence_daily": None,
}
GAUGES = {
    "security": {
        "data_sources_connected": 1,
        "dashboards_active": 1,
        "detection_rules_active": 20,
        "mttd_minutes": 0,
        "custom_rules_active": 1,
        "manual_effort_reduction_pct": 30,
        "correlation_sources": 2,
    },
    "search": {
        "indices_created": 1,
        "queries_per_day": 1,
        "relevance_tests": 1,
        "integrations_active": 1,
        "vector_indices": 1,
        "use_cases_live": 3,
    },
}
EVIDENCE = {
    "security": ["sec_alerting_tuned", "sec_soc_workflow_integrated", "sec_soar_integrated"],
    "search": ["srch_basic_search", "srch_growing_users"],
}
# Rows that an analyst adds to the seeds, by file.
MORE_POLICY = {
    "stages/solution_areas": "analytics,Analytics,4,Reports and forecasts",
    "stages/stage_measures": 'reports_published,gauge,count,"Reports that people open"',
    "stages/stage_criteria": """\
ana_reports,analytics,foundation,A report,measure,reports_published,at_least,1,1.00,true,180,Any
ana_reviewed,analytics,operational,Reports are reviewed,evidence,,,,1.00,true,,Every week
ana_many,analytics,advanced,Many,measure,reports_published,at_least,50,1.00,false,180,Fifty or more
ana_planned,analytics,optimized,Plans rest on it,evidence,,,,1.00,false,,A person confirms it""",
    "stages/enablement_activities": """\
enable_ana_reports,analytics,foundation,ana_reports,First report,CA,guided session,2
enable_ana_reviewed,analytics,operational,ana_reviewed,Review set-up,CA,meeting,1""",
    "cadence/call_types": "success_planning,Success planning,rate,5,45,60,180,Half-year plans",
    "cadence/cadence_intervals": """\
strategic,success_planning,21,days
enterprise,success_planning,1,months
commercial,success_planning,2,months
at_risk,success_planning,10,days""",
}
ANALYTICS_ACCOUNTS = (1, 3, 5)


def day(number: int) -> date:
    return FIRST + timedelta(days=number)


def insert(con: duckdb.DuckDBPyConnection, table: str, rows: list[dict[str, Any]]) -> None:
    lineage = {"_source_file": "f.csv", "_source_line": 1, "_is_deleted": False}
    frame = pl.DataFrame(
        [{"_extracted_on": EXTRACTED} | lineage | row for row in rows], infer_schema_length=None
    )
    stored = {r[0] for r in con.execute(f"describe {table}").fetchall()}
    frame = frame.select([name for name in frame.columns if name in stored])
    con.register("frame", frame.to_arrow())
    con.execute(f"insert into {table} by name select * from frame")
    con.unregister("frame")


def draw_world(path: Path, seed: int) -> None:
    """Fill the raw tables of a new build file; what is drawn depends on the seed alone."""
    rng = random.Random(seed)
    accounts, subscriptions, usage, gauges, evidence, calls, zones, blockers = (
        [] for _ in range(8)
    )
    days = (LAST - FIRST).days + 1
    for number in range(10):
        account = f"A{number:02d}"
        tier = ["strategic", "enterprise", "commercial"][number % 3]
        # One account is older than the history, one joins late, one leaves, one pauses.
        since = day({0: -200, 1: 40}.get(number, 0))
        row: dict[str, Any] = {
            "account_id": account,
            "account_name": account,
            "tier": tier,
            "customer_since_on": since,
            "churned_on": day(150) if number == 2 else None,
            "paused_from_on": day(70) if number == 3 else None,
            "paused_until_on": day(104) if number == 3 else None,
            "is_at_risk": number == 4,
        }
        accounts.append(row)
        if number == 5:  # the tier changes on an extract of its own
            accounts.append(row | {"tier": "strategic", "_extracted_on": day(95)})
        zone: str | None = "green"
        for n in range(days):
            if rng.random() < 0.04:
                zone = rng.choice(["green", "yellow", "orange", "red", None])
            on = day(n)
            if since <= on and (number != 2 or on < day(150)):
                zones.append((account, on, zone))
        for area in ("security", "search") if number % 2 else ("security",):
            start = max(since, FIRST) + timedelta(days=rng.randrange(5))
            subscription = {
                "subscription_id": f"{account}-{area}",
                "account_id": account,
                "solution_area": area,
                "started_on": start,
                "renews_on": day(160),
                "ended_on": day(102) if number == 6 else None,
                "arr_usd": 1000,
                "seats": 4,
                "go_live_on": start + timedelta(days=9),
            }
            subscriptions.append(subscription)
            if number == 6:  # a gap in the subscriptions
                subscriptions.append(
                    subscription
                    | {
                        "subscription_id": f"{account}-{area}-2",
                        "started_on": day(109),
                        "ended_on": None,
                    }
                )
            for measure, threshold in GAUGES[area].items():
                level = rng.randrange(0, 60)
                for n in range(level, days, 6):
                    # Mostly met from some day on; a bad month in the middle for some.
                    bad = 60 < n < 110 and (number + len(measure)) % 4 == 0
                    value = threshold + (-1 if bad or rng.random() < 0.03 else rng.randrange(3))
                    gauges.append((account, area, measure, day(n), float(value)))
            for criterion in EVIDENCE[area]:
                confirmed = rng.randrange(10, 70)
                evidence.append(
                    {
                        "evidence_id": f"{account}-{criterion}",
                        "account_id": account,
                        "solution_area": area,
                        "criterion_id": criterion,
                        "confirmed_on": day(confirmed),
                        "revoked_on": day(confirmed + 50) if number == 7 else None,
                    }
                )
            quiet = rng.randrange(40, 90)
            for n in range(3, days):
                if quiet <= n < quiet + 45 or rng.random() < 0.4:
                    continue
                usage.append((account, area, f"u{rng.randrange(4)}", "f", day(n), 1))
            blockers.append(
                {
                    "blocker_id": f"{account}-{area}",
                    "account_id": account,
                    "solution_area": area,
                    "category": "skill",
                    "opened_on": day(50),
                    "resolved_on": day(120) if number % 3 else None,
                }
            )
        for call_type, gap in (
            ("technical_checkin", 8),
            ("business_review", 21),
            ("executive_review", 50),
            ("renewal_planning", 25),
            ("success_planning", 28),
        ):
            n = rng.randrange(gap)
            while n < days:
                calls.append(
                    {
                        "touchpoint_id": f"{account}-{call_type}-{n}-{rng.randrange(99)}",
                        "account_id": account,
                        "call_type": call_type,
                        "scheduled_on": day(n),
                        "held_on": day(n),
                        "status": "held",
                        "expected_attendee_count": 4,
                        "attended_count": rng.randrange(5),
                        "is_executive_present": rng.random() < 0.5,
                    }
                )
                n += rng.choice([0, 1, gap // 2, gap, gap, gap + 2, 2 * gap])
    # Equal numbers in one key would be one call; keep the first.
    calls = list({c["touchpoint_id"]: c for c in calls}.values())
    for number in ANALYTICS_ACCOUNTS:
        account = f"A{number:02d}"
        start = day(45)
        subscriptions.append(
            {
                "subscription_id": f"{account}-analytics",
                "account_id": account,
                "solution_area": "analytics",
                "started_on": start,
                "arr_usd": 500,
                "seats": 4,
                "go_live_on": start,
            }
        )
        gauges += [
            (account, "analytics", "reports_published", day(n), float(n > 60))
            for n in range(50, days, 5)
        ]
        if number != 5:
            evidence.append(
                {
                    "evidence_id": f"{account}-ana",
                    "account_id": account,
                    "solution_area": "analytics",
                    "criterion_id": "ana_reviewed",
                    "confirmed_on": day(90),
                }
            )
    notes = draw_notes(random.Random(seed + 1), calls)
    con = duckdb.connect(str(path))
    ensure_raw_tables(con)
    insert(con, "raw_crm.accounts", accounts)
    insert(con, "raw_crm.subscriptions", subscriptions)
    insert(con, "raw_crm.stage_evidence", evidence)
    insert(con, "raw_crm.touchpoints", calls)
    insert(con, "raw_infohub.notes", notes)
    insert(con, "raw_crm.adoption_blockers", blockers)
    insert(
        con,
        "raw_usage.solution_measures",
        [
            dict(
                zip(
                    ("account_id", "solution_area", "measure", "measured_on", "value"),
                    g,
                    strict=True,
                )
            )
            for g in gauges
        ],
    )
    insert(
        con,
        "raw_usage.feature_usage",
        [
            dict(
                zip(
                    ("account_id", "solution_area", "user_id", "feature", "used_on", "usage_count"),
                    u,
                    strict=True,
                )
            )
            for u in usage
        ],
    )
    con.execute("create schema if not exists marts")
    con.execute(
        "create table marts.fct_account_health_daily"
        " (account_id varchar, as_of_date date, health_zone varchar)"
    )
    con.executemany("insert into marts.fct_account_health_daily values (?, ?, ?)", zones)
    con.close()


def draw_notes(rng: random.Random, calls: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Notes on some of the calls, and on calls that only the notes tell of."""
    notes = []
    for number, call in enumerate(calls):
        told = rng.random()
        if told < 0.3:
            later = 0 if told < 0.15 else rng.randrange(1, 4)
            notes.append(
                {
                    "note_id": f"note-{number:04d}",
                    "account_id": call["account_id"],
                    "call_type": call["call_type"],
                    "held_on": min(call["held_on"] + timedelta(days=later), LAST),
                    "attended_count": 2,
                    "sentiment": 0.5,
                }
            )
    return notes


class Project:
    """The dbt project with more policy, parsed once, run over build files in this process."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.project = root / "dbt"
        shutil.copytree(
            PROJECT_ROOT / "dbt", self.project, ignore=shutil.ignore_patterns("target", "logs")
        )
        for name, rows in MORE_POLICY.items():
            seed = self.project / "seeds" / f"{name}.csv"
            seed.write_text(seed.read_text().rstrip("\n") + "\n" + rows + "\n")
        self.manifest: Manifest | None = None

    def invoke(self, warehouse: Path, *arguments: str, **dates: date) -> None:
        os.environ["CSP_WAREHOUSE"] = str(warehouse)
        os.environ["DBT_TARGET_PATH"] = str(self.root / "target")
        common = ["--project-dir", str(self.project), "--profiles-dir", str(self.project)]
        common += [
            "--quiet",
            "--no-write-json",
            "--log-level-file",
            "none",
            "--vars",
            json.dumps({k: str(v) for k, v in dates.items()}),
        ]
        if self.manifest is None:  # parsing takes longer than a run
            parsed = dbtRunner().invoke(["parse", *common])
            assert isinstance(parsed.result, Manifest), parsed.exception
            self.manifest = parsed.result
        done = dbtRunner(manifest=self.manifest).invoke([*arguments, *common])
        failed = [
            f"{r.node.unique_id}: {r.message}"
            for r in getattr(done.result, "results", [])
            if r.status not in ("success", "pass")
        ]
        assert done.success, "\n".join(failed) or str(done.exception)

    def run(self, warehouse: Path, from_date: date, as_of_date: date) -> None:
        # Staging is views, read under the dates they were made with: they are made anew.
        self.invoke(
            warehouse,
            "run",
            "--select",
            *MODELS,
            "--exclude",
            "path:models/marts/health",
            "path:models/intermediate/health",
            from_date=from_date,
            as_of_date=as_of_date,
        )


@pytest.fixture(scope="module")
def worlds(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, Path]]:
    """Two build files of one world: one long run, and many short ones of which one is repeated."""
    root = tmp_path_factory.mktemp("equivalence")
    before = {name: os.environ.get(name) for name in ("CSP_WAREHOUSE", "DBT_TARGET_PATH")}
    project = Project(root)
    # One file name for both: it is the name of the database in the parsed project.
    whole, parts = root / "whole" / "build.duckdb", root / "parts" / "build.duckdb"
    for path in (whole, parts):
        path.parent.mkdir()
        draw_world(path, seed=7)
        seeds = ["path:seeds/stages", "path:seeds/cadence", "zone_multipliers"]
        project.invoke(path, "seed", "--select", *seeds, from_date=FIRST, as_of_date=LAST)
    project.run(whole, FIRST, LAST)
    start = FIRST
    for length in SHORT_RUNS:
        end = min(start + timedelta(days=length - 1), LAST)
        project.run(parts, start, end)
        if length == 32:  # late facts: some days are computed again
            project.run(parts, end - timedelta(days=20), end)
        start = end + timedelta(days=1)
    assert start == LAST + timedelta(days=1)
    DuckDBConnectionManager.close_all_connections()  # type: ignore[no-untyped-call]
    yield whole, parts
    for name, value in before.items():
        if value is None:
            os.environ.pop(name, None)
        else:
            os.environ[name] = value


def rows(path: Path, query: str) -> list[tuple[Any, ...]]:
    with duckdb.connect(str(path), read_only=True) as con:
        return con.execute(query).fetchall()


@pytest.mark.parametrize("table", STORED)
def test_many_short_runs_equal_one_long_run(worlds: tuple[Path, Path], table: str) -> None:
    whole, parts = worlds
    where = f" where {STORED[table]} = date '{LAST}'" if STORED[table] else ""
    query = f"select * from {table}{where} order by all"
    expected, found = rows(whole, query), rows(parts, query)
    assert expected, f"{table} is empty: the world is too small"
    assert [r for r in expected if r not in set(found)][:3] == []
    assert found == expected


def reference_stages(path: Path) -> dict[tuple[str, str, date], tuple[str, float | None]]:
    """(account, area, day) -> stage and readiness, by walking the days one at a time."""
    criteria = rows(
        path,
        "select c.criterion_id, c.solution_area, s.stage_rank, c.weight, c.is_mandatory"
        " from policy.stage_criteria c join policy.stages s using (stage)",
    )
    names = dict(rows(path, "select stage_rank, stage from policy.stages"))
    ((ratio, promotion, demotion),) = rows(
        path, "select required_ratio, promotion_days, demotion_days from policy.stage_policy"
    )
    met: dict[tuple[str, str], dict[date, set[str]]] = {}
    # The criteria themselves are judged by a plain join of every day with every fact.
    judged = rows(
        path,
        f"""
        with d as (select cast(unnest(generate_series(date '{FIRST}', date '{LAST}',
                   interval 1 day)) as date) as day),
        area as (select distinct account_id, solution_area from raw_crm.subscriptions),
        usage as (
            select a.account_id, a.solution_area, d.day,
                count(distinct u.user_id) filter (where u.used_on > d.day - 28) as users,
                count(distinct u.used_on) filter (where u.used_on > d.day - 28) as days,
                count(u.used_on) filter (where u.used_on > d.day - 28) as uses,
                count(u.used_on) filter (where u.used_on <= d.day - 28
                                         and u.used_on > d.day - 56) as uses_before
            from area a cross join d left join raw_usage.feature_usage u
                on u.account_id = a.account_id and u.solution_area = a.solution_area
                and u.used_on <= d.day
            group by all),
        gauge as (
            select g.account_id, g.solution_area, g.measure, d.day,
                max_by(g.value, g.measured_on) as value
            from raw_usage.solution_measures g join d on g.measured_on <= d.day group by all),
        valued as (
            select a.account_id, a.solution_area, c.criterion_id, d.day, c.direction, c.threshold,
                case c.measure when 'active_users_28d' then usage.users
                    when 'active_days_28d' then usage.days
                    when 'active_user_ratio' then usage.users / 4.0
                    when 'usage_growth_ratio' then usage.uses / nullif(usage.uses_before, 0)
                    else gauge.value end as value
            from area a join policy.stage_criteria c using (solution_area) cross join d
            left join usage on usage.account_id = a.account_id
                and usage.solution_area = a.solution_area and usage.day = d.day
            left join gauge on gauge.account_id = a.account_id
                and gauge.solution_area = a.solution_area and gauge.day = d.day
                and gauge.measure = c.measure
            where c.kind = 'measure')
        select account_id, solution_area, criterion_id, day from valued
        where value >= threshold and direction = 'at_least'
        union
        select e.account_id, e.solution_area, e.criterion_id, d.day
        from raw_crm.stage_evidence e join d on e.confirmed_on <= d.day
            and (e.revoked_on is null or e.revoked_on > d.day)
        """,
    )
    for account, area, criterion, on in judged:
        met.setdefault((account, area), defaultdict(set))[on].add(criterion)
    present = {
        (a, s, on)
        for a, s, on in rows(
            path,
            f"""select distinct s.account_id, s.solution_area, d.day from raw_crm.subscriptions s
            join (select distinct account_id, customer_since_on, churned_on
                  from raw_crm.accounts) a using (account_id)
            join (select cast(unnest(generate_series(date '{FIRST}', date '{LAST}',
                  interval 1 day)) as date) as day) d
            on d.day >= s.started_on and (s.ended_on is null or d.day < s.ended_on)
            and d.day >= a.customer_since_on and (a.churned_on is null or d.day < a.churned_on)""",
        )
    }
    result: dict[tuple[str, str, date], tuple[str, float | None]] = {}
    for account, area in sorted({(a, s) for a, s, _ in present}):
        ranks = sorted({c[2] for c in criteria if c[1] == area})
        latch = dict.fromkeys(ranks, False)
        run: dict[int, tuple[str, int]] = dict.fromkeys(ranks, ("", 0))
        stage = 0
        for n in range((LAST - FIRST).days + 1):
            on = day(n)
            holds = True
            shares: dict[int, float] = {}
            for rank in ranks:
                own = [c for c in criteria if c[1] == area and c[2] == rank]
                done = met.get((account, area), {}).get(on, set())
                weight = sum(c[3] for c in own if c[0] in done)
                total = sum(c[3] for c in own)
                shares[rank] = float(weight) / float(total)
                holds = holds and weight >= ratio * total
                holds = holds and all(c[0] in done for c in own if c[4])
                state = "absent"
                if (account, area, on) in present:
                    state = "holds" if holds else "fails"
                length = run[rank][1] + 1 if run[rank][0] == state else 1
                run[rank] = (state, length)
                if state == "holds" and length >= promotion:
                    latch[rank] = True
                if state == "fails" and length >= demotion:
                    latch[rank] = False
            reached = sum(latch.values())
            stage = min(reached, stage + 1)
            if (account, area, on) in present:
                result[(account, area, on)] = (names[stage], shares.get(stage + 1))
    return result


def test_stages_are_those_of_a_walk_through_the_days(worlds: tuple[Path, Path]) -> None:
    expected = reference_stages(worlds[0])
    found = {
        (account, area, on): (stage, readiness)
        for account, area, on, stage, readiness in rows(
            worlds[0],
            "select account_id, solution_area, as_of_date, stage, readiness_ratio"
            " from marts.fct_stage_daily",
        )
    }
    assert found.keys() == expected.keys()
    differing = [k for k in sorted(expected) if found[k][0] != expected[k][0]]
    assert not differing, [(k, found[k], expected[k]) for k in differing[:5]]
    assert all(found[k][1] == pytest.approx(expected[k][1]) for k in expected)
    stages = {stage for stage, _ in expected.values()}
    assert {"not_started", "foundation", "operational"} <= stages, stages
    kinds = {k for (k,) in rows(worlds[0], "select distinct kind from marts.fct_stage_transition")}
    assert kinds == {"promotion", "demotion"}


def reference_slots(path: Path, bent: bool) -> dict[tuple[str, str, int], tuple[Any, ...]]:
    """(account, type, number) -> opened, due, grace end, met on, of closed slots, day by day."""
    intervals = {
        (tier, kind): float(value) * (30.4375 if unit == "months" else 1)
        for tier, kind, value, unit in rows(path, "select * from policy.cadence_intervals")
    }
    bands = rows(
        path,
        "select interval_from_days, interval_to_days, grace_days from policy.cadence_grace",
    )
    multipliers = {"green": 1.0, "yellow": 1.5, "orange": 2.0, "red": 3.0, None: 1.0}
    zones = {
        (a, on): zone for a, on, zone in rows(path, "select * from marts.fct_account_health_daily")
    }
    calls: dict[tuple[str, str], list[tuple[date, str]]] = defaultdict(list)
    for account, kind, on, identity in rows(
        path,
        "select account_id, call_type, held_on, touchpoint_id from raw_crm.touchpoints"
        # A note tells of a call of its own only where the CRM has none of the type that day.
        " union all select account_id, call_type, held_on, max(note_id) from raw_infohub.notes"
        " where (account_id, call_type, held_on) not in"
        " (select (account_id, call_type, held_on) from raw_crm.touchpoints)"
        " group by account_id, call_type, held_on"
        " order by held_on, touchpoint_id",
    ):
        calls[(account, kind)].append((on, identity))
    accounts = rows(
        path,
        "select account_id, customer_since_on, churned_on, paused_from_on, paused_until_on,"
        " is_at_risk, list(tier order by _extracted_on), max(_extracted_on)"
        " from raw_crm.accounts group by all",
    )
    kinds = [
        kind
        for (kind,) in rows(
            path, "select call_type from policy.call_types where slot_kind = 'rate'"
        )
    ]
    result: dict[tuple[str, str, int], tuple[Any, ...]] = {}
    for account, since, churned, paused, until, at_risk, tiers, changed in accounts:
        for kind in kinds:
            closed: list[list[Any]] = []
            accrued, opened, grace_limit = 0, since, date.min
            idle: list[date] = []
            on = since
            while on <= LAST:
                if churned and on >= churned:
                    idle.append(on)
                    break
                tier = tiers[-1] if on >= changed else tiers[0]
                base = intervals[(tier, kind)]
                rate, interval = math.ceil(MICRO / base), base
                if bent:
                    zone = zones.get((account, on - timedelta(days=1)))
                    factor = multipliers[zone]
                    rate, interval = math.ceil(MICRO * factor / base), base / factor
                    # The flag is known from the first extract on.
                    flagged = at_risk and on >= EXTRACTED
                    if zone in ("orange", "red") or flagged:
                        risk = intervals[("at_risk", kind)]
                        rate = max(rate, math.ceil(MICRO / risk))
                        interval = min(interval, risk)
                if paused and paused <= on <= until:
                    idle.append(on)
                else:
                    accrued += rate
                    if accrued // MICRO > (accrued - rate) // MICRO:
                        grace = next(
                            g
                            for low, high, g in bands
                            if interval >= low and (high is None or interval < high)
                        )
                        grace_limit = max(grace_limit, on + timedelta(days=grace))
                        closed.append([accrued // MICRO, opened, on, grace_limit])
                        opened = on + timedelta(days=1)
                on += timedelta(days=1)
            free = list(calls[(account, kind)])
            for number, slot_opened, due, limit in closed:
                stop = min((i for i in idle if due < i <= limit), default=None)
                end = stop - timedelta(days=1) if stop else limit
                if due < FIRST:
                    continue
                met = next((c for c in free if slot_opened <= c[0] <= end), None)
                if met:
                    free.remove(met)
                result[(account, kind, number)] = (
                    slot_opened,
                    due,
                    end,
                    met[0] if met else None,
                    met[1] if met else None,
                )
    return result


@pytest.mark.parametrize(("table", "bent"), [("tier_slots", False), ("bent_slots", True)])
def test_slots_are_those_of_a_walk_through_the_days(
    worlds: tuple[Path, Path], table: str, bent: bool
) -> None:
    expected = reference_slots(worlds[0], bent)
    found = {
        (account, kind, number): tuple(slot)
        for account, kind, number, *slot in rows(
            worlds[0],
            "select account_id, call_type, slot_number, opened_on, due_on, grace_ends_on, met_on,"
            f" met_touchpoint_id from intermediate.int_cadence__{table} where is_closed",
        )
    }
    assert found.keys() == expected.keys()
    differing = [(k, found[k], expected[k]) for k in sorted(expected) if found[k] != expected[k]]
    assert not differing, differing[:5]
    assert sum(1 for slot in expected.values() if slot[3]) > 50
    assert sum(1 for slot in expected.values() if not slot[3]) > 20


def test_closed_slots_are_the_floor_of_the_integrated_rate(worlds: tuple[Path, Path]) -> None:
    wrong = rows(
        worlds[0],
        f"""
        with spans as (
            select *, coalesce(lead(as_of_date) over (partition by account_id, call_type
                order by as_of_date), date '{LAST}' + 1) as ends_on
            from intermediate.int_cadence__bent_rate_changes),
        integrated as (
            select account_id, call_type, min(accrued_micro_calls) as starts_with,
                min(accrued_micro_calls) + sum(daily_micro_calls * (ends_on - as_of_date)) as total
            from spans group by all),
        slots as (
            select account_id, call_type, count(*) filter (where is_closed) as closed
            from intermediate.int_cadence__bent_slots group by all)
        select * from integrated join slots using (account_id, call_type)
        where total // {MICRO} - starts_with // {MICRO} <> closed
        """,
    )
    assert wrong == []


def test_a_call_meets_one_slot_at_most(worlds: tuple[Path, Path]) -> None:
    twice = rows(
        worlds[0],
        "select met_touchpoint_id from marts.fct_cadence_slot"
        " where met_touchpoint_id is not null group by 1 having count(*) > 1",
    )
    assert twice == []


def test_a_tightened_rate_never_delays_a_due_date(worlds: tuple[Path, Path]) -> None:
    late = rows(
        worlds[0],
        """
        select bent.account_id, bent.call_type, bent.slot_number
        from intermediate.int_cadence__bent_slots as bent
        join intermediate.int_cadence__tier_slots as tier
            using (account_id, call_type, slot_number)
        where bent.due_on > tier.due_on
        """,
    )
    assert late == []
    sooner = rows(
        worlds[0],
        """
        select count(*) from intermediate.int_cadence__bent_slots as bent
        join intermediate.int_cadence__tier_slots as tier
            using (account_id, call_type, slot_number)
        where bent.due_on < tier.due_on
        """,
    )
    assert sooner[0][0] > 10


def test_the_policy_with_more_rows_is_whole(worlds: tuple[Path, Path]) -> None:
    seeds = worlds[0].parent.parent / "dbt" / "seeds"
    assert check_policy(seeds) == []
    lists = vocabulary(seeds)
    assert lists.solution_areas[-1] == "analytics"
    assert "success_planning" in lists.call_types


def test_a_further_area_is_policy_alone(worlds: tuple[Path, Path]) -> None:
    """Its first report came on day 65: foundation two weeks later, operational two after day 90."""
    found = rows(
        worlds[0],
        "select account_id, to_stage, occurred_on from marts.fct_stage_transition"
        " where solution_area = 'analytics' order by all",
    )
    assert found == [
        ("A01", "foundation", day(78)),
        ("A01", "operational", day(103)),
        ("A03", "foundation", day(78)),
        ("A03", "operational", day(103)),
        ("A05", "foundation", day(78)),
    ]
    assert rows(
        worlds[0],
        "select account_id, activity_id, status from marts.fct_enablement_activity"
        " where solution_area = 'analytics' and account_id in ('A01', 'A05') order by all",
    ) == [
        ("A01", "enable_ana_reports", "done"),
        ("A01", "enable_ana_reviewed", "done"),
        ("A05", "enable_ana_reports", "done"),
        ("A05", "enable_ana_reviewed", "proposed"),
    ]


def test_a_further_call_type_is_policy_alone(worlds: tuple[Path, Path]) -> None:
    ((days_, accounts, due, met, missed),) = rows(
        worlds[0],
        "select count(*), count(distinct account_id), count(next_due_on), max(met_count),"
        " max(missed_count) from marts.fct_cadence_daily where call_type = 'success_planning'",
    )
    ((other_days,),) = rows(
        worlds[0],
        "select count(*) from marts.fct_cadence_daily where call_type = 'technical_checkin'",
    )
    assert (days_, accounts) == (other_days, 10)
    assert due > 1000 and met > 1 and missed > 1


def test_a_call_in_a_note_and_in_the_crm_is_one(worlds: tuple[Path, Path]) -> None:
    """As many calls as there are of the CRM's, and notes on days the CRM tells of none."""
    ((told, notes, own, moods),) = rows(
        worlds[0],
        "select count(*), count(note_id), count(*) filter (where not is_in_crm), count(sentiment)"
        " from staging.stg_crm__touchpoints",
    )
    ((crm,),) = rows(worlds[0], "select count(*) from raw_crm.touchpoints")
    assert own > 20 and notes - own > 20, (own, notes)
    assert told == crm + own
    assert moods == notes, "what a note states stands on the call, wherever it is told"
