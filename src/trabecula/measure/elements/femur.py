"""The proximal femur in a fall to the side and in stance, from CT and from a DXA map: stiffness, strength, strains."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np

from trabecula.measure.elements.block import Block, bone_of, laid, mineral_g_cm3
from trabecula.measure.elements.brick import Elements
from trabecula.measure.elements.compression import block_modulus
from trabecula.measure.elements.density import (
    ASH_TO_APPARENT,
    CALIBRATIONS,
    PIECEWISE_FEMUR,
    ApparentDensity,
    AshDensity,
    MineralDensity,
)
from trabecula.measure.elements.femur_landmarks import FemurLandmarks, femur_landmarks
from trabecula.measure.elements.femur_loads import FAILING, FemurCase, femur_regions, load_axes, loaded
from trabecula.measure.elements.solver import solved
from trabecula.measure.elements.strain import SCHILEO_2008, load_factor, principal, quantile, von_mises
from trabecula.measure.number import Number

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from trabecula.image import Image

    Floats = NDArray[np.float64]
    Mask = NDArray[np.bool_]

PlateDensity = Literal["converted", "as_facts"]
"""`converted`: mineral of the map over thickness is ash, ash / 0.6 apparent. `as_facts`: mineral is taken for apparent,
as the facts of systems 33 and 34 write it."""

_G = 9.80665
_FLOOR_G_CM3 = 0.01  # of density; facts
_LEAST_G_CM2 = 0.01
_TOLERANCE = 1e-7


def impact_force(weight_kg: float, height_cm: float, *, soft_mm: float = 0.0) -> float:
    """Return the peak force in N of a fall to the side, less what soft tissue over the trochanter takes off.

    8.25 w sqrt(h / 170), w the weight in N, and 71 N per mm: facts of systems 33 and 34 (the latter after Robinovitch
    1995, recalled).
    Raises `ValueError` for a weight, stature or thickness that nobody has.
    """
    if not (20 <= weight_kg <= 300 and 100 <= height_cm <= 230 and 0 <= soft_mm <= 150):
        raise ValueError(f"nobody falls with {weight_kg} kg, {height_cm} cm and {soft_mm} mm of soft tissue")
    return max(8.25 * weight_kg * _G * math.sqrt(height_cm / 170) - 71 * soft_mm, 0.0)


def femoral_fall(
    image: Image, mask: Image, *, part: str = "", force_n: float = 3000.0, element_mm: float = 2.0,
    law: str = "morgan_2003_femoral_neck", calibration: str = "schileo_2008",
    hu_calibration: tuple[float, float] | None = None,
) -> list[Number]:  # fmt: skip
    """Return what a proximal femur in CT bears in a fall to the side; strains are those at `force_n`.

    `image` is in mg/cm3, or in HU with `hu_calibration` (slope and intercept in mg/cm3); `mask` names `part`, or holds
    one femur where `part` is empty. Numbers: `stiffness` under the load, `failure_load` by the principal strains of
    `SCHILEO_2008` in neck and trochanter, `load_over_strength`, `strain_energy`, `reaction` of the supports along the
    force, and for neck, trochanter and shaft
    `..._major_strain_p95`, `..._minor_strain_p5`, `..._von_mises_p95` and `..._apparent_density`. Uncertainty of the
    first three is the difference to elements twice as large.
    Raises `ValueError` for a femur that is cut off, in pieces or without a head, an image without calibrated density,
    and an unknown law.
    """
    settings = (force_n, element_mm, law, calibration, hu_calibration)
    return _of_volume(image, mask, "fall", part, settings)


def femoral_stance(
    image: Image, mask: Image, *, part: str = "", force_n: float = 2000.0, element_mm: float = 2.0,
    law: str = "morgan_2003_femoral_neck", calibration: str = "schileo_2008",
    hu_calibration: tuple[float, float] | None = None,
) -> list[Number]:  # fmt: skip
    """Return what a proximal femur in CT bears standing on one leg; for the rest see `femoral_fall`."""
    settings = (force_n, element_mm, law, calibration, hu_calibration)
    return _of_volume(image, mask, "stance", part, settings)


def dxa_fall(
    image: Image, mask: Image, *, part: str = "", force_n: float = 3000.0, element_mm: float = 1.0,
    density: PlateDensity = "converted",
) -> list[Number]:  # fmt: skip
    """Return what the proximal femur of a DXA map bears as a plate in a fall to the side; numbers as `femoral_fall`.

    `image` `[1, j, i]` is areal BMD in g/cm2, rows from the head down. One thickness for all: pi / 4 of the width of
    the neck, as if it were round. Law: `PIECEWISE_FEMUR`; see `PlateDensity` for which density it is fed.
    Raises `ValueError` for a map in another unit or with several slices, and as `femoral_fall`.
    """
    return _of_map(image, mask, "fall", part, (force_n, element_mm, density))


def dxa_stance(
    image: Image, mask: Image, *, part: str = "", force_n: float = 2000.0, element_mm: float = 1.0,
    density: PlateDensity = "converted",
) -> list[Number]:  # fmt: skip
    """Return what the proximal femur of a DXA map bears as a plate standing on one leg; see `dxa_fall`."""
    return _of_map(image, mask, "stance", part, (force_n, element_mm, density))


def dxa_fall_strain(
    image: Image, mask: Image, *, part: str = "", force_n: float = 3000.0, element_mm: float = 1.0,
    density: PlateDensity = "converted",
) -> NDArray[np.float32]:  # fmt: skip
    """Return the principal strain of a DXA map in a fall over what bone bears, `[1, j, i]`; 0 outside the bone.

    The larger of the major strain over the tensile limit of `SCHILEO_2008` and the minor one over the compressive: from
    1 on bone fails. Elements that touch loads and supports are shown too. Raises `ValueError` as `dxa_fall`.
    """
    marks, _ = _plate(image, mask, part)
    bone = _laid_plate(image, mask, "fall", part, (element_mm, density))
    block = bone.block
    elements = Elements(modulus=bone.modulus, spacing=(element_mm, element_mm))
    supports, _ = loaded(elements, block, marks, "fall", force_n=force_n)
    major, minor = principal(elements.strain(solved(elements, supports, tolerance=_TOLERANCE).displacement))
    reached = np.maximum(major / SCHILEO_2008.tension, -minor / SCHILEO_2008.compression)
    pixels = np.indices(image.shape[1:]).reshape(2, -1).T * np.asarray(_spacing(image)[1:])
    index = np.floor((pixels @ block.axes.T - block.corner) / element_mm).astype(int)
    within = ((index >= 0) & (index < reached.shape)).all(axis=1)
    seen = np.zeros(len(pixels), dtype=np.float32)
    seen[within] = reached[tuple(index[within].T)]
    inside = bone_of(image, mask, label=_label(mask, part))
    return np.where(inside, seen.reshape(image.shape), np.float32(0))


@dataclass(frozen=True, eq=False, kw_only=True)
class _Bone:
    """A block with its modulus in MPa (times thickness in a plate) and its apparent density in g/cm3."""

    block: Block
    modulus: Floats
    apparent: Floats
    thickness_mm: float = 1.0


@dataclass(frozen=True, eq=False, kw_only=True)
class _Answer:
    stiffness: float
    reaction_n: float
    failure_n: float
    energy: float
    regions: dict[str, dict[str, tuple[float, str]]]
    elements: int


def _of_volume(
    image: Image, mask: Image, case: FemurCase, part: str,
    settings: tuple[float, float, str, str, tuple[float, float] | None],
) -> list[Number]:  # fmt: skip
    force_n, element_mm, law, calibration, hu_calibration = settings
    slope, intercept = hu_calibration or (None, None)
    inside = bone_of(image, mask, label=_label(mask, part))
    density = mineral_g_cm3(image, slope=slope, intercept=intercept)
    spacing, rows = _spacing(image), np.asarray(image.direction)
    marks = femur_landmarks(inside, spacing, up=rows @ [0.0, 0.0, 1.0])
    axes = load_axes(marks, case, forwards=rows @ [0.0, -1.0, 0.0])
    answers = []
    for size in (element_mm, 2 * element_mm):
        block = laid(density, inside, spacing, axes=axes, element_mm=size)
        ash = CALIBRATIONS[calibration](MineralDensity(block.density))
        bone = _Bone(
            block=block, modulus=block_modulus(block, law=law, calibration=calibration),
            apparent=np.asarray(ASH_TO_APPARENT(ash).g_cm3),
        )  # fmt: skip
        answers.append(_answer(bone, marks, case, force_n))
    return _numbers(answers, part, force_n, f"{case}, {element_mm:g} mm bricks, law {law}")


def _of_map(
    image: Image, mask: Image, case: FemurCase, part: str, settings: tuple[float, float, PlateDensity]
) -> list[Number]:
    force_n, element_mm, kind = settings
    marks, thickness = _plate(image, mask, part)
    answers = [
        _answer(_laid_plate(image, mask, case, part, (size, kind)), marks, case, force_n)
        for size in (element_mm, 2 * element_mm)
    ]
    region = f"{case}, plate of {thickness:.1f} mm, {element_mm:g} mm squares, density {kind}"
    return _numbers(answers, part, force_n, region)


def _plate(image: Image, mask: Image, part: str) -> tuple[FemurLandmarks, float]:
    """Return the landmarks of the femur in a DXA map, and the thickness of its plate in mm."""
    if image.unit != "g/cm2" or image.shape[0] != 1:
        raise ValueError(f"a DXA map is one slice in g/cm2; got {image.shape[0]} in {image.unit!r}")
    inside = bone_of(image, mask, label=_label(mask, part))[0]
    marks = femur_landmarks(inside, _spacing(image)[1:], up=np.array([-1.0, 0.0]))
    return marks, math.pi * marks.neck_width_mm / 4


def _laid_plate(image: Image, mask: Image, case: FemurCase, part: str, settings: tuple[float, PlateDensity]) -> _Bone:
    element_mm, kind = settings
    marks, thickness = _plate(image, mask, part)
    inside = bone_of(image, mask, label=_label(mask, part))[0]
    areal = np.maximum(np.asarray(image.voxels[0], dtype=np.float64), _LEAST_G_CM2)
    axes = load_axes(marks, case, forwards=None)
    block = laid(areal, inside, _spacing(image)[1:], axes=axes, element_mm=element_mm)
    mineral = np.where(block.share > 0, np.maximum(block.density / (thickness / 10), _FLOOR_G_CM3), 0.0)
    ash = AshDensity(mineral)
    apparent = ASH_TO_APPARENT(ash) if kind == "converted" else ApparentDensity(mineral)
    return _Bone(
        block=block, modulus=PIECEWISE_FEMUR.modulus(apparent) * block.share * thickness,
        apparent=np.asarray(apparent.g_cm3), thickness_mm=thickness,
    )  # fmt: skip


def _label(mask: Image, part: str) -> int | None:
    if not part:
        return None
    found = next((value for value, name in mask.names.items() if name == part), None)
    if found is None:
        raise ValueError(f"{part} is not in the mask; there are {', '.join(mask.names.values()) or 'no names'}")
    return found


def _spacing(image: Image) -> tuple[float, ...]:
    if image.spacing is None:
        raise ValueError("this image has no spacing, so its elements would have no size in mm")
    return image.spacing


def _answer(bone: _Bone, marks: FemurLandmarks, case: FemurCase, force_n: float) -> _Answer:
    """Load a femur, and look at it."""
    if not (math.isfinite(force_n) and force_n > 0):
        raise ValueError(f"a load is a positive force in N; got {force_n}")
    block = bone.block
    elements = Elements(modulus=bone.modulus, spacing=(block.element_mm,) * block.share.ndim)
    supports, far = loaded(elements, block, marks, case, force_n=force_n)
    deformed = solved(elements, supports, tolerance=_TOLERANCE)
    moved = float(np.vdot(deformed.displacement, supports.force)) / force_n
    reaction = -float(deformed.forces[0][supports.fixed[0]].sum())
    strain = elements.strain(deformed.displacement)
    regions = femur_regions(block, marks)
    failing = np.logical_or.reduce([regions[name] for name in FAILING[case]]) & far
    factor = load_factor(SCHILEO_2008, elements, strain, block.share * failing)
    stress = elements.stress(deformed.displacement)
    told = {}
    for name, where in regions.items():
        if not (counted := where & far).any():
            raise ValueError(f"no element of the {name} is left beside loads and supports: choose smaller elements")
        weight = block.share[counted]
        major, minor = principal(strain[:, counted])
        pressed = von_mises(stress[:, counted]) / (bone.thickness_mm * weight)
        told[name] = {
            "major_strain_p95": (quantile(major, weight, 0.95), "1"),
            "minor_strain_p5": (quantile(minor, weight, 0.05), "1"),
            "von_mises_p95": (quantile(pressed, weight, 0.95), "MPa"),
            "apparent_density": (float(np.average(bone.apparent[counted], weights=weight)), "g/cm3"),
        }
    return _Answer(
        stiffness=force_n / moved, reaction_n=reaction, failure_n=factor * force_n, energy=deformed.energy,
        regions=told, elements=int((block.share > 0).sum()),
    )  # fmt: skip


def _numbers(answers: list[_Answer], part: str, force_n: float, region: str) -> list[Number]:
    """Return the numbers of the fine elements, with the difference to the coarse ones."""
    fine, coarse = answers
    told = {
        "stiffness": (fine.stiffness, coarse.stiffness, "N/mm", ""),
        "failure_load": (fine.failure_n, coarse.failure_n, "N", f", rule {SCHILEO_2008.name}"),
        "load_over_strength": (force_n / fine.failure_n, force_n / coarse.failure_n, "1", f", at {force_n:.0f} N"),
        "strain_energy": (fine.energy, coarse.energy, "N mm", f", at {force_n:.0f} N"),
        "reaction": (fine.reaction_n, coarse.reaction_n, "N", ", of all supports along the force"),
    }
    numbers = [
        Number(name=name, value=value, unit=unit, part=part, region=f"proximal femur, {region}{more}",
               uncertainty=abs(value - other))
        for name, (value, other, unit, more) in told.items()
    ]  # fmt: skip
    for place, values in fine.regions.items():
        for name, (value, unit) in values.items():
            numbers.append(
                Number(name=f"{place.split()[-1]}_{name}", value=value, unit=unit, part=part,
                       region=f"{place}, {region}, at {force_n:.0f} N",
                       uncertainty=abs(value - coarse.regions[place][name][0]))
            )  # fmt: skip
    return numbers
