"""Masks by name: which value of a label map is which bone, whoever wrote the map.

A name is understood in any spelling: `vertebrae_L1`, `L1` and `vertebral body L1` are `L1`; `femur_left`, `left femur`
and `Femur L` are `left femur`.
"""

from __future__ import annotations

import re
from dataclasses import replace
from types import MappingProxyType
from typing import TYPE_CHECKING

import numpy as np

from trabecula.image import Image
from trabecula.measure.number import same_place

if TYPE_CHECKING:
    from collections.abc import Mapping

_LEVEL = re.compile(r"([ctls])0?(\d{1,2})")
_SIDES = {"left": "left", "l": "left", "lt": "left", "right": "right", "r": "right", "rt": "right"}
_SPINE = {"vertebra", "vertebrae", "vertebral", "body", "bodies"}
_SAME = {
    "vertebrae body": "vertebral body", "vertebra body": "vertebral body", "vertebral bodies": "vertebral body",
    "vertebrae bodies": "vertebral body", "psoas major": "psoas",
}  # fmt: skip
VERTEBRAL_BODY = "vertebral body"


def _downwards(first: int, levels: str) -> dict[int, str]:
    return dict(enumerate(levels.split(), first))


_UPWARDS = "L5 L4 L3 L2 L1 T12 T11 T10 T9 T8 T7 T6 T5 T4 T3 T2 T1 C7 C6 C5 C4 C3 C2 C1"  # from the pelvis to the head

# Read in totalsegmentator/map_to_binary.py of github.com/wasserth/TotalSegmentator: bones and muscles that are
# measured here, not all of its classes. VerSe's numbers: recalled.
LAYOUTS: Mapping[str, Mapping[int, str]] = MappingProxyType({
    "totalsegmentator": {
        25: "sacrum", 26: "S1", **_downwards(27, _UPWARDS), 52: "aorta", 69: "left humerus",
        70: "right humerus", 75: "left femur", 76: "right femur", 77: "left hip", 78: "right hip",
        86: "left autochthon", 87: "right autochthon", 88: "left iliopsoas", 89: "right iliopsoas",
    },
    "totalsegmentator_v1": {
        7: "aorta", **_downwards(18, _UPWARDS), 82: "left humerus", 83: "right humerus", 88: "left femur",
        89: "right femur", 90: "left hip", 91: "right hip", 92: "sacrum", 100: "left autochthon",
        101: "right autochthon", 102: "left iliopsoas", 103: "right iliopsoas",
    },
    "totalsegmentator_vertebrae_body": {1: VERTEBRAL_BODY, 2: "intervertebral discs"},
    "verse": {
        **_downwards(1, "C1 C2 C3 C4 C5 C6 C7 T1 T2 T3 T4 T5 T6 T7 T8 T9 T10 T11 T12 L1 L2 L3 L4 L5 L6"), 28: "T13",
    },
})  # fmt: skip
"""Published numberings of label maps that come without names."""


def plain_name(name: str) -> str:
    """Return a name of a bone in the one spelling used here.

    Raises `ValueError` for an empty name.
    """
    words = [word for word in re.split(r"[^a-z0-9]+", name.lower()) if word]
    if not words:
        raise ValueError("a part has a name, such as L1 or left femur")
    rest = [word for word in words if word not in _SPINE]
    if len(rest) == 1 and (level := _LEVEL.fullmatch(rest[0])):
        return f"{level[1].upper()}{int(level[2])}"
    sides = [_SIDES[word] for word in words if word in _SIDES]
    words = [word for word in words if word not in _SIDES] or words
    plain = " ".join(words)
    plain = _SAME.get(plain, plain)
    return f"{sides[0]} {plain}" if len(sides) == 1 and plain not in _SIDES else plain


def is_level(name: str) -> bool:
    """Whether a plain name is that of a vertebra."""
    return re.fullmatch(r"[CTL]\d{1,2}", name) is not None


def named_mask(mask: Image, layout: str | Mapping[int, str] | None = None) -> Image:
    """Return a label map with plain names: its own, those of a layout, or those given by value.

    Raises `ValueError` for a mask without names where none are given, an unknown layout, or a mask that is empty or
    not of whole numbers.
    """
    voxels = mask.voxels
    if voxels.dtype.kind == "f":
        voxels = np.round(voxels).astype(np.int32)
        if not np.array_equal(voxels, mask.voxels):
            raise ValueError("a mask holds whole numbers, one a part; this one has shares: choose a cut first")
    elif voxels.dtype.kind == "b":
        voxels = voxels.astype(np.uint8)
    if isinstance(layout, str):
        if layout not in LAYOUTS:
            raise ValueError(f"there is no layout {layout!r}; there are {', '.join(LAYOUTS)}")
        layout = LAYOUTS[layout]
    names = layout or mask.names
    there = {int(value) for value in np.unique(voxels)} - {0}
    if not there:
        raise ValueError("the mask is empty: no voxel of it is other than 0")
    if not names:
        raise ValueError(
            f"the values of this mask ({', '.join(map(str, sorted(there)[:5]))}) have no names: say which layout they "
            f"follow ({', '.join(LAYOUTS)}) or which value is which part"
        )
    known = {value: plain_name(name) for value, name in names.items() if value in there}
    if not known:
        raise ValueError(f"none of the values of this mask ({sorted(there)[:5]}) has a name: is it of another layout?")
    return replace(mask, voxels=voxels, unit="label", names=known)


def part_mask(mask: Image, name: str) -> Image:
    """Return one part of a label map with names, as a mask of zeros and ones.

    Raises `ValueError` that lists the parts where it is not among them.
    """
    wanted = plain_name(name)
    values = [value for value, each in mask.names.items() if plain_name(each) == wanted]
    found = np.isin(mask.voxels, values)
    if not values or not found.any():
        raise ValueError(f"{name} is not in the mask; there are {', '.join(mask.names.values()) or 'no names'}")
    return replace(mask, voxels=found.astype(np.uint8), names={1: wanted})


def level_mask(mask: Image) -> Image:
    """Return the vertebrae of a label map with names, and nothing else.

    Raises `ValueError` where there is none.
    """
    levels = {value: plain_name(name) for value, name in mask.names.items() if is_level(plain_name(name))}
    kept = np.where(np.isin(mask.voxels, list(levels)), mask.voxels, 0)
    if not kept.any():
        raise ValueError(f"no vertebra is in the mask; there are {', '.join(mask.names.values()) or 'no names'}")
    return replace(mask, voxels=kept, names=levels)


def bodies_by_level(bodies: Image, vertebrae: Image) -> Image:
    """Return the vertebral bodies by level, of a map of bodies that does not tell levels and one of whole vertebrae.

    Raises `ValueError` for maps of different places, or where no body lies in a vertebra.
    """
    same_place(bodies, vertebrae)
    levels = level_mask(vertebrae)
    found = np.where(part_mask(bodies, VERTEBRAL_BODY).voxels > 0, levels.voxels, 0)
    if not found.any():
        raise ValueError("no vertebral body lies in a vertebra of the other mask: are both of the same patient?")
    there = set(np.unique(found).tolist())
    return replace(levels, voxels=found, names={v: name for v, name in levels.names.items() if v in there})
