"""Regions of a DXA scan from the contour of its bone: neck and total hip, and L1 to L4."""

from __future__ import annotations

import math
from itertools import combinations
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.ndimage import binary_dilation, gaussian_filter1d, gaussian_gradient_magnitude, label
from scipy.signal import find_peaks

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]
    Mask = NDArray[np.bool_]

NECK, TROCHANTER, TOTAL, LUMBAR = "femoral neck", "trochanter", "total hip", "L1-L4"
LEVELS = ("L1", "L2", "L3", "L4")
_NECK_BOX_MM = 15.0
_STEEP_DEG = (25.0, 80.0)  # of the narrowest section over the horizontal; the shaft's is flat
_ALIKE = 1.05  # sections so much longer than the narrowest count for its place
_TOWARDS_SHAFT_MM = 0.0  # from the narrowest section to the middle of the box; ours
_BELOW = 1.45  # where total hip ends below the inner end of the narrowest section, in its lengths; ours
_SMOOTH_MM = 3.5
_LEVEL_MM = (24.0, 48.0)  # height of a vertebra with its disc
_SET_MM, _GROUND = 30.0, 20.0  # how far off the middle the spine is set; percentile of mineral that is none
_HALF_MM = 26.0  # of a lumbar vertebra's width without its processes
_AROUND_MM, _APART_MM, _CANDIDATES = 16.0, 6.0, 14
_EVENLY, _OFF_MM = 2.0, 60.0  # weights of uneven discs, and of how far the four lie off the middle; ours


def hip_regions(bone: Mask, mm: float) -> dict[str, Mask]:
    """Return neck, trochanter and total hip of a hip scan, rows from the head down, on either side.

    The neck is a box 15 mm wide about the narrowest section between two parts of soft tissue: above the neck and
    between shaft and ischium. Total hip is what hangs on the box's outer side, down to a multiple of the neck's width.
    Raises `ValueError` for a bone that leaves no such section.
    """
    flipped = _lateral_left(bone)
    seen = bone[:, ::-1] if flipped else bone
    above, beneath = _narrowest(seen, mm)
    middle, across = (above + beneath) / 2, (above - beneath) / np.linalg.norm(above - beneath)
    axis = np.array([across[1], -across[0]])  # [down, outwards], from the head to the shaft
    rows, columns = np.indices(seen.shape)
    places = np.stack([rows, columns], axis=-1) * mm - middle
    along, up = places @ axis - _TOWARDS_SHAFT_MM, places @ across
    wide = float(np.linalg.norm(above - beneath))
    pieces, _ = label(seen & (along >= -_NECK_BOX_MM / 2))
    outer = pieces == _most(pieces[(along > _NECK_BOX_MM) & (np.abs(up) < wide)])
    total = outer & (rows * mm <= beneath[0] + _BELOW * wide)
    neck = total & (along <= _NECK_BOX_MM / 2) & (np.abs(up) < 0.75 * wide)
    found = {NECK: neck, TROCHANTER: total & ~neck & (up > 0), TOTAL: total}
    for name, region in found.items():
        if not region.any():
            raise ValueError(f"the contour of the bone leaves no {name}: is this a whole hip?")
    return {name: region[:, ::-1] if flipped else region for name, region in found.items()}


