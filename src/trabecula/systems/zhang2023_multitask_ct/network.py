"""One network that locates vertebrae, segments them with their boundary, and classifies from what it segmented."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from torch import nn
from torch.nn import functional

from trabecula.learn.examples import three_channels
from trabecula.learn.networks import backbone

BACKBONE = "resnet34"
_STEM = 64  # maps of its first convolution


class Told(NamedTuple):
    """What one forward pass tells of patients: `V` levels, `S` sections, windows of `r` px."""

    heat: torch.Tensor
    """`[B, V, S, h, w]`: logits of the heat map of each level, whose shares add up to 1 over all sections."""
    places: torch.Tensor
    """`[B, V, 2]`: row and column of each level, as shares of the side, by soft-argmax."""
    mask: torch.Tensor
    """`[B, V, S, r, r]`: logits of the refined mask in the window about each place."""
    boundary: torch.Tensor | None
    """`[B, V, S, r, r]`: the boundary heat map there; nothing without its branch."""
    weights: torch.Tensor
    """`[B, V]`: weight of each level, which add up to 1."""
    logits: torch.Tensor
    """`[B, grades]`."""


class JointNet(nn.Module):
    """A U-shaped ResNet, and on it: heat maps, then windows with mask and boundary, then gated convolutions."""

    def __init__(
        self, *, levels: int, grades: int, trunk: tuple[Sequence[int], Sequence[int]], window: tuple[float, int],
        branch: int, boundary: bool, gated: bool, fusion: bool,
    ) -> None:  # fmt: skip
        super().__init__()
        layers, widths = trunk
        self.share, self.samples = window
        slim = {"stem_type": "deep", "stem_width": widths[0] // 2} if widths[0] < _STEM else {}  # else it has 64 maps
        self.register_buffer("bone", torch.tensor([0.5, 0.1]))
        self.encoder = backbone(BACKBONE, options={"layers": tuple(layers), "channels": tuple(widths), **slim})
        skips = (self.encoder.bn1.num_features, *widths[:3])  # at 1/2, 1/4, 1/8, 1/16
        ups = (widths[0], *widths[:3])
        self.decoder = nn.ModuleList(
            _twice(below + skip, up) for below, skip, up in zip((*ups[1:], widths[3]), skips, ups, strict=True)
        )
        self.locate = nn.Sequential(_twice(widths[0], widths[0]), nn.Conv2d(widths[0], levels, 1))
        given = widths[0] + 1  # the picture itself is the finest map
        self.segment = _twice(given, branch)
        self.coarse = nn.Conv2d(branch, 1, 1)
        self.edge = nn.Sequential(_once(branch, branch), nn.Conv2d(branch, 1, 3, padding=1)) if boundary else None
        self.refine = nn.Conv2d(branch + (2 if boundary else 1), 1, 3, padding=1)
        self.context = nn.Sequential(Gated(given, branch, gated=gated), Gated(branch, branch, gated=gated))
        self.weigh = nn.Sequential(nn.Linear(2 * branch, branch), nn.ReLU(), nn.Linear(branch, 1)) if fusion else None
        self.head = nn.Linear(2 * branch, grades)

    bone: torch.Tensor
    """Mean and SD of the picture inside bodies, on which the classification's differences are small."""

    def forward(self, pictures: torch.Tensor) -> Told:
        """Return what is told of sections `[B, S, H, W]` of 0 to 1. Shapes beside are those of ResNet-34 at 256 px."""
        features = self.features(pictures)  # [B, S, 64, 128, 128]
        heat = self.locate(features.flatten(0, 1))  # [B S, V, 128, 128]
        heat = heat.reshape(*features.shape[:2], *heat.shape[1:]).transpose(1, 2)  # [B, V, S, 128, 128]
        return self.read(pictures, features, heat, soft_argmax(heat))

    def features(self, pictures: torch.Tensor) -> torch.Tensor:
        """Return maps `[B, S, C, H / 2, W / 2]` of sections `[B, S, H, W]`, each section for itself."""
        encoder = self.encoder
        grey = pictures.flatten(0, 1).unsqueeze(1)  # [B S, 1, 256, 256]
        maps = encoder.act1(encoder.bn1(encoder.conv1(three_channels(grey))))  # [B S, 64, 128, 128]
        passed = [maps]
        maps = encoder.maxpool(maps)
        for stage in (encoder.layer1, encoder.layer2, encoder.layer3, encoder.layer4):
            maps = stage(maps)  # [B S, 64, 64, 64] [B S, 128, 32, 32] [B S, 256, 16, 16] [B S, 512, 8, 8]
            passed.append(maps)
        maps = passed.pop()
        for skip, up in zip(reversed(passed), reversed(self.decoder), strict=True):
            wide = functional.interpolate(maps, skip.shape[2:], mode="bilinear", align_corners=False)
            maps = up(torch.cat([wide, skip], dim=1))  # 256 at 1/16, 128 at 1/8, 64 at 1/4, 64 at 1/2
        return torch.as_tensor(maps).reshape(*pictures.shape[:2], *maps.shape[1:])

    def read(self, pictures: torch.Tensor, features: torch.Tensor, heat: torch.Tensor, places: torch.Tensor) -> Told:
        """Segment and classify in the windows about places `[B, V, 2]`; levels are told apart by nothing else."""
        maps = self.cut(features, places)  # [B, V, S, 64, r, r]
        bone = (pictures - self.bone[0]) / self.bone[1]
        picture = self.cut(bone.unsqueeze(2), places)  # [B, V, S, 1, r, r]
        lead = maps.shape[:3]
        seen = torch.cat([maps, picture], dim=3).flatten(0, 2)  # [B V S, 65, r, r]
        found = self.segment(seen)  # [B V S, 64, r, r]
        hints = [found, self.coarse(found).sigmoid()]
        boundary = None if self.edge is None else self.edge(found).sigmoid()
        mask = self.refine(torch.cat(hints if boundary is None else [*hints, boundary], dim=1))  # [B V S, 1, r, r]
        inside = mask.sigmoid()
        levels = torch.cat(
            [
                _pooled(self.context(seen) * inside, lead) / _pooled(inside, lead).clamp(min=1e-3),
                _pooled(found, lead),
            ],
            dim=2,
        )  # [B, V, 128]
        weights = self._weights(levels)  # [B, V]
        logits = self.head((weights.unsqueeze(2) * levels).sum(dim=1))  # [B, grades]
        shape = (*lead, *mask.shape[2:])
        edges = None if boundary is None else boundary.reshape(shape)
        return Told(heat, places, mask.reshape(shape), edges, weights, logits)

    def cut(self, maps: torch.Tensor, places: torch.Tensor) -> torch.Tensor:
        """Return windows `[B, V, S, C, r, r]` of maps `[B, S, C, h, w]` about places, bilinear as in ROI-align."""
        side, count = self.samples, places.shape[1]
        steps = self.share * ((torch.arange(side, device=maps.device) + 0.5) / side - 0.5)
        rows, columns = (2 * (places[..., axis, None] + steps.to(maps)) - 1 for axis in (0, 1))  # [B, V, r]
        grid = torch.stack(
            [columns[:, :, None, :].expand(-1, -1, side, -1), rows[:, :, :, None].expand(-1, -1, -1, side)], dim=4
        )  # [B, V, r, r, 2]
        taken = functional.grid_sample(maps.flatten(1, 2), grid.flatten(1, 2), align_corners=False)
        apart = taken.reshape(*maps.shape[:3], count, side, side)  # [B, S, C, V, r, r]
        return apart.permute(0, 3, 1, 2, 4, 5)

    def _weights(self, levels: torch.Tensor) -> torch.Tensor:
        if self.weigh is None:
            return torch.full_like(levels[..., 0], 1 / levels.shape[1])
        weights: torch.Tensor = self.weigh(levels).squeeze(2).softmax(dim=1)
        return weights


