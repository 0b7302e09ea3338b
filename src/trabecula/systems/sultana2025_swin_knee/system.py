"""A fine-tuned Swin Transformer on whole knee radiographs (Sultana et al., IEEE 2025)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import torch
from torch import nn
from torch.nn import functional

from trabecula.learn.augment import Augment
from trabecula.learn.examples import halves
from trabecula.learn.explain import grad_cam
from trabecula.learn.networks import backbone, pretrained
from trabecula.learn.predict import grade_probabilities, graded
from trabecula.learn.prepare import Pictures, on_grid
from trabecula.learn.train import Group, Plan, train
from trabecula.state import Json, State
from trabecula.system import Evidence, Run, System, guess

if TYPE_CHECKING:
    from trabecula.case import Case
    from trabecula.prediction import Answer

_SWIN = "swin_tiny_patch4_window7_224"
_UNREAD = "which Swin is not stated; this is Swin-T"
_USUAL = "not readable; usual for fine-tuning Swin"


class ChannelsFirst(nn.Module):
    """Turn maps `[B, H, W, C]` of a Swin Transformer into `[B, C, H, W]`, where Grad-CAM looks at them."""

    def forward(self, maps: torch.Tensor) -> torch.Tensor:
        """Return maps `[B, C, H, W]`."""
        return maps.permute(0, 3, 1, 2)


class SwinClassifier(nn.Module):
    """A Swin Transformer (Liu et al., ICCV 2021) whose pooled features one linear layer turns into logits."""

    def __init__(self, options: Mapping[str, Any], grades: int) -> None:
        super().__init__()
        self.trunk = backbone(_SWIN, options=options)
        self.maps = ChannelsFirst()
        self.head = nn.Linear(self.trunk.num_features, grades)

    def forward(self, pictures: torch.Tensor) -> torch.Tensor:
        """Return logits `[B, grades]` of pictures `[B, 3, H, W]`; the shapes beside are those of Swin-T at 224 px."""
        patches = self.trunk.patch_embed(pictures)  # [B, 56, 56, 96]
        stages = self.trunk.layers(patches)  # [B, 28, 28, 192], [B, 14, 14, 384], [B, 7, 7, 768]
        maps = self.maps(self.trunk.norm(stages))  # [B, 768, 7, 7]
        vector = maps.mean(dim=(2, 3))  # [B, 768]
        logits: torch.Tensor = self.head(vector)  # [B, grades]
        return logits


@dataclass(frozen=True, kw_only=True)
class SwinKnee(System):
    """A hierarchical transformer with shifted windows, all of whose layers are fine-tuned.

    Rahat Sultana et al.: Efficient Detection of Knee Osteoporosis Using the Swin Transformer on X-ray Images, IEEE
    2025. The abstract says Swin Transformer, resizing and normalisation; every size is ours.
    """

    pixels: int = guess(224, "`a standard size`, which is not stated; the input of Swin-T")
    embed_dim: int = guess(96, _UNREAD)
    depths: tuple[int, ...] = guess((2, 2, 6, 2), _UNREAD)
    heads: tuple[int, ...] = guess((3, 6, 12, 24), _UNREAD)
    window: int = guess(7, _UNREAD)
    drop_path: float = guess(0.1, _USUAL)
    pretrained: bool = guess(True, "ImageNet-1k is usual for Swin-T; the abstract does not say")
    epochs: int = guess(30, _USUAL)
    warm_up: int = guess(0, "none is stated")
    patience: int = guess(30, "none is stated: the best epoch on the validation part is kept")
    batch: int = guess(32, _USUAL)
    rate: float = guess(1e-4, _USUAL)
    weight_decay: float = guess(0.05, _USUAL)
    validation_share: float = guess(0.11, "80/10/10, of which the caller holds back the test part")
    flip: bool = guess(True, "the abstract names no augmentation; usual")
    rotation: float = guess(10.0, "the abstract names no augmentation; usual")
    zoom: float = guess(0.0, "the abstract names no augmentation")
    shift: float = guess(0.0, "the abstract names no augmentation")

    sizes: ClassVar[Mapping[str, Mapping[str, Any]]] = {
        "small": {
            "pixels": 96, "embed_dim": 32, "depths": (2, 2, 2, 2), "heads": (1, 2, 4, 8), "window": 6,
            "pretrained": False, "warm_up": 3, "batch": 16, "rate": 5e-4,
        },
        "tiny": {
            "pixels": 64, "embed_dim": 16, "depths": (2, 2), "heads": (1, 2), "window": 4, "drop_path": 0.0,
            "pretrained": False, "epochs": 8, "batch": 8, "rate": 2e-3,
        },
    }  # fmt: skip

    def _fit(self, cases: Sequence[Case], run: Run) -> State:
        network = self._network()
        origin = pretrained({_SWIN: network.trunk}) if self.pretrained else "random: by setting"
        augment = Augment(degrees=self.rotation, zoom=self.zoom, shift=self.shift, flip=self.flip)
        training, validation = halves(
            cases,
            self._pictures(cases),
            target=self.headline,
            share=self.validation_share,
            augment=augment,
            rng=run.rng,
        )
        plan = Plan(
            epochs=self.epochs,
            batch=self.batch,
            optimiser="adamw",
            weight_decay=self.weight_decay,
            schedule="cosine",
            warm_up=self.warm_up,
            patience=self.patience,
        )
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
        method = f"Grad-CAM on the maps of the last stage, for the answer {self.headline.grades[grade]!r}"
        return Evidence(heat={role: on_grid(heat, case.images[role])}, method=method)

    def _network(self) -> SwinClassifier:
        options = {
            "img_size": self.pixels,
            "embed_dim": self.embed_dim,
            "depths": self.depths,
            "num_heads": self.heads,
            "window_size": self.window,
            "drop_path_rate": self.drop_path,
        }
        return SwinClassifier(options, len(self.headline.grades))

    def _pictures(self, cases: Sequence[Case]) -> Pictures:
        return Pictures(cases, self.inputs().images[0], {"size": self.pixels})
