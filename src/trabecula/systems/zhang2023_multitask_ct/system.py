"""Locate, segment and classify lumbar vertebrae in one network (Zhang et al., CIN 2023)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import torch

from trabecula.learn.augment import Augment
from trabecula.learn.networks import pretrained
from trabecula.learn.split import inner
from trabecula.learn.train import Group, Plan, train
from trabecula.prediction import Abstain, LabelMap, Prediction, graded
from trabecula.state import Json, State
from trabecula.system import Evidence, Inputs, Run, System, guess, paper
from trabecula.systems.zhang2023_multitask_ct.examples import Change, Spines
from trabecula.systems.zhang2023_multitask_ct.losses import UNKNOWN, losses, total
from trabecula.systems.zhang2023_multitask_ct.network import BACKBONE, JointNet, Told
from trabecula.systems.zhang2023_multitask_ct.sections import label_map, numbering, on_volume

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from torch import nn

    from trabecula.case import Case
    from trabecula.image import Image, Source
    from trabecula.learn.train import History
    from trabecula.prediction import Answer

_UNREAD = "only the abstract could be read"
_ROLE, _MASK = "lumbar_ct", "vertebral_bodies"
_MAP = "vertebral_body_mask"


@dataclass(frozen=True, kw_only=True)
class MultitaskCT(System):
    """Heat maps find vertebrae, windows about them are segmented with their boundary, and what is inside classifies.

    Kun Zhang et al.: End to end multitask joint learning model for osteoporosis classification in CT images,
    Computational Intelligence and Neuroscience 2023:3018320. Masks teach, and answer nothing. What a slice is was not
    found: ours are sagittal sections about the middle of the field, which show all levels at once, so that the heat
    maps find each level without a mask, and nobody chooses a slice for it.
    """

    levels: tuple[str, ...] = guess(("L1", "L2", "L3", "L4", "L5"), f"several levels are weighted, which is {_UNREAD}")
    boundary: bool = paper(True, "a boundary heat map regression branch thins the segmentation")
    gated: bool = paper(True, "a gated convolution module adjusts context features in the classification")
    fusion: bool = paper(True, "a feature fusion module adjusts the weight of different levels of vertebrae")
    sections: int = guess(7, "sagittal sections of a patient; orientation and number of slices were not found")
    step_mm: float = guess(7.0, "between sections: seven of them span a lumbar body and some of its sides")
    slab_mm: float = guess(4.0, "thickness of a section")
    pixels: int = guess(256, f"512 reduced to 256; {_UNREAD}")
    pixel_mm: float = guess(0.9, "256 px hold the whole field of a lumbar CT")
    window_hu: tuple[float, float] = guess((-300.0, 900.0), f"centre 300, width 1200; {_UNREAD}")
    window_px: int = guess(64, f"side of the region about a centre; {_UNREAD}")
    samples: int = guess(64, f"ROI-align gives as many as the region has pixels; {_UNREAD}")
    layers: tuple[int, ...] = guess((3, 4, 6, 3), f"ResNet-34; {_UNREAD}")
    widths: tuple[int, ...] = guess((64, 128, 256, 512), f"ResNet-34; {_UNREAD}")
    branch: int = guess(64, f"width of the branches of segmentation and classification; {_UNREAD}")
    sigma_px: float = guess(6.0, f"of the heat map of a centre; {_UNREAD}")
    edge_px: float = guess(3.0, f"of the heat map of a boundary; {_UNREAD}")
    task_weights: tuple[float, float, float, float] = guess(
        (1.0, 1.0, 1.0, 1.0), f"of locating, segmenting, boundary and classifying; {_UNREAD}"
    )
    pretrained: bool = guess(True, f"ImageNet is usual; {_UNREAD}")
    warm_up: int = guess(30, f"epochs of locating and segmenting alone; {_UNREAD}")
    epochs: int = guess(120, f"of all tasks jointly; {_UNREAD}")
    batch: int = guess(8, _UNREAD)
    rate: float = guess(1e-4, _UNREAD)
    validation_share: float = guess(0.125, "70/10/20 is ours; the caller holds back the 20 that test")
    rotation: float = guess(10.0, _UNREAD)
    zoom: float = guess(0.1, _UNREAD)
    shift: float = guess(0.05, _UNREAD)
    flip: bool = guess(True, f"left and right of the patient; {_UNREAD}")
    noise_hu: float = guess(10.0, _UNREAD)

    sizes: ClassVar[Mapping[str, Mapping[str, Any]]] = {
        "small": {
            "sections": 5, "step_mm": 9.0, "pixels": 96, "pixel_mm": 2.4, "window_px": 24, "samples": 24,
            "layers": (1, 1, 1, 1), "widths": (16, 32, 48, 64), "branch": 24, "sigma_px": 3.0, "edge_px": 1.0,
            "pretrained": False, "warm_up": 15, "epochs": 45, "rate": 2e-3, "validation_share": 0.2,
        },
        "tiny": {
            "sections": 3, "step_mm": 13.0, "slab_mm": 6.0, "pixels": 64, "pixel_mm": 3.5, "window_px": 16,
            "samples": 16, "layers": (1, 1, 1, 1), "widths": (8, 16, 24, 32), "branch": 12, "sigma_px": 2.0,
            "edge_px": 0.8, "pretrained": False, "warm_up": 6, "epochs": 18, "batch": 4, "rate": 5e-3,
            "validation_share": 0.2, "rotation": 5.0, "zoom": 0.05,
        },
    }  # fmt: skip

    def inputs(self) -> Inputs:
        """Return the volume, and where masks are no target, masks to learn from; nobody needs them for an answer."""
        declared = super().inputs()
        return declared if self._draws else declared.model_copy(update={"masks": (_MASK,), "optional": (_MASK,)})

    def _fit(self, cases: Sequence[Case], run: Run) -> State:
        values = self._numbering(cases)
        sides = inner(cases, self.headline, share=self.validation_share, rng=run.rng)
        change = Change(
            Augment(degrees=self.rotation, zoom=self.zoom, shift=self.shift), self.flip,
            self.noise_hu / (self.window_hu[1] - self.window_hu[0]),
        )  # fmt: skip
        held = {cases[index].patient for index in sides[1]}
        left = [index for index, case in enumerate(cases) if case.patient not in held]  # masks teach without a grade
        training, validation = (
            self._spines([cases[index] for index in side], each)
            for side, each in ((left, change), (sides[1].tolist(), None))
        )
        network = self._network()
        network.bone.copy_(training.bone())
        origin = pretrained({BACKBONE: network.encoder}) if self.pretrained else "random: by setting"
        histories = [
            self._train(network, training, validation, run, epochs, tasks)
            for epochs, tasks in ((self.warm_up, (*self.task_weights[:3], 0.0)), (self.epochs, self.task_weights))
            if epochs
        ]
        history = {name: [each for part in histories for each in part[name]] for name in histories[-1]}
        return State(facts={"weights": origin, "history": history, "values": values}, networks={"network": network})

    def _predict(self, state: State, cases: Sequence[Case]) -> list[Answer]:
        return [self._answer(state, case) for case in cases]

    def _networks(self, facts: Json) -> Mapping[str, nn.Module]:  # noqa: ARG002 the settings say it all
        return {"network": self._network()}

    def _explain(self, state: State, case: Case, target: str) -> Evidence:  # noqa: ARG002 one chain for all
        """Give the weight of each level, where it was found, and the bodies that were segmented by their weight."""
        image, told = case.images[_ROLE], self._told(state, case)
        weights, places = told.weights[0].numpy(), self._middles(told)
        found, whose = self._laid(told, image)
        numbers: dict[str, float] = {}
        for level, weight, (down, back) in zip(self.levels, weights, places, strict=True):
            numbers |= {f"{level}: weight": float(weight), f"{level}: down_mm": float(down)}
            numbers[f"{level}: back_mm"] = float(back)
        method = "heat: bodies as segmented, by the weight of their level; places from the middle of the field"
        heat = np.where(found > 0.5, found * weights[whose], 0).astype(np.float32)
        return Evidence(heat={_ROLE: heat}, numbers=numbers, method=method)

    # Learning

    def _train(
        self, network: JointNet, training: Spines, validation: Spines, run: Run, epochs: int, tasks: Sequence[float]
    ) -> History:
        """Train on the weighted sum of all tasks: one forward pass and one backward pass."""
        weights = dict(zip(("locate", "segment", "boundary", "classify"), tasks, strict=True))

        def loss(told: Told, truth: Any) -> torch.Tensor:
            summed: torch.Tensor = total(losses(network, told, truth, sigma=self.sigma_px / self.pixels), weights)
            return summed

        return train(
            network,
            training,
            validation=validation,
            loss=loss,
            groups=[Group([network], self.rate)],
            plan=Plan(epochs=epochs, batch=self.batch, schedule="cosine"),
            run=run,
        )

    def _numbering(self, cases: Sequence[Case]) -> dict[str, int]:
        """Return the value of each level in the masks, looking at as few as show them all."""
        found: dict[str, int] = {}
        for mask in filter(None, map(self._teacher, cases)):
            found |= numbering(mask.load())
            if found.keys() >= {*self.levels}:
                return {level: found[level] for level in self.levels}
        if not found:
            raise ValueError(f"{self.id()} learns to locate and segment from masks: give some cases {_MASK}")
        lacking = ", ".join(level for level in self.levels if level not in found)
        raise ValueError(f"{self.id()}: no mask shows {lacking}; set levels to some of {', '.join(sorted(found))}")

    def _teacher(self, case: Case) -> Source | None:
        """Return the mask that a case teaches by: the truth where it is a target, else the optional mask."""
        if self._draws:
            told = case.truth.get(_MAP)
            return None if told is None or isinstance(told, int | float) else told  # type: ignore[return-value]
        return case.masks.source(_MASK) if _MASK in case.masks else None

    def _spines(self, cases: Sequence[Case], change: Change | None) -> Spines:
        grades = [int(case.truth.get(self.headline.id, UNKNOWN)) for case in cases]  # type: ignore[arg-type]
        volumes = [case.images.source(_ROLE) for case in cases]
        return self._sections(volumes, list(map(self._teacher, cases)), grades, change)

    def _sections(
        self, volumes: Sequence[Source], masks: Sequence[Source | None], grades: Sequence[int], change: Change | None
    ) -> Spines:
        grid = {"count": self.sections, "step_mm": self.step_mm, "pixels": self.pixels, "pixel_mm": self.pixel_mm}
        shown = {"slab_mm": self.slab_mm, "window_hu": list(self.window_hu)}
        traced = {"levels": list(self.levels), "edge_px": self.edge_px}
        return Spines(volumes, masks, grades, grid, shown, traced, change)

    # Answering

    def _answer(self, state: State, case: Case) -> Answer:
        try:
            told = self._told(state, case)
        except ValueError as error:
            return {target.id: Abstain(str(error)) for target in self.predicts}
        shares = told.logits[0].double().softmax(dim=0).numpy()
        answer: dict[str, Prediction] = {self.headline.id: graded(self.headline, shares)}
        if self._draws:
            image = case.images[_ROLE]
            answer[_MAP] = LabelMap(label_map(*self._laid(told, image), image, state.facts["values"]))
        return answer

    @torch.inference_mode()
    def _told(self, state: State, case: Case) -> Told:
        """Return what the network tells of one patient, from the volume and nothing else."""
        spine = self._sections([case.images.source(_ROLE)], [None], [UNKNOWN], None)
        picture = torch.from_numpy(np.array(spine.picture(0))[None]).float() / 255
        told: Told = state.networks["network"].eval()(picture)
        return told

    def _laid(self, told: Told, image: Image) -> tuple[NDArray[np.float32], NDArray[np.uint8]]:
        """Return on the volume how sure each voxel is of a body, and of which level."""
        windows = told.mask[0].sigmoid().double().numpy()
        side = self.window_px * self.pixel_mm
        return on_volume(windows, image, middles=self._middles(told), side_mm=side, step_mm=self.step_mm)

    def _middles(self, told: Told) -> NDArray[np.float64]:
        """Return where levels were found `[V, 2]`: down and backwards of the middle of the field in mm."""
        return (told.places[0].double().numpy() - 0.5) * self.pixels * self.pixel_mm

    @property
    def _draws(self) -> bool:
        return any(target.id == _MAP for target in self.predicts)

    def _network(self) -> JointNet:
        return JointNet(
            levels=len(self.levels),
            grades=len(self.headline.grades),
            trunk=(self.layers, self.widths),
            window=(self.window_px / self.pixels, self.samples),
            branch=self.branch,
            boundary=self.boundary,
            gated=self.gated,
            fusion=self.fusion,
        )
