"""ResNet50, five blocks of convolution, ReLU and pooling after it, and dense layers."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import nn

from trabecula.learn.networks import backbone


class StackedNetwork(nn.Module):
    """A ResNet50 trunk whose maps a stack refines and halves block by block; input `[B, 3, H, W]`.

    Pooling rounds up: a map of 7 x 7 cannot be halved five times otherwise. 512 px give the stack a map of 16 x 16.
    """

    def __init__(
        self,
        *,
        layers: Sequence[int],
        widths: Sequence[int],
        filters: Sequence[int],
        head: Sequence[int],
        dropout: float,
        grades: int,
        pixels: int,
    ) -> None:
        super().__init__()
        self.trunk = backbone("resnet50", options={"layers": tuple(layers), "channels": tuple(widths)})
        self.maps = nn.Identity()  # the trunk's maps pass here: Grad-CAM looks at them
        deep: int = self.trunk.num_features
        pairs = zip((deep, *filters), filters, strict=False)
        self.stack = nn.Sequential(*(_block(before, after) for before, after in pairs))
        side = self.sides(pixels, len(filters))[-1]
        self.head = _head(filters[-1] * side * side, head, dropout, grades)

    def forward(self, pictures: torch.Tensor) -> torch.Tensor:
        """Return logits `[B, grades]` of pictures `[B, 3, H, W]`; the shapes beside are those at 224 px."""
        maps = self.maps(self.trunk.forward_features(pictures))  # [B, 2048, 7, 7]
        maps = self.stack(maps)  # [B, 512, 4, 4], [B, 256, 2, 2], [B, 128, 1, 1], [B, 64, 1, 1], [B, 32, 1, 1]
        vector = maps.flatten(1)  # [B, 32]
        logits: torch.Tensor = self.head(vector)  # [B, 256] -> [B, 128] -> [B, grades]
        return logits

    @staticmethod
    def sides(pixels: int, blocks: int) -> list[int]:
        """Return the side of the map before the stack and after each of its blocks."""
        sides = [-(-pixels // 32)]
        for _ in range(blocks):
            sides.append(-(-sides[-1] // 2))
        return sides


def _block(before: int, after: int) -> nn.Module:
    convolution = nn.Conv2d(before, after, 3, padding=1)
    nn.init.kaiming_normal_(convolution.weight, nonlinearity="relu")
    nn.init.zeros_(convolution.bias)  # type: ignore[arg-type]
    return nn.Sequential(convolution, nn.ReLU(), nn.MaxPool2d(2, stride=2, ceil_mode=True))


def _head(width: int, hidden: Sequence[int], dropout: float, grades: int) -> nn.Module:
    layers: list[nn.Module] = []
    for after in hidden:
        layers += [nn.Linear(width, after), nn.ReLU()]
        if len(layers) == 2:
            layers.append(nn.Dropout(dropout))
        width = after
    return nn.Sequential(*layers, nn.Linear(width, grades))
