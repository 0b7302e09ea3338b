"""The psoas at a vertebral level: area, density and fat share in the plane through the middle of the body.

The plane is across the patient's own long axis, whatever the grid: voxels count by the share of them that lies in a
slab about it, so that a permuted or flipped volume gives the same numbers.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from trabecula.measure.masks import plain_name
from trabecula.measure.number import Measured, Number, of_parts, same_place
from trabecula.measure.vertebral_frame import body_clouds, body_frame

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from trabecula.image import Image

    Floats = NDArray[np.float64]

_THIN_MM = 5.0
FAT_HU = (-190.0, -30.0)
"""What counts as fat within a muscle; the usual range of body composition by CT, recalled."""
_MUSCLES = ("psoas", "iliopsoas")
_FEWEST = 12


def measure_psoas(image: Image, psoas: Image, bodies: Image, *, level: str = "L3") -> list[Measured]:
    """Return area in cm2, mean HU and fat share in percent of both psoas muscles at a level, and of each side if named.

    Raises `ValueError` for an image that is not in HU, masks of another place, and a body that cannot be found.
    """
    if image.unit != "HU":
        raise ValueError(f"this image is in {image.unit!r}, not in HU: say what its values are, or bring a CT")
    same_place(image, psoas)
    same_place(image, bodies)
    clouds = body_clouds(bodies)
    middle = float(body_frame(level, clouds, bodies).middle[2])
    sides = _sides(psoas)

    def of(part: str) -> list[Number]:
        return _numbers(image, np.isin(psoas.voxels, sides[part]), middle, part=part, level=level)

    return of_parts(of, list(sides), names=("muscle_area_cm2",))


def _sides(psoas: Image) -> dict[str, list[int]]:
    """Return the values of both muscles together, and of each where the names tell it."""
    found: dict[str, list[int]] = {"psoas": []}
    for value, name in (psoas.names or {1: "psoas"}).items():
        plain = plain_name(name)
        if plain.split()[-1] in _MUSCLES:
            found["psoas"].append(value)
            if plain not in _MUSCLES:
                found[plain] = [value]
    if not found["psoas"]:
        raise ValueError(f"no psoas is in the mask; there are {', '.join(psoas.names.values())}")
    return found


def _numbers(image: Image, inside: NDArray[np.bool_], z: float, *, part: str, level: str) -> list[Number]:
    index = np.argwhere(inside)
    if not len(index):
        raise ValueError(f"{part} is empty in this mask")
    height = index @ image.affine[2, :3] + image.affine[2, 3]
    reach = np.abs(image.affine[2, :3]).sum()  # of a voxel along the patient
    thick = max(float(reach), _THIN_MM)
    if not height.min() - reach / 2 <= z - thick / 2 or not z + thick / 2 <= height.max() + reach / 2:
        raise ValueError(f"{part} does not reach through the plane of {level} in this mask")
    share = np.clip((thick / 2 + reach / 2 - np.abs(height - z)) / reach, 0, min(1.0, thick / float(reach)))
    counted = share > 0
    index, share = index[counted], share[counted]
    if len(index) < _FEWEST:
        raise ValueError(f"{part} has {len(index)} voxels at {level}; {_FEWEST} are needed")
    hu = image.voxels[tuple(index.T)].astype(np.float64)
    voxel_mm3 = abs(float(np.linalg.det(image.affine[:3, :3])))
    fat = (hu >= FAT_HU[0]) & (hu <= FAT_HU[1])
    region = f"{thick:g} mm about the plane across the patient through the middle of {level}"
    numbers = (
        ("muscle_area_cm2", share.sum() * voxel_mm3 / thick / 100, "cm2"),
        ("muscle_mean_hu", np.average(hu, weights=share), "HU"),
        ("muscle_fat_share", 100 * np.average(fat, weights=share), "%"),
    )
    return [Number(name=name, value=value, unit=unit, part=part, region=region) for name, value, unit in numbers]
