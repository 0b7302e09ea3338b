"""Which pseudo-labels are believed: a threshold for each class, which falls along a sine while a network learns.

The threshold of Ke et al. could not be read: its form is reconstructed. The scaling by class is FlexMatch's (Zhang et
al., NeurIPS 2021), the pseudo-labels are FixMatch's (Sohn et al., NeurIPS 2020; both recalled).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import torch
from torch import nn
from torch.nn import functional

Curve = Literal["sin", "cos", "linear"]


@dataclass(frozen=True, kw_only=True)
class Decay:
    """How the threshold falls.

    Raises `ValueError` for thresholds that rise or leave 0 to 1, and a decay that takes no time.
    """

    curve: Curve = "sin"
    high: float = 0.95
    low: float = 0.60
    floor: float = 0.4
    """No class has a lower threshold than this."""
    steps: int = 1
    """Training steps after which the threshold has fallen."""
    by_class: bool = True
    """Whether a class that has few pseudo-labels has a lower threshold."""

    def __post_init__(self) -> None:
        if not 0 <= self.low <= self.high <= 1:
            raise ValueError(f"a threshold falls from high to low, both 0 to 1; got {self.high} and {self.low}")
        if self.steps < 1:
            raise ValueError(f"a threshold falls within a step or more; got {self.steps}")

    def general(self, step: int) -> float:
        """Return the threshold of all classes after so many steps."""
        part = min(1.0, step / self.steps)
        left = {"sin": 1 - math.sin(math.pi * part / 2), "cos": math.cos(math.pi * part / 2), "linear": 1 - part}
        return self.low + (self.high - self.low) * left[self.curve]

    def each(self, step: int, counts: torch.Tensor, pool: int) -> torch.Tensor:
        """Return the threshold of each class `[classes]`, of a pool where `counts` have a confident pseudo-label."""
        general = self.general(step)
        if not self.by_class:
            return torch.full_like(counts, general, dtype=torch.float32)
        most = max(int(counts.max()), pool - int(counts.sum()), 1)
        share = counts / most
        return (general * share / (2 - share)).clamp(min=self.floor)


class PseudoLabels(nn.Module):
    """What is remembered of an unlabelled pool: the step, and the last confident class of every picture.

    Its buffers are saved with the network that learns, so that an interrupted training goes on as it was.
    """

    step: torch.Tensor
    last: torch.Tensor
    believed: torch.Tensor

    def __init__(self, decay: Decay, *, pool: int, classes: int) -> None:
        super().__init__()
        self.decay = decay
        self.classes = classes
        self.register_buffer("step", torch.zeros((), dtype=torch.long))
        self.register_buffer("last", torch.full((pool,), -1))
        self.register_buffer("believed", torch.zeros(2))

    @property
    def counts(self) -> torch.Tensor:
        """How many pictures of the pool were last confidently said to be of each class `[classes]`."""
        return torch.bincount(self.last[self.last >= 0], minlength=self.classes)

    def thresholds(self) -> torch.Tensor:
        """Return the threshold of each class `[classes]` at this step."""
        return self.decay.each(int(self.step), self.counts, len(self.last))

    def loss(self, weak: torch.Tensor, strong: torch.Tensor, pictures: torch.Tensor) -> torch.Tensor:
        """Return the cross-entropy of strong views with what weak views of the same pictures were believed to be.

        `weak` and `strong` are logits `[n, classes]`, `pictures` the numbers `[n]` of the pictures in the pool. It
        divides by n: a pseudo-label that is not believed counts as no loss. Goes on by one step.
        """
        confidence, label = weak.detach().float().softmax(dim=1).max(dim=1)
        kept = confidence >= self.thresholds().to(confidence)[label]
        each = functional.cross_entropy(strong.float(), label, reduction="none")
        confident = confidence >= self.decay.general(int(self.step))
        self.last[pictures[confident]] = label[confident]
        self.believed += torch.stack([kept.sum(), torch.tensor(len(kept), device=kept.device)])
        self.step += 1
        return (each * kept).mean()

    def told(self) -> dict[str, float]:
        """Return thresholds, the pictures counted a class, and the share believed since this was last asked."""
        kept, asked = self.believed.tolist()
        self.believed.zero_()
        by_class = zip(self.thresholds().tolist(), self.counts.tolist(), strict=True)
        figures = {"step": float(self.step), "threshold": self.decay.general(int(self.step))}
        for number, (threshold, count) in enumerate(by_class):
            figures |= {f"threshold_{number}": threshold, f"confident_{number}": float(count)}
        return figures | {"believed": kept / asked if asked else 0.0}
