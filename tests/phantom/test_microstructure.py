"""Measures of microstructure on bodies whose measures are known exactly."""

import numpy as np
import pytest

from trabecula.phantom.microstructure import (
    Variogram,
    euler_number,
    fabric,
    largest_share,
    local_thickness,
    mean_intercepts,
    measured,
    otsu,
    variogram,
)

GRID = np.indices((72, 72, 72)) - 35.5
OBLIQUE = np.array([1, 2, 3]) / np.sqrt(14)
INNER = np.abs(GRID).max(axis=0) < 22


def ball(radius, centre=(0, 0, 0), grid=GRID):
    return sum((axis - at) ** 2 for axis, at in zip(grid, centre, strict=True)) < radius**2


def ellipsoids(stretch, *, radius=6, count=400, size=110):
    """Overlapping ellipsoids of revolution at chance places, long along k."""
    grid = np.indices((size,) * 3).astype(np.float32)
    solid = np.zeros((size,) * 3, dtype=bool)
    reach = int(radius * stretch) + 1
    for k, j, i in np.random.default_rng(0).uniform(-10, size + 10, (count, 3)):
        near = tuple(slice(max(int(at) - reach, 0), max(int(at) + reach + 2, 0)) for at in (k, j, i))
        a, b, c = grid[(slice(None), *near)]
        solid[near] |= ((a - k) / stretch) ** 2 + (b - j) ** 2 + (c - i) ** 2 < radius**2
    return solid


@pytest.mark.parametrize(("thick", "apart"), [(4, 12), (5, 10), (6, 14)])
def test_plates_along_the_grid_are_exact_or_one_voxel_more(thick, apart):
    solid = np.broadcast_to(((np.arange(80) + 3) % (thick + apart) < thick)[:, None, None], (80, 40, 40)).copy()
    middle = slice(thick + apart, -(thick + apart))
    for phase, voxels in ((solid, thick), (~solid, apart)):
        found = local_thickness(phase, 0.02)[middle][phase[middle]]
        assert found == pytest.approx((voxels + voxels % 2) * 0.02)


@pytest.mark.parametrize("thick", [4.0, 6.3, 9.0])
def test_oblique_plates_are_true_within_a_voxel(thick):
    solid = np.abs(np.tensordot(OBLIQUE, GRID, 1)) < thick / 2
    assert local_thickness(solid, 1.0)[solid & INNER].mean() == pytest.approx(thick, abs=1.0)


@pytest.mark.parametrize("radius", [5.0, 8.2, 12.7])
def test_balls_and_rods_are_true_within_two_voxels(radius):
    body = ball(radius, centre=(0.3, 0.1, -0.2))
    rod = ball(radius, centre=(0.3, -0.2), grid=GRID[1:])
    for solid in (body, rod):
        thickness = local_thickness(solid, 0.5)
        assert thickness[solid].mean() == pytest.approx(radius, abs=0.8)
        assert not thickness[~solid].any()


def test_thickness_of_a_thin_and_a_thick_plate_side_by_side():
    solid = np.zeros((60, 40, 40), dtype=bool)
    solid[5:9], solid[30:40] = True, True
    thickness = local_thickness(solid, 1.0)
    assert thickness[5:9] == pytest.approx(4)
    assert thickness[30:40] == pytest.approx(10)


@pytest.mark.parametrize(("thick", "period"), [(5, 13), (5, 25)])
def test_lines_across_plates_meet_two_surfaces_a_period(thick, period):
    solid = np.tensordot(OBLIQUE, GRID, 1) % period < thick
    vectors, lengths = mean_intercepts(solid, 0.1)
    across = np.abs(vectors @ OBLIQUE)
    steep = across > 0.5
    assert lengths[steep] * across[steep] == pytest.approx(0.1 * period / 2, rel=0.04)


@pytest.mark.parametrize("stretch", [1.0, 1.5, 2.0])
def test_stretched_bodies_have_the_anisotropy_of_their_stretch(stretch):
    degree, longest = fabric(mean_intercepts(ellipsoids(stretch), 0.05))
    assert degree == pytest.approx(stretch, rel=0.06)
    if stretch > 1:
        assert abs(longest[0]) > 0.99


