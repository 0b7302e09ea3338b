"""Dentition: which teeth somebody has, where they stand, what dentists did, and where the crest of the bone lies.

Everything is drawn from age and chance, never from bone, so that a twin of other bone has the same teeth.
Shares and rates are ours, after ordinary films.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy.interpolate import PchipInterpolator
from scipy.ndimage import gaussian_filter1d

from trabecula.phantom.anatomy.teeth import LOWER, UPPER, Filling, Shape, Tooth

if TYPE_CHECKING:
    from numpy.random import Generator
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

_LOST = np.array([0.35, 0.35, 0.25, 0.6, 0.9, 1.6, 1.3, 4.0])
"""How readily a tooth is lost, by its place: relative."""
_LEAN = {
    False: np.array([0.0, 1.0, 1.0, 3.0, 3.0, -6.0, -11.0, -16.0]),
    True: np.array([2.0, 2.0, 5.0, 3.0, 2.0, 1.0, 3.0, 8.0]),
}
"""Degrees by which crowns lean backwards, by upper jaw; lower molars lean forwards."""
CURVE_MM = 4.0
"""How much higher the bite lies 55 mm along the arch than in front: the curve of Spee and the tilt of the head."""


@dataclass(frozen=True, eq=False, kw_only=True)
class Dentition:
    """The teeth of both jaws, and the crest of the alveolar bone."""

    teeth: tuple[Tooth, ...]
    lower_crest: PchipInterpolator
    """Height of the crest in mm at places along the arch."""
    upper_crest: PchipInterpolator

    def of(self, *, upper: bool) -> tuple[Tooth, ...]:
        """Return the teeth of one jaw."""
        return tuple(tooth for tooth in self.teeth if tooth.upper == upper)


def bite(x: Floats | float) -> Floats:
    """Return the height of the bite in mm at places along the arch, 0 in front."""
    return np.asarray(CURVE_MM * (np.asarray(x) / 55) ** 2)


def draw_dentition(rng: Generator, age: float, *, size: float) -> Dentition:
    """Draw somebody's teeth; `size` is their size over the usual.

    At most three of the five teeth behind a lower canine, the third molar aside, are lost on a side.
    """
    lost_mm = float(np.clip(1.5 + 0.03 * max(age - 30, 0) * np.exp(0.5 * rng.standard_normal()), 1.2, 6.0))
    readily = 0.0028 * max(age - 25, 2) * np.exp(0.7 * rng.standard_normal())
    teeth: list[Tooth] = []
    crests = {}
    for upper in (False, True):
        points: list[tuple[float, float]] = []
        for left in (False, True):
            quadrant, marks = _quadrant(
                rng, upper=upper, left=left, age=age, size=size, lost_mm=lost_mm, readily=readily
            )
            teeth += quadrant
            points += marks
        places, heights = np.array(sorted(points)).T
        crests[upper] = _smoothed(places, heights)
    return Dentition(teeth=tuple(teeth), lower_crest=crests[False], upper_crest=crests[True])


def _smoothed(places: Floats, heights: Floats) -> PchipInterpolator:
    """Return the crest through points, without steps."""
    fine = np.arange(places[0] - 8, places[-1] + 8, 0.25)
    rough = np.interp(fine, places, heights)
    return PchipInterpolator(fine, gaussian_filter1d(rough, 4.5, mode="nearest"), extrapolate=True)


def _quadrant(
    rng: Generator, *, upper: bool, left: bool, age: float, size: float, lost_mm: float, readily: float
) -> tuple[list[Tooth], list[tuple[float, float]]]:
    """Return the teeth of a quadrant, and points of its crest: in front of and behind each tooth and at its middle."""
    shapes, side, up = (UPPER if upper else LOWER), (1 if left else -1), (1 if upper else -1)
    present = _present(rng, readily)
    sizes = size * (1 + 0.03 * rng.standard_normal(8))
    gap = np.clip(0.12 * rng.standard_normal(8) - 0.05, -0.25, 0.3) + 1.2 * (rng.uniform(size=8) < 0.07)
    lean, shift = _LEAN[upper] + 2.5 * rng.standard_normal(8), 0.5 * rng.standard_normal(8)
    bend, pulp = 0.07 + 0.06 * rng.standard_normal(8), np.exp(0.12 * rng.standard_normal(8))
    local = 0.35 * rng.standard_normal((8, 3))
    work = rng.uniform(size=(8, 4))
    teeth, marks, along = [], [], 0.0
    for n, shape in enumerate(shapes):
        width = sizes[n] * shape.width
        middle = along + width / 2
        along += width + gap[n]
        open_mm = 0.4 + 1.6 * np.exp(-((middle / 14) ** 2))
        crown = sizes[n] * shape.crown
        neck = float(bite(middle)) + up * (open_mm + crown) + shift[n] * 0.6
        crown_shift = crown * 0.55 * np.tan(np.deg2rad(lean[n]))
        if present[n]:
            filling, wide = _treatment(shape, age, work[n])
            root_filled = bool(work[n, 3] < (0.5 if filling == "crown" else 0.03))
            if root_filled and filling == "none":
                filling = "composite"
            teeth.append(
                Tooth(
                    shape=shape, upper=upper, left=left, place=n + 1, x=float(side * (middle - crown_shift)), z=neck,
                    lean=float(lean[n]), size=float(sizes[n]), bend=float(bend[n]), filling=filling, wide=wide,
                    pulp=float(pulp[n] * np.clip(1.25 - 0.0065 * (age - 20), 0.5, 1.25)),
                    root_filled=root_filled,
                )
            )  # fmt: skip
        loss = lost_mm + local[n] if present[n] else lost_mm + 3.0 + local[n]
        dip = 0.6 if present[n] else 0.4
        marks += [
            (side * (middle - 0.46 * width), neck + up * float(loss[0])),
            (side * middle, neck + up * float(loss[1] + dip)),
            (side * (middle + 0.44 * width), neck + up * float(loss[2])),
        ]
    return teeth, marks


def _present(rng: Generator, readily: float) -> NDArray[np.bool_]:
    """Return which of eight teeth are still there."""
    fate = rng.uniform(size=8) / (readily * _LOST)
    present = fate > 1
    if present[3:7].sum() < 2:
        present[3 + np.argsort(fate[3:7])[-2:]] = True
    return np.asarray(present)


def _treatment(shape: Shape, age: float, work: Floats) -> tuple[Filling, float]:
    """Return a tooth's filling and its width over the crown's."""
    behind = shape.outline in ("premolar", "molar")
    crowned = (0.002 if behind else 0.001) * max(age - 25, 0)
    filled = 0.36 if behind else 0.08
    wide = 0.95 if work[2] > 0.72 else 0.34 + 0.3 * float(work[2])
    if work[0] < crowned:
        return "crown", wide
    if work[0] < crowned + filled:
        return ("amalgam" if work[1] < 0.5 and behind else "composite"), wide
    return "none", wide
