"""Weights that past outcomes would suggest, beside today's: a file for review, never in force.

Earlier cohorts are fitted on, later ones validated on; what is written is exactly what was
validated, rounded as it stands in the file.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import Literal

import duckdb
import numpy as np
import polars as pl

from dagster_project.errors import ConfigError, CspError
from dagster_project.proof.backtest import rounded
from dagster_project.proof.cohorts import (
    EITHER,
    OUTCOMES,
    build_cohorts,
    drop_temporary,
    find_span,
    outcome_column,
)
from dagster_project.proof.discrimination import Gain, discriminate, gain, plain_interval
from dagster_project.proof.files import NewWeights, write_policy_files
from dagster_project.proof.options import ProofOptions, proof_options
from dagster_project.proof.weights import (
    PULLS,
    Bools,
    Floats,
    Structure,
    Weights,
    fill_missing,
    fit_weights,
    in_tenths,
    log_loss,
    policy_score,
    split_forward,
)

Level = Literal["component", "measure"]


@dataclass(frozen=True)
class Suggestion:
    """What was fitted, what it gains, and the files that were written."""

    level: Level
    outcome: str
    horizon_days: int
    policy_set: str
    profiles: tuple[str, ...]
    effective_from: date
    train_from: date
    train_until: date
    train_account_days: int
    train_event_accounts: int
    validation_from: date
    validation_until: date
    validation_account_days: int
    validation_event_accounts: int
    #: (component or component.measure, today's weight, suggested weight), each of 100.
    weights: tuple[tuple[str, float, float], ...]
    auc_today: float
    auc_suggested: float
    gain: float
    gain_low: float | None
    gain_high: float | None
    confidence_ratio: float
    verdict: str
    notes: tuple[str, ...]
    files: tuple[Path, ...]


@dataclass(frozen=True)
class _Policy:
    """The weights in force on the last day, for the profiles that share them."""

    policy_set: str
    profiles: tuple[str, ...]
    left_out: tuple[str, ...]
    #: (measure or component, component) in the policy's order
    features: tuple[tuple[str, str], ...]
    components: tuple[str, ...]
    structure: Structure
    today: Weights


@dataclass(frozen=True)
class _Rows:
    """Account-days with a score and a known outcome, in order of day and account."""

    account_no: list[int]
    day: list[date]
    lost: Bools
    scores: Floats

    def of(self, days: Sequence[date]) -> Bools:
        wanted = set(days)
        return np.asarray([day in wanted for day in self.day], dtype=np.bool_)

    def accounts(self, rows: Bools) -> tuple[int, int]:
        """Different accounts with the outcome, and without it, among the rows."""
        sides: tuple[set[int], set[int]] = (set(), set())
        for account, is_in, is_lost in zip(self.account_no, rows, self.lost, strict=True):
            if is_in:
                sides[0 if is_lost else 1].add(account)
        return len(sides[0]), len(sides[1])


def policy_suggest(
    con: duckdb.DuckDBPyConnection,
    *,
    seeds: Path,
    out: Path,
    level: Level = "component",
    outcome: str = EITHER,
    horizon_days: int | None = None,
    from_date: date | None = None,
    as_of: date | None = None,
    effective_from: date | None = None,
    options: ProofOptions | None = None,
) -> Suggestion:
    """Fit weights on past outcomes and write them as policy files for review.

    Args:
        con: the build or the published file (read-only will do).
        seeds: folder of today's health seeds; its files are copied and the new rows added.
        out: folder to write into; not `seeds`.
        level: weights of the components, or of the components and their measures.
        outcome: `churn`, `contraction` or `churn_or_contraction`.
        horizon_days: outcome window; default: the seed's.
        from_date: first day of scores; default: the first there is.
        as_of: last day of outcomes; default: the last there is.
        effective_from: first day on which the rows would hold; default: the day after `as_of`.
        options: default: the seeds in `policy`.

    Raises:
        CspError: the sample is too small, or no weight is supported by the outcomes.
        ConfigError: dates, folders or seeds do not fit.
    """
    if outcome not in OUTCOMES:
        raise ConfigError(f"no outcome {outcome!r}: known are {', '.join(OUTCOMES)}")
    if out.resolve() == seeds.resolve():
        raise ConfigError(
            f"{out}: these seeds are in force, a suggestion is reviewed first — give another folder"
        )
    options = options or proof_options(con)
    horizon = horizon_days if horizon_days is not None else options.suggest_horizon_days
    if horizon < 1:
        raise ConfigError(f"a horizon of {horizon} days: must be 1 or more")
    span = find_span(con, from_date, as_of)
    starts = effective_from or span.as_of + timedelta(days=1)
    policy = _policy_in_force(con, level, span.as_of)
    build_cohorts(con, span, "month", (horizon,), options)
    try:
        rows = _rows(con, level, policy, outcome_column(outcome, horizon))
        train_days, later_days = split_forward(rows.day, horizon, options.suggest_validation_ratio)
        train, later = rows.of(train_days), rows.of(later_days)
        _refuse_small(rows, train, later, policy, options)
        pull, notes = _choose_pull(rows, train_days, policy, options, horizon=horizon)
        shares = _fit(rows, train, policy, pull)[1]
        if shares.sum() <= 0:
            raise CspError(
                "no component's score fell before losses in this history, so no weights can be "
                "suggested; today's stay as they are"
            )
        suggested = _as_policy(shares, policy)
        auc_today, auc_suggested, gained = _compare(con, rows, later, policy, suggested)
    finally:
        drop_temporary(con)
    files = write_policy_files(
        seeds, out, _rows_to_write(policy, suggested, level), as_of=span.as_of, starts=starts
    )
    if policy.left_out:
        notes.append(
            f"profiles with weights of their own were not learned from: "
            f"{', '.join(policy.left_out)}; their own rows stay"
        )
    interval = plain_interval(gained.difference, gained.variance, options.confidence_ratio)
    low, high = interval or (None, None)
    return Suggestion(
        level=level,
        outcome=outcome,
        horizon_days=horizon,
        policy_set=policy.policy_set,
        profiles=policy.profiles,
        effective_from=starts,
        train_from=train_days[0],
        train_until=train_days[-1],
        train_account_days=int(train.sum()),
        train_event_accounts=rows.accounts(train)[0],
        validation_from=later_days[0],
        validation_until=later_days[-1],
        validation_account_days=int(later.sum()),
        validation_event_accounts=rows.accounts(later)[0],
        weights=_beside(policy, suggested, level),
        auc_today=round(auc_today, 6),
        auc_suggested=round(auc_suggested, 6),
        gain=round(auc_suggested - auc_today, 6),
        gain_low=rounded(low),
        gain_high=rounded(high),
        confidence_ratio=options.confidence_ratio,
        verdict=_verdict(low, high),
        notes=tuple(notes),
        files=files,
    )


def _verdict(low: float | None, high: float | None) -> str:
    if low is not None and low > 0:
        return "the suggested weights ranked later losses better than today's"
    if high is not None and high < 0:
        return "the suggested weights ranked later losses WORSE than today's: keep today's"
    return "no clear difference from today's weights: the outcomes give no reason to change them"


def _policy_in_force(con: duckdb.DuckDBPyConnection, level: Level, as_of: date) -> _Policy:
    """Weights of the largest group of accounts whose profiles share them, on the last day."""
    by_profile: dict[str, tuple[int, str, tuple[tuple[str, str, float, float], ...]]] = {}
    for policy_set, profile, accounts, measure, component, weight, inside in con.execute(
        """
        with used as (
            select policy_key, count(*) as account_count
            from marts.fct_account_health_daily
            where as_of_date = ? and policy_key is not null
            group by policy_key
        )
        select
            policy.policy_set,
            policy.profile_id,
            used.account_count,
            policy.measure,
            policy.component,
            policy.component_weight,
            policy.measure_weight
        from used
        inner join marts.dim_health_policy as policy on used.policy_key = policy.policy_key
        order by policy.policy_set, policy.profile_id, policy.measure_order, policy.measure
        """,
        [as_of],
    ).fetchall():
        count, name, lines = by_profile.get(profile, (accounts, policy_set, ()))
        by_profile[profile] = (count, name, (*lines, (measure, component, weight, inside)))
    if not by_profile:
        raise CspError(f"no account was scored by any policy on {as_of}: nothing to learn from")

    def key(lines: Sequence[tuple[str, str, float, float]]) -> tuple[object, ...]:
        if level == "measure":
            return tuple(sorted(lines))
        return tuple(sorted({(component, weight) for _, component, weight, _ in lines}))

    groups: dict[tuple[object, ...], list[str]] = {}
    for profile, (_, _, lines) in sorted(by_profile.items()):
        groups.setdefault(key(lines), []).append(profile)
    chosen = max(
        groups.values(), key=lambda names: (sum(by_profile[name][0] for name in names), names)
    )
    _, policy_set, lines = by_profile[chosen[0]]
    components = tuple(dict.fromkeys(component for _, component, _, _ in lines))
    component_weights = {component: weight for _, component, weight, _ in lines}
    if level == "measure":
        features = tuple((measure, component) for measure, component, _, _ in lines)
        within = np.asarray([inside for _, _, _, inside in lines], dtype=np.float64)
    else:
        features = tuple((component, component) for component in components)
        within = np.ones(len(components))
    return _Policy(
        policy_set=policy_set,
        profiles=tuple(chosen),
        left_out=tuple(sorted(set(by_profile) - set(chosen))),
        features=features,
        components=components,
        structure=Structure(tuple(components.index(component) for _, component in features)),
        today=Weights(
            within=within,
            component=np.asarray(
                [component_weights[component] for component in components], dtype=np.float64
            ),
        ),
    )


def _rows(con: duckdb.DuckDBPyConnection, level: Level, policy: _Policy, column: str) -> _Rows:
    table = "fct_health_facts_daily" if level == "measure" else "fct_account_health_daily"
    known = {
        name
        for (name,) in con.execute(
            "select column_name from information_schema.columns "
            "where table_schema = 'marts' and table_name = ?",
            [table],
        ).fetchall()
    }
    missing = [name for name, _ in policy.features if f"{name}_score" not in known]
    if missing:
        raise CspError(f"marts.{table} has no score of: {', '.join(missing)} — run `csp run` first")
    scores = ", ".join(f'cast(scores."{name}_score" as double)' for name, _ in policy.features)
    found = con.execute(
        f"""
        select cohorts.account_no, cohorts.as_of_date, cohorts.{column}, {scores}
        from proof_cohorts as cohorts
        inner join proof_accounts as accounts on cohorts.account_no = accounts.account_no
        inner join marts.{table} as scores
            on accounts.account_id = scores.account_id and cohorts.as_of_date = scores.as_of_date
        where
            cohorts.{column} is not null
            and cohorts.health_score is not null
            and list_contains(?, cohorts.profile_id)
        order by cohorts.as_of_date, cohorts.account_no
        """,
        [list(policy.profiles)],
    ).fetchall()
    return _Rows(
        account_no=[row[0] for row in found],
        day=[row[1] for row in found],
        lost=np.asarray([row[2] for row in found], dtype=np.bool_),
        scores=np.asarray([row[3:] for row in found], dtype=np.float64).reshape(
            len(found), len(policy.features)
        ),
    )


def _refuse_small(
    rows: _Rows, train: Bools, later: Bools, policy: _Policy, options: ProofOptions
) -> None:
    """Raise CspError unless both parts hold enough different accounts, lost and kept."""
    wanted = options.suggest_min_accounts_per_weight * len(policy.features)
    faults: list[str] = []
    for name, part, least in (
        ("to fit on", train, wanted),
        ("to validate on", later, options.min_event_accounts),
    ):
        for what, count in zip(("lost", "kept"), rows.accounts(part), strict=True):
            if count < least:
                faults.append(f"{name} {count} accounts that were {what}, {least} are needed")
    if faults:
        raise CspError(
            f"the sample is too small to suggest {len(policy.features)} weights, so none are: "
            + "; ".join(faults)
        )


def _risk(rows: _Rows, policy: _Policy) -> Floats:
    filled = fill_missing(rows.scores, policy.structure, policy.today)
    return np.asarray(1 - filled / 100)


def _fit(rows: _Rows, train: Bools, policy: _Policy, pull: float) -> tuple[float, Floats]:
    prior = policy.today.shares(policy.structure)
    return fit_weights(_risk(rows, policy)[train], rows.lost[train], prior, pull)


def _choose_pull(
    rows: _Rows,
    train_days: Sequence[date],
    policy: _Policy,
    options: ProofOptions,
    *,
    horizon: int,
) -> tuple[float, list[str]]:
    """The pull that would have done best: fitted early, judged later, all within training."""
    early_days, late_days = split_forward(train_days, horizon, options.suggest_validation_ratio)
    early, late = rows.of(early_days), rows.of(late_days)
    least = options.min_event_accounts
    if min(*rows.accounts(early), *rows.accounts(late)) < least:
        pull = PULLS[len(PULLS) // 2]
        return pull, [
            f"the history to fit on is too short to choose the pull towards today's weights: "
            f"{pull:g} was taken"
        ]
    risk = _risk(rows, policy)
    losses = []
    for pull in PULLS:
        intercept, weights = _fit(rows, early, policy, pull)
        losses.append((log_loss(risk[late], rows.lost[late], intercept, weights), pull))
    # Of equals the strongest pull, which is the first.
    pull = min(losses, key=lambda one: round(one[0], 9))[1]
    return pull, [f"pull towards today's weights: {pull:g} times the data's information"]


def _as_policy(shares: Floats, policy: _Policy) -> Weights:
    """Weights as they will stand in the files; a component without weight keeps its inside."""
    structure = policy.structure
    component = structure.components(shares)
    within = policy.today.within.copy()
    for number, weight in enumerate(component):
        own = [i for i, group in enumerate(structure.groups) if group == number]
        if weight > 0 and len(own) > 1:
            within[own] = in_tenths(shares[own])
    return Weights(within=within, component=in_tenths(component))


def _compare(
    con: duckdb.DuckDBPyConnection, rows: _Rows, later: Bools, policy: _Policy, suggested: Weights
) -> tuple[float, float, Gain]:
    """AUC of today's and of the suggested weights on the later days, and the gain."""
    scores = {
        name: np.round(policy_score(rows.scores[later], policy.structure, weights), 10)
        for name, weights in (("today", policy.today), ("suggested", suggested))
    }
    frame = pl.DataFrame(
        {
            "account_no": [a for a, is_in in zip(rows.account_no, later, strict=True) if is_in],
            "is_lost": rows.lost[later].tolist(),
            **{name: values.tolist() for name, values in scores.items()},
        }
    ).filter(pl.col("today").is_not_nan() & pl.col("suggested").is_not_nan())
    con.register("proof_frame", frame.to_arrow())
    try:
        con.execute("create or replace temp table proof_later as select * from proof_frame")
    finally:
        con.unregister("proof_frame")
    aucs = {
        name: discriminate(con, "proof_later", name, ["is_lost"], keep_as=f"proof_{name}")
        for name in scores
    }
    gains = gain(con, "proof_suggested", "proof_today", ["is_lost"])
    today = aucs["today"][0].auc if aucs["today"] else None
    new = aucs["suggested"][0].auc if aucs["suggested"] else None
    if today is None or new is None:
        raise CspError("the later days hold no lost and kept account with both scores")
    return today, new, gains[0]


