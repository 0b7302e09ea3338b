"""What a log hazard rests on: places of the film, and clinical values."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch.nn import functional

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from torch import nn

    from trabecula.systems.kong2022_spine_deepsurv.film import Inputs

    Floats = NDArray[np.float64]


def shares(
    hazards: Callable[[Floats], Floats], values: Floats, *, names: Sequence[str], centre: Floats | None
) -> dict[str, float]:
    """Return by name how much lower the log hazard `hazards([n, values])` is with that value at the centre."""
    if centre is None:
        return {}
    rows = np.tile(values, (len(names) + 1, 1))
    for column in range(len(names)):
        rows[column + 1, column] = centre[column]
    told = hazards(rows)
    return {name: float(told[0] - each) for name, each in zip(names, told[1:], strict=True)}


def heat(network: nn.Module, inputs: Inputs) -> NDArray[np.float32]:
    """Return the Grad-CAM map `[h, w]` of one film: where it moves the log hazard, up or down.

    Selvaraju et al., ICCV 2017, without their cut of what lowers it.
    """
    captum: Any = importlib.import_module("captum.attr")  # only explanations need it

    def hazard(film: torch.Tensor) -> torch.Tensor:
        told: torch.Tensor = network({**inputs, "film": film})
        return told

    network.eval()
    found = captum.LayerGradCam(hazard, network.get_submodule("maps")).attribute(inputs["film"])
    shown = functional.interpolate(found.detach().abs(), inputs["film"].shape[2:], mode="bilinear")
    values: NDArray[np.float32] = shown[0, 0].numpy()
    return values
