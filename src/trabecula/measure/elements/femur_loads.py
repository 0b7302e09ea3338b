"""How a proximal femur is loaded and held, in a volume or a plate, and which of its elements belong to which region.

A block's first axis is the direction of the force, so that every support lies along an axis of the grid.

- A fall to the side: force on the outer face of the greater trochanter, over 20 mm, pointing medially and 10 degrees
  upwards off the perpendicular to the shaft; the cap of the head (45 degrees about the force) held along the force; the
  lower end of the shaft a hinge. In a volume the force comes 15 degrees from behind the plane of the neck.
- Stance on one leg: force on the cap of the head, pointing down and 20 degrees outwards; lower end of the shaft held.

Sources: facts of systems 33 and 34 (the fall); Courtney AC et al., J Bone Joint Surg Am 1995;77:387 (10 and 15 degrees)
and Keyak JH et al., J Biomech 1998;31:125 (20 degrees of stance), recalled. That the 10 degrees point upwards is ours.
"""

from __future__ import annotations

from itertools import product
from typing import TYPE_CHECKING, Literal

import numpy as np
from scipy.ndimage import distance_transform_edt

from trabecula.measure.elements.brick import Elements
from trabecula.measure.elements.solver import Supports

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from trabecula.measure.elements.block import Block
    from trabecula.measure.elements.femur_landmarks import FemurLandmarks

    Floats = NDArray[np.float64]
    Mask = NDArray[np.bool_]
    Whole = NDArray[np.int64]

FemurCase = Literal["fall", "stance"]
REGIONS = ("femoral neck", "trochanter", "shaft")
FAILING = {"fall": ("femoral neck", "trochanter"), "stance": REGIONS}
"""Regions in which a femur may fail, by load case."""

_UPWARDS_DEG, _FROM_BEHIND_DEG, _STANCE_DEG = 10.0, 15.0, 20.0
_ARC_MM, _CAP_DEG, _CLAMP_MM = 20.0, 45.0, 5.0
_CLEAR_MM, _END_MM = 5.0, 15.0  # how far from loads and supports strain is looked at; ours
_NECK_BOX_MM, _ACROSS, _LESSER = 15.0, 1.15, 1.5  # the last two in radii of the head; ours
_DEEPER_MM = 8.0  # how far behind the outermost place of the trochanter its face is still loaded


def load_axes(marks: FemurLandmarks, case: FemurCase, *, forwards: Floats | None) -> Floats:
    """Return axes for a block, the first along the force; `forwards` is the patient's front, `None` in a map."""
    up, outwards = marks.up, marks.outwards
    if case == "stance":
        turn = np.deg2rad(_STANCE_DEG)
        force = -np.cos(turn) * up + np.sin(turn) * outwards
    else:
        inwards = -outwards
        if forwards is not None:
            ahead = forwards - (forwards @ up) * up - (forwards @ outwards) * outwards
            ahead = ahead / np.linalg.norm(ahead)
            behind = np.deg2rad(_FROM_BEHIND_DEG)
            inwards = np.cos(behind) * inwards + np.sin(behind) * ahead
        turn = np.deg2rad(_UPWARDS_DEG)
        force = np.cos(turn) * inwards + np.sin(turn) * up
    second = up - (up @ force) * force
    second = second / np.linalg.norm(second)
    if forwards is None:
        return np.stack([force, second])
    return np.stack([force, second, np.cross(force, second)])


def femur_regions(block: Block, marks: FemurLandmarks) -> dict[str, Mask]:
    """Return the elements of each region: a box of 15 mm about the narrowest neck, the trochanters, the shaft."""
    along = block.along(marks.down) - marks.head @ marks.down
    height = block.along(marks.up) - marks.shaft @ marks.up
    squared = np.zeros(block.share.shape)
    for axis, at in enumerate(block.axes @ marks.head):
        squared = squared + (block.centres(axis) - at) ** 2
    across = np.sqrt(np.maximum(squared - along**2, 0))
    lesser, bone = -_LESSER * marks.head_mm, block.share > 0
    neck = (np.abs(along - marks.narrowest_mm) <= _NECK_BOX_MM / 2) & (across <= _ACROSS * marks.head_mm)
    beyond = along > marks.narrowest_mm - _NECK_BOX_MM / 2
    return {
        "femoral neck": bone & neck,
        "trochanter": bone & ~neck & beyond & (height >= lesser),
        "shaft": bone & (height < lesser) & (height > marks.lowest_mm + _END_MM),
    }


