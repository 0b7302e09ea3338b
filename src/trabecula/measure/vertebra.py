"""Vertebral heights, and how much of them is lost in which direction, with the uncertainty of the voxels.

A number here is a height loss and a morphometric deformity grade, never a fracture by itself: lordotic bodies are
lower behind, and shapes differ by level, so every ratio is held against what is usual for the level.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np

from trabecula.measure.midline import midline_profile
from trabecula.measure.number import Measured, Number, of_parts
from trabecula.measure.vertebral_frame import body_clouds, body_frame
from trabecula.reference import REFERENCES, genant_grade

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import ArrayLike, NDArray

    from trabecula.image import Image
    from trabecula.measure.vertebral_frame import BodyFrame

    Floats = NDArray[np.float64]

_REGION = "midline of the body"
_NEIGHBOURS = 2  # that a crush needs

Shape = Literal["none", "wedge", "biconcave", "crush"]

# SD in mm of a height on phantoms of known shape is v hypot(a, b v), v the longest side of a voxel in mm: a and b at
# the rims and in the middle, from voxels of 1 to 3 mm and endplates along the grid, where they are least sure. Errors
# of both rims go together, as both hang on the dish.
_RIM_SD, _MIDDLE_SD = (0.22, 0.36), (0.10, 0.11)
_RIMS_TOGETHER = 0.5

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
    """Heights of a vertebral body in the midline, all in mm, or all in another unit: then only their ratios count.

    `uncertainty` is half the width of the 95 % interval of the anterior and posterior height, `middle_uncertainty` of
    the middle one. Raises `ValueError` for a height that is not positive.
    """

    level: str
    anterior: float
    middle: float
    posterior: float
    depth: float
    uncertainty: float = 0.0
    middle_uncertainty: float = 0.0

    def __post_init__(self) -> None:
        if not all(math.isfinite(mm) and mm > 0 for mm in (self.anterior, self.middle, self.posterior, self.depth)):
            raise ValueError(f"{self.level}: heights and depth are positive; got {self}")


@dataclass(frozen=True, kw_only=True)
class Share:
    """A height loss, 0.2 for 20 %, with half the width of its 95 % interval.

    The interval is that of the voxels alone: how much people differ in what is usual comes on top.
    """

    loss: float
    uncertainty: float


@dataclass(frozen=True, kw_only=True)
class HeightLoss:
    """How much lower a body is than is usual for its level, in three directions."""

    level: str
    wedge: Share
    biconcave: Share
    crush: Share | None
    """None where fewer than two neighbours tell what posterior height to expect."""

    @property
    def shares(self) -> dict[Shape, Share]:
        """The three directions by name, as far as they are known."""
        known: dict[Shape, Share] = {"wedge": self.wedge, "biconcave": self.biconcave}
        return known if self.crush is None else {**known, "crush": self.crush}

    @property
    def largest(self) -> Share:
        """The largest of the losses."""
        return max(self.shares.values(), key=lambda share: share.loss)

    @property
    def shape(self) -> Shape:
        """Where most is lost, `none` below the first of Genant's cuts."""
        name = max(self.shares, key=lambda name: self.shares[name].loss)
        return name if self.shares[name].loss >= genant_cut() else "none"

    @property
    def grade(self) -> int:
        """Morphometric deformity grade 0 to 3, by Genant's cuts of height loss."""
        return genant_grade(min(max(self.largest.loss, 0.0), 1.0))


def body_heights(body: BodyFrame) -> Heights:
    """Return the heights of a body from the volume of its voxels in columns along its own axis.

    The parabola nearest to the heights between the rims is read at the front rim, in the middle and at the back rim.
    Raises `ValueError` for a body too small to have a profile.
    """
    profile = midline_profile(body)
    anterior, middle, posterior = (float(np.polyval(profile.height, at)) for at in (-1.0, 0.0, 1.0))
    rim, centre = (body.voxel_mm * math.hypot(sd[0], sd[1] * body.voxel_mm) for sd in (_RIM_SD, _MIDDLE_SD))
    return Heights(
        level=body.level, anterior=anterior, middle=middle, posterior=posterior, depth=profile.depth,
        uncertainty=1.96 * rim, middle_uncertainty=1.96 * centre,
    )  # fmt: skip


