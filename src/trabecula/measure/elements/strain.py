"""Strain and when bone fails by it: principal strains, and named rules for the load at which it fails."""

from __future__ import annotations

from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Literal

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from trabecula.measure.elements.brick import Elements
    from trabecula.measure.elements.density import Known

    Floats = NDArray[np.float64]
    Mask = NDArray[np.bool_]


@dataclass(frozen=True, kw_only=True)
class StrainRule:
    """A bone fails where strain passes a limit in a share of its volume; strains are plain numbers, not percent.

    `principal` holds the major strain against `tension` and the minor one against `compression`; `effective` the
    strain of the energy, sqrt(2 energy / modulus), against `tension`.
    """

    name: str
    measured: Literal["principal", "effective"]
    tension: float
    compression: float
    share: float
    source: str
    known: Known


PISTOIA_2002 = StrainRule(
    name="pistoia_2002", measured="effective", tension=0.007, compression=0.007, share=0.02, known="recalled",
    source="Pistoia W et al., Bone 2002;30:842: effective strain above 0.7 % in 2 % of the bone (distal radius)",
)  # fmt: skip
SCHILEO_2008 = StrainRule(
    name="schileo_2008", measured="principal", tension=0.0073, compression=0.0104, share=0.02, known="recalled",
    source="limits of Bayraktar HH et al., J Biomech 2004;37:27, as Schileo E et al., J Biomech 2008;41:356 used them "
    "for femora; the share of 2 % in place of the first element is ours, because the first depends on the mesh",
)  # fmt: skip
RULES: Mapping[str, StrainRule] = MappingProxyType({each.name: each for each in (PISTOIA_2002, SCHILEO_2008)})
"""Rules by name."""


def principal(strain: Floats) -> tuple[Floats, Floats]:
    """Return major and minor principal strain `[n]` of strains `[3 or 6, n]` with doubled shears; in 2-D in the plane.

    In three dimensions by the angle of the deviator's third invariant (Smith, Comm ACM 1961;4:168).
    """
    if len(strain) == 3:
        middle, half = (strain[0] + strain[1]) / 2, np.hypot((strain[0] - strain[1]) / 2, strain[2] / 2)
        return middle + half, middle - half
    mean = strain[:3].mean(axis=0)
    a, b, c = strain[:3] - mean
    d, e, f = strain[3:] / 2  # shears of axes 1-2, 0-2 and 0-1
    size = np.sqrt((a * a + b * b + c * c + 2 * (d * d + e * e + f * f)) / 6)
    third = a * b * c + 2 * d * e * f - a * d * d - b * e * e - c * f * f
    scaled = np.divide(third, 2 * size**3, out=np.zeros_like(size), where=size > 0)
    angle = np.arccos(np.clip(scaled, -1, 1)) / 3
    return mean + 2 * size * np.cos(angle), mean + 2 * size * np.cos(angle + 2 * np.pi / 3)


def von_mises(stress: Floats) -> Floats:
    """Return the von Mises stress `[n]` of stresses `[3 or 6, n]`; in 2-D in plane stress."""
    if len(stress) == 3:
        x, y, shear = stress
        return np.asarray(np.sqrt(x * x - x * y + y * y + 3 * shear * shear))
    x, y, z, *shears = stress
    apart = ((x - y) ** 2 + (y - z) ** 2 + (z - x) ** 2) / 2
    return np.asarray(np.sqrt(apart + 3 * sum(shear * shear for shear in shears)))


def load_factor(rule: StrainRule, elements: Elements, strain: Floats, weight: Floats) -> float:
    """Return by what the load may be multiplied until the bone fails by the rule.

    `strain` `[component, *elements]`; `weight` `[*elements]` is the bone volume that counts, 0 elsewhere.
    Raises `ValueError` when nothing counts or nothing is strained.
    """
    counted = weight > 0
    if not counted.any():
        raise ValueError(f"no bone is left in the region that {rule.name} looks at")
    inside = strain[:, counted]
    if rule.measured == "effective":
        energy = np.einsum("cn,cd,dn->n", inside, elements.elasticity, inside)
        reached = np.sqrt(np.maximum(energy, 0)) / rule.tension
    else:
        major, minor = principal(inside)
        reached = np.maximum(major / rule.tension, -minor / rule.compression)
    limit = quantile(reached, weight[counted], 1 - rule.share)
    if not limit > 0:
        raise ValueError("the bone is not strained: is it loaded and held?")
    return 1 / limit


def quantile(values: Floats, weights: Floats, share: float) -> float:
    """Return the value below which a share of the weight lies."""
    order = np.argsort(values)
    total = np.cumsum(weights[order])
    found = np.searchsorted(total, share * total[-1])
    return float(values[order][min(int(found), len(values) - 1)])
