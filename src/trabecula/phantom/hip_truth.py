"""Hip cohorts: whom they draw, and what is true of a person's hips, each target for its own population."""

from __future__ import annotations

from dataclasses import replace
from itertools import islice
from typing import TYPE_CHECKING, Any

from trabecula.phantom.people import person

if TYPE_CHECKING:
    from collections.abc import Mapping

    from trabecula.case import Event
    from trabecula.phantom.chance import Chance
    from trabecula.phantom.people import Person

_OUTCOMES = ("time_to_hip_fracture", "time_to_any_fracture")
_FREQUENCY = {
    "bone": {True: 0.0250, False: 0.0081},
    "bmd": {True: 0.0245, False: 0.0085},
    "femur": {True: 0.0246, False: 0.0080},
}
"""Share of people by strength, enriched or not, with a hip fracture in follow-up; counted in 200,000."""
_ELSEWHERE, _POOL, _SHARED = 20_000_000, 8192, 20
"""Others are drawn from this number on, in pools of people, each for so many patients, who get one after the other."""


def bone_truth(drawn: Person) -> dict[str, float | int]:
    """Return areal BMDs, and classes where they are defined."""
    table = drawn.table
    truth: dict[str, float | int] = {
        "bmd_femoral_neck": float(table["bmd_femoral_neck_g_cm2"]),
        "bmd_total_hip": float(table["bmd_total_hip_g_cm2"]),
    }
    if drawn.who_class is None:
        return truth
    hip = min(float(table["t_score_femoral_neck"]), float(table["t_score_total_hip"]))
    return truth | {
        "osteoporosis_dxa": int(drawn.who_class == 2),
        "low_bone_mass_dxa": int(drawn.who_class >= 1),
        "who_class_dxa": drawn.who_class,
        "osteoporosis_hip_dxa": int(hip <= -2.5),
        "t_score_lowest": float(table["t_score_lowest"]),
    }


def fracture_truth(drawn: Person) -> dict[str, int | Event]:
    """Return what happens from now on, as far as it is observed; who dies first has no fracture."""
    age = float(drawn.table["age_years"])
    outcomes = {name: drawn.outcomes[name] for name in _OUTCOMES if name in drawn.outcomes and age >= 50}
    truth: dict[str, int | Event] = dict(outcomes)
    if "time_to_any_fracture" in drawn.outcomes:
        truth["fragility_fracture"] = int(drawn.outcomes["time_to_any_fracture"].event == 1)
    if drawn.table.get("postmenopausal") == 1 and "time_to_hip_fracture" in drawn.outcomes:
        truth["hip_fracture"] = int(drawn.outcomes["time_to_hip_fracture"].event == 1)
    return truth


def drawn_with_hip_fractures(patient: int, seed: int, chance: Chance, settings: Mapping[str, Any]) -> Person:
    """Return the person, or in the share `fractured` of patients one of others who break a hip in follow-up.

    Whether one does is asked without a shift of bone, so that a twin is the same person. Weights count both ways of
    being drawn.
    Raises `ValueError` for a share outside 0 to below 1.
    """
    share, enriched, strength = settings["fractured"], settings["enriched"], settings["strength"]
    if not 0 <= share < 1:
        raise ValueError(f"fractured is a share from 0 to below 1; got {share}")
    number = patient
    if chance.uniform("hip fractured")[0] < share:
        first = _ELSEWHERE + _POOL * (patient // _SHARED)
        pool = range(first, first + _POOL)
        broken = (n for n in pool if _breaks(person(n, seed, enriched=enriched, strength=strength)))
        number = next(islice(broken, patient % _SHARED, None), first)
    breaks = _breaks(person(number, seed, enriched=enriched, strength=strength))
    drawn = person(number, seed, enriched=enriched, bone_shift=settings["bone_shift"], strength=strength)
    sought = share / _FREQUENCY[strength][enriched]
    return replace(drawn, weight=drawn.weight / (1 - share + (sought if breaks else 0.0)))


def _breaks(who: Person) -> bool:
    return who.outcomes["time_to_hip_fracture"].event == 1
