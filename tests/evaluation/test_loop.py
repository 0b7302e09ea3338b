"""The one loop: the same numbers however it is run, nothing rewarded that should not be, nothing half-written."""

import json
from dataclasses import dataclass, replace

import numpy as np
import pytest
from PIL import Image as Picture

from tests.contract import cases as contract
from tests.contract.label_map_and_grades.system import LabelMapAndGrades
from tests.contract.survival_curve.system import SurvivalCurve
from tests.contract.value_and_probability.system import ValueAndProbability
from tests.evaluation.toys import TARGET, TWO, Failing, Level, Shy, Sloped, Told, cohort, judged, patients, timeless
from trabecula.case import Case, Images
from trabecula.evaluation import evaluate
from trabecula.image import FileSource
from trabecula.prediction import Abstain, Probability
from trabecula.protocol import Protocol
from trabecula.report.files import Report
from trabecula.report.numbers import by_patient, figures
from trabecula.state import State
from trabecula.system import guess

# The same numbers -----------------------------------------------------------------------------------------------------


def test_side_by_side_is_bit_for_bit_the_same():
    systems, cases = (ValueAndProbability(), SurvivalCurve(horizon_years=3)), patients(60, unlabelled=0.2)
    one, two = (judged(*systems, cases=cases, jobs=jobs) for jobs in (1, 2))
    assert one.rows == two.rows
    assert timeless(one) == timeless(two)
    assert {row.fold for row in one.rows} == {0, 1}


def test_same_seed_same_report_other_seed_other_split():
    one, two, other = (judged(Level(), protocol=Protocol(folds=2, seed=seed)) for seed in (1, 1, 2))
    assert timeless(one) == timeless(two)
    assert [(row.case, row.fold) for row in one.rows] != [(row.case, row.fold) for row in other.rows]


def test_progress_ends_at_all():
    steps = []
    judged(Level(), Shy(), progress=lambda done, total, message="": steps.append((done, total, message)))
    assert steps[-1][:2] == (4, 4)
    assert any("shy" in message for _, _, message in steps)


# What is judged -------------------------------------------------------------------------------------------------------


def test_every_labelled_patient_is_judged_once_and_the_figures_follow_from_the_rows():
    cases = patients(60, unlabelled=0.3)
    report = judged(ValueAndProbability(), cases=cases)
    rows = [row for row in report.rows if row.target == TARGET]
    assert sorted(row.case for row in rows) == sorted(case.id for case in cases if case.truth)
    truth = {case.id: case.truth.get(TARGET) for case in cases}
    assert all(row.truth == truth[row.case] for row in rows)
    result = next(r for r in report.results if r["target"] == TARGET)
    assert result["metrics"] == figures(by_patient(rows))
    assert result["metrics"]["auc"]["value"] > 0.8
    assert result["patients"] == result["cases"] == len(rows)


def test_truths_of_every_kind_reach_the_report_as_they_are():
    cases = contract.patients(40)
    cases[0] = replace(cases[0], truth={**cases[0].truth, "t_score_lowest": np.float32(-2.5), TARGET: np.int64(1)})
    report = judged(ValueAndProbability(), SurvivalCurve(), LabelMapAndGrades(), cases=cases)
    first = {row.target: row for row in report.rows if row.case == "case 0"}
    assert first["t_score_lowest"].truth == -2.5
    assert first[TARGET].truth == 1
    assert first["who_class_dxa"].truth == cases[0].truth["who_class_dxa"]
    event = cases[0].truth["time_to_vertebral_fracture"]
    assert first["time_to_vertebral_fracture"].truth == {"years": event.years, "event": event.event}
    metrics = {result["target"]: result["metrics"] for result in report.results}
    assert metrics["t_score_lowest"]["mae"]["value"] < 1
    assert metrics["who_class_dxa"]["quadratic_kappa"]["value"] > 0.5
    assert metrics["time_to_vertebral_fracture"]["c_index"]["value"] > 0.6
    assert len(first["who_class_dxa"].prediction) == 3
    overlaps = [row.prediction["dice"] for row in report.rows if row.target == "vertebral_body_mask"]
    assert metrics["vertebral_body_mask"]["dice"]["value"] == pytest.approx(np.mean(overlaps))
    assert 0.8 < np.mean(overlaps) < 1


