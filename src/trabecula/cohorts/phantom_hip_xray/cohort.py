"""Made patients with an AP radiograph of one hip, whose bone density is known."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from trabecula.case import Case, Images
from trabecula.phantom import sites
from trabecula.phantom.anatomy.hip_owner import hip_owner
from trabecula.phantom.chance import Chance
from trabecula.phantom.hip_truth import bone_truth
from trabecula.phantom.hip_xray import HipXray
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
    "shift_mm": 0.0,  # how much further to the patient's left the film lies: the same bone, another position
}
_TABLE = ("age_years", "sex", "height_cm", "weight_kg", "bmi_kg_m2")
_TURNED_DEG = (12.0, 5.0)  # mean and SD of how far a leg is turned inwards, 15 being asked for; ours


def make(patient: int, seed: int, settings: Mapping[str, Any]) -> Case:
    """Draw one patient; the picture is made when it is asked for, in some 1.5 s.

    Raises `ValueError` for a negative patient or seed, a shortcut outside 0 to 1, or noise that is not positive.
    """
    drawn = person(patient, seed, enriched=settings["enriched"], bone_shift=settings["bone_shift"])
    chance = Chance(seed, np.array([patient]))
    site = sites.choose(chance, drawn.who_class == 2, settings["shortcut"])
    film = sites.film(
        chance, site, "hip", sites.Exam(kvp_shift=settings["kvp_shift"], noise_scale=settings["noise_scale"])
    )
    off = np.clip([chance.normal(f"hip {axis}")[0] for axis in ("across", "up", "turn")], -2.5, 2.5)
    picture = HipXray(
        owner=hip_owner(drawn, seed),
        side="R" if chance.uniform("side")[0] < 0.5 else "L",
        film=film,
        rotation_deg=_TURNED_DEG[0] + _TURNED_DEG[1] * float(off[2]),
        shift_mm=(5 * float(off[0]) + settings["shift_mm"], 5 * float(off[1])),
    )
    regions, femur = (replace(picture, part=part) for part in ("hip_regions", "proximal_femur"))
    name = f"{patient:06d}"
    return Case(
        id=name,
        patient=name,
        part="right" if picture.side == "R" else "left",
        images=Images({"hip_xray": picture}),
        masks=Images({"hip_regions": regions, "proximal_femur": femur}),
        table={variable: drawn.table[variable] for variable in _TABLE},
        groups=sites.groups(site, film, "hip"),
        truth={**bone_truth(drawn), "hip_region_mask": regions},
        weight=drawn.weight,
    )
