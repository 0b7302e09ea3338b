"""From the density of bone to its modulus: the kind of density is a type, so that a law cannot be fed another one.

Three densities are called "the density of bone". A CT calibrated with rods gives mineral (`MineralDensity`), burning a
specimen gives ash (`AshDensity`), weighing it hydrated and without marrow gives apparent density (`ApparentDensity`),
about 1 / 0.6 times ash. Laws in the literature take one of the three without saying so loudly: an apparent law with
0.15 g/cm3 of mineral instead of 0.25 to 0.35 gives a third to a half of the modulus.

Every law and conversion says where it comes from and whether it was read or is recalled; `docs/why/elements.md` has the
table.
"""

from __future__ import annotations

from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Generic, Literal, TypeVar

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import ArrayLike, NDArray

    Floats = NDArray[np.float64]

Known = Literal["read", "recalled", "facts"]
"""How a number is known: read in a source, recalled from one, or taken from the facts of a system's card."""


@dataclass(frozen=True, eq=False)
class Density:
    """A density in g/cm3; one of the three kinds below.

    Raises `ValueError` for what is not finite, or so large that it must be in mg/cm3.
    """

    g_cm3: ArrayLike

    def __post_init__(self) -> None:
        values = np.asarray(self.g_cm3, dtype=np.float64)
        if not np.isfinite(values).all():
            raise ValueError("a density is finite, in g/cm3")
        if values.size and values.max() > 5:
            raise ValueError(f"a density in g/cm3 is at most about 2; got {values.max():g}: divide mg/cm3 by 1000")
        object.__setattr__(self, "g_cm3", values)


class MineralDensity(Density):
    """Hydroxyapatite of a calibrated CT, marrow and air included: negative where fat is."""


class AshDensity(Density):
    """Mass of ash over the volume of the specimen."""


class ApparentDensity(Density):
    """Hydrated mass of the tissue without marrow over the volume of the specimen."""


D = TypeVar("D", bound=Density)
E = TypeVar("E", bound=Density)


@dataclass(frozen=True, kw_only=True)
class Conversion(Generic[D, E]):
    """A line from one kind of density to another, in g/cm3."""

    name: str
    takes: type[D]
    gives: type[E]
    offset: float
    slope: float
    source: str
    known: Known

    def __call__(self, density: D) -> E:
        """Return the other density, not below zero.

        Raises `TypeError` for another kind.
        """
        _refuse_another(self.name, density, self.takes)
        return self.gives(np.maximum(self.offset + self.slope * np.asarray(density.g_cm3), 0.0))


@dataclass(frozen=True, kw_only=True)
class Law(Generic[D]):
    """A modulus in MPa by density: above each `pieces[n][0]` g/cm3, constant + factor x density ** power."""

    name: str
    takes: type[D]
    pieces: tuple[tuple[float, float, float, float], ...]
    source: str
    known: Known
    site: str
    valid: tuple[float, float]
    """Densities in g/cm3 for which it was measured; outside, it is carried on."""

    def modulus(self, density: D) -> Floats:
        """Return the modulus in MPa, of the shape of the density; 0 where that is not positive.

        Raises `TypeError` for another kind of density.
        """
        _refuse_another(self.name, density, self.takes)
        rho = np.maximum(np.asarray(density.g_cm3, dtype=np.float64), 0.0)
        total = np.zeros(rho.shape)
        for above, constant, factor, power in self.pieces:
            total = np.where(rho > above, constant + factor * rho**power, total)
        return np.maximum(total, 0.0)


def _refuse_another(name: str, density: Density, takes: type[Density]) -> None:
    if type(density) is not takes:
        raise TypeError(f"{name} takes {takes.__name__}, not {type(density).__name__}: convert it first")


KEYAK_ASH = Conversion(
    name="keyak_1994", takes=MineralDensity, gives=AshDensity, offset=0.0633, slope=0.887, known="recalled",
    source="Keyak JH et al., J Biomed Mater Res 1994;28:1329: ash = 0.0633 + 0.887 mineral, trabecular",
)  # fmt: skip
SCHILEO_ASH = Conversion(
    name="schileo_2008", takes=MineralDensity, gives=AshDensity, offset=0.0789, slope=0.877, known="recalled",
    source="Schileo E et al., J Biomech 2008;41:2483: mineral = 1.14 ash - 0.09, bovine and human, both kinds of bone",
)  # fmt: skip
ASH_TO_APPARENT = Conversion(
    name="ash_over_apparent_0.6", takes=AshDensity, gives=ApparentDensity, offset=0.0, slope=1 / 0.6, known="recalled",
    source="Schileo E et al., J Biomech 2008;41:2483: ash over apparent density is 0.60, trabecular and cortical",
)  # fmt: skip
CALIBRATIONS: Mapping[str, Conversion[MineralDensity, AshDensity]] = MappingProxyType(
    {each.name: each for each in (KEYAK_ASH, SCHILEO_ASH)}
)
"""Ways from mineral to ash, by name."""

