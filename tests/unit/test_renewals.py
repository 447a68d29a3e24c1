"""What past renewals say: counted by hand here, honest where they are few."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import date, timedelta

import duckdb
import polars as pl
import pytest
from proof_world import OPTIONS

from dagster_project.proof.renewals import (
    Expectation,
    PastRenewals,
    Rate,
    expect_renewals,
    past_renewals,
    upcoming_renewals,
)

DAY = date(2026, 3, 31)
LEAD = 90
SETTLE = 30
RISKY = ("orange", "red")
Connection = duckdb.DuckDBPyConnection


@pytest.fixture
def con() -> Iterator[Connection]:
    with duckdb.connect() as connection:
        connection.execute("create schema marts; create schema policy")
        connection.execute(
            "create table marts.fct_account_health_daily (account_id varchar, as_of_date date, "
            "health_zone varchar, health_score double, score_change_30d double, owner_ca varchar, "
            "arr_usd decimal(18, 2), days_to_renewal integer)"
        )
        connection.execute(
            "create table marts.dim_account (account_id varchar, account_name varchar, "
            "churned_on date)"
        )
        connection.execute(
            "create table policy.health_zones as select * from (values ('green', 1), "
            "('yellow', 2), ('orange', 3), ('red', 4)) as zones(health_zone, zone_rank)"
        )
        yield connection


def add(
    con: Connection,
    account: str,
    renews_on: date,
    *,
    zone: str | None = "green",
    arr: float | None = 100,
    churned_on: date | None = None,
    arr_after: float | None = None,
    vanishes: bool = False,
) -> None:
    """An account with the day its zone is read on, and the day its renewal has settled."""
    con.execute("insert into marts.dim_account values (?, ?, ?)", [account, account, churned_on])
    add_day(con, account, renews_on - timedelta(days=LEAD), zone, arr, LEAD)
    settled = renews_on + timedelta(days=SETTLE)
    if not vanishes and (churned_on is None or churned_on > settled):
        add_day(con, account, settled, zone, arr if arr_after is None else arr_after, 335)


def add_day(
    con: Connection, account: str, day: date, zone: str | None, arr: float | None, left: int
) -> None:
    con.execute(
        "insert into marts.fct_account_health_daily values (?, ?, ?, 50, -1, 'ann', ?, ?)",
        [account, day, zone, arr, left],
    )


def by_zone(past: PastRenewals) -> dict[str, Rate]:
    return {rate.health_zone: rate for rate in past.rates}


def test_rates_are_counted_by_the_zone_before(con: Connection) -> None:
    over = DAY - timedelta(days=SETTLE)
    for number in range(12):
        add(con, f"g{number}", over - timedelta(days=number))
    for number in range(10):
        gone = over if number < 4 else None
        add(con, f"r{number}", over, zone="red", churned_on=gone)
    past = past_renewals(con, DAY, LEAD, OPTIONS)
    rates = by_zone(past)
    assert list(rates) == ["green", "red", "all"]
    assert (rates["green"].kept, rates["green"].renewals, rates["green"].ratio) == (12, 12, 1.0)
    assert (rates["red"].kept, rates["red"].renewals, rates["red"].ratio) == (6, 10, 0.6)
    assert rates["all"].kept == 18
    assert rates["red"].low is not None and rates["red"].high is not None
    assert rates["red"].low < 0.6 < rates["red"].high
    assert (past.first_on, past.last_on) == (over - timedelta(days=11), over)


def test_a_renewal_counts_once_its_outcome_is_known_and_not_before(con: Connection) -> None:
    over = DAY - timedelta(days=SETTLE)
    add(con, "known", over)
    add(con, "not_yet", over + timedelta(days=1))
    # Left for sure, but at a renewal that has not settled: who stays is not known yet, either.
    add(con, "gone_early", over + timedelta(days=1), churned_on=over)
    assert past_renewals(con, DAY, LEAD, OPTIONS).whole.renewals == 1
    assert past_renewals(con, DAY + timedelta(days=1), LEAD, OPTIONS).whole.renewals == 3


def test_who_left_later_had_renewed(con: Connection) -> None:
    over = DAY - timedelta(days=60)
    add(con, "later", over, churned_on=over + timedelta(days=SETTLE + 1))
    add(con, "then", over, churned_on=over + timedelta(days=SETTLE))
    assert past_renewals(con, DAY, LEAD, OPTIONS).whole.kept == 1


def test_who_vanished_counts_neither_way(con: Connection) -> None:
    add(con, "lost_sight_of", DAY - timedelta(days=60), vanishes=True)
    past = past_renewals(con, DAY, LEAD, OPTIONS)
    assert (past.unknown, past.whole.renewals) == (1, 0)


def test_arr_after_is_counted_without_growth(con: Connection) -> None:
    over = DAY - timedelta(days=60)
    add(con, "grew", over, arr=100, arr_after=300)
    add(con, "shrank", over, arr=100, arr_after=40)
    add(con, "left", over, arr=100, churned_on=over)
    whole = past_renewals(con, DAY, LEAD, OPTIONS).whole
    assert (whole.arr_usd, whole.stayed_usd, whole.kept_usd) == (300, 200, 140)


def test_too_few_accounts_give_no_rate_but_a_reason(con: Connection) -> None:
    over = DAY - timedelta(days=SETTLE)
    for number in range(9):
        add(con, f"g{number}", over)
    add(con, "r", over, zone="red", churned_on=over)
    rates = by_zone(past_renewals(con, DAY, LEAD, OPTIONS))
    assert rates["green"].ratio is None
    assert rates["green"].reason == "too few accounts: 9, 10 are needed"
    assert rates["all"].ratio == 0.9
    past = past_renewals(con, DAY, LEAD, OPTIONS)
    assert past.rate_for("red") == past.whole
    fewer = past_renewals(con, DAY, LEAD, replace(OPTIONS, min_group_accounts=11))
    assert fewer.rate_for("red") is None


def test_nothing_at_all_is_no_rate(con: Connection) -> None:
    past = past_renewals(con, DAY, LEAD, OPTIONS)
    assert (past.whole.renewals, past.whole.ratio, past.first_on) == (0, None, None)
    (only,) = expect_renewals(upcoming_renewals(con, DAY, 180), past, OPTIONS, RISKY)
    assert only == Expectation(None, 0, 0, 0.0, 0.0, None, None, None)


def test_what_renews_is_what_stands_on_the_day(con: Connection) -> None:
    con.execute("insert into marts.dim_account values ('a', 'Alpha', null)")
    add_day(con, "a", DAY, "red", 100, 180)
    add_day(con, "b", DAY, None, None, 0)
    add_day(con, "c", DAY, "green", 100, 181)
    add_day(con, "d", DAY - timedelta(days=1), "green", 100, 5)
    add_day(con, "e", DAY, "green", 100, -1)
    found = upcoming_renewals(con, DAY, 180)
    assert found.select("account_id", "account_name", "renews_on", "health_zone").rows() == [
        ("b", "b", DAY, "unscored"),
        ("a", "Alpha", DAY + timedelta(days=180), "red"),
    ]


def rated(zone: str, kept: int, renewals: int) -> Rate:
    return Rate(zone, renewals, renewals, kept, kept / renewals, 0.0, 1.0, 0.0, 0.0, 0.0, None)


def ahead(*rows: tuple[str, str, float | None, int]) -> pl.DataFrame:
    """(account, zone, ARR, month)"""
    return pl.DataFrame(
        [(name, zone, arr, date(2026, month, 1)) for name, zone, arr, month in rows],
        schema={
            "account_id": pl.String,
            "health_zone": pl.String,
            "arr_usd": pl.Float64,
            "renewal_month": pl.Date,
        },
        orient="row",
    )


def past_of(*rates: Rate) -> PastRenewals:
    return PastRenewals(LEAD, SETTLE, DAY, DAY, 0, rates)


def test_months_add_up_and_the_range_holds_the_expectation() -> None:
    past = past_of(rated("green", 95, 100), rated("red", 30, 100), rated("all", 125, 200))
    upcoming = ahead(
        *((f"g{n}", "green", 100.0 + n, 4 + n % 2) for n in range(40)),
        *((f"r{n}", "red", 50.0, 4) for n in range(10)),
        ("u", "green", None, 5),
    )
    *months, total = expect_renewals(upcoming, past, OPTIONS, RISKY)
    assert [one.renewal_month for one in months] == [date(2026, 4, 1), date(2026, 5, 1)]
    assert total.arr_usd == sum(one.arr_usd for one in months)
    assert total.at_risk_usd == 500
    assert (total.accounts, total.unknown_arr) == (51, 1)
    expected = sum(one.expected_usd or 0 for one in months)
    assert total.expected_usd == pytest.approx(expected)
    # By hand: the mean of what the past leaves open, half a renewal more on either side.
    green, red = 95.5 / 101, 30.5 / 101
    arr = sum(100.0 + n for n in range(40))
    assert total.expected_usd == pytest.approx(arr * green + 500 * red)
    assert total.low_usd is not None and total.high_usd is not None
    assert 0 < total.low_usd < expected < total.high_usd <= total.arr_usd
    again = expect_renewals(upcoming.reverse(), past, OPTIONS, RISKY)
    assert again[-1] == total


def test_few_renewals_and_one_large_account_make_the_range_wide() -> None:
    many = past_of(rated("green", 900, 1000), rated("all", 900, 1000))
    few = past_of(rated("green", 9, 10), rated("all", 9, 10))
    spread = ahead(*((f"a{n}", "green", 10.0, 4) for n in range(100)))
    whole = ahead(("a", "green", 1000.0, 4))

    def width(upcoming: pl.DataFrame, past: PastRenewals) -> float:
        one = expect_renewals(upcoming, past, OPTIONS, RISKY)[-1]
        assert one.high_usd is not None and one.low_usd is not None
        return one.high_usd - one.low_usd

    assert width(spread, few) > 2 * width(spread, many)
    assert width(whole, many) > 5 * width(spread, many)


def test_without_a_rate_for_anybody_nothing_is_expected() -> None:
    none = replace(rated("all", 3, 4), ratio=None)
    (_, total) = expect_renewals(ahead(("a", "red", 7.0, 4)), past_of(none), OPTIONS, RISKY)
    assert (total.arr_usd, total.at_risk_usd, total.expected_usd) == (7.0, 7.0, None)
