"""A vertebra as a cube of HU about its own middle, with its body marked; and its texture, measured in the body."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy import ndimage

from trabecula import cache
from trabecula.image import Image
from trabecula.measure.hounsfield import METAL_HU
from trabecula.measure.masks import named_mask
from trabecula.measure.number import same_place
from trabecula.measure.radiomics import Settings, record

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from trabecula.image import Source

    Floats = NDArray[np.float64]

LEVELS = ("L1", "L2", "L3", "L4")
"""What DXA of the spine measures."""
CLASSES = ("firstorder", "glcm", "glrlm", "glszm", "gldm", "ngtdm")
"""PyRadiomics's classes of features without shape: what is told of texture."""
_UPRIGHT = ((0.0, 0.0, 1.0), (0.0, 1.0, 0.0), (1.0, 0.0, 0.0))  # k, j, i grow along z, y, x of the patient


@dataclass(frozen=True, eq=False, kw_only=True)
class Vertebra:
    """One vertebra: HU `[k, j, i]` of a cube upright in the patient, and where its body is in it."""

    level: str
    hu: NDArray[np.int16]
    body: NDArray[np.uint8]
    spacing_mm: float
    middle: Floats
    """LPS position in mm of the middle of the cube."""

    def __post_init__(self) -> None:
        if not self.body.any():
            raise ValueError(f"nothing of the body of {self.level} is in its cube: is the spacing too coarse?")

    def texture(self, bin_width: float) -> Mapping[str, float]:
        """Return the radiomic features of the body by name; what is not defined for it is absent.

        Raises `ValueError` for a body of one grey level or one voxel.
        """
        spacing = (self.spacing_mm,) * 3
        contents = (
            Image(voxels=self.hu, unit="HU", spacing=spacing),
            Image(voxels=self.body, unit="label", spacing=spacing),
        )
        chosen = asdict(Settings(definitions="pyradiomics", families=CLASSES, bin_width=bin_width))
        row = cache.remember(record, *contents, settings={"settings": chosen}, package="trabecula.measure")
        return {name: float(row[name][0]) for name in row.dtype.names or ()}


def vertebrae(image: Source, mask: Source, *, side: int, spacing_mm: float) -> list[Vertebra]:
    """Return L1 to L4 as far as a CT and its mask hold them, remembered; raises the errors of `cubes`."""
    rows = cache.remember(cubes, image, mask, settings={"side": side, "spacing_mm": spacing_mm})
    return [
        Vertebra(
            level=str(row["level"]), hu=row["hu"], body=row["body"], spacing_mm=spacing_mm, middle=np.array(row["at"])
        )
        for row in rows
    ]


def cubes(image: Image, mask: Image, *, side: int, spacing_mm: float) -> NDArray[np.void]:
    """Return one row a vertebra of L1 to L4: level, middle, HU and body `[side, side, side]`, upright.

    A cube is centred on the body. A vertebra with metal in its body, or cut off by the edge of the image, is left out.
    Raises `ValueError` for an image that is not in HU, a mask of another place, without names or without these levels,
    and when no vertebra is left, for the reason of the first.
    """
    if image.unit != "HU":
        raise ValueError(f"this image is in {image.unit!r}, not in HU: bring a CT")
    same_place(image, mask)
    named = named_mask(mask)
    rows, refused = [], []
    smooth = _smoothed(image, spacing_mm)
    for value, level in sorted(named.names.items(), key=lambda pair: pair[1]):
        if level not in LEVELS:
            continue
        body = named.voxels == value
        if reason := _unusable(image, body):
            refused.append(f"{level} {reason}")
            continue
        index = np.argwhere(body).mean(axis=0)
        matrix, offset = _to_index(image, index, side, spacing_mm)
        hu = ndimage.affine_transform(smooth, matrix, offset, (side,) * 3, order=1, mode="nearest")
        inside = ndimage.affine_transform(body.astype(np.uint8), matrix, offset, (side,) * 3, order=0)
        rows.append((level, (image.affine @ [*index, 1])[:3], np.rint(hu), inside))
    if not rows:
        raise ValueError(refused[0] if refused else f"the mask has no body of {', '.join(LEVELS)}")
    cube = (side,) * 3
    return np.array(rows, dtype=[("level", "U2"), ("at", "f8", (3,)), ("hu", "i2", cube), ("body", "u1", cube)])


def laid_back(heat: Sequence[NDArray[np.float32]], found: Sequence[Vertebra], image: Image) -> NDArray[np.float32]:
    """Lay the map of each vertebra's cube onto the grid `[k, j, i]` of the image: the highest where cubes overlap."""
    laid = np.zeros(image.shape, dtype=np.float32)
    back = np.linalg.inv(image.affine)
    for each, vertebra in zip(heat, found, strict=True):
        index = (back @ [*vertebra.middle, 1])[:3]
        matrix, offset = _to_index(image, index, len(each), vertebra.spacing_mm)
        inverse = np.linalg.inv(matrix)
        shown = ndimage.affine_transform(each, inverse, -inverse @ offset, image.shape, order=1, cval=0.0)
        laid = np.maximum(laid, shown)
    return laid


def _unusable(image: Image, body: NDArray[np.bool_]) -> str:
    """Say why a body cannot be looked at; nothing where it can."""
    if any(body.take(end, axis=axis).any() for axis in range(3) for end in (0, -1)):
        return "touches the edge of the image: it may be cut off"
    if (highest := image.voxels[body].max()) >= METAL_HU:
        return f"holds metal or cement: {highest:.0f} HU"
    return ""


def _smoothed(image: Image, spacing_mm: float) -> NDArray[np.float32]:
    """Return HU without what coarser voxels cannot hold; as they are along axes that are coarse already."""
    if image.spacing is None:
        raise ValueError("this image has no spacing, so no length in it is known in mm")
    widths = [0.5 * np.sqrt(max(0.0, (spacing_mm / own) ** 2 - 1)) for own in image.spacing]
    found: NDArray[np.float32] = ndimage.gaussian_filter(image.voxels.astype(np.float32), widths, truncate=3.0)
    return found


def _to_index(image: Image, middle: Floats, side: int, spacing_mm: float) -> tuple[Floats, Floats]:
    """Return how an index of an upright cube about `middle` becomes one `[k, j, i]` of the image."""
    matrix = np.linalg.inv(image.affine)[:3, :3] @ (spacing_mm * np.array(_UPRIGHT).T)
    return matrix, np.asarray(middle - matrix @ np.full(3, (side - 1) / 2))
