"""Made patients with a panoramic radiograph, whose bone density is known."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from trabecula.case import Case, Images
from trabecula.phantom import sites
from trabecula.phantom.anatomy.mandible import jaw_bone
from trabecula.phantom.anatomy.mandibular_cortex import klemetti_class
from trabecula.phantom.chance import Chance
from trabecula.phantom.panoramic import Panoramic, PanoramicMask
from trabecula.phantom.people import person

if TYPE_CHECKING:
    from collections.abc import Mapping

PATIENTS = 300
SETTINGS: Mapping[str, Any] = {
    "enriched": True,  # one third a WHO class; False: people as they are, those without a WHO class unlabelled
    "shortcut": 0.0,  # share of patients whose site follows their label instead of chance, 0 to 1
    "bone_shift": 0.0,  # young SDs of bone density added after everything else was drawn: a twin
    "kvp_shift": 0.0,  # kV added to the tube voltage of the site: the same bone, another beam
    "noise_scale": 1.0,  # factor on the SD of quantum noise
    "shift_mm": 0.0,  # how much higher the head stands: the same bone, another position
}


def make(patient: int, seed: int, settings: Mapping[str, Any]) -> Case:
    """Draw one patient; the picture is made when it is asked for, in some 1.5 s.

    Raises `ValueError` for a negative patient or seed, a shortcut outside 0 to 1, or noise that is not positive.
    """
    drawn = person(patient, seed, enriched=settings["enriched"], bone_shift=settings["bone_shift"])
    chance = Chance(seed, np.array([patient]))
    site = sites.choose(chance, drawn.who_class == 2, settings["shortcut"])
    exam = sites.Exam(kvp_shift=settings["kvp_shift"], noise_scale=settings["noise_scale"])
    film = sites.film(chance, site, "panoramic", exam)
    table = {v: drawn.table[v] for v in ("age_years", "sex", "height_cm", "weight_kg", "bmi_kg_m2")}
    picture = Panoramic(
        patient=patient,
        seed=seed,
        age=float(table["age_years"]),
        male=table["sex"] == "male",
        bmi=float(table["bmi_kg_m2"]),
        bone=jaw_bone(drawn.skeleton.trabecular, drawn.skeleton.cortical, chance),
        film=film,
        shift_mm=settings["shift_mm"],
    )
    truth = {"mandibular_cortex_class": klemetti_class(picture.bone.erosion)}
    if drawn.who_class is not None:
        truth |= {
            "osteoporosis_dxa": int(drawn.who_class == 2),
            "low_bone_mass_dxa": int(drawn.who_class > 0),
            "who_class_dxa": drawn.who_class,
        }
    name = f"{patient:06d}"
    return Case(
        id=name,
        patient=name,
        images=Images({"panoramic": picture}),
        masks=Images({"bone": PanoramicMask(picture=picture)}),
        table=table,
        groups=sites.groups(site, film, "panoramic"),
        truth=truth,
        weight=drawn.weight,
    )
