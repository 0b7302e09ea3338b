"""Each check catches the system that was broken for it, and no other check does."""

import inspect
import shutil
import socket
import sys
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from tests.contract.label_map_and_grades.system import LabelMapAndGrades
from tests.contract.toys import toy
from tests.contract.two_views_and_table.system import TwoViewsAndTable
from tests.contract.value_and_probability import essence as its_essence
from tests.contract.value_and_probability.system import ValueAndProbability
from trabecula.case import Images
from trabecula.prediction import Abstain, Probability, Value, score
from trabecula.selftest import CHECKS, run_checks
from trabecula.selftest.essence import stub_of
from trabecula.selftest.recipe import _count
from trabecula.selftest.subject import Subject, gap, relabelled
from trabecula.selftest.watch import watched
from trabecula.system import from_settings, guess

# A new process for every broken system would be most of the time: one test of its own looks at imports.
HERE = [check.name for check in CHECKS if check.name != "imports_only_what_it_needs"]


def broken(kind, *, on_card=None, **members):
    """Return a system like `kind`, at its smallest, with other members or other inputs on its card."""
    if on_card:
        card = kind.card().model_copy(update={"inputs": kind.card().inputs.model_copy(update=on_card)})
        members["card"] = classmethod(lambda cls: card)
    made = type(f"Broken{kind.__name__}", (kind,), {"__module__": kind.__module__, **members})
    return from_settings(dataclass(frozen=True, kw_only=True)(made), kind.sizes["tiny"])


def caught_by(system, cases=None):
    cases = cases or toy(type(system).__base__.id())[1]
    return [outcome.check for outcome in run_checks(system, cases, only=HERE) if outcome.status == "failed"]


def changed(answer, change):
    """Return the answer of the toy with another T-score."""
    return {**answer, "t_score_lowest": Value(change(answer["t_score_lowest"].value))}


def test_a_setting_without_an_origin():
    system = broken(ValueAndProbability, __annotations__={"mystery": float}, mystery=1.0)
    assert caught_by(system) == ["card_is_complete"]


def test_a_class_that_asks_for_more_than_its_card():
    def inputs(self):
        own = self.card().inputs
        return own.model_copy(update={"table": (*own.table, "bmi_kg_m2"), "optional": (*own.optional, "bmi_kg_m2")})

    assert caught_by(broken(ValueAndProbability, inputs=inputs)) == ["class_agrees_with_card"]


def test_a_setting_that_json_turns_into_something_else():
    system = broken(ValueAndProbability, __annotations__={"cuts": Any}, cuts=guess((1, 2), "a toy"))
    assert caught_by(system) == ["settings_survive_json"]


def test_a_module_that_sees_where_data_come_from(tmp_path, monkeypatch):
    folder = tmp_path / "curious_toy"
    shutil.copytree(Path(its_essence.__file__).parent, folder)
    code = (folder / "system.py").read_text()
    (folder / "system.py").write_text(code.replace("import numpy", "import trabecula.cohort\nimport numpy", 1))
    monkeypatch.syspath_prepend(str(tmp_path))
    from curious_toy.system import ValueAndProbability as Curious

    (outcome,) = run_checks(Curious(), toy("value_and_probability")[1], only=["imports_only_what_it_needs"])
    assert outcome.message == "importing it loads trabecula.cohort, which a system may not see"
    (outcome,) = run_checks(*toy("value_and_probability"), only=["imports_only_what_it_needs"])
    assert outcome.status == "passed"


def test_a_mask_that_is_the_target():
    system = broken(LabelMapAndGrades, on_card={"masks": ("vertebral_bodies",)})
    cases = [
        replace(case, masks=Images({"vertebral_bodies": case.truth["vertebral_body_mask"]}))
        for case in toy("label_map_and_grades")[1]
    ]
    assert caught_by(system, cases) == ["no_input_defines_the_target"]


def test_a_mask_of_another_name_that_is_the_target():
    system = broken(LabelMapAndGrades, on_card={"masks": ("trabecular_region",)})
    cases = [
        replace(case, masks=Images({"trabecular_region": case.truth["vertebral_body_mask"]}))
        for case in toy("label_map_and_grades")[1]
    ]
    assert caught_by(system, cases) == ["no_input_defines_the_target"]


def test_a_value_that_is_the_truth():
    system = broken(ValueAndProbability, on_card={"table": ("age_years", "mean_hu", "homocysteine_umol_l")})
    cases = [
        replace(case, table={**case.table, "homocysteine_umol_l": case.truth["t_score_lowest"]})
        for case in toy("value_and_probability")[1]
    ]
    assert caught_by(system, cases) == ["no_input_defines_the_target"]


def test_another_unit():
    def predict(self, state, cases):
        return [changed(answer, lambda t: 1000 * t) for answer in ValueAndProbability._predict(self, state, cases)]

    assert caught_by(broken(ValueAndProbability, _predict=predict)) == ["answers_are_plausible"]


