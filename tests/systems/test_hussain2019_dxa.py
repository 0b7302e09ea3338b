"""Hussain and Han 2019: the equation of two beams, regions by contour, the report, and how far BMD is off."""

from dataclasses import replace
from functools import cache

import numpy as np
import pytest

from trabecula.case import Images
from trabecula.cohort import open_cohort
from trabecula.metrics import auc, dice
from trabecula.prediction import Abstain, Probability, Value
from trabecula.system import Model, get_system
from trabecula.systems.hussain2019_dxa.calibration import calibrated, fitted_lines
from trabecula.systems.hussain2019_dxa.denoise import noise_sd, non_local_means
from trabecula.systems.hussain2019_dxa.pixels import areal_mineral, cleaned
from trabecula.systems.hussain2019_dxa.regions import NECK, TOTAL, hip_regions, lumbar_regions

ID = "hussain2019_dxa"
OSTEOPOROSIS, LOWEST, BMD = "dxa_map_osteoporosis", "dxa_map_t_score", "dxa_region_bmd"


@cache
def cases():
    return open_cohort("phantom_dxa", n=24).cases


@cache
def model():
    return get_system(ID, size="tiny").fit(cases()[:28])


def asked():
    return cases()[28:]


def test_noise_is_known_and_taken_away():
    clean = np.kron(np.eye(4), np.ones((20, 20)))
    noisy = clean + np.random.default_rng(0).normal(0, 0.1, clean.shape)
    assert noise_sd(noisy) == pytest.approx(0.1, rel=0.1)
    smooth = non_local_means(noisy, patch=5, reach=5, strength=0.8)
    assert np.sqrt(((smooth - clean) ** 2).mean()) < 0.05
    assert np.array_equal(non_local_means(clean, patch=5, reach=3, strength=0.8), clean)


@pytest.mark.parametrize("tissue", [0.5, 1.0, 2.0])
def test_the_equation_is_exact_for_beams_of_one_energy_and_soft_tissue_of_one_kind(tissue):
    bone = np.zeros((60, 80), dtype=bool)
    bone[:, 30:50] = True
    soft = tissue * np.linspace(12, 20, 80)[None].repeat(60, axis=0)
    mineral = np.where(bone, np.linspace(0.3, 1.4, 60)[:, None], 0)
    low, high = 0.57 * mineral + 0.25 * soft, 0.30 * mineral + 0.19 * soft
    found, ratio = areal_mineral(low, high, bone, mm=1.0, beams=(0.57, 0.30))
    assert found[bone] == pytest.approx(mineral[bone], abs=1e-9)
    assert ratio == pytest.approx(0.25 / 0.19)


def test_beams_that_are_none_and_bone_without_soft_tissue_are_refused():
    bone = np.zeros((40, 40), dtype=bool)
    bone[:, 15:25] = True
    with pytest.raises(ValueError, match="as mineral has"):
        areal_mineral(np.full((40, 40), 1.9), np.ones((40, 40)), bone, mm=1.0, beams=(0.57, 0.30))
    with pytest.raises(ValueError, match="no soft tissue"):
        areal_mineral(np.ones((40, 40)), np.ones((40, 40)), np.ones_like(bone), mm=1.0, beams=(0.57, 0.30))


def test_specks_go_and_small_holes_are_filled():
    bone = np.zeros((100, 100), dtype=bool)
    bone[20:80, 20:80] = True
    bone[40:44, 40:44], bone[5, 5], bone[90:93, 90:93] = False, True, True
    found = cleaned(bone)
    assert found[41, 41]
    assert not found[5, 5]
    assert not found[91, 91]


def test_regions_of_the_exact_contour_are_the_exact_ones_on_both_sides():
    """Overlap (Dice) of the neck's box and total hip with the phantom's masks, from the true outline of all bone."""
    found = []
    for case in cases()[:12]:
        mask, bone = case.masks["hip_regions"], case.masks["bone"]
        mm = mask.spacing[1]
        regions = hip_regions(bone.voxels[0] > 0, mm)
        mirrored = hip_regions(bone.voxels[0][:, ::-1] > 0, mm)
        assert all(np.array_equal(regions[name], mirrored[name][:, ::-1]) for name in regions)
        neck = mask.voxels[0] == next(value for value, name in mask.names.items() if name == "femoral neck")
        found.append((dice(neck, regions[NECK]), dice(mask.voxels[0] > 0, regions[TOTAL])))
    neck, total = np.array(found).T
    assert np.median(neck) > 0.7
    assert np.median(total) > 0.9


def test_a_bone_that_is_no_hip_is_refused():
    for bone in (np.zeros((80, 60), dtype=bool), np.ones((80, 60), dtype=bool)):
        with pytest.raises(ValueError, match="no "):
            hip_regions(bone, 1.0)


