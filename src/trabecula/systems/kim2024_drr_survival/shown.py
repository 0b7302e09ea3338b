"""What an answer rests on: heat on each view, and the curve beside the mean of training, drawn as SVG."""

from __future__ import annotations

import importlib
import io
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch.nn import functional

from trabecula.systems.kim2024_drr_survival.drr import VIEWS
from trabecula.systems.kim2024_drr_survival.hazard import without_event

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from torch import nn

    Floats = NDArray[np.float64]

_OWN, _USUAL = "#b3261e", "#1a1a1a"
_DAYS, _FINE = 365.0, 20  # days a year of the published grid; places between two points at which curves are compared


def heat(network: nn.Module, films: torch.Tensor, *, point: int) -> NDArray[np.float32]:
    """Return Grad-CAM maps `[views, h, w]` of the cumulative hazard up to a point of the grid, not negative.

    `films` are those of one person, `[1, views, 3, h, w]`. Selvaraju et al., ICCV 2017.
    """
    captum: Any = importlib.import_module("captum.attr")  # only explanations need it

    def hazard(given: torch.Tensor) -> torch.Tensor:
        return -without_event(network(given))[:, point].log()

    network.eval()
    layers = [network.get_submodule(f"maps.{number}") for number in range(films.shape[1])]
    found = [captum.LayerGradCam(hazard, layer).attribute(films, relu_attributions=True) for layer in layers]
    shown = [functional.interpolate(each.detach(), films.shape[3:], mode="bilinear").clamp(min=0) for each in found]
    maps: NDArray[np.float32] = torch.cat(shown)[:, 0].numpy()
    return maps


def falls_under(grid: Floats, *, own: Floats, reference: Floats) -> float | None:
    """Return the day from which a curve runs below the reference up to where both end; `None` where it does not."""
    years = np.linspace(grid[0], grid[-1], _FINE * (len(grid) - 1) + 1)
    above = np.flatnonzero(np.interp(years, grid, own) >= np.interp(years, grid, reference))
    if len(above) and above[-1] == len(years) - 1:
        return None
    return float(_DAYS * years[above[-1]]) if len(above) else 0.0


def figure(films: NDArray[np.uint8], maps: NDArray[np.float32], *, grid: Floats, own: Floats, reference: Floats) -> str:
    """Draw three views `[3, h, w]` with their heat, and the curve beside the mean curve of training, as SVG.

    The heat of each view is scaled to its own strongest.
    """
    import matplotlib as mpl  # noqa: PLC0415 only explanations need it
    from matplotlib.figure import Figure  # noqa: PLC0415

    with mpl.rc_context({"svg.hashsalt": "trabecula", "font.size": 8.5}):
        drawn = Figure(figsize=(10.4, 2.9), layout="constrained")
        axes: Any = drawn.subplots(1, 4, width_ratios=(1, 1, 1, 1.5))
        for view, film, own_heat, place in zip(VIEWS, films, maps, axes[:3], strict=True):
            place.imshow(film, cmap="gray")
            strongest = max(float(own_heat.max()), 1e-12)
            place.imshow(own_heat, cmap="inferno", alpha=0.6 * own_heat / strongest, vmin=0, vmax=strongest)
            place.set_title(view)
            place.set_axis_off()
        axes[3].plot(grid, reference, color=_USUAL, linestyle="--", label="mean of training")
        axes[3].plot(grid, own, color=_OWN, label="this patient")
        axes[3].set(xlabel="years", ylabel="free of fracture", ylim=(0, 1.02), xlim=(0, grid[-1]))
        axes[3].legend(loc="lower left", frameon=False)
        drawn.text(0.005, 0.005, "Not a medical device. A finding prompts DXA.", ha="left", va="bottom", fontsize=7)
        svg = io.StringIO()
        drawn.savefig(svg, format="svg", metadata={"Date": None, "Title": "Views, heat and curve"})
    return svg.getvalue()
