"""Fracture: hip, clinical vertebral and other fracture, and death, from hazards that are constant in follow-up.

Bone acts through one latent strength. Its gradients are such that areal BMD of the femoral neck alone, given age and
sex, shows the published ones per SD of BMD: hip fracture 2.94 in men and 2.88 in women at 65, falling with age, any
osteoporotic fracture 1.41 and 1.38 (Johnell, JBMR 2005;20:1185), vertebral fracture 2.3 (Marshall, BMJ 1996;312:1254).
Hazard ratios are not collapsible, so the gradients per SD of strength come from calibration: `bench/fit_fracture.py`
solves for those at which an exponential regression of expected counts on BMD, age and sex returns the published ones.
Incidences and ratios of risk factors are recalled orders of magnitude or our own, marked so.
Follow-up is 2.5 to 10 years, 7.5 on average, as in the cohort of Kong, JBMR Plus 2020.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import numpy as np

from trabecula.phantom.femur_strength import femur_strength
from trabecula.phantom.population import Bodies, usual_bmd
from trabecula.phantom.skeleton import density_standing

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from trabecula.phantom.chance import Chance

    Floats = NDArray[np.float64]
    Whole = NDArray[np.int64]

StrengthOf = Literal["bone", "bmd", "femur"]
"""What strength is made of: all that is true of the bone; areal BMD of the femoral neck and nothing else; or that BMD
and the shape of the femur, which bear a fall (`femur_strength`)."""

CAUSES = ("hip", "vertebral", "other")
NECK_SD_G_CM2 = 0.12
"""The SD that a gradient is per: of femoral-neck BMD within a sex and age, and of young women."""

# Hazard ratio per SD of lower BMD alone at 65, women and men, and its change a decade; `other` such that any fits.
GRADIENT = {"hip": (2.88, 2.94), "vertebral": (2.3, 2.3), "any": (1.38, 1.41)}
LN_GRADIENT_PER_DECADE = {"hip": -0.16, "vertebral": 0.0}  # hip 3.7 at 50, 2.3 at 80; recalled, Johnell 2005

# Weights in strength given age and sex, each in SD: what the areal BMD of the neck does not hold is ours.
_WEIGHTS = {"neck": 0.45, "lumbar": 0.40, "hip": 0.15, "wall": 0.35, "axial": 0.35, "stature": -0.20}
_STRENGTH_SD = 1.02  # of their sum in the population

# Incidence a year at 65 and its ratio a decade, women and men; recalled.
INCIDENCE = {
    "hip": ((0.0018, 3.5), (0.0010, 3.3)),
    "vertebral": ((0.0022, 2.2), (0.0011, 2.0)),
    "other": ((0.0120, 1.35), (0.0055, 1.15)),
}
# ln hazard at 65 of a person of usual strength without further risk, and its change a decade; calibrated.
_BASE = {
    "bone": {
        "hip": ((-7.7527, 1.3505), (-8.4844, 1.3764)),
        "vertebral": ((-7.1201, 0.5888), (-7.8805, 0.5905)),
        "other": ((-4.8206, 0.1893), (-5.6296, 0.0544)),
    },
    "bmd": {
        "hip": ((-7.2422, 1.2983), (-7.9347, 1.2773)),
        "vertebral": ((-6.6527, 0.7284), (-7.4296, 0.6437)),
        "other": ((-4.7603, 0.2189), (-5.5782, 0.0662)),
    },
    "femur": {
        "hip": ((-7.5168, 1.4148), (-8.3052, 1.4070)),
        "vertebral": ((-6.8332, 0.7929), (-7.6705, 0.6962)),
        "other": ((-4.7720, 0.2281), (-5.5949, 0.0718)),
    },
}
# ln hazard ratio per SD of lower strength at 65, and its change a decade; calibrated.
PER_SD = {
    "bone": {
        "hip": ((1.3351, -0.2107), (1.4196, -0.2167)),
        "vertebral": ((0.9461, -0.0465), (0.9878, -0.0304)),
        "other": ((0.1853, 0.0), (0.1765, 0.0)),
    },
    "bmd": {
        "hip": ((1.0483, -0.1535), (1.0659, -0.1565)),
        "vertebral": ((0.8172, 0.0018), (0.8136, 0.0006)),
        "other": ((0.1343, 0.0), (0.1247, 0.0)),
    },
    "femur": {
        "hip": ((1.1781, -0.2011), (1.3242, -0.2082)),
        "vertebral": ((0.9404, -0.0516), (1.0360, -0.0410)),
        "other": ((0.1818, 0.0), (0.1876, 0.0)),
    },
}

# Ratios of hip, vertebral and other fracture.
_RATIOS = {
    "previous_fracture": (1.6, 1.8, 1.7),  # recalled, Kanis 2004, given BMD
    "parent_hip_fracture": (1.6, 1.2, 1.3),  # recalled, Kanis 2004
    "glucocorticoids": (1.9, 1.9, 1.4),  # recalled, Kanis 2004
    "rheumatoid_arthritis": (1.7, 1.5, 1.4),  # recalled
    "smoking": (1.6, 1.2, 1.15),  # recalled, Kanis 2005
    "falls": (1.6, 1.1, 1.5),  # ours
}
_DEFORMITY = (1.5, 2.4, 1.3)  # one vertebra, to the power of log2(1 + number); ours, after Klotzbuecher 2000
_HOMOCYSTEINE = 1.20  # a SD of its logarithm; ours
_ARTHRALGIA = 1.20  # a SD; ours

_DEATH_AT_65 = (0.009, 0.014)  # a year; recalled life tables
_DEATH_PER_DECADE = 2.4


def latent_strength(chance: Chance, bodies: Bodies, *, of: StrengthOf) -> Floats:
    """Return strength in SD of people of this sex and age.

    Raises `ValueError` for a strength that is made of anything else.
    """
    neck = (bodies.bmd[:, 0] - usual_bmd(bodies.sex, bodies.age)[:, 0]) / NECK_SD_G_CM2
    if of == "bmd":
        return neck
    if of == "femur":
        return femur_strength(chance, bodies)
    if of != "bone":
        raise ValueError(f"strength is made of bone, of bmd alone, or of the femur; got {of!r}")
    lumbar, hip = density_standing(chance, bodies)
    parts = {
        "neck": neck,
        "lumbar": lumbar + bodies.bone_shift,
        "hip": hip + bodies.bone_shift,
        "wall": chance.normal("wall"),
        "axial": chance.normal("axial"),
        "stature": bodies.stature,
    }
    total = sum((weight * parts[name] for name, weight in _WEIGHTS.items()), np.zeros(len(neck)))
    return np.asarray(total / _STRENGTH_SD, dtype=np.float64)


def follow_up(chance: Chance, bodies: Bodies, hazard: Mapping[str, Floats]) -> dict[str, tuple[Floats, Whole]]:
    """Return for hip, vertebral and any fracture the years under observation and what ended them.

    That is 0 censored, 1 fracture, 2 death. A fracture of one kind does not end the watch for another.
    """
    when = {cause: -np.log(chance.uniform(f"fracture_{cause}")) / hazard[cause] for cause in CAUSES}
    when["any"] = np.min([when[cause] for cause in CAUSES], axis=0)
    death_hazard = np.take(_DEATH_AT_65, bodies.sex) * _DEATH_PER_DECADE ** ((bodies.age - 65) / 10)
    death = -np.log(chance.uniform("death")) / death_hazard
    end = 10 - 7.5 * chance.uniform("follow_up") ** 2
    outcomes = {}
    for cause in ("hip", "vertebral", "any"):
        years = np.minimum(np.minimum(when[cause], death), end)
        event = np.where(when[cause] == years, 1, np.where(death == years, 2, 0))
        outcomes[cause] = (years.round(3).clip(0.001), event)
    return outcomes


def hazards(
    bodies: Bodies, columns: Mapping[str, Floats], strength: Floats, deformed: Whole, *, of: StrengthOf
) -> dict[str, Floats]:
    """Return the hazards of fracture a year by cause; `deformed` `[n]` counts the vertebrae that lost height.

    Where strength is not all of the bone, deformities add nothing: an image shows them.
    """
    decades = (bodies.age - 65) / 10
    result = {}
    for place, cause in enumerate(CAUSES):
        base, base_slope = np.array(_BASE[of][cause])[bodies.sex].T
        gradient, gradient_slope = np.array(PER_SD[of][cause])[bodies.sex].T
        log_hazard = base + base_slope * decades - (gradient + gradient_slope * decades) * strength
        if of == "bone":
            log_hazard = log_hazard + np.log(_DEFORMITY[place]) * np.log2(1 + deformed)
        result[cause] = np.exp(log_hazard + _further(columns, decades, place))
    return result


def _further(columns: Mapping[str, Floats], decades: Floats, place: int) -> Floats:
    """Return what risk factors of the table add to the logarithm of a hazard."""
    homocysteine = (np.log(columns["homocysteine_umol_l"]) - np.log(9.8) - 0.09 * (decades + 0.5)) / 0.28
    arthralgia = (columns["arthralgia_score"] - 25) / 19
    factors = sum((np.log(ratio[place]) * columns[name] for name, ratio in _RATIOS.items()), np.zeros(len(decades)))
    return np.asarray(factors + np.log(_HOMOCYSTEINE) * homocysteine + np.log(_ARTHRALGIA) * arthralgia)
