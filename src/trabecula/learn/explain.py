"""Where in a picture a network finds its answer."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from torch.nn import functional

from trabecula.learn.examples import Shown, stacked, three_channels

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from torch import nn


def grad_cam(network: nn.Module, layer: nn.Module, *, pictures: Shown, grade: int) -> NDArray[np.float32]:
    """Return the Grad-CAM map `[h, w]` of one picture for a grade, on the grid of the prepared picture, not negative.

    `layer` is a module of the network whose output is maps `[n, channels, h, w]`. Selvaraju et al., ICCV 2017.
    """
    captum: Any = importlib.import_module("captum.attr")  # only explanations need it
    network.eval()
    grey = stacked(pictures, [0])
    heat = captum.LayerGradCam(network, layer).attribute(three_channels(grey), target=grade, relu_attributions=True)
    shown = functional.interpolate(heat.detach(), grey.shape[2:], mode="bilinear").clamp(min=0)
    values: NDArray[np.float32] = shown[0, 0].numpy()
    return values
