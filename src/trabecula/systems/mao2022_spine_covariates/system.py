"""DenseNet on AP, lateral or both lumbar radiographs, with or without age, sex and BMI (Mao et al., 2022)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np
import torch
from torch.nn import functional

from trabecula.learn.augment import Augment
from trabecula.learn.prepare import Pictures, on_grid
from trabecula.learn.split import inner
from trabecula.learn.train import Group, Plan, train
from trabecula.prediction import graded
from trabecula.state import Json, State
from trabecula.system import Evidence, Inputs, Run, System, guess, paper
from trabecula.systems.mao2022_spine_covariates.network import SpineDenseNet, grad_cam
from trabecula.systems.mao2022_spine_covariates.patients import COVARIATES, Part, Patients, learned_scaling, scaled

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from torch import nn

    from trabecula.case import Case
    from trabecula.learn.train import Loss
    from trabecula.prediction import Answer

_UNREAD = "only the abstract and a note on the network could be read"
_DENSENET = "a DenseNet is named, its depth is not; DenseNet-121"
_ROLES = {"ap": ("spine_xray_ap",), "lateral": ("spine_xray_lateral",), "both": ("spine_xray_ap", "spine_xray_lateral")}
_CHUNK = 16


@dataclass(frozen=True, kw_only=True)
class SpineCovariates(System):
    """One network for three channels, AP, lateral and AP+lateral, each with and without clinical covariates.

    Liting Mao et al.: Deep learning for screening primary osteopenia and osteoporosis using spine radiographs and
    patient clinical covariates in a Chinese population, Frontiers in Endocrinology 2022;13:971877. The six models are
    `views` times `covariates`.
    """

    views: Literal["both", "ap", "lateral"] = paper("both", "AP, lateral and AP+lateral channel are compared")
    covariates: bool = paper(True, "images alone and with clinical covariates are compared")
    pixels: int = guess(512, _UNREAD)
    crop: bool = guess(True, "the field is not stated: ours trims borders and marks and keeps a square")
    field: float = guess(0.75, "side of the square over that of the film's shorter side: holds L1 to L4, less flank")
    ap_place: float = guess(0.5, "the square of the AP film, along its height: an AP lumbar film is centred on L3")
    lateral_place: float = guess(0.85, "the square of the lateral film: it may show the thoracic spine above")
    growth: int = guess(32, _DENSENET)
    blocks: tuple[int, ...] = guess((6, 12, 24, 16), _DENSENET)
    widths: tuple[int, int] = guess((16, 128), f"where covariates join is not stated; {_UNREAD}")
    dropout: float = guess(0.3, _UNREAD)
    pretrained: bool = guess(True, f"ImageNet is usual; {_UNREAD}")
    balanced: bool = guess(True, "loss weighted by inverse class frequency; the loss is not stated")
    epochs: int = guess(50, _UNREAD)
    patience: int = guess(8, _UNREAD)
    batch: int = guess(32, _UNREAD)
    rate: float = guess(1e-4, _UNREAD)
    validation_share: float = paper(0.11, "1 validates beside 8 that train; the caller holds back the 2 that test")
    rotation: float = guess(10.0, _UNREAD)
    shift: float = guess(0.05, _UNREAD)
    zoom: float = guess(0.1, _UNREAD)
    contrast: float = guess(0.1, _UNREAD)

    sizes: ClassVar[Mapping[str, Mapping[str, Any]]] = {
        "small": {
            "pixels": 160, "growth": 12, "blocks": (3, 6, 8, 6), "widths": (8, 32), "pretrained": False, "epochs": 40,
            "patience": 40, "batch": 16, "rate": 1e-3,
        },
        "tiny": {
            "pixels": 64, "growth": 8, "blocks": (1, 2, 2, 1), "widths": (4, 16), "dropout": 0.0, "pretrained": False,
            "epochs": 60, "patience": 60, "batch": 8, "rate": 6e-3, "validation_share": 0.2,
        },
    }  # fmt: skip

    def inputs(self) -> Inputs:
        """Return the views and, where they count, the covariates: each of them is required."""
        table = COVARIATES if self.covariates else ()
        return super().inputs().model_copy(update={"images": _ROLES[self.views], "table": table})

    def _fit(self, cases: Sequence[Case], run: Run) -> State:
        known = [case for case in cases if self.headline.id in case.truth]
        grades = np.array([case.truth[self.headline.id] for case in known], dtype=np.intp)
        sides = inner(known, self.headline, share=self.validation_share, rng=run.rng)
        scaling = learned_scaling([known[index] for index in sides[0]]) if self.covariates else {}
        patients = self._patients(known, scaling)
        augment = Augment(degrees=self.rotation, zoom=self.zoom, shift=self.shift, contrast=self.contrast)
        training, validation = (
            Part(patients, side.tolist(), grades[side].tolist(), change)
            for side, change in zip(sides, (augment, None), strict=True)
        )
        network = self._network()
        origin = network.begin() if self.pretrained else "random: by setting"
        history = train(
            network,
            training,
            validation=validation,
            loss=self._loss(grades[sides[0]]),
            groups=[Group([network], self.rate)],
            plan=Plan(epochs=self.epochs, batch=self.batch, schedule="cosine", patience=self.patience),
            run=run,
        )
        facts = {"weights": origin, "history": history, "scaling": scaling}
        return State(facts=facts, networks={"network": network})

    def _predict(self, state: State, cases: Sequence[Case]) -> list[Answer]:
        rows = self._probabilities(state, cases)
        return [{self.headline.id: graded(self.headline, row)} for row in rows]

    def _networks(self, facts: Json) -> Mapping[str, nn.Module]:  # noqa: ARG002 the settings say it all
        return {"network": self._network()}

    def _explain(self, state: State, case: Case, target: str) -> Evidence:  # noqa: ARG002 there is one target
        network: Any = state.networks["network"]
        (answer,) = self._probabilities(state, [case])
        grade = int(answer.argmax())
        given = self._patients([case], state.facts["scaling"]).given([0], None, torch.Generator())
        heat = grad_cam(network, given, grade=grade).numpy()
        laid = {
            role: on_grid(heat, case.images[role], trim=self.crop, centre=self._centre, along=self._places[role])
            for role in self.inputs().images
        }
        method = f"Grad-CAM on the last dense block, for the answer {self.headline.grades[grade]!r}"
        if not self.covariates:
            return Evidence(heat=laid, method=method)
        numbers = self._shares(network, given)
        told = f"{method}; numbers: expected grade less that at mean age and BMI, or for the other sex"
        return Evidence(heat=laid, numbers=numbers, method=told)

    @torch.inference_mode()
    def _shares(self, network: nn.Module, given: Sequence[torch.Tensor]) -> dict[str, float]:
        """Return by covariate the expected grade of one patient, less that with the covariate changed."""
        films, covariates = given

        def expected(values: torch.Tensor) -> float:
            shares = network([films, values]).double().softmax(dim=1)[0]
            return float(shares @ torch.arange(len(shares), dtype=shares.dtype))

        numbers = {}
        for column, name in enumerate(COVARIATES):
            other = covariates.clone()
            other[0, column] = 1 - other[0, column] if name == "sex" else 0
            numbers[name] = expected(covariates) - expected(other)
        return numbers

    @torch.inference_mode()
    def _probabilities(self, state: State, cases: Sequence[Case]) -> NDArray[np.float64]:
        """Return probabilities `[n, grades]`, which do not depend on what else is in a batch."""
        network = state.networks["network"].eval()
        patients = self._patients(cases, state.facts["scaling"])
        rows = []
        for start in range(0, len(cases), _CHUNK):
            some = range(start, min(start + _CHUNK, len(cases)))
            rows.append(network(patients.given(some, None, torch.Generator())).double().softmax(dim=1).numpy())
        return np.concatenate(rows)

    def _loss(self, grades: NDArray[np.intp]) -> Loss:
        """Return cross-entropy, weighted by the inverse frequency of the grades in training."""
        counts = np.bincount(grades, minlength=len(self.headline.grades))
        weights = counts.sum() / np.maximum(counts, 1) / len(counts) if self.balanced else np.ones(len(counts))
        by_grade = torch.from_numpy(weights.astype(np.float32))

        def loss(logits: torch.Tensor, truth: torch.Tensor) -> torch.Tensor:
            return functional.cross_entropy(logits, truth, weight=by_grade.to(logits))

        return loss

    def _network(self) -> SpineDenseNet:
        return SpineDenseNet(
            views=len(_ROLES[self.views]),
            covariates=len(COVARIATES) if self.covariates else 0,
            growth=self.growth,
            blocks=self.blocks,
            widths=self.widths,
            dropout=self.dropout,
            grades=len(self.headline.grades),
        )

    def _patients(self, cases: Sequence[Case], scaling: Mapping[str, Sequence[float]]) -> Patients:
        films = [self._films(cases, role) for role in self.inputs().images]
        return Patients(films, scaled(cases, scaling) if self.covariates else None)

    def _films(self, cases: Sequence[Case], role: str) -> Pictures:
        settings = {"size": self.pixels, "trim": self.crop, "centre": self._centre, "along": self._places[role]}
        return Pictures(cases, role, settings)

    @property
    def _places(self) -> Mapping[str, float]:
        return dict(zip(_ROLES["both"], (self.ap_place, self.lateral_place), strict=True))

    @property
    def _centre(self) -> float | None:
        return self.field if self.crop else None
