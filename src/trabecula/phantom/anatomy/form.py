"""The form of a trunk: lengths and laws along the body axis that tissues and ribs share."""

from __future__ import annotations

from dataclasses import dataclass
from math import pi, sqrt
from typing import TYPE_CHECKING

import numpy as np

from trabecula.phantom.anatomy.solid import Solid, pillar
from trabecula.phantom.material import get_material

if TYPE_CHECKING:
    from numpy.random import Generator
    from numpy.typing import NDArray

    from trabecula.phantom.anatomy.solid import Law
    from trabecula.phantom.anatomy.spine import Spine, Traits

    Floats = NDArray[np.float32]
    Parts = dict[str, float]

SKIN_MM = 1.8


@dataclass(frozen=True, eq=False, kw_only=True)
class Form:
    """Lengths in mm of a trunk, and where the spine runs in it."""

    width: float
    depth: float
    fat: float
    """Thickness of subcutaneous fat at the back."""
    male: bool
    scale: float
    axis: Law
    """y of the spine at a height z."""
    back: Law
    """y of the skin behind it."""
    muscle: Parts

    @classmethod
    def of(cls, traits: Traits, spine: Spine, fat_share: float, rng: Generator) -> Form:
        """Draw the form of a person."""
        usual = (96.0 if traits.male else 88.0) + 2.3 * (traits.bmi_kg_m2 - 27) + 0.12 * (traits.age_years - 60)
        own = rng.normal(0, 2.5)
        girth = max(10 * (traits.waist_cm or usual + own), 580.0)
        ratio = float(np.clip(1.46 - 0.010 * (traits.bmi_kg_m2 - 27) + rng.normal(0, 0.04), 1.2, 1.65))
        depth = girth / pi * sqrt(2 / (1 + ratio * ratio))
        fat = max(62 * fat_share - (7 if traits.male else 3) + rng.normal(0, 1.5), 4.0)
        places = spine.axis()
        z, y = places[:, 2].astype(np.float32), places[:, 1].astype(np.float32)
        smooth = np.polynomial.Polynomial.fit(z, y, 3)

        def axis(at: Floats) -> Floats:
            return np.asarray(np.interp(at, z, y), dtype=np.float32)

        def back(at: Floats) -> Floats:
            inside = np.clip(at, z[0], z[-1])
            reach = np.interp(inside, (0.0, 120.0), (70.0, 64.0)) * spine.scale
            lean = 0.8 * smooth(inside) + 0.2 * float(y.mean())
            return np.asarray(lean + reach + fat, dtype=np.float32)

        rate = float(np.clip(0.05 + 0.0025 * (traits.age_years - 40) + 0.2 * (fat_share - 0.3), 0.02, 0.30))
        return cls(
            width=ratio * depth, depth=depth, fat=fat, male=traits.male, scale=spine.scale, axis=axis, back=back,
            muscle=mixed(muscle=1 - rate, lipid_rich_adipose=rate),
        )  # fmt: skip

    def wide(self, z: Floats) -> Floats:
        """Return half the width at a height."""
        factors = np.interp(z, (-200, -110, 0, 120, 230, 320), (1.06, 1.10, 1.0, 0.96, 0.98, 0.80))
        return np.asarray(self.width / 2 * factors, dtype=np.float32)

    def deep(self, z: Floats) -> Floats:
        """Return half the depth at a height."""
        factors = np.interp(z, (-200, -110, 0, 120, 250, 330), (0.93, 0.98, 1.0, 0.98, 0.90, 0.72))
        return np.asarray(self.depth / 2 * factors, dtype=np.float32)

    def trunk(self, within: float) -> Solid:
        """Return the trunk without its outer `within` mm."""
        inside = np.float32(within)
        return pillar(
            lambda z: self.wide(z) - inside, lambda z: self.deep(z) - inside, low_z=-330, high_z=430, exponent=2.35,
            centre_y=lambda z: self.back(z) - self.deep(z),
        )  # fmt: skip

    def wall(self) -> Solid:
        """Return what lies within the subcutaneous fat, which is thicker behind and at the flanks than in front."""
        side, front = np.float32(SKIN_MM + 0.9 * self.fat), np.float32(SKIN_MM + 0.75 * self.fat)
        behind = np.float32(SKIN_MM + self.fat)
        return pillar(
            lambda z: self.wide(z) - side, lambda z: self.deep(z) - (front + behind) / 2, low_z=-330, high_z=430,
            exponent=2.35, centre_y=lambda z: self.back(z) - self.deep(z) + (front - behind) / 2,
        )  # fmt: skip

    def behind(self) -> Solid:
        """Return the space behind the abdominal cavity, which the muscles of the back do not fill."""
        return self.wall() & pillar(
            lambda z: 0.80 * self.wide(z), lambda z: _half(self.axis(z), self.back(z)) - 8, low_z=-330, high_z=200,
            exponent=4.0, centre_y=lambda z: _half(-self.axis(z), self.back(z)) + 12,
        )  # fmt: skip

    def front(self, z: Floats) -> Floats:
        """Return y of the front of the abdominal cavity."""
        return np.asarray(self.back(z) - 2 * self.deep(z) + np.float32(SKIN_MM + 0.75 * self.fat + 11))

    def cavity(self) -> Solid:
        """Return the inside of the abdominal wall, the fat behind the kidneys included."""
        side = np.float32(SKIN_MM + 0.9 * self.fat + 17)

        return pillar(
            lambda z: self.wide(z) - side, lambda z: _half(self.front(z), self.axis(z) + 42), low_z=-200, high_z=190,
            exponent=2.5, centre_y=lambda z: _half(-self.front(z), self.axis(z) + 42),
        )  # fmt: skip


def _half(low: Floats, high: Floats) -> Floats:
    return np.asarray(np.float32(0.5) * (high - low))


def mixed(**shares: float) -> Parts:
    """Return the partial densities of a mixture, by volume."""
    return {name: share * get_material(name).density for name, share in shares.items()}


def at(z: float) -> Floats:
    """Return one height for a law."""
    return np.array([z], dtype=np.float32)
