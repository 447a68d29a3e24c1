"""What past renewals say about the ones ahead: rates by zone, and the ARR they let expect.

A past renewal is a term that ended, with the zone the account was in a while before. It was kept
when the account is still a customer some days after; so the rate answers the question asked of a
renewal ahead, whose zone is known today. Nobody's future enters: a renewal counts once its outcome
is known.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date

import duckdb
import numpy as np
import polars as pl

from dagster_project.proof.discrimination import wilson_interval
from dagster_project.proof.options import ProofOptions

UNSCORED = "unscored"
TOTAL = "all"
# Draws of the simulation; its error is then small beside the range it gives. Always the same draws.
_DRAWS = 4_000
_BLOCK = 500
_SEED = 20


@dataclass(frozen=True)
class Rate:
    """How often renewals of accounts in a zone were kept; `TOTAL` for all zones together.

    `accounts` counts an account once, however often it renewed; `ratio` and its interval (0 to 1)
    are None where they are too few, and `reason` says so. `arr_usd` is the ARR before,
    `stayed_usd` that of the accounts that were kept, `kept_usd` what these had after, growth not
    counted.
    """

    health_zone: str
    renewals: int
    accounts: int
    kept: int
    ratio: float | None
    low: float | None
    high: float | None
    arr_usd: float
    stayed_usd: float
    kept_usd: float
    reason: str | None


@dataclass(frozen=True)
class PastRenewals:
    """Rates by zone, best first, then of all together.

    `lead_days`: how long before the renewal the zone was read; `settle_days`: how long after it the
    account must still be there; `unknown`: renewals of accounts that vanished from the extracts.
    """

    lead_days: int
    settle_days: int
    first_on: date | None
    last_on: date | None
    unknown: int
    rates: tuple[Rate, ...]

    @property
    def whole(self) -> Rate:
        """The rate over all zones."""
        return self.rates[-1]

    def rate_for(self, zone: str) -> Rate | None:
        """The rate a renewal ahead is judged by: its zone's, else that of all, else none."""
        for rate in self.rates:
            if rate.health_zone == zone and rate.ratio is not None:
                return rate
        return self.whole if self.whole.ratio is not None else None


@dataclass(frozen=True)
class Expectation:
    """ARR (USD) that renews and what of it is expected to stay, of one month or of all.

    `expected_usd`, `low_usd` and `high_usd` are None where no rate can be given. `unknown_arr`
    counts accounts whose ARR is not known; they are in no sum.
    """

    renewal_month: date | None
    accounts: int
    unknown_arr: int
    arr_usd: float
    at_risk_usd: float
    expected_usd: float | None
    low_usd: float | None
    high_usd: float | None


def settle_days(options: ProofOptions) -> int:
    """How long after a renewal it counts as kept: the proof's shortest horizon (days)."""
    return min(options.horizons_days)


def upcoming_renewals(con: duckdb.DuckDBPyConnection, as_of: date, days: int) -> pl.DataFrame:
    """Accounts that renew within `days` days of the day, soonest first.

    Columns account_id, account_name, owner_ca, renews_on, renewal_month, days_to_renewal, arr_usd
    (null when unknown), health_zone (unscored is one), health_score, score_change_30d.
    """
    found: pl.DataFrame = con.sql(
        """
        select
            health.account_id, coalesce(accounts.account_name, health.account_id) as account_name,
            health.owner_ca,
            health.as_of_date + health.days_to_renewal as renews_on,
            date_trunc('month', health.as_of_date + health.days_to_renewal)::date as renewal_month,
            health.days_to_renewal, health.arr_usd::double as arr_usd,
            coalesce(health.health_zone, $unscored) as health_zone,
            health.health_score, health.score_change_30d
        from marts.fct_account_health_daily as health
        left join marts.dim_account as accounts on accounts.account_id = health.account_id
        where health.as_of_date = $as_of and health.days_to_renewal between 0 and $days
        order by health.days_to_renewal, health.arr_usd desc nulls last, health.account_id
        """,
        params={"as_of": as_of, "days": days, "unscored": UNSCORED},
    ).pl()
    return found


