"""What makes this system this system: knees are known by their distances to a base domain, and teach no network."""
# ruff: noqa: S101 an essence is a list of assertions

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from trabecula.case import Images
from trabecula.image import Image
from trabecula.learn.separable import separable
from trabecula.metrics import auc
from trabecula.prediction import Abstain, Grades, score
from trabecula.system import Model, isolated
from trabecula.systems.xie2024_fewshot_knee.base import NOISE, base_domain
from trabecula.systems.xie2024_fewshot_knee.network import embedded
from trabecula.systems.xie2024_fewshot_knee.system import FewShotKnee

if TYPE_CHECKING:
    from trabecula.case import Case
    from trabecula.system import System


def essence(system: System, cases: Sequence[Case]) -> None:
    """Assert what the card's `essence` says; on `cases` made separable.

    That noise in place of the base images cuts accuracy is asserted of a fitted model. It is no law of a model fitted
    anew to distances to noise: distances to as many points as the embedding has dimensions, and one more, tell where a
    knee lies, whatever the points are. How much is lost then is measured by `--vary base=stand-in,noise`.
    Raises `AssertionError` where it does not hold.
    """
    assert isinstance(system, FewShotKnee)
    cases = separable(_prepared(system, cases), system.inputs().images[0], system.headline)
    model = system.fit(cases)
    highest = [case.truth[system.headline.id] == len(system.headline.grades) - 1 for case in cases]
    assert auc(highest, _answers(model, cases)) > 0.8, "after fitting it must tell pictures from negatives"
    _the_base_domain_taught_the_networks(system, model)
    _no_knee_teaches_a_network(system, model, cases)
    for name in system.backbones:
        _distances_to_base_images(system, model, name, cases[:5])
        _nothing_but_distances(model, name, cases)
    _noise_tells_nothing(system, model, cases)
    _the_unsure_are_referred(system, model, cases)


def _the_base_domain_taught_the_networks(system: FewShotKnee, model: Model) -> None:
    assert len(model.state.facts["base_classes"]) == 2, "the base domain has two classes"
    with isolated(model.about["seed"], torch_too=True):
        before = system._networks({})
    for name, network in model.state.networks.items():
        for part, own in network.named_parameters():
            assert system.pretrained or not torch.equal(own, before[name].get_parameter(part)), (
                f"{part} learned nothing"
            )


def _no_knee_teaches_a_network(system: FewShotKnee, model: Model, cases: Sequence[Case]) -> None:
    others = system.fit(cases[1::2])
    for name, network in model.state.networks.items():
        theirs = others.state.networks[name].state_dict()
        same = all(torch.equal(own, theirs[part]) for part, own in network.state_dict().items())
        assert same, f"other knees gave {name} other weights"
    assert not np.array_equal(_answers(others, cases), _answers(model, cases)), (
        "other knees must give another classifier"
    )


def _distances_to_base_images(system: FewShotKnee, model: Model, name: str, cases: Sequence[Case]) -> None:
    network: Any = model.state.networks[name]
    images, middles = (model.state.arrays[f"{name}.{what}"] for what in ("images", "middles"))
    assert len(middles) == 2, "there is one middle a base class"
    told = system._distances(model.state, name, cases)
    assert told.shape == (len(cases), len(images) + len(middles)), f"knees are described by {told.shape[1]} numbers"
    where = embedded(network, system._pictures(cases))
    apart = [[np.sqrt(((knee - known) ** 2).sum()) for known in (*images, *middles)] for knee in where]
    assert np.allclose(told, apart), "the features are Euclidean distances"
    for each in model.state.facts["leaders"][name]["leader"]:
        taken = model.state.estimators[f"{name}.{each}"].n_features_in_
        assert each == "stack" or taken == told.shape[1], f"{each} takes {taken} features"


def _nothing_but_distances(model: Model, name: str, cases: Sequence[Case]) -> None:
    """Deal the dimensions of the embedding anew: where knees and base images are dealt alike, no distance changes."""
    usual = _answers(model, cases)
    network: Any = model.state.networks[name]
    order = torch.randperm(network.head[-1].in_features, generator=torch.Generator().manual_seed(0))
    dealt = {key: model.state.arrays[key][:, order.numpy()] for key in (f"{name}.images", f"{name}.middles")}
    hook = network.maps.register_forward_hook(lambda _module, _given, maps: maps[:, order])
    alike, apart = _answers(_with(model, dealt), cases), _answers(model, cases)
    hook.remove()
    assert np.allclose(alike, usual, atol=1e-4), "where all distances are the same, the answers are"
    assert not np.allclose(apart, usual, atol=1e-4), "where knees move away from the base images, answers change"


def _noise_tells_nothing(system: FewShotKnee, model: Model, cases: Sequence[Case]) -> None:
    noise = base_domain(NOISE, films=system.drawn_films, pixels=system.pixels)
    landmarks: dict[str, Any] = {}
    for name, network in model.state.networks.items():
        count = len(model.state.arrays[f"{name}.images"]) // 2
        landmarks |= system._landmarks(
            name, network, noise, noise.references(np.arange(len(noise.grades)), count, _rng())
        )
    reached, left = (_accuracy(each, cases) for each in (model, _with(model, landmarks)))
    assert left < reached - 0.2, f"with noise for base images the accuracy goes from {reached:.2f} to {left:.2f}"


def _the_unsure_are_referred(system: FewShotKnee, model: Model, cases: Sequence[Case]) -> None:
    told = model.predict(cases)
    sure = [float(max(_shares(answer[system.headline.id]))) for answer in told]
    threshold = float(np.median(sure))
    asked = Model(replace(system, refer_below=threshold), model.state, model.about).predict(cases)
    for certainty, answer in zip(sure, asked, strict=True):
        referred = isinstance(answer[system.headline.id], Abstain)
        assert referred == (certainty < threshold), (
            "who is less sure than asked for is referred to a reader, and no other"
        )


def _prepared(system: FewShotKnee, cases: Sequence[Case]) -> list[Case]:
    """Return cases whose films are those that the networks see: they are remembered, and small."""
    (role,) = system.inputs().images
    shown = [case for case in cases if not case.lacks([role])]
    films = system._pictures(shown)
    return [
        replace(case, images=Images({role: Image(voxels=films[n][None], unit="stored", space="detector")}))
        for n, case in enumerate(shown)
    ]


def _with(model: Model, arrays: dict[str, Any]) -> Model:
    """Return a model of which some arrays are others."""
    return Model(model.system, replace(model.state, arrays={**model.state.arrays, **arrays}), model.about)


def _accuracy(model: Model, cases: Sequence[Case]) -> float:
    """Return how often the highest grade is told from the others, both weighing alike: 1/2 is nothing."""
    target = model.system.headline
    highest = len(target.grades) - 1
    told = np.array([np.argmax(_shares(answer[target.id])) == highest for answer in model.predict(cases)])
    true = np.array([case.truth[target.id] == highest for case in cases])
    return float((told[true].mean() + 1 - told[~true].mean()) / 2)


def _shares(answer: Any) -> tuple[float, ...]:
    """Return the probability of each grade."""
    return answer.p if isinstance(answer, Grades) else (1 - answer.p, answer.p)


def _answers(model: Model, cases: Sequence[Case]) -> Any:
    return np.array([score(answer[model.system.headline.id]) for answer in model.predict(cases)])


def _rng() -> Any:
    return np.random.default_rng(0)
