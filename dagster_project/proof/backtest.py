"""The backtest: the score as known at T against what happened in the days after T.

The score of T is the one the mart holds: a late or corrected record has restated it.
AUC with interval, lift, rates by zone, calibration by score band, lead time before churn, for all
accounts and per tier, segment, profile and policy version, beside three baselines. A number that
too few accounts stand behind is None, and the row says why.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date

import duckdb

from dagster_project.proof.cohorts import (
    OUTCOMES,
    Span,
    Step,
    build_cohorts,
    drop_temporary,
    find_span,
    outcome_column,
)
from dagster_project.proof.discrimination import (
    Discrimination,
    Gain,
    discriminate,
    gain,
    logit_interval,
    plain_interval,
    wilson_interval,
)
from dagster_project.proof.options import ProofOptions, proof_options

HEALTH = "health_score"
ALL = "all"
#: What the score must beat; SQL over `proof_cohorts`, lower = more risk.
BASELINES = {
    "everyone_green": "0",
    "days_to_renewal_only": "days_to_renewal",
    "usage_only": "adoption_score",
}
DIMENSIONS = {
    ALL: f"'{ALL}'",
    "tier": "tier",
    "segment": "segment",
    "profile": "profile_id",
    "policy_version": "policy_version",
}
_RENEWAL = "renewal"
_DIGITS = 6
_SCORE_ON_ALL = "proof_score_on_all"


@dataclass(frozen=True)
class SummaryRow:
    """One predictor against one outcome in one slice; the fields are the table's columns."""

    predictor: str
    dimension: str
    dimension_value: str
    outcome: str
    horizon_days: int
    first_cohort_on: date | None
    last_cohort_on: date | None
    cohort_count: int
    account_day_count: int
    scored_ratio: float | None
    mean_coverage_ratio: float | None
    account_count: int
    event_count: int
    event_account_count: int
    event_ratio: float | None
    auc: float | None
    auc_low: float | None
    auc_high: float | None
    score_gain: float | None
    score_gain_low: float | None
    score_gain_high: float | None
    top_lift: float | None
    reason: str | None


@dataclass(frozen=True)
class ZoneRow:
    """What became of the account-days of one zone; the fields are the table's columns."""

    dimension: str
    dimension_value: str
    outcome: str
    horizon_days: int
    health_zone: str
    zone_rank: int | None
    account_day_count: int
    account_count: int
    event_count: int
    event_ratio: float | None
    event_ratio_low: float | None
    event_ratio_high: float | None
    is_monotone: bool | None
    reason: str | None


@dataclass(frozen=True)
class CalibrationRow:
    """What became of one score band, early and late; the fields are the table's columns."""

    outcome: str
    horizon_days: int
    band: int
    score_from: float
    score_to: float
    account_day_count: int
    account_count: int
    event_count: int
    event_ratio: float | None
    event_ratio_low: float | None
    event_ratio_high: float | None
    earlier_event_ratio: float | None
    later_event_ratio: float | None
    reason: str | None


@dataclass(frozen=True)
class LeadTimeRow:
    """How long before churn the zone said so; the fields are the table's columns."""

    dimension: str
    dimension_value: str
    churned_count: int
    unseen_count: int
    warned_count: int
    censored_count: int
    unwarned_count: int
    first_warning_days_median: float | None
    warned_at_end_count: int
    last_warning_days_median: float | None
    kept_count: int
    kept_warned_count: int
    reason: str | None


@dataclass(frozen=True)
class BacktestResult:
    """All of one backtest, ready to be stored or read aloud."""

    from_date: date
    as_of_date: date
    step: Step
    options: ProofOptions
    summary: tuple[SummaryRow, ...]
    zones: tuple[ZoneRow, ...]
    calibration: tuple[CalibrationRow, ...]
    lead_time: tuple[LeadTimeRow, ...]


