"""MRI: a T1-weighted spin echo of the water and the lipid in a body.

A material's signal is that of its mobile water and of its lipid, each proton density x (1 - exp(-TR/T1)) exp(-TE/T2).
Protons of mineral, collagen and the water bound to them decay before an echo, flowing blood leaves the slice, and
metal and air hold none: all are black. Fat can be displaced, coils are uneven, noise is that of a magnitude (Rician).
Not modelled: susceptibility of trabeculae (a spin echo refocuses it), magnetisation transfer, motion, truncation.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import product
from typing import TYPE_CHECKING, Literal, get_args

import numpy as np
from scipy.ndimage import shift

from trabecula.image import Image
from trabecula.phantom.body import windows
from trabecula.phantom.material import WATER_PER_MINERAL, get_material, pure

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.random import Generator
    from numpy.typing import NDArray

    from trabecula.phantom.body import Body

    Voxels = NDArray[np.float32]

Plane = Literal["sagittal", "axial"]

FIELDS_T = (1.5, 3.0)
_STORED_MAX = 4095
_RUNS = {"axial": ((0, 1), (1, 1), (2, 1)), "sagittal": ((2, -1), (0, -1), (1, 1))}
"""Along which axis of the body k, j and i of the picture run, and in which sense."""
_WAVES = 3
_LIPID_PROTONS = 1.05  # hydrogen of lipid, 11.8 % (ICRU 46, recalled), over that of water, 11.2 %


@dataclass(frozen=True, kw_only=True)
class Relaxation:
    """T1 and T2 in ms at 1.5 and at 3 T."""

    t1_ms: tuple[float, float]
    t2_ms: tuple[float, float]
    source: str

    def left(self, echo: SpinEcho) -> float:
        """Return the share of the protons' full signal that a spin echo sees."""
        field = FIELDS_T.index(echo.field_t)
        return (1 - math.exp(-echo.tr_ms / self.t1_ms[field])) * math.exp(-echo.te_ms / self.t2_ms[field])


_MUSCLE = Relaxation(t1_ms=(1008, 1412), t2_ms=(44, 50), source="Stanisz 2005; recalled")
_MARROW = Relaxation(
    t1_ms=(900, 1150), t2_ms=(23, 21), source="T2 at 3 T Ruschke 2021; the rest recalled, sources vary"
)
_DISC = Relaxation(t1_ms=(1165, 1165), t2_ms=(102, 102), source="Drake-Perez 2018, one field")
_FLUID = Relaxation(t1_ms=(4273, 4273), t2_ms=(1578, 1578), source="Drake-Perez 2018, one field")
_LIPID = Relaxation(t1_ms=(343, 382), t2_ms=(58, 68), source="de Bazelaire 2004; at 1.5 T recalled")

PROTONS = {
    "water": (1.0, 0.0, _FLUID),
    "soft_tissue": (0.75, 0.0, _DISC),
    "muscle": (0.74, 0.02, _MUSCLE),
    "red_marrow": (0.40, 0.40, _MARROW),
    "yellow_marrow": (0.15, 0.80, _MARROW),
    "adipose": (0.21, 0.74, _MUSCLE),
    "lipid_rich_adipose": (0.114, 0.873, _MUSCLE),
}
"""Grams of water and of lipid in a gram of material (ICRU 46 and ICRP 23, recalled), and how the water relaxes.

Soft tissue is taken for disc. Red marrow as ICRU defines it holds 40 % lipid, so the share of yellow marrow is not a
proton density fat fraction. What is not listed gives no signal.
"""


@dataclass(frozen=True, kw_only=True)
class SpinEcho:
    """How a T1 spin echo was taken.

    Raises `ValueError` for what no such examination has.
    """

    field_t: float = 1.5
    tr_ms: float = 550.0
    te_ms: float = 12.0
    plane: Plane = "sagittal"
    pixel_mm: float = 1.0
    slice_mm: float = 4.0
    interval_mm: float = 4.4
    """Distance of slices; above `slice_mm` they leave gaps."""
    slices: int | None = None
    """Number of slices about the middle; all that fit where none is given."""
    field_mm: tuple[float, float] | None = None
    """Height and width of the picture about the middle; all that fits where none is given."""
    fat_shift_px: float = 0.0
    """How far fat is displaced down the picture (frequency encoding along j)."""
    snr: float = 30.0
    """Signal of muscle over the SD of the noise in one channel; infinite for no noise."""
    bias: float = 0.10
    """SD of the logarithm of the coils' sensitivity over the volume: a smooth field, drawn anew each time."""
    surface: float = 0.0
    """What a surface coil adds to that logarithm per 100 mm backwards."""
    gain: float = 900.0
    """Stored value of adipose tissue; a stored value of MRI has no unit."""

    def __post_init__(self) -> None:
        if self.field_t not in FIELDS_T or self.plane not in get_args(Plane):
            raise ValueError(
                f"a spin echo has {FIELDS_T} T and a plane {get_args(Plane)}; got {self.field_t, self.plane}"
            )
        limits = {
            "tr_ms": (self.tr_ms, 50, 20000), "te_ms": (self.te_ms, 2, 300), "pixel_mm": (self.pixel_mm, 0.1, 10),
            "slice_mm": (self.slice_mm, 0.1, 20), "interval_mm": (self.interval_mm, 0.1, 40),
            "slices": (self.slices or 1, 1, 1000), "fat_shift_px": (self.fat_shift_px, -10, 10),
            "snr": (self.snr, 0.1, math.inf), "bias": (self.bias, 0, 1), "surface": (self.surface, -2, 2),
            "gain": (self.gain, 1, _STORED_MAX),
        }  # fmt: skip
        for name, (value, low, high) in limits.items():
            if not low <= value <= high:
                raise ValueError(f"a spin echo's {name} lies between {low} and {high}; got {value}")
        if self.te_ms >= self.tr_ms:
            raise ValueError(f"the echo comes before the next pulse; got TE {self.te_ms} and TR {self.tr_ms} ms")


