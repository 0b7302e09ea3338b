"""The femur: known landmarks, forces in balance, strength that goes with bone, and what the wrong density does."""

import numpy as np
import pytest

from trabecula.image import Image
from trabecula.measure.elements.block import laid
from trabecula.measure.elements.brick import Elements
from trabecula.measure.elements.femur import (
    dxa_fall,
    dxa_fall_strain,
    dxa_stance,
    femoral_fall,
    femoral_stance,
    impact_force,
)
from trabecula.measure.elements.femur_landmarks import femur_landmarks
from trabecula.measure.elements.femur_loads import femur_regions, load_axes, loaded
from trabecula.measure.elements.solver import solved
from trabecula.phantom.anatomy.femur import FemurShape, femur_solid
from trabecula.phantom.anatomy.femur_bone import HipMineral, solve
from trabecula.phantom.anatomy.scene import Bone, Grid, Scene
from trabecula.phantom.material import MINERAL_SHARE

NAME = "left femur"
USUAL = FemurShape(
    head_mm=21.8, neck_mm=49.5, neck_half_mm=15.2, neck_shaft_deg=127, anteversion_deg=12, shaft_mm=13.9
)  # fmt: skip
TALL = FemurShape(
    head_mm=25.0, neck_mm=58.0, neck_half_mm=17.5, neck_shaft_deg=135, anteversion_deg=12, shaft_mm=16.0
)  # fmt: skip


def femur(shape=USUAL, *, mm=3.0, neck=0.75, total=0.9):
    """Return a femur as a CT without noise in mg/cm3, its neck in the plane y = 0, and its mask."""
    mineral = HipMineral(neck_g_cm2=neck, total_g_cm2=total, trabecular_mg_cm3=110.0, fat=0.5)
    built, solid = solve(shape, mineral), femur_solid(shape)
    low = (solid.low[0] - 4, solid.low[1] - 4, -80.0)
    grid = Grid.around(low, np.array(solid.high) + 4, (mm, mm, mm))
    bone = Bone(
        name=NAME, solid=solid, wall_mm=built.wall_mm, cortical_mg_cm3=built.cortical_mg_cm3,
        trabecular_mg_cm3=built.trabecular_mg_cm3, fat=0.5,
    )  # fmt: skip
    scene = Scene(tissues=(), bones=(bone,))
    mask = scene.labels(grid, {NAME: 1})
    mineral_map = scene.body(grid).densities["bone_matrix"] * MINERAL_SHARE * 1000
    return mask.with_voxels(mineral_map, unit="mg/cm3"), mask


def seen(shape=USUAL, *, mm=1.5, **mineral):
    """Return the same femur as a DXA map in g/cm2, rows from the head down, and its mask."""
    volume, mask = femur(shape, mm=mm, **mineral)
    areal = volume.voxels.sum(axis=1)[::-1] * mm / 10 / 1000
    outline = mask.voxels.any(axis=1)[::-1].astype(np.uint8)
    where = {"spacing": (1.0, mm, mm), "space": "detector"}
    return (
        Image(voxels=areal[None].astype(np.float32), unit="g/cm2", **where),
        Image(voxels=outline[None], unit="label", names={1: NAME}, **where),
    )


def by_name(numbers):
    return {number.name: number.value for number in numbers}


@pytest.mark.parametrize("shape", [USUAL, TALL])
def test_landmarks_are_the_femurs(shape):
    """Head within 3 mm, neck-shaft angle within 3 degrees, in a volume and in a map; width of the neck within 10 %."""
    _, mask = femur(shape, mm=2.0)
    marks = femur_landmarks(mask.voxels > 0, (2.0, 2.0, 2.0), up=np.array([1.0, 0.0, 0.0]))
    head = marks.head[::-1] + mask.origin
    assert np.linalg.norm(head - shape.head) < 3
    assert marks.head_mm == pytest.approx(shape.head_mm, abs=1.5)
    assert np.degrees(np.arccos(marks.down @ marks.up)) == pytest.approx(shape.neck_shaft_deg, abs=3)
    areal, outline = seen(shape)
    flat = femur_landmarks(outline.voxels[0] > 0, areal.spacing[1:], up=np.array([-1.0, 0.0]))
    assert np.degrees(np.arccos(flat.down @ flat.up)) == pytest.approx(shape.neck_shaft_deg, abs=4)
    assert flat.neck_width_mm == pytest.approx(2 * shape.neck_half_mm, rel=0.1)


@pytest.mark.parametrize("case", ["fall", "stance"])
def test_supports_push_back_what_is_pushed(case):
    """Forces and moments of a plate are in balance within 0.1 %, and all regions hold bone."""
    areal, outline = seen()
    inside = outline.voxels[0] > 0
    marks = femur_landmarks(inside, areal.spacing[1:], up=np.array([-1.0, 0.0]))
    axes = load_axes(marks, case, forwards=None)
    block = laid(np.asarray(areal.voxels[0], dtype=float), inside, areal.spacing[1:], axes=axes, element_mm=1.5)
    elements = Elements(modulus=np.where(block.share > 0, 1000 + 9000 * block.density, 0), spacing=(1.5, 1.5))
    supports, far = loaded(elements, block, marks, case, force_n=1000.0)
    assert supports.force[0].sum() == pytest.approx(1000)
    deformed = solved(elements, supports, tolerance=1e-8)
    pushed = deformed.forces
    assert np.abs(pushed.sum(axis=(1, 2))).max() < 1
    k, j = np.indices(elements.nodes) * 1.5
    assert abs((pushed[1] * k - pushed[0] * j).sum()) < 0.001 * 1000 * 100
    for where in femur_regions(block, marks).values():
        assert (where & far).sum() > 20


