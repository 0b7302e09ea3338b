"""Reference tables of the field: every cut and young-adult mean with its population, source and how it was checked.

A row marked `recall` has not been checked at a source; `quoted` never shows such a figure without saying so.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import pairwise
from types import MappingProxyType
from typing import Literal

import numpy as np

VERSION = "2"
"""Raised whenever a figure changes; reports print it."""

Mark = Literal["read", "second-hand", "recall"]
"""`read` at the source named; read `second-hand` in another work that cites it; `recall`: from memory, unchecked."""
Sex = Literal["female", "male"]
WhoClass = Literal["normal", "osteopenia", "osteoporosis"]


@dataclass(frozen=True, kw_only=True)
class Reference:
    """One published figure, with its spread where it is a mean."""

    id: str
    value: float
    sd: float | None = None
    unit: str
    population: str
    source: str
    mark: Mark

    @property
    def quoted(self) -> str:
        """The figure as a page may show it, with its source and, unless it was read, its mark."""
        spread = "" if self.sd is None else f" +- {self.sd:g}"
        unit = "" if self.unit == "1" else f" {self.unit}"
        doubt = {"read": "", "second-hand": ", read second-hand", "recall": ", recalled and not checked"}[self.mark]
        return f"{self.value:g}{spread}{unit} ({self.source}{doubt})"


_WHO = "postmenopausal women and men from 50 on"
_WHO_SOURCE = "WHO, after the ISCD official positions as quoted by RACGP"
_LOOKER = "NHANES III, Looker et al., Osteoporos Int 1998;8:468"
_NHANES = "White women of 20 to 29, Hologic"
_QCT = "trabecular spine, mean of two vertebrae, adults"
_QCT_SOURCE = "PMC7495321 table 2"
_OST = "OST, University of Washington osteoporosis tools, depts.washington.edu/osteoed"
_HU = "adults, L1 trabecular region, 120 kVp, no contrast"
_PICKHARDT = "Pickhardt et al., Ann Intern Med 2013;158:588"
_GENANT = "visual grade by height loss; area loss has other cuts"

REFERENCES = MappingProxyType({
    row.id: row
    for row in (
        Reference(id="who_osteoporosis", value=-2.5, unit="SD", population=_WHO, source=_WHO_SOURCE, mark="read"),
        Reference(id="who_normal", value=-1.0, unit="SD", population=_WHO, source=_WHO_SOURCE, mark="read"),
        Reference(
            id="femoral_neck", value=0.858, sd=0.120, unit="g/cm2", population=_NHANES,
            source=_LOOKER, mark="second-hand",
        ),
        Reference(
            id="total_hip", value=0.942, sd=0.122, unit="g/cm2", population=_NHANES,
            source=_LOOKER, mark="recall",
        ),
        Reference(id="ost_female", value=2, unit="1", population="women", source=_OST, mark="read"),
        Reference(id="ost_male", value=4, unit="1", population="men", source=_OST, mark="read"),
        Reference(
            id="osta", value=-1, unit="1", population="Asian women",
            source="OSTA, Koh et al., Osteoporos Int 2001;12:699", mark="recall",
        ),
        Reference(id="hu_sensitive", value=160, unit="HU", population=_HU, source=_PICKHARDT, mark="read"),
        Reference(id="hu_at_risk", value=135, unit="HU", population=_HU, source=_PICKHARDT, mark="read"),
        Reference(id="hu_specific", value=110, unit="HU", population=_HU, source=_PICKHARDT, mark="read"),
        Reference(id="qct_osteoporosis", value=80, unit="mg/cm3", population=_QCT, source=_QCT_SOURCE, mark="read"),
        Reference(id="qct_normal", value=120, unit="mg/cm3", population=_QCT, source=_QCT_SOURCE, mark="read"),
        Reference(id="genant_1", value=0.20, unit="1", population=_GENANT, source="Wang, QIMS 2019", mark="read"),
        Reference(id="genant_2", value=0.25, unit="1", population=_GENANT, source="Wang, QIMS 2019", mark="read"),
        Reference(id="genant_3", value=0.40, unit="1", population=_GENANT, source="Wang, QIMS 2019", mark="read"),
    )
})  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class ReferenceByAge:
    """Mean and SD by age of people of one sex, for Z-scores: `ages` in years, rising, and between whom it holds.

    Raises `ValueError` for ages that do not rise, or means and SDs that are not positive or not as many.
    """

    site: str
    sex: Sex
    ages: tuple[float, ...]
    means: tuple[float, ...]
    sds: tuple[float, ...]
    source: str
    covers: tuple[float, float] | None = None
    """The youngest and the oldest, in years; without it the first and the last of `ages`."""

    def __post_init__(self) -> None:
        if not len(self.ages) == len(self.means) == len(self.sds) >= 2 or any(a >= b for a, b in pairwise(self.ages)):
            raise ValueError("a reference by age has two or more rising ages, and a mean and an SD for each")
        if min(*self.means, *self.sds) <= 0:
            raise ValueError("means and SDs of a reference are positive")

    def z_score(self, bmd_g_cm2: float, age_years: float) -> float:
        """Return how many SDs an areal BMD lies from people of this age, linearly between the ages.

        Raises `ValueError` outside the ages that are covered, and for a BMD that is not positive.
        """
        youngest, oldest = self.covers or (self.ages[0], self.ages[-1])
        if not youngest <= age_years <= oldest:
            raise ValueError(f"this reference covers {youngest:g} to {oldest:g} years, not {age_years:g}")
        if not (math.isfinite(bmd_g_cm2) and bmd_g_cm2 > 0):
            raise ValueError(f"BMD is positive and in g/cm2; got {bmd_g_cm2}")
        mean, sd = (float(np.interp(age_years, self.ages, each)) for each in (self.means, self.sds))
        return (bmd_g_cm2 - mean) / sd


_DECADES = (25.0, 35.0, 45.0, 55.0, 65.0, 75.0)
_SURVEY = "NHANES 2007-2008, adults of the USA of all origins, Hologic; means of decades, computed by us"

BMD_BY_AGE = MappingProxyType({
    (row.site, row.sex): row
    for row in (
        ReferenceByAge(
            site="femoral_neck", sex="female", source=_SURVEY, ages=_DECADES, covers=(20, 79),
            means=(0.905, 0.859, 0.834, 0.779, 0.729, 0.698), sds=(0.131, 0.126, 0.125, 0.129, 0.117, 0.123),
        ),
        ReferenceByAge(
            site="femoral_neck", sex="male", source=_SURVEY, ages=_DECADES, covers=(20, 79),
            means=(0.956, 0.898, 0.876, 0.844, 0.815, 0.785), sds=(0.131, 0.136, 0.125, 0.124, 0.138, 0.125),
        ),
        ReferenceByAge(
            site="total_hip", sex="female", source=_SURVEY, ages=_DECADES, covers=(20, 79),
            means=(0.986, 0.962, 0.950, 0.902, 0.853, 0.820), sds=(0.127, 0.129, 0.129, 0.138, 0.129, 0.145),
        ),
        ReferenceByAge(
            site="total_hip", sex="male", source=_SURVEY, ages=_DECADES, covers=(20, 79),
            means=(1.075, 1.042, 1.040, 1.029, 1.004, 0.978), sds=(0.128, 0.141, 0.128, 0.137, 0.148, 0.148),
        ),
        ReferenceByAge(
            site="lumbar", sex="female", source=_SURVEY, ages=_DECADES[:5], covers=(20, 69),
            means=(1.074, 1.071, 1.056, 0.979, 0.945), sds=(0.111, 0.123, 0.131, 0.139, 0.149),
        ),
        ReferenceByAge(
            site="lumbar", sex="male", source=_SURVEY, ages=_DECADES[:5], covers=(20, 69),
            means=(1.058, 1.044, 1.046, 1.052, 1.057), sds=(0.115, 0.122, 0.132, 0.146, 0.147),
        ),
    )
})  # fmt: skip
"""Areal BMD in g/cm2 by site and sex, weighted to the population; L1-L4 ends at 69, as later half of it is missing."""


def t_score(bmd_g_cm2: float, site: str, *, sex: Sex) -> float:
    """Return how many SDs an areal BMD lies from the young-adult mean of NHANES III, for hip sites on Hologic.

    The reference is that of White women for women and men alike (ISCD official positions 2023), yet a T-score of a
    person of unknown sex means nothing, so the sex must be told. Raises `ValueError` for a BMD that is not positive,
    an unknown sex, and a site without a reference here: the spine's is the manufacturer's own.
    """
    row = REFERENCES.get(site)
    if row is None or row.sd is None:
        sites = [each.id for each in REFERENCES.values() if each.sd is not None]
        raise ValueError(
            f"there is no reference for {site!r}, only for {' and '.join(sites)}: take the T-score that the device gave"
        )
    _told(sex)
    if not (math.isfinite(bmd_g_cm2) and bmd_g_cm2 > 0):
        raise ValueError(f"BMD is positive and in g/cm2; got {bmd_g_cm2}")
    return round((bmd_g_cm2 - row.value) / row.sd, 9)  # 0.558 g/cm2 is -2.5, not -2.4999999999999996


def who_class(t: float, *, sex: Sex, age_years: float, postmenopausal: bool | None = None) -> WhoClass:
    """Return the WHO class of the lowest T-score, as it is given: -2.5 is osteoporosis, -1.0 is normal.

    Defined for postmenopausal women and for men from 50 on; where the menopause is not known, 50 stands for it.
    Raises `ValueError` outside this population, where a Z-score is read instead, and for a T-score that is not finite.
    """
    _told(sex)
    if not math.isfinite(t) or not math.isfinite(age_years):
        raise ValueError(f"a T-score and an age are numbers; got {t} and {age_years}")
    grown = age_years >= 50 if sex == "male" or postmenopausal is None else postmenopausal
    if not grown:
        raise ValueError(
            f"no WHO class for a {sex} of {age_years:g}{' before the menopause' * (postmenopausal is False)}: it is "
            f"defined for {_WHO}; read the Z-score, where -2.0 or less is below the expected range"
        )
    if t <= REFERENCES["who_osteoporosis"].value:
        return "osteoporosis"
    return "osteopenia" if t < REFERENCES["who_normal"].value else "normal"


def ost(weight_kg: float, age_years: float) -> float:
    """Return the osteoporosis self-assessment index, 0.2 (weight in kg - age in years), not truncated."""
    return 0.2 * (weight_kg - age_years)


def genant_grade(height_loss: float) -> int:
    """Return the grade 0 to 3 of a height loss between 0 and 1; a deformity grade, not a fracture by itself.

    Raises `ValueError` outside 0 to 1.
    """
    if not 0 <= height_loss <= 1:
        raise ValueError(f"a height loss is a share between 0 and 1; got {height_loss}")
    return sum(height_loss >= REFERENCES[f"genant_{grade}"].value for grade in (1, 2, 3))


def _told(sex: Sex) -> None:
    if sex not in ("female", "male"):
        raise ValueError(f"the sex is female or male; got {sex!r}: without it there is no T-score")
