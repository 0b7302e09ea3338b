"""Patients as batches: sections of their CT, and what is known of them, changed alike."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from trabecula import cache
from trabecula.systems.zhang2023_multitask_ct.losses import Truth
from trabecula.systems.zhang2023_multitask_ct.sections import drawn, sections

if TYPE_CHECKING:
    from trabecula.image import Source
    from trabecula.learn.augment import Augment

_MEASURE = "trabecula.measure"


@dataclass(frozen=True)
class Change:
    """How patients are changed in training: sections and masks alike, and noise on the sections alone."""

    augment: Augment
    flip: bool
    """Whether left and right of a patient are exchanged in half of the cases: the order of the sections."""
    noise: float
    """SD of noise, as a share of the window."""

    def __call__(self, stack: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
        """Return changed maps `[B, M, S, H, W]`, of which the first of M is the picture."""
        changed = self.augment(stack.flatten(1, 2), generator).reshape(stack.shape)
        mirrored = torch.rand(len(stack), generator=generator) < (0.5 if self.flip else 0.0)
        changed = torch.where(mirrored.view(-1, 1, 1, 1, 1), changed.flip(2), changed)
        changed[:, 0] += self.noise * torch.randn(changed[:, 0].shape, generator=generator)
        return changed


@dataclass(frozen=True, eq=False)
class Spines:
    """Sections of CTs, with masks and grades as far as they are known."""

    volumes: Sequence[Source]
    masks: Sequence[Source | None]
    grades: Sequence[int]
    grid: Mapping[str, Any]
    """Where the sections lie, as `sections` and `drawn` both take it."""
    shown: Mapping[str, Any]
    """Slab and window of the picture."""
    traced: Mapping[str, Any]
    """Levels and width of the boundary heat map."""
    change: Change | None = None

    def __len__(self) -> int:
        return len(self.volumes)

    def batch(self, chosen: Sequence[int], generator: torch.Generator) -> tuple[torch.Tensor, Any]:
        """Return sections `[B, S, H, W]` of 0 to 1, and the `Truth` of the chosen patients."""
        levels = len(self.traced["levels"])
        stacks = np.stack([np.concatenate([self.picture(n)[None], *self._drawn(n)]) for n in chosen])
        stack = torch.from_numpy(stacks).float() / 255  # [B, 1 + 2 V, S, H, W]
        if self.change is not None:
            stack = self.change(stack, generator)
        grades = torch.tensor([self.grades[n] for n in chosen])
        return stack[:, 0], Truth(grades, stack[:, 1 : 1 + levels], stack[:, 1 + levels :])

    def picture(self, index: int) -> Any:
        """Return the sections `[S, H, W]` of one patient, 0 to 255.

        Raises `ValueError` for a volume that is not in HU, or whose spacing is not known.
        """
        settings = {**self.grid, **self.shown}
        return cache.remember(sections, self.volumes[index], settings=settings)

    def bone(self) -> torch.Tensor:
        """Return mean and SD `[2]` of the pictures inside the masks, 0 to 1.

        Raises `ValueError` where no mask has a voxel on any section.
        """
        inside = [self.picture(n)[self._drawn(n)[0].any(axis=0)] for n in range(len(self))]
        values = np.concatenate(inside).astype(np.float64) / 255
        if not len(values):
            raise ValueError("no mask shows a body on any section: do masks and volumes show the same place?")
        return torch.tensor([values.mean(), max(float(values.std()), 1e-3)], dtype=torch.float32)

    @property
    def digest(self) -> str:
        """Name the content: volumes, masks, grades, order and settings."""
        told = (list(self.grades), dict(self.grid), dict(self.shown), dict(self.traced), self.change)
        sha = hashlib.sha256(repr(told).encode())
        for volume, mask in zip(self.volumes, self.masks, strict=True):
            sha.update(f"{volume.digest} {mask and mask.digest}\n".encode())
        return sha.hexdigest()

    def _drawn(self, index: int) -> Any:
        """Return masks and boundary heat maps `[2, V, S, H, W]` of one patient; nothing where there is no mask."""
        count, pixels, levels = self.grid["count"], self.grid["pixels"], len(self.traced["levels"])
        mask = self.masks[index]
        if mask is None:
            return np.zeros((2, levels, count, pixels, pixels), dtype=np.uint8)
        settings = {**self.grid, **self.traced}
        return cache.remember(drawn, mask, self.volumes[index], settings=settings, package=_MEASURE)
