"""Cohorts on disk: they open as the same cases, go on where they were interrupted, and never look whole before."""

import csv
import errno
import json
import os
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest

from trabecula import cohort_files
from trabecula.card import CohortCard
from trabecula.case import Case, Event, Images
from trabecula.cohort import Cohort, open_cohort
from trabecula.cohort_files import write_cohort
from trabecula.image import Image, Source

AXIAL = ((0.0, 0.0, 1.0), (0.0, 1.0, 0.0), (1.0, 0.0, 0.0))
FORMS = ("nifti", "dicom")


def ct(seed):
    voxels = np.random.default_rng(seed).integers(-200, 900, (4, 24, 20)).astype(np.int16)
    return Image(voxels=voxels, unit="HU", spacing=(1.5, 0.8, 0.8), origin=(-8.0, 3.0, 100.25), direction=AXIAL)


def bodies(seed):
    under = ct(seed)
    labels = np.zeros(under.shape, np.uint8)
    labels[:, 4:9, 4:9], labels[:, 12:15, 4:9] = 20, 21
    return replace(under, voxels=labels, unit="label", names={20: "L1", 21: "L2"})


def film(seed, dtype=np.uint8):
    voxels = np.random.default_rng([seed, 1]).integers(0, 256, (1, 30, 20)).astype(dtype)
    return Image(voxels=voxels, unit="stored", spacing=(1.0, 0.68, 0.68), space="detector")


def lumbar(patient, visit):
    """A visit with a CT, masks, a label map as truth, a time to event, a weight and a date."""
    seed = 10 * patient + visit
    return Case(
        id=f"{patient:03d}-{visit}",
        patient=f"{patient:03d}",
        weight=0.1 + patient / 3,
        images=Images({"lumbar_ct": ct(seed)}),
        masks=Images({"vertebral_bodies": bodies(seed)}),
        table={"age_years": 60 + patient / 7, "sex": "female" if patient % 2 else "male", "falls": 1.0},
        groups={"site": "north", "kvp": "120", "kernel": "standard", "date": f"2020-0{visit}-01"},
        truth={
            "who_class_dxa": patient % 3,
            "bmd_lumbar": 0.7 + 1 / (3 + patient),
            "time_to_hip_fracture": Event(1 / 3 + patient, patient % 3),
            "vertebral_body_mask": bodies(seed),
        },
    )


def knee(patient):
    return Case(
        id=f"{patient:03d}", patient=f"{patient:03d}", part="left", images=Images({"knee_xray": film(patient)}),
        table={"age_years": 60.5}, groups={"site": "east"}, truth={"osteoporosis_dxa": patient % 2},
    )  # fmt: skip


def cohort(cases, **more):
    card = CohortCard(
        id="made_up", title="Made up", source="a test", licence="none", population="none", truth="drawn",
        modalities=("ct",), targets=("who_class_dxa",), patients="known", made=True, warnings=("Made.",),
    )  # fmt: skip
    return Cohort(cases=tuple(cases), card=card.model_copy(update=more), notes=("made with seed 0, settings {}",))


def lumbars(patients=3):
    return cohort(lumbar(p, v) for p in range(patients) for v in (1, 2))


def knees(patients=3):
    return cohort(knee(p) for p in range(patients))


def plain(case):
    truth = {t: v if not isinstance(v, Source) else "map" for t, v in case.truth.items()}
    return case.id, case.patient, case.part, case.weight, dict(case.table), dict(case.groups), truth


def same_place(one, other):
    corners = np.array(list(np.ndindex(2, 2, 2))) * (np.array(one.shape) - 1)
    points = [image.affine @ np.c_[corners, np.ones(8)].T for image in (one, other)]
    return np.abs(points[0] - points[1]).max() < 1e-3


# What is written is what was meant ------------------------------------------------------------------------------------


