"""Made patients with a table, bone densities, and fractures in follow-up; no images."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from trabecula.case import Case
from trabecula.phantom.people import person
from trabecula.phantom.population import SITES

if TYPE_CHECKING:
    from collections.abc import Mapping

    from trabecula.case import Truth
    from trabecula.phantom.people import Person

PATIENTS = 6000  # so many that each kind of fracture happens to at least 100
SETTINGS: Mapping[str, Any] = {
    "enriched": True,  # one third a WHO class; False: people from 20 on as they are
    "bone_shift": 0.0,  # young SDs of bone density added after everything else was drawn
    "strength": "bone",  # what breaks: "bone" all of it, "bmd" of the neck alone, or "femur" that BMD and shape
}


def make(patient: int, seed: int, settings: Mapping[str, Any]) -> Case:
    """Draw one patient; 20,000 take about 2 s, since whole blocks of people are drawn at once.

    Raises `ValueError` for a negative patient or seed, or a strength that is neither bone nor bmd.
    """
    drawn = person(
        patient,
        seed,
        enriched=settings["enriched"],
        bone_shift=settings["bone_shift"],
        strength=settings["strength"],
    )
    name = f"{patient:06d}"
    truth = {**_densities(drawn), **_history(drawn), **_follow_up(drawn)}
    return Case(id=name, patient=name, table=drawn.table, truth=truth, weight=drawn.weight)


def _densities(drawn: Person) -> dict[str, Truth]:
    """Return BMD, and the WHO classes where they are defined."""
    table = drawn.table
    truth: dict[str, Truth] = {f"bmd_{site}": float(table[f"bmd_{site}_g_cm2"]) for site in SITES}
    if drawn.who_class is None:
        return truth
    hip = min(float(table["t_score_femoral_neck"]), float(table["t_score_total_hip"]))
    return truth | {
        "osteoporosis_dxa": int(drawn.who_class == 2),
        "low_bone_mass_dxa": int(drawn.who_class >= 1),
        "who_class_dxa": drawn.who_class,
        "osteoporosis_hip_dxa": int(hip <= -2.5),
        "osteoporosis_spine_dxa": int(float(table["t_score_lumbar"]) <= -2.5),
        "t_score_lowest": float(table["t_score_lowest"]),
    }


def _history(drawn: Person) -> dict[str, Truth]:
    return {"past_fracture": int(drawn.table["previous_fracture"]), "vertebral_fracture": int(bool(drawn.deformities))}


def _follow_up(drawn: Person) -> dict[str, Truth]:
    """Return what happened, each target for its own population; who died first had no fracture."""
    table, outcomes = drawn.table, drawn.outcomes
    age, woman = float(table["age_years"]), table["sex"] == "female"
    hip, vertebral, first = (outcomes[f"time_to_{cause}_fracture"] for cause in ("hip", "vertebral", "any"))
    truth: dict[str, Truth] = {"fragility_fracture": int(first.event == 1)}
    if age >= 50:
        truth |= outcomes
    if table.get("postmenopausal"):
        truth["hip_fracture"] = int(hip.event == 1)
    if woman and age >= 55:
        truth["first_year_fracture"] = int(first.event == 1 and first.years <= 1)
    if table["falls"]:
        truth["fracture_in_fallers"] = int(first.event == 1)
    if drawn.deformities:
        truth["subsequent_vertebral_fracture"] = int(vertebral.event == 1 and vertebral.years <= 2)
    return truth
