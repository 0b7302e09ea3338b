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
_NHANES = "White women of 20 to 29, Hologic"
_QCT = "trabecular spine, mean of two vertebrae, adults"
_QCT_SOURCE = "PMC7495321 table 2"
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
            source="NHANES III, Looker et al., Osteoporos Int 1998;8:468", mark="second-hand",
        ),
        Reference(
            id="total_hip", value=0.942, sd=0.122, unit="g/cm2", population=_NHANES,
            source="NHANES III, Looker et al., Osteoporos Int 1998;8:468", mark="recall",
        ),
        Reference(
            id="ost_female", value=2, unit="1", population="women", source="OST, as quoted in CLINICAL", mark="read"
        ),
        Reference(id="ost_male", value=4, unit="1", population="men", source="OST", mark="read"),
        Reference(id="osta", value=-1, unit="1", population="Asian women", source="OSTA", mark="recall"),
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
