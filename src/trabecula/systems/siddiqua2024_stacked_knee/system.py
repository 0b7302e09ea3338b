"""ResNet50 and five stacked convolution blocks on whole knee radiographs (Siddiqua et al., arXiv 2412.09330)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from torch.nn import functional

from trabecula.learn.augment import Augment
from trabecula.learn.examples import halves
from trabecula.learn.explain import grad_cam
from trabecula.learn.networks import pretrained
from trabecula.learn.predict import grade_probabilities, graded
from trabecula.learn.prepare import Pictures, on_grid
from trabecula.learn.train import Group, Plan, train
from trabecula.state import Json, State
from trabecula.system import Evidence, Run, System, guess, paper
from trabecula.systems.siddiqua2024_stacked_knee.network import StackedNetwork

if TYPE_CHECKING:
    from torch import nn

    from trabecula.case import Case
    from trabecula.prediction import Answer

_RESNET50 = "ResNet50 is named; this is its layout"
_UNREAD = "not readable; usual for fine-tuning"
_BLOCKS = 5


@dataclass(frozen=True, kw_only=True)
class StackedKnee(System):
    """A pretrained CNN, five blocks that refine its features, and a dense classifier.

    Ayesha Siddiqua et al.: Computer-Aided Osteoporosis Diagnosis Using Transfer Learning with Enhanced Features from
    Stacked Deep Learning Modules, arXiv 2412.09330, 2024.

    Raises `ValueError` for another number of blocks than five.
    """

    pixels: int = guess(224, "usual for ResNet50; 512 gives the stack a map of 16 x 16 to work on")
    layers: tuple[int, ...] = paper((3, 4, 6, 3), _RESNET50)
    widths: tuple[int, ...] = paper((64, 128, 256, 512), _RESNET50)
    filters: tuple[int, ...] = guess((512, 256, 128, 64, 32), "five blocks are stated, their filters are not")
    head: tuple[int, ...] = guess((256, 128), "only `dense layers` is stated")
    dropout: float = guess(0.5, "only `dense layers` is stated")
    pretrained: bool = paper(True, "ResNet50 with ImageNet weights, its top removed")
    frozen_epochs: int = guess(5, "then the last stage learns too; without pretrained weights all learns at once")
    epochs: int = guess(50, _UNREAD)
    patience: int = guess(8, _UNREAD)
    batch: int = guess(32, _UNREAD)
    rate: float = guess(1e-4, _UNREAD)
    schedule: Literal["constant", "cosine"] = guess("constant", _UNREAD)
    validation_share: float = guess(0.18, "70/15/15, of which the caller holds back the test part")
    rotation: float = guess(10.0, _UNREAD)
    flip: bool = guess(True, _UNREAD)
    zoom: float = guess(0.1, _UNREAD)
    shift: float = guess(0.0, _UNREAD)

    sizes: ClassVar[Mapping[str, Mapping[str, Any]]] = {
        "small": {
            "pixels": 128, "layers": (1, 1, 1, 1), "widths": (16, 24, 32, 48), "filters": (96, 64, 48, 32, 32),
            "head": (64, 32), "dropout": 0.2, "pretrained": False, "epochs": 30, "patience": 30, "batch": 16,
            "rate": 1e-3, "schedule": "cosine",
        },
        "tiny": {
            "pixels": 64, "layers": (1, 1, 1, 1), "widths": (8, 8, 16, 16), "filters": (32, 32, 32, 32, 32),
            "head": (32,), "dropout": 0.0, "pretrained": False, "epochs": 25, "patience": 25, "batch": 8, "rate": 3e-3,
            "schedule": "cosine", "shift": 0.1,
        },
    }  # fmt: skip

    def __post_init__(self) -> None:
        super().__post_init__()
        if len(self.filters) != _BLOCKS:
            raise ValueError(f"the stack has exactly {_BLOCKS} blocks: give {_BLOCKS} filters, not {len(self.filters)}")

    def _fit(self, cases: Sequence[Case], run: Run) -> State:
        network = self._network()
        origin = pretrained({"resnet50": network.trunk}) if self.pretrained else "random: by setting"
        augment = Augment(degrees=self.rotation, zoom=self.zoom, shift=self.shift, flip=self.flip)
        training, validation = halves(
            cases,
            self._pictures(cases),
            target=self.headline,
            share=self.validation_share,
            augment=augment,
            rng=run.rng,
        )
        plan = Plan(epochs=self.epochs, batch=self.batch, schedule=self.schedule, patience=self.patience)
        history = train(
            network,
            training,
            validation=validation,
            loss=functional.cross_entropy,
            groups=self._groups(network, transfer=not origin.startswith("random")),
            plan=plan,
            run=run,
        )
        return State(facts={"weights": origin, "history": history}, networks={"network": network})

    def _predict(self, state: State, cases: Sequence[Case]) -> list[Answer]:
        probabilities = grade_probabilities(state.networks["network"], self._pictures(cases))
        return [{self.headline.id: graded(self.headline, row)} for row in probabilities]

    def _networks(self, facts: Json) -> Mapping[str, nn.Module]:  # noqa: ARG002 the settings say it all
        return {"network": self._network()}

    def _explain(self, state: State, case: Case, target: str) -> Evidence:  # noqa: ARG002 there is one target
        network, role, pictures = state.networks["network"], self.inputs().images[0], self._pictures([case])
        grade = int(grade_probabilities(network, pictures)[0].argmax())
        heat = grad_cam(network, network.get_submodule("maps"), pictures=pictures, grade=grade)
        method = f"Grad-CAM on the last maps of ResNet50, for the answer {self.headline.grades[grade]!r}"
        return Evidence(heat={role: on_grid(heat, case.images[role])}, method=method)

    def _groups(self, network: StackedNetwork, *, transfer: bool) -> list[Group]:
        """Return what learns and when: of a pretrained trunk only the last stage, and late."""
        last = network.trunk.layer4
        earlier = [layer for layer in network.trunk.children() if layer is not last]
        return [
            Group([network.stack, network.head], self.rate),
            Group([last], self.rate, start=self.frozen_epochs if transfer else 0),
            Group(earlier, self.rate, start=self.epochs if transfer else 0),
        ]

    def _network(self) -> StackedNetwork:
        return StackedNetwork(
            layers=self.layers,
            widths=self.widths,
            filters=self.filters,
            head=self.head,
            dropout=self.dropout,
            grades=len(self.headline.grades),
            pixels=self.pixels,
        )

    def _pictures(self, cases: Sequence[Case]) -> Pictures:
        return Pictures(cases, self.inputs().images[0], {"size": self.pixels})
