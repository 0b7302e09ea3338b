"""`trabecula measure`: numbers of a file and of a cohort, remembered, pictured, and refused in one line."""

import csv
import io
import json

import numpy as np
import pytest
from PIL import Image as Picture

from tests.measure.bodies import painted, spine
from trabecula import cache
from trabecula.image_files import write_nifti
from trabecula.measure import quantities

BODIES, _ = spine(("L1", "L2", "L3"), (2.0, 1.5, 1.5), deformed={"L2": ("wedge", 0.4)})


@pytest.fixture
def study(tmp_path, monkeypatch):
    """A CT, a mask with names and one without, in files."""
    monkeypatch.setenv("TRABECULA_CACHE", str(tmp_path.parent / f"{tmp_path.name}_cache"))
    image = painted(BODIES, {1: 150.0, 2: 120.0, 3: 90.0})
    write_nifti(image, tmp_path / "ct.nii.gz")
    write_nifti(BODIES, tmp_path / "bodies.nii.gz")
    return tmp_path


def test_a_file_and_its_mask_give_numbers_with_unit_region_and_uncertainty(run, study):
    code, out, err = run(
        "measure", study / "ct.nii.gz", "--mask", study / "bodies.nii.gz", "--what", "hounsfield,vertebra", "--json"
    )
    assert code == 0, err
    rows = {(row["part"], row["name"]): row for row in json.loads(out)}
    assert rows["L2", "mean_hu_eroded"]["value"] == 120
    assert rows["L2", "mean_hu_eroded"]["unit"] == "HU"
    assert "mm" in rows["L2", "mean_hu_eroded"]["region"]
    assert rows["L2", "deformity_grade_morphometric"]["value"] in (2, 3)
    assert rows["L2", "height_loss_wedge"]["value"] == pytest.approx(
        40, abs=rows["L2", "height_loss_wedge"]["uncertainty"]
    )
    assert "fracture" not in out


def test_csv_and_the_table_hold_the_same_numbers(run, study):
    words = ("measure", study / "ct.nii.gz", "--mask", study / "bodies.nii.gz")
    _, out, _ = run(*words, "--csv")
    rows = list(csv.DictReader(io.StringIO(out)))
    assert {row["part"] for row in rows} == {"L1", "L2", "L3"}
    code, table, _ = run(*words)
    assert code == 0
    assert "mean_hu_whole" in table
    assert "half a 95 % interval" in table


def test_numbers_are_remembered_until_image_settings_or_code_change(run, study, monkeypatch):
    words = ("measure", study / "ct.nii.gz", "--mask", study / "bodies.nii.gz", "--json")
    _, first, _ = run(*words)
    computed = []
    kept = quantities.measure_hounsfield
    monkeypatch.setattr(quantities, "measure_hounsfield", lambda *given: computed.append(1) or kept(*given))
    assert run(*words)[1] == first
    assert not computed
    monkeypatch.setattr(cache, "package_digest", lambda package: "another version")
    assert run(*words)[1] == first
    assert computed == [1]


def test_the_picture_shows_the_regions(run, study):
    path = study / "regions.png"
    code, _, err = run("measure", study / "ct.nii.gz", "--mask", study / "bodies.nii.gz", "--picture", path)
    assert code == 0, err
    pixels = np.asarray(Picture.open(path).convert("RGB")).astype(int)
    for ink in ((255, 209, 102), (76, 201, 240), (255, 77, 109)):
        assert (np.abs(pixels - ink).sum(axis=-1) < 30).sum() > 200


def test_a_cohort_is_measured_with_its_own_masks(run, study):
    (study / "m.csv").write_text(
        "case,image.lumbar_ct,mask.vertebral_bodies\na,ct.nii.gz,bodies.nii.gz\nb,ct.nii.gz,bodies.nii.gz\n"
    )
    code, out, err = run("measure", study / "m.csv", "--what", "hounsfield,muscle", "--json")
    assert code == 0, err
    rows = json.loads(out)
    assert {row["case"] for row in rows} == {"a", "b"}
    (missing,) = (row for row in rows if row["case"] == "a" and row["what"] == "muscle")
    assert "muscle needs a mask of psoas and vertebral_bodies" in missing["abstained"]
    assert missing["value"] is None


