"""Made patients with an AP knee radiograph, whose bone density is known."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from trabecula.case import Case, Images
from trabecula.phantom import sites
from trabecula.phantom.anatomy.knee import KneeBone, Leg
from trabecula.phantom.chance import Chance
from trabecula.phantom.knee_xray import KneeMask, KneeXray
from trabecula.phantom.people import person

if TYPE_CHECKING:
    from collections.abc import Mapping

PATIENTS = 300
SETTINGS: Mapping[str, Any] = {
    "enriched": True,  # one third a WHO class; False: people from 20 on, those without a WHO class unlabelled
    "shortcut": 0.0,  # share of patients whose site follows their label instead of chance, 0 to 1
    "bone_shift": 0.0,  # young SDs of bone density added after everything else was drawn: a twin
    "kvp_shift": 0.0,  # kV added to the tube voltage of the site: the same bone, another beam
    "noise_scale": 1.0,  # factor on the SD of quantum noise
    "shift_mm": 0.0,  # how much higher on the leg the film lies: the same bone, another position
}


def make(patient: int, seed: int, settings: Mapping[str, Any]) -> Case:
    """Draw one patient; the picture is made when it is asked for, in some 0.3 s.

    Raises `ValueError` for a negative patient or seed, a shortcut outside 0 to 1, or noise that is not positive.
    """
    drawn = person(patient, seed, enriched=settings["enriched"], bone_shift=settings["bone_shift"])
    chance = Chance(seed, np.array([patient]))
    label = None if drawn.who_class is None else int(drawn.who_class == 2)
    site = sites.choose(chance, bool(label), settings["shortcut"])
    exam = sites.Exam(kvp_shift=settings["kvp_shift"], noise_scale=settings["noise_scale"])
    film = sites.film(chance, site, "knee", exam)
    table = {v: drawn.table[v] for v in ("age_years", "sex", "height_cm", "weight_kg", "bmi_kg_m2")}
    picture = KneeXray(
        patient=patient,
        seed=seed,
        side="R" if chance.uniform("side")[0] < 0.5 else "L",
        leg=Leg(
            age=float(table["age_years"]), male=table["sex"] == "male", height_cm=float(table["height_cm"]),
            bmi=float(table["bmi_kg_m2"]),
        ),
        bone=KneeBone(trabecular=drawn.skeleton.trabecular, cortical=drawn.skeleton.cortical),
        film=film,
        shift_mm=settings["shift_mm"],
    )  # fmt: skip
    truth = {} if label is None or drawn.who_class is None else {
        "osteoporosis_knee_label": label,
        "osteoporosis_dxa": label,
        "who_class_dxa": drawn.who_class,
        "knee_label_three": drawn.who_class,
    }  # fmt: skip
    name = f"{patient:06d}"
    return Case(
        id=name,
        patient=name,
        images=Images({"knee_xray": picture}),
        masks=Images({"bone": KneeMask(picture=picture)}),
        table=table,
        groups=sites.groups(site, film, "knee"),
        truth=truth,
        weight=drawn.weight,
    )