def backtest(
    con: duckdb.DuckDBPyConnection,
    from_date: date | None = None,
    as_of: date | None = None,
    *,
    step: Step = "month",
    options: ProofOptions | None = None,
) -> BacktestResult:
    """Hold the score against outcomes; reads the marts and `policy`, writes temporary tables only.

    Args:
        con: the build file or the published file (read-only will do).
        from_date: first day of scores to use; default: the first there is.
        as_of: last day of outcomes to use; default: the last there is.
        step: cohort days: `month` ends, or every n-th day (1 = every day).
        options: default: the seeds in `policy`.

    Raises:
        CspError: no health mart yet. ConfigError: dates or seeds out of range.
    """
    options = options or proof_options(con)
    span = find_span(con, from_date, as_of)
    build_cohorts(con, span, step, options.horizons_days, options)
    try:
        con.execute(f"""
            create or replace temp table proof_scored as
            select * from proof_cohorts where {HEALTH} is not null
        """)
        return BacktestResult(
            from_date=span.first_on,
            as_of_date=span.as_of,
            step=step,
            options=options,
            summary=tuple(_summary(con, options)),
            zones=tuple(_zones(con, options)),
            calibration=tuple(_calibration(con, options)),
            lead_time=tuple(_lead_time(con, span, options)),
        )
    finally:
        drop_temporary(con)


def _dimensions(horizon_days: int) -> dict[str, str]:
    """What the account-days are cut by. Most accounts leave when a term ends, so a ranking by date
    alone says when; only among the accounts whose renewal lies in the window does it show who."""
    due = f"case when days_to_renewal <= {horizon_days} then 'in_window' else 'later' end"
    return {**DIMENSIONS, _RENEWAL: f"case when days_to_renewal is not null then {due} end"}


def rounded(value: float | None) -> float | None:
    """The value at the precision of the tables; results never differ by the last bit."""
    return None if value is None else round(value, _DIGITS)


def too_few(event_accounts: int, other_accounts: int, least: int) -> str | None:
    """Why no number can be given, or None when enough accounts stand on both sides."""
    if event_accounts < least:
        return f"too few events: {event_accounts} accounts had one, {least} are needed"
    if other_accounts < least:
        return f"too few without the event: {other_accounts} accounts, {least} are needed"
    return None


# --- summary -------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Population:
    """Account-days of a slice whose outcome is known, scored or not."""

    first_on: date
    last_on: date
    cohort_count: int
    account_day_count: int
    scored_count: int
    coverage_sum: float


def _summary(con: duckdb.DuckDBPyConnection, options: ProofOptions) -> Iterable[SummaryRow]:
    rows: list[SummaryRow] = []
    for horizon in options.horizons_days:
        columns = {outcome_column(outcome, horizon): outcome for outcome in OUTCOMES}
        whole: dict[str, tuple[_Population | None, Discrimination]] = {}
        for dimension, slice_by in _dimensions(horizon).items():
            populations = _populations(con, columns, slice_by)
            found = _as_the_whole(populations, whole) or {
                (one.slice_value, one.outcome): one
                for one in discriminate(
                    con,
                    "proof_scored",
                    HEALTH,
                    list(columns),
                    slice_by=slice_by,
                    top_share=options.top_share_ratio,
                    keep_as=_SCORE_ON_ALL if dimension == ALL else "proof_slices",
                )
            }
            if dimension == ALL:
                whole = {
                    column: (populations.get((ALL, column)), one)
                    for (_, column), one in found.items()
                }
            values = {value for value, _ in populations} | ({ALL} if dimension == ALL else set())
            rows += [
                _summary_row(
                    HEALTH,
                    (dimension, value),
                    (outcome, horizon),
                    population=populations.get((value, column)),
                    found=found.get((value, column)),
                    against=None,
                    options=options,
                )
                for value in sorted(values)
                for column, outcome in columns.items()
            ]
            if dimension == ALL:
                for name in BASELINES:
                    rows += _baseline(con, name, columns, populations, options, horizon=horizon)
    return rows


def _as_the_whole(
    populations: dict[tuple[str, str], _Population],
    whole: dict[str, tuple[_Population | None, Discrimination]],
) -> dict[tuple[str, str], Discrimination]:
    """A dimension of one value that every account-day has needs no ranking of its own.

    Most installations have one policy version, and with every day a cohort a ranking of them all
    costs as much as the first did. Empty where the dimension cuts.
    """
    if len({value for value, _ in populations}) != 1:
        return {}
    if any(whole.get(column, (None,))[0] != own for (_, column), own in populations.items()):
        return {}
    return {(value, column): whole[column][1] for value, column in populations}


