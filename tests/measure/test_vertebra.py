"""Height loss of known deformities at 1 mm, its uncertainty, what is no loss, and experts against each other."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tests.measure.bodies import label_map, orientations, placed, spine
from trabecula.image import read_nifti
from trabecula.measure.masks import bodies_by_level, named_mask
from trabecula.measure.midline import midline_profile
from trabecula.measure.number import Missing
from trabecula.measure.vertebra import (
    USUAL,
    Heights,
    body_heights,
    height_losses,
    measure_vertebrae,
    point_heights,
)
from trabecula.measure.vertebral_frame import body_clouds, body_frame, body_frames
from trabecula.phantom.anatomy.vertebra import LEVELS, usual_vertebra

DATA = Path(__file__).parents[3] / "shared" / "data"
SHAPES = ("wedge", "biconcave", "crush")


def losses_of(heights, usual):
    """Wedge, biconcave and crush against the same body before it was deformed."""
    anterior, middle, posterior = heights
    front, centre, back = usual
    return np.array(
        [1 - anterior / posterior * back / front, 1 - middle / posterior * back / centre, 1 - posterior / back]
    )


def measured(seed, mm, count):
    """Errors in points of the loss in the direction of each deformity, of heights in mm, and their uncertainties."""
    rng = np.random.default_rng(seed)
    points, heights, sure = [], [], []
    for n in range(count):
        level = LEVELS[rng.integers(len(LEVELS))]
        usual = usual_vertebra(level, male=bool(rng.integers(2)), height_cm=rng.normal(167, 8))
        direction, loss = n % 3, rng.uniform(0, 0.5)
        vertebra = usual.deformed(SHAPES[direction], loss)
        solid = placed(vertebra, turn=rng.uniform(-1, 1, 3) * (15, 7, 7), shift=rng.uniform(-1.5, 1.5, 3))
        found = body_heights(body_frames(label_map({level: solid}, mm, 2 * max(mm)))[level])
        got = (found.anterior, found.middle, found.posterior)
        points.append(100 * (losses_of(got, usual.heights)[direction] - loss))
        heights.append(np.array(got) - vertebra.heights)
        sure.append((found.uncertainty, found.middle_uncertainty, found.uncertainty))
    return np.array(points), np.array(heights), np.array(sure)


def test_known_losses_come_back_at_1_mm():
    """Bias at most 0.5 points, 95 % of errors within 4: any level, shape and loss, tilted by up to 15 degrees."""
    points, heights, _ = measured(0, (1.0, 1.0, 1.0), 60)
    assert abs(points.mean()) <= 0.5
    assert np.percentile(np.abs(points), 95) <= 4
    assert np.abs(heights.mean(axis=0)).max() < 0.15


@pytest.mark.slow
def test_known_losses_come_back_at_1_mm_in_every_direction():
    points, heights, sure = measured(1, (1.0, 1.0, 1.0), 300)
    for direction in range(3):
        assert abs(points[direction::3].mean()) <= 0.5
        assert np.percentile(np.abs(points[direction::3]), 95) <= 4.5
    assert np.percentile(np.abs(points), 95) <= 4
    assert (np.abs(heights) < sure).mean() > 0.9


@pytest.mark.parametrize("mm", [(3.0, 3.0, 3.0), (2.0, 1.0, 1.0)])
def test_the_uncertainty_holds_the_truth_at_the_voxel_size(mm):
    _, heights, sure = measured(2, mm, 40)
    held = (np.abs(heights) < sure).mean(axis=0)
    assert held.min() >= 0.87
    assert np.median(sure[:, 0]) < 7.5


def test_losses_have_intervals_that_hold_them():
    held = []
    rng = np.random.default_rng(3)
    for n in range(24):
        loss, shape = rng.uniform(0.1, 0.45), SHAPES[n % 2]
        mask, truth = spine(
            ("L1", "L2", "L3"), (2.0, 2.0, 2.0), deformed={"L2": (shape, loss)}, tilt=rng.uniform(-15, 15)
        )
        frames = body_frames(mask)
        found = height_losses({level: body_heights(frames[level]) for level in frames})["L2"].shares[shape]
        usual = usual_vertebra("L2", male=False, height_cm=163).heights
        true = losses_of(truth["L2"].heights, usual)[SHAPES.index(shape)]
        held.append(abs(found.loss - true) < found.uncertainty)
    assert np.mean(held) >= 0.85


def test_a_deformed_body_is_named_by_its_direction_and_its_neighbours_are_not():
    for shape in SHAPES:
        mask, _ = spine(("T12", "L1", "L2", "L3"), deformed={"L1": (shape, 0.35)})
        frames = body_frames(mask)
        found = height_losses({level: body_heights(frames[level]) for level in frames})
        assert found["L1"].shape == shape
        assert found["L1"].grade == 2
        assert found["L1"].shares[shape].loss == pytest.approx(0.35, abs=0.045)
        assert {found[level].shape for level in ("T12", "L2", "L3")} == {"none"}


def test_crush_is_judged_by_neighbours_that_are_whole():
    whole = {level: heights(level, 27.0) for level in ("T12", "L1", "L2", "L3")}
    crushed = whole | {"L1": heights("L1", 27.0 * 0.7)}
    assert height_losses(crushed)["L1"].crush.loss == pytest.approx(0.3, abs=1e-9)
    wedged = replace(whole["L2"], anterior=whole["L2"].anterior * 0.6, posterior=whole["L2"].posterior * 0.8)
    assert height_losses(crushed | {"L2": wedged})["L1"].crush.loss == pytest.approx(0.3, abs=1e-9)
    alone = height_losses({level: crushed[level] for level in ("L1", "L2")})
    assert alone["L1"].crush is None
    assert alone["L1"].shape == "none"


def heights(level, scale):
    anterior, middle, posterior = USUAL[level]
    back = posterior * scale
    return Heights(level=level, anterior=anterior * back, middle=middle * back, posterior=back, depth=30.0)


def test_lordosis_is_no_loss():
    """Level-specific ratios: usual bodies of L3 to L5 lose nothing, though their front is up to 13 % higher."""
    found = height_losses({level: heights(level, 27.0) for level in USUAL})
    for loss in found.values():
        assert loss.shape == "none"
        assert loss.largest.loss == pytest.approx(0, abs=1e-9)
    raw = {level: 1 - min(1.0, USUAL[level][0]) / max(1.0, USUAL[level][0]) for level in USUAL}
    assert raw["L5"] > 0.1


@pytest.mark.parametrize(
    ("loss", "grade"), [(0.0, 0), (0.199, 0), (0.2, 1), (0.249, 1), (0.25, 2), (0.399, 2), (0.4, 3), (0.7, 3)]
)
def test_grades_have_the_cuts_of_genant(loss, grade):
    usual = heights("L2", 27.0)
    wedge = replace(usual, anterior=usual.anterior * (1 - loss - 1e-12))
    assert height_losses({"L2": wedge})["L2"].grade == grade


def test_all_48_orientations_give_the_same_heights():
    vertebra = usual_vertebra("L1", male=True, height_cm=180).deformed("wedge", 0.3)
    mask = label_map({"L1": placed(vertebra, turn=(11, 4, 5), shift=(0.2, 0.4, 0.1))}, (2.5, 2.0, 1.75))
    wanted = {number.name: number.value for number in measure_vertebrae(mask)}
    for turned in orientations(mask):
        for number in measure_vertebrae(turned):
            assert number.value == pytest.approx(wanted[number.name], abs=1e-6)


def test_a_tilted_patient_has_the_same_heights():
    found = []
    for tilt in (-15.0, 0.0, 15.0):
        mask, _ = spine(("L1", "L2", "L3"), tilt=tilt)
        of = body_heights(body_frames(mask)["L2"])
        found.append((of.anterior, of.middle, of.posterior))
    assert np.ptp(found, axis=0).max() < 0.8


def test_numbers_never_say_fracture_and_have_unit_region_and_uncertainty():
    mask, _ = spine(("L1", "L2", "L3"), (1.5, 1.5, 1.5), deformed={"L2": ("wedge", 0.45)})
    numbers = measure_vertebrae(mask)
    told = json.dumps([number.to_json() for number in numbers])
    assert "fracture" not in told
    by_name = {(number.part, number.name): number for number in numbers}
    assert by_name["L2", "deformity_grade_morphometric"].value == 3
    assert by_name["L2", "height_anterior_mm"].unit == "mm"
    assert by_name["L2", "height_loss_wedge"].unit == "%"
    assert all(number.uncertainty for number in numbers if number.name.startswith("height"))


def test_what_cannot_be_measured_abstains_beside_what_can():
    mask, _ = spine(("L1", "L2", "L3"), (1.5, 1.5, 1.5))
    voxels = np.array(mask.voxels)
    middle = int(np.argwhere(voxels == 2)[:, 0].mean())
    voxels[middle - 1 : middle + 2][voxels[middle - 1 : middle + 2] == 2] = 0
    found = measure_vertebrae(replace(mask, voxels=voxels[: mask.shape[0] - 6]))
    reasons = {each.part: each.abstain.reason for each in found if isinstance(each, Missing)}
    assert "touches the edge of the image" in reasons["L1"]
    assert "lies in pieces" in reasons["L2"]
    assert {each.part for each in found if not isinstance(each, Missing)} == {"L3"}
    with pytest.raises(ValueError, match="mask is empty"):
        measure_vertebrae(replace(mask, voxels=np.zeros_like(voxels)))
    with pytest.raises(ValueError, match="no spacing"):
        measure_vertebrae(replace(mask, spacing=None))
    speck = np.zeros_like(voxels)
    speck[5, 5, 5] = 1
    (few,) = measure_vertebrae(replace(mask, voxels=speck))
    assert "too few to find its endplates" in few.abstain.reason
    with pytest.raises(ValueError, match="no usual ratios for C3"):
        height_losses({"C3": Heights(level="C3", anterior=1, middle=1, posterior=1, depth=1)})


def test_a_whole_vertebra_is_not_taken_for_its_body():
    mask, _ = spine(("L1", "L2"), (1.5, 1.5, 1.5))
    whole = np.pad(mask.voxels, ((0, 0), (0, 30), (0, 0)))
    at = np.argwhere(whole == 1)
    k, j, i = (int(n) for n in at.mean(axis=0))
    whole[k - 2 : k + 3, j : at[:, 1].max() + 28, i - 2 : i + 3] = 1  # a process, such as a mask of all bone has
    (refused, *_) = measure_vertebrae(replace(mask, voxels=whole))
    assert "a whole vertebra, it seems" in refused.abstain.reason


def test_six_points_give_the_distances_between_them():
    points = [(0, 0, 20), (0, 15, 21), (0, 30, 25), (0, 0, 0), (0, 15, 1), (3, 30, -4 + 4)]
    found = point_heights(points, level="L2")
    assert (found.anterior, found.middle) == (20, 20)
    assert found.posterior == pytest.approx(np.hypot(3, 25))
    with pytest.raises(ValueError, match="six points"):
        point_heights(points[:5], level="L2")
    with pytest.raises(ValueError, match="six points"):
        point_heights([*points[:5], (np.nan, 0, 0)], level="L2")


@pytest.mark.skipif(not (DATA / "vertebral_heights").exists(), reason="needs ../shared/data/vertebral_heights")
def test_experts_agree_no_better_than_this():
    """Six points of seven experts on 70 CTs, in voxels: no spacing is told, so only ratios of parallel heights count.

    Heights are the distances of the pairs, in their own unit. Two experts' ratios of one body differ by 0.03 in the
    middle and 0.09 to 0.10 at the 95th percentile; by a cut of 20 % raw loss they agree with a kappa of 0.5.
    """
    bodies = {}
    for file in sorted((DATA / "vertebral_heights" / "annotation").glob("*.json")):
        for expert, points in json.loads(file.read_text())["Annotation"].items():
            for pairs in map(np.array, points):
                found = point_heights(pairs[[1, 3, 5, 0, 2, 4]], level="any")
                told = np.linalg.norm(pairs[1::2] - pairs[::2], axis=1)
                np.testing.assert_allclose((found.anterior, found.middle, found.posterior), told)
                ratios = found.anterior / found.posterior, found.middle / found.posterior
                bodies.setdefault((file.name, expert), []).append((pairs.mean(axis=0)[[0, 2]], ratios))
    assert sum(map(len, bodies.values())) == 2379
    first, second = _pairs(bodies)
    apart = np.abs(first - second)
    np.testing.assert_allclose(np.median(apart, axis=0), (0.023, 0.028), atol=0.003)
    np.testing.assert_allclose(np.percentile(apart, 95, axis=0), (0.087, 0.105), atol=0.01)
    lost = [1 - ratios.min(axis=1) >= 0.2 for ratios in (first, second)]
    agreed = (lost[0] == lost[1]).mean()
    by_chance = lost[0].mean() * lost[1].mean() + (1 - lost[0].mean()) * (1 - lost[1].mean())
    assert (agreed - by_chance) / (1 - by_chance) == pytest.approx(0.51, abs=0.03)


def _pairs(bodies):
    """Ratios of the same body by two experts: bodies whose middles lie within 6 voxels of each other."""
    found = []
    for (file, expert), ours in bodies.items():
        for (other_file, other), theirs in bodies.items():
            if file == other_file and expert < other:
                for middle, ratios in ours:
                    away = [np.linalg.norm(middle - there) for there, _ in theirs]
                    if min(away, default=9) <= 6:
                        found.append((ratios, theirs[int(np.argmin(away))][1]))
    return np.array(found).transpose(1, 0, 2)


@pytest.mark.skipif(not (DATA / "ct_totalseg_example").exists(), reason="needs ../shared/data/ct_totalseg_example")
def test_lordotic_bodies_of_a_real_ct_are_not_called_deformed():
    """The published report flags L1, L3, L4 and L5: it takes any difference of heights for a loss."""
    folder = DATA / "ct_totalseg_example"
    report = json.loads((folder / "spine_report.json").read_text())["results"]
    flagged = [
        level for level in ("L1", "L2", "L3", "L4", "L5") if report[f"vertebrae_{level}_height_difference"] > 0.2
    ]
    assert flagged == ["L1", "L3", "L4", "L5"]
    bodies, vertebrae = (
        named_mask(read_nifti(folder / f"{file}.nii.gz", unit="label"))
        for file in ("vertebrae_body", "vertebrae_totalseg")
    )
    refined = named_mask(read_nifti(folder / "vertebrae_pp_refined.nii.gz", unit="label"))
    for mask in (bodies_by_level(bodies, vertebrae), refined):
        clouds = body_clouds(mask)
        found = {level: body_heights(body_frame(level, clouds, mask)) for level in ("L1", "L2", "L3", "L4", "L5")}
        losses = height_losses(found)
        assert {losses[level].shape for level in ("L2", "L3", "L4", "L5")} == {"none"}
        raw = 1 - found["L1"].anterior / found["L1"].posterior
        sure = losses["L1"].wedge.uncertainty * USUAL["L1"][0]
        assert 0.08 < sure < 0.25
        assert losses["L1"].shape == "wedge"
        profile = midline_profile(body_frame("L1", clouds, mask)).height
        where_the_report_reads = 1 - np.polyval(profile, -0.7) / np.polyval(profile, 0.7)
        assert raw > where_the_report_reads  # which is 15 % of the depth within the rims, on one sagittal slice
        assert where_the_report_reads == pytest.approx(report["vertebrae_L1_height_difference"], abs=0.06)