def test_unlabelled_cases_are_learned_from_in_every_fold():
    seen = []

    @dataclass(frozen=True, kw_only=True)
    class Watching(Level):
        def _fit(self, cases, run):
            seen.append({case.id for case in cases if not case.truth})
            return State()

    cases = patients(60, unlabelled=0.3)
    judged(Watching(), cases=cases)
    assert seen == [{case.id for case in cases if not case.truth}] * 2


def test_no_fold_learns_from_a_patient_it_judges():
    seen = []

    @dataclass(frozen=True, kw_only=True)
    class Watching(Level):
        def _fit(self, cases, run):
            seen.append({case.patient for case in cases})
            return State()

    parts = [replace(case, id=f"{case.id}/{part}", part=part) for case in patients(40) for part in ("L1", "L2")]
    report = judged(Watching(), cases=parts)
    for number, learned in enumerate(seen):
        assert not learned & {row.patient for row in report.rows if row.fold == number}


def test_parts_are_reduced_by_patient_and_stand_beside():
    parts = [replace(case, id=f"{case.id}/{part}", part=part) for case in patients(40) for part in ("L1", "L2", "L3")]
    (result,) = judged(Level(), cases=parts).results
    assert (result["patients"], result["cases"]) == (40, 120)
    assert result["metrics_by_part"]["auc"]["value"] == pytest.approx(result["metrics"]["auc"]["value"])
    widths = [result[name]["auc"]["high"] - result[name]["auc"]["low"] for name in ("metrics", "metrics_by_part")]
    assert widths[1] == pytest.approx(widths[0], rel=0.1)  # three copies of a patient know no more than one


# Abstaining -----------------------------------------------------------------------------------------------------------


def test_abstaining_is_counted_and_never_rewarded():
    cases = patients(60)
    report = judged(Shy(), Level(), cases=cases)
    shy, level = report.result("shy"), report.result("level")
    old = sum(case.number("age_years") > 70 for case in cases)
    assert shy["abstained"] == {"patients": old, "share": old / 60, "reasons": {"too old": old}}
    assert shy["patients"] == 60
    assert level["abstained"]["patients"] == 0
    assert shy["metrics_abstaining_as_negative"]["sensitivity"]["value"] <= shy["metrics"]["sensitivity"]["value"]
    assert not level["metrics_abstaining_as_negative"]
    assert shy["common"]["patients"] == level["common"]["patients"] == 60 - old
    assert shy["common"]["metrics"] == level["common"]["metrics"] == shy["metrics"]
    assert shy["differences"][0]["patients"] == 60 - old
    assert (shy["differences"][0]["value"], shy["differences"][0]["low"]) == (0, 0)
    assert all(row.prediction is None for row in report.rows if row.abstained)


def test_missing_inputs_are_abstentions():
    cases = [replace(case, table={}) if i % 4 == 0 else case for i, case in enumerate(patients(60))]
    report = judged(Level(), cases=cases)
    assert report.results[0]["abstained"]["reasons"] == {"required input missing: age_years": 15}


def test_no_figure_is_told_where_none_has_a_meaning(tmp_path):
    @dataclass(frozen=True, kw_only=True)
    class Mute(Shy):
        def _predict(self, state, cases):
            return [{self.headline.id: Abstain("no")} for _ in cases]

    @dataclass(frozen=True, kw_only=True)
    class OneSided(Level):
        def _predict(self, state, cases):
            told = super()._predict(state, cases)
            return [
                a if c.number("age_years") > 80 else {TARGET: Abstain("young")}
                for a, c in zip(told, cases, strict=True)
            ]

    cases = [
        replace(case, table={"age_years": 85.0 if case.truth[TARGET] else 60.0}, truth={TARGET: case.truth[TARGET]})
        for case in patients(60)
    ]
    report = judged(Mute(), OneSided(), cases=cases)
    mute, one_sided = report.result("shy"), report.result("level")
    assert mute["metrics"] == {}
    assert mute["abstained"]["share"] == 1
    assert mute["differences"] == []
    assert one_sided["metrics"]["auc"] == {"value": None, "low": None, "high": None}
    assert one_sided["metrics"]["sensitivity"]["value"] is not None
    assert "no figure" in str(report)
    json.dumps(report.told, allow_nan=False)