def _baseline(
    con: duckdb.DuckDBPyConnection,
    name: str,
    columns: dict[str, str],
    populations: dict[tuple[str, str], _Population],
    options: ProofOptions,
    *,
    horizon: int,
) -> list[SummaryRow]:
    """A baseline beside the score, both on the account-days where both have a value."""
    predictor = BASELINES[name]
    common = f"(select * from proof_scored where ({predictor}) is not null)"
    found = {
        one.outcome: one
        for one in discriminate(
            con,
            common,
            predictor,
            list(columns),
            top_share=options.top_share_ratio,
            keep_as="proof_baseline",
        )
    }
    # Where the baseline is known on every row, the score was held against these rows already.
    missing = con.execute(f"select count_if(({predictor}) is null) from proof_scored").fetchone()
    score = _SCORE_ON_ALL
    if missing != (0,):
        score = "proof_score"
        discriminate(con, common, HEALTH, list(columns), keep_as=score)
    gains = {one.outcome: one for one in gain(con, score, "proof_baseline", list(columns))}
    return [
        _summary_row(
            name,
            (ALL, ALL),
            (outcome, horizon),
            population=populations.get((ALL, column)),
            found=found.get(column),
            against=gains.get(column),
            options=options,
        )
        for column, outcome in columns.items()
    ]


def _populations(
    con: duckdb.DuckDBPyConnection, columns: Iterable[str], slice_by: str
) -> dict[tuple[str, str], _Population]:
    found: dict[tuple[str, str], _Population] = {}
    for column in columns:
        for text, *values in con.execute(f"""
            select
                cast({slice_by} as varchar) as slice_value,
                min(as_of_date),
                max(as_of_date),
                count(distinct as_of_date),
                count(*),
                count({HEALTH}),
                cast(sum(cast(coalesce(coverage_ratio, 0) as decimal(18, 10))) as double)
            from proof_cohorts
            where {column} is not null and ({slice_by}) is not null
            group by 1
            order by 1
        """).fetchall():
            found[text, column] = _Population(*values)
    return found


def _summary_row(
    predictor: str,
    slice_of: tuple[str, str],
    target: tuple[str, int],
    *,
    population: _Population | None,
    found: Discrimination | None,
    against: Gain | None,
    options: ProofOptions,
) -> SummaryRow:
    confidence = options.confidence_ratio
    outcome, horizon = target
    reason: str | None = None
    if population is None:
        reason = f"no account-day whose {horizon} days of outcome are over and known"
    elif found is None or found.row_count == 0:
        reason = "no account-day has a score" if predictor == HEALTH else "no account-day has both"
    else:
        reason = too_few(
            found.event_account_count, found.other_account_count, options.min_event_accounts
        )
    auc = found.auc if found and not reason else None
    interval = logit_interval(auc, found.variance, confidence) if found else None
    if auc is not None and interval is None and predictor != "everyone_green":
        reason = "no interval: the ranking is perfect, which has no spread to estimate"
    if predictor == "everyone_green" and auc is not None:
        # Nothing is ranked, so nothing varies: 0.5 is exact, not estimated.
        interval = (auc, auc)
    difference = against.difference if against and auc is not None else None
    reach = plain_interval(difference, against.variance, confidence) if against else None
    events = found.event_count if found else 0
    count = found.row_count if found else 0
    return SummaryRow(
        predictor=predictor,
        dimension=slice_of[0],
        dimension_value=slice_of[1],
        outcome=outcome,
        horizon_days=horizon,
        first_cohort_on=population.first_on if population else None,
        last_cohort_on=population.last_on if population else None,
        cohort_count=population.cohort_count if population else 0,
        account_day_count=count,
        scored_ratio=(
            rounded(population.scored_count / population.account_day_count) if population else None
        ),
        mean_coverage_ratio=(
            rounded(population.coverage_sum / population.account_day_count) if population else None
        ),
        account_count=found.account_count if found else 0,
        event_count=events,
        event_account_count=found.event_account_count if found else 0,
        event_ratio=rounded(events / count) if count else None,
        auc=rounded(auc),
        auc_low=rounded(interval[0]) if interval else None,
        auc_high=rounded(interval[1]) if interval else None,
        score_gain=rounded(difference),
        score_gain_low=rounded(reach[0]) if reach else None,
        score_gain_high=rounded(reach[1]) if reach else None,
        top_lift=rounded(found.lift) if found and auc is not None else None,
        reason=reason,
    )


