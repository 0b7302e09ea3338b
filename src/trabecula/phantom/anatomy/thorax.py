"""The chest above the diaphragm, for radiographs: lungs, heart, and the ribs of T4 to T12 in simple form."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

from trabecula.phantom.anatomy.form import SKIN_MM, Form, at, mixed
from trabecula.phantom.anatomy.scene import Bone, Tissue
from trabecula.phantom.anatomy.slabs import slabs
from trabecula.phantom.anatomy.solid import Solid, ellipsoid, half_space, pillar, rod_between

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from trabecula.phantom.anatomy.lumbar_bone import SpineBone
    from trabecula.phantom.anatomy.spine import Spine

    Floats = NDArray[np.float32]

_LUNG_G_CM3 = 0.27
_DOME_MM = 150.0  # height of the diaphragm above the middle of L3
_CAGE_MM = 14.0  # ribs lie this far within the subcutaneous fat

# How far round a rib reaches, in degrees from the spine, and how far it drops on the way, in mm.
_RIBS = {
    "T4": (138, 62), "T5": (140, 66), "T6": (142, 70), "T7": (142, 74), "T8": (135, 74), "T9": (126, 70),
    "T10": (116, 64), "T11": (88, 52), "T12": (52, 34),
}  # fmt: skip


def thorax_tissues(form: Form) -> list[Tissue]:
    """Return the chest wall, the lungs above the diaphragm, and heart and mediastinum between them."""
    y, s = float(form.axis(at(220.0))[0]), form.scale

    def front(z: Floats) -> Floats:
        return np.asarray(form.back(z) - 2 * form.deep(z) + np.float32(SKIN_MM + 0.75 * form.fat + 22))

    def behind(z: Floats) -> Floats:
        return np.asarray(form.axis(z) + np.float32(34 * s))

    side = np.float32(SKIN_MM + 0.9 * form.fat + 16)
    chest = pillar(
        lambda z: form.wide(z) - side, lambda z: np.float32(0.5) * (behind(z) - front(z)), low_z=118.0, high_z=400.0,
        exponent=2.2, centre_y=lambda z: np.float32(0.5) * (front(z) + behind(z)),
    )  # fmt: skip
    inner = pillar(
        lambda z: np.interp(z, (118, 165, 230, 300), (30, 27, 36, 30)).astype(np.float32), 150.0, low_z=100.0,
        high_z=410.0, centre_x=lambda z: 5 * np.sin(z / np.float32(40)), centre_y=-20.0,
    )  # fmt: skip
    lungs = []
    for q in (-1, 1):
        half = half_space((0, 0, 0), (-q, 0, 0))
        middle = (q * 0.22 * form.width, y - 0.34 * form.depth, _DOME_MM * s - 110)
        radii = (0.37 * form.width, 0.56 * form.depth, 126 - 6 * q)
        lungs.append((chest & half) - inner - ellipsoid(middle, radii))
    aired = {"soft_tissue": _LUNG_G_CM3, "air": 0.0009}
    between = ellipsoid((0, y - 78 * s, 235), (30 * s, 55 * s, 130))
    heart = ellipsoid((22, y - 98 * s, 232), (58 * s, 46 * s, 66 * s))
    return [
        Tissue(name="chest", solid=chest, densities=mixed(soft_tissue=0.62, lipid_rich_adipose=0.38)),
        *(Tissue(name="lung", solid=lung, densities=aired) for lung in lungs),
        Tissue(name="mediastinum", solid=between, densities=mixed(soft_tissue=0.6, lipid_rich_adipose=0.4)),
        Tissue(name="heart", solid=heart, densities=mixed(soft_tissue=0.4, blood=0.6)),
    ]


def ribs(spine: Spine, form: Form, bone: SpineBone, levels: Sequence[str]) -> list[Bone]:
    """Return the ribs of some levels, each in slabs across y, so that a slab fills a small box."""
    return [
        Bone(
            name=f"rib_{level}_{'left' if q > 0 else 'right'}", solid=slab, wall_mm=0.65 * bone.arch_mm,
            cortical_mg_cm3=bone.cortical_mg_cm3, trabecular_mg_cm3=0.6 * bone.trabecular_mg_cm3, fat=bone.marrow_fat,
        )
        for level in levels
        for q in (-1, 1)
        for slab in slabs(_rods(_path(spine, form, level, q), 4.4 * spine.scale))
    ]  # fmt: skip


def _path(spine: Spine, form: Form, level: str, q: int) -> NDArray[np.float64]:
    """Return points `[n, 3]` from the joint with the vertebra round to the front."""
    v, frame = spine.vertebrae[level], spine.frames[level]
    top = (v.posterior + v.lost[2]) / 2
    joint = (q * (v.width / 2 + 1), v.depth / 2 - 3, top)
    tubercle = (q * (v.span + 2), v.depth / 2 + v.canal_depth + 12, top - 4)
    start = frame.of(np.array([joint, tubercle]))
    round_to, drop = _RIBS[level]
    z0 = start[1, 2]
    half_x = float(form.wide(at(z0))[0]) - SKIN_MM - 0.9 * form.fat - _CAGE_MM + 8
    back = float(form.axis(at(z0))[0]) + 50 * spine.scale
    front = float((form.back(at(z0)) - 2 * form.deep(at(z0)))[0]) + SKIN_MM + 0.75 * form.fat + _CAGE_MM
    first = 28.0
    turn = np.deg2rad(np.linspace(first, max(round_to, first + 12), 9))
    along = np.linspace(0.06, 1, 9)
    arc = np.stack(
        [q * half_x * np.sin(turn), (back + front) / 2 + (back - front) / 2 * np.cos(turn), z0 - drop * along], axis=-1
    )
    return np.concatenate([start, arc])


def _rods(points: NDArray[np.float64], radius: float) -> list[Solid]:
    return [rod_between(a, b, (radius, radius), flatten=((0.0, 0.0, 1.0), 1.4)) for a, b in pairwise(points)]
