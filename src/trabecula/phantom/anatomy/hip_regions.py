"""DXA regions of the hip: neck, trochanter, intertrochanteric region and Ward's triangle, as exact label masks.

They are laid over the femur as a densitometer sees it, the neck in the plane. The neck is a box 15 mm wide across the
neck that ends at the notch before the greater trochanter (as Hologic's); Ward's triangle is a square of 11 mm on the
axis of the neck beside it, towards the shaft (devices look for the square of least mineral, which lies there); the
axis of the neck carried on parts the trochanter from the intertrochanteric region, which ends 10 mm below the lesser
trochanter. Total hip is all four, so labels never overlap. In another pose a ray belongs to where it crosses the plane
of the neck.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from trabecula.phantom.anatomy.femur import neck_span

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from trabecula.phantom.anatomy.femur import FemurShape

    Floats = NDArray[np.float32]

REGIONS = {1: "femoral neck", 2: "trochanter", 3: "intertrochanteric", 4: "Ward's triangle"}
"""Labels; total hip is all of them."""
NECK = 1
WARDS_MM = 11.0
BELOW_LESSER_MM = 10.0
_ABOVE, _WIDER = 1.05, 0.025  # how far above the axis the box goes at the notch, over half its height, and per mm


def region_of(shape: FemurShape, x: Floats, z: Floats) -> NDArray[np.uint8]:
    """Return the label of places in the plane of the neck, in the femur's own frame; 0 where there is no region."""
    u, v = shape.neck_places(x, z)
    begin, end = neck_span(shape)
    total = (u <= end) & (z >= shape.lesser_mm - BELOW_LESSER_MM)
    label = np.where(v > 0, 2, 3)
    label = np.where((u >= begin - WARDS_MM) & (np.abs(v) <= WARDS_MM / 2), 4, label)
    neck = (u >= begin) & (v < (_ABOVE + _WIDER * (u - begin)) * shape.neck_half_mm)
    return np.asarray(np.where(total, np.where(neck, NECK, label), 0), dtype=np.uint8)
