"""What makes this system this system: two branches that both count, and attention that looks at the picture."""
# ruff: noqa: S101 an essence is a list of assertions

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from trabecula.learn.separable import separable
from trabecula.metrics import auc
from trabecula.prediction import score
from trabecula.systems.muhammad2025_hybrid_attention.system import HybridAttention

if TYPE_CHECKING:
    from torch import nn

    from trabecula.case import Case
    from trabecula.system import Model, System


def essence(system: System, cases: Sequence[Case]) -> None:
    """Assert what the card's `essence` says; on `cases` made separable.

    Raises `AssertionError` where it does not hold.
    """
    assert isinstance(system, HybridAttention)
    cases = separable(cases, system.inputs().images[0], system.headline)
    model = system.fit(cases)
    answers = _answers(model, cases)
    highest = [case.truth[system.headline.id] == len(system.headline.grades) - 1 for case in cases]
    assert auc(highest, answers) > 0.8, "after fitting it must tell pictures from negatives"
    _both_branches_count(model, cases, answers)
    _attention_looks(model, cases)
    _published_sizes(HybridAttention(targets=system.targets))


def _both_branches_count(model: Model, cases: Sequence[Case], answers: Any) -> None:
    for branch in ("trunk_vector", "attention_vector"):
        with _zeroed(model.state.networks["network"].get_submodule(branch)):
            assert np.abs(_answers(model, cases) - answers).max() > 1e-6, f"{branch} must change the answers"


def _attention_looks(model: Model, cases: Sequence[Case]) -> None:
    attention: Any = model.state.networks["network"].get_submodule("attention")
    with _seen(attention.channel) as channel, _seen(attention.spatial) as spatial, _seen(attention) as maps:
        model.predict(cases[:16])
    assert len(channel) == len(spatial) == len(maps) > 0, "the answers must come through the attention module"
    n, channels, height, width = maps[0].shape
    for weights, shape in ((channel[0], (n, channels, 1, 1)), (spatial[0], (n, 1, height, width))):
        assert weights.shape == shape, f"attention of shape {tuple(weights.shape)}, not {shape}"
        assert ((weights > 0) & (weights < 1)).all(), "attention lies between 0 and 1"
        assert weights.std(dim=0).max() > 1e-6, "attention must differ from picture to picture"


def _published_sizes(recipe: HybridAttention) -> None:
    with torch.device("meta"):
        hybrid: Any = recipe._networks({})["network"]
        bone_net: Any = replace(recipe, variant="bone-net")._networks({})["network"]
        logits = bone_net(torch.zeros(2, 3, recipe.pixels, recipe.pixels))
    published = recipe.card().trainable_parameters["densenet169.features"]
    assert sum(each.numel() for each in hybrid.trunk.features.parameters()) == published
    assert hybrid.transformer is None, "only BONE-Net has the ViT branch"
    assert bone_net.head[0].in_features - hybrid.head[0].in_features == bone_net.transformer.num_features
    assert logits.shape == (2, len(recipe.headline.grades))


def _answers(model: Model, cases: Sequence[Case]) -> Any:
    return np.array([score(answer[model.system.headline.id]) for answer in model.predict(cases)])


@contextmanager
def _zeroed(layer: nn.Module) -> Iterator[None]:
    hook = layer.register_forward_hook(lambda _module, _inputs, output: torch.zeros_like(output))
    try:
        yield
    finally:
        hook.remove()


@contextmanager
def _seen(layer: nn.Module) -> Iterator[list[torch.Tensor]]:
    outputs: list[torch.Tensor] = []
    hook = layer.register_forward_hook(lambda _module, _inputs, output: outputs.append(output))
    try:
        yield outputs
    finally:
        hook.remove()
