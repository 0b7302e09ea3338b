"""Morphology: the shape of a region, and where in it its intensities lie.

Section 3.1 of the reference manual of the Image Biomarker Standardisation Initiative (arXiv:1612.07003v11). Lengths are
in mm, areas in mm2, volumes in mm3.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from scipy.fft import irfftn, next_fast_len, rfftn
from scipy.spatial import ConvexHull
from scipy.spatial.distance import pdist

from trabecula.measure.radiomics.mesh import surface

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from trabecula.measure.radiomics.region import Region


class Axes(NamedTuple):
    """Lengths of the principal axes of the voxel centres in mm: four standard deviations along each."""

    major: float
    minor: float
    least: float


def principal_axes(mask: NDArray[np.bool_], spacing: tuple[float, float, float], *, sample: bool = True) -> Axes:
    """Return the axes of the ellipsoid that has the covariance of the voxel centres (3.1.11 to 3.1.13).

    The consensus values are those of the sample covariance, over N - 1. PyRadiomics divides by N: `sample=False`.
    """
    centres = np.argwhere(mask) * np.array(spacing)
    centres -= centres.mean(axis=0)
    covariance = centres.T @ centres / (len(centres) - sample)
    least, minor, major = 4 * np.sqrt(np.maximum(np.linalg.eigvalsh(covariance), 0.0))
    return Axes(float(major), float(minor), float(least))


def morphology(region: Region) -> dict[str, float]:
    """Return the 29 features of 3.1 under their IBSI tags.

    The box and the ellipsoid of least volume (OMBB, MVEE) are not standardised: the box has one side on a face of the
    convex hull, the ellipsoid is Khachiyan's to 1 %. A density that is not defined, as in a region one voxel thick
    whose ellipsoid has no volume, is infinite here.
    """
    area, volume, vertices = surface(region.shape_mask, region.spacing)
    axes = principal_axes(region.shape_mask, region.spacing)
    hull = ConvexHull(vertices)
    corners = vertices[hull.vertices]
    sphere = 36 * np.pi * volume**2
    features = {
        "morph_volume": volume,
        "morph_vol_approx": float(region.shape_mask.sum() * np.prod(region.spacing)),
        "morph_area_mesh": area,
        "morph_av": area / volume,
        "morph_comp_1": volume / (np.sqrt(np.pi) * area**1.5),
        "morph_comp_2": sphere / area**3,
        "morph_sph_dispr": area / np.cbrt(sphere),
        "morph_sphericity": np.cbrt(sphere) / area,
        "morph_asphericity": np.cbrt(area**3 / sphere) - 1,
        "morph_com": _shift_of_mass(region),
        "morph_diam": float(pdist(corners).max()),
        "morph_pca_maj_axis": axes.major,
        "morph_pca_min_axis": axes.minor,
        "morph_pca_least_axis": axes.least,
        "morph_pca_elongation": axes.minor / axes.major,
        "morph_pca_flatness": axes.least / axes.major,
        "morph_integ_int": volume * float(region.values.mean()),
    }
    half = (axes.major / 2, axes.minor / 2, axes.least / 2)
    enclosing = {
        "aabb": _box(np.ptp(vertices, axis=0)),
        "ombb": _box(least_box(corners, hull)),
        "aee": _ellipsoid(half),
        "mvee": _ellipsoid(least_ellipsoid(corners)),
        "conv_hull": (float(hull.volume), float(hull.area)),
    }
    with np.errstate(divide="ignore"):
        for name, (its_volume, its_area) in enclosing.items():
            features[f"morph_vol_dens_{name}"] = float(np.float64(volume) / its_volume)
            features[f"morph_area_dens_{name}"] = float(np.float64(area) / its_area)
    return {name: float(value) for name, value in features.items()} | _autocorrelation(region)


def _shift_of_mass(region: Region) -> float:
    """Return how far the centre of the intensities is from that of the shape, in mm (3.1.9)."""
    scale = np.array(region.spacing)
    geometric = np.argwhere(region.shape_mask).mean(axis=0) * scale
    weights = region.values
    with np.errstate(divide="ignore", invalid="ignore"):
        weighted = weights @ (np.argwhere(region.mask) * scale) / weights.sum()
    return float(np.linalg.norm(weighted - geometric))


def _autocorrelation(region: Region) -> dict[str, float]:
    """Return Moran's I and Geary's C over all pairs of voxels, weighted by 1 / distance in mm (3.1.28, 3.1.29).

    The sum over pairs is a convolution of the region with 1 / distance, so it is exact at any size.
    """
    box = region.cropped()
    away = np.where(box.mask, box.intensities - box.values.mean(), 0.0)
    size = [next_fast_len(2 * n - 1, real=True) for n in away.shape]
    lags = np.meshgrid(*(np.fft.fftfreq(n, 1 / n) * s for n, s in zip(size, box.spacing, strict=True)), indexing="ij")
    distance = np.sqrt(sum(lag**2 for lag in lags))
    weight = np.divide(1, distance, out=np.zeros_like(distance), where=distance > 0)
    spectrum = rfftn(weight)

    def around(field: NDArray[np.float64]) -> NDArray[np.float64]:
        blurred = irfftn(spectrum * rfftn(field, size), size)
        return np.asarray(blurred[tuple(slice(n) for n in field.shape)][box.mask])

    values = away[box.mask]
    number, spread = len(values), values @ values
    near, weights = around(away), around(box.mask.astype(float))
    product = values @ near
    squares = 2 * (values**2 @ weights - product)
    return {
        "morph_moran_i": float(number * product / (weights.sum() * spread)),
        "morph_geary_c": float((number - 1) * squares / (2 * weights.sum() * spread)),
    }


def least_box(corners: NDArray[np.float64], hull: ConvexHull) -> NDArray[np.float64]:
    """Return the sides in mm of the smallest box that has a side on a face of the hull (3.1.23)."""
    normals = np.unique(np.round(hull.equations[:, :3], 6), axis=0)
    normals = normals[normals[np.arange(len(normals)), np.abs(normals).argmax(axis=1)] > 0]
    best: NDArray[np.float64] = np.ptp(corners, axis=0)
    for normal in normals:
        first = np.cross(normal, np.eye(3)[np.abs(normal).argmin()])
        first /= np.linalg.norm(first)
        flat = corners @ np.stack([first, np.cross(normal, first)], axis=1)
        outline = flat[ConvexHull(flat).vertices]
        along = np.diff(outline, axis=0, append=outline[:1])
        along /= np.linalg.norm(along, axis=1, keepdims=True)
        sides = np.stack(
            [np.ptp(outline @ along.T, axis=0), np.ptp(outline @ np.stack([-along[:, 1], along[:, 0]]), axis=0)]
        )
        smallest = sides[:, np.prod(sides, axis=0).argmin()]
        box = np.array([np.ptp(corners @ normal), *smallest])
        if np.prod(box) < np.prod(best):
            best = box
    return best


def least_ellipsoid(corners: NDArray[np.float64], tolerance: float = 0.01) -> tuple[float, float, float]:
    """Return the half axes in mm of the smallest ellipsoid around points `[point, 3]`, by Khachiyan's algorithm.

    Todd MJ, Yıldırım EA, 2007, doi:10.1016/j.dam.2007.02.013.
    """
    n, d = corners.shape
    lifted = np.vstack([corners.T, np.ones(n)])
    weight = np.full(n, 1 / n)
    for _ in range(10_000):
        spread = np.einsum("ij,ji->i", lifted.T, np.linalg.solve((lifted * weight) @ lifted.T, lifted))
        furthest = spread.argmax()
        excess = spread[furthest] / (d + 1) - 1
        if excess < tolerance:
            break
        step = excess / (spread[furthest] - 1)
        weight *= 1 - step
        weight[furthest] += step
    centre = corners.T @ weight
    covariance = (corners.T * weight) @ corners - np.outer(centre, centre)
    a, b, c = np.sqrt(d * np.linalg.eigvalsh(covariance) * (1 + max(excess, 0.0)))
    return float(a), float(b), float(c)


def _box(sides: NDArray[np.float64]) -> tuple[float, float]:
    """Return volume and area."""
    a, b, c = sides
    return float(a * b * c), float(2 * (a * b + b * c + c * a))


def _ellipsoid(half_axes: tuple[float, float, float]) -> tuple[float, float]:
    """Return volume and area, the area as the manual defines it (3.1.25): 20 terms of a series in Legendre polynomials.

    The series is not quite an ellipsoid's area (of half axes 5.7, 4.7 and 4.3 it is 4 % too small; Carlson's integral
    gives the area), but the consensus values are the series'.
    """
    a, b, c = sorted(half_axes, reverse=True)
    alpha, beta = np.sqrt(1 - (b / a) ** 2), np.sqrt(1 - (c / a) ** 2)
    middle, product = (alpha**2 + beta**2) / 2, (alpha * beta) ** 2
    before, term, total = 0.0, 1.0, 0.0
    for order in range(21):
        total += term / (1 - 4 * order**2)
        before, term = term, ((2 * order + 1) * middle * term - order * product * before) / (order + 1)
    return float(4 / 3 * np.pi * a * b * c), float(4 * np.pi * a * b * total)
