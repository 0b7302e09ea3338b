"""A lateral film on its canvas, and people as batches of films and clinical values."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import torch

from trabecula import cache

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from trabecula.case import Case
    from trabecula.image import Image, Source
    from trabecula.learn.examples import Change

CLINICAL = ("age_years", "sex", "bmi_kg_m2")
_SCALED = ("age_years", "bmi_kg_m2")


class Placed(NamedTuple):
    """Where the trimmed film lies on the canvas, in its pixels."""

    top: int
    left: int
    rows: int
    columns: int


def on_canvas(image: Image, *, rows: int, columns: int, margin: float) -> NDArray[np.uint8]:
    """Return a film `[rows, columns]` of 0 to 255: equalised, its sides trimmed, its aspect kept, on black.

    The order is that of the released code: 8-bit grey, histogram of the whole film, then size and place.
    """
    from PIL import Image as Picture  # noqa: PLC0415 keeps `import trabecula` light

    pixels = image.voxels[image.shape[0] // 2].astype(np.float64)
    low, high = pixels.min(), pixels.max()
    grey = np.rint(255 * (pixels - low) / (high - low if high > low else 1)).astype(np.uint8)
    edge = _edge(grey.shape[1], margin)
    inside = _equalised(grey)[:, edge : grey.shape[1] - edge]
    placed = place(*inside.shape, rows=rows, columns=columns)
    resized = Picture.fromarray(inside).resize((placed.columns, placed.rows), Picture.Resampling.BILINEAR)
    canvas = np.zeros((rows, columns), dtype=np.uint8)
    canvas[placed.top : placed.top + placed.rows, placed.left : placed.left + placed.columns] = np.asarray(resized)
    return canvas


def place(height: int, width: int, *, rows: int, columns: int) -> Placed:
    """Return where a film lies on the canvas, by the rule of the released code.

    A wide film fills the width, a tall one the height, or the width where it would else stand out.
    """
    wide = (int(height / width * columns), columns)
    tall = (rows, int(width / height * rows))
    new_rows, new_columns = wide if width > height or tall[1] > columns else tall
    new_rows, new_columns = min(max(new_rows, 1), rows), max(new_columns, 1)
    return Placed((rows - new_rows) // 2, (columns - new_columns) // 2, new_rows, new_columns)


def laid_back(heat: NDArray[np.float32], image: Image, *, margin: float) -> NDArray[np.float32]:
    """Lay a map `[rows, columns]` of a canvas back onto the grid `[k, j, i]` of the film, zero in its trimmed sides."""
    from PIL import Image as Picture  # noqa: PLC0415

    height, width = image.shape[1:]
    edge = _edge(width, margin)
    placed = place(height, width - 2 * edge, rows=heat.shape[0], columns=heat.shape[1])
    inside = heat[placed.top : placed.top + placed.rows, placed.left : placed.left + placed.columns]
    resized = Picture.fromarray(inside).resize((width - 2 * edge, height), Picture.Resampling.BILINEAR)
    laid = np.zeros(image.shape, dtype=np.float32)
    laid[image.shape[0] // 2, :, edge : width - edge] = np.asarray(resized)
    return laid


@dataclass(frozen=True, eq=False)
class Films:
    """Films on their canvases, each made once and remembered, and clinical values, where they count."""

    sources: Sequence[Source]
    settings: Mapping[str, float]
    """Those of `on_canvas`."""
    clinical: NDArray[np.float32] | None

    def given(self, indices: Sequence[int], change: Change | None, generator: torch.Generator) -> list[torch.Tensor]:
        """Return films `[n, 3, rows, columns]` of 0 to 1, the same grey in each channel, and values `[n, 3]`."""
        made = [cache.remember(on_canvas, self.sources[each], settings=self.settings) for each in indices]
        grey = torch.from_numpy(np.stack(made)).unsqueeze(1) / 255
        if change is not None:
            grey = change(grey, generator)
        film = grey.expand(-1, 3, -1, -1)
        return [film] if self.clinical is None else [film, torch.from_numpy(self.clinical[list(indices)])]


@dataclass(frozen=True, eq=False)
class Part:
    """The films of one side of a split, as batches for training or validation."""

    films: Films
    indices: Sequence[int]
    grades: Sequence[int]
    augment: Change | None = None

    def __len__(self) -> int:
        return len(self.indices)

    def batch(self, chosen: Sequence[int], generator: torch.Generator) -> tuple[list[torch.Tensor], torch.Tensor]:
        """Return what the network is given, and grades `[n]`."""
        given = self.films.given([self.indices[each] for each in chosen], self.augment, generator)
        return given, torch.tensor([self.grades[each] for each in chosen])

    @property
    def digest(self) -> str:
        """Name the content: films, values, grades and order."""
        told = repr((list(self.grades), self.augment, sorted(self.films.settings.items())))
        sha = hashlib.sha256(told.encode())
        if self.films.clinical is not None:
            sha.update(self.films.clinical[list(self.indices)].tobytes())
        for index in self.indices:
            sha.update(self.films.sources[index].digest.encode())
        return sha.hexdigest()


@dataclass(frozen=True)
class Grain:
    """Gaussian noise, beside another change."""

    change: Change
    deviation: float
    """SD of the noise, as a share of the range."""

    def __call__(self, pictures: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
        """Return changed pictures `[n, 1, h, w]` with noise that the generator draws."""
        changed = self.change(pictures, generator)
        return changed + self.deviation * torch.randn(changed.shape, generator=generator)


def learned_scaling(cases: Sequence[Case]) -> dict[str, tuple[float, float]]:
    """Return mean and SD of age and BMI."""
    numbers = {name: [case.number(name) for case in cases] for name in _SCALED}
    return {name: (float(np.mean(each)), float(np.std(each)) or 1.0) for name, each in numbers.items()}


def scaled(cases: Sequence[Case], scaling: Mapping[str, Sequence[float]]) -> NDArray[np.float32]:
    """Return clinical values `[n, 3]`: age and BMI less mean over SD, and 1 for a man."""
    rows = []
    for case in cases:
        age, bmi = ((case.number(name) - scaling[name][0]) / scaling[name][1] for name in _SCALED)
        rows.append([age, float(case.table["sex"] == "male"), bmi])
    return np.array(rows, dtype=np.float32)


def _edge(width: int, margin: float) -> int:
    return int(margin * width)


def _equalised(grey: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return grey levels by how many pixels are as dark or darker, as OpenCV's `equalizeHist`."""
    counts = np.bincount(grey.ravel(), minlength=256)
    darkest = counts[counts > 0][0]
    if darkest == grey.size:
        return np.zeros_like(grey)
    levels = np.rint(255 * (counts.cumsum() - darkest) / (grey.size - darkest)).clip(0, 255).astype(np.uint8)
    equalised: NDArray[np.uint8] = levels[grey]
    return equalised
