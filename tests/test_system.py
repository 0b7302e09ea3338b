"""Recipes and models: what every system is held to, whoever wrote it."""

import json
import random
import threading
from dataclasses import dataclass, field, fields, replace
from typing import ClassVar

import numpy as np
import pytest

from tests.contract.cases import patients
from tests.contract.pretrained_on_unlabelled.system import PretrainedOnUnlabelled
from tests.contract.survival_curve.system import SurvivalCurve
from tests.contract.value_and_probability.system import ValueAndProbability
from trabecula.card import SystemCard
from trabecula.prediction import Abstain, Probability, Value
from trabecula.state import State
from trabecula.system import Model, System, from_settings, get_system, guess, isolated, paper, threads

CARD = {
    "id": "spy", "number": 0, "title": "A spy", "authors": ["trabecula"], "year": 2026, "venue": "tests",
    "link": "https://example.org", "section": "classification", "modalities": ["table"], "anatomies": ["any"],
    "families": ["classical"], "task": "Tells what it was handed.", "targets": ["osteoporosis_dxa"],
    "inputs": {"table": ["age_years", "bmi_kg_m2"], "optional": ["bmi_kg_m2"]}, "fidelity": "faithful",
    "essence": ["It looks."],
}  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Spy(System):
    """Answers the share of the disease, and keeps what it was handed."""

    share: float = paper(0.5, "table 1")
    steps: int = guess(100, "not stated")
    name: str = guess("plain", "not stated")
    depths: tuple[int, ...] = guess((2, 2), "not stated")

    sizes: ClassVar = {"small": {"steps": 10}, "tiny": {"steps": 1, "depths": (1,)}}
    facts: ClassVar = {}
    handed: ClassVar = []
    asked: ClassVar = []

    @classmethod
    def card(cls):
        return SystemCard.model_validate({**CARD, **cls.facts})

    def _fit(self, cases, run):
        self.handed[:] = cases
        draws = [run.rng.random(), random.random(), np.random.random()]  # noqa: NPY002 what must be isolated
        return State(facts={"p": float(np.mean([c.truth[self.headline.id] > 0 for c in cases])), "draws": draws})

    def _predict(self, state, cases):
        self.asked.append(list(cases))
        return [{self.headline.id: Probability(state.facts["p"])} for _ in cases]


def variant(**facts):
    """A spy whose card differs."""
    return type("Variant", (Spy,), {"facts": facts, "__module__": __name__})


@pytest.fixture(autouse=True)
def forget():
    Spy.handed.clear()
    Spy.asked.clear()


@pytest.fixture(scope="module")
def cases():
    return patients(70)


def breaking(answers):
    """A fitted spy that breaks the form of an answer."""

    @dataclass(frozen=True, kw_only=True)
    class Broken(Spy):
        def _predict(self, state, cases):
            return answers(cases)

    return Broken()


# What is handed over --------------------------------------------------------------------------------------------------


def test_fitting_sees_the_declared_inputs_and_targets_and_nothing_else(cases):
    Spy().fit([replace(case, weight=5.0) for case in cases])
    for case in Spy.handed:
        assert set(case.table) == {"age_years", "bmi_kg_m2"}
        assert set(case.truth) == {"osteoporosis_dxa"}
        assert not case.images
        assert not case.masks
        assert not case.groups
        assert case.weight == 1
    assert [case.patient for case in Spy.handed] == [case.patient for case in cases]  # inner splits are by patient


def test_prediction_sees_neither_truth_nor_identity(cases):
    named = [
        replace(case, id=f"osteoporosis/{case.truth['osteoporosis_dxa']}.png {i}", part="L1")
        for i, case in enumerate(cases)
    ]
    Spy().fit(cases).predict(named)
    for chunk in Spy.asked:
        for case in chunk:
            assert not case.truth
            assert (case.id, case.patient, case.part) == ("case", "patient", "")
            assert set(case.table) == {"age_years", "bmi_kg_m2"}
            assert "osteoporosis" not in repr(case)


def test_explaining_is_as_blind(cases):
    @dataclass(frozen=True, kw_only=True)
    class Telling(Spy):
        def _explain(self, state, case, target):
            self.asked.append([case])
            assert target == "osteoporosis_dxa"

    model = Telling().fit(cases)
    assert model.explain(cases[0]) is None
    ((case,),) = Spy.asked
    assert (case.id, dict(case.truth), dict(case.groups)) == ("case", {}, {})
    with pytest.raises(ValueError, match=r"nothing to explain.*age_years"):
        model.explain(replace(cases[0], table={}))


