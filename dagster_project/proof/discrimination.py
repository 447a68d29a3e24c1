"""How well a value tells accounts that were lost from accounts that stayed: AUC, interval, lift.

Set-based and exact: counts are integers, so the same rows give the same numbers on any number of
threads. A lower value means more risk; the AUC is the chance that an account-day followed by the
event has the lower value of a random pair, ties count half (Mann-Whitney). An account appears on
many days, so its days are one cluster: the variance is DeLong's, summed by account (Obuchowski
1997), and equals DeLong's own when every account appears once. The interval is taken on the logit
of the AUC, so that it stays within 0 and 1.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist

import duckdb

#: Influences are squared as integers of this many decimals: parallel sums stay exact.
_SCALE = 10**12


@dataclass(frozen=True)
class Discrimination:
    """One value against one outcome in one slice.

    `auc` and `lift` are None without both an event and a non-event. `variance` is the AUC's, None
    with fewer than two accounts on either side.
    """

    slice_value: str
    outcome: str
    row_count: int
    account_count: int
    event_count: int
    event_account_count: int
    other_account_count: int
    auc: float | None
    variance: float | None
    lift: float | None
    top_event_count: float | None


@dataclass(frozen=True)
class Gain:
    """AUC of a first value less that of a second on the same rows, with its variance."""

    slice_value: str
    outcome: str
    difference: float | None
    variance: float | None


def logit_interval(
    auc: float | None, variance: float | None, confidence: float
) -> tuple[float, float] | None:
    """Confidence interval of an AUC; None where no spread can be estimated (0, 1, one account)."""
    if auc is None or not variance or not 0 < auc < 1:
        return None
    z = NormalDist().inv_cdf(0.5 + confidence / 2)
    centre = math.log(auc / (1 - auc))
    reach = z * math.sqrt(variance) / (auc * (1 - auc))
    return _expit(centre - reach), _expit(centre + reach)


def plain_interval(
    difference: float | None, variance: float | None, confidence: float
) -> tuple[float, float] | None:
    """Confidence interval of a difference of AUCs; None where no variance is known."""
    if difference is None or variance is None:
        return None
    reach = NormalDist().inv_cdf(0.5 + confidence / 2) * math.sqrt(variance)
    return max(difference - reach, -1.0), min(difference + reach, 1.0)


def wilson_interval(ratio: float, count: float, confidence: float) -> tuple[float, float]:
    """Wilson's interval of a share among `count` independent observations (over 0)."""
    z = NormalDist().inv_cdf(0.5 + confidence / 2)
    centre = (ratio + z * z / (2 * count)) / (1 + z * z / count)
    reach = (
        z
        / (1 + z * z / count)
        * math.sqrt(ratio * (1 - ratio) / count + z * z / (4 * count * count))
    )
    # At 0 and 1 the two terms are equal, but for the last bit.
    return (
        0.0 if ratio == 0 else max(centre - reach, 0.0),
        1.0 if ratio == 1 else min(centre + reach, 1.0),
    )


def _expit(x: float) -> float:
    return 1 / (1 + math.exp(-x)) if x > -700 else 0.0