@pytest.mark.parametrize("form", FORMS)
def test_volumes_open_as_the_same_cases(tmp_path, form):
    meant = lumbars()
    done = write_cohort(meant, tmp_path / "c", form=form, jobs=1)
    assert (done.form, done.patients, done.found) == (form, 3, 0)
    read = open_cohort(tmp_path / "c")
    assert [plain(case) for case in read.cases] == [plain(case) for case in meant.cases]
    for one, other in zip(read.cases, meant.cases, strict=True):
        image, wanted = one.images["lumbar_ct"], other.images["lumbar_ct"]
        assert image.unit == "HU"
        assert np.array_equal(image.voxels, wanted.voxels)
        assert same_place(image, wanted)
        for label in (one.masks["vertebral_bodies"], one.truth["vertebral_body_mask"].load()):
            assert (label.unit, dict(label.names)) == ("label", {20: "L1", 21: "L2"})
            assert np.array_equal(label.voxels, other.masks["vertebral_bodies"].voxels)
            assert same_place(label, wanted)


@pytest.mark.parametrize("form", ["png", *FORMS])
def test_pictures_open_as_the_same_cases_and_png_alone_loses_the_spacing(tmp_path, form):
    meant = knees()
    write_cohort(meant, tmp_path / "c", form=form, jobs=1)
    read = open_cohort(tmp_path / "c")
    assert [plain(case) for case in read.cases] == [plain(case) for case in meant.cases]
    for one, other in zip(read.cases, meant.cases, strict=True):
        image, wanted = one.images["knee_xray"], other.images["knee_xray"]
        assert np.array_equal(image.voxels, wanted.voxels)
        assert image.space == "detector"
        assert (image.spacing is None) if form == "png" else np.allclose(image.spacing, wanted.spacing)
    assert any("PNG tells no spacing" in warning for warning in read.card.warnings) == (form == "png")
    assert read.card.made
    assert "seed 0" in read.card.source


def test_the_form_that_suits_is_chosen(tmp_path):
    dxa = replace(film(0), voxels=np.float32(film(0).voxels / 50), unit="log")
    for cases, form, ending in (
        ([knee(0)], "png", "png"),
        ([lumbar(0, 1)], "nifti", "gz"),
        ([replace(knee(0), images=Images({"hip_dxa_low": dxa}))], "nifti", "gz"),
    ):
        folder = tmp_path / f"{form}{cases[0].images}"
        assert write_cohort(cohort(cases), folder, jobs=1).form == form
        assert all(p.suffix == f".{ending}" for p in folder.rglob("patients/*/*") if p.name != "patient.json")
    assert open_cohort(folder).cases[0].images["hip_dxa_low"].unit == "log"


def test_a_table_without_images_is_a_manifest_alone(tmp_path):
    table = cohort(replace(knee(p), images=Images({})) for p in range(4))
    assert write_cohort(table, tmp_path / "c").form is None
    assert sorted(p.name for p in (tmp_path / "c").iterdir()) == ["cohort.yaml", "made.json", "manifest.csv"]
    assert [plain(c) for c in open_cohort(tmp_path / "c").cases] == [plain(c) for c in table.cases]
    with pytest.raises(ValueError, match="made_up has no images that could be stored as png"):
        write_cohort(table, tmp_path / "d", form="png")
    assert not (tmp_path / "d").exists()


