"""How good answers are: pure functions on arrays, with intervals by resampling patients.

A metric is a function of truth `[n]`, prediction `[n]` (or `[n, grades]`) and weights `[..., n]`, and returns one
figure for each row of weights. Weights of one give the figure itself, resampling counts give its bootstrap draws, and
population weights the population's.
"""

from __future__ import annotations

from collections.abc import Mapping

from trabecula.metrics.binary import accuracy, auc, average_precision, brier, sensitivity, specificity
from trabecula.metrics.calibrated import (
    calibration_curve,
    calibration_error,
    calibration_intercept,
    calibration_slope,
    expected_over_observed,
)
from trabecula.metrics.conformal import (
    called_wrong,
    conformal_limits,
    conformal_sets,
    risk_and_coverage,
    selective_risk,
    set_coverage,
    set_coverage_of,
    set_size,
)
from trabecula.metrics.cross_validated import corrected_difference, fold_differences, repeated_difference
from trabecula.metrics.curves import calibration, roc, wilson
from trabecula.metrics.decision import decision_curve, net_benefit
from trabecula.metrics.delong import auc_covariance, delong_difference, delong_equal, delong_interval
from trabecula.metrics.design import Design, survey_interval
from trabecula.metrics.few_cases import newcombe_interval
from trabecula.metrics.grades import auc_highest, quadratic_kappa
from trabecula.metrics.horizon import HORIZONS, at_horizon, calibration_at, outcome_at, scaled_brier, why_untold
from trabecula.metrics.incidence import Incidence, aalen_johansen, kaplan_meier, still_followed
from trabecula.metrics.label_maps import SurfaceDistance, dice, surface_distance
from trabecula.metrics.operating import OperatingPoint, Rule, chosen_threshold, operating_point
from trabecula.metrics.paired import Tested, holm
from trabecula.metrics.prevalence import at_prevalence, shifted
from trabecula.metrics.resampling import Interval, Metric, auc_interval, difference, interval
from trabecula.metrics.survival import concordance, concordance_uno, concordance_wolbers
from trabecula.metrics.time_to_event import horizon_metrics, incidence_told, survival_figures
from trabecula.metrics.values import bias, correlation, limits_of_agreement, mean_absolute_error, root_mean_square_error
from trabecula.metrics.weighted import arrays, mean

__all__ = [
    "HORIZONS", "LOWER_IS_BETTER", "METRICS", "Design", "Incidence", "Interval", "Metric", "OperatingPoint", "Rule",
    "SurfaceDistance", "Tested", "aalen_johansen", "accuracy", "at_horizon", "at_prevalence", "auc", "auc_covariance",
    "auc_highest", "auc_interval", "average_precision", "bias", "brier", "calibration", "calibration_at",
    "calibration_curve", "calibration_error", "calibration_intercept", "calibration_slope", "called_wrong",
    "chosen_threshold", "concordance", "concordance_uno", "concordance_wolbers", "conformal_limits", "conformal_sets",
    "corrected_difference", "correlation", "decision_curve", "delong_difference", "delong_equal", "delong_interval",
    "dice", "difference", "expected_over_observed", "fold_differences", "holm", "horizon_metrics", "incidence_told",
    "interval", "kaplan_meier", "limits_of_agreement", "mean_absolute_error", "net_benefit", "newcombe_interval",
    "operating_point", "outcome_at", "quadratic_kappa", "repeated_difference", "risk_and_coverage", "roc",
    "root_mean_square_error", "scaled_brier", "selective_risk", "sensitivity", "set_coverage", "set_coverage_of",
    "set_size", "shifted", "specificity", "still_followed", "surface_distance", "survey_interval", "survival_figures",
    "why_untold", "wilson",
]  # fmt: skip

METRICS: Mapping[str, Mapping[str, Metric]] = {
    "binary": {
        "auc": auc, "average_precision": average_precision, "brier": brier,
        "sensitivity": sensitivity, "specificity": specificity, "accuracy": accuracy,
    },
    "ordinal": {"quadratic_kappa": quadratic_kappa, "auc": auc_highest, "accuracy": accuracy},
    "value": {
        "mae": mean_absolute_error, "rmse": root_mean_square_error, "bias": bias,
        "limits_of_agreement": limits_of_agreement, "correlation": correlation,
    },
    "time_to_event": {"c_index": concordance},
    "label_map": {"dice": lambda _, overlap, weights: mean(*arrays(overlap, overlap, weights)[1:])},
}  # fmt: skip
"""By kind of target; the first is the one a leaderboard is sorted by."""

LOWER_IS_BETTER = ("brier", "mae", "rmse", "limits_of_agreement")