def test_cases_come_in_chunks_and_answers_in_order(cases):
    model = ValueAndProbability().fit(cases)
    many = [cases[i % len(cases)] for i in range(150)]
    steps = []
    answers = model.predict(many, progress=lambda done, total, message="": steps.append((done, total)))
    assert steps == [(64, 150), (128, 150), (150, 150)]
    alone = [model.predict([case])[0] for case in cases]
    told = [[answer["osteoporosis_dxa"].p, answer["t_score_lowest"].value] for answer in answers]
    assert told == [
        pytest.approx([alone[i % 70]["osteoporosis_dxa"].p, alone[i % 70]["t_score_lowest"].value], rel=1e-9)
        for i in range(150)
    ]
    assert model.predict([]) == []


def test_a_missing_required_input_is_an_abstention_without_asking(cases):
    model = Spy().fit(cases)
    without_age = replace(cases[0], table={"bmi_kg_m2": 25.0})
    without_bmi = replace(cases[0], table={"age_years": 70.0})
    answers = model.predict([cases[0], without_age, without_bmi, without_age])
    assert [isinstance(a["osteoporosis_dxa"], Abstain) for a in answers] == [False, True, False, True]
    assert "age_years" in answers[1]["osteoporosis_dxa"].reason
    assert [len(chunk) for chunk in Spy.asked] == [2]
    Spy.asked.clear()
    model.predict([without_age])
    assert not Spy.asked


def test_an_abstention_covers_every_target(cases):
    answer = ValueAndProbability().fit(cases).predict([replace(cases[0], table={})])[0]
    assert set(answer) == {"osteoporosis_dxa", "t_score_lowest"}
    assert all(isinstance(prediction, Abstain) for prediction in answer.values())


# Fitting --------------------------------------------------------------------------------------------------------------


def test_cases_without_required_inputs_are_not_learned_from(cases):
    model = Spy().fit([replace(cases[0], table={}), *cases[1:]])
    assert model.about["cases"] == len(cases) - 1
    assert len(Spy.handed) == len(cases) - 1


def test_nothing_to_learn_from_is_said(cases):
    no_truth = [replace(case, truth={}) for case in cases]
    one_class = [replace(case, truth={"osteoporosis_dxa": 1}) for case in cases]
    no_inputs = [replace(case, table={}) for case in cases]
    for given, said in (
        ([], r"spy: none of 0 cases"),
        (no_inputs, r"spy: none of 70 cases.*\['age_years'\]"),
        (no_truth, "spy: no case has truth for osteoporosis_dxa"),
        (one_class, "spy: every case has the same osteoporosis_dxa"),
    ):
        with pytest.raises(ValueError, match=said):
            Spy().fit(given)


def test_unlabelled_cases_are_handed_over(cases):
    half = [replace(case, truth={}) if i % 2 else case for i, case in enumerate(cases)]
    assert len(PretrainedOnUnlabelled(epochs=1).fit(half).about) > 0
    with pytest.raises(KeyError):  # the spy itself needs every truth
        Spy().fit(half)
    assert len(Spy.handed) == len(half)


def test_the_recipe_does_not_change(cases):
    recipe = ValueAndProbability()
    before = recipe.settings()
    recipe.fit(cases)
    assert recipe.settings() == before
    with pytest.raises(AttributeError):
        recipe.strength = 2.0


def test_fit_and_predict_are_final():
    assert all(vars(System)[name].__final__ for name in ("fit", "settings", "origins"))
    assert Model.__final__


# Randomness and threads -----------------------------------------------------------------------------------------------


def global_state():
    import torch

    name, keys, *rest = np.random.get_state()  # noqa: NPY002
    return random.getstate(), (name, keys.tolist(), *rest), torch.get_rng_state().tolist()


def seed_globally(seed):
    import torch

    random.seed(seed)
    np.random.seed(seed)  # noqa: NPY002
    torch.manual_seed(seed)


def test_same_seed_same_draws_and_global_state_untouched(cases):
    seed_globally(11)
    before = global_state()
    draws = Spy().fit(cases, seed=5).state.facts["draws"]
    answers = PretrainedOnUnlabelled(epochs=3).fit(cases, seed=5).predict(cases)
    assert global_state() == before
    seed_globally(99)
    assert Spy().fit(cases, seed=5).state.facts["draws"] == draws
    assert not set(Spy().fit(cases, seed=6).state.facts["draws"]) & set(draws)
    assert PretrainedOnUnlabelled(epochs=3).fit(cases, seed=5).predict(cases) == answers
    assert PretrainedOnUnlabelled(epochs=3).fit(cases, seed=6).predict(cases) != answers


