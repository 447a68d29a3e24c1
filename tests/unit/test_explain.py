"""An account's score read aloud: the words are right, and what is printed adds up."""

from __future__ import annotations

import re
from datetime import date
from typing import Any

import duckdb
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dagster_project.errors import ConfigError
from dagster_project.reporting.explain import explain_account
from dagster_project.reporting.plain_words import in_tenths, points_text, value_text

DAY = date(2026, 6, 30)
BEFORE = date(2026, 5, 31)
COMPONENTS = ("engagement", "adoption", "support")
KEY = "standard/default/2026-06-15/abcdef01"


@pytest.fixture
def con() -> duckdb.DuckDBPyConnection:
    con = duckdb.connect()
    for schema in ("marts", "playbooks", "pipeline", "policy"):
        con.execute(f"create schema {schema}")
    own = ", ".join(f"{c}_score double, {c}_weight double, {c}_status varchar" for c in COMPONENTS)
    con.execute(
        f"""
        create table pipeline.publication as select date '{DAY}' as as_of_date;
        create table policy.health_measures (measure varchar, label varchar, unit varchar);
        insert into policy.health_measures values
            ('missed', 'calls missed in a row', 'calls'), ('users', 'active people', 'ratio'),
            ('days', 'time since the last call', 'days'), ('csat', 'satisfaction', 'points 1 to 5');
        create table marts.dim_account (account_id varchar, account_name varchar);
        create table marts.dim_health_policy (policy_key varchar, coverage_floor double);
        insert into marts.dim_health_policy values ('{KEY}', 0.5);
        create table marts.dim_health_override (
            override_id varchar, account_id varchar, state varchar, health_score double,
            health_zone varchar, author varchar, starts_on date, expires_on date, reason varchar);
        create table marts.fct_account_health_daily (
            account_id varchar, as_of_date date, tier varchar, arr_usd double,
            days_to_renewal integer, health_score double, health_zone varchar,
            computed_score double, computed_zone varchar, coverage_ratio double,
            unscored_reason varchar, policy_key varchar, override_reason varchar,
            override_author varchar, override_expires_on date, {own});
        create table marts.fct_health_measure_daily (
            account_id varchar, as_of_date date, component varchar, measure varchar, value double,
            measure_score double, status varchar, effective_weight double, contribution double);
        create table ledger (
            account_id varchar, as_of_date date, compared_to_date date, cause_kind varchar,
            cause varchar, points double);
        create macro marts.health_change(from_date, to_date) as table (
            select * from ledger where as_of_date = to_date and compared_to_date = from_date);
        create table playbooks.actions (
            account_id varchar, playbook_id varchar, owner_role varchar, severity varchar,
            opened_on date, due_on date, closed_on date);
        """
    )
    return con


def row(con: duckdb.DuckDBPyConnection, table: str, **values: Any) -> None:
    con.execute(
        f"insert into {table} ({', '.join(values)}) values ({', '.join('?' * len(values))})",
        list(values.values()),
    )


def health(
    con: duckdb.DuckDBPyConnection, on: date, score: float | None, zone: str | None, **more: Any
) -> None:
    given = {
        "account_id": "a1",
        "as_of_date": on,
        "tier": "enterprise",
        "arr_usd": 134_300.0,
        "days_to_renewal": 242,
        "health_score": score,
        "health_zone": zone,
        "computed_score": score,
        "computed_zone": zone,
        "coverage_ratio": 0.97,
        "policy_key": KEY,
    }
    for component in COMPONENTS:
        given[f"{component}_status"] = "scored"
        given[f"{component}_score"] = score
        given[f"{component}_weight"] = 1 / 3
    row(con, "marts.fct_account_health_daily", **{**given, **more})


def measure(
    con: duckdb.DuckDBPyConnection, on: date, component: str, name: str, value: float | None,
    status: str = "scored", score: float | None = 20.0,
) -> None:  # fmt: skip
    is_scored = status == "scored"
    row(
        con,
        "marts.fct_health_measure_daily",
        account_id="a1",
        as_of_date=on,
        component=component,
        measure=name,
        value=value,
        measure_score=score if is_scored else None,
        status=status,
        effective_weight=0.25 if is_scored else 0.0,
        contribution=0.25 * (score or 0.0) if is_scored else None,
    )


