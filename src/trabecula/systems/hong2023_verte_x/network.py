"""One backbone on a whole film and three linear layers, which clinical values may join before the second."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from trabecula.learn.networks import backbone

HIDDEN = 100


class FilmNet(nn.Module):
    """From a film `[B, 3, H, W]` of 0 to 1, and three clinical values where it takes any, to logits `[B, outputs]`.

    Nothing stands between the three linear layers of the head, as in the released code: they are one linear map.
    """

    def __init__(self, name: str, *, clinical: tuple[int, int] | None, outputs: int) -> None:
        super().__init__()
        self.backbone: Any = backbone(name)
        self.clinical = clinical
        features = self.backbone.num_features
        if clinical is None:
            self.head: nn.Module = nn.Sequential(
                nn.Linear(features, HIDDEN), nn.Linear(HIDDEN, HIDDEN), nn.Linear(HIDDEN, outputs)
            )
            return
        first, second = clinical
        self.values = nn.Sequential(*_layer(3, first), *_layer(first, second))
        self.narrow = nn.Linear(features, HIDDEN)
        self.head = nn.Sequential(nn.Linear(HIDDEN + second, HIDDEN), nn.Linear(HIDDEN, outputs))

    def forward(self, given: list[torch.Tensor]) -> torch.Tensor:
        """Return logits; shapes beside are those of EfficientNet-B4.

        Raises `ValueError` for clinical values that this network does not take, or lacks.
        """
        film, *values = given
        if len(values) != (self.clinical is not None):
            raise ValueError("clinical values go to a network that was built with them, and there they must be given")
        vector = self.backbone(film)  # [B, 1792]
        if values:
            vector = torch.cat([self.narrow(vector), self.values(values[0])], dim=1)  # [B, 100 + 16]
        logits: torch.Tensor = self.head(vector)  # [B, 100] -> [B, 100] -> [B, 1]
        return logits


def _layer(before: int, after: int) -> list[nn.Module]:
    return [nn.Linear(before, after), nn.BatchNorm1d(after), nn.ReLU(), nn.Dropout(0.2)]