def _beside(
    policy: _Policy, suggested: Weights, level: Level
) -> tuple[tuple[str, float, float], ...]:
    total = policy.today.component.sum()
    lines: list[tuple[str, float, float]] = []
    within_sums = policy.structure.components(policy.today.within)
    for number, component in enumerate(policy.components):
        lines.append(
            (
                component,
                round(float(policy.today.component[number] / total * 100), 6),
                round(float(suggested.component[number]), 6),
            )
        )
        if level == "measure":
            new_sum = policy.structure.components(suggested.within)[number]
            lines += [
                (
                    f"{component}.{name}",
                    round(float(policy.today.within[i] / (within_sums[number] or 1) * 100), 6),
                    round(float(suggested.within[i] / (new_sum or 1) * 100), 6),
                )
                for i, (name, _) in enumerate(policy.features)
                if policy.structure.groups[i] == number
            ]
    return tuple(lines)


def _rows_to_write(policy: _Policy, suggested: Weights, level: Level) -> NewWeights:
    return NewWeights(
        policy_set=policy.policy_set,
        profiles=policy.profiles,
        components={
            component: f"{suggested.component[number]:g}"
            for number, component in enumerate(policy.components)
        },
        measures=(
            {name: f"{suggested.within[i]:g}" for i, (name, _) in enumerate(policy.features)}
            if level == "measure"
            else {}
        ),
    )
