"""Bad input: exit code 2, one line that names what to mend and how, nothing half-written."""

import errno
import os
import subprocess
from pathlib import Path

import numpy as np
import pytest
from PIL import Image as Picture

from tests.cli.study import AGE_ROWS, PICTURES, TABLE, people
from trabecula.card import system_card, system_ids

PLANNED = next(id_ for id_ in system_ids() if not system_card(id_).built)


def evaluated(cohort, tmp_path, *more, system=TABLE, folds=2):
    return ("evaluate", *system, "--cohort", cohort, "--folds", folds, "--jobs", 1, "--out", tmp_path / "out", *more)


def test_no_cohort(refused, tmp_path):
    assert "nowhere.csv is not there" in refused(*evaluated(tmp_path / "nowhere.csv", tmp_path))
    (tmp_path / "empty").mkdir()
    assert "empty holds no cohort" in refused(*evaluated(tmp_path / "empty", tmp_path))
    assert "did you mean phantom_fracture_table" in refused(*evaluated("phantom_fracture_tabel", tmp_path))
    (tmp_path / "m.csv").write_text(AGE_ROWS)
    assert "m.csv: holds no row" in refused(*evaluated(tmp_path / "m.csv", tmp_path))
    said = refused("evaluate", "kong2020_catboost", "--cohort", "nhanes", "--out", tmp_path / "out")
    assert "--data DIR or TRABECULA_DATA" in said


@pytest.mark.parametrize("broken", ["text", "truncated", "empty"])
def test_a_picture_that_is_none(refused, pictures, tmp_path, broken):
    path = pictures / "normal" / "3.png"
    path.write_bytes({"text": b"I am text.", "truncated": path.read_bytes()[:900], "empty": b""}[broken])
    said = refused(*evaluated(pictures, tmp_path, system=PICTURES))
    assert "normal/3.png" in said
    assert "replace or remove" in said


def test_a_truncated_dicom_file(refused, tmp_path):
    from pydicom.dataset import Dataset, FileMetaDataset
    from pydicom.uid import ExplicitVRLittleEndian, generate_uid

    picture = Dataset()
    picture.file_meta = FileMetaDataset()
    picture.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    picture.SOPClassUID = picture.file_meta.MediaStorageSOPClassUID = "1.2.840.10008.5.1.4.1.1.1.1"
    picture.SOPInstanceUID = picture.file_meta.MediaStorageSOPInstanceUID = generate_uid()
    picture.Modality, picture.PatientID, picture.SeriesInstanceUID = "DX", "p", generate_uid()
    picture.Rows = picture.Columns = 64
    picture.SamplesPerPixel, picture.PhotometricInterpretation = 1, "MONOCHROME2"
    picture.BitsAllocated = picture.BitsStored = 16
    picture.HighBit, picture.PixelRepresentation = 15, 0
    picture.PixelData = np.random.default_rng(0).integers(0, 9999, (64, 64), dtype=np.uint16).tobytes()
    picture.save_as(tmp_path / "film.dcm", enforce_file_format=True)
    whole = (tmp_path / "film.dcm").read_bytes()
    rows = [f"c{i},film{i % 2}.dcm,{i % 2},70\n" for i in range(20)]
    (tmp_path / "m.csv").write_text("case,image.knee_xray,truth.past_fracture,table.age_years\n" + "".join(rows))
    (tmp_path / "film0.dcm").write_bytes(whole)
    (tmp_path / "film1.dcm").write_bytes(whole[: len(whole) // 2])
    said = refused(*evaluated(tmp_path / "m.csv", tmp_path))
    assert "film1.dcm" in said


def test_one_class_only(refused, tmp_path):
    (tmp_path / "m.csv").write_text(AGE_ROWS + "".join(line[:-2] + "1\n" for line in people()))
    assert "every patient has the same past_fracture" in refused(*evaluated(tmp_path / "m.csv", tmp_path))
    said = refused("fit", *TABLE, "--cohort", tmp_path / "m.csv", "--out", tmp_path / "out")
    assert "every case has the same past_fracture" in said


def test_fewer_patients_than_folds(refused, table, tmp_path):
    (tmp_path / "m.csv").write_text(AGE_ROWS + "".join(people(6)))
    assert "6 patients cannot be dealt into 7 parts" in refused(*evaluated(tmp_path / "m.csv", tmp_path, folds=7))
    assert "ask for fewer folds" in refused(*evaluated(table, tmp_path, folds=30))
    assert "at least two folds; got 1" in refused(*evaluated(table, tmp_path, folds=1))


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("table.bmi", "tabel.bmi", "column tabel.bmi_kg_m2: no kind of column"),
        ("table.age_years", "table.age", "column table.age: no table role or variable is called 'age'; did you mean"),
        ("c3,p3,", "c3,p3,old", "row 4, column table.age_years: 'old"),
        ("c7,p7,", "c5,p7,", "row 8, column case: 'c5' is the id of row 6; make it unique"),
        ("truth.past_fracture", "truth.past", "column truth.past: no target is called 'past'"),
        ("table.bmi_kg_m2", "table.height_cm", "lie outside 100 to 230 cm: convert the column to cm"),
        ("c4,p4,", "c4,p4,70,", "row 5: has another number of cells"),
    ],
)
def test_wrong_manifests(refused, table, tmp_path, old, new, said):
    text = table.read_text()
    assert old in text
    table.write_text(text.replace(old, new, 1))
    line = refused(*evaluated(table, tmp_path))
    assert said in line
    assert "study.csv" in line


