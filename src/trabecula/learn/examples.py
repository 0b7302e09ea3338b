"""Labelled pictures as batches of tensors, and batches as what networks pretrained on ImageNet expect."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import torch

from trabecula.learn.split import inner

if TYPE_CHECKING:
    from numpy.random import Generator
    from numpy.typing import NDArray

    from trabecula.case import Case
    from trabecula.learn.prepare import Pictures
    from trabecula.target import Target

Change = Callable[[torch.Tensor, torch.Generator], torch.Tensor]
_MEAN = (0.485, 0.456, 0.406)
_DEVIATION = (0.229, 0.224, 0.225)


class Shown(Protocol):
    """Pictures `[h, w]` of 0 to 255 by number, each with a name for its content."""

    def __len__(self) -> int: ...

    def __getitem__(self, index: Any) -> Any: ...

    def digest(self, index: int) -> str:
        """Name the content of a picture."""


@dataclass(frozen=True, eq=False)
class Held:
    """Pictures `[n, h, w]` of 0 to 255 that are in memory, and nowhere else."""

    grey: NDArray[np.uint8]

    def __len__(self) -> int:
        return len(self.grey)

    def __getitem__(self, index: Any) -> Any:
        return self.grey[index]

    def digest(self, index: int) -> str:
        """Return the SHA-256 of a picture."""
        return hashlib.sha256(self.grey[index].tobytes()).hexdigest()


def three_channels(grey: torch.Tensor) -> torch.Tensor:
    """Repeat grey pictures `[n, 1, h, w]` of 0 to 1 in three channels, scaled by mean and deviation of ImageNet."""
    mean, deviation = (torch.tensor(each, device=grey.device).view(1, 3, 1, 1) for each in (_MEAN, _DEVIATION))
    return (grey - mean) / deviation


def stacked(pictures: Shown, indices: Sequence[int]) -> torch.Tensor:
    """Return pictures as one tensor `[n, 1, h, w]` of 0 to 1."""
    return torch.from_numpy(np.stack([pictures[index] for index in indices])).unsqueeze(1) / 255


@dataclass(frozen=True)
class Examples:
    """Pictures with their grades, as batches for training or validation."""

    pictures: Shown
    indices: Sequence[int]
    """Which of the pictures belong to this part."""
    grades: Sequence[int]
    """Grade of each of the pictures of this part."""
    augment: Change | None = None

    def __len__(self) -> int:
        return len(self.indices)

    def batch(self, chosen: Sequence[int], generator: torch.Generator) -> tuple[torch.Tensor, torch.Tensor]:
        """Return inputs `[n, 3, h, w]` and grades `[n]` of the chosen examples, augmented where this part is."""
        grey = stacked(self.pictures, [self.indices[each] for each in chosen])
        if self.augment is not None:
            grey = self.augment(grey, generator)
        return three_channels(grey), torch.tensor([self.grades[each] for each in chosen])

    @property
    def digest(self) -> str:
        """Name the content: pictures, grades and order."""
        sha = hashlib.sha256(repr((list(self.grades), self.augment)).encode())
        for index in self.indices:
            sha.update(self.pictures.digest(index).encode())
        return sha.hexdigest()


def halves(
    cases: Sequence[Case],
    pictures: Pictures,
    *,
    target: Target,
    share: float,
    augment: Change,
    rng: Generator,
) -> tuple[Examples, Examples]:
    """Return examples to train on, augmented, and to validate on, split by patient; raises the errors of `inner`."""
    parts = inner(cases, target, share=share, rng=rng)
    changes = (augment, None)
    training, validation = (
        Examples(pictures, part.tolist(), [int(cases[i].truth[target.id]) for i in part], change)
        for part, change in zip(parts, changes, strict=True)
    )
    return training, validation