def cause(con: duckdb.DuckDBPyConnection, kind: str, name: str, points: float | None) -> None:
    row(con, "ledger", account_id="a1", as_of_date=DAY, compared_to_date=BEFORE, cause_kind=kind,
        cause=name, points=points)  # fmt: skip


def falling(con: duckdb.DuckDBPyConnection) -> None:
    row(con, "marts.dim_account", account_id="a1", account_name="Kedmora Health")
    health(con, BEFORE, 43.14, "orange")
    health(con, DAY, 26.02, "red")
    for on, missed, users, days in ((BEFORE, 0, 0.31, 13), (DAY, 4, 0.15, 43)):
        measure(con, on, "engagement", "missed", missed)
        measure(con, on, "adoption", "users", users, score=80.0)
        measure(con, on, "engagement", "days", days)
    measure(con, BEFORE, "support", "csat", 2.0)
    measure(con, DAY, "support", "csat", 2.0, "stale")
    cause(con, "behaviour", "missed", -5.25)
    cause(con, "behaviour", "days", -2.5)
    cause(con, "behaviour", "users", -8.04)
    cause(con, "coverage", "csat", -0.33)
    cause(con, "config", KEY, -1.0)


def moves_of(text: str) -> tuple[float, list[float]]:
    """The printed move and the printed points of its groups."""
    (block,) = [part for part in text.split("\n\n") if " since " in part.splitlines()[0]]
    head, *lines = block.splitlines()
    return float(head.split()[0]), [float(line.split()[1]) for line in lines]


def test_a_fall_is_read_aloud_in_groups_that_add_up(con: duckdb.DuckDBPyConnection) -> None:
    falling(con)
    text = explain_account(con, "kedmora health")
    assert text.startswith("Kedmora Health (a1), 30 June 2026: 26.0, red\nenterprise, ARR 134,300")
    assert "-17.1 since 31 May 2026 (43.1 to 26.0, orange to red)" in text
    move, groups = moves_of(text)
    assert move == -17.1
    assert round(sum(groups), 1) == move
    assert re.search(r"adoption +-8\.\d  active people: 15 % \(was 31 %\)\n", text)
    assert "calls missed in a row: 4 (was 0)" in text
    assert "time since the last call: 43 days (was 13 days)" in text
    assert re.search(r"coverage +-0\.3  satisfaction: went out of date\n", text)
    assert re.search(
        r"policy +-1\.0  scored by policy standard of 15 June 2026, profile default now\n", text
    )
    # 0.25 of the weight each; what is furthest from 100 stands first.
    assert re.search(r"full marks\n +-20\.0  time since the last call: 43 days\n", text)
    assert "out of date: satisfaction (last 2.0 of 5)" in text
    assert "computed score" in text


def test_an_override_says_who_until_when_and_what_is_computed(
    con: duckdb.DuckDBPyConnection,
) -> None:
    row(con, "marts.dim_account", account_id="a1", account_name=None)
    health(con, BEFORE, 68.8, "yellow")
    health(con, DAY, 82.0, "green", computed_score=62.1, computed_zone="yellow",
           override_reason="the move explains it", override_author="ann",
           override_expires_on=date(2026, 7, 8))  # fmt: skip
    cause(con, "override", "override", 19.9)
    cause(con, "behaviour", "missed", -6.7)
    measure(con, BEFORE, "engagement", "missed", 0)
    measure(con, DAY, "engagement", "missed", 3)
    row(con, "marts.dim_health_override", override_id="o2", account_id="a1", state="planned",
        health_zone="orange", author="bob", starts_on=date(2026, 7, 10),
        expires_on=date(2026, 8, 1), reason="until the new sponsor is there")  # fmt: skip
    text = explain_account(con, "a1")
    assert "Set by ann until 8 July 2026 (8 days left): the move explains it. " in text
    assert "Computed: 62.1, yellow." in text
    assert "bob sets it to orange from 10 July 2026 to 1 August 2026" in text
    assert re.search(r"\+13\.2 since 31 May 2026 .*yellow to green.*\n  override +\+19\.9", text)


