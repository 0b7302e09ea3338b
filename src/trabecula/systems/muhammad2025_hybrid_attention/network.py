"""The hybrid network: DenseNet169 and an attention module look at the same picture, a classifier sees both."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
from torch import nn

from trabecula.learn.networks import backbone


@dataclass(frozen=True, kw_only=True)
class Layout:
    """Sizes of the network."""

    growth: int
    blocks: tuple[int, ...]
    stem: tuple[int, ...]
    reduction: int
    head: tuple[int, ...]
    dropout: tuple[float, ...]
    attach: Literal["image", "densenet"]
    transformer: dict[str, int] | None
    """Options of the ViT branch of BONE-Net; `None` without that branch."""


class ChannelAttention(nn.Module):
    """A weight for each channel, from its mean and its maximum through one shared bottleneck."""

    def __init__(self, channels: int, reduction: int) -> None:
        super().__init__()
        narrow = max(1, channels // reduction)
        self.shared = nn.Sequential(nn.Conv2d(channels, narrow, 1), nn.ReLU(), nn.Conv2d(narrow, channels, 1))

    def forward(self, maps: torch.Tensor) -> torch.Tensor:
        """Return the weights `[B, C, 1, 1]` of maps `[B, C, H, W]`, each between 0 and 1."""
        mean = self.shared(maps.mean(dim=(2, 3), keepdim=True))  # [B, C, 1, 1]
        peak = self.shared(maps.amax(dim=(2, 3), keepdim=True))  # [B, C, 1, 1]
        return torch.sigmoid(mean + peak)  # [B, C, 1, 1]


class SpatialAttention(nn.Module):
    """A weight for each place, from the mean and the maximum over the channels."""

    def __init__(self) -> None:
        super().__init__()
        self.convolution = nn.Conv2d(2, 1, 7, padding=3)

    def forward(self, maps: torch.Tensor) -> torch.Tensor:
        """Return the weights `[B, 1, H, W]` of maps `[B, C, H, W]`, each between 0 and 1."""
        mean, peak = maps.mean(dim=1, keepdim=True), maps.amax(dim=1, keepdim=True)  # [B, 1, H, W] each
        return torch.sigmoid(self.convolution(torch.cat([mean, peak], dim=1)))  # [B, 1, H, W]


class Attention(nn.Module):
    """Weigh channels, then places, and add what came in."""

    def __init__(self, channels: int, reduction: int) -> None:
        super().__init__()
        self.channel = ChannelAttention(channels, reduction)
        self.spatial = SpatialAttention()

    def forward(self, maps: torch.Tensor) -> torch.Tensor:
        """Return weighed maps `[B, C, H, W]`."""
        by_channel: torch.Tensor = self.channel(maps) * maps  # [B, C, H, W]
        by_place: torch.Tensor = self.spatial(by_channel) * by_channel  # [B, C, H, W]
        return by_place + maps  # [B, C, H, W]


class HybridNetwork(nn.Module):
    """Features of the branches, concatenated, and a fully connected classifier; input `[B, 3, H, W]`."""

    def __init__(self, layout: Layout, grades: int) -> None:
        super().__init__()
        options = {"growth_rate": layout.growth, "block_config": layout.blocks}
        self.trunk = backbone("densenet169", options=options)
        self.maps = nn.Identity()  # the trunk's maps pass here: Grad-CAM looks at them
        self.trunk_vector = _pooled()
        deep: int = self.trunk.num_features
        self.stem = _stem(layout.stem) if layout.attach == "image" else nn.Identity()
        channels = layout.stem[-1] if layout.attach == "image" else deep
        self.attention = Attention(channels, layout.reduction)
        self.attention_vector = _pooled()
        self.attach = layout.attach
        self.transformer = None
        width = deep + channels
        if layout.transformer is not None:
            self.transformer = backbone("vit_base_patch16_224", options={**layout.transformer, "global_pool": "token"})
            width += self.transformer.num_features
        self.head = _head(width, layout.head, layout.dropout, grades)

    def forward(self, pictures: torch.Tensor) -> torch.Tensor:
        """Return logits `[B, grades]` of pictures `[B, 3, H, W]`; the shapes beside are those at 224 px."""
        maps = self.maps(self.trunk.forward_features(pictures))  # [B, 1664, 7, 7]
        trunk = self.trunk_vector(maps)  # [B, 1664]
        local = self.stem(pictures) if self.attach == "image" else maps  # [B, 128, 28, 28]
        local = self.attention(local)  # [B, 128, 28, 28]
        local = self.attention_vector(local)  # [B, 128]
        vectors = [trunk, local]
        if self.transformer is not None:
            vectors.append(self.transformer(pictures))  # [B, 768]
        logits: torch.Tensor = self.head(torch.cat(vectors, dim=1))  # [B, 1792], BONE-Net [B, 2560] -> [B, grades]
        return logits


def _pooled() -> nn.Module:
    return nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten())


def _stem(widths: tuple[int, ...]) -> nn.Module:
    layers: list[nn.Module] = []
    for before, after in zip((3, *widths), widths, strict=False):
        layers += [nn.Conv2d(before, after, 3, stride=2, padding=1, bias=False), nn.BatchNorm2d(after), nn.ReLU()]
    return nn.Sequential(*layers)


def _head(width: int, hidden: tuple[int, ...], dropout: tuple[float, ...], grades: int) -> nn.Module:
    layers: list[nn.Module] = []
    for after, share in zip(hidden, dropout, strict=True):
        layers += [nn.Linear(width, after), nn.ReLU(), nn.Dropout(share)]
        width = after
    return nn.Sequential(*layers, nn.Linear(width, grades))
