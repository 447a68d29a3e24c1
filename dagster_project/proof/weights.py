"""Weights fitted on past outcomes: logistic, none negative, held towards today's weights.

The chance of a loss is a logistic function of an intercept and of weighted risk, risk being
1 - score / 100. No weight can be negative, so a better score can never mean more risk. Each step of
the iterated least squares is solved by scikit-learn's non-negative linear regression, and the
weights are pulled towards today's (a ridge around them, not around zero): few outcomes move them
little. Arrays are rows x features; a score that is missing is NaN.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from math import ceil

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]

#: How hard the pull may be, against the information in the data; chosen by forward validation.
PULLS = (100.0, 10.0, 1.0, 0.1, 0.01)
_STEPS = 100
_TOLERANCE = 1e-10


@dataclass(frozen=True)
class Structure:
    """How features make a score: feature i belongs to component `groups[i]`.

    At component level every feature is its own component.
    """

    groups: tuple[int, ...]

    @property
    def component_count(self) -> int:
        """Number of components."""
        return max(self.groups) + 1

    def components(self, weights: Floats) -> Floats:
        """Weight of each component: the sum of its features' weights."""
        return np.bincount(self.groups, weights=weights, minlength=self.component_count).astype(
            np.float64
        )


@dataclass(frozen=True)
class Weights:
    """A policy's numbers: weight of each feature within its component, and of each component."""

    within: Floats
    component: Floats

    def shares(self, structure: Structure) -> Floats:
        """Share of each feature in a score of which nothing is missing; sums to 1."""
        groups = np.asarray(structure.groups)
        sums = structure.components(self.within)
        inside = self.within / np.where(sums > 0, sums, 1.0)[groups]
        carried = np.where(sums > 0, self.component, 0.0)
        total = carried.sum()
        return np.asarray(inside * carried[groups] / (total if total > 0 else 1.0))


def component_scores(scores: Floats, structure: Structure, weights: Weights) -> Floats:
    """Score of each component over the features that have one; NaN where none has."""
    known = ~np.isnan(scores)
    filled = np.where(known, scores, 0.0)
    made = np.full((len(scores), structure.component_count), np.nan)
    for component in range(structure.component_count):
        own = [i for i, group in enumerate(structure.groups) if group == component]
        weight = known[:, own] * weights.within[own]
        size = weight.sum(axis=1)
        made[:, component] = np.where(
            size > 0, (filled[:, own] * weight).sum(axis=1) / np.where(size > 0, size, 1.0), np.nan
        )
    return made


def policy_score(scores: Floats, structure: Structure, weights: Weights) -> Floats:
    """The health score: missing weight goes to the component first, then to the other components.

    As the marts compute it, but for caps and the coverage floor. NaN where nothing is scored.
    """
    made = component_scores(scores, structure, weights)
    whole = Structure(groups=(0,) * structure.component_count)
    return np.asarray(component_scores(made, whole, Weights(weights.component, np.ones(1)))[:, 0])


def fill_missing(scores: Floats, structure: Structure, today: Weights) -> Floats:
    """Each missing score replaced by what redistribution makes of it under today's weights.

    A missing feature reads its component's score, a missing component the account's, so a gap is
    neutral, neither good nor bad. Rows without any weighted score read the mean of what is known.
    """
    groups = np.asarray(structure.groups)
    known = ~np.isnan(scores)
    mean = np.where(known, scores, 0.0).sum(axis=1) / np.maximum(known.sum(axis=1), 1)
    account = policy_score(scores, structure, today)
    account = np.where(np.isnan(account), mean, account)
    component = component_scores(scores, structure, today)
    component = np.where(np.isnan(component), account[:, None], component)
    return np.asarray(np.where(known, scores, component[:, groups]))


def fit_weights(risk: Floats, lost: Bools, prior: Floats, pull: float) -> tuple[float, Floats]:
    """Intercept and non-negative weights of the logistic model.

    Args:
        risk: rows x features, 0 (best) to 1 (worst), nothing missing.
        lost: the outcome; both values must occur.
        prior: weights whose direction the fit is pulled to; their size is fitted first.
        pull: strength of the pull, as a multiple of the mean information per weight.
    """
    intercept, size = _descend(risk @ prior[:, None], lost, np.zeros(1), 1e-6)
    target = prior * size[0]
    chance = _expit(intercept + risk @ target)
    information = chance * (1 - chance)
    centred = risk - (information @ risk) / information.sum()
    mean_information = float((information @ centred**2).mean())
    return _descend(risk, lost, target, max(pull * mean_information, 1e-9))


