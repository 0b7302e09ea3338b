"""A population where the disease is as common as stated, judged from a sample where it is not.

Two things move, and apart: what the system says (`shifted`, when it learned where the disease was as common as it is
not here) and whom the patients judged stand for (`at_prevalence`, when cases were collected more eagerly than others).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from trabecula.metrics.weighted import Floats, arrays

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

    from trabecula.metrics.resampling import Metric


def shifted(probability: ArrayLike, *, learned: float, stated: float) -> Floats:
    """Return probabilities of a system that learned at one prevalence as they would be at the stated one.

    The odds are multiplied by the ratio of the odds of the two prevalences: Elkan, IJCAI 2001, theorem 2; Saerens et
    al., Neural Comput 2002;14:21. Right where patients within a class are alike in both; 0 and 1 stay what they are.
    Raises `ValueError` for a prevalence or probability out of range.
    """
    p = np.asarray(probability, dtype=float)
    if not (0 < learned < 1 and 0 < stated < 1):
        raise ValueError(f"a prevalence lies between 0 and 1; got {learned} and {stated}")
    if not ((p >= 0) & (p <= 1)).all():
        raise ValueError("a probability lies from 0 to 1")
    case, other = p * stated / learned, (1 - p) * (1 - stated) / (1 - learned)
    return np.asarray(case / (case + other), dtype=float)


def at_prevalence(metric: Metric, prevalence: float) -> Metric:
    """Return the metric of a binary target where cases have the stated share of the weight in every row of weights.

    Raises `ValueError` for a prevalence that is not between 0 and 1.
    """
    if not 0 < prevalence < 1:
        raise ValueError(f"a prevalence lies between 0 and 1; got {prevalence}")

    def reweighted(truth: Any, prediction: Any, weights: Any) -> Any:
        y, _, w = arrays(truth, prediction, weights)
        with np.errstate(invalid="ignore", divide="ignore"):
            for_case = prevalence / (w * (y == 1)).sum(axis=-1, keepdims=True)
            for_other = (1 - prevalence) / (w * (y != 1)).sum(axis=-1, keepdims=True)
            known = np.isfinite(for_case) & np.isfinite(for_other)
            balanced = w * np.where(y == 1, for_case, for_other) * len(y)
        figures = metric(truth, prediction, np.where(known, balanced, w))
        return np.where(known[..., 0], figures, np.nan)

    return reweighted