def signal(densities: Mapping[str, float], echo: SpinEcho) -> float:
    """Return the stored value of a uniform place with these partial densities in g/cm³, without noise and coils."""
    weights = _weights(echo)
    return max(0.0, sum(g_cm3 * sum(weights[name]) for name, g_cm3 in densities.items() if name in weights))


def scan_mri(body: Body, echo: SpinEcho, rng: Generator) -> Image:
    """Return the picture of a body in stored values 0 to 4095.

    Axial slices lie as the body's; sagittal ones run from the patient's left to the right, their rows from head to
    foot, their columns backwards. `rng` draws the coils and the noise, both whatever the body holds.
    Raises `ValueError` where a pixel, a slice or the field is larger than the body.
    """
    weights = _weights(echo)
    still, fat = np.zeros((2, *body.shape), dtype=np.float32)
    for name, values in body.densities.items():
        water, lipid = weights.get(name, (0.0, 0.0))
        still += np.float32(water) * values
        fat += np.float32(lipid) * values
    still, fat = (_sampled(np.maximum(values, 0), body, echo) for values in (still, fat))
    if echo.fat_shift_px:
        fat = shift(fat, (0, echo.fat_shift_px, 0), order=1, mode="nearest")
    magnitude = (still + fat) * _sensitivity(still.shape, echo, rng)
    if not math.isinf(echo.snr):
        sd = np.float32(signal(pure("muscle"), echo) / echo.snr)
        real, imaginary = (sd * rng.standard_normal(magnitude.shape, dtype=np.float32) for _ in range(2))
        magnitude = np.hypot(magnitude + real, imaginary)
    return _image(np.rint(np.clip(magnitude, 0, _STORED_MAX)).astype(np.uint16), body, echo)


def _weights(echo: SpinEcho) -> dict[str, tuple[float, float]]:
    """Return the signal of water and of lipid by material, for a g/cm³ of it; mineral takes away the water it binds."""
    lipid_seen = _LIPID_PROTONS * _LIPID.left(echo)
    seen = {name: (water * how.left(echo), lipid * lipid_seen) for name, (water, lipid, how) in PROTONS.items()}
    seen["hydroxyapatite"] = (-WATER_PER_MINERAL * seen["water"][0], 0.0)
    scale = echo.gain / (get_material("adipose").density * sum(seen["adipose"]))
    return {name: (water * scale, lipid * scale) for name, (water, lipid) in seen.items()}


def _spacing(echo: SpinEcho) -> tuple[float, float, float]:
    return echo.interval_mm, echo.pixel_mm, echo.pixel_mm


def _sampled(volume: Voxels, body: Body, echo: SpinEcho) -> Voxels:
    """Return a map of the body on the grid of the picture, averaged over slices and pixels."""
    order, senses = zip(*_RUNS[echo.plane], strict=True)
    volume = volume.transpose(order)[tuple(slice(None, None, sense) for sense in senses)]
    height, width = echo.field_mm or (None, None)
    counts = (echo.slices, *(None if mm is None else int(mm / echo.pixel_mm + 1e-6) for mm in (height, width)))
    widths = (echo.slice_mm, echo.pixel_mm, echo.pixel_mm)
    slices, rows, columns = (
        windows(size, body.spacing[axis], step_mm=step, width_mm=wide, count=count)
        for size, axis, step, wide, count in zip(volume.shape, order, _spacing(echo), widths, counts, strict=True)
    )
    volume = np.tensordot(slices, volume, axes=1)
    return np.asarray(np.matmul(np.matmul(rows, volume), columns.T))


def _sensitivity(shape: tuple[int, ...], echo: SpinEcho, rng: Generator) -> Voxels:
    """Return the coils' sensitivity `[k, j, i]`: waves of up to one period across the volume, and a surface coil."""
    place = [(np.arange(n) + 0.5) / n for n in shape]
    field = np.zeros(shape)
    for waves in product(range(_WAVES), repeat=3):
        k, j, i = (np.cos(np.pi * n * u) for n, u in zip(waves, place, strict=True))
        if any(waves):
            field += rng.standard_normal() * k[:, None, None] * j[:, None] * i / sum(waves)
    field *= echo.bias / max(float(field.std()), 1e-9)
    backwards = 2 if echo.plane == "sagittal" else 1
    mm = np.arange(shape[backwards]) * _spacing(echo)[backwards]
    along = echo.surface * (mm - mm.mean()) / 100
    field += along if backwards == 2 else along[:, None]
    return np.exp(field).astype(np.float32)


def _image(stored: NDArray[np.uint16], body: Body, echo: SpinEcho) -> Image:
    axes = np.asarray(body.direction)
    direction = np.stack([sense * axes[axis] for axis, sense in _RUNS[echo.plane]])
    middle = (np.asarray(stored.shape) - 1) / 2 * _spacing(echo)
    x, y, z = body.centre - middle @ direction
    return Image(
        voxels=stored, unit="stored", spacing=_spacing(echo), origin=(x, y, z), direction=tuple(direction.tolist())
    )
