"""The backtest as tables: `marts.fct_health_backtest_*`, rebuilt whole by every run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import astuple, dataclass, fields
from typing import Any

import duckdb

from dagster_project.proof.backtest import (
    BacktestResult,
    CalibrationRow,
    LeadTimeRow,
    SummaryRow,
    ZoneRow,
)


@dataclass(frozen=True)
class TableSpec:
    """A table's grain, meaning, and per column its SQL type and description."""

    grain: tuple[str, ...]
    description: str
    columns: Mapping[str, tuple[str, str]]


_AS_OF = ("date", "Last day whose outcomes were used (date).")
_OUTCOME = (
    "varchar",
    "`churn`: the account left; `contraction`: it stayed and its ARR fell by the policy's share "
    "or more; `churn_or_contraction`: either (text).",
)
_HORIZON = ("integer", "Length of the outcome window after the score's day (days).")
_DIMENSION = (
    "varchar",
    "What the account-days are cut by: all, tier, segment, profile, policy_version or renewal "
    "(`in_window`: the next renewal lies in the outcome window, `later`), as of the score's day "
    "(text).",
)
_DIMENSION_VALUE = ("varchar", "Value of the dimension; `all` for all (text).")
_DAYS = ("bigint", "Account-days with a score and a known outcome (count).")
_ACCOUNTS = ("bigint", "Different accounts among them (count).")
_EVENTS = ("bigint", "Account-days followed by the outcome within the window (count).")
_RATIO = (
    "double",
    "Share of the account-days followed by the outcome (ratio 0 to 1; null: see reason).",
)
_RATIO_LOW = (
    "double",
    "Lower end of its confidence interval (ratio; Wilson, an account counts once).",
)
_RATIO_HIGH = (
    "double",
    "Upper end of its confidence interval (ratio; Wilson, an account counts once).",
)

