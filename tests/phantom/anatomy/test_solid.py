"""Solids: volumes and distances of shapes whose formulas are known, and how solids join, cut, grow and move."""

import numpy as np
import pytest
from scipy.special import gamma

from trabecula.phantom.anatomy.solid import ellipsoid, half_space, joined, limb, pillar, rod_between, rotation

PLACES = tuple(
    each.astype(np.float32) for each in np.meshgrid(*[np.linspace(-40, 40, 81)] * 3, indexing="ij", sparse=True)[::-1]
)
X, Y, Z = PLACES


def volume(solid):
    return np.clip(0.5 - solid.distance(X, Y, Z), 0, 1).sum(dtype=float)


def inside(solid):
    return np.broadcast_to(solid.distance(X, Y, Z) < 0, (81, 81, 81))


SHAPES = {
    "sphere": (ellipsoid((0, 0, 0), 20), 4 / 3 * np.pi * 20**3),
    "ellipsoid": (ellipsoid((1, 2, 3), (30, 20, 10)), 4 / 3 * np.pi * 6000),
    "rod": (rod_between((0, -10, -20), (0, -10, 20), (10, 10)), np.pi * 100 * 40 + 4 / 3 * np.pi * 1000),
    "flat rod": (
        rod_between((0, 0, -20), (0, 0, 20), (5, 5), flatten=((1, 0, 0), 3.0)),
        3 * np.pi * (25 * 40 + 4 / 3 * 125),
    ),
    "pillar": (pillar(20, 15, low_z=-20, high_z=20), np.pi * 300 * 40),
    "cone": (pillar(lambda z: 15 + z / 4, lambda z: 15 + z / 4, low_z=-20, high_z=20), np.pi * 40 / 3 * 700),
}  # fmt: skip


@pytest.mark.parametrize("name", SHAPES)
def test_volume_is_that_of_the_formula(name):
    solid, true = SHAPES[name]
    assert volume(solid) == pytest.approx(true, rel=0.004)


@pytest.mark.parametrize("n", [2.0, 2.5, 4.0, 8.0])
def test_the_section_of_a_pillar_is_a_superellipse(n):
    area = 4 * 20 * 15 * gamma(1 + 1 / n) ** 2 / gamma(1 + 2 / n)
    assert volume(pillar(20, 15, low_z=-20, high_z=20, exponent=n)) == pytest.approx(40 * area, rel=0.005)


@pytest.mark.parametrize("name", SHAPES)
def test_a_distance_grows_by_one_mm_a_mm_at_the_surface(name):
    solid, _ = SHAPES[name]
    distance = np.broadcast_to(solid.distance(X, Y, Z), (81, 81, 81))
    slope = np.sqrt(sum(each**2 for each in np.gradient(distance)))
    assert np.median(slope[np.abs(distance) < 1]) == pytest.approx(1, abs=0.04)


@pytest.mark.parametrize("name", SHAPES)
def test_the_box_holds_the_solid_and_is_no_larger_than_it_needs(name):
    solid, _ = SHAPES[name]
    k, j, i = np.nonzero(inside(solid))
    for axis, places in enumerate((X.ravel()[i], Y.ravel()[j], Z.ravel()[k])):
        assert solid.low[axis] - 1e-3 <= places.min() < solid.low[axis] + 12
        assert solid.high[axis] - 12 < places.max() <= solid.high[axis] + 1e-3


def test_join_meet_and_cut_are_those_of_sets():
    a, b = ellipsoid((-5, 0, 0), 15.3), ellipsoid((8, 3, 0), 12.7)
    assert np.array_equal(inside(a | b), inside(a) | inside(b))
    assert np.array_equal(inside(a & b), inside(a) & inside(b))
    assert np.array_equal(inside(a - b), inside(a) & ~inside(b))


def test_a_blend_fills_the_edge_and_leaves_what_is_far():
    a, b = rod_between((0, 0, -25), (0, 0, 25), (6, 6)), rod_between((-25, 0, 0), (25, 0, 0), (6, 6))
    sharp, round_ = inside(joined([a, b])), inside(joined([a, b], blend_mm=6))
    assert (round_ & ~sharp).sum() > 50
    assert not (sharp & ~round_).any()
    k, _, i = np.nonzero(round_ & ~sharp)
    assert np.hypot(X.ravel()[i], Z.ravel()[k]).max() < 20


def test_growing_and_shrinking_move_every_surface():
    assert volume(ellipsoid((0, 0, 0), 20).grown(3)) == pytest.approx(4 / 3 * np.pi * 23**3, rel=0.004)
    assert volume(ellipsoid((0, 0, 0), 20).grown(-3)) == pytest.approx(4 / 3 * np.pi * 17**3, rel=0.004)


def test_a_turned_and_shifted_solid_lies_where_it_was_put():
    solid = ellipsoid((10, 0, 0), (6, 4, 3)).moved(turn=rotation(about_z=90), shift=(0, 5, 2))
    same = ellipsoid((0, 15, 2), (4, 6, 3))
    assert np.array_equal(inside(solid), inside(same))
    assert np.allclose([solid.low, solid.high], [same.low, same.high], atol=1e-6)


def test_the_other_side_is_mirrored():
    solid = limb([(5, 0, -10), (15, 5, 0), (10, 0, 12)], (4, 6, 3))
    assert np.array_equal(inside(solid.mirrored()), inside(solid)[:, :, ::-1])


def test_a_plane_cuts_in_half():
    assert volume(ellipsoid((0, 0, 0), 20) & half_space((0, 0, 0), (1, 1, 0))) == pytest.approx(
        2 / 3 * np.pi * 20**3, rel=0.006
    )


def test_impossible_solids_are_refused():
    with pytest.raises(ValueError, match="two ends and positive radii"):
        rod_between((0, 0, 0), (0, 0, 0), (1, 1))
    with pytest.raises(ValueError, match="fills a box"):
        ellipsoid((0, 0, 0), 0)
