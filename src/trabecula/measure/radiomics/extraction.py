"""From an image and a mask to features: resample, re-segment, filter, discretise, measure.

The order is that of figure 2 of the reference manual of the Image Biomarker Standardisation Initiative
(arXiv:1612.07003v11).
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from trabecula.measure.radiomics.aggregation import TEXTURES, textures
from trabecula.measure.radiomics.filters import laplacian_of_gaussian, wavelets
from trabecula.measure.radiomics.intensity import (
    PEAK_RADIUS_MM,
    histogram,
    intensity_volume,
    local_peaks,
    statistics,
)
from trabecula.measure.radiomics.levels import fixed_count, fixed_width, whole
from trabecula.measure.radiomics.pyradiomics import pyradiomics_image, pyradiomics_resampled, pyradiomics_shape
from trabecula.measure.radiomics.region import Region, region_of, resampled, varied
from trabecula.measure.radiomics.settings import Settings
from trabecula.measure.radiomics.shape import morphology

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from numpy.typing import NDArray

    from trabecula.image import Image

Range = tuple[float, float]
_DEFAULT = Settings(bin_width=25.0)


def extract(image: Image, mask: Image, *, settings: Settings = _DEFAULT, label: int | None = None) -> dict[str, float]:
    """Measure the radiomics features of `image` where `mask` is not 0, or where it is `label`.

    Names are the IBSI tags (`morph_volume`, `cm_contrast_3D_avg`), with a filter before them where one was applied
    (`wavelet-LLH_stat_mean`); or PyRadiomics's (`original_glcm_Contrast`). Lengths are in mm, intensities in the unit
    of the image. Shape is measured once, on the unfiltered image.

    A feature that is not defined for this region is absent, never NaN or 0: `stat_cov` at a mean of 0, densities in an
    ellipsoid without volume. Where the standard itself gives a value to a region of one grey level (correlation 1,
    coarseness 10^6, contrast 0) it has that value.

    Raises `ValueError` that says which: image and mask that do not match, an unknown spacing, an empty mask, one
    voxel, one value, several labels, nothing left after re-segmentation, too many grey levels.
    """
    whole_region = region_of(image, mask, label=label)
    features: dict[str, float] = {}
    if settings.spacing_mm is not None:
        resample = pyradiomics_resampled if settings.definitions == "pyradiomics" else resampled
        whole_region = resample(
            whole_region, settings.spacing_mm, interpolation=settings.interpolation, rounded=settings.rounded
        )
    whole_region = varied(whole_region.resegmented(settings.keep_within, outliers_sd=settings.keep_within_sd))
    if settings.definitions == "pyradiomics":
        if "shape" in settings.chosen:
            features |= {f"original_shape_{name}": value for name, value in pyradiomics_shape(whole_region).items()}
        for name, filtered in _images(whole_region, settings):
            found = pyradiomics_image(filtered, settings)
            features |= {f"{name}_{feature}": value for feature, value in found.items()}
    else:
        if "morph" in settings.chosen:
            features |= morphology(whole_region.cropped())
        for name, filtered in _images(whole_region, settings):
            prefix, within = ("", settings.keep_within) if name == "original" else (f"{name}_", None)
            features |= {f"{prefix}{tag}": value for tag, value in _of_image(filtered, settings, within).items()}
    return {name: value for name, value in features.items() if math.isfinite(value)}


def record(image: Image, mask: Image, *, settings: Mapping[str, Any], label: int | None = None) -> NDArray[np.void]:
    """Return `extract` as one row of a named array, with settings as plain JSON: what `cache.remember` can keep.

    `remember(record, image, mask, settings={"settings": asdict(settings)}, package="trabecula.measure")`. Raises
    `ValueError` as `extract`.
    """
    features = extract(image, mask, settings=Settings.of(settings), label=label)
    return np.array([tuple(features.values())], dtype=[(name, np.float64) for name in features])


def _images(whole_region: Region, settings: Settings) -> Iterator[tuple[str, Region]]:
    for filter_ in settings.filters:
        if filter_ == "original":
            yield "original", whole_region
        elif filter_ == "wavelet":
            for band, filtered in wavelets(whole_region).items():
                yield f"wavelet-{band}", filtered
        else:
            for sigma in settings.log_sigma_mm:
                name = f"log-sigma-{float(sigma)}-mm-3D".replace(".", "-")
                yield name, laplacian_of_gaussian(whole_region, sigma)


def _of_image(filtered: Region, settings: Settings, within: Range | None) -> dict[str, float]:
    """Return all but the shape; bins start from the lower end of `within`, where the image still has its unit."""
    chosen = settings.chosen
    features: dict[str, float] = {}
    if "loc" in chosen:
        features |= local_peaks(filtered.cropped(PEAK_RADIUS_MM))
    box = filtered.cropped()
    values = box.values
    if "stat" in chosen:
        features |= {f"stat_{name}": value for name, value in statistics(values).items()}
    if "ivh" in chosen:
        found = intensity_volume(
            values,
            bin_width=settings.ivh_bin_width,
            bin_count=settings.ivh_bin_count,
            within=within,
        )
        features |= {f"ivh_{name}": value for name, value in found.items()}
    families = [family for family in TEXTURES if family in chosen]
    if not families and "ih" not in chosen:
        return features
    levels, level_count = _discretised(values, settings, within)
    if "ih" in chosen:
        features |= {f"ih_{name}": value for name, value in histogram(levels, level_count).items()}
    if families:
        grid = np.zeros(box.mask.shape, dtype=np.int64)
        grid[box.mask] = levels
        features |= textures(grid, level_count, box.shape_mask, families=families, aggregations=settings.aggregations)
    return features


def _discretised(
    values: NDArray[np.float64], settings: Settings, within: Range | None
) -> tuple[NDArray[np.int64], int]:
    if settings.bin_count is not None:
        return fixed_count(values, settings.bin_count), settings.bin_count
    if settings.bin_width is not None:
        start = within[0] if within and math.isfinite(within[0]) else None
        levels = fixed_width(values, settings.bin_width, start=start)
    else:
        levels = whole(values)
    return levels, int(levels.max())
