"""What makes this system this system: one pass locates, segments and classifies, and nobody says where to look."""
# ruff: noqa: S101 an essence is a list of assertions

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from trabecula.case import Images
from trabecula.image import Image
from trabecula.metrics import auc, dice
from trabecula.prediction import LabelMap, score
from trabecula.systems.zhang2023_multitask_ct.losses import Truth, losses
from trabecula.systems.zhang2023_multitask_ct.system import MultitaskCT

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from trabecula.case import Case
    from trabecula.image import Source
    from trabecula.system import Model, System

_ROLE, _MASK, _MAP = "lumbar_ct", "vertebral_bodies", "vertebral_body_mask"
_VOXEL_MM = 4.0
_SIDES = (45, 44, 14)  # down, backwards and to the left
_CASES = 16
_UPWARDS = ((0.0, 0.0, 1.0), (0.0, 1.0, 0.0), (1.0, 0.0, 0.0))  # the usual axes of a CT: slices go up


def essence(system: System, cases: Sequence[Case]) -> None:
    """Assert what the card's `essence` says: of the network, then on toy spines whose density is their grade.

    Raises `AssertionError` where it does not hold.
    """
    assert isinstance(system, MultitaskCT)
    with torch.random.fork_rng(devices=()):  # networks that nobody fitted: the same ones each time
        torch.set_rng_state(torch.Generator().manual_seed(0).get_state())
        _one_pass_serves_all(system)
        _levels_are_weighed(system)
        _boundary_is_a_branch_and_a_loss(system)
        _gate_decides_what_passes(system)
    drawing = replace(system, targets=(system.headline.id, _MAP))
    toys = [toy(case, n, drawing) for n, case in enumerate(cases[:_CASES])]
    model = drawing.fit(toys)
    answers = model.predict(toys)
    highest = [case.truth[system.headline.id] == len(system.headline.grades) - 1 for case in toys]
    reached = float(auc(highest, [score(answer[system.headline.id]) for answer in answers]))
    assert reached > 0.8, f"the density of toy bodies is their grade, and AUC is {reached:.2f}"
    overlaps = [dice(case.truth[_MAP].load().voxels, _map(answer)) for case, answer in zip(toys, answers, strict=True)]  # type: ignore[union-attr]
    assert np.mean(overlaps) > 0.5, f"bodies of toys are not found: mean Dice {np.mean(overlaps):.2f}"
    _nobody_says_where(model, toys[:4])


def _one_pass_serves_all(system: MultitaskCT) -> None:
    """Assert that each task is told by one forward pass, and that each reaches the shared encoder backwards."""
    network: Any = system._network().train()
    told = network(_pictures(system))
    levels = len(system.levels)
    assert told.heat.shape[:3] == (2, levels, system.sections), "there is a heat map a level and section"
    assert told.mask.shape == (2, levels, system.sections, system.samples, system.samples), "a mask about each place"
    assert told.logits.shape == (2, len(system.headline.grades)), "and one logit a class"
    assert (told.boundary is not None) == system.boundary, "and a boundary heat map"
    first = next(network.encoder.parameters())
    for name, each in losses(network, told, _drawn(system), sigma=0.05).items():
        (slope,) = torch.autograd.grad(each, first, retain_graph=True)
        assert slope.abs().max() > 0, f"the loss that teaches to {name} must reach the shared encoder"


def _levels_are_weighed(system: MultitaskCT) -> None:
    """Assert that weights add up to 1, change with the picture and go with their level, whichever comes first."""
    network: Any = system._network().eval()
    with torch.inference_mode():
        pictures = _pictures(system)
        told = network(pictures)
        assert torch.allclose(told.weights.sum(dim=1), torch.ones(2), atol=1e-5), "weights of levels add up to 1"
        moved = (told.weights[0] - told.weights[1]).abs().max() > 1e-7
        assert bool(moved) == system.fusion, "weights change with the picture, where they are learned"
        features = network.features(pictures)
        places = torch.rand(2, len(system.levels), 2) * 0.6 + 0.2
        order = torch.randperm(len(system.levels)).flip(0)
        usual = network.read(pictures, features, told.heat, places)
        other = network.read(pictures, features, told.heat[:, order], places[:, order])
        assert torch.allclose(usual.logits, other.logits, atol=1e-5), "the order of levels must not matter"
        assert torch.allclose(usual.weights[:, order], other.weights, atol=1e-5), "weights go with their levels"


