"""Intervals of any metric in a survey such as NHANES: by how people were drawn, in strata of clusters.

`survey.weighted_mean` tells a mean by linearisation. What has no such formula (an AUC, a sensitivity, a concordance) is
told here by drawing clusters again; both agree on means.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from trabecula.metrics.resampling import per_fold
from trabecula.survey import Estimate

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    from trabecula.metrics.resampling import Metric
    from trabecula.metrics.weighted import Floats

_BLOCK = 4_000_000  # weights held at once: 32 MB


@dataclass(frozen=True, eq=False)
class Design:
    """How people were drawn, each array `[n]`: how many each stands for, and its stratum and cluster (PSU).

    Names of PSUs need to be unique within a stratum only. A domain (women from 50 on) is asked for by the weight 0 for
    everybody outside it, never by leaving rows out: clusters without a member count in the variance.

    Raises `ValueError` for lengths that differ, weights that are negative or all 0, and a stratum with one PSU.
    """

    weights: NDArray[Any]
    strata: NDArray[Any]
    psu: NDArray[Any]

    def __post_init__(self) -> None:
        for name, kind in (("weights", float), ("strata", str), ("psu", str)):
            object.__setattr__(self, name, np.asarray(getattr(self, name)).astype(kind))
        lengths = [len(each) for each in (self.weights, self.strata, self.psu)]
        if len(set(lengths)) > 1:
            raise ValueError(f"weights, strata and psu differ in length: {lengths}")
        if not np.isfinite(self.weights).all() or self.weights.min(initial=0) < 0 or not self.weights.sum() > 0:
            raise ValueError("weights are finite, not negative, and some are positive")
        for rows, member in self._clusters():
            if member.max() == 0:
                raise ValueError(f"stratum {self.strata[rows[0]]} has one PSU: join it with a similar stratum")

    @property
    def freedom(self) -> int:
        """Degrees of freedom of a variance: PSUs less strata, of those that hold a member."""
        held = [np.unique(member[self.weights[rows] > 0]) for rows, member in self._clusters()]
        return sum(max(0, len(units) - 1) for units in held)

    def drawn(self, rng: np.random.Generator, size: int) -> Floats:
        """Return `[size, n]`: weights when clusters are drawn again, one fewer than a stratum has, with replacement.

        They are as many times heavier as bring the stratum's weight back on average, which makes the variance right
        even for two clusters a stratum. Rao and Wu, JASA 1988;83:231, as weights by Rao, Wu and Yue, Surv Methodol
        1992;18:209.
        """
        again = np.empty((size, len(self.weights)))
        for rows, member in self._clusters():
            n = int(member.max()) + 1
            times = rng.multinomial(n - 1, np.full(n, 1 / n), size) * (n / (n - 1))
            again[:, rows] = times[:, member] * self.weights[rows]
        return again

    def _clusters(self) -> list[tuple[NDArray[np.intp], NDArray[np.intp]]]:
        """Return the rows of each stratum, and which of its clusters each is of."""
        members = [np.flatnonzero(self.strata == name) for name in np.unique(self.strata)]
        return [(rows, np.unique(self.psu[rows], return_inverse=True)[1]) for rows in members]


def survey_interval(
    metric: Metric,
    truth: ArrayLike,
    prediction: ArrayLike,
    design: Design,
    *,
    folds: ArrayLike | None = None,
    share: bool = False,
    seed: int = 0,
    draws: int = 1000,
) -> Estimate:
    """Return a metric of the population, averaged over folds, with its 95 % interval and standard error by design.

    The standard error is the spread of `Design.drawn` about the figure, the interval so many errors to either side as
    Student's t of the design's degrees of freedom tells; for a figure between 0 and 1 (`share`: an AUC, a sensitivity)
    on the scale of its logit. Rows of weight 0 may lack truth and prediction. NaN where the metric is not defined.
    Raises `ValueError` where all members lie in one cluster of their stratum.
    """
    from scipy.stats import t as student  # noqa: PLC0415 keeps the import of this module light

    if design.freedom == 0:
        raise ValueError("every stratum has members in one PSU only: there is no variance to be told")
    held = design.weights > 0
    y, p, who = np.asarray(truth)[held], np.asarray(prediction)[held], per_fold(truth, folds)[held]
    value = float(_averaged(metric, y, p, design.weights[None, held], who)[0])
    rng, step = np.random.default_rng(seed), max(1, _BLOCK // len(held))
    again = np.concatenate([
        _averaged(metric, y, p, design.drawn(rng, min(step, draws - start))[:, held], who)
        for start in range(0, draws, step)
    ])  # fmt: skip
    again = again[np.isfinite(again)]
    if not (math.isfinite(value) and len(again)):
        return Estimate(math.nan, math.nan, math.nan, math.nan)
    se = float(np.sqrt(np.mean((again - value) ** 2)))
    half = float(student.ppf(0.975, design.freedom)) * se
    if not share:
        return Estimate(value, value - half, value + half, se)
    if not 0 < value < 1:
        return Estimate(value, math.nan, math.nan, se)
    odds, width = math.log(value / (1 - value)), half / (value * (1 - value))
    low, high = (1 / (1 + math.exp(-each)) for each in (odds - width, odds + width))
    return Estimate(value, low, high, se)


def _averaged(
    metric: Metric, truth: NDArray[Any], prediction: NDArray[Any], rows: Floats, folds: NDArray[Any]
) -> Floats:
    """Return the metric of each row of weights, averaged over the folds where it is defined."""
    each = [
        np.asarray(metric(truth[folds == fold], prediction[folds == fold], rows[:, folds == fold]), dtype=float)
        for fold in np.unique(folds)
    ]
    defined = np.isfinite(each)
    with np.errstate(invalid="ignore"):
        found: Floats = np.where(defined, each, 0).sum(axis=0) / np.where(
            defined.any(axis=0), defined.sum(axis=0), np.nan
        )
    return found