def test_four_vertebrae_of_a_made_spine_are_told_apart_by_their_discs():
    rows, columns = np.indices((190, 140))
    bone = np.abs(columns - 78) < 20
    mineral = np.where(bone, np.where(rows % 36 < 30, 1.0, 0.5), 0.0)
    found = lumbar_regions(bone, mineral, 1.0)
    assert list(found) == ["L1", "L2", "L3", "L4", "L1-L4"]
    for level in ("L1", "L2", "L3", "L4"):
        span = np.flatnonzero(found[level].any(axis=1))
        assert len(span) == pytest.approx(35, abs=2)
    with pytest.raises(ValueError, match="no four vertebrae"):
        lumbar_regions(bone, np.where(bone, 1.0, 0.0), 1.0)


def test_answers_are_of_their_kind_and_survive_saving(tmp_path):
    answers = model().predict(asked())
    whole = [answer for answer in answers if not isinstance(answer[BMD], Abstain)]
    assert len(whole) > 0.8 * len(answers)
    assert all(isinstance(answer[LOWEST], Value) for answer in whole)
    assert any(isinstance(answer[OSTEOPOROSIS], Probability) for answer in whole)
    model().save(tmp_path / "model")
    assert Model.load(tmp_path / "model").predict(asked()[:4]) == answers[:4]


def test_measured_bmd_follows_the_true_one():
    pairs = [
        (case.truth[BMD], answer[BMD].value, case.truth[OSTEOPOROSIS], answer[LOWEST].value)
        for case, answer in zip(cases(), model().predict(cases()), strict=True)
        if isinstance(answer[BMD], Value) and OSTEOPOROSIS in case.truth
    ]
    true, found, ill, lowest = np.array(pairs).T
    assert np.corrcoef(true, found)[0, 1] > 0.8
    assert auc(ill, -lowest) > 0.65
    new = [case.truth[BMD] - answer[BMD].value for case, answer in zip(asked(), model().predict(asked()), strict=True)]
    assert abs(np.mean(new)) < 0.06
    assert np.std(new) < 0.12


def test_no_who_class_below_fifty_and_no_number_without_calibration():
    case = asked()[0]
    young = replace(case, table={**case.table, "age_years": 45.0})
    answer = model().predict([young])[0]
    assert "menopause" in answer[OSTEOPOROSIS].reason
    assert isinstance(answer[BMD], Value)
    classed = [each for each in cases() if OSTEOPOROSIS in each.truth]
    known = [replace(each, truth={OSTEOPOROSIS: each.truth[OSTEOPOROSIS]}) for each in classed]
    bare = get_system(ID, size="tiny").fit(known)
    assert not bare.state.facts["lines"]
    assert "not calibrated" in bare.predict([case])[0][BMD].reason
    assert not isinstance(bare.predict([case])[0][OSTEOPOROSIS], Abstain) or case.number("age_years") < 50


def test_the_report_tells_regions_and_the_hip_alone_suffices():
    case = next(c for c, a in zip(asked(), model().predict(asked()), strict=True) if isinstance(a[BMD], Value))
    numbers = model().explain(case).numbers
    for region in ("femoral neck", "total hip", "L1-L4"):
        for name in ("area_cm2", "bmc_g", "bmd_g_cm2", "t_score"):
            assert f"{region}: {name}" in numbers
        assert numbers[f"{region}: bmc_g"] == pytest.approx(
            numbers[f"{region}: bmd_g_cm2"] * numbers[f"{region}: area_cm2"]
        )
    heat = model().explain(case).heat
    assert heat["hip_dxa_low"].shape == case.images["hip_dxa_low"].shape
    hip = replace(case, images=case.images.only(["hip_dxa_low", "hip_dxa_high"]))
    assert isinstance(model().predict([hip])[0][BMD], Value)
    assert "L1-L4: bmd_g_cm2" not in model().explain(hip).numbers


def test_a_scan_without_spacing_or_of_another_unit_abstains():
    case = asked()[0]
    low = case.images["hip_dxa_low"]
    images = {"hip_dxa_low": low.with_voxels(low.voxels, unit="stored"), "hip_dxa_high": case.images["hip_dxa_high"]}
    reason = model().predict([replace(case, images=Images(images))])[0][BMD].reason
    assert "log attenuation" in reason


def test_a_line_is_found_from_known_patients():
    """Twenty hips whose raw mineral is the true one, off by a line: neck and spine follow from the lowest T-score."""
    rng = np.random.default_rng(0)
    young = {"femoral neck": (0.858, 0.12), "total hip": (0.942, 0.122), "L1-L4": (1.047, 0.11)}
    true = {site: rng.normal(0.8, 0.13, 60) for site in young}
    found = [
        {site: {"raw": (true[site][n] - 0.1) / 1.2, "ratio": 1.27, "area_cm2": 5.0} for site in young}
        for n in range(60)
    ]
    lowest = np.min([(true[site] - mean) / sd for site, (mean, sd) in young.items()], axis=0)
    lines = fitted_lines(found, true["total hip"].tolist(), lowest.tolist(), young)
    for site in young:
        off = [calibrated(each, lines)[site] - true[site][n] for n, each in enumerate(found)]
        assert np.abs(off).max() < (1e-9 if site == "total hip" else 0.1), site
