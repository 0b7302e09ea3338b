"""The spine from T4 to the upper sacrum: vertebrae of one person, and where they lie in the patient.

The origin is the middle of the body of L3. Curves are those of a patient who lies: a lordosis L1 to S1 of about 45
degrees and a kyphosis T4 to T12 of about 35, recalled; wedged vertebrae add to the kyphosis by themselves.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import pairwise
from math import cos, radians, sin
from types import MappingProxyType
from typing import TYPE_CHECKING, Literal

import numpy as np

from trabecula.phantom.anatomy.solid import Solid, joined, pillar, rod_between, rotation
from trabecula.phantom.anatomy.vertebra import LEVELS, Vertebra, deformed, endplates, usual_vertebra

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.random import Generator
    from numpy.typing import NDArray

    from trabecula.phantom.people import Deformity

    Floats = NDArray[np.float32]

# Height in mm and lordosis in degrees of the disc below a level, of women; recalled.
_DISCS = {
    "T5": (4.2, -2.4), "T6": (4.2, -2.6), "T7": (4.3, -2.6), "T8": (4.5, -2.4), "T9": (4.7, -2.0), "T10": (5.0, -1.4),
    "T11": (5.4, -0.4), "T12": (5.8, 1.5), "L1": (7.0, 3.0), "L2": (8.4, 4.0), "L3": (9.6, 6.0), "L4": (10.6, 8.0),
    "L5": (11.2, 10.5), "S1": (10.0, 12.0),
}  # fmt: skip
_DEGENERATE = {"L3": 0.5, "L4": 0.7, "L5": 1.0, "S1": 1.0}  # discs that age takes first


@dataclass(frozen=True, kw_only=True)
class Traits:
    """What shapes spine and trunk of a person.

    Raises `ValueError` for an unknown sex or what no adult is.
    """

    age_years: float
    sex: Literal["female", "male"]
    height_cm: float
    bmi_kg_m2: float
    waist_cm: float | None = None
    """Where it is not known, what is usual for sex, age and BMI."""

    def __post_init__(self) -> None:
        limits = {
            "age_years": (self.age_years, 15, 110), "height_cm": (self.height_cm, 100, 230),
            "bmi_kg_m2": (self.bmi_kg_m2, 12, 80), "waist_cm": (self.waist_cm or 90.0, 40, 200),
        }  # fmt: skip
        for name, (value, low, high) in limits.items():
            if not low <= value <= high:
                raise ValueError(f"a person's {name} lies between {low} and {high}; got {value}")
        if self.sex not in ("female", "male"):
            raise ValueError(f"the sex is female or male; got {self.sex!r}")

    @property
    def male(self) -> bool:
        """Whether the person is a man."""
        return self.sex == "male"


@dataclass(frozen=True, eq=False, kw_only=True)
class Frame:
    """A frame of its own in the patient: where its origin lies in mm, and the turn `[3, 3]` of its axes."""

    shift: NDArray[np.float64]
    turn: NDArray[np.float64]

    def placed(self, solid: Solid) -> Solid:
        """Return a solid of this frame in the patient."""
        return solid.moved(shift=self.shift.tolist(), turn=self.turn)

    def of(self, points: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return points `[n, 3]` of this frame in the patient."""
        return np.asarray(points @ self.turn.T + self.shift)

    def local(self, x: Floats, y: Floats, z: Floats) -> tuple[Floats, Floats, Floats]:
        """Return places of the patient in this frame."""
        m, (dx, dy, dz) = self.turn.astype(np.float32), self.shift.astype(np.float32)
        x, y, z = x - dx, y - dy, z - dz
        a, b, c = (np.asarray(m[0, n] * x + m[1, n] * y + m[2, n] * z) for n in range(3))
        return a, b, c


@dataclass(frozen=True, eq=False, kw_only=True)
class Disc:
    """A disc: the frame of its middle, its height there and its half axes in mm."""

    below: str
    """The level under it."""
    frame: Frame
    height: float
    half_width: float
    half_depth: float


@dataclass(frozen=True, eq=False, kw_only=True)
class Spine:
    """T4 to L5 and the upper sacrum of one person."""

    vertebrae: Mapping[str, Vertebra]
    frames: Mapping[str, Frame]
    discs: tuple[Disc, ...]
    sacrum: Frame
    """Its origin is the middle of the endplate of S1."""
    scale: float
    """Of the sacrum and ribs, over a usual woman's."""

    def points(self, level: str) -> NDArray[np.float64]:
        """Return the six points `[6, 3]` of a level in the patient; see `Vertebra.points`."""
        return self.frames[level].of(self.vertebrae[level].points)

    def axis(self) -> NDArray[np.float64]:
        """Return the middles of the bodies `[14, 3]` from the lowest up."""
        return np.array([self.frames[level].shift for level in reversed(LEVELS)])

    def reach(self, highest: str, lowest: str) -> tuple[float, float]:
        """Return the lowest and the highest z in mm of the bodies between two levels."""
        return float(self.points(lowest)[:, 2].min()), float(self.points(highest)[:, 2].max())


