"""A lateral spine film and clinical values to a survival curve, by Cox's likelihood (Kong et al., 2022)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np
import torch

from trabecula.learn.augment import Augment
from trabecula.learn.networks import pretrained
from trabecula.learn.split import inner
from trabecula.learn.survival import breslow, cox_loss, cox_regression, curve, known_years, observed
from trabecula.learn.train import Group, Plan, train
from trabecula.state import Json, State
from trabecula.system import Evidence, Inputs, Run, System, guess, paper
from trabecula.systems.kong2022_spine_deepsurv.explain import heat, shares
from trabecula.systems.kong2022_spine_deepsurv.film import Films, People, as_inputs, laid_back
from trabecula.systems.kong2022_spine_deepsurv.network import ClinicalNetwork, FilmNetwork

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from torch import nn

    from trabecula.case import Case
    from trabecula.prediction import Answer

_MODELS = ((), ("age_years", "sex"), ("bmi_kg_m2",), ("glucocorticoids", "secondary_osteoporosis"))
_SCALED = ("age_years", "bmi_kg_m2")
_CHUNK = 16
_UNREAD = "not readable; usual for fine-tuning"
_CNN = "the CNN is not named in what was read"
_HEAD = "only CNN and DeepSurv are stated"


@dataclass(frozen=True, kw_only=True)
class SpineDeepSurv(System):
    """DeepSurv with image, DeepSurv without, or Cox's regression, on none to five clinical values.

    Sung Hye Kong et al.: Development of a Spine X-Ray-Based Fracture Prediction Model Using a Deep Learning Algorithm,
    Endocrinology and Metabolism 2022;37:674. Death ends the observation, as loss does: the curve is the incidence in
    people who do not die before.

    Raises `ValueError` without an image and without clinical values.
    """

    form: Literal["image", "clinical", "cox"] = paper("image", "Figure 3: Cox, DeepSurv without image and with image")
    model: Literal[0, 1, 2, 3] = guess(3, "1, 2, 3 are the nested models, 0 the image alone; the test's is not stated")
    pixels: int = guess(512, _CNN)
    equalise: bool = guess(True, "preprocessing not readable")
    growth: int = guess(32, f"{_CNN}; DenseNet-121")
    blocks: tuple[int, ...] = guess((6, 12, 24, 16), f"{_CNN}; DenseNet-121")
    widths: tuple[int, int, int] = guess((64, 16, 32), _HEAD)
    dropout: tuple[float, float] = guess((0.5, 0.3), _HEAD)
    clinical_width: int = guess(32, _HEAD)
    pretrained: bool = guess(True, "ImageNet, usual")
    epochs: int = guess(100, _UNREAD)
    patience: int = guess(15, _UNREAD)
    batch: int = guess(32, _UNREAD)
    least_events: int = guess(4, "a batch without events teaches nothing")
    rate: float = guess(1e-3, _UNREAD)
    trunk_rate: float = guess(1e-4, _UNREAD)
    weight_decay: float = guess(1e-4, _UNREAD)
    ridge: float = guess(1e-3, "a value that is the same for everybody has no coefficient otherwise")
    validation_share: float = guess(0.15, "not readable; 0 keeps nobody back and the loss in training decides")
    rotation: float = guess(10.0, _UNREAD)
    zoom: float = guess(0.1, _UNREAD)
    shift: float = guess(0.05, _UNREAD)
    contrast: float = guess(0.1, _UNREAD)
    horizon_years: float = guess(10.0, "the paper counts months and follows for 40.7 on average; the curve may go on")

    sizes: ClassVar[Mapping[str, Mapping[str, Any]]] = {
        "small": {
            "pixels": 192, "growth": 12, "blocks": (3, 6, 8, 6), "widths": (32, 16, 16), "dropout": (0.2, 0.1),
            "pretrained": False, "epochs": 40, "patience": 40, "trunk_rate": 1e-3, "validation_share": 0.0,
        },
        "tiny": {
            "pixels": 96, "growth": 8, "blocks": (1, 2, 2, 1), "widths": (16, 8, 16), "dropout": (0.0, 0.0),
            "clinical_width": 8, "pretrained": False, "epochs": 30, "patience": 30, "rate": 3e-3, "trunk_rate": 3e-3,
            "validation_share": 0.0, "rotation": 3.0, "zoom": 0.05, "shift": 0.03,
        },
    }  # fmt: skip

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.form != "image" and self.model == 0:
            raise ValueError("without an image and without clinical values nothing is left: set model to 1, 2 or 3")

    def inputs(self) -> Inputs:
        """Return what the form and the nested model ask for."""
        declared = super().inputs()
        images = declared.images if self.form == "image" else ()
        return declared.model_copy(update={"images": images, "table": self._values})

    def _fit(self, cases: Sequence[Case], run: Run) -> State:
        known = [case for case in cases if self.headline.id in case.truth]
        truth = observed(known, self.headline)
        scaling = self._scaling(known)
        clinical = self._clinical(known, scaling)
        facts: dict[str, Any] = {"scaling": scaling}
        arrays = {"centre": clinical.mean(axis=0)} if self.model else {}
        networks: dict[str, nn.Module] = {}
        if self.form == "cox":
            arrays["coefficients"], losses = cox_regression(clinical, truth, ridge=self.ridge)
            facts["history"] = {"train_loss": losses}
        else:
            networks["network"] = self._network()
            facts |= self._train(networks["network"], known, (clinical, truth), run)
        hazards = self._hazards(State(arrays=arrays, networks=networks), known, clinical)
        arrays["years"] = known_years(truth, horizon=self.horizon_years)
        arrays["baseline"] = breslow(hazards, truth, arrays["years"])
        return State(facts=facts, arrays=arrays, networks=networks)

    def _predict(self, state: State, cases: Sequence[Case]) -> list[Answer]:
        hazards = self._hazards(state, cases, self._clinical(cases, state.facts["scaling"]))
        years, baseline = state.arrays["years"], state.arrays["baseline"]
        return [{self.headline.id: curve(float(each), years, baseline)} for each in hazards]

    def _networks(self, facts: Json) -> Mapping[str, nn.Module]:  # noqa: ARG002 the settings say it all
        return {} if self.form == "cox" else {"network": self._network()}

    def _explain(self, state: State, case: Case, target: str) -> Evidence:  # noqa: ARG002 there is one target
        clinical = self._clinical([case], state.facts["scaling"])

        def hazards(values: NDArray[np.float64]) -> NDArray[np.float64]:
            return self._hazards(state, [case] * len(values), values)

        numbers = shares(hazards, clinical[0], names=self._values, centre=state.arrays.get("centre"))
        method = "log hazard less that with the value at its mean in training"
        films = self._films([case])
        if films is None:
            return Evidence(numbers=numbers, method=method)
        role = self.inputs().images[0]
        found = heat(state.networks["network"], as_inputs(films.grey([0]), clinical.astype(np.float32)))
        laid = laid_back(found, case.images[role])
        return Evidence(heat={role: laid}, numbers=numbers, method=f"Grad-CAM of the log hazard; numbers: {method}")

    def _train(
        self, network: nn.Module, known: Sequence[Case], arrays: tuple[NDArray[Any], NDArray[Any]], run: Run
    ) -> dict[str, Any]:
        """Train the network and return where its weights came from and the losses by epoch."""
        clinical, truth = (each.astype(np.float32) for each in arrays)
        trunk = getattr(network, "trunk", None)
        transfer = self.pretrained and trunk is not None
        origin = pretrained({"densenet121": trunk}) if transfer else "random: by setting"  # type: ignore[dict-item]
        learning = validating = np.arange(len(known))
        if self.validation_share:
            learning, validating = inner(known, self.headline, share=self.validation_share, rng=run.rng)
        films = self._films(known)
        augment = Augment(degrees=self.rotation, zoom=self.zoom, shift=self.shift, contrast=self.contrast)
        parts = [
            People(films, clinical, truth, part.tolist(), self.least_events, change)
            for part, change in ((learning, augment), (validating, None))
        ]
        rest = [layer for layer in network.children() if layer is not trunk]
        history = train(
            network,
            parts[0],
            validation=parts[1],
            loss=cox_loss,
            groups=[Group(rest, self.rate), *([] if trunk is None else [Group([trunk], self.trunk_rate)])],
            plan=Plan(
                epochs=self.epochs,
                batch=self.batch,
                weight_decay=self.weight_decay,
                schedule="cosine",
                patience=self.patience,
            ),
            run=run,
        )
        return {"weights": origin, "history": history}

    @torch.inference_mode()
    def _hazards(self, state: State, cases: Sequence[Case], clinical: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return log hazards `[n]`, which do not depend on what else is in a batch."""
        if self.form == "cox":
            linear: NDArray[np.float64] = (clinical * state.arrays["coefficients"]).sum(axis=1)
            return linear
        network, films = state.networks["network"].eval(), self._films(cases)
        device = next(network.parameters()).device
        told = []
        for start in range(0, len(cases), _CHUNK):
            some = range(start, min(start + _CHUNK, len(cases)))
            grey = None if films is None else films.grey(some)
            inputs = as_inputs(grey, clinical[some.start : some.stop].astype(np.float32))
            told.append(network({name: each.to(device) for name, each in inputs.items()}).double().cpu().numpy())
        return np.concatenate(told)

    @property
    def _values(self) -> tuple[str, ...]:
        """Names of the clinical values of the nested model."""
        return tuple(name for step in _MODELS[: self.model + 1] for name in step)

    def _scaling(self, cases: Sequence[Case]) -> dict[str, tuple[float, float]]:
        """Return mean and SD of age and BMI."""
        numbers = {name: [case.number(name) for case in cases] for name in _SCALED if name in self._values}
        return {name: (float(np.mean(each)), float(np.std(each)) or 1.0) for name, each in numbers.items()}

    def _clinical(self, cases: Sequence[Case], scaling: Mapping[str, Sequence[float]]) -> NDArray[np.float64]:
        """Return clinical values `[n, values]`: age and BMI scaled, male sex and yes as 1."""
        rows = np.zeros((len(cases), len(self._values)))
        for column, name in enumerate(self._values):
            if name == "sex":
                rows[:, column] = [case.table[name] == "male" for case in cases]
                continue
            mean, sd = scaling.get(name, (0.0, 1.0))
            rows[:, column] = [(case.number(name) - mean) / sd for case in cases]
        return rows

    def _films(self, cases: Sequence[Case]) -> Films | None:
        if self.form != "image":
            return None
        return Films(cases, self.inputs().images[0], size=self.pixels, equalise=self.equalise)

    def _network(self) -> nn.Module:
        values = len(self._values)
        if self.form == "clinical":
            return ClinicalNetwork(width=self.clinical_width, dropout=self.dropout[1], values=values)
        return FilmNetwork(
            growth=self.growth, blocks=self.blocks, widths=self.widths, dropout=self.dropout, values=values
        )
