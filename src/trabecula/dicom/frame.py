"""Frames: one picture of a DICOM file, what the file says about it, and its stored values.

A classic file holds one frame and says everything at its top. A multi-frame file says it in functional groups, for
each frame or shared by all of them (PS3.3 C.7.6.16); `Frame.value` looks in all three places.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import groupby
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from numpy.typing import NDArray
    from pydicom.dataset import FileDataset

VOLUMES = ("CT", "MR", "PT")
"""Modalities whose series are slices of a volume; every other picture is a film."""

SEGMENTATION = "SEG"
_NOT_PICTURES = (SEGMENTATION, "RTDOSE")
_DIRECTORY = "1.2.840.10008.1.3.10"


@dataclass(frozen=True, eq=False)
class Frame:
    """One picture of one file."""

    path: Path
    header: FileDataset
    number: int = 0
    """Place in the file, from 0."""

    def __str__(self) -> str:
        return f"{self.path}, frame {self.number + 1}" if self.count > 1 else str(self.path)

    def value(self, keyword: str) -> Any:
        """Return an attribute of this frame, else shared by its file's frames, else of the file; `None` where absent.

        Raises `ValueError` for a value that is none of its kind.
        """
        own = self.header.get("PerFrameFunctionalGroupsSequence") or ()
        shared = self.header.get("SharedFunctionalGroupsSequence") or ()
        for groups in (*own[self.number : self.number + 1], *shared[:1]):
            for group in groups:
                if group.VR == "SQ" and group.value and keyword in group.value[0]:
                    return group.value[0].get(keyword)
        return self.header.get(keyword)

    def text(self, keyword: str) -> str:
        """Return an attribute as text, several values apart by spaces and repeated ones once; empty where absent."""
        try:
            value = self.value(keyword)
        except (ValueError, TypeError, OverflowError):
            return ""
        values = value if _several(value) else [value]
        return " ".join(dict.fromkeys(_plain(each) for each in values if each not in (None, "")))

    def numbers(self, keyword: str, count: int) -> NDArray[np.float64]:
        """Return an attribute that holds `count` numbers.

        Raises `ValueError` that names the file when it is missing or holds something else.
        """
        try:
            value = self.value(keyword)
            numbers = np.array(value if _several(value) else [value], dtype=float)
        except (ValueError, TypeError, OverflowError):
            numbers = np.array([np.nan])
        if numbers.shape != (count,) or not np.isfinite(numbers).all():
            raise ValueError(f"{self}: needs {keyword} as {count} number(s); leave this file out or export it again")
        return numbers

    @property
    def count(self) -> int:
        """Number of frames in the file."""
        return int(self.header.get("NumberOfFrames") or 1)

    @property
    def modality(self) -> str:
        """DICOM's code of the modality, such as CT or DX."""
        return self.text("Modality").upper()

    @property
    def pictorial(self) -> bool:
        """Whether the file is a picture of a patient: not a report, a segmentation, a dose map or a localizer.

        Raises `ValueError` for an image whose header was cut off.
        """
        if "Rows" not in self.header:
            stored_as = self.header.file_meta.get("MediaStorageSOPClassUID")
            if not stored_as or "Image Storage" in stored_as.name:
                raise ValueError("an image without Rows, probably truncated; export it again")
            return False
        return self.modality not in _NOT_PICTURES and "LOCALIZER" not in self.text("ImageType").upper().split()

    @property
    def rescale(self) -> tuple[float, float]:
        """Slope and intercept of the Modality LUT; (1, 0) where the file has none.

        Raises `ValueError` for a slope of 0 or values that are no numbers.
        """
        if self.value("RescaleSlope") is None and self.value("RescaleIntercept") is None:
            return 1.0, 0.0
        slope, intercept = self.numbers("RescaleSlope", 1)[0], self.numbers("RescaleIntercept", 1)[0]
        if slope == 0:
            raise ValueError(f"{self}: its RescaleSlope is 0, so its values are lost; export it again")
        return float(slope), float(intercept)

    @property
    def stored_range(self) -> tuple[int, int] | None:
        """Lowest and highest value that the stored bits can hold; `None` for floating-point pixels."""
        if "BitsStored" not in self.header or "PixelRepresentation" not in self.header:
            return None
        bits = int(self.header.BitsStored)
        return (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1) if self.header.PixelRepresentation else (0, 2**bits - 1)


