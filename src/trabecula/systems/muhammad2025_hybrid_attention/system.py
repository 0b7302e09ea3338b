"""DenseNet169 and a channel and spatial attention module side by side (Muhammad and Lee, ICAIIC 2025)."""

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
from trabecula.systems.muhammad2025_hybrid_attention.network import HybridNetwork, Layout

if TYPE_CHECKING:
    from torch import nn

    from trabecula.case import Case
    from trabecula.prediction import Answer

_SISTER = "read for BONE-Net, the sister paper of the same authors"
_DENSENET169 = "DenseNet169 is named; this is its layout"
_UNREAD = "not readable; usual for fine-tuning"


@dataclass(frozen=True, kw_only=True)
class HybridAttention(System):
    """Two branches on one knee radiograph, concatenated before a fully connected classifier.

    Ishaq Muhammad, Bumshik Lee: A Hybrid Attention-Driven Deep Learning Model for Osteoporosis Detection in Knees,
    ICAIIC 2025. The layers of the attention module could not be read: ours follow CBAM (Woo et al., ECCV 2018).
    """

    variant: Literal["hybrid", "bone-net"] = paper("hybrid", "abstract; BONE-Net adds a ViT branch")
    attach: Literal["image", "densenet"] = guess("image", "BONE-Net's attention looks at the input image")
    pixels: int = guess(224, "usual for DenseNet169")
    crop: bool = paper(True, f"crop to the bone, {_SISTER}; how is not stated: ours trims borders and marks")
    growth: int = paper(32, _DENSENET169)
    blocks: tuple[int, ...] = paper((6, 12, 32, 32), _DENSENET169)
    stem: tuple[int, ...] = guess((32, 64, 128), "layers of the attention module not readable")
    reduction: int = guess(8, "layers of the attention module not readable")
    head: tuple[int, ...] = guess((512, 128), "only `fully connected` is stated")
    dropout: tuple[float, ...] = guess((0.5, 0.3), "only `fully connected` is stated")
    vit: tuple[int, int, int] = guess((768, 12, 12), "width, depth and heads of ViT-B/16; which ViT is not stated")
    pretrained: bool = paper(True, f"DenseNet169 is pre-trained, {_SISTER}; on ImageNet is inferred")
    epochs: int = guess(50, _UNREAD)
    patience: int = guess(10, _UNREAD)
    batch: int = guess(16, _UNREAD)
    rate: float = guess(1e-4, _UNREAD)
    trunk_rate: float = guess(1e-5, _UNREAD)
    schedule: Literal["constant", "cosine"] = guess("constant", _UNREAD)
    validation_share: float = guess(0.15, "300 pictures train and validate (BONE-Net); their shares are not stated")
    rotation: float = guess(10.0, f"rotation, {_SISTER}; its angle is not stated")
    zoom: float = guess(0.1, f"zoom, {_SISTER}; its range is not stated")
    shift: float = guess(0.05, f"cropping, {_SISTER}; its range is not stated")

    sizes: ClassVar[Mapping[str, Mapping[str, Any]]] = {
        "small": {
            "pixels": 112, "growth": 12, "blocks": (3, 6, 8, 6), "stem": (16, 32, 64), "head": (64, 32),
            "vit": (96, 4, 3), "pretrained": False, "epochs": 30, "patience": 30, "rate": 1e-3, "trunk_rate": 1e-3,
            "schedule": "cosine",
        },
        "tiny": {
            "pixels": 64, "growth": 8, "blocks": (1, 2, 2, 1), "stem": (8, 16, 16), "reduction": 4, "head": (32,),
            "dropout": (0.1,), "vit": (32, 2, 2), "pretrained": False, "epochs": 12, "batch": 8, "rate": 3e-3,
            "trunk_rate": 3e-3, "schedule": "cosine",
        },
    }  # fmt: skip

    def _fit(self, cases: Sequence[Case], run: Run) -> State:
        network = self._network()
        origin = pretrained(self._backbones(network)) if self.pretrained else "random: by setting"
        augment = Augment(degrees=self.rotation, zoom=self.zoom, shift=self.shift)
        training, validation = halves(
            cases,
            self._pictures(cases),
            target=self.headline,
            share=self.validation_share,
            augment=augment,
            rng=run.rng,
        )
        trunks = list(self._backbones(network).values())
        others = [layer for layer in network.children() if layer not in trunks]
        plan = Plan(epochs=self.epochs, batch=self.batch, schedule=self.schedule, patience=self.patience)
        history = train(
            network,
            training,
            validation=validation,
            loss=functional.cross_entropy,
            groups=[Group(trunks, self.trunk_rate), Group(others, self.rate)],
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
        method = f"Grad-CAM on the last maps of DenseNet169, for the answer {self.headline.grades[grade]!r}"
        return Evidence(heat={role: laid}, method=method)

    def _network(self) -> HybridNetwork:
        width, depth, heads = self.vit
        transformer = {"img_size": self.pixels, "embed_dim": width, "depth": depth, "num_heads": heads}
        layout = Layout(
            growth=self.growth,
            blocks=self.blocks,
            stem=self.stem,
            reduction=self.reduction,
            head=self.head,
            dropout=self.dropout,
            attach=self.attach,
            transformer=transformer if self.variant == "bone-net" else None,
        )
        return HybridNetwork(layout, len(self.headline.grades))

    def _backbones(self, network: HybridNetwork) -> dict[str, nn.Module]:
        named: dict[str, nn.Module] = {"densenet169": network.trunk}
        if network.transformer is not None:
            named["vit_base_patch16_224"] = network.transformer
        return named

    def _pictures(self, cases: Sequence[Case]) -> Pictures:
        settings = {"size": self.pixels, "trim": self.crop, "centre": self._centre}
        return Pictures(cases, self.inputs().images[0], settings)

    @property
    def _centre(self) -> float | None:
        return 1.0 if self.crop else None
