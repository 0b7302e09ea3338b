"""Made patients with AP lumbar and lateral thoracolumbar radiographs, some of them twice, whose bone is known."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from trabecula.case import Case, Images
from trabecula.phantom import sites
from trabecula.phantom.anatomy.trunk import Trunk
from trabecula.phantom.chance import Chance
from trabecula.phantom.later import last_seen, visit_date, years_later
from trabecula.phantom.people import person
from trabecula.phantom.spine_xray import SpineXray
from trabecula.reference import REFERENCES, genant_grade

if TYPE_CHECKING:
    from collections.abc import Mapping

    from trabecula.case import Truth
    from trabecula.phantom.anatomy.scene import View
    from trabecula.phantom.people import Person

PATIENTS = 1000
SETTINGS: Mapping[str, Any] = {
    "enriched": True,  # one third a WHO class; False: people as they are, those without a WHO class unlabelled
    "shortcut": 0.0,  # share of patients whose site follows their label instead of chance, 0 to 1
    "bone_shift": 0.0,  # young SDs of bone density added after everything else was drawn: a twin
    "kvp_shift": 0.0,  # kV added to the tube voltage of the site: the same bone, another beam
    "noise_scale": 1.0,  # factor on the SD of quantum noise
    "shift_mm": 0.0,  # how far the film is moved across and up: the same bone, another position
    "fractured": 0.12,  # share of patients drawn from those with a vertebral fracture in follow-up; weighted back
    "strength": "bone",  # what breaks: "bone" all of it, "bmd" of the neck alone, or "femur" that BMD and shape
    "second_visits": 0.4,  # share of patients who are asked to come back; those who died or were lost do not
}

_VIEWS: tuple[View, ...] = ("ap", "lateral")
_RETURN_YEARS = (2.0, 6.0)

_UNSEEN = ("trabecular_bone_score",)  # of another scan
_VERTEBRAL = "time_to_vertebral_fracture"
_FREQUENCY = {
    "bone": {True: 0.0196, False: 0.0069},
    "bmd": {True: 0.0181, False: 0.0069},
    "femur": {True: 0.0184, False: 0.0068},
}
"""Share of people by strength, enriched or not, with a vertebral fracture in follow-up; counted in up to 200,000."""
_ELSEWHERE, _CANDIDATES = 10_000_000, 2048


def make(patient: int, seed: int, settings: Mapping[str, Any]) -> tuple[Case, ...]:
    """Draw one patient with one visit or two; films are made when they are asked for, in some 2 s.

    Raises `ValueError` for a negative patient or seed, a share outside 0 to 1, or noise that is not positive.
    """
    for name in ("second_visits", "fractured"):
        if not 0 <= settings[name] < 1:
            raise ValueError(f"{name} is a share from 0 to below 1; got {settings[name]}")
    chance = Chance(seed, np.array([patient]))
    drawn = _drawn(patient, seed, chance, settings)
    visits = [(0.0, drawn)]
    first, last = _RETURN_YEARS
    years = round(first + (last - first) * float(chance.uniform("years to return")[0]), 2)
    if chance.uniform("returns")[0] < settings["second_visits"] and years < last_seen(drawn):
        visits.append((years, years_later(drawn, years, patient=patient, seed=seed)))
    days = [visit_date(chance, after) for after, _ in visits]
    return tuple(_visit(n, one, days[n], (patient, seed), settings) for n, (_, one) in enumerate(visits))


def _drawn(patient: int, seed: int, chance: Chance, settings: Mapping[str, Any]) -> Person:
    """Return the person, or in a share of patients the first of others who has a vertebral fracture in follow-up.

    Whether one has is asked without a shift of bone, so that a twin is the same person.
    """
    enriched, strength, share = settings["enriched"], settings["strength"], settings["fractured"]
    number = patient
    if chance.uniform("fractured")[0] < share:
        first = _ELSEWHERE + _CANDIDATES * patient
        others = range(first, first + _CANDIDATES)
        fractured = (n for n in others if _fractures(person(n, seed, enriched=enriched, strength=strength)))
        number = next(fractured, first)
    drawn = person(number, seed, enriched=enriched, bone_shift=settings["bone_shift"], strength=strength)
    sought = share / _FREQUENCY[strength][enriched]
    fractures = _fractures(person(number, seed, enriched=enriched, strength=strength))
    return replace(drawn, weight=drawn.weight / (1 - share + (sought if fractures else 0.0)))


def _fractures(who: Person) -> bool:
    return who.outcomes[_VERTEBRAL].event == 1


def _visit(visit: int, drawn: Person, day: str, who: tuple[int, int], settings: Mapping[str, Any]) -> Case:
    patient, seed = who
    chance = Chance(seed, np.array([patient]))
    site = sites.choose(chance, drawn.who_class == 2, settings["shortcut"])
    exam = sites.Exam(visit=visit, kvp_shift=settings["kvp_shift"], noise_scale=settings["noise_scale"])
    trunk = Trunk.of(drawn, patient, seed)
    films = {
        view: SpineXray(
            trunk=trunk,
            view=view,
            film=sites.film(chance, site, f"spine_{view}", exam),
            visit=visit,
            shift_mm=_shift(chance, view, visit, settings["shift_mm"]),
        )
        for view in _VIEWS
    }
    facts = sites.groups(site, films["lateral"].film, "spine_lateral")
    ap = sites.groups(site, films["ap"].film, "spine_ap")
    name = f"{patient:06d}"
    return Case(
        id=name if visit == 0 else f"{name}_{visit + 1}",
        patient=name,
        images=Images({f"spine_xray_{view}": film for view, film in films.items()}),
        masks=Images({"bones": films["lateral"].labels()}),
        table={name: value for name, value in drawn.table.items() if name not in _UNSEEN},
        groups=facts | {f"{fact}_ap": ap[fact] for fact in ("kvp", "rows", "columns", "pixel_mm")} | {"date": day},
        truth=_truth(drawn),
        weight=drawn.weight,
    )


def _shift(chance: Chance, view: str, visit: int, further: float) -> tuple[float, float]:
    across, up = (5 * float(chance.normal(f"{view} film {axis}", visit)[0]) + further for axis in ("across", "up"))
    return across, up


def _truth(drawn: Person) -> dict[str, Truth]:
    """Return what is true at a visit; the WHO classes only where they are defined, survival from 50 on."""
    table = drawn.table
    grade = max((genant_grade(each.loss) for each in drawn.deformities), default=0)
    truth: dict[str, Truth] = {
        "bmd_lumbar": float(table["bmd_lumbar_g_cm2"]),
        "vertebral_fracture": int(grade > 0),
        "genant_grade": grade,
    }
    if drawn.who_class is not None:
        truth |= {
            "osteoporosis_dxa": int(drawn.who_class == 2),
            "low_bone_mass_dxa": int(drawn.who_class > 0),
            "who_class_dxa": drawn.who_class,
            "osteoporosis_spine_dxa": int(float(table["t_score_lumbar"]) <= REFERENCES["who_osteoporosis"].value),
            "t_score_lowest": float(table["t_score_lowest"]),
        }
    return truth | (dict(drawn.outcomes) if float(table["age_years"]) >= 50 else {})
