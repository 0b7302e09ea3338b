"""All texture numbers of a picture, region by region: what one method refuses, the others still measure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np

from trabecula.measure.clustering import cluster_shares, fuzzy_c_means, k_means
from trabecula.measure.number import Measured, Missing, Number
from trabecula.measure.radiomics.levels import fixed_count
from trabecula.measure.texture.binary_pattern import pattern_shares
from trabecula.measure.texture.fractal import box_dimension, bright_pattern, variogram
from trabecula.measure.texture.gabor import gabor_energy
from trabecula.measure.texture.pairs import co_occurrences
from trabecula.measure.texture.patch import Patch, patch_of, regions_of
from trabecula.prediction import Abstain

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from trabecula.image import Image


@dataclass(frozen=True, kw_only=True)
class Lengths:
    """The lengths at which texture is measured, in one unit.

    Raises `ValueError` for one that is not positive, or lags that do not rise.
    """

    unit: Literal["mm", "px"]
    distance: float
    """Between the pixels of a pair."""
    radius: float
    """Of the circle of a binary pattern."""
    wavelengths: tuple[float, ...]
    blur: float
    """SD of the neighbourhood than which trabeculae are brighter."""
    lags: tuple[float, float]
    """Shortest and longest of the variogram."""

    def __post_init__(self) -> None:
        told = (self.distance, self.radius, *self.wavelengths, self.blur, *self.lags)
        if not all(0 < length < np.inf for length in told) or not self.lags[0] < self.lags[1]:
            raise ValueError(f"lengths are positive and lags rise; got {self}")


IN_MM = Lengths(unit="mm", distance=0.2, radius=0.2, wavelengths=(0.5, 1.0, 2.0), blur=2.0, lags=(0.2, 2.0))
"""For radiographs with a spacing: trabeculae are 0.1 to 0.2 mm thick and some 0.5 to 1 mm apart; ours."""
IN_PIXELS = Lengths(unit="px", distance=1, radius=1, wavelengths=(4, 8, 16), blur=16, lags=(1, 10))
"""For pictures whose spacing nobody knows: numbers of pictures with other pixels cannot be compared; ours."""

_LEVELS, _CLUSTERS, _SEED = 32, 3, 0
_ORIENTATIONS_DEG = (0, 45, 90, 135)


def measure_texture(image: Image, mask: Image | None = None, *, lengths: Lengths | None = None) -> list[Measured]:
    """Return the texture numbers of every part of a mask, or of the whole picture `[1, j, i]`.

    Co-occurrence of 32 grey levels (`cm_..._2D_avg`), shares of uniform binary patterns (`lbp_share_0` to `9`), energy
    of Gabor filters (`gabor_energy_1mm_45deg`), box dimension of what is brighter than its neighbourhood, slope of the
    variogram and the Brownian dimension that it means, centres and shares of three clusters of grey values. Lengths are
    in mm where the picture has a spacing and in pixels where it has none, which names and regions tell.
    Raises `ValueError` for a volume, a label map, and a mask of another place.
    """
    lengths = lengths or (IN_PIXELS if image.spacing is None else IN_MM)
    found: list[Measured] = []
    for part, inside in regions_of(image, mask).items():
        try:
            patch = patch_of(image, inside, in_mm=lengths.unit == "mm")
        except ValueError as error:
            if mask is None:
                raise
            found.append(Missing(name="texture", part=part, abstain=Abstain(str(error))))
            continue
        found += _numbers(patch, part, lengths, image)
    return found


def _numbers(patch: Patch, part: str, lengths: Lengths, image: Image) -> list[Measured]:
    where = "whole region of the mask" if part or not patch.inside.all() else "whole picture"
    unit = lengths.unit
    methods: list[tuple[str, str, Callable[[], Iterable[tuple[str, float, str]]]]] = [
        ("co_occurrence", f"pairs {lengths.distance:g} {unit} apart, {_LEVELS} levels", lambda: _pairs(patch, lengths)),
        ("lbp", f"circles of radius {lengths.radius:g} {unit}", lambda: _patterns(patch, lengths)),
        *(
            (
                f"gabor_energy_{wave:g}{unit}",
                f"deeper than {wave:g} {unit}",
                lambda wave=wave: _waves(patch, wave, unit),
            )
            for wave in lengths.wavelengths
        ),
        ("box_dimension", f"brighter than within {lengths.blur:g} {unit}", lambda: _box(patch, lengths)),
        ("variogram", f"lags of {lengths.lags[0]:g} to {lengths.lags[1]:g} {unit}", lambda: _brownian(patch, lengths)),
        ("k_means", f"{_CLUSTERS} clusters", lambda: _clusters(patch, "k_means", image.unit)),
        ("fuzzy_c_means", f"{_CLUSTERS} clusters", lambda: _clusters(patch, "fuzzy_c_means", image.unit)),
    ]
    found: list[Measured] = []
    for method, words, measure in methods:
        try:
            found += [
                Number(name=name, value=value, unit=own, part=part, region=f"{where}, {words}")
                for name, value, own in measure()
            ]
        except ValueError as error:
            found.append(Missing(name=method, part=part, abstain=Abstain(str(error))))
    return found


def _pairs(patch: Patch, lengths: Lengths) -> list[tuple[str, float, str]]:
    levels = np.zeros(patch.values.shape, dtype=np.int64)
    levels[patch.inside] = fixed_count(patch.region, _LEVELS)
    down, right = (round(lengths.distance / size) for size in patch.pixel)
    if min(down, right) < 1:
        raise ValueError(f"pairs {lengths.distance:g} {lengths.unit} apart lie in one pixel: tell a longer distance")
    features = co_occurrences(levels, _LEVELS, distance=(down, right))
    return [(name, value, "1") for name, value in features.items() if np.isfinite(value)]


def _patterns(patch: Patch, lengths: Lengths) -> list[tuple[str, float, str]]:
    return [(f"lbp_share_{n}", float(each), "1") for n, each in enumerate(pattern_shares(patch, radius=lengths.radius))]


def _waves(patch: Patch, wave: float, unit: str) -> list[tuple[str, float, str]]:
    return [
        (f"gabor_energy_{wave:g}{unit}_{angle}deg", gabor_energy(patch, wavelength=wave, orientation_deg=angle), "1")
        for angle in _ORIENTATIONS_DEG
    ]


def _box(patch: Patch, lengths: Lengths) -> list[tuple[str, float, str]]:
    return [("box_dimension", box_dimension(bright_pattern(patch, blur=lengths.blur)), "1")]


def _brownian(patch: Patch, lengths: Lengths) -> list[tuple[str, float, str]]:
    found = variogram(patch, lags=lengths.lags)
    return [("variogram_slope", found.slope, "1"), ("brownian_dimension", found.dimension, "1")]


def _clusters(patch: Patch, method: Literal["k_means", "fuzzy_c_means"], unit: str) -> list[tuple[str, float, str]]:
    cluster = k_means if method == "k_means" else fuzzy_c_means
    found = cluster(patch.region[:, None], _CLUSTERS, seed=_SEED)
    told = []
    for n, (centre, share) in enumerate(zip(found.centres[:, 0], cluster_shares(found), strict=True), 1):
        told += [(f"{method}_centre_{n}", float(centre), unit), (f"{method}_share_{n}", float(share), "1")]
    return told
