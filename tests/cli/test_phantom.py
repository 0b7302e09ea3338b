"""`trabecula phantom`, and settings of phantoms wherever a cohort is named."""

import json
import subprocess

import pytest
from PIL import Image as Picture

from tests.cli.study import TABLE
from trabecula import cli, findings
from trabecula.cohort import open_cohort
from trabecula.findings import Findings

KNEES = "phantom_knee_xray"


@pytest.mark.parametrize("form", ["png", "nifti", "dicom"])
@pytest.mark.parametrize("n", [12, pytest.param(60, marks=pytest.mark.slow)])
def test_what_is_written_passes_the_check(run, tmp_path, form, n):
    code, out, err = run("phantom", KNEES, "--n", n, "--seed", 3, "--as", form, "--jobs", 1, "--out", tmp_path / "k")
    assert code == 0, err
    assert f"{n} patients in {tmp_path / 'k'}, images as {form}" in out
    code, out, err = run("check", tmp_path / "k", "--json")
    told = json.loads(out)
    assert told["problems"] == []
    assert code == 0
    assert (told["cases"], told["readable"]) == (n, n)
    assert told["duplicates"] == []


@pytest.mark.slow
@pytest.mark.parametrize("cohort", ["phantom_spine_xray", "phantom_dxa"])
def test_patients_who_come_back_are_no_problem(run, tmp_path, cohort):
    """A later picture looks like the first, and its label may differ: dates tell that it is another."""
    assert run("phantom", cohort, "--n", 9, "--as", "nifti", "--jobs", 1, "--out", tmp_path / "c")[0] == 0
    code, out, _ = run("check", tmp_path / "c", "--json")
    told = json.loads(out)
    assert code == 0, told["problems"]
    assert told["cases"] > 9
    assert any(group["patients"] == 1 for group in told["duplicates"])


def test_the_same_call_again_finds_everything_and_says_what_it_chose(run, tmp_path):
    words = ("phantom", KNEES, "--n", 3, "--jobs", 1, "--out", tmp_path / "k", "--picture", tmp_path / "sheet.png")
    _, out, _ = run(*words)
    assert "images as png" in out
    assert "already" not in out
    with Picture.open(tmp_path / "sheet.png") as sheet:
        assert min(sheet.size) > 200
        assert len(set(sheet.convert("L").get_flattened_data())) > 100
    code, out, _ = run(*words)
    assert code == 0
    assert "3 of them were there already" in out


def test_a_table_has_no_form(run, tmp_path):
    code, out, _ = run("phantom", "phantom_fracture_table", "--n", 50, "--out", tmp_path / "t")
    assert code == 0
    assert "50 patients" in out
    assert run("check", tmp_path / "t", "--target", "past_fracture")[0] == 0


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("phantom_knee",), "did you mean phantom_knee_xray"),
        (("nhanes",), "nhanes is a public set: nothing is made"),
        ((KNEES, "--with", "shortcut=2"), "shortcut is a share from 0 to 1; got 2"),
        ((KNEES, "--with", "shortcut=yes"), "shortcut of phantom_knee_xray is of the kind of 0.0; got 'yes'"),
        ((KNEES, "--with", "bone_shift=NaN"), "got nan"),
        ((KNEES, "--set", "noise_scale=-1"), "noise_scale is a positive factor"),
        ((KNEES, "--with", "kvp"), "--with wants NAME=VALUE; got 'kvp'"),
        ((KNEES, "--with", "colour=3"), "no setting of phantom_knee_xray is called 'colour'"),
        ((KNEES, "--n", "0"), "at least one patient; got 0"),
        (
            ("phantom_fracture_table", "--as", "dicom"),
            "could be stored as dicom: leave the form out",
        ),
    ],
)
def test_bad_words_are_one_line_and_leave_nothing(refused, tmp_path, words, said):
    assert said in refused("phantom", *words, "--out", tmp_path / "out")


def test_another_recipe_and_another_folder_are_refused(run, refused, tmp_path):
    words = ("phantom", KNEES, "--jobs", 1, "--out", tmp_path / "k")
    assert run(*words, "--n", 2)[0] == 0
    assert "differs in seed or settings: name another place" in refused(*words, "--n", 2, "--seed", 1)
    assert "differs in seed or settings" in refused(*words, "--n", 2, "--with", "shortcut=1")
    assert "differs in the form of images" in refused(*words, "--n", 2, "--as", "nifti")
    assert "holds 2 patients already" in refused(*words, "--n", 1)
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "a").write_text("mine")
    assert "is no made cohort" in refused("phantom", KNEES, "--n", 1, "--out", tmp_path / "mine")


def test_a_disk_that_is_really_full_keeps_whole_patients_and_goes_on(run, tmp_path):
    place = tmp_path / "disk"
    place.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=128k", "none", str(place)], capture_output=True, check=False
    )
    if mounted.returncode:
        pytest.skip("no right to mount a small disk here")
    try:
        words = ("phantom", KNEES, "--n", 6, "--jobs", 1, "--out", place / "k")
        code, _, err = run(*words)
        assert code == 2
        assert "No space left on device" in err
        assert "free space there and run the same again" in err
        assert "is not whole yet" in run("check", place / "k")[2]
        subprocess.run(["mount", "-o", "remount,size=8m", str(place)], check=True)
        code, out, _ = run(*words)
        assert code == 0
        assert "of them were there already" in out
        assert len(open_cohort(place / "k").cases) == 6
    finally:
        subprocess.run(["umount", str(place)], check=True)


# Settings of phantoms wherever a cohort is named ----------------------------------------------------------------------


def test_check_looks_at_the_cohort_with_its_settings(run, monkeypatch):
    notes = []

    def check(cohort, **how):
        notes.extend(cohort.notes)
        return Findings(cases=len(cohort.cases), readable=0)

    monkeypatch.setattr(findings, "check", check)
    assert run("check", KNEES, "--patients", 2, "--with", "shortcut=1", "--with", "enriched=false")[0] == 0
    assert "'shortcut': 1.0" in notes[0]
    assert "'enriched': False" in notes[0]


def test_every_verb_that_names_a_cohort_takes_its_settings():
    import typer

    verbs = typer.main.get_command(cli.app).commands
    for verb in ("check", "evaluate", "fit", "predict", "explain", "selftest", "phantom"):
        assert any("--with" in parameter.opts for parameter in verbs[verb].params), verb


def test_evaluate_judges_the_cohort_with_its_settings(refused, tmp_path, monkeypatch):
    def judge(systems, cohort, **how):
        raise ValueError(cohort.notes[0])

    monkeypatch.setattr("trabecula.evaluation.evaluate", judge)
    words = ("evaluate", *TABLE, "--cohort", "phantom_fracture_table", "--patients", 5, "--with", "bone_shift=-1")
    assert "'bone_shift': -1.0" in refused(*words, "--out", tmp_path / "out")


def test_settings_are_for_phantoms_alone(refused, table, tmp_path):
    said = refused("check", table, "--with", "shortcut=1")
    assert "is read from disk: a number of patients and settings are for phantom cohorts" in said
