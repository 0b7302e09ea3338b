"""Radiomic texture before labels, experts behind a gate, three heads a vertebra (Huang et al., MICCAI 2025)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import torch
from torch.nn import functional

from trabecula.learn.split import inner
from trabecula.learn.train import Group, History, Plan, train
from trabecula.prediction import Abstain, Value, graded
from trabecula.state import Json, State
from trabecula.system import Evidence, Run, System, guess, paper
from trabecula.systems.huang2025_texture_moe.crops import LEVELS, laid_back, vertebrae
from trabecula.systems.huang2025_texture_moe.examples import Cubes, Labelled, Moves, Views
from trabecula.systems.huang2025_texture_moe.network import (
    FEATURES,
    Encoder,
    GatedExperts,
    Pretext,
    TextureExperts,
    Told,
    heads_loss,
    pretext_loss,
)
from trabecula.systems.huang2025_texture_moe.pool import TexturePool, alike

if TYPE_CHECKING:
    from numpy.random import Generator
    from numpy.typing import NDArray
    from torch import nn

    from trabecula.case import Case
    from trabecula.prediction import Answer, Prediction
    from trabecula.systems.huang2025_texture_moe.crops import Vertebra

_CT, _BODIES = "lumbar_ct", "vertebral_bodies"
_BATCH = 16  # vertebrae that are answered at once
_PLACES = 4  # voxels a side from which on a map shows where
_OURS = "inferred: only the abstract and two captions could be read"


@dataclass(frozen=True, kw_only=True)
class TextureMoe(System):
    """Texture-preserving self-supervision, a mixture of experts against the bias of DXA devices, three tasks at once.

    Jiaxing Huang et al.: Opportunistic Osteoporosis Diagnosis via Texture-Preserving Self-Supervision, Mixture of
    Experts and Multi-Task Integration, MICCAI 2025. A case without truth is unlabelled: its vertebrae are in the pool.
    """

    pretraining: bool = paper(True, "abstract: self-supervised, radiomics as guide; false is the same network without")
    side: int = guess(64, _OURS)
    spacing_mm: float = guess(1.0, _OURS)
    window_hu: tuple[float, float] = guess((-200.0, 1000.0), _OURS)
    bin_width: float = guess(25.0, _OURS)
    redundant: float = guess(0.95, f"{_OURS}: of two features with a higher |r| one is dropped")
    neighbours: int = guess(5, "K is not told")
    degrees: float = guess(5.0, f"{_OURS}: small rotations; voxels are moved and not mixed")
    shift: float = guess(0.05, f"{_OURS}: translations, as a share of the side")
    width: int = guess(64, f"{_OURS}: 3-D ResNet-18")
    stem: int = guess(7, "ResNet's own; with stride 1, and its pooling kept")
    experts: int = guess(4, _OURS)
    hidden: int = guess(256, f"{_OURS}: both layers of an expert")
    gate: int = guess(128, f"{_OURS}: the hidden layer of the gate")
    dropout: float = guess(0.2, _OURS)
    pretext_hidden: int = guess(512, _OURS)
    projected: int = guess(128, _OURS)
    temperature: float = guess(0.1, _OURS)
    texture_weight: float = guess(1.0, _OURS)
    bmd_weight: float = guess(1.0, _OURS)
    level_weight: float = guess(0.2, _OURS)
    balance_weight: float = guess(0.01, _OURS)
    pretext_epochs: int = guess(200, _OURS)
    pretext_batch: int = guess(64, _OURS)
    pretext_rate: float = guess(1e-3, f"{_OURS}: AdamW with cosine decay")
    epochs: int = guess(100, _OURS)
    batch: int = guess(32, _OURS)
    rate: float = guess(1e-4, _OURS)
    hold: int = guess(5, "epochs in which a pretrained encoder rests; inferred is a tenth of the rate in as many")
    weight_decay: float = guess(1e-4, _OURS)
    validation_share: float = guess(0.15, "what chooses the weights is not told")

    sizes: ClassVar[Mapping[str, Mapping[str, Any]]] = {
        "small": {
            "side": 32, "spacing_mm": 1.5, "width": 16, "stem": 3, "pretext_epochs": 30, "epochs": 30, "rate": 1e-3,
            "pretext_hidden": 128, "projected": 64, "pretext_batch": 32, "batch": 16,
        },
        "tiny": {
            "side": 16, "spacing_mm": 3.0, "width": 8, "stem": 3, "hidden": 64, "gate": 32, "pretext_hidden": 64,
            "projected": 32, "pretext_epochs": 5, "pretext_batch": 12, "pretext_rate": 3e-3, "epochs": 14, "batch": 8,
            "rate": 2e-3, "hold": 2,
        },
    }  # fmt: skip

    def _fit(self, cases: Sequence[Case], run: Run) -> State:
        network = self._network()
        looked = [self._seen(case) for case in cases]
        seen = {index: found for index, found in enumerate(looked) if not isinstance(found, Abstain)}
        if not seen:
            reasons = [found.reason for found in looked if isinstance(found, Abstain)]
            raise ValueError(f"{self.id()}: none of {len(cases)} cases has a vertebra to look at: {reasons[0]}")
        usable = [cases[index] for index in seen]
        training, validation = self._parts(usable, run.rng)
        facts: dict[str, Any] = {"value": self._value_scale([usable[index] for index in training])}
        arrays: dict[str, NDArray[Any]] = {}
        if self.pretraining:
            patients = [case.patient for case, found in zip(usable, seen.values(), strict=True) for _ in found]
            pool, facts["pretraining"] = self._pretrain(network.encoder, [*seen.values()], patients, run)
            facts["textures"] = list(pool.names)
            arrays = {"pool": pool.rows, "centre": pool.centre, "spread": pool.spread}
        rows = [*seen.values()]
        examples = [
            self._labelled([usable[i] for i in part], [rows[i] for i in part], facts["value"], moves)
            for part, moves in ((training, self.moves), (validation, None))
        ]
        heads = [network.experts, network.diagnosis, network.bmd, network.level]
        rest = self.hold if self.pretraining else 0
        facts["history"] = train(
            network,
            examples[0],
            validation=examples[1],
            loss=partial(heads_loss, bmd=self.bmd_weight, level=self.level_weight, balance=self.balance_weight),
            groups=[Group([network.encoder], self.rate, rest), Group(heads, self.rate)],
            plan=Plan(epochs=self.epochs, batch=self.batch, optimiser="adamw", weight_decay=self.weight_decay),
            run=run,
        )
        return State(facts=facts, arrays=arrays, networks={"network": network})

    def _pretrain(
        self, encoder: nn.Module, seen: Sequence[Sequence[Vertebra]], patients: Sequence[str], run: Run
    ) -> tuple[TexturePool, History]:
        """Teach the encoder the texture of all vertebrae, labelled or not, and return the pool and the losses."""
        every = Cubes([vertebra for found in seen for vertebra in found], self.window_hu)
        textures = [vertebra.texture(self.bin_width) for vertebra in every.vertebrae]
        pool = TexturePool.of(textures, redundant=self.redundant)
        kept, held = self._patients_apart(patients, run.seed)
        parts = [
            Views(
                cubes=every,
                textures=pool.rows,
                neighbours=alike(pool.rows, self.neighbours, among=among),
                anchors=anchors,
                moves=self.moves,
            )
            for anchors, among in ((kept, kept), (held, range(len(every))))
        ]
        pretext = Pretext(
            encoder,
            FEATURES * self.width,
            hidden=self.pretext_hidden,
            projected=self.projected,
            textures=len(pool.names),
        )
        history = train(
            pretext,
            parts[0],
            validation=parts[1],
            loss=partial(pretext_loss, temperature=self.temperature, texture=self.texture_weight),
            groups=[Group([pretext], self.pretext_rate)],
            plan=Plan(
                epochs=self.pretext_epochs, batch=self.pretext_batch, optimiser="adamw",
                weight_decay=self.weight_decay, schedule="cosine",
            ),
            run=run,
        )  # fmt: skip
        return pool, history

    def _patients_apart(self, patients: Sequence[str], seed: int) -> tuple[list[int], list[int]]:
        """Return the vertebrae to learn texture from and those to validate on, of other patients where there are."""
        names = list(dict.fromkeys(patients))
        order = np.random.default_rng(seed).permutation(len(names))
        held = {names[each] for each in order[: round(self.validation_share * len(names))]}
        kept = [index for index, name in enumerate(patients) if name not in held]
        return kept, [index for index, name in enumerate(patients) if name in held] or kept

    def _parts(self, cases: Sequence[Case], rng: Generator) -> tuple[list[int], list[int]]:
        """Return labelled cases to train and to validate on.

        They are the same where the share of the rarest class is less than one patient, too few to choose weights by.
        Cases that lack the class and have the value are trained on for their value.
        """
        known = [index for index, case in enumerate(cases) if self.headline.id in case.truth]
        highest: dict[str, int] = {}
        for index in known:
            grade = int(cases[index].truth[self.headline.id])  # type: ignore[arg-type]
            highest[cases[index].patient] = max(grade, highest.get(cases[index].patient, grade))
        training, validation = known, known
        if self.validation_share * min(Counter(highest.values()).values()) >= 1:
            parts = inner(cases, self.headline, share=self.validation_share, rng=rng)
            training, validation = (part.tolist() for part in parts)
        classed = {cases[index].patient for index in known}
        valued = [index for index, case in enumerate(cases) if case.truth and case.patient not in classed]
        return [*training, *valued], validation

    def _value_scale(self, cases: Sequence[Case]) -> dict[str, float] | None:
        """Return mean and SD of the value in training; nothing where none is known."""
        if len(self.predicts) < 2:
            return None
        values = [float(case.truth[target]) for case in cases if (target := self.predicts[1].id) in case.truth]  # type: ignore[arg-type]
        return {"mean": float(np.mean(values)), "sd": float(np.std(values)) or 1.0} if values else None

    def _labelled(
        self, cases: Sequence[Case], seen: Sequence[Sequence[Vertebra]], scale: Json | None, moves: Moves | None
    ) -> Labelled:
        """Return every vertebra of cases with what is known of it."""
        known = []
        for case, found in zip(cases, seen, strict=True):
            grade: Any = case.truth.get(self.headline.id, np.nan)
            value: Any = case.truth.get(self.predicts[1].id, np.nan) if scale else np.nan
            scaled = (value - scale["mean"]) / scale["sd"] if scale else np.nan
            known += [(grade, scaled, LEVELS.index(vertebra.level)) for vertebra in found]
        cubes = Cubes([vertebra for found in seen for vertebra in found], self.window_hu)
        return Labelled(cubes=cubes, known=np.array(known, dtype=np.float32), moves=moves)

    def _predict(self, state: State, cases: Sequence[Case]) -> list[Answer]:
        return [self._answer(state, self._seen(case)) for case in cases]

    def _answer(self, state: State, seen: list[Vertebra] | Abstain) -> Answer:
        """Return the mean over vertebrae of the probabilities and of the value."""
        if isinstance(seen, Abstain):
            return {target.id: seen for target in self.predicts}
        told = self._told(state, seen)
        answer: dict[str, Prediction] = {self.headline.id: graded(self.headline, probabilities(told).mean(axis=0))}
        for target in self.predicts[1:]:
            scale = state.facts["value"]
            answer[target.id] = (
                Value(scale["mean"] + scale["sd"] * float(told.value.mean()))
                if scale
                else Abstain(f"no case that was learned from has {target.id}")
            )
        return answer

    def _networks(self, facts: Json) -> Mapping[str, nn.Module]:  # noqa: ARG002 the settings say it all
        return {"network": self._network()}

    def _explain(self, state: State, case: Case, target: str) -> Evidence | None:
        """Return by level what it says and the shares of experts; Grad-CAM of the highest grade or of less BMD."""
        seen = self._seen(case)
        if isinstance(seen, Abstain):
            return None
        told = self._told(state, seen)
        worst = f"probability of {self.headline.grades[-1]!r}"
        numbers = {}
        for vertebra, p, shares in zip(seen, probabilities(told), told.gate.tolist(), strict=True):
            numbers[f"{vertebra.level} {worst}"] = float(p[-1])
            numbers |= {f"{vertebra.level} expert {n}": float(share) for n, share in enumerate(shares, 1)}
        network: Any = state.networks["network"]
        heat = grad_cam(network, Cubes(seen, self.window_hu), graded_=target == self.headline.id)
        method = f"{worst} by vertebra and the share that the gate gives each expert; Grad-CAM in 3-D"
        return Evidence(numbers=numbers, heat={_CT: laid_back(list(heat), seen, case.images[_CT])}, method=method)

    @torch.inference_mode()
    def _told(self, state: State, seen: Sequence[Vertebra]) -> Told:
        """Return what the network says of vertebrae, in double precision."""
        network, cubes = state.networks["network"], Cubes(seen, self.window_hu)
        parts = [network(cubes.stacked(range(i, min(i + _BATCH, len(seen))))) for i in range(0, len(seen), _BATCH)]
        return Told(*(torch.cat(each).double() for each in zip(*parts, strict=True)))

    def _seen(self, case: Case) -> list[Vertebra] | Abstain:
        """Return the vertebrae of a case, or why none can be looked at."""
        try:
            return vertebrae(
                case.images.source(_CT), case.masks.source(_BODIES), side=self.side, spacing_mm=self.spacing_mm
            )
        except ValueError as error:
            return Abstain(str(error))

    @property
    def moves(self) -> Moves:
        """How views of a vertebra may differ."""
        return Moves(degrees=self.degrees, shift=self.shift, flip=True)

    def _network(self) -> TextureExperts:
        features = FEATURES * self.width
        mixture = GatedExperts(features, experts=self.experts, hidden=self.hidden, gate=self.gate, dropout=self.dropout)
        return TextureExperts(
            Encoder(width=self.width, stem=self.stem),
            mixture,
            hidden=self.hidden,
            grades=len(self.headline.grades),
            levels=len(LEVELS),
        )


def probabilities(told: Told) -> NDArray[np.float64]:
    """Return probabilities of the grades `[vertebra, grades]`."""
    found: NDArray[np.float64] = told.grades.softmax(dim=1).numpy()
    return found


def grad_cam(network: TextureExperts, cubes: Cubes, *, graded_: bool) -> NDArray[np.float32]:
    """Return Grad-CAM maps `[vertebra, k, j, i]` of the highest grade, or of less BMD, not negative.

    Selvaraju et al., ICCV 2017, with the maps of the last stage, or where these are too coarse to show a place, with
    those of the last that are 4 voxels wide.
    """
    given = cubes.stacked(range(len(cubes)))
    stages: list[torch.Tensor] = []
    layers = [network.get_submodule(f"encoder.stages.layer{number}") for number in range(1, 5)]
    hooks = [layer.register_forward_hook(lambda _module, _given, output: stages.append(output)) for layer in layers]
    told = network(given)
    for hook in hooks:
        hook.remove()
    maps = [each for each in stages if each.shape[-1] >= _PLACES][-1]
    (slope,) = torch.autograd.grad((told.grades[:, -1] if graded_ else -told.value).sum(), [maps])
    weighted = (slope.mean(dim=(2, 3, 4), keepdim=True) * maps.detach()).sum(dim=1, keepdim=True).clamp(min=0)
    shown = functional.interpolate(weighted, given.shape[2:], mode="trilinear")[:, 0]
    heat: NDArray[np.float32] = shown.numpy()
    return heat
