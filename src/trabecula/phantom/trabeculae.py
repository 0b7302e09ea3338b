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

from trabecula.phantom.microstructure import fabric, mean_intercepts

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.random import Generator
    from numpy.typing import NDArray

    from trabecula.phantom.microstructure import Microstructure

    Floats = NDArray[np.float64]
    Voxels = NDArray[np.float32]
    Solid = NDArray[np.bool_]

BANDWIDTH = 0.2
"""SD of a field's frequencies over their middle: how alike cells are."""
UPRIGHT, LEVEL = np.array([4.0, 1.0, 1.0]), np.array([1.0, 2.0, 2.0])
"""Waves of fields in cells, first along the load: how straight walls are. Columns are straighter than struts."""
ANISOTROPY = (1.15, 3.0)
"""Degrees of anisotropy that networks can have."""
_CORRECTIONS, _DAMPED = 4, 0.7
_ANISOTROPY_TO_STRETCH = (1.18, -0.59)  # fitted to networks with degrees of 1.2 to 2.3; ours
_SPACING_IN_CELLS = ((0.08, 0.12, 0.187, 0.30), (0.650, 0.611, 0.563, 0.502))  # by BV/TV, means of three networks; ours


def network(
    rng: Generator,
    shape: tuple[int, int, int],
    voxel_mm: float | tuple[float, float, float],
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
    The same `rng` with another `bv_tv` or `transverse` gives the same arrangement.
    Raises `ValueError` for numbers that no bone has, or cells of less than 8 voxels.
    """
    limits = {
        "bv_tv": (bv_tv, 0.01, 0.9),
        "anisotropy": (anisotropy, *ANISOTROPY),
        "transverse": (transverse, 0.1, 2.0),
    }
    for name, (value, low, high) in limits.items():
        if not low <= value <= high:
            raise ValueError(f"a network's {name} lies between {low} and {high}; got {value}")
    voxels = np.broadcast_to(np.asarray(voxel_mm, dtype=np.float64), 3)
    if not (voxels.min() > 0 and cell_mm >= 8 * voxels.max() * (1 - 1e-9)):
        raise ValueError(f"cells of {cell_mm} mm cannot be drawn with voxels of {voxel_mm} mm: take an eighth or less")
    cells = stretch(anisotropy, axis) * cell_mm / voxels
    upright, level = (cells * np.roll(waves, axis) for waves in (UPRIGHT, LEVEL))
    one, two, three = (np.abs(_field(rng, shape, waves)) for waves in (upright, upright, level))
    three /= np.float32(transverse)
    values = np.maximum(np.minimum(one, two), np.minimum(np.maximum(one, two), three))
    count = max(round(bv_tv * values.size), 1)
    return np.asarray(values <= np.partition(values, count - 1, axis=None)[count - 1])


def matched(
    rng: Generator, shape: tuple[int, int, int], voxel_mm: float, *, like: Microstructure, axis: int = 0
) -> Solid:
    """Return a network `[k, j, i]` with the BV/TV, spacing and anisotropy of a measured volume.

    Thickness follows from these, as networks have one structure, which real bone shares at usual BV/TV. A volume of
    few cells is anisotropic by chance too: what is made is measured, and stretched anew, so that it has the degree.
    Raises `ValueError` as `network` does.
    """
    seed = int(rng.integers(2**63))
    cell_mm = like.spacing_mm / spacing_in_cells(like.bv_tv)
    low, high = ANISOTROPY
    asked = float(np.clip(like.anisotropy, low, high))

    def drawn() -> Solid:
        return network(
            np.random.default_rng(seed), shape, voxel_mm, bv_tv=like.bv_tv, cell_mm=cell_mm, anisotropy=asked, axis=axis
        )

    made = drawn()
    for _ in range(_CORRECTIONS):
        found, _longest = fabric(mean_intercepts(made, voxel_mm))
        asked = float(np.clip(asked * (like.anisotropy / found) ** _DAMPED, low, high))
        made = drawn()
    return made


def spacing_in_cells(bv_tv: float) -> float:
    """Return the mean spacing of trabeculae (Tb.Sp) over the size of cells; measured on networks, ours."""
    return float(np.interp(bv_tv, *_SPACING_IN_CELLS))


def stretch(anisotropy: float, axis: int) -> Floats:
    """Return how many times longer than usual cells are along k, j and i, for a degree of anisotropy along an axis.

    The volume of cells stays. Unstretched walls have a degree of 1.35, as columns are straight.
    """
    slope, start = _ANISOTROPY_TO_STRETCH
    factor = start + slope * anisotropy
    return np.asarray(np.where(np.arange(3) == axis, factor ** (2 / 3), factor ** (-1 / 3)))


def _field(rng: Generator, shape: tuple[int, int, int], waves: Floats) -> Voxels:
    """Return a Gaussian random field `[k, j, i]` of SD 1 whose waves are so many voxels long along k, j and i.

    It is cut from one of at least two waves along each axis, as in less than that no wave would fit; a power of two
    of voxels, so that somewhat longer waves get the same random numbers.
    """
    k, j, i = (max(size, 2 ** int(np.ceil(np.log2(2 * wave)))) for size, wave in zip(shape, waves, strict=True))
    white = rng.standard_normal((k, j, i), dtype=np.float32)
    frequencies = [np.fft.fftfreq(k), np.fft.fftfreq(j), np.fft.rfftfreq(i)]
    passed = np.sqrt(shell(frequencies, waves)).astype(np.float32)
    made: Voxels = irfftn(rfftn(white) * passed, s=(k, j, i))
    return np.asarray(made[: shape[0], : shape[1], : shape[2]] / made.std())


def shell(frequencies: Sequence[NDArray[np.floating]], waves: Floats) -> Floats:
    """Return the power of a field at frequencies along k, j and i: a shell, an ellipsoid where waves differ."""
    squares = np.ix_(*((wave * each) ** 2 for wave, each in zip(waves, frequencies, strict=True)))
    distance = np.sqrt(squares[0] + squares[1] + squares[2])
    return np.asarray(np.exp(-(((distance - 1) / BANDWIDTH) ** 2)) * (distance > 0))
