"""Soft tissue about the hips: skin, fat by BMI, muscles with fat between them, what lies in the pelvis, and bowel gas.

Places are LPS mm about the midline at the height of the hips. Muscles are recalled and placed by eye: each has a core,
and what lies within the fascia belongs to the nearest one, a layer of fat between neighbours.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np
from scipy.interpolate import PchipInterpolator

from trabecula.phantom.anatomy.sampled import nearby, sampled_solid
from trabecula.phantom.anatomy.scene import Tissue
from trabecula.phantom.anatomy.solid import Solid, ellipsoid, joined, limb, pillar
from trabecula.phantom.material import get_material, pure

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.random import Generator
    from numpy.typing import NDArray

    from trabecula.phantom.anatomy.solid import Law

    Floats = NDArray[np.float32]

_SKIN_MM = 2.0
_STEP_MM = 2.5
_HIGH_MM, _LOW_MM = 240.0, -260.0  # where the body is cut
_MUSCLE_FAT = 0.06  # share of volume between the fibres of a muscle, in the lean


@dataclass(frozen=True, kw_only=True)
class Flesh:
    """What about somebody's soft tissue at the hips matters to an image; lengths in mm."""

    fat_mm: float
    """Between skin and muscle at the side of the hip."""
    muscle: float
    """Size of the muscles across their length over the usual."""
    half_mm: float
    """From the midline to the centre of a hip."""
    size: float
    gap_mm: float
    """Fat between two muscles."""
    gas: tuple[tuple[float, float, float, float], ...]
    """Pockets of gas in the bowel: place and radius."""


def draw_flesh(rng: Generator, *, male: bool, bmi: float, age: float, half_mm: float, size: float) -> Flesh:
    """Draw somebody's soft tissue: at the side of the hip 28 mm of fat in a woman of BMI 25, 13 in a man; ours."""
    z = np.clip(rng.standard_normal(2), -2.5, 2.5)
    usual, strong = (13 + 1.3 * (bmi - 25), 1.12) if male else (28 + 1.9 * (bmi - 25), 1.0)
    places = rng.uniform([-70, -35, 40], [70, 15, 130], (9, 3))
    radii = rng.uniform(5, 17, 9)
    count = int(rng.integers(3, 10))
    return Flesh(
        fat_mm=float(max(3.0, usual * np.exp(0.15 * z[0]))),
        muscle=float(np.clip(strong + 0.006 * (bmi - 25) - 0.004 * (age - 60) + 0.05 * z[1], 0.7, 1.4)),
        half_mm=half_mm,
        size=size,
        gap_mm=float(np.clip(1.2 + 0.03 * (age - 50) + 0.06 * (bmi - 25), 0.8, 5.0)),
        gas=tuple((*place, radius) for place, radius in zip(places.tolist(), radii.tolist(), strict=True))[:count],
    )


@lru_cache(maxsize=4)
def flesh_tissues(flesh: Flesh) -> tuple[Tissue, ...]:
    """Return the soft tissues, in the order in which they are painted."""
    body = sampled_solid(_body(flesh), step_mm=_STEP_MM)
    cores = _muscles(flesh)
    both = _packed(
        [*cores, *(core.mirrored() for core in cores)], _body(replace(flesh, fat_mm=0.0)), gap_mm=flesh.gap_mm
    )
    lean = {
        "muscle": (1 - _MUSCLE_FAT) * get_material("muscle").density,
        "adipose": _MUSCLE_FAT * get_material("adipose").density,
    }
    s = flesh.size
    inside = joined(
        [
            ellipsoid((0, -16 * s, 4 * s), (46 * s, 34 * s, 38 * s)),
            ellipsoid((0, 46 * s, 4 * s), (24 * s, 22 * s, 50 * s)),
            ellipsoid((0, 2 * s, 80 * s), (88 * s, 52 * s, 62 * s)),
        ],
        blend_mm=14.0,
    )
    organs = sampled_solid(inside, step_mm=_STEP_MM)
    tissues = [
        Tissue(name="skin", solid=body, densities=pure("soft_tissue")),
        Tissue(name="fat", solid=body.grown(-_SKIN_MM), densities=pure("adipose")),
        Tissue(name="muscle", solid=sampled_solid(both, step_mm=_STEP_MM), densities=lean),
        Tissue(name="pelvic organs", solid=organs & body.grown(-8.0), densities=pure("soft_tissue")),
    ]
    if flesh.gas:
        pockets = joined([ellipsoid((x, y, z), (1.3 * r, r, r)) for x, y, z, r in flesh.gas])
        tissues.append(Tissue(name="bowel gas", solid=pockets, densities=pure("air")))
    return tuple(tissues)


def joint(half_mm: float, socket_mm: float) -> Tissue:
    """Return the cartilage and the fluid that fill both sockets."""
    left = ellipsoid((half_mm, 0.0, 0.0), socket_mm)
    return Tissue(name="cartilage", solid=joined([left, left.mirrored()]), densities=pure("soft_tissue"))


def _packed(cores: Sequence[Solid], fascia: Solid, *, gap_mm: float) -> Solid:
    """Return all within the fascia save a gap between what is nearest to different cores."""
    far = np.float32(25.0)

    def distance(x: Floats, y: Floats, z: Floats) -> Floats:
        first = np.full(np.broadcast_shapes(x.shape, y.shape, z.shape), far, dtype=np.float32)
        second = first + far
        for core in cores:
            if (there := nearby(core, x, y, z, float(far))) is None:
                continue
            here = core.distance(x[:, :, there[2]], y[:, there[1]], z[there[0]])
            second[there] = np.minimum(second[there], np.maximum(first[there], here))
            first[there] = np.minimum(first[there], here)
        return np.maximum((np.float32(gap_mm) - (second - first)) / 2, fascia.distance(x, y, z))

    return Solid(distance, fascia.low, fascia.high)


