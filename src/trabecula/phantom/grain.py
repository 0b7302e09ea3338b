"""Grain: how trabeculae move density at clinical voxels and grey in projection, without drawing a single strut.

The covariance of the struts of `trabeculae.network` follows from that of its fields in closed form, and its spectrum
from that. A field with this spectrum, averaged over voxels or along a beam, is the network as a scanner sees it: SD and
range have no free number but the size of cells, with which they lie within those of real lumbar CT (see the tests).
Random numbers are drawn first and shaped then, so that another density leaves the arrangement as it is.
"""

from __future__ import annotations

from functools import lru_cache
from itertools import product
from typing import TYPE_CHECKING

import numpy as np
from scipy.fft import dctn, irfftn, rfftn
from scipy.ndimage import map_coordinates
from scipy.optimize import brentq
from scipy.special import ndtr

from trabecula.phantom.trabeculae import ANISOTROPY, LEVEL, UPRIGHT, network, shell, stretch

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.random import Generator
    from numpy.typing import ArrayLike, NDArray

    Floats = NDArray[np.float64]
    Voxels = NDArray[np.float32]

CELL_MM = 1.25
"""Cells of vertebrae and the ends of long bones: trabeculae some 0.8 mm apart, as in micro-CT; ours."""
USUAL_ANISOTROPY = 1.5
"""Degree of anisotropy where transverse struts are as thick as columns; vertebrae have 1.2 to 2.0, recalled."""
_TISSUE_MG_CM3 = 1000.0  # hydroxyapatite in a strut: 900 to 1,100; ours
_TERMS = 120  # of Mehler's series
_FINE_MM = 0.3  # of grids as fine as that, next to nothing is folded in
_TABLE_CELLS, _PER_CELL = (10, 6), 8  # how far covariance is followed along and across the load, and how finely


def density_field(
    rng: Generator,
    shape: tuple[int, int, int],
    spacing_mm: tuple[float, float, float],
    *,
    vbmd: float,
    axial: float = 0.0,
    cell_mm: float = CELL_MM,
    axis: int = 0,
) -> Voxels:
    """Return local trabecular density over its mean `[k, j, i]`, in bone of `vbmd` mg/cm³ hydroxyapatite.

    `axis` is the direction of load, `axial` the SD of anisotropy about the usual. All values are above 0, their mean
    is 1. Opposite sides fit each other.
    Raises `ValueError` for a density that no trabecular bone has, or a length that is not positive.
    """
    struts = _struts(vbmd, axial, cell_mm, axis)
    white = rng.standard_normal(shape, dtype=np.float32)
    return _made(white, spacing_mm, struts)


def projected_field(
    rng: Generator,
    shape: tuple[int, int],
    pixel_mm: float,
    *,
    vbmd: float,
    depth_mm: float,
    axial: float = 0.0,
    cell_mm: float = CELL_MM,
    axis: int = 0,
) -> Voxels:
    """Return the mean over a beam through `depth_mm` of bone of local density over its mean, `[j, i]`.

    The spectrum of a projection is a plane through the spectrum of the volume (slice theorem). `axis` is the direction
    of load, 0 for j or 1 for i. Elsewhere than at `depth_mm`, what differs from 1 goes with the inverse root of depth.
    Raises `ValueError` as `density_field` does, and for a depth of less than two cells.
    """
    _check_depth(depth_mm, cell_mm)
    struts = _struts(vbmd, axial, cell_mm, axis)
    white = rng.standard_normal(shape, dtype=np.float32)

    def spectrum(places: Sequence[Floats]) -> Floats:
        return np.asarray(struts((*places, np.zeros(()))) / depth_mm)

    return _made(white, (pixel_mm, pixel_mm), spectrum)