# --- zones ---------------------------------------------------------------------------------------


def _zones(con: duckdb.DuckDBPyConnection, options: ProofOptions) -> Iterable[ZoneRow]:
    ranks = dict(
        con.execute(
            "select health_zone, min(zone_rank) from policy.health_zones group by 1 order by 1"
        ).fetchall()
    )
    rows: list[ZoneRow] = []
    for horizon in options.horizons_days:
        for outcome in OUTCOMES:
            column = outcome_column(outcome, horizon)
            for dimension, slice_by in _dimensions(horizon).items():
                by_slice: dict[str, list[_ZoneCounts]] = {}
                losing: dict[str, int] = {}
                for text, zone, is_whole, *counts in con.execute(f"""
                    with known as (
                        select
                            cast({slice_by} as varchar) as slice_value,
                            coalesce(health_zone, 'unscored') as zone,
                            account_no,
                            {column} as is_lost
                        from proof_cohorts
                        where {column} is not null and ({slice_by}) is not null
                    )
                    select
                        slice_value,
                        zone,
                        grouping(zone) = 1,
                        count(*),
                        count(distinct account_no),
                        count_if(is_lost),
                        count(distinct case when is_lost then account_no end)
                    from known
                    group by grouping sets ((slice_value, zone), (slice_value))
                    order by 1, 2
                """).fetchall():
                    if is_whole:
                        losing[text] = counts[3]
                    else:
                        by_slice.setdefault(text, []).append(_ZoneCounts(zone, *counts[:3]))
                for text, zones in sorted(by_slice.items()):
                    rows += _zone_rows(
                        (dimension, text),
                        (outcome, horizon),
                        zones,
                        event_account_count=losing[text],
                        ranks=ranks,
                        options=options,
                    )
    return rows


@dataclass(frozen=True)
class _ZoneCounts:
    zone: str
    days: int
    accounts: int
    events: int


def _zone_rows(
    slice_of: tuple[str, str],
    target: tuple[str, int],
    zones: list[_ZoneCounts],
    *,
    event_account_count: int,
    ranks: dict[str, int],
    options: ProofOptions,
) -> list[ZoneRow]:
    zones = sorted(zones, key=lambda one: (ranks.get(one.zone, len(ranks) + 1), one.zone))
    ratios = [
        (one.zone, one.events / one.days)
        for one in zones
        if one.zone in ranks and one.accounts >= options.min_group_accounts
    ]
    broken = [
        f"{worse} loses less than {better} ({low:.1%} against {high:.1%})"
        for (better, high), (worse, low) in zip(ratios, ratios[1:], strict=False)
        if low < high
    ]
    verdict: str | None = "; ".join(broken) or None
    is_monotone: bool | None = not broken
    if len(ratios) < 2:
        is_monotone = None
        verdict = (
            f"order not judged: fewer than two zones with {options.min_group_accounts} accounts"
        )
    elif event_account_count < options.min_event_accounts:
        is_monotone = None
        verdict = (
            f"order not judged: {event_account_count} accounts had an event, "
            f"{options.min_event_accounts} are needed"
        )
    made: list[ZoneRow] = []
    for one in zones:
        few = _few_accounts(one.accounts, options)
        ratio = one.events / one.days
        # An account's days resemble each other, so an account counts once in the interval.
        reach = None if few else wilson_interval(ratio, one.accounts, options.confidence_ratio)
        made.append(
            ZoneRow(
                dimension=slice_of[0],
                dimension_value=slice_of[1],
                outcome=target[0],
                horizon_days=target[1],
                health_zone=one.zone,
                zone_rank=ranks.get(one.zone),
                account_day_count=one.days,
                account_count=one.accounts,
                event_count=one.events,
                event_ratio=None if few else rounded(ratio),
                event_ratio_low=rounded(reach[0]) if reach else None,
                event_ratio_high=rounded(reach[1]) if reach else None,
                is_monotone=is_monotone,
                reason=few or verdict,
            )
        )
    return made


