"""The backtest: a planted truth is found, chance reads as chance, and little data says so."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path

import duckdb
import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from proof_world import (
    FIRST,
    OPTIONS,
    World,
    brute_auc,
    build,
    is_rising,
    load_proof_seeds,
    true_auc,
    write,
)

from dagster_project.errors import ConfigError, CspError
from dagster_project.proof import (
    BACKTEST_TABLES,
    BacktestResult,
    SummaryRow,
    backtest,
    proof_options,
    render_backtest,
    store_backtest,
)
from dagster_project.proof.backtest import survival_median
from dagster_project.proof.discrimination import (
    Discrimination,
    discriminate,
    gain,
    logit_interval,
    wilson_interval,
)

Connection = duckdb.DuckDBPyConnection


@pytest.fixture(scope="module")
def con() -> Iterator[Connection]:
    with duckdb.connect() as connection:
        yield connection


@pytest.fixture(scope="module")
def planted() -> Iterator[Connection]:
    """Before a churn every component falls by one standard deviation."""
    with duckdb.connect() as connection:
        build(connection, World())
        yield connection


@pytest.fixture(scope="module")
def result(planted: Connection) -> BacktestResult:
    return backtest(planted, step=10, options=OPTIONS)


def judge(
    con: Connection,
    values: Sequence[float],
    lost: Sequence[bool | None],
    accounts: Sequence[int] | None = None,
    keep_as: str = "proof_influence",
) -> Discrimination:
    frame = pl.DataFrame(
        {
            "account_no": list(accounts or range(len(values))),
            "v": [float(value) for value in values],
            "y": list(lost),
        },
        schema_overrides={"y": pl.Boolean},
    ).to_arrow()
    con.register("frame", frame)
    con.execute("create or replace temp table judged as select * from frame")
    con.unregister("frame")
    return discriminate(con, "judged", "v", ["y"], keep_as=keep_as)[0]


def of(
    result: BacktestResult,
    predictor: str = "health_score",
    outcome: str = "churn",
    **wanted: object,
) -> SummaryRow:
    wanted = {"dimension": "all", **wanted}
    (row,) = [
        row
        for row in result.summary
        if row.predictor == predictor
        and row.outcome == outcome
        and all(getattr(row, name) == value for name, value in wanted.items())
    ]
    return row


# --- the measure ---------------------------------------------------------------------------------

SMALL = st.lists(st.tuples(st.integers(-3, 3), st.booleans()), min_size=2, max_size=25).filter(
    lambda rows: len({y for _, y in rows}) == 2
)


@given(rows=SMALL)
@settings(max_examples=60, deadline=None)
def test_auc_is_mann_whitney_with_ties_half(con: Connection, rows: list[tuple[int, bool]]) -> None:
    values, lost = [v for v, _ in rows], [y for _, y in rows]
    assert judge(con, values, lost).auc == pytest.approx(brute_auc(values, lost), abs=1e-12)


@given(rows=SMALL)
@settings(max_examples=30, deadline=None)
def test_nothing_changes_under_a_monotone_transform(
    con: Connection, rows: list[tuple[int, bool]]
) -> None:
    values, lost = [v for v, _ in rows], [y for _, y in rows]
    assert judge(con, [math.exp(2 * v) for v in values], lost) == judge(con, values, lost)


@given(rows=SMALL)
@settings(max_examples=30, deadline=None)
def test_turning_the_value_around_turns_the_auc_around(
    con: Connection, rows: list[tuple[int, bool]]
) -> None:
    values, lost = [v for v, _ in rows], [y for _, y in rows]
    one, other = judge(con, values, lost), judge(con, [-v for v in values], lost)
    assert one.auc is not None
    assert other.auc == pytest.approx(1 - one.auc, abs=1e-12)
    assert one.variance == (None if other.variance is None else pytest.approx(other.variance))


@given(rows=SMALL)
@settings(max_examples=40, deadline=None)
def test_variance_is_delongs_when_every_account_appears_once(
    con: Connection, rows: list[tuple[int, bool]]
) -> None:
    events = [v for v, y in rows if y]
    others = [v for v, y in rows if not y]
    found = judge(con, [v for v, _ in rows], [y for _, y in rows])
    if min(len(events), len(others)) < 2:
        assert found.variance is None
        return

    def beats(e: float, o: float) -> float:
        return 1.0 if e < o else 0.5 if e == o else 0.0

    by_event = np.var([np.mean([beats(e, o) for o in others]) for e in events], ddof=1)
    by_other = np.var([np.mean([beats(e, o) for e in events]) for o in others], ddof=1)
    assert found.variance == pytest.approx(
        by_event / len(events) + by_other / len(others), abs=1e-10
    )


def test_repeating_every_row_of_an_account_adds_no_certainty(con: Connection) -> None:
    rng = np.random.default_rng(3)
    lost = [i % 3 == 0 for i in range(90)]
    values = [float(rng.normal() - y) for y in lost]
    once = judge(con, values, lost)
    often = judge(con, values * 5, lost * 5, accounts=list(range(90)) * 5)
    assert often.auc == pytest.approx(once.auc)
    assert often.variance == pytest.approx(once.variance, rel=1e-6)
    naive = judge(con, values * 5, lost * 5)
    assert naive.variance is not None and once.variance is not None
    assert naive.variance < once.variance / 4


@pytest.mark.parametrize("repeats", [1, 4])
def test_the_interval_holds_the_true_auc_about_as_often_as_it_says(
    con: Connection, repeats: int
) -> None:
    """Accounts with a level of their own seen on several days; 95 % means 95 %, give or take."""
    rng = np.random.default_rng(5)
    truth = true_auc(1.0)
    held, tries = 0, 100
    for _ in range(tries):
        values: list[float] = []
        lost: list[bool] = []
        accounts: list[int] = []
        for account in range(80):
            is_lost = account % 4 == 0
            level = rng.normal() * 0.8**0.5
            for _ in range(repeats):
                values.append(float(level + rng.normal() * 0.2**0.5 - is_lost))
                lost.append(is_lost)
                accounts.append(account)
        found = judge(con, values, lost, accounts)
        interval = logit_interval(found.auc, found.variance, 0.95)
        assert interval is not None
        held += interval[0] <= truth <= interval[1]
    assert 0.90 <= held / tries <= 0.99


def test_equal_values_have_no_information_and_the_mean_rate_on_top(con: Connection) -> None:
    found = judge(con, [7.0] * 40, [i < 5 for i in range(40)])
    assert (found.auc, found.variance, found.lift) == (0.5, 0.0, pytest.approx(1.0))


def test_lift_shares_out_the_tie_on_the_edge(con: Connection) -> None:
    # The lowest tenth of 20 is 2 rows: one event, and one of a tie of four with two events.
    values = [1, 2, 2, 2, 2, *range(3, 18)]
    lost = [True, True, True, False, False, *[False] * 15]
    found = judge(con, values, lost)
    assert found.top_event_count == pytest.approx(1 + 0.5)
    assert found.lift == pytest.approx(1.5 / 2 / (3 / 20))


def test_one_kind_of_row_gives_no_auc(con: Connection) -> None:
    found = judge(con, [1, 2, 3], [False, False, None])
    assert (found.auc, found.row_count, found.event_count) == (None, 2, 0)


def test_a_gain_over_itself_is_nothing_and_over_noise_is_the_auc_above_half(
    con: Connection,
) -> None:
    rng = np.random.default_rng(9)
    lost = [i % 3 == 0 for i in range(200)]
    good = [float(rng.normal() - y) for y in lost]
    first = judge(con, good, lost, keep_as="proof_a")
    judge(con, good, lost, keep_as="proof_b")
    judge(con, [0.0] * 200, lost, keep_as="proof_c")
    (same,) = gain(con, "proof_a", "proof_b", ["y"])
    (over_nothing,) = gain(con, "proof_a", "proof_c", ["y"])
    assert (same.difference, same.variance) == (0.0, 0.0)
    assert first.auc is not None
    assert over_nothing.difference == pytest.approx(first.auc - 0.5)
    assert over_nothing.variance == pytest.approx(first.variance, rel=1e-6)


@given(
    ratio=st.floats(0, 1),
    count=st.integers(1, 10_000),
    confidence=st.sampled_from([0.8, 0.95]),
)
def test_wilson_holds_the_ratio_and_stays_inside(
    ratio: float, count: int, confidence: float
) -> None:
    low, high = wilson_interval(ratio, count, confidence)
    assert 0 <= low <= ratio + 1e-12 and ratio - 1e-12 <= high <= 1


# --- the backtest --------------------------------------------------------------------------------


def test_a_planted_signal_is_found_at_its_size(result: BacktestResult) -> None:
    row = of(result)
    # Six independent components under today's weights fall together by 1 / sqrt(sum of squares).
    truth = true_auc(1 / sum((w / 100) ** 2 for w in (20, 25, 15, 15, 15, 10)) ** 0.5)
    assert row.auc == pytest.approx(truth, abs=0.02)
    assert row.auc_low is not None and row.auc_high is not None
    assert row.auc_low < truth < row.auc_high
    assert row.reason is None
    assert row.top_lift is not None and row.top_lift > 4


def test_outcomes_that_nothing_precedes_read_as_chance() -> None:
    with duckdb.connect() as other:
        build(other, World(drop=(0.0,) * 6, seed=12))
        row = of(backtest(other, step=10, options=OPTIONS))
    assert row.auc == pytest.approx(0.5, abs=0.05)
    assert row.auc_low is not None and row.auc_high is not None
    assert row.auc_low < 0.5 < row.auc_high


def test_baselines_stand_on_the_same_days_and_the_gain_is_the_difference(
    result: BacktestResult,
) -> None:
    score = of(result)
    for predictor in ("everyone_green", "days_to_renewal_only", "usage_only"):
        row = of(result, predictor)
        assert row.account_day_count == score.account_day_count
        assert row.auc is not None and score.auc is not None
        assert row.score_gain == pytest.approx(score.auc - row.auc, abs=2e-6)
    green = of(result, "everyone_green")
    assert (green.auc, green.auc_low, green.auc_high, green.top_lift) == (0.5, 0.5, 0.5, 1.0)
    usage = of(result, "usage_only")
    assert usage.auc == pytest.approx(true_auc(1.0), abs=0.04)
    assert usage.score_gain_low is not None and usage.score_gain_low > 0


def test_a_baseline_with_gaps_is_compared_where_it_is_known() -> None:
    with duckdb.connect() as other:
        build(other, World(accounts=150))
        other.execute(
            "update marts.fct_account_health_daily set days_to_renewal = null "
            "where hash(account_id) % 2 = 0"
        )
        found = backtest(other, step=10, options=OPTIONS)
        other.execute(
            "update marts.fct_account_health_daily set health_score = null "
            "where hash(account_id) % 2 = 0"
        )
        halved = backtest(other, step=10, options=OPTIONS)
    gaps, score = of(found, "days_to_renewal_only"), of(halved)
    assert gaps.account_day_count == score.account_day_count < of(found).account_day_count
    assert score.auc is not None and gaps.auc is not None
    assert gaps.score_gain == pytest.approx(score.auc - gaps.auc, abs=2e-6)


def test_slices_add_up_to_all(result: BacktestResult) -> None:
    whole = of(result)
    tiers = [of(result, dimension="tier", dimension_value=t) for t in ("commercial", "strategic")]
    assert sum(row.event_count for row in tiers) == whole.event_count
    assert sum(row.account_day_count for row in tiers) == whole.account_day_count
    assert of(result, dimension="policy_version").dimension_value == "standard/2000-01-01"
    assert not [row for row in result.summary if row.dimension == "segment"]
    due = [row for row in result.summary if row.dimension == "renewal" and row.outcome == "churn"]
    known = [row for row in result.summary if row.predictor == "days_to_renewal_only"]
    # This world renews after 365 days and lasts 300: nothing is due in any window of 30.
    assert {row.dimension_value for row in due} == {"later"}
    of_dates = next(row for row in known if row.outcome == "churn")
    assert sum(row.account_day_count for row in due) == of_dates.account_day_count


def test_worse_zones_lose_more_and_it_says_so(result: BacktestResult) -> None:
    rows = [row for row in result.zones if row.dimension == "all" and row.outcome == "churn"]
    ratios = [row.event_ratio for row in rows if row.event_ratio is not None]
    assert len(ratios) >= 3 and is_rising(ratios)
    assert {row.is_monotone for row in rows} == {True}
    assert "monotone: no worse zone" in render_backtest(result)


def test_bands_hold_every_day_once_and_lose_less_as_the_score_rises(result: BacktestResult) -> None:
    rows = [row for row in result.calibration if row.outcome == "churn"]
    assert [row.band for row in rows] == list(range(1, 11))
    assert sum(row.account_day_count for row in rows) == of(result).account_day_count
    assert rows[0].event_ratio is not None and rows[-1].event_ratio is not None
    assert rows[0].event_ratio > 10 * max(rows[-1].event_ratio, 0.001)
    for low, high in zip(rows, rows[1:], strict=False):
        assert low.score_to < high.score_from
    assert all(row.earlier_event_ratio is not None for row in rows)


def test_equal_scores_stay_in_one_band(con: Connection) -> None:
    with duckdb.connect() as other:
        build(other, World(accounts=60, days=120))
        other.execute("update marts.fct_account_health_daily set health_score = 50")
        rows = [
            row
            for row in backtest(other, step=10, options=OPTIONS).calibration
            if row.outcome == "churn"
        ]
    assert [(row.score_from, row.score_to) for row in rows] == [(50.0, 50.0)]


def test_too_few_events_say_so_instead_of_a_number() -> None:
    with duckdb.connect() as other:
        build(other, World(accounts=40, days=120, churn_share=0.1))
        found = backtest(other, step=10, options=OPTIONS)
    row = of(found)
    assert 0 < row.event_account_count < 10
    assert (row.auc, row.auc_low, row.top_lift) == (None, None, None)
    assert row.reason is not None and row.reason.startswith("too few events")
    assert row.event_ratio is not None
    zones = [row for row in found.zones if row.dimension == "all" and row.outcome == "churn"]
    assert {row.is_monotone for row in zones} == {None}
    text = render_backtest(found)
    assert "no AUC: too few events" in text
    assert "order not judged" in text


def test_a_history_shorter_than_the_window_says_so() -> None:
    with duckdb.connect() as other:
        build(other, World(accounts=20, days=50))
        found = backtest(other, options=replace(OPTIONS, horizons_days=(90,)))
    row = of(found)
    assert row.auc is None and row.account_day_count == 0
    assert row.reason == "no account-day whose 90 days of outcome are over and known"
    assert "no account-day" in render_backtest(found)


def test_nothing_after_as_of_is_used(planted: Connection) -> None:
    """The same history cut off, and one whose future was replaced, give the same result."""
    until = FIRST + timedelta(days=200)
    now = backtest(planted, as_of=until, step=10, options=OPTIONS)
    with duckdb.connect() as other:
        build(other, World())
        other.execute("delete from marts.fct_account_health_daily where as_of_date > ?", [until])
        other.execute(
            "update marts.dim_account set churned_on = null where churned_on > ?", [until]
        )
        then = backtest(other, step=10, options=OPTIONS)
    assert now == then
    last = of(now).last_cohort_on
    assert last is not None and last + timedelta(days=30) <= until


def test_a_future_score_changes_nothing_before_it(planted: Connection) -> None:
    """Scores of days that are no cohort do not matter: a row speaks for its own day only."""
    before = backtest(planted, step=10, options=OPTIONS)
    with duckdb.connect() as other:
        build(other, World())
        other.execute(
            "update marts.fct_account_health_daily set health_score = 1, adoption_score = 1 "
            "where date_diff('day', date '1970-01-01', as_of_date) % 10 <> 0"
        )
        after = backtest(other, step=10, options=OPTIONS)
    assert before.summary == after.summary


def table(rows: Sequence[dict[str, object]]) -> pl.DataFrame:
    return pl.DataFrame(rows, infer_schema_length=None)


def day_row(account: str, day: int, **values: object) -> dict[str, object]:
    return {
        "account_id": account,
        "as_of_date": FIRST + timedelta(days=day),
        "tier": "strategic",
        "segment": "global",
        "profile_id": "default",
        "policy_key": "standard/default/2000-01-01/abcd0123",
        "health_zone": "green",
        "health_score": 90.0,
        "coverage_ratio": 1.0,
        "arr_usd": 1000.0,
        "days_to_renewal": 100,
        "adoption_score": 90.0,
        **values,
    }


def test_outcomes_are_what_the_days_after_say(con: Connection) -> None:
    """One account per kind of fate; the cohort is day 0, the window ends on day 30."""
    days = range(31)
    rows = [day_row("stays", d) for d in days]
    rows += [day_row("leaves", d) for d in range(30)]
    rows += [day_row("vanishes", d) for d in range(30)]
    rows += [day_row("shrinks", d, arr_usd=1000.0 if d < 20 else 940.0) for d in days]
    rows += [day_row("dips", d, arr_usd=0.0 if d == 10 else 1000.0) for d in days]
    rows += [day_row("trims", d, arr_usd=1000.0 if d < 20 else 960.0) for d in days]
    rows += [day_row("unpriced", d, arr_usd=None) for d in days]
    rows += [day_row("unscored", d, health_score=None, health_zone=None) for d in days]
    dims = [
        {"account_id": name, "churned_on": FIRST + timedelta(days=30) if name == "leaves" else None}
        for name in sorted({str(row["account_id"]) for row in rows})
    ]
    with duckdb.connect() as other:
        write(other, table(rows), table(dims))
        found = backtest(
            other,
            step=int((FIRST - date(1970, 1, 1)).days),
            options=replace(OPTIONS, min_event_accounts=2, min_group_accounts=1),
        )
    churn, shrunk, either = (
        of(found, outcome=name) for name in ("churn", "contraction", "churn_or_contraction")
    )
    assert (churn.account_day_count, churn.event_count) == (6, 1)
    assert churn.scored_ratio == pytest.approx(6 / 7, abs=1e-6)
    assert (shrunk.account_day_count, shrunk.event_count) == (4, 1)
    assert (either.account_day_count, either.event_count) == (5, 2)
    zones = {
        row.health_zone: row.account_day_count
        for row in found.zones
        if row.dimension == "all" and row.outcome == "churn"
    }
    assert zones == {"green": 6, "unscored": 1}


def test_an_order_that_breaks_is_named() -> None:
    rows: list[dict[str, object]] = []
    dims: list[dict[str, object]] = []
    for number in range(80):
        zone = ("green", "yellow", "orange", "red")[number % 4]
        # Half of yellow leaves, a tenth of orange.
        leaves = (zone == "yellow" and number < 40) or (zone == "orange" and number < 8)
        account = f"acc-{number}"
        dims.append(
            {"account_id": account, "churned_on": FIRST + timedelta(days=20) if leaves else None}
        )
        rows += [
            day_row(account, d, health_zone=zone, health_score=float(number))
            for d in range(20 if leaves else 31)
        ]
    with duckdb.connect() as other:
        write(other, table(rows), table(dims))
        found = backtest(other, step=int((FIRST - date(1970, 1, 1)).days), options=OPTIONS)
    zones = [row for row in found.zones if row.dimension == "all" and row.outcome == "churn"]
    assert [row.health_zone for row in zones] == ["green", "yellow", "orange", "red"]
    assert {row.is_monotone for row in zones} == {False}
    assert zones[0].reason is not None
    assert "orange loses less than yellow" in zones[0].reason
    assert "NOT monotone: orange loses less than yellow" in render_backtest(found)


def test_lead_time_counts_the_warned_the_silent_and_the_censored() -> None:
    rows: list[dict[str, object]] = []
    dims: list[dict[str, object]] = []

    def account(name: str, churned: int | None, zones: Sequence[tuple[int, str | None]]) -> None:
        dims.append(
            {
                "account_id": name,
                "churned_on": None if churned is None else FIRST + timedelta(days=churned),
            }
        )
        for day in range(churned or 101):
            zone = [z for start, z in zones if start <= day][-1]
            rows.append(
                day_row(name, day, health_zone=zone, health_score=None if zone is None else 50.0)
            )

    account("early", 90, [(0, "green"), (30, "yellow"), (40, "green"), (70, "red")])
    account("late", 90, [(0, "green"), (80, "orange")])
    account("silent", 90, [(0, "green")])
    account("always", 90, [(0, "red")])
    account("unseen", 90, [(0, None)])
    account("open", None, [(0, "green"), (50, "yellow")])
    account("well", None, [(0, "green")])
    with duckdb.connect() as other:
        write(other, table(rows), table(dims))
        few = backtest(other, step=1, options=OPTIONS).lead_time
        rows_found = backtest(
            other, step=1, options=replace(OPTIONS, min_event_accounts=3)
        ).lead_time
    assert few[0].first_warning_days_median is None
    assert few[0].reason == "too few: 3 accounts churned after a warning, 10 are needed"
    row = rows_found[0]
    assert (row.churned_count, row.warned_count, row.censored_count) == (5, 3, 1)
    assert (row.unwarned_count, row.unseen_count) == (1, 1)
    assert (row.kept_count, row.kept_warned_count) == (2, 1)
    # Leads 10 and 60 (90 censored): the curve reaches 1/3 at 60. Last spells: 10 and 20.
    assert row.first_warning_days_median == 60
    assert (row.warned_at_end_count, row.last_warning_days_median) == (3, 20)


@pytest.mark.parametrize(
    ("durations", "median"),
    [
        ([(5, True), (7, True), (9, True)], 7.0),
        ([(5, True), (7, True)], 5.0),
        ([(5, False), (7, True), (9, True)], 7.0),
        ([(5, True), (9, False), (9, False)], None),
        ([], None),
    ],
)
def test_survival_median(durations: list[tuple[int, bool]], median: float | None) -> None:
    assert survival_median(durations) == median


def test_equal_on_any_number_of_threads(planted: Connection) -> None:
    found = []
    for threads in (1, 2, 4):
        planted.execute(f"set threads = {threads}")
        found.append(backtest(planted, step=5, options=OPTIONS))
    assert found[0] == found[1] == found[2]
    assert render_backtest(found[0]) == render_backtest(found[1])


def test_month_ends_are_the_cohorts_by_default(planted: Connection) -> None:
    row = of(backtest(planted, options=OPTIONS))
    # January to August; the window of September's end is not over on 26 October.
    assert (row.first_cohort_on, row.last_cohort_on) == (date(2024, 1, 31), date(2024, 8, 31))
    assert row.cohort_count == 8


def test_the_tables_are_stored_with_their_grain_and_described(
    planted: Connection, result: BacktestResult
) -> None:
    first = store_backtest(planted, result)
    assert store_backtest(planted, result) == first
    for name, spec in BACKTEST_TABLES.items():
        stored = planted.execute(
            "select column_name, lower(data_type) from information_schema.columns "
            "where table_schema || '.' || table_name = ? order by ordinal_position",
            [name],
        ).fetchall()
        assert stored == [(column, kind) for column, (kind, _) in spec.columns.items()]
        assert all(text.endswith(".") for _, text in spec.columns.values())
        keys = ", ".join(spec.grain)
        row = planted.execute(
            f"select count(*), (select count(*) from (select distinct {keys} from {name})) "
            f"from {name}"
        ).fetchone()
        assert row == (first[name], first[name])
        assert first[name] > 0


def test_a_read_only_file_will_do(tmp_path: Path) -> None:
    path = tmp_path / "analytics.duckdb"
    with duckdb.connect(str(path)) as other:
        build(other, World(accounts=20, days=80))
        load_proof_seeds(other)
    with duckdb.connect(str(path), read_only=True) as other:
        assert backtest(other).summary
        assert not other.execute(
            "select table_name from duckdb_tables() where temporary"
        ).fetchall()


def test_dates_outside_the_history_are_refused(planted: Connection) -> None:
    with pytest.raises(ConfigError, match="--as-of 2030-01-01"):
        backtest(planted, as_of=date(2030, 1, 1), options=OPTIONS)
    with pytest.raises(ConfigError, match="--from"):
        backtest(planted, date(2023, 1, 1), options=OPTIONS)
    with pytest.raises(ConfigError, match="step"):
        backtest(planted, step=0, options=OPTIONS)


def test_no_marts_and_no_seeds_say_what_to_run(planted: Connection) -> None:
    with duckdb.connect() as other, pytest.raises(CspError, match="csp run"):
        backtest(other, options=OPTIONS)
    with duckdb.connect() as other, pytest.raises(ConfigError, match="proof_policy"):
        proof_options(other)


def test_the_shipped_seeds_are_complete(con: Connection) -> None:
    load_proof_seeds(con)
    options = proof_options(con)
    assert options.horizons_days == (30, 90, 180)
    assert options.confidence_ratio == 0.95


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("delete from policy.proof_policy where parameter = 'band_count'", "missing"),
        ("update policy.proof_policy set value = 1.5 where parameter = 'band_count'", "whole"),
        ("update policy.proof_policy set value = 2 where parameter = 'top_share_ratio'", "under 1"),
        (
            "update policy.proof_policy set parameter = 'x' where parameter = 'band_count'",
            "no such",
        ),
        ("delete from policy.proof_horizons", "horizon"),
    ],
)
def test_a_wrong_seed_is_named(change: str, message: str) -> None:
    with duckdb.connect() as other:
        load_proof_seeds(other)
        other.execute(change)
        with pytest.raises(ConfigError, match=message):
            proof_options(other)
