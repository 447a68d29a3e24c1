"""What the backtest allows to be said, in sentences; the numbers are those of its tables."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import polars as pl

from dagster_project.proof.backtest import ALL, HEALTH
from dagster_project.proof.frames import BacktestFrames

COIN = 0.5
_BASELINES = {
    "everyone_green": "no ranking at all",
    "days_to_renewal_only": "the renewal date alone",
    "usage_only": "usage alone",
}


def predictor_name(predictor: str) -> str:
    """What ranks the accounts, in words."""
    return "the health score" if predictor == HEALTH else _BASELINES.get(predictor, predictor)


def verdicts(frames: BacktestFrames, outcome: str, horizon_days: int) -> list[str]:
    """Sentences on sample, ranking, baselines, zones, calibration and warning, in this order.

    A question that the sample is too small for is answered by saying so.
    """
    whole = frames.summary.filter(
        (pl.col("outcome") == outcome)
        & (pl.col("horizon_days") == horizon_days)
        & (pl.col("dimension") == ALL)
    )
    score = _first(whole.filter(pl.col("predictor") == HEALTH))
    if score is None or not score["account_day_count"]:
        reason = f": {score['reason']}" if score is not None and score["reason"] else ""
        return [
            f"Nothing can be said: no account-day has both a score and a known outcome{reason}."
        ]
    confidence = f"{frames.options.confidence_ratio:.0%}"
    said = [
        f"{score['event_account_count']:,} of {score['account_count']:,} accounts were lost within "
        f"{horizon_days} days of a day that was looked at "
        f"({score['cohort_count']:,} days, {score['account_day_count']:,} account-days)."
    ]
    said.append(_ranking(score, confidence))
    if score["auc"] is not None:
        said += [
            _baseline(row)
            for row in whole.filter(pl.col("predictor") != HEALTH).iter_rows(named=True)
            if row["predictor"] != "everyone_green"
        ]
    said.append(_zones(frames.zones, outcome, horizon_days))
    said.append(_calibration(frames.calibration, outcome, horizon_days))
    said.append(_warning(frames.lead_time))
    return said


def _ranking(score: Mapping[str, Any], confidence: str) -> str:
    if score["auc"] is None:
        return f"How well the score ranks cannot be said: {score['reason']}."
    value = f"{score['auc']:.3f}"
    low, high = score["auc_low"], score["auc_high"]
    if low is None or high is None:
        return f"The AUC is {value}, and no interval can be given for it."
    reach = f"{value}, {confidence} interval {low:.3f} to {high:.3f}"
    if low > COIN:
        lift = score["top_lift"]
        worst = f" Losses are {lift:.1f} times as frequent in its worst part." if lift else ""
        return f"The score ranks better than a coin (AUC {reach}).{worst}"
    if high < COIN:
        return f"The score ranks worse than a coin (AUC {reach}): it points the wrong way."
    return f"Nothing was shown: the interval of the AUC holds a coin's {COIN} (AUC {reach})."


def _baseline(row: Mapping[str, Any]) -> str:
    name = predictor_name(row["predictor"])
    gain, low, high = row["score_gain"], row["score_gain_low"], row["score_gain_high"]
    if gain is None or low is None or high is None:
        return f"Against {name} it cannot be judged{_because(row)}."
    reach = f"{_signed(gain)}, {_signed(low)} to {_signed(high)}"
    if low > 0:
        return f"It ranks better than {name} (difference of AUC {reach})."
    if high < 0:
        return (
            f"{name[0].upper()}{name[1:]} ranks better than the score (difference of AUC {reach})."
        )
    return f"It cannot be told apart from {name} (difference of AUC {reach})."


def _zones(zones: pl.DataFrame, outcome: str, horizon_days: int) -> str:
    row = _first(
        zones.filter(
            (pl.col("outcome") == outcome)
            & (pl.col("horizon_days") == horizon_days)
            & (pl.col("dimension") == ALL)
        )
    )
    if row is None:
        return "No account-day has a zone and a known outcome."
    if row["is_monotone"] is None:
        reasons = [
            reason
            for reason in zones.filter(
                (pl.col("outcome") == outcome)
                & (pl.col("horizon_days") == horizon_days)
                & (pl.col("dimension") == ALL)
            )["reason"].to_list()
            if reason and reason.startswith("order not judged")
        ]
        return f"Zones: {reasons[0] if reasons else row['reason'] or 'order not judged'}."
    if row["is_monotone"]:
        return "Zones are monotone: no worse zone loses less than a better one."
    return f"Zones are NOT monotone: {row['reason']}."


def _calibration(calibration: pl.DataFrame, outcome: str, horizon_days: int) -> str:
    both = calibration.filter(
        (pl.col("outcome") == outcome)
        & (pl.col("horizon_days") == horizon_days)
        & pl.col("earlier_event_ratio").is_not_null()
        & pl.col("later_event_ratio").is_not_null()
        & pl.col("event_ratio_low").is_not_null()
    )
    if both.is_empty():
        return "Whether a score means the same over time cannot be said: no band is large enough."
    apart = both.filter(
        ~pl.col("earlier_event_ratio").is_between(
            pl.col("event_ratio_low"), pl.col("event_ratio_high")
        )
        | ~pl.col("later_event_ratio").is_between(
            pl.col("event_ratio_low"), pl.col("event_ratio_high")
        )
    ).height
    if apart:
        return (
            f"In {apart} of {both.height} bands of the score the earlier or the later half lies "
            "outside of the interval of both: a score did not always mean the same."
        )
    return (
        f"In all {both.height} bands that can be compared, the earlier and the later half lie "
        "within the interval of both."
    )


def _warning(lead_time: pl.DataFrame) -> str:
    row = _first(lead_time.filter(pl.col("dimension") == ALL))
    if row is None or not row["churned_count"]:
        return "No account left, so no warning can be timed."
    false_alarms = (
        f" {row['kept_warned_count']:,} of {row['kept_count']:,} accounts that stayed were not "
        "green at some time, too."
    )
    median = row["first_warning_days_median"]
    if median is None:
        return f"How early the zone warned cannot be said: {row['reason']}.{false_alarms}"
    return (
        f"{row['warned_count']:,} of {row['churned_count']:,} accounts that left were not green "
        f"before, first {median:,.0f} days before (median).{false_alarms}"
    )


def _signed(value: float) -> str:
    return f"{value:+.3f}".replace("-", "−")


def _because(row: Mapping[str, Any]) -> str:
    return f": {row['reason']}" if row["reason"] else ""


def _first(frame: pl.DataFrame) -> dict[str, Any] | None:
    return frame.row(0, named=True) if frame.height else None
