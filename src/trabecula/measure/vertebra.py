"""Vertebral heights, and how much of them is lost in which direction, with the uncertainty of the voxels.

A number here is a height loss and a morphometric deformity grade, never a fracture by itself: lordotic bodies are
lower behind, and shapes differ by level, so every ratio is held against what is usual for the level.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np
from numpy.polynomial import legendre

from trabecula.measure.number import Number
from trabecula.reference import REFERENCES, genant_grade

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import ArrayLike, NDArray

    from trabecula.measure.vertebral_frame import BodyFrame

    Floats = NDArray[np.float64]

Shape = Literal["none", "wedge", "biconcave", "crush"]

_SLAB = 0.36  # width of the midline slab over that of the body
_CORE = 0.86  # share of the depth between the round rims
_RIM = 0.90  # where on the half depth the front and the back are read: real endplates are flat beyond
_SURFACE = 1 / math.sqrt(12)  # SD of where a surface lies within a voxel

# Anterior and middle over posterior height, and posterior height over that of L1, of unfractured bodies: recalled,
# after Eastell 1991 and Black 1991 (radiographs of women), rounded; SD about 0.05, 0.05 and 0.04.
USUAL = {
    "T4": (0.96, 0.93, 0.70), "T5": (0.955, 0.925, 0.72), "T6": (0.95, 0.92, 0.745), "T7": (0.945, 0.92, 0.765),
    "T8": (0.95, 0.92, 0.78), "T9": (0.965, 0.925, 0.81), "T10": (0.97, 0.925, 0.85), "T11": (0.955, 0.92, 0.905),
    "T12": (0.955, 0.92, 0.955), "L1": (0.965, 0.915, 1.0), "L2": (0.985, 0.915, 1.015), "L3": (1.01, 0.92, 1.005),
    "L4": (1.045, 0.93, 0.975), "L5": (1.13, 0.97, 0.90),
}  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Heights:
    """Heights of a vertebral body in the midline in mm, each with half the width of its 95 % interval.

    Raises `ValueError` for a height that is not positive.
    """

    level: str
    anterior: float
    middle: float
    posterior: float
    uncertainty: float
    depth: float

    def __post_init__(self) -> None:
        if not all(math.isfinite(mm) and mm > 0 for mm in (self.anterior, self.middle, self.posterior, self.depth)):
            raise ValueError(f"{self.level}: heights are positive, in mm; got {self}")


@dataclass(frozen=True, kw_only=True)
class HeightLoss:
    """How much lower a body is than is usual for its level: the largest of three directional losses, 0 to 1."""

    level: str
    shape: Shape
    loss: float
    uncertainty: float
    """Half the width of a 95 % interval, of the voxels alone: what is usual varies as well."""
    wedge: float
    biconcave: float
    crush: float | None
    """None where no neighbour tells what posterior height to expect."""

    @property
    def grade(self) -> int:
        """Morphometric deformity grade 0 to 3, by Genant's cuts of height loss."""
        return genant_grade(min(max(self.loss, 0.0), 1.0))


def body_heights(body: BodyFrame) -> Heights:
    """Return the heights of a body from the volume of its voxels in columns along its own axis.

    The parabola nearest to the heights between the rims is read near the front rim, in the middle and near the back
    rim.
    Raises `ValueError` for a body too small to have a profile.
    """
    left, back, up = body.points.T
    slab = _SLAB * float(np.percentile(np.abs(left), 98))
    middle = np.abs(left) < slab
    front, behind = _ends(back[middle], up[middle], body, slab)
    depth = behind - front
    place = 2 * (back[middle] - front) / depth - 1
    core = place[np.abs(place) < _CORE] / _CORE
    if depth <= 0 or not len(core):
        raise ValueError(f"{body.level} has no profile in its midline: is the mask a vertebral body?")
    per_mm = body.point_mm3 / (2 * slab * _CORE * depth / 2)
    terms = [(2 * n + 1) / 2 * per_mm * float(legendre.legval(core, row).sum()) for n, row in enumerate(np.eye(3))]
    anterior, mid, posterior = (float(legendre.legval(at / _CORE, terms)) for at in (-_RIM, 0.0, _RIM))
    surface = _SURFACE * body.voxel_mm
    return Heights(
        level=body.level, anterior=anterior, middle=mid, posterior=posterior, depth=float(depth),
        uncertainty=1.96 * math.sqrt(2) * surface,
    )  # fmt: skip


