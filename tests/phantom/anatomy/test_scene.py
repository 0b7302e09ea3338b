"""Scenes: mass that does not depend on the grid, masks that are exact, columns that are sums of the body."""

import numpy as np
import pytest

from trabecula.phantom.anatomy.scene import Bone, Grid, Scene, Tissue, share_inside
from trabecula.phantom.anatomy.solid import ellipsoid, pillar
from trabecula.phantom.material import MINERAL_SHARE, get_material, pure, trabecular_bone

SIDE, WALL, DENSE, SPARSE, FAT = 18.0, 0.4, 1000.0, 150.0, 0.4
SPHERE = Bone(
    name="ball", solid=ellipsoid((1.0, -2.0, 3.0), SIDE), wall_mm=WALL, cortical_mg_cm3=DENSE, trabecular_mg_cm3=SPARSE,
    fat=FAT,
)  # fmt: skip
FLESH = Tissue(name="flesh", solid=pillar(60, 50, low_z=-60, high_z=60), densities=pure("muscle"))
SCENE = Scene(tissues=(FLESH,), bones=(SPHERE,))
OUTER, INNER = (4 / 3 * np.pi * r**3 / 1000 for r in (SIDE, SIDE - WALL))
MINERAL_G = (DENSE * (OUTER - INNER) + SPARSE * INNER) / 1000


def grid(mm, *, half=30.0, ratio=1.0):
    return Grid.around((-half,) * 3, (half,) * 3, (mm * ratio, mm, mm))


def mineral_g(body):
    return body.densities["bone_matrix"].sum(dtype=float) * np.prod(body.spacing) / 1000 * MINERAL_SHARE


@pytest.mark.parametrize("mm", [0.5, 0.8, 1.0, 1.5, 2.0])
def test_partial_volume_conserves_mass(mm):
    """Within 1 %, although the wall is down to a fifth of a voxel."""
    assert mineral_g(SCENE.body(grid(mm))) == pytest.approx(MINERAL_G, rel=0.01)


def test_longer_voxels_conserve_mass_and_needles_are_refused():
    assert mineral_g(SCENE.body(grid(0.8, ratio=2.0))) == pytest.approx(MINERAL_G, rel=0.02)
    with pytest.raises(ValueError, match=r"within a factor of 2\.5"):
        grid(1.0, ratio=5.0)


def test_every_voxel_is_full():
    body = SCENE.body(grid(1.0))
    volume = sum(values / get_material(name).density for name, values in body.densities.items())
    assert np.abs(volume - 1).max() < 0.01


def test_the_middle_of_a_bone_is_trabecular_bone():
    body = SCENE.body(grid(1.0))
    k, j, i = 33, 28, 31
    expected = trabecular_bone(SPARSE, fat=FAT)
    assert body.densities["bone_matrix"][k, j, i] == pytest.approx(SPARSE / 1000 / MINERAL_SHARE, rel=1e-5)
    for name in ("red_marrow", "yellow_marrow"):
        assert body.densities[name][k, j, i] == pytest.approx(expected[name], rel=1e-3)
    assert body.densities["muscle"][k, j, i] == pytest.approx(0, abs=1e-6)


def test_a_mask_holds_the_voxels_whose_centre_lies_inside():
    place = grid(1.0)
    x, y, z = place.axes()
    inside = (x - 1) ** 2 + (y + 2) ** 2 + (z - 3) ** 2 < SIDE**2
    mask = SCENE.labels(place, {"ball": 7})
    assert np.array_equal(mask.voxels == 7, inside)
    assert mask.names == {7: "ball"}
    assert mask.unit == "label"
    x0, y0, z0 = (float(axis.ravel()[0]) for axis in (x, y, z))
    assert mask.affine @ [0, 0, 0, 1] == pytest.approx([x0, y0, z0, 1])
    assert mask.affine @ [2, 1, 0, 1] == pytest.approx([x0, y0 + 1, z0 + 2, 1])
    with pytest.raises(ValueError, match="no bone or tissue is called 'bell'"):
        SCENE.labels(place, {"bell": 1})


def test_an_earlier_bone_keeps_its_place_and_no_place_is_taken_twice():
    other = Bone(
        name="other", solid=ellipsoid((14.0, -2.0, 3.0), 10.0), wall_mm=1.0, cortical_mg_cm3=900, trabecular_mg_cm3=300,
        fat=0.0,
    )  # fmt: skip
    both = Scene(tissues=(FLESH,), bones=(SPHERE, other))
    place = grid(1.0)
    volume = sum(values / get_material(name).density for name, values in both.body(place).densities.items())
    assert np.abs(volume - 1).max() < 0.01
    first = both.labels(place, {"ball": 1, "other": 2}).voxels == 1
    assert np.array_equal(first, SCENE.labels(place, {"ball": 1}).voxels == 1)


@pytest.mark.parametrize("view", ["ap", "lateral"])
def test_columns_are_sums_of_the_body_along_the_ray(view):
    place = Grid.around((-70, -70, -30), (70, 70, 30), (2.0, 2.0, 2.0))
    columns, body = SCENE.columns(place, view), SCENE.body(place)
    for name in ("bone_matrix", "muscle", "red_marrow"):
        summed = body.densities[name].sum(axis=1 if view == "ap" else 2, dtype=float)[::-1] * 0.2
        assert columns[name] == pytest.approx(summed, abs=0.08 * summed.max()), name
        assert columns[name].sum() == pytest.approx(summed.sum(), rel=0.01), name


def test_mineral_is_that_of_the_columns():
    place = grid(1.0)
    mineral = SCENE.mineral(place)
    assert mineral == pytest.approx(SCENE.columns(place, "ap")["bone_matrix"] * MINERAL_SHARE)
    assert mineral.sum() * 0.01 == pytest.approx(MINERAL_G, rel=0.01)
    assert mineral[60 - 34, 31] == mineral.max(), "rows run from the head down, columns to the left"


def test_texture_moves_mineral_and_keeps_its_mass():
    place = grid(1.0)

    def stripes(bone, window):
        k, _, i = window.shape
        return np.broadcast_to(1 + 0.3 * (-1.0) ** np.arange(i), (k, i))

    plain, striped = (SCENE.columns(place, "ap", texture=each)["bone_matrix"] for each in (None, stripes))
    assert striped.sum() == pytest.approx(plain.sum(), rel=0.005)
    assert np.abs(striped - plain).max() > 0.1 * plain.max()


def test_grain_is_local_density_over_its_mean():
    place = grid(1.0)
    doubled = SCENE.body(place, grain=lambda bone, window: np.full(window.shape, 2.0, dtype=np.float32))
    assert mineral_g(doubled) - mineral_g(SCENE.body(place)) == pytest.approx(SPARSE * INNER / 1000, rel=0.01)


def test_a_part_that_lies_outside_the_grid_is_left_out():
    away = Grid.around((100, 100, 100), (120, 120, 120), (2.0, 2.0, 2.0))
    assert SCENE.body(away).densities["bone_matrix"].max() == 0
    assert share_inside(SPHERE.solid, away).max() == 0