def test_radiomics_of_each_part(run, study):
    words = ("measure", study / "ct.nii.gz", "--mask", study / "bodies.nii.gz", "--what", "radiomics", "--json")
    noisy = painted(BODIES, {1: 150.0, 2: 120.0, 3: 90.0}, noise=30.0)
    write_nifti(noisy, study / "ct.nii.gz")
    code, out, err = run(*words)
    assert code == 0, err
    rows = {(row["part"], row["name"]): row for row in json.loads(out)}
    assert rows["L1", "stat_mean"]["value"] == pytest.approx(150, abs=2)
    assert rows["L1", "stat_mean"]["unit"] == "HU"
    assert {part for part, _ in rows} == {"L1", "L2", "L3"}


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--what", "hounsfield"), "--mask MASK says where its bones are"),
        (("--what", "brightness", "--mask", "bodies.nii.gz"), "no quantity 'brightness'"),
        (("--mask", "nowhere.nii.gz"), "nowhere.nii.gz: there is no such file"),
        (("--mask", "ct.nii.gz"), "ct.nii.gz"),
        (("--mask", "empty.nii.gz"), "the mask is empty"),
        (("--mask", "small.nii.gz"), "resample the mask to the image"),
        (("--mask", "bodies.nii.gz", "--what", "density"), "whether contrast was given is not known"),
        (
            ("--mask", "bodies.nii.gz", "--what", "density", "--fact", "contrast=none"),
            "no 3 cm3 of fat could be found near the bones",
        ),
        (("--mask", "bodies.nii.gz", "--what", "areal"), "areal is measured in images of hip_dxa, or spine_dxa"),
        (("--mask", "bodies.nii.gz", "--what", "muscle"), "muscle needs a mask of psoas and vertebral_bodies"),
        (("--mask", "bodies.nii.gz", "--fact", "colour=red"), "a fact is told as NAME=VALUE"),
        (("--mask", "bodies.nii.gz", "--fact", "age_years=old"), "age_years is a number"),
        (("--mask", "bodies.nii.gz", "--json", "--csv"), "choose one"),
        (("--mask", "bodies.nii.gz", "--mask", "bodies.nii.gz"), "two masks are vertebral_bodies"),
        (("--mask", "nameless.nii.gz"), "have no names: say which layout"),
        (("--mask", "nameless.nii.gz", "--layout", "nora"), "no layout 'nora'"),
    ],
)
def test_bad_input_is_one_line(refused, study, monkeypatch, words, said):
    from dataclasses import replace

    monkeypatch.chdir(study)
    write_nifti(replace(BODIES, voxels=np.zeros_like(BODIES.voxels)), study / "empty.nii.gz")
    write_nifti(replace(BODIES, voxels=BODIES.voxels[2:]), study / "small.nii.gz")
    write_nifti(replace(BODIES, names={}), study / "nameless.nii.gz")
    assert said in refused("measure", "ct.nii.gz", *words)


def test_a_mask_without_names_takes_a_layout(run, study):
    from dataclasses import replace

    voxels = np.where(BODIES.voxels > 0, BODIES.voxels + 19, 0).astype(np.uint8)
    write_nifti(replace(BODIES, voxels=voxels, names={}), study / "verse.nii.gz")
    code, out, err = run(
        "measure", study / "ct.nii.gz", "--mask", study / "verse.nii.gz", "--layout", "verse", "--json"
    )
    assert code == 0, err
    assert {row["part"] for row in json.loads(out)} == {"L1", "L2", "L3"}


def test_every_quantity_is_in_the_help(run):
    _, out, _ = run("measure", "--help")
    for word in quantities.QUANTITIES:
        assert word in out


def test_texture_of_a_picture_needs_no_mask(run, study):
    values = np.random.default_rng(0).integers(0, 255, (80, 90), dtype=np.uint8)
    Picture.fromarray(values).save(study / "film.png")
    code, out, err = run("measure", study / "film.png", "--what", "texture", "--json", "--picture", study / "whole.png")
    assert code == 0, err
    rows = {row["name"]: row for row in json.loads(out)}
    assert rows["k_means_share_1"]["value"] == pytest.approx(1 / 3, abs=0.05)
    assert "gabor_energy_8px_0deg" in rows  # a PNG says no spacing
    assert (study / "whole.png").exists()


def test_a_map_told_by_its_role_has_t_scores_with_the_facts_told(run, study):
    from tests.measure.test_quantities import hip

    images, masks = hip(0.55)
    write_nifti(images["hip_dxa"], study / "map.nii.gz")
    write_nifti(masks["hip_regions"], study / "regions.nii.gz")
    words = ("measure", f"hip_dxa={study / 'map.nii.gz'}", "--mask", f"hip_regions={study / 'regions.nii.gz'}",
             "--what", "areal,interpretation", "--fact", "sex=female", "--fact", "age_years=70")  # fmt: skip
    code, out, err = run(*words, "--picture", study / "hip.png")
    assert code == 0, err
    assert "Lowest T-score -2.6" in out
    pixels = np.asarray(Picture.open(study / "hip.png").convert("RGB")).astype(int)
    for ink in ((255, 209, 102), (76, 201, 240), (255, 77, 109), (128, 237, 153)):
        assert (np.abs(pixels - ink).sum(axis=-1) < 30).sum() > 50
    _, unknown, _ = run(*words[:-4], "--json")
    (class_,) = (row for row in json.loads(unknown) if row["name"] == "who_class_dxa")
    assert "the sex is not known" in class_["abstained"]
