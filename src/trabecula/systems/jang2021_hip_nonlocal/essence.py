"""What makes this system this system: VGG16 in which every place sees every other, on a film of one hip alone."""
# ruff: noqa: S101 an essence is a list of assertions

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import nn

from trabecula.case import Images
from trabecula.image import Image
from trabecula.learn.separable import separable
from trabecula.metrics import auc
from trabecula.prediction import score
from trabecula.system import isolated
from trabecula.systems.jang2021_hip_nonlocal.network import NonLocal
from trabecula.systems.jang2021_hip_nonlocal.system import HipNonLocal

if TYPE_CHECKING:
    from trabecula.case import Case
    from trabecula.system import Model, System

_SEEN_BY = {1: 5, 2: 14, 3: 40, 4: 92, 5: 196}  # pixels across which the last convolution of each stage of VGG16 sees


def essence(system: System, cases: Sequence[Case]) -> None:
    """Assert what the card's `essence` says; on `cases` made separable.

    Who may be in a cohort, and that the DXA is of the same side, belongs to the cohort, not to the recipe.
    Raises `AssertionError` where it does not hold.
    """
    assert isinstance(system, HipNonLocal)
    inputs = system.inputs()
    assert inputs.images == ("hip_xray",), "it looks at a film of one hip"
    assert (inputs.table, inputs.masks) == ((), ()), "it looks at nothing but the film"
    cases = separable(_prepared(system, cases), "hip_xray", system.headline)
    model = system.fit(cases)
    answers = _answers(model, cases)
    highest = [case.truth[system.headline.id] == len(system.headline.grades) - 1 for case in cases]
    assert auc(highest, answers) > 0.8, "after fitting it must tell pictures from negatives"
    network = model.state.networks["network"]
    _attention_looks_everywhere(model, cases[:8])
    assert _sees_far(network), "with the block on, a corner must feel the far corner of the film"
    with _without_gain(network):
        assert not _sees_far(network), "without the block no convolution reaches from corner to corner"
        _equals_plain(system, network)
        assert np.abs(_answers(model, cases) - answers).max() > 1e-6, "the blocks must count in the answers"
    heat = model.explain(cases[0])
    assert heat is not None, "there is a heat map beside each answer"
    _published_trunk(HipNonLocal(targets=system.targets))


def _prepared(system: HipNonLocal, cases: Sequence[Case]) -> list[Case]:
    """Return cases whose films are those that the network sees: they are remembered, and small."""
    pictures = system._pictures(cases)
    return [
        replace(
            case, images=Images({"hip_xray": Image(voxels=pictures[number][None], unit="stored", space="detector")})
        )
        for number, case in enumerate(cases)
    ]


def _attention_looks_everywhere(model: Model, cases: Sequence[Case]) -> None:
    network = model.state.networks["network"]
    blocks = _blocks(network)
    assert blocks, "there is no non-local block"
    seen: list[torch.Tensor] = []
    hooks = [b.softmax.register_forward_hook(lambda _module, _inputs, output: seen.append(output)) for b in blocks]
    model.predict(cases)
    for hook in hooks:
        hook.remove()
    assert len(seen) >= len(blocks), "the answers must come through every block"
    for attention in seen:
        sums = attention.sum(dim=2)
        assert torch.allclose(sums, torch.ones_like(sums), atol=1e-4), "rows of the attention must add up to 1"
        assert (attention >= 0).all()


def _sees_far(network: Any) -> bool:
    """Say whether the first place of the maps after the first block depends on pixels that no convolution reaches."""
    last = min(map(int, network.blocks))
    with isolated(0, torch_too=True):
        film = torch.rand(1, 3, _SEEN_BY[last] + 32, _SEEN_BY[last] + 32, requires_grad=True)
        maps = film
        for number in range(1, last):
            maps = network.trunk.pool(number, network.stage(number, maps))
        place = network.stage(last, maps)[0, :, 0, 0]
        (felt,) = torch.autograd.grad(place.square().sum(), film)
    return bool((felt[0, :, _SEEN_BY[last] :, _SEEN_BY[last] :] != 0).any())


def _equals_plain(system: HipNonLocal, network: nn.Module) -> None:
    plain = replace(system, after=())._networks({})["network"].eval()
    weights = {name: value for name, value in network.state_dict().items() if not name.startswith("blocks.")}
    plain.load_state_dict(weights, strict=True)
    with isolated(0, torch_too=True), torch.inference_mode():
        film = torch.rand(2, 3, 96, 96)
        assert torch.equal(network(film), plain(film)), "with a gain of 0 it must be plain VGG16"


def _published_trunk(recipe: HipNonLocal) -> None:
    with torch.device("meta"):
        network: Any = recipe._networks({})["network"]
        logits = network(torch.zeros(2, 3, recipe.pixels, recipe.pixels))
    published = recipe.card().trainable_parameters["vgg16.features"]
    assert sum(each.numel() for each in network.trunk.features.parameters()) == published
    assert logits.shape == (2, len(recipe.headline.grades))


@contextmanager
def _without_gain(network: nn.Module) -> Iterator[None]:
    """Set gain and offset of the normalisation that ends each block to 0."""
    ends = [getattr(block.scale, name) for block in _blocks(network) for name in ("weight", "bias")]
    kept = [each.detach().clone() for each in ends]
    with torch.no_grad():
        for each in ends:
            each.zero_()
    try:
        yield
    finally:
        with torch.no_grad():
            for each, value in zip(ends, kept, strict=True):
                each.copy_(value)


def _blocks(network: nn.Module) -> list[NonLocal]:
    return [each for each in network.modules() if isinstance(each, NonLocal)]


def _answers(model: Model, cases: Sequence[Case]) -> Any:
    return np.array([score(answer[model.system.headline.id]) for answer in model.predict(cases)])
