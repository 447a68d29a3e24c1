"""Do playbooks work: accounts that were worked on, against alike ones that were not.

An action opens when something is bad, and what is bad tends to get better by itself (regression to
the mean). So the change after an action says nothing; it is set against the change of accounts
that crossed the same line by the same rule and were not worked on, alike in score, in its trend, in
tier and in revenue. Who is worked on was somebody's choice, and choice may know more than these
four: the matched comparison is evidence, not proof. Where a rule holds out a share of accounts by
hash, worked and held-out accounts differ by chance alone, and the plain difference is the effect.

Belongs here: the comparison and its interval. Does not belong here: opening actions.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import astuple, dataclass, fields
from datetime import date
from statistics import NormalDist

import duckdb

from dagster_project.proof.backtest import rounded
from dagster_project.proof.options import (
    EffectOptions,
    ProofOptions,
    effect_options,
    proof_options,
)
from dagster_project.proof.tables import TableSpec

MATCHED = "matched"
HOLDOUT = "holdout"
ALL = "all"
TABLE = "marts.fct_playbook_effect"
_HELD_OUT = "held out"
# By the policy set that scored the days.
_ZONE_RANKS = (
    "select health_zone, min(zone_rank) as zone_rank from policy.health_zones"
    " where policy_set = (select max(policy_set) from marts.dim_health_policy) group by 1"
)
_TEMPORARY = ("effect_facts", "effect_outcomes", "effect_pairs")


@dataclass(frozen=True)
class EffectRow:
    """One comparison; the fields are the columns of the table, described there."""

    playbook_id: str
    rule_id: str
    rule_version: int
    method: str
    outcome: str
    horizon_days: int
    worked_count: int
    compared_count: int
    matched_count: int
    matched_account_count: int
    comparison_account_count: int
    matched_ratio: float | None
    score_difference: float | None
    trend_difference: float | None
    worked_value: float | None
    comparison_value: float | None
    effect: float | None
    effect_low: float | None
    effect_high: float | None
    reason: str | None


EFFECT_TABLES: Mapping[str, TableSpec] = {
    TABLE: TableSpec(
        ("playbook_id", "rule_id", "rule_version", "method", "outcome", "horizon_days"),
        "What followed actions that were worked on, against alike ones that were not.",
        {
            "as_of_date": ("date", "Last day whose outcomes were used (date)."),
            "playbook_id": ("varchar", "Playbook (text)."),
            "rule_id": ("varchar", "Rule that opened the actions; `all`: every rule (text)."),
            "rule_version": ("integer", "Version of the rule; 0 for all."),
            "method": (
                "varchar",
                "`matched`: worked within the landmark against not, each with alike openings of "
                "the same rule; `holdout`: opened against held out by hash, an experiment (text).",
            ),
            "outcome": (
                "varchar",
                "`score_change`: points from the opening day to the horizon's end, of those still "
                "scored; `recovered`: in a better zone at its end; `churned`: left within it "
                "(text).",
            ),
            "horizon_days": ("integer", "Length of the window after the opening (days)."),
            "worked_count": ("bigint", "Worked openings whose outcome is known (count)."),
            "compared_count": ("bigint", "Openings not worked whose outcome is known (count)."),
            "matched_count": ("bigint", "Worked openings with somebody alike (count)."),
            "matched_account_count": ("bigint", "Different accounts among them (count)."),
            "comparison_account_count": (
                "bigint",
                "Different accounts they are compared with (count).",
            ),
            "matched_ratio": ("double", "Share of the worked with somebody alike (0 to 1)."),
            "score_difference": (
                "double",
                "Mean score on the opening day of the matched worked less that of those they are "
                "compared with (points).",
            ),
            "trend_difference": (
                "double",
                "The same of the score's 30-day move before the opening (points).",
            ),
            "worked_value": (
                "double",
                "Mean outcome of the matched worked openings; for score_change the plain change "
                "before to after, which holds regression to the mean.",
            ),
            "comparison_value": (
                "double",
                "Mean outcome of those alike, what is left of a difference in score and trend "
                "reckoned off: what comes without the work, regression to the mean with it.",
            ),
            "effect": ("double", "worked_value less comparison_value; null: see reason."),
            "effect_low": ("double", "Lower end of its interval, accounts independent."),
            "effect_high": ("double", "Upper end of its interval, accounts independent."),
            "reason": ("varchar", "Why there is no effect to name; null when there is (text)."),
        },
    ),
}


@dataclass(frozen=True)
class EffectResult:
    """All comparisons as of a day, with the options they were made under."""

    as_of_date: date
    options: EffectOptions
    confidence_ratio: float
    rows: tuple[EffectRow, ...]


def playbook_effect(con: duckdb.DuckDBPyConnection, as_of: date) -> EffectResult:
    """Compare worked and other openings of a build or published file, as known on `as_of`.

    Only temporary tables are written, and dropped again.

    Raises:
        ConfigError: the policy of the proof is missing or wrong.
    """
    options, proof = effect_options(con), proof_options(con)
    rows: list[EffectRow] = []
    try:
        _load_facts(con, as_of, options)
        for horizon in proof.horizons_days:
            _load_outcomes(con, as_of, horizon)
            _load_pairs(con, options)
            for method in (MATCHED, HOLDOUT):
                rows += _compare(con, method, horizon, options, proof)
    finally:
        for table in _TEMPORARY:
            con.execute(f"drop table if exists temp.{table}")
    rows.sort(key=lambda row: astuple(row)[:6])
    return EffectResult(as_of, options, proof.confidence_ratio, tuple(rows))


def store_effect(con: duckdb.DuckDBPyConnection, result: EffectResult) -> dict[str, int]:
    """Write the table in place of what was there; returns its rows."""
    columns = EFFECT_TABLES[TABLE].columns
    expected = ["as_of_date", *(field.name for field in fields(EffectRow))]
    assert list(columns) == expected, "its columns are not those of its rows"
    definition = ", ".join(f"{name} {sql}" for name, (sql, _) in columns.items())
    con.execute("create schema if not exists marts")
    con.begin()
    try:
        con.execute(f"create or replace table {TABLE} ({definition})")
        if result.rows:
            con.executemany(
                f"insert into {TABLE} values ({', '.join('?' for _ in columns)})",
                [[result.as_of_date, *astuple(row)] for row in result.rows],
            )
        con.commit()
    except BaseException:
        con.rollback()
        raise
    return {TABLE: len(result.rows)}


def _load_facts(con: duckdb.DuckDBPyConnection, as_of: date, options: EffectOptions) -> None:
    """`effect_facts`: openings and held-out matches with what was known on their day.

    Restated actions are left out. Out of the matched comparison, on either side, are cancelled ones
    (said to be wrong) and those that ended by themselves before the landmark: nobody had the time.
    """
    con.execute(
        f"""
        create or replace temp table effect_facts as
        with opened as (
            select action_id as unit_id, playbook_id, rule_id, rule_version, account_id, opened_on,
                coalesce(started_on, case when close_reason = 'completed' then closed_on end)
                    <= opened_on + {options.landmark_days} as is_worked,
                false as is_held_out,
                coalesce(closed_on <= opened_on + {options.landmark_days}
                    and close_reason <> 'completed', false) as ended_early,
                coalesce(close_reason = 'cancelled', false) as is_cancelled
            from playbooks.actions
            where opened_on <= $as_of and close_reason is distinct from 'restated'
        ),
        held as (
            select 'held|' || states.rule_id || '|' || states.account_id || '|' || states.scope
                    || '|' || states.valid_from_on as unit_id,
                states.playbook_id, states.rule_id, rules.rule_version, states.account_id,
                states.valid_from_on as opened_on, false as is_worked, true as is_held_out,
                false as ended_early, false as is_cancelled
            from playbooks.rule_states as states
            inner join playbooks.rules as rules on states.rule_id = rules.rule_id
            where states.verdict = 'suppressed' and states.reason = '{_HELD_OUT}'
                and states.valid_from_on <= $as_of
        )
        select units.*, coalesce(is_worked, false) as was_worked, health.tier,
            cast(health.arr_usd as double) as arr_usd, health.health_score as score,
            health.score_change_30d as trend, zones.zone_rank
        from (select * from opened union all select * from held) as units
        inner join marts.fct_account_health_daily as health
            on units.account_id = health.account_id and units.opened_on = health.as_of_date
        left join (
            {_ZONE_RANKS}
        ) as zones on health.health_zone = zones.health_zone
        """,
        {"as_of": as_of},
    )


def _load_outcomes(con: duckdb.DuckDBPyConnection, as_of: date, horizon_days: int) -> None:
    """`effect_outcomes`: per unit and outcome its value; only where the whole window is over."""
    con.execute(
        f"""
        create or replace temp table effect_outcomes as
        with ends as (
            select facts.*, later.health_score as score_then, zones.zone_rank as rank_then,
                coalesce(account.churned_on <= facts.opened_on + {horizon_days}, false)
                    as is_churned
            from effect_facts as facts
            inner join marts.dim_account as account on facts.account_id = account.account_id
            left join marts.fct_account_health_daily as later
                on facts.account_id = later.account_id
                and later.as_of_date = facts.opened_on + {horizon_days}
            left join (
                {_ZONE_RANKS}
            ) as zones on later.health_zone = zones.health_zone
            where facts.opened_on + {horizon_days} <= $as_of
        )
        select *, 'score_change' as outcome, score_then - score as value from ends
        where score_then is not null and score is not null and not is_churned
        union all
        -- In the best zone nothing can recover.
        select *, 'recovered',
            case when not is_churned and rank_then < zone_rank then 1.0 else 0.0 end
        from ends
        where zone_rank > (select min(zone_rank) from ({_ZONE_RANKS}))
            and (is_churned or rank_then is not null)
        union all
        select *, 'churned', case when is_churned then 1.0 else 0.0 end from ends
        """,
        {"as_of": as_of},
    )


def _load_pairs(con: duckdb.DuckDBPyConnection, options: EffectOptions) -> None:
    """`effect_pairs`: worked unit, compared unit and weight; the weights of one unit sum to 1."""
    con.execute(
        f"""
        create or replace temp table effect_pairs as
        with eligible as (
            select * from effect_outcomes
            where not is_held_out and not ended_early and not is_cancelled
        ),
        alike as (
            select worked.outcome, worked.unit_id, other.unit_id as other_id,
                (abs(worked.score - other.score) / {options.score_caliper_points}) ** 2
                + (abs(worked.trend - other.trend) / {options.trend_caliper_points}) ** 2
                + coalesce(
                    ln(worked.arr_usd / other.arr_usd) / ln({options.arr_ratio_max}), 0
                ) ** 2 as distance
            from eligible as worked
            inner join eligible as other
                on worked.outcome = other.outcome and worked.rule_id = other.rule_id
                and worked.rule_version = other.rule_version and worked.tier = other.tier
                and worked.account_id <> other.account_id
                and abs(worked.score - other.score) <= {options.score_caliper_points}
                and abs(worked.trend - other.trend) <= {options.trend_caliper_points}
                and (
                    greatest(worked.arr_usd, other.arr_usd)
                        <= least(worked.arr_usd, other.arr_usd) * {options.arr_ratio_max}
                    and least(worked.arr_usd, other.arr_usd) > 0
                    or worked.arr_usd is null and other.arr_usd is null
                )
            where worked.was_worked and not other.was_worked
        ),
        nearest as (
            select * from alike
            qualify row_number() over (
                partition by outcome, unit_id order by distance, other_id
            ) <= {options.comparisons_max}
        )
        select outcome, unit_id, other_id,
            1.0 / count(*) over (partition by outcome, unit_id) as weight
        from nearest
        """
    )


def _compare(
    con: duckdb.DuckDBPyConnection,
    method: str,
    horizon_days: int,
    options: EffectOptions,
    proof: ProofOptions,
) -> list[EffectRow]:
    """The comparisons of every rule and of every playbook as a whole.

    The effect is a weighted sum of outcomes. Its variance adds up, account by account, the weighted
    distances from the group's mean: an account that appears often, or is compared with often,
    counts as one.
    """
    groups = (
        "(select *, rule_id as group_rule, rule_version as group_version from effect_outcomes"
        f" union all select *, '{ALL}', 0 from effect_outcomes)"
    )
    if method == MATCHED:
        units = f"""
            select playbook_id, group_rule, group_version, outcome, unit_id, account_id, value,
                score, trend, was_worked as is_treated
            from {groups}
            where not is_held_out and not ended_early and not is_cancelled
        """
        weights = """
            select units.*, pairs.unit_id is not null as is_used,
                coalesce(pairs.share, 0) as share
            from units
            left join (
                select outcome, unit_id, 1.0 as share from effect_pairs group by all
                union all
                select outcome, other_id, sum(weight) from effect_pairs group by all
            ) as pairs on units.outcome = pairs.outcome and units.unit_id = pairs.unit_id
        """
    else:
        # The first time each account crossed the line since anybody was held out.
        units = f"""
            select playbook_id, group_rule, group_version, outcome, unit_id, account_id, value,
                score, trend, not is_held_out as is_treated
            from {groups} as facts
            where opened_on >= (
                select min(opened_on) from effect_facts as first
                where first.is_held_out and first.playbook_id = facts.playbook_id
                    and (facts.group_rule = '{ALL}' or first.rule_id = facts.group_rule)
            )
            qualify row_number() over (
                partition by playbook_id, group_rule, group_version, outcome, account_id
                order by opened_on, unit_id
            ) = 1
        """
        weights = "select units.*, true as is_used, 1.0 as share from units"
    # Chance makes the held out alike; there is nothing to reckon off.
    adjusted = int(method == MATCHED)
    rows = con.execute(
        f"""
        with units as ({units}),
        shared as ({weights}),
        -- How the outcome goes with score and trend among those not worked on: what is left of a
        -- difference between the compared is reckoned off by it.
        moments as (
            select playbook_id, group_rule, group_version, outcome,
                covar_pop(score, value) as score_value, covar_pop(trend, value) as trend_value,
                covar_pop(score, trend) as score_trend, var_pop(score) as score_score,
                var_pop(trend) as trend_trend,
                nullif(score_score * trend_trend - score_trend * score_trend, 0) as determinant
            from units where not is_treated
            group by all
        ),
        slopes as (
            select playbook_id, group_rule, group_version, outcome,
                coalesce((score_value * trend_trend - trend_value * score_trend) / determinant, 0)
                    as score_slope,
                coalesce((trend_value * score_score - score_value * score_trend) / determinant, 0)
                    as trend_slope
            from moments
        ),
        weighted as (
            select shared.* exclude (value), value as plain_value,
                value - {adjusted} * (
                    coalesce(score_slope * score, 0) + coalesce(trend_slope * trend, 0)
                ) as value
            from shared
            left join slopes using (playbook_id, group_rule, group_version, outcome)
        ),
        totals as (
            select playbook_id, group_rule, group_version, outcome,
                count(*) filter (is_treated) as worked_count,
                count(*) filter (not is_treated) as compared_count,
                count(*) filter (is_treated and is_used) as matched_count,
                count(distinct account_id) filter (is_treated and is_used) as matched_accounts,
                count(distinct account_id) filter (not is_treated and is_used) as other_accounts,
                sum(share) filter (is_treated) as treated_share,
                sum(share) filter (not is_treated) as other_share,
                sum(share * value) filter (is_treated) as treated_sum,
                sum(share * value) filter (not is_treated) as other_sum,
                sum(share * plain_value) filter (is_treated) / treated_share as treated_plain,
                sum(share * score) filter (is_treated) / treated_share
                    - sum(share * score) filter (not is_treated) / other_share
                    as score_difference,
                sum(share * trend) filter (is_treated) / treated_share
                    - sum(share * trend) filter (not is_treated) / other_share
                    as trend_difference,
                greatest(
                    abs(score_difference) / nullif(stddev_samp(score) filter (is_treated), 0),
                    abs(trend_difference) / nullif(stddev_samp(trend) filter (is_treated), 0)
                ) as imbalance
            from weighted group by all
        ),
        parts as (
            select weighted.playbook_id, weighted.group_rule, weighted.group_version,
                weighted.outcome, weighted.account_id,
                sum(case when is_treated
                    then share * (value - treated_sum / treated_share) / treated_share
                    else -share * (value - other_sum / other_share) / other_share end) as part
            from weighted
            inner join totals using (playbook_id, group_rule, group_version, outcome)
            where is_used and treated_share > 0 and other_share > 0
            group by all
        ),
        spreads as (
            select playbook_id, group_rule, group_version, outcome,
                sum(part * part) * count(*) / nullif(count(*) - 1, 0) as variance
            from parts group by all
        )
        select totals.playbook_id, group_rule, group_version, outcome, worked_count,
            compared_count, matched_count, matched_accounts, other_accounts,
            treated_plain, treated_sum / nullif(treated_share, 0)
                - other_sum / nullif(other_share, 0), variance,
            score_difference, trend_difference, imbalance
        from totals
        left join spreads using (playbook_id, group_rule, group_version, outcome)
        """
    ).fetchall()
    return [_effect_row(_Counts(*row), method, horizon_days, options, proof) for row in rows]


@dataclass(frozen=True)
class _Counts:
    """One comparison as the query gives it."""

    playbook_id: str
    rule_id: str
    rule_version: int
    outcome: str
    worked: int
    compared: int
    matched: int
    accounts: int
    others: int
    treated: float | None
    effect: float | None
    variance: float | None
    score_difference: float | None
    trend_difference: float | None
    #: the larger of the two in standard deviations of the worked
    imbalance: float | None

    @property
    def matched_ratio(self) -> float | None:
        """Share of the worked with somebody alike."""
        return self.matched / self.worked if self.worked else None


def _effect_row(
    row: _Counts, method: str, horizon_days: int, options: EffectOptions, proof: ProofOptions
) -> EffectRow:
    """The row with effect and interval, or with the reason why there is none."""
    reason = _reason(row, method, options, proof.min_group_accounts)
    effect = low = high = other = None
    if reason is None and row.treated is not None and row.effect is not None:
        effect, other = row.effect, row.treated - row.effect
        z = NormalDist().inv_cdf(0.5 + proof.confidence_ratio / 2)
        reach = z * math.sqrt(row.variance or 0)
        low, high = effect - reach, effect + reach
    return EffectRow(
        playbook_id=row.playbook_id,
        rule_id=row.rule_id,
        rule_version=row.rule_version,
        method=method,
        outcome=row.outcome,
        horizon_days=horizon_days,
        worked_count=row.worked,
        compared_count=row.compared,
        matched_count=row.matched,
        matched_account_count=row.accounts,
        comparison_account_count=row.others,
        matched_ratio=rounded(row.matched_ratio),
        score_difference=rounded(row.score_difference),
        trend_difference=rounded(row.trend_difference),
        worked_value=rounded(row.treated) if reason is None else None,
        comparison_value=rounded(other),
        effect=rounded(effect),
        effect_low=rounded(low),
        effect_high=rounded(high),
        reason=reason,
    )


def _reason(row: _Counts, method: str, options: EffectOptions, min_accounts: int) -> str | None:
    """Why no effect can be named, or None when it can: the first that applies."""
    ratio, imbalance = row.matched_ratio or 0, row.imbalance or 0
    is_matched = method == MATCHED
    reasons = (
        (not row.worked, "nothing was worked on, or nobody reports it"),
        (not row.compared, "everything was worked on: there is nobody to compare with"),
        (
            is_matched and ratio < options.min_matched_ratio,
            f"only {ratio:.0%} of the worked have somebody alike, "
            f"{options.min_matched_ratio:.0%} are needed",
        ),
        (
            min(row.accounts, row.others) < min_accounts,
            f"too few accounts: {row.accounts} worked and {row.others} compared, "
            f"{min_accounts} of each are needed",
        ),
        (
            is_matched and imbalance > options.max_imbalance_sd,
            f"even the nearest are not alike: they differ by {imbalance:.1f} standard deviations "
            f"in score or trend, {options.max_imbalance_sd:g} are allowed",
        ),
        (not row.variance, "all outcomes are equal: no spread, so no interval"),
    )
    return next((text for applies, text in reasons if applies), None)