def test_global_state_is_restored_after_an_error():
    import torch

    before = random.getstate(), torch.get_num_threads()

    def failing():
        with isolated(0, torch_too=True):
            random.random()
            raise RuntimeError("inside")

    with pytest.raises(RuntimeError, match="inside"):
        failing()
    assert (random.getstate(), torch.get_num_threads()) == before


def test_threads_are_fixed_inside_and_given_back(monkeypatch):
    import torch
    from threadpoolctl import threadpool_info

    outside = torch.get_num_threads()
    monkeypatch.setenv("TRABECULA_THREADS", "1")
    with isolated(0, torch_too=True):
        assert torch.get_num_threads() == 1
        assert {pool["num_threads"] for pool in threadpool_info()} <= {1}
    assert torch.get_num_threads() == outside
    for wrong in ("0", "-1", "many", "1.5", ""):
        monkeypatch.setenv("TRABECULA_THREADS", wrong)
        with pytest.raises(ValueError, match="TRABECULA_THREADS is a number from 1 on"):
            threads()


def test_what_was_used_is_on_record(cases):
    model = Spy().fit(cases, seed=3)
    assert model.about == {"seed": 3, "device": "cpu", "precision": "32-true", "threads": 1, "cases": 70}
    assert repr(model) == "Model(spy, 70 cases, seed 3)"


# The form of an answer ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("answers", "error", "said"),
    [
        (lambda cases: [], ValueError, "gave 0 answers to 1 cases"),
        (lambda cases: [{}], ValueError, r"answered \[\] where \['osteoporosis_dxa'\]"),
        (lambda cases: [{"t_score_lowest": Value(1)}], ValueError, "were asked for"),
        (lambda cases: [{"osteoporosis_dxa": Value(1)}], TypeError, "wants Probability, not Value"),
        (lambda cases: [{"osteoporosis_dxa": 0.5}], TypeError, "wants Probability, not float"),
    ],
)
def test_broken_answers_are_refused(cases, answers, error, said):
    with pytest.raises(error, match=said):
        breaking(answers).fit(cases).predict(cases[:1])


# Settings and targets -------------------------------------------------------------------------------------------------


def test_settings_are_plain_json_and_build_the_recipe_again():
    recipe = Spy(share=0.25, depths=(3, 4), targets=("past_fracture",))
    told = json.loads(json.dumps(recipe.settings()))
    assert told == {"targets": ["past_fracture"], "share": 0.25, "steps": 100, "name": "plain", "depths": [3, 4]}
    assert from_settings(Spy, told) == recipe


def test_the_origin_of_every_setting_is_told():
    rows = {row["name"]: row for row in Spy(steps=7, targets=("past_fracture",)).origins()}
    assert set(rows) == {each.name for each in fields(Spy)} - {"targets"}
    assert (rows["share"]["origin"], rows["share"]["note"]) == ("paper", "table 1")
    assert rows["name"]["origin"] == "guess"
    assert (rows["steps"]["origin"], rows["steps"]["value"], rows["steps"]["usual"]) == ("changed", 7, 100)


def test_sizes_are_recognised():
    assert Spy().size == "paper"
    assert from_settings(Spy, Spy.sizes["small"]).size == "small"
    assert from_settings(Spy, Spy.sizes["tiny"]).size == "tiny"
    assert Spy(steps=10, name="other").size == "changed"
    assert Spy(targets=("past_fracture",)).size == "paper"


@pytest.mark.parametrize(
    ("settings", "error", "said"),
    [
        ({"step": 3}, KeyError, "no setting of spy is called 'step'; did you mean steps"),
        ({"steps": "many"}, ValueError, "settings of spy: steps: "),
        ({"steps": 1.5}, ValueError, "settings of spy: steps: "),
        ({"depths": 3}, ValueError, "settings of spy: depths: "),
        (
            {"targets": ["osteoporosis_dx"]},
            KeyError,
            "no target is called 'osteoporosis_dx'; did you mean osteoporosis_dxa",
        ),
        (
            {"targets": ["t_score_lowest"]},
            ValueError,
            "spy predicts a binary target such as osteoporosis_dxa; t_score_lowest is value",
        ),
        ({"targets": ["time_to_hip_fracture"]}, ValueError, "is time_to_event"),
        ({"targets": ["bone_mask"]}, ValueError, "is label_map"),
        ({"targets": ["past_fracture", "hip_fracture"]}, ValueError, "at most 1 targets; 2 were asked for"),
    ],
)
def test_wrong_settings_are_told_with_what_is_right(settings, error, said):
    with pytest.raises(error, match=said):
        from_settings(Spy, settings)