def test_the_same_answer_for_everybody():
    def predict(self, state, cases):
        return [changed(answer, lambda t: -2.0) for answer in ValueAndProbability._predict(self, state, cases)]

    assert caught_by(broken(ValueAndProbability, _predict=predict)) == [
        "answers_are_plausible",
        "essence_rejects_a_stub",
    ]


def test_answers_that_depend_on_the_others_in_the_batch():
    def predict(self, state, cases):
        answers = ValueAndProbability._predict(self, state, cases)
        middle = np.mean([answer["t_score_lowest"].value for answer in answers])
        return [changed(answer, lambda t: t - 0.1 * middle) for answer in answers]

    assert caught_by(broken(ValueAndProbability, _predict=predict)) == ["alone_as_in_a_batch"]


def test_a_look_at_the_truth_of_the_caller():
    def predict(self, state, cases):
        for frame in inspect.stack():
            for case in frame.frame.f_locals.get("chunk", ()):
                case.truth.get("osteoporosis_dxa")
        return ValueAndProbability._predict(self, state, cases)

    assert caught_by(broken(ValueAndProbability, _predict=predict)) == ["truth_cannot_reach_prediction"]


def test_a_look_at_the_id_of_the_caller():
    def predict(self, state, cases):
        ids = [case.id for frame in inspect.stack() for case in frame.frame.f_locals.get("chunk", ())]
        strange = 1e-3 * any("stranger" in id_ for id_ in ids)
        return [changed(answer, lambda t: t + strange) for answer in ValueAndProbability._predict(self, state, cases)]

    assert caught_by(broken(ValueAndProbability, _predict=predict)) == ["truth_cannot_reach_prediction"]


def test_an_answer_with_nothing_to_go_by():
    system = broken(ValueAndProbability, on_card={"optional": ("age_years", "mean_hu")})
    assert caught_by(system) == ["missing_input_abstains"]


def test_an_optional_input_that_is_not():
    def predict(self, state, cases):
        assert all("age_years" in case.table for case in cases), "no age"
        return ValueAndProbability._predict(self, state, cases)

    assert caught_by(broken(ValueAndProbability, _predict=predict)) == ["missing_input_abstains"]


def test_an_image_that_nobody_looks_at():
    assert caught_by(broken(ValueAndProbability, on_card={"images": ("lumbar_ct",)})) == ["image_is_used"]


def test_another_number_of_parameters():
    card = TwoViewsAndTable.card().model_copy(update={"trainable_parameters": {"views": 471}})
    system = broken(TwoViewsAndTable, card=classmethod(lambda cls: card))
    assert caught_by(system) == ["parameters_are_the_published"]


def test_a_training_step_that_is_commented_out():
    def fit(self, cases, run):
        return TwoViewsAndTable._fit(replace(self, rate=0.0), cases, run)

    # Random weights tell two views apart too little for the essence, which is right to say so as well.
    assert caught_by(broken(TwoViewsAndTable, _fit=fit)) == ["fitting_learns", "essence_rejects_a_stub"]


def test_a_loss_that_does_not_fall():
    def fit(self, cases, run):
        state = TwoViewsAndTable._fit(self, cases, run)
        return replace(state, facts={"history": {"train_loss": state.facts["history"]["train_loss"][::-1]}})

    assert caught_by(broken(TwoViewsAndTable, _fit=fit)) == ["fitting_learns"]


def test_something_left_on_the_recipe():
    def fit(self, cases, run):
        object.__setattr__(self, "seen", len(cases))
        return ValueAndProbability._fit(self, cases, run)

    assert caught_by(broken(ValueAndProbability, _fit=fit)) == ["fitting_changes_nothing_else"]


def test_a_state_that_is_kept_outside():
    latest = []

    def fit(self, cases, run):
        latest.append(ValueAndProbability._fit(self, cases, run))
        return latest[-1]

    def predict(self, state, cases):
        return ValueAndProbability._predict(self, latest[-1], cases)

    assert caught_by(broken(ValueAndProbability, _fit=fit, _predict=predict)) == ["fitting_changes_nothing_else"]


def test_chance_from_outside():
    def fit(self, cases, run):
        state = ValueAndProbability._fit(self, cases, run)
        return replace(state, arrays={"middle": state.arrays["middle"] + np.random.default_rng().normal(0, 1e-3)})

    assert caught_by(broken(ValueAndProbability, _fit=fit)) == ["same_seed_same_answer"]


def test_a_global_seed_of_torch():
    def fit(self, cases, run):
        torch.rand(1)
        return ValueAndProbability._fit(self, cases, run)

    assert caught_by(broken(ValueAndProbability, _fit=fit)) == ["same_seed_same_answer"]


