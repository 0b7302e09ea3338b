"""The femur: morphometry, where cortex is thick and trabecular bone dense, and mineral solved for two areal BMDs."""

import numpy as np
import pytest
from scipy.ndimage import label

from trabecula.phantom.anatomy.femur import FemurShape, draw_femur, femur_solid, neck_span, trabecular_law, wall_law
from trabecula.phantom.anatomy.femur_bone import SCALES, HipMineral, Pose, posed, solve
from trabecula.phantom.anatomy.hip_regions import NECK, REGIONS, region_of
from trabecula.phantom.anatomy.scene import Grid, Scene
from trabecula.phantom.people import person

SHAPE = FemurShape(
    head_mm=22, neck_mm=50, neck_half_mm=15, neck_shaft_deg=127, anteversion_deg=12, shaft_mm=14
)  # fmt: skip
MINERAL = HipMineral(neck_g_cm2=0.72, total_g_cm2=0.86, trabecular_mg_cm3=110, fat=0.7)
STRAIGHT = ((1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, 0.0, 1.0))
"""Of the femur's own frame: the neck in the plane of a frontal view."""


def somebody(patient, seed=0, *, enriched=True):
    drawn = person(patient, seed, enriched=enriched)
    male, tall = drawn.table["sex"] == "male", float(drawn.table["height_cm"])
    truth = drawn.skeleton
    return draw_femur(np.random.default_rng([seed, patient]), male=male, height_cm=tall), HipMineral(
        neck_g_cm2=truth.femoral_neck_g_cm2, total_g_cm2=truth.total_hip_g_cm2,
        trabecular_mg_cm3=truth.hip_vbmd_mg_cm3, fat=truth.hip_marrow_fat, wall=truth.wall,
    )  # fmt: skip


def projected(shape, mineral, mm=0.8):
    """Return mineral in g/cm2 and regions `[row, column]` as a densitometer would see them, and the grid."""
    scene = Scene(tissues=(), bones=(posed(solve(shape, mineral), Pose(head=shape.head, turn=STRAIGHT)),))
    grid = Grid.around((-90, -45, -75), (45, 45, 70), (mm, mm, mm))
    x, _, z = grid.axes()
    inside = (scene.labels(grid, {"femur": 1}).voxels > 0).any(axis=1)
    return scene.mineral(grid), (region_of(shape, x[:, 0], z[:, 0]) * inside)[::-1], grid


@pytest.mark.parametrize("patient", range(4))
def test_projected_mineral_is_the_areal_bmd_drawn(patient):
    """Neck and total hip within 1 %, on another grid than the one it is solved on."""
    shape, mineral = somebody(patient)
    column, regions, _ = projected(shape, mineral)
    assert column[regions == NECK].mean() == pytest.approx(mineral.neck_g_cm2, rel=0.01)
    assert column[regions > 0].mean() == pytest.approx(mineral.total_g_cm2, rel=0.01)


@pytest.mark.slow
def test_everybody_has_a_plausible_cortex():
    """200 people, half of them from 20 years on: scales within the limits, 90 % within half and twice the usual."""
    people = [somebody(patient, 1, enriched=patient % 2 == 0) for patient in range(200)]
    scales = np.array([[bone.neck_scale, bone.shaft_scale] for bone in (solve(*each) for each in people)])
    assert scales.min() > SCALES[0]
    assert scales.max() < SCALES[1]
    assert ((scales > 0.5) & (scales < 2.0)).mean() > 0.90


def test_trabecular_density_is_that_of_head_and_neck():
    bone = solve(SHAPE, MINERAL)
    grid = Grid.around((-70, -25, -5), (0, 25, 55), (1.0, 1.0, 1.0))
    x, y, z = grid.axes()
    u, _ = SHAPE.neck_places(x, z)
    within = (femur_solid(SHAPE).distance(x, y, z) < -bone.wall_mm(x, y, z)) & (u > neck_span(SHAPE)[0])
    density = np.broadcast_to(bone.trabecular_mg_cm3(x, y, z), within.shape)
    assert density[within].mean() == pytest.approx(MINERAL.trabecular_mg_cm3, rel=0.02)


def test_cortex_is_thick_below_the_neck_and_thin_above_and_over_the_head():
    bone = solve(SHAPE, MINERAL)

    def wall(u, v):
        nx, nz = SHAPE.along
        x, z = (np.array([[[u * a + v * b]]], dtype=np.float32) for a, b in ((nx, nz), (nz, -nx)))
        return float(bone.wall_mm(x, np.zeros_like(x), z).item())

    middle = sum(neck_span(SHAPE)) / 2
    below, above, head = wall(middle, -14), wall(middle, 14), wall(SHAPE.neck_mm + 20, 0)
    shaft = float(wall_law(SHAPE, *(np.array([[[mm]]], dtype=np.float32) for mm in (-13.0, 0.0, -70.0))).item())
    assert 2.5 < below < 6
    assert 0.5 < above < 0.45 * below
    assert 0.4 < head < 1.5
    assert 5 < shaft < 8