def _few_accounts(accounts: int, options: ProofOptions) -> str | None:
    if accounts >= options.min_group_accounts:
        return None
    return f"too few accounts: {accounts}, {options.min_group_accounts} are needed"


# --- calibration ---------------------------------------------------------------------------------


def _calibration(con: duckdb.DuckDBPyConnection, options: ProofOptions) -> Iterable[CalibrationRow]:
    rows: list[CalibrationRow] = []
    for horizon in options.horizons_days:
        for outcome in OUTCOMES:
            column = outcome_column(outcome, horizon)
            # A tie stays whole, in the band of its middle; the earlier half ends where its last
            # window is over before the later half begins, so that nothing is shared.
            for band, low, high, days, accounts, events, *halves in con.execute(f"""
                with
                known as (
                    select
                        account_no,
                        as_of_date,
                        {HEALTH} as score,
                        {column} as is_lost
                    from proof_scored
                    where {column} is not null
                ),
                sizes as (
                    select score, count(*) as size from known group by score
                ),
                banded as (
                    select
                        score,
                        cast(least(
                            floor(
                                {options.band_count} * (
                                    sum(size) over (order by score) - size / 2.0
                                ) / sum(size) over ()
                            ) + 1,
                            {options.band_count}
                        ) as integer) as band
                    from sizes
                ),
                middle as (
                    select min(as_of_date) as later_from
                    from known
                    where as_of_date >= (
                        select min(as_of_date)
                            + cast(date_diff('day', min(as_of_date), max(as_of_date)) / 2
                                as integer)
                        from known
                    )
                )
                select
                    banded.band,
                    min(known.score),
                    max(known.score),
                    count(*),
                    count(distinct known.account_no),
                    count_if(known.is_lost),
                    count(distinct case when is_early then known.account_no end),
                    count_if(is_early),
                    count_if(is_early and known.is_lost),
                    count(distinct case when is_late then known.account_no end),
                    count_if(is_late),
                    count_if(is_late and known.is_lost)
                from (
                    select
                        known.*,
                        known.as_of_date + {horizon} < middle.later_from as is_early,
                        known.as_of_date >= middle.later_from as is_late
                    from known
                    cross join middle
                ) as known
                inner join banded on known.score = banded.score
                group by banded.band
                order by banded.band
            """).fetchall():
                few = _few_accounts(accounts, options)
                reach = (
                    None
                    if few
                    else wilson_interval(events / days, accounts, options.confidence_ratio)
                )
                rows.append(
                    CalibrationRow(
                        outcome=outcome,
                        horizon_days=horizon,
                        band=band,
                        score_from=round(low, _DIGITS),
                        score_to=round(high, _DIGITS),
                        account_day_count=days,
                        account_count=accounts,
                        event_count=events,
                        event_ratio=None if few else rounded(events / days),
                        event_ratio_low=rounded(reach[0]) if reach else None,
                        event_ratio_high=rounded(reach[1]) if reach else None,
                        earlier_event_ratio=_ratio(halves[:3], options),
                        later_event_ratio=_ratio(halves[3:], options),
                        reason=few,
                    )
                )
    return rows


def _ratio(counts: Sequence[int], options: ProofOptions) -> float | None:
    accounts, days, events = counts
    return rounded(events / days) if accounts >= options.min_group_accounts else None


# --- lead time -----------------------------------------------------------------------------------


def survival_median(durations: Sequence[tuple[int, bool]]) -> float | None:
    """Kaplan-Meier median of (days, is_complete); None when the curve stays above one half."""
    at_risk = len(durations)
    survivors = 1.0
    for days in sorted({days for days, _ in durations}):
        here = [is_complete for day, is_complete in durations if day == days]
        survivors *= 1 - sum(here) / at_risk
        at_risk -= len(here)
        # The product of fractions misses one half by the last bit.
        if survivors <= 0.5 + 1e-12:
            return float(days)
    return None