def past_renewals(
    con: duckdb.DuckDBPyConnection, as_of: date, lead_days: int, options: ProofOptions
) -> PastRenewals:
    """Rates of renewals whose outcome is known on the day.

    Args:
        con: a published or build file.
        as_of: the last day of which anything is used.
        lead_days: how long before its renewal an account's zone is read.
        options: confidence, and how many accounts a rate needs (`min_group_accounts`).
    """
    settle = settle_days(options)
    con.execute(
        """
        create or replace temp table proof_renewals as
        with
        seen as (
            select
                account_id, as_of_date as seen_on, as_of_date + days_to_renewal as renews_on,
                coalesce(health_zone, $unscored) as health_zone, arr_usd
            from marts.fct_account_health_daily
            where days_to_renewal = $lead::integer
                and as_of_date <= $as_of::date - ($lead::integer + $settle::integer)
        ),
        later as (
            select account_id, as_of_date, arr_usd
            from marts.fct_account_health_daily
            where as_of_date <= $as_of
        )
        select
            seen.account_id, seen.renews_on, seen.health_zone, seen.arr_usd,
            case
                when accounts.churned_on <= seen.renews_on + $settle::integer then false
                when later.account_id is not null then true
            end as is_kept,
            coalesce(later.arr_usd, 0) as arr_after_usd
        from seen
        left join marts.dim_account as accounts on accounts.account_id = seen.account_id
        left join later
            on later.account_id = seen.account_id
            and later.as_of_date = seen.renews_on + $settle::integer
        """,
        {"as_of": as_of, "lead": lead_days, "settle": settle, "unscored": UNSCORED},
    )
    try:
        rows = con.execute(
            """
            select
                health_zone, count(*), count(distinct account_id), count(*) filter (is_kept),
                coalesce(sum(arr_usd), 0),
                coalesce(sum(arr_usd) filter (is_kept), 0),
                coalesce(sum(least(arr_usd, arr_after_usd)) filter (is_kept), 0)
            from proof_renewals
            where is_kept is not null
            group by rollup (health_zone)
            """
        ).fetchall()
        first_on, last_on, unknown = con.execute(
            "select min(renews_on) filter (is_kept is not null), "
            "max(renews_on) filter (is_kept is not null), count(*) filter (is_kept is null) "
            "from proof_renewals"
        ).fetchall()[0]
        ranks = dict(
            con.execute(
                "select health_zone, min(zone_rank) from policy.health_zones group by health_zone"
            ).fetchall()
        )
    finally:
        con.execute("drop table temp.proof_renewals")
    zones = sorted(
        (row for row in rows if row[0] is not None),
        key=lambda row: (ranks.get(row[0], len(ranks) + 1), row[0]),
    )
    # A rollup over nothing has no row at all.
    whole = [row for row in rows if row[0] is None] or [(None, 0, 0, 0, 0.0, 0.0, 0.0)]
    return PastRenewals(
        lead_days=lead_days,
        settle_days=settle,
        first_on=first_on,
        last_on=last_on,
        unknown=int(unknown),
        rates=tuple(_rate(row, options) for row in [*zones, whole[0]]),
    )


def _rate(row: Sequence[object], options: ProofOptions) -> Rate:
    zone, renewals, accounts, kept, arr_usd, stayed_usd, kept_usd = row
    count, heads, held = int(str(renewals)), int(str(accounts)), int(str(kept))
    reason = None
    ratio = low = high = None
    if heads < options.min_group_accounts:
        reason = f"too few accounts: {heads}, {options.min_group_accounts} are needed"
    else:
        ratio = held / count
        # Renewals of one account resemble each other, so an account counts once in the interval.
        low, high = wilson_interval(ratio, heads, options.confidence_ratio)
    return Rate(
        health_zone=TOTAL if zone is None else str(zone),
        renewals=count,
        accounts=heads,
        kept=held,
        ratio=ratio,
        low=low,
        high=high,
        arr_usd=float(str(arr_usd)),
        stayed_usd=float(str(stayed_usd)),
        kept_usd=float(str(kept_usd)),
        reason=reason,
    )