@pytest.mark.parametrize(
    ("old", "new", "kind", "said"),
    [
        (None, 60.0, "coverage", "it had no score then, so the move has no size"),
        (60.0, None, "coverage", "it had 60.0, yellow; it has no score now, so the move"),
        (60.0, None, "config", "it had 60.0, yellow; it has no score now by another policy, so"),
        (None, None, None, "it had no score then, and has none now"),
    ],
)
def test_a_move_without_size_is_said_not_guessed(
    con: duckdb.DuckDBPyConnection, old: float | None, new: float | None, kind: str | None,
    said: str,
) -> None:  # fmt: skip
    row(con, "marts.dim_account", account_id="a1", account_name="A")
    health(con, BEFORE, old, "yellow" if old else None)
    health(con, DAY, new, "yellow" if new else None, unscored_reason=None if new else "no_data",
           coverage_ratio=0.4)  # fmt: skip
    if kind:
        cause(con, kind, "became_unscored" if new is None else "became_scored", None)
    text = explain_account(con, "a1")
    assert f"Since 31 May 2026: {said}" in text
    if new is None:
        assert "no score" in text.splitlines()[0]
        assert "40 % of the weight is scored, 50 % are needed; most of the rest: no data" in text


def test_open_actions_are_counted_by_playbook(con: duckdb.DuckDBPyConnection) -> None:
    falling(con)
    for due, severity in ((3, "low"), (9, "high"), (40, "medium")):
        row(con, "playbooks.actions", account_id="a1", playbook_id="PB_calls", owner_role="ca",
            severity=severity, opened_on=date(2026, 6, 1),
            due_on=date.fromordinal(date(2026, 6, 1).toordinal() + due))  # fmt: skip
    row(con, "playbooks.actions", account_id="a1", playbook_id="PB_done", owner_role="ca",
        severity="low", opened_on=date(2026, 6, 1), due_on=DAY, closed_on=DAY)  # fmt: skip
    text = explain_account(con, "a1")
    assert re.search(r"PB_calls +high +ca +3 open, 2 overdue, first due 4 June 2026", text)
    assert "PB_done" not in text


def test_an_unknown_account_or_day_is_refused_with_the_nearest(
    con: duckdb.DuckDBPyConnection,
) -> None:
    falling(con)
    with pytest.raises(ConfigError, match="did you mean Kedmora Health"):
        explain_account(con, "Kedmora Healt")
    with pytest.raises(ConfigError, match="it has days from 2026-05-31 to 2026-06-30"):
        explain_account(con, "a1", as_of=date(2026, 6, 1))
    with pytest.raises(ConfigError, match="must lie before"):
        explain_account(con, "a1", since=DAY)


@pytest.mark.parametrize(
    ("value", "unit", "text"),
    [
        (0.154, "ratio", "15 %"),
        (12.0, "%", "12 %"),
        (1.0, "days", "1 day"),
        (13.5, "days", "13.5 days"),
        (-2.0, "stages", "-2 stages"),
        (1.0, "stages", "+1 stage"),
        (4.0, "calls", "4"),
        (0.305, "tickets per seat", "0.3"),
        (3.0, "points 1 to 5", "3.0 of 5"),
        (1.0, "0 or 1", "yes"),
        (-0.23, "-1 to 1", "-0.23"),
        (0.5, "0 to 1", "50 %"),
        (1234.0, "count", "1,234"),
    ],
)
def test_values_are_said_in_their_unit(value: float, unit: str, text: str) -> None:
    assert value_text(value, unit) == text


@given(st.lists(st.floats(-50, 50), min_size=1, max_size=12))
def test_rounded_parts_add_up_and_stay_near(parts: list[float]) -> None:
    total = round(10 * sum(parts))
    tenths = in_tenths(parts, total)
    assert sum(tenths) == total
    assert all(abs(own - 10 * part) <= 1.0 + 1e-9 for own, part in zip(tenths, parts, strict=True))
    assert points_text(0) == "0.0"