# Comparing ------------------------------------------------------------------------------------------------------------


def test_differences_are_antisymmetric():
    report = judged(ValueAndProbability(), Level(), Shy())
    places = {r["system"]: {d["against"]: d for d in r["differences"]} for r in report.results if r["target"] == TARGET}
    for ours, theirs in (("level", "shy"), ("value_and_probability", "level"), ("value_and_probability", "shy")):
        forth, back = places[ours][theirs], places[theirs][ours]
        assert (forth["value"], forth["low"], forth["high"]) == pytest.approx(
            (-back["value"], -back["high"], -back["low"])
        )
        assert forth["patients"] == back["patients"]
        assert forth["metric"] == "auc"


def test_the_best_comes_first():
    report = judged(Level(), ValueAndProbability())
    assert [r["system"] for r in report.results if r["target"] == TARGET] == ["value_and_probability", "level"]
    assert str(report).splitlines()[0].startswith("Made: 60 patients; 2-fold")
    assert report.result("level")["role"] == "system"
    with pytest.raises(KeyError, match="no result of nobody; there are"):
        report.result("nobody")


def test_baselines_stand_beside_where_the_cohort_has_their_inputs():
    report = judged(Level(), baselines=True)
    roles = {result["system"]: result["role"] for result in report.results}
    assert roles["level"] == "system"
    assert {"baseline_prevalence", "baseline_age_sex_bmi"} <= {id_ for id_, role in roles.items() if role == "baseline"}
    assert report.result("baseline_prevalence")["metrics"]["auc"]["value"] == pytest.approx(0.5)


# Published figures ----------------------------------------------------------------------------------------------------


def test_published_figures_stand_beside_their_own_target_only():
    (result,) = judged(Told()).results
    assert [entry["metric"] for entry in result["published"]] == ["AUC"]  # read, and of this target
    assert not result["target_replaced"]
    cases = [replace(case, truth={"past_fracture": case.truth[TARGET]}) for case in patients(60)]
    (result,) = judged(Told(targets=("past_fracture",)), cases=cases).results
    assert result["target_replaced"]
    assert result["target"] == "past_fracture"
    assert result["published"] == []


def test_as_published_stands_apart_and_tells_the_leak(tmp_path, checked):
    rng = np.random.default_rng(0)
    cases = []
    for case in patients(24):
        path = tmp_path / f"{case.id}.png"
        Picture.fromarray(rng.integers(0, 256, (32, 32), dtype=np.uint8)).save(path)
        pictures = Images({"knee_xray": FileSource(path)})
        truth = {TARGET: case.truth[TARGET]}
        cases += [
            replace(case, id=f"{case.id}/{i}", patient=f"{case.id}/{i}", images=pictures, truth=truth) for i in range(2)
        ]
    report = judged(Told(), Level(), cases=cases, protocol=Protocol(name="as_published", folds=2))
    assert [(r["system"], r["role"], r["protocol"]) for r in report.results][-1] == (
        "told",
        "as_published",
        "as_published",
    )
    honest, published = report.result("told", role="system"), report.result("told", role="as_published")
    assert (honest["patients"], honest["cases"]) == (24, 48)
    assert published["patients"] == 48
    assert published["leak"]["judged"] == 48
    assert published["leak"]["copy_in_training"] > 12
    assert published["split"]["unit"] == "image"
    assert "differences" not in published
    assert all(other["role"] != "as_published" for other in honest["differences"])
    assert honest["leak"] == {}
    folds = {}
    for row in report.rows:
        if row.role == "system" and row.system == "told":
            folds.setdefault(row.case.rpartition("/")[0], set()).add(row.fold)
    assert all(len(numbers) == 1 for numbers in folds.values())  # copies of a picture are one patient


def test_pictures_with_two_labels_are_dropped_and_said(tmp_path, checked):
    rng = np.random.default_rng(1)
    cases = []
    for case in patients(24):
        path = tmp_path / f"{case.id}.png"
        Picture.fromarray(rng.integers(0, 256, (32, 32), dtype=np.uint8)).save(path)
        truth = {TARGET: case.truth[TARGET]}
        cases.append(replace(case, images=Images({"knee_xray": FileSource(path)}), truth=truth))
    twin = replace(cases[0], id="twin", patient="twin", truth={TARGET: 1 - cases[0].truth[TARGET]})
    report = judged(Level(), cases=[*cases, twin])
    assert {row.case for row in report.rows} == {case.id for case in cases[1:]}
    assert report.told["cohort"]["cases"] == 23
    assert report.told["cohort"]["notes"]


