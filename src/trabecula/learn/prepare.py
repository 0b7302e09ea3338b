"""Pictures for networks: cropped, resized and scaled once per case, then read from the cache one at a time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from scipy import ndimage

from trabecula import cache

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from trabecula.case import Case
    from trabecula.image import Image

_KEPT_BYTES = 256e6  # pictures held in memory by one `Pictures`, however large the cohort
_SPREAD = 0.02  # an edge line is border when its inner 80 % of pixels vary by less than this share of the full range
_MARK_SIDE = 0.12  # markers are smaller than this share of the shorter side
_MARK_CONTRAST = 0.5  # and stand out by this share of the range
_MARK_RIM = 3  # pixels of blurred edge around a marker


class Frame(NamedTuple):
    """The part of a picture that is looked at: rows `top` to `bottom`, columns `left` to `right`, ends excluded."""

    top: int
    bottom: int
    left: int
    right: int


def picture(
    image: Image,
    *,
    size: int,
    trim: bool = False,
    centre: float | None = None,
    along: float = 0.5,
    percentiles: tuple[float, float] = (1.0, 99.0),
) -> NDArray[np.uint8]:
    """Return a square picture `[size, size]` of 0 to 255, the middle slice of a volume.

    Cropped to `frame`, with marks removed where it is trimmed, resized with antialiasing, and scaled so that the two
    percentiles become 0 and 255. A constant picture becomes 0. Without `centre` a picture that is not square is
    squeezed.
    """
    from PIL import Image as Picture  # noqa: PLC0415 keeps `import trabecula` light

    pixels = _middle(image)
    top, bottom, left, right = frame(image, trim=trim, centre=centre, along=along)
    if trim:
        pixels = _without_marks(pixels)
    cropped = Picture.fromarray(pixels[top:bottom, left:right])
    resized = np.asarray(cropped.resize((size, size), Picture.Resampling.BICUBIC))
    low, high = np.percentile(resized, percentiles)
    scaled = (resized - low) / (high - low) if high > low else np.zeros_like(resized)
    grey: NDArray[np.uint8] = np.rint(255 * scaled.clip(0, 1)).astype(np.uint8)
    return grey


def frame(image: Image, *, trim: bool = False, centre: float | None = None, along: float = 0.5) -> Frame:
    """Return the part of a picture that `picture` looks at.

    `trim` leaves out even borders (collimation, padding, scanner lines). `centre` then keeps a square with that share
    of the shorter side, in the middle, or elsewhere `along` the height: 0 is the top, 1 the bottom.
    """
    pixels = _middle(image)
    top, bottom, left, right = 0, pixels.shape[0], 0, pixels.shape[1]
    if trim:
        top, bottom = _inside(pixels)
        left, right = _inside(pixels[top:bottom].T)
    if centre is not None:
        side = max(1, round(centre * min(bottom - top, right - left)))
        top, left = top + int(along * (bottom - top - side)), (left + right - side) // 2
        bottom, right = top + side, left + side
    return Frame(top, bottom, left, right)


def on_grid(
    heat: NDArray[Any], image: Image, *, trim: bool = False, centre: float | None = None, along: float = 0.5
) -> NDArray[np.float32]:
    """Lay a map `[h, w]` of what `picture` showed back onto the grid `[k, j, i]` of the image, zero outside the frame.

    The inverse of the cropping and resizing of `picture` with the same settings. In a volume only the middle slice
    has values.
    """
    from PIL import Image as Picture  # noqa: PLC0415

    top, bottom, left, right = frame(image, trim=trim, centre=centre, along=along)
    shown = Picture.fromarray(np.asarray(heat, dtype=np.float32))
    laid = np.zeros(image.shape, dtype=np.float32)
    resized = shown.resize((right - left, bottom - top), Picture.Resampling.BILINEAR)
    laid[image.shape[0] // 2, top:bottom, left:right] = np.asarray(resized)
    return laid


class Pictures(Sequence["NDArray[np.uint8]"]):
    """The pictures `[h, w]` of cases, one made at a time and remembered: memory does not grow with the cohort.

    `settings` are those of `picture`.
    """

    def __init__(self, cases: Sequence[Case], role: str, settings: Mapping[str, Any]) -> None:
        self._sources = [case.images.source(role) for case in cases]
        self._settings = dict(settings)
        self._kept: dict[int, NDArray[np.uint8]] = {}
        self._bytes = 0

    def __len__(self) -> int:
        return len(self._sources)

    def __getitem__(self, index: Any) -> Any:
        if isinstance(index, slice):
            return [self[each] for each in range(*index.indices(len(self)))]
        if index not in self._kept:
            made = np.array(cache.remember(picture, self._sources[index], settings=self._settings))
            if self._bytes + made.nbytes > _KEPT_BYTES:
                return made
            self._kept[index] = made
            self._bytes += made.nbytes
        return self._kept[index]

    def digest(self, index: int) -> str:
        """Return the digest of the content that a picture is made of."""
        return self._sources[index].digest


def _middle(image: Image) -> NDArray[np.float32]:
    middle: NDArray[np.float32] = image.voxels[image.shape[0] // 2].astype(np.float32)
    return middle


def _inside(pixels: NDArray[np.float32]) -> tuple[int, int]:
    """Return where the rows that are no border begin and end; everything, when nothing would be left."""
    low, high = np.percentile(pixels, (10, 90), axis=1)
    uneven = np.flatnonzero(high - low > _SPREAD * np.ptp(pixels))
    return (int(uneven[0]), int(uneven[-1]) + 1) if len(uneven) else (0, len(pixels))


def _without_marks(pixels: NDArray[np.float32]) -> NDArray[np.float32]:
    """Replace bright islands that are small, such as a burnt-in R or L, by what surrounds them; bone is no island."""
    low, high = np.percentile(pixels, (1.0, 99.5))
    islands, _ = ndimage.label(pixels > (low + high) / 2)
    widest = _MARK_SIDE * min(pixels.shape)
    cleaned = pixels.copy()
    for rows, columns in filter(None, ndimage.find_objects(islands)):
        if max(rows.stop - rows.start, columns.stop - columns.start) > widest:
            continue
        around = tuple(slice(max(0, side.start - _MARK_RIM), side.stop + _MARK_RIM) for side in (rows, columns))
        shown, island = pixels[around], islands[around] > 0
        rim = np.median(shown[~island]) if not island.all() else low
        if np.median(shown[island]) - rim > _MARK_CONTRAST * (high - low):
            cleaned[around] = rim
    return cleaned
