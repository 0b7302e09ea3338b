"""What the tasks are taught by: one sum, so that one backward pass serves them all."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

import torch
from torch.nn import functional

from trabecula.systems.zhang2023_multitask_ct.network import centres

if TYPE_CHECKING:
    from trabecula.systems.zhang2023_multitask_ct.network import JointNet, Told

UNKNOWN = -1
_DISTANCE = 10.0  # weight of the distance of the centre, in shares of the side, beside the heat map's surprise


class Truth(NamedTuple):
    """What is known of patients."""

    grades: torch.Tensor
    """`[B]`; `UNKNOWN` where nobody knows."""
    masks: torch.Tensor
    """`[B, V, S, H, W]` of 0 to 1; all zero where the level was not drawn."""
    edges: torch.Tensor
    """`[B, V, S, H, W]`: boundary heat maps."""


def losses(network: JointNet, told: Told, truth: Truth, *, sigma: float) -> dict[str, torch.Tensor]:
    """Return the loss of each task by name, over what is known; `sigma` is that of heat maps, as a share of the side.

    `locate`: cross-entropy of the heat maps with Gaussians about the centres, and the distance of the centres in L1.
    `segment`: binary cross-entropy and 1 - Dice. `boundary`: mean squared error. `classify`: cross-entropy.
    """
    drawn = truth.masks.sum(dim=(2, 3, 4)) > 0  # [B, V]
    mask, edge = (_cut(network, each, told.places.detach()) for each in (truth.masks, truth.edges))
    found = {
        "locate": _mean(_locate(told, truth.masks, sigma), drawn),
        "segment": _mean(_segment(told.mask, mask), drawn),
    }
    if told.boundary is not None:
        found["boundary"] = _mean((told.boundary - edge).square().mean(dim=(2, 3, 4)), drawn)
    known = truth.grades != UNKNOWN
    each = functional.cross_entropy(told.logits, truth.grades.clamp(min=0), reduction="none")
    return found | {"classify": _mean(each, known)}


def total(found: Mapping[str, torch.Tensor], weights: Mapping[str, float]) -> Any:
    """Return the weighted sum of losses."""
    return sum(weights[name] * each for name, each in found.items())


def _locate(told: Told, masks: torch.Tensor, sigma: float) -> torch.Tensor:
    areas = masks.sum(dim=2)  # [B, V, H, W]
    mass = areas.sum(dim=(2, 3)).clamp(min=1e-6)
    rows, columns = (centres(masks.shape[axis], masks) for axis in (3, 4))
    middle = torch.stack([areas.sum(dim=3) @ rows, areas.sum(dim=2) @ columns], dim=2) / mass.unsqueeze(2)
    rows, columns = (centres(told.heat.shape[axis], masks) for axis in (3, 4))
    up, across = (rows - middle[..., :1]).square(), (columns - middle[..., 1:]).square()
    wanted = torch.exp(-(up[..., :, None] + across[..., None, :]) / (2 * sigma**2)).unsqueeze(2)
    wanted = (wanted * (masks.sum(dim=(3, 4)) > 0)[..., None, None]).flatten(2)  # nothing where no body is cut
    wanted = wanted / wanted.sum(dim=2, keepdim=True).clamp(min=1e-6)
    surprise = -(wanted * told.heat.flatten(2).log_softmax(dim=2)).sum(dim=2)
    return surprise + _DISTANCE * (told.places - middle).abs().sum(dim=2)


def _segment(logits: torch.Tensor, wanted: torch.Tensor) -> torch.Tensor:
    told, axes = logits.sigmoid(), (2, 3, 4)
    surprise = functional.binary_cross_entropy_with_logits(logits, wanted, reduction="none").mean(dim=axes)
    overlap = (2 * (told * wanted).sum(dim=axes) + 1) / (told.sum(dim=axes) + wanted.sum(dim=axes) + 1)
    return surprise + 1 - overlap


def _cut(network: JointNet, maps: torch.Tensor, places: torch.Tensor) -> torch.Tensor:
    """Return each level's own maps `[B, V, S, r, r]` in the window about its place, of maps `[B, V, S, H, W]`."""
    batch, levels = maps.shape[:2]
    single = network.cut(maps.flatten(0, 1).unsqueeze(2), places.reshape(batch * levels, 1, 2))
    return single.reshape(batch, levels, *single.shape[2:3], *single.shape[4:])


def _mean(each: torch.Tensor, known: torch.Tensor) -> torch.Tensor:
    return (each * known).sum() / known.sum().clamp(min=1)
