"""Texture of trabecular bone: one row of features a vertebra, from the middle slice of its region."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from trabecula.image import Image
from trabecula.measure.hounsfield import METAL_HU
from trabecula.measure.radiomics import Settings, extract

if TYPE_CHECKING:
    from numpy.typing import NDArray

LEVELS = ("L1", "L2", "L3", "L4")

FEATURES = (
    "stat_mean", "stat_var", "stat_skew", "stat_kurt", "stat_rms", "stat_min", "stat_p10", "stat_median", "stat_iqr",
    "stat_p90", "stat_max", "ih_entropy",
    "cm_contrast_2D_avg", "cm_dissimilarity_2D_avg", "cm_inv_diff_mom_2D_avg", "cm_energy_2D_avg", "cm_corr_2D_avg",
    "cm_joint_entr_2D_avg", "cm_clust_shade_2D_avg", "cm_clust_prom_2D_avg",
    "rlm_sre_2D_avg", "rlm_lre_2D_avg", "rlm_glnu_norm_2D_avg", "rlm_rlnu_norm_2D_avg", "rlm_r_perc_2D_avg",
    "rlm_lgre_2D_avg", "rlm_hgre_2D_avg", "rlm_srlge_2D_avg", "rlm_srhge_2D_avg", "rlm_lrlge_2D_avg",
    "rlm_lrhge_2D_avg",
)  # fmt: skip
"""IBSI tags; of features that grow with the number of voxels, and so with the field of view, the normalised one."""


def vertebral_texture(image: Image, mask: Image, *, levels: int, low_hu: float, high_hu: float) -> NDArray[np.float64]:
    """Return `FEATURES` of each region of L1 to L4 `[vertebra, feature]`; NaN where one is not defined.

    HU are clipped to a range and divided into `levels` between the lowest and the highest of the region. A
    vertebra that cannot be measured is left out.
    Raises `ValueError` for an image that is not in HU or does not lie under the mask, and when no vertebra can be
    measured, for the reason of the first.
    """
    if image.unit != "HU":
        raise ValueError(f"this image is in {image.unit!r}, not in HU: bring a CT")
    settings = Settings(families=("stat", "ih", "cm", "rlm"), bin_count=levels, aggregations=("2D_avg",))
    rows, refused = [], []
    for label in _labels(mask):
        try:
            region, slice_ = _middle_slice(image, mask, label)
            if region.voxels[slice_.voxels > 0].max() >= METAL_HU:
                raise ValueError(f"there is metal or cement in {mask.names.get(label, label)}")
            clipped = region.with_voxels(np.clip(region.voxels, low_hu, high_hu))
            found = extract(clipped, slice_, settings=settings)
        except ValueError as error:
            refused.append(str(error))
            continue
        rows.append([found.get(name, np.nan) for name in FEATURES])
    if not rows:
        raise ValueError(refused[0] if refused else f"the mask has no region of {', '.join(LEVELS)}")
    return np.array(rows)


def middle_slices(mask: Image) -> NDArray[np.float32]:
    """Return 1 in the voxels that are measured and 0 elsewhere, on the grid of the mask."""
    shown = np.zeros(mask.shape, dtype=np.float32)
    for label in _labels(mask):
        place = _place(mask, label)
        shown[place] = mask.voxels[place] == label
    return shown


def _labels(mask: Image) -> list[int]:
    """Return the values of L1 to L4, or of everything in a mask that names nothing."""
    held = [int(value) for value in np.unique(mask.voxels) if value]
    return [value for value in held if mask.names.get(value) in LEVELS] if mask.names else held


def _place(mask: Image, label: int) -> tuple[slice, slice, slice]:
    """Return the slice across the patient that halves a region, whichever way the volume is stored."""
    inside = mask.voxels == label
    across = int(np.argmax(np.abs(np.asarray(mask.direction)[:, 2])))
    counts = inside.sum(axis=tuple(axis for axis in range(3) if axis != across))
    middle = int(np.searchsorted(np.cumsum(counts), counts.sum() / 2))
    place = [slice(None)] * 3
    place[across] = slice(middle, middle + 1)
    return place[0], place[1], place[2]


def _middle_slice(image: Image, mask: Image, label: int) -> tuple[Image, Image]:
    """Return that slice as `[1, j, i]` of the image and of the region, in mm as before."""
    if image.shape != mask.shape or image.spacing is None or mask.spacing is None:
        raise ValueError("image and mask are not one grid with a spacing: resample the mask to the image")
    if np.abs(image.affine - mask.affine).max() > 1e-2 * min(image.spacing):
        raise ValueError("the mask does not lie where the image lies: resample it to the image")
    place = _place(mask, label)
    across = next(axis for axis in range(3) if place[axis] != slice(None))
    order = (across, *(axis for axis in range(3) if axis != across))
    thick, down, along = (image.spacing[axis] for axis in order)
    values = image.voxels[place].transpose(order)
    inside = (mask.voxels[place] == label).transpose(order).astype(np.uint8)
    region = Image(voxels=inside, unit="label", spacing=(thick, down, along))
    return Image(voxels=values, unit=image.unit, spacing=region.spacing), region
