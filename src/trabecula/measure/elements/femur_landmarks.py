"""Where head, neck and shaft of a proximal femur are, from its mask alone, in a volume or in a DXA map.

Everything lies in the frame of the image's own grid: index times spacing, in mm, `[k, j, i]` or `[j, i]`. The shaft is
the line through the middles of its lower sections; the head the largest ball (circle) beside it; the axis of the neck
runs through the middles of the sections between the two.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy.ndimage import distance_transform_edt

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]
    Mask = NDArray[np.bool_]

NECK_BOX_MM = 15.0
"""Width of the neck's region along its axis, as Hologic's."""
_SHAFT_SHARE, _STEP_MM, _TURNS = 0.35, 3.0, 5
_SHORTEST = 3.0  # length of the bone over the radius of the head
_HEAD_MM = (14.0, 36.0)
_NECK_REACH = (0.9, 2.1)  # sections of the neck, in radii from the centre of the head
_NECK_WIDTH = 1.15  # half of their width that is looked at


@dataclass(frozen=True, eq=False, kw_only=True)
class FemurLandmarks:
    """Places in mm in the image's frame, and unit vectors."""

    head: Floats
    head_mm: float
    """Radius of the largest ball in the head."""
    up: Floats
    """Along the shaft, to the head."""
    shaft: Floats
    """The place on the axis of the shaft that is nearest to where the axis of the neck meets it."""
    down: Floats
    """Along the axis of the neck, from the head."""
    narrowest_mm: float
    """Where the neck is narrowest, along its axis from the centre of the head."""
    neck_width_mm: float
    """Width of a DXA map's neck there; of a volume, that of the square of the same section."""
    lowest_mm: float
    """Lower end of the bone along the shaft, from `shaft`; negative."""

    @property
    def outwards(self) -> Floats:
        """Across the shaft, away from the head, in the plane of the neck."""
        away = -(self.head - self.shaft)
        away = away - (away @ self.up) * self.up
        return np.asarray(away / np.linalg.norm(away))


def femur_landmarks(inside: Mask, spacing: tuple[float, ...], *, up: Floats) -> FemurLandmarks:
    """Return the landmarks of a mask `[k, j, i]` or `[j, i]`; `up` is the direction to the patient's head, roughly.

    Raises `ValueError` for a bone without a head beside a shaft, or one that is cut off too high.
    """
    mm = np.asarray(spacing, dtype=np.float64)
    points = np.argwhere(inside) * mm
    if len(points) < 50:
        raise ValueError(f"{len(points)} voxels are no femur: is the mask empty?")
    middle, up = _shaft(points, np.asarray(up, dtype=np.float64))
    depth = distance_transform_edt(inside, sampling=mm)[inside]
    head, radius = _head(points, depth, middle, up)
    length = float(np.ptp(points @ up))
    if length < _SHORTEST * radius:
        raise ValueError(
            f"only {length:.0f} mm of the femur are in the mask: it must reach below the lesser trochanter"
        )
    down = _neck_axis(points, head, radius, toward=middle + ((head - middle) @ up - 1.6 * radius) * up)
    shaft = _crossing(head, down, middle, up)
    narrowest, width = _narrowest(points, head, radius, down, mm)
    return FemurLandmarks(
        head=head, head_mm=radius, up=up, shaft=shaft, down=down, narrowest_mm=narrowest, neck_width_mm=width,
        lowest_mm=float((points @ up).min() - shaft @ up),
    )  # fmt: skip


def _shaft(points: Floats, up: Floats) -> tuple[Floats, Floats]:
    """Return a place on the axis of the shaft, and its direction."""
    up = up / np.linalg.norm(up)
    middle = points.mean(axis=0)
    for _ in range(_TURNS):
        height = points @ up
        low = height.min()
        part = height < low + _SHAFT_SHARE * np.ptp(height)
        section = ((height[part] - low) / _STEP_MM).astype(int)
        counts = np.bincount(section)
        full = counts > 0.5 * np.median(counts[counts > 0])  # the lowest sections may be cut obliquely
        middles = np.stack([np.bincount(section, axis) for axis in points[part].T], axis=1)[full] / counts[full, None]
        if len(middles) < 3:
            raise ValueError("the shaft is too short to have a direction: is the femur cut off, or the mask another?")
        middle = middles.mean(axis=0)
        along = np.linalg.svd(middles - middle)[2][0]
        up = along * np.sign(along @ up)
    return middle, up


def _head(points: Floats, depth: Floats, middle: Floats, up: Floats) -> tuple[Floats, float]:
    """Return centre and radius of the largest ball beside the shaft, in the upper half of the bone."""
    height = points @ up
    beside = points - middle - ((points - middle) @ up)[:, None] * up
    apart = np.linalg.norm(beside, axis=1)
    high = height > (height.min() + height.max()) / 2
    candidates = high & (apart > 0.5 * apart[high].max())
    best = int(np.argmax(np.where(candidates, depth, 0.0)))
    near = candidates & (depth > depth[best] - 1.0) & (np.linalg.norm(points - points[best], axis=1) < 6.0)
    radius = float(depth[best])
    if not _HEAD_MM[0] <= radius <= _HEAD_MM[1]:
        raise ValueError(
            f"the largest ball beside the shaft has a radius of {radius:.0f} mm: is this a femur with its head, "
            f"that reaches below the lesser trochanter?"
        )
    return np.average(points[near], axis=0, weights=depth[near] - depth[best] + 1.0 + 1e-9), radius


def _neck_axis(points: Floats, head: Floats, radius: float, *, toward: Floats) -> Floats:
    """Return the direction from the head along the neck, first towards a place on the shaft."""
    down = (toward - head) / np.linalg.norm(toward - head)
    for _ in range(_TURNS):
        along = (points - head) @ down
        across = np.linalg.norm(points - head - along[:, None] * down, axis=1)
        neck = (along > radius) & (along < 1.6 * radius) & (across < _NECK_WIDTH * radius)
        if not neck.any():
            raise ValueError("there is no bone between head and shaft: is the mask in pieces?")
        down = points[neck].mean(axis=0) - head
        down /= np.linalg.norm(down)
    return down


def _crossing(head: Floats, down: Floats, middle: Floats, up: Floats) -> Floats:
    """Return the place on the shaft's axis that is nearest to the axis of the neck."""
    apart, cosine = middle - head, float(down @ up)
    along = ((apart @ down) * cosine - apart @ up) / (1 - cosine * cosine)
    return np.asarray(middle + along * up)


def _narrowest(points: Floats, head: Floats, radius: float, down: Floats, mm: Floats) -> tuple[float, float]:
    """Return where the section across the neck is smallest, in mm from the head's centre, and its width."""
    along = (points - head) @ down
    across = np.linalg.norm(points - head - along[:, None] * down, axis=1)
    step = max(2.0, 1.5 * float(mm.max()))
    edges = np.arange(_NECK_REACH[0] * radius, _NECK_REACH[1] * radius, step)
    counts, _ = np.histogram(along[across < 1.4 * radius], np.append(edges, edges[-1] + step))
    area = counts * float(np.prod(mm)) / step  # mm of a map, mm2 of a volume
    best = int(np.argmin(np.where(counts > 0, area, np.inf)))
    return float(edges[best] + step / 2), float(area[best] if points.shape[1] == 2 else np.sqrt(area[best]))