class Gated(nn.Module):
    """ELU(Wf * x) . sigmoid(Wg * x): what passes depends on what is around it. Without the gate, ELU(Wf * x)."""

    def __init__(self, before: int, after: int, *, gated: bool) -> None:
        super().__init__()
        self.feature = nn.Conv2d(before, after, 3, padding=1)
        self.gate = nn.Conv2d(before, after, 3, padding=1) if gated else None

    def forward(self, maps: torch.Tensor) -> torch.Tensor:
        """Return maps `[B, after, h, w]` of maps `[B, before, h, w]`."""
        passed = functional.elu(self.feature(maps))
        return passed if self.gate is None else passed * self.gate(maps).sigmoid()


def soft_argmax(heat: torch.Tensor) -> torch.Tensor:
    """Return the mean place `[B, V, 2]` of heat maps `[B, V, S, h, w]` over all sections, as shares of the side."""
    shares = heat.flatten(2).softmax(dim=2).view_as(heat).sum(dim=2)  # [B, V, h, w]
    rows, columns = (centres(heat.shape[axis], heat) for axis in (3, 4))
    return torch.stack([shares.sum(dim=3) @ rows, shares.sum(dim=2) @ columns], dim=2)


def centres(side: int, like: torch.Tensor) -> torch.Tensor:
    """Return the middles of pixels along a side, as shares of it."""
    return (torch.arange(side, device=like.device, dtype=like.dtype) + 0.5) / side


def _pooled(maps: torch.Tensor, lead: torch.Size) -> torch.Tensor:
    """Return the mean `[B, V, C]` of maps `[B V S, C, r, r]` over the sections of a level."""
    return maps.mean(dim=(2, 3)).reshape(*lead, -1).mean(dim=2)


def _once(before: int, after: int) -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(before, after, 3, padding=1, bias=False), nn.BatchNorm2d(after), nn.ReLU())


def _twice(before: int, after: int) -> nn.Sequential:
    layers: list[Any] = [*_once(before, after), *_once(after, after)]
    return nn.Sequential(*layers)
