"""Suggested weights: they follow outcomes, are never negative, and need enough of them."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path

import duckdb
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from proof_world import COMPONENTS, FIRST, OPTIONS, SEEDS, TODAY, World, build

from dagster_project.errors import ConfigError, CspError
from dagster_project.proof import Suggestion, policy_suggest, render_suggestion
from dagster_project.proof.weights import (
    PULLS,
    Floats,
    Structure,
    Weights,
    component_scores,
    fill_missing,
    fit_weights,
    in_tenths,
    policy_score,
    split_forward,
)

HEALTH_SEEDS = SEEDS / "health"
#: Only adoption and support fall before a churn; the others are noise.
SIGNAL = World(accounts=700, drop=(0.0, 1.2, 0.0, 0.8, 0.0, 0.0), churn_share=0.7, seed=21)
LAST = FIRST + timedelta(days=SIGNAL.days - 1)
OUT_OF_MONTHS = replace(OPTIONS, suggest_min_accounts_per_weight=2)


@pytest.fixture(scope="module")
def con() -> Iterator[duckdb.DuckDBPyConnection]:
    with duckdb.connect() as connection:
        build(connection, SIGNAL)
        yield connection


@pytest.fixture(scope="module")
def suggestion(
    con: duckdb.DuckDBPyConnection, tmp_path_factory: pytest.TempPathFactory
) -> Suggestion:
    out = tmp_path_factory.mktemp("suggested")
    return policy_suggest(con, seeds=HEALTH_SEEDS, out=out, outcome="churn", options=OUT_OF_MONTHS)


def test_weight_moves_to_what_fell_before_the_losses(suggestion: Suggestion) -> None:
    new = {name: weight for name, _, weight in suggestion.weights}
    today = dict(zip(COMPONENTS, TODAY, strict=True))
    assert new["adoption"] > today["adoption"]
    assert new["support"] > today["support"]
    assert new["engagement"] < today["engagement"]
    assert sum(new.values()) == pytest.approx(100)
    assert min(new.values()) >= 0


def test_the_gain_is_measured_on_later_days_only(suggestion: Suggestion) -> None:
    assert suggestion.gain == pytest.approx(
        suggestion.auc_suggested - suggestion.auc_today, abs=2e-6
    )
    assert suggestion.gain > 0.02
    assert suggestion.gain_low is not None and suggestion.gain_low > 0
    assert "better than today's" in suggestion.verdict
    # A day is fitted on only if its outcome was known when validation begins.
    assert suggestion.train_until + timedelta(days=30) <= suggestion.validation_from
    assert suggestion.validation_until + timedelta(days=30) <= LAST


def test_the_file_is_the_seed_with_new_rows_at_its_end(suggestion: Suggestion) -> None:
    (path,) = suggestion.files
    old = (HEALTH_SEEDS / path.name).read_text()
    text = path.read_text()
    assert text.startswith(old)
    added = list(csv.DictReader([old.splitlines()[0], *text[len(old) :].splitlines()]))
    assert [row["component"] for row in added] == list(COMPONENTS)
    starts = (LAST + timedelta(days=1)).isoformat()
    assert {(row["policy_set"], row["profile_id"], row["effective_from"]) for row in added} == {
        ("standard", "default", starts)
    }
    assert [(row["component"], float(row["weight"])) for row in added] == [
        (name, weight) for name, _, weight in suggestion.weights
    ]


def test_the_text_shows_both_and_says_nothing_is_in_force(suggestion: Suggestion) -> None:
    text = render_suggestion(suggestion)
    for name, today, new in suggestion.weights:
        (line,) = [line for line in text.splitlines() if line.split()[:1] == [name]]
        assert line.split() == [name, f"{today:.1f}", f"{new:.1f}"]
    assert f"gain {suggestion.gain:+.3f}, 95% interval" in text
    assert "nothing is in force" in text


def test_the_same_history_gives_the_same_bytes(
    con: duckdb.DuckDBPyConnection, suggestion: Suggestion, tmp_path: Path
) -> None:
    con.execute("set threads = 1")
    again = policy_suggest(
        con, seeds=HEALTH_SEEDS, out=tmp_path, outcome="churn", options=OUT_OF_MONTHS
    )
    assert replace(again, files=()) == replace(suggestion, files=())
    assert again.files[0].read_bytes() == suggestion.files[0].read_bytes()


def test_noise_gives_no_reason_to_change(tmp_path: Path) -> None:
    with duckdb.connect() as other:
        build(other, replace(SIGNAL, drop=(0.8,) * 6, seed=22))
        found = policy_suggest(
            other, seeds=HEALTH_SEEDS, out=tmp_path, outcome="churn", options=OUT_OF_MONTHS
        )
    assert found.gain_low is not None and found.gain_high is not None
    assert found.gain_low < 0.02
    assert abs(found.gain) < 0.05


def test_too_small_a_sample_is_refused_and_nothing_is_written(tmp_path: Path) -> None:
    out = tmp_path / "out"
    with duckdb.connect() as other:
        build(other, World(accounts=60))
        with pytest.raises(CspError, match="too small to suggest 6 weights") as refusal:
            policy_suggest(other, seeds=HEALTH_SEEDS, out=out, outcome="churn", options=OPTIONS)
        assert not other.execute("from duckdb_tables() where temporary").fetchall()
    assert "accounts that were lost, 30 are needed" in str(refusal.value)
    assert not out.exists()


def test_the_seeds_in_force_are_never_written(con: duckdb.DuckDBPyConnection) -> None:
    before = {path.name: path.read_bytes() for path in HEALTH_SEEDS.glob("*.csv")}
    with pytest.raises(ConfigError, match="in force"):
        policy_suggest(con, seeds=HEALTH_SEEDS, out=HEALTH_SEEDS, options=OUT_OF_MONTHS)
    assert before == {path.name: path.read_bytes() for path in HEALTH_SEEDS.glob("*.csv")}


def test_a_date_that_the_seeds_have_passed_is_refused(
    con: duckdb.DuckDBPyConnection, tmp_path: Path
) -> None:
    with pytest.raises(ConfigError, match="rows from 1999-01-01 on are there already"):
        policy_suggest(
            con,
            seeds=HEALTH_SEEDS,
            out=tmp_path,
            outcome="churn",
            effective_from=date(1999, 1, 1),
            options=OUT_OF_MONTHS,
        )
    with pytest.raises(ConfigError, match="no outcome 'joy'"):
        policy_suggest(con, seeds=HEALTH_SEEDS, out=tmp_path, outcome="joy", options=OUT_OF_MONTHS)


def test_a_seed_that_is_not_there_is_named(con: duckdb.DuckDBPyConnection, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"health_component_weights\.csv: cannot be read"):
        policy_suggest(
            con,
            seeds=tmp_path / "nowhere",
            out=tmp_path / "out",
            outcome="churn",
            options=OUT_OF_MONTHS,
        )


def test_measures_are_learned_within_their_components(tmp_path: Path) -> None:
    """Two measures of adoption: one carries the signal, the other is noise."""
    with duckdb.connect() as other:
        build(other, SIGNAL)
        other.execute("""
            create table marts.fct_health_facts_daily as
            select
                account_id, as_of_date,
                adoption_score as active_user_ratio_score,
                (hash(account_id, as_of_date) % 1000) / 10.0 as active_days_score,
                case when hash(as_of_date, account_id) % 3 > 0 then support_score end
                    as csat_score_score,
                engagement_score as consecutive_missed_calls_score
            from marts.fct_account_health_daily;
            delete from marts.dim_health_policy;
            insert into marts.dim_health_policy
            select 'standard/default/2000-01-01/abcd0123', 'standard', 'default', * from (values
                ('consecutive_missed_calls', 1, 'engagement', 20.0, 15.0),
                ('active_user_ratio', 2, 'adoption', 25.0, 35.0),
                ('active_days', 3, 'adoption', 25.0, 65.0),
                ('csat_score', 4, 'support', 15.0, 20.0)
            ) as m
        """)
        found = policy_suggest(
            other,
            seeds=HEALTH_SEEDS,
            out=tmp_path,
            level="measure",
            outcome="churn",
            options=OUT_OF_MONTHS,
        )
    new = {name: weight for name, _, weight in found.weights}
    today = {name: weight for name, weight, _ in found.weights}
    assert today["adoption.active_days"] == pytest.approx(65)
    assert new["adoption.active_user_ratio"] > 60
    assert new["adoption.active_days"] < 40
    assert new["adoption.active_user_ratio"] + new["adoption.active_days"] == pytest.approx(100)
    assert [path.name for path in found.files] == [
        "health_component_weights.csv",
        "health_measure_policy.csv",
        "health_bands.csv",
    ]
    starts = found.effective_from.isoformat()

    def added(name: str) -> list[dict[str, str]]:
        with (tmp_path / name).open(newline="") as handle:
            return [row for row in csv.DictReader(handle) if row["effective_from"] == starts]

    measures = {row["measure"]: row for row in added("health_measure_policy.csv")}
    assert set(measures) == {
        "consecutive_missed_calls",
        "active_user_ratio",
        "active_days",
        "csat_score",
    }
    # All but the weight and the date is as it was: the line stays.
    assert (measures["csat_score"]["floor_value"], measures["csat_score"]["method"]) == (
        "2.5",
        "linear",
    )
    assert [row["score"] for row in added("health_bands.csv")] == ["100", "65", "30", "0"]
    assert {row["measure"] for row in added("health_bands.csv")} == {"consecutive_missed_calls"}


# --- the fit -------------------------------------------------------------------------------------


def sample(rng: np.random.Generator, true: Floats, count: int) -> tuple[Floats, np.ndarray]:
    risk = rng.random((count, len(true)))
    chance = 1 / (1 + np.exp(-(-3 + risk @ true)))
    return risk, rng.random(count) < chance


@given(seed=st.integers(0, 10_000), pull=st.sampled_from(PULLS))
@settings(max_examples=25, deadline=None)
def test_no_weight_is_ever_negative(seed: int, pull: float) -> None:
    rng = np.random.default_rng(seed)
    true = rng.normal(size=4) * 3
    risk, lost = sample(rng, true, 400)
    if lost.all() or not lost.any():
        lost[0] = not lost[0]
    _, weights = fit_weights(risk, lost, np.full(4, 0.25), pull)
    assert (weights >= 0).all() and np.isfinite(weights).all()


def test_the_fit_finds_the_planted_weights_and_drops_what_helps_the_wrong_way() -> None:
    rng = np.random.default_rng(1)
    true = np.asarray([3.0, 1.0, 0.0, -2.0])
    risk, lost = sample(rng, true, 20_000)
    intercept, weights = fit_weights(risk, lost, np.full(4, 0.25), 1e-6)
    assert weights[:3] == pytest.approx([3.0, 1.0, 0.0], abs=0.25)
    assert weights[3] == 0
    # The lost feature's mean effect goes to the intercept.
    assert intercept == pytest.approx(-4.0, abs=0.3)


def test_the_pull_leads_from_the_data_to_the_prior() -> None:
    rng = np.random.default_rng(2)
    risk, lost = sample(rng, np.asarray([3.0, 0.5]), 5_000)
    prior = np.asarray([0.2, 0.8])
    shares = [
        weights[0] / weights.sum()
        for weights in (fit_weights(risk, lost, prior, pull)[1] for pull in (1e6, 1.0, 1e-6))
    ]
    assert shares[0] == pytest.approx(0.2, abs=0.01)
    assert shares[0] < shares[1] < shares[2]
    assert shares[2] == pytest.approx(3 / 3.5, abs=0.06)


def test_the_fit_is_at_the_minimum() -> None:
    """No small step that keeps the weights non-negative makes the objective smaller."""
    rng = np.random.default_rng(4)
    risk, lost = sample(rng, np.asarray([2.0, -1.0, 1.0]), 2_000)
    prior = np.full(3, 1 / 3)
    pull = 1e-9
    intercept, weights = fit_weights(risk, lost, prior, pull)

    def loss(b: float, w: Floats) -> float:
        margin = b + risk @ w
        return float((np.logaddexp(0, margin) - lost * margin).sum())

    best = loss(intercept, weights)
    for _ in range(200):
        step = rng.normal(size=4) * 1e-3
        moved = np.maximum(weights + step[1:], 0)
        assert loss(intercept + step[0], moved) >= best - 1e-4


# --- the score of a policy -----------------------------------------------------------------------


def test_golden_vector_of_the_domain_page() -> None:
    weights = Weights(np.ones(3), np.asarray([20.0, 15.0, 22.0]))
    scores = np.asarray([[47.0, 59.0, 21.0]])
    assert policy_score(scores, Structure((0, 1, 2)), weights)[0] == pytest.approx(2287 / 57)


def test_missing_weight_goes_to_the_component_first() -> None:
    structure = Structure((0, 0, 1))
    weights = Weights(np.asarray([30.0, 70.0, 100.0]), np.asarray([40.0, 60.0]))
    nan = np.nan
    scores = np.asarray([[50, 100, 20], [50, nan, 20], [nan, nan, 20], [nan, nan, nan]], float)
    assert policy_score(scores, structure, weights) == pytest.approx(
        [0.4 * 85 + 0.6 * 20, 0.4 * 50 + 0.6 * 20, 20, nan], nan_ok=True
    )
    assert np.isnan(component_scores(scores, structure, weights)[2, 0])
    assert weights.shares(structure) == pytest.approx([0.12, 0.28, 0.6])


@given(
    values=st.lists(
        st.one_of(st.none(), st.floats(0, 100, allow_nan=False)), min_size=3, max_size=3
    )
)
def test_filling_gaps_keeps_todays_score(values: list[float | None]) -> None:
    structure = Structure((0, 0, 1))
    weights = Weights(np.asarray([30.0, 70.0, 100.0]), np.asarray([40.0, 60.0]))
    scores = np.asarray([[np.nan if v is None else v for v in values]])
    before = policy_score(scores, structure, weights)[0]
    filled = fill_missing(scores, structure, weights)
    assert not np.isnan(filled).any()
    if not np.isnan(before):
        assert (filled @ weights.shares(structure))[0] == pytest.approx(before)


@given(shares=st.lists(st.floats(0, 10), min_size=1, max_size=12))
def test_tenths_sum_to_a_hundred(shares: list[float]) -> None:
    values = np.asarray(shares)
    if values.sum() <= 1e-6:
        return
    found = in_tenths(values)
    assert round(float(found.sum()) * 10) == 1000
    assert (found >= 0).all()
    assert found == pytest.approx(values / values.sum() * 100, abs=0.1 + 1e-6)
    assert found * 10 == pytest.approx(np.round(found * 10))


def test_later_days_never_reach_into_earlier_outcomes() -> None:
    days = [FIRST + timedelta(days=30 * n) for n in range(10)]
    early, late = split_forward(days * 2, 60, 0.3)
    assert late == days[7:]
    assert early == days[:6]
    assert split_forward([], 60, 0.3) == ([], [])
