"""What bodies, rods and implants are made of, and how they attenuate X-rays.

A body is a set of maps of partial density: grams of a named material in a cm³ of space. Attenuation is linear in
them, whatever the mixture. Attenuation data are xraydb's (Elam, Ravel and Sieber 2002, total with coherent scatter),
on one grid of energies that all spectra share.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING

import numpy as np

from trabecula.cache import remember
from trabecula.target import unknown

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

ENERGIES_KEV = np.arange(1.5, 150.0)
"""Middles of bins of 1 keV."""

_ICRU_44 = "ICRU Report 44 (1989), as in NIST's table of X-ray mass attenuation coefficients"
_ICRU_46 = "ICRU Report 46 (1992), after White, Woodard and Hammond 1987; recalled"
_FORMULA = "chemical formula"


@dataclass(frozen=True, kw_only=True)
class Material:
    """A material: its density in g/cm³, the mass fraction of its elements, and who says so.

    Raises `ValueError` for a density that is not positive or fractions that do not add up to 1 within 0.5 %.
    """

    name: str
    density: float
    elements: tuple[tuple[str, float], ...]
    source: str

    def __post_init__(self) -> None:
        total = sum(fraction for _, fraction in self.elements)
        if not (self.density > 0 and abs(total - 1) <= 0.005):
            raise ValueError(
                f"{self.name}: density must be positive and mass fractions add up to 1; "
                f"got {self.density} g/cm3 and {total:.4f}"
            )


def _material(name: str, density: float, source: str, **elements: float) -> Material:
    return Material(name=name, density=density, elements=tuple(elements.items()), source=source)


_COLLAGEN_PER_MINERAL = (0.042 / 0.1572) / (0.225 / 0.3989)
WATER_PER_MINERAL = 1 / (0.225 / 0.3989) - 1 - _COLLAGEN_PER_MINERAL
MINERAL_SHARE = 1 / (1 + _COLLAGEN_PER_MINERAL + WATER_PER_MINERAL)
"""Hydroxyapatite in bone matrix, by mass: mineral, collagen and water in the proportion of ICRU-44 cortical bone."""
BONE_MATRIX_CM3_PER_G = MINERAL_SHARE * (1 / 3.16 + _COLLAGEN_PER_MINERAL / 1.35 + WATER_PER_MINERAL)
"""Volume of bone matrix: its mineral, collagen and water side by side."""


def _matrix(hydroxyapatite: float, collagen: float, water: float) -> float:
    """Return the mass fraction of an element in bone matrix from its fraction in the three."""
    return MINERAL_SHARE * (hydroxyapatite + _COLLAGEN_PER_MINERAL * collagen + WATER_PER_MINERAL * water)


# fmt: off
MATERIALS = {
    row.name: row
    for row in (
        _material("air", 0.001205, _ICRU_44, C=0.000124, N=0.755268, O=0.231781, Ar=0.012827),
        _material("water", 1.0, _FORMULA, H=0.1119, O=0.8881),
        _material("soft_tissue", 1.06, _ICRU_44, H=0.102, C=0.143, N=0.034, O=0.708, Na=0.002, P=0.003, S=0.003,
                  Cl=0.002, K=0.003),
        _material("muscle", 1.05, _ICRU_44, H=0.102, C=0.143, N=0.034, O=0.710, Na=0.001, P=0.002, S=0.003, Cl=0.001,
                  K=0.004),
        _material("adipose", 0.95, _ICRU_44, H=0.114, C=0.598, N=0.007, O=0.278, Na=0.001, S=0.001, Cl=0.001),
        _material("lipid_rich_adipose", 0.93, _ICRU_46 + " (adipose tissue 3)", H=0.116, C=0.681, N=0.002, O=0.198,
                  Na=0.001, S=0.001, Cl=0.001),
        _material("blood", 1.06, _ICRU_44, H=0.102, C=0.110, N=0.033, O=0.745, Na=0.001, P=0.001, S=0.002, Cl=0.003,
                  K=0.002, Fe=0.001),
        _material("red_marrow", 1.03, _ICRU_46, H=0.105, C=0.414, N=0.034, O=0.439, P=0.001, S=0.002, Cl=0.002,
                  K=0.002, Fe=0.001),
        _material("yellow_marrow", 0.98, _ICRU_46, H=0.115, C=0.644, N=0.007, O=0.231, Na=0.001, S=0.001, Cl=0.001),
        _material("cortical_bone", 1.92, _ICRU_44, H=0.034, C=0.155, N=0.042, O=0.435, Na=0.001, Mg=0.002, P=0.103,
                  S=0.003, Ca=0.225),
        _material("hydroxyapatite", 3.16, _FORMULA + " Ca5(PO4)3OH; density of the mineral", H=0.0020, O=0.4141,
                  P=0.1850, Ca=0.3989),
        _material("k2hpo4", 2.44, _FORMULA + "; density of the salt", H=0.0058, O=0.3674, P=0.1778, K=0.4490),
        _material("collagen", 1.35, _FORMULA + " of the repeat Gly-Pro-Hyp; density recalled", H=0.0641, C=0.5392,
                  N=0.1572, O=0.2395),
        _material("bone_matrix", 1 / BONE_MATRIX_CM3_PER_G, "hydroxyapatite, collagen and water as in cortical_bone",
                  H=_matrix(0.0020, 0.0641, 0.1119), C=_matrix(0.0, 0.5392, 0.0), N=_matrix(0.0, 0.1572, 0.0),
                  O=_matrix(0.4141, 0.2395, 0.8881), P=_matrix(0.1850, 0.0, 0.0), Ca=_matrix(0.3989, 0.0, 0.0)),
        _material("pmma", 1.19, _FORMULA, H=0.0805, C=0.5998, O=0.3196),
        _material("iodine", 4.93, _FORMULA, I=1.0),
        _material("aluminium", 2.699, _FORMULA, Al=1.0),
        _material("copper", 8.96, _FORMULA, Cu=1.0),
        _material("titanium", 4.506, _FORMULA, Ti=1.0),
    )
}
# fmt: on

_K2HPO4_DISPLACES_CM3_G = 0.16  # apparent volume of the salt: 8 % by mass has 1.070 g/cm³ at 20 °C; CRC, recalled


def get_material(name: str) -> Material:
    """Look up a row of `MATERIALS`.

    Raises `KeyError` naming the nearest one.
    """
    if name not in MATERIALS:
        raise KeyError(unknown("material", name, MATERIALS))
    return MATERIALS[name]


def mass_attenuation(name: str) -> Floats:
    """Return the mass attenuation coefficient of a material in cm²/g, `[n]` over `ENERGIES_KEV`.

    Raises `KeyError` for an unknown material.
    """
    rows = tuple(get_material(name).elements)
    return sum((fraction * _element(element) for element, fraction in rows), np.zeros_like(ENERGIES_KEV))


def attenuation(densities: Mapping[str, float]) -> Floats:
    """Return the linear attenuation coefficient in 1/cm, `[n]` over `ENERGIES_KEV`, of partial densities in g/cm³."""
    return sum((g_cm3 * mass_attenuation(name) for name, g_cm3 in densities.items()), np.zeros_like(ENERGIES_KEV))


def pure(name: str) -> dict[str, float]:
    """Return the partial densities of a material alone, in g/cm³."""
    return {name: get_material(name).density}


def trabecular_bone(hydroxyapatite_mg_cm3: float, *, fat: float) -> dict[str, float]:
    """Return the partial densities in g/cm³ of a voxel of trabecular bone.

    To the mineral belong collagen and water in the proportion of ICRU-44 cortical bone (its calcium, nitrogen and the
    rest); marrow fills what is left, the share `fat` of its volume yellow, the rest red.
    Raises `ValueError` for a density below zero or above what bone holds, or a share outside 0 to 1.
    """
    if not 0 <= fat <= 1:
        raise ValueError(f"the share of yellow marrow lies between 0 and 1; got {fat}")
    mineral = hydroxyapatite_mg_cm3 / 1000
    bone = {
        "hydroxyapatite": mineral,
        "collagen": _COLLAGEN_PER_MINERAL * mineral,
        "water": WATER_PER_MINERAL * mineral,
    }
    free = 1 - sum(g_cm3 / get_material(name).density for name, g_cm3 in bone.items())
    if mineral < 0 or free < 0:
        raise ValueError(f"bone holds 0 to 1034 mg/cm3 of hydroxyapatite; got {hydroxyapatite_mg_cm3}")
    red, yellow = get_material("red_marrow").density, get_material("yellow_marrow").density
    return {**bone, "red_marrow": red * (1 - fat) * free, "yellow_marrow": yellow * fat * free}


def rod(material: str, mg_cm3: float) -> dict[str, float]:
    """Return the partial densities in g/cm³ of a calibration rod of `hydroxyapatite` or `k2hpo4`.

    Hydroxyapatite takes the place of water-equivalent plastic by its own volume; K2HPO4 is dissolved in water and
    displaces its apparent volume.
    Raises `ValueError` for another material or an impossible concentration.
    """
    displaced = {"hydroxyapatite": 1 / get_material("hydroxyapatite").density, "k2hpo4": _K2HPO4_DISPLACES_CM3_G}
    if material not in displaced:
        raise ValueError(f"rods are made of {' or '.join(displaced)}; got {material!r}")
    salt = mg_cm3 / 1000
    if not 0 <= salt * displaced[material] < 1:
        raise ValueError(f"a rod cannot hold {mg_cm3} mg/cm3 of {material}")
    return {material: salt, "water": 1 - displaced[material] * salt}


@cache
def _element(symbol: str) -> Floats:
    return remember(_from_xraydb, settings={"symbol": symbol})


def _from_xraydb(symbol: str) -> Floats:
    import xraydb  # type: ignore[import-untyped]  # noqa: PLC0415 opens a database

    return np.asarray(xraydb.mu_elam(symbol, 1000 * ENERGIES_KEV), dtype=np.float64)
