"""Bone mineral density: from HU to mg/cm3 by calibration, and from dual-energy pairs or maps to g/cm2.

A density in mg/cm3 is that of a named material, because the same bone is a tenth apart in hydroxyapatite and K2HPO4
(13 % published, 7 % in our phantoms). What no calibration with one voltage can take away is the fat of the marrow: it
reads lower than the watery matrix of the rods, so density is underestimated, by some 4 mg/cm3 for a tenth more fat.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np
from scipy.ndimage import distance_transform_edt

from trabecula.measure.effective_energy import HOUNSFIELD_OF, fitted_energy, mineral_hu_per_mg
from trabecula.measure.number import Number, same_place

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from trabecula.image import Image

    Floats = NDArray[np.float64]

Material = Literal["hydroxyapatite", "k2hpo4"]

_ROD_EDGE_MM, _TISSUE_EDGE_MM = 2.5, 2.0  # what is left out of a rod and a tissue at its surface
_FEWEST = 30
_PLAUSIBLE_HU = {"air": (-1040.0, -940.0), "fat": (-130.0, -65.0), "muscle": (-10.0, 95.0), "blood": (10.0, 90.0)}
"""What tissues read without contrast medium, at any voltage; haematocrit alone does not exceed 90 HU; recalled."""
_STRAIGHT_MG_CM3 = 12.0  # rods further than this from their line are not what their names tell


@dataclass(frozen=True, kw_only=True)
class Calibration:
    """A straight line from HU to mg/cm3 of a material.

    Raises `ValueError` for a slope that is not positive.
    """

    mg_cm3_per_hu: float
    offset_mg_cm3: float
    material: Material
    source: str
    """How it was found, in words."""
    uncertainty_mg_cm3: float | None = None
    """Half the width of the 95 % interval of the line about its middle, where more than two rods tell."""

    def __post_init__(self) -> None:
        if not (math.isfinite(self.offset_mg_cm3) and 0 < self.mg_cm3_per_hu < math.inf):
            raise ValueError(f"density rises with HU; this calibration has {self.mg_cm3_per_hu:g} mg/cm3 a HU")

    def mg_cm3(self, hu: float) -> float:
        """Return the density of these HU."""
        return self.mg_cm3_per_hu * hu + self.offset_mg_cm3

    def density(self, mean_hu: Number) -> Number:
        """Return a mean in HU as a density in mg/cm3, its name with `vbmd` for `mean_hu`.

        Raises `ValueError` for a number that is not a mean in HU.
        """
        if mean_hu.unit != "HU" or not mean_hu.name.startswith("mean_hu"):
            raise ValueError(f"{mean_hu.name} in {mean_hu.unit} is no mean in HU, which alone can be calibrated")
        noise = (mean_hu.uncertainty or 0.0) * self.mg_cm3_per_hu
        known = mean_hu.uncertainty is not None and self.uncertainty_mg_cm3 is not None
        return Number(
            name=mean_hu.name.replace("mean_hu", f"vbmd_{self.material}"), value=self.mg_cm3(mean_hu.value),
            unit="mg/cm3", part=mean_hu.part, region=f"{mean_hu.region}; {self.source}",
            uncertainty=math.hypot(noise, self.uncertainty_mg_cm3 or 0.0) if known else None,
        )  # fmt: skip


def rod_calibration(image: Image, rods: Image) -> Calibration:
    """Return the calibration by rods in the scan; names such as `hydroxyapatite 50 mg/cm3` say what they are.

    Raises `ValueError` for rods without such names, of several materials, fewer than two densities, too small to be
    measured clear of their edge, or that do not lie on a line.
    """
    in_hu(image)
    same_place(image, rods)
    told = {name: _rod(name) for name in rods.names.values()}
    materials = {material for material, _ in told.values()}
    if len(materials) != 1 or len({mg for _, mg in told.values()}) < 2:
        raise ValueError(f"calibration takes at least two densities of one material; the rods are {', '.join(told)}")
    hu = np.array([_mean_inside(image, rods, name, _ROD_EDGE_MM) for name in told])
    mg = np.array([mg_cm3 for _, mg_cm3 in told.values()])
    slope, offset = np.polyfit(mg, hu, 1)  # the names are exact, the HU are not
    off = (hu - offset - slope * mg) / slope
    if slope <= 0 or np.abs(off).max() > _STRAIGHT_MG_CM3:
        raise ValueError(
            f"the rods lie up to {np.abs(off).max():.0f} mg/cm3 off a line: do their names tell what they are?"
        )
    spread = 1.96 * math.sqrt(float((off**2).sum()) / (len(off) - 2) / len(off)) if len(off) > 2 else None
    (material,) = materials
    return Calibration(
        mg_cm3_per_hu=1 / slope, offset_mg_cm3=-offset / slope, material=material, uncertainty_mg_cm3=spread,
        source=f"calibrated by {len(told)} rods of {material}",
    )  # fmt: skip


def internal_calibration(image: Image, tissues: Image, *, material: Material = "hydroxyapatite") -> Calibration:
    """Return the calibration by the patient's own fat and air, by the names of a label map.

    HU are put on the line on which these tissues (ICRU) lie at the energy of one colour that fits them best, with
    water at 0 and, where none was read, air at -1000, to which scanners are calibrated; the mineral in water that adds
    so much at that energy is the density. Fat differs between people, so a slope is right to some 5 %: 3 HU in the fat
    make 6 %. Muscle and blood read nearly the same at every energy, but differ by 15 HU and more between people
    (fat within muscle, haematocrit), which would make 15 % of slope: they only tell contrast medium and wrong masks.
    Raises `ValueError` for a map without fat, an image that is not in HU, and blood or muscle that read too much.
    """
    in_hu(image)
    same_place(image, tissues)
    there = [name for name in tissues.names.values() if name in HOUNSFIELD_OF]
    if "fat" not in there:
        raise ValueError(
            f"internal calibration takes fat, and air where there is some; the mask names "
            f"{', '.join(tissues.names.values()) or 'nothing'}"
        )
    measured = {name: _mean_inside(image, tissues, name, _TISSUE_EDGE_MM) for name in there}
    for name, (low, high) in _PLAUSIBLE_HU.items():
        if name in measured and not low <= measured[name] <= high:
            raise ValueError(
                f"the {name} reads {measured[name]:.0f} HU, and {low:g} to {high:g} are usual: with contrast medium, "
                "or where the mask is not what it names, it is no reference"
            )
    telling: dict[str, float] = {name: measured[name] for name in ("air", "fat") if name in measured}
    energy, gain, shift = fitted_energy(telling)
    per_mg = mineral_hu_per_mg(material, energy)
    return Calibration(
        mg_cm3_per_hu=gain / per_mg, offset_mg_cm3=shift / per_mg, material=material,
        source=f"calibrated by {' and '.join(telling)} as at {energy:.0f} keV",
    )  # fmt: skip


def in_hu(image: Image) -> None:
    """Refuse an image that is not in HU.

    Raises `ValueError`.
    """
    if image.unit != "HU":
        raise ValueError(f"this image is in {image.unit!r}, not in HU: say what its values are, or bring a CT")


def _rod(name: str) -> tuple[Material, float]:
    words = name.lower().replace("mg/cm3", "").split()
    names: Mapping[str, Material] = {"hydroxyapatite": "hydroxyapatite", "ha": "hydroxyapatite", "k2hpo4": "k2hpo4"}
    try:
        material, mg_cm3 = names[words[0]], float(words[1])
    except (LookupError, ValueError):
        raise ValueError(f"a rod is named as `hydroxyapatite 50 mg/cm3`; got {name!r}") from None
    return material, mg_cm3


def _mean_inside(image: Image, mask: Image, name: str, edge_mm: float) -> float:
    """Return the mean HU of a part clear of its edge; ends cut by the image count as inside."""
    inside = np.isin(mask.voxels, [value for value, each in mask.names.items() if each == name])
    if mask.spacing is None:
        raise ValueError("this mask has no spacing, so nothing in it is so many mm from an edge")
    if not inside.any():
        raise ValueError(f"{name} is named but nowhere in the mask")
    box = tuple(slice(max(int(n.min()) - 1, 0), int(n.max()) + 2) for n in np.nonzero(inside))
    here = inside[box]
    clear = distance_transform_edt(here, sampling=mask.spacing) > edge_mm if not here.all() else here
    if clear.sum() < _FEWEST:
        raise ValueError(f"{name} has {clear.sum()} voxels clear of its edge by {edge_mm:g} mm; {_FEWEST} are needed")
    return float(image.voxels[box][clear].mean())
