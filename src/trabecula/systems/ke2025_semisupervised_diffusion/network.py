"""The three networks: a ResNet that grades, a U-Net that tells noise, and the moving average of one that learns."""

from __future__ import annotations

import copy
import importlib
from collections.abc import Sequence
from typing import Any

import torch
from torch import nn

from trabecula.learn.networks import backbone

_GROUPS = 32  # of a group norm, as in DDPM; fewer where there are fewer channels


def resnet(blocks: Sequence[int], channels: Sequence[int], grades: int) -> Any:
    """Return a bottleneck ResNet by its blocks and channels a stage; `(3, 4, 6, 3)` of 64 to 512 is ResNet-50.

    `[n, 3, h, w]` -> stem `[n, 64, h/4, w/4]` -> four stages, the last `[n, 2048, h/32, w/32]` -> mean -> logits
    `[n, grades]`.
    """
    return backbone("resnet50", outputs=grades, options={"layers": tuple(blocks), "channels": tuple(channels)})


class Denoiser(nn.Module):
    """MONAI's diffusion U-Net on grey pictures, told nothing but the noisy picture and the step: no label.

    `(x [n, 1, h, w], step [n])` -> levels of `channels`, each half as wide as the one before -> attention in the
    middle, and on levels of at most `attention` pixels -> up again -> noise `[n, 1, h, w]`.
    """

    def __init__(self, pixels: int, *, channels: Sequence[int], blocks: int, attention: int) -> None:
        super().__init__()
        nets: Any = importlib.import_module("monai.networks.nets")  # takes half as long as a small training
        groups = min(_GROUPS, channels[0] // 2)
        self.unet = nets.DiffusionModelUNet(
            spatial_dims=2,
            in_channels=1,
            out_channels=1,
            num_res_blocks=blocks,
            channels=tuple(channels),
            attention_levels=[pixels // 2**level <= attention for level in range(len(channels))],
            norm_num_groups=groups,
            num_head_channels=tuple(channels),
        )

    def forward(self, given: Sequence[torch.Tensor]) -> torch.Tensor:
        """Return the noise `[n, 1, h, w]` in pictures at their steps."""
        noisy, step = given
        noise: torch.Tensor = self.unet(noisy, step)
        return noise


class Averaged(nn.Module):
    """A network that learns, and the moving average of its weights, which answers when it is asked in earnest.

    In training the learner answers, and the average first takes its share of what the last step taught. `beside` is
    kept with both when training is interrupted.
    """

    taken: torch.Tensor

    def __init__(self, learner: nn.Module, decay: float, *, beside: nn.Module | None = None) -> None:
        super().__init__()
        self.learner = learner
        self.average = copy.deepcopy(learner).requires_grad_(False)
        self.beside = beside
        self.decay = decay
        self.register_buffer("taken", torch.zeros((), dtype=torch.long))

    def forward(self, given: Any) -> Any:
        """Return what the learner says in training, what the average says otherwise."""
        if not self.training:
            return self.average(given)
        self._follow()
        return self.learner(given)

    @torch.no_grad()
    def _follow(self) -> None:
        """Move the average to the learner, at first quickly: by 9 / (10 + steps), then by 1 - `decay`."""
        taken = int(self.taken)
        part = max(1 - self.decay, 9 / (10 + taken))
        for own, its in zip(self.average.parameters(), self.learner.parameters(), strict=True):
            own.lerp_(its, part)
        for kept, its_own in zip(self.average.buffers(), self.learner.buffers(), strict=True):
            kept.copy_(its_own)
        self.taken += 1