def _boundary_is_a_branch_and_a_loss(system: MultitaskCT) -> None:
    counts, names = [], []
    for boundary in (False, True):
        network: Any = replace(system, boundary=boundary)._network().train()
        counts.append(sum(each.numel() for each in network.parameters()))
        names.append(set(losses(network, network(_pictures(system)), _drawn(system), sigma=0.05)))
    assert counts[1] > counts[0], "the boundary branch has parameters of its own"
    assert names == [{"locate", "segment", "classify"}, {"locate", "segment", "boundary", "classify"}]


def _gate_decides_what_passes(system: MultitaskCT) -> None:
    """Assert that a gate that is shut lets nothing of the context through, and that without gates there are none."""
    network: Any = replace(system, gated=True)._network().eval()
    seen = torch.rand(2, network.context[0].feature.in_channels, 8, 8)
    with torch.inference_mode():
        assert network.context(seen).abs().max() > 1e-4, "an open gate lets context through"
        network.context[-1].gate.bias.fill_(-1e4)
        assert network.context(seen).abs().max() < 1e-6, "a gate that is shut lets nothing through"
    plain: Any = replace(system, gated=False)._network()
    assert all(layer.gate is None for layer in plain.context)


def _nobody_says_where(model: Model, cases: Sequence[Case]) -> None:
    """Assert that masks do not reach an answer, and that the map follows a spine that lies elsewhere."""
    bare = [replace(case, masks=Images({}), truth={}) for case in cases]
    misled = [replace(case, masks=Images({_MASK: case.images.source(_ROLE)})) for case in bare]
    moved, steps = [replace(case, images=Images({_ROLE: _moved(case, 2)})) for case in bare], []
    for some in zip(*(model.predict(each) for each in (cases, bare, misled, moved)), strict=True):
        usual, *without, elsewhere = map(_map, some)
        assert all(np.array_equal(usual, each) for each in without), "masks teach, and answer nothing"
        steps.append(_middle(elsewhere) - _middle(usual))
    back = float(np.median(steps)) * _VOXEL_MM
    assert back > _VOXEL_MM, f"spines moved back by {2 * _VOXEL_MM:g} mm, their maps by {back:.1f} mm"


def toy(case: Case, number: int, system: MultitaskCT) -> Case:
    """Return a case with a row of blocks, as dense as their grade is low, somewhere in a small volume."""
    rng = np.random.default_rng(number)
    grades = len(system.headline.grades)
    grade = number % grades
    hu = 30 + 15 * rng.normal(size=_SIDES)
    labels = np.zeros(_SIDES, dtype=np.uint8)
    count = len(system.levels)
    pitch = (_SIDES[0] - 2) // count
    down, back, left = rng.integers(0, 3), 18 + rng.integers(-3, 4), 2 + rng.integers(0, 2)
    for n in range(count):
        block = slice(down + n * pitch, down + (n + 1) * pitch - 2), slice(back, back + 8), slice(left, left + 10)
        labels[block] = n + 1
        hu[block] += 400 - 300 * grade / (grades - 1)
    head_up = slice(None, None, -1)
    volume = Image(voxels=hu[head_up].astype(np.float32), unit="HU", spacing=(_VOXEL_MM,) * 3, direction=_UPWARDS)
    names = dict(enumerate(system.levels, start=1))
    mask = Image(voxels=labels[head_up], unit="label", spacing=(_VOXEL_MM,) * 3, direction=_UPWARDS, names=names)
    sources: dict[str, Source] = {_ROLE: volume}
    return replace(
        case, images=Images(sources), masks=Images({_MASK: mask}), truth={system.headline.id: grade, _MAP: mask}
    )


def _moved(case: Case, voxels: int) -> Image:
    image = case.images[_ROLE]
    return image.with_voxels(np.roll(image.voxels, voxels, axis=1))


def _map(answer: Any) -> NDArray[Any]:
    drawn = answer[_MAP]
    assert isinstance(drawn, LabelMap)
    voxels: NDArray[Any] = drawn.image.voxels
    return voxels


def _middle(labels: NDArray[Any]) -> float:
    places = np.nonzero(labels)[1]
    return float(places.mean()) if len(places) else 0.0


def _pictures(system: MultitaskCT) -> torch.Tensor:
    return torch.rand(2, system.sections, system.pixels, system.pixels)


def _drawn(system: MultitaskCT) -> Truth:
    """Return two patients whose bodies are squares that stand one above the other."""
    count, side = len(system.levels), system.pixels
    masks = torch.zeros(2, count, system.sections, side, side)
    for n in range(count):
        top = side // 8 + n * (3 * side // 4) // count
        masks[:, n, :, top : top + side // (2 * count), side // 2 : side // 2 + side // 6] = 1
    return Truth(torch.tensor([0, len(system.headline.grades) - 1]), masks, masks)
