"""Generated films as the unlabelled part, pseudo-labels believed above a sine-shaped threshold (Ke et al., 2025)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np
from torch.nn import functional

from trabecula.learn.augment import Augment
from trabecula.learn.examples import Examples, Held
from trabecula.learn.explain import grad_cam
from trabecula.learn.networks import pretrained
from trabecula.learn.predict import grade_probabilities, graded
from trabecula.learn.split import inner
from trabecula.learn.train import Group, Plan, portions, train
from trabecula.state import Json, State
from trabecula.system import Evidence, Run, System, guess, paper
from trabecula.systems.ke2025_semisupervised_diffusion.batches import SemiSupervised, WithPool
from trabecula.systems.ke2025_semisupervised_diffusion.diffusion import Noised, digest_of, generate
from trabecula.systems.ke2025_semisupervised_diffusion.network import Averaged, Denoiser, resnet
from trabecula.systems.ke2025_semisupervised_diffusion.strong import Strong
from trabecula.systems.ke2025_semisupervised_diffusion.threshold import Decay, PseudoLabels
from trabecula.systems.ke2025_semisupervised_diffusion.views import Views, laid_on

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from torch import nn

    from trabecula.case import Case
    from trabecula.learn.examples import Shown
    from trabecula.prediction import Answer

_UNREAD = "only the abstract and the start of the introduction could be read"
_FORMULA = f"the formula of the threshold is reconstructed; {_UNREAD}"
_FIXMATCH = f"after FixMatch; {_UNREAD}"
_DDPM = f"after DDPM; {_UNREAD}"
_KEPT = 24  # generated pictures that lie in the model, to be looked at


@dataclass(frozen=True, kw_only=True)
class GeneratedPool(System):
    """A ResNet learns from labelled films, and from pseudo-labels of films that a diffusion model made of them.

    Wenchi Ke, Hu Chen, Yi Zhang, Xiong Deng: Incorporating Improved Sinusoidal Threshold-based Semi-supervised Method
    and Diffusion Models for Osteoporosis Diagnosis, IEEE 2025. The comparison with real unlabelled films, and with
    none, is `unlabelled`.
    """

    unlabelled: Literal["generated", "real", "none"] = paper("generated", "abstract; real ones are its comparison")
    generated: int = paper(12_000, "a review of the paper; 0 deletes the pool")
    curve: Literal["sin", "cos", "linear"] = paper("sin", "abstract: the thresholds fall along a sine")
    class_scaling: bool = guess(True, f"FlexMatch's; thresholds by class are in the abstract; {_UNREAD}")
    threshold_high: float = guess(0.95, _FORMULA)
    threshold_low: float = guess(0.60, _FORMULA)
    threshold_floor: float = guess(0.40, _FORMULA)
    decay_share: float = guess(0.8, f"share of the training steps within which it falls; {_FORMULA}")
    view: Literal["whole", "sides"] = paper("whole", "no region is cut out, says a review of the paper")
    pixels: int = guess(256, _UNREAD)
    field: float = guess(0.17, "side of the squares of `sides` by the width of the film: 4 to 5 cm; ours")
    blocks: tuple[int, ...] = guess((3, 4, 6, 3), f"ResNet-50; {_UNREAD}")
    channels: tuple[int, ...] = guess((64, 128, 256, 512), f"ResNet-50; {_UNREAD}")
    pretrained: bool = guess(True, f"ImageNet; {_UNREAD}")
    epochs: int = guess(1200, f"30,000 steps of 16 out of 399; {_UNREAD}")
    batch: int = guess(16, _FIXMATCH)
    ratio: int = guess(7, f"unlabelled films by labelled ones in a batch; {_FIXMATCH}")
    weight: float = guess(1.0, f"of the unlabelled loss; {_FIXMATCH}")
    rate: float = guess(1e-4, _UNREAD)
    weight_decay: float = guess(5e-4, _FIXMATCH)
    averaging: float = guess(0.999, f"of the weights that answer; {_FIXMATCH}")
    flip: bool = guess(True, _FIXMATCH)
    shift: float = guess(0.125, _FIXMATCH)
    operations: int = guess(2, f"RandAugment(2, 10); {_FIXMATCH}")
    cutout: float = guess(0.5, _FIXMATCH)
    validation_share: float = guess(0.15, f"of the training patients; {_UNREAD}")
    generator_channels: tuple[int, ...] = guess((64, 128, 256, 512), _DDPM)
    generator_blocks: int = guess(2, _DDPM)
    generator_attention: int = guess(16, f"side in pixels; the middle of the network always has it; {_DDPM}")
    diffusion_steps: int = guess(1000, _DDPM)
    sampling_steps: int = guess(100, f"after DDIM; {_UNREAD}")
    generator_epochs: int = guess(4000, f"100,000 steps of 16 out of 399; {_DDPM}")
    generator_batch: int = guess(16, _DDPM)
    generator_rate: float = guess(2e-4, _DDPM)
    generator_averaging: float = guess(0.9999, _DDPM)

    sizes: ClassVar[Mapping[str, Mapping[str, Any]]] = {
        "small": {
            "generated": 192, "view": "sides", "pixels": 32, "field": 0.11, "blocks": (1, 1, 1, 1),
            "channels": (16, 32, 64, 128), "pretrained": False, "epochs": 30, "ratio": 3, "rate": 2e-3,
            "averaging": 0.98, "flip": False, "generator_channels": (16, 32, 32), "generator_blocks": 1,
            "generator_attention": 0, "sampling_steps": 25, "generator_epochs": 60, "generator_rate": 2e-3,
            "generator_averaging": 0.99,
        },
        "tiny": {
            "generated": 48, "view": "sides", "pixels": 32, "field": 0.11, "blocks": (1, 1, 1, 1),
            "channels": (8, 16, 32, 64), "pretrained": False, "epochs": 20, "ratio": 2, "rate": 3e-3,
            "averaging": 0.9, "flip": False, "generator_channels": (8, 16, 16), "generator_blocks": 1,
            "generator_attention": 0, "sampling_steps": 10, "generator_epochs": 15, "generator_rate": 3e-3,
            "generator_averaging": 0.95, "validation_share": 0.2,
        },
    }  # fmt: skip

    def _fit(self, cases: Sequence[Case], run: Run) -> State:
        known = [case for case in cases if self.headline.id in case.truth]
        films = self._views(known)
        sides = [part.tolist() for part in inner(known, self.headline, share=self.validation_share, rng=run.rng)]
        weak = Augment(flip=self.flip, shift=self.shift)
        labelled, validation = (
            Examples(films, films.of(side), self._grades([known[index] for index in side], films.each), change)
            for side, change in zip(sides, (weak, None), strict=True)
        )
        classifier = resnet(self.blocks, self.channels, len(self.headline.grades))
        origin = pretrained({"resnet50": classifier}) if self.pretrained else "random: by setting"
        pool, facts = self._pool(cases, films, (labelled.indices, validation.indices), run)
        strong = Strong(operations=self.operations, cutout=self.cutout)
        training = WithPool(labelled, pool, self.ratio, weak, strong)
        labels = self._labels(len(pool), len(labelled))
        history = train(
            learner := Averaged(classifier, self.averaging, beside=labels),
            training,
            validation=validation,
            loss=SemiSupervised(labels, self.weight),
            groups=[Group([classifier], self.rate)],
            plan=Plan(
                epochs=self.epochs,
                batch=self.batch,
                optimiser="adamw",
                weight_decay=self.weight_decay,
                schedule="cosine",
            ),
            run=run,
            told=labels.told if len(pool) else None,
        )
        return State(
            facts={"weights": origin, "history": history, "pool": facts},
            arrays={"generated": pool.grey[:_KEPT]} if isinstance(pool, Held) and len(pool) else {},
            networks={"classifier": learner.average},
        )

    def _predict(self, state: State, cases: Sequence[Case]) -> list[Answer]:
        rows = self._probabilities(state, cases)
        return [{self.headline.id: graded(self.headline, row)} for row in rows]

    def _networks(self, facts: Json) -> Mapping[str, nn.Module]:  # noqa: ARG002 the settings say it all
        return {"classifier": resnet(self.blocks, self.channels, len(self.headline.grades))}

    def _explain(self, state: State, case: Case, target: str) -> Evidence:  # noqa: ARG002 there is one target
        classifier, role = state.networks["classifier"], self.inputs().images[0]
        films = self._views([case])
        grade = int(self._probabilities(state, [case])[0].argmax())
        layer = classifier.get_submodule("layer3")
        shown = [Held(view[None]) for view in films]
        heats = [grad_cam(classifier, layer, pictures=each, grade=grade) for each in shown]
        method = f"Grad-CAM on the third stage, for the answer {self.headline.grades[grade]!r}"
        return Evidence(heat={role: laid_on(case.images[role], heats, self._field)}, method=method)

    def _probabilities(self, state: State, cases: Sequence[Case]) -> NDArray[np.float64]:
        """Return probabilities `[n, grades]`: the mean of those of the views of a film."""
        films = self._views(cases)
        by_view = grade_probabilities(state.networks["classifier"], films)
        return np.asarray(by_view.reshape(len(cases), films.each, -1).mean(axis=1))

    def _pool(
        self, cases: Sequence[Case], films: Views, sides: tuple[Sequence[int], Sequence[int]], run: Run
    ) -> tuple[Shown, dict[str, Any]]:
        """Return the unlabelled pictures, and where each of them comes from."""
        if self.unlabelled == "real":
            return self._real(cases)
        if self.unlabelled == "none" or self.generated == 0:
            return Held(np.empty((0, self.pixels, self.pixels), dtype=np.uint8)), {"pictures": []}
        return self._generated(films, sides, run)

    def _generated(
        self, films: Views, sides: tuple[Sequence[int], Sequence[int]], run: Run
    ) -> tuple[Shown, dict[str, Any]]:
        """Train the generator on the pictures that the classifier is trained on, and no other; make the pool."""
        learned, validated = (Noised(films, side, self.diffusion_steps) for side in sides)
        denoiser = self._denoiser()
        history = train(
            learner := Averaged(denoiser, self.generator_averaging),
            learned,
            validation=validated,
            loss=functional.mse_loss,
            groups=[Group([denoiser], self.generator_rate)],
            plan=Plan(epochs=self.generator_epochs, batch=self.generator_batch, schedule="cosine"),
            run=run,
        )
        pictures = generate(
            learner.average,
            self.generated,
            pixels=self.pixels,
            steps=self.diffusion_steps,
            taken=self.sampling_steps,
            seed=run.seed,
        )
        generator = {
            "kind": "unconditional DDPM, sampled by DDIM",
            "weights_sha256": digest_of(learner.average),
            "learned_from": [films.digest(index) for index in sides[0]],
            "validated_on": [films.digest(index) for index in sides[1]],
            "history": history,
        }
        return pictures, {"generator": generator, "pictures": _listed(pictures, "generator")}

    def _real(self, cases: Sequence[Case]) -> tuple[Shown, dict[str, Any]]:
        unknown = self._views([case for case in cases if self.headline.id not in case.truth])
        if not unknown:
            raise ValueError(
                f"{self.id()}: no film is without {self.headline.id}, so there is no real unlabelled pool: bring "
                "unlabelled films, judge by a protocol with fewer labels (learning_curve), or set unlabelled=generated"
            )
        return unknown, {"pictures": _listed(unknown, "film")}

    def _labels(self, pool: int, labelled: int) -> PseudoLabels:
        steps = self.epochs * len(portions(range(labelled), self.batch))
        decay = Decay(
            curve=self.curve,
            high=self.threshold_high,
            low=self.threshold_low,
            floor=self.threshold_floor,
            steps=max(1, round(self.decay_share * steps)),
            by_class=self.class_scaling,
        )
        return PseudoLabels(decay, pool=pool, classes=len(self.headline.grades))

    def _denoiser(self) -> Denoiser:
        return Denoiser(
            self.pixels,
            channels=self.generator_channels,
            blocks=self.generator_blocks,
            attention=self.generator_attention,
        )

    def _grades(self, cases: Sequence[Case], each: int) -> list[int]:
        """Return the grade of every view: that of its film."""
        return [int(case.truth[self.headline.id]) for case in cases for _ in range(each)]  # type: ignore[arg-type]

    def _views(self, cases: Sequence[Case]) -> Views:
        return Views(cases, self.inputs().images[0], {"pixels": self.pixels, "field": self._field})

    @property
    def _field(self) -> float | None:
        return self.field if self.view == "sides" else None


def _listed(pictures: Shown, maker: str) -> list[dict[str, str]]:
    """Name every unlabelled picture, what it holds and where it comes from."""
    return [
        {"name": f"{maker}-{number:05d}", "digest": pictures.digest(number), "from": maker}
        for number in range(len(pictures))
    ]
