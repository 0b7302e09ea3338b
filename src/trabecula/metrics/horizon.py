"""Told by a horizon: times to an event as a yes or no by so many years, without bias from those lost before.

Those whose outcome is known weigh by the inverse chance of not being censored before it was (IPCW), so `at_horizon`
makes of every metric of a yes or no one of times to an event: AUC, Brier score, calibration slope, net benefit. Who
died before the horizon is known not to have the event by then. Predictions are the cumulative incidence by the horizon.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from trabecula.metrics.binary import brier
from trabecula.metrics.incidence import aalen_johansen, observations, still_followed
from trabecula.metrics.weighted import arrays, mean

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

    from trabecula.metrics.resampling import Metric
    from trabecula.metrics.weighted import Floats

HORIZONS = (1.0, 3.0, 5.0, 10.0)
"""Years that a time to an event is judged at."""

_FEWEST, _FOLLOWED = 10, 0.1


def outcome_at(truth: ArrayLike, weights: ArrayLike = 1.0, *, horizon: float) -> tuple[Floats, Floats]:
    """Return 1 `[n]` for the event by the horizon in years, and weights `[..., n]` that stand for those lost before.

    Who was censored before has the weight 0; the others' add up to everybody, and their mean is `aalen_johansen`'s
    incidence (Satten and Datta, Am Stat 2001;55:207). Rows are NaN where nobody was followed so far.
    """
    years, event, w = observations(truth, weights)
    happened = ((event == 1) & (years <= horizon)).astype(float)
    known = (years >= horizon) | (event != 0)
    until = np.minimum(years, horizon)
    followed = still_followed(truth, weights, np.r_[until, horizon]) if len(years) else np.ones((*w.shape[:-1], 1))
    with np.errstate(invalid="ignore", divide="ignore"):
        standing = np.where(known & (w > 0), w / followed[..., :-1], 0.0)
    return happened, np.where(followed[..., -1:] > 0, standing, np.nan)


def at_horizon(metric: Metric, horizon: float, *, deaths: bool = True) -> Metric:
    """Return the metric of a yes or no as one of having the event by the horizon in years; truths are `[n, 2]`.

    Of `auc`: cumulative cases against dynamic controls (Uno et al., JASA 2007;102:527; Blanche et al., Stat Med
    2013;32:5381). Those who died before are among the controls (their definition ii), or without `deaths` left out (i).
    Of `brier`: Graf et al., Stat Med 1999;18:2529; with deaths Schoop et al., Biom J 2011;53:88.
    """

    def measured(truth: Any, prediction: Any, weights: Any = 1.0) -> Any:
        happened, standing = outcome_at(truth, weights, horizon=horizon)
        if not deaths:
            years, event, _ = observations(truth, weights)
            standing = standing * ~((event == 2) & (years <= horizon))
        return metric(happened, prediction, standing)

    return measured


def scaled_brier(truth: ArrayLike, probability: ArrayLike, weights: ArrayLike = 1.0) -> Any:
    """Share of the Brier score saved against telling everybody the share of cases; below 0 it is better left unsaid.

    Kattan and Gerds, Diagn Progn Res 2018;2:7, as the index of prediction accuracy. NaN without a class.
    """
    y, p, w = arrays(truth, probability, weights)
    share = mean(y, w)
    with np.errstate(invalid="ignore", divide="ignore"):
        return 1 - brier(y, p, w) / np.where((share > 0) & (share < 1), share * (1 - share), np.nan)


def calibration_at(truth: ArrayLike, incidence: ArrayLike, *, horizon: float, bins: int = 5) -> list[dict[str, float]]:
    """Return mean incidence told and Aalen-Johansen's with its 95 % interval, in groups of equal size by risk told.

    As many groups, up to `bins`, as leave 10 events by the horizon to each on average. Groups not followed to the
    horizon have NaN. Van Geloven et al., BMJ 2022;377:e069249.
    """
    y, p = np.asarray(truth, dtype=float), np.asarray(incidence, dtype=float)
    years, event, _ = observations(y, 1.0)
    events = int(((event == 1) & (years <= horizon)).sum())
    groups = np.array_split(np.argsort(p, kind="stable"), max(1, min(bins, events // _FEWEST)))
    rows = []
    for group in groups:
        seen = aalen_johansen(y[group])
        reached = still_followed(y[group], 1.0, [horizon])[0] > 0
        observed, (low, high) = (seen.at(horizon), seen.interval(horizon)) if reached else (np.nan, (np.nan, np.nan))
        rows.append(
            {"predicted": float(p[group].mean()), "observed": float(observed), "low": float(low), "high": float(high),
             "n": float(len(group))}
        )  # fmt: skip
    return rows


def why_untold(truth: ArrayLike, *, horizon: float) -> str:
    """Say why nothing can be told at a horizon, or nothing where it can.

    It is told if 10 patients or more had the event by then, 10 or more are known not to have had it, and the chance of
    not being censored before is 10 % or more, so that nobody stands for more than ten. The last follows Pocock et al.,
    Lancet 2002;359:1686 (recalled: a curve ends where 10 to 20 % are still at risk), but of follow-up, not of survival,
    since those who died are known. The tens are ours.
    """
    happened, weights = outcome_at(truth, horizon=horizon)
    if not len(happened):
        return "nobody was followed"
    followed = float(still_followed(truth, 1.0, [horizon])[0])
    events, free = (int(((happened == yes) & (weights > 0)).sum()) for yes in (1, 0))
    if followed < _FOLLOWED:
        return (
            f"follow-up ends before: the chance of being followed for {horizon:g} years is {followed:.0%}, below 10 %"
        )
    if events < _FEWEST:
        return f"{events} had the event within {horizon:g} years: fewer than {_FEWEST}"
    if free < _FEWEST:
        return f"{free} are known to be free of the event at {horizon:g} years: fewer than {_FEWEST}"
    return ""
