"""Images: voxels with their geometry in LPS millimetres, a unit and a digest. The only geometry in the library.

Voxels are indexed `[k, j, i]` everywhere; a picture is one slice, `[1, j, i]`. Other conventions (RAS of NIfTI, the
row and column order of pictures) end in the two readers of this file, those of DICOM in `trabecula.dicom`.
"""

from __future__ import annotations

import hashlib
import json
import math
import re
import zlib
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Literal, Protocol, get_args, runtime_checkable

import numpy as np

from trabecula.cache import file_digest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from numpy.typing import NDArray

Unit = Literal["HU", "mg/cm3", "g/cm2", "MPa", "log", "stored", "label", "1"]
Space = Literal["patient", "detector"]

PICTURE_ENDINGS = (".png", ".jpg", ".jpeg", ".tif", ".tiff", ".bmp")
VOLUME_ENDINGS = (".nii", ".nii.gz")
NOTE = "trabecula"
"""Under this key PNG and NIfTI files of `trabecula.image_files` say unit, space and names, which the formats cannot."""
NOTE_CODE = 6
"""Code of the NIfTI extension that holds the note: plain text."""
_IDENTITY = ((1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, 0.0, 1.0))
_LUMA = np.array([0.299, 0.587, 0.114])  # ITU-R BT.601, as Pillow's mode L
_OTHER_COLOURS = ("P", "PA", "CMYK", "YCbCr", "HSV", "LAB")
_LABEL = re.compile(r'<Label Key="(\d+)"[^>]*>\s*<!\[CDATA\[(.*?)\]\]>')
_MM = {"meter": 1e3, "micron": 1e-3}  # spatial units of a NIfTI header; anything else is mm


@runtime_checkable
class Source(Protocol):
    """Where an image comes from: a file, a series, a phantom recipe. Frozen, picklable, known by its digest."""

    @property
    def digest(self) -> str:
        """Name the content, without decoding it."""

    def load(self) -> Image:
        """Make the image."""


@dataclass(frozen=True, eq=False, kw_only=True)
class Image:
    """Voxels `[k, j, i]` and where they are.

    `spacing` is in mm along k, j, i, or `None` where nobody knows it (a PNG): then no length can be measured.
    `direction` holds three rows: the LPS unit vectors along which k, j and i grow. `origin` is the LPS position in mm
    of the centre of voxel [0, 0, 0].

    Raises `ValueError` for voxels that are not three-dimensional, spacing that is not positive, directions that are
    not orthonormal, an unknown unit, or NaN.
    """

    voxels: NDArray[Any]
    unit: Unit
    spacing: tuple[float, float, float] | None = None
    origin: tuple[float, float, float] = (0.0, 0.0, 0.0)
    direction: tuple[tuple[float, ...], ...] = _IDENTITY
    space: Space = "patient"
    names: Mapping[int, str] = field(default_factory=dict)
    """For a label map: the name of each value. 0 is background."""

    def __post_init__(self) -> None:
        voxels = np.ascontiguousarray(self.voxels)
        if voxels.ndim != 3 or not voxels.size:
            raise ValueError(f"an image has voxels [k, j, i], at least one; these have the shape {voxels.shape}")
        if voxels.dtype.kind not in "biuf":
            raise ValueError(f"voxels are real numbers, one a place; these are {voxels.dtype}")
        for given, known in ((self.unit, get_args(Unit)), (self.space, get_args(Space))):
            if given not in known:
                raise ValueError(f"unknown unit or space {given!r}; known: {', '.join(known)}")
        if np.issubdtype(voxels.dtype, np.floating) and not np.isfinite(voxels).all():
            raise ValueError("voxels are NaN or infinite: replace or crop them before making an image")
        if self.spacing is not None:
            if len(self.spacing) != 3 or not all(math.isfinite(s) and s > 0 for s in self.spacing):
                raise ValueError(f"spacing is positive and in mm, along k, j and i; got {self.spacing}")
            object.__setattr__(self, "spacing", _plain(self.spacing))
        if len(self.origin) != 3 or not all(math.isfinite(x) for x in self.origin):
            raise ValueError(f"the origin is a position in mm; got {self.origin}")
        axes = np.asarray(self.direction, dtype=float)
        if axes.shape != (3, 3) or not np.allclose(axes @ axes.T, np.eye(3), atol=1e-3):
            raise ValueError("direction holds three orthonormal rows, along k, j and i")
        voxels = voxels.astype(voxels.dtype.newbyteorder("="), copy=False).view()
        voxels.flags.writeable = False
        object.__setattr__(self, "voxels", voxels)
        object.__setattr__(self, "origin", _plain(self.origin))
        object.__setattr__(self, "direction", tuple(_plain(row) for row in self.direction))
        object.__setattr__(self, "names", MappingProxyType(dict(self.names)))

    def __reduce__(self) -> tuple[Any, ...]:
        state = (self.voxels, self.unit, self.spacing, self.origin, self.direction, self.space, dict(self.names))
        return _rebuild, state

    @property
    def shape(self) -> tuple[int, int, int]:
        """Number of voxels along k, j, i."""
        k, j, i = self.voxels.shape
        return k, j, i

    @cached_property
    def digest(self) -> str:
        """SHA-256 over voxels, geometry, unit and names."""
        sha = hashlib.sha256()
        facts = (self.voxels.dtype.str, self.shape, self.spacing, self.origin, self.direction, self.unit, self.space)
        sha.update(repr((facts, sorted(self.names.items()))).encode())
        sha.update(self.voxels.tobytes())
        return sha.hexdigest()

    @cached_property
    def affine(self) -> NDArray[np.float64]:
        """Matrix `[4, 4]` from voxel index (k, j, i, 1) to LPS mm.

        Raises `ValueError` where the spacing is not known.
        """
        if self.spacing is None:
            raise ValueError("this image has no spacing, so it has no positions in mm")
        matrix = np.eye(4)
        matrix[:3, :3] = np.asarray(self.direction).T * self.spacing
        matrix[:3, 3] = self.origin
        return matrix

    def load(self) -> Image:
        """Return itself: an image is its own source."""
        return self

    def with_voxels(self, voxels: NDArray[Any], *, unit: Unit | None = None) -> Image:
        """Return other voxels of the same shape in the same place.

        Raises `ValueError` when the shape differs.
        """
        if voxels.shape != self.voxels.shape:
            raise ValueError(f"voxels {voxels.shape} do not fit an image of shape {self.voxels.shape}")
        return replace(self, voxels=voxels, unit=unit or self.unit)


