"""A convolutional network that learns the base domain, and what it says of any picture after that: distances."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import nn

from trabecula.learn.examples import stacked, three_channels
from trabecula.learn.networks import backbone

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from trabecula.learn.prepare import Pictures

    Floats = NDArray[np.float64]

_BATCH = 16


class BaseClassifier(nn.Module):
    """A timm backbone and one linear layer that tells the two base classes; the shapes are those of ResNet-50."""

    def __init__(self, name: str, dropout: float) -> None:
        super().__init__()
        self.trunk: Any = backbone(name)
        self.maps = nn.Identity()  # the trunk's maps pass here: Grad-CAM looks at them
        self.head = nn.Sequential(nn.Dropout(dropout), nn.Linear(self.trunk.num_features, 2))

    def forward(self, pictures: torch.Tensor) -> torch.Tensor:
        """Return logits `[B, 2]` of pictures `[B, 3, H, W]`."""
        logits: torch.Tensor = self.head(self.embed(pictures))
        return logits

    def embed(self, pictures: torch.Tensor) -> torch.Tensor:
        """Return the mean of the last maps over the picture: `[B, 2048, 7, 7]` -> `[B, 2048]`."""
        maps: torch.Tensor = self.maps(self.trunk.forward_features(pictures))
        return maps.mean(dim=(2, 3))


@torch.inference_mode()
def embedded(network: BaseClassifier, pictures: Pictures, indices: Any = None) -> Floats:
    """Return embeddings `[n, width]` of pictures, which do not depend on what else is in a batch."""
    network.eval()
    device = next(network.parameters()).device
    chosen = range(len(pictures)) if indices is None else indices
    rows = []
    for start in range(0, len(chosen), _BATCH):
        grey = stacked(pictures, chosen[start : start + _BATCH])
        rows.append(network.embed(three_channels(grey.to(device))).double().cpu().numpy())
    return np.concatenate(rows)


def distances(embeddings: Floats, references: Floats) -> Floats:
    """Return the Euclidean distance of each embedding `[n, width]` to each reference `[m, width]`, as `[n, m]`."""
    return np.asarray(np.linalg.norm(embeddings[:, None] - references[None], axis=2))
