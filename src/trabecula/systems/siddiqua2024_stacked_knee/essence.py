"""What makes this system this system: everything passes through exactly five blocks after the ResNet."""
# ruff: noqa: S101 an essence is a list of assertions

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import nn

from trabecula.learn.separable import separable
from trabecula.metrics import auc
from trabecula.prediction import score
from trabecula.systems.siddiqua2024_stacked_knee.system import StackedKnee

if TYPE_CHECKING:
    from trabecula.case import Case
    from trabecula.system import Model, System


def essence(system: System, cases: Sequence[Case]) -> None:
    """Assert what the card's `essence` says; on `cases` made separable.

    Raises `AssertionError` where it does not hold.
    """
    assert isinstance(system, StackedKnee)
    cases = separable(cases, system.inputs().images[0], system.headline)
    model = system.fit(cases)
    answers = _answers(model, cases)
    highest = [case.truth[system.headline.id] == len(system.headline.grades) - 1 for case in cases]
    assert auc(highest, answers) > 0.8, "after fitting it must tell pictures from negatives"
    _everything_passes_five_blocks(model, cases)
    _five_convolutions(system, model.state.networks["network"])
    for pixels in (224, 512):
        _sides_never_vanish(replace(system, pixels=pixels))
    _published_trunk(StackedKnee(targets=system.targets))


def _everything_passes_five_blocks(model: Model, cases: Sequence[Case]) -> None:
    stack = model.state.networks["network"].get_submodule("stack")
    for number, block in enumerate(stack.children()):
        hook = block.register_forward_hook(lambda _module, _inputs, output: torch.zeros_like(output))
        blind = _answers(model, cases)
        hook.remove()
        assert np.ptp(blind) < 1e-6, f"with block {number} silenced, pictures must no longer be told apart"


def _five_convolutions(system: StackedKnee, network: nn.Module) -> None:
    blocks = list(network.get_submodule("stack").children())
    kinds = [[type(layer) for layer in block.children()] for block in blocks]
    assert kinds == [[nn.Conv2d, nn.ReLU, nn.MaxPool2d]] * 5, "the stack is five blocks of convolution, ReLU, pooling"
    trunk: Any = network.get_submodule("trunk")
    widths = (trunk.num_features, *system.filters)
    listed = sum(9 * before * after + after for before, after in pairwise(widths))
    counted = sum(each.numel() for block in blocks for each in block.parameters() if each.requires_grad)
    assert counted == listed, f"the stack has {counted} trainable parameters, its filters say {listed}"


def _sides_never_vanish(recipe: StackedKnee) -> None:
    sides: list[int] = []
    with torch.device("meta"):
        network: Any = recipe._networks({})["network"]
        for layer in (network.maps, *network.stack):
            layer.register_forward_hook(lambda _module, _inputs, output: sides.append(min(output.shape[2:])))
        logits = network(torch.zeros(2, 3, recipe.pixels, recipe.pixels))
    assert sides == network.sides(recipe.pixels, 5), f"the sides are {sides}"
    assert min(sides) >= 1, "a map vanished"
    assert logits.shape == (2, len(recipe.headline.grades))


def _published_trunk(recipe: StackedKnee) -> None:
    with torch.device("meta"):
        network: Any = recipe._networks({})["network"]
    published = recipe.card().trainable_parameters["resnet50.features"]
    assert sum(each.numel() for each in network.trunk.parameters()) == published


def _answers(model: Model, cases: Sequence[Case]) -> Any:
    return np.array([score(answer[model.system.headline.id]) for answer in model.predict(cases)])
