"""A 3-D ResNet-18, experts behind a gate, three heads; and two heads for self-supervision that are thrown away."""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from torch import nn
from torch.nn import functional

FEATURES = 8  # of the encoder, in its base width
_GREY = (0.25, 0.1)  # about the mean and SD of a lumbar vertebra in its window: batch norm starts from SD 1


class Told(NamedTuple):
    """What the network says of a batch of vertebrae."""

    grades: torch.Tensor
    """Logits `[B, grades]`."""
    value: torch.Tensor
    """Scaled BMD `[B]`."""
    level: torch.Tensor
    """Logits `[B, levels]`."""
    gate: torch.Tensor
    """Share of each expert `[B, experts]`, which add up to 1."""


class Encoder(nn.Module):
    """MONAI's 3-D ResNet-18 without a classifier; the first convolution has stride 1, because cubes are small.

    The pooling behind it and three of the four stages halve: of 64 voxels a side 32, 32, 16, 8 and 4 are left.
    """

    def __init__(self, *, width: int, stem: int) -> None:
        super().__init__()
        from monai.networks.nets.resnet import ResNet  # noqa: PLC0415 takes 15 s to import

        planes = [width, 2 * width, 4 * width, FEATURES * width]
        self.stages: Any = ResNet(
            "basic", [2, 2, 2, 2], planes, n_input_channels=1, conv1_t_size=stem, conv1_t_stride=1, feed_forward=False
        )

    def forward(self, cubes: torch.Tensor) -> torch.Tensor:
        """Return pooled features `[B, 8 width]` of cubes `[B, 1, k, j, i]` of 0 to 1."""
        features: torch.Tensor = self.stages((cubes - _GREY[0]) / _GREY[1])
        return features


class GatedExperts(nn.Module):
    """Small networks side by side, added in shares that a gate reads from the very features they work on."""

    def __init__(self, features: int, *, experts: int, hidden: int, gate: int, dropout: float) -> None:
        super().__init__()
        self.experts = nn.ModuleList(
            nn.Sequential(
                nn.Linear(features, hidden), nn.ReLU(), nn.Dropout(dropout), nn.Linear(hidden, hidden), nn.ReLU()
            )
            for _ in range(experts)
        )
        self.gate = nn.Sequential(nn.Linear(features, gate), nn.ReLU(), nn.Linear(gate, experts))

    def forward(self, features: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Return the mixture `[B, hidden]` of features `[B, features]`, and the shares `[B, experts]`."""
        shares = self.gate(features).softmax(dim=1)
        told = torch.stack([expert(features) for expert in self.experts], dim=1)  # [B, experts, hidden]
        return (shares.unsqueeze(2) * told).sum(dim=1), shares


class TextureExperts(nn.Module):
    """Encoder, gated experts, and heads for diagnosis, BMD and level, which read the same mixture."""

    def __init__(self, encoder: nn.Module, experts: GatedExperts, *, hidden: int, grades: int, levels: int) -> None:
        super().__init__()
        self.encoder = encoder
        self.experts = experts
        self.diagnosis = nn.Linear(hidden, grades)
        self.bmd = nn.Linear(hidden, 1)
        self.level = nn.Linear(hidden, levels)

    def forward(self, cubes: torch.Tensor) -> Told:
        """Return what is said of cubes `[B, 1, k, j, i]` of 0 to 1."""
        mixed, shares = self.experts(self.encoder(cubes))
        return Told(self.diagnosis(mixed), self.bmd(mixed)[:, 0], self.level(mixed), shares)


class Pretext(nn.Module):
    """The encoder with a head that tells views apart and one that tells their radiomic texture."""

    def __init__(self, encoder: nn.Module, features: int, *, hidden: int, projected: int, textures: int) -> None:
        super().__init__()
        self.encoder = encoder
        self.projection = nn.Sequential(
            nn.Linear(features, hidden), nn.BatchNorm1d(hidden), nn.ReLU(), nn.Linear(hidden, projected)
        )
        self.texture = nn.Sequential(nn.Linear(features, hidden), nn.ReLU(), nn.Linear(hidden, textures))

    def forward(self, views: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Return directions `[B, projected]` of length 1 and textures `[B, textures]` of views `[B, 1, k, j, i]`."""
        features = self.encoder(views)
        return functional.normalize(self.projection(features), dim=1), self.texture(features)


def pretext_loss(
    told: tuple[torch.Tensor, torch.Tensor], truth: torch.Tensor, *, temperature: float, texture: float
) -> torch.Tensor:
    """Return contrast plus `texture` times the radiomic error; truth is that of `Views.batch`."""
    directions, textures = told
    wanted, alike = truth[:, : textures.shape[1]], truth[:, textures.shape[1] :]
    error = functional.smooth_l1_loss(textures.float(), wanted)
    return contrast(directions.float(), alike, temperature=temperature) + texture * error


def contrast(directions: torch.Tensor, alike: torch.Tensor, *, temperature: float) -> torch.Tensor:
    """Return how badly views find those like them: the mean over each view's likes of -log of their softmax share.

    Directions `[B, d]` have length 1, `alike` `[B, B]` holds 1 for a pair that belongs together; every view has one at
    least. Khosla et al., NeurIPS 2020, their L_out.
    """
    itself = torch.eye(len(directions), dtype=torch.bool, device=directions.device)
    similar = (directions @ directions.T / temperature).masked_fill(itself, -torch.inf)
    shares = similar.log_softmax(dim=1).masked_fill(itself, 0.0)
    return -((alike * shares).sum(dim=1) / alike.sum(dim=1)).mean()


def heads_loss(told: Told, known: torch.Tensor, *, bmd: float, level: float, balance: float) -> torch.Tensor:
    """Return diagnosis, BMD, level and balance in one; what is NaN in `known` `[B, 3]` counts for nothing.

    The balance of E gates is E times the sum of their squared mean shares: 1 when the load is even, E for one expert.
    """
    grade, value, place = known.unbind(dim=1)
    diagnosis = _known(functional.cross_entropy(told.grades.float(), _index(grade), reduction="none"), grade)
    error = _known(functional.smooth_l1_loss(told.value.float(), value.nan_to_num(), reduction="none"), value)
    located = _known(functional.cross_entropy(told.level.float(), _index(place), reduction="none"), place)
    even = told.gate.shape[1] * told.gate.float().mean(dim=0).square().sum()
    return diagnosis + bmd * error + level * located + balance * even


def _index(known: torch.Tensor) -> torch.Tensor:
    return known.nan_to_num().long()


def _known(losses: torch.Tensor, known: torch.Tensor) -> torch.Tensor:
    """Return the mean loss of those of which the truth is known; 0 where it is known of none."""
    told = ~known.isnan()
    return (losses * told).sum() / told.sum().clamp(min=1)
