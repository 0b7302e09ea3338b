"""Whether a probability of 30 % comes true in 30 of 100: in the large, in its spread, and along a smooth curve.

All are metrics. `interval` gives their intervals, with `by_class=False` unless the prevalence is stated: how many cases
there are is what is asked. `at_prevalence` and `shifted` carry them to a population of another prevalence.
Probabilities are first kept a millionth away from 0 and 1, where their logit has no end. Under cross-validation they
are, as every figure, averaged over folds.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from trabecula.metrics.weighted import Floats, arrays, mean

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

_EDGE = 1e-6
_STEPS = 50


def calibration_slope(truth: ArrayLike, probability: ArrayLike, weights: ArrayLike = 1.0) -> Any:
    """Slope of a logistic regression of the truth on the logit of the probability: 1 is right, below 1 too extreme.

    Cox, Biometrika 1958;45:562; Van Calster et al., BMC Med 2019;17:230. NaN where cases and others are apart, for
    no slope is then steep enough, or where all have one probability.
    """
    y, p, w = arrays(truth, probability, weights)
    logit = _logit(p)
    return _logistic(np.stack([np.ones_like(logit), logit], axis=1), y, w, np.zeros_like(logit))[..., 1]


def calibration_intercept(truth: ArrayLike, probability: ArrayLike, weights: ArrayLike = 1.0) -> Any:
    """Calibration in the large: intercept of that regression with the slope fixed at 1, in log odds; 0 is right.

    Above 0 there are more cases than said. NaN where all patients are cases or none is.
    """
    y, p, w = arrays(truth, probability, weights)
    return _logistic(np.ones((len(y), 1)), y, w, _logit(p))[..., 0]


def expected_over_observed(truth: ArrayLike, probability: ArrayLike, weights: ArrayLike = 1.0) -> Any:
    """Cases said over cases seen (E/O): 1 is right, above 1 too many are said. NaN without a case."""
    y, p, w = arrays(truth, probability, weights)
    with np.errstate(invalid="ignore", divide="ignore"):
        seen = (w * y).sum(axis=-1)
        return np.where(seen > 0, (w * p).sum(axis=-1) / seen, np.nan)


def calibration_error(truth: ArrayLike, probability: ArrayLike, weights: ArrayLike = 1.0) -> Any:
    """Mean distance of the probabilities from the smooth curve: the integrated calibration index.

    Austin and Steyerberg, Stat Med 2019;38:4051. Never quite 0: a curve fitted to chance strays.
    """
    y, p, w = arrays(truth, probability, weights)
    return mean(np.abs(calibration_curve(y, p, p, w) - p), w)


def calibration_curve(truth: ArrayLike, probability: ArrayLike, at: ArrayLike, weights: ArrayLike = 1.0) -> Any:
    """Return the share of cases `[..., at]` among patients told the probabilities `at`, by a smooth curve.

    Logistic regression on a restricted cubic spline of the logit with knots at the 10th, 50th and 90th percentile
    (Harrell, Regression Modeling Strategies, 2nd ed., sections 2.4.5 and 10.11); a straight line where they coincide.
    Resampling counts as weights give the draws of its band. Outside the probabilities told it continues straight.
    """
    y, p, w = arrays(truth, probability, weights)
    logit, where = _logit(p), _logit(np.asarray(at, dtype=float))
    knots = np.unique(np.quantile(logit, [0.1, 0.5, 0.9])) if len(p) else np.zeros(0)
    coefficients = _logistic(_spline(logit, knots), y, w, np.zeros_like(logit))
    return _expit(coefficients @ _spline(where, knots).T)


def _logit(probability: Floats) -> Floats:
    if ((probability < 0) | (probability > 1)).any():
        raise ValueError("a probability lies from 0 to 1")
    p = np.clip(probability, _EDGE, 1 - _EDGE)
    return np.asarray(np.log(p / (1 - p)), dtype=float)


def _expit(logit: Floats) -> Floats:
    return np.asarray(1 / (1 + np.exp(-np.clip(logit, -500, 500))), dtype=float)


def _spline(x: Floats, knots: Floats) -> Floats:
    """Return the design `[n, 2 or 3]`: one, x, and with three knots a cubic that is straight outside them."""
    straight = np.stack([np.ones_like(x), x], axis=1)
    if len(knots) < 3:
        return straight
    low, middle, high = knots
    bent = (
        np.maximum(x - low, 0) ** 3
        - np.maximum(x - middle, 0) ** 3 * (high - low) / (high - middle)
        + np.maximum(x - high, 0) ** 3 * (middle - low) / (high - middle)
    ) / (high - low) ** 2
    return np.column_stack([straight, bent])


def _logistic(design: Floats, truth: Floats, weights: Floats, offset: Floats) -> Floats:
    """Return the coefficients `[..., k]` of a logistic regression for each row of weights, by Newton's method.

    NaN where it does not settle: no patients of a class, classes that are apart, or a design that tells nothing.
    """
    k = design.shape[1]
    w = weights.reshape(math.prod(weights.shape[:-1]), len(truth))
    products = (design[:, :, None] * design[:, None, :]).reshape(len(truth), k * k)
    found, going = np.zeros((len(w), k)), np.flatnonzero(_both(truth, w))
    settled = np.zeros(len(w), dtype=bool)
    for _ in range(_STEPS):
        if not len(going):
            break
        p = _expit(found[going] @ design.T + offset)
        slope = (w[going] * (truth - p)) @ design
        bend = ((w[going] * p * (1 - p)) @ products).reshape(-1, k, k)
        with np.errstate(invalid="ignore", divide="ignore"):
            solvable = np.linalg.cond(bend) < 1e12
        going, slope, bend = going[solvable], slope[solvable], bend[solvable]
        step = np.linalg.solve(bend, slope[..., None])[..., 0]
        length = np.abs(step).max(axis=1, initial=0)
        found[going] += step * np.minimum(1, 5 / np.maximum(length, 1e-300))[:, None]
        settled[going] = length < 1e-8
        going = going[length >= 1e-8]
    return np.where(settled[:, None], found, np.nan).reshape(*weights.shape[:-1], k)


def _both(truth: Floats, weights: Floats) -> Any:
    return ((weights @ (truth == 1)) > 0) & ((weights @ (truth != 1)) > 0)