def discriminate(
    con: duckdb.DuckDBPyConnection,
    rows: str,
    value: str,
    outcomes: Sequence[str],
    *,
    slice_by: str = "'all'",
    top_share: float = 0.1,
    keep_as: str = "proof_influence",
) -> list[Discrimination]:
    """Hold one value against several outcomes, per slice, in one pass over the rows.

    Args:
        con: any DuckDB connection; only temporary tables are written.
        rows: a relation with the columns `account_no` (integer: the cluster) and the outcomes.
        value: SQL of the value, lower = more risk; rows where it is null are left out.
        outcomes: boolean columns of `rows`; null = not known, left out for that outcome.
        slice_by: SQL text by which rows are cut; rows where it is null are left out.
        top_share: share of rows, lowest value first, that `lift` is about; ties are shared out.
        keep_as: temporary table of influences per account, for `gain`.

    Returns:
        One entry per slice and outcome, in that order; slices in order of their text.
    """
    numbered = list(enumerate(outcomes))
    con.execute(f"""
        create or replace temp table {keep_as}_ties as
        with counted as (
            select
                cast({slice_by} as varchar) as slice_value,
                cast({value} as double) as value,
                {_each(numbered, "cast(count_if({y}) as integer) as p{k}")},
                {_each(numbered, "cast(count_if(not {y}) as integer) as n{k}")}
            from {rows}
            where ({value}) is not null and ({slice_by}) is not null
            group by 1, 2
        )
        select
            slice_value,
            value,
            {_each(numbered, "p{k}, n{k}")},
            {_each(numbered, "cast(sum(p{k}) over w as bigint) - p{k} as p{k}_below")},
            {_each(numbered, "cast(sum(n{k}) over w as bigint) - n{k} as n{k}_below")}
        from counted
        window w as (
            partition by slice_value order by value
            rows between unbounded preceding and current row
        )
    """)
    con.execute(f"""
        create or replace temp table {keep_as}_totals as
        select
            slice_value,
            {_each(numbered, "cast(sum(p{k}) as bigint) as p{k}_all")},
            {_each(numbered, "cast(sum(n{k}) as bigint) as n{k}_all")},
            {
        _each(
            numbered,
            "cast(sum(cast(n{k} as hugeint) * (2 * p{k}_below + p{k})) as hugeint) as u{k}",
        )
    }
        from {keep_as}_ties
        group by slice_value
    """)
    # Per account: for its events twice the others with a higher value plus the ties, for its
    # other days twice the events with a lower value plus the ties.
    con.execute(f"""
        create or replace temp table {keep_as} as
        select
            ties.slice_value,
            source.account_no,
            {_each(numbered, "cast(count_if({y}) as bigint) as p{k}")},
            {_each(numbered, "cast(count_if(not {y}) as bigint) as n{k}")},
            {
        _each(
            numbered,
            "cast(coalesce(sum(case when {y} then "
            "2 * (totals.n{k}_all - ties.n{k}_below) - ties.n{k} end), 0)"
            " as bigint) as a{k}",
        )
    },
            {
        _each(
            numbered,
            "cast(coalesce(sum(case when not {y} then "
            "2 * ties.p{k}_below + ties.p{k} end), 0) as bigint) as b{k}",
        )
    }
        from {rows} as source
        inner join {keep_as}_ties as ties
            on cast({slice_by} as varchar) = ties.slice_value
            and cast({value} as double) = ties.value
        inner join {keep_as}_totals as totals on ties.slice_value = totals.slice_value
        group by ties.slice_value, source.account_no
    """)
    found: list[Discrimination] = []
    for k, outcome in numbered:
        found += _summaries(con, keep_as, k, outcome, top_share)
    order = {outcome: k for k, outcome in numbered}
    return sorted(found, key=lambda one: (one.slice_value, order[one.outcome]))


def _summaries(
    con: duckdb.DuckDBPyConnection, name: str, k: int, outcome: str, top_share: float
) -> list[Discrimination]:
    rows = con.execute(
        f"""
        with
        influences as (
            select
                accounts.slice_value,
                accounts.p{k} as p,
                accounts.n{k} as n,
                {_influence(k, "accounts", "totals")}
            from {name} as accounts
            inner join {name}_totals as totals on accounts.slice_value = totals.slice_value
            where accounts.p{k} + accounts.n{k} > 0
        ),
        spread as (
            select
                slice_value,
                count(*) as account_count,
                count_if(p > 0) as event_account_count,
                count_if(n > 0) as other_account_count,
                {_squares("event_part", "other_part")}
            from influences
            group by slice_value
        ),
        ranked as (
            select
                ties.slice_value,
                ties.p{k} as p,
                ties.p{k} + ties.n{k} as size,
                ties.p{k}_below + ties.n{k}_below as below,
                ceil((totals.p{k}_all + totals.n{k}_all) * ?) as wanted
            from {name}_ties as ties
            inner join {name}_totals as totals on ties.slice_value = totals.slice_value
        ),
        -- The tie on the edge gives its mean share of events: an order within it would be luck.
        top as (
            select
                slice_value,
                max(wanted) as wanted,
                sum(case when below + size <= wanted then p else 0 end) + coalesce(max(
                    case
                        when below < wanted and below + size > wanted
                            then p * (wanted - below) / size
                    end
                ), 0) as event_count
            from ranked
            group by slice_value
        )
        select
            totals.slice_value,
            cast(totals.p{k}_all as bigint),
            cast(totals.n{k}_all as bigint),
            cast(totals.u{k} as bigint),
            spread.account_count,
            spread.event_account_count,
            spread.other_account_count,
            cast(spread.event_squares as double),
            cast(spread.other_squares as double),
            cast(spread.products as double),
            cast(top.wanted as double),
            cast(top.event_count as double)
        from {name}_totals as totals
        inner join spread on totals.slice_value = spread.slice_value
        inner join top on totals.slice_value = top.slice_value
        order by totals.slice_value
        """,
        [top_share],
    ).fetchall()
    found = []
    for text, events, others, u, accounts, with_event, without, *sums, wanted, top_events in rows:
        has_both = events > 0 and others > 0
        share = events / (events + others)
        found.append(
            Discrimination(
                slice_value=text,
                outcome=outcome,
                row_count=events + others,
                account_count=accounts,
                event_count=events,
                event_account_count=with_event,
                other_account_count=without,
                auc=u / (2 * events * others) if has_both else None,
                variance=_variance(sums, accounts, with_event, without) if has_both else None,
                lift=top_events / wanted / share if has_both else None,
                top_event_count=top_events if has_both else None,
            )
        )
    return found


