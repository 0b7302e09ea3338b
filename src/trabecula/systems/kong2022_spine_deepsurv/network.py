"""DeepSurv with and without a film: a log hazard from a DenseNet and clinical values, or from these alone."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from trabecula.learn.networks import backbone

if TYPE_CHECKING:
    from trabecula.systems.kong2022_spine_deepsurv.film import Inputs


class FilmNetwork(nn.Module):
    """A DenseNet on the film, a layer on `values` clinical values, and both together to a log hazard."""

    def __init__(
        self,
        *,
        growth: int,
        blocks: Sequence[int],
        widths: tuple[int, int, int],
        dropout: tuple[float, float],
        values: int,
    ) -> None:
        super().__init__()
        film, clinical, fused = widths
        self.trunk: Any = backbone("densenet121", options={"growth_rate": growth, "block_config": tuple(blocks)})
        self.maps = nn.Identity()  # the trunk's maps pass here: Grad-CAM looks at them
        deep: int = self.trunk.num_features
        self.film = nn.Sequential(
            nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(deep, film), nn.ReLU(), nn.Dropout(dropout[0])
        )
        self.clinical = None
        if values:
            self.clinical = nn.Sequential(nn.Linear(values, clinical), nn.ReLU(), nn.BatchNorm1d(clinical))
            film += clinical
        self.head = nn.Sequential(
            nn.Linear(film, fused), nn.ReLU(), nn.Dropout(dropout[1]), nn.Linear(fused, 1, bias=False)
        )

    def forward(self, inputs: Inputs) -> torch.Tensor:
        """Return log hazards `[B]` of films `[B, 3, H, W]` and clinical values `[B, V]`; shapes as published."""
        maps = self.maps(self.trunk.forward_features(inputs["film"]))  # [B, 1024, 16, 16] at 512 px
        vector = self.film(maps)  # [B, 64]
        if self.clinical is not None:
            vector = torch.cat([vector, self.clinical(inputs["clinical"])], dim=1)  # [B, 64 + 16]
        hazard: torch.Tensor = self.head(vector).squeeze(1)  # [B, 32] -> [B]
        return hazard


class ClinicalNetwork(nn.Module):
    """DeepSurv without image: two hidden layers on `values` clinical values."""

    def __init__(self, *, width: int, dropout: float, values: int) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for before in (values, width):
            layers += [nn.Linear(before, width), nn.ReLU(), nn.BatchNorm1d(width), nn.Dropout(dropout)]
        self.layers = nn.Sequential(*layers, nn.Linear(width, 1, bias=False))

    def forward(self, inputs: Inputs) -> torch.Tensor:
        """Return log hazards `[B]` of clinical values `[B, V]`."""
        hazard: torch.Tensor = self.layers(inputs["clinical"]).squeeze(1)  # [B, 32] -> [B, 32] -> [B]
        return hazard