def _plain(numbers: Iterable[float]) -> tuple[float, ...]:
    """Return Python's own floats, without -0.0, so that one geometry has one digest."""
    return tuple(float(x) + 0.0 for x in numbers)


def _rebuild(
    voxels: NDArray[Any],
    unit: Unit,
    spacing: tuple[float, float, float] | None,
    origin: tuple[float, float, float],
    direction: tuple[tuple[float, ...], ...],
    space: Space,
    names: dict[int, str],
) -> Image:
    return Image(
        voxels=voxels, unit=unit, spacing=spacing, origin=origin, direction=direction, space=space, names=names
    )


@dataclass(frozen=True)
class FileSource:
    """A picture or a NIfTI volume on disk."""

    path: Path
    unit: Unit = "stored"
    """What the stored values are, as the cohort's card says: `HU` for a CT in NIfTI, `label` for a mask."""

    @property
    def digest(self) -> str:
        """SHA-256 of the file, with the unit."""
        return f"{file_digest(self.path)}:{self.unit}"

    def load(self) -> Image:
        """Decode the file; see `read_picture` and `read_nifti` for errors."""
        if self.path.name.lower().endswith(VOLUME_ENDINGS):
            return read_nifti(self.path, unit=self.unit)
        image = read_picture(self.path)
        return replace(image, unit=self.unit)


def _noted(note: str | bytes | None) -> dict[str, Any]:
    """Return what a file says about its own values in our note; nothing without one."""
    try:
        told = json.loads(note or "")[NOTE]
        return {"unit": told["unit"], "space": told["space"], "names": {int(v): n for v, n in told["names"].items()}}
    except (ValueError, LookupError, TypeError, AttributeError):
        return {}


def _label_table(extensions: Iterable[Any]) -> dict[int, str]:
    """Return the names in a Caret label table among the extensions of a NIfTI file; nothing without one."""
    for extension in extensions:
        content = extension.get_content()
        text = content.decode("utf-8", "replace") if isinstance(content, bytes) else str(content)
        if "<LabelTable>" in text:
            return {int(value): name.strip() for value, name in _LABEL.findall(text) if int(value)}
    return {}


