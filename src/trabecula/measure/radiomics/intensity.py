"""Features of intensities without their places: statistics, histogram, intensity-volume histogram; and local peaks.

Sections 3.2 to 3.5 of the reference manual of the Image Biomarker Standardisation Initiative (arXiv:1612.07003v11).
Intensities come in the unit of the image, and features have it (variance squared, and so on). A feature that is not
defined for a region (the coefficient of variation at a mean of 0) is not finite here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from scipy.signal import fftconvolve

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from trabecula.measure.radiomics.region import Region

_MOST = 10_000_000
PEAK_RADIUS_MM = (3 / (4 * np.pi)) ** (1 / 3) * 10
"""Of a sphere of 1 cm3."""


def statistics(x: NDArray[np.float64]) -> dict[str, float]:
    """Return the 18 statistics of values `[voxel]` under their tags without `stat_` (3.3).

    Variance is that of the population; skewness and kurtosis (excess) are 0 where the variance is 0, as the manual
    has it.
    """
    p10, p25, median, p75, p90 = np.percentile(x, [10, 25, 50, 75, 90])
    mean, low, high = x.mean(), x.min(), x.max()
    away = x - mean
    squared = away * away
    variance = squared.mean()
    inner = x[(x >= p10) & (x <= p90)]
    energy = float(x @ x)
    with np.errstate(divide="ignore", invalid="ignore"):
        features = {
            "mean": mean,
            "var": variance,
            "skew": (squared * away).mean() / variance**1.5 if variance else 0.0,
            "kurt": (squared * squared).mean() / variance**2 - 3 if variance else 0.0,
            "median": median,
            "min": low,
            "p10": p10,
            "p90": p90,
            "max": high,
            "iqr": p75 - p25,
            "range": high - low,
            "mad": np.abs(away).mean(),
            "rmad": np.abs(inner - inner.mean()).mean(),
            "medad": np.abs(x - median).mean(),
            "cov": np.sqrt(variance) / mean,
            "qcod": (p75 - p25) / (p75 + p25),
            "energy": energy,
            "rms": np.sqrt(energy / len(x)),
        }
    return {name: float(value) for name, value in features.items()}


def histogram(levels: NDArray[np.int64], level_count: int) -> dict[str, float]:
    """Return the 23 features of the histogram of grey levels 1 to `level_count`, under their tags without `ih_` (3.4).

    Of several modes the one closest to the mean counts.
    """
    features = statistics(levels.astype(np.float64))
    for name in ("energy", "rms"):
        del features[name]
    counts = np.bincount(levels, minlength=level_count + 1)[1:]
    share = counts[counts > 0] / len(levels)
    gradient = np.gradient(counts.astype(float)) if level_count > 1 else np.zeros(1)
    modes = np.flatnonzero(counts == counts.max()) + 1
    return features | {
        "mode": float(modes[np.argmin(np.abs(modes - features["mean"]))]),
        "entropy": float(-(share * np.log2(share)).sum()) + 0.0,
        "uniformity": float((share**2).sum()),
        "max_grad": float(gradient.max()),
        "max_grad_g": float(gradient.argmax() + 1),
        "min_grad": float(gradient.min()),
        "min_grad_g": float(gradient.argmin() + 1),
    }


def intensity_volume(
    x: NDArray[np.float64],
    *,
    bin_width: float | None = None,
    bin_count: int | None = None,
    within: tuple[float, float] | None = None,
) -> dict[str, float]:
    """Return the features of the intensity-volume histogram under their tags without `ivh_` (3.5).

    With a bin width intensities are binned and stand for the centres of their bins (definite units, continuous); with
    a bin count they become levels (arbitrary units); with neither they are whole numbers (definite units, discrete).
    `within` is the re-segmentation range, which fractions of intensity refer to unless bins are counted. The area
    under the curve is not standardised: that of volume fraction over intensity fraction, by trapezes. Raises
    `ValueError` for more than ten million bins.
    """
    if bin_count is not None:
        level, step = np.minimum(np.floor(bin_count * (x - x.min()) / np.ptp(x)), bin_count - 1), 1.0
        first, count = 1.0, bin_count
    else:
        step = bin_width or 1.0
        low, high = (
            end if np.isfinite(end) else own
            for end, own in zip(within or (np.nan,) * 2, (x.min(), x.max()), strict=True)
        )
        if (high - low) / step > _MOST:
            raise ValueError(
                f"bins of {step:g} from {low:g} to {high:g} are more than {_MOST:,}: "
                "give ivh_bin_width or ivh_bin_count"
            )
        level, count = np.floor((x - low) / step), int(np.floor((high - low) / step)) + 1
        first = low + (0.5 * step if bin_width else 0.0)
    counts = np.bincount(np.clip(level, 0, count - 1).astype(np.int64), minlength=count)
    volume = 1 - (np.cumsum(counts) - counts) / len(x)
    intensity = first + step * np.arange(count)
    fraction = np.linspace(0, 1, count)

    def volume_at(percent: float) -> float:
        return float(volume[fraction >= percent / 100].max(initial=-np.inf))

    def intensity_at(percent: float) -> float:
        reached = intensity[volume <= percent / 100]
        return float(reached.min()) if len(reached) else float(intensity[-1] + step)

    v10, v90, i10, i90 = volume_at(10), volume_at(90), intensity_at(10), intensity_at(90)
    return {
        "v10": v10, "v90": v90, "i10": i10, "i90": i90, "diff_v10_v90": v10 - v90, "diff_i10_i90": i10 - i90,
        "auc": float(np.trapezoid(volume, fraction)),
    }  # fmt: skip


def local_peaks(region: Region) -> dict[str, float]:
    """Return the local and the global intensity peak under their tags: means over spheres of 1 cm3 (3.2).

    Spheres reach outside of the region, and stop at the border of the image: the region needs a margin of 6.2 mm. Of
    several brightest voxels the one with the highest peak counts.
    """
    half = [int(PEAK_RADIUS_MM // spacing) for spacing in region.spacing]
    axes = [np.arange(-n, n + 1) * spacing for n, spacing in zip(half, region.spacing, strict=True)]
    k, j, i = np.meshgrid(*axes, indexing="ij")
    sphere = (k**2 + j**2 + i**2 <= PEAK_RADIUS_MM**2).astype(float)
    level = region.values.mean()
    total = fftconvolve(region.intensities - level, sphere, mode="same")
    number = np.round(fftconvolve(np.ones_like(region.intensities), sphere, mode="same"))
    peaks = (total / number + level)[region.mask]
    return {
        "loc_peak_loc": float(peaks[region.values == region.values.max()].max()),
        "loc_peak_glob": float(peaks.max()),
    }
