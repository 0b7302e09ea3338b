"""VGG16 with non-local blocks between its stages, global average pooling and dense layers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import nn

_DEPTHS = (2, 2, 3, 3, 3)  # convolutions in each stage of VGG16: Simonyan and Zisserman, ICLR 2015, configuration D


class NonLocal(nn.Module):
    """Self-attention over all positions, added to what came in: embedded Gaussian of Wang et al., CVPR 2018.

    z_i = x_i + BN(W_z y_i), y_i = sum_j softmax_j(theta(x_i) . phi(x_j)) g(x_j). The gain of BN starts at 0, so that
    the block starts as no change.
    """

    def __init__(self, channels: int, *, pooled: bool) -> None:
        super().__init__()
        narrow = max(1, channels // 2)
        self.theta = nn.Conv2d(channels, narrow, 1)
        self.phi = nn.Conv2d(channels, narrow, 1)
        self.g = nn.Conv2d(channels, narrow, 1)
        self.pool = nn.MaxPool2d(2, ceil_mode=True) if pooled else nn.Identity()
        self.softmax = nn.Softmax(dim=2)  # the attention passes here, each row a place that looks at all others
        self.back = nn.Conv2d(narrow, channels, 1)
        self.scale = nn.BatchNorm2d(channels)
        nn.init.zeros_(self.scale.weight)

    def forward(self, maps: torch.Tensor) -> torch.Tensor:
        """Return maps `[B, C, H, W]` in which every place has seen all others."""
        theta = self.theta(maps).flatten(2)  # [B, C/2, H W]
        phi = self.pool(self.phi(maps)).flatten(2)  # [B, C/2, H W], pooled [B, C/2, H W / 4]
        g = self.pool(self.g(maps)).flatten(2)  # the same
        attention = self.softmax(theta.transpose(1, 2) @ phi)  # [B, H W, H W]
        seen = (attention @ g.transpose(1, 2)).transpose(1, 2).unflatten(2, maps.shape[2:])  # [B, C/2, H, W]
        changed: torch.Tensor = maps + self.scale(self.back(seen))  # [B, C, H, W]
        return changed


class Vgg16(nn.Module):
    """The convolutions of VGG16, their layers numbered as ImageNet weights name them."""

    def __init__(self, widths: Sequence[int], *, normalised: bool) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        self.ends: list[int] = []  # by stage: how many layers come before its pooling
        before = 3
        for width, depth in zip(widths, _DEPTHS, strict=True):
            for _ in range(depth):
                layers.append(nn.Conv2d(before, width, 3, padding=1))
                layers += [nn.BatchNorm2d(width)] if normalised else []
                layers.append(nn.ReLU())
                before = width
            self.ends.append(len(layers))
            layers.append(nn.MaxPool2d(2))
        self.features = nn.Sequential(*layers)
        for layer in self.features:
            if isinstance(layer, nn.Conv2d):
                nn.init.kaiming_normal_(layer.weight, mode="fan_out", nonlinearity="relu")
                nn.init.zeros_(layer.bias)  # type: ignore[arg-type]
        self.pretrained_cfg: Mapping[str, Any] = {"architecture": "vgg16_bn" if normalised else "vgg16"}

    def stage(self, number: int, maps: torch.Tensor) -> torch.Tensor:
        """Return maps after the last convolution of a stage, counted from 1, from maps before its first."""
        start = 0 if number == 1 else self.ends[number - 2] + 1
        convolved: torch.Tensor = self.features[start : self.ends[number - 1]](maps)
        return convolved

    def pool(self, number: int, maps: torch.Tensor) -> torch.Tensor:
        """Return maps halved by the pooling of a stage."""
        halved: torch.Tensor = self.features[self.ends[number - 1]](maps)
        return halved


class NonLocalVgg(nn.Module):
    """VGG16 whose later stages end in a non-local block, and a dense head; input `[B, 3, H, W]`."""

    def __init__(
        self,
        *,
        widths: Sequence[int],
        normalised: bool,
        after: Sequence[int],
        pooled: bool,
        hidden: int,
        dropout: float,
        grades: int,
    ) -> None:
        super().__init__()
        self.trunk = Vgg16(widths, normalised=normalised)
        self.blocks = nn.ModuleDict({str(stage): NonLocal(widths[stage - 1], pooled=pooled) for stage in after})
        self.maps = nn.Identity()  # the last maps pass here: Grad-CAM looks at them
        self.head = nn.Sequential(
            nn.Linear(widths[-1], hidden), nn.ReLU(), nn.Dropout(dropout), nn.Linear(hidden, grades)
        )

    def forward(self, pictures: torch.Tensor) -> torch.Tensor:
        """Return logits `[B, grades]` of pictures `[B, 3, H, W]`; the shapes beside are those at 512 px."""
        maps = self.trunk.pool(1, self.stage(1, pictures))  # [B, 64, 256, 256]
        maps = self.trunk.pool(2, self.stage(2, maps))  # [B, 128, 128, 128]
        maps = self.trunk.pool(3, self.stage(3, maps))  # [B, 256, 64, 64]
        maps = self.trunk.pool(4, self.stage(4, maps))  # [B, 512, 32, 32], attention over 64 x 64 places
        maps = self.maps(self.stage(5, maps))  # [B, 512, 32, 32], attention over 32 x 32 places
        vector = self.trunk.pool(5, maps).mean(dim=(2, 3))  # [B, 512, 16, 16] -> [B, 512]
        logits: torch.Tensor = self.head(vector)  # [B, 256] -> [B, grades]
        return logits

    def stage(self, number: int, maps: torch.Tensor) -> torch.Tensor:
        """Return maps after the convolutions of a stage and its non-local block, where it has one."""
        maps = self.trunk.stage(number, maps)
        return self.blocks[str(number)](maps) if str(number) in self.blocks else maps