def point_heights(points: ArrayLike, *, level: str, uncertainty: float = 0.0) -> Heights:
    """Return the heights between six points `[6, 3]` in mm: upper front, middle, back, then lower front, middle, back.

    Raises `ValueError` for other than six finite points.
    """
    six = np.asarray(points, dtype=np.float64)
    if six.shape != (6, 3) or not np.isfinite(six).all():
        raise ValueError(f"{level}: morphometry takes six points in mm, [6, 3]; got {six.shape}")
    anterior, middle, posterior = np.linalg.norm(six[:3] - six[3:], axis=1)
    depth = np.linalg.norm((six[0] + six[3] - six[2] - six[5]) / 2)
    return Heights(
        level=level, anterior=float(anterior), middle=float(middle), posterior=float(posterior), depth=float(depth),
        uncertainty=uncertainty,
    )  # fmt: skip


def height_losses(heights: Mapping[str, Heights]) -> dict[str, HeightLoss]:
    """Return the directional height loss of each body against its level and its neighbours.

    Wedge: anterior over posterior; biconcave: middle over posterior; crush: posterior over what the posterior heights
    of the bodies that are neither wedged nor biconcave let expect. All against `USUAL`.
    Raises `ValueError` for a level without usual ratios.
    """
    if unknown := [level for level in heights if level not in USUAL]:
        raise ValueError(f"there are no usual ratios for {unknown[0]}; there are for {', '.join(USUAL)}")
    wedged = {level: 1 - each.anterior / each.posterior / USUAL[level][0] for level, each in heights.items()}
    hollow = {level: 1 - each.middle / each.posterior / USUAL[level][1] for level, each in heights.items()}
    scale = {level: each.posterior / USUAL[level][2] for level, each in heights.items()}
    found = {}
    for level, each in heights.items():
        others = [scale[k] for k in heights if k != level and max(wedged[k], hollow[k]) < genant_cut()]
        crush = 1 - scale[level] / float(np.median(others)) if len(others) >= 2 else None
        losses: dict[Shape, float] = {"wedge": wedged[level], "biconcave": hollow[level], "crush": crush or 0.0}
        shape = max(losses, key=lambda name: losses[name])
        loss = losses[shape]
        relative = each.uncertainty / each.posterior
        found[level] = HeightLoss(
            level=level, shape=shape if loss >= genant_cut() else "none", loss=loss,
            uncertainty=(1 - loss) * relative * math.sqrt(1 + 1 / max(1 - loss, 0.2) ** 2), wedge=wedged[level],
            biconcave=hollow[level], crush=crush,
        )  # fmt: skip
    return found


def genant_cut() -> float:
    """Return the height loss from which a body counts as deformed."""
    return REFERENCES["genant_1"].value


def _ends(back: Floats, up: Floats, body: BodyFrame, slab: float) -> tuple[float, float]:
    """Return how far the body reaches to the front and back in mm, near its endplates: walls are hollow in between."""
    low, high = np.percentile(up, (2, 98))
    layer = (high - low) * 0.15
    ends = []
    for centre in (low + 1.5 * layer, high - 1.5 * layer):
        here = np.abs(up - centre) < layer
        chord = here.sum() * body.point_mm3 / (2 * slab * 2 * layer)
        middle = float(np.median(back[here]))
        ends.append((middle - chord / 2, middle + chord / 2))
    (a, b), (c, d) = ends
    return (a + c) / 2, (b + d) / 2


def numbers(heights: Heights, loss: HeightLoss) -> list[Number]:
    """Return heights, losses and grade as numbers."""
    region = "midline of the body"
    sides = {"anterior": heights.anterior, "middle": heights.middle, "posterior": heights.posterior}
    mm = [
        Number(name=f"height_{name}_mm", value=value, unit="mm", part=heights.level, region=region,
               uncertainty=heights.uncertainty)
        for name, value in sides.items()
    ]  # fmt: skip
    shares = {"wedge": loss.wedge, "biconcave": loss.biconcave, "crush": loss.crush}
    return [
        *mm,
        *(
            Number(name=f"height_loss_{name}", value=100 * share, unit="%", part=heights.level, region=region,
                   uncertainty=100 * loss.uncertainty)
            for name, share in shares.items() if share is not None
        ),
        Number(name="deformity_grade_morphometric", value=loss.grade, unit="1", part=heights.level, region=region),
    ]  # fmt: skip