# Refusals -------------------------------------------------------------------------------------------------------------


def test_what_cannot_be_judged_is_refused_before_anything_is_fitted(tmp_path):
    cases = patients(40)
    other = [replace(case, truth={"past_fracture": case.truth[TARGET]}) for case in cases]
    blind = [replace(case, table={"bmi_kg_m2": 25.0}) for case in cases]
    few = cases[:12]
    one_class = [replace(case, truth={TARGET: 0}) for case in cases]
    nothing = [replace(case, truth={}) for case in cases]
    for given, said in (
        (other, "level predicts osteoporosis_dxa, for which made has no truth; --target past_fracture replaces it"),
        (nothing, "the cohort has truth for nothing"),
        (blind, "level needs age_years, which no case of made has"),
        (few, "ask for fewer folds"),
        (one_class, "every patient has the same"),
    ):
        with pytest.raises(ValueError, match=said):
            judged(Level(), cases=given, protocol=Protocol(folds=10))
    with pytest.raises(ValueError, match="name at least one system"):
        judged()
    with pytest.raises(ValueError, match="level is named twice"):
        judged(Level(), Level())


def test_a_picture_that_cannot_be_read_stops_everything_by_name(tmp_path, checked):
    (tmp_path / "broken.png").write_text("no picture")
    cases = patients(20)
    cases[3] = replace(cases[3], images=Images({"knee_xray": FileSource(tmp_path / "broken.png")}))
    with pytest.raises(ValueError, match=r"1 of 20 cases cannot be read.*broken\.png.*replace or remove"):
        judged(Level(), cases=cases)


@pytest.mark.parametrize("jobs", [1, 2])
def test_an_error_while_fitting_is_told_as_it_is(jobs):
    with pytest.raises(ValueError, match=r"^the book is torn$"):
        judged(Failing(), jobs=jobs)


# Weights and provenance -----------------------------------------------------------------------------------------------


def test_population_shares_follow_the_design():
    cases = [
        replace(case, weight=1000.0 + i, groups={"stratum": str(i % 3), "psu": str(i % 2)})
        for i, case in enumerate(patients(60))
    ]
    told = judged(Level(), cases=cases).told["cohort"]["prevalence"][TARGET]["osteoporosis"]
    ill = sum(case.weight for case in cases if case.truth[TARGET])
    assert told["cases"] == sum(case.truth[TARGET] for case in cases)
    assert told["population"]["value"] == pytest.approx(ill / sum(case.weight for case in cases))
    assert told["population"]["low"] < told["population"]["value"] < told["population"]["high"]
    lonely = [replace(case, groups={"stratum": case.id, "psu": "1"}) for case in cases]
    alone = judged(Level(), cases=lonely).told["cohort"]["prevalence"][TARGET]["osteoporosis"]["population"]
    assert alone["value"] == told["population"]["value"]
    assert alone["low"] is None
    assert "one PSU" in alone["why"]
    assert judged(Level()).told["cohort"]["prevalence"][TARGET]["osteoporosis"]["population"] is None


def test_everything_needed_to_repeat_it_is_told():
    report = judged(Level(), protocol=Protocol(folds=2, seed=7))
    told = report.told
    assert told["protocol"] == {**told["protocol"], "name": "kfold", "folds": 2, "seed": 7, "unit": "patient"}
    assert told["environment"]["seed"] == 7
    assert told["environment"]["threads"] == 1
    assert {"python", "packages", "cores", "written"} <= told["environment"].keys()
    assert len(told["cohort"]["checksum"]) == 64
    changed = patients(60)
    changed[5] = replace(changed[5], table={**changed[5].table, "age_years": 51.0})
    assert judged(Level(), cases=changed).told["cohort"]["checksum"] != told["cohort"]["checksum"]
    assert {"cohort", "protocol", "results", "environment"} <= told.keys()
    wanted = {"system", "role", "target", "metrics", "settings", "published", "seconds"}
    assert all(wanted <= result.keys() for result in report.results)