def read_picture(path: Path) -> Image:
    """Read PNG, JPEG, TIFF or BMP as `[1, j, i]` in stored values, colours as their luminance (ITU-R BT.601).

    The space is the detector's and the spacing unknown: a picture says neither. An EXIF orientation is applied. Names
    of labels are read where our own note tells them.
    Raises `ValueError` that names the file when it is missing, truncated, no picture or several in one.
    """
    from PIL import Image as Picture  # noqa: PLC0415 keeps `import trabecula` light
    from PIL import ImageOps, UnidentifiedImageError  # noqa: PLC0415

    try:
        with Picture.open(path) as opened:
            if (pages := getattr(opened, "n_frames", 1)) > 1 and opened.format != "MPO":  # a camera adds a preview
                raise ValueError(f"it holds {pages} pictures: split it")
            opened.load()
            names = _noted(opened.info.get(NOTE)).get("names", {})
            picture = ImageOps.exif_transpose(opened)
            if picture.mode in _OTHER_COLOURS:
                picture = picture.convert("RGB")
            pixels = np.asarray(picture)
    except FileNotFoundError:
        raise ValueError(f"{path}: there is no such file") from None
    except (UnidentifiedImageError, OSError, SyntaxError, ValueError, Picture.DecompressionBombError) as error:
        raise ValueError(f"{path}: cannot be read as a picture ({error}); replace or remove the file") from error
    if picture.mode in ("LA", "La"):
        pixels = pixels[..., 0]
    elif pixels.ndim == 3:
        pixels = pixels[..., :3] @ _LUMA
        pixels = np.rint(pixels).astype(np.uint8)
    if pixels.dtype == bool:
        pixels = pixels.astype(np.uint8) * np.uint8(255)
    return _named(path, lambda: Image(voxels=pixels[None], unit="stored", space="detector", names=names))


def read_nifti(path: Path, *, unit: Unit = "stored") -> Image:
    """Read a NIfTI volume; its RAS affine becomes LPS mm and its axes i, j, k become `[k, j, i]`.

    A file that says its own unit, space and names in our note is believed before `unit`. Names of labels are also read
    from a Caret label table, which TotalSegmentator writes.
    Raises `ValueError` that names the file when it cannot be read, has more than three dimensions, a skewed affine,
    colours or NaN.
    """
    import nibabel  # noqa: PLC0415
    from nibabel.spatialimages import HeaderDataError  # noqa: PLC0415

    try:
        loaded = nibabel.load(path)
        if not isinstance(loaded, nibabel.Nifti1Image):  # NIfTI-2 is one as well
            raise ValueError("no volume in it")
        stored = np.asanyarray(loaded.dataobj)
        notes = [_noted(e.get_content()) for e in loaded.header.extensions if e.get_code() == NOTE_CODE]
        names = {} if unit != "label" else _label_table(loaded.header.extensions)
        mm = _MM.get(loaded.header.get_xyzt_units()[0], 1.0)  # type: ignore[no-untyped-call]
    except (
        OSError, EOFError, nibabel.filebasedimages.ImageFileError, HeaderDataError, ValueError, LookupError,
        OverflowError, zlib.error,
    ) as error:  # fmt: skip
        raise ValueError(f"{path}: cannot be read as NIfTI ({error}); replace or remove the file") from error
    while stored.ndim > 3 and stored.shape[-1] == 1:
        stored = stored[..., 0]
    if stored.ndim == 2:
        stored = stored[..., None]
    if stored.ndim != 3:
        raise ValueError(f"{path}: holds {stored.ndim} dimensions; split it into single volumes")
    lps = np.diag([-mm, -mm, mm, 1.0]) @ loaded.affine
    spacing = np.linalg.norm(lps[:3, :3], axis=0)
    if not np.isfinite(lps).all() or not spacing.all():
        raise ValueError(f"{path}: its affine says no place for some axis; write the header again")
    axes = lps[:3, :3] / spacing
    if not np.allclose(axes.T @ axes, np.eye(3), atol=1e-3):
        raise ValueError(f"{path}: its affine is skewed (gantry tilt?); resample it to an orthogonal grid first")
    (i, j, k), (x, y, z) = spacing, lps[:3, 3]
    said = {"unit": unit, "names": names} | next(filter(None, notes), {})
    return _named(
        path,
        lambda: Image(
            voxels=stored.T, spacing=(k, j, i), origin=(x, y, z), direction=tuple(axes.T[::-1].tolist()), **said
        ),
    )


def _named(path: Path, make: Callable[[], Image]) -> Image:
    """Put the name of the file before what is wrong with its voxels."""
    try:
        return make()
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from None
