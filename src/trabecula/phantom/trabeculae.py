"""Trabeculae: networks of struts from Gaussian random fields, fine enough for micro-CT.

Where a field lies between two cuts, |f| < c, are the curved walls of a foam. Struts run where two walls meet: of three
fields two make upright walls and one level ones, and bone is where at least two of them lie between their cuts. Upright
walls meet in columns, which run along the load, level ones give the transverse struts between them. Where all three
meet, six struts part: so the network hangs together however thin they get, where one field with one cut falls into
islands below a BV/TV of 0.15.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from scipy.fft import irfftn, rfftn

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.random import Generator
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]
    Voxels = NDArray[np.float32]
    Solid = NDArray[np.bool_]

BANDWIDTH = 0.2
"""SD of a field's frequencies over their middle: how alike cells are."""
UPRIGHT, LEVEL = np.array([4.0, 1.0, 1.0]), np.array([1.0, 2.0, 2.0])
"""Waves of fields in cells, first along the load: how straight walls are. Columns are straighter than struts."""
_ANISOTROPY_TO_STRETCH = (1.47, -0.93)  # fitted to degrees of 1.15 to 2 of networks; ours


def network(
    rng: Generator,
    shape: tuple[int, int, int],
    voxel_mm: float,
    *,
    bv_tv: float,
    cell_mm: float,
    anisotropy: float = 1.5,
    transverse: float = 1.0,
    axis: int = 0,
) -> Solid:
    """Return a network of trabeculae `[k, j, i]` whose share of bone is `bv_tv` to the voxel.

    `cell_mm` is the distance of every other upright wall, before stretch. `axis` is the direction of load, `anisotropy`
    the degree of anisotropy (of mean intercept lengths) about it where level walls are as thick as upright ones;
    `transverse` is how thick they are, and where they are thinner, anisotropy is higher.
    Opposite sides fit each other. The same `rng` with other numbers gives the same arrangement.
    Raises `ValueError` for numbers that no bone has, or cells of less than 8 voxels.
    """
    limits = {"bv_tv": (bv_tv, 0.01, 0.9), "anisotropy": (anisotropy, 1.15, 3.0), "transverse": (transverse, 0.1, 2.0)}
    for name, (value, low, high) in limits.items():
        if not low <= value <= high:
            raise ValueError(f"a network's {name} lies between {low} and {high}; got {value}")
    if not (voxel_mm > 0 and cell_mm >= 8 * voxel_mm):
        raise ValueError(f"cells of {cell_mm} mm cannot be drawn with voxels of {voxel_mm} mm: take an eighth or less")
    cells = stretch(anisotropy, axis) * cell_mm / voxel_mm
    upright, level = (cells * np.roll(waves, axis) for waves in (UPRIGHT, LEVEL))
    one, two, three = (np.abs(_field(rng, shape, waves)) for waves in (upright, upright, level))
    three /= np.float32(transverse)
    values = np.maximum(np.minimum(one, two), np.minimum(np.maximum(one, two), three))
    count = max(round(bv_tv * values.size), 1)
    return np.asarray(values <= np.partition(values, count - 1, axis=None)[count - 1])


def stretch(anisotropy: float, axis: int) -> Floats:
    """Return how many times longer than usual cells are along k, j and i, for a degree of anisotropy along an axis.

    The volume of cells stays. Unstretched walls have a degree of 1.3, as columns are straight.
    """
    slope, start = _ANISOTROPY_TO_STRETCH
    factor = start + slope * anisotropy
    return np.asarray(np.where(np.arange(3) == axis, factor ** (2 / 3), factor ** (-1 / 3)))


def _field(rng: Generator, shape: tuple[int, int, int], waves: Floats) -> Voxels:
    """Return a Gaussian random field `[k, j, i]` of SD 1 whose waves are so many voxels long along k, j and i."""
    white = rng.standard_normal(shape, dtype=np.float32)
    frequencies = [np.fft.fftfreq(shape[0]), np.fft.fftfreq(shape[1]), np.fft.rfftfreq(shape[2])]
    passed = np.sqrt(shell(frequencies, waves)).astype(np.float32)
    made: Voxels = irfftn(rfftn(white) * passed, s=shape)
    return np.asarray(made / made.std())


def shell(frequencies: Sequence[NDArray[np.floating]], waves: Floats) -> Floats:
    """Return the power of a field at frequencies along k, j and i: a shell, an ellipsoid where waves differ."""
    squares = np.ix_(*((wave * each) ** 2 for wave, each in zip(waves, frequencies, strict=True)))
    distance = np.sqrt(squares[0] + squares[1] + squares[2])
    return np.asarray(np.exp(-(((distance - 1) / BANDWIDTH) ** 2)) * (distance > 0))
