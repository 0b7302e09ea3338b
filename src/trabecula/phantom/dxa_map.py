"""What a densitometer makes of its two beams: areal BMD against the soft tissue beside bone, from place to place.

Fat differs from place to place, so that what soft tissue beside the bone reads is taken off there, and over the bone
what its neighbourhood reads, as devices do line by line. Fat in marrow and fat that differs over bone stay as bias.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from scipy.ndimage import distance_transform_edt, gaussian_filter

from trabecula.image import Image
from trabecula.phantom.dxa import Densitometer, areal_bmd, dual_energy

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.random import Generator
    from numpy.typing import NDArray

    from trabecula.image import Unit

    Floats = NDArray[np.float64]
    Mask = NDArray[np.bool_]

_CLEAR_MM, _NEAR_MM = 3.0, 12.0  # how far from bone the soft tissue beside it begins, and SD of what counts as near
_AIR_G_CM2 = 3.0  # rays with less in them go beside the body


def device_map(
    columns_g_cm2: Mapping[str, Floats], device: Densitometer, rng: Generator, *, bone: Mask
) -> tuple[Floats, Floats, Floats]:
    """Return the log attenuation `[j, i]` in the low and the high beam, and areal BMD in g/cm2 of hydroxyapatite.

    `bone` marks the rays that meet bone.
    Raises `ValueError` when no soft tissue lies beside it.
    """
    low, high = dual_energy(columns_g_cm2, device, rng)
    pixel = device.low.pixel_mm
    body = np.sum(list(columns_g_cm2.values()), axis=0) > _AIR_G_CM2
    clear = distance_transform_edt(body & ~bone) * pixel > _CLEAR_MM
    mineral = areal_bmd(low, high, device, beside=clear)
    share = gaussian_filter(clear.astype(np.float64), _NEAR_MM / pixel)
    beside = gaussian_filter(np.where(clear, mineral, 0.0), _NEAR_MM / pixel) / np.maximum(share, 1e-9)
    return low, high, np.asarray(mineral - beside)


def as_image(values: Floats, unit: Unit, pixel_mm: float) -> Image:
    """Return a scan's values `[j, i]` as an image in the plane of the detector."""
    return Image(voxels=values.astype(np.float32)[None], unit=unit, spacing=(1.0, pixel_mm, pixel_mm), space="detector")