def projected_network(
    rng: Generator,
    shape: tuple[int, int],
    pixel_mm: float,
    *,
    vbmd: float,
    depth_mm: float,
    axial: float = 0.0,
    cell_mm: float = CELL_MM,
    axis: int = 0,
) -> Voxels:
    """Return what `projected_field` does, by drawing every strut and adding them up along the beam.

    For some mm of bone at pixels of a tenth, where single struts are seen, as in the jaw: 2 s for 8 mm and 300 x 400.
    Raises `ValueError` as `projected_field` does, and for pixels above an eighth of a cell.
    """
    _check_depth(depth_mm, cell_mm)
    slices = int(np.ceil(8 * depth_mm / cell_mm))
    struts = network(
        rng,
        (shape[0], shape[1], slices),
        (pixel_mm, pixel_mm, depth_mm / slices),
        bv_tv=bone_share(vbmd),
        cell_mm=cell_mm,
        anisotropy=_anisotropy(axial),
        transverse=transverse_at(vbmd),
        axis=axis,
    )
    crossed = struts.mean(axis=2, dtype=np.float32)
    return np.asarray(crossed / crossed.mean())


def vertebral_trend(up: ArrayLike, front: ArrayLike) -> Floats:
    """Return density over its mean in a vertebral body, by place: dense by the endplates, sparse high up in front.

    `up` grows from -1 at the lower endplate to 1 at the upper, `front` from -1 at the back wall to 1 at the front;
    places beyond count as the border. The mean over the square is 1.
    After regional micro-CT (Hulme and others, Bone 2007, 41:946): recalled, approximate.
    """
    high, ahead = (np.clip(np.asarray(place, dtype=np.float64), -1, 1) for place in (up, front))
    return np.asarray(1 + 0.30 * (high**4 - 1 / 5) - 0.06 * high - 0.08 * ahead - 0.06 * high * ahead)


def _check_depth(depth_mm: float, cell_mm: float) -> None:
    if not depth_mm >= 2 * cell_mm:
        raise ValueError(f"a beam crosses at least two cells, {2 * cell_mm} mm of bone; got {depth_mm} mm")


def _anisotropy(axial: float) -> float:
    return float(np.clip(USUAL_ANISOTROPY * 1.1**axial, *ANISOTROPY))


def bone_share(vbmd: float) -> float:
    """Return the BV/TV of trabecular bone of `vbmd` mg/cm³ hydroxyapatite.

    Raises `ValueError` for a density that no trabecular bone has.
    """
    if not 0 < vbmd <= 800:
        raise ValueError(f"trabecular bone holds more than 0 and up to 800 mg/cm3 of hydroxyapatite; got {vbmd}")
    return float(np.clip(vbmd / _TISSUE_MG_CM3, 0.02, 0.6))


def transverse_at(vbmd: float) -> float:
    """Return how thick level walls are over upright ones: less in sparse bone, which loses transverse struts first.

    Alike from 160 mg/cm³ hydroxyapatite on, half at 60; ours.
    """
    return float(np.clip((vbmd / 160) ** 0.7, 0.3, 1.0))


def strut_covariance(bv_tv: float, transverse: float, upright: Floats, level: Floats) -> Floats:
    """Return the covariance of bone at two places, from the correlations there of fields of upright and level walls.

    With q the chance that a field lies between its cuts at one place and Q that it does at both, bone is at both
    places where all three fields do, or two, or one and each of the others at a place of its own.
    """
    cut = float(brentq(lambda c: float(_two_of_three(_between(c), _between(transverse * c))) - bv_tv, 1e-6, 8))
    one, other = _both(cut, upright), _both(transverse * cut, level)
    alone, other_alone = _between(cut) - one, _between(transverse * cut) - other
    met = _two_of_three(one, other) + 2 * other * alone**2 + 4 * one * alone * other_alone
    return np.asarray(met - bv_tv**2)


def _between(cut: float) -> float:
    """Return the chance that a field lies between its cuts."""
    return float(2 * ndtr(cut) - 1)


def _two_of_three(upright: ArrayLike, level: ArrayLike) -> Floats:
    """Return the chance of at least two of three events, of which two are equally likely."""
    a, b = np.asarray(upright, dtype=np.float64), np.asarray(level, dtype=np.float64)
    return np.asarray(a * a + 2 * a * b * (1 - a))


def _both(cut: float, correlation: Floats) -> Floats:
    """Return the chance that a field lies between its cuts at two places: Mehler's series in Hermite polynomials."""
    rho = np.linspace(-1, 1, 2001)
    height = np.exp(-(cut**2) / 2) / np.sqrt(2 * np.pi)
    before, here, both = 1.0, cut, np.full_like(rho, _between(cut) ** 2)
    for n in range(2, _TERMS, 2):
        both += (2 * height * here) ** 2 / n * rho**n
        for m in (n - 1, n):
            before, here = here, (cut * here - np.sqrt(m) * before) / np.sqrt(m + 1)
    return np.interp(correlation, rho, both)