def test_empty_cells_are_no_error(run, table, tmp_path):
    lines = table.read_text().splitlines()
    lines[3] = lines[3].split(",")[0] + ",p2,70,,NaN,1"
    table.write_text("\n".join(lines) + "\n")
    assert run(*evaluated(table, tmp_path))[0] == 0


def test_unknown_systems_sizes_and_settings(refused, run, table, tmp_path):
    assert "did you mean baseline_age_sex_bmi" in refused(*evaluated(table, tmp_path, system=("baseline_age_sex",)))
    assert f"{PLANNED} is planned" in refused(*evaluated(table, tmp_path, system=(PLANNED,)))
    assert "no setting of kong2020_catboost is called 'itertions'" in refused(
        *evaluated(table, tmp_path, "--set", "itertions=3", system=("kong2020_catboost", "--target", "past_fracture"))
    )
    assert "--set wants NAME=VALUE; got 'rate'" in refused(*evaluated(table, tmp_path, "--set", "rate"))
    assert "did you mean past_fracture" in refused(*evaluated(table, tmp_path, "--target", "past_fractur"))
    assert "is value" in refused(*evaluated(table, tmp_path, "--target", "t_score_lowest"))
    assert "is named twice" in refused(*evaluated(table, tmp_path, system=("baseline_age_sex_bmi", *TABLE)))
    assert run(*evaluated(table, tmp_path, "--size", "medium"))[0] == 2


def test_a_target_that_the_cohort_does_not_have(refused, table, tmp_path):
    said = refused(*evaluated(table, tmp_path, system=("baseline_age_sex_bmi", "--target", "hip_fracture")))
    assert "no truth; --target past_fracture replaces it" in said


def test_a_place_that_is_taken_is_told_before_the_work(refused, table, tmp_path, monkeypatch):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "mine").write_text("mine")
    monkeypatch.setattr("trabecula.evaluation.evaluate", lambda *a, **k: pytest.fail("worked in vain"))
    assert "out is there already: name another --out" in refused(*evaluated(table, tmp_path))
    assert "out is there already" in refused("fit", *TABLE, "--cohort", table, "--out", tmp_path / "out")


@pytest.mark.parametrize("change", ["missing", "altered", "extra", "no folder", "no model"])
def test_a_model_folder_that_is_not_whole(refused, model, table, tmp_path, change):
    import shutil

    copy = tmp_path / "m"
    shutil.copytree(model, copy)
    estimator = next(p for p in copy.iterdir() if p.name not in ("checksums.json", "model.json"))
    if change == "missing":
        estimator.unlink()
    elif change == "altered":
        estimator.write_bytes(estimator.read_bytes()[:-1] + b"x")
    elif change == "extra":
        (copy / "note.txt").write_text("hello")
    elif change == "no folder":
        copy = tmp_path / "nowhere"
    else:
        (copy / "checksums.json").unlink()
    said = refused("predict", copy, table)
    wanted = {
        "missing": f"{estimator.name} is missing; save the model again",
        "altered": f"{estimator.name} was altered since the model was saved",
        "extra": "note.txt does not belong to this model; remove it",
        "no folder": "nowhere is no saved model",
        "no model": "m is no saved model",
    }
    assert wanted[change] in said


def test_a_table_model_wants_a_table(refused, model, tmp_path):
    Picture.new("L", (4, 4)).save(tmp_path / "a.png")
    said = refused("predict", model, tmp_path / "a.png")
    assert "which single files do not tell: give a manifest" in said


@pytest.mark.parametrize("verb", ["evaluate", "fit"])
def test_a_full_disk(run, table, tmp_path, monkeypatch, verb):
    """Nothing half-written is called a report or a model; folds that are judged are kept, to go on from."""
    write_text = Path.write_text

    def full(path, content, **how):
        if path.name in ("report.json", "model.json"):
            write_text(path, content[:50], **how)
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return write_text(path, content, **how)

    monkeypatch.setattr(Path, "write_text", full)
    words = (
        evaluated(table, tmp_path)
        if verb == "evaluate"
        else ("fit", *TABLE, "--cohort", table, "--out", tmp_path / "out")
    )
    code, _, said = run(*words)
    assert code == 2
    assert f"{tmp_path / 'out'} could not be written" in said
    assert "No space left on device" in said
    assert "free space there or name another place" in said
    kept = {"evaluate": ["out.unfinished", "study.csv"], "fit": ["study.csv"]}[verb]
    assert sorted(path.name for path in tmp_path.iterdir()) == kept
    if verb == "evaluate":
        monkeypatch.undo()
        assert run(*words)[0] == 0
        assert sorted(path.name for path in tmp_path.iterdir()) == ["out", "study.csv"]


@pytest.fixture
def small_disk(tmp_path):
    """A disk of 16 kB."""
    place = tmp_path / "disk"
    place.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=16k", "none", str(place)], capture_output=True, check=False
    )
    if mounted.returncode:
        pytest.skip("no right to mount a small disk here")
    yield place
    subprocess.run(["umount", str(place)], check=True)


def test_a_disk_that_is_really_full(run, table, small_disk):
    code, _, err = run("evaluate", *TABLE, "--cohort", table, "--folds", 2, "--jobs", 1, "--out", small_disk / "out")
    assert code == 2
    assert "could not be written" in err
    assert [path.name for path in small_disk.iterdir() if path.name != "out.unfinished"] == []