def test_trabecular_bone_runs_in_groups_about_wards_triangle():
    def dense(x, z, loss=0.0):
        at = (np.array([[[mm]]], dtype=np.float32) for mm in (x, 0.0, z))
        return float(trabecular_law(SHAPE, *at, loss=loss).item())

    hx, _, hz = SHAPE.head
    u, _ = neck_span(SHAPE)
    nx, nz = SHAPE.along
    wards = ((u - 5.5) * nx, (u - 5.5) * nz)
    assert dense(hx, hz) > 2.5 * dense(*wards)
    assert dense(0, -100) < 0.1 * dense(*wards), "the shaft has a canal"
    lost, kept = (dense(hx, hz, loss) / dense(*wards, loss) for loss in (3.0, 0.0))
    assert lost > 1.2 * kept, "what is thin goes first"


@pytest.mark.parametrize("patient", range(3))
def test_every_region_is_one_piece(patient):
    """The trochanter's tip, which lies beside the box in some, belongs to the trochanter."""
    _, regions, _ = projected(*somebody(patient, 2))
    assert [label(regions == value)[1] for value in REGIONS] == [1] * len(REGIONS)


def test_regions_are_a_box_of_fifteen_mm_and_share_no_pixel():
    column, regions, grid = projected(SHAPE, MINERAL, mm=0.5)
    x, _, z = grid.axes()
    u, _ = SHAPE.neck_places(x[:, 0], z[:, 0])
    neck = regions[::-1] == NECK
    assert np.ptp(u[neck]) == pytest.approx(15.0, abs=0.6)
    assert neck.sum() * 0.25 / 15 == pytest.approx(2 * SHAPE.neck_half_mm, rel=0.1)
    areas = {name: (regions == value).sum() * 0.25 / 100 for value, name in REGIONS.items()}
    assert 4 < areas["femoral neck"] < 6.5
    assert areas["Ward's triangle"] == pytest.approx(1.21, rel=0.05)
    assert 6 < areas["trochanter"] < 14
    assert 28 < sum(areas.values()) < 45
    means = {name: column[regions == value].mean() for value, name in REGIONS.items()}
    assert 0.55 < means["Ward's triangle"] / means["femoral neck"] < 0.9, "0.7 in women of 65; recalled, NHANES III"
    assert 0.6 < means["trochanter"] / column[regions > 0].mean() < 0.9, "0.78; recalled"
    assert 1.1 < means["intertrochanteric"] / column[regions > 0].mean() < 1.4, "1.2; recalled"
    assert (np.broadcast_to(z[:, 0], neck.shape)[regions[::-1] > 0] >= SHAPE.lesser_mm - 10).all()


def test_the_right_femur_is_the_left_in_a_mirror():
    grid = Grid.around((-40, -40, -60), (120, 40, 60), (2.0, 2.0, 2.0))
    x, y, z = grid.axes()
    pose = Pose(head=(40.0, 0.0, 0.0), turn=STRAIGHT)
    left, right = (posed(solve(SHAPE, MINERAL), pose, mirrored=side) for side in (False, True))
    assert np.allclose(left.solid.distance(x, y, z), right.solid.distance(-x, y, z), atol=1e-4)
    assert np.allclose(left.wall_mm(x, y, z), right.wall_mm(-x, y, z), atol=1e-5)


def test_sizes_are_those_of_women_and_men():
    """Means of 400: heads of 43 to 45 and 48 to 50 mm, offsets of 38 to 46 mm, necks 30 to 36 mm high; recalled."""
    for male, height, head, offset in ((False, 163, (43, 45), (38, 41)), (True, 177, (48, 50), (42, 46))):
        drawn = [draw_femur(np.random.default_rng(n), male=male, height_cm=height) for n in range(400)]
        assert head[0] < np.mean([2 * shape.head_mm for shape in drawn]) < head[1]
        assert offset[0] < np.mean([-shape.head[0] for shape in drawn]) < offset[1]
        assert 4 < np.std([shape.neck_shaft_deg for shape in drawn]) < 6


def test_impossible_femora_are_refused():
    with pytest.raises(ValueError, match="neck_mm lies between"):
        FemurShape(head_mm=22, neck_mm=5, neck_half_mm=15, neck_shaft_deg=127, anteversion_deg=12, shaft_mm=14)
    with pytest.raises(ValueError, match="neck_g_cm2 lies between"):
        HipMineral(neck_g_cm2=-0.7, total_g_cm2=0.8, trabecular_mg_cm3=100, fat=0.5)
    with pytest.raises(ValueError, match="no plausible cortex"):
        solve(SHAPE, HipMineral(neck_g_cm2=0.12, total_g_cm2=1.5, trabecular_mg_cm3=200, fat=0.5))
