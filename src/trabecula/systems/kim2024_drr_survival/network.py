"""A DenseNet a view, and a layer that tells one logit of the hazard a point of the grid of times."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import nn

from trabecula.learn.networks import backbone


class ViewsNetwork(nn.Module):
    """`views` DenseNets whose pooled features meet in one layer with `points` outputs."""

    def __init__(self, *, views: int, growth: int, blocks: Sequence[int], dropout: float, points: int) -> None:
        super().__init__()
        options = {"growth_rate": growth, "block_config": tuple(blocks)}
        self.trunks = nn.ModuleList(backbone("densenet121", options=options) for _ in range(views))
        self.maps = nn.ModuleList(nn.Identity() for _ in range(views))  # the maps pass here: Grad-CAM looks at them
        deep: Any = self.trunks[0].num_features
        self.pool = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten())
        self.dropout = nn.Dropout(dropout)
        self.hazards = nn.Linear(views * deep, points)

    def forward(self, films: torch.Tensor) -> torch.Tensor:
        """Return logits `[B, points]` of films `[B, views, 3, H, W]`; shapes as published."""
        features = []
        for number, (trunk, passed) in enumerate(zip(self.trunks, self.maps, strict=True)):
            net: Any = trunk
            maps = passed(net.forward_features(films[:, number]))  # [B, 1024, 16, 16] at 512 px
            features.append(self.pool(maps))  # [B, 1024]
        logits: torch.Tensor = self.hazards(self.dropout(torch.cat(features, dim=1)))  # [B, 13]
        return logits
