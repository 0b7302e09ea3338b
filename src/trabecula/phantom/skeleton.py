"""The skeleton: what is true of bone, marrow, muscle and fat and stands in no table, given age, sex, body and BMD."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from trabecula.phantom.population import FEMALE

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from trabecula.phantom.chance import Chance
    from trabecula.phantom.population import Bodies

    Floats = NDArray[np.float64]
    Columns = dict[str, Floats]

# What knee and jaw have of their own, in young SD, beyond the mean T-score of the three sites; ours.
_OWN_TRABECULAR = 1.00
_OWN_CORTICAL = 1.00


def skeleton_columns(chance: Chance, bodies: Bodies, microarchitecture: Floats) -> Columns:
    """Return the columns of `people.Skeleton` by field.

    `microarchitecture` `[n]` is what bone has beyond its density, in SD.
    """
    t_mean = bodies.t_scores.mean(axis=1)
    decades = (bodies.age - 60) / 10
    woman = bodies.sex == FEMALE
    spine = (bodies.bmd[:, 2] - 1.0) / 0.15
    lumbar = 118 - 19 * decades + 17 * spine + 20 * chance.normal("lumbar_vbmd")
    hip = 120 - 12 * decades + 15 * (bodies.bmd[:, 0] - 0.75) / 0.13 + 18 * chance.normal("hip_vbmd")
    fat = 0.50 + 0.065 * decades - 0.02 * spine + 0.07 * chance.normal("marrow_fat")
    share = np.where(woman, 0.40, 0.29) + 0.011 * (bodies.bmi - 28) + 0.03 * chance.normal("fat_mass_share")
    psoas = np.where(woman, 15.0, 23.0) - 1.2 * decades + 0.25 * (bodies.bmi - 28) + 3 * chance.normal("psoas_cm2")
    return {
        "femoral_neck_g_cm2": bodies.bmd[:, 0],
        "total_hip_g_cm2": bodies.bmd[:, 1],
        "lumbar_g_cm2": bodies.bmd[:, 2],
        "lumbar_vbmd_mg_cm3": lumbar.clip(15, 300),
        "hip_vbmd_mg_cm3": hip.clip(20, 320),
        "marrow_fat": fat.clip(0.1, 0.95),
        "hip_marrow_fat": (fat + 0.2).clip(0.2, 0.97),
        "trabecular": t_mean + _OWN_TRABECULAR * (0.6 * microarchitecture + 0.8 * chance.normal("knee_trabecular")),
        "cortical": t_mean + _OWN_CORTICAL * chance.normal("knee_cortical"),
        "wall": chance.normal("wall"),
        "axial": chance.normal("axial"),
        "strength": microarchitecture + t_mean,
        "fat_mass_share": share.clip(0.06, 0.65),
        "psoas_cm2": psoas.clip(5, 45),
    }