def draw_spine(traits: Traits, rng: Generator, *, deformities: Sequence[Deformity] = ()) -> Spine:
    """Draw the spine of a person; what is drawn does not depend on the deformities.

    Raises `ValueError` for a deformity of a level that is not T4 to L5.
    """
    size = rng.normal(0, (0.025, 0.045, 0.045, 0.05, 0.05))  # height, width, depth, canal, pedicles
    own = rng.normal(0, 1, (len(LEVELS), 5))
    vertebrae = {
        level: _varied(usual_vertebra(level, male=traits.male, height_cm=traits.height_cm), size, row)
        for level, row in zip(LEVELS, own, strict=True)
    }
    heights, wedges = _drawn_discs(traits, rng)
    tilt, roll, turn = rng.normal(1, 3), rng.normal(0, 0.8, len(LEVELS)), rng.normal(0, 0.8, len(LEVELS))
    for deformity in deformities:
        if deformity.level not in vertebrae:
            raise ValueError(f"deformities are of {LEVELS[0]} to {LEVELS[-1]}; got {deformity.level!r}")
        vertebrae[deformity.level] = deformed(vertebrae[deformity.level], deformity)
    side = dict(zip(LEVELS, zip(np.cumsum(roll) - roll.sum() / 2, turn, strict=True), strict=True))
    frames, discs, sacrum = _stacked(vertebrae, heights, wedges, tilt)
    lean = {level: rotation(about_y=float(side[level][0]), about_z=float(side[level][1])) for level in LEVELS}
    scale = (traits.height_cm / 163) ** 0.7 * (1.06 if traits.male else 1.0)
    return Spine(
        vertebrae=MappingProxyType(vertebrae),
        frames=MappingProxyType({k: replace(f, turn=lean[k] @ f.turn) for k, f in frames.items()}),
        discs=discs,
        sacrum=sacrum,
        scale=scale,
    )


def disc_solid(disc: Disc) -> Solid:
    """Return a disc, which reaches a little into the dishes of the endplates: bones take their place there."""
    half = disc.height / 2 + 3.0
    return disc.frame.placed(pillar(0.97 * disc.half_width, 0.95 * disc.half_depth, low_z=-half, high_z=half))


def sacrum_solid(spine: Spine) -> Solid:
    """Return the sacrum: body, wings and crest, with canal and foramina."""
    s = spine.scale
    column = pillar(
        lambda z: s * (24.5 + np.float32(0.165) * z), lambda z: s * (15.5 + np.float32(0.105) * z), exponent=2.4,
        low_z=-118 * s, high_z=0.0, centre_y=lambda z: np.float32(0.0024) * z * np.maximum(z, -60),
    )  # fmt: skip
    up = (0.0, 0.0, 1.0)
    wing = rod_between((16 * s, 8 * s, -14 * s), (46 * s, 14 * s, -24 * s), (13 * s, 12 * s), flatten=(up, 1.35))
    lower = rod_between((14 * s, 12 * s, -45 * s), (36 * s, 18 * s, -48 * s), (10 * s, 9 * s), flatten=(up, 1.6))
    lamina = rod_between((18 * s, 22 * s, -14 * s), (2 * s, 31 * s, -24 * s), (3.5, 3.5), flatten=(up, 2.6))
    crest = rod_between((0, 32 * s, -22 * s), (0, 33 * s, -68 * s), (4.0, 3.0))
    facet = rod_between((19 * s, 20 * s, -10 * s), (21 * s, 19 * s, 6 * s), (5.5, 4.0))
    half = joined([column, wing, lower, lamina, crest, facet], blend_mm=5.0)
    canal = rod_between((0, 23 * s, 10), (0, 25 * s, -80 * s), (7.5 * s, 3.5 * s), flatten=((1.0, 0.0, 0.0), 1.7))
    half = half - canal
    for place, radius in ((-31, 4.5), (-54, 4.0)):
        half = half - rod_between((17 * s, -20, place * s - 5), (19 * s, 50, place * s + 3), (radius, radius))
    wide = half.high[0]
    whole = Solid(lambda x, y, z: half.distance(np.abs(x), y, z), (-wide, *half.low[1:]), (wide, *half.high[1:]))
    return spine.sacrum.placed(whole)


