"""Made patients with a CT of L1 to L4 on calibration rods, whose bone density is known."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from trabecula.case import Case, Images
from trabecula.cohorts.phantom_lumbar_ct.parts import vertebrae
from trabecula.image import Source
from trabecula.phantom import sites
from trabecula.phantom.anatomy.trunk import Trunk
from trabecula.phantom.chance import Chance
from trabecula.phantom.lumbar_ct import MASKS, LumbarCT
from trabecula.phantom.people import person
from trabecula.reference import REFERENCES, genant_grade

if TYPE_CHECKING:
    from collections.abc import Mapping

    from trabecula.case import Truth
    from trabecula.phantom.people import Person

PATIENTS = 300
SETTINGS: Mapping[str, Any] = {
    "enriched": True,  # one third a WHO class; False: people as they are, those without a WHO class unlabelled
    "shortcut": 0.0,  # share of patients whose site follows their label instead of chance, 0 to 1
    "bone_shift": 0.0,  # young SDs of bone density added after everything else was drawn: a twin
    "kvp_shift": 0.0,  # kV added to the tube voltage of the site: the same bone, another beam
    "noise_scale": 1.0,  # factor on the SD of noise
    "kernel": "site",  # a reconstruction kernel, or the site's own
    "contrast": "drawn",  # a contrast phase, or one by chance
    "strength": "bone",  # what breaks: "bone" all of it, "bmd" of the neck alone, or "femur" that BMD and shape
    "parts": "patients",  # what a case is: a patient, or with "vertebrae" each of L1 to L4
    "shift_mm": 0.0,  # how far the field is moved to the left and up: the same bone, another position
}

_MATRIX, _LENGTH_MM = 256, 180.0
_RODS = {
    "north": ("hydroxyapatite", (0.0, 50.0, 100.0, 200.0)),
    "south": ("k2hpo4", (0.0, 50.0, 100.0, 150.0, 200.0)),
    "east": ("hydroxyapatite", (0.0, 75.0, 150.0)),
    "west": ("k2hpo4", (0.0, 75.0, 150.0, 225.0)),
    "centre": ("hydroxyapatite", (0.0, 50.0, 100.0, 150.0, 200.0)),
}
_PHASES = (("none", 0.62), ("arterial", 0.10), ("portal_venous", 0.28))
_UNSEEN = ("trabecular_bone_score",)  # of another scan
_SEEN = ("L1", "L2", "L3", "L4", "L5")
_YOUNG_MG_CM3 = (164.0, 29.0)
"""Mean and SD of the trabecular density of women of 20 to 29 as they are made, hydroxyapatite; ours, not published."""


def qct_t_score(vbmd_mg_cm3: float) -> float:
    """Return how many SDs a trabecular density lies from that of made young women, for women and men alike."""
    mean, sd = _YOUNG_MG_CM3
    return (vbmd_mg_cm3 - mean) / sd


def make(patient: int, seed: int, settings: Mapping[str, Any]) -> Case | tuple[Case, ...]:
    """Draw one patient, or each of the vertebrae; the volume is made when it is asked for, in some 5 s.

    Raises `ValueError` for a negative patient or seed, a shortcut outside 0 to 1, noise that is not positive, or parts
    that are neither patients nor vertebrae, and `KeyError` for an unknown kernel.
    """
    if settings["parts"] not in ("patients", "vertebrae"):
        raise ValueError(f"parts are patients or vertebrae; got {settings['parts']!r}")
    whole = _patient(patient, seed, settings)
    return whole if settings["parts"] == "patients" else vertebrae(whole)


def _patient(patient: int, seed: int, settings: Mapping[str, Any]) -> Case:
    drawn = person(
        patient, seed, enriched=settings["enriched"], bone_shift=settings["bone_shift"], strength=settings["strength"]
    )
    chance = Chance(seed, np.array([patient]))
    site = sites.choose(chance, drawn.who_class == 2, settings["shortcut"])
    exam = sites.Exam(kvp_shift=settings["kvp_shift"], noise_scale=settings["noise_scale"], kernel=settings["kernel"])
    scanner = sites.ct_scanner(chance, site, exam)
    rods, rods_mg_cm3 = _RODS[site.name]
    beside, up = (4 * float(chance.normal(f"ct field {axis}")[0]) + settings["shift_mm"] for axis in ("x", "z"))
    contrast = _phase(chance) if settings["contrast"] == "drawn" else settings["contrast"]
    recipe = LumbarCT(
        trunk=Trunk.of(drawn, patient, seed), scanner=scanner, contrast=contrast, rods=rods, rods_mg_cm3=rods_mg_cm3,
        field_mm=(_LENGTH_MM, _MATRIX * scanner.pixel_mm), shift_mm=(beside, 0.0, up),
    )  # fmt: skip
    masks: dict[str, Source] = {role: replace(recipe, role=role) for role in MASKS}
    name = f"{patient:06d}"
    return Case(
        id=name,
        patient=name,
        images=Images({"lumbar_ct": recipe}),
        masks=Images(masks),
        table={name: value for name, value in drawn.table.items() if name not in _UNSEEN},
        groups=sites.groups(site, scanner) | {"contrast": contrast, "rods": rods},
        truth=_truth(drawn) | {"vertebral_body_mask": masks["vertebral_bodies"]},
        weight=drawn.weight,
    )


def _phase(chance: Chance) -> str:
    place = float(chance.uniform("contrast phase")[0])
    for phase, share in _PHASES:
        if (place := place - share) < 0:
            return phase
    return "none"


def _truth(drawn: Person) -> dict[str, Truth]:
    """Return what is true of a person; the WHO classes only where they are defined, survival from 50 on."""
    table, vbmd = drawn.table, drawn.skeleton.lumbar_vbmd_mg_cm3
    grade = max((genant_grade(each.loss) for each in drawn.deformities if each.level in _SEEN), default=0)
    low, high = (REFERENCES[name].value for name in ("qct_osteoporosis", "qct_normal"))
    class_ = int(vbmd <= high) + int(vbmd < low)
    truth: dict[str, Truth] = {
        "bmd_lumbar": float(table["bmd_lumbar_g_cm2"]),
        "qct_osteoporosis": int(vbmd < low),
        "qct_class": class_,
        "qct_t_score": qct_t_score(vbmd),
        "vertebral_fracture": int(grade > 0),
        "genant_grade": grade,
    }
    if class_ > 0:
        truth["qct_osteoporosis_or_osteopenia"] = class_ - 1
    if drawn.who_class is not None:
        truth |= {
            "osteoporosis_dxa": int(drawn.who_class == 2),
            "low_bone_mass_dxa": int(drawn.who_class > 0),
            "who_class_dxa": drawn.who_class,
            "osteoporosis_spine_dxa": int(float(table["t_score_lumbar"]) <= REFERENCES["who_osteoporosis"].value),
            "t_score_lowest": float(table["t_score_lowest"]),
        }
    return truth | (dict(drawn.outcomes) if float(table["age_years"]) >= 50 else {})
