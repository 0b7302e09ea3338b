"""Made patients with an AP knee radiograph, whose bone density is known."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from trabecula.case import Case, Images
from trabecula.phantom.chance import Chance
from trabecula.phantom.film import Film
from trabecula.phantom.knee import Bone, Leg
from trabecula.phantom.knee_xray import KneeXray
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
}

# Five departments, invented: their detectors, beams, display curves and habits of cropping.
_SITES = {
    "north": ("Aster DR 1", Film(
        rows=320, columns=240, spacing_mm=0.68, shutter=(0.0, 0.0, 0.0, 0.0), black=0.0, boxed=True,
        kvp=60, photons=60e3, scatter=0.35, blur_mm=0.35, latitude=2.3, middle=0.35)),
    "south": ("Aster DR 2", Film(
        rows=288, columns=256, spacing_mm=0.80, shutter=(0.0, 0.0, 0.12, 0.12), black=0.02, boxed=False,
        kvp=66, photons=90e3, scatter=0.25, blur_mm=0.40, latitude=2.0, middle=0.32)),
    "east": ("Borea CR", Film(
        rows=304, columns=192, spacing_mm=0.78, shutter=(0.04, 0.05, 0.0, 0.0), black=0.0, boxed=True,
        kvp=57, photons=30e3, scatter=0.45, blur_mm=0.60, latitude=2.6, middle=0.37)),
    "west": ("Corda CR", Film(
        rows=256, columns=256, spacing_mm=0.84, shutter=(0.02, 0.02, 0.10, 0.10), black=0.06, boxed=False,
        kvp=63, photons=45e3, scatter=0.30, blur_mm=0.50, latitude=2.2, middle=0.31)),
    "centre": ("Delos DR", Film(
        rows=312, columns=216, spacing_mm=0.70, shutter=(0.0, 0.0, 0.0, 0.0), black=0.0, boxed=True,
        kvp=70, photons=120e3, scatter=0.30, blur_mm=0.30, latitude=2.0, middle=0.33)),
}  # fmt: skip
_SHORTCUT = {True: ("north", "east"), False: ("south", "west", "centre")}


def make(patient: int, seed: int, settings: Mapping[str, Any]) -> Case:
    """Draw one patient; the picture is made when it is asked for, in some 0.05 s.

    Raises `ValueError` for a negative patient or seed, a shortcut outside 0 to 1, or noise that is not positive.
    """
    drawn = person(patient, seed, enriched=settings["enriched"], bone_shift=settings["bone_shift"])
    chance = Chance(seed, np.array([patient]))
    label = None if drawn.who_class is None else int(drawn.who_class == 2)
    site = _site(chance, bool(label), settings["shortcut"])
    scanner, film = _SITES[site]
    film = _taken(chance, film, settings)
    side = "R" if chance.uniform("side")[0] < 0.5 else "L"
    name = f"{patient:06d}"
    table = {v: drawn.table[v] for v in ("age_years", "sex", "height_cm", "weight_kg", "bmi_kg_m2")}
    source = KneeXray(
        patient=patient,
        seed=seed,
        side=side,
        leg=Leg(
            age=float(table["age_years"]), male=table["sex"] == "male", height_cm=float(table["height_cm"]),
            bmi=float(table["bmi_kg_m2"]),
        ),
        bone=Bone(trabecular=drawn.skeleton.trabecular, cortical=drawn.skeleton.cortical),
        film=film,
    )  # fmt: skip
    truth = {} if label is None or drawn.who_class is None else {
        "osteoporosis_knee_label": label,
        "osteoporosis_dxa": label,
        "who_class_dxa": drawn.who_class,
        "knee_label_three": drawn.who_class,
    }  # fmt: skip
    groups = {
        "site": site, "scanner": scanner, "kvp": f"{film.kvp:g}", "rows": str(film.rows), "columns": str(film.columns)
    }  # fmt: skip
    return Case(
        id=name, patient=name, images=Images({"knee_xray": source}), table=table, groups=groups, truth=truth,
        weight=drawn.weight,
    )  # fmt: skip


def _site(chance: Chance, osteoporosis: bool, shortcut: float) -> str:
    if not 0 <= shortcut <= 1:
        raise ValueError(f"shortcut is a share from 0 to 1; got {shortcut}")
    follows = chance.uniform("shortcut")[0] < shortcut
    sites = _SHORTCUT[osteoporosis] if follows else tuple(_SITES)
    return sites[int(chance.uniform("site")[0] * len(sites))]


def _taken(chance: Chance, film: Film, settings: Mapping[str, Any]) -> Film:
    """Return one picture's film: cropping, distance, beam and exposure differ a little within a site too."""
    if not settings["noise_scale"] > 0:
        raise ValueError(f"noise_scale is a positive factor; got {settings['noise_scale']}")
    return replace(
        film,
        rows=film.rows + 8 * (int(5 * chance.uniform("rows")[0]) - 2),
        columns=film.columns + 8 * (int(9 * chance.uniform("columns")[0]) - 4),
        spacing_mm=round(film.spacing_mm * (1 + 0.07 * float(chance.normal("distance")[0])), 3),
        kvp=film.kvp + round(2 * float(chance.normal("kvp")[0])) + settings["kvp_shift"],
        photons=film.photons / settings["noise_scale"] ** 2,
        middle=film.middle + 0.08 * float(chance.normal("exposure")[0]),
        latitude=film.latitude * (1 + 0.06 * float(chance.normal("latitude")[0])),
    )
