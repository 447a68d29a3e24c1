"""Account-days on which the score is held to account, and what became of them afterwards.

One row per account and cohort day T in the temporary table `proof_cohorts`. All that describes
the account comes from rows of day T; only the outcome columns look past T, and they are null
unless their whole window [T + 1, T + h] is over by the last day.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import Literal

import duckdb

from dagster_project.errors import ConfigError, CspError
from dagster_project.proof.options import ProofOptions

#: Days taken as T: the last of each month, or every n-th day since 1970-01-01 (1 = every day).
Step = Literal["month"] | int

CHURN = "churn"
CONTRACTION = "contraction"
EITHER = "churn_or_contraction"
OUTCOMES = (CHURN, CONTRACTION, EITHER)


@dataclass(frozen=True)
class Span:
    """The history that was used: first and last day with a score, and the last day of outcomes."""

    first_on: date
    as_of: date


def outcome_column(outcome: str, horizon_days: int) -> str:
    """Column of `proof_cohorts`: true lost, false kept, null not known."""
    return f"{outcome}_{horizon_days}d"


def find_span(con: duckdb.DuckDBPyConnection, from_date: date | None, as_of: date | None) -> Span:
    """The days to use: what was asked for, within what the health mart holds.

    Raises:
        CspError: there is no health mart, or it is empty.
        ConfigError: the dates asked for lie outside of it or are in the wrong order.
    """
    try:
        row = con.execute(
            "select min(as_of_date), max(as_of_date) from marts.fct_account_health_daily"
        ).fetchone()
    except duckdb.CatalogException as error:
        raise CspError("there is no marts.fct_account_health_daily: run `csp run` first") from error
    if row is None or row[0] is None:
        raise CspError("marts.fct_account_health_daily has no rows: run `csp run` first")
    first, last = row
    if as_of is not None and not first <= as_of <= last:
        raise ConfigError(f"--as-of {as_of}: the health mart holds {first} to {last}")
    if from_date is not None and not first <= from_date <= (as_of or last):
        raise ConfigError(f"--from {from_date}: must lie within {first} and {as_of or last}")
    return Span(from_date or first, as_of or last)


def build_cohorts(
    con: duckdb.DuckDBPyConnection,
    span: Span,
    step: Step,
    horizons_days: Sequence[int],
    options: ProofOptions,
) -> None:
    """Write the temporary table `proof_cohorts` (grain: account_no, as_of_date).

    churn: the account's churn date lies in the window. contraction: it is still a customer when
    the window ends and its ARR is then lower than at T by the policy's share or more (net, so a
    subscription replaced in between is no contraction). An account that neither churned nor has a
    row at the window's end (it vanished from the extracts) is not known. The ARR outcomes are
    known only where the ARR at T is: churn alone would make the unknown look bad.
    """
    if step != "month" and step < 1:
        raise ConfigError(f"a step of {step} days: must be 1 or more")
    is_cohort = (
        "last_day(health.as_of_date) = health.as_of_date"
        if step == "month"
        else f"date_diff('day', date '1970-01-01', health.as_of_date) % {step} = 0"
    )
    con.execute(
        """
        create or replace temp table proof_accounts as
        select
            cast(row_number() over (order by account_id) as integer) as account_no,
            account_id,
            case when churned_on <= ? then churned_on end as churned_on
        from marts.dim_account
        """,
        [span.as_of],
    )
    # Narrow and by number: with every day a cohort, three joins of the wide mart would not fit.
    con.execute(
        """
        create or replace temp table proof_arr as
        select
            accounts.account_no,
            health.as_of_date,
            cast(health.arr_usd as double) as arr_usd
        from marts.fct_account_health_daily as health
        inner join proof_accounts as accounts on health.account_id = accounts.account_id
        where health.as_of_date >= ? and health.as_of_date <= ?
        """,
        [span.first_on, span.as_of],
    )
    columns: list[str] = []
    joins: list[str] = []
    for horizon in horizons_days:
        churned = (
            f"cohorts.churned_on > cohorts.as_of_date"
            f" and cohorts.churned_on <= cohorts.as_of_date + {horizon}"
        )
        is_over = f"cohorts.as_of_date + {horizon} <= $as_of"
        shrank = f"end_{horizon}.arr_usd < cohorts.arr_usd * (1 - $contraction_min_ratio)"
        joins.append(f"""
            left join proof_arr as end_{horizon}
                on cohorts.account_no = end_{horizon}.account_no
                and cohorts.as_of_date + {horizon} = end_{horizon}.as_of_date
        """)
        columns.append(f"""
            case
                when not {is_over} then null
                when {churned} then true
                when end_{horizon}.account_no is not null then false
            end as {outcome_column(CHURN, horizon)},
            case
                when not {is_over} or cohorts.arr_usd is null or cohorts.arr_usd <= 0 then null
                when {churned} then null
                when end_{horizon}.account_no is not null then {shrank}
            end as {outcome_column(CONTRACTION, horizon)},
            case
                when not {is_over} or cohorts.arr_usd is null or cohorts.arr_usd <= 0 then null
                when {churned} then true
                when end_{horizon}.account_no is not null then {shrank}
            end as {outcome_column(EITHER, horizon)}
        """)
    con.execute(
        f"""
        create or replace temp table proof_cohorts as
        with cohorts as (
            select
                accounts.account_no,
                accounts.churned_on,
                health.as_of_date,
                health.tier,
                health.segment,
                health.profile_id,
                -- set/profile/valid from/fingerprint: the version is what all profiles share.
                case when health.policy_key is not null
                    then split_part(health.policy_key, '/', 1) || '/'
                        || split_part(health.policy_key, '/', 3)
                end as policy_version,
                health.health_zone,
                cast(health.arr_usd as double) as arr_usd,
                health.health_score,
                health.coverage_ratio,
                health.adoption_score,
                cast(health.days_to_renewal as double) as days_to_renewal
            from marts.fct_account_health_daily as health
            inner join proof_accounts as accounts on health.account_id = accounts.account_id
            where
                health.as_of_date >= $from_date
                and health.as_of_date <= cast($as_of as date) - {min(horizons_days)}
                and {is_cohort}
        )
        select cohorts.* exclude (churned_on), {", ".join(columns)}
        from cohorts
        {"".join(joins)}
        """,
        {
            "from_date": span.first_on,
            "as_of": span.as_of,
            "contraction_min_ratio": options.contraction_min_ratio,
        },
    )


def drop_temporary(con: duckdb.DuckDBPyConnection) -> None:
    """Drop what the proof left in the connection's temporary schema."""
    for (name,) in con.execute(
        "select table_name from duckdb_tables() where temporary and table_name like 'proof!_%' "
        "escape '!'"
    ).fetchall():
        con.execute(f"drop table temp.{name}")
