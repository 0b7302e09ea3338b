"""Fracture: fragility fracture or death in follow-up, from hazards that are constant over the years of follow-up.

The gradient of risk per SD of femoral-neck BMD is read (Johnell, JBMR 2005: osteoporotic fracture, 1.38 in women and
1.41 in men at 65; here at every age). The other ratios are recalled orders of magnitude, marked so, or our own.
Follow-up is 2.5 to 10 years, 7.5 on average, as in the cohort of Kong, JBMR Plus 2020.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from trabecula.phantom.population import FEMALE, Bodies

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from trabecula.phantom.chance import Chance

    Floats = NDArray[np.float64]
    Whole = NDArray[np.int64]

# Per SD of femoral-neck BMD within a sex of this age; 0.117 and 0.122 g/cm2 in the population drawn here.
GRADIENT = (1.38, 1.41)
_NECK_SD = (0.117, 0.122)

_HAZARD_AT_65 = (0.016, 0.009)  # a year, women and men without further risk factors at their mean density; ours
_PER_DECADE = (1.45, 1.30)  # beyond what falling density explains; ours
_RATIOS = {
    "previous_fracture": 1.86,  # recalled, Kanis 2004
    "parent_hip_fracture": 1.50,  # recalled, Kanis 2004: osteoporotic fracture
    "glucocorticoids": 1.60,  # recalled, Kanis 2004
    "rheumatoid_arthritis": 1.50,  # ours
    "smoking": 1.25,  # recalled, Kanis 2005
    "falls": 1.50,  # ours
}
_MICROARCHITECTURE = 1.35  # a SD; ours, near what is recalled for the trabecular bone score
_HOMOCYSTEINE = 1.20  # a SD of its logarithm; ours
_ARTHRALGIA = 1.20  # a SD; ours

_DEATH_AT_65 = (0.009, 0.014)  # a year; recalled life tables
_DEATH_PER_DECADE = 2.4


def follow_up(
    chance: Chance, bodies: Bodies, columns: Mapping[str, Floats], microarchitecture: Floats
) -> tuple[Floats, Whole]:
    """Return years under observation and what ended them: 0 censored, 1 fracture, 2 death."""
    fracture = -np.log(chance.uniform("fracture")) / hazard(bodies, columns, microarchitecture)
    decades = (bodies.age - 65) / 10
    death_hazard = np.take(_DEATH_AT_65, bodies.sex) * _DEATH_PER_DECADE**decades
    death = -np.log(chance.uniform("death")) / death_hazard
    end = 10 - 7.5 * chance.uniform("follow_up") ** 2
    years = np.minimum(np.minimum(fracture, death), end)
    event = np.where(fracture == years, 1, np.where(death == years, 2, 0))
    return years.round(3).clip(0.001), event


def hazard(bodies: Bodies, columns: Mapping[str, Floats], microarchitecture: Floats) -> Floats:
    """Return the hazard of a fragility fracture, a year."""
    decades = (bodies.age - 65) / 10
    woman = bodies.sex == FEMALE
    usual = np.where(woman, 0.72, 0.80) - np.where(woman, 0.050, 0.033) * decades
    below = (usual - bodies.bmd[:, 0]) / np.take(_NECK_SD, bodies.sex)
    log_hazard = np.log(np.take(_HAZARD_AT_65, bodies.sex)) + np.log(np.take(_PER_DECADE, bodies.sex)) * decades
    log_hazard = log_hazard + np.log(np.take(GRADIENT, bodies.sex)) * below
    for name, ratio in _RATIOS.items():
        log_hazard = log_hazard + np.log(ratio) * columns[name]
    homocysteine = (np.log(columns["homocysteine_umol_l"]) - np.log(9.8) - 0.09 * decades) / 0.28
    arthralgia = (columns["arthralgia_score"] - 25) / 19
    log_hazard = log_hazard - np.log(_MICROARCHITECTURE) * microarchitecture
    log_hazard = log_hazard + np.log(_HOMOCYSTEINE) * homocysteine + np.log(_ARTHRALGIA) * arthralgia
    return np.asarray(np.exp(log_hazard), dtype=np.float64)
