"""Protocols in the loop: judged twice is not two people, other people are other people, a given split is the same."""

from dataclasses import replace

import numpy as np
import pytest
from PIL import Image as Picture

from tests.contract.value_and_probability.system import ValueAndProbability
from tests.evaluation.toys import TARGET, TWO, Level, Shy, Told, cohort, judged, patients, timeless
from trabecula.case import Images
from trabecula.evaluation import evaluate
from trabecula.image import FileSource
from trabecula.protocol import Protocol, read_splits
from trabecula.report.files import Report
from trabecula.report.numbers import by_patient, compared, figures

QUIET = {"operating_points": False}
AGAIN = Protocol(name="repeated", folds=2, repeats=4, **QUIET)
EXTERNAL = Protocol(name="external", **QUIET)

# Repeated -------------------------------------------------------------------------------------------------------------


def test_judged_in_every_repeat_a_patient_is_counted_once():
    cases = [replace(case, id=f"{case.id}/{part}", part=part) for case in patients(60) for part in ("L1", "L2")]
    report = judged(ValueAndProbability(), Shy(), cases=cases, protocol=AGAIN)
    rows = [row for row in report.rows if row.target == TARGET and row.system == "value_and_probability"]
    assert len(rows) == 60 * 2 * 4
    together = by_patient(rows)
    assert len(together.places) == len(set(together.places)) == 60 * 4
    result, shy = report.result("value_and_probability"), report.result("shy")
    assert (result["patients"], result["cases"]) == (60, 120)
    old = sum(case.number("age_years") > 70 for case in patients(60))
    assert shy["abstained"]["patients"] == old
    assert shy["abstained"]["share"] == pytest.approx(old / 60)
    assert shy["common"]["patients"] == 60 - old
    assert {other["patients"] for other in shy["differences"]} == {60 - old}
    assert sum(bin_["n"] for bin_ in result["curves"]["calibration"]) == 60
    assert report.told["protocol"]["repeats"] == 4
    assert [fold["name"] for fold in report.told["protocol"]["fold_list"]][2] == "repeat 2, fold 1"


def test_repeating_makes_no_interval_narrower_than_the_patients_allow():
    """Age is the same answer in every repeat: 4 repeats of 60 people know about as much as one, and not as 240."""
    once, again = (
        judged(Level(), protocol=protocol).results[0]["metrics"]["auc"]
        for protocol in (replace(AGAIN, name="kfold"), AGAIN)
    )
    assert again["high"] - again["low"] == pytest.approx(once["high"] - once["low"], rel=0.12)
    assert again["value"] == pytest.approx(once["value"], abs=0.03)


def test_pairs_of_systems_are_pairs_of_one_model_each():
    report = judged(ValueAndProbability(), Level(), protocol=AGAIN)
    ours, theirs = (
        by_patient([row for row in report.rows if (row.system, row.target) == (name, TARGET)])
        for name in ("value_and_probability", "level")
    )
    mean = {name: figures(each)["auc"]["value"] for name, each in (("ours", ours), ("theirs", theirs))}
    found = compared(ours, theirs)
    assert found["value"] == pytest.approx(mean["ours"] - mean["theirs"])
    assert found["patients"] == 60


# Another cohort -------------------------------------------------------------------------------------------------------


def two(**facts):
    """Sixty people to learn from and forty others to judge."""
    ours, theirs = patients(60, seed=1), patients(40, seed=2)
    others = [replace(case, id=f"o{i}", patient=f"other {i}") for i, case in enumerate(theirs)]
    return cohort(ours, **facts), cohort(others, id="elsewhere", title="Elsewhere", **facts)


def external(learned, other, *systems, **more):
    return evaluate(
        systems or [Level()], learned, external=other, protocol=EXTERNAL, **{"baselines": False, "jobs": 1, **more}
    )


def test_the_other_cohort_is_judged_and_none_of_it_learned_from():
    seen = []

    class Watching(Level):
        def _fit(self, cases, run):
            seen.append(len(cases))
            return super()._fit(cases, run)

    report = external(*two(), Watching())
    assert seen == [60]
    assert {row.case for row in report.rows} == {f"o{i}" for i in range(40)}
    told = report.told
    assert (told["cohort"]["id"], told["cohort"]["patients"]) == ("elsewhere", 40)
    assert told["protocol"]["learned_from"]["id"] == "made"
    assert told["protocol"]["learned_from"]["patients"] == told["protocol"]["learned_from"]["of_patients"] == 60
    assert told["protocol"]["fold_list"] == [{"fold": 0, "name": "another cohort", "learned_from": 60, "judged": 40}]
    assert {row.protocol for row in report.rows} == {"external"}
    assert report.result("level")["metrics"]["auc"]["value"] > 0.6


def test_people_of_both_cohorts_are_judged_and_not_learned_from():
    learned, other = two()
    shared = other.with_cases([*other.cases, *(replace(case, id=f"again {case.id}") for case in learned.cases[:7])])
    report = external(learned, shared)
    assert report.told["cohort"]["patients"] == 47
    assert report.told["protocol"]["learned_from"]["patients"] == 53
    assert any("7 patients of made are not learned from" in note for note in report.told["cohort"]["notes"])
    with pytest.raises(ValueError, match=r"every patient of made is one of elsewhere as well.*another --seed"):
        external(learned, replace(other, cases=learned.cases))


