"""VGG16 with non-local blocks learns, is what its card says, and survives saving."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from tests.systems.knees import ROLE, knees, stub
from trabecula.case import Images
from trabecula.metrics import auc
from trabecula.system import Model, get_system
from trabecula.systems.jang2021_hip_nonlocal.essence import essence
from trabecula.systems.jang2021_hip_nonlocal.network import NonLocal

ID = "jang2021_hip_nonlocal"
TARGET = "osteoporosis_hip_dxa"


def hips(n=60, *, seed=0, target=TARGET, grades=2):
    """Return films of a joint and a shaft, whose bone fades with the grade."""
    cases = knees(n, seed=seed, target=target, grades=grades)
    return [replace(case, images=Images({"hip_xray": case.images.source(ROLE)})) for case in cases]


@pytest.fixture(scope="module")
def recipe():
    return get_system(ID, size="tiny")


@pytest.fixture(scope="module")
def model(recipe):
    return recipe.fit(hips())


def _scores(model, cases):
    return [answer[TARGET].p for answer in model.predict(cases)]


def test_tiny_ranks_unseen_hips(model):
    unseen = hips(seed=1)
    assert auc([case.truth[TARGET] for case in unseen], _scores(model, unseen)) > 0.8


def test_saved_and_loaded_it_answers_the_same_bits(model, tmp_path):
    unseen = hips(8, seed=1)
    model.save(tmp_path / "model")
    assert _scores(Model.load(tmp_path / "model"), unseen) == _scores(model, unseen)


def test_essence_accepts_the_system_and_rejects_a_stub_and_plain_vgg(recipe):
    essence(recipe, hips())
    with pytest.raises(AssertionError, match="tell pictures from negatives"):
        essence(stub(recipe), hips())
    with pytest.raises(AssertionError, match="no non-local block"):
        essence(replace(recipe, after=()), hips())


def test_heat_lies_on_the_grid_of_the_film(model):
    case = hips(1)[0]
    heat = model.explain(case).heat["hip_xray"]
    assert heat.shape == case.images["hip_xray"].shape
    assert heat.min() >= 0
    assert heat.max() > 0


def test_the_block_is_the_embedded_gaussian():
    torch.manual_seed(0)
    block = NonLocal(6, pooled=False).eval()
    torch.nn.init.normal_(block.scale.weight)
    maps = torch.randn(1, 6, 4, 5)
    x = maps[0].flatten(1).T.double().numpy()  # [20, 6]
    theta, phi, g = (
        x @ each.weight[:, :, 0, 0].double().detach().numpy().T + each.bias.double().detach().numpy()
        for each in (block.theta, block.phi, block.g)
    )
    weights = np.exp(theta @ phi.T)
    seen = (weights / weights.sum(axis=1, keepdims=True)) @ g
    back = seen @ block.back.weight[:, :, 0, 0].double().detach().numpy().T + block.back.bias.double().detach().numpy()
    expected = x + back * block.scale.weight.double().detach().numpy() / np.sqrt(1 + block.scale.eps)
    with torch.no_grad():
        assert np.allclose(block(maps)[0].flatten(1).T.numpy(), expected, atol=1e-5)


def test_a_new_block_changes_nothing():
    maps = torch.randn(2, 8, 5, 7)
    assert torch.equal(NonLocal(8, pooled=True).eval()(maps), maps)


def test_weights_of_vgg16_from_elsewhere_fit_by_name(recipe, tmp_path, monkeypatch):
    given = recipe._networks({})["network"].trunk.state_dict()
    classifier = {"classifier.0.weight": torch.zeros(3, 3)}
    torch.save({**given, **classifier}, tmp_path / "vgg16_bn.pth")
    monkeypatch.setenv("TRABECULA_WEIGHTS", str(tmp_path))
    fitted = get_system(ID, size="tiny", settings={"pretrained": True, "epochs": 1, "rate": 0.0}).fit(hips(16))
    assert fitted.state.facts["weights"] == f"imagenet: folder {tmp_path}"
    after = fitted.state.networks["network"].trunk.state_dict()
    assert all(torch.equal(after[name], given[name]) for name in given if name.endswith("0.weight"))


def test_three_classes():
    target = "who_class_dxa"
    cases = hips(30, target=target, grades=3)
    answers = get_system(ID, size="tiny", targets=(target,), settings={"epochs": 1}).fit(cases).predict(cases[:3])
    assert all(len(answer[target].p) == 3 for answer in answers)


@pytest.mark.parametrize(("settings", "told"), [({"widths": (8, 8)}, "5 stages"), ({"after": (6,)}, "no stage 6")])
def test_what_is_no_vgg16_is_refused(settings, told):
    with pytest.raises(ValueError, match=told):
        get_system(ID, size="tiny", settings=settings)


def test_one_training_step_at_the_published_widths():
    fitted = get_system(ID, settings={"epochs": 1, "pretrained": False, "pixels": 224, "batch": 2}).fit(hips(4))
    trunk = fitted.state.networks["network"].trunk
    assert sum(each.numel() for each in trunk.features.parameters()) == 14_714_688
    assert 0 < _scores(fitted, hips(1))[0] < 1
