"""Few-shot diagnosis of knee radiographs by distances to chest films (Xie et al., J Int Med Res 2024).

A network learns two classes of another domain and is frozen. A knee is then described by nothing but its distances to
pictures of that domain, and automated machine learning tells three classes from the distances of a few labelled knees.

The paper's question is `trabecula evaluate xie2024_fewshot_knee --protocol few_shot`. Its several networks, each one
few-shot model, are `--vary 'backbones=["resnet50"],["densenet121"]'`; its readers are `--set refer_below=0.7`; and what
the base domain is good for is `--vary base=stand-in,noise`.

Without chest films and without ImageNet weights little is left of it: drawn films teach a network less than chests do,
and what ImageNet taught it, it forgets on them. `base` and `TRABECULA_WEIGHTS` are there to be used.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from torch.nn import functional

from trabecula.learn.augment import Augment
from trabecula.learn.examples import Examples
from trabecula.learn.explain import grad_cam
from trabecula.learn.networks import pretrained
from trabecula.learn.predict import grade_probabilities
from trabecula.learn.prepare import Pictures, on_grid
from trabecula.learn.split import inner_folds
from trabecula.learn.tabular import labelled, predictions
from trabecula.learn.train import Group, Plan, train
from trabecula.prediction import Abstain
from trabecula.state import Json, State
from trabecula.system import Evidence, Run, System, guess
from trabecula.systems.xie2024_fewshot_knee.base import NOISE, STAND_IN, Base, base_domain
from trabecula.systems.xie2024_fewshot_knee.leaderboard import LEARNERS, Learner, led, probabilities
from trabecula.systems.xie2024_fewshot_knee.network import BaseClassifier, distances, embedded

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from torch import nn

    from trabecula.case import Case
    from trabecula.prediction import Answer, Prediction

    Floats = NDArray[np.float64]

_USUAL = "not readable; usual for fine-tuning"
_LEAST = 1e-9
_AUTOML = "`automated machine learning` is stated, nothing of it"


@dataclass(frozen=True, kw_only=True)
class FewShotKnee(System):
    """Networks of the chest, distances to its films, and a leaderboard of classifiers on those of a few knees.

    Hua Xie et al.: A few-shot learning framework for the diagnosis of osteopenia and osteoporosis using knee X-ray
    images, Journal of International Medical Research 2024;52(9). Each backbone is one few-shot model, as in the paper;
    of several the answer is the mean of their probabilities.
    """

    base: str = guess(
        "stand-in", "a folder of two folders of chest films, one a class; where none is given, drawn ones"
    )
    base_films: int = guess(4000, "a class, of a folder at most; the paper's set has 1,349 and 3,883 by memory")
    drawn_films: int = guess(200, "a class, where they are drawn: ours")
    references: int = guess(100, "base images a class that a knee is held against; their number is not stated")
    backbones: tuple[str, ...] = guess(
        ("resnet50", "densenet121", "efficientnet_b0", "mobilenetv2_100"), "`several deep CNNs` are stated, not which"
    )
    pretrained: bool = guess(True, "ImageNet is stated, not which weights")
    pixels: int = guess(224, "usual for these networks")
    dropout: float = guess(0.2, "the head is not described")
    epochs: int = guess(20, _USUAL)
    patience: int = guess(5, _USUAL)
    batch: int = guess(32, _USUAL)
    rate: float = guess(1e-4, _USUAL)
    validation_share: float = guess(0.1, "of the base films, to stop by; not readable")
    rotation: float = guess(10.0, "not readable; usual. Of base films alone")
    flip: bool = guess(True, "not readable; usual. Of base films alone")
    learners: tuple[Learner, ...] = guess(LEARNERS, _AUTOML)
    trees: int = guess(300, _AUTOML)
    folds: int = guess(5, _AUTOML)
    refer_below: float = guess(0.0, "0 is the model alone; 0.7 stands in for the paper's readers: less sure, refer")

    sizes: ClassVar[Mapping[str, Mapping[str, Any]]] = {
        "small": {
            "backbones": ("mobilenetv2_100",), "pixels": 128, "drawn_films": 60, "references": 50, "epochs": 2,
            "batch": 16, "trees": 100,
        },
        "tiny": {
            "backbones": ("test_resnet",), "pixels": 64, "drawn_films": 24, "references": 24, "pretrained": False,
            "epochs": 5, "batch": 8, "rate": 1e-3, "learners": ("logistic", "svm"), "folds": 3,
        },
    }  # fmt: skip

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.backbones or not self.learners:
            raise ValueError("at least one backbone and one learner are needed")
        if not 0 <= self.refer_below < 1:
            raise ValueError(f"a probability to refer below is from 0 to less than 1; got {self.refer_below}")

    def _fit(self, cases: Sequence[Case], run: Run) -> State:
        networks = dict(self._networks({}))
        trunks = {name: network.get_submodule("trunk") for name, network in networks.items()}
        origin = pretrained(trunks) if self.pretrained else "random: by setting"
        base = self._base()
        history: dict[str, list[float]] = {}
        arrays: dict[str, Floats] = {}
        for name, network in networks.items():
            training, losses = self._learned(network, base, run)
            history |= {kind if name == self.backbones[0] else f"{name}.{kind}": own for kind, own in losses.items()}
            arrays |= self._landmarks(name, network, base, base.references(training, self.references, run.rng))
        facts = {
            "weights": origin,
            "base": base.origin,
            "base_classes": base.classes,
            "history": history,
            "frozen": self.backbones,
        }
        return self._with_leaders(State(facts=facts, arrays=arrays, networks=networks), cases, run)

    def _learned(self, network: nn.Module, base: Base, run: Run) -> tuple[NDArray[np.intp], dict[str, list[float]]]:
        """Teach a network the two base classes; return which films it learned from, and its losses."""
        parts = base.parts(self.validation_share, run.rng)
        changes = (Augment(degrees=self.rotation, flip=self.flip), None)
        training, validation = (
            Examples(base.pictures, part.tolist(), base.grades[part].tolist(), change)
            for part, change in zip(parts, changes, strict=True)
        )
        losses = train(
            network,
            training,
            validation=validation,
            loss=functional.cross_entropy,
            groups=[Group([network], self.rate)],
            plan=Plan(epochs=self.epochs, batch=self.batch, patience=self.patience),
            run=run,
        )
        return parts[0], losses

    def _landmarks(self, name: str, network: Any, base: Base, chosen: NDArray[np.intp]) -> dict[str, Floats]:
        """Return what knees are held against: the embeddings of base images, and the middle of either class."""
        known = embedded(network, base.pictures, chosen.tolist())
        middles = [known[base.grades[chosen] == grade].mean(axis=0) for grade in (0, 1)]
        return {f"{name}.images": known, f"{name}.middles": np.stack(middles)}

    def _with_leaders(self, state: State, cases: Sequence[Case], run: Run) -> State:
        """Return the state with what the few labelled knees teach: scaling of distances, and the leader on them."""
        known, grades = labelled(cases, self.headline)
        classes, y = np.unique(grades, return_inverse=True)
        folds = self._folds(known, run)
        arrays, estimators, boards = dict(state.arrays), dict[str, Any](), dict[str, Any]()
        for name in self.backbones:
            far = self._distances(state, name, known)
            arrays |= {f"{name}.mean": far.mean(axis=0), f"{name}.sd": np.maximum(far.std(axis=0), _LEAST)}
            x = (far - arrays[f"{name}.mean"]) / arrays[f"{name}.sd"]
            leader = led(x, y, folds, learners=self.learners, trees=self.trees, seed=run.seed)
            estimators |= {f"{name}.{each}": estimator for each, estimator in leader.estimators.items()}
            boards[name] = {"leader": list(leader.estimators), "log_loss": leader.board}
        facts = {**state.facts, "classes": classes.tolist(), "leaders": boards}
        return replace(state, facts=facts, arrays=arrays, estimators=estimators)

    def _folds(self, known: Sequence[Case], run: Run) -> list[tuple[NDArray[np.intp], NDArray[np.intp]]]:
        """Return folds by patient to compare classifiers on; none where a class has a single patient."""
        try:
            return inner_folds(known, self.headline, count=self.folds, rng=run.rng)
        except ValueError:
            return []

    def _predict(self, state: State, cases: Sequence[Case]) -> list[Answer]:
        told = np.mean([self._told(state, name, cases) for name in self.backbones], axis=0)
        answers = predictions(self.headline, told, state.facts["classes"])
        return [
            {self.headline.id: self._or_referred(answer, float(row.max()))}
            for answer, row in zip(answers, told, strict=True)
        ]

    def _or_referred(self, answer: Prediction, certainty: float) -> Prediction:
        if certainty >= self.refer_below:
            return answer
        return Abstain(f"refer to a reader: the model is {certainty:.0%} sure, which is below {self.refer_below:.0%}")

    def _told(self, state: State, name: str, cases: Sequence[Case]) -> Floats:
        """Return the probabilities `[n, classes]` of one few-shot model."""
        far = self._distances(state, name, cases)
        x = (far - state.arrays[f"{name}.mean"]) / state.arrays[f"{name}.sd"]
        leader = state.facts["leaders"][name]["leader"]
        return probabilities({each: state.estimators[f"{name}.{each}"] for each in leader}, x)

    def _distances(self, state: State, name: str, cases: Sequence[Case]) -> Floats:
        """Return all that is known of knees: distances `[n, m + 2]` to base images and the middles of two classes."""
        network: Any = state.networks[name]
        landmarks = np.concatenate([state.arrays[f"{name}.images"], state.arrays[f"{name}.middles"]])
        return distances(embedded(network, self._pictures(cases)), landmarks)

    def _networks(self, facts: Json) -> Mapping[str, nn.Module]:  # noqa: ARG002 the settings say it all
        return {name: BaseClassifier(name, self.dropout) for name in self.backbones}

    def _explain(self, state: State, case: Case, target: str) -> Evidence:  # noqa: ARG002 there is one target
        """Show what each network sees of its base classes in the knee; what the classifiers make of it has no place."""
        role, pictures, classes = self.inputs().images[0], self._pictures([case]), state.facts["base_classes"]
        heats, numbers, seen = [], dict[str, float](), list[str]()
        for name in self.backbones:
            network: Any = state.networks[name]
            grade = int(grade_probabilities(network, pictures)[0].argmax())
            heat = grad_cam(network, network.maps, pictures=pictures, grade=grade)
            heats.append(heat / max(float(heat.max()), _LEAST))
            seen.append(classes[grade])
            far = self._distances(state, name, [case])[0, -2:] - state.arrays[f"{name}.mean"][-2:]
            scaled = far / state.arrays[f"{name}.sd"][-2:]
            numbers |= {f"{name}: to {each}": float(own) for each, own in zip(classes, scaled, strict=True)}
        method = (
            f"Grad-CAM of the network of the base domain, for {', '.join(map(repr, seen))}, which no knee has taught; "
            "numbers: distance to the middle of a base class, in SD of the labelled knees from their mean"
        )
        return Evidence(heat={role: on_grid(np.mean(heats, axis=0), case.images[role])}, numbers=numbers, method=method)

    def _base(self) -> Base:
        films = self.drawn_films if self.base in (STAND_IN, NOISE) else self.base_films
        return base_domain(self.base, films=films, pixels=self.pixels)

    def _pictures(self, cases: Sequence[Case]) -> Pictures:
        return Pictures(cases, self.inputs().images[0], {"size": self.pixels})