def _lead_time(
    con: duckdb.DuckDBPyConnection, span: Span, options: ProofOptions
) -> Iterable[LeadTimeRow]:
    """From the first non-green day to churn, and from the start of the last non-green spell.

    Accounts already non-green on the first day of the history are censored: their lead is that
    long or longer. Attributes are those of the last day on which the account had a score.
    """
    con.execute(
        """
        create or replace temp table proof_leads as
        with
        days as (
            select
                health.account_id,
                health.as_of_date,
                health.tier,
                health.segment,
                zones.zone_rank = 1 as is_green
            from marts.fct_account_health_daily as health
            inner join (
                select health_zone, min(zone_rank) as zone_rank
                from policy.health_zones
                group by health_zone
            ) as zones on health.health_zone = zones.health_zone
            where
                health.as_of_date >= $from_date
                and health.as_of_date <= $as_of
        ),
        firsts as (
            select
                account_id,
                arg_max(tier, as_of_date) as tier,
                arg_max(segment, as_of_date) as segment,
                min(as_of_date) filter (where not is_green) as first_warning_on,
                max(as_of_date) filter (where is_green) as last_green_on
            from days
            group by account_id
        ),
        lasts as (
            select days.account_id, min(days.as_of_date) as last_spell_from_on
            from days
            inner join firsts on days.account_id = firsts.account_id
            where days.as_of_date > coalesce(firsts.last_green_on, date '0001-01-01')
            group by days.account_id
        ),
        seen as (
            select distinct account_id from marts.fct_account_health_daily
            where as_of_date >= $from_date and as_of_date <= $as_of
        )
        select
            accounts.account_id,
            accounts.churned_on,
            firsts.account_id is not null as is_scored,
            firsts.tier,
            firsts.segment,
            firsts.first_warning_on,
            lasts.last_spell_from_on
        from proof_accounts as accounts
        left join seen on accounts.account_id = seen.account_id
        left join firsts on accounts.account_id = firsts.account_id
        left join lasts on accounts.account_id = lasts.account_id
        where
            seen.account_id is not null
            or (accounts.churned_on > $from_date and accounts.churned_on <= $as_of)
        order by accounts.account_id
        """,
        {"from_date": span.first_on, "as_of": span.as_of},
    )
    rows: list[LeadTimeRow] = []
    for dimension in (ALL, "tier", "segment"):
        slice_by = DIMENSIONS[dimension]
        slices: dict[str, list[tuple[date | None, bool, date | None, date | None]]] = {}
        if dimension == ALL:
            slices[ALL] = []
        for text, *values in con.execute(f"""
            select {slice_by}, churned_on, is_scored, first_warning_on, last_spell_from_on
            from proof_leads
            where ({slice_by}) is not null
            order by account_id
        """).fetchall():
            slices.setdefault(text, []).append((values[0], values[1], values[2], values[3]))
        for text, accounts in sorted(slices.items()):
            rows.append(_lead_row(dimension, text, accounts, span, options))
    return rows


def _lead_row(
    dimension: str,
    value: str,
    accounts: list[tuple[date | None, bool, date | None, date | None]],
    span: Span,
    options: ProofOptions,
) -> LeadTimeRow:
    churned = [one for one in accounts if one[0] is not None]
    kept = [one for one in accounts if one[0] is None]
    warned = [
        ((gone - first).days, first > span.first_on)
        for gone, _, first, _ in churned
        if gone is not None and first is not None
    ]
    at_end = [
        ((gone - last).days, last > span.first_on)
        for gone, _, _, last in churned
        if gone is not None and last is not None
    ]
    reason: str | None = None
    if len(warned) < options.min_event_accounts:
        reason = (
            f"too few: {len(warned)} accounts churned after a warning, "
            f"{options.min_event_accounts} are needed"
        )
    first_median = None if reason else survival_median(warned)
    if reason is None and first_median is None:
        reason = "median not reached: more than half are censored at the first day of the history"
    return LeadTimeRow(
        dimension=dimension,
        dimension_value=value,
        churned_count=len(churned),
        unseen_count=sum(not is_scored for _, is_scored, _, _ in churned),
        warned_count=len(warned),
        censored_count=sum(not is_complete for _, is_complete in warned),
        unwarned_count=sum(is_scored and first is None for _, is_scored, first, _ in churned),
        first_warning_days_median=first_median,
        warned_at_end_count=len(at_end),
        last_warning_days_median=(
            survival_median(at_end) if len(at_end) >= options.min_event_accounts else None
        ),
        kept_count=sum(is_scored for _, is_scored, _, _ in kept),
        kept_warned_count=sum(first is not None for _, _, first, _ in kept),
        reason=reason,
    )
