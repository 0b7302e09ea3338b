"""The upper pelvis, for AP radiographs of the spine: both iliac wings in simple form, by eye."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

from trabecula.phantom.anatomy.scene import Bone
from trabecula.phantom.anatomy.slabs import slabs
from trabecula.phantom.anatomy.solid import Solid, rod_between

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from trabecula.phantom.anatomy.lumbar_bone import SpineBone
    from trabecula.phantom.anatomy.spine import Spine

    Floats = NDArray[np.float64]

# The crest from behind forwards and the roof of the hip joint, of the left side, in mm from the endplate of S1.
_CREST = ((44, 50, -26), (52, 42, 2), (72, 26, 28), (94, 6, 40), (112, -18, 32), (121, -40, 8), (122, -54, -22))
_ROOF = (86, -6, -106)
_JOINT = (56, 24, -62)


def iliac_wings(spine: Spine, bone: SpineBone) -> list[Bone]:
    """Return both iliac wings, thick at the crest and about the hip joint."""
    left = _left_wing(spine)
    return [
        Bone(
            name=f"ilium_{side}", solid=solid, wall_mm=0.8 * bone.arch_mm, cortical_mg_cm3=bone.cortical_mg_cm3,
            trabecular_mg_cm3=0.9 * bone.trabecular_mg_cm3, fat=bone.marrow_fat,
        )
        for side, parts in (("left", left), ("right", [part.mirrored() for part in left]))
        for solid in slabs(parts, blend_mm=9.0)
    ]  # fmt: skip


def _left_wing(spine: Spine) -> list[Solid]:
    crest, roof, joint = (spine.scale * np.array(points, dtype=float) for points in (_CREST, _ROOF, _JOINT))
    along = np.gradient(crest, axis=0)
    along /= np.linalg.norm(along, axis=1, keepdims=True)
    plate = [_sheet(roof, crest[n], along[n], (6.0, 3.6)) for n in range(2, len(crest))]
    behind = [_sheet(joint, crest[n], along[n], (5.0, 5.0)) for n in range(3)]
    neck = rod_between(roof.tolist(), joint.tolist(), (10.0, 9.0))
    edge = [rod_between(a, b, (5.0, 5.0)) for a, b in pairwise(crest.tolist())]
    shift = (0.0, float(spine.sacrum.shift[1]), float(spine.sacrum.shift[2]))
    return [part.moved(shift=shift) for part in (*plate, *behind, neck, *edge)]


def _sheet(start: Floats, end: Floats, along: Floats, radii: tuple[float, float]) -> Solid:
    """Return a rod that is wide along the crest, so that neighbours make a plate."""
    axis = (end - start) / np.linalg.norm(end - start)
    across = along - (along @ axis) * axis
    x, y, z = (across / np.linalg.norm(across)).tolist()
    return rod_between(start.tolist(), end.tolist(), radii, flatten=((x, y, z), 3.0))
