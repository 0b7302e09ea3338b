"""The Swin Transformer learns, is what its card says, and survives saving."""

import pytest

from tests.systems.knees import ROLE, knees, stub
from trabecula.metrics import auc
from trabecula.system import Model, get_system
from trabecula.systems.sultana2025_swin_knee.essence import essence

ID = "sultana2025_swin_knee"
TARGET = "osteoporosis_knee_label"


@pytest.fixture(scope="module")
def recipe():
    return get_system(ID, size="tiny")


@pytest.fixture(scope="module")
def model(recipe):
    return recipe.fit(knees())


def _scores(model, cases):
    return [answer[TARGET].p for answer in model.predict(cases)]


def test_tiny_ranks_unseen_knees(model):
    unseen = knees(seed=1)
    assert auc([case.truth[TARGET] for case in unseen], _scores(model, unseen)) > 0.8


def test_saved_and_loaded_it_answers_the_same_bits(model, tmp_path):
    unseen = knees(8, seed=1)
    model.save(tmp_path / "model")
    assert _scores(Model.load(tmp_path / "model"), unseen) == _scores(model, unseen)


def test_an_answer_does_not_depend_on_the_others_of_its_batch(model):
    unseen = knees(20, seed=1)
    alone = [_scores(model, [case])[0] for case in unseen]
    assert alone == pytest.approx(_scores(model, unseen), abs=1e-5)


def test_essence_accepts_the_system_and_rejects_a_stub(recipe):
    essence(recipe, knees())
    with pytest.raises(AssertionError, match="tell pictures from negatives"):
        essence(stub(recipe), knees())


def test_heat_lies_on_the_grid_of_the_film(model):
    case = knees(1)[0]
    heat = model.explain(case).heat[ROLE]
    assert heat.shape == case.images[ROLE].shape
    assert heat.min() >= 0
    assert heat.max() > 0


def test_three_classes():
    target = "knee_label_three"
    cases = knees(30, target=target, grades=3)
    answers = get_system(ID, size="tiny", targets=(target,), settings={"epochs": 1}).fit(cases).predict(cases[:3])
    assert all(len(answer[target].p) == 3 for answer in answers)


def test_one_training_step_at_the_published_size():
    fitted = get_system(ID, settings={"epochs": 1, "pretrained": False}).fit(knees(6))
    assert sum(each.numel() for each in fitted.state.networks["network"].trunk.parameters()) == 27_519_354
    assert 0 < _scores(fitted, knees(1))[0] < 1
