"""CT: from a body to Hounsfield units as a scanner gives them.

Every voxel is seen by the spectrum that is left behind the patient's own water-equivalent diameter, water is 0 and air
-1000 HU there, as the scanner's water correction makes it. So mineral reads less in a large patient, water does not.
Cupping that a water correction leaves around dense bone, scatter and helical artefacts are not modelled.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from trabecula.image import Image
from trabecula.phantom.body import windows
from trabecula.phantom.ct_metal import METALS, streaks
from trabecula.phantom.ct_noise import correlated_noise, get_kernel, noise_sd
from trabecula.phantom.material import attenuation, mass_attenuation, pure
from trabecula.phantom.spectrum import Detector, Spectrum, tube_spectrum

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.random import Generator
    from numpy.typing import NDArray

    from trabecula.phantom.body import Body

    Voxels = NDArray[np.float32]

_USUAL_CM = 25.0
PUBLISHED_CORRECTION = (("Al", 3.6), ("Cu", 0.6))
"""Filtration in mm of a published tube-voltage correction (AAPM 2026, abstract 1859): mean 71 keV at 120 kVp."""


@dataclass(frozen=True, kw_only=True)
class Scanner:
    """How a CT was taken and reconstructed.

    Raises `ValueError` for what no scanner does, and `KeyError` for an unknown kernel.
    """

    kvp: float = 120.0
    filters_mm: tuple[tuple[str, float], ...] = (("Al", 6.0),)
    """Tube and shaping filter in the middle of the field."""
    detector: Detector = "energy"
    kernel: str = "standard"
    pixel_mm: float = 0.8
    slice_mm: float = 1.5
    interval_mm: float = 1.5
    """Distance of slices; below `slice_mm` they overlap."""
    noise_hu: float = 0.0
    """SD in water at the reference kernel and slice; tube current is modulated to keep it in any patient."""
    range_hu: tuple[float, float] = (-1024.0, 3071.0)
    """What the stored values can hold."""

    def __post_init__(self) -> None:
        limits = {
            "kvp": (self.kvp, 60, 150), "pixel_mm": (self.pixel_mm, 0.05, 10), "slice_mm": (self.slice_mm, 0.05, 20),
            "interval_mm": (self.interval_mm, 0.05, 20), "noise_hu": (self.noise_hu, 0, 500),
        }  # fmt: skip
        for name, (value, low, high) in limits.items():
            if not low <= value <= high:
                raise ValueError(f"a scanner's {name} lies between {low} and {high}; got {value}")
        if not self.range_hu[0] < self.range_hu[1]:
            raise ValueError(f"range_hu grows from lowest to highest; got {self.range_hu}")
        get_kernel(self.kernel)

    def spectrum(self, water_cm: float) -> Spectrum:
        """Return the spectrum behind a patient worth `water_cm` of water."""
        if not 0 <= water_cm <= 80:
            raise ValueError(f"a patient is worth 0 to 80 cm of water; got {water_cm}")
        return tube_spectrum(self.kvp, filters_mm=self.filters_mm).behind({"water": water_cm})


def hounsfield(densities: Mapping[str, float], scanner: Scanner, *, water_cm: float) -> float:
    """Return the HU of a uniform place with these partial densities in g/cm³ behind `water_cm` of water."""
    weights = scanner.spectrum(water_cm).weights(scanner.detector)
    water, air, here = (float(weights @ attenuation(rows)) for rows in (pure("water"), pure("air"), densities))
    return 1000 * (here - water) / (water - air)


def water_equivalent_cm(body: Body, scanner: Scanner) -> float:
    """Return the water-equivalent diameter in cm, the mean over slices (AAPM Report 220).

    It is too small where the body leaves the grid: then the caller knows better.
    """
    weights = scanner.spectrum(_USUAL_CM).weights(scanner.detector)
    water = float(weights @ mass_attenuation("water"))
    _, rows, columns = body.shape
    area = rows * columns * body.spacing[1] * body.spacing[2] / 100
    relative = sum(
        values.mean(axis=(1, 2), dtype=np.float64) * float(weights @ mass_attenuation(name)) / water
        for name, values in body.densities.items()
    )
    return float(np.mean(2 * np.sqrt(relative * area / math.pi)))


def scan(body: Body, scanner: Scanner, rng: Generator, *, water_cm: float | None = None) -> Image:
    """Return the image in HU that a scanner makes of a body.

    The image covers the body's grid and shares its centre and directions. `water_cm` replaces the water-equivalent
    diameter computed from the body, for bodies that are cut out of a patient. `rng` is used for noise alone.
    Raises `ValueError` where a pixel or slice is larger than the body.
    """
    if water_cm is None:
        water_cm = water_equivalent_cm(body, scanner)
    k_mm, j_mm, i_mm = body.spacing
    slices, rows, columns = body.shape
    along = windows(slices, k_mm, step_mm=scanner.interval_mm, width_mm=scanner.slice_mm)
    down, across = (
        windows(size, mm, step_mm=scanner.pixel_mm, width_mm=scanner.pixel_mm)
        for size, mm in ((rows, j_mm), (columns, i_mm))
    )

    def sampled(volume: Voxels) -> Voxels:
        return np.asarray(np.matmul(np.matmul(down, volume), across.T))

    hu, kernel = _projected(along, _hu_map(body, scanner, water_cm)), get_kernel(scanner.kernel)
    if scanner.pixel_mm < min(j_mm, i_mm):  # blurred on the finer of both grids
        hu = kernel.blur(sampled(hu), (scanner.pixel_mm, scanner.pixel_mm))
    else:
        hu = sampled(kernel.blur(hu, (j_mm, i_mm)))
    metal = {name: sampled(_projected(along, body.densities[name])) for name in METALS if name in body.densities}
    for name, values in metal.items():
        hu += streaks(values, name, scanner.spectrum(water_cm), detector=scanner.detector, pixel_mm=scanner.pixel_mm)
    if scanner.noise_hu:
        sd = noise_sd(scanner.noise_hu, kernel=scanner.kernel, slice_mm=scanner.slice_mm)
        overlap = scanner.slice_mm / scanner.interval_mm
        noise = correlated_noise(
            hu.shape, rng, kernel=scanner.kernel, pixel_mm=scanner.pixel_mm, overlap=max(overlap, 1.0)
        )
        hu += np.float32(sd) * noise
    return _image(np.clip(hu, *scanner.range_hu), body, scanner)


def _hu_map(body: Body, scanner: Scanner, water_cm: float) -> Voxels:
    """Return HU `[k, j, i]` on the body's own grid; where nothing is, vacuum is air."""
    weights = scanner.spectrum(water_cm).weights(scanner.detector)
    water, air = (float(weights @ attenuation(pure(name))) for name in ("water", "air"))
    hu = np.full(body.shape, -1000 * water / (water - air), dtype=np.float32)
    for name, values in body.densities.items():
        hu += np.float32(1000 * float(weights @ mass_attenuation(name)) / (water - air)) * values
    return np.maximum(hu, np.float32(-1000), out=hu)


def _projected(along: Voxels, volume: Voxels) -> Voxels:
    """Return slices `[out, j, i]` of a volume `[k, j, i]`."""
    return (along @ volume.reshape(len(volume), -1)).reshape(-1, *volume.shape[1:])


def _image(hu: Voxels, body: Body, scanner: Scanner) -> Image:
    spacing = (scanner.interval_mm, scanner.pixel_mm, scanner.pixel_mm)
    middle = (np.asarray(hu.shape) - 1) / 2 * spacing
    x, y, z = body.centre - middle @ np.asarray(body.direction)
    return Image(voxels=hu, unit="HU", spacing=spacing, origin=(x, y, z), direction=body.direction)
