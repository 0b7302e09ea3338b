"""Hounsfield units of bone: mean, median and SD in regions that are defined in mm, whatever the grid.

Three regions: an ellipse in the middle of a vertebral body clear of its walls, in the axes of the body itself; a bone
without so many mm of its surface; and the whole bone, cortex included.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, TypeAlias

import numpy as np
from scipy.ndimage import distance_transform_edt

from trabecula.measure.masks import is_level, part_mask
from trabecula.measure.midline import midline_profile
from trabecula.measure.number import Measured, Number, of_parts, same_place
from trabecula.measure.uncertainty import mean_error
from trabecula.measure.vertebral_frame import body_clouds, body_frame

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from trabecula.image import Image
    from trabecula.measure.vertebral_frame import BodyFrame, Cloud

    Floats = NDArray[np.float64]
    Inside = NDArray[np.bool_]

FEWEST = 12
"""Voxels below which a region says nothing about a bone."""
METAL_HU = 2500.0
"""From here on a voxel is metal or cement, whose streaks reach far; ours. Cortex stays below."""
_LEAST_MM = 4.0  # height, width and depth of an ellipse
_ROUNDING_MM = 1e-6
_CLEAR_MM = 4.0  # from any surface, where a body is not as round as its ellipse
_KEPT = 0.7  # share of an ellipse that must be so clear
_INNER = 0.6  # share of the half depth in which endplates bound an ellipse


@dataclass(frozen=True, kw_only=True)
class Ellipse:
    """An elliptic cylinder in the middle of a vertebral body, in the body's own axes, clear of its surface.

    It is the widest that keeps these distances, which leave out the cortex, what it blurs into, and behind the vein
    that enters there. Raises `ValueError` for a distance below zero or a height that is not positive.
    """

    wall_mm: float = 5.0
    """From the front and the side walls."""
    behind_mm: float = 9.0
    """From the back wall."""
    endplate_mm: float = 4.0
    height_mm: float = 10.0
    """At most."""

    def __post_init__(self) -> None:
        if not min(self.wall_mm, self.behind_mm, self.endplate_mm) >= 0 or not self.height_mm > 0:
            raise ValueError(f"distances are not negative and a height is positive, in mm; got {self}")


@dataclass(frozen=True, kw_only=True)
class Eroded:
    """A bone without what lies within so many mm of its surface.

    Raises `ValueError` for a depth that is not positive.
    """

    depth_mm: float = 4.0

    def __post_init__(self) -> None:
        if not self.depth_mm > 0:
            raise ValueError(f"a depth is positive, in mm; got {self.depth_mm}")


@dataclass(frozen=True)
class Whole:
    """All of a bone, cortex included."""


Region: TypeAlias = Ellipse | Eroded | Whole
RegionName = Literal["ellipse", "eroded", "whole"]
REGIONS: Mapping[RegionName, Region] = {"ellipse": Ellipse(), "eroded": Eroded(), "whole": Whole()}


@dataclass(frozen=True, eq=False, kw_only=True)
class Place:
    """Where was measured: voxels `[k, j, i]`, and the region in words, in mm."""

    part: str
    inside: Inside
    words: str


def measure_hounsfield(image: Image, mask: Image, regions: Mapping[RegionName, Region] = REGIONS) -> list[Measured]:
    """Return mean, median and SD of the HU of every part of a label map with names, in every region.

    Names are `mean_hu_ellipse` and so on; the ellipse is for vertebral bodies only. A part that cannot be measured in
    a region abstains and says why.
    Raises `ValueError` for an image that is not in HU, and a mask of another place, without spacing or names, or empty.
    """
    same_place(image, mask)
    clouds = body_clouds(mask)
    found: list[Measured] = []
    for name, region in regions.items():
        parts = [part for part in clouds if is_level(part) or not isinstance(region, Ellipse)]

        def of(part: str, name: str = name, region: Region = region) -> list[Number]:
            return place_numbers(image, find_place(mask, part, region, clouds=clouds), suffix=f"_{name}")

        found += of_parts(of, parts, names=(f"mean_hu_{name}",))
    return found


def place_numbers(image: Image, place: Place, *, suffix: str = "") -> list[Number]:
    """Return mean, median and SD of the HU in a place; the mean with the uncertainty of correlated voxels.

    Raises `ValueError` for an image that is not in HU, fewer than 12 voxels, and metal.
    """
    if image.unit != "HU":
        raise ValueError(f"this image is in {image.unit!r}, not in HU: say what its values are, or bring a CT")
    values = image.voxels[place.inside].astype(np.float64)
    if len(values) < FEWEST:
        raise ValueError(f"the region of {place.part} ({place.words}) holds {len(values)} voxels; {FEWEST} are needed")
    if values.max() >= METAL_HU:
        raise ValueError(f"there is metal or cement in {place.part}: {values.max():.0f} HU")
    error = mean_error(image.voxels, place.inside, image.spacing) if image.spacing else None
    sure = None if error is None else 1.96 * error
    numbers = {"mean_hu": (values.mean(), sure), "median_hu": (np.median(values), None), "sd_hu": (values.std(), None)}
    return [
        Number(name=f"{name}{suffix}", value=value, unit="HU", part=place.part, region=place.words, uncertainty=each)
        for name, (value, each) in numbers.items()
    ]


def find_place(mask: Image, part: str, region: Region, *, clouds: Mapping[str, Cloud] | None = None) -> Place:
    """Return where a region of a part lies.

    Raises `ValueError` for a part that is not in the mask, and where nothing of the part is left for the region.
    """
    if isinstance(region, Ellipse):
        return _ellipse(mask, body_frame(part, clouds or body_clouds(mask), mask), region)
    bone = part_mask(mask, part).voxels > 0
    if isinstance(region, Whole):
        return Place(part=part, inside=bone, words="whole bone, as far as it is in the image")
    if mask.spacing is None:
        raise ValueError("this mask has no spacing, so nothing in it has a depth in mm")
    inside = np.zeros(mask.shape, dtype=bool)
    box = tuple(slice(int(n.min()), int(n.max()) + 1) for n in np.nonzero(bone))
    depth = distance_transform_edt(np.pad(bone[box], 1), sampling=mask.spacing)[1:-1, 1:-1, 1:-1]
    inside[box] = depth > region.depth_mm + _ROUNDING_MM
    if not inside.any():
        raise ValueError(f"nothing of {part} lies deeper than {region.depth_mm:g} mm")
    return Place(part=part, inside=inside, words=f"deeper than {region.depth_mm:g} mm")


def _ellipse(mask: Image, body: BodyFrame, region: Ellipse) -> Place:
    profile = midline_profile(body)
    along = np.linspace(-_INNER, _INNER, 25)
    centre, half_height = np.polyval(profile.centre, along), np.polyval(profile.height, along) / 2
    top, bottom = float((centre + half_height).min()), float((centre - half_height).max())
    height = min(region.height_mm, top - bottom - 2 * region.endplate_mm)
    level = (top + bottom) / 2
    slab = np.abs(body.points[:, 2] - level) < max(height, _LEAST_MM) / 2
    (left, right), (front, behind) = (_ends(body.points[slab], axis) for axis in (0, 1))
    half = np.array([(right - left) / 2 - region.wall_mm, (behind - front - region.wall_mm - region.behind_mm) / 2])
    if min(height, *(2 * half)) < _LEAST_MM:
        raise ValueError(
            f"{body.level} leaves no region clear of its walls: {2 * half[0]:.1f} x {2 * half[1]:.1f} mm, "
            f"{height:.1f} mm high; {_LEAST_MM:g} are needed"
        )
    middle = np.array([(left + right) / 2, (front + region.wall_mm + behind - region.behind_mm) / 2])
    inside = _cylinder(mask, body, (*middle, level), (*half, height / 2))
    words = (
        f"ellipse {2 * half[0]:.1f} x {2 * half[1]:.1f} mm, {height:.1f} mm high, in the axes of the body, "
        f"{region.wall_mm:g} mm from front and sides, {region.behind_mm:g} mm from the back, "
        f"{region.endplate_mm:g} mm or more from the endplates"
    )
    return Place(part=body.level, inside=inside, words=words)


def _ends(points: Floats, axis: int) -> tuple[float, float]:
    """Return where a section ends along one axis, near its middle along the other."""
    beside = points[:, 1 - axis]
    low, high = np.percentile(beside, (1, 99))
    near = np.abs(beside - (low + high) / 2) < (high - low) / 6
    first, last = (float(mm) for mm in np.percentile(points[near, axis], (0.5, 99.5)))
    return first, last


def _cylinder(mask: Image, body: BodyFrame, middle: tuple[float, ...], half: tuple[float, ...]) -> Inside:
    """Return the voxels whose centres lie in an elliptic cylinder in the axes of a body.

    Raises `ValueError` where it leaves the image or the body.
    """
    axes = np.stack([body.left, body.back, body.up])
    corners = np.array(np.meshgrid(*([-1, 1] for _ in range(3)))).reshape(3, -1).T * half + middle
    back_to_index = np.linalg.inv(mask.affine)
    index = (corners @ axes + body.middle) @ back_to_index[:3, :3].T + back_to_index[:3, 3]
    low, high = np.floor(index.min(axis=0)).astype(int), np.ceil(index.max(axis=0)).astype(int) + 1
    box = tuple(slice(max(a, 0), min(b, n)) for a, b, n in zip(low, high, mask.shape, strict=True))
    grid = np.stack(np.meshgrid(*(np.arange(side.start, side.stop) for side in box), indexing="ij"), axis=-1)
    local = body.inside(grid @ mask.affine[:3, :3].T + mask.affine[:3, 3]) - middle
    local = np.round(local / _ROUNDING_MM) * _ROUNDING_MM
    here = (local[..., 0] / half[0]) ** 2 + (local[..., 1] / half[1]) ** 2 <= 1
    here &= np.abs(local[..., 2]) <= half[2]
    inside = np.zeros(mask.shape, dtype=bool)
    inside[box] = here
    clear = find_place(mask, body.level, Eroded(depth_mm=_CLEAR_MM)).inside
    if (inside & clear).sum() < _KEPT * inside.sum():
        raise ValueError(f"the ellipse would leave {body.level}: is the mask a vertebral body, and whole?")
    return inside & clear
