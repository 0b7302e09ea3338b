"""The command line: exit codes 0, 1 and 2; a mendable error is one line that names what to mend, and leaves nothing."""

import csv
import errno
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import typer
from PIL import Image as Picture

from trabecula import cli, findings
from trabecula.findings import Findings

AGE_ROWS = "case,patient,table.age_years,table.sex,table.bmi_kg_m2,truth.past_fracture\n"
TABLE = ("baseline_age_sex_bmi", "--target", "past_fracture")
PICTURES = ("baseline_acquisition", "--target", "osteoporosis_knee_label")


@pytest.fixture
def run(monkeypatch, capsys):
    """Run the command line in this process; return exit code, standard output and standard error."""

    def ran(*words):
        monkeypatch.setattr(sys, "argv", ["trabecula", *map(str, words)])
        capsys.readouterr()
        with pytest.raises(SystemExit) as end:
            cli.main()
        said = capsys.readouterr()
        return end.value.code or 0, said.out, said.err

    return ran


@pytest.fixture
def refused(run, tmp_path):
    """Run something that must be refused: exit code 2, one line, nothing new on disk. Return the line."""

    def said(*words):
        before = sorted(tmp_path.rglob("*"))
        code, _, err = run(*words)
        lines = [line for line in err.splitlines() if line.strip()]
        assert code == 2, err
        assert len(lines) == 1, err
        assert lines[0].startswith("trabecula: ")
        assert "Traceback" not in err
        assert sorted(tmp_path.rglob("*")) == before
        return lines[0]

    return said


def people(n=40, seed=0):
    rng = np.random.default_rng(seed)
    rows = []
    for i in range(n):
        age = rng.normal(70, 8)
        ill = int(rng.random() < 1 / (1 + np.exp(-(age - 70) / 4)))
        rows.append(f"c{i},p{i},{age:.1f},{'female' if i % 2 else 'male'},{rng.normal(26, 3):.1f},{ill}\n")
    return rows


@pytest.fixture
def table(tmp_path):
    path = tmp_path / "study.csv"
    path.write_text(AGE_ROWS + "".join(people()))
    return path


@pytest.fixture
def pictures(tmp_path):
    rng = np.random.default_rng(0)
    for name in ("normal", "osteoporosis"):
        (tmp_path / "knees" / name).mkdir(parents=True)
        for i in range(8):
            noise = rng.integers(0, 256, (48, 48), dtype=np.uint8)
            Picture.fromarray(noise).save(tmp_path / "knees" / name / f"{i}.png")
    names = sorted(p.relative_to(tmp_path / "knees").as_posix() for p in (tmp_path / "knees").rglob("*.png"))
    lines = [f"{name},{500 + 7 * i}\n" for i, name in enumerate(names)]
    (tmp_path / "knees" / "acquisition.csv").write_text("file,width\n" + "".join(lines))
    return tmp_path / "knees"


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    """A model fitted by the command line once."""
    folder = tmp_path_factory.mktemp("model")
    (folder / "study.csv").write_text(AGE_ROWS + "".join(people()))
    words = ["fit", *TABLE, "--cohort", str(folder / "study.csv"), "--out", str(folder / "m")]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", ["trabecula", *words])
        with pytest.raises(SystemExit) as end:
            cli.main()
    assert not end.value.code
    return folder / "m"


# Help and lists -------------------------------------------------------------------------------------------------------


def words_of(text):
    """The words of a help page, whatever frame and width it is printed in."""
    return " ".join(re.findall(r"\w+", text))


VERBS = typer.main.get_command(cli.app).commands


@pytest.mark.parametrize("verb", VERBS)
def test_the_help_of_every_verb_teaches(run, verb):
    code, out, _ = run(verb, "--help")
    assert code == 0
    assert VERBS[verb].help
    assert words_of(VERBS[verb].help.partition(".")[0]) in words_of(out)
    for parameter in VERBS[verb].params:
        if parameter.name != "help":
            assert parameter.help, f"{verb}: {parameter.name} says nothing"


def test_the_first_help_says_where_to_begin(run):
    _, out, _ = run("--help")
    for told in (*VERBS, "Not a medical device", "trabecula systems", "trabecula check FOLDER"):
        assert words_of(told) in words_of(out)


