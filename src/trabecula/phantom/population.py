"""The population: age, sex, body and areal bone density of people from 40 to 95, as a sample of it or enriched.

Curves are weighted least squares (examination weights) on NHANES 2007-2008, adults from 40 on, each sex alone, age
top-coded at 80 in the data and continued beyond it here; all ethnic groups together. Fitted on 4,025 people, fewer
where a density is missing, which the lumbar spine is in half of those from 70 on, hardly at random. **Approximate**:
the logarithm of density is taken as normal with one standard deviation at all ages, which gives osteoporosis of the
femoral neck its share in NHANES (women 6.7 against 6.8 %, men 1.0 against 1.4 %), and of the total hip too little
(4.0 against 5.4 %, 0.1 against 0.5 %). BMI is measured, height self-reported.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING

import numpy as np
from scipy.special import ndtr, ndtri

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

# Value at 60 years, change a decade, change a decade squared, residual SD: [sex, 4].
_HEIGHT_CM = np.array([[162.97, -1.104, -0.357, 6.94], [177.41, -0.660, -0.247, 7.81]])
_LN_BMI_28 = np.array([[0.0202, -0.0090, -0.0133, 0.2232], [0.0241, -0.0059, -0.0056, 0.1843]])

# ln of g/cm2 at 60 years and BMI 28; change a decade, a decade squared, per unit of ln(BMI / 28); residual SD:
# [sex, site, 5].
_LN_BMD = np.array(
    [
        [
            [-0.2940, -0.0659, 0.0016, 0.3641, 0.1427],
            [-0.1409, -0.0564, -0.0001, 0.3623, 0.1320],
            [-0.0541, -0.0433, 0.0146, 0.2169, 0.1355],
        ],
        [
            [-0.2070, -0.0400, -0.0006, 0.3313, 0.1416],
            [0.0023, -0.0255, -0.0055, 0.3540, 0.1250],
            [0.0435, 0.0081, 0.0020, 0.1991, 0.1361],
        ],
    ]
)
# Residual correlation given age, sex and BMI, mean of both sexes; neck with spine is about 0.65 once BMI is free.
_CORRELATION = np.array([[1.00, 0.85, 0.60], [0.85, 1.00, 0.64], [0.60, 0.64, 1.00]])
_MIX = np.linalg.cholesky(_CORRELATION)

# Young White women. Femur: NHANES III (neck read second-hand, hip recalled); spine: Hologic L1-L4, recalled.
YOUNG_MEAN = np.array([0.858, 0.942, 1.047])
YOUNG_SD = np.array([0.120, 0.122, 0.110])

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
    return Bodies(
        sex=sex,
        age=age,
        menopause_age=np.where(sex == FEMALE, menopause, np.nan),
        height_cm=_curve(_HEIGHT_CM, sex, age) + _HEIGHT_CM[sex, 3] * np.clip(chance.normal("height"), -3.5, 3.5),
        bmi=np.clip(bone_drawn[:, 0], 14.5, 65),
        bmd=bmd,
        weight=3 * class_shares()[sex, age.astype(int) - YOUNGEST, wanted] if enriched else np.ones(n),
    )


@cache
def class_shares() -> Floats:
    """Return P(normal, osteopenia, osteoporosis | sex, age), `[sex, age - 40, class]`, by the lowest T-score.

    The chance that all three sites are above a cut is an orthant of a trivariate normal distribution, integrated by
    Gauss-Legendre after Genz's transformation (J Comput Graph Stat 1992;1:141); its error is below 1e-4. Cuts
    are those of T-scores rounded to two decimals.
    """
    sex, age = np.meshgrid(np.arange(2), np.arange(YOUNGEST, OLDEST + 1.0), indexing="ij")
    mean, spread, factor = _marginal(sex, age)
    above = [_all_above((np.log(YOUNG_MEAN + cut * YOUNG_SD) - mean) / spread, factor) for cut in (-1.005, -2.495)]
    return np.stack([above[0], above[1] - above[0], 1 - above[1]], axis=-1)


def _marginal(sex: Whole, age: Floats) -> tuple[Floats, Floats, Floats]:
    """Return mean and SD of ln BMD given sex and age, BMI being free, and the Cholesky factor of its correlation."""
    slope, residual = _LN_BMD[sex][..., 3], _LN_BMD[sex][..., 4]
    mean = _ln_bmd_curve(sex, age) + slope * _curve(_LN_BMI_28, sex, age)[..., None]
    shared = slope * _LN_BMI_28[sex, 3][..., None]
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
    ln_bmi = _curve(_LN_BMI_28, sex, age) + _LN_BMI_28[sex, 3] * chance.normal("bmi", turns)
    apart = np.stack([chance.normal(site, turns) for site in SITES], axis=-1)
    residual = _LN_BMD[sex][..., 4] * (apart @ _MIX.T)
    ln_bmd = _ln_bmd_curve(sex, age) + _LN_BMD[sex][..., 3] * ln_bmi[..., None] + residual
    return 28 * np.exp(ln_bmi), np.exp(ln_bmd).round(3)


def _ln_bmd_curve(sex: Whole, age: Floats) -> Floats:
    return np.stack([_curve(_LN_BMD[:, site], sex, age) for site in range(len(SITES))], axis=-1)


def _curve(table: Floats, sex: Whole, age: Floats) -> Floats:
    decades = (age - 60) / 10
    return np.asarray(table[sex, 0] + table[sex, 1] * decades + table[sex, 2] * decades**2)


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
