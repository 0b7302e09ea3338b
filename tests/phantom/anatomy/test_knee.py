"""The knee: sizes, walls and masses that were asked for, on voxels that are longer along the ray."""

from dataclasses import replace

import numpy as np
import pytest

from trabecula.phantom.anatomy.knee import KneeBone, Leg, draw_knee, knee_scene
from trabecula.phantom.anatomy.rays import frontal_columns, frontal_outline
from trabecula.phantom.anatomy.scene import Bone, Grid, Scene, Tissue
from trabecula.phantom.anatomy.solid import ellipsoid
from trabecula.phantom.material import MINERAL_SHARE, pure

WOMAN = Leg(age=60, male=False, height_cm=165, bmi=26)
YOUNG = KneeBone(trabecular=0.0, cortical=0.0)


def knee(patient=0, leg=WOMAN):
    return draw_knee(np.random.default_rng([3, patient]), leg)


def around(pixel_mm=0.8, deep=2.4, half=(70, 54, 100)):
    return Grid.around((-half[0], -60, -half[2]), (half[0], 48, half[2]), (pixel_mm, deep * pixel_mm, pixel_mm))


def even(bone, window):
    return np.ones((window.shape[0], window.shape[2]))


def mineral(scene, grid):
    """Return hydroxyapatite in g."""
    area = grid.spacing[0] * grid.spacing[2] / 100
    return frontal_columns(scene, grid, even)["bone_matrix"].sum() * MINERAL_SHARE * area


@pytest.mark.parametrize("deep", [1.0, 2.4])
def test_a_shell_keeps_its_mineral_on_long_voxels_and_has_no_steps(deep):
    """A ball of 20 mm with a wall of 1 mm: mass within 1 % and the middle column within 3 % of what a formula says."""
    ball = Bone(
        name="ball", solid=ellipsoid((0, 0, 0), 20.0), wall_mm=1.0, cortical_mg_cm3=1000.0, trabecular_mg_cm3=100.0,
        fat=0.5,
    )  # fmt: skip
    skin = Tissue(name="skin", solid=ellipsoid((0, 0, 0), 40.0), densities=pure("muscle"))
    scene = Scene(tissues=(skin,), bones=(ball,))
    grid = Grid.around((-25, -25, -25), (25, 25, 25), (0.8, deep * 0.8, 0.8))
    inner = 4 / 3 * np.pi * 1.9**3
    assert mineral(scene, grid) == pytest.approx(0.1 * inner + 1.0 * (4 / 3 * np.pi * 8 - inner), rel=0.01)
    column = frontal_columns(scene, grid, even)["bone_matrix"] * MINERAL_SHARE
    middle = column[25:38, 25:38]
    assert middle == pytest.approx(0.1 * 3.8 + 1.0 * 0.2, rel=0.04)


def test_long_voxels_hold_the_same_knee():
    scene = knee_scene(knee(), YOUNG)
    assert mineral(scene, around(deep=2.4)) == pytest.approx(mineral(scene, around(deep=1.0)), rel=0.01)


@pytest.mark.parametrize("patient", range(4))
def test_a_knee_is_as_wide_as_one(patient):
    """Bicondylar width is 72 to 88 mm in women and grows with height; the plateau is about as wide; recalled."""
    it = knee(patient)
    grid = around()
    rows = grid.axes()[2].ravel()[::-1]
    widths = {}
    for name in ("femur", "tibia", "fibula"):
        met = frontal_outline(replace(knee_scene(it, YOUNG), bones=(alone(it, name),)), grid)
        widths[name] = met.sum(axis=1) * grid.spacing[2]
    assert 70 < widths["femur"].max() < 90
    assert widths["tibia"].max() == pytest.approx(widths["femur"].max(), rel=0.10)
    assert 24 < np.median(widths["femur"][rows > 85]) < 38
    assert 7 < np.median(widths["fibula"][rows < -70]) < 13


def alone(it, name):
    return next(bone for bone in knee_scene(it, YOUNG).bones if bone.name == name)


def test_bones_of_the_joint_do_not_meet_and_worn_ones_come_closer():
    def gap(it):
        x, y, z = (axis.astype(np.float32) for axis in around(0.5, 1.0, (45, 54, 25)).axes())
        return 2 * float(np.maximum(it.femur.distance(x, y, z), it.tibia.distance(x, y, z)).min())

    young, old = (np.mean([gap(knee(n, replace(WOMAN, age=age))) for n in range(4)]) for age in (35, 90))
    assert young > old > 0
    assert 2.5 < young < 6.0


def test_denser_bone_and_thicker_cortex_add_mineral():
    it, grid = knee(), around()
    light, dense, thick = (
        mineral(knee_scene(it, replace(YOUNG, **changed)), grid)
        for changed in ({"trabecular": -2.0}, {}, {"cortical": 1.0})
    )
    assert light < 0.85 * dense
    assert thick > 1.02 * dense


def test_the_stout_have_more_fat_about_the_same_bones():
    slim, stout = (knee(1, replace(WOMAN, bmi=bmi)) for bmi in (21, 36))
    x, y, z = around(2.0, 1.0).axes()
    assert np.array_equal(slim.femur.distance(x, y, z), stout.femur.distance(x, y, z))

    def fat(it):
        return float(((it.leg.distance(x, y, z) < 0) & (it.muscle.distance(x, y, z) >= 0)).sum())

    assert fat(stout) > 1.5 * fat(slim)
