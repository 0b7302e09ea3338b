"""Made patients with a periapical radiograph of the lower molars, whose bone density is known."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from trabecula.case import Case, Images
from trabecula.phantom import sites
from trabecula.phantom.anatomy.mandible import jaw_bone
from trabecula.phantom.chance import Chance
from trabecula.phantom.people import person
from trabecula.phantom.periapical import NAMES, Periapical, PeriapicalMask

if TYPE_CHECKING:
    from collections.abc import Mapping

PATIENTS = 300
SETTINGS: Mapping[str, Any] = {
    "enriched": True,  # one third a WHO class; False: people as they are, those without a WHO class unlabelled
    "shortcut": 0.0,  # share of patients whose site follows their label instead of chance, 0 to 1
    "bone_shift": 0.0,  # young SDs of bone density added after everything else was drawn: a twin
    "kvp_shift": 0.0,  # kV added to the tube voltage of the site: the same bone, another beam
    "noise_scale": 1.0,  # factor on the SD of quantum noise
    "shift_mm": 0.0,  # how much further back the film lies: the same bone, another position
}


def make(patient: int, seed: int, settings: Mapping[str, Any]) -> Case:
    """Draw one patient; the picture is made when it is asked for, in some 0.5 s.

    Raises `ValueError` for a negative patient or seed, a shortcut outside 0 to 1, or noise that is not positive.
    """
    drawn = person(patient, seed, enriched=settings["enriched"], bone_shift=settings["bone_shift"])
    chance = Chance(seed, np.array([patient]))
    site = sites.choose(chance, drawn.who_class == 2, settings["shortcut"])
    exam = sites.Exam(kvp_shift=settings["kvp_shift"], noise_scale=settings["noise_scale"])
    film = sites.film(chance, site, "periapical", exam)
    table = {v: drawn.table[v] for v in ("age_years", "sex", "height_cm", "weight_kg", "bmi_kg_m2")}
    picture = Periapical(
        patient=patient,
        seed=seed,
        side="R" if chance.uniform("side")[0] < 0.5 else "L",
        age=float(table["age_years"]),
        male=table["sex"] == "male",
        bmi=float(table["bmi_kg_m2"]),
        bone=jaw_bone(drawn.skeleton.trabecular, drawn.skeleton.cortical, chance),
        film=film,
        shift_mm=settings["shift_mm"],
    )
    truth = {} if drawn.who_class is None else {
        "osteoporosis_dxa": int(drawn.who_class == 2),
        "low_bone_mass_dxa": int(drawn.who_class > 0),
        "who_class_dxa": drawn.who_class,
    }  # fmt: skip
    name = f"{patient:06d}"
    return Case(
        id=name,
        patient=name,
        images=Images({"periapical": picture}),
        masks=Images({what: PeriapicalMask(picture=picture, what=what) for what in NAMES}),
        table=table,
        groups=sites.groups(site, film, "periapical"),
        truth=truth,
        weight=drawn.weight,
    )