#: By name; the order of columns is that of the table. The descriptions are the dictionary's.
BACKTEST_TABLES: dict[str, TableSpec] = {
    "marts.fct_health_backtest_summary": TableSpec(
        grain=("predictor", "dimension", "dimension_value", "outcome", "horizon_days"),
        description=(
            "How well the score as known on a day tells the accounts that were lost in the days "
            "after it from those that stayed, beside three baselines on the same account-days."
        ),
        columns={
            "as_of_date": _AS_OF,
            "predictor": (
                "varchar",
                "What ranks the accounts: `health_score`, or a baseline: `everyone_green` (no "
                "ranking), `days_to_renewal_only`, `usage_only` (the adoption component) (text).",
            ),
            "dimension": _DIMENSION,
            "dimension_value": _DIMENSION_VALUE,
            "outcome": _OUTCOME,
            "horizon_days": _HORIZON,
            "first_cohort_on": ("date", "First day of scores used (date)."),
            "last_cohort_on": (
                "date",
                "Last day of scores used: its whole window is over by as_of_date (date).",
            ),
            "cohort_count": ("bigint", "Different days of scores used (count)."),
            "account_day_count": _DAYS,
            "scored_ratio": (
                "double",
                "Share of the account-days with a known outcome that had a score (ratio 0 to 1).",
            ),
            "mean_coverage_ratio": (
                "double",
                "Mean coverage of those account-days, scored or not (ratio 0 to 1).",
            ),
            "account_count": _ACCOUNTS,
            "event_count": _EVENTS,
            "event_account_count": ("bigint", "Different accounts with such a day (count)."),
            "event_ratio": _RATIO,
            "auc": (
                "double",
                "Chance that of a random pair the account-day followed by the outcome had the "
                "lower value; ties half (0 to 1, 0.5 = no information; null: see reason).",
            ),
            "auc_low": (
                "double",
                "Lower end of its confidence interval (DeLong clustered by account, on the logit).",
            ),
            "auc_high": (
                "double",
                "Upper end of its confidence interval (DeLong clustered by account, on the logit).",
            ),
            "score_gain": (
                "double",
                "AUC of the health score less the baseline's, on the same account-days (baselines "
                "only).",
            ),
            "score_gain_low": (
                "double",
                "Lower end of its confidence interval (paired, clustered by account).",
            ),
            "score_gain_high": (
                "double",
                "Upper end of its confidence interval (paired, clustered by account).",
            ),
            "top_lift": (
                "double",
                "Rate of the outcome in the worst-ranked share of account-days (policy: a tenth) "
                "over the mean rate (factor, 1 = no better than chance).",
            ),
            "reason": ("varchar", "Why a number is missing; null when all are there (text)."),
        },
    ),
    "marts.fct_health_backtest_zone": TableSpec(
        grain=("dimension", "dimension_value", "outcome", "horizon_days", "health_zone"),
        description="How often accounts of each zone were lost in the days after.",
        columns={
            "as_of_date": _AS_OF,
            "dimension": _DIMENSION,
            "dimension_value": _DIMENSION_VALUE,
            "outcome": _OUTCOME,
            "horizon_days": _HORIZON,
            "health_zone": ("varchar", "Zone on the score's day, or `unscored` (text)."),
            "zone_rank": ("integer", "1 is the best zone; null for unscored."),
            "account_day_count": ("bigint", "Account-days with a known outcome (count)."),
            "account_count": _ACCOUNTS,
            "event_count": _EVENTS,
            "event_ratio": _RATIO,
            "event_ratio_low": _RATIO_LOW,
            "event_ratio_high": _RATIO_HIGH,
            "is_monotone": (
                "boolean",
                "No worse zone loses less than a better one, among the zones with enough accounts; "
                "equal in all zones of a slice; null with fewer than two such zones.",
            ),
            "reason": (
                "varchar",
                "Why a rate is missing, or which zones break the order; null when neither (text).",
            ),
        },
    ),
    "marts.fct_health_backtest_calibration": TableSpec(
        grain=("outcome", "horizon_days", "band"),
        description=(
            "What a score meant: rate of the outcome in equal parts of the scores, overall and in "
            "the earlier against the later half of the history."
        ),
        columns={
            "as_of_date": _AS_OF,
            "outcome": _OUTCOME,
            "horizon_days": _HORIZON,
            "band": ("integer", "Part of the scores, 1 = the lowest (ten by policy)."),
            "score_from": ("double", "Lowest score of the band (points 0 to 100)."),
            "score_to": ("double", "Highest score of the band (points 0 to 100)."),
            "account_day_count": _DAYS,
            "account_count": _ACCOUNTS,
            "event_count": _EVENTS,
            "event_ratio": _RATIO,
            "event_ratio_low": _RATIO_LOW,
            "event_ratio_high": _RATIO_HIGH,
            "earlier_event_ratio": (
                "double",
                "The rate among days of the earlier half whose window ended before the later half "
                "began (ratio; null: too few accounts).",
            ),
            "later_event_ratio": (
                "double",
                "The rate among days of the later half (ratio; null: too few accounts).",
            ),
            "reason": ("varchar", "Why the rate is missing; null when it is there (text)."),
        },
    ),
    "marts.fct_health_backtest_lead_time": TableSpec(
        grain=("dimension", "dimension_value"),
        description="How many days before an account left its zone had said so.",
        columns={
            "as_of_date": _AS_OF,
            "dimension": ("varchar", "All, tier or segment, as of the last score (text)."),
            "dimension_value": _DIMENSION_VALUE,
            "churned_count": ("bigint", "Accounts that churned in the history (count)."),
            "unseen_count": ("bigint", "Of them, those that never had a score (count)."),
            "warned_count": ("bigint", "Of them, those once not green before (count)."),
            "censored_count": (
                "bigint",
                "Of the warned, those not green on the history's first day already: they were "
                "warned that long or longer (count).",
            ),
            "unwarned_count": ("bigint", "Churned accounts green on every scored day (count)."),
            "first_warning_days_median": (
                "double",
                "Median from the first non-green day to churn, over the warned (days; "
                "Kaplan-Meier with the censored; null: see reason).",
            ),
            "warned_at_end_count": (
                "bigint",
                "Churned accounts whose last scored day was not green (count).",
            ),
            "last_warning_days_median": (
                "double",
                "Median from the start of the non-green spell that lasted until churn, over those "
                "(days; Kaplan-Meier with the censored).",
            ),
            "kept_count": ("bigint", "Accounts with a score that did not churn (count)."),
            "kept_warned_count": (
                "bigint",
                "Of them, those once not green: open warnings or false alarms (count).",
            ),
            "reason": ("varchar", "Why the first median is missing; null when not (text)."),
        },
    ),
}


def store_backtest(con: duckdb.DuckDBPyConnection, result: BacktestResult) -> dict[str, int]:
    """Write the four tables in place of what was there; returns rows per table."""
    parts: dict[str, tuple[type, Sequence[Any]]] = {
        "marts.fct_health_backtest_summary": (SummaryRow, result.summary),
        "marts.fct_health_backtest_zone": (ZoneRow, result.zones),
        "marts.fct_health_backtest_calibration": (CalibrationRow, result.calibration),
        "marts.fct_health_backtest_lead_time": (LeadTimeRow, result.lead_time),
    }
    con.execute("create schema if not exists marts")
    con.begin()
    try:
        for name, (kind, rows) in parts.items():
            columns = BACKTEST_TABLES[name].columns
            expected = ["as_of_date", *(field.name for field in fields(kind))]
            assert list(columns) == expected, f"{name}: its columns are not those of its rows"
            definition = ", ".join(f"{column} {sql}" for column, (sql, _) in columns.items())
            con.execute(f"create or replace table {name} ({definition})")
            if rows:
                con.executemany(
                    f"insert into {name} values ({', '.join('?' for _ in columns)})",
                    [[result.as_of_date, *astuple(row)] for row in rows],
                )
        con.commit()
    except BaseException:
        con.rollback()
        raise
    return {name: len(rows) for name, (_, rows) in parts.items()}
