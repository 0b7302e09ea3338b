"""What makes this system this system: windows that shift, a hierarchy of maps, and every layer fine-tuned."""
# ruff: noqa: S101 an essence is a list of assertions

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from trabecula.learn.separable import separable
from trabecula.metrics import auc
from trabecula.prediction import score
from trabecula.system import isolated
from trabecula.systems.sultana2025_swin_knee.system import SwinKnee

if TYPE_CHECKING:
    from trabecula.case import Case
    from trabecula.system import Model, System


def essence(system: System, cases: Sequence[Case]) -> None:
    """Assert what the card's `essence` says; on `cases` made separable.

    The check for duplicates before splitting belongs to the cohort, not to the recipe.
    Raises `AssertionError` where it does not hold.
    """
    assert isinstance(system, SwinKnee)
    cases = separable(cases, system.inputs().images[0], system.headline)
    model = system.fit(cases)
    answers = _answers(model, cases)
    highest = [case.truth[system.headline.id] == len(system.headline.grades) - 1 for case in cases]
    assert auc(highest, answers) > 0.8, "after fitting it must tell pictures from negatives"
    _all_layers_learned(system, model)
    _windows_shift(model, cases, answers)
    _published_hierarchy(SwinKnee(targets=system.targets))


def _all_layers_learned(system: SwinKnee, model: Model) -> None:
    with isolated(model.about["seed"], torch_too=True):
        before = dict(system._networks({})["network"].named_parameters())
    for name, parameter in model.state.networks["network"].named_parameters():
        assert not torch.equal(parameter, before[name]), f"{name} was not fine-tuned"


def _windows_shift(model: Model, cases: Sequence[Case], answers: Any) -> None:
    layers: list[Any] = list(model.state.networks["network"].modules())
    shifted = [each for each in layers if any(getattr(each, "shift_size", ()))]
    assert shifted, "no block shifts its windows"
    kept = [(block.shift_size, block.attn_mask) for block in shifted]
    for block in shifted:
        block.shift_size, block.attn_mask = (0, 0), None
    still = _answers(model, cases)
    for block, (shift, mask) in zip(shifted, kept, strict=True):
        block.shift_size, block.attn_mask = shift, mask
    assert np.abs(still - answers).max() > 1e-6, "without shifting, the answers must change"


def _published_hierarchy(recipe: SwinKnee) -> None:
    sizes: list[tuple[int, ...]] = []
    with torch.device("meta"):
        network: Any = recipe._networks({})["network"]
        for stage in network.trunk.layers:
            stage.register_forward_hook(lambda _module, _inputs, output: sizes.append(tuple(output.shape[1:])))
        logits = network(torch.zeros(2, 3, recipe.pixels, recipe.pixels))
    assert sizes == [(56, 56, 96), (28, 28, 192), (14, 14, 384), (7, 7, 768)], f"the maps are {sizes}"
    assert logits.shape == (2, len(recipe.headline.grades))
    published = recipe.card().trainable_parameters["swin_tiny_patch4_window7_224.features"]
    assert sum(each.numel() for each in network.trunk.parameters()) == published


def _answers(model: Model, cases: Sequence[Case]) -> Any:
    return np.array([score(answer[model.system.headline.id]) for answer in model.predict(cases)])
