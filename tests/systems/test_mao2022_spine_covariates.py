"""Six models of one recipe learn, are what the card says, and survive saving."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from tests.systems.knees import film, stub
from trabecula.case import Case, Images
from trabecula.metrics import auc
from trabecula.prediction import Abstain
from trabecula.system import Model, get_system
from trabecula.systems.mao2022_spine_covariates.essence import essence
from trabecula.systems.mao2022_spine_covariates.patients import COVARIATES

ID = "mao2022_spine_covariates"
TARGET = "who_class_dxa"
ROLES = ("spine_xray_ap", "spine_xray_lateral")


def spines(n=45, *, seed=0, target=TARGET, grades=3):
    """Return one case a patient, of each grade in turn, whose bone fades with the grade on both films."""
    rng = np.random.default_rng(seed)
    return [
        Case(
            id=f"case {number}",
            patient=f"patient {number}",
            images=Images({role: film(rng, number % grades / (grades - 1)) for role in ROLES}),
            table={
                "age_years": float(rng.uniform(50, 95)),
                "sex": str(rng.choice(["female", "male"])),
                "bmi_kg_m2": float(rng.normal(25, 3)),
            },
            truth={target: number % grades},
        )
        for number in range(n)
    ]


@pytest.fixture(scope="module")
def recipe():
    return get_system(ID, size="tiny", settings={"pixels": 48, "epochs": 12})


@pytest.fixture(scope="module")
def model(recipe):
    return recipe.fit(spines())


def _shares(model, cases):
    return np.array([answer[TARGET].p for answer in model.predict(cases)])


def test_tiny_ranks_unseen_spines(model):
    unseen = spines(seed=1)
    osteoporosis = [case.truth[TARGET] == 2 for case in unseen]
    assert auc(osteoporosis, _shares(model, unseen)[:, 2]) > 0.85


def test_saved_and_loaded_it_answers_the_same_bits(model, tmp_path):
    unseen = spines(6, seed=1)
    model.save(tmp_path / "model")
    assert np.array_equal(_shares(Model.load(tmp_path / "model"), unseen), _shares(model, unseen))


def test_essence_accepts_the_system_and_rejects_a_stub(recipe):
    essence(recipe, spines(30))
    with pytest.raises(AssertionError, match="tell pictures from negatives"):
        essence(stub(recipe), spines(30))


@pytest.mark.parametrize(("views", "needed"), [("ap", ROLES[:1]), ("lateral", ROLES[1:]), ("both", ROLES)])
@pytest.mark.parametrize("covariates", [False, True])
def test_each_of_the_six_fits_to_what_it_needs_and_nothing_else(views, needed, covariates):
    settings = {"pixels": 32, "epochs": 1, "views": views, "covariates": covariates}
    recipe = get_system(ID, size="tiny", settings=settings)
    kept = [replace(c, images=c.images.only(needed), table=c.table if covariates else {}) for c in spines(12)]
    fitted = recipe.fit(kept)
    assert _shares(fitted, kept).shape == (12, 3)
    without = [replace(kept[0], images=kept[0].images.only(set(needed) - {role})) for role in needed]
    without += [replace(kept[0], table={k: v for k, v in kept[0].table.items() if k != name}) for name in COVARIATES]
    abstained = [isinstance(answer[TARGET], Abstain) for answer in fitted.predict(without)]
    assert abstained == [True] * len(needed) + [covariates] * len(COVARIATES)


def test_heat_lies_on_both_films_and_a_covariate_is_told_by_what_it_changes(model):
    case = spines(1)[0]
    evidence = model.explain(case)
    for role in ROLES:
        assert evidence.heat[role].shape == case.images[role].shape
        assert evidence.heat[role].min() >= 0
    assert evidence.heat["spine_xray_ap"].max() > 0
    mean = model.state.facts["scaling"]["age_years"][0]
    usual = replace(case, table={**case.table, "age_years": mean})
    grades = _shares(model, [case, usual]) @ np.arange(3)
    assert evidence.numbers["age_years"] == pytest.approx(grades[0] - grades[1], abs=1e-5)


def test_scaling_is_learned_from_those_who_train_alone(model):
    ages = [case.number("age_years") for case in spines()]
    mean, _ = model.state.facts["scaling"]["age_years"]
    assert min(ages) < mean < max(ages)
    assert mean != pytest.approx(np.mean(ages), abs=1e-9)


def test_weights_of_imagenet_are_summed_over_colours_and_shared_out_among_views(tmp_path, monkeypatch):
    recipe = get_system(ID, size="tiny", settings={"pretrained": True})
    network = recipe._networks({})["network"]
    weights = replace(recipe, views="both")._networks({})["network"].trunk.state_dict()
    colours = torch.randn(weights["features.conv0.weight"].shape[0], 3, 7, 7)
    torch.save({**weights, "features.conv0.weight": colours}, tmp_path / "densenet121.pth")
    monkeypatch.setenv("TRABECULA_WEIGHTS", str(tmp_path))
    assert network.begin() == f"imagenet: folder {tmp_path}"
    film = torch.rand(1, 1, 32, 32)
    twice, thrice = film.repeat(1, 2, 1, 1), film.repeat(1, 3, 1, 1)
    seen = torch.nn.functional.conv2d(thrice, colours, stride=2, padding=3)
    assert torch.allclose(network.trunk.features.conv0(twice), seen, atol=1e-4)


def test_rare_grades_weigh_more(recipe):
    loss = recipe._loss(np.array([0, 0, 0, 0, 1, 1, 2]))
    logits = torch.tensor([[2.0, 0.0, 0.0], [2.0, 0.0, 0.0]])
    each = torch.nn.functional.cross_entropy(logits, torch.tensor([0, 2]), reduction="none")
    assert loss(logits, torch.tensor([0, 2])) == pytest.approx(float((each[0] + 4 * each[1]) / 5), rel=1e-5)


def test_two_grades():
    target = "osteoporosis_dxa"
    cases = spines(12, target=target, grades=2)
    settings = {"pixels": 32, "epochs": 1}
    answers = get_system(ID, size="tiny", targets=(target,), settings=settings).fit(cases).predict(cases[:3])
    assert all(0 < answer[target].p < 1 for answer in answers)


def test_one_training_step_at_the_published_depth():
    """Films of 64 px stand for those of 512: the network is the same, the pooled maps are smaller."""
    settings = {"pixels": 64, "epochs": 1, "batch": 4, "pretrained": False}
    fitted = get_system(ID, settings=settings).fit(spines(9))
    network = fitted.state.networks["network"]
    assert network.trunk.num_features == 1024
    assert np.allclose(_shares(fitted, spines(3, seed=1)).sum(axis=1), 1)