def test_parts_of_one_scan_share_its_file(tmp_path):
    parts = [replace(lumbar(0, 1), id=f"000-{part}", part=part) for part in ("L1", "L2")]
    write_cohort(cohort(parts), tmp_path / "c", form="dicom", jobs=1)
    with (tmp_path / "c" / "manifest.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert len({row["image.lumbar_ct"] for row in rows}) == 1
    assert len({row["mask.vertebral_bodies"] for row in rows} | {row["truth.vertebral_body_mask"] for row in rows}) == 1
    assert [row["part"] for row in rows] == ["L1", "L2"]


def test_processes_side_by_side_write_the_same_bytes(tmp_path):
    for jobs in (1, 2):
        write_cohort(knees(), tmp_path / f"{jobs}", jobs=jobs)
    one, two = ({p.relative_to(tmp_path / jobs): p.read_bytes() for p in (tmp_path / jobs).rglob("*") if p.is_file()}
                for jobs in "12")  # fmt: skip
    assert one == two


def test_progress_is_told_patient_by_patient(tmp_path):
    steps = []
    write_cohort(knees(), tmp_path / "c", jobs=1, progress=lambda done, total, message="": steps.append((done, total)))
    assert steps == [(0, 3), (1, 3), (2, 3), (3, 3)]


def test_names_that_are_no_file_names(tmp_path):
    ids = ["a/b", "../up", "a:b", "", "ä", "a_b"]
    cases = [replace(knee(n), id=id_ or "x", patient=id_ or "x") for n, id_ in enumerate(ids)]
    write_cohort(cohort(cases), tmp_path / "c", jobs=1)
    assert [c.id for c in open_cohort(tmp_path / "c").cases] == [c.id for c in cases]
    assert sorted(p.name for p in tmp_path.iterdir()) == ["c"]


def test_what_a_manifest_cannot_say_is_refused(tmp_path):
    for groups, said in (({"kernel": "null"}, "group.kernel 'null'"), ({"site": " nan"}, "group.site ' nan'")):
        with pytest.raises(ValueError, match=f"case 000: a manifest cannot say {said}"):
            write_cohort(cohort([replace(knee(0), groups=groups)]), tmp_path / "c", jobs=1)
        assert list(tmp_path.iterdir()) == []
    without = replace(knee(0), groups={"contrast": "none"})
    write_cohort(cohort([without]), tmp_path / "c", jobs=1)
    assert open_cohort(tmp_path / "c").cases[0].groups == {"contrast": "none"}


# Interrupted ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Broken:
    """The picture of a patient at which something happens."""

    error: BaseException
    digest: str = film(2).digest

    def load(self):
        raise self.error


def broken(error, at=2, patients=3):
    cases = [knee(p) for p in range(patients)]
    cases[at] = replace(cases[at], images=Images({"knee_xray": Broken(error)}))
    return cohort(cases)


def test_what_was_interrupted_goes_on_and_is_never_taken_for_whole(tmp_path):
    with pytest.raises(KeyboardInterrupt):
        write_cohort(broken(KeyboardInterrupt()), tmp_path / "c", jobs=1)
    with pytest.raises(ValueError, match="is not whole yet; the same `trabecula phantom` again writes what is missing"):
        open_cohort(tmp_path / "c")
    assert not (tmp_path / "c" / "manifest.csv").exists()
    times = {p: p.stat().st_mtime_ns for p in (tmp_path / "c" / "patients").rglob("*.png")}
    assert len(times) == 2
    (tmp_path / "c" / "patients" / ".002.part").mkdir()  # as a killed process leaves it
    done = write_cohort(knees(), tmp_path / "c", jobs=1)
    assert done.found == 2
    assert {p: p.stat().st_mtime_ns for p in times} == times
    write_cohort(knees(), tmp_path / "whole", jobs=1)
    whole, gone_on = (sorted((p.relative_to(tmp_path / name), p.read_bytes()) for p in (tmp_path / name).rglob("*")
                             if p.is_file()) for name in ("whole", "c"))  # fmt: skip
    assert whole == gone_on


def test_a_second_call_finds_everything_and_more_patients_may_be_added(tmp_path):
    write_cohort(knees(), tmp_path / "c", jobs=1)
    again = write_cohort(knees(), tmp_path / "c", jobs=1)
    assert again.found == 3
    assert "3 of them were there already" in str(again)
    assert write_cohort(knees(5), tmp_path / "c", jobs=1).found == 3
    assert len(open_cohort(tmp_path / "c").cases) == 5
    with pytest.raises(ValueError, match="holds 5 patients already: ask for as many, or name another place"):
        write_cohort(knees(), tmp_path / "c", jobs=1)
    assert len(open_cohort(tmp_path / "c").cases) == 5


def test_another_recipe_in_the_same_folder_is_refused(tmp_path):
    write_cohort(knees(), tmp_path / "c", jobs=1)
    before = {p: p.read_bytes() for p in (tmp_path / "c").rglob("*") if p.is_file()}
    other_seed = replace(knees(), notes=("made with seed 1, settings {}",))
    other_bone = cohort(replace(knee(p), truth={"osteoporosis_dxa": 0}) for p in range(3))
    for changed, form, said in (
        (other_seed, None, "differs in seed or settings: name another place or remove it first"),
        (knees(), "dicom", "differs in the form of images"),
        (cohort(knees().cases, id="another"), None, "differs in the cohort"),
    ):
        with pytest.raises(ValueError, match=said):
            write_cohort(changed, tmp_path / "c", form=form, jobs=1)
        assert {p: p.read_bytes() for p in (tmp_path / "c").rglob("*") if p.is_file()} == before
    with pytest.raises(ValueError, match="patients/001 was made by another recipe"):
        write_cohort(other_bone, tmp_path / "c", jobs=1)


def test_a_folder_with_something_else_is_left_alone(tmp_path):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("three years")
    with pytest.raises(FileExistsError, match="is no made cohort: name another place"):
        write_cohort(knees(), tmp_path / "mine")
    with pytest.raises(FileExistsError, match="is no made cohort"):
        write_cohort(knees(), tmp_path / "mine" / "thesis.txt")
    assert [p.name for p in (tmp_path / "mine").iterdir()] == ["thesis.txt"]


def test_a_form_that_images_cannot_take_leaves_nothing(tmp_path):
    for meant, form, said in (
        (lumbars(), "png", "case 000-1, lumbar_ct: a volume of 4 slices is no picture: choose nifti or dicom"),
        (cohort([replace(knee(0), part="")]), "dicom", "case 000, knee_xray: DICOM needs the side"),
    ):
        with pytest.raises(ValueError, match=said):
            write_cohort(meant, tmp_path / "c", form=form, jobs=1)
        assert list(tmp_path.iterdir()) == []


def test_a_cohort_from_disk_is_not_written_again(tmp_path):
    with pytest.raises(ValueError, match="read from disk, not made"):
        write_cohort(cohort([knee(0)], made=False), tmp_path / "c")


# A full disk ----------------------------------------------------------------------------------------------------------


def test_a_disk_that_fills_up_keeps_whole_patients(tmp_path):
    full = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    with pytest.raises(OSError, match=r"No space left on device.*free space there and run the same again; 2 of 3"):
        write_cohort(broken(full), tmp_path / "c", jobs=1)
    assert sorted(p.name for p in (tmp_path / "c" / "patients").iterdir()) == ["000", "001"]
    with pytest.raises(OSError, match="0 of 3 patients"):
        write_cohort(broken(full, at=0), tmp_path / "d", form="png", jobs=1)
    assert not (tmp_path / "d").exists()


def test_a_disk_that_is_full_at_the_manifest(tmp_path, monkeypatch):
    put = cohort_files._put

    def full(path, text):
        if path.name == "cohort.yaml":
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        put(path, text)

    monkeypatch.setattr(cohort_files, "_put", full)
    with pytest.raises(OSError, match="3 of 3 patients are finished and kept"):
        write_cohort(knees(), tmp_path / "c", jobs=1)
    with pytest.raises(ValueError, match="is not whole"):
        open_cohort(tmp_path / "c")
    monkeypatch.undo()
    assert write_cohort(knees(), tmp_path / "c", jobs=1).found == 3
    assert json.loads((tmp_path / "c" / "made.json").read_text())["patients"] == 3
    assert not list(Path(tmp_path / "c").glob("*.part"))
