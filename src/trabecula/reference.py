"""Reference tables of the field: every cut and young-adult mean with its population, source and how it was checked.

A row marked `recall` has not been checked at a source; `quoted` never shows such a figure without saying so.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal

VERSION = "1"
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
