"""What is looked at: the whole film, or both sides of the body of the mandible about its lower border."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image as Picture
from scipy import ndimage

from trabecula import cache
from trabecula.image import Image
from trabecula.learn.prepare import Frame, on_grid, picture

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from trabecula.case import Case

_PLACE = 0.30  # middle of a side, as a share of the width: below the premolars and the first molar
_BELOW = 0.25  # share of a side that lies below the border
_SEARCHED = (0.60, 0.97)  # rows, as shares of the height, in which the border lies: below the crowns
_SMOOTH, _STEP = 0.003, 0.008  # SD of the smoothing, and half the height over which grey falls, by width
_STRONG = 0.5  # a fall of at least this share of the steepest in its column is a border


def views(image: Image, *, pixels: int, field: float | None) -> NDArray[np.uint8]:
    """Return pictures `[view, pixels, pixels]` of 0 to 255: the whole film squeezed, or its two sides.

    `field` is the side of the square in shares of the width of the film; without it the whole film is looked at. The
    right of the picture is mirrored, so that both sides show the midline on their right.
    """
    if field is None:
        return picture(image, size=pixels)[None]
    shown = []
    for side, frame in enumerate(frames(image, field)):
        part = image.voxels[image.shape[0] // 2, frame.top : frame.bottom, frame.left : frame.right]
        mirrored = np.ascontiguousarray(part[:, ::-1] if side else part)
        shown.append(picture(Image(voxels=mirrored[None], unit=image.unit, space="detector"), size=pixels))
    return np.stack(shown)


def frames(image: Image, field: float) -> tuple[Frame, Frame]:
    """Return the squares of both sides of the mandible, a quarter of each below the border that the picture shows."""
    pixels = image.voxels[image.shape[0] // 2].astype(np.float32)
    rows, columns = pixels.shape
    length = min(round(field * columns), rows)
    squares = []
    for place in (_PLACE, 1 - _PLACE):
        left = min(max(0, round(place * columns - length / 2)), columns - length)
        border = lower_border(pixels, left, left + length)
        bottom = min(max(length, round(float(np.median(border)) + _BELOW * length)), rows)
        squares.append(Frame(bottom - length, bottom, left, left + length))
    return squares[0], squares[1]


def lower_border(pixels: NDArray[np.float32], left: int, right: int) -> NDArray[np.intp]:
    """Return by column the lowest row where grey falls steeply downwards: the lower border of the mandible."""
    rows, columns = pixels.shape
    smooth = ndimage.gaussian_filter(pixels, _SMOOTH * columns)[:, left:right]
    step = max(1, round(_STEP * columns))
    fall = np.zeros_like(smooth)
    fall[step:-step] = smooth[: -2 * step] - smooth[2 * step :]
    first, last = (round(share * rows) for share in _SEARCHED)
    searched = fall[first:last].clip(0)
    strong = searched >= _STRONG * searched.max(axis=0)
    return np.asarray(last - 1 - strong[::-1].argmax(axis=0))


def laid_on(image: Image, heats: Sequence[NDArray[np.float32]], field: float | None) -> NDArray[np.float32]:
    """Lay a map `[h, w]` of each view back onto the grid `[k, j, i]` of the film; zero where no view lies."""
    if field is None:
        return on_grid(heats[0], image)
    laid = np.zeros(image.shape, dtype=np.float32)
    for side, (frame, heat) in enumerate(zip(frames(image, field), heats, strict=True)):
        part = Picture.fromarray(heat[:, ::-1].copy() if side else heat)
        shape = (frame.right - frame.left, frame.bottom - frame.top)
        laid[image.shape[0] // 2, frame.top : frame.bottom, frame.left : frame.right] = np.asarray(
            part.resize(shape, Picture.Resampling.BILINEAR)
        )
    return laid


class Views(Sequence["NDArray[np.uint8]"]):
    """The views `[h, w]` of cases, one case after the other, made when asked for and remembered.

    `settings` are those of `views`.
    """

    def __init__(self, cases: Sequence[Case], role: str, settings: Mapping[str, Any]) -> None:
        self._sources = [case.images.source(role) for case in cases]
        self._settings = dict(settings)
        self._kept: dict[int, NDArray[np.uint8]] = {}

    @property
    def each(self) -> int:
        """How many views a case has."""
        return 1 if self._settings["field"] is None else 2

    def __len__(self) -> int:
        return self.each * len(self._sources)

    def __getitem__(self, index: Any) -> Any:
        if isinstance(index, slice):
            return [self[each] for each in range(*index.indices(len(self)))]
        case, view = divmod(index, self.each)
        if case not in self._kept:
            self._kept[case] = np.array(cache.remember(views, self._sources[case], settings=self._settings))
        return self._kept[case][view]

    def of(self, cases: Sequence[int]) -> list[int]:
        """Return the indices of all views of the cases numbered so."""
        return [self.each * case + view for case in cases for view in range(self.each)]

    def digest(self, index: int) -> str:
        """Name the content of a view: that of its film, and which view it is."""
        case, view = divmod(index, self.each)
        return f"{self._sources[case].digest}/{view}"