def test_balls_have_the_intercepts_of_their_surface():
    """Crossings in a length are half the surface in a volume, whatever the direction."""
    _, lengths = mean_intercepts(ball(20.0), 1.0)
    volume = (72 - 6) ** 3
    assert lengths.mean() == pytest.approx(2 * volume / (4 * np.pi * 20**2), rel=0.03)
    assert np.ptp(lengths) < 0.03 * lengths.mean()


def test_euler_number_of_known_bodies():
    k, j, i = GRID
    shell = ball(30) ^ ball(20)
    ring = (np.hypot(j, i) - 20) ** 2 + k**2 < 36
    assert euler_number(ball(10)) == 1
    assert euler_number(ring) == 0
    assert euler_number(shell) == 2
    assert euler_number(ball(6, (-15, 0, 0)) | ball(6, (15, 0, 0))) == 2


def test_connectivity_of_a_lattice_of_rods():
    """27 knots and 54 rods: 54 - 27 + 1 rods can be cut before it parts."""
    places = np.zeros(41, dtype=bool)
    places[[8, 9, 20, 21, 32, 33]] = True
    k, j, i = places[:, None, None], places[:, None], places
    inside = np.zeros(41, dtype=bool)
    inside[8:34] = True
    a, b, c = inside[:, None, None], inside[:, None], inside
    lattice = (a & j & i) | (k & b & i) | (k & j & c)
    found = measured(lattice, 0.1)
    assert found.connectivity_per_mm3 == pytest.approx(28 / 4.1**3)
    assert found.connected == 1
    assert found.bv_tv == pytest.approx(lattice.mean())


def test_largest_share_counts_neighbours_at_corners():
    solid = np.zeros((6, 6, 6), dtype=bool)
    solid[0, 0, 0] = solid[1, 1, 1] = solid[4, 4, 4] = True
    assert largest_share(solid) == pytest.approx(2 / 3)
    assert largest_share(np.zeros((3, 3, 3), dtype=bool)) == 0


def test_otsu_parts_two_greys():
    values = np.concatenate([np.full(900, 40), np.full(100, 200)]).astype(np.uint8)
    assert 40 <= otsu(values) < 200


def test_variogram_of_noise_a_slope_and_a_correlated_field():
    rng = np.random.default_rng(0)
    region = np.ones((60, 40, 40), dtype=bool)
    noise = variogram(rng.normal(0, 5, region.shape), region, 2.0, axis=0, reach_mm=8)
    assert noise.lags_mm.tolist() == [2, 4, 6, 8]
    assert noise.values == pytest.approx(25, rel=0.03)
    assert noise.range_mm == pytest.approx(2 * (1 - np.exp(-1)), rel=0.03)
    slope = variogram(np.broadcast_to(3.0 * np.arange(40), region.shape), region, 0.5, axis=2, reach_mm=2)
    assert slope.values == pytest.approx([4.5, 18, 40.5, 72])
    values = rng.normal(size=(400, 40, 40))
    for k in range(1, 400):
        values[k] = np.exp(-1 / 8) * values[k - 1] + np.sqrt(1 - np.exp(-1 / 4)) * values[k]
    found = variogram(values, np.ones(values.shape, dtype=bool), 0.5, axis=0, reach_mm=10)
    assert found.range_mm == pytest.approx(4.0, rel=0.05)


def test_variogram_stays_inside_its_region():
    values = np.where(np.arange(20)[:, None, None] < 10, 0.0, 1000.0) + np.random.default_rng(0).normal(size=(20, 9, 9))
    region = np.broadcast_to(np.arange(20)[:, None, None] < 10, values.shape)
    found = variogram(values, region, 1.0, axis=0, reach_mm=5)
    assert found.sd < 1.2
    assert found.values.max() < 1.5


def test_a_range_that_no_lag_reaches_is_infinite():
    assert Variogram(lags_mm=np.array([1.0]), values=np.array([0.1]), sd=1.0).range_mm == float("inf")


def test_what_cannot_be_measured_is_refused():
    with pytest.raises(ValueError, match="boolean"):
        measured(np.zeros((4, 4, 4)), 0.1)
    with pytest.raises(ValueError, match="marrow alone"):
        measured(np.zeros((9, 9, 9), dtype=bool), 0.1)
    with pytest.raises(ValueError, match="above 0 mm"):
        measured(ball(5), 0.0)
    with pytest.raises(ValueError, match="larger region"):
        variogram(np.ones((9, 9, 9)), np.ones((9, 9, 9), dtype=bool), 1.0, axis=0, reach_mm=3)