KOPPERDAHL_VERTEBRA = Law(
    name="kopperdahl_2002", takes=MineralDensity, pieces=((0.0, 0.0, 2980.0, 1.05),), known="read",
    source="Kopperdahl DL et al., J Orthop Res 2002;20:801, E = 2980 mineral^1.05; read in ogo/fea/material_laws.py",
    site="vertebra, trabecular, along its axis", valid=(0.05, 0.25),
)  # fmt: skip
CRAWFORD_VERTEBRA = Law(
    name="crawford_2003", takes=MineralDensity, pieces=((0.0107, -34.7, 3230.0, 1.0),), known="read",
    source="Crawford RP et al., Bone 2003;33:744, E = -34.7 + 3230 mineral; read in ogo/fea/material_laws.py",
    site="vertebra, trabecular, along its axis", valid=(0.05, 0.25),
)  # fmt: skip
KEYAK_FEMUR = Law(
    name="keyak_2005", takes=AshDensity, known="read",
    pieces=((0.0, 0.0, 10500.0, 2.29),),
    source="Keyak JH et al., Clin Orthop 2005;437:219, E = 10500 ash^2.29; read in ogo/fea/material_laws.py",
    site="proximal femur, trabecular and cortical", valid=(0.1, 1.2),
)  # fmt: skip
MORGAN_FEMORAL_NECK = Law(
    name="morgan_2003_femoral_neck", takes=ApparentDensity, pieces=((0.0, 0.0, 6850.0, 1.49),), known="facts",
    source="Morgan EF et al., J Biomech 2003;36:897, E = 6850 apparent^1.49",
    site="femoral neck, trabecular, along its axis", valid=(0.26, 0.75),
)  # fmt: skip
MORGAN_VERTEBRA = Law(
    name="morgan_2003_vertebra", takes=ApparentDensity, pieces=((0.0, 0.0, 4730.0, 1.56),), known="read",
    source="Morgan EF et al., J Biomech 2003;36:897, E = 4730 apparent^1.56; read in ogo/fea/material_laws.py",
    site="vertebra, trabecular, along its axis", valid=(0.11, 0.35),
)  # fmt: skip
PIECEWISE_FEMUR = Law(
    name="piecewise_femur", takes=ApparentDensity, known="facts",
    pieces=((0.0, 0.0, 15010.0, 2.18), (0.28, 0.0, 6850.0, 1.49)),
    source="facts of systems 33 and 34: 15010 rho^2.18 (Morgan's trochanter) up to 0.28 g/cm3, 6850 rho^1.49 above",
    site="proximal femur", valid=(0.1, 1.5),
)  # fmt: skip
LAWS: Mapping[str, Law[Any]] = MappingProxyType({
    each.name: each
    for each in (
        KOPPERDAHL_VERTEBRA, CRAWFORD_VERTEBRA, KEYAK_FEMUR, MORGAN_FEMORAL_NECK, MORGAN_VERTEBRA, PIECEWISE_FEMUR,
    )
})  # fmt: skip
"""Laws by name."""


def modulus_of_mineral(mineral: MineralDensity, *, law: str, calibration: str) -> Floats:
    """Return the modulus in MPa of calibrated CT: converted to what the law takes, then by the law.

    Raises `ValueError` for an unknown law or calibration.
    """
    for name, table in ((law, LAWS), (calibration, CALIBRATIONS)):
        if name not in table:
            raise ValueError(f"{name!r} is not known; there are {', '.join(table)}")
    chosen, density = LAWS[law], mineral
    if chosen.takes is MineralDensity:
        return chosen.modulus(density)
    ash = CALIBRATIONS[calibration](density)
    return chosen.modulus(ash if chosen.takes is AshDensity else ASH_TO_APPARENT(ash))