def test_there_is_one_verb_for_one_function():
    assert set(VERBS) == {
        "systems", "cohorts", "show", "check", "evaluate", "fit", "predict", "explain", "selftest", "demo",
    }  # fmt: skip


def test_lists_in_every_format(run):
    code, out, _ = run("systems", "--format", "json")
    assert code == 0
    assert len(json.loads(out)) == 40
    _, out, _ = run("systems", "--modality", "xray", "--family", "transformer", "--since", "2022", "--format", "csv")
    rows = list(csv.DictReader(out.splitlines()))
    assert rows
    assert all("xray" in row["modality"] and "transformer" in row["family"] and row["year"] >= "2022" for row in rows)
    _, out, _ = run("systems", "--format", "bibtex")
    assert out.count("@misc{") == 40
    _, out, _ = run("systems", "--format", "markdown")
    assert out.startswith("| id | year |")
    _, out, _ = run("cohorts")
    assert "phantom_knee_xray" in out
    assert "acquisition.csv" in out
    code, out, _ = run("systems", "--modality", "dental", "--family", "transformer")
    assert (code, out.strip()) == (0, "0 systems")


def test_a_page_says_whose_fact_it_is(run):
    code, out, _ = run("show", "nam2019_lumbar_hu")
    assert code == 0
    assert "[the paper's]" in out
    assert "Weaknesses" in out
    _, out, _ = run("show", "nam2019_lumbar_hu", "--format", "json")
    assert json.loads(out)["id"] == "nam2019_lumbar_hu"
    _, out, _ = run("show", "phantom_knee_xray")
    assert "Truth" in out


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("show", "nam2019"), "no system or cohort is called 'nam2019'; did you mean nam2019_lumbar_hu"),
        (("show", "phantom_knee_xray", "--format", "bibtex"), "is a cohort: cite its source"),
        (("systems", "--modality", "xrai"), "no modality is called 'xrai'; did you mean xray"),
        (("cohorts", "--format", "bibtex"), "cannot be printed as bibtex"),
        (("systems", "--target", "past_fractures"), "did you mean past_fracture"),
    ],
)
def test_wrong_words_are_told_with_the_nearest(refused, words, said):
    assert said in refused(*words)


@pytest.mark.parametrize(
    "words",
    [
        ("sistems",),
        ("systems", "--colour", "x"),
        ("systems", "--format", "xml"),
        ("evaluate",),
        ("evaluate", "x", "--folds", "many", "--out", "o"),
        ("fit", "x", "--seed", "-1", "--out", "o"),
    ],
)
def test_wrong_use_is_exit_code_2(run, words):
    code, _, err = run(*words)
    assert code == 2
    assert "Traceback" not in err


# Check ----------------------------------------------------------------------------------------------------------------


def test_check_ends_with_1_when_something_must_be_resolved(run, table, monkeypatch):
    for problems, code in ((("Two pictures are one [sic].",), 1), ((), 0)):
        found = Findings(cases=40, readable=40, problems=problems, remarks=("Forty people.",))
        monkeypatch.setattr(findings, "check", lambda cohort, found=found, **how: found)
        ended, out, _ = run("check", table)
        assert ended == code
        assert out.splitlines() == [*problems, "Forty people."]


def test_check_of_a_sound_table(run, table):
    code, out, err = run("check", table, "--target", "past_fracture", "--json")
    told = json.loads(out)
    assert told["cases"] == 40
    assert told["unreadable"] == told["duplicates"] == told["conflicts"] == []
    assert code == (1 if told["problems"] else 0)
    assert "Traceback" not in err


# Evaluate, fit, predict -----------------------------------------------------------------------------------------------


def test_evaluate_writes_four_files_and_prints_the_leaderboard(run, table, tmp_path):
    code, out, _ = run("evaluate", *TABLE, "--cohort", table, "--folds", 2, "--jobs", 1, "--out", tmp_path / "out")
    assert code == 0
    assert sorted(p.name for p in (tmp_path / "out").iterdir()) == [
        "index.html", "predictions.csv", "report.json", "splits.csv",
    ]  # fmt: skip
    assert "baseline_age_sex_bmi" in out
    assert "past_fracture" in out
    assert f"report: {tmp_path / 'out' / 'index.html'}" in out
    told = json.loads((tmp_path / "out" / "report.json").read_text())
    assert told["protocol"]["folds"] == 2
    assert all(result["target"] == "past_fracture" for result in told["results"])
    assert [r["target_replaced"] for r in told["results"] if r["role"] != "baseline"] == [
        True for r in told["results"] if r["role"] != "baseline"
    ]


