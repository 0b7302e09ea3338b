"""A network that first learns to see on all films, then to answer on the few that have a truth."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from trabecula.prediction import graded
from trabecula.state import State
from trabecula.system import System, guess


@dataclass(frozen=True, kw_only=True)
class PretrainedOnUnlabelled(System):
    """An autoencoder gives the features; a linear head on them, trained with the encoder frozen, the answer."""

    features: int = guess(6, "a toy")
    epochs: int = guess(200, "a toy")
    rate: float = guess(0.02, "a toy")

    sizes: ClassVar = {"small": {}, "tiny": {"epochs": 80}}

    def _fit(self, cases, run):
        nets = self._networks({})
        films = self._films(cases)
        steps = self._learn(run, nets, ("encoder", "decoder"), lambda see, draw: functional.mse_loss(
            draw(see(films)), films.flatten(1)))  # fmt: skip
        labelled = [number for number, case in enumerate(cases) if self.headline.id in case.truth]
        truth = torch.tensor([cases[number].truth[self.headline.id] for number in labelled])
        with torch.no_grad():
            seen = nets["encoder"](films[labelled])
        losses = self._learn(run, nets, ("head",), lambda head: functional.cross_entropy(head(seen), truth))
        return State(facts={"history": {"train_loss": losses, "pretrain_loss": steps}}, networks=nets)

    def _learn(self, run, nets, names, loss):
        learners = [run.fabric.setup_module(nets[name]) for name in names]
        weights = [weight for learner in learners for weight in learner.parameters()]
        optimiser = run.fabric.setup_optimizers(torch.optim.Adam(weights, self.rate))
        losses = []
        for epoch in range(self.epochs):
            optimiser.zero_grad()
            value = loss(*learners)
            run.fabric.backward(value)
            optimiser.step()
            losses.append(value.item())
            run.progress(epoch + 1, self.epochs, f"{' and '.join(names)}: loss {losses[-1]:.3f}")
        return losses

    @torch.inference_mode()
    def _predict(self, state, cases):
        logits = state.networks["head"](state.networks["encoder"](self._films(cases)))
        return [{self.headline.id: graded(self.headline, row)} for row in logits.double().softmax(dim=1).numpy()]

    def _networks(self, facts):
        seen = nn.Sequential(
            nn.Conv2d(1, 4, 4, stride=4),  # [n, 4, 4, 4]
            nn.Tanh(),
            nn.Flatten(),  # [n, 64]
            nn.Linear(64, self.features),  # [n, features]
        )
        drawn = nn.Linear(self.features, 256)  # [n, 256], a film of 16 by 16
        return {"encoder": seen, "decoder": drawn, "head": nn.Linear(self.features, len(self.headline.grades))}

    @staticmethod
    def _films(cases):
        return torch.from_numpy(np.stack([case.images["spine_xray_ap"].voxels for case in cases]) - 100) / 30