def test_phantoms_of_one_number_are_one_person_only_if_of_one_sex_and_age():
    learned, other = two(made=True, patients="known")
    alike = [replace(case, id=f"x{case.id}", patient=name.patient)
             for case, name in zip(other.cases, learned.cases, strict=False)]  # fmt: skip
    report = external(learned, replace(other, cases=tuple(alike)))
    assert report.told["protocol"]["learned_from"]["patients"] == 60
    twins = [replace(case, id=f"x{case.id}") for case in learned.cases[:9]]
    report = external(learned, replace(other, cases=(*alike[9:], *twins)))
    assert report.told["protocol"]["learned_from"]["patients"] == 51


def test_a_picture_of_both_cohorts_is_judged_and_not_learned_from(tmp_path, checked):
    rng = np.random.default_rng(0)

    def pictured(cases, names):
        return tuple(
            replace(case, truth={TARGET: case.truth[TARGET]}, images=Images({"knee_xray": FileSource(path)}))
            for case, path in zip(cases, names, strict=True)
        )

    paths = []
    for i in range(100):
        paths.append(tmp_path / f"{i}.png")
        Picture.fromarray(rng.integers(0, 256, (32, 32), dtype=np.uint8)).save(paths[-1])
    learned, other = two()
    same = next(i for i, case in enumerate(other.cases) if case.truth[TARGET] == learned.cases[0].truth[TARGET])
    wrong = next(i for i, case in enumerate(other.cases) if case.truth[TARGET] != learned.cases[1].truth[TARGET])
    there = paths[60:]
    there[same], there[wrong] = paths[0], paths[1]
    report = external(
        replace(learned, cases=pictured(learned.cases, paths[:60])), replace(other, cases=pictured(other.cases, there))
    )
    assert report.told["protocol"]["learned_from"]["patients"] == 58
    assert len(report.rows) == 39  # a picture with two labels is nobody's
    assert {row.case for row in report.rows} == {f"o{i}" for i in range(40) if i != wrong}
    assert any("1 patients are in both cohorts by their pictures" in note for note in report.told["cohort"]["notes"])


def test_both_cohorts_are_asked_for_inputs_and_truth():
    learned, other = two()
    blind = replace(other, cases=tuple(replace(case, table={}) for case in other.cases))
    with pytest.raises(ValueError, match="level needs age_years, which no case of elsewhere has"):
        external(learned, blind)
    unknown = replace(learned, cases=tuple(replace(case, truth={"past_fracture": 1}) for case in learned.cases))
    with pytest.raises(ValueError, match="level predicts osteoporosis_dxa, for which made has no truth"):
        external(unknown, other)
    with pytest.raises(ValueError, match="go together: name both, --external COHORT, or neither"):
        evaluate([Level()], learned, protocol=EXTERNAL)
    with pytest.raises(ValueError, match="go together"):
        evaluate([Level()], learned, external=other)
    placeless = tuple(replace(case, groups={}) for case in other.cases)
    systems = {each["system"] for each in external(learned, replace(other, cases=placeless), baselines=True).results}
    assert {"level", "baseline_prevalence"} <= systems
    assert "baseline_acquisition" not in systems  # one side tells no acquisition facts


# A given split --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["kfold", "repeated", "leave_one_site_out"])
def test_a_split_that_was_written_gives_the_same_numbers_again(tmp_path, name):
    cases = [replace(case, groups={"site": "abc"[i % 3]}) for i, case in enumerate(patients(60, unlabelled=0.2))]
    first = judged(ValueAndProbability(), cases=cases, protocol=replace(AGAIN, name=name, repeats=2, seed=5))
    first.save(tmp_path / "first")
    given = read_splits(tmp_path / "first" / "splits.csv")
    again = judged(ValueAndProbability(), cases=cases, protocol=Protocol(given=given, seed=5, **QUIET))
    assert [replace(row, protocol="") for row in again.rows] == [replace(row, protocol="") for row in first.rows]
    assert {row.protocol for row in again.rows} == {"given"}
    for ours, theirs in zip(timeless(first)["results"], timeless(again)["results"], strict=True):
        assert {**ours, "protocol": ""} == {**theirs, "protocol": ""}
    assert again.told["protocol"]["given"] == {"file": "splits.csv", "sha256": given.digest}
    again.save(tmp_path / "again")
    lines = [(tmp_path / run / "splits.csv").read_text().splitlines() for run in ("first", "again")]
    assert [line.split(",", 1)[1] for line in lines[0]] == [line.split(",", 1)[1] for line in lines[1]]
    assert Report.load(tmp_path / "again").told["protocol"]["rule"].startswith("the split of splits.csv")


def test_a_given_split_carries_fewer_labels_and_a_papers_own_as_well(tmp_path):
    judged(Level()).save(tmp_path / "first")
    given = read_splits(tmp_path / "first" / "splits.csv")
    curve = judged(Level(), protocol=Protocol(name="few_shot", shots=(1, 5), given=given, **QUIET))
    assert {result["system"] for result in curve.results} == {"level:shots=1", "level:shots=5"}
    published = judged(Told(), protocol=Protocol(name="as_published", given=given, **QUIET))
    assert {(result["role"], result["protocol"]) for result in published.results} == {
        ("system", "given"), ("as_published", "as_published"),
    }  # fmt: skip
    fewer = patients(50)
    with pytest.raises(ValueError, match="10 of 60 lines name cases that are not in the cohort"):
        judged(Level(), cases=fewer, protocol=Protocol(given=given))


def test_the_folds_are_told_by_name_and_size():
    told = judged(Level(), protocol=TWO).told["protocol"]
    assert told["fold_list"] == [
        {"fold": 0, "name": "fold 1", "learned_from": 30, "judged": 30},
        {"fold": 1, "name": "fold 2", "learned_from": 30, "judged": 30},
    ]
    assert (told["given"], told["learned_from"], told["left_out"], told["repeats"]) == (None, None, [], 1)
