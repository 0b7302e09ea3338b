"""ResNet50 with five stacked blocks learns, is what its card says, and survives saving."""

import pytest
import torch

from tests.systems.knees import ROLE, knees, stub
from trabecula.metrics import auc
from trabecula.system import Model, get_system
from trabecula.systems.siddiqua2024_stacked_knee.essence import essence

ID = "siddiqua2024_stacked_knee"
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


def test_other_numbers_of_blocks_are_refused():
    with pytest.raises(ValueError, match="exactly 5 blocks"):
        get_system(ID, size="tiny", settings={"filters": (8, 8)})


def test_a_pretrained_trunk_stays_frozen_but_for_its_last_stage(recipe, tmp_path, monkeypatch):
    given = recipe._networks({})["network"].trunk
    torch.save(given.state_dict(), tmp_path / "resnet50.pth")
    monkeypatch.setenv("TRABECULA_WEIGHTS", str(tmp_path))
    settings = {"pretrained": True, "epochs": 3, "frozen_epochs": 2}
    fitted = get_system(ID, size="tiny", settings=settings).fit(knees(16))
    assert fitted.state.facts["weights"] == f"imagenet: folder {tmp_path}"
    before, after = given.state_dict(), fitted.state.networks["network"].trunk.state_dict()
    moved = {name.split(".")[0] for name in before if not torch.equal(before[name], after[name])}
    assert moved <= {"layer4"}


def test_one_training_step_at_the_published_size():
    fitted = get_system(ID, settings={"epochs": 1, "pretrained": False}).fit(knees(6))
    assert sum(each.numel() for each in fitted.state.networks["network"].trunk.parameters()) == 23_508_032
    assert 0 < _scores(fitted, knees(1))[0] < 1
