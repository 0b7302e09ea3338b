"""A radiograph as the network sees it, and people as batches of films, clinical values and what was observed."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from trabecula import cache
from trabecula.learn.examples import three_channels
from trabecula.learn.prepare import on_grid, picture

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from trabecula.case import Case
    from trabecula.image import Image
    from trabecula.learn.examples import Change

Inputs = dict[str, torch.Tensor]

_LUMBAR: dict[str, Any] = {"trim": True, "centre": 1.0, "along": 1.0}  # a square as wide as the film, at its lower end
_KEPT_BYTES = 256e6  # films held in memory by one `Films`, however large the cohort


def film(image: Image, *, size: int, equalise: bool) -> NDArray[np.uint8]:
    """Return the lumbar end of a film as a square `[size, size]` of 0 to 255.

    Inside its collimation, the lowest square as wide as the film is: all of a film of the lumbar spine, and no lung,
    which leaves bone no greys, on a longer one. Clipped to its 1st to 99th percentile.
    """
    grey = picture(image, size=size, **_LUMBAR)
    return _equalised(grey) if equalise else grey


def laid_back(heat: NDArray[np.float32], image: Image) -> NDArray[np.float32]:
    """Lay a map of what `film` showed onto the grid `[k, j, i]` of the image, zero elsewhere."""
    return on_grid(heat, image, **_LUMBAR)


class Films:
    """The films of cases, made one at a time and remembered: memory does not grow with the cohort."""

    def __init__(self, cases: Sequence[Case], role: str, *, size: int, equalise: bool) -> None:
        self._sources = [case.images.source(role) for case in cases]
        self._settings = {"size": size, "equalise": equalise}
        self._kept: dict[int, NDArray[np.uint8]] = {}

    def __getitem__(self, index: int) -> NDArray[np.uint8]:
        if index in self._kept:
            return self._kept[index]
        made = np.array(cache.remember(film, self._sources[index], settings=self._settings))
        if (len(self._kept) + 1) * made.nbytes <= _KEPT_BYTES:
            self._kept[index] = made
        return made

    def grey(self, indices: Sequence[int]) -> torch.Tensor:
        """Return films `[n, 1, h, w]` of 0 to 1."""
        return torch.from_numpy(np.stack([self[index] for index in indices])).unsqueeze(1) / 255

    def digest(self, index: int) -> str:
        """Return the digest of the content that a film is made of."""
        return self._sources[index].digest


@dataclass(frozen=True, eq=False)
class People:
    """People of one part of a cohort, as batches for training or validation."""

    films: Films | None
    clinical: NDArray[np.float32]
    """`[people of the cohort, values]`."""
    truth: NDArray[np.float32]
    """`[people of the cohort, 2]`: years, and 1 for the event."""
    indices: Sequence[int]
    """Who of the cohort belongs to this part."""
    least_events: int = 0
    """A batch with fewer events borrows people with the event from the others."""
    augment: Change | None = None

    def __len__(self) -> int:
        return len(self.indices)

    def batch(self, chosen: Sequence[int], generator: torch.Generator) -> tuple[Inputs, torch.Tensor]:
        """Return film `[n, 3, h, w]` and clinical values `[n, values]`, and what was observed `[n, 2]`."""
        who = self._with_events([self.indices[each] for each in chosen], generator)
        grey = None if self.films is None else self.films.grey(who)
        if grey is not None and self.augment is not None:
            grey = self.augment(grey, generator)
        return as_inputs(grey, self.clinical[who]), torch.from_numpy(self.truth[who])

    @property
    def digest(self) -> str:
        """Name the content: films, values, truths and order."""
        sha = hashlib.sha256(repr((list(self.indices), self.least_events, self.augment)).encode())
        sha.update(self.clinical[self.indices].tobytes() + self.truth[self.indices].tobytes())
        for index in self.indices if self.films is not None else ():
            sha.update(self.films.digest(index).encode())  # type: ignore[union-attr]
        return sha.hexdigest()

    def _with_events(self, who: list[int], generator: torch.Generator) -> list[int]:
        others = [each for each in self.indices if self.truth[each, 1] == 1 and each not in who]
        lacking = max(0, self.least_events - int(self.truth[who, 1].sum()))
        order = torch.randperm(len(others), generator=generator).tolist()[:lacking] if lacking else []
        return who + [others[each] for each in order]


def as_inputs(grey: torch.Tensor | None, clinical: NDArray[np.float32]) -> Inputs:
    """Return what the networks take: clinical values, and the film where there is one."""
    inputs = {"clinical": torch.from_numpy(clinical)}
    return inputs if grey is None else {**inputs, "film": three_channels(grey)}


def _equalised(grey: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return grey levels by the share of pixels that are as dark or darker."""
    share = np.bincount(grey.ravel(), minlength=256).cumsum() / grey.size
    levels: NDArray[np.uint8] = np.rint(255 * share).astype(np.uint8)[grey]
    return levels