def test_the_fall_comes_from_outside_and_behind():
    """The plane of the neck is found within some 3 degrees."""
    _, mask = femur()
    marks = femur_landmarks(mask.voxels > 0, mask.spacing, up=np.array([1.0, 0.0, 0.0]))
    force = load_axes(marks, "fall", forwards=np.array([0.0, -1.0, 0.0]))[0][::-1]
    assert force[0] == pytest.approx(-np.cos(np.deg2rad(10)) * np.cos(np.deg2rad(15)), abs=0.07)
    assert force[1] == pytest.approx(-np.cos(np.deg2rad(10)) * np.sin(np.deg2rad(15)), abs=0.07)
    assert force[2] == pytest.approx(np.sin(np.deg2rad(10)), abs=0.07)


def test_a_plate_is_linear_and_weaker_with_less_bone():
    """Twice the force is twice the strain; less mineral is more strain and less strength."""
    usual, less = seen(), seen(neck=0.55, total=0.7)
    one, two = (by_name(dxa_fall(*usual, part=NAME, force_n=force, element_mm=2.0)) for force in (1500.0, 3000.0))
    assert two["neck_minor_strain_p5"] == pytest.approx(2 * one["neck_minor_strain_p5"], rel=1e-4)
    assert two["failure_load"] == pytest.approx(one["failure_load"], rel=1e-4)
    assert two["strain_energy"] == pytest.approx(4 * one["strain_energy"], rel=1e-4)
    assert one["reaction"] == pytest.approx(1500, rel=1e-3)
    assert one["strain_energy"] == pytest.approx(1500**2 / one["stiffness"] / 2, rel=1e-4)
    thin = by_name(dxa_fall(*less, part=NAME, force_n=3000.0, element_mm=2.0))
    assert thin["failure_load"] < 0.8 * two["failure_load"]
    assert thin["neck_minor_strain_p5"] < 1.2 * two["neck_minor_strain_p5"] < 0
    assert thin["load_over_strength"] == pytest.approx(3000 / thin["failure_load"])


def test_the_facts_density_halves_the_plate():
    """Mineral taken for apparent density, as the cards write it, is 0.6 of it: the modulus falls by 0.6^1.49."""
    for case in (dxa_fall, dxa_stance):
        right, facts = (by_name(case(*seen(), element_mm=2.0, density=kind)) for kind in ("converted", "as_facts"))
        assert facts["neck_apparent_density"] == pytest.approx(0.6 * right["neck_apparent_density"], rel=1e-6)
        assert facts["stiffness"] < 0.6**1.49 * right["stiffness"] * 1.01


def test_the_picture_of_strain_is_the_strain_and_lies_on_the_bone():
    """Twice the force is twice the strain; at failure it is beyond 1 in a small share of the bone."""
    areal, outline = seen()
    numbers = by_name(dxa_fall(areal, outline, element_mm=1.5))
    once, twice = (dxa_fall_strain(areal, outline, force_n=force, element_mm=1.5) for force in (1000.0, 2000.0))
    assert once.shape == areal.shape
    assert np.allclose(twice, 2 * once, rtol=1e-4, atol=1e-6)
    assert not once[outline.voxels == 0].any()
    assert (once[outline.voxels > 0] > 0).mean() > 0.95
    failing = dxa_fall_strain(areal, outline, force_n=numbers["failure_load"], element_mm=1.5)
    assert 0.002 < (failing[outline.voxels > 0] > 1).mean() < 0.08


@pytest.mark.parametrize("case", [femoral_fall, femoral_stance])
def test_a_femur_in_ct_is_weaker_with_less_bone(case):
    usual, less = (
        by_name(case(*femur(neck=neck, total=total), part=NAME, element_mm=3.0))
        for neck, total in ((0.75, 0.9), (0.55, 0.7))
    )
    assert less["failure_load"] < 0.9 * usual["failure_load"]
    assert less["stiffness"] < 0.95 * usual["stiffness"]
    assert 1000 < less["failure_load"] < usual["failure_load"] < 15000


def test_impact_is_the_facts():
    assert impact_force(60, 170) == pytest.approx(8.25 * 60 * 9.80665)
    assert impact_force(60, 160, soft_mm=20) == pytest.approx(impact_force(60, 160) - 1420)
    assert impact_force(40, 150, soft_mm=150) == 0
    with pytest.raises(ValueError, match="nobody falls"):
        impact_force(60, 1.7)


def test_bad_input_says_what_to_do():
    areal, outline = seen()
    with pytest.raises(ValueError, match="right femur is not in the mask; there are left femur"):
        dxa_fall(areal, outline, part="right femur")
    with pytest.raises(ValueError, match="one slice in g/cm2"):
        dxa_fall(areal.with_voxels(areal.voxels, unit="stored"), outline)
    cut = outline.voxels.copy()
    cut[:, 45:] = 0
    with pytest.raises(ValueError, match="below the lesser trochanter"):
        dxa_fall(areal, outline.with_voxels(cut))
    with pytest.raises(ValueError, match="mask is empty"):
        dxa_fall(areal, outline.with_voxels(np.zeros_like(cut)))
    with pytest.raises(ValueError, match="positive force"):
        dxa_fall(areal, outline, force_n=-1.0)
