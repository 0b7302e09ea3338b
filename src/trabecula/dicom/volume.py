"""Volumes and films: the files of one series become one `Image`.

Slices are put in order by where they lie in the patient, never by file name or number, and a stack that is not a
regular grid is refused rather than read as if it were one.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import numpy as np

from trabecula.dicom.frame import VOLUMES, Frame, frames_of, stored_bits, stored_pixels
from trabecula.image import Image

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

    from numpy.typing import NDArray
    from pydicom.dataset import Dataset

    from trabecula.image import Unit

_SAME_PLACE_MM = 0.01
_UNEVEN = 0.01  # share of the median step
_TURNED = 1e-4  # in direction cosines: 0.05 mm over a field of view of 500 mm
_LUMA = np.array([0.299, 0.587, 0.114])  # ITU-R BT.601, as pictures are read
_FILM_UNITS: dict[str, Unit] = {"log": "log", "g/cm2": "g/cm2"}  # RescaleType of densitometry, as `write` puts it
_HU_TYPES = ("", "HU", "US")  # RescaleType; absent means HU in CT, US is "unspecified" (PS3.3 C.11.1.1.2)


def read_series(paths: Iterable[Path]) -> Image:
    """Read the files of one series, in any order; localizers and DICOMDIRs among them are left out.

    CT comes in HU and MR and PT in `stored`, both `[k, j, i]` in the patient's space; k grows along the normal of the
    slices, which is the cross product of their rows' and columns' directions. CT voxels outside the field of view
    keep the value the scanner gave them. Anything else is a film: `[1, j, i]`, `stored` (unless its RescaleType is a
    unit of densitometry), in the detector's space, after the Modality LUT and without VOI LUT or window, with
    MONOCHROME1 inverted so that bone is bright and colours as luminance.

    The spacing of a film is PixelSpacing where it is given, which is at the detector or, where it was calibrated, in
    the patient; else ImagerPixelSpacing, always at the detector, where the body is magnified by the geometry of the
    exposure (some 5 to 30 %); else NominalScannedPixelSpacing of a digitised film; else `None` (PS3.3 10.7.1.3). Along
    k it is a nominal 1 mm.

    Raises `ValueError` that names the file for: no pictures; several series; damaged, truncated or undecodable
    files; and, of a volume, missing geometry, mixed sizes or orientations, gantry tilt, two different slices at one
    place, and missing slices or steps that differ by more than 1 % from their median.
    """
    frames = [frame for path in sorted(set(paths)) for frame in frames_of(path)]
    if not frames:
        raise ValueError("no pictures of a patient among these files; name those of one CT, MR or X-ray series")
    first = frames[0]
    for frame in frames:
        if frame.text("SeriesInstanceUID") != first.text("SeriesInstanceUID") or frame.modality != first.modality:
            raise ValueError(f"{frame.path} and {first.path} are of two series; read each series by itself")
    return _volume(frames) if first.modality in VOLUMES else _film(frames)


def read_label_map(path: Path) -> Image:
    """Read a binary segmentation as a label map, on the grid of its frames, with the names of its segments.

    A segment's value is the number in a description such as `label 20`, else the segment's number. Without a position
    in the patient, as on a radiograph, the space is the detector's. Where frames of nothing are left out, so are the
    slices above and below.

    Raises `ValueError` that names the file when it is no such segmentation, is damaged, has gaps between slices, or has
    segments that overlap.
    """
    frames = frames_of(path, masks=True)
    if not frames or frames[0].text("SegmentationType") != "BINARY":
        raise ValueError(f"{path}: no binary segmentation, which a mask in DICOM is; convert it to DICOM SEG or NIfTI")
    segments = {int(s.SegmentNumber): _labelled(s) for s in frames[0].header.SegmentSequence}
    placed = frames[0].value("ImagePositionPatient") is not None
    layers, geometry = _grid(frames) if placed else (np.zeros(len(frames), dtype=np.intp), _flat(frames[0]))
    shape = (int(layers.max()) + 1, frames[0].header.Rows, frames[0].header.Columns)
    voxels = np.zeros(shape, dtype=np.uint8 if max(value for value, _ in segments.values()) < 256 else np.uint16)
    for frame, k, pixels in zip(frames, layers.tolist(), stored_bits(frames), strict=True):
        value, name = segments[int(frame.numbers("ReferencedSegmentNumber", 1)[0])]
        if np.any(voxels[k][pixels]):
            raise ValueError(f"{path}: segment {name} overlaps another one; keep them in separate files")
        voxels[k][pixels] = value
    return Image(voxels=voxels, unit="label", names=dict(segments.values()), **geometry)


def _labelled(segment: Dataset) -> tuple[int, str]:
    """Return a segment's value in the label map, and its name."""
    told = re.fullmatch(r"label (\d+)", str(segment.get("SegmentDescription", "")).strip())
    return int(told[1]) if told else int(segment.SegmentNumber), str(segment.get("SegmentLabel", ""))