def test_a_fact_that_json_changes():
    def fit(self, cases, run):
        return replace(ValueAndProbability._fit(self, cases, run), facts={"shift": {1: 0.0}})

    def predict(self, state, cases):
        shift = state.facts["shift"][1]
        return [changed(answer, lambda t: t + shift) for answer in ValueAndProbability._predict(self, state, cases)]

    assert caught_by(broken(ValueAndProbability, _fit=fit, _predict=predict)) == ["saved_model_is_the_model"]


def test_a_call_home():
    def predict(self, state, cases):
        with suppress(OSError), socket.socket() as line:
            line.settimeout(0.01)
            line.connect(("192.0.2.1", 9))
        return ValueAndProbability._predict(self, state, cases)

    assert caught_by(broken(ValueAndProbability, _predict=predict)) == ["neither_calls_out_nor_litters"]


def test_a_note_left_in_another_folder(tmp_path):
    def fit(self, cases, run):
        (tmp_path / "patients.txt").write_text("everybody")
        return ValueAndProbability._fit(self, cases, run)

    assert caught_by(broken(ValueAndProbability, _fit=fit)) == ["neither_calls_out_nor_litters"]


def test_a_rule_that_needs_no_labels():
    def fit(self, cases, run):
        state = ValueAndProbability._fit(self, cases, run)
        for estimator, sign in ((state.estimators["class"], -1), (state.estimators["score"], 1)):
            estimator.coef_ = np.abs(estimator.coef_) * [0, sign]
        return state

    assert caught_by(broken(ValueAndProbability, _fit=fit)) == ["shuffled_labels_give_chance"]


def test_a_system_without_its_essence():
    def predict(self, state, cases):
        blunt = [replace(case, table={**case.table, "mean_hu": 120.0}) for case in cases]
        return ValueAndProbability._predict(self, state, blunt)

    assert caught_by(broken(ValueAndProbability, _predict=predict)) == ["essence_rejects_a_stub"]


@pytest.mark.parametrize(
    ("essence", "message"),
    [
        (lambda system, cases: system.fit(cases), "accepts a stub"),
        (lambda system, cases: {0.0: 1}[np.ptp(scores(system, cases)) == 0], "with KeyError"),
    ],
)
def test_an_essence_that_does_not_reject_the_stub(monkeypatch, essence, message):
    monkeypatch.setattr(its_essence, "essence", essence)
    (outcome,) = run_checks(*toy("value_and_probability"), only=["essence_rejects_a_stub"])
    assert outcome.status == "failed"
    assert message in outcome.message


def scores(system, cases):
    return [score(answer["osteoporosis_dxa"]) for answer in system.fit(cases).predict(cases)]


@pytest.mark.parametrize("name", ["value_and_probability", "label_map_and_grades", "survival_curve"])
def test_the_stub_answers_everybody_the_same(name):
    system, cases = toy(name)
    answers = stub_of(system).fit(cases).predict(cases)
    assert all(gap(answers[0], answer) == 0 for answer in answers)
    assert not any(isinstance(prediction, Abstain) for prediction in answers[0].values())


def test_the_stub_has_new_networks():
    system, cases = toy("two_views_and_table")
    ours, theirs = (each.fit(cases).state.networks["views"] for each in (system, stub_of(system)))
    assert not torch.equal(ours.head.weight, theirs.head.weight)


def test_a_fit_that_fails_is_tried_once_and_fails_every_check_that_needs_it():
    tried = []

    def fit(self, cases, run):
        tried.append(len(cases))
        raise RuntimeError("no luck")

    system = broken(ValueAndProbability, _fit=fit)
    only = ["answers_are_plausible", "alone_as_in_a_batch", "saved_model_is_the_model"]
    outcomes = run_checks(system, toy("value_and_probability")[1], only=only)
    assert [o.message for o in outcomes] == ["cannot be fitted: RuntimeError: no luck"] * 3
    assert len(tried) == 1


def test_a_known_failure_is_skipped_and_one_that_passes_has_failed():
    system, cases = broken(ValueAndProbability, on_card={"images": ("lumbar_ct",)}), toy("value_and_probability")[1]
    known = {"image_is_used": "a toy", "settings_survive_json": "it was so"}
    outcomes = run_checks(system, cases, only=list(known), known_failures=known)
    assert {o.check: o.status for o in outcomes} == {"image_is_used": "skipped", "settings_survive_json": "failed"}
    assert [o.message for o in outcomes if o.status == "failed"] == [
        "passes, but is a known failure (it was so): take it off the list"
    ]


@pytest.mark.parametrize("wrong", [{"only": ["imagine"]}, {"known_failures": {"imagine": "why"}}])
def test_an_unknown_check_is_refused(wrong):
    with pytest.raises(KeyError, match="no check is called 'imagine'"):
        run_checks(*toy("value_and_probability"), **wrong)


