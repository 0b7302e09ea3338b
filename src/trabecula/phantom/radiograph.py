"""Radiographs as pictures: automatic exposure, display curve, edges, shutter and marker.

The tube current is automatic: the detector gets the same quanta behind the soft tissue of any patient, and the same
soft tissue places the display curve, as processing by histogram would. Both are found with bone matrix taken for as
much water, so that in a twin of other bone density only bone, and what it scatters, changes its grey.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal, get_args

import numpy as np
from scipy.ndimage import gaussian_filter

from trabecula.image import Image
from trabecula.phantom.material import get_material
from trabecula.phantom.projection import XRay, displayed, expose, log_attenuation, wide_blur

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.random import Generator
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

Marker = Literal["boxed", "plain", "none"]
"""A letter cut out of a white box, a white letter, or none."""

_BONE = ("bone_matrix", "cortical_bone", "hydroxyapatite", "collagen", "aluminium", "copper", "titanium")
_BODY = 0.25  # rays that lose this share of what the densest parts lose count as behind the body
_STEEPNESS = 4.6 / 4  # of the sigmoid over that of `displayed`: greys 0.09 to 0.91 within the latitude
_TOE = 0.16  # share of a straight display curve beside the sigmoid: it keeps the skin visible
_LETTERS = {
    "L": ("1....", "1....", "1....", "1....", "1....", "1....", "11111"),
    "R": ("1111.", "1...1", "1...1", "1111.", "1.1..", "1..1.", "1...1"),
}
_MARKER_TOP, _MARKER_EDGE, _MARKER_HEIGHT = 0.08, 0.03, 0.045  # shares of the picture's height and width


@dataclass(frozen=True, kw_only=True)
class Film:
    """How a radiograph was taken and is shown.

    Raises `ValueError` for what no radiograph has.
    """

    rows: int
    columns: int
    xray: XRay
    """Beam and detector; its photons in the open beam follow from `quanta`."""
    quanta: float
    """Quanta a pixel that reach the detector behind the soft tissue; infinite for no noise."""
    latitude: float = 2.0
    """Range of log attenuation that the greys cover."""
    middle: float = 0.35
    """Where in this range soft tissue lies, 0 black to 1 white."""
    edges: float = 0.35
    """Strength of unsharp masking."""
    edges_mm: float = 7.0
    """SD of its kernel."""
    shutter: tuple[float, float, float, float] = (0.0, 0.0, 0.0, 0.0)
    """Share of the picture that is covered at top, bottom, left and right."""
    black: float = 0.0
    """Grey behind the shutter, 0 to 1."""
    marker: Marker = "none"
    bits: int = 8
    """Bits a stored pixel holds; above 8 they are kept in 16."""

    def __post_init__(self) -> None:
        if min(self.rows, self.columns) < 16 or not 8 <= self.bits <= 16:
            raise ValueError(
                f"a film has at least 16 rows and columns and 8 to 16 bits; got {self.rows, self.columns, self.bits}"
            )
        limits = {
            "quanta": (self.quanta, 1, math.inf), "latitude": (self.latitude, 0.1, 20), "edges": (self.edges, 0, 5),
            "edges_mm": (self.edges_mm, 0.01, 100), "black": (self.black, 0, 1), "middle": (self.middle, -1, 2),
        }  # fmt: skip
        for name, (value, low, high) in limits.items():
            if not low <= value <= high:
                raise ValueError(f"a film's {name} lies between {low} and {high}; got {value}")
        top, bottom, left, right = self.shutter
        if min(self.shutter) < 0 or max(top + bottom, left + right) > 0.9:
            raise ValueError(f"a shutter leaves at least a tenth of the picture open; got {self.shutter}")
        if self.marker not in get_args(Marker):
            raise ValueError(f"a marker is {', '.join(get_args(Marker))}; got {self.marker!r}")


def develop(columns_g_cm2: Mapping[str, Floats], film: Film, rng: Generator, *, side: str | None = None) -> Image:
    """Return the picture `[1, j, i]` of columns `[j, i]` in g/cm² by material, bone bright.

    `side` is the marker's letter, L or R; it lies at the left of the picture for R, as on an AP view.
    Raises `ValueError` for columns that are not of the film's size, or a marker without a side.
    """
    shapes = {np.shape(values) for values in columns_g_cm2.values()}
    if shapes != {(film.rows, film.columns)}:
        raise ValueError(f"columns [j, i] have the film's {film.rows} x {film.columns} pixels; got {sorted(shapes)}")
    soft = soft_tissue_attenuation(columns_g_cm2, film)
    xray = replace(film.xray, photons=film.quanta * math.exp(soft))
    line = log_attenuation(expose(columns_g_cm2, xray, rng))
    grey = _marked(_shuttered(_shown(line, film, soft), film), film, side)
    stored = np.rint((2**film.bits - 1) * np.clip(grey, 0, 1)).astype(np.uint8 if film.bits == 8 else np.uint16)
    pixel_mm = film.xray.pixel_mm
    return Image(voxels=stored[None], unit="stored", spacing=(1.0, pixel_mm, pixel_mm), space="detector")


def soft_tissue_attenuation(columns_g_cm2: Mapping[str, Floats], film: Film) -> float:
    """Return the log attenuation, scatter included, that the middle half of the body's rays would have without bone.

    Bone matrix counts as the same volume of water; what the shutter covers does not count.
    Raises `ValueError` when nothing stands in the beam.
    """
    soft = {name: values for name, values in columns_g_cm2.items() if name not in _BONE}
    cm = sum((columns_g_cm2[name] / get_material(name).density for name in _BONE if name in columns_g_cm2), np.zeros(1))
    soft["water"] = soft.get("water", 0.0) + cm
    line = log_attenuation(expose(soft, replace(film.xray, photons=math.inf, blur_mm=0.0), np.random.default_rng(0)))
    line = line[_open(film) > 0.5]
    dense = float(np.percentile(line, 95))
    if dense < 0.01:
        raise ValueError("nothing stands in the beam: the columns are empty")
    return float(np.median(line[line > _BODY * dense]))


def _shown(line: Floats, film: Film, soft: float) -> Floats:
    """Return greys about 0 to 1 of log attenuation `[j, i]`."""
    line = line + film.edges * (line - wide_blur(line, film.edges_mm / film.xray.pixel_mm))
    middle = soft + (0.5 - film.middle) * film.latitude
    sigmoid = displayed(line, middle=middle, latitude=film.latitude / _STEEPNESS)
    straight = np.clip(0.8 * ((line - middle) / film.latitude + 0.5) + 0.7, 0, 1)
    return np.asarray((1 - _TOE) * sigmoid + _TOE * straight)


def _open(film: Film) -> Floats:
    """Return the share of each pixel `[j, i]` that the shutter leaves open."""
    top, bottom, left, right = film.shutter
    j = np.linspace(0, 1, film.rows)[:, None]
    i = np.linspace(0, 1, film.columns)[None, :]
    inside = np.minimum(
        np.minimum(j - top, 1 - bottom - j) * film.rows, np.minimum(i - left, 1 - right - i) * film.columns
    )
    return np.asarray(np.clip(inside / 1.5 + 0.5, 0, 1))


def _shuttered(grey: Floats, film: Film) -> Floats:
    return np.asarray(film.black + (grey - film.black) * _open(film)) if any(film.shutter) else grey


def _marked(grey: Floats, film: Film, side: str | None) -> Floats:
    """Put the letter of the side where an AP view has it: at the left of the picture for R."""
    if film.marker == "none":
        return grey
    if side not in _LETTERS:
        raise ValueError(f"a marker says {' or '.join(_LETTERS)}: give the side; got {side!r}")
    top, _, left, right = film.shutter
    letter = _letter(side, film)
    height, width = letter.shape
    margin = round(film.columns * ((left if side == "R" else right) + _MARKER_EDGE))
    j = round(film.rows * (top + _MARKER_TOP))
    i = margin if side == "R" else film.columns - margin - width
    window = grey[j : j + height, i : i + width]
    window += letter[: window.shape[0], : window.shape[1]] * (0.97 - window)
    return grey


def _letter(side: str, film: Film) -> Floats:
    """Return how much of each pixel `[j, i]` the lead of a marker covers, with round corners."""
    fine, size = 4, max(1, round(film.rows * _MARKER_HEIGHT / 7))
    dots = np.array([[float(c == "1") for c in row] for row in _LETTERS[side]])
    dots = np.kron(np.pad(dots, 2 if film.marker == "boxed" else 1), np.ones((fine * size, fine * size)))
    smooth = np.clip(4 * (gaussian_filter(dots, 0.3 * fine * size) - 0.5) + 0.5, 0, 1)
    rows, columns = (n // fine for n in smooth.shape)
    letter = smooth.reshape(rows, fine, columns, fine).mean(axis=(1, 3))
    return np.asarray(1 - letter if film.marker == "boxed" else letter)
