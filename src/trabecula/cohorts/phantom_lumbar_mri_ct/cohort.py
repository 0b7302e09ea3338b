"""Made patients with a T1 MRI and a CT of the lumbar spine, whose bone density is known."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from trabecula.case import Case, Images
from trabecula.phantom import sites
from trabecula.phantom.anatomy.trunk import Trunk
from trabecula.phantom.chance import Chance
from trabecula.phantom.lumbar_ct import LumbarCT
from trabecula.phantom.lumbar_mri import LumbarMRI
from trabecula.phantom.people import person
from trabecula.reference import REFERENCES

if TYPE_CHECKING:
    from collections.abc import Mapping

    from trabecula.case import Truth
    from trabecula.phantom.people import Person

PATIENTS = 200
SETTINGS: Mapping[str, Any] = {
    "enriched": True,  # one third a WHO class; False: people as they are, those without a WHO class unlabelled
    "shortcut": 0.0,  # share of patients whose site follows their label instead of chance, 0 to 1
    "bone_shift": 0.0,  # young SDs of bone density added after everything else was drawn: a twin
    "kvp_shift": 0.0,  # kV added to the CT's tube voltage: the same bone, another beam
    "noise_scale": 1.0,  # factor on the SD of noise in both volumes
    "kernel": "site",  # a reconstruction kernel of CT, or the site's own
    "shift_mm": 0.0,  # how far both fields are moved to the left and up: the same bone, another position
}

_MATRIX, _LENGTH_MM = 192, 180.0
_TABLE = ("age_years", "sex", "height_cm", "weight_kg", "bmi_kg_m2")


def make(patient: int, seed: int, settings: Mapping[str, Any]) -> Case:
    """Draw one patient; a volume is made when it is asked for, in some 4 s.

    Raises `ValueError` for a negative patient or seed, a shortcut outside 0 to 1, or noise that is not positive, and
    `KeyError` for an unknown kernel.
    """
    drawn = person(patient, seed, enriched=settings["enriched"], bone_shift=settings["bone_shift"])
    chance = Chance(seed, np.array([patient]))
    site = sites.choose(chance, drawn.who_class == 2, settings["shortcut"])
    exam = sites.Exam(kvp_shift=settings["kvp_shift"], noise_scale=settings["noise_scale"], kernel=settings["kernel"])
    scanner, echo = sites.ct_scanner(chance, site, exam), sites.spin_echo(chance, site, exam)
    trunk, shift = Trunk.of(drawn, patient, seed), float(settings["shift_mm"])
    mri = LumbarMRI(trunk=trunk, echo=echo, shift_mm=shift)
    ct = LumbarCT(
        trunk=trunk, scanner=scanner, rods_mg_cm3=(), field_mm=(_LENGTH_MM, _MATRIX * scanner.pixel_mm),
        shift_mm=(shift, 0.0, shift),
    )  # fmt: skip
    of_ct = sites.groups(site, scanner)
    facts = sites.groups(site, echo) | {
        "ct_scanner": of_ct["scanner"], "kvp": of_ct["kvp"], "kernel": of_ct["kernel"],
        "ct_pixel_mm": of_ct["pixel_mm"], "ct_slice_mm": of_ct["slice_mm"],
    }  # fmt: skip
    name = f"{patient:06d}"
    return Case(
        id=name,
        patient=name,
        images=Images({"lumbar_mri": mri, "lumbar_ct": ct}),
        masks=Images({"vertebral_bodies": replace(mri, role="vertebral_bodies")}),
        table={v: drawn.table[v] for v in _TABLE},
        groups=facts,
        truth=_truth(drawn),
        weight=drawn.weight,
    )


def _truth(drawn: Person) -> dict[str, Truth]:
    table = drawn.table
    truth: dict[str, Truth] = {"bmd_lumbar": float(table["bmd_lumbar_g_cm2"])}
    if drawn.who_class is None:
        return truth
    return truth | {
        "osteoporosis_spine_dxa": int(float(table["t_score_lumbar"]) <= REFERENCES["who_osteoporosis"].value),
        "osteoporosis_dxa": int(drawn.who_class == 2),
        "low_bone_mass_dxa": int(drawn.who_class > 0),
        "who_class_dxa": drawn.who_class,
        "t_score_lowest": float(table["t_score_lowest"]),
    }
