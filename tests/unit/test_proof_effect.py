"""The effect of playbooks: a known truth found again, and none named where none can be known."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta

import duckdb
import numpy as np
import polars as pl
import pytest

from dagster_project.errors import ConfigError
from dagster_project.proof import EffectRow, playbook_effect, render_effect, store_effect
from dagster_project.settings import PROJECT_ROOT

FIRST = date(2025, 1, 1)
HORIZON = 30
SEEDS = PROJECT_ROOT / "dbt" / "seeds"


@dataclass(frozen=True)
class Truth:
    """What happens to accounts that crossed a line: they get better, and more so when worked on."""

    accounts: int = 240
    #: points by which a score comes back by itself, per point it lay under 70
    return_ratio: float = 0.5
    effect: float = 6.0
    #: how much likelier the worse off are to be worked on; 0: by chance
    choice: float = 1.0
    #: share of accounts held out; they are worked on never
    held_out: float = 0.0
    worked: float = 0.5
    seed: int = 3


def world(truth: Truth) -> duckdb.DuckDBPyConnection:
    """Published tables of one rule: every account opens once, on day 10."""
    rng = np.random.default_rng(truth.seed)
    under = rng.uniform(0, 20, truth.accounts)
    is_held = rng.random(truth.accounts) < truth.held_out
    chance = np.clip(truth.worked + truth.choice * (under - 10) / 20, 0, 1)
    is_worked = (rng.random(truth.accounts) < chance) & ~is_held
    before = 70 - under
    after = before + truth.return_ratio * under + truth.effect * is_worked
    after = after + rng.normal(0, 2, truth.accounts)
    opened = FIRST + timedelta(days=10)
    days, actions, states, accounts = [], [], [], []
    for number in range(truth.accounts):
        account = f"a{number:04}"
        accounts.append({"account_id": account, "churned_on": None})
        for offset, score in ((0, before[number]), (HORIZON, after[number])):
            days.append(
                {
                    "account_id": account,
                    "as_of_date": opened + timedelta(days=offset),
                    "tier": "strategic" if number % 2 else "commercial",
                    "arr_usd": float(rng.uniform(10_000, 30_000)),
                    "health_score": float(score),
                    "score_change_30d": float(rng.normal(-5, 1)),
                    "health_zone": "yellow" if score >= 60 else "orange",
                }
            )
        if is_held[number]:
            states.append({"account_id": account, "valid_from_on": opened})
            continue
        started = opened + timedelta(days=3) if is_worked[number] else None
        actions.append({"account_id": account, "opened_on": opened, "started_on": started})
    con = duckdb.connect()
    for schema in ("marts", "playbooks", "policy"):
        con.execute(f"create schema {schema}")
    load(con, "marts.fct_account_health_daily", pl.DataFrame(days))
    load(con, "marts.dim_account", pl.DataFrame(accounts, schema={
        "account_id": pl.String, "churned_on": pl.Date}))  # fmt: skip
    load(con, "given", pl.DataFrame(actions, schema={
        "account_id": pl.String, "opened_on": pl.Date, "started_on": pl.Date}))  # fmt: skip
    con.execute(
        "create table playbooks.actions as select 'act-' || account_id as action_id,"
        " 'PB_1' as playbook_id, 'rule' as rule_id, 1 as rule_version, account_id,"
        " 'account' as scope, opened_on, started_on, cast(null as date) as closed_on,"
        " cast(null as varchar) as close_reason from given"
    )
    load(con, "kept", pl.DataFrame(states, schema={
        "account_id": pl.String, "valid_from_on": pl.Date}))  # fmt: skip
    con.execute(
        "create table playbooks.rule_states as select 'rule' as rule_id, 'PB_1' as playbook_id,"
        " account_id, 'account' as scope, valid_from_on, 'suppressed' as verdict,"
        " 'held out' as reason from kept"
    )
    con.execute("create table playbooks.rules as select 'rule' as rule_id, 1 as rule_version")
    con.execute("create table marts.dim_health_policy as select 'standard' as policy_set")
    for name, path in (
        ("health_zones", "health"), ("proof_policy", "proof"), ("proof_horizons", "proof"),
    ):  # fmt: skip
        con.execute(f"create table policy.{name} as from '{SEEDS / path / name}.csv'")
    con.execute(f"delete from policy.proof_horizons where horizon_days <> {HORIZON}")
    return con


def load(con: duckdb.DuckDBPyConnection, table: str, frame: pl.DataFrame) -> None:
    con.register("frame", frame)
    con.execute(f"create table {table} as from frame")
    con.unregister("frame")


def rows(con: duckdb.DuckDBPyConnection, day: int = 10 + HORIZON) -> dict[str, EffectRow]:
    """By method and outcome, of the rule."""
    found = playbook_effect(con, FIRST + timedelta(days=day)).rows
    return {f"{row.method} {row.outcome}": row for row in found if row.rule_id == "rule"}


def test_what_comes_back_by_itself_is_not_taken_for_the_effect() -> None:
    found = rows(world(Truth()))["matched score_change"]
    assert found.effect is not None and found.effect_low is not None
    assert found.effect_high is not None and found.worked_value is not None
    # The plain change before to after holds the return of the worse off; the effect does not.
    assert found.worked_value > 11
    assert found.effect_low < 6 < found.effect_high
    assert abs(found.effect - 6) < 1
    # What is left of a difference is told, and reckoned off.
    assert 0.5 < abs(found.score_difference or 0) < 2
    assert found.worked_value - (found.comparison_value or 0) == pytest.approx(found.effect)


def test_work_without_effect_has_none_as_often_as_the_interval_says() -> None:
    hits = 0
    for seed in range(24):
        found = rows(world(Truth(accounts=160, effect=0, choice=0.6, seed=seed)))
        row = found["matched score_change"]
        assert row.effect_low is not None and row.effect_high is not None
        hits += row.effect_low <= 0 <= row.effect_high
    # 95 % are expected; fewer than 20 of 24 would happen once in a hundred worlds, these are fixed.
    assert hits >= 20


def test_a_held_out_share_gives_the_effect_without_matching() -> None:
    truth = Truth(accounts=600, choice=0, worked=1, held_out=0.4)
    found = rows(world(truth))
    experiment = found["holdout score_change"]
    assert experiment.effect is not None
    assert (experiment.effect_low or 0) < 6 < (experiment.effect_high or 0)
    assert experiment.matched_account_count + experiment.comparison_account_count == 600
    # With everybody else worked on there is no matched comparison, and that is said.
    matched = found["matched score_change"]
    assert (matched.effect, matched.worked_value) == (None, None)
    assert matched.reason == "everything was worked on: there is nobody to compare with"


@pytest.mark.parametrize(
    ("truth", "reason"),
    [
        (Truth(worked=-1, choice=0), "nothing was worked on"),
        (Truth(worked=2, choice=0), "everything was worked on"),
        (Truth(accounts=16), "too few accounts"),
        # Only the worst off are worked on: those nearest to them are all better off.
        (Truth(worked=0.5, choice=1000), "even the nearest are not alike"),
    ],
)
def test_where_nothing_can_be_known_a_reason_stands(truth: Truth, reason: str) -> None:
    con = world(truth)
    found = rows(con)["matched score_change"]
    assert (found.effect, found.effect_low, found.effect_high) == (None, None, None)
    assert reason in (found.reason or "")
    assert reason in render_effect(playbook_effect(con, FIRST + timedelta(days=10 + HORIZON)))


def test_only_windows_that_are_over_count() -> None:
    assert rows(world(Truth()), day=10 + HORIZON - 1) == {}


def test_cancelled_and_self_ended_actions_are_no_comparison() -> None:
    con = world(Truth())
    before = rows(con)["matched score_change"]
    con.execute(
        "update playbooks.actions set close_reason = 'cancelled', closed_on = opened_on + 20"
        " where started_on is null and account_id < 'a0040'"
    )
    con.execute(
        "update playbooks.actions set close_reason = 'recovered', closed_on = opened_on + 5"
        " where started_on is null and account_id >= 'a0200'"
    )
    after = rows(con)["matched score_change"]
    gone = con.execute(
        "select count(*) from playbooks.actions where close_reason is not null"
    ).fetchall()[0][0]
    assert gone > 20
    assert after.compared_count == before.compared_count - gone


def test_recovery_and_churn_are_shares() -> None:
    con = world(Truth())
    con.execute(
        f"update marts.dim_account set churned_on = date '{FIRST + timedelta(days=20)}'"
        " where account_id in (select account_id from playbooks.actions where started_on is null"
        " order by account_id limit 30)"
    )
    found = rows(con)
    churned = found["matched churned"]
    assert churned.worked_value == 0
    assert churned.comparison_value is not None and 0 < churned.comparison_value < 1
    assert churned.effect is not None and churned.effect < 0
    recovered = found["matched recovered"]
    assert recovered.effect is not None and recovered.effect > 0
    # Who left has no score at the end, and none is made up.
    assert found["matched score_change"].compared_count == churned.compared_count - 30


def test_the_table_holds_every_row_and_is_the_same_again() -> None:
    con = world(Truth(held_out=0.3, worked=0.6))
    result = playbook_effect(con, FIRST + timedelta(days=10 + HORIZON))
    counts = store_effect(con, result)
    first = con.execute("from marts.fct_playbook_effect order by all").fetchall()
    assert counts == {"marts.fct_playbook_effect": len(first)} and len(first) == 12
    con.execute("set threads = 1")
    store_effect(con, playbook_effect(con, FIRST + timedelta(days=10 + HORIZON)))
    assert con.execute("from marts.fct_playbook_effect order by all").fetchall() == first
    assert not con.execute("select table_name from duckdb_tables() where temporary").fetchall()


def test_a_wrong_policy_is_refused_with_every_fault() -> None:
    con = world(Truth(accounts=4))
    con.execute("update policy.proof_policy set value = 1.5"
                " where parameter = 'effect_landmark_days'")  # fmt: skip
    con.execute("delete from policy.proof_policy where parameter = 'effect_arr_ratio_max'")
    with pytest.raises(ConfigError) as refused:
        playbook_effect(con, FIRST + timedelta(days=60))
    assert "whole number" in str(refused.value) and "effect_arr_ratio_max" in str(refused.value)