def frames_of(path: Path, *, masks: bool = False) -> list[Frame]:
    """Read a file's header, without its pixels; no frames for a DICOMDIR or what is not a picture of a patient.

    With `masks` the frames of a segmentation, and of nothing else.

    Raises `ValueError` that names the file when it is missing, not DICOM, or damaged.
    """
    from pydicom import dcmread  # noqa: PLC0415 keeps `import trabecula.dicom` light
    from pydicom.errors import InvalidDicomError  # noqa: PLC0415

    try:
        header = dcmread(path, stop_before_pixels=True)
        first = Frame(path, header)
        if is_directory(header) or not (first.modality == SEGMENTATION if masks else first.pictorial):
            return []
        frames = [Frame(path, header, number) for number in range(first.count)]
    except FileNotFoundError:
        raise ValueError(f"{path}: there is no such file") from None
    except InvalidDicomError:
        raise ValueError(f"{path}: not DICOM (no DICM prefix); take it out of the series or export it again") from None
    except Exception as error:  # a damaged file breaks the parser in any way
        raise ValueError(f"{path}: its DICOM header is damaged ({error}); export it again") from error
    return frames


def is_directory(header: FileDataset) -> bool:
    """Whether this is a DICOMDIR, the table of contents of a disc."""
    return bool(header.file_meta.get("MediaStorageSOPClassUID") == _DIRECTORY)


def stored_pixels(frames: Sequence[Frame]) -> Iterator[NDArray[Any]]:
    """Decode frames, `[j, i]` or colours `[j, i, 3]`, in the order given, which holds all frames of a file together.

    Bits that are not stored are cleared and signs extended. Only one frame is held at a time.
    Raises `ValueError` that names the file when it has no pixels, is truncated, or is compressed in a way that nothing
    here decodes.
    """
    from pydicom.pixels.utils import iter_pixels  # noqa: PLC0415

    for path, group in groupby(frames, key=lambda frame: frame.path):
        members = list(group)
        _require_decodable(members[0])
        try:
            yield from (pixels for _, pixels in zip(members, iter_pixels(path), strict=True))
        except AttributeError as error:
            raise ValueError(f"{path}: holds no pixels that can be read ({error}); export it again") from error
        except Exception as error:  # decoders raise anything on damaged pixels
            raise ValueError(
                f"{path}: its pixels cannot be decoded: the file is truncated or damaged, or no decoder here "
                f"follows it ({error}); export it again, uncompressed"
            ) from error


def stored_bits(frames: Sequence[Frame]) -> NDArray[np.bool_]:
    """Return the frames `[n, j, i]` of a file of one bit a pixel, which follow each other without a gap (PS3.5 8.2).

    Raises `ValueError` that names the file when it is compressed or holds fewer bits than it says.
    """
    from pydicom import dcmread  # noqa: PLC0415

    file = dcmread(frames[0].path)
    count, rows, columns = len(frames), int(file.Rows), int(file.Columns)
    if file.BitsAllocated != 1 or file.file_meta.TransferSyntaxUID.is_compressed:
        raise ValueError(f"{frames[0].path}: is compressed, or has more than one bit a pixel; convert it, uncompressed")
    bits = np.unpackbits(np.frombuffer(file.get("PixelData") or b"", np.uint8), bitorder="little")
    if len(bits) < count * rows * columns:
        raise ValueError(f"{frames[0].path}: its pixels are truncated; export it again")
    shown: NDArray[np.bool_] = bits[: count * rows * columns].reshape(count, rows, columns).astype(bool)
    return shown


def _require_decodable(frame: Frame) -> None:
    """Refuse what would decode to an error without a cause, or silently to other values."""
    from pydicom.pixels.decoders.base import get_decoder  # noqa: PLC0415

    syntax = frame.header.file_meta.get("TransferSyntaxUID")
    try:
        available = get_decoder(syntax).is_available and not syntax.is_deflated
    except (NotImplementedError, ValueError, AttributeError):
        available = False
    if not available:
        name = getattr(syntax, "name", syntax)
        raise ValueError(
            f"{frame.path}: no decoder for its transfer syntax {name} ({syntax}); decompress it first, "
            f"such as with `gdcmconv --raw`, or install a pydicom decoder for it, such as pylibjpeg"
        )
    header = frame.header
    if "HighBit" in header and "BitsStored" in header and header.HighBit != header.BitsStored - 1:
        raise ValueError(
            f"{frame.path}: its {header.BitsStored} stored bits end at bit {header.HighBit}, a retired layout (PS3.5 "
            f"8.1.1); convert it so that HighBit is BitsStored - 1"
        )


def _several(value: Any) -> bool:
    return not isinstance(value, (str, bytes)) and hasattr(value, "__iter__")


def _plain(value: Any) -> str:
    return f"{float(value):g}" if isinstance(value, (int, float)) else str(value).strip()
