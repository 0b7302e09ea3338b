"""PyRadiomics 3.0.1's definitions under its names, where the published systems used it.

Van Griethuysen JJM et al., 2017, doi:10.1158/0008-5472.CAN-17-0339. It differs from the standard in this: bins start at
a multiple of their width; kurtosis is not in excess; energy may be shifted; the principal axes divide by N; a voxel
without neighbours counts in the NGTDM; shape has diameters in planes; GLCM has MCC; resampling aligns the corners of
the grids and not their centres, takes the nearest voxel of the mask and splines that are mirrored at the border.
Matrices are symmetric, one for each of 13 directions, and features are averaged over them.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Literal

import numpy as np
from scipy.ndimage import map_coordinates
from scipy.spatial import ConvexHull
from scipy.spatial.distance import pdist

from trabecula.measure.radiomics.aggregation import mean
from trabecula.measure.radiomics.intensity import statistics
from trabecula.measure.radiomics.lattice import HALF_SPACE, Lattice, Step
from trabecula.measure.radiomics.levels import fixed_count, fixed_width_aligned
from trabecula.measure.radiomics.mesh import surface
from trabecula.measure.radiomics.region import Interpolation, Region, Spacing, box_of, checked, near, remade
from trabecula.measure.radiomics.shape import principal_axes
from trabecula.measure.radiomics.texture import LEVEL_AND_SIZE, co_occurrence, level_and_size, tone_difference

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from trabecula.measure.radiomics.settings import Settings
    from trabecula.measure.radiomics.texture import Values

_STATISTICS = {
    "10Percentile": "p10", "90Percentile": "p90", "InterquartileRange": "iqr", "Maximum": "max",
    "MeanAbsoluteDeviation": "mad", "Mean": "mean", "Median": "median", "Minimum": "min", "Range": "range",
    "RobustMeanAbsoluteDeviation": "rmad", "Skewness": "skew", "Variance": "var",
}  # fmt: skip
_PAIRS = {
    "Autocorrelation": "auto_corr", "JointAverage": "joint_avg", "ClusterProminence": "clust_prom",
    "ClusterShade": "clust_shade", "ClusterTendency": "clust_tend", "Contrast": "contrast", "Correlation": "corr",
    "DifferenceAverage": "diff_avg", "DifferenceEntropy": "diff_entr", "DifferenceVariance": "diff_var",
    "JointEnergy": "energy", "JointEntropy": "joint_entr", "Imc1": "info_corr1", "Imc2": "info_corr2",
    "Idm": "inv_diff_mom", "MCC": "max_correlation", "Idmn": "inv_diff_mom_norm", "Id": "inv_diff",
    "Idn": "inv_diff_norm", "InverseVariance": "inv_var", "MaximumProbability": "joint_max", "SumAverage": "sum_avg",
    "SumEntropy": "sum_entr", "SumSquares": "joint_var",
}  # fmt: skip


def _names(small: str, large: str, low_high: str, size: str, variance: str) -> tuple[str, ...]:
    """Name the features of `LEVEL_AND_SIZE` for one class, without its percentage."""
    return (
        f"{small}Emphasis", f"{large}Emphasis", f"LowGrayLevel{low_high}Emphasis", f"HighGrayLevel{low_high}Emphasis",
        *(f"{one}{level}GrayLevelEmphasis" for one in (small, large) for level in ("Low", "High")),
        "GrayLevelNonUniformity", "GrayLevelNonUniformityNormalized", f"{size}NonUniformity",
        f"{size}NonUniformityNormalized", f"{variance}Percentage", "GrayLevelVariance", f"{variance}Variance",
        f"{variance}Entropy",
    )  # fmt: skip


_RUNS = _names("ShortRun", "LongRun", "Run", "RunLength", "Run")
_ZONES = _names("SmallArea", "LargeArea", "Zone", "SizeZone", "Zone")
_DEPENDENCES = _names("SmallDependence", "LargeDependence", "", "Dependence", "Dependence")
_TRIVIAL = ("GrayLevelNonUniformityNormalized", "DependencePercentage")  # of dependences: uniformity, and always 1


def pyradiomics_image(region: Region, settings: Settings) -> dict[str, float]:
    """Return the features of all chosen classes but shape, under `<class>_<Feature>`."""
    box = replace(region, shape_mask=region.mask).cropped()
    values, chosen = box.values, settings.chosen
    levels = (
        fixed_count(values, settings.bin_count)
        if settings.bin_count is not None
        else fixed_width_aligned(values, 25.0 if settings.bin_width is None else settings.bin_width)
    )
    features: dict[str, float] = {}
    if "firstorder" in chosen:
        found = _first_order(values, levels, float(np.prod(box.spacing)), settings.array_shift)
        features |= {f"firstorder_{name}": value for name, value in found.items()}
    grid = np.zeros(box.mask.shape, dtype=np.int64)
    grid[box.mask] = levels
    thick = [n > 1 for n in box.mask.shape]
    steps = [step for step in HALF_SPACE if all(deep or not along for deep, along in zip(thick, step, strict=True))]
    lattice = Lattice.of(grid, int(levels.max()))
    for name in chosen:
        if name in _TEXTURES:
            values_of = _TEXTURES[name](lattice, steps)
            features |= {f"{name}_{feature}": mean(value) for feature, value in values_of.items()}
    return features


def pyradiomics_shape(region: Region) -> dict[str, float]:
    """Return the 14 features of the shape.

    Where the mask was re-segmented, PyRadiomics measures the whole shape, but cuts it at the box around what was kept.
    """
    region = region.cropped()
    kept = box_of(region.mask)
    region = Region(region.intensities[kept], region.shape_mask[kept], region.mask[kept], region.spacing)
    area, volume, vertices = surface(region.shape_mask, region.spacing)
    axes = principal_axes(region.shape_mask, region.spacing, sample=False)
    corners = vertices[ConvexHull(vertices).vertices]
    return {
        "Elongation": axes.minor / axes.major,
        "Flatness": axes.least / axes.major,
        "LeastAxisLength": axes.least,
        "MajorAxisLength": axes.major,
        "Maximum2DDiameterColumn": _widest_plane(vertices, 1),
        "Maximum2DDiameterRow": _widest_plane(vertices, 2),
        "Maximum2DDiameterSlice": _widest_plane(vertices, 0),
        "Maximum3DDiameter": float(pdist(corners).max()),
        "MeshVolume": volume,
        "MinorAxisLength": axes.minor,
        "Sphericity": float(np.cbrt(36 * np.pi * volume**2)) / area,
        "SurfaceArea": area,
        "SurfaceVolumeRatio": area / volume,
        "VoxelVolume": float(region.shape_mask.sum() * np.prod(region.spacing)),
    }


def pyradiomics_resampled(
    region: Region,
    spacing: Spacing,
    *,
    interpolation: Interpolation = "cubic",
    rounded: bool = True,
) -> Region:
    """Interpolate to another spacing in mm along k, j, i as `imageoperations.resampleImage` does.

    The corners of both grids coincide. An axis along which the mask is one voxel thick stays as it is. `rounded` cuts
    intensities to whole numbers, as ITK does when an image of integers is resampled.
    """
    kept = [
        old if new is None or around.stop - around.start == 1 else new
        for old, new, around in zip(region.spacing, checked(spacing), region.box, strict=True)
    ]
    grid: list[NDArray[np.float64]] = []
    for size, old, new in zip(region.intensities.shape, region.spacing, kept, strict=True):
        step = new / old
        count = int(np.ceil(round(size / step, 9)))
        grid.append((step - 1) / 2 + step * np.arange(count, dtype=np.float64))
    source, places = near(region, grid)
    at = np.stack(np.meshgrid(*places, indexing="ij"))
    order: Literal[1, 3] = 1 if interpolation == "linear" else 3
    intensities = map_coordinates(source.intensities, at, order=order, mode="mirror")
    shape_mask = map_coordinates(source.shape_mask.astype(np.uint8), at, order=0, mode="nearest") > 0
    return remade(region, (kept[0], kept[1], kept[2]), np.trunc(intensities) if rounded else intensities, shape_mask)


def _first_order(
    values: NDArray[np.float64], levels: NDArray[np.int64], voxel_mm3: float, shift: float
) -> dict[str, float]:
    found = statistics(values)
    counts = np.bincount(levels)
    share = counts[counts > 0] / len(levels)
    energy = float(np.square(values + shift).sum())
    return {name: found[ours] for name, ours in _STATISTICS.items()} | {
        "Energy": energy,
        "Entropy": float(-(share * np.log2(share)).sum()) + 0.0,
        "Kurtosis": found["kurt"] + 3 if found["var"] else 0.0,
        "RootMeanSquared": float(np.sqrt(energy / len(values))),
        "TotalEnergy": energy * voxel_mm3,
        "Uniformity": float((share**2).sum()),
    }


def _glcm(lattice: Lattice, steps: list[Step]) -> Values:
    found = co_occurrence(lattice.pairs(steps, by_slice=False)[0], lattice.values, lattice.level_count)
    return {name: found[ours] for name, ours in _PAIRS.items()}


def _glrlm(lattice: Lattice, steps: list[Step]) -> Values:
    runs = lattice.runs(steps, by_slice=False)
    return _renamed(level_and_size(runs, runs.direction, len(steps)), _RUNS)


def _glszm(lattice: Lattice, steps: list[Step]) -> Values:
    sizes, _ = lattice.zones(steps)
    return _renamed(level_and_size(sizes, np.zeros_like(sizes.group), 1), _ZONES)


def _gldm(lattice: Lattice, steps: list[Step]) -> Values:
    items = lattice.dependences(steps)
    found = _renamed(level_and_size(items, np.zeros_like(items.group), 1), _DEPENDENCES)
    return {name: value for name, value in found.items() if name not in _TRIVIAL}


def _ngtdm(lattice: Lattice, steps: list[Step]) -> Values:
    distance, neighbours = lattice.differences(steps)
    level = lattice.values[lattice.rank - 1]
    found = tone_difference(np.where(neighbours > 0, distance, 0.0), level, np.zeros_like(level), 1)
    return {name.capitalize(): value for name, value in found.items()}


def _renamed(found: Values, names: tuple[str, ...]) -> Values:
    return {theirs: found[ours] for theirs, ours in zip(names, LEVEL_AND_SIZE, strict=False)}


_TEXTURES = {"glcm": _glcm, "glrlm": _glrlm, "glszm": _glszm, "gldm": _gldm, "ngtdm": _ngtdm}


def _widest_plane(vertices: NDArray[np.float64], axis: int) -> float:
    """Return the largest distance in mm between two vertices that lie in one plane across an axis."""
    order = np.argsort(vertices[:, axis], kind="stable")
    sorted_, flat = vertices[order, axis], np.delete(vertices[order], axis, axis=1)
    planes = np.split(flat, np.flatnonzero(np.diff(sorted_)) + 1)
    reach = [float(np.linalg.norm(np.ptp(plane, axis=0))) for plane in planes]
    widest = 0.0
    for number in np.argsort(reach)[::-1]:
        if reach[number] <= widest:
            break
        widest = max(widest, _farthest(planes[number]))
    return widest


def _farthest(plane: NDArray[np.float64]) -> float:
    """Return the largest distance between points of a plane; only the ends of each row can have it."""
    plane = plane[np.lexsort((plane[:, 1], plane[:, 0]))]
    new_row = np.flatnonzero(np.diff(plane[:, 0])) + 1
    ends = plane[np.unique(np.concatenate([[0, len(plane) - 1], new_row, new_row - 1]))]
    return float(pdist(ends).max()) if len(ends) > 1 else 0.0