def point_heights(points: ArrayLike, *, level: str, uncertainty: float = 0.0) -> Heights:
    """Return the heights between six points `[6, 3]`: upper front, middle, back, then lower front, middle, back.

    Points are in mm. `uncertainty` is half the width of the 95 % interval of a height.
    Raises `ValueError` for other than six finite points.
    """
    six = np.asarray(points, dtype=np.float64)
    if six.shape != (6, 3) or not np.isfinite(six).all():
        raise ValueError(f"{level}: morphometry takes six points in mm, [6, 3]; got {six.shape}")
    anterior, middle, posterior = (float(mm) for mm in np.linalg.norm(six[:3] - six[3:], axis=1))
    depth = float(np.linalg.norm((six[0] + six[3] - six[2] - six[5]) / 2))
    return Heights(
        level=level, anterior=anterior, middle=middle, posterior=posterior, depth=depth, uncertainty=uncertainty,
        middle_uncertainty=uncertainty,
    )  # fmt: skip


def height_losses(heights: Mapping[str, Heights]) -> dict[str, HeightLoss]:
    """Return the directional height loss of each body against its level and its neighbours.

    Wedge: anterior over posterior height; biconcave: middle over posterior; crush: posterior height over what the
    posterior heights of the bodies that are neither wedged nor biconcave let expect. All against `USUAL`.
    Raises `ValueError` for a level without usual ratios.
    """
    if unknown := [level for level in heights if level not in USUAL]:
        raise ValueError(f"there are no usual ratios for {unknown[0]}; there are for {', '.join(USUAL)}")
    wedged = {
        level: _loss(each.anterior, each, USUAL[level][0], each.uncertainty, _RIMS_TOGETHER)
        for level, each in heights.items()
    }
    hollow = {
        level: _loss(each.middle, each, USUAL[level][1], each.middle_uncertainty) for level, each in heights.items()
    }
    usual = [level for level in heights if max(wedged[level].loss, hollow[level].loss) < genant_cut()]
    return {
        level: HeightLoss(
            level=level, wedge=wedged[level], biconcave=hollow[level],
            crush=_crush(each, [heights[other] for other in usual if other != level]),
        )
        for level, each in heights.items()
    }  # fmt: skip


def _loss(height: float, of: Heights, usual: float, uncertainty: float, together: float = 0.0) -> Share:
    """Return how much less of the posterior height there is than usual; `together` is the correlation of errors."""
    left = height / of.posterior / usual
    here, there = uncertainty / height, of.uncertainty / of.posterior
    return Share(loss=1 - left, uncertainty=left * math.sqrt(here**2 + there**2 - 2 * together * here * there))


def _crush(of: Heights, others: list[Heights]) -> Share | None:
    if len(others) < _NEIGHBOURS:
        return None
    scales = [other.posterior / USUAL[other.level][2] for other in others]
    expected = float(np.median(scales)) * USUAL[of.level][2]
    left = of.posterior / expected
    spread = 1.2533 * float(np.mean([other.uncertainty / other.posterior for other in others])) / math.sqrt(len(others))
    return Share(loss=1 - left, uncertainty=left * math.hypot(of.uncertainty / of.posterior, spread))


def genant_cut() -> float:
    """Return the height loss from which a body counts as deformed."""
    return REFERENCES["genant_1"].value


def height_numbers(heights: Heights) -> list[Number]:
    """Return the three heights as numbers in mm."""
    sides = {
        "anterior": (heights.anterior, heights.uncertainty), "middle": (heights.middle, heights.middle_uncertainty),
        "posterior": (heights.posterior, heights.uncertainty),
    }  # fmt: skip
    return [
        Number(name=f"height_{name}_mm", value=mm, unit="mm", part=heights.level, region=_REGION, uncertainty=sure)
        for name, (mm, sure) in sides.items()
    ]


def loss_numbers(loss: HeightLoss) -> list[Number]:
    """Return the losses in percent and the morphometric grade as numbers."""
    return [
        *(
            Number(name=f"height_loss_{name}", value=100 * share.loss, unit="%", part=loss.level, region=_REGION,
                   uncertainty=100 * share.uncertainty)
            for name, share in loss.shares.items()
        ),
        Number(name="deformity_grade_morphometric", value=loss.grade, unit="1", part=loss.level, region=_REGION),
    ]  # fmt: skip


def measure_vertebrae(mask: Image) -> list[Measured]:
    """Return heights, height losses and morphometric grades of every vertebral body of a label map, by level.

    A body that is cut off, in pieces or too small abstains, and so does a level without usual ratios; the others are
    measured. Raises `ValueError` for a mask without spacing, names or bodies.
    """
    clouds = body_clouds(mask)
    heights: dict[str, Heights] = {}

    def of(level: str) -> list[Number]:
        if level not in USUAL:
            raise ValueError(f"there are no usual ratios for {level}; there are for {', '.join(USUAL)}")
        heights[level] = body_heights(body_frame(level, clouds, mask))
        return height_numbers(heights[level])

    found = of_parts(of, list(clouds), names=("height_loss",))
    losses = height_losses(heights)
    return [*found, *(number for loss in losses.values() for number in loss_numbers(loss))]
