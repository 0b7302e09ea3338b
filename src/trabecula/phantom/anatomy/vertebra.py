"""A vertebra from T4 to L5 in its own frame: sizes by level and sex, a body that can lose height, and its arch.

The frame's origin is the middle of the body, x to the patient's left, y backwards, z along the axis of the body.
Sizes are recalled: heights after Eastell 1991 and Black 1991, widths and depths after Zhou 2000 and Masharawi 2008,
pedicles after Zindrick 1987, arches by eye. **Approximate**: the two sides are mirror images.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

import numpy as np

from trabecula.phantom.anatomy.solid import Solid, joined, rod_between

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from trabecula.phantom.people import Deformity

    Floats = NDArray[np.float32]

LEVELS = ("T4", "T5", "T6", "T7", "T8", "T9", "T10", "T11", "T12", "L1", "L2", "L3", "L4", "L5")

# Women, in mm: posterior height, anterior and middle over posterior height, width and depth of the endplates, width
# and height of a pedicle, width and depth of the canal, half the span of the transverse processes.
_WOMEN = {
    "T4": (18.9, 0.960, 0.930, 26.5, 22.5, 4.8, 11.0, 16.0, 15.0, 31),
    "T5": (19.4, 0.955, 0.925, 27.0, 24.0, 4.6, 11.5, 16.0, 15.0, 31),
    "T6": (20.0, 0.950, 0.920, 28.0, 25.5, 4.8, 11.8, 16.0, 15.0, 31),
    "T7": (20.5, 0.945, 0.920, 29.0, 26.5, 5.1, 12.0, 16.0, 15.0, 30),
    "T8": (21.0, 0.950, 0.920, 30.0, 27.5, 5.5, 12.3, 16.0, 15.0, 30),
    "T9": (21.7, 0.965, 0.925, 31.0, 28.3, 6.0, 13.0, 16.0, 15.0, 29),
    "T10": (22.9, 0.970, 0.925, 32.5, 29.0, 6.6, 14.2, 16.5, 15.0, 27),
    "T11": (24.3, 0.955, 0.920, 35.0, 29.5, 7.6, 15.5, 17.5, 15.5, 23),
    "T12": (25.7, 0.955, 0.920, 38.0, 30.0, 7.4, 15.5, 20.0, 16.0, 20),
    "L1": (26.9, 0.965, 0.915, 40.5, 30.3, 7.0, 15.0, 21.5, 16.0, 34),
    "L2": (27.3, 0.985, 0.915, 42.0, 31.0, 7.6, 14.6, 21.8, 15.5, 38),
    "L3": (27.1, 1.010, 0.920, 44.0, 31.8, 9.2, 14.2, 22.5, 15.5, 43),
    "L4": (26.2, 1.045, 0.930, 46.5, 32.5, 11.2, 14.2, 24.0, 16.0, 41),
    "L5": (24.2, 1.130, 0.970, 49.0, 33.0, 15.0, 13.5, 27.0, 16.5, 44),
}
_MEN = {"height": 1.03, "width": 1.10, "depth": 1.09}  # over women of the same stature

# How far a spinous process reaches back from the canal and down, in mm.
_SPINOUS = {
    "T4": (22, 20), "T5": (21, 25), "T6": (20, 28), "T7": (20, 29), "T8": (20, 27), "T9": (21, 22), "T10": (22, 16),
    "T11": (22, 11), "T12": (24, 8), "L1": (27, 5), "L2": (28, 5), "L3": (28, 5), "L4": (26, 4), "L5": (20, 5),
}  # fmt: skip
_LUMBAR = {"T10": 0.1, "T11": 0.4, "T12": 0.7} | {f"L{n}": 1.0 for n in range(1, 6)}
"""How lumbar an arch is, 0 to 1."""

_UPPER_SHARE = 0.7  # of a lost height that the upper endplate gives; ours
_RIM_MM = 2.4


@dataclass(frozen=True, kw_only=True)
class Vertebra:
    """One vertebra: lengths in mm.

    Raises `ValueError` for an unknown level or a length that is not positive.
    """

    level: str
    anterior: float
    """Height of the body at the front, in the midline."""
    middle: float
    posterior: float
    width: float
    depth: float
    pedicle_width: float
    pedicle_height: float
    canal_width: float
    canal_depth: float
    span: float
    """Half the span of the transverse processes."""
    waist: float = 0.09
    """Share by which the body is narrower at half its height than at its endplates."""
    lost: tuple[float, float, float] = (0.0, 0.0, 0.0)
    """Height lost by a deformity at the front, in the middle and at the back; the heights above are what is left."""

    def __post_init__(self) -> None:
        if self.level not in LEVELS:
            raise ValueError(f"vertebrae are {LEVELS[0]} to {LEVELS[-1]}; got {self.level!r}")
        lengths = (self.anterior, self.middle, self.posterior, self.width, self.depth)
        if not all(np.isfinite(lengths)) or min(lengths) <= 0 or not 0 <= self.waist < 0.4:
            raise ValueError(f"{self.level}: lengths are positive, in mm, and a waist is below 0.4; got {self}")

    @property
    def heights(self) -> tuple[float, float, float]:
        """Anterior, middle and posterior height in mm."""
        return self.anterior, self.middle, self.posterior

    @property
    def points(self) -> NDArray[np.float64]:
        """Six points `[6, 3]`: upper front, middle, back, then lower front, middle, back; x, y, z in mm."""
        y = np.array([-1.0, 0.0, 1.0]) * self.depth / 2
        upper, lower = (
            np.array([_poly(profile, u, u * u) for u in (-1.0, 0.0, 1.0)], dtype=float) for profile in _profiles(self)
        )
        return np.array([(0.0, back, z) for heights in (upper, lower) for back, z in zip(y, heights, strict=True)])

    def deformed(self, shape: Literal["wedge", "biconcave", "crush"], loss: float) -> Vertebra:
        """Return the vertebra after it lost this share of its height at the place of the shape.

        A wedge loses it at the front and half of it in the middle, a biconcave body in the middle, a crushed one
        everywhere.
        Raises `ValueError` for an unknown shape or a loss outside 0 to 0.8.
        """
        places = {"wedge": (1.0, 0.5, 0.0), "biconcave": (0.0, 1.0, 0.0), "crush": (1.0, 1.0, 1.0)}
        if shape not in places or not 0 <= loss <= 0.8:
            raise ValueError(f"a deformity is {', '.join(places)} with a loss of 0 to 0.8; got {shape!r}, {loss}")
        shares = places[shape]
        lost = tuple(share * loss * mm for share, mm in zip(shares, self.heights, strict=True))
        front, middle, back = (mm - gone for mm, gone in zip(self.heights, lost, strict=True))
        return replace(
            self, anterior=front, middle=middle, posterior=back,
            lost=(self.lost[0] + lost[0], self.lost[1] + lost[1], self.lost[2] + lost[2]),
        )  # fmt: skip


def usual_vertebra(level: str, *, male: bool, height_cm: float) -> Vertebra:
    """Return the vertebra that is usual for sex and stature, without a deformity.

    Raises `ValueError` for an unknown level or a stature outside 100 to 230 cm.
    """
    if level not in _WOMEN:
        raise ValueError(f"vertebrae are {LEVELS[0]} to {LEVELS[-1]}; got {level!r}")
    if not 100 <= height_cm <= 230:
        raise ValueError(f"a stature lies between 100 and 230 cm; got {height_cm}")
    back, front, middle, width, depth, pedicle, tall, canal, deep, span = _WOMEN[level]
    stature = height_cm / 163
    up, across, along = (
        stature**power * (_MEN[name] if male else 1.0)
        for name, power in (("height", 0.9), ("width", 0.6), ("depth", 0.6))
    )
    return Vertebra(
        level=level, anterior=front * back * up, middle=middle * back * up, posterior=back * up, width=width * across,
        depth=depth * along, pedicle_width=pedicle * across, pedicle_height=tall * up,
        canal_width=canal * across**0.4, canal_depth=deep * along**0.4, span=span * across,
    )  # fmt: skip


def deformed(vertebra: Vertebra, deformity: Deformity) -> Vertebra:
    """Return the vertebra with a deformity of its level."""
    return vertebra.deformed(deformity.shape, deformity.loss)


@dataclass(frozen=True, kw_only=True)
class Endplate:
    """An endplate: the height of the middle of its rim in mm, and how far its rim rises backwards, in degrees."""

    height: float
    lean: float


def endplates(vertebra: Vertebra) -> tuple[Endplate, Endplate]:
    """Return the upper and the lower endplate."""
    upper, lower = (
        Endplate(height=mean, lean=float(np.degrees(np.arctan2(2 * rise, vertebra.depth))))
        for mean, rise, _ in _profiles(vertebra)
    )
    return upper, lower


def body_solid(vertebra: Vertebra) -> Solid:
    """Return the body: concave walls and endplates, flat behind, its rims rounded."""
    upper, lower = _profiles(vertebra)
    a, b = np.float32(vertebra.width / 2), np.float32(vertebra.depth / 2)
    waist, reach = np.float32(vertebra.waist), np.float32(_RIM_MM)

    def distance(x: Floats, y: Floats, z: Floats) -> Floats:
        u, v, square = _section(x, y, vertebra)
        top, bottom = _poly(upper, u, square), _poly(lower, u, square)
        at = np.clip((2 * z - top - bottom) / (top - bottom), -1, 1)
        radius = np.maximum(np.sqrt(square), np.float32(1e-3))
        slope = np.maximum(np.sqrt((v / a) ** 2 + (u / b) ** 2), np.float32(1e-3) / b)
        side = (radius - 1 + waist * (1 - at * at)) * radius / slope
        ends = np.maximum((z - top) / _steepness(upper, u, v, a, b), (bottom - z) / _steepness(lower, u, v, a, b))
        near = np.maximum(reach - np.abs(side - ends), 0)
        return np.asarray(np.maximum(side, ends) + near * near / (4 * reach))

    highest = max(float(vertebra.points[:3, 2].max()), 1.0)
    lowest = min(float(vertebra.points[3:, 2].min()), -1.0)
    bulge = 1.02
    return Solid(
        distance,
        (-bulge * float(a), -bulge * float(b), lowest - 0.5),
        (bulge * float(a), 1.15 * float(b), highest + 0.5),
    )


def endplate_nearness(vertebra: Vertebra, x: Floats, y: Floats, z: Floats) -> Floats:
    """Return how far a place of the body lies below its nearer endplate, in mm."""
    upper, lower = _profiles(vertebra)
    u, _, square = _section(x, y, vertebra)
    return np.asarray(np.minimum(_poly(upper, u, square) - z, z - _poly(lower, u, square)))


def place_in_body(vertebra: Vertebra, x: Floats, y: Floats, z: Floats) -> tuple[Floats, Floats]:
    """Return how far up a place lies, -1 at the lower endplate to 1 at the upper, and how far in front, -1 to 1."""
    upper, lower = _profiles(vertebra)
    u, _, square = _section(x, y, vertebra)
    top, bottom = _poly(upper, u, square), _poly(lower, u, square)
    return np.asarray((2 * z - top - bottom) / (top - bottom)), -u


def pedicle_solid(vertebra: Vertebra) -> Solid:
    """Return both pedicles, from within the body to the arch."""
    return _mirrored([_pedicle(vertebra)], vertebra)


def arch_solid(vertebra: Vertebra) -> Solid:
    """Return pedicles, laminae and processes; the canal stays free."""
    canal_x, canal_y = np.float32(vertebra.canal_width / 2), np.float32(vertebra.canal_depth / 2)
    middle = np.float32(vertebra.depth / 2 + vertebra.canal_depth / 2)
    rods = _mirrored([_pedicle(vertebra), *_processes(vertebra)], vertebra)
    size = min(canal_x, canal_y)

    def distance(x: Floats, y: Floats, z: Floats) -> Floats:
        canal = (np.sqrt((x / canal_x) ** 2 + ((y - middle) / canal_y) ** 2) - 1) * size
        return np.asarray(np.maximum(rods.distance(x, y, z), -canal))

    return Solid(distance, rods.low, rods.high)


def _pedicle(v: Vertebra) -> Solid:
    back, half, z = v.depth / 2, v.canal_width / 2 + v.pedicle_width / 2, _pedicle_z(v)
    return rod_between(
        (half - 1.0, back - 5, z), (half + 0.5, back + 0.7 * v.canal_depth, z - 1),
        (v.pedicle_width / 2, v.pedicle_width / 2), flatten=((0.0, 0.0, 1.0), v.pedicle_height / v.pedicle_width),
    )  # fmt: skip


def _pedicle_z(v: Vertebra) -> float:
    return _arch_height(v) / 2 - v.pedicle_height / 2 - 1.5


def _arch_height(v: Vertebra) -> float:
    """Return the height of the back of the body before any deformity: the arch does not collapse."""
    return v.posterior + v.lost[2]


def _processes(v: Vertebra) -> list[Solid]:
    """Return pars, articular processes, lamina, spinous and transverse process of the left side."""
    lumbar = _LUMBAR.get(v.level, 0.0)
    h, back, side, deep = _arch_height(v), v.depth / 2, v.canal_width / 2, v.canal_depth
    top = _pedicle_z(v)
    reach, drop = _SPINOUS[v.level]
    up = (0.0, 0.0, 1.0)

    def mixed(thoracic: float, low: float) -> float:
        return (1 - lumbar) * thoracic + lumbar * low

    outside = side + mixed(1.5, v.pedicle_width / 2 + 2.5)
    behind = back + deep
    pars = rod_between(
        (side + v.pedicle_width / 2 + 0.5, back + 0.7 * deep, top), (side + 1, behind + 2, -0.4 * h),
        (mixed(3.5, 5.0), mixed(3.5, 4.6)),
    )  # fmt: skip
    upper = rod_between(
        (outside, back + 0.78 * deep, top), (outside + 0.5, behind - mixed(1.0, 2.5), h / 2 + mixed(5.0, 8.0)),
        (mixed(3.4, 5.0), mixed(2.6, 3.6)),
    )  # fmt: skip
    lower = rod_between(
        (side, behind + 3, -0.3 * h), (side - mixed(1.0, 0.5), behind + mixed(4.0, 4.5), -h / 2 - mixed(6.0, 10.0)),
        (mixed(3.4, 4.8), mixed(2.8, 3.8)),
    )  # fmt: skip
    lamina = rod_between(
        (side + 1, back + 0.9 * deep, mixed(0.0, -1.0)), (2.0, behind + 4.5, -0.2 * h),
        (2.8, 2.8), flatten=(up, mixed(2.9, 3.1)),
    )  # fmt: skip
    start = (0.0, behind + 4, -mixed(0.15, 0.22) * h)
    spinous = rod_between(
        start, (0.0, behind + reach, start[2] - drop), (mixed(3.0, 2.8), mixed(2.8, 3.2)),
        flatten=(up, mixed(1.7, 3.2)),
    )  # fmt: skip
    transverse = rod_between(
        (side + mixed(2.0, v.pedicle_width / 2 + 1), back + mixed(0.85, 0.65) * deep, top - 1),
        (v.span - 3, back + mixed(deep + 9, 0.8 * deep), top + mixed(3.0, 1.0)),
        (mixed(4.2, 5.5 if v.level == "L5" else 4.2), mixed(4.2, 2.8)), flatten=(up, mixed(1.1, 1.6)),
    )  # fmt: skip
    return [pars, upper, lower, lamina, spinous, transverse]


def _mirrored(parts: list[Solid], vertebra: Vertebra) -> Solid:
    """Return parts of the left side with those of the right one."""
    left = joined(parts, blend_mm=3.0) if len(parts) > 1 else parts[0]
    wide = max(left.high[0], vertebra.span)
    return Solid(lambda x, y, z: left.distance(np.abs(x), y, z), (-wide, *left.low[1:]), (wide, *left.high[1:]))


def _section(x: Floats, y: Floats, v: Vertebra) -> tuple[Floats, Floats, Floats]:
    """Return y and x over half the depth and width, the back flattened, and the square of the radius they make."""
    across = x / np.float32(v.width / 2)
    along = y / np.float32(v.depth / 2)
    along = along - np.float32(0.30) * across * across * np.clip(along, 0, 1)
    return along, across, np.asarray(along * along + across * across - 0.25 * np.minimum((along * across) ** 2, 1))


def _profiles(v: Vertebra) -> tuple[tuple[float, float, float], tuple[float, float, float]]:
    """Return the upper and the lower endplate: mean height at the rim, its rise backwards and the depth of its dish."""
    front, middle, back = (mm + gone for mm, gone in zip(v.heights, v.lost, strict=True))
    half = ((front + back) / 4, (back - front) / 4, (front + back) / 4 - middle / 2)
    gone_front, gone_middle, gone_back = v.lost
    gone = (
        (gone_front + gone_back) / 2, (gone_back - gone_front) / 2, gone_middle - (gone_front + gone_back) / 2
    )  # fmt: skip
    up, down = _UPPER_SHARE, 1 - _UPPER_SHARE
    upper = (half[0] - up * gone[0], half[1] - up * gone[1], half[2] + up * gone[2])
    lower = (-half[0] + down * gone[0], -half[1] + down * gone[1], -half[2] - down * gone[2])
    return upper, lower


def _poly(profile: tuple[float, float, float], u: Floats | float, square: Floats | float) -> Floats:
    mean, rise, dish = (np.float32(mm) for mm in profile)
    return np.asarray(mean + rise * np.clip(u, -1.1, 1.1) - dish * np.maximum(1 - square, 0))


def _steepness(profile: tuple[float, float, float], u: Floats, v: Floats, a: np.float32, b: np.float32) -> Floats:
    _, rise, dish = (np.float32(mm) for mm in profile)
    u, v = np.clip(u, -1, 1), np.clip(v, -1, 1)
    return np.asarray(np.sqrt(1 + ((rise + 2 * dish * u) / b) ** 2 + (2 * dish * v / a) ** 2))
