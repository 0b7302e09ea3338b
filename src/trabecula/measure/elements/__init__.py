"""Linear elastic finite elements on voxels and on DXA maps: from an image and a mask to stiffness and strength.

`vertebral_compression`, `femoral_fall`, `femoral_stance`, `dxa_fall` and `dxa_stance` are the ways in; each takes
images and plain settings and returns numbers, `dxa_fall_strain` a picture. `docs/why/elements.md` says what they assume
and were checked against.
"""

from trabecula.measure.elements.compression import vertebral_compression
from trabecula.measure.elements.femur import (
    dxa_fall,
    dxa_fall_strain,
    dxa_stance,
    femoral_fall,
    femoral_stance,
    impact_force,
)

__all__ = [
    "dxa_fall",
    "dxa_fall_strain",
    "dxa_stance",
    "femoral_fall",
    "femoral_stance",
    "impact_force",
    "vertebral_compression",
]
