"""X-ray spectra: out of the tube, behind filters and patients, and as a detector weighs them.

Tube spectra are spekpy's (Poludniowski, Omar, Bujila and Andreo 2021), in bins of 1 keV.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Literal, get_args

import numpy as np

from trabecula.cache import remember
from trabecula.phantom.material import ENERGIES_KEV, attenuation, mass_attenuation

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

Detector = Literal["energy", "count"]
"""Whether a detector adds up energy, as all common CT detectors do, or counts photons."""


@dataclass(frozen=True, eq=False)
class Spectrum:
    """Photons by energy: `energies_kev [n]`, `fluence [n]` in photons per cm² and keV (relative unless said).

    Raises `ValueError` when the two do not fit, or a fluence is negative or all are zero.
    """

    energies_kev: Floats
    fluence: Floats

    def __post_init__(self) -> None:
        if self.energies_kev.shape != self.fluence.shape or self.energies_kev.ndim != 1:
            raise ValueError(f"a spectrum has one fluence an energy; got {self.energies_kev.shape, self.fluence.shape}")
        if not (np.isfinite(self.fluence).all() and self.fluence.min() >= 0 and self.fluence.sum() > 0):
            raise ValueError("a fluence is negative, not finite, or nothing is left of the beam: use less filter")

    @property
    def mean_kev(self) -> float:
        """Mean energy of the photons, in keV."""
        return float(np.average(self.energies_kev, weights=self.fluence))

    def behind(self, column_g_cm2: Mapping[str, float]) -> Spectrum:
        """Return the spectrum behind these columns of materials in g/cm²."""
        return Spectrum(self.energies_kev, self.fluence * np.exp(-attenuation(column_g_cm2)))

    def weights(self, detector: Detector = "energy") -> Floats:
        """Return how much each energy counts in the signal, `[n]`, summing to 1."""
        if detector not in get_args(Detector):
            raise ValueError(f"a detector weighs by {' or '.join(get_args(Detector))}; got {detector!r}")
        signal = self.fluence * (self.energies_kev if detector == "energy" else 1.0)
        return np.asarray(signal / signal.sum())

    def mean_attenuation(self, name: str, detector: Detector = "energy") -> float:
        """Return the mass attenuation coefficient of a material in cm²/g, as the detector sees a thin layer of it."""
        return float(self.weights(detector) @ mass_attenuation(name))


def tube_spectrum(kvp: float, *, filters_mm: tuple[tuple[str, float], ...], anode_deg: float = 12.0) -> Spectrum:
    """Return the spectrum of a tungsten tube behind its filters, on `ENERGIES_KEV`.

    `filters_mm` are pairs of a chemical symbol as spekpy knows it (`Al`, `Cu`, `Sn`, `Ti`) and a thickness in mm.
    Fluence is in photons per cm² and keV at 1 m and 1 mAs.
    Raises `ValueError` for a voltage outside 20 to 150 kV or a thickness below zero.
    """
    if not 20 <= kvp <= 150:
        raise ValueError(f"tube voltage lies between 20 and 150 kV; got {kvp}")
    if any(mm < 0 for _, mm in filters_mm):
        raise ValueError(f"filters have a thickness in mm, not below 0; got {filters_mm}")
    return _tube_spectrum(float(kvp), filters_mm, float(anode_deg))


@cache
def _tube_spectrum(kvp: float, filters_mm: tuple[tuple[str, float], ...], anode_deg: float) -> Spectrum:
    settings = {"kvp": kvp, "filters_mm": [list(row) for row in filters_mm], "anode_deg": anode_deg}
    return Spectrum(ENERGIES_KEV, np.asarray(remember(_from_spekpy, settings=settings)))


def _from_spekpy(kvp: float, filters_mm: list[tuple[str, float]], anode_deg: float) -> Floats:
    import spekpy  # type: ignore[import-untyped]  # noqa: PLC0415 takes seconds

    tube = spekpy.Spek(kvp=kvp, th=anode_deg, dk=1.0)
    for symbol, mm in filters_mm:
        tube.filter(symbol, mm)
    energies, fluence = tube.get_spectrum()
    return np.asarray(np.interp(ENERGIES_KEV, energies, fluence, left=0.0, right=0.0))
