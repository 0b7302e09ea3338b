"""What makes this system this system: two networks of one shape, with weights of their own, on the whole film."""
# ruff: noqa: S101 an essence is a list of assertions

from __future__ import annotations

from collections.abc import Sequence
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
from trabecula.systems.hong2023_verte_x.films import on_canvas, place
from trabecula.systems.hong2023_verte_x.system import VerteX

if TYPE_CHECKING:
    from trabecula.case import Case
    from trabecula.system import Model, System

_ROLE = "spine_xray_lateral"


def essence(system: System, cases: Sequence[Case]) -> None:
    """Assert what the card's `essence` says; on canvases of `cases` made separable.

    A split by person belongs to the protocol. Raises `AssertionError` where it does not hold.
    """
    assert isinstance(system, VerteX)
    inputs = system.inputs()
    assert (inputs.images, inputs.masks) == ((_ROLE,), ()), "it looks at the whole lateral film, and at no vertebra"
    assert not inputs.table or system.clinical, "the current code takes no values"
    _the_canvas_is_the_released_one()
    _published_sizes(VerteX(targets=system.targets))
    prepared = _prepared(system, cases)
    turned = separable(prepared, _ROLE, system.headline)
    model = system.fit(turned)
    answers = _answers(model, turned, system.headline.id)
    highest = [case.truth[system.headline.id] == len(system.headline.grades) - 1 for case in turned]
    assert auc(highest, answers) > 0.8, "after fitting it must tell films from negatives"
    _two_networks(model, turned[:6])


def _the_canvas_is_the_released_one() -> None:
    rng = np.random.default_rng(0)
    for shape, zero in (((40, 80), "rows"), ((90, 20), "columns")):
        film = Image(voxels=rng.uniform(1, 2, (1, *shape)), unit="stored", space="detector")
        seen = on_canvas(film, rows=64, columns=32, margin=0.05)
        placed = place(shape[0], shape[1] - 2 * int(0.05 * shape[1]), rows=64, columns=32)
        assert seen.shape == (64, 32), "the canvas is twice as high as wide"
        empty = seen.sum(axis=1 if zero == "rows" else 0) == 0
        assert empty[0], f"zero {zero} on one side of a film that is not as slender as the canvas"
        assert empty[-1], f"zero {zero} on the other side"
        kept = placed.rows / placed.columns / (shape[0] / (0.9 * shape[1]))
        assert abs(kept - 1) < 0.1, f"the aspect is kept, not changed by {kept:.2f}"
        darker = film.with_voxels(film.voxels**3)
        changed = np.abs(on_canvas(darker, rows=64, columns=32, margin=0.05).astype(int) - seen)
        assert np.median(changed) < 12, "the histogram is equalised: how dark a film is shown does not count"


def _published_sizes(recipe: VerteX) -> None:
    with torch.device("meta"):
        networks = recipe._networks({})
        counted = recipe.card().trainable_parameters
        for network in networks.values():
            net: Any = network
            assert _count(net.backbone) == counted["efficientnet_b4.features"], "the backbone is EfficientNet-B4"
            layers = list(net.head.children())
            assert all(isinstance(layer, nn.Linear) for layer in layers), "nothing stands between the linear layers"
            assert [layer.out_features for layer in layers[:2]] == [100, 100]
            if layers[-1].out_features == 1:
                assert _count(net.head) == counted["head"], "the head has 189,501 parameters"


def _count(module: nn.Module) -> int:
    return sum(each.numel() for each in module.parameters())


def _prepared(system: VerteX, cases: Sequence[Case]) -> list[Case]:
    """Return cases whose films are their canvases: they are remembered, and small."""
    films = system._films(cases, {}) if not system.clinical else replace(system, clinical=False)._films(cases, {})
    made = []
    for number, case in enumerate(cases):
        seen = films.given([number], None, torch.Generator())[0][0, 0].numpy()
        canvas = Image(voxels=np.rint(255 * seen)[None], unit="stored", space="detector")
        made.append(replace(case, images=Images({_ROLE: canvas})))
    return made


def _two_networks(model: Model, cases: Sequence[Case]) -> None:
    """Silence the network of one label: its answer no longer tells films apart, that of the other stays."""
    targets = [target.id for target in model.system.predicts]
    for target, network in zip(targets, model.state.networks.values(), strict=True):
        before = {each: _answers(model, cases, each) for each in targets}
        layer = network.get_submodule("backbone")
        hook = layer.register_forward_hook(lambda _module, _given, output: torch.zeros_like(output))
        after = {each: _answers(model, cases, each) for each in targets}
        hook.remove()
        assert not np.allclose(before[target], after[target]), f"{target} must come from its network"
        assert all(np.array_equal(before[each], after[each]) for each in targets if each != target), "no shared weights"
        heat = model.explain(cases[0], target)
        assert heat is not None, "there is a heat map beside each score"


def _answers(model: Model, cases: Sequence[Case], target: str) -> Any:
    return np.array([score(answer[target]) for answer in model.predict(cases)])