def _lateral_left(bone: Mask) -> bool:
    """Return whether the patient's side lies to the left: the pelvis fills the upper edge on the other one."""
    upper = bone[: max(1, len(bone) // 6)]
    if not upper.any():
        raise ValueError("no pelvis reaches the upper edge of the scan, so its side is unknown")
    return bool(np.nonzero(upper)[1].mean() > (bone.shape[1] - 1) / 2)


def _narrowest(bone: Mask, mm: float) -> tuple[Floats, Floats]:
    """Return the upper and the lower end of the narrowest section of the neck, in mm down and outwards."""
    soft, _ = label(~bone)
    rows, columns = bone.shape
    above = _most(soft[: rows // 2, columns // 2 :])
    last = np.flatnonzero(bone[-1 - rows // 12])
    if not len(last):
        raise ValueError("no shaft reaches the lower edge of the scan")
    inner = last[-1]
    while inner > 0 and bone[-1 - rows // 12, inner - 1]:
        inner -= 1
    beneath = soft[-1 - rows // 12, inner - 1] if inner > 0 else 0
    if 0 in (above, beneath) or above == beneath:
        raise ValueError("soft tissue above and below the neck hang together, or one is missing: no neck was found")
    touching = binary_dilation(bone)
    ends = [np.argwhere((soft == part) & touching) * mm for part in (above, beneath)]
    apart = ends[0][:, None] - ends[1][None]
    length = np.linalg.norm(apart, axis=-1)
    angle = np.degrees(np.arctan2(-apart[..., 0], apart[..., 1]))
    across = (angle > _STEEP_DEG[0]) & (angle < _STEEP_DEG[1])
    across &= ends[0][:, None, 1] < (inner + last[-1]) / 2 * mm  # the notch lies inside of the shaft's axis
    length = np.where(across, length, np.inf)
    shortest = length.min(initial=np.inf)
    if not math.isfinite(shortest):
        raise ValueError("no section lies across a neck: is this a hip, with its rows from the head down?")
    p, q = np.nonzero(length <= _ALIKE * shortest)
    return ends[0][p].mean(axis=0), ends[1][q].mean(axis=0)


def _most(labels: NDArray[Any]) -> int:
    """Return the commonest label but 0; 0 where there is none."""
    counts = np.bincount(labels.ravel(), minlength=1)
    counts[0] = 0
    return int(counts.argmax()) if counts.any() else 0


def lumbar_regions(bone: Mask, mineral: Floats, mm: float) -> dict[str, Mask]:
    """Return L1 to L4 of a spine scan, and all four together, rows from the head down.

    Discs are the minima of bone area times mineral along the rows; of the vertebrae between them the four are kept
    with the deepest and most even discs about the middle of the field, as the scan is set. Raises `ValueError` for
    fewer than four.
    """
    raised = np.maximum(mineral - np.percentile(mineral, _GROUND), 0)
    spine = bone & _about_spine(raised, mm)
    profile = gaussian_filter1d(np.where(spine, raised, 0).sum(axis=1), _SMOOTH_MM / mm)
    depth = profile / np.maximum(gaussian_filter1d(profile, _AROUND_MM / mm), 1e-9)
    discs = find_peaks(-depth, distance=max(1, int(_APART_MM / mm)))[0]
    best, chosen = math.inf, None
    for run in combinations(discs[np.argsort(depth[discs])[:_CANDIDATES]].tolist(), 5):
        rows = np.sort(run)
        gaps = np.diff(rows) * mm
        if gaps.min() < _LEVEL_MM[0] or gaps.max() > _LEVEL_MM[1]:
            continue
        off = abs((rows[0] + rows[-1]) / 2 - (len(bone) - 1) / 2) * mm
        cost = depth[rows].mean() + _EVENLY * gaps.std() / gaps.mean() + off / _OFF_MM
        if cost < best:
            best, chosen = cost, rows
    if chosen is None:
        raise ValueError("no four vertebrae in a row are told apart by their discs")
    row = np.arange(len(bone))[:, None]
    found = {
        level: spine & (row > above) & (row < below)
        for level, above, below in zip(LEVELS, chosen[:-1], chosen[1:], strict=True)
    }
    return {**found, LUMBAR: np.logical_or.reduce(list(found.values()))}


def _about_spine(raised: Floats, mm: float) -> Mask:
    """Return the columns of the vertebrae `[1, i]`: about the column near the middle whose edges stand out most.

    Edges and not mineral: liver and bowel beside the spine read as mineral, but evenly.
    """
    column = gaussian_gradient_magnitude(raised, 1).sum(axis=0)
    stands_out = gaussian_filter1d(column, 14.0 / mm)
    place = np.arange(len(column)) * mm
    near = np.abs(place - place.mean()) < _SET_MM
    axis = place[int(np.where(near, stands_out, -np.inf).argmax())]
    return np.asarray(np.abs(place - axis) < _HALF_MM)[None]