def expect_renewals(
    upcoming: pl.DataFrame,
    past: PastRenewals,
    options: ProofOptions,
    risk_zones: Sequence[str],
) -> list[Expectation]:
    """ARR expected to stay, per month of renewal in order, and of all months last.

    Two things are unknown, and the range holds both: the rate itself, which few past renewals tell
    only roughly, and whom it hits, which matters where one account is much of the ARR. Rates are
    drawn from what the past leaves open (Jeffreys), accounts by these rates, always with the same
    draws; the expectation is their mean, exactly. An account keeps its ARR or loses it whole.

    Args:
        upcoming: `upcoming_renewals`.
        past: the rates.
        options: the confidence of the range.
        risk_zones: the zones whose ARR is at risk.
    """
    known = upcoming.filter(pl.col("arr_usd").is_not_null()).sort("account_id")
    judged = {zone: past.rate_for(zone) for zone in sorted(set(known["health_zone"].to_list()))}
    months = sorted(set(upcoming["renewal_month"].to_list()))
    can_be_told = bool(known.height) and all(rate is not None for rate in judged.values())
    draws = _draw(known, judged, months) if can_be_told else None
    found: list[Expectation] = []
    for month in [*months, None]:
        mine = upcoming if month is None else upcoming.filter(pl.col("renewal_month") == month)
        expected = low = high = None
        if draws is not None:
            own = draws.sum(axis=0) if month is None else draws[months.index(month)]
            tail = (1 - options.confidence_ratio) / 2
            low, high = (float(value) for value in np.quantile(own, [tail, 1 - tail]))
            # Exactly rounded, so that it does not hang on the order of the accounts.
            expected = math.fsum(
                row["arr_usd"] * _mean(judged[row["health_zone"]])
                for row in mine.filter(pl.col("arr_usd").is_not_null()).iter_rows(named=True)
            )
        found.append(
            Expectation(
                renewal_month=month,
                accounts=mine.height,
                unknown_arr=mine["arr_usd"].null_count(),
                arr_usd=float(mine["arr_usd"].sum()),
                at_risk_usd=float(
                    mine.filter(pl.col("health_zone").is_in(list(risk_zones)))["arr_usd"].sum()
                ),
                expected_usd=expected,
                low_usd=low,
                high_usd=high,
            )
        )
    return found


def _mean(rate: Rate | None) -> float:
    assert rate is not None
    lost, kept = _counts(rate)
    return kept / (kept + lost)


def _counts(rate: Rate) -> tuple[float, float]:
    """What the past weighs, lost and kept: by accounts, because their renewals resemble."""
    share = rate.kept / rate.renewals
    return (1 - share) * rate.accounts + 0.5, share * rate.accounts + 0.5


def _draw(
    known: pl.DataFrame, judged: Mapping[str, Rate | None], months: Sequence[date]
) -> np.ndarray[tuple[int, int], np.dtype[np.float64]]:
    """ARR kept per month (row) and draw (column)."""
    random = np.random.default_rng(_SEED)
    # Zones without a rate of their own share one draw of the whole's: they are wrong together.
    shared: dict[str, np.ndarray[tuple[int], np.dtype[np.float64]]] = {}
    for rate in sorted({id(rate): rate for rate in judged.values()}.values(), key=_rate_name):
        assert rate is not None
        lost, kept = _counts(rate)
        shared[rate.health_zone] = random.beta(kept, lost, _DRAWS)
    names = [_rate_name(judged[zone]) for zone in known["health_zone"].to_list()]
    arr = known["arr_usd"].to_numpy()
    places = np.array([months.index(month) for month in known["renewal_month"].to_list()])
    kept_usd = np.zeros((len(months), _DRAWS))
    by_month = np.zeros((len(months), known.height))
    by_month[places, np.arange(known.height)] = arr
    for start in range(0, _DRAWS, _BLOCK):
        block = slice(start, start + _BLOCK)
        ratios = np.stack([shared[name][block] for name in names])
        stays = random.random(ratios.shape) < ratios
        kept_usd[:, block] = by_month @ stays
    return kept_usd


def _rate_name(rate: Rate | None) -> str:
    assert rate is not None
    return rate.health_zone
