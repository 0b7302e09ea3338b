"""The command line: what every verb says and does, and exit codes 0 and 1."""

import csv
import json
import os
import re
import subprocess
import sys

import pytest
import typer

from tests.cli.study import TABLE
from trabecula import cli, findings
from trabecula.findings import Findings

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
        "systems", "cohorts", "show", "check", "evaluate", "fit", "predict", "explain", "selftest", "phantom",
        "measure", "prove", "demo", "verify", "compare",
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


def test_all_built_systems_are_judged_with_one_word(run, refused, tmp_path, monkeypatch):
    from trabecula import everyone
    from trabecula.system import get_system

    table = everyone.Group(
        cohort="phantom_fracture_table",
        target="fragility_fracture",
        systems=(get_system("kong2020_catboost", size="tiny"),),
    )
    monkeypatch.setattr(everyone, "groups", lambda size: [table])
    words = ("evaluate", "all", "--size", "tiny", "--patients", 120, "--folds", 2, "--jobs", 1)
    assert "leave --cohort auto" in refused(*words, "--cohort", "glow", "--out", tmp_path / "b")
    code, out, err = run(*words, "--out", tmp_path / "all")
    assert code == 0, err
    assert "kong2020_catboost" in out
    assert f"leaderboard: {tmp_path / 'all' / 'index.html'}" in out