def _flat(frame: Frame) -> dict[str, Any]:
    return {"spacing": _film_spacing(frame), "space": "detector"}


def _grid(frames: Sequence[Frame]) -> tuple[NDArray[np.intp], dict[str, Any]]:
    """Return the index k of each frame, and spacing, origin and direction of all of them."""
    _shared(frames, [(f.header.Rows, f.header.Columns) for f in frames], "the size", 0)
    cosines = _shared(
        frames, [f.numbers("ImageOrientationPatient", 6) for f in frames], "ImageOrientationPatient", _TURNED
    )
    in_plane = _shared(frames, [f.numbers("PixelSpacing", 2) for f in frames], "PixelSpacing", 1e-4)
    axes = _axes(frames[0], cosines)
    positions = np.array([frame.numbers("ImagePositionPatient", 3) for frame in frames])
    _refuse_tilt(frames, positions, axes[0], float(in_plane.min()) / 2)
    layers, step = _layers(frames, positions @ axes[0])
    return layers, {
        "spacing": (step, float(in_plane[0]), float(in_plane[1])),
        "origin": _triple(positions[int(np.argmin(layers))]),
        "direction": (_triple(axes[0]), _triple(axes[1]), _triple(axes[2])),
    }


def _volume(frames: Sequence[Frame]) -> Image:
    for frame in frames:
        _require_geometry(frame)
    layers, geometry = _grid(frames)
    unit: Unit = "HU" if frames[0].modality == "CT" else "stored"
    return Image(voxels=_stack(frames, layers, _value_type(frames, signed=unit == "HU")), unit=unit, **geometry)


def _require_geometry(frame: Frame) -> None:
    """Refuse what is no slice in a patient, or no HU where it says CT."""
    if frame.value("ImagePositionPatient") is None or frame.value("ImageOrientationPatient") is None:
        raise ValueError(
            f"{frame}: {frame.modality} without a position and orientation in the patient, such as a screen capture "
            f"or a dose report; leave it out or export the original slices"
        )
    if frame.header.get("SamplesPerPixel", 1) != 1:
        raise ValueError(f"{frame}: {frame.modality} in colour is a rendering; export the original slices")
    if frame.modality != "CT":
        return
    if frame.value("RescaleSlope") is None or frame.text("RescaleType").upper() not in _HU_TYPES:
        raise ValueError(
            f"{frame}: not in Hounsfield units (RescaleSlope {frame.text('RescaleSlope') or 'missing'}, RescaleType "
            f"{frame.text('RescaleType') or 'missing'}); export the HU series"
        )