def _varied(vertebra: Vertebra, size: NDArray[np.float64], own: NDArray[np.float64]) -> Vertebra:
    """Return a vertebra of this person: shared factors on size, and what a level has of its own."""
    up, across, along, canal, pedicle = np.exp(size)
    front, middle, back, wide, deep = np.exp(own * (0.02, 0.015, 0.015, 0.015, 0.015))
    return replace(
        vertebra, anterior=vertebra.anterior * up * front * back, middle=vertebra.middle * up * middle * back,
        posterior=vertebra.posterior * up * back, width=vertebra.width * across * wide,
        depth=vertebra.depth * along * deep, canal_width=vertebra.canal_width * canal,
        canal_depth=vertebra.canal_depth * canal, pedicle_width=vertebra.pedicle_width * pedicle,
        pedicle_height=vertebra.pedicle_height * up, span=vertebra.span * across,
    )  # fmt: skip


def _drawn_discs(traits: Traits, rng: Generator) -> tuple[dict[str, float], dict[str, float]]:
    """Return height in mm and lordosis in degrees of the disc above the level named."""
    stature = (traits.height_cm / 163) ** 0.9 * (1.05 if traits.male else 1.0)
    worn = rng.exponential(1.0, len(_DISCS))
    own, wedge = rng.normal(0, 1, (2, len(_DISCS)))
    lordosis, kyphosis = np.exp(rng.normal(0, 0.15)), rng.normal(0, 0.5) + 0.012 * max(traits.age_years - 50, 0)
    heights, wedges = {}, {}
    for n, (level, (mm, turn)) in enumerate(_DISCS.items()):
        age = _DEGENERATE.get(level, 0.15) * 0.08 * worn[n] * max(traits.age_years - 40, 0) / 20
        heights[level] = max(mm * stature * float(np.exp(0.07 * own[n])) * (1 - min(age, 0.65)), 2.2)
        wedges[level] = float(turn * lordosis + 1.0 * wedge[n]) if turn > 0 else float(turn - kyphosis)
    return heights, wedges


def _stacked(
    vertebrae: Mapping[str, Vertebra], heights: Mapping[str, float], wedges: Mapping[str, float], tilt: float
) -> tuple[dict[str, Frame], tuple[Disc, ...], Frame]:
    """Return the frames of the vertebrae, upwards and downwards from L3, those of the discs, and the sacrum's.

    An angle is how far the axis of a vertebra leans backwards, in degrees.
    """
    angles, places, discs = {"L3": tilt}, {"L3": np.zeros(3)}, {}
    for below, above in pairwise(reversed(LEVELS[: LEVELS.index("L3") + 1])):
        upper, lower = endplates(vertebrae[below])[0], endplates(vertebrae[above])[1]
        plate = angles[below] - upper.lean
        angles[above] = plate + wedges[below] + lower.lean
        start = places[below] + upper.height * _along(angles[below])
        middle = plate + wedges[below] / 2
        end = start + heights[below] * _along(middle)
        places[above] = end - lower.height * _along(angles[above])
        discs[below] = ((start + end) / 2, middle)
    for above, below in pairwise(LEVELS[LEVELS.index("L3") :]):
        lower, upper = endplates(vertebrae[above])[1], endplates(vertebrae[below])[0]
        plate = angles[above] - lower.lean
        angles[below] = plate - wedges[below] + upper.lean
        start = places[above] + lower.height * _along(angles[above])
        middle = plate - wedges[below] / 2
        end = start - heights[below] * _along(middle)
        places[below] = end - upper.height * _along(angles[below])
        discs[below] = ((start + end) / 2, middle)
    last = endplates(vertebrae["L5"])[1]
    plate = angles["L5"] - last.lean
    start = places["L5"] + last.height * _along(angles["L5"])
    middle = plate - wedges["S1"] / 2
    end = start - heights["S1"] * _along(middle)
    discs["S1"] = ((start + end) / 2, middle)
    sacrum = Frame(shift=end, turn=rotation(about_x=-(plate - wedges["S1"])))
    frames = {k: Frame(shift=places[k], turn=rotation(about_x=-angles[k])) for k in LEVELS}
    return frames, tuple(_disc(k, *discs[k], heights[k], vertebrae) for k in _DISCS), sacrum


def _disc(
    below: str, middle: NDArray[np.float64], angle: float, height: float, vertebrae: Mapping[str, Vertebra]
) -> Disc:
    above = vertebrae["L5" if below == "S1" else LEVELS[LEVELS.index(below) - 1]]
    return Disc(
        below=below, frame=Frame(shift=middle, turn=rotation(about_x=-angle)), height=height,
        half_width=above.width / 2, half_depth=above.depth / 2,
    )  # fmt: skip


def _along(angle: float) -> NDArray[np.float64]:
    """Return the direction, up, of an axis that leans backwards by degrees."""
    return np.array([0.0, sin(radians(angle)), cos(radians(angle))])
