"""Told by a horizon: times to an event as a yes or no by so many years, without bias from those lost before.

`outcome_at` weighs those whose outcome is known by the inverse chance of not being censored before it was (IPCW), so
every metric of a yes or no measures it. Who died before the horizon is known not to have the event by then. Predictions
are the cumulative incidence by the horizon. With the horizon given (`partial(auc_at, horizon=5)`) each is a `Metric`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from trabecula.metrics.binary import auc, brier
from trabecula.metrics.incidence import aalen_johansen, observations, still_followed
from trabecula.metrics.weighted import mean

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

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


def auc_at(truth: ArrayLike, risk: ArrayLike, weights: ArrayLike = 1.0, *, horizon: float, deaths: bool = True) -> Any:
    """Area under the ROC curve of having the event by the horizon: cumulative cases against dynamic controls.

    Uno et al., JASA 2007;102:527; Blanche et al., Stat Med 2013;32:5381. Controls are free of the event at the horizon:
    those who died before are among them (their definition ii), or without `deaths` left out (definition i).
    """
    y, w = outcome_at(truth, weights, horizon=horizon)
    if not deaths:
        years, event, _ = observations(truth, weights)
        w = w * ~((event == 2) & (years <= horizon))
    return auc(y, risk, w)


def brier_at(truth: ArrayLike, incidence: ArrayLike, weights: ArrayLike = 1.0, *, horizon: float) -> Any:
    """Mean squared distance of the incidence told from what happened by the horizon.

    Graf et al., Stat Med 1999;18:2529; with deaths Schoop et al., Biom J 2011;53:88.
    """
    y, w = outcome_at(truth, weights, horizon=horizon)
    return brier(y, incidence, w)


def scaled_brier_at(truth: ArrayLike, incidence: ArrayLike, weights: ArrayLike = 1.0, *, horizon: float) -> Any:
    """Share of the Brier score saved against telling everybody the incidence of all; 0 is useless, below 0 harmful.

    Kattan and Gerds, Diagn Progn Res 2018;2:7, as the index of prediction accuracy.
    """
    y, w = outcome_at(truth, weights, horizon=horizon)
    share = mean(y, w)
    with np.errstate(invalid="ignore", divide="ignore"):
        return 1 - brier(y, incidence, w) / (share * (1 - share))


def observed_to_expected_at(truth: ArrayLike, incidence: ArrayLike, weights: ArrayLike = 1.0, *, horizon: float) -> Any:
    """Incidence by the horizon (Aalen-Johansen) over the mean incidence told: above 1 the risk was told too low.

    Van Geloven et al., BMJ 2022;377:e069249.
    """
    y, standing = outcome_at(truth, weights, horizon=horizon)
    p, (_, _, w) = np.asarray(incidence, dtype=float), observations(truth, weights)
    with np.errstate(invalid="ignore", divide="ignore"):
        return mean(y, standing) / mean(p, w)


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
