"""Two radiographs and age: one small network a view, joined before the last layer."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from trabecula.prediction import graded
from trabecula.state import State
from trabecula.system import System, guess, paper


class TwoViews(nn.Module):
    """AP and lateral pictures `[n, 1, h, w]` and age `[n, 1]` in, logits `[n, grades]` out."""

    def __init__(self, width, grades):
        super().__init__()
        self.ap, self.lateral = self._view(width), self._view(width)
        self.head = nn.Linear(2 * width + 1, grades)

    def forward(self, ap, lateral, age):
        return self.head(torch.cat([self.ap(ap), self.lateral(lateral), age], dim=1))

    @staticmethod
    def _view(width):
        return nn.Sequential(
            nn.Conv2d(1, width, 5, padding=2),  # [n, width, h, w]
            nn.ReLU(),
            nn.AdaptiveAvgPool2d(1),  # [n, width, 1, 1]
            nn.Flatten(),  # [n, width]
        )


@dataclass(frozen=True, kw_only=True)
class TwoViewsAndTable(System):
    """A view each for AP and lateral, and age beside them."""

    width: int = paper(8, "section 2")
    epochs: int = guess(150, "a toy")
    rate: float = guess(0.03, "a toy")

    sizes: ClassVar = {"small": {}, "tiny": {"epochs": 40}}

    def _fit(self, cases, run):
        cases = [case for case in cases if self.headline.id in case.truth]
        inputs, truth = self._tensors(cases), torch.tensor([case.truth[self.headline.id] for case in cases])
        network = self._networks({})["views"]
        learner, optimiser = run.fabric.setup(network, torch.optim.Adam(network.parameters(), self.rate))
        losses = []
        for epoch in range(self.epochs):
            optimiser.zero_grad()
            loss = functional.cross_entropy(learner(*inputs), truth)
            run.fabric.backward(loss)
            optimiser.step()
            losses.append(loss.item())
            run.progress(epoch + 1, self.epochs, f"loss {losses[-1]:.3f}")
        return State(facts={"history": {"train_loss": losses}}, networks={"views": network})

    @torch.inference_mode()
    def _predict(self, state, cases):
        grades = state.networks["views"](*self._tensors(cases)).double().softmax(dim=1).numpy()
        return [{self.headline.id: graded(self.headline, row)} for row in grades]

    def _networks(self, facts):
        return {"views": TwoViews(self.width, len(self.headline.grades))}

    def _tensors(self, cases):
        films = (np.stack([case.images[role].voxels for case in cases]) for role in self.inputs().images)
        ap, lateral = (torch.from_numpy((film - 100) / 30) for film in films)
        age = torch.tensor([[(case.number("age_years") - 70) / 10] for case in cases])
        return ap, lateral, age
