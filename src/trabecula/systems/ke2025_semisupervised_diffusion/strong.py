"""Strong views: random changes of position and grey, and a square cut out.

RandAugment with two operations (Cubuk et al., 2020) and Cutout as FixMatch applies them (recalled), without what would
turn grey levels round: grey is what tells of bone.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch.nn import functional

_REACH = (0.52, 0.3, 0.3, 0.3, 0.3, 0.5, 0.2)
"""Largest change: rotation (30 degrees), shear across and along, shift across and along, contrast, brightness."""
_CUT_GREY = 0.5


@dataclass(frozen=True)
class Strong:
    """How strongly a picture is changed."""

    operations: int = 2
    """Changes a picture is given, drawn from seven and from none."""
    magnitude: float = 1.0
    """Share of the largest change that a change may have."""
    cutout: float = 0.5
    """Largest side of the square that is cut out, as a share of the side of the picture."""

    def __call__(self, pictures: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
        """Return changed pictures `[n, 1, h, w]`, each by its own draw; what comes from outside is its edge."""
        n = len(pictures)
        chosen = torch.randint(len(_REACH) + 1, (n, self.operations), generator=generator)
        size = self.magnitude * (2 * torch.rand(n, self.operations, generator=generator) - 1)
        drawn = torch.zeros(n, len(_REACH) + 1).scatter_add_(1, chosen, size)[:, :-1] * torch.tensor(_REACH)
        angle, across, along, right, down, steeper, brighter = drawn.unbind(1)
        cosine, sine = torch.cos(angle), torch.sin(angle)
        rows = [
            torch.stack([cosine - along * sine, across * cosine - sine, 2 * right], dim=1),
            torch.stack([sine + along * cosine, across * sine + cosine, 2 * down], dim=1),
        ]
        grid = functional.affine_grid(torch.stack(rows, dim=1), list(pictures.shape), align_corners=False)
        moved = functional.grid_sample(pictures, grid.to(pictures), padding_mode="border", align_corners=False)
        gain, offset = ((1 + steeper).view(n, 1, 1, 1), brighter.view(n, 1, 1, 1))
        changed = (moved - 0.5) * gain + 0.5 + offset
        shown: torch.Tensor = changed.clamp(0, 1).masked_fill(self._cut(pictures, generator), _CUT_GREY)
        return shown

    def _cut(self, pictures: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
        """Return where the square `[n, 1, h, w]` of each picture lies, up to the largest, anywhere."""
        n, _, height, width = pictures.shape
        down, right, size = torch.rand(3, n, generator=generator)
        half = self.cutout * size.view(n, 1, 1, 1) / 2
        y = (torch.arange(height) + 0.5).view(1, 1, -1, 1) / height - down.view(n, 1, 1, 1)
        x = (torch.arange(width) + 0.5).view(1, 1, 1, -1) / width - right.view(n, 1, 1, 1)
        cut: torch.Tensor = (y.abs() < half) & (x.abs() < half)
        return cut
