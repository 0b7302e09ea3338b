"""Two kinds of networks: landmarks as heat maps, and BMD of the region that they frame."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

import torch
from torch import nn
from torch.nn import functional

_DEPTHS = (2, 2, 3, 3, 3)  # convolutions in each stage of VGG16: Simonyan and Zisserman, ICLR 2015, configuration D


class LandmarkNet(nn.Module):
    """A U-Net with one heat map a landmark; input `[B, 1, H, W]` of 0 to 1."""

    def __init__(self, channels: Sequence[int], *, landmarks: int) -> None:
        super().__init__()
        self.down = nn.ModuleList(_twice(before, after) for before, after in pairwise((1, *channels)))
        self.up = nn.ModuleList(_twice(low + high, high) for high, low in reversed(list(pairwise(channels))))
        self.last = nn.Conv2d(channels[0], landmarks, 1)

    def forward(self, films: torch.Tensor) -> torch.Tensor:
        """Return heat maps `[B, landmarks, H, W]`, each of which adds up to 1; shapes beside are those at 512 px."""
        maps, kept = films - 0.5, []
        for number, block in enumerate(self.down):
            maps = block(functional.max_pool2d(maps, 2) if number else maps)
            kept.append(maps)  # [B, 64, 512, 512], [B, 128, 256, 256], [B, 256, 128, 128], [B, 512, 64, 64]
        for block, beside in zip(self.up, reversed(kept[:-1]), strict=True):
            wider = functional.interpolate(maps, beside.shape[2:], mode="bilinear")
            maps = block(torch.cat([wider, beside], dim=1))  # [B, 256, 128, 128], ..., [B, 64, 512, 512]
        told = self.last(maps)  # [B, 16, 512, 512]
        shares: torch.Tensor = told.flatten(2).softmax(dim=2).view_as(told)
        return shares


class BmdNet(nn.Module):
    """VGG16's convolutions, global average pooling and one linear output a site; input `[B, 3, H, W]`.

    What the linear layer says is in SDs about the mean of the BMD that it was trained on, both of which it carries.
    """

    mean: torch.Tensor
    deviation: torch.Tensor

    def __init__(self, widths: Sequence[int], *, normalised: bool, sites: int) -> None:
        super().__init__()
        self.vgg16 = Vgg16(widths, normalised=normalised)
        self.head = nn.Linear(widths[-1], sites)
        self.register_buffer("mean", torch.zeros(sites))
        self.register_buffer("deviation", torch.ones(sites))

    def forward(self, regions: torch.Tensor) -> torch.Tensor:
        """Return areal BMD `[B, sites]` in g/cm2; shapes beside are those at 512 px."""
        maps = self.vgg16.features(regions)  # [B, 512, 16, 16]
        vector = maps.mean(dim=(2, 3))  # [B, 512]
        bmd: torch.Tensor = self.mean + self.deviation * self.head(vector)  # [B, sites]
        return bmd

    def scale(self, truth: torch.Tensor) -> None:
        """Take mean and SD of BMD `[n, sites]`, NaN where it is not known, and begin at the mean."""
        for site, values in enumerate(truth.T):
            known = values[~values.isnan()]
            self.mean[site] = known.mean()
            self.deviation[site] = known.std().clamp(min=1e-3)
        nn.init.zeros_(self.head.bias)


class Vgg16(nn.Module):
    """The convolutions of VGG16, their layers numbered as ImageNet weights name them."""

    def __init__(self, widths: Sequence[int], *, normalised: bool) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        before = 3
        for width, depth in zip(widths, _DEPTHS, strict=True):
            for _ in range(depth):
                layers.append(nn.Conv2d(before, width, 3, padding=1))
                layers += [nn.BatchNorm2d(width)] if normalised else []
                layers.append(nn.ReLU())
                before = width
            layers.append(nn.MaxPool2d(2))
        self.features = nn.Sequential(*layers)
        for layer in self.features:
            if isinstance(layer, nn.Conv2d):
                nn.init.kaiming_normal_(layer.weight, mode="fan_out", nonlinearity="relu")
                nn.init.zeros_(layer.bias)  # type: ignore[arg-type]
        self.pretrained_cfg: Mapping[str, Any] = {"architecture": "vgg16_bn" if normalised else "vgg16"}


def _twice(before: int, after: int) -> nn.Sequential:
    layers: list[nn.Module] = []
    for width in (before, after):
        layers += [nn.Conv2d(width, after, 3, padding=1, bias=False), nn.BatchNorm2d(after), nn.ReLU()]
    return nn.Sequential(*layers)


def places(maps: torch.Tensor) -> torch.Tensor:
    """Return the mean place `[B, landmarks, 2]` of each heat map: row and column, as shares of the side."""
    rows, columns = (_axis(maps.shape[axis], maps) for axis in (2, 3))
    return torch.stack([maps.sum(dim=3) @ rows, maps.sum(dim=2) @ columns], dim=2)


def spread(maps: torch.Tensor) -> torch.Tensor:
    """Return by film `[B]` how far heat maps spread about their places: root mean square, as a share of the side."""
    rows, columns = (_axis(maps.shape[axis], maps) for axis in (2, 3))
    square = maps.sum(dim=3) @ rows.square() + maps.sum(dim=2) @ columns.square()
    return (square - places(maps).square().sum(dim=2)).clamp(min=0).mean(dim=1).sqrt()


def landmark_loss(maps: torch.Tensor, truth: torch.Tensor, *, sigma: float) -> torch.Tensor:
    """Return the cross-entropy of heat maps with Gaussians of `sigma` about the truth, and the distance in L1.

    `truth` is `[B, landmarks, 2]` as `places`; NaN where a landmark is not on the film, which then does not count.
    """
    known = ~truth.isnan().any(dim=2)
    where = truth.nan_to_num(0.5)
    rows, columns = (_axis(maps.shape[axis], maps) for axis in (2, 3))
    up, across = (rows - where[..., :1]).square(), (columns - where[..., 1:]).square()
    wanted = torch.exp(-(up[..., :, None] + across[..., None, :]) / (2 * sigma**2))
    wanted = wanted / wanted.sum(dim=(2, 3), keepdim=True).clamp(min=1e-12)
    surprise = -(wanted * (maps + 1e-9).log()).sum(dim=(2, 3))
    distance = (places(maps) - where).abs().sum(dim=2)
    each = torch.where(known, surprise + 10 * distance, 0.0)
    return each.sum() / known.sum().clamp(min=1)


def bmd_loss(told: torch.Tensor, truth: torch.Tensor) -> torch.Tensor:
    """Return the mean squared error in BMD `[B, sites]`; NaN, where the truth is not known, does not count."""
    known = ~truth.isnan()
    return functional.mse_loss(told[known], truth[known]) if known.any() else (0 * told).sum()


def _axis(side: int, like: torch.Tensor) -> torch.Tensor:
    return (torch.arange(side, device=like.device, dtype=like.dtype) + 0.5) / side
