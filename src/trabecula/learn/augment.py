"""Random rotation, zoom, shift and flip of a batch of pictures, from a generator that the caller seeds."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch.nn import functional


@dataclass(frozen=True)
class Augment:
    """How far a picture may be changed and still show the same bone."""

    degrees: float = 0.0
    """Largest rotation to either side."""
    zoom: float = 0.0
    """Largest change of scale: 0.1 means 0.9 to 1.1."""
    shift: float = 0.0
    """Largest move, as a share of the side; what leaves the picture is cropped."""
    flip: bool = False
    """Whether left and right are exchanged in half of the pictures."""
    contrast: float = 0.0
    """Largest change of contrast and brightness, as a share of the range."""

    def __call__(self, pictures: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
        """Return changed pictures `[n, 1, h, w]`, each by its own draw; outside is black."""
        n = len(pictures)
        angle, scale, right, down, steeper, brighter = 2 * torch.rand(6, n, generator=generator) - 1
        mirrored = torch.rand(n, generator=generator) < (0.5 if self.flip else 0.0)
        angle, scale = math.radians(self.degrees) * angle, 1 + self.zoom * scale
        cosine, sine = torch.cos(angle) / scale, torch.sin(angle) / scale
        across = torch.stack([cosine * torch.where(mirrored, -1.0, 1.0), -sine, 2 * self.shift * right], dim=1)
        along = torch.stack([sine * torch.where(mirrored, -1.0, 1.0), cosine, 2 * self.shift * down], dim=1)
        grid = functional.affine_grid(torch.stack([across, along], dim=1), list(pictures.shape), align_corners=False)
        moved = functional.grid_sample(pictures, grid.to(pictures), padding_mode="zeros", align_corners=False)
        gain = (1 + self.contrast * steeper).to(pictures).view(n, 1, 1, 1)
        offset = (self.contrast * brighter).to(pictures).view(n, 1, 1, 1)
        changed: torch.Tensor = moved * gain + offset
        return changed
