"""Pictures out of noise: a denoising diffusion model learns from real pictures and makes new ones.

Ho et al., Denoising diffusion probabilistic models, NeurIPS 2020; sampled as in Song et al., Denoising diffusion
implicit models, ICLR 2021. Networks and schedulers are MONAI's.
"""

from __future__ import annotations

import hashlib
import importlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from trabecula.learn.examples import Held, stacked

if TYPE_CHECKING:
    from torch import nn

    from trabecula.learn.examples import Shown

_AT_ONCE = 64  # pictures that are made side by side


@dataclass(frozen=True)
class Noised:
    """Pictures with noise of a random step of diffusion, and that noise, as batches to train and validate on."""

    pictures: Shown
    indices: Sequence[int]
    """Which of the pictures belong to this part."""
    steps: int
    """Steps of diffusion, from a picture to noise."""

    def __len__(self) -> int:
        return len(self.indices)

    def batch(
        self, chosen: Sequence[int], generator: torch.Generator
    ) -> tuple[tuple[torch.Tensor, torch.Tensor], torch.Tensor]:
        """Return noisy pictures `[n, 1, h, w]` with their steps `[n]`, and the noise, of the chosen examples."""
        clean = 2 * stacked(self.pictures, [self.indices[each] for each in chosen]) - 1
        step = torch.randint(self.steps, (len(chosen),), generator=generator)
        noise = torch.randn(clean.shape, generator=generator)
        return (self._scheduler.add_noise(clean, noise, step), step), noise

    @cached_property
    def _scheduler(self) -> Any:
        return _schedulers().DDPMScheduler(self.steps)  # variances rise linearly from 1e-4 to 0.02

    @property
    def digest(self) -> str:
        """Name the content: pictures and their order."""
        told = repr((self.steps, [self.pictures.digest(index) for index in self.indices]))
        return hashlib.sha256(told.encode()).hexdigest()


@torch.inference_mode()
def generate(denoiser: nn.Module, count: int, *, pixels: int, steps: int, taken: int, seed: int) -> Held:
    """Return so many new pictures, from noise in `taken` of `steps` steps.

    Raises `ValueError` where `taken` is no divisor of `steps`: MONAI's sampler would then leave noise.
    """
    if steps % taken:
        raise ValueError(f"{steps} steps of diffusion cannot be walked in {taken} even ones: take a divisor")
    denoiser.eval()
    device = next(denoiser.parameters()).device
    sampler = _schedulers().DDIMScheduler(steps, steps_offset=steps // taken - 1)  # so that the last one ends clean
    sampler.set_timesteps(taken)
    chance = torch.Generator().manual_seed(seed)
    made = [np.empty((0, pixels, pixels), dtype=np.uint8)]
    for start in range(0, count, _AT_ONCE):
        shape = (min(_AT_ONCE, count - start), 1, pixels, pixels)
        noisy = torch.randn(shape, generator=chance).to(device)
        for step in sampler.timesteps.tolist():
            noise = denoiser((noisy, torch.full((len(noisy),), step, device=device)))
            noisy, _ = sampler.step(noise, step, noisy)
        grey = ((noisy[:, 0] + 1) * 127.5).round().clamp(0, 255)
        made.append(grey.to(torch.uint8).cpu().numpy())
    return Held(np.concatenate(made))


def digest_of(network: nn.Module) -> str:
    """Return the SHA-256 of the weights of a network."""
    sha = hashlib.sha256()
    for name, weight in network.state_dict().items():
        sha.update(name.encode() + weight.cpu().numpy().tobytes())
    return sha.hexdigest()


def _schedulers() -> Any:
    return importlib.import_module("monai.networks.schedulers")