def _struts(vbmd: float, axial: float, cell_mm: float, axis: int) -> Callable[[Sequence[Floats]], Floats]:
    """Return the spectrum in mm³ of struts over their mean, a function of frequencies in 1/mm along three axes."""
    if not cell_mm > 0:
        raise ValueError(f"cells are larger than 0 mm; got {cell_mm}")
    table = _table(round(bone_share(vbmd), 3), round(transverse_at(vbmd), 2))
    cells = cell_mm * stretch(_anisotropy(axial), axis)
    steps = 2 * np.array(_TABLE_CELLS, dtype=np.float64)

    def spectrum(places: Sequence[Floats]) -> Floats:
        squares = [(place * cell) ** 2 for place, cell in zip(places, cells, strict=True)]
        along = np.sqrt(squares.pop(axis)) * steps[0]
        across = np.sqrt(squares[0] + squares[1]) * steps[1]
        at = np.broadcast_arrays(along, across)
        return np.asarray(cell_mm**3 * map_coordinates(table, at, order=1, mode="constant"))

    return spectrum


@lru_cache(maxsize=128)
def _table(bv_tv: float, transverse: float) -> Floats:
    """Return the spectrum of struts over their mean in cells³, `[f, f]` along and across the load, without stretch.

    Frequencies per cell are 0, 1, 2, ... over twice `_TABLE_CELLS`. Covariance and spectrum are even, so that cosine
    transforms of an octant do.
    """
    sizes = [cells * _PER_CELL for cells in (_TABLE_CELLS[0], _TABLE_CELLS[1], _TABLE_CELLS[1])]
    frequencies = [np.arange(size + 1) * _PER_CELL / (2 * size) for size in sizes]
    upright, level = (dctn(shell(frequencies, waves), type=1) for waves in (UPRIGHT, LEVEL))
    covariance = strut_covariance(bv_tv, transverse, upright / upright[0, 0, 0], level / level[0, 0, 0])
    spectrum = dctn(covariance, type=1)[:, 0] / (_PER_CELL**3 * bv_tv**2)
    return np.asarray(np.maximum(spectrum, 0.0))


def _made(white: Voxels, spacing_mm: Sequence[float], spectrum: Callable[[Sequence[Floats]], Floats]) -> Voxels:
    """Return a field of mean 1 and of a spectrum, averaged over voxels; waves too short for the grid are folded in.

    Its logarithm is Gaussian, so that no density falls below 0.
    """
    if not all(mm > 0 for mm in spacing_mm):
        raise ValueError(f"voxels are longer than 0 mm along every axis; got {tuple(spacing_mm)}")
    along: list[Floats] = [np.fft.fftfreq(size).astype(np.float64) for size in white.shape]
    along[-1] = np.fft.rfftfreq(white.shape[-1]).astype(np.float64)
    power = np.zeros([len(places) for places in along])
    for turns in product(*([-1, 0, 1] if mm > _FINE_MM else [0] for mm in spacing_mm)):
        folded = np.ix_(*(places + turn for places, turn in zip(along, turns, strict=True)))
        seen = spectrum([places / mm for places, mm in zip(folded, spacing_mm, strict=True)])
        for places in folded:
            seen = seen * np.sinc(places) ** 2
        power += seen
    power /= np.prod(spacing_mm)
    power.flat[0] = 0.0
    made = irfftn(rfftn(white) * np.sqrt(power, dtype=np.float32), s=white.shape)
    variance = _mean_over_all(power, white.shape[-1])
    local = np.exp(made * np.float32(np.sqrt(np.log1p(variance) / variance)))
    return np.asarray(local / local.mean(), dtype=np.float32)


def _mean_over_all(power: Floats, columns: int) -> float:
    """Return the mean of a spectrum of which only half of the last axis is kept."""
    times = np.full(power.shape[-1], 2.0)
    times[0] = 1.0
    if columns % 2 == 0:
        times[-1] = 1.0
    return float((power * times).sum() / (power[..., 0].size * columns))
