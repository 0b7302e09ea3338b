"""VGG16 with non-local blocks on radiographs of one hip (Jang et al., Scientific Reports 2021)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

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
from trabecula.systems.jang2021_hip_nonlocal.network import NonLocalVgg

if TYPE_CHECKING:
    from torch import nn

    from trabecula.case import Case
    from trabecula.prediction import Answer

_UNREAD = "only the abstract could be read"
_STAGES = 5


@dataclass(frozen=True, kw_only=True)
class HipNonLocal(System):
    """A convolutional network in which every place of the hip sees every other.

    Ryoungwoo Jang et al.: Prediction of osteoporosis from simple hip radiography using deep learning algorithm,
    Scientific Reports 2021;11:19997. VGG16 and the non-local block are stated; their joint is ours. Without `after` it
    is plain VGG16, to compare.

    Raises `ValueError` for widths of another number of stages than five, or a block after a stage that is not there.
    """

    pixels: int = guess(512, "not stated; it also runs at 224")
    crop: bool = guess(True, "the hip is cropped, how is not stated: ours trims borders and marks, keeps a square")
    widths: tuple[int, ...] = paper((64, 128, 256, 512, 512), "VGG16 is named; these are its widths")
    normalised: bool = guess(False, "VGG16 has no batch normalisation; the variant that has is allowed")
    after: tuple[int, ...] = guess((4, 5), "where the block sits is not stated: after conv4_3 and conv5_3")
    pooled: bool = guess(True, "phi and g are max-pooled 2 x 2 to save memory, as Wang et al. allow")
    hidden: int = guess(256, _UNREAD)
    dropout: float = guess(0.5, _UNREAD)
    pretrained: bool = guess(True, f"ImageNet is usual for VGG16; {_UNREAD}")
    epochs: int = guess(100, _UNREAD)
    patience: int = guess(15, _UNREAD)
    batch: int = guess(16, _UNREAD)
    rate: float = guess(1e-4, _UNREAD)
    warm_up: int = guess(0, "none is stated")
    validation_share: float = paper(0.11, "100 validate beside 800 that train; the caller holds back the 101 that test")
    rotation: float = guess(10.0, _UNREAD)
    shift: float = guess(0.05, _UNREAD)
    zoom: float = guess(0.1, _UNREAD)
    contrast: float = guess(0.1, _UNREAD)
    flip: bool = guess(True, "which side a film shows is not handed over: half of those that train are mirrored")

    sizes: ClassVar[Mapping[str, Mapping[str, Any]]] = {
        "small": {
            "pixels": 128, "widths": (16, 32, 48, 64, 64), "normalised": True, "hidden": 64, "dropout": 0.2,
            "pretrained": False, "epochs": 40, "patience": 40, "rate": 1e-3,
        },
        "tiny": {
            "pixels": 64, "widths": (8, 16, 16, 32, 32), "normalised": True, "hidden": 32, "dropout": 0.0,
            "pretrained": False, "epochs": 15, "batch": 8, "rate": 2e-3, "validation_share": 0.2,
        },
    }  # fmt: skip

    def __post_init__(self) -> None:
        super().__post_init__()
        if len(self.widths) != _STAGES:
            raise ValueError(f"VGG16 has {_STAGES} stages: give {_STAGES} widths, not {len(self.widths)}")
        if wrong := [stage for stage in self.after if not 1 <= stage <= _STAGES]:
            raise ValueError(f"non-local blocks stand after stages 1 to {_STAGES}; there is no stage {wrong[0]}")

    def _fit(self, cases: Sequence[Case], run: Run) -> State:
        network = self._network()
        origin = pretrained({self._backbone: network.trunk}) if self.pretrained else "random: by setting"
        augment = Augment(
            degrees=self.rotation, zoom=self.zoom, shift=self.shift, contrast=self.contrast, flip=self.flip
        )
        training, validation = halves(
            cases,
            self._pictures(cases),
            target=self.headline,
            share=self.validation_share,
            augment=augment,
            rng=run.rng,
        )
        plan = Plan(epochs=self.epochs, batch=self.batch, warm_up=self.warm_up, patience=self.patience)
        history = train(
            network,
            training,
            validation=validation,
            loss=functional.cross_entropy,
            groups=[Group([network], self.rate)],
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
        laid = on_grid(heat, case.images[role], trim=self.crop, centre=self._centre)
        method = f"Grad-CAM on the last maps of VGG16, for the answer {self.headline.grades[grade]!r}"
        return Evidence(heat={role: laid}, method=method)

    def _network(self) -> NonLocalVgg:
        return NonLocalVgg(
            widths=self.widths,
            normalised=self.normalised,
            after=self.after,
            pooled=self.pooled,
            hidden=self.hidden,
            dropout=self.dropout,
            grades=len(self.headline.grades),
        )

    @property
    def _backbone(self) -> str:
        return "vgg16_bn" if self.normalised else "vgg16"

    def _pictures(self, cases: Sequence[Case]) -> Pictures:
        settings = {"size": self.pixels, "trim": self.crop, "centre": self._centre}
        return Pictures(cases, self.inputs().images[0], settings)

    @property
    def _centre(self) -> float | None:
        return 1.0 if self.crop else None