def test_a_single_case_cohort_is_refused_not_crashed():
    with pytest.raises(ValueError, match="patients"):
        judged(Level(), cases=[Case(id="a", patient="a", table={"age_years": 1.0}, truth={TARGET: 1})])


def test_saved_and_loaded_it_is_the_same_report(tmp_path, checked):
    report = judged(ValueAndProbability(), SurvivalCurve(), Shy())
    report.save(tmp_path / "out")
    back = Report.load(tmp_path / "out")
    assert back.rows == report.rows
    told = json.loads(json.dumps(report.told))
    assert {name: back.told[name] for name in told} == told
    for result in back.results:
        rows = [r for r in back.rows if (r.system, r.target) == (result["system"], result["target"])]
        assert json.loads(json.dumps(figures(by_patient(rows)))) == result["metrics"]


def test_variants_of_one_system_are_told_apart_by_their_settings():
    report = judged(Sloped(slope=1.0), Sloped(slope=0.0))
    names = {result["system"] for result in report.results if result["role"] == "system"}
    assert names == {"level:slope=1.0", "level:slope=0.0"}
    sharp, flat = (report.result(name)["metrics"]["auc"]["value"] for name in ("level:slope=1.0", "level:slope=0.0"))
    assert flat == 0.5
    assert sharp > 0.6


# --- fewer labels


@dataclass(frozen=True, kw_only=True)
class Counting(Level):
    """Tells how many labels it was given, and does not learn from fewer than `least`."""

    least: int = guess(0, "made up")

    def _fit(self, cases, run):
        labels = sum(self.headline.id in case.truth for case in cases)
        if labels < self.least:
            raise ValueError(f"{labels} labels are too few")
        return State(facts={"labels": labels, "cases": len(cases)})

    def _predict(self, state, cases):
        return [{self.headline.id: Probability(state.facts["labels"] / state.facts["cases"])} for _ in cases]


def test_a_learning_curve_hides_labels_and_judges_the_same_patients():
    protocol = Protocol(name="learning_curve", folds=2, shares=(0.25, 1.0))
    report = evaluate(
        [Counting(), Counting(least=30)], cohort(patients(80)), protocol=protocol, baselines=False, jobs=1
    )
    by_name = {result["system"]: result for result in report.told["results"]}
    assert set(by_name) == {f"level:least={n}:labels={share}%" for n in (0, 30) for share in (25, 100)}
    for name, result in by_name.items():
        quarter = name.endswith("25%")
        assert result["labels"]["patients"] == (10 if quarter else 40)
        assert result["patients"] == 80
        silent = quarter and "least=30" in name
        assert result["abstained"]["patients"] == (80 if silent else 0)
        assert {other["against"].rpartition(":")[2] for other in result["differences"]} <= {name.rpartition(":")[2]}
    told = {row.prediction for row in report.rows if row.system == "level:least=0:labels=25%"}
    assert told == {0.25}
    (why,) = by_name["level:least=30:labels=25%"]["abstained"]["reasons"]
    assert why == "not fitted: 10 labels are too few"


def test_a_system_that_cannot_be_fitted_to_all_labels_still_fails():
    with pytest.raises(ValueError, match="too few"):
        evaluate([Counting(least=90)], cohort(patients(80)), protocol=TWO, baselines=False, jobs=1)


def test_the_page_draws_figures_by_number_of_labels(tmp_path):
    protocol = Protocol(name="few_shot", folds=2, shots=(1, 5))
    report = evaluate([Level()], cohort(patients(80)), protocol=protocol, baselines=True, jobs=1)
    report.save(tmp_path / "report")
    page = (tmp_path / "report" / "index.html").read_text(encoding="utf-8")
    assert "By number of labels" in page
    assert "patients whose labels were learned from" in page
    assert "1, 5 training patients a class" in page


def test_the_headline_is_about_the_most_labels():
    from trabecula.report.sentences import verdict

    protocol = Protocol(name="few_shot", folds=2, shots=(1, 5))
    told = judged(Level(), cases=patients(80), protocol=protocol, baselines=True).told
    said = verdict(told, TARGET)
    assert "shots 5" in said.title
    assert "shots 1" not in said.title
