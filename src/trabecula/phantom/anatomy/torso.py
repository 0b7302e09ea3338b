"""The trunk about a spine: skin, fat, muscles, great vessels, kidneys, liver and bowel, and lungs above them.

Sizes follow sex, BMI and fat mass; shapes are by eye. **Approximate**: organs are ellipsoids and pillars, what lies
far from the spine is sketched. Waist girth is recalled: 88 cm in women and 96 cm in men at a BMI of 27, 2.3 cm per
unit of BMI.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import pi, sqrt
from typing import TYPE_CHECKING

import numpy as np

from trabecula.phantom.anatomy.form import SKIN_MM, Form, at, mixed
from trabecula.phantom.anatomy.scene import Tissue
from trabecula.phantom.anatomy.solid import Solid, ellipsoid, joined, limb, pillar
from trabecula.phantom.anatomy.spine import disc_solid
from trabecula.phantom.anatomy.thorax import thorax_tissues
from trabecula.phantom.anatomy.vertebra import LEVELS
from trabecula.phantom.material import pure

if TYPE_CHECKING:
    from numpy.random import Generator
    from numpy.typing import NDArray

    from trabecula.phantom.anatomy.solid import Law
    from trabecula.phantom.anatomy.spine import Spine, Traits

    Floats = NDArray[np.float32]

DURAL_SAC = mixed(water=0.65, soft_tissue=0.25, lipid_rich_adipose=0.10)
"""Mostly fluid about the roots, with a little fat of the canal: dark on T1, about 5 HU on CT. Shares are ours."""

_LOOPS = 34


@dataclass(frozen=True, eq=False, kw_only=True)
class Torso:
    """The tissues about a spine, in the order they are painted, and its section."""

    tissues: tuple[Tissue, ...]
    form: Form

    @property
    def back_mm(self) -> float:
        """Return y of the skin behind L3."""
        return float(self.form.back(at(0.0))[0])


def draw_torso(traits: Traits, spine: Spine, rng: Generator, *, fat_share: float, psoas_cm2: float) -> Torso:
    """Draw the trunk of a person; `psoas_cm2` is the area of both muscles in the plane through the middle of L3.

    Raises `ValueError` for a share of fat outside 0 to 1 or an area that is not positive.
    """
    if not 0 <= fat_share <= 1 or not psoas_cm2 > 0:
        raise ValueError(f"fat is a share of 0 to 1 and psoas has an area in cm2; got {fat_share}, {psoas_cm2}")
    form = Form.of(traits, spine, fat_share, rng)
    cavity = form.cavity()
    psoas = _psoas(spine, form, psoas_cm2)
    tissues = [
        Tissue(name="skin", solid=form.trunk(0.0), densities=pure("soft_tissue")),
        Tissue(name="subcutaneous_fat", solid=form.trunk(SKIN_MM), densities=pure("lipid_rich_adipose")),
        Tissue(name="abdominal_wall", solid=form.wall(), densities=form.muscle),
        Tissue(name="abdominal_fat", solid=cavity, densities=pure("lipid_rich_adipose")),
        *thorax_tissues(form),
        Tissue(name="fat_behind", solid=form.behind(), densities=pure("lipid_rich_adipose")),
        Tissue(name="back_muscles", solid=_back_muscles(form), densities=form.muscle),
        *_organs(form, cavity, rng),
        Tissue(name="psoas", solid=psoas, densities=form.muscle),
        *_vessels(spine, form),
        Tissue(name="canal", solid=_canal(spine), densities=DURAL_SAC),
        *(Tissue(name=f"disc_{d.below}", solid=disc_solid(d), densities={"soft_tissue": 1.10}) for d in spine.discs),
    ]
    return Torso(tissues=tuple(tissues), form=form)


def _back_muscles(form: Form) -> Solid:
    """Return erector spinae and quadratus lumborum of both sides."""
    s = np.float32(form.scale)

    def swelling(z: Floats) -> Floats:
        return np.asarray(
            np.interp(z, (-220, -110, -60, 20, 100, 250), (0.30, 0.80, 0.97, 1.0, 0.92, 0.66)), dtype=np.float32
        )

    def half(z: Floats) -> Floats:
        return np.asarray((form.back(z) - form.axis(z) - form.fat - 2 - 19 * s) / 2, dtype=np.float32)

    def erector(side: int) -> Solid:
        return pillar(
            lambda z: 36 * s * swelling(z), half, low_z=-220, high_z=330, exponent=2.3,
            centre_x=lambda z: side * 37.5 * s * swelling(z),
            centre_y=lambda z: form.axis(z) + 19 * s + half(z),
        )  # fmt: skip

    def slender(z: Floats) -> Floats:
        return np.asarray(np.interp(z, (-78, -50, 45, 85), (0.08, 1.0, 1.0, 0.25)), dtype=np.float32)

    def square(side: int) -> Solid:
        return pillar(
            lambda z: 11 * s * slender(z), lambda z: 19 * s * slender(z), low_z=-78, high_z=85,
            centre_x=lambda z: side * (63 - np.float32(0.10) * z) * s, centre_y=lambda z: form.axis(z) + 21 * s,
        )  # fmt: skip

    y = float(form.axis(at(-110.0))[0])
    gluteal = [ellipsoid((side * 78 * form.scale, y + 42, -200), (68, 48, 105)) for side in (-1, 1)]
    return joined([*(part(side) for part in (erector, square) for side in (-1, 1)), *gluteal])


def _psoas(spine: Spine, form: Form, psoas_cm2: float) -> Solid:
    """Return both psoas muscles: from beside L1, thicker and farther out down to the pelvis."""
    radius = np.float32(sqrt(100 * psoas_cm2 / 2 / pi / 1.3))
    beside = np.float32(spine.vertebrae["L3"].width / 2 * 0.91)

    def size(z: Floats) -> Floats:
        shares = np.interp(z, (-200, -110, -75, -38, 0, 36, 72, 95), (0.80, 1.05, 1.15, 1.12, 1.0, 0.78, 0.5, 0.15))
        return np.asarray(radius * shares, dtype=np.float32)

    def out(z: Floats) -> Floats:
        return np.asarray(np.interp(z, (-200, -110, -38, 0, 90), (50.0, 24.0, 5.0, 0.7, -2.0)), dtype=np.float32)

    def middle(z: Floats) -> Floats:
        return form.axis(z) + 19 - np.float32(1.3) * size(z) - np.float32(0.7) * np.maximum(out(z), 0)

    def one(side: int) -> Solid:
        return pillar(
            size, lambda z: np.float32(1.3) * size(z), low_z=-200, high_z=95,
            centre_x=lambda z: side * (beside + size(z) + out(z)), centre_y=middle,
        )  # fmt: skip

    return one(1) | one(-1)


def _vessels(spine: Spine, form: Form) -> list[Tissue]:
    """Return aorta and vena cava in front of the spine, which part before L4 and L5."""
    half = np.float32(spine.vertebrae["L3"].depth / 2)
    aorta = 9.5 if form.male else 8.3

    def before(z: Floats, gap: float) -> Floats:
        return np.asarray(form.axis(z) - half - np.float32(gap))

    split = float(spine.frames["L4"].shift[2])
    y = float(before(at(split), aorta + 3)[0])
    left, right = (
        limb([(x, y, split), (x + 0.45 * (turn - x), y + 2, split - 22), (turn, y + 12, split - 70)], (r, r - 1, r - 2))
        for x, turn, r in ((6, 34, 7.0), (4, -34, 7.0))
    )  # fmt: skip
    vein = pillar(12.5, 8.5, low_z=split - 15, high_z=140, centre_x=-16.0, centre_y=lambda z: before(z, 10.0))
    main = pillar(aorta, aorta, low_z=split, high_z=330, centre_x=9.0, centre_y=lambda z: before(z, aorta + 3))
    iliac = joined([limb([(-14, y + 2, split - 12), (q * 32, y + 18, split - 72)], (8.0, 7.0)) for q in (-1, 1)])
    return [
        Tissue(name="vena_cava", solid=joined([vein, iliac], blend_mm=4.0), densities=pure("blood")),
        Tissue(name="aorta", solid=joined([main, left, right], blend_mm=3.0), densities=pure("blood")),
    ]


def _canal(spine: Spine) -> Solid:
    """Return the dural sac in its fat, along the canals."""
    places, radii = [], []
    for level in reversed(LEVELS):
        frame = spine.frames[level]
        v = spine.vertebrae[level]
        places.append(frame.of(np.array([[0.0, v.depth / 2 + v.canal_depth / 2, 0.0]]))[0])
        radii.append(0.47 * v.canal_depth)
    z = np.array([p[2] for p in places], dtype=np.float32)
    x, y = (np.array([p[n] for p in places], dtype=np.float32) for n in (0, 1))
    r = np.array(radii, dtype=np.float32)

    def law(values: Floats) -> Law:
        return lambda at: np.asarray(np.interp(at, z, values), dtype=np.float32)

    return pillar(law(1.15 * r), law(r), low_z=float(z[0]) - 30, high_z=float(z[-1]), centre_x=law(x), centre_y=law(y))


def _organs(form: Form, cavity: Solid, rng: Generator) -> list[Tissue]:
    """Return kidneys, liver, spleen and bowel within the cavity."""
    y, s = float(form.axis(at(30.0))[0]), form.scale
    renal = mixed(soft_tissue=0.68, blood=0.32)
    place = rng.normal(0, 4, (2, 3))
    parts = []
    for side, up, (dx, dy, dz) in ((1, 42, place[0]), (-1, 26, place[1])):
        x, y_here, z = side * (66 * s + 0.5 * dx), y + 2 + 0.5 * dy, up + dz
        kidney = ellipsoid((x, y_here, z), (27 * s, 25 * s, 54 * s))
        sinus = ellipsoid((x - side * 11 * s, y_here - 3, z), (13 * s, 9 * s, 24 * s))
        parts += [
            Tissue(name=f"kidney_{'left' if side > 0 else 'right'}", solid=kidney & cavity, densities=renal),
            Tissue(name="sinus", solid=sinus & cavity, densities=pure("lipid_rich_adipose")),
        ]
    wide, front = form.wide(at(60.0))[0], float(form.front(at(60.0))[0])
    liver = ellipsoid((-0.50 * wide, (front + y) / 2 + 8, 112), (0.62 * wide, 0.52 * (y - front) + 10, 86))
    spleen = ellipsoid((0.62 * wide, y + 4, 118), (30, 42, 52))
    stomach = ellipsoid((0.35 * wide, (2 * front + y) / 3 + 6, 112), (48, 34, 55))
    parts += [
        Tissue(name="liver", solid=liver & cavity, densities=mixed(soft_tissue=0.88, blood=0.12)),
        Tissue(name="spleen", solid=spleen & cavity, densities=mixed(soft_tissue=0.80, blood=0.20)),
        Tissue(name="stomach", solid=stomach & cavity, densities=pure("soft_tissue")),
    ]
    return [*parts, *_bowel(form, cavity, rng)]


def _bowel(form: Form, cavity: Solid, rng: Generator) -> list[Tissue]:
    """Return loops of bowel, some with gas, and colon on both sides."""
    wide = float(form.wide(at(0.0))[0]) - form.fat - 30
    front, spine = float(form.front(at(0.0))[0]), float(form.axis(at(0.0))[0])
    room = max(spine - 45 - front, 30.0)
    where = rng.uniform((-0.80, 0.05, -150), (0.80, 0.95, 75), (_LOOPS, 3))
    size, gassy = rng.uniform(9, 18, (_LOOPS, 3)), rng.uniform(size=_LOOPS)
    wall, parts = mixed(soft_tissue=0.94, lipid_rich_adipose=0.05), []
    for (across, deep, z), (rx, ry, rz), lucky in zip(where, size, gassy, strict=True):
        x, y = across * wide, front + deep * room
        loop = ellipsoid((x, y, z), (1.4 * rx, ry, rz))
        parts.append(Tissue(name="bowel", solid=loop & cavity, densities=wall))
        if lucky < 0.22:  # gas floats to the front of a loop
            bubble = ellipsoid((x, y - 0.3 * ry, z), (0.95 * rx, 0.5 * ry, 0.65 * rz))
            parts.append(Tissue(name="gas", solid=bubble & cavity, densities=pure("air")))
    stool, bends = rng.uniform(0.80, 0.97, 2), rng.normal(0, 6, (2, 6))
    for side, share, bend in zip((-1, 1), stool.tolist(), bends, strict=True):
        z = np.linspace(-110, 75, 6)
        points = np.stack([side * 0.80 * wide + bend, np.full(6, spine - 32) + 0.6 * bend[::-1], z], axis=-1)
        colon = limb(points, 19 + 0.4 * bend[::-1], blend_mm=6.0)
        content = limb(points, 16 + 0.4 * bend[::-1], blend_mm=6.0)
        parts += [
            Tissue(name="colon", solid=colon & cavity, densities=pure("soft_tissue")),
            Tissue(
                name="stool", solid=content & cavity, densities=mixed(soft_tissue=float(share), air=float(1 - share))
            ),
        ]
    return parts
