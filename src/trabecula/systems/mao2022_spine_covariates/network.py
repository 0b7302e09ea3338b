"""A DenseNet whose input channels are views, and a classifier that clinical covariates may join."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import nn
from torch.nn import functional

from trabecula.learn.networks import backbone, pretrained

BACKBONE = "densenet121"
_GREY = (0.449, 0.226)  # mean and SD of ImageNet over its three channels
_FIRST = "features.conv0.weight"

Given = Sequence[torch.Tensor]


class SpineDenseNet(nn.Module):
    """Views as channels of one DenseNet; covariates, where it takes any, join its pooled features."""

    def __init__(
        self,
        *,
        views: int,
        covariates: int,
        growth: int,
        blocks: Sequence[int],
        widths: tuple[int, int],
        dropout: float,
        grades: int,
    ) -> None:
        super().__init__()
        self.views, self.covariates = views, covariates
        self.layout = {"growth_rate": growth, "block_config": tuple(blocks)}
        self.trunk = backbone(BACKBONE, channels=views, options=self.layout)
        features = self.trunk.num_features
        if not covariates:
            self.head: nn.Module = nn.Linear(features, grades)
            return
        narrow, joined = widths
        self.clinical = nn.Sequential(nn.Linear(covariates, narrow), nn.ReLU())
        self.head = nn.Sequential(
            nn.Linear(features + narrow, joined), nn.ReLU(), nn.Dropout(dropout), nn.Linear(joined, grades)
        )

    def forward(self, given: Given) -> torch.Tensor:
        """Return logits `[B, grades]` of films `[B, views, H, W]` of 0 to 1, and of covariates `[B, 3]` beside them.

        Shapes beside are those of DenseNet-121 at 512 px. Raises `ValueError` for covariates that this network does
        not take, or lacks, and for another number of views.
        """
        films, *beside = given
        if len(beside) != bool(self.covariates):
            raise ValueError("covariates go to a network that was built with them, and there they may not be missing")
        if films.shape[1] != self.views:
            raise ValueError(f"this network looks at {self.views} view(s) of a patient; got {films.shape[1]}")
        mean, deviation = _GREY
        vector = self.trunk((films - mean) / deviation)  # [B, 1024, 16, 16] -> [B, 1024]
        if beside:
            vector = torch.cat([vector, self.clinical(beside[0])], dim=1)  # [B, 1024 + 16]
        logits: torch.Tensor = self.head(vector)  # [B, 128] -> [B, grades]
        return logits

    def begin(self) -> str:
        """Start from ImageNet, where its weights can be had, and say where they came from.

        Films are grey: the three channels of the first convolution are summed, and shared out among the views.
        """
        usual = backbone(BACKBONE, options=self.layout)
        origin = pretrained({BACKBONE: usual})
        if origin.startswith("imagenet"):
            weights = {name: each for name, each in usual.state_dict().items() if not name.startswith("classifier")}
            weights[_FIRST] = weights[_FIRST].sum(dim=1, keepdim=True).repeat(1, self.views, 1, 1) / self.views
            self.trunk.load_state_dict(weights)
        return origin


def grad_cam(network: SpineDenseNet, given: Given, *, grade: int) -> torch.Tensor:
    """Return the Grad-CAM map `[H, W]` of one patient for a grade, on the grid of the films, not negative.

    Weight of a map of the last dense block: the mean of the derivative of the logit by it. Selvaraju et al., ICCV
    2017. One map holds for all views, since they are channels of one picture.
    """
    network.eval()
    kept: list[torch.Tensor] = []
    block: Any = network.trunk.features.denseblock4
    hook = block.register_forward_hook(lambda _module, _given, output: kept.append(output))
    logits = network(given)
    hook.remove()
    (slope,) = torch.autograd.grad(logits[0, grade], kept)
    weighted = (slope.mean(dim=(2, 3), keepdim=True) * kept[0].detach()).sum(dim=1, keepdim=True).clamp(min=0)
    shown: torch.Tensor = functional.interpolate(weighted, given[0].shape[2:], mode="bilinear")[0, 0]
    return shown
