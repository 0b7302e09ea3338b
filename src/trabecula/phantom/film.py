"""Film: from path lengths to a picture. Attenuation, scatter, blur, quantum noise, display curve, shutter, marker.

**Approximate**: the beam has one effective energy, scatter is a wide blur of the primary beam, and the display curve
is a sigmoid about the soft tissue, as histogram-based processing would place it. Attenuation coefficients are those
of the NIST tables (Hubbell and Seltzer, ICRU-44 tissues), recalled.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
from scipy.ndimage import gaussian_filter

from trabecula.phantom.outline import interpolated

if TYPE_CHECKING:
    from numpy.random import Generator
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

_KEV = np.array([30.0, 40.0, 50.0, 60.0, 80.0])
_PER_CM = {
    "muscle": 1.05 * np.array([0.3783, 0.2685, 0.2262, 0.2048, 0.1823]),
    "fat": 0.95 * np.array([0.3063, 0.2396, 0.2123, 0.1974, 0.1800]),
    "cortical": 1.92 * np.array([1.331, 0.6655, 0.4242, 0.3148, 0.2229]),
}
_SCATTER_REACH_MM = 18.0
_EDGES, _EDGES_REACH_MM = 0.35, 7.0  # unsharp masking, as digital systems commonly do
_TOE = 0.16  # share of a straight display curve beside the sigmoid: it keeps the skin visible
_LETTERS = {
    "L": ("1....", "1....", "1....", "1....", "1....", "1....", "11111"),
    "R": ("1111.", "1...1", "1...1", "1111.", "1.1..", "1..1.", "1...1"),
}


@dataclass(frozen=True, kw_only=True)
class Film:
    """How a picture was taken and is shown."""

    rows: int
    columns: int
    spacing_mm: float
    kvp: float
    photons: float
    """Quanta a pixel in the open beam."""
    scatter: float
    """Scatter over primary, behind the grid."""
    blur_mm: float
    latitude: float
    """Range of the logarithm of exposure that the greys cover."""
    middle: float
    """Where in this range soft tissue lies, 0 black to 1 white."""
    shutter: tuple[float, float, float, float]
    """Share of the picture that is covered at top, bottom, left and right."""
    black: float
    """Grey behind the shutter, 0 to 1."""
    boxed: bool
    """Whether the marker is a letter in a white box."""


@dataclass(frozen=True, eq=False, kw_only=True)
class Paths:
    """Path lengths along the beam in mm, `[j, i]`; bone as its equivalent of cortical bone."""

    muscle: Floats
    fat: Floats
    cortical: Floats
    usual_muscle: float
    """Muscle behind which the display curve puts its soft-tissue grey."""

    def mirrored(self) -> Paths:
        """Return the paths of the other side."""
        return replace(self, muscle=self.muscle[:, ::-1], fat=self.fat[:, ::-1], cortical=self.cortical[:, ::-1])


def develop(paths: Paths, film: Film, rng: Generator, *, side: str) -> NDArray[np.uint8]:
    """Return the picture `[j, i]` in stored values 0 to 255, bone bright."""
    keV = 20 + film.kvp / 3  # noqa: N806 an approximation for 3 mm of aluminium and a leg
    per_mm = {tissue: float(np.interp(keV, _KEV, values)) / 10 for tissue, values in _PER_CM.items()}
    line = per_mm["muscle"] * paths.muscle + per_mm["fat"] * paths.fat + per_mm["cortical"] * paths.cortical
    primary = np.exp(-line)
    signal = primary + film.scatter * _spread(primary, _SCATTER_REACH_MM / film.spacing_mm)
    signal = gaussian_filter(signal, film.blur_mm / film.spacing_mm)
    noise = rng.standard_normal(signal.shape)
    signal = signal + noise * np.sqrt(signal / film.photons)
    usual = np.exp(-per_mm["muscle"] * paths.usual_muscle) * (1 + film.scatter)
    density = (np.log(usual) - np.log(np.maximum(signal, 1e-5))) / film.latitude + film.middle
    density += _EDGES * (density - _spread(density, _EDGES_REACH_MM / film.spacing_mm))
    grey = (1 - _TOE) / (1 + np.exp(-4.6 * (density - 0.5))) + _TOE * np.clip(0.8 * density + 0.7, 0, 1)
    return _stored(_marked(_shuttered(grey, film), film, side))


def _spread(primary: Floats, reach: float) -> Floats:
    """Blur widely: on blocks of 8 x 8, then linear in between."""
    rows, columns = (size // 8 for size in primary.shape)
    blocks = primary[: rows * 8, : columns * 8].reshape(rows, 8, columns, 8).mean(axis=(1, 3))
    wide = gaussian_filter(blocks, reach / 8, mode="nearest")
    j, i = ((np.arange(size) - 3.5) / 8 for size in primary.shape)
    return interpolated(wide, j, i)


def _shuttered(grey: Floats, film: Film) -> Floats:
    top, bottom, left, right = film.shutter
    j = np.linspace(0, 1, film.rows)[:, None]
    i = np.linspace(0, 1, film.columns)[None, :]
    inside = np.minimum(
        np.minimum(j - top, 1 - bottom - j) * film.rows, np.minimum(i - left, 1 - right - i) * film.columns
    )
    open_ = np.clip(inside / 1.5 + 0.5, 0, 1)
    return np.asarray(film.black + (grey - film.black) * open_)


def _marked(grey: Floats, film: Film, side: str) -> Floats:
    """Put the letter of the side lateral to the knee: at the left of the picture for a right knee."""
    letter = np.array([[c == "1" for c in row] for row in _LETTERS[side]])
    size = max(1, round(film.rows / 150))
    letter = np.kron(letter, np.ones((size, size), dtype=bool))
    if film.boxed:
        letter = ~np.pad(letter, 2 * size)
    top = round(film.rows * (film.shutter[0] + 0.10))
    edge = film.shutter[2] if side == "R" else film.shutter[3]
    margin = round(film.columns * (edge + 0.04))
    left = margin if side == "R" else film.columns - margin - letter.shape[1]
    window = grey[top : top + letter.shape[0], left : left + letter.shape[1]]
    window[letter[: window.shape[0], : window.shape[1]]] = 0.97
    return grey


def _stored(grey: Floats) -> NDArray[np.uint8]:
    return np.rint(255 * np.clip(grey, 0, 1)).astype(np.uint8)
