"""Decision curves: whether acting on a system does more good than acting on everybody or on nobody."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from trabecula.metrics.weighted import Floats, arrays, mean

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

    from trabecula.metrics.resampling import Metric


def net_benefit(threshold: float) -> Metric:
    """Return the metric of how many true cases, for every patient, acting at this probability or above is worth.

    True positives less false ones times the odds of the threshold, over all patients: whoever acts from a risk of 10 %
    on thinks one case found worth nine false alarms. Vickers and Elkin, Med Decis Making 2006;26:565.
    Raises `ValueError` for a threshold that is not between 0 and 1.
    """
    harm = _odds(threshold)

    def metric(truth: Any, probability: Any, weights: Any) -> Any:
        y, p, w = arrays(truth, probability, weights)
        return mean(np.where(p >= threshold, np.where(y == 1, 1.0, -harm), 0.0), w)

    return metric


def decision_curve(
    truth: ArrayLike, probability: ArrayLike, thresholds: ArrayLike, weights: ArrayLike = 1.0
) -> dict[str, Floats]:
    """Return the net benefit `[thresholds]` of the `system`, of acting on `everybody` and on `nobody`, which is 0.

    Probabilities are meant as such: a system that is not calibrated is acted on at the wrong risk and pays for it here.
    """
    cuts = np.atleast_1d(np.asarray(thresholds, dtype=float))
    y, p, _ = arrays(truth, probability, weights)
    return {
        "threshold": cuts,
        "system": np.array([net_benefit(float(cut))(y, p, weights) for cut in cuts]),
        "everybody": np.array([net_benefit(float(cut))(y, np.ones_like(p), weights) for cut in cuts]),
        "nobody": np.zeros(len(cuts)),
    }


def _odds(threshold: float) -> float:
    if not 0 < threshold < 1:
        raise ValueError(f"a probability to act at lies between 0 and 1; got {threshold}")
    return threshold / (1 - threshold)
