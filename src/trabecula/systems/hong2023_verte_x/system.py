"""Two networks on the whole lateral film, one for vertebral fracture, one for osteoporosis (Hong et al., 2023)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import torch
from torch.nn import functional

from trabecula.learn.augment import Augment
from trabecula.learn.networks import pretrained
from trabecula.learn.split import inner
from trabecula.learn.train import Group, Plan, train
from trabecula.prediction import graded
from trabecula.state import Json, State
from trabecula.system import Evidence, Inputs, Run, System, guess, paper
from trabecula.systems.hong2023_verte_x.films import CLINICAL, Films, Grain, Part, laid_back, learned_scaling, scaled
from trabecula.systems.hong2023_verte_x.network import FilmNet

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from torch import nn

    from trabecula.case import Case
    from trabecula.learn.train import Loss
    from trabecula.prediction import Answer
    from trabecula.target import Target

_CODE = "released code"
_LOADERS = "inferred from compiled loaders of the same group"
_NETWORKS = ("fracture", "osteoporosis")
_CHUNK = 16


@dataclass(frozen=True, kw_only=True)
class VerteX(System):
    """A network a label, of the same shape and with weights of its own, on the whole film without a vertebra detector.

    Namki Hong et al.: Deep-Learning-Based Detection of Vertebral Fracture and Osteoporosis Using Lateral Spine X-Ray
    Radiography, Journal of Bone and Mineral Research 2023;38:887-895. Code: github.com/nkhong84/YUHS-VERTE-X, which
    holds neither weights nor training. `backbone` may be another of the released code: resnet18, resnet34, resnet50,
    densenet121.
    """

    backbone: str = paper("efficientnet_b4", _CODE)
    rows: int = paper(1024, _CODE)
    columns: int = paper(512, _CODE)
    margin: float = guess(0.05, "README: about 5 % are trimmed off; from the width on each side is ours")
    clinical: bool = paper(False, f"current {_CODE}; its first version joined age, sex and BMI")
    clinical_widths: tuple[int, int] = guess((32, 16), "not given in the first version of the code")
    pretrained: bool = paper(True, f"ImageNet, {_CODE}")
    weighted: bool = guess(True, "the loss is not stated; positives weigh n_neg / n_pos")
    epochs: int = paper(100, "README: up to 100")
    patience: int = guess(100, "the best epoch is kept; stopping is not stated")
    batch: int = paper(30, _CODE)
    rate: float = paper(1e-4, "README")
    weight_decay: float = guess(1e-4, "README names it, not its value")
    validation_share: float = paper(0.25, "60/20/20: 20 validate beside 60 that train")
    rotation: float = guess(15.0, _LOADERS)
    zoom: float = guess(0.15, _LOADERS)
    flip: bool = guess(True, _LOADERS)
    noise: float = guess(0.02, "README names Gaussian noise, not its SD")

    sizes: ClassVar[Mapping[str, Mapping[str, Any]]] = {
        "small": {
            "backbone": "efficientnet_b0", "rows": 256, "columns": 128, "pretrained": False, "epochs": 40,
            "patience": 40, "batch": 16, "rate": 1e-3,
        },
        "tiny": {
            "backbone": "test_efficientnet", "rows": 96, "columns": 48, "pretrained": False, "epochs": 25,
            "patience": 25, "batch": 8, "rate": 3e-3, "rotation": 5.0, "zoom": 0.05, "flip": False,
        },
    }  # fmt: skip

    def inputs(self) -> Inputs:
        """Return the film and, in the clinical variant, age, sex and BMI."""
        return super().inputs().model_copy(update={"table": CLINICAL if self.clinical else ()})

    def _fit(self, cases: Sequence[Case], run: Run) -> State:
        facts: dict[str, Any] = {"networks": {}}
        networks: dict[str, nn.Module] = {}
        for name, target in self._labels.items():
            networks[name], facts["networks"][name] = self._learn(target, cases, run)
        return State(facts=facts | facts["networks"][_NETWORKS[0]], networks=networks)

    def _learn(self, target: Target, cases: Sequence[Case], run: Run) -> tuple[nn.Module, dict[str, Any]]:
        """Train the network of one label; the threshold is Youden's on the films that validate."""
        known = [case for case in cases if target.id in case.truth]
        grades = np.array([case.truth[target.id] for case in known], dtype=np.intp)
        sides = inner(known, target, share=self.validation_share, rng=run.rng)
        scaling = learned_scaling([known[index] for index in sides[0]]) if self.clinical else {}
        films = self._films(known, scaling)
        augment = Grain(Augment(degrees=self.rotation, zoom=self.zoom, flip=self.flip), self.noise)
        training, validation = (
            Part(films, side.tolist(), grades[side].tolist(), change)
            for side, change in zip(sides, (augment, None), strict=True)
        )
        network = self._network(target)
        origin = pretrained({self.backbone: network.backbone}) if self.pretrained else "random: by setting"
        history = train(
            network,
            training,
            validation=validation,
            loss=self._loss(target, grades[sides[0]]),
            groups=[Group([network], self.rate)],
            plan=Plan(epochs=self.epochs, batch=self.batch, weight_decay=self.weight_decay, patience=self.patience),
            run=run,
        )
        told = self._probabilities(network, self._films([known[index] for index in sides[1]], scaling), target)
        threshold = youden(grades[sides[1]] > 0, 1 - told[:, 0])
        return network, {"weights": origin, "history": history, "scaling": scaling, "threshold": threshold}

    def _predict(self, state: State, cases: Sequence[Case]) -> list[Answer]:
        told = {
            target: self._probabilities(state.networks[name], self._films(cases, self._scaling(state, name)), target)
            for name, target in self._labels.items()
        }
        return [
            {target.id: graded(target, rows[index]) for target, rows in told.items()} for index in range(len(cases))
        ]

    def _networks(self, facts: Json) -> Mapping[str, nn.Module]:  # noqa: ARG002 the settings say it all
        return {name: self._network(target) for name, target in self._labels.items()}

    def _explain(self, state: State, case: Case, target: str) -> Evidence:
        name = next(name for name, of in self._labels.items() if of.id == target)
        network: Any = state.networks[name]
        films = self._films([case], self._scaling(state, name))
        told = float(1 - self._probabilities(network, films, self._labels[name])[0, 0])
        heat = grad_cam(network, films.given([0], None, torch.Generator())).numpy()
        role = self.inputs().images[0]
        threshold = float(state.facts["networks"][name]["threshold"])
        numbers = {"score": told, "threshold": threshold, "positive": float(told >= threshold)}
        method = f"Grad-CAM on the last block, for {target}; threshold: Youden's on the films that validated"
        return Evidence(
            heat={role: laid_back(heat, case.images[role], margin=self.margin)}, numbers=numbers, method=method
        )

    @torch.inference_mode()
    def _probabilities(self, network: nn.Module, films: Films, target: Target) -> NDArray[np.float64]:
        """Return probabilities `[n, grades]`, which do not depend on what else is in a batch."""
        network.eval()
        device = next(network.parameters()).device
        rows = []
        for start in range(0, len(films.sources), _CHUNK):
            some = range(start, min(start + _CHUNK, len(films.sources)))
            logits = network([each.to(device) for each in films.given(some, None, torch.Generator())]).double().cpu()
            if target.kind == "binary":
                logits = torch.cat([torch.zeros_like(logits), logits], dim=1)  # softmax is then the sigmoid
            rows.append(logits.softmax(dim=1).numpy())
        return np.concatenate(rows)

    def _loss(self, target: Target, grades: NDArray[np.intp]) -> Loss:
        """Return cross-entropy; in a binary target, positives weigh as many times more as they are rarer."""
        positive = int((grades > 0).sum())
        weight = torch.tensor((len(grades) - positive) / positive if self.weighted else 1.0)

        def loss(logits: torch.Tensor, truth: torch.Tensor) -> torch.Tensor:
            if target.kind != "binary":
                return functional.cross_entropy(logits, truth)
            return functional.binary_cross_entropy_with_logits(
                logits[:, 0], truth.to(logits), pos_weight=weight.to(logits)
            )

        return loss

    @property
    def _labels(self) -> Mapping[str, Target]:
        """The target of each network."""
        return dict(zip(_NETWORKS, self.predicts, strict=False))

    def _scaling(self, state: State, name: str) -> Mapping[str, Sequence[float]]:
        scaling: Mapping[str, Sequence[float]] = state.facts["networks"][name]["scaling"]
        return scaling

    def _films(self, cases: Sequence[Case], scaling: Mapping[str, Sequence[float]]) -> Films:
        role = self.inputs().images[0]
        settings = {"rows": self.rows, "columns": self.columns, "margin": self.margin}
        clinical = scaled(cases, scaling) if self.clinical else None
        return Films([case.images.source(role) for case in cases], settings, clinical)

    def _network(self, target: Target) -> FilmNet:
        outputs = 1 if target.kind == "binary" else len(target.grades)
        return FilmNet(self.backbone, clinical=self.clinical_widths if self.clinical else None, outputs=outputs)


