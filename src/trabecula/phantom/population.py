"""The population: age, sex, body and areal bone density of people from 20 to 95, as a sample of it or enriched.

Curves are fitted to NHANES 2007-2008 by `bench/fit_population.py`: 5,707 adults, examination weights, each sex alone,
all ethnic groups together, fewer where a density is missing, which the lumbar spine is in half of those from 70 on,
hardly at random. Age is top-coded at 80 there, so what a decade does beyond it is told by the mean of the oldest only.
A density plus the offset of its site is lognormal given age, sex and BMI: as skewed as NHANES, whose low tail a plain
lognormal law misses. **Approximate**: BMI is measured, height self-reported.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
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
YOUNGEST, OLDEST = 20, 95

# Share of women, and of each decade (20, 30, ... 70, 80 and over) within a sex; weighted counts.
_WOMEN = 0.518
_DECADES = np.array([
    [0.1830, 0.1800, 0.2015, 0.1807, 0.1198, 0.0806, 0.0544],
    [0.1996, 0.1893, 0.2089, 0.1853, 0.1158, 0.0671, 0.0340],
])  # fmt: skip

# Means at these ages and SDs at those, linear between them and held beyond: [sex, 10].
_AGES, _AGES_SD = (20, 35, 50, 65, 80, 95), (20, 50, 70, 85)
_HEIGHT_CM = np.array([
    [164.02, 164.18, 163.32, 162.94, 159.99, 155.74, 7.73, 7.07, 6.36, 6.76],
    [177.51, 177.70, 177.72, 177.47, 174.64, 176.38, 8.07, 8.12, 7.36, 7.13],
])  # fmt: skip

# The same of ln of (kg/m2 or g/cm2, and an offset): BMI, femoral neck, total hip, lumbar, [sex, measure, 10].
_OFFSET = np.array([-11.0, 0.1, 1.0, 0.8])
_LAW = np.array([
    [
        [2.6941, 2.7914, 2.8266, 2.8331, 2.7749, 2.5600, 0.4467, 0.3819, 0.3631, 0.3033],
        [0.0146, -0.0474, -0.1013, -0.2094, -0.2616, -0.4065, 0.1285, 0.1364, 0.1478, 0.1564],
        [0.6867, 0.6752, 0.6564, 0.6102, 0.5791, 0.5306, 0.0632, 0.0674, 0.0758, 0.0716],
        [0.6179, 0.6354, 0.5955, 0.5437, 0.5344, 0.5734, 0.0574, 0.0737, 0.0918, 0.0871],
    ],
    [
        [2.6180, 2.8523, 2.8321, 2.8809, 2.8322, 2.5223, 0.3282, 0.3096, 0.3059, 0.2603],
        [0.0750, -0.0150, -0.0477, -0.1055, -0.1574, -0.2382, 0.1230, 0.1341, 0.1436, 0.1421],
        [0.7358, 0.7102, 0.7108, 0.6922, 0.6661, 0.6145, 0.0614, 0.0680, 0.0720, 0.0767],
        [0.6189, 0.6105, 0.6125, 0.6144, 0.6316, 0.6239, 0.0591, 0.0759, 0.0841, 0.1115],
    ],
])  # fmt: skip
# Correlation of the four given age: [sex, measure, measure].
_CORRELATION = np.array([
    [[1, 0.477, 0.489, 0.341], [0.477, 1, 0.890, 0.666], [0.489, 0.890, 1, 0.689], [0.341, 0.666, 0.689, 1]],
    [[1, 0.354, 0.413, 0.218], [0.354, 1, 0.884, 0.611], [0.413, 0.884, 1, 0.643], [0.218, 0.611, 0.643, 1]],
])  # fmt: skip
_MIX = np.linalg.cholesky(_CORRELATION)
_MIX_SITES = np.linalg.cholesky(_CORRELATION[:, 1:, 1:])

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
    stature: Floats
    """Height among people of this sex and age, in SD."""
    bmi: Floats
    bmd: Floats
    """Areal BMD `[n, site]` in g/cm2; sites as in `SITES`."""
    standing: Floats
    """Where areal BMD stands among people of this sex and age, before any shift, `[n, site]` in SD."""
    weight: Floats
    """How many people of the sampled population one stands for; 1 on average."""
    bone_shift: float = 0.0
    """Young-adult SDs that were added to all bone."""

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

    def shifted(self, bone_shift: float) -> Bodies:
        """Return the same people with young-adult SDs added to their bone."""
        bmd = np.clip(self.bmd + bone_shift * YOUNG_SD, 0.15, 2.4).round(3)
        return replace(self, bmd=bmd, bone_shift=self.bone_shift + bone_shift)


def draw(chance: Chance, *, enriched: bool) -> Bodies:
    """Draw people: as they are, or `enriched`, one third a WHO class among those for whom the classes are defined.

    Enriched, age and sex are drawn alike in the three classes, and BMI and bone then given age, sex and class: so age
    alone says nothing, and the weight of a person is P(class | age, sex) / (1/3).
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
        measures, standing = _bone(chance.of(rows), turns, sex[rows, None], age[rows, None])
        class_ = _who_class(measures[..., 1:].round(3))
        accepted = class_ == wanted[rows, None] if enriched else np.ones(class_.shape, dtype=bool)
        return accepted, np.concatenate([measures, standing], axis=-1)

    measures, standing = np.split(_first_accepted(n, bone), 2, axis=1)
    stature = np.clip(chance.normal("height"), -3.5, 3.5)
    return Bodies(
        sex=sex,
        age=age,
        menopause_age=np.where(sex == FEMALE, menopause, np.nan),
        height_cm=_curve(_HEIGHT_CM, sex, age) + _spread(_HEIGHT_CM, sex, age) * stature,
        stature=stature,
        bmi=np.clip(measures[:, 0], 14.5, 65),
        bmd=np.clip(measures[:, 1:], 0.15, 2.4).round(3),
        standing=standing[:, 1:],
        weight=3 * class_shares()[sex, age.astype(int) - YOUNGEST, wanted] if enriched else np.ones(n),
    )