def test_binary_and_ordinal_count_as_one_kind(cases):
    recipe = Spy(targets=("who_class_dxa",))
    assert recipe.headline.grades == ("normal", "osteopenia", "osteoporosis")
    with pytest.raises(TypeError, match="wants Grades"):
        variant()(targets=("who_class_dxa",)).fit(cases).predict(cases[:1])


def test_an_input_that_defines_the_target_is_not_handed_over():
    optional = variant(
        targets=["past_fracture"], inputs={"table": ["age_years", "t_score_lumbar"], "optional": ["t_score_lumbar"]}
    )
    assert optional().inputs().table == ("age_years", "t_score_lumbar")
    asked = optional(targets=("osteoporosis_dxa",)).inputs()
    assert (asked.table, asked.optional) == (("age_years",), ())
    required = variant(targets=["past_fracture"], inputs={"table": ["age_years", "t_score_lumbar"]})
    with pytest.raises(ValueError, match=r"\['t_score_lumbar'\], which define osteoporosis_dxa"):
        required(targets=("osteoporosis_dxa",)).inputs()


def test_fewer_targets_than_the_card_are_all_that_is_answered():
    assert [t.id for t in ValueAndProbability().predicts] == ["osteoporosis_dxa", "t_score_lowest"]
    assert [t.id for t in ValueAndProbability(targets=("past_fracture",)).predicts] == ["past_fracture"]


# The catalogue --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("ask", "error", "said"),
    [
        ({"id_": "kong2020_catbost"}, KeyError, "did you mean kong2020_catboost"),
        ({"id_": "hwang2024_hand_ssl"}, LookupError, "hwang2024_hand_ssl is planned.*trabecula show"),
    ],
)
def test_systems_that_are_not_there(ask, error, said):
    with pytest.raises(error, match=said):
        get_system(**ask)


def test_sizes_settings_and_targets_of_the_catalogue(monkeypatch):
    monkeypatch.setattr("trabecula.system._class", lambda id_: Spy)
    assert get_system("spy", size="tiny").size == "tiny"
    assert get_system("spy", size="tiny", settings={"steps": 5}).settings()["depths"] == [1]
    assert get_system("spy", targets=("past_fracture",)).headline.id == "past_fracture"
    assert get_system("spy", settings={"targets": ["past_fracture"]}).headline.id == "past_fracture"
    with pytest.raises(KeyError, match="no size is called 'smal'; did you mean small"):
        get_system("spy", size="smal")


# Saving ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", [ValueAndProbability, SurvivalCurve, PretrainedOnUnlabelled])
def test_answers_are_identical_after_saving(tmp_path, cases, kind):
    sizes = dict(kind.sizes.get("tiny", {}))
    model = from_settings(kind, sizes).fit(cases, seed=2)
    model.save(tmp_path / "m")
    back = Model.load(tmp_path / "m", recipe=kind)
    assert back.system == model.system
    assert back.about == model.about
    assert back.predict(cases) == model.predict(cases)
    with pytest.raises(FileExistsError, match="is there already"):
        model.save(tmp_path / "m")
    assert Model.load(tmp_path / "m", recipe=kind).predict(cases[:3]) == model.predict(cases[:3])


def test_a_model_of_another_recipe_or_nobody_is_refused(tmp_path, cases):
    Spy().fit(cases).save(tmp_path / "m")
    with pytest.raises(ValueError, match="holds a model of spy, not of survival_curve"):
        Model.load(tmp_path / "m", recipe=SurvivalCurve)
    with pytest.raises(KeyError, match="no system is called 'spy'"):
        Model.load(tmp_path / "m")
    with pytest.raises(ValueError, match="is no saved model"):
        Model.load(tmp_path / "nowhere")


def test_models_answer_side_by_side(cases):
    model = ValueAndProbability().fit(cases)
    alone, found = model.predict(cases), []
    together = [threading.Thread(target=lambda: found.append(model.predict(cases))) for _ in range(4)]
    for thread in together:
        thread.start()
    for thread in together:
        thread.join()
    assert found == [alone] * 4


def test_a_default_that_is_made_is_told():
    @dataclass(frozen=True, kw_only=True)
    class Made(Spy):
        made: dict[str, int] = field(default_factory=lambda: {"a": 1})

    assert next(row for row in Made().origins() if row["name"] == "made")["origin"] == "guess"


def test_what_must_hold_for_all_systems_cannot_be_overridden():
    with pytest.raises(TypeError, match="may not override fit"):
        type("Loose", (System,), {"fit": lambda self, cases: None})
