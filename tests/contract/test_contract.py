"""Five toy systems hold the contract: fitted, asked, saved, loaded, and put through every check."""

import pytest

from tests.contract.toys import TOYS, toy
from trabecula.prediction import Abstain, Grades, LabelMap, Probability, Survival, Value
from trabecula.selftest import run_checks
from trabecula.system import Model

ANSWERS = {
    "value_and_probability": {"osteoporosis_dxa": Probability, "t_score_lowest": Value},
    "two_views_and_table": {"who_class_dxa": Grades},
    "label_map_and_grades": {"vertebral_body_mask": LabelMap, "who_class_dxa": Grades},
    "pretrained_on_unlabelled": {"osteoporosis_dxa": Probability},
    "survival_curve": {"time_to_vertebral_fracture": Survival},
}
NO_IMAGE, NO_COUNT = {"image_is_used"}, {"parameters_are_the_published"}
WITHOUT_MEANING = {
    "value_and_probability": NO_IMAGE | NO_COUNT,
    "two_views_and_table": set(),
    "label_map_and_grades": NO_COUNT,
    "pretrained_on_unlabelled": NO_COUNT,
    "survival_curve": NO_IMAGE | NO_COUNT,
}


@pytest.mark.parametrize("name", TOYS)
def test_each_answer_is_of_its_kind(name):
    system, cases = toy(name)
    for answer in system.fit(cases).predict(cases):
        assert {target: type(prediction) for target, prediction in answer.items()} == ANSWERS[name]


@pytest.mark.parametrize("name", TOYS)
def test_a_model_comes_back_from_disk(name, tmp_path):
    system, cases = toy(name)
    model = system.fit(cases, seed=3)
    model.save(tmp_path / "model")
    loaded = Model.load(tmp_path / "model", recipe=type(system))
    assert loaded.system == system
    assert loaded.about == model.about


@pytest.mark.parametrize("name", TOYS)
def test_every_check_that_has_a_meaning_passes(name):
    outcomes = run_checks(*toy(name))
    assert not {o.check: o.message for o in outcomes if o.status == "failed"}
    assert {o.check for o in outcomes if o.status == "skipped"} == WITHOUT_MEANING[name]


def test_a_missing_input_abstains_and_an_optional_one_is_borne():
    system, cases = toy("value_and_probability")
    model = system.fit(cases)
    age_only, hu_only = (cases[0].only(table=[name]) for name in ("age_years", "mean_hu"))
    without_hu, without_age = model.predict([age_only, hu_only])
    assert without_hu["osteoporosis_dxa"] == Abstain("required input missing: mean_hu")
    assert isinstance(without_age["osteoporosis_dxa"], Probability)
