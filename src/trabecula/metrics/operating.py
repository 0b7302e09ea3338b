"""A threshold chosen on some patients and applied to others, and what it means where a disease is as common as stated.

A patient is called when the score is at the threshold or above. Under cross-validation every fold has its own
threshold, chosen on patients held out of its training; only the calls, yes or no, are counted together.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

import numpy as np

from trabecula.metrics.curves import wilson
from trabecula.metrics.resampling import Interval
from trabecula.metrics.weighted import arrays

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

Rule: TypeAlias = Literal["youden", "sensitivity", "specificity"]
_Z = 1.959964
_UNKNOWN = Interval(math.nan, math.nan, math.nan)


@dataclass(frozen=True, kw_only=True)
class OperatingPoint:
    """What a threshold did to patients, and what it would do in a population of the stated prevalence."""

    cases: int
    others: int
    called_cases: int
    called_others: int
    prevalence: float
    sensitivity: Interval
    specificity: Interval
    positive_likelihood_ratio: Interval
    negative_likelihood_ratio: Interval
    positive_predictive_value: Interval
    negative_predictive_value: Interval
    screened_per_case_found: Interval
    """People to be screened for one case to be called: the number needed to screen."""
    called_per_case_found: Interval
    """People called, each to be sent on, for one of them to be a case."""

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON; a figure that could not be computed is null."""
        return {name: x.to_json() if isinstance(x, Interval) else x for name, x in vars(self).items()}


def chosen_threshold(
    truth: ArrayLike, score: ArrayLike, rule: Rule = "youden", *, at_least: float = 0.9, weights: ArrayLike = 1.0
) -> float:
    """Return the threshold that a rule chooses on these patients: halfway between two of their scores.

    `youden` takes the highest sum of sensitivity and specificity (Youden, Cancer 1950;3:32), of equals the lowest
    threshold; `sensitivity` the highest threshold with that of `at_least`, `specificity` the lowest. Everybody is
    called from the lowest score on; infinity, which calls nobody, is returned where only that is specific enough.
    Raises `ValueError` for another rule, a share outside 0..1, and patients that are all cases or all not.
    """
    y, s, w = arrays(truth, score, weights)
    if rule not in {"youden", "sensitivity", "specificity"} or not 0 <= at_least <= 1:
        raise ValueError(f"a rule is youden, sensitivity or specificity of 0..1; got {rule!r}, {at_least}")
    scores, place = np.unique(s, return_inverse=True)
    cases, others = (np.bincount(place, weights=w * (y == label), minlength=len(scores)) for label in (1, 0))
    if not (cases.sum() > 0 and others.sum() > 0):
        raise ValueError("a threshold is chosen on cases and non-cases: draw the patients it is chosen on by class")
    sensitive = np.r_[1, 1 - np.cumsum(cases) / cases.sum()].round(12)
    specific = np.r_[0, np.cumsum(others) / others.sum()].round(12)
    between = (scores[:-1] + scores[1:]) / 2
    thresholds = np.r_[scores[:1], np.where(between > scores[:-1], between, scores[1:]), np.inf]
    match rule:
        case "youden":
            return float(thresholds[np.argmax((sensitive + specific).round(12))])
        case "sensitivity":
            return float(thresholds[np.flatnonzero(sensitive >= at_least)[-1]])
        case _:
            return float(thresholds[np.flatnonzero(specific >= at_least)[0]])


def operating_point(
    truth: ArrayLike, score: ArrayLike, threshold: ArrayLike, *, prevalence: float | None = None
) -> OperatingPoint:
    """Return what a threshold does, one for all or `[n]` by patient's fold, with 95 % intervals given the threshold.

    Shares have Wilson's interval; likelihood ratios that of Simel et al., J Clin Epidemiol 1991;44:763, and half a
    patient is added to each of the four cells where one is empty. Predictive values are those ratios applied to the
    odds of the stated `prevalence` (the share of cases here where none is stated), which makes their interval the
    logit one of Mercaldo et al., Stat Med 2007;26:2170. What nobody's call can tell is NaN.
    Raises `ValueError` for a prevalence that is not between 0 and 1, and for nobody to judge.
    """
    y, s, _ = arrays(truth, score, 1.0)
    if not len(y) or not (prevalence is None or 0 < prevalence < 1):
        raise ValueError(
            f"a prevalence lies between 0 and 1, and somebody is judged; got {prevalence}, {len(y)} patients"
        )
    called = s >= np.asarray(threshold, dtype=float)
    cases, others = int((y == 1).sum()), int((y != 1).sum())
    hits, false = int(called[y == 1].sum()), int(called[y != 1].sum())
    share = cases / len(y) if prevalence is None else prevalence
    positive = _ratio(hits, cases, false, others)
    negative = _ratio(cases - hits, cases, others - false, others)
    sensitivity = _share(hits, cases)
    odds = share / (1 - share) if share < 1 else math.nan
    ppv, missed = (_through(lambda x: odds * x / (1 + odds * x), ratio) for ratio in (positive, negative))
    return OperatingPoint(
        cases=cases, others=others, called_cases=hits, called_others=false,
        prevalence=share, sensitivity=sensitivity, specificity=_share(others - false, others),
        positive_likelihood_ratio=positive, negative_likelihood_ratio=negative,
        positive_predictive_value=ppv,
        negative_predictive_value=Interval(1 - missed.value, 1 - missed.high, 1 - missed.low),
        screened_per_case_found=_inverse(sensitivity, share),
        called_per_case_found=_inverse(ppv, 1.0),
    )  # fmt: skip


def _share(some: int, all_: int) -> Interval:
    return Interval(some / all_, *wilson(some, all_)) if all_ else _UNKNOWN


def _ratio(a: float, cases: int, b: float, others: int) -> Interval:
    """Return the share a of cases over the share b of others, with the interval that is symmetric on the log scale."""
    if not (cases and others and a + b > 0):
        return _UNKNOWN
    m, n = float(cases), float(others)
    if 0 in {a, b, cases - a, others - b}:
        a, b, m, n = a + 0.5, b + 0.5, m + 1, n + 1
    ratio, spread = (a / m) / (b / n), math.exp(_Z * math.sqrt(1 / a - 1 / m + 1 / b - 1 / n))
    return Interval(ratio, ratio / spread, ratio * spread)


def _through(rises: Any, given: Interval) -> Interval:
    """Return an interval through a function that rises."""
    return Interval(rises(given.value), rises(given.low), rises(given.high))


def _inverse(given: Interval, factor: float) -> Interval:
    """Return 1 / (factor * given), NaN where that is without bounds."""
    value, low, high = (1 / (factor * x) if factor * x > 0 else math.nan for x in (given.value, given.high, given.low))
    return Interval(value, low, high)
