"""The energy of one colour that stands for a CT beam, by what the patient's own tissues read.

A beam of many energies is replaced by the one energy at which tissues of known composition lie on a straight line with
what was read (Michalski et al., Bone 2020, after the idea; recalled). Compositions are ICRU's, attenuation is
xraydb's (Elam, Ravel and Sieber 2002).
"""

from __future__ import annotations

from functools import cache
from types import MappingProxyType
from typing import TYPE_CHECKING, Literal

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

_ENERGIES_KEV = np.arange(45.0, 96.0, 0.5)

# Density in g/cm3 and mass fractions; ICRU Report 44 (1989), as in NIST's tables, and chemical formulas. Fat is
# ICRU 46's adipose tissue 3: at 70 keV it reads -99 HU, as fat does in CTs of patients, and ICRU 44's adipose -77.
_TISSUES: Mapping[str, tuple[float, Mapping[str, float]]] = MappingProxyType({
    "air": (0.001205, {"C": 0.000124, "N": 0.755268, "O": 0.231781, "Ar": 0.012827}),
    "fat": (0.93, {"H": 0.116, "C": 0.681, "N": 0.002, "O": 0.198, "Na": 0.001, "S": 0.001, "Cl": 0.001}),
    "muscle": (1.05, {"H": 0.102, "C": 0.143, "N": 0.034, "O": 0.710, "Na": 0.001, "P": 0.002, "S": 0.003,
                      "Cl": 0.001, "K": 0.004}),
    "blood": (1.06, {"H": 0.102, "C": 0.110, "N": 0.033, "O": 0.745, "Na": 0.001, "P": 0.001, "S": 0.002,
                     "Cl": 0.003, "K": 0.002, "Fe": 0.001}),
})  # fmt: skip
_WATER = {"H": 0.1119, "O": 0.8881}
_MINERALS = {
    "hydroxyapatite": (3.16, {"H": 0.0020, "O": 0.4141, "P": 0.1850, "Ca": 0.3989}),
    "k2hpo4": (6.25, {"H": 0.0058, "O": 0.3674, "P": 0.1778, "K": 0.4490}),  # apparent density in solution; recalled
}
HOUNSFIELD_OF = tuple(_TISSUES)
"""Names of the tissues whose HU are known."""


def fitted_energy(measured_hu: Mapping[str, float]) -> tuple[float, float, float]:
    """Return the energy in keV at which tissues fit what was read best, and the line onto their HU there.

    The line is true HU = gain x read HU + shift. Scanners are calibrated to water at 0, which is kept, and to air at
    -1000, which stands in where no air was read.
    """
    read_hu = {"air": -1000.0, **measured_hu}
    read = np.array([*read_hu.values(), 0.0])
    true = np.stack([*(_tissue_hu(name) for name in read_hu), np.zeros(len(_ENERGIES_KEV))])
    lines = [np.polyfit(read, true[:, n], 1) for n in range(len(_ENERGIES_KEV))]
    off = [float(((np.polyval(line, read) - true[:, n]) ** 2).sum()) for n, line in enumerate(lines)]
    best = int(np.argmin(off))
    return float(_ENERGIES_KEV[best]), float(lines[best][0]), float(lines[best][1])


def mineral_hu_per_mg(material: Literal["hydroxyapatite", "k2hpo4"], kev: float) -> float:
    """Return the HU that one mg/cm3 of a mineral adds to water, the water it displaces counted."""
    density, elements = _MINERALS[material]
    water = float(np.interp(kev, _ENERGIES_KEV, _mass_attenuation(tuple(_WATER.items()))))
    mineral = float(np.interp(kev, _ENERGIES_KEV, _mass_attenuation(tuple(elements.items()))))
    return 1000 * (mineral / 1000 - water / 1000 / density) / water


def _tissue_hu(name: str) -> Floats:
    water = _mass_attenuation(tuple(_WATER.items()))
    density, air = _TISSUES["air"][0], _mass_attenuation(tuple(_TISSUES["air"][1].items()))
    here = _TISSUES[name][0] * _mass_attenuation(tuple(_TISSUES[name][1].items()))
    return np.asarray(1000 * (here - water) / (water - density * air))


@cache
def _mass_attenuation(elements: tuple[tuple[str, float], ...]) -> Floats:
    """Return cm2/g over the energies."""
    import xraydb  # type: ignore[import-untyped]  # noqa: PLC0415 opens a data base

    total = sum(fraction for _, fraction in elements)
    return np.asarray(
        sum(fraction / total * xraydb.mu_elam(symbol, _ENERGIES_KEV * 1000) for symbol, fraction in elements)
    )