def test_predict_answers_a_cohort_in_order(run, model, table):
    code, out, _ = run("predict", model, table, "--format", "json")
    assert code == 0
    rows = json.loads(out)
    assert [row["case"] for row in rows] == [f"c{i}" for i in range(40)]
    assert all(0 <= row["prediction"] <= 1 and row["means"] == "probability of fracture" for row in rows)
    _, out, _ = run("predict", model, table)
    assert "not a diagnosis" in out


def test_a_missing_value_is_answered_or_abstained_from_and_never_guessed(run, model, tmp_path):
    (tmp_path / "few.csv").write_text("case,table.age_years,table.bmi_kg_m2\na,,26\nb,70,26\n")
    _, out, _ = run("predict", model, tmp_path / "few.csv", "--format", "json")
    first, second = json.loads(out)
    assert (first["prediction"], second["abstained"]) == ("", "")
    assert "age_years" in first["abstained"]


def test_explain_writes_numbers_for_a_table(run, refused, model, table, tmp_path):
    said = refused("explain", model, table, "--case", "c3", "--out", tmp_path / "why.json")
    assert "baseline_age_sex_bmi cannot say what its answers rest on" in said
    assert "study.csv has no case 'c99'; its first is 'c0'" in refused(
        "explain", model, table, "--case", "c99", "--out", tmp_path / "why.json"
    )
    rows = "".join(f"w{i},{60 + i},{50 + i},female,{i % 2}\n" for i in range(20))
    (tmp_path / "w.csv").write_text("case,table.age_years,table.weight_kg,table.sex,truth.osteoporosis_dxa\n" + rows)
    assert run("fit", "baseline_ost", "--cohort", tmp_path / "w.csv", "--out", tmp_path / "ost")[0] == 0
    code, out, _ = run("explain", tmp_path / "ost", tmp_path / "w.csv", "--case", "w3", "--out", tmp_path / "why.json")
    assert code == 0
    told = json.loads((tmp_path / "why.json").read_text())
    assert told["answer"][0]["case"] == "w3"
    assert told["numbers"]["index"] == pytest.approx(0.2 * (53 - 63))  # weight less age, by hand
    assert f"written: {tmp_path / 'why.json'}" in out


# Bad input: exit code 2, one line, nothing half-written ---------------------------------------------------------------


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
    assert "liu2022_hierarchical is planned" in refused(*evaluated(table, tmp_path, system=("liu2022_hierarchical",)))
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
def test_a_full_disk(refused, table, tmp_path, monkeypatch, verb):
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
    said = refused(*words)
    assert f"{tmp_path / 'out'} could not be written" in said
    assert "No space left on device" in said
    assert "free space there or name another place" in said


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
    assert list(small_disk.iterdir()) == []


# The program itself ---------------------------------------------------------------------------------------------------


def program(*words, **environment):
    code = "from trabecula.cli import main; main()"
    return subprocess.run(
        [sys.executable, "-c", code, *words],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, **environment},
    )


def test_the_program_ends_as_promised(tmp_path):
    done = program("systems", "--format", "json")
    assert (done.returncode, done.stderr) == (0, "")
    assert len(json.loads(done.stdout)) == 40
    done = program("evaluate", "baseline_age", "--out", str(tmp_path / "out"))
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr.count("\n") == 1
    assert "did you mean" in done.stderr
    traced = program("show", "nobody", TRABECULA_DEBUG="1")
    assert traced.returncode == 1
    assert "Traceback" in traced.stderr


def test_a_reader_that_leaves_early_is_no_error():
    code = "from trabecula.cli import main; main()"
    pipe = f"'{sys.executable}' -c '{code}' systems --format json | head -c 9"
    done = subprocess.run(pipe, shell=True, capture_output=True, text=True, check=True)
    assert done.stdout.startswith("[")
    assert "Traceback" not in done.stderr
    assert "BrokenPipe" not in done.stderr