def gain(
    con: duckdb.DuckDBPyConnection, first: str, second: str, outcomes: Sequence[str]
) -> list[Gain]:
    """AUC of one value less another's on the same rows, paired by account.

    Args:
        con: the connection on which both were held against the outcomes.
        first: `keep_as` of the first value.
        second: `keep_as` of the second; its rows must have been the same.
        outcomes: as given to `discriminate`, in that order.
    """
    found: list[Gain] = []
    for k, outcome in enumerate(outcomes):
        rows = con.execute(f"""
            with
            one as (
                select
                    accounts.slice_value,
                    accounts.account_no,
                    accounts.p{k} as p,
                    accounts.n{k} as n,
                    {_influence(k, "accounts", "totals")}
                from {first} as accounts
                inner join {first}_totals as totals on accounts.slice_value = totals.slice_value
                where accounts.p{k} + accounts.n{k} > 0
            ),
            two as (
                select
                    accounts.slice_value,
                    accounts.account_no,
                    {_influence(k, "accounts", "totals")}
                from {second} as accounts
                inner join {second}_totals as totals on accounts.slice_value = totals.slice_value
                where accounts.p{k} + accounts.n{k} > 0
            ),
            paired as (
                select
                    one.slice_value,
                    one.p,
                    one.n,
                    one.event_part - two.event_part as event_part,
                    one.other_part - two.other_part as other_part
                from one
                inner join two
                    on one.slice_value = two.slice_value and one.account_no = two.account_no
            ),
            spread as (
                select
                    slice_value,
                    count(*) as account_count,
                    count_if(p > 0) as event_account_count,
                    count_if(n > 0) as other_account_count,
                    {_squares("event_part", "other_part")}
                from paired
                group by slice_value
            )
            select
                spread.slice_value,
                cast(totals.p{k}_all as bigint),
                cast(totals.n{k}_all as bigint),
                cast(totals.u{k} - others.u{k} as bigint),
                spread.account_count,
                spread.event_account_count,
                spread.other_account_count,
                cast(spread.event_squares as double),
                cast(spread.other_squares as double),
                cast(spread.products as double)
            from spread
            inner join {first}_totals as totals on spread.slice_value = totals.slice_value
            inner join {second}_totals as others on spread.slice_value = others.slice_value
            order by spread.slice_value
        """).fetchall()
        for text, events, others, u, accounts, with_event, without, *sums in rows:
            has_both = events > 0 and others > 0
            found.append(
                Gain(
                    slice_value=text,
                    outcome=outcome,
                    difference=u / (2 * events * others) if has_both else None,
                    variance=_variance(sums, accounts, with_event, without) if has_both else None,
                )
            )
    return found


def _each(numbered: Sequence[tuple[int, str]], template: str) -> str:
    return ",\n".join(template.format(k=k, y=y) for k, y in numbered)


def _influence(k: int, accounts: str, totals: str) -> str:
    """What an account moves the AUC by, through its events and through its other days.

    Scaled to integers; null where there is no event or no other.
    """
    pairs = f"(2.0 * {totals}.p{k}_all * {totals}.n{k}_all)"

    def part(own: str, count: str, side: str) -> str:
        # Sum over the side's rows of (placement - AUC), over the number of such rows.
        return (
            f"cast(round({_SCALE} * ({accounts}.{own}{k} / nullif{_pair(pairs)}"
            f" - {totals}.u{k} / nullif{_pair(pairs)}"
            f" * {accounts}.{count}{k} / nullif({totals}.{side}, 0)))"
            " as hugeint)"
        )

    return (
        f"{part('a', 'p', f'p{k}_all')} as event_part,\n{part('b', 'n', f'n{k}_all')} as other_part"
    )


def _pair(expression: str) -> str:
    return f"({expression}, 0)"


def _squares(event_part: str, other_part: str) -> str:
    return (
        f"sum({event_part} * {event_part}) as event_squares,\n"
        f"sum({other_part} * {other_part}) as other_squares,\n"
        f"sum({event_part} * {other_part}) as products"
    )


def _variance(
    sums: Sequence[float | None], accounts: int, with_event: int, without: int
) -> float | None:
    event_squares, other_squares, products = ((value or 0.0) / _SCALE / _SCALE for value in sums)
    if with_event < 2 or without < 2:
        return None
    return (
        with_event / (with_event - 1) * event_squares
        + without / (without - 1) * other_squares
        + 2 * accounts / (accounts - 1) * products
    )
