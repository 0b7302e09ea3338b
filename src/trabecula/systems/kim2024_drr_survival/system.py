"""Three digitally reconstructed radiographs of a hip CT to a curve of staying free of fracture (Kim et al., 2024)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np
import torch

from trabecula.learn.augment import Augment
from trabecula.learn.networks import pretrained
from trabecula.learn.split import inner
from trabecula.learn.survival import observed
from trabecula.learn.train import Group, Plan, portions, train
from trabecula.prediction import Survival
from trabecula.state import Json, State
from trabecula.system import Evidence, Run, System, guess, paper
from trabecula.systems.kim2024_drr_survival.drr import VIEWS, View, laid_back
from trabecula.systems.kim2024_drr_survival.films import Drrs, Looks, as_inputs
from trabecula.systems.kim2024_drr_survival.hazard import hazard_loss, steps, usual_logits, without_event
from trabecula.systems.kim2024_drr_survival.network import ViewsNetwork
from trabecula.systems.kim2024_drr_survival.shown import falls_under, figure, heat

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from torch import nn

    from trabecula.case import Case
    from trabecula.prediction import Answer

    Floats = NDArray[np.float64]

_CHUNK = 16
_UNREAD = "not readable; usual for fine-tuning"
_DENSE = "DenseNet is read, its size is not"
_DRR = "how the views are made was not readable"


@dataclass(frozen=True, kw_only=True)
class DrrSurvival(System):
    """A DenseNet a view tells discrete hazards; the curves of the views are averaged, or their features joined.

    Yisak Kim et al.: A CT-based Deep Learning Model for Predicting Subsequent Fracture Risk in Patients with Hip
    Fracture, Radiology 2024, doi 10.1148/radiol.230614. Death ends the observation, as loss does: the curve is the
    incidence in people who do not die before.

    Raises `ValueError` for no view, or one twice.
    """

    views: tuple[View, ...] = paper(VIEWS, "abstract: digitally reconstructed radiographs, frontal, lateral and axial")
    fusion: Literal["curves", "features"] = guess("curves", "'2.5-D ensemble'; what is averaged was not readable")
    pixels: int = guess(512, _DRR)
    spacing_mm: float = guess(1.0, _DRR)
    hu: tuple[float, float] = guess((-1000.0, 3000.0), _DRR)
    water_per_mm: float = guess(0.02, f"{_DRR}; water at about 70 keV")
    percentiles: tuple[float, float] = guess((0.5, 99.5), _DRR)
    growth: int = guess(32, f"{_DENSE}; DenseNet-121")
    blocks: tuple[int, ...] = guess((6, 12, 24, 16), f"{_DENSE}; DenseNet-121")
    dropout: float = guess(0.2, _UNREAD)
    horizon_years: float = paper(10.0, "the plot of the probability of staying free of fracture spans 10 years")
    intervals: int = guess(12, "inferred: the published curve bends at 12 equal steps")
    risk_years: float = guess(5.0, "what heat maps ask for; the last of the published 2, 3 and 5 years")
    pretrained: bool = guess(True, "ImageNet, usual")
    epochs: int = guess(100, _UNREAD)
    patience: int = guess(15, _UNREAD)
    batch: int = guess(16, _UNREAD)
    rate: float = guess(1e-4, _UNREAD)
    weight_decay: float = guess(1e-4, _UNREAD)
    validation_share: float = guess(0.15, "not readable; 0 keeps nobody back and the loss in training decides")
    rotation: float = guess(10.0, _UNREAD)
    zoom: float = guess(0.1, _UNREAD)
    shift: float = guess(0.05, _UNREAD)
    contrast: float = guess(0.1, _UNREAD)
    flip: bool = guess(True, "not readable; the sides are alike, front and back are not")

    sizes: ClassVar[Mapping[str, Mapping[str, Any]]] = {
        "small": {
            "pixels": 160, "growth": 12, "blocks": (3, 6, 8, 6), "pretrained": False, "epochs": 30, "patience": 30,
            "rate": 1e-3, "validation_share": 0.0,
        },
        "tiny": {
            "pixels": 64, "spacing_mm": 2.0, "growth": 8, "blocks": (1, 2, 2, 1), "dropout": 0.0, "pretrained": False,
            "epochs": 12, "patience": 12, "rate": 5e-3, "validation_share": 0.0, "rotation": 3.0, "zoom": 0.05,
            "shift": 0.03,
        },
    }  # fmt: skip

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.views or len(set(self.views)) < len(self.views):
            raise ValueError(f"views are one to three of {', '.join(VIEWS)}, each once; got {self.views}")

    def _fit(self, cases: Sequence[Case], run: Run) -> State:
        known = [case for case in cases if self.headline.id in case.truth]
        ends = steps(observed(known, self.headline), self._grid)
        learning = validating = np.arange(len(known))
        if self.validation_share:
            learning, validating = inner(known, self.headline, share=self.validation_share, rng=run.rng)
        drrs, networks, told = self._drrs(known), self._built(), {}
        for name, network in networks.items():
            parts = [
                Looks(drrs, self._seen_by[name], ends.astype(np.float32), part.tolist(), augment)
                for part, augment in ((learning, self._augment), (validating, None))
            ]
            told[name] = self._train(network, parts, usual_logits(ends[learning], self.intervals + 1), run)
        losses = zip(*(each["history"]["train_loss"] for each in told.values()), strict=False)
        facts = {"networks": told, "history": {"train_loss": [float(np.mean(each)) for each in losses]}}
        curves = self._curves(networks, drrs, len(known))
        return State(facts=facts, arrays={"reference": curves.mean(axis=0)}, networks=networks)

    def _predict(self, state: State, cases: Sequence[Case]) -> list[Answer]:
        years = tuple(self._grid.tolist())
        curves = self._curves(state.networks, self._drrs(cases), len(cases))
        return [{self.headline.id: Survival(years, {"event": tuple((1 - each).tolist())})} for each in curves]

    def _networks(self, facts: Json) -> Mapping[str, nn.Module]:  # noqa: ARG002 the settings say it all
        return self._built()

    def _explain(self, state: State, case: Case, target: str) -> Evidence:  # noqa: ARG002 there is one target
        drrs, role = self._drrs([case]), self.inputs().images[0]
        point = int(np.argmin(np.abs(self._grid - self.risk_years)))
        maps = np.zeros((len(VIEWS), self.pixels, self.pixels), dtype=np.float32)
        for name, network in state.networks.items():
            seen = self._seen_by[name]
            found = heat(network, as_inputs(drrs.grey([0], seen)), point=point)
            maps[[VIEWS.index(view) for view in seen]] = found
        own = self._curves(state.networks, drrs, 1)[0]
        reference = state.arrays["reference"]
        drawn = figure(drrs[0], maps, grid=self._grid, own=own, reference=reference)
        method = f"Grad-CAM of the hazard up to {self._grid[point]:.1f} years on each view, laid back along its beams"
        if (day := falls_under(self._grid, own=own, reference=reference)) is not None:
            method += f"; from day {day:.0f} on fewer stay free of fracture than in the mean of training"
        laid = laid_back(maps, case.images[role], spacing_mm=self.spacing_mm)
        return Evidence(heat={role: laid}, method=method, figure=drawn)

    def _train(self, network: ViewsNetwork, parts: Sequence[Looks], usual: Floats, run: Run) -> dict[str, Any]:
        """Train a network from the hazards of everybody on; return the origin of its weights and losses by epoch."""
        origins = "random: by setting"
        if self.pretrained:
            origins = ", ".join(dict.fromkeys(pretrained({"densenet121": trunk}) for trunk in network.trunks))
        with torch.no_grad():
            network.hazards.bias.copy_(torch.from_numpy(usual))
        history = train(
            network,
            parts[0],
            validation=parts[1],
            loss=hazard_loss,
            groups=[Group([network], self.rate)],
            plan=Plan(
                epochs=self.epochs, batch=self.batch, optimiser="adamw", weight_decay=self.weight_decay,
                schedule="cosine", patience=self.patience,
            ),
            run=run,
        )  # fmt: skip
        return {"weights": origins, "history": history}

    @torch.inference_mode()
    def _curves(self, networks: Mapping[str, nn.Module], drrs: Drrs, count: int) -> Floats:
        """Return the share free of fracture at each point of the grid, `[count, points]`: the mean of the networks."""
        rows = []
        for some in portions(range(count), _CHUNK):
            told = []
            for name, network in networks.items():
                device = next(network.eval().parameters()).device
                films = as_inputs(drrs.grey(some, self._seen_by[name])).to(device)
                told.append(without_event(network(films).double()).cpu().numpy())
            rows.append(np.mean(told, axis=0))
        return np.concatenate(rows)

    @property
    def _grid(self) -> Floats:
        """Years of the points of the grid; the first is 0."""
        return np.linspace(0, self.horizon_years, self.intervals + 1)

    @property
    def _seen_by(self) -> Mapping[str, tuple[View, ...]]:
        """Name the views that each network looks at."""
        return {view: (view,) for view in self.views} if self.fusion == "curves" else {"together": self.views}

    @property
    def _augment(self) -> Augment:
        return Augment(degrees=self.rotation, zoom=self.zoom, shift=self.shift, flip=self.flip, contrast=self.contrast)

    def _drrs(self, cases: Sequence[Case]) -> Drrs:
        settings = {
            "size": self.pixels, "spacing_mm": self.spacing_mm, "hu": self.hu, "water_per_mm": self.water_per_mm,
            "percentiles": self.percentiles,
        }  # fmt: skip
        return Drrs(cases, self.inputs().images[0], settings)

    def _built(self) -> dict[str, ViewsNetwork]:
        return {
            name: ViewsNetwork(
                views=len(views), growth=self.growth, blocks=self.blocks, dropout=self.dropout,
                points=self.intervals + 1,
            )
            for name, views in self._seen_by.items()
        }  # fmt: skip
