"""Made patients with a CT of one hip on calibration rods, whose bone density is known."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from trabecula.case import Case, Images
from trabecula.phantom import sites
from trabecula.phantom.anatomy.hip_owner import hip_owner
from trabecula.phantom.chance import Chance
from trabecula.phantom.hip_ct import MASKS, HipCT
from trabecula.phantom.hip_truth import bone_truth, drawn_with_hip_fractures, fracture_truth

if TYPE_CHECKING:
    from collections.abc import Mapping

PATIENTS = 1000
SETTINGS: Mapping[str, Any] = {
    "enriched": True,  # one third a WHO class; False: people as they are, those without a WHO class unlabelled
    "shortcut": 0.0,  # share of patients whose site follows their label instead of chance, 0 to 1
    "bone_shift": 0.0,  # young SDs of bone density added after everything else was drawn: a twin
    "kvp_shift": 0.0,  # kV added to the tube voltage of the site: the same bone, another beam
    "noise_scale": 1.0,  # factor on the SD of noise
    "kernel": "site",  # a reconstruction kernel, or the site's own
    "shift_mm": 0.0,  # how much further to the patient's left the field lies: the same bone, another position
    "fractured": 0.12,  # share of patients drawn from those who break a hip in follow-up; weighted back
    "strength": "bone",  # what breaks: "bone" all of it, "bmd" of the neck alone, or "femur" that BMD and shape
}
_TABLE = ("age_years", "sex", "height_cm", "weight_kg", "bmi_kg_m2")
_TURNED_DEG = (0.0, 6.0)  # mean and SD of how far a leg that lies at ease is turned inwards; ours
_RODS = {
    "north": ("hydroxyapatite", (0.0, 50.0, 100.0, 200.0)),
    "south": ("k2hpo4", (0.0, 50.0, 100.0, 150.0, 200.0)),
    "east": ("hydroxyapatite", (0.0, 75.0, 150.0)),
    "west": ("k2hpo4", (0.0, 75.0, 150.0, 225.0)),
    "centre": ("hydroxyapatite", (0.0, 50.0, 100.0, 150.0, 200.0)),
}
_WIDER = 1.2  # pixels of a field about both hips over those of one about the spine


def make(patient: int, seed: int, settings: Mapping[str, Any]) -> Case:
    """Draw one patient; the volume is made when it is asked for, in some 5 s.

    Raises `ValueError` for a negative patient or seed, a shortcut outside 0 to 1, or noise that is not positive, and
    `KeyError` for an unknown kernel.
    """
    chance = Chance(seed, np.array([patient]))
    drawn = drawn_with_hip_fractures(patient, seed, chance, settings)
    site = sites.choose(chance, drawn.who_class == 2, settings["shortcut"])
    exam = sites.Exam(kvp_shift=settings["kvp_shift"], noise_scale=settings["noise_scale"], kernel=settings["kernel"])
    scanner = sites.ct_scanner(chance, site, exam)
    scanner = replace(scanner, pixel_mm=round(scanner.pixel_mm * _WIDER, 3))
    off = np.clip([chance.normal(f"hip {axis}")[0] for axis in ("across", "up", "turn")], -2.5, 2.5)
    rods, rods_mg_cm3 = _RODS[site.name]
    volume = HipCT(
        owner=hip_owner(drawn, seed), side="R" if chance.uniform("side")[0] < 0.5 else "L", scanner=scanner,
        rotation_deg=_TURNED_DEG[0] + _TURNED_DEG[1] * float(off[2]), rods=rods, rods_mg_cm3=rods_mg_cm3,
        shift_mm=(4 * float(off[0]) + settings["shift_mm"], 0.0, 4 * float(off[1])),
    )  # fmt: skip
    name = f"{patient:06d}"
    return Case(
        id=name,
        patient=name,
        part="right" if volume.side == "R" else "left",
        images=Images({"hip_ct": volume}),
        masks=Images({role: replace(volume, role=role) for role in MASKS}),
        table={variable: drawn.table[variable] for variable in _TABLE},
        groups=sites.groups(site, scanner) | {"contrast": "none", "rods": rods},
        truth={**bone_truth(drawn), **fracture_truth(drawn)},
        weight=drawn.weight,
    )
