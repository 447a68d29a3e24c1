"""A small warehouse with the public tables that reporting reads, written by hand."""

from __future__ import annotations

import csv
from datetime import date, timedelta

import duckdb

from dagster_project.settings import PROJECT_ROOT

DAY = date(2026, 3, 20)
OWNER = "=cmd|' /C calc'!A0"
ACCOUNT = '+HYPERLINK("http://evil.example","x")'


def build(con: duckdb.DuckDBPyConnection) -> None:
    """Fill the schemas marts, playbooks, metrics and policy for 40 days up to DAY."""
    for schema in ("marts", "playbooks", "metrics", "policy"):
        con.execute(f"create schema {schema}")
    _policy(con)
    _marts(con)
    _playbooks(con)
    _metrics(con)


def _policy(con: duckdb.DuckDBPyConnection) -> None:
    path = PROJECT_ROOT / "dbt" / "seeds" / "metrics" / "metric_definitions.csv"
    con.execute(
        "create table policy.metric_definitions (metric_id varchar, metric_order integer, "
        "table_name varchar, name varchar, formula varchar, unit varchar, grain varchar, "
        "window_days integer, target double, is_target_inclusive boolean, alert double, "
        "direction varchar, owner varchar, no_data_reason varchar)"
    )
    with path.open(newline="") as handle:
        for row in csv.reader(handle):
            if row[0] != "metric_id":
                marks = ", ".join("?" for _ in row)
                con.execute(
                    f"insert into policy.metric_definitions values ({marks})",
                    [cell or None for cell in row],
                )


def _marts(con: duckdb.DuckDBPyConnection) -> None:
    con.execute(
        "create table marts.dim_account (account_id varchar, account_name varchar, tier varchar, "
        "region varchar, owner_ca varchar, arr_usd decimal(18, 2))"
    )
    con.execute(
        "insert into marts.dim_account values (?, ?, 'strategic', 'EMEA', ?, 1000000.50), "
        "('b', 'Beta', 'commercial', null, null, 500)",
        ["a", ACCOUNT, OWNER],
    )
    con.execute(
        "create table marts.fct_account_health_daily (account_id varchar, as_of_date date, "
        "arr_usd decimal(18, 2), health_score double, health_zone varchar)"
    )
    con.execute(
        "create table marts.fct_stage_daily (account_id varchar, solution_area varchar, "
        "as_of_date date, stage varchar, stage_rank integer)"
    )
    for back in range(40):
        day = DAY - timedelta(days=back)
        zone = "orange" if back < 10 else "green"
        con.execute(
            "insert into marts.fct_account_health_daily values "
            "('a', $d, 1000000.50, $s, $z), ('b', $d, 500, null, null)",
            {"d": day, "s": 55.5 if back < 10 else 85.0, "z": zone},
        )
        con.execute(
            "insert into marts.fct_stage_daily values "
            "('a', 'search', $d, 'foundation', 1), ('b', 'security', $d, 'optimized', 2)",
            {"d": day},
        )
    con.execute(
        "create table marts.fct_cadence_slot (account_id varchar, call_type varchar, "
        "slot_number bigint, status varchar, due_on date, grace_ends_on date, decided_on date)"
    )
    con.execute(
        "insert into marts.fct_cadence_slot values "
        "('a', 'executive_review', 1, 'missed', '2026-02-01', '2026-02-15', '2026-02-16'), "
        "('a', 'executive_review', 2, 'missed', '2024-02-01', '2024-02-15', '2024-02-16'), "
        "('a', 'technical_checkin', 1, 'missed', '2026-02-01', '2026-02-05', '2026-02-06'), "
        "('b', 'executive_review', 1, 'open', '2026-04-01', '2026-04-15', null)"
    )
    con.execute(
        "create view marts.fct_zone_view as "
        "select as_of_date, account_id, health_zone from marts.fct_account_health_daily"
    )


def _playbooks(con: duckdb.DuckDBPyConnection) -> None:
    con.execute(
        "create table playbooks.actions (action_id varchar, owner varchar, opened_on date, "
        "closed_on date, evidence varchar)"
    )
    con.execute(
        "insert into playbooks.actions values "
        "('act_2', '@sum', '2026-03-01', null, '{\"score\":-5}'), "
        "('act_1', ?, '2026-02-01', '2026-03-01', '-1+1'), "
        "('act_0', 'old', '2024-01-01', '2024-02-01', 'x')",
        [OWNER],
    )


def _metrics(con: duckdb.DuckDBPyConnection) -> None:
    for table in ("mtr_playbook_effectiveness", "mtr_stage_adoption", "mtr_engagement"):
        con.execute(
            f"create table metrics.{table} (metric_id varchar, as_of_date date, dimension varchar, "
            "dimension_value varchar, unit varchar, value double, target double, alert double, "
            "direction varchar, status varchar, numerator double, denominator bigint, "
            "sample_size bigint, at_risk_count bigint, excluded_count bigint, reason varchar)"
        )
        con.execute(
            f"""
            insert into metrics.{table}
            select metric_id, day::date, dimension, dimension_value, unit,
                case when unit = 'ratio' then 0.5 + 0.25 * (day::date = $day)::integer end,
                target, alert, direction,
                case when unit = 'ratio' then 'below_target' else 'no_data' end,
                3, 4, 4, 1, 0,
                case when unit <> 'ratio' then no_data_reason end
            from policy.metric_definitions,
                (select unnest(generate_series($day - 39, $day, interval 1 day)) as day),
                (values ('all', 'all'), ('owner', $owner)) as cuts(dimension, dimension_value)
            where table_name = '{table}'
            """,
            {"day": DAY, "owner": OWNER},
        )
    con.execute(
        "create table metrics.mtr_maturity_health_matrix (as_of_date date, solution_area varchar, "
        "stage varchar, health_zone varchar, account_count bigint, arr_usd decimal(18, 2))"
    )
    con.execute(
        "insert into metrics.mtr_maturity_health_matrix "
        "select $day, area, stage, zone, "
        "case when (area, stage, zone) in (('search', 'foundation', 'orange'), "
        "('security', 'optimized', 'unscored')) then 1 else 0 end, 10 "
        "from (values ('search'), ('security')) as areas(area), "
        "(values ('foundation'), ('optimized')) as stages(stage), "
        "(values ('green'), ('orange'), ('unscored')) as zones(zone)",
        {"day": DAY},
    )
