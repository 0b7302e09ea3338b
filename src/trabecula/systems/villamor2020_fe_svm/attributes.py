"""The 19 attributes of one hip: clinical, geometry, force of a fall, density, and what bone does under that force.

The elements are linear, so that strain and stress are found once, under `REFERENCE_N`, kept in the cache, and scaled
to the force with which this patient falls.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from trabecula.cache import remember
from trabecula.measure.elements import dxa_fall, impact_force
from trabecula.measure.elements.femur import PlateDensity
from trabecula.measure.elements.femur_landmarks import NECK_BOX_MM, femur_landmarks

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from trabecula.case import Case
    from trabecula.image import Image
    from trabecula.measure.elements.femur_landmarks import FemurLandmarks

    Floats = NDArray[np.float64]

BMD = "bmd_femoral_neck_g_cm2"
CLINICAL = ("age_years", "height_cm", "weight_kg", "bmi_kg_m2", BMD)
FORCE = "impact_force_n"
STRUCTURE = (
    "neck_width_mm", "neck_shaft_deg", "hip_axis_length_mm", "head_diameter_mm", "neck_apparent_density",
    "trochanter_apparent_density", "shaft_apparent_density",
)  # fmt: skip
RESPONSE = (
    "neck_major_strain_p95", "neck_minor_strain_p5", "neck_von_mises_p95", "trochanter_major_strain_p95",
    "trochanter_minor_strain_p5", "trochanter_von_mises_p95",
)  # fmt: skip
MECHANICAL = (*STRUCTURE, FORCE, *RESPONSE)
ATTRIBUTES = (*CLINICAL, *MECHANICAL)
REFERENCE_N = 3000.0

MAP_BMD = "map_bmd_femoral_neck_g_cm2"
"""The neck's areal BMD as the map has it; no attribute, but it stands in for the table's."""
_MEASURED = (*STRUCTURE, *RESPONSE, MAP_BMD)
_AXIS_MM = 3.0  # how far from the neck's axis the femur's outer face is looked for


def attributes(case: Case, *, element_mm: float, density: PlateDensity) -> dict[str, float]:
    """Return the 19 attributes, and the neck's areal BMD as the map has it, of a case with a DXA map and its femur.

    BMD of the table is NaN where it was not told; BMI follows from weight and height.
    Raises `ValueError` for a map, a femur or a patient that cannot be loaded.
    """
    found = remember(
        measured, case.images.source("hip_dxa"), case.masks.source("proximal_femur"),
        settings={"element_mm": element_mm, "density": density}, package="trabecula.measure",
    )  # fmt: skip
    numbers = dict(zip(_MEASURED, found.tolist(), strict=True))
    force = impact_force(case.number("weight_kg"), case.number("height_cm"))
    response = {name: numbers[name] * force / REFERENCE_N for name in RESPONSE}
    return {**clinical(case), **numbers, FORCE: force, **response}


def clinical(case: Case) -> dict[str, float]:
    """Return the attributes that need no map; NaN for a BMD that was not told."""
    told = {name: case.number(name) for name in CLINICAL}
    if math.isnan(told["bmi_kg_m2"]):
        told["bmi_kg_m2"] = told["weight_kg"] / (told["height_cm"] / 100) ** 2
    return told


def measured(image: Image, mask: Image, *, element_mm: float, density: PlateDensity) -> Floats:
    """Return geometry, densities and the response to `REFERENCE_N` of the femur in a DXA map, in a fixed order.

    Raises `ValueError` as `dxa_fall`.
    """
    told = dxa_fall(image, mask, force_n=REFERENCE_N, element_mm=element_mm, density=density)
    numbers = {number.name: number.value for number in told}
    inside = mask.voxels[0] > 0
    spacing = np.asarray(image.spacing)[1:]
    marks = femur_landmarks(inside, tuple(spacing), up=np.array([-1.0, 0.0]))
    numbers |= {
        "neck_width_mm": marks.neck_width_mm,
        "neck_shaft_deg": math.degrees(math.acos(float(marks.down @ marks.up))),
        "hip_axis_length_mm": _axis_length(np.argwhere(inside) * spacing, marks),
        "head_diameter_mm": 2 * marks.head_mm,
        MAP_BMD: float(image.voxels[0][_neck(inside, spacing, marks)].mean()),
    }
    return np.array([numbers[name] for name in _MEASURED])


def _axis_length(points: Floats, marks: FemurLandmarks) -> float:
    """Return the length from the top of the head to the outer face of the femur along the neck's axis, in mm.

    The acetabulum, to which the usual hip axis length reaches, is not in the mask of a femur.
    """
    along = (points - marks.head) @ marks.down
    beside = np.linalg.norm(points - marks.head - along[:, None] * marks.down, axis=1)
    return float(along[beside < _AXIS_MM].max() + marks.head_mm)


def _neck(inside: NDArray[np.bool_], spacing: Floats, marks: FemurLandmarks) -> NDArray[np.bool_]:
    """Return the neck's box, 15 mm about its narrowest place."""
    places = np.moveaxis(np.indices(inside.shape), 0, -1) * spacing - marks.head
    along = places @ marks.down
    beside = np.linalg.norm(places - along[..., None] * marks.down, axis=-1)
    near = (np.abs(along - marks.narrowest_mm) < NECK_BOX_MM / 2) & (beside < 1.15 * marks.head_mm)
    return np.asarray(inside & near)
