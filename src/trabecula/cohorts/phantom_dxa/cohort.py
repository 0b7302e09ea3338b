"""Made patients with DXA scans of hip and spine, most of them at two visits, whose bone density is known."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from trabecula.case import Case, Images
from trabecula.phantom import sites
from trabecula.phantom.anatomy.hip_owner import hip_owner
from trabecula.phantom.anatomy.trunk import Trunk
from trabecula.phantom.chance import Chance
from trabecula.phantom.dxa_scan import HipScan
from trabecula.phantom.hip_truth import bone_truth, drawn_with_hip_fractures, fracture_truth
from trabecula.phantom.later import last_seen, visit_date, years_later
from trabecula.phantom.spine_scan import SpineScan

if TYPE_CHECKING:
    from collections.abc import Mapping

    from trabecula.case import Truth
    from trabecula.image import Source
    from trabecula.phantom.people import Person

PATIENTS = 1000
SETTINGS: Mapping[str, Any] = {
    "enriched": True,  # one third a WHO class; False: people as they are, those without a WHO class unlabelled
    "shortcut": 0.0,  # share of patients whose site follows their label instead of chance, 0 to 1
    "bone_shift": 0.0,  # young SDs of bone density added after everything else was drawn: a twin
    "kvp_shift": 0.0,  # kV added to both tube voltages of the site: the same bone, another beam
    "noise_scale": 1.0,  # factor on the SD of quantum noise
    "shift_mm": 0.0,  # how much further to the patient's left the fields lie: the same bone, another position
    "fractured": 0.12,  # share of patients drawn from those who break a hip in follow-up; weighted back
    "strength": "bone",  # what breaks: "bone" all of it, "bmd" of the neck alone, or "femur" that BMD and shape
    "second_visits": 0.7,  # share of patients who are asked to come back; those who died or broke a hip do not
}
_TABLE = (
    "age_years", "sex", "height_cm", "weight_kg", "bmi_kg_m2", "bmd_femoral_neck_g_cm2", "bmd_total_hip_g_cm2",
    "bmd_lumbar_g_cm2", "t_score_femoral_neck", "t_score_total_hip", "t_score_lumbar", "t_score_lowest",
)  # fmt: skip
_RETURN_YEARS = (1.0, 4.0)
_OFF_DEG, _OFF_MM = 2.5, 4.0  # SD of how far a leg is turned, and a field placed, differently at every visit; ours


def make(patient: int, seed: int, settings: Mapping[str, Any]) -> tuple[Case, ...]:
    """Draw one patient with one visit or two; scans are made when they are asked for, in some 1.5 s.

    Raises `ValueError` for a negative patient or seed, a share outside 0 to 1, or noise that is not positive.
    """
    if not 0 <= settings["second_visits"] <= 1:
        raise ValueError(f"second_visits is a share from 0 to 1; got {settings['second_visits']}")
    chance = Chance(seed, np.array([patient]))
    drawn = drawn_with_hip_fractures(patient, seed, chance, settings)
    visits = [(0.0, drawn)]
    first, last = _RETURN_YEARS
    years = round(first + (last - first) * float(chance.uniform("years to DXA")[0]), 2)
    usual = drawn_with_hip_fractures(patient, seed, chance, {**settings, "bone_shift": 0.0})
    seen = min(last_seen(usual), usual.outcomes["time_to_hip_fracture"].years)  # a twin comes back as often
    if chance.uniform("returns to DXA")[0] < settings["second_visits"] and years < seen:
        visits.append((years, years_later(drawn, years, patient=patient, seed=seed)))
    days = [visit_date(chance, after) for after, _ in visits]
    return tuple(_visit(n, one, days[n], (patient, seed), settings) for n, (_, one) in enumerate(visits))


def _visit(visit: int, drawn: Person, day: str, who: tuple[int, int], settings: Mapping[str, Any]) -> Case:
    patient, seed = who
    chance = Chance(seed, np.array([patient]))
    site = sites.choose(chance, drawn.who_class == 2, settings["shortcut"])
    exam = sites.Exam(visit=visit, kvp_shift=settings["kvp_shift"], noise_scale=settings["noise_scale"])
    device = sites.densitometer(site, exam)
    turn, *off = (
        float(np.clip(chance.normal(f"DXA {name}", visit)[0], -2.5, 2.5))
        for name in ("turn", "across", "up", "spine across", "spine up")
    )
    across, up, spine_across, spine_up = (_OFF_MM * each for each in off)
    further = settings["shift_mm"]
    hip = HipScan(
        owner=hip_owner(drawn, seed), side="R" if chance.uniform("side")[0] < 0.5 else "L", device=device,
        visit=visit, off_deg=_OFF_DEG * turn, shift_mm=(across + further, up),
    )  # fmt: skip
    spine = SpineScan(
        trunk=Trunk.of(drawn, patient, seed), device=device, visit=visit, shift_mm=(spine_across + further, spine_up)
    )
    images: dict[str, Source] = {
        **{part: replace(hip, part=part) for part in ("hip_dxa", "hip_dxa_low", "hip_dxa_high")},
        **{part: replace(spine, part=part) for part in ("spine_dxa", "spine_dxa_low", "spine_dxa_high")},
    }
    masks: dict[str, Source] = {
        **{part: replace(hip, part=part) for part in ("hip_regions", "proximal_femur", "bone")},
        "vertebral_bodies": replace(spine, part="vertebral_bodies"),
    }
    name = f"{patient:06d}"
    return Case(
        id=name if visit == 0 else f"{name}_{visit + 1}",
        patient=name,
        images=Images(images),
        masks=Images(masks),
        table={variable: drawn.table[variable] for variable in _TABLE},
        groups=sites.groups(site, device) | {"date": day},
        truth=_truth(drawn) | {"hip_region_mask": masks["hip_regions"]},
        weight=drawn.weight,
    )


def _truth(drawn: Person) -> dict[str, Truth]:
    """Return what is true at a visit, what the scans themselves show included."""
    table = drawn.table
    truth: dict[str, Truth] = {
        **bone_truth(drawn),
        **fracture_truth(drawn),
        "bmd_lumbar": float(table["bmd_lumbar_g_cm2"]),
        "dxa_region_bmd": float(table["bmd_total_hip_g_cm2"]),
    }
    if drawn.who_class is not None:
        truth |= {
            "osteoporosis_spine_dxa": int(float(table["t_score_lumbar"]) <= -2.5),
            "dxa_map_t_score": float(table["t_score_lowest"]),
            "dxa_map_osteoporosis": int(drawn.who_class == 2),
        }
    return truth
