"""What a report tells of one system's answers to a time to an event: figures at each horizon that can be told."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from trabecula.metrics.binary import auc, brier
from trabecula.metrics.calibrated import calibration_intercept, calibration_slope, expected_over_observed
from trabecula.metrics.horizon import HORIZONS, at_horizon, calibration_at, scaled_brier, why_untold
from trabecula.metrics.incidence import aalen_johansen, kaplan_meier, observations
from trabecula.metrics.resampling import Interval, interval
from trabecula.metrics.survival import concordance_uno

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

    from trabecula.metrics.resampling import Metric
    from trabecula.metrics.weighted import Floats

_CAUSES = {"event": 1, "death": 2}


def survival_figures(
    truth: ArrayLike,
    incidence: ArrayLike,
    *,
    horizons: Sequence[float] = HORIZONS,
    folds: ArrayLike | None = None,
    patients: ArrayLike | None = None,
    seed: int = 0,
    draws: int = 2000,
) -> dict[str, Any]:
    """Return as plain JSON who was followed, and at each horizon what happened and how well it was told, or why not.

    `incidence` is `[n, horizons]`: the cumulative incidence told by each, NaN where a curve ends before. Metrics are
    averaged over folds with intervals by patient (`interval`); incidence and calibration are those of all folds
    together. Raises `ValueError` when there is not one incidence a patient and horizon.
    """
    y, told = np.asarray(truth, dtype=float), np.asarray(incidence, dtype=float)
    if told.shape != (len(y), len(horizons)):
        raise ValueError(f"incidence is {told.shape}: it needs one row a patient and one column a horizon")
    who = {"folds": folds, "patients": patients}
    return {
        "followed": _followed(y),
        "horizons": [
            {"years": horizon, **_at(y, told[:, place], horizon, seed=seed, draws=draws, **who)}
            for place, horizon in enumerate(horizons)
        ],
    }


def horizon_metrics(horizon: float) -> dict[str, Metric]:
    """Return by name what is measured at a horizon in years; the first is the one to compare systems by."""
    yes_or_no = {
        "auc": auc, "brier": brier, "scaled_brier": scaled_brier, "expected_over_observed": expected_over_observed,
        "calibration_intercept": calibration_intercept, "calibration_slope": calibration_slope,
    }  # fmt: skip
    found = {name: at_horizon(metric, horizon) for name, metric in yes_or_no.items()}
    return {**found, "c_index": concordance_uno(horizon)}


def _followed(truth: Floats) -> dict[str, Any]:
    """Return counts and the median follow-up by reverse Kaplan-Meier (Schemper and Smith, Control Clin Trials 1996)."""
    _, event, _ = observations(truth, 1.0)
    counts = {name: int((event == kind).sum()) for kind, name in enumerate(("censored", "events", "deaths"))}
    return {"patients": len(event), **counts, "median_years": _median_follow_up(truth)}


def _median_follow_up(truth: Floats) -> float | None:
    if not len(truth):
        return None
    lost = kaplan_meier(truth, events=(0,))
    past = lost.years[lost.value >= 0.5]
    return float(past[0]) if len(past) else None


def _at(truth: Floats, told: Floats, horizon: float, **asked: Any) -> dict[str, Any]:
    years, event, _ = observations(truth, 1.0)
    short = int(np.isnan(told).sum())
    why = why_untold(truth, horizon=horizon)
    seen: dict[str, Any] = {
        "at_risk": int((years >= horizon).sum()),
        **{f"{name}s": int(((event == kind) & (years <= horizon)).sum()) for name, kind in _CAUSES.items()},
        "incidence": {} if why else {name: _incidence(truth, horizon, kind) for name, kind in _CAUSES.items()},
    }
    if not why and short:
        why = f"{short} of {len(told)} answers end before {horizon:g} years"
    if why:
        return {**seen, "why": why, "metrics": {}, "calibration": []}
    metrics = {
        name: interval(metric, truth, told, **asked).to_json() for name, metric in horizon_metrics(horizon).items()
    }
    calibration = [
        {name: None if math.isnan(x) else x for name, x in row.items()}
        for row in calibration_at(truth, told, horizon=horizon)
    ]
    return {**seen, "why": "", "metrics": metrics, "calibration": calibration}


def _incidence(truth: Floats, horizon: float, cause: int) -> dict[str, float | None]:
    curve = aalen_johansen(truth, cause=cause)
    return Interval(float(curve.at(horizon)), *map(float, curve.interval(horizon))).to_json()
