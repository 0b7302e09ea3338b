"""The views of people as batches for the networks, with what was observed of each."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from trabecula import cache
from trabecula.learn.augment import Augment
from trabecula.learn.examples import three_channels
from trabecula.systems.kim2024_drr_survival.drr import VIEWS, View, pictures

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from trabecula.case import Case

_KEPT_BYTES = 256e6  # views held in memory by one `Drrs`, however large the cohort


class Drrs:
    """The three views `[3, size, size]` of cases, made one case at a time and remembered; `settings` of `pictures`."""

    def __init__(self, cases: Sequence[Case], role: str, settings: Mapping[str, Any]) -> None:
        self._sources = [case.images.source(role) for case in cases]
        self._settings = dict(settings)
        self._kept: dict[int, NDArray[np.uint8]] = {}

    def __getitem__(self, index: int) -> NDArray[np.uint8]:
        if index in self._kept:
            return self._kept[index]
        made = np.array(cache.remember(pictures, self._sources[index], settings=self._settings))
        if (len(self._kept) + 1) * made.nbytes <= _KEPT_BYTES:
            self._kept[index] = made
        return made

    def grey(self, indices: Sequence[int], views: Sequence[View]) -> torch.Tensor:
        """Return some views of some cases, `[n, views, h, w]` of 0 to 1."""
        chosen = [VIEWS.index(view) for view in views]
        return torch.from_numpy(np.stack([self[index][chosen] for index in indices])) / 255

    def digest(self, index: int) -> str:
        """Return the digest of the content that the views of a case are made of."""
        return self._sources[index].digest


@dataclass(frozen=True, eq=False)
class Looks:
    """Some views of one part of the people, as batches for training or validation."""

    drrs: Drrs
    views: Sequence[View]
    ends: NDArray[np.float32]
    """Where on the grid of times observation ends, and 1 for the event, `[people of the cohort, 2]`."""
    indices: Sequence[int]
    """Who of the cohort belongs to this part."""
    augment: Augment | None = None

    def __len__(self) -> int:
        return len(self.indices)

    def batch(self, chosen: Sequence[int], generator: torch.Generator) -> tuple[torch.Tensor, torch.Tensor]:
        """Return films `[n, views, 3, h, w]` and ends `[n, 2]` of the chosen people, augmented where this part is."""
        who = [self.indices[each] for each in chosen]
        grey = self.drrs.grey(who, self.views)
        if self.augment is not None:
            changed = [self._change(view)(grey[:, [number]], generator) for number, view in enumerate(self.views)]
            grey = torch.cat(changed, dim=1)
        return as_inputs(grey), torch.from_numpy(self.ends[who])

    @property
    def digest(self) -> str:
        """Name the content: views, ends and order."""
        sha = hashlib.sha256(repr((list(self.views), list(self.indices), self.augment)).encode())
        sha.update(self.ends[self.indices].tobytes())
        for index in self.indices:
            sha.update(self.drrs.digest(index).encode())
        return sha.hexdigest()

    def _change(self, view: View) -> Augment:
        """Return the augmentation of a view: flipped, a lateral one would show the back for the front."""
        usual = self.augment or Augment()
        return replace(usual, flip=usual.flip and view != "lateral")


def as_inputs(grey: torch.Tensor) -> torch.Tensor:
    """Return views `[n, views, h, w]` of 0 to 1 as networks take them, `[n, views, 3, h, w]`."""
    n, views, height, width = grey.shape
    return three_channels(grey.reshape(n * views, 1, height, width)).reshape(n, views, 3, height, width)