def _shared(frames: Sequence[Frame], values: Sequence[Any], what: str, tolerance: float) -> NDArray[np.float64]:
    """Return what all frames share, or refuse them."""
    table = np.array(values, dtype=float)
    odd = np.flatnonzero(np.abs(table - table[0]).max(axis=1) > tolerance)
    if odd.size:
        raise ValueError(
            f"{frames[odd[0]]}: {what} {table[odd[0]].tolist()} differs from {table[0].tolist()} in {frames[0]} "
            f"({odd.size} of {len(frames)} slices differ); read the groups as separate volumes"
        )
    shared: NDArray[np.float64] = table[0]
    return shared


def _axes(frame: Frame, cosines: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the directions `[3, 3]` along which k, j and i grow; i grows along the first three cosines."""
    i, j = cosines[:3], cosines[3:]
    lengths = np.array([np.linalg.norm(i), np.linalg.norm(j)])
    if np.abs(lengths - 1).max() > 1e-3 or abs(i @ j) > 1e-3:
        raise ValueError(f"{frame}: ImageOrientationPatient {cosines.tolist()} is not orthonormal; export it again")
    i = i / lengths[0]
    normal = np.cross(i, j)
    normal /= np.linalg.norm(normal)
    return np.array([normal, np.cross(normal, i), i])


def _refuse_tilt(
    frames: Sequence[Frame], positions: NDArray[np.float64], normal: NDArray[np.float64], tolerance_mm: float
) -> None:
    """Refuse slices that are shifted sideways against each other, as a tilted gantry shifts them."""
    apart = positions - positions[0]
    along = apart @ normal
    sideways = np.linalg.norm(apart - np.outer(along, normal), axis=1)
    worst = int(np.argmax(sideways))
    if sideways[worst] > tolerance_mm:
        angle = np.degrees(np.arctan2(sideways[worst], abs(along[worst])))
        raise ValueError(
            f"{frames[worst]}: lies {sideways[worst]:.2f} mm sideways of {frames[0]}, as with a gantry tilt of "
            f"{angle:.1f} degrees; resample the series to an orthogonal grid first"
        )


def _layers(frames: Sequence[Frame], heights: NDArray[np.float64]) -> tuple[NDArray[np.intp], float]:
    """Return the index k of each frame, and the step along k in mm. Frames at one place share their k."""
    order = np.argsort(heights, kind="stable")
    starts = np.append(True, np.diff(heights[order]) > _SAME_PLACE_MM)
    layers = np.empty(len(frames), dtype=np.intp)
    layers[order] = np.cumsum(starts) - 1
    firsts = order[starts]
    if len(firsts) == 1:
        return layers, _thickness(frames[0])
    steps = np.diff(heights[firsts])
    median = float(np.median(steps))
    uneven = np.flatnonzero(np.abs(steps - median) > _UNEVEN * median)
    if uneven.size:
        told = "; ".join(
            f"{steps[gap]:.2f} mm from {heights[firsts[gap]]:.2f} mm ({frames[firsts[gap]]}) "
            f"to {heights[firsts[gap + 1]]:.2f} mm ({frames[firsts[gap + 1]]})"
            for gap in uneven[:3]
        )
        raise ValueError(
            f"slices are missing or unevenly spaced: {uneven.size} of {len(steps)} steps differ from the median of "
            f"{median:.2f} mm: {told}; fetch the missing slices, or read even parts as separate volumes"
        )
    return layers, float(steps.mean())


def _thickness(frame: Frame) -> float:
    for keyword in ("SliceThickness", "SpacingBetweenSlices"):
        if frame.value(keyword) is not None and (thickness := float(frame.numbers(keyword, 1)[0])) > 0:
            return thickness
    raise ValueError(f"{frame}: a single slice without SliceThickness is no volume; fetch the rest of the series")


def _value_type(frames: Sequence[Frame], *, signed: bool) -> np.dtype[Any]:
    """Return the smallest integers that hold whatever the Modality LUT can make of the stored bits, else float32.

    Floating point also where slices have different slopes or intercepts, or such that are not whole.
    """
    rescales, ranges = {frame.rescale for frame in frames}, {frame.stored_range for frame in frames}
    if len(rescales) > 1 or None in ranges or not all(number.is_integer() for number in next(iter(rescales))):
        return np.dtype(np.float32)
    ((slope, intercept),) = rescales
    ends = [end * slope + intercept for span in ranges if span for end in span]
    for name in ("int16", "int32") if signed else ("uint8", "uint16", "int16", "int32"):
        if np.iinfo(name).min <= min(ends) and max(ends) <= np.iinfo(name).max:
            return np.dtype(name)
    return np.dtype(np.float32)


def _stack(frames: Sequence[Frame], layers: NDArray[np.intp], kind: np.dtype[Any]) -> NDArray[Any]:
    """Decode every frame into its place, after the Modality LUT; a second one at a place must be equal."""
    voxels = np.empty((int(layers.max()) + 1, frames[0].header.Rows, frames[0].header.Columns), dtype=kind)
    filled: dict[int, Frame] = {}
    for frame, k, pixels in zip(frames, layers.tolist(), stored_pixels(frames), strict=True):
        slope, intercept = frame.rescale
        values = (pixels * np.float64(slope) + intercept).astype(kind)
        if k not in filled:
            voxels[k], filled[k] = values, frame
        elif not np.array_equal(voxels[k], values):
            raise ValueError(
                f"{frame} and {filled[k]} are different pictures of one place (phases, echoes or reconstructions?); "
                f"read each of them as a separate volume"
            )
    return voxels


def _film(frames: Sequence[Frame]) -> Image:
    first = frames[0]
    if first.count > 1:
        raise ValueError(f"{first.path}: a film of {first.count} frames; export the single frame to be read")
    pictures = stored_pixels(frames)
    pixels = next(pictures)
    for other, again in zip(frames[1:], pictures, strict=True):
        if not np.array_equal(pixels, again):
            raise ValueError(f"{other.path} and {first.path} are two films of one series; read each by itself")
    values = _film_values(first, pixels)
    unit = _FILM_UNITS.get(first.text("RescaleType"), "stored")
    return Image(voxels=values[None], unit=unit, spacing=_film_spacing(first), space="detector")


def _film_values(frame: Frame, pixels: NDArray[Any]) -> NDArray[Any]:
    """Return a film's values `[j, i]` after its Modality LUT, bright where it shows bright, colours as luminance."""
    from pydicom.pixels.processing import apply_modality_lut  # noqa: PLC0415 keeps `import trabecula.dicom` light

    photometric = frame.text("PhotometricInterpretation").upper()
    if photometric == "PALETTE COLOR":
        raise ValueError(f"{frame}: palette colours cannot be read; export it in grey or RGB")
    if pixels.ndim == 3:
        luminance: NDArray[Any] = np.rint(pixels[..., :3] @ _LUMA).astype(pixels.dtype)
        return luminance
    if tables := frame.header.get("ModalityLUTSequence"):
        low, high = 0.0, 2.0 ** int(tables[0].LUTDescriptor[2]) - 1
        values = apply_modality_lut(pixels.astype(np.int64), frame.header)
        kind = values.dtype
    else:
        slope, intercept = frame.rescale
        kind = _value_type([frame], signed=False)
        low, high = (end * slope + intercept for end in frame.stored_range or (0, 0))
        values = pixels * np.float64(slope) + intercept
    if photometric == "MONOCHROME1":
        values = (low + high) - values
    return values.astype(kind)


def _film_spacing(frame: Frame) -> tuple[float, float, float] | None:
    for keyword in ("PixelSpacing", "ImagerPixelSpacing", "NominalScannedPixelSpacing"):
        if frame.value(keyword) is not None:
            rows, columns = frame.numbers(keyword, 2).tolist()
            if rows > 0 and columns > 0:
                return 1.0, rows, columns
    return None


def _triple(vector: NDArray[np.float64]) -> tuple[float, float, float]:
    x, y, z = vector.tolist()
    return x, y, z