def _body(flesh: Flesh) -> Solid:
    """Return the skin's surface: pelvis and both thighs; without fat, that of the fascia."""
    s, fat = flesh.size, flesh.fat_mm
    wide = flesh.half_mm + 64 * s * flesh.muscle**0.5
    z = np.array([-60, -25, 20, 70, 120, 170, _HIGH_MM]) * 1.0
    side = (
        wide + fat * np.array([1.0, 1.05, 0.95, 0.8, 0.75, 0.75, 0.75]) + s * np.array([-6, 0, -4, -16, -26, -30, -30])
    )
    deep = 84 * s + fat * np.array([0.55, 0.65, 0.75, 0.85, 0.9, 0.9, 0.9])
    trunk = pillar(_law(z, side), _law(z, deep), low_z=-45 * s, high_z=_HIGH_MM, exponent=2.4, centre_y=12.0 * s)
    at = np.array([_LOW_MM, -150, -90, -40, 20])
    outer = wide + fat * np.array([0.7, 0.9, 1.05, 1.05, 0.9]) + s * np.array([-14, -5, 0, -1, -30])
    gap = (3.0 + 0.06 * max(fat, 12.0)) * np.array([1.0, 0.8, 0.4, -2.0, -2.0])
    thick = (84 * s * flesh.muscle**0.5 + fat * np.array([0.45, 0.5, 0.55, 0.65, 0.7])) * np.array(
        [0.86, 0.94, 1, 1, 0.8]
    )
    if not fat:
        gap = gap + 2 * np.array([9.0, 9.0, 8.0, 4.0, 2.0])
    thigh = pillar(
        _law(at, (outer - gap) / 2), _law(at, thick), low_z=_LOW_MM, high_z=10.0 * s, exponent=2.3,
        centre_x=_law(at, (outer + gap) / 2), centre_y=9.0 * s,
    )  # fmt: skip
    floor = ellipsoid((0.0, 12.0 * s, -34.0 * s), (62.0 * s, 58.0 * s, 36.0 * s))
    return joined([trunk, thigh, thigh.mirrored(), floor], blend_mm=22.0)


def _muscles(flesh: Flesh) -> list[Solid]:
    """Return the muscles of the left hip."""
    s, m = flesh.size, flesh.size * flesh.muscle

    def strand(*points: tuple[float, float, float, float]) -> Solid:
        places = [(flesh.half_mm + s * x, s * y, s * z) for x, y, z, _ in points]
        return limb(places, [m * point[3] for point in points])

    def belly(x: float, y: float, z: float, a: float, b: float, c: float) -> Solid:
        return ellipsoid((flesh.half_mm + s * x, s * y, s * z), (m * a, m * b, s * c))

    return [
        belly(-8, 64, 8, 58, 26, 66), belly(22, 56, -26, 36, 24, 52),  # gluteus maximus
        belly(28, 4, 62, 22, 46, 50), belly(34, 8, 22, 15, 26, 36),  # gluteus medius and minimus
        strand((44, -42, 50, 9), (52, -34, 0, 12), (50, -24, -70, 9)),  # tensor fasciae latae
        strand((-14, -18, 120, 22), (-12, -34, 60, 21), (-4, -38, 10, 17), (10, -14, -40, 13)),  # iliopsoas
        belly(-6, -12, 96, 20, 42, 46),  # iliacus
        strand((12, -44, 22, 8), (14, -54, -40, 15), (14, -52, -130, 20), (10, -48, -260, 19)),  # rectus femoris
        strand((30, -60, 66, 7), (4, -68, -10, 8), (-26, -58, -120, 10), (-40, -40, -260, 10)),  # sartorius
        strand((42, 2, -30, 12), (44, -8, -80, 24), (38, -10, -150, 30), (28, -8, -260, 30)),  # vastus lateralis
        strand((20, -24, -50, 14), (16, -26, -130, 24), (4, -24, -260, 26)),  # vastus intermedius and medialis
        strand((-70, -46, -28, 10), (-52, -38, -70, 18), (-34, -26, -140, 24), (-30, -10, -260, 24)),  # adductors
        strand((-56, -14, -58, 12), (-40, 6, -110, 24), (-26, 14, -180, 26), (-20, 14, -260, 24)),  # adductor magnus
        strand((-26, 28, -74, 12), (-12, 42, -130, 22), (-6, 42, -260, 26)),  # hamstrings
        strand((-44, 6, -8, 10), (-42, 22, 8, 10), (-30, 36, -6, 7), (6, 18, 14, 6)),  # obturator internus
        strand((-60, -26, -30, 9), (-28, 4, -34, 10), (4, 16, 4, 6)),  # obturator externus
        strand((-24, 34, -52, 11), (10, 22, -18, 11)),  # quadratus femoris
        strand((-50, 66, 40, 11), (-10, 40, 34, 9), (12, 14, 28, 5)),  # piriformis
        strand((-64, -52, -14, 9), (-34, -46, -20, 10), (-2, -14, -50, 9)),  # pectineus
        belly(-86, -58, 70, 40, 8, 80),  # rectus abdominis
        belly(-80, 22, -34, 26, 24, 12),  # floor of the pelvis
    ]  # fmt: skip


def _law(at: NDArray[np.float64], values: NDArray[np.float64]) -> Law:
    curve = PchipInterpolator(at, values)
    return lambda z: np.asarray(curve(np.clip(z, at[0], at[-1])), dtype=np.float32)
