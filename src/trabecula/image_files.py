"""Our `Image` out to PNG and NIfTI: what the readers in `trabecula.image` read.

Neither format has a place for the unit of its values, the space or the names of labels; they stand in a note in the
file: a text chunk of PNG, a comment extension of NIfTI. Other programs pass over it.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np

from trabecula.image import NOTE, NOTE_CODE

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from trabecula.image import Image


def write_picture(image: Image, path: Path) -> None:
    """Write one slice of whole numbers from 0 to 65,535 as a PNG of 8 or 16 bits, each value as it is.

    The spacing is lost: PNG tells none that `read_picture` would trust.
    Raises `ValueError` for a volume, another unit than `stored` or `label`, and values that are not such numbers.
    """
    from PIL import Image as Picture  # noqa: PLC0415
    from PIL.PngImagePlugin import PngInfo  # noqa: PLC0415

    if len(image.voxels) != 1:
        raise ValueError(f"a volume of {len(image.voxels)} slices is no picture: choose nifti or dicom")
    if image.unit not in ("stored", "label"):
        raise ValueError(f"a PNG holds grey values, no {image.unit}: choose nifti or dicom")
    pixels = _smallest(image.voxels[0], (np.uint8, np.uint16))
    note = PngInfo()
    if image.names:
        note.add_text(NOTE, _note(image))
    Picture.fromarray(pixels).save(path, format="PNG", pnginfo=note)


def write_nifti(image: Image, path: Path) -> None:
    """Write a volume or a picture with its geometry, in RAS as NIfTI wants it.

    Raises `ValueError` for an image without spacing, and for whole numbers beyond 32 bits.
    """
    import nibabel  # noqa: PLC0415

    if image.spacing is None:
        raise ValueError("an image without spacing has no place in NIfTI: choose png")
    voxels = image.voxels
    if voxels.dtype.kind == "b" or (voxels.dtype.itemsize == 8 and voxels.dtype.kind in "iu"):
        voxels = _smallest(voxels, (np.uint8, np.int16, np.uint16, np.int32))
    elif voxels.dtype == np.float16:
        voxels = voxels.astype(np.float32)
    affine = np.diag([-1.0, -1.0, 1.0, 1.0]) @ image.affine[:, [2, 1, 0, 3]]
    file = nibabel.Nifti1Image(voxels.T, affine)  # type: ignore[no-untyped-call]
    file.header.set_xyzt_units("mm")  # type: ignore[no-untyped-call]
    file.header.extensions.append(nibabel.nifti1.Nifti1Extension(NOTE_CODE, _note(image).encode()))
    nibabel.save(file, path)


def _note(image: Image) -> str:
    names = {str(value): name for value, name in sorted(image.names.items())}
    return json.dumps({NOTE: {"unit": image.unit, "space": image.space, "names": names}})


def _smallest(values: NDArray[Any], kinds: tuple[type[np.integer[Any]], ...]) -> NDArray[Any]:
    """Return the values, unchanged, as the first of these kinds that holds them.

    Raises `ValueError` when none does.
    """
    whole = values.dtype.kind in "biu" or np.array_equal(values, np.rint(values))
    for kind in kinds:
        if whole and np.iinfo(kind).min <= values.min() and values.max() <= np.iinfo(kind).max:
            return values.astype(kind)
    ends = f"{values.min():g} to {values.max():g}"
    raise ValueError(f"values from {ends} are not the whole numbers that the format holds: choose nifti or dicom")
