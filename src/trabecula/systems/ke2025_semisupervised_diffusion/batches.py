"""Labelled pictures, and beside them unlabelled ones in a weak and in a strong view."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch.nn import functional

from trabecula.learn.examples import stacked, three_channels

if TYPE_CHECKING:
    from trabecula.learn.examples import Change, Examples, Shown
    from trabecula.systems.ke2025_semisupervised_diffusion.threshold import PseudoLabels


@dataclass(frozen=True)
class WithPool:
    """Labelled examples; with each of them come `ratio` unlabelled pictures, drawn from a pool."""

    labelled: Examples
    pool: Shown
    ratio: int
    weak: Change
    strong: Change

    def __len__(self) -> int:
        return len(self.labelled)

    def batch(self, chosen: Sequence[int], generator: torch.Generator) -> tuple[torch.Tensor, torch.Tensor]:
        """Return inputs `[n, 3, h, w]` and truths `[n]`: labelled, then weak views, then strong ones of the same.

        The truth of an unlabelled picture is -1 less its number in the pool.
        """
        inputs, grades = self.labelled.batch(chosen, generator)
        if not len(self.pool):
            return inputs, grades
        drawn = torch.randint(len(self.pool), (self.ratio * len(chosen),), generator=generator)
        grey = stacked(self.pool, drawn.tolist())
        seen = [three_channels(change(grey, generator)) for change in (self.weak, self.strong)]
        return torch.cat([inputs, *seen]), torch.cat([grades, -1 - drawn, -1 - drawn])

    @property
    def digest(self) -> str:
        """Name the content: labelled pictures, the pool, and how its pictures are changed."""
        pool = [self.pool.digest(number) for number in range(len(self.pool))]
        told = repr((self.labelled.digest, pool, self.ratio, self.weak, self.strong))
        return hashlib.sha256(told.encode()).hexdigest()


@dataclass(frozen=True)
class SemiSupervised:
    """Cross-entropy of labelled pictures, and, where there are unlabelled ones, that of their pseudo-labels."""

    labels: PseudoLabels
    weight: float
    """Of the unlabelled part."""

    def __call__(self, logits: torch.Tensor, truth: torch.Tensor) -> torch.Tensor:
        """Return the loss of logits `[n, classes]` of a batch as `WithPool` gives it."""
        known = truth >= 0
        supervised = functional.cross_entropy(logits[known], truth[known])
        if bool(known.all()):
            return supervised
        weak, strong = logits[~known].chunk(2)
        pictures = -1 - truth[~known].chunk(2)[0]
        return supervised + self.weight * self.labels.loss(weak, strong, pictures)
