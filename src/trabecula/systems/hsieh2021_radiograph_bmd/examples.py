"""Films and regions of films as batches, each made once and remembered: memory does not grow with the cohort."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import astuple, dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch

from trabecula import cache
from trabecula.learn.examples import three_channels
from trabecula.systems.hsieh2021_radiograph_bmd.regions import Region, canvas, cropped, marks, on_canvas, shape_of

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from trabecula.case import Case
    from trabecula.image import Source
    from trabecula.learn.examples import Change


def films(sources: Sequence[Source], size: int) -> torch.Tensor:
    """Return films as canvases `[n, 1, size, size]` of 0 to 1."""
    made = [cache.remember(canvas, source, settings={"size": size}) for source in sources]
    return torch.from_numpy(np.stack(made)).unsqueeze(1) / 255


def shape(source: Source) -> tuple[int, int]:
    """Return rows and columns of a film."""
    rows, columns = cache.remember(shape_of, source).tolist()
    return rows, columns


def marked(case: Case, role: str, mask: str, *, names: Sequence[str]) -> NDArray[np.float64]:
    """Return the landmarks of a case on its canvas, from a mask.

    Raises `ValueError` for a mask that does not lie on the grid of the film.
    """
    film, drawn = case.images.source(role), case.masks.source(mask)
    if shape(film) != shape(drawn):
        raise ValueError(f"case {case.id}: {mask} has not the rows and columns of {role}: draw it on that film")
    points = cache.remember(marks, drawn, settings={"names": list(names)})
    return on_canvas(np.asarray(points), shape(film))


@dataclass(frozen=True, eq=False)
class Marked:
    """Films with landmarks, for training or validation."""

    sources: Sequence[Source]
    points: NDArray[np.float64]
    """`[n, landmarks, 2]` on the canvas; NaN where one is not on the film."""
    size: int

    def __len__(self) -> int:
        return len(self.sources)

    def batch(self, chosen: Sequence[int], generator: torch.Generator) -> tuple[torch.Tensor, torch.Tensor]:  # noqa: ARG002
        """Return canvases `[n, 1, h, w]` and landmarks `[n, landmarks, 2]`."""
        shown = films([self.sources[each] for each in chosen], self.size)
        return shown, torch.from_numpy(self.points[list(chosen)].astype(np.float32))

    @property
    def digest(self) -> str:
        """Name the content: films, landmarks and order."""
        sha = hashlib.sha256(f"{self.size}".encode() + self.points.tobytes())
        for source in self.sources:
            sha.update(source.digest.encode())
        return sha.hexdigest()


@dataclass(frozen=True, eq=False)
class Regions:
    """Regions of films with the BMD of their bone, for training or validation."""

    sources: Sequence[Source]
    regions: Sequence[Region]
    bmd: NDArray[np.float64]
    """`[n, sites]` in g/cm2; NaN where it is not known."""
    size: int
    augment: Change | None = None

    def __len__(self) -> int:
        return len(self.sources)

    def shown(self, chosen: Sequence[int]) -> torch.Tensor:
        """Return regions `[n, 1, size, size]` of 0 to 1."""
        made = [
            cache.remember(
                cropped, self.sources[each], settings={"region": astuple(self.regions[each]), "size": self.size}
            )
            for each in chosen
        ]
        return torch.from_numpy(np.stack(made)).unsqueeze(1) / 255

    def batch(self, chosen: Sequence[int], generator: torch.Generator) -> tuple[torch.Tensor, torch.Tensor]:
        """Return regions `[n, 3, size, size]` as ImageNet's networks take them, and BMD `[n, sites]`."""
        grey = self.shown(chosen)
        if self.augment is not None:
            grey = self.augment(grey, generator)
        return three_channels(grey), torch.from_numpy(self.bmd[list(chosen)].astype(np.float32))

    @property
    def digest(self) -> str:
        """Name the content: films, regions, BMD and order."""
        sha = hashlib.sha256(repr((self.size, self.augment, list(self.regions))).encode() + self.bmd.tobytes())
        for source in self.sources:
            sha.update(source.digest.encode())
        return sha.hexdigest()
