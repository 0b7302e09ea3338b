"""A later visit: the same person some years on, with less bone and the vertebral fracture that happened meanwhile.

Rates of loss are recalled: some 0.7 % of areal BMD a year, twice as much of trabecular density.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta
from math import exp
from typing import TYPE_CHECKING

import numpy as np

from trabecula.case import Event
from trabecula.phantom.chance import Chance
from trabecula.phantom.people import Deformity, Person
from trabecula.phantom.population import SITES, YOUNG_MEAN, YOUNG_SD
from trabecula.reference import REFERENCES

if TYPE_CHECKING:
    from trabecula.case import TableValue

_AREAL_A_YEAR, _TRABECULAR_A_YEAR, _RATE_SD = 0.007, 0.014, 0.6
_VERTEBRAL = "time_to_vertebral_fracture"
_BMD = ("femoral_neck_g_cm2", "total_hip_g_cm2", "lumbar_g_cm2")

# Where new fractures are, and the share of wedges; recalled orders of magnitude. The rest is biconcave or crushed.
_LEVELS = {"T6": 0.07, "T7": 0.11, "T8": 0.13, "T9": 0.09, "T11": 0.10, "T12": 0.18, "L1": 0.17, "L2": 0.09, "L3": 0.06}
_WEDGES = 0.6
_FIRST_DAY, _DAYS = date(2015, 1, 1), 5 * 365


def visit_date(chance: Chance, years: float = 0.0) -> str:
    """Return the day of a visit: the first lies anywhere in five years, a later one `years` after it."""
    first = _FIRST_DAY + timedelta(days=int(_DAYS * float(chance.uniform("day of the first visit")[0])))
    return (first + timedelta(days=round(365.25 * years))).isoformat()


def last_seen(person: Person) -> float:
    """Return until when, in years, a person is known to live: death or the end of follow-up, or no end."""
    return min((each.years for each in person.outcomes.values() if each.event != 1), default=np.inf)


def years_later(person: Person, years: float, *, patient: int, seed: int) -> Person:
    """Return the person `years` after the first visit.

    A vertebral fracture until then has become a deformity, and time to it is no longer known; other times count from
    the later visit.
    Raises `ValueError` for a visit that is not later, or after the end of observation.
    """
    if not 0 < years < last_seen(person):
        raise ValueError(f"a later visit lies before death and the end of follow-up; got {years} years")
    chance = Chance(seed, np.array([patient]))
    rate = exp(_RATE_SD * float(chance.normal("rate of loss")[0]) - _RATE_SD**2 / 2)
    areal, trabecular = (exp(-loss * rate * years) for loss in (_AREAL_A_YEAR, _TRABECULAR_A_YEAR))
    kept = person.skeleton
    skeleton = replace(
        kept,
        femoral_neck_g_cm2=round(kept.femoral_neck_g_cm2 * areal, 3),
        total_hip_g_cm2=round(kept.total_hip_g_cm2 * areal, 3),
        lumbar_g_cm2=round(kept.lumbar_g_cm2 * areal, 3),
        lumbar_vbmd_mg_cm3=kept.lumbar_vbmd_mg_cm3 * trabecular,
        hip_vbmd_mg_cm3=kept.hip_vbmd_mg_cm3 * trabecular,
    )
    table: dict[str, TableValue] = {**person.table, "age_years": float(person.table["age_years"]) + round(years, 1)}
    for site, name, mean, sd in zip(SITES, _BMD, YOUNG_MEAN, YOUNG_SD, strict=True):
        table[f"bmd_{site}_g_cm2"] = getattr(skeleton, name)
        table[f"t_score_{site}"] = round(float((getattr(skeleton, name) - mean) / sd), 2)
    lowest = min(float(table[f"t_score_{site}"]) for site in SITES)
    table["t_score_lowest"] = lowest
    broken = person.outcomes[_VERTEBRAL].event == 1 and person.outcomes[_VERTEBRAL].years <= years
    low, normal = (REFERENCES[name].value for name in ("who_osteoporosis", "who_normal"))
    return replace(
        person,
        table=table,
        who_class=None if person.who_class is None else int(lowest < normal) + int(lowest <= low),
        skeleton=skeleton,
        outcomes={
            name: Event(round(each.years - years, 3), each.event)
            for name, each in person.outcomes.items()
            if each.years - years >= 0.001
        },
        deformities=(*person.deformities, *((_new(person, chance),) if broken else ())),
    )


def _new(person: Person, chance: Chance) -> Deformity:
    """Return the deformity of a new fracture, at a level that had its shape."""
    had = {each.level for each in person.deformities}
    free = {level: share for level, share in _LEVELS.items() if level not in had} or _LEVELS
    place = float(chance.uniform("new fracture level")[0]) * sum(free.values())
    edges = np.cumsum(list(free.values()))
    level = list(free)[min(int((place > edges).sum()), len(free) - 1)]
    kind = float(chance.uniform("new fracture shape")[0])
    depth = -np.log(float(chance.uniform("new fracture loss")[0]))
    return Deformity(
        level=level, shape="wedge" if kind < _WEDGES else "biconcave" if kind < 0.85 else "crush",
        loss=round(min(0.20 + 0.10 * float(depth), 0.70), 3),
    )  # fmt: skip
