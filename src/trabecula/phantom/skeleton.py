"""The skeleton: what is true of bone, marrow, muscle and fat and stands in no table, given age, sex, body and BMD.

Lumbar trabecular density is set so that L1 reads at 120 kVp, behind 25 cm of water, what is published: 226 +- 44 HU
below 30 years, 89 +- 38 HU from 90 on, 2.5 HU less a year (Jang, Radiology 2019;291:360; n = 20,374 of 60 +- 12 years,
women higher until the menopause). A straight fall of 2.5 HU a year between the two would end at 60 HU, so it is read
as the slope among those who were scanned, and the ends as means of their own: 2.4 a year about 60, less at both ends.
The rest is recalled or ours, as marked.
"""

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

_AGES = (20, 30, 40, 50, 60, 70, 80, 90)
_L1_HU = np.array([[238, 222, 203, 176, 146, 121, 101, 88], [230, 212, 189, 168, 146, 121, 101, 88]])  # [sex, age]
_HU = (10.8, -61.7, 1.432, 0.061)  # HU = a + b fat + (c + d fat) mg/cm3, as `ct.hounsfield` gives at 120 kVp, 25 cm
_LUMBAR_SD = (29.0, 24.5)  # mg/cm3 at 25 and from 90 on; gives the published SD of HU together with marrow fat
_LUMBAR_BY_SPINE = 0.72  # correlation with areal BMD of the spine given age and sex

# Yellow share of lumbar marrow; recalled from MR spectroscopy: men first, women past them after the menopause.
_FAT = np.array([[0.26, 0.31, 0.37, 0.45, 0.55, 0.61, 0.65, 0.68], [0.31, 0.37, 0.43, 0.48, 0.52, 0.56, 0.59, 0.62]])
_FAT_SD = 0.08  # recalled
_FAT_BY_LUMBAR = -0.40  # correlation with trabecular density given age and sex; recalled, Griffith 2006
_HIP_FAT = (0.60, 0.80)  # femoral head and neck at 20 and 90; recalled

_HIP = (175.0, 95.0)  # mg/cm3, trabecular, head and neck at 20 and 90; recalled order of magnitude
_HIP_SD = 26.0
_HIP_BY_NECK, _HIP_BY_LUMBAR = 0.65, 0.30  # weights of the areal BMD of the neck and of what the lumbar spine has alone

# What knee and jaw have of their own, in young SD, beyond the mean T-score of the three sites; ours.
_OWN_TRABECULAR = 1.00
_OWN_CORTICAL = 1.00


def skeleton_columns(chance: Chance, bodies: Bodies) -> Columns:
    """Return the columns of `people.Skeleton` by field, without its strength."""
    lumbar, hip = density_standing(chance, bodies)
    fat = _FAT_BY_LUMBAR * lumbar + np.sqrt(1 - _FAT_BY_LUMBAR**2) * chance.normal("marrow_fat")
    lumbar_usual = _vbmd_at(_by_age(_L1_HU, bodies), _by_age(_FAT, bodies))
    lumbar_sd = np.interp(bodies.age, (25, 90), _LUMBAR_SD)
    hip_usual = np.interp(bodies.age, (20, 90), _HIP)
    shift = bodies.bone_shift
    t_mean = bodies.t_scores.mean(axis=1)
    return {
        "femoral_neck_g_cm2": bodies.bmd[:, 0],
        "total_hip_g_cm2": bodies.bmd[:, 1],
        "lumbar_g_cm2": bodies.bmd[:, 2],
        "lumbar_vbmd_mg_cm3": np.clip(lumbar_usual + lumbar_sd * _skewed(lumbar) + _LUMBAR_SD[0] * shift, 5, 400),
        "hip_vbmd_mg_cm3": np.clip(hip_usual + _HIP_SD * (_skewed(hip) + shift), 10, 400),
        "marrow_fat": np.clip(_by_age(_FAT, bodies) + _FAT_SD * fat, 0.05, 0.95),
        "hip_marrow_fat": np.clip(np.interp(bodies.age, (20, 90), _HIP_FAT) + 0.6 * _FAT_SD * fat, 0.05, 0.97),
        "trabecular": t_mean + _OWN_TRABECULAR * (0.6 * quality(chance) + 0.8 * chance.normal("knee_trabecular")),
        "cortical": t_mean + _OWN_CORTICAL * chance.normal("knee_cortical"),
        "wall": chance.normal("wall"),
        "axial": chance.normal("axial"),
        "fat_mass_share": _fat_mass_share(chance, bodies),
        "psoas_cm2": _psoas(chance, bodies),
    }


