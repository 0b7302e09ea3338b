"""Health: risk factors, history and laboratory values, drawn given age, sex, body and bone.

Shares with the mark N are logistic fits in age (examination weights, each sex alone, from 20 on, the trend the mean of
both) on NHANES 2007-2008, by `bench/fit_population.py`.
The other numbers are recalled orders of magnitude, planted and not fitted: a study of these values is a study of our
choices. None of them moved the bone; only previous fracture and trabecular bone score depend on it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from scipy.special import expit, logit

from trabecula.phantom.population import FEMALE, YOUNG_MEAN, YOUNG_SD, Bodies

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from trabecula.phantom.chance import Chance

    Floats = NDArray[np.float64]
    Columns = dict[str, Floats]

# Share at 60 years of women and of men, odds ratio a decade.
_YES = {
    "mother_hip_fracture": (0.067, 0.064, 1.56),  # N
    "father_hip_fracture": (0.023, 0.030, 1.22),  # N
    "ever_smoked": (0.409, 0.599, 1.10),  # N, the sexes differ in trend
    "glucocorticoids": (0.072, 0.048, 1.27),  # N
    "arthritis": (0.429, 0.323, 1.81),  # N
    "diabetes": (0.113, 0.120, 1.60),  # N
    "heart_disease": (0.022, 0.065, 2.06),  # N
    "liver_disease": (0.030, 0.046, 1.14),  # N
    "alcohol_12_drinks": (0.581, 0.827, 0.84),  # N
    "rheumatoid_arthritis": (0.015, 0.008, 1.30),
    "secondary_osteoporosis": (0.060, 0.050, 1.10),
    "hypertension": (0.500, 0.500, 1.70),
    "thyroid_disease": (0.160, 0.050, 1.15),
    "falls": (0.270, 0.210, 1.25),
    "needs_arms_to_stand": (0.120, 0.080, 1.80),
}
_STILL_SMOKING = (0.362, 0.323, 0.61)  # of those who ever smoked; N
_PAST_FRACTURE = (0.122, 0.174, 1.00)  # hip, wrist or spine; N
_PAST_FRACTURE_PER_SD = 1.26  # odds ratio per young SD of femoral-neck BMD below 0.75 g/cm2; N, the mean of both sexes

# Women at 60, men at 60, change a decade, SD; with `ln` these are of the logarithm.
_VALUES = {
    "creatinine_mg_dl": ("ln", np.log(0.78), np.log(1.00), 0.030, 0.18),
    "homocysteine_umol_l": ("ln", np.log(9.3), np.log(10.5), 0.090, 0.28),
    "vitamin_d_nmol_l": ("ln", np.log(60.0), np.log(58.0), -0.010, 0.38),
    "glucose_mmol_l": ("ln", np.log(5.4), np.log(5.6), 0.015, 0.12),
    "alkaline_phosphatase_u_l": ("ln", np.log(72.0), np.log(70.0), 0.020, 0.28),
    "bilirubin_total_umol_l": ("ln", np.log(10.5), np.log(12.5), 0.0, 0.35),
    "haemoglobin_g_l": ("", 135.0, 149.0, -2.0, 11.0),
    "uric_acid_umol_l": ("", 300.0, 355.0, 8.0, 72.0),
    "calcium_mmol_l": ("", 2.36, 2.35, 0.0, 0.09),
    "magnesium_mmol_l": ("", 0.84, 0.84, 0.0, 0.06),
    "phosphate_mmol_l": ("", 1.22, 1.12, 0.0, 0.15),
    "albumin_g_l": ("", 42.0, 42.5, -0.6, 3.0),
    "total_cholesterol_mmol_l": ("", 5.5, 5.1, -0.1, 1.0),
}
_DECIMALS = {"haemoglobin_g_l": 0, "uric_acid_umol_l": 0, "alkaline_phosphatase_u_l": 0, "vitamin_d_nmol_l": 0}


def health_columns(chance: Chance, bodies: Bodies) -> Columns:
    """Return the columns of risk factors and laboratory values by variable."""
    columns = {name: _yes(chance, name, _odds(bodies, row)) for name, row in _YES.items()}
    columns |= {name: _value(chance, name, bodies) for name in _VALUES}
    columns["smoking"] = columns["ever_smoked"] * _yes(chance, "smoking", _odds(bodies, _STILL_SMOKING))
    columns["parent_hip_fracture"] = np.maximum(columns["mother_hip_fracture"], columns["father_hip_fracture"])
    below = (0.75 - bodies.bmd[:, 0]) / YOUNG_SD[0]
    columns["previous_fracture"] = _yes(
        chance, "previous_fracture", _odds(bodies, _PAST_FRACTURE) + np.log(_PAST_FRACTURE_PER_SD) * below
    )
    columns |= _of_women(bodies) | _of_body(chance, bodies) | _bilirubin(chance, columns)
    columns["glucose_mmol_l"] = (columns["glucose_mmol_l"] * (1 + 0.35 * columns["diabetes"])).round(1)
    pain = 12 + 30 * columns["arthritis"] + 12 * chance.normal("arthralgia_score")
    columns["arthralgia_score"] = pain.clip(0, 100).round()
    return columns


def _odds(bodies: Bodies, row: tuple[float, float, float]) -> Floats:
    """Return the log odds of a row of shares at these ages."""
    women, men, per_decade = row
    at_60 = np.where(bodies.sex == FEMALE, logit(women), logit(men))
    return np.asarray(at_60 + np.log(per_decade) * (bodies.age - 60) / 10)


def _yes(chance: Chance, name: str, log_odds: Floats) -> Floats:
    return (chance.uniform(name) < expit(log_odds)).astype(np.float64)


def _value(chance: Chance, name: str, bodies: Bodies) -> Floats:
    scale, women, men, per_decade, spread = _VALUES[name]
    value = np.where(bodies.sex == FEMALE, women, men) + per_decade * (bodies.age - 60) / 10
    value = value + spread * np.clip(chance.normal(name), -3.5, 3.5)
    value = np.exp(value) if scale == "ln" else value
    return np.asarray(value.round(_DECIMALS.get(name, 2)), dtype=np.float64)


def _of_women(bodies: Bodies) -> Columns:
    """Return the menopause, NaN for men; the age at it also for women who have not reached it: NaN."""
    woman = bodies.sex == FEMALE
    after = bodies.age >= bodies.menopause_age
    return {
        "menopause_age_years": np.where(woman & after, np.floor(bodies.menopause_age), np.nan),
        "postmenopausal": np.where(woman, after.astype(np.float64), np.nan),
        "premature_menopause": np.where(woman, (after & (bodies.menopause_age < 45)).astype(np.float64), np.nan),
    }


def _of_body(chance: Chance, bodies: Bodies) -> Columns:
    weight = bodies.bmi * (bodies.height_cm / 100) ** 2
    decades = (bodies.age - 60) / 10
    woman = bodies.sex == FEMALE
    waist = np.where(woman, 94.0, 101.0) + 2.2 * (bodies.bmi - 28) + 5 * chance.normal("waist_cm")
    grip = np.where(woman, 26 - 3 * decades, 43 - 5 * decades) + 5.5 * chance.normal("grip_strength_kg")
    earlier = weight * np.exp(-0.044 + 0.144 * np.clip(chance.normal("weight_10_years_ago_kg"), -3, 3))  # N
    return {
        "age_years": bodies.age,
        "height_cm": bodies.height_cm.round(1),
        "weight_kg": weight.round(1),
        "bmi_kg_m2": bodies.bmi.round(1),
        "waist_cm": waist.clip(50, 195).round(),
        "weight_10_years_ago_kg": earlier.clip(30, 290).round(1),
        "grip_strength_kg": grip.clip(3, 80).round(),
    }


def _bilirubin(chance: Chance, columns: Mapping[str, Floats]) -> Columns:
    total = columns["bilirubin_total_umol_l"]
    direct = (total * (0.18 + 0.14 * chance.uniform("bilirubin_direct"))).round(1)
    return {"bilirubin_direct_umol_l": direct, "bilirubin_indirect_umol_l": (total - direct).round(1)}


def trabecular_bone_score(chance: Chance, bodies: Bodies, quality: Floats) -> Floats:
    """Return a score that falls with age and BMI and follows spine density (about 0.35) and quality (about 0.5).

    `quality` `[n]` is what trabecular bone has beyond areal BMD, in SD.
    """
    density = (bodies.bmd[:, 2] - YOUNG_MEAN[2]) / YOUNG_SD[2]
    score: Floats = 1.37 - 0.035 * (bodies.age - 60) / 10 - 0.005 * (bodies.bmi - 28) + 0.022 * density
    score += 0.05 * quality + 0.055 * chance.normal("trabecular_bone_score")
    return score.clip(0.6, 1.8).round(3)
