"""What may be said of a backtest: only what its intervals allow, and too little is said to be."""

from __future__ import annotations

from collections.abc import Iterator

import duckdb
import polars as pl
import pytest
from proof_world import FIRST, OPTIONS, World, build, load_proof_seeds

from dagster_project.proof import BACKTEST_TABLES, backtest, store_backtest
from dagster_project.proof.frames import BacktestFrames, backtest_frames
from dagster_project.proof.verdict import predictor_name, verdicts

OUTCOME = "churn"
DAYS = 90


def rows(table: str, **values: object) -> dict[str, object]:
    columns = BACKTEST_TABLES[table].columns
    assert set(values) <= set(columns)
    return {
        **dict.fromkeys(columns),
        "dimension": "all",
        "dimension_value": "all",
        "outcome": OUTCOME,
        "horizon_days": DAYS,
        **values,
    }


def frame(table: str, *found: dict[str, object]) -> pl.DataFrame:
    kinds = {
        "varchar": pl.String,
        "integer": pl.Int32,
        "bigint": pl.Int64,
        "double": pl.Float64,
        "date": pl.Date,
        "boolean": pl.Boolean,
    }
    columns = BACKTEST_TABLES[table].columns
    return pl.DataFrame(
        [[row[name] for name in columns] for row in found],
        schema={name: kinds[kind] for name, (kind, _) in columns.items()},
        orient="row",
    )


SUMMARY, ZONE, CALIBRATION, LEAD = BACKTEST_TABLES


def frames(
    *,
    auc: tuple[float | None, float | None, float | None] = (0.8, 0.7, 0.9),
    gain: tuple[float | None, float | None, float | None] = (0.1, 0.05, 0.15),
    is_monotone: bool | None = True,
    later: float | None = 0.1,
    median: float | None = 120.0,
    days: int = 500,
    churned: int = 20,
) -> BacktestFrames:
    score = rows(
        SUMMARY,
        predictor="health_score",
        account_day_count=days,
        account_count=60,
        cohort_count=12,
        event_account_count=20,
        auc=auc[0],
        auc_low=auc[1],
        auc_high=auc[2],
        top_lift=2.5,
        reason=None if auc[0] is not None else "too few events: 3 accounts had one",
    )
    usage = rows(
        SUMMARY,
        predictor="usage_only",
        account_day_count=days,
        score_gain=gain[0],
        score_gain_low=gain[1],
        score_gain_high=gain[2],
    )
    zone = rows(
        ZONE,
        health_zone="green",
        is_monotone=is_monotone,
        event_ratio=0.1,
        reason={
            None: "order not judged: fewer than two zones",
            False: "red loses less than orange",
            True: None,
        }[is_monotone],
    )
    band = rows(
        CALIBRATION,
        band=1,
        event_ratio=0.1,
        event_ratio_low=0.05,
        event_ratio_high=0.2,
        earlier_event_ratio=0.12,
        later_event_ratio=later,
    )
    lead = {
        **dict.fromkeys(BACKTEST_TABLES[LEAD].columns),
        "dimension": "all",
        "dimension_value": "all",
        "churned_count": churned,
        "warned_count": 15,
        "first_warning_days_median": median,
        "kept_count": 40,
        "kept_warned_count": 30,
        "reason": None if median is not None else "too few: 5 accounts",
    }
    return BacktestFrames(
        FIRST,
        OPTIONS,
        False,
        frame(SUMMARY, score, usage),
        frame(ZONE, zone),
        frame(CALIBRATION, band),
        frame(LEAD, lead),
    )


def said(**values: object) -> str:
    return " ".join(verdicts(frames(**values), OUTCOME, DAYS))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("auc", "words"),
    [
        ((0.8, 0.7, 0.9), "ranks better than a coin"),
        ((0.55, 0.45, 0.65), "Nothing was shown"),
        ((0.3, 0.2, 0.4), "points the wrong way"),
        ((1.0, None, None), "no interval can be given"),
        ((None, None, None), "cannot be said: too few events"),
    ],
)
def test_the_ranking_is_judged_by_its_interval(auc: tuple[float | None, ...], words: str) -> None:
    assert words in said(auc=auc)


@pytest.mark.parametrize(
    ("gain", "words"),
    [
        ((0.1, 0.05, 0.15), "It ranks better than usage alone"),
        ((-0.1, -0.15, -0.05), "Usage alone ranks better than the score"),
        ((0.01, -0.02, 0.04), "cannot be told apart from usage alone"),
        ((None, None, None), "Against usage alone it cannot be judged"),
    ],
)
def test_a_baseline_is_judged_by_the_interval_of_the_difference(
    gain: tuple[float | None, ...], words: str
) -> None:
    assert words in said(gain=gain)


def test_zones_out_of_order_are_called_so() -> None:
    assert "Zones are monotone" in said(is_monotone=True)
    assert "NOT monotone: red loses less than orange" in said(is_monotone=False)
    assert "order not judged: fewer than two zones" in said(is_monotone=None)


def test_a_score_that_changed_its_meaning_is_told() -> None:
    assert "In all 1 bands" in said(later=0.1)
    assert "In 1 of 1 bands" in said(later=0.3)
    assert "no band is large enough" in said(later=None)


def test_warnings_are_never_told_without_the_false_ones() -> None:
    assert "30 of 40 accounts that stayed were not green" in said(median=120.0)
    assert "30 of 40 accounts that stayed were not green" in said(median=None)
    assert "No account left" in said(churned=0)


def test_without_a_score_nothing_can_be_said() -> None:
    (only,) = verdicts(frames(days=0), OUTCOME, DAYS)
    assert only.startswith("Nothing can be said")
    (missing,) = verdicts(frames(), "contraction", DAYS)
    assert missing.startswith("Nothing can be said")


def test_a_predictor_unknown_here_keeps_its_name() -> None:
    assert predictor_name("a_new_one") == "a_new_one"


@pytest.fixture(scope="module")
def con() -> Iterator[duckdb.DuckDBPyConnection]:
    with duckdb.connect() as connection:
        build(connection, World(accounts=60, days=200))
        load_proof_seeds(connection)
        yield connection


def test_published_tables_are_read_when_they_are_of_the_day(
    con: duckdb.DuckDBPyConnection,
) -> None:
    result = backtest(con)
    day = result.as_of_date
    computed = backtest_frames(con, day)
    assert not computed.is_published
    store_backtest(con, result)
    stored = backtest_frames(con, day)
    assert stored.is_published
    for name in ("summary", "zones", "calibration", "lead_time"):
        mine, theirs = getattr(computed, name), getattr(stored, name)
        assert mine.schema == theirs.schema
        assert sorted(mine.rows(), key=str) == sorted(theirs.rows(), key=str)
    con.execute(f"update {SUMMARY} set as_of_date = as_of_date - 1")
    assert not backtest_frames(con, day).is_published