def usual_bmd(sex: Whole, age: Floats) -> Floats:
    """Return the median areal BMD of people of this sex and age, `[n, site]` in g/cm2."""
    usual: Floats = np.exp(_means(sex, age)) - _OFFSET
    return usual[..., 1:]


@cache
def class_shares() -> Floats:
    """Return P(normal, osteopenia, osteoporosis | sex, age), `[sex, age - 20, class]`, by the lowest T-score.

    The chance that all three sites are above a cut is an orthant of a trivariate normal distribution, integrated by
    Gauss-Legendre after Genz's transformation (J Comput Graph Stat 1992;1:141); its error is below 1e-4. Cuts
    allow for the rounding of densities.
    """
    sex, age = np.meshgrid(np.arange(2), np.arange(YOUNGEST, OLDEST + 1.0), indexing="ij")
    mean, spread = (law(sex, age)[..., 1:] for law in (_means, _spreads))
    cuts = (YOUNG_MEAN - 1.0 * YOUNG_SD - _STEP / 2, YOUNG_MEAN - 2.5 * YOUNG_SD + _STEP / 2)
    above = [_all_above((np.log(cut + _OFFSET[1:]) - mean) / spread, _MIX_SITES[sex]) for cut in cuts]
    return np.stack([above[0], above[1] - above[0], 1 - above[1]], axis=-1)


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
    decade = np.minimum((place[..., None] > edges).sum(axis=-1), 6)
    within = chance.uniform("age", turns)
    oldest = 80 + (OLDEST - 80) * (1 - np.sqrt(within))
    age = np.floor(np.where(decade == 6, oldest, YOUNGEST + 10 * (decade + within)))
    return sex, age, _MENOPAUSE[0] + _MENOPAUSE[1] * chance.normal("menopause", turns)


def _bone(chance: Chance, turns: Whole, sex: Whole, age: Floats) -> tuple[Floats, Floats]:
    """Return BMI and areal BMD, `[..., measure]`, given sex and age, and where they stand among their like, in SD."""
    apart = np.stack([chance.normal(name, turns) for name in ("bmi", *SITES)], axis=-1)
    women, men = (apart @ mix.T for mix in _MIX)
    standing = np.where(sex[..., None] == FEMALE, women, men)
    return np.exp(_means(sex, age) + _spreads(sex, age) * standing) - _OFFSET, standing


def _means(sex: Whole, age: Floats) -> Floats:
    return np.stack([_curve(_LAW[:, measure], sex, age) for measure in range(len(_OFFSET))], axis=-1)


def _spreads(sex: Whole, age: Floats) -> Floats:
    return np.stack([_spread(_LAW[:, measure], sex, age) for measure in range(len(_OFFSET))], axis=-1)


def _curve(table: Floats, sex: Whole, age: Floats) -> Floats:
    women, men = (np.interp(age, _AGES, row[: len(_AGES)]) for row in table)
    return np.asarray(np.where(sex == FEMALE, women, men), dtype=np.float64)


def _spread(table: Floats, sex: Whole, age: Floats) -> Floats:
    women, men = (np.interp(age, _AGES_SD, row[len(_AGES) :]) for row in table)
    return np.asarray(np.where(sex == FEMALE, women, men), dtype=np.float64)


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
