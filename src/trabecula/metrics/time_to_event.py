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

    `incidence` is `[n, horizons]`: what `incidence_told` each, NaN where a curve ends before. Metrics are averaged over
    folds with intervals by patient (`interval`). Counts, incidence and calibration are those of all folds together, in
    which a patient judged in several folds is one, told the mean.
    Raises `ValueError` when there is not one incidence a patient and horizon.
    """
    y, told = np.asarray(truth, dtype=float), np.asarray(incidence, dtype=float)
    if told.shape != (len(y), len(horizons)):
        raise ValueError(f"incidence is {told.shape}: it needs one row a patient and one column a horizon")
    names = np.arange(len(y)) if patients is None else np.asarray(patients)
    _, first, person = np.unique(names, return_index=True, return_inverse=True)
    people, mean = y[first], np.zeros((len(first), len(horizons)))
    np.add.at(mean, person, told / np.bincount(person)[person, None])
    asked: dict[str, Any] = {"folds": folds, "patients": names, "seed": seed, "draws": draws}
    found: list[dict[str, Any]] = []
    for place, horizon in enumerate(horizons):
        seen = {"years": horizon, **_happened(people, horizon)}
        why = why_untold(people, horizon=horizon) or _short(mean[:, place], horizon)
        measured = {} if why else {
            name: interval(metric, y, told[:, place], **asked).to_json()
            for name, metric in horizon_metrics(horizon).items()
        }  # fmt: skip
        groups = [] if why else [_plain(row) for row in calibration_at(people, mean[:, place], horizon=horizon)]
        found.append({**seen, "why": why, "metrics": measured, "calibration": groups})
    return {"followed": _followed(people), "horizons": found}


def incidence_told(years: Sequence[float], incidence: Sequence[float], horizons: Sequence[float] = HORIZONS) -> Floats:
    """Return what a curve tells by each horizon, linear from 0 at 0 years on as `Survival.at`; NaN beyond its end."""
    curve: Floats = np.interp(horizons, (0.0, *years), (0.0, *incidence))
    return np.where(np.asarray(horizons) <= years[-1], curve, np.nan)


def horizon_metrics(horizon: float) -> dict[str, Metric]:
    """Return by name what is measured at a horizon in years; the first is the one to compare systems by."""
    yes_or_no = {
        "auc": auc, "brier": brier, "scaled_brier": scaled_brier, "expected_over_observed": expected_over_observed,
        "calibration_intercept": calibration_intercept, "calibration_slope": calibration_slope,
    }  # fmt: skip
    found = {name: at_horizon(metric, horizon) for name, metric in yes_or_no.items()}
    return {**found, "c_index_uno": concordance_uno(horizon)}


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


def _happened(truth: Floats, horizon: float) -> dict[str, Any]:
    """Return who was at risk at a horizon, who had what by then, and the incidence of each cause where it is known."""
    years, event, _ = observations(truth, 1.0)
    known = not why_untold(truth, horizon=horizon)
    return {
        "at_risk": int((years >= horizon).sum()),
        **{f"{name}s": int(((event == kind) & (years <= horizon)).sum()) for name, kind in _CAUSES.items()},
        "incidence": {name: _incidence(truth, horizon, kind) for name, kind in _CAUSES.items()} if known else {},
    }


def _short(told: Floats, horizon: float) -> str:
    short = int(np.isnan(told).sum())
    return f"{short} of {len(told)} answers end before {horizon:g} years" if short else ""


def _plain(row: dict[str, float]) -> dict[str, float | None]:
    return {name: None if math.isnan(x) else x for name, x in row.items()}


def _incidence(truth: Floats, horizon: float, cause: int) -> dict[str, float | None]:
    curve = aalen_johansen(truth, cause=cause)
    return Interval(float(curve.at(horizon)), *map(float, curve.interval(horizon))).to_json()