def loaded(
    elements: Elements, block: Block, marks: FemurLandmarks, case: FemurCase, *, force_n: float
) -> tuple[Supports, Mask]:
    """Return supports and forces of a load case, and the elements far enough from both for strain to mean something.

    Raises `ValueError` where no face of the bone can be loaded or held.
    """
    supports = Supports.none(elements)
    used = np.zeros(block.share.shape, dtype=bool)
    first, last, bone = _faces(block)
    if case == "fall":
        pushed = _trochanter(block, marks, first, bone)
        held = _cap(block, marks, bone) & (_depth(block, last) > block.axes[0] @ marks.head)
        _hold(supports, held, last + 1)
        used |= _layer(block, held, last)
        _hinge(supports, elements, block, marks)
    else:
        pushed = _cap(block, marks, bone) & (_depth(block, first) < block.axes[0] @ marks.head)
        low = (block.share > 0) & (block.along(marks.up) < marks.shaft @ marks.up + marks.lowest_mm + _CLAMP_MM)
        supports.fixed[:, _touched(elements, low)] = True
        used |= low
    if not pushed.any() or not supports.fixed.any():
        raise ValueError("no face of the femur can be loaded or held: is the whole proximal femur in the mask?")
    _push(supports, pushed, first, force_n)
    used |= _layer(block, pushed, first)
    far = distance_transform_edt(~used) * block.element_mm > _CLEAR_MM
    return supports, np.asarray(far)


def _faces(block: Block) -> tuple[Whole, Whole, Mask]:
    """Return the first and last element of bone of each column along the force, and which columns hold bone."""
    bone = block.share > 0
    last = len(bone) - 1 - np.argmax(bone[::-1], axis=0)
    return np.argmax(bone, axis=0), last, np.asarray(bone.any(axis=0))


def _depth(block: Block, layer: Whole) -> Floats:
    """Return where elements of a layer lie along the force, in mm."""
    return np.asarray(block.corner[0] + (layer + 0.5) * block.element_mm)


def _aside(block: Block, place: Floats) -> Floats:
    """Return how far each column lies beside a place, in mm."""
    at = block.axes @ place
    squared = np.zeros(block.share.shape[1:])
    for axis in range(1, block.share.ndim):
        squared = squared + (block.centres(axis)[0] - at[axis]) ** 2
    return np.sqrt(squared)


def _cap(block: Block, marks: FemurLandmarks, bone: Mask) -> Mask:
    """Return the columns through the middle of the head."""
    return np.asarray(bone & (_aside(block, marks.head) <= marks.head_mm * np.sin(np.deg2rad(_CAP_DEG))))


def _trochanter(block: Block, marks: FemurLandmarks, first: Whole, bone: Mask) -> Mask:
    """Return the columns of the outer face of the greater trochanter within 10 mm of its outermost place."""
    index = np.expand_dims(first, 0)
    height = np.take_along_axis(block.along(marks.up), index, axis=0)[0] - marks.shaft @ marks.up
    outside = np.take_along_axis(block.along(marks.outwards), index, axis=0)[0] - marks.shaft @ marks.outwards
    face = np.asarray(bone & (outside > 0) & (height > -marks.head_mm))
    if not face.any():
        return face
    depth = _depth(block, first)
    outermost = depth[face].min()
    there = np.argwhere(face & (depth < outermost + block.element_mm / 2)).mean(axis=0)
    squared = np.zeros(face.shape)
    for axis, at in enumerate(there):
        shape = [-1 if a == axis else 1 for a in range(face.ndim)]
        squared = squared + ((np.arange(face.shape[axis]) - at) ** 2).reshape(shape)
    near = np.sqrt(squared) * block.element_mm <= _ARC_MM / 2
    return np.asarray(face & near & (depth < outermost + _DEEPER_MM))


def _layer(block: Block, columns: Mask, layer: Whole) -> Mask:
    """Return the elements of one layer in some columns."""
    number = np.arange(len(block.share)).reshape(-1, *(1,) * columns.ndim)
    return np.asarray((number == layer) & columns)


def _corners(columns: Mask, layer: Whole) -> list[tuple[Whole, ...]]:
    """Return the nodes of the faces of columns, one array of indices for each corner of a face."""
    at = np.nonzero(columns)
    return [
        (layer[at], *(index + side for index, side in zip(at, corner, strict=True)))
        for corner in product((0, 1), repeat=columns.ndim)
    ]


def _push(supports: Supports, columns: Mask, layer: Whole, force_n: float) -> None:
    """Spread a force evenly over faces."""
    corners = _corners(columns, layer)
    for nodes in corners:
        np.add.at(supports.force[0], nodes, force_n / len(corners) / columns.sum())


def _hold(supports: Supports, columns: Mask, layer: Whole) -> None:
    """Hold faces along the force."""
    for nodes in _corners(columns, layer):
        supports.fixed[0][nodes] = True


def _touched(elements: Elements, chosen: Mask) -> Mask:
    """Return the nodes of chosen elements."""
    return Elements(modulus=np.where(chosen, 1.0, 0.0), spacing=elements.spacing).occupied


def _hinge(supports: Supports, elements: Elements, block: Block, marks: FemurLandmarks) -> None:
    """Hold the nodes in the middle of the lower end of the shaft, in a volume along the third axis."""
    place = marks.shaft + (marks.lowest_mm + block.element_mm) * marks.up
    at = (block.axes @ place - block.corner) / block.element_mm
    distance = np.full(elements.nodes[:2], np.inf)
    there = elements.occupied if block.share.ndim == 2 else elements.occupied.any(axis=2)
    k, j = np.nonzero(there)
    distance[k, j] = np.hypot(k - at[0], j - at[1])
    row, column = np.unravel_index(int(np.argmin(distance)), distance.shape)
    supports.fixed[:, row, column] = elements.occupied[row, column]
