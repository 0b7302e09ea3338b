"""The population: age, sex, body and areal bone density of people from 40 to 95, as a sample of it or enriched.

Curves are fitted by weighted maximum likelihood (examination weights) to NHANES 2007-2008: 4,025 adults from 40 on,
each sex alone, all ethnic groups together, fewer where a density is missing, which the lumbar spine is in half of
those from 70 on, hardly at random. Age is top-coded at 80 there: means continue beyond it here, spreads are held.
**Approximate**: ln of density and BMI are normal given age; BMI is measured, height self-reported.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING

import numpy as np
from scipy.special import ndtr, ndtri

from trabecula.reference import REFERENCES

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from trabecula.phantom.chance import Chance

    Floats = NDArray[np.float64]
    Whole = NDArray[np.int64]

SITES = ("femoral_neck", "total_hip", "lumbar")
FEMALE, MALE = 0, 1
YOUNGEST, OLDEST = 40, 95

# Share of women among those from 40 on, and of each decade (40, 50, 60, 70, 80 and over) within a sex; weighted counts.
_WOMEN = 0.528
_DECADES = np.array([[0.316, 0.284, 0.188, 0.127, 0.085], [0.342, 0.304, 0.189, 0.110, 0.055]])

# Value at 60 years, change a decade, a decade squared, residual SD and its relative change a decade: [sex, 5].
_HEIGHT_CM = np.array([[162.97, -1.104, -0.357, 6.94, 0.0], [177.41, -0.660, -0.247, 7.81, 0.0]])
_LN_BMI_28 = np.array([[0.0209, -0.0089, -0.0138, 0.2193, -0.0586], [0.0244, -0.0059, -0.0058, 0.1838, -0.0074]])

# ln of g/cm2 at 60 years and BMI 28, change a decade, a decade squared, residual SD and its relative change a decade,
# change per unit of ln(BMI / 28): [sex, site, 6].
_LN_BMD = np.array(
    [
        [
            [-0.2937, -0.0660, 0.0014, 0.1444, 0.0572, 0.3598],
            [-0.1407, -0.0564, -0.0003, 0.1339, 0.0838, 0.3558],
            [-0.0537, -0.0435, 0.0142, 0.1402, 0.1014, 0.2063],
        ],
        [
            [-0.2069, -0.0401, -0.0007, 0.1437, 0.0426, 0.3285],
            [0.0026, -0.0256, -0.0057, 0.1274, 0.0593, 0.3490],
            [0.0446, 0.0077, 0.0012, 0.1420, 0.0921, 0.1950],
        ],
    ]
)
# Residual correlation given age, sex and BMI, mean of both sexes; neck with spine is about 0.65 once BMI is free.
_CORRELATION = np.array([[1.00, 0.85, 0.60], [0.85, 1.00, 0.64], [0.60, 0.64, 1.00]])
_MIX = np.linalg.cholesky(_CORRELATION)

# Young White women: femur by NHANES III; L1-L4 by Hologic's own reference, recalled.
_YOUNG = (REFERENCES["femoral_neck"], REFERENCES["total_hip"])
YOUNG_MEAN = np.array([*(row.value for row in _YOUNG), 1.047])
YOUNG_SD = np.array([*(row.sd or np.nan for row in _YOUNG), 0.110])
_STEP = 0.001  # g/cm2: densities are given with three decimals

# Age at the last menstruation, mean and SD in years; recalled.
_MENOPAUSE = (50.5, 4.5)


@dataclass(frozen=True, eq=False, kw_only=True)
class Bodies:
    """People as columns `[n]`, before anything happened to them."""

    sex: Whole
    """0 female, 1 male."""
    age: Floats
    """Whole years."""
    menopause_age: Floats
    """In years; NaN for men."""
    height_cm: Floats
    bmi: Floats
    bmd: Floats
    """Areal BMD `[n, site]` in g/cm2; sites as in `SITES`."""
    weight: Floats
    """How many people of the sampled population one stands for; 1 on average."""

    @property
    def t_scores(self) -> Floats:
        """T-scores `[n, site]`."""
        return _t_scores(self.bmd)

    @property
    def eligible(self) -> NDArray[np.bool_]:
        """Whether the WHO classes are defined: women after menopause, men from 50 on."""
        return _eligible(self.sex, self.age, self.menopause_age)

    @property
    def who_class(self) -> Whole:
        """0 normal, 1 osteopenia, 2 osteoporosis by the lowest T-score; -1 where the classes are not defined."""
        return np.where(self.eligible, _who_class(self.bmd), -1)


def draw(chance: Chance, *, enriched: bool, bone_shift: float = 0.0) -> Bodies:
    """Draw people: as they are, or `enriched`, one third a WHO class among those for whom the classes are defined.

    Enriched, age and sex are drawn alike in the three classes, and BMI and bone then given age, sex and class: so age
    alone says nothing, and the weight of a person is P(class | age, sex) / (1/3).
    `bone_shift` adds young-adult SDs of bone density after everything else: the same people with another bone.
    """
    n = len(chance.patients)

    def basics(rows: Whole, turns: Whole) -> tuple[NDArray[np.bool_], Floats]:
        sex, age, menopause = _basics(chance.of(rows), turns)
        accepted = _eligible(sex, age, menopause) if enriched else np.ones(age.shape, dtype=bool)
        return accepted, np.stack([sex, age, menopause], axis=-1)

    sex_age = _first_accepted(n, basics)
    sex, age, menopause = sex_age[:, 0].astype(np.int64), sex_age[:, 1], sex_age[:, 2]
    wanted = np.floor(3 * chance.uniform("class")).astype(np.int64)

    def bone(rows: Whole, turns: Whole) -> tuple[NDArray[np.bool_], Floats]:
        bmi, bmd = _bone(chance.of(rows), turns, sex[rows, None], age[rows, None])
        class_ = _who_class(bmd)
        accepted = class_ == wanted[rows, None] if enriched else np.ones(class_.shape, dtype=bool)
        return accepted, np.concatenate([bmi[..., None], bmd], axis=-1)

    bone_drawn = _first_accepted(n, bone)
    bmd = np.clip(bone_drawn[:, 1:] + bone_shift * YOUNG_SD, 0.15, 2.4).round(3)
    stature = _spread(_HEIGHT_CM, sex, age) * np.clip(chance.normal("height"), -3.5, 3.5)
    return Bodies(
        sex=sex,
        age=age,
        menopause_age=np.where(sex == FEMALE, menopause, np.nan),
        height_cm=_curve(_HEIGHT_CM, sex, age) + stature,
        bmi=np.clip(bone_drawn[:, 0], 14.5, 65),
        bmd=bmd,
        weight=3 * class_shares()[sex, age.astype(int) - YOUNGEST, wanted] if enriched else np.ones(n),
    )


@cache
def class_shares() -> Floats:
    """Return P(normal, osteopenia, osteoporosis | sex, age), `[sex, age - 40, class]`, by the lowest T-score.

    The chance that all three sites are above a cut is an orthant of a trivariate normal distribution, integrated by
    Gauss-Legendre after Genz's transformation (J Comput Graph Stat 1992;1:141); its error is below 1e-4. Cuts
    allow for the rounding of densities.
    """
    sex, age = np.meshgrid(np.arange(2), np.arange(YOUNGEST, OLDEST + 1.0), indexing="ij")
    mean, spread, factor = _marginal(sex, age)
    cuts = (YOUNG_MEAN - 1.0 * YOUNG_SD - _STEP / 2, YOUNG_MEAN - 2.5 * YOUNG_SD + _STEP / 2)
    above = [_all_above((np.log(cut) - mean) / spread, factor) for cut in cuts]
    return np.stack([above[0], above[1] - above[0], 1 - above[1]], axis=-1)


def _marginal(sex: Whole, age: Floats) -> tuple[Floats, Floats, Floats]:
    """Return mean and SD of ln BMD given sex and age, BMI being free, and the Cholesky factor of its correlation."""
    slope = _LN_BMD[sex][..., 5]
    mean = _of_sites(_curve, sex, age) + slope * _curve(_LN_BMI_28, sex, age)[..., None]
    residual = _of_sites(_spread, sex, age)
    shared = slope * _spread(_LN_BMI_28, sex, age)[..., None]
    covariance = _CORRELATION * residual[..., :, None] * residual[..., None, :]
    covariance = covariance + shared[..., :, None] * shared[..., None, :]
    spread = np.sqrt(np.diagonal(covariance, axis1=-2, axis2=-1))
    return mean, spread, np.linalg.cholesky(covariance / (spread[..., :, None] * spread[..., None, :]))


def _all_above(cut: Floats, factor: Floats) -> Floats:
    """Return the chance that three normal numbers with this Cholesky factor all exceed their cut `[..., 3]`."""
    nodes, weights = np.polynomial.legendre.leggauss(32)
    u, share = (nodes + 1) / 2, weights / 2
    first = ndtr(-cut[..., 0])
    x = -ndtri(u * first[..., None])
    second = ndtr((factor[..., 1, 0, None] * x - cut[..., 1, None]) / factor[..., 1, 1, None])
    y = -ndtri(u * second[..., None])
    reach = factor[..., 2, 0, None, None] * x[..., None] + factor[..., 2, 1, None, None] * y
    third = ndtr((reach - cut[..., 2, None, None]) / factor[..., 2, 2, None, None])
    return np.asarray(first * ((third @ share) * second @ share), dtype=np.float64)


def _first_accepted(n: int, propose: Callable[[Whole, Whole], tuple[NDArray[np.bool_], Floats]]) -> Floats:
    """Return for each of n people the first accepted of their proposals, `[n, values]`."""
    rows, start, count = np.arange(n), 0, 4
    kept: Floats | None = None
    while kept is None or len(rows):
        accepted, values = propose(rows, np.arange(start, start + count)[None, :])
        kept = np.empty((n, values.shape[-1])) if kept is None else kept
        hit = accepted.any(axis=1)
        kept[rows[hit]] = values[hit, accepted[hit].argmax(axis=1)]
        rows, start, count = rows[~hit], start + count, min(2 * count, 64)
    return kept


def _basics(chance: Chance, turns: Whole) -> tuple[Whole, Floats, Floats]:
    """Return sex, age and age at the menopause."""
    sex = np.where(chance.uniform("sex", turns) < _WOMEN, FEMALE, MALE)
    edges = np.cumsum(_DECADES, axis=1)[sex]
    place = chance.uniform("decade", turns)
    decade = np.minimum((place[..., None] > edges).sum(axis=-1), 4)
    within = chance.uniform("age", turns)
    oldest = 80 + (OLDEST - 80) * (1 - np.sqrt(within))
    age = np.floor(np.where(decade == 4, oldest, YOUNGEST + 10 * (decade + within)))
    return sex, age, _MENOPAUSE[0] + _MENOPAUSE[1] * chance.normal("menopause", turns)


def _bone(chance: Chance, turns: Whole, sex: Whole, age: Floats) -> tuple[Floats, Floats]:
    """Return BMI and areal BMD `[..., site]` given sex and age."""
    ln_bmi = _curve(_LN_BMI_28, sex, age) + _spread(_LN_BMI_28, sex, age) * chance.normal("bmi", turns)
    apart = np.stack([chance.normal(site, turns) for site in SITES], axis=-1)
    residual = _of_sites(_spread, sex, age) * (apart @ _MIX.T)
    ln_bmd = _of_sites(_curve, sex, age) + _LN_BMD[sex][..., 5] * ln_bmi[..., None] + residual
    return 28 * np.exp(ln_bmi), np.exp(ln_bmd).round(3)


def _of_sites(law: Callable[[Floats, Whole, Floats], Floats], sex: Whole, age: Floats) -> Floats:
    return np.stack([law(_LN_BMD[:, site], sex, age) for site in range(len(SITES))], axis=-1)


def _curve(table: Floats, sex: Whole, age: Floats) -> Floats:
    decades = (age - 60) / 10
    return np.asarray(table[sex, 0] + table[sex, 1] * decades + table[sex, 2] * decades**2)


def _spread(table: Floats, sex: Whole, age: Floats) -> Floats:
    decades = (np.minimum(age, 80) - 60) / 10
    return np.asarray(table[sex, 3] * np.exp(table[sex, 4] * decades))


def _eligible(sex: Whole, age: Floats, menopause_age: Floats) -> NDArray[np.bool_]:
    return np.where(sex == FEMALE, age >= menopause_age, age >= 50)


def _t_scores(bmd: Floats) -> Floats:
    """Return T-scores with two decimals, so that a class agrees with the number that is printed."""
    t_scores: Floats = (bmd - YOUNG_MEAN) / YOUNG_SD
    return t_scores.round(2)


def _who_class(bmd: Floats) -> Whole:
    """Return 0, 1 or 2 from BMD `[..., site]` by the lowest T-score."""
    lowest: Floats = _t_scores(bmd).min(axis=-1)
    return (lowest < -1.0).astype(np.int64) + (lowest <= -2.5)