def density_standing(chance: Chance, bodies: Bodies) -> tuple[Floats, Floats]:
    """Return where trabecular density of spine and hip stood among people of this sex and age, in SD, unshifted."""
    own = chance.normal("lumbar_vbmd")
    lumbar = _LUMBAR_BY_SPINE * bodies.standing[:, 2] + np.sqrt(1 - _LUMBAR_BY_SPINE**2) * own
    hip = _HIP_BY_NECK * bodies.standing[:, 0] + _HIP_BY_LUMBAR * own
    hip = hip + np.sqrt(1 - _HIP_BY_NECK**2 - _HIP_BY_LUMBAR**2) * chance.normal("hip_vbmd")
    return lumbar, hip


def quality(chance: Chance) -> Floats:
    """Return what trabecular bone has that areal BMD does not tell, its own density and its direction, in SD."""
    return np.asarray((chance.normal("lumbar_vbmd") + chance.normal("axial")) / np.sqrt(2), dtype=np.float64)


def _vbmd_at(hu: Floats, fat: Floats) -> Floats:
    vbmd: Floats = (hu - _HU[0] - _HU[1] * fat) / (_HU[2] + _HU[3] * fat)
    return vbmd


def _skewed(standing: Floats, shape: float = 0.15) -> Floats:
    """Return a standard normal number bent to a skewness of about 0.45, mean 0 and SD 1 kept: density ends at zero."""
    bent = np.exp(shape * standing - shape**2 / 2) - 1
    return np.asarray(bent / np.sqrt(np.exp(shape**2) - 1), dtype=np.float64)


def _fat_mass_share(chance: Chance, bodies: Bodies) -> Floats:
    """Return fat in body mass after Gallagher, Am J Clin Nutr 2000;72:694 (recalled), and 4 % of one's own."""
    man = (bodies.sex != FEMALE).astype(np.float64)
    percent = 64.5 - 848 / bodies.bmi + 0.079 * bodies.age - 16.4 * man + 0.05 * man * bodies.age
    percent += 39.0 * man / bodies.bmi + 4.0 * chance.normal("fat_mass_share")
    return np.asarray(np.clip(percent / 100, 0.05, 0.62), dtype=np.float64)


def _psoas(chance: Chance, bodies: Bodies) -> Floats:
    """Return the area of both muscles at L3.

    By height squared 5.7 cm²/m² in women and 8.7 in men until 40, then 0.8 % a year less (recalled), 1.5 % more a unit
    of BMI and 14 % of one's own (ours).
    """
    index = np.where(bodies.sex == FEMALE, 5.7, 8.7) * np.exp(-0.008 * np.maximum(bodies.age - 40, 0))
    index = index * np.exp(0.015 * (np.minimum(bodies.bmi, 45) - 26) + 0.14 * chance.normal("psoas_cm2"))
    return np.clip(index * (bodies.height_cm / 100) ** 2, 4, 60)


def _by_age(table: Floats, bodies: Bodies) -> Floats:
    women, men = (np.interp(bodies.age, _AGES, row) for row in table)
    return np.asarray(np.where(bodies.sex == FEMALE, women, men), dtype=np.float64)
