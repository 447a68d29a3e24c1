"""Backtest, suggested weights and effect as plain text for a terminal; no number is made here."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from dagster_project.proof.backtest import ALL, HEALTH, BacktestResult, SummaryRow
from dagster_project.proof.cohorts import CHURN, EITHER
from dagster_project.proof.effect import EffectResult, EffectRow
from dagster_project.text_table import text_table

if TYPE_CHECKING:
    from dagster_project.proof.suggest import Suggestion

_NAMES = {
    HEALTH: "health score",
    "everyone_green": "everyone green",
    "days_to_renewal_only": "days to renewal only",
    "usage_only": "usage only",
    "churn_or_contraction": "churn or contraction",
    "score_change": "score change",
}


def render_backtest(result: BacktestResult) -> str:
    """The whole result on one page: what was asked, what was found, what could not be said."""
    step = "month ends" if result.step == "month" else f"every {result.step} day(s)"
    confidence = f"{result.options.confidence_ratio:.0%}"
    lines = [
        f"Backtest of the health score, {result.from_date} to {result.as_of_date} ({step})",
        "Score as known on a day, against what followed it; only windows that are over.",
        "AUC: chance of ranking a lost account below a kept one, 0.5 = no information;",
        f"{confidence} interval by DeLong, clustered by account, since accounts repeat day by day.",
    ]
    for outcome in (EITHER, CHURN):
        for horizon in result.options.horizons_days:
            lines += ["", f"{_name(outcome).capitalize()} within {horizon} days"]
            rows = [
                row
                for row in result.summary
                if row.outcome == outcome and row.horizon_days == horizon
            ]
            lines += _population(rows)
            lines += _ranking([row for row in rows if row.dimension == ALL])
            # Churn is part of the first outcome: its ranking is shown, its details are not again.
            if outcome == EITHER:
                lines += _zones(result, outcome, horizon)
                lines += _slices(rows)
    lines += _calibration(result)
    lines += _lead_time(result)
    return "\n".join(lines) + "\n"


def _population(rows: Sequence[SummaryRow]) -> list[str]:
    score = next(row for row in rows if row.predictor == HEALTH and row.dimension == ALL)
    if score.first_cohort_on is None:
        return []
    return [
        f"  scores of {score.cohort_count} days, {score.first_cohort_on} to "
        f"{score.last_cohort_on}: {score.account_day_count} account-days of "
        f"{score.account_count} accounts; {score.event_count} followed by a loss, "
        f"{score.event_account_count} accounts lost ({_percent(score.event_ratio)})",
        f"  scored {_percent(score.scored_ratio)} of the account-days, mean coverage "
        f"{_percent(score.mean_coverage_ratio)}",
    ]


def _ranking(rows: Sequence[SummaryRow]) -> list[str]:
    """The score and its baselines; one line when none of them has a number."""
    reasons: dict[str, list[str]] = {}
    for row in rows:
        if row.reason:
            reasons.setdefault(row.reason, []).append(_name(row.predictor))
    if all(row.auc is None for row in rows) and len(reasons) == 1:
        return [f"  no AUC: {reason}" for reason in reasons]
    return [
        *text_table(
            ("ranked by", "AUC", "interval", "score's gain", "interval", "lift"),
            [
                (
                    _name(row.predictor),
                    _number(row.auc),
                    _range(row.auc_low, row.auc_high),
                    _signed(row.score_gain),
                    _range(row.score_gain_low, row.score_gain_high, "{:+.3f}"),
                    _number(row.top_lift, "{:.2f}"),
                )
                for row in rows
            ],
        ),
        *(f"  {', '.join(names)}: {why}" for why, names in reasons.items()),
    ]


def _zones(result: BacktestResult, outcome: str, horizon: int) -> list[str]:
    rows = [
        row
        for row in result.zones
        if row.dimension == ALL and row.outcome == outcome and row.horizon_days == horizon
    ]
    if not rows:
        return []
    lines = text_table(
        ("zone", "lost", "interval", "account-days", "accounts"),
        [
            (
                row.health_zone,
                _percent(row.event_ratio),
                _range(row.event_ratio_low, row.event_ratio_high, "{:.1%}"),
                str(row.account_day_count),
                str(row.account_count),
            )
            for row in rows
        ],
    )
    judged = rows[0].is_monotone
    if judged:
        return [*lines, "  monotone: no worse zone loses less than a better one"]
    reasons = sorted({row.reason for row in rows if row.event_ratio is not None and row.reason})
    if judged is None:
        return [*lines, *(f"  {reason}" for reason in reasons)]
    return [*lines, f"  NOT monotone: {'; '.join(reasons)}"]


def _slices(rows: Sequence[SummaryRow]) -> list[str]:
    """The score within each slice; a dimension with one value says what all said, and is left out.

    All slices are in the table.
    """
    values: dict[str, set[str]] = {}
    for row in rows:
        values.setdefault(row.dimension, set()).add(row.dimension_value)
    sliced = [row for row in rows if len(values[row.dimension]) > 1]
    shown = [row for row in sliced if row.auc is not None]
    lines = (
        text_table(
            ("score among", "AUC", "interval", "lift", "accounts", "lost"),
            [
                (
                    f"{row.dimension} {row.dimension_value}",
                    _number(row.auc),
                    _range(row.auc_low, row.auc_high),
                    _number(row.top_lift, "{:.2f}"),
                    str(row.account_count),
                    str(row.event_account_count),
                )
                for row in shown
            ],
        )
        if shown
        else []
    )
    silent = [f"{row.dimension} {row.dimension_value}" for row in sliced if row.auc is None]
    if silent:
        lines.append(f"  too few to say: {', '.join(silent)}")
    return lines


def _calibration(result: BacktestResult) -> list[str]:
    horizon = result.options.suggest_horizon_days
    if horizon not in result.options.horizons_days:
        horizon = result.options.horizons_days[-1]
    rows = [
        row for row in result.calibration if row.outcome == EITHER and row.horizon_days == horizon
    ]
    lines = ["", f"What a score meant: {_name(EITHER)} within {horizon} days, by score band"]
    if not rows:
        return [*lines, "  no account-day has a score and a known outcome"]
    return lines + text_table(
        ("scores", "lost", "interval", "earlier half", "later half", "accounts"),
        [
            (
                f"{row.score_from:.1f} to {row.score_to:.1f}",
                _percent(row.event_ratio),
                _range(row.event_ratio_low, row.event_ratio_high, "{:.1%}"),
                _percent(row.earlier_event_ratio),
                _percent(row.later_event_ratio),
                str(row.account_count),
            )
            for row in rows
        ],
    )


def _lead_time(result: BacktestResult) -> list[str]:
    row = next(row for row in result.lead_time if row.dimension == ALL)
    lines = [
        "",
        "Warning before churn",
        f"  {row.churned_count} accounts churned: {row.warned_count} were not green before "
        f"({row.censored_count} of them from the first day on: censored), "
        f"{row.unwarned_count} were always green, {row.unseen_count} never had a score",
    ]
    if row.first_warning_days_median is None:
        lines.append(f"  no median: {row.reason}")
    else:
        lines.append(
            f"  median {row.first_warning_days_median:.0f} days from the first non-green day to "
            "churn, among the warned"
        )
    if row.last_warning_days_median is not None:
        lines.append(
            f"  median {row.last_warning_days_median:.0f} days from the start of the last "
            f"non-green spell, among the {row.warned_at_end_count} not green at the end"
        )
    lines.append(
        f"  of {row.kept_count} scored accounts that stayed, {row.kept_warned_count} were not "
        "green at some time"
    )
    return lines


def render_suggestion(suggestion: Suggestion) -> str:
    """The suggested weights beside today's, the gain and its interval, and where the files are."""
    lines = [
        f"Suggested {suggestion.level} weights, learned from {_name(suggestion.outcome)} within "
        f"{suggestion.horizon_days} days",
        f"  fitted on scores of {suggestion.train_from} to {suggestion.train_until}: "
        f"{suggestion.train_account_days} account-days, "
        f"{suggestion.train_event_accounts} accounts lost",
        f"  validated on {suggestion.validation_from} to {suggestion.validation_until}: "
        f"{suggestion.validation_account_days} account-days, "
        f"{suggestion.validation_event_accounts} accounts lost",
        *text_table(
            ("weight", "today", "suggested"),
            [(name, f"{today:.1f}", f"{new:.1f}") for name, today, new in suggestion.weights],
        ),
        "",
        f"  AUC on the later days: today {suggestion.auc_today:.3f}, suggested "
        f"{suggestion.auc_suggested:.3f}",
        f"  gain {suggestion.gain:+.3f}, {suggestion.confidence_ratio:.0%} interval "
        + (
            _range(suggestion.gain_low, suggestion.gain_high, "{:+.3f}")
            or "not known (no spread between the two)"
        ),
        f"  {suggestion.verdict}",
        *(f"  {note}" for note in suggestion.notes),
        "  written for review, nothing is in force:",
        *(f"    {path}" for path in suggestion.files),
    ]
    return "\n".join(lines) + "\n"


