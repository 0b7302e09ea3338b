"""The hybrid of DenseNet169 and attention learns, is what its card says, and survives saving."""

import numpy as np
import pytest

from tests.systems.knees import ROLE, knees, stub
from trabecula.metrics import auc
from trabecula.system import Model, get_system
from trabecula.systems.muhammad2025_hybrid_attention.essence import essence

ID = "muhammad2025_hybrid_attention"
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
    assert model.state.facts["weights"] == "random: by setting"
    assert len(model.state.facts["history"]["train_loss"]) == model.system.epochs


def test_saved_and_loaded_it_answers_the_same_bits(model, tmp_path):
    unseen = knees(8, seed=1)
    model.save(tmp_path / "model")
    assert _scores(Model.load(tmp_path / "model"), unseen) == _scores(model, unseen)


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


@pytest.mark.parametrize("settings", [{"variant": "bone-net"}, {"attach": "densenet"}])
def test_variants_learn_and_differ(settings, model):
    other = get_system(ID, size="tiny", settings=settings).fit(knees())
    unseen = knees(20, seed=1)
    scores = _scores(other, unseen)
    assert auc([case.truth[TARGET] for case in unseen], scores) > 0.7
    assert not np.allclose(scores, _scores(model, unseen))


def test_three_classes():
    target = "knee_label_three"
    cases = knees(30, target=target, grades=3)
    answers = get_system(ID, size="tiny", targets=(target,), settings={"epochs": 1}).fit(cases).predict(cases[:3])
    assert all(len(answer[target].p) == 3 for answer in answers)


def test_an_interrupted_fit_ends_as_an_uninterrupted_one(recipe, model, tmp_path):
    def stop(done, total, message=""):
        if done == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        recipe.fit(knees(), folder=tmp_path, progress=stop)
    done = []
    resumed = recipe.fit(knees(), folder=tmp_path, progress=lambda d, total, message="": done.append(d))
    assert done == list(range(3, recipe.epochs + 1))
    assert _scores(resumed, knees(8, seed=1)) == _scores(model, knees(8, seed=1))
    assert not list(tmp_path.iterdir())


def test_without_weights_there_is_one_line_and_training_goes_on(caplog, monkeypatch, tmp_path):
    monkeypatch.setenv("TRABECULA_WEIGHTS", str(tmp_path))
    settings = {"pretrained": True, "epochs": 1, "variant": "bone-net"}
    fitted = get_system(ID, size="tiny", settings=settings).fit(knees(12))
    assert fitted.state.facts["weights"] == "random: not reachable"
    assert [record.name for record in caplog.records] == ["trabecula"]


def test_one_training_step_at_the_published_size():
    paper = get_system(ID, settings={"epochs": 1, "pretrained": False})
    fitted = paper.fit(knees(6))
    trunk = fitted.state.networks["network"].trunk
    assert sum(each.numel() for each in trunk.features.parameters()) == 12_484_480
    assert 0 < _scores(fitted, knees(1))[0] < 1
