"""Made patients with a table, bone densities, and fragility fractures in follow-up; no images."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from trabecula.case import Case
from trabecula.phantom.people import person

if TYPE_CHECKING:
    from collections.abc import Mapping

    from trabecula.case import Truth

PATIENTS = 2000
SETTINGS: Mapping[str, Any] = {
    "enriched": True,  # one third a WHO class; False: people from 40 on as they are
    "bone_shift": 0.0,  # young SDs of bone density added after everything else was drawn
}


def make(patient: int, seed: int, settings: Mapping[str, Any]) -> Case:
    """Draw one patient; 20,000 take about 3 s, since whole blocks of people are drawn at once.

    Raises `ValueError` for a negative patient or seed.
    """
    drawn = person(patient, seed, enriched=settings["enriched"], bone_shift=settings["bone_shift"])
    outcome = drawn.outcomes["time_to_any_fracture"]
    truth: dict[str, Truth] = {
        "fragility_fracture": int(outcome.event == 1),
        "time_to_any_fracture": outcome,
        "past_fracture": int(drawn.table["previous_fracture"]),
    }
    if drawn.who_class is not None:
        truth |= {"osteoporosis_dxa": int(drawn.who_class == 2), "who_class_dxa": drawn.who_class}
    name = f"{patient:06d}"
    return Case(id=name, patient=name, table=drawn.table, truth=truth, weight=drawn.weight)