def render_effect(result: EffectResult) -> str:
    """The comparisons that have a number, a table per rule, and why the others have none."""
    lines = [
        f"What followed worked actions, against alike ones that were not, as of "
        f"{result.as_of_date}",
        f"  worked: started within {result.options.landmark_days} days; alike: same rule and tier, "
        f"score and trend within {result.options.score_caliper_points:g} and "
        f"{result.options.trend_caliper_points:g} points, revenue within "
        f"{result.options.arr_ratio_max:g} times",
        "  without work: what comes by itself, regression to the mean with it",
        f"  {result.confidence_ratio:.0%} intervals, accounts independent; who is worked on was "
        "chosen by people, so a matched effect is evidence, not proof",
    ]
    known: dict[str, list[EffectRow]] = {}
    for row in result.rows:
        if row.effect is not None:
            of_rule = "" if row.rule_id == ALL else f", {row.rule_id} v{row.rule_version}"
            known.setdefault(f"{row.playbook_id}{of_rule}", []).append(row)
    for name, rows in known.items():
        lines += [
            "",
            name,
            *text_table(
                ["within", "outcome", "worked", "without", "effect", "interval", "accounts", "by"],
                [
                    [
                        f"{row.horizon_days} days",
                        _name(row.outcome),
                        _effect_value(row, row.worked_value),
                        _effect_value(row, row.comparison_value),
                        _effect_value(row, row.effect, sign="+"),
                        f"{_effect_value(row, row.effect_low, sign='+')} to "
                        f"{_effect_value(row, row.effect_high, sign='+')}",
                        f"{row.matched_account_count} and {row.comparison_account_count}",
                        row.method,
                    ]
                    for row in rows
                ],
            ),
        ]
    reasons: dict[str, int] = {}
    for row in result.rows:
        if row.reason:
            kind = row.reason.split(":")[0].split(",")[0]
            kind = "too few have somebody alike" if kind.startswith("only ") else kind
            reasons[kind] = reasons.get(kind, 0) + 1
    if reasons:
        lines += [
            "",
            "No number",
            *text_table(
                ["comparisons", "why"],
                [[f"{count:,}", why] for why, count in sorted(reasons.items())],
            ),
        ]
    if not result.rows:
        lines.append("  no action is old enough")
    return "\n".join(lines) + "\n"


def _effect_value(row: EffectRow, value: float | None, sign: str = "") -> str:
    """A share in per cent, or points of the score, which are signed in themselves."""
    if value is None:
        return "-"
    if row.outcome == "score_change":
        return f"{value:+.1f}"
    text = f"{value:{sign}.0%}"
    return "0%" if text in {"+0%", "-0%"} else text


def _name(text: str) -> str:
    return _NAMES.get(text, text)


def _number(value: float | None, form: str = "{:.3f}") -> str:
    return "-" if value is None else form.format(value)


def _signed(value: float | None) -> str:
    return "" if value is None else f"{value:+.3f}"


def _percent(value: float | None) -> str:
    return "-" if value is None else f"{value:.1%}"


def _range(low: float | None, high: float | None, form: str = "{:.3f}") -> str:
    if low is None or high is None:
        return ""
    return f"{form.format(low)} to {form.format(high)}"
