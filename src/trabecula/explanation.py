"""Evidence: what an answer rests on, as numbers and as a picture over the image."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from trabecula.case import Case
    from trabecula.image import Image
    from trabecula.system import Evidence, Model

_HOT = np.array([(13, 8, 135), (126, 3, 168), (204, 71, 120), (248, 149, 64), (240, 249, 33)], dtype=float)  # plasma


def explain(model: Model, case: Case, *, target: str | None = None) -> Evidence:
    """Say what the answer of a model to one case rests on.

    Raises `ValueError` when a required input is missing, or the system has no way of explaining itself.
    """
    evidence = model.explain(case, target)
    if evidence is None:
        raise ValueError(f"{model.system.id()} cannot say what its answers rest on")
    return evidence


def overlay(image: Image, heat: NDArray[np.float32], path: Path) -> None:
    """Write a PNG of the slice that holds most heat with the heat in colour, the plain slice beside it.

    Raises `ValueError` when heat and image have different shapes.
    """
    from PIL import Image as Picture  # noqa: PLC0415

    if heat.shape != image.shape:
        raise ValueError(f"heat {heat.shape} does not lie on the grid of the image {image.shape}")
    warm = _scaled(heat, 0, 100)
    hottest = int(warm.sum(axis=(1, 2)).argmax()) if warm.any() else image.shape[0] // 2
    grey = _scaled(image.voxels[hottest], 1, 99)
    weight = warm[hottest][..., None]
    plain = np.repeat(grey[..., None], 3, axis=-1) * 255
    share = 0.65 * weight
    both = np.concatenate([plain, plain * (1 - share) + _coloured(weight[..., 0]) * share], axis=1)
    Picture.fromarray(both.round().astype(np.uint8)).save(path, format="PNG")


def _scaled(values: NDArray[np.generic], low: float, high: float) -> NDArray[np.float64]:
    numbers = values.astype(np.float64)
    bottom, top = np.percentile(numbers, [low, high])
    return np.clip((numbers - bottom) / (top - bottom), 0, 1) if top > bottom else np.zeros_like(numbers)


def _coloured(weight: NDArray[np.float64]) -> NDArray[np.float64]:
    stops = np.linspace(0, 1, len(_HOT))
    return np.stack([np.interp(weight, stops, _HOT[:, channel]) for channel in range(3)], axis=-1)