def log_loss(risk: Floats, lost: Bools, intercept: float, weights: Floats) -> float:
    """Mean negative log-likelihood per row."""
    margin = intercept + risk @ weights
    return float(np.mean(np.logaddexp(0.0, margin) - lost * margin))


def _descend(
    features: Floats, lost: Bools, target: Floats, strength: float
) -> tuple[float, Floats]:
    """Minimise negative log-likelihood + strength / 2 * |weights - target|^2, weights >= 0."""
    # Takes more than a second to import, and every run imports this package for its tables.
    from sklearn.linear_model import (  # type: ignore[import-untyped]  # noqa: PLC0415
        LinearRegression,
    )

    y = lost.astype(np.float64)
    share = float(y.mean())
    weights = np.maximum(target, 0.0)
    intercept = float(np.log(share / (1 - share)) - (features @ weights).mean())

    def objective(b: float, w: Floats) -> float:
        margin = b + features @ w
        return float(
            (np.logaddexp(0.0, margin) - y * margin).sum()
            + strength / 2 * ((w - target) ** 2).sum()
        )

    best = objective(intercept, weights)
    for _ in range(_STEPS):
        margin = intercept + features @ weights
        chance = _expit(margin)
        curve = np.maximum(chance * (1 - chance), 1e-6)
        response = margin + (y - chance) / curve
        total = curve.sum()
        feature_mean, response_mean = (curve @ features) / total, float(curve @ response) / total
        centred = features - feature_mean
        gram = (centred * curve[:, None]).T @ centred + strength * np.eye(len(weights))
        right = (centred * curve[:, None]).T @ (response - response_mean) + strength * target
        # The Cholesky factor turns the normal equations back into a small least-squares problem.
        root = np.linalg.cholesky(gram)
        model = LinearRegression(positive=True, fit_intercept=False)
        model.fit(root.T, np.linalg.solve(root, right))
        new_weights = np.asarray(model.coef_, dtype=np.float64)
        new_intercept = response_mean - float(feature_mean @ new_weights)
        step = 1.0
        while step > 1e-6:
            tried_weights = weights + step * (new_weights - weights)
            tried_intercept = intercept + step * (new_intercept - intercept)
            value = objective(tried_intercept, tried_weights)
            if value <= best:
                break
            step /= 2
        else:
            break
        change = best - value
        weights, intercept, best = tried_weights, tried_intercept, value
        if change <= _TOLERANCE * max(abs(best), 1.0):
            break
    return intercept, np.maximum(weights, 0.0)


def _expit(margin: Floats) -> Floats:
    return np.asarray(0.5 * (1 + np.tanh(0.5 * margin)))


def split_forward(
    days: Sequence[date], horizon_days: int, later_ratio: float
) -> tuple[list[date], list[date]]:
    """Earlier days to fit on, later days to validate on.

    The latest `later_ratio` of the days validate; a day is fitted on only if its outcome window was
    over when validation begins. Days in between belong to neither.
    """
    ordered = sorted(set(days))
    later = ordered[len(ordered) - ceil(later_ratio * len(ordered)) :]
    if not later:
        return [], []
    return [day for day in ordered if day + timedelta(days=horizon_days) <= later[0]], later


def in_tenths(shares: Floats, total: int = 100) -> Floats:
    """Non-negative shares as weights with one decimal that sum to `total` exactly.

    Raises:
        ValueError: all shares are 0.
    """
    if shares.sum() <= 0:
        raise ValueError("no share is over 0")
    units = shares / shares.sum() * total * 10
    whole = np.floor(units + 1e-9)
    missing = round(total * 10 - whole.sum())
    # The largest remainders round up; equal ones in the order of the features.
    order = np.argsort(-np.round(units - whole, 9), kind="stable")
    whole[order[:missing]] += 1
    return np.asarray(whole / 10)
