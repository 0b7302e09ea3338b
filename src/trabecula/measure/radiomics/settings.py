"""What a radiomics measurement depends on, apart from the image and the mask."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, get_args

from trabecula.measure.radiomics.aggregation import AGGREGATIONS, TEXTURES
from trabecula.measure.radiomics.region import Interpolation

if TYPE_CHECKING:
    from collections.abc import Mapping

Definitions = Literal["ibsi", "pyradiomics"]
Filter = Literal["original", "wavelet", "log"]

FAMILIES = ("morph", "loc", "stat", "ih", "ivh", *TEXTURES)
"""First parts of the tags: morphology, local intensity, statistics, histogram, intensity-volume histogram, textures."""
CLASSES = ("shape", "firstorder", "glcm", "glrlm", "glszm", "gldm", "ngtdm")
"""PyRadiomics's classes of features."""


@dataclass(frozen=True, kw_only=True)
class Settings:
    """Steps in the order in which they are taken; lengths in mm along k, j, i, intensities in the image's unit.

    Raises `ValueError` for what contradicts itself or is not known.
    """

    definitions: Definitions = "ibsi"
    """`ibsi`: the standard, under its tags. `pyradiomics`: PyRadiomics 3.0.1, under its names."""
    families: tuple[str, ...] = ()
    """Which features: of `FAMILIES`, or of `CLASSES` for PyRadiomics; empty means all of them."""
    spacing_mm: tuple[float | None, float | None, float | None] | None = None
    """Resample to this spacing; `None` along an axis leaves it as it is (2-D: along k)."""
    interpolation: Interpolation = "linear"
    rounded: bool = True
    """Round resampled intensities to whole numbers, as they were: right for HU, wrong for mg/cm3."""
    keep_within: tuple[float, float] | None = None
    """Re-segmentation: voxels outside of this range do not count."""
    keep_within_sd: float | None = None
    """Re-segmentation: voxels further from the mean than this many standard deviations do not count."""
    filters: tuple[Filter, ...] = ("original",)
    """Images that are measured: the image itself, its eight wavelet bands, Laplacians of Gaussians."""
    log_sigma_mm: tuple[float, ...] = ()
    bin_width: float | None = None
    """Grey levels of this width, from the lower end of `keep_within` or else from the minimum; for PyRadiomics, whose
    default is 25, from a multiple of the width. With neither width nor count values are levels as they are."""
    bin_count: int | None = None
    ivh_bin_width: float | None = None
    """For the intensity-volume histogram, where neither is given of width 1 and not binned."""
    ivh_bin_count: int | None = None
    aggregations: tuple[str, ...] = AGGREGATIONS
    """How matrices of slices and directions are put together; PyRadiomics has one way, `3D_avg`."""
    array_shift: float = 0.0
    """PyRadiomics's `voxelArrayShift`: added to intensities before they are squared."""

    def __post_init__(self) -> None:
        known = CLASSES if self.definitions == "pyradiomics" else FAMILIES
        for given, allowed in (
            ((self.definitions,), get_args(Definitions)),
            (self.families, known),
            ((self.interpolation,), get_args(Interpolation)),
            (self.filters, get_args(Filter)),
            (self.aggregations, AGGREGATIONS),
        ):
            for name in given:
                if name not in allowed:
                    raise ValueError(f"unknown {name!r}; known: {', '.join(allowed)}")
        for width, count in ((self.bin_width, self.bin_count), (self.ivh_bin_width, self.ivh_bin_count)):
            if width is not None and count is not None:
                raise ValueError("give a bin width or a number of bins, not both")
        if not self.filters or not self.aggregations:
            raise ValueError('name at least one filter ("original") and one aggregation')
        if ("log" in self.filters) != bool(self.log_sigma_mm):
            raise ValueError('the filter "log" and log_sigma_mm go together: give both or neither')
        if self.keep_within and not self.keep_within[0] < self.keep_within[1]:
            raise ValueError(f"a range goes from low to high; got {self.keep_within}")

    @classmethod
    def of(cls, fields: Mapping[str, Any]) -> Settings:
        """Make settings of plain JSON, where tuples became lists."""
        plain: dict[str, Any] = {
            name: tuple(value) if isinstance(value, list) else value for name, value in fields.items()
        }
        return cls(**plain)

    @property
    def chosen(self) -> tuple[str, ...]:
        """The families that are measured."""
        return self.families or (CLASSES if self.definitions == "pyradiomics" else FAMILIES)