def youden(truth: NDArray[np.bool_], score: NDArray[np.float64]) -> float:
    """Return the score at or above which sensitivity and specificity together are highest; 0.5 with one class only."""
    if truth.all() or not truth.any():
        return 0.5
    cuts = np.unique(score)
    gains = [(score[truth] >= cut).mean() + (score[~truth] < cut).mean() for cut in cuts]
    return float(cuts[int(np.argmax(gains))])


def grad_cam(network: FilmNet, given: list[torch.Tensor]) -> torch.Tensor:
    """Return the Grad-CAM map `[rows, columns]` of one film for its logit, or the highest grade, not negative.

    Selvaraju et al., ICCV 2017.
    """
    network.eval()
    maps = network.backbone.forward_features(given[0]).detach().requires_grad_(True)
    vector = network.backbone.forward_head(maps, pre_logits=True)
    if len(given) > 1:
        vector = torch.cat([network.narrow(vector), network.values(given[1])], dim=1)
    (slope,) = torch.autograd.grad(network.head(vector)[0, -1], maps)
    weighted = (slope.mean(dim=(2, 3), keepdim=True) * maps.detach()).sum(dim=1, keepdim=True).clamp(min=0)
    shown: torch.Tensor = functional.interpolate(weighted, given[0].shape[2:], mode="bilinear")[0, 0]
    return shown