def test_too_few_cases_are_refused():
    system, cases = toy("value_and_probability")
    with pytest.raises(ValueError, match=r"bring more cases|ask for fewer folds"):
        run_checks(system, cases[:6])


def test_progress_names_each_check():
    told = []
    run_checks(*toy("value_and_probability"), only=HERE[:2], progress=lambda *step: told.append(step))
    assert told == [(0, 2, HERE[0]), (1, 2, HERE[1]), (2, 2, "value_and_probability")]


def test_every_check_names_its_disaster_and_has_a_name_of_its_own():
    assert all(check.disaster.startswith("Prevent ") and check.disaster.endswith(".") for check in CHECKS)
    assert len({check.name for check in CHECKS}) == len(CHECKS)


def test_patients_stay_on_one_side():
    system, cases = toy("value_and_probability")
    parts = [replace(case, id=f"{case.id} {part}", part=part) for case in cases for part in ("L1", "L2")]
    subject = Subject.of(system, parts)
    learned, asked = ({case.patient for case in side} for side in (subject.train, subject.test))
    assert learned
    assert asked
    assert not learned & asked


def test_shuffled_labels_keep_everything_but_the_pairing():
    cases = toy("label_map_and_grades")[1]
    dealt = relabelled(cases, seed=1)
    before, after = ([case.truth["t_score_lowest"] for case in side] for side in (cases, dealt))
    assert before != after
    assert sorted(before) == sorted(after)
    same = [a.truth["vertebral_body_mask"] is b.truth["vertebral_body_mask"] for a, b in zip(cases, dealt, strict=True)]
    assert all(same)


def test_gap_is_relative_and_infinite_between_kinds():
    assert gap({"x": Value(200.0)}, {"x": Value(202.0)}) == pytest.approx(2 / 202)
    assert gap({"x": Probability(1e-9)}, {"x": Probability(2e-9)}) == pytest.approx(1e-6)
    assert gap({"x": Probability(0.5)}, {"x": Abstain("no image")}) == float("inf")
    assert gap({"x": Abstain("no image")}, {"x": Abstain("no age")}) == 0


def test_the_watch_finds_what_compiled_code_leaves_beside_itself(tmp_path):
    with watched(tmp_path) as watch:
        (tmp_path / "allowed.txt").write_text("here")
        with pytest.raises(PermissionError):
            Path("log.txt").write_text("not here")
        descendant = [sys.executable, "-S", "-c", "open('native.log', 'w')"]
        __import__("subprocess").run(descendant, check=True)
    assert watch.writes == [str(Path("log.txt")), "native.log"]
    Path(tmp_path / "again.txt").write_text("the watch is over")


def test_parts_are_found_by_network_by_path_and_by_backbone():
    class Backbone(torch.nn.Module):
        pretrained_cfg = {"architecture": "resnet7"}  # noqa: RUF012

        def __init__(self):
            super().__init__()
            self.body, self.fc = torch.nn.Linear(4, 3), torch.nn.Linear(3, 2)

        def get_classifier(self):
            return self.fc

    whole = torch.nn.Sequential()
    whole.trunk = Backbone()
    networks = {"network": whole, "head": torch.nn.Linear(2, 2)}
    found = {
        name: _count(networks, name)
        for name in ("network", "head", "network.trunk.fc", "trunk.body", "resnet7", "resnet7.features", "resnet7.fc")
    }
    assert found == {
        "network": 23, "head": 6, "network.trunk.fc": 8, "trunk.body": 15, "resnet7": 23, "resnet7.features": 15,
        "resnet7.fc": 8,
    }  # fmt: skip
    assert _count(networks, "vgg16.features") is None


def test_frozen_weights_do_not_count():
    layer = torch.nn.Linear(3, 1)
    layer.bias.requires_grad_(False)
    assert _count({"head": layer}, "head") == 3


def test_the_page_lists_every_check():
    page = (Path(__file__).parents[1] / "docs" / "why" / "selftest.md").read_text(encoding="utf-8")
    assert {line.split("`")[1] for line in page.splitlines() if line.startswith("| `")} == {c.name for c in CHECKS}


def test_where_nobody_is_answered_chance_has_no_meaning():
    def predict(self, state, cases):
        return [{target.id: Abstain("not today") for target in self.predicts} for _ in cases]

    system, cases = broken(ValueAndProbability, _predict=predict), toy("value_and_probability")[1]
    (outcome,) = run_checks(system, cases, only=["shuffled_labels_give_chance"])
    assert (outcome.status, outcome.message) == (
        "skipped",
        "no two test cases are known to differ in the order of osteoporosis_dxa",
    )
    assert caught_by(system) == ["answers_are_plausible", "fitting_learns", "essence_rejects_a_stub"]
