"""Recipes and fitted models: `System`, `Model`, and where a setting comes from.

Authors of a system write a frozen dataclass with `_fit` and `_predict`, and `_networks` where it has networks.
Everything that must hold for all systems (what is handed over, random state, threads, missing inputs, the form of an
answer, saving) is here, once, and cannot be overridden.
"""

from __future__ import annotations

import importlib
import random
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import MISSING, Field, dataclass, field, fields, replace
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Protocol, TypeVar, final

import numpy as np

from trabecula.card import InputsDeclared, SystemCard, read_card, system_card
from trabecula.prediction import Abstain, Answer, Prediction, fits
from trabecula.state import Json, State, load_state, read_about, save_state, whole
from trabecula.target import Target, get_target, unknown

if TYPE_CHECKING:
    import torch
    from lightning_fabric import Fabric
    from numpy.random import Generator
    from numpy.typing import NDArray

    from trabecula.case import Case

T = TypeVar("T")
Inputs = InputsDeclared
_CHUNK = 64  # cases handed to `_predict` at once, so that memory does not grow with the cohort


class Progress(Protocol):
    """Told how far a long piece of work has come."""

    def __call__(self, done: int, total: int, message: str = "") -> None:
        """Say that `done` of `total` steps are behind us."""


def quiet(done: int, total: int, message: str = "") -> None:
    """Report no progress."""


def paper(value: T, where: str) -> T:
    """Give a setting the paper's own value. Only for facts tagged `read`; `where` says where it stands."""
    return field(default=value, metadata={"origin": "paper", "note": where})


def guess(value: T, why: str) -> T:
    """Give a setting our value because the paper's could not be read."""
    return field(default=value, metadata={"origin": "guess", "note": why})


@dataclass(frozen=True)
class Run:
    """What fitting may use besides the cases."""

    rng: Generator
    seed: int
    progress: Progress = quiet
    fabric: Fabric | None = None
    """Devices and precision, for systems with networks."""
    folder: Path | None = None
    """Where temporary training checkpoints may lie, so that an interrupted fit resumes."""


@dataclass(frozen=True, eq=False, kw_only=True)
class Evidence:
    """What an answer rests on."""

    heat: Mapping[str, NDArray[np.float32]] = field(default_factory=dict)
    """By image role: weight of each voxel `[k, j, i]` on the grid of that image, not negative."""
    numbers: Mapping[str, float] = field(default_factory=dict)
    """By name of an input: its share in the answer, in the unit that `method` states."""
    method: str = ""
    figure: str = ""
    """An SVG that shows it, for systems that have one, such as a nomogram with the patient on it."""


@dataclass(frozen=True, kw_only=True)
class System(ABC):
    """A published recipe. Its fields are its settings; their defaults are the paper's, or our guesses, as marked."""

    targets: tuple[str, ...] = ()
    """Rows of the target table in place of the card's; each of the same kind as the card's at its place."""

    sizes: ClassVar[Mapping[str, Mapping[str, Any]]] = {"small": {}, "tiny": {}}
    """Settings that differ from the paper's: `small` is useful on a laptop, `tiny` is for tests."""

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        if broken := sorted({"fit", "settings", "origins", "size", "has_networks"} & set(vars(cls))):
            raise TypeError(f"{cls.__name__} may not override {', '.join(broken)}: write _fit and _predict")

    def __post_init__(self) -> None:
        own = tuple(get_target(t) for t in self.card().targets)
        if len(self.targets) > len(own):
            raise ValueError(f"{self.id()} predicts at most {len(own)} targets; {len(self.targets)} were asked for")
        for asked, usual in zip(self.targets, own, strict=False):
            row = get_target(asked)
            if not row.same_kind(usual):
                raise ValueError(
                    f"{self.id()} predicts a {usual.kind} target such as {usual.id}; {asked} is {row.kind}"
                )

    @classmethod
    def card(cls) -> SystemCard:
        """Return the card that lies beside the class."""
        return _card_beside(cls)

    @classmethod
    def id(cls) -> str:
        """Return the id of the system: its folder, CLI word and page."""
        return cls.card().id

    @property
    def predicts(self) -> tuple[Target, ...]:
        """Rows of the targets this recipe answers; the first is the headline."""
        return tuple(get_target(t) for t in self.targets or self.card().targets)

    @property
    def headline(self) -> Target:
        """The first target."""
        return self.predicts[0]

    def inputs(self) -> Inputs:
        """Return what is handed over: the card's inputs, less optional values that define the target asked for."""
        declared = self.card().inputs
        defining = {name for target in self.predicts for name in target.defined_by} & set(declared.table)
        if needed := defining - set(declared.optional):
            raise ValueError(f"{self.id()} needs {sorted(needed)}, which define {self.headline.id}: ask for another")
        kept = {"table": declared.table, "optional": declared.optional}
        return declared.model_copy(
            update={k: tuple(name for name in names if name not in defining) for k, names in kept.items()}
        )

    @abstractmethod
    def _fit(self, cases: Sequence[Case], run: Run) -> State:
        """Learn from cases; those without truth for a target are unlabelled."""

    @abstractmethod
    def _predict(self, state: State, cases: Sequence[Case]) -> list[Answer]:
        """Answer each case on its own. Cases carry neither truth nor identity."""

    def _networks(self, facts: Json) -> Mapping[str, torch.nn.Module]:  # noqa: ARG002 authors use it
        """Build the networks without weights from the facts of a state; never download."""
        return {}

    def _explain(self, state: State, case: Case, target: str) -> Evidence | None:  # noqa: ARG002 authors use them
        """Say what the answer to one case rests on, where the system can."""
        return None

    @final
    def settings(self) -> dict[str, Any]:
        """Return the settings as plain JSON."""
        return _adapter(type(self)).dump_python(self, mode="json")  # type: ignore[no-any-return]

    @final
    def origins(self) -> list[dict[str, Any]]:
        """Return each setting with its origin: `paper`, `guess`, or `changed` by a size or a user, and the note."""
        rows = []
        for each, value in zip(fields(self), self.settings().values(), strict=True):
            if each.name == "targets":
                continue
            usual = _default(each)
            origin = each.metadata.get("origin", "guess") if getattr(self, each.name) == usual else "changed"
            note = each.metadata.get("note", "")
            rows.append({"name": each.name, "value": value, "origin": origin, "usual": usual, "note": note})
        return rows

    @final
    @property
    def size(self) -> str:
        """`paper`, `small` or `tiny` where the settings are exactly those of that size, `changed` otherwise."""
        own = {name: value for name, value in self.settings().items() if name != "targets"}
        for name in ("paper", *self.sizes):
            settings = {} if name == "paper" else self.sizes[name]
            if from_settings(type(self), settings).settings() == {**own, "targets": []}:
                return name
        return "changed"

    @final
    @property
    def has_networks(self) -> bool:
        """Whether fitting needs torch."""
        return type(self)._networks is not System._networks

    @final
    def fit(
        self,
        cases: Sequence[Case],
        *,
        seed: int = 0,
        progress: Progress = quiet,
        folder: Path | None = None,
        device: str = "cpu",
        precision: str = "32-true",
    ) -> Model:
        """Fit the recipe to cases and return a model; the recipe itself does not change.

        The system sees only its declared inputs and targets. `device` and `precision` are Lightning Fabric's words.
        Raises `ValueError` when no case can be learned from, or the headline target has one class only.
        """
        inputs, targets = self.inputs(), tuple(t.id for t in self.predicts)
        required = inputs.required
        handed = [_handed(case, inputs, targets) for case in cases if not case.lacks(required)]
        self._can_learn(handed, len(cases), required)
        with isolated(seed, torch_too=self.has_networks):
            fabric = _fabric(device, precision) if self.has_networks else None
            run = Run(rng=np.random.default_rng(seed), seed=seed, progress=progress, fabric=fabric, folder=folder)
            state = self._fit(handed, run)
        for network in state.networks.values():
            network.eval().to("cpu")
        about = {"seed": seed, "device": device, "precision": precision, "threads": threads(), "cases": len(handed)}
        return Model(self, state, about)

    def _can_learn(self, handed: Sequence[Case], given: int, required: Sequence[str]) -> None:
        if not handed:
            raise ValueError(f"{self.id()}: none of {given} cases has all of its required inputs {list(required)}")
        truths = [case.truth[self.headline.id] for case in handed if self.headline.id in case.truth]
        if not truths:
            raise ValueError(f"{self.id()}: no case has truth for {self.headline.id}")
        if self.headline.classifies and len(set(truths)) < 2:
            raise ValueError(f"{self.id()}: every case has the same {self.headline.id}; there is nothing to tell apart")


@final
class Model:
    """A fitted system. One class for all."""

    def __init__(self, system: System, state: State, about: Json) -> None:
        self.system = system
        self.state = state
        self.about = dict(about)

    def __repr__(self) -> str:
        return f"Model({self.system.id()}, {self.about.get('cases')} cases, seed {self.about.get('seed')})"

    def predict(self, cases: Sequence[Case], *, progress: Progress = quiet) -> list[Answer]:
        """Return one answer a case, in order: a prediction for each target, or an abstention with its reason.

        Raises `TypeError` or `ValueError` when the system breaks the form of an answer: that is a defect of it.
        """
        inputs = self.system.inputs()
        required = inputs.required
        answers: list[Answer] = []
        for start in range(0, len(cases), _CHUNK):
            chunk = cases[start : start + _CHUNK]
            missing = [case.lacks(required) for case in chunk]
            asked = [
                _blind(_handed(case, inputs, ())) for case, lacking in zip(chunk, missing, strict=True) if not lacking
            ]
            given = iter(self._asked(asked))
            answers += [self._abstain(lacking) if lacking else next(given) for lacking in missing]
            progress(len(answers), len(cases), self.system.id())
        return answers

    def explain(self, case: Case, target: str | None = None) -> Evidence | None:
        """Say what the answer to one case rests on; `None` where the system cannot say.

        Raises `ValueError` when a required input is missing.
        """
        inputs = self.system.inputs()
        if lacking := case.lacks(inputs.required):
            raise ValueError(
                f"{self.system.id()} cannot answer this case, so there is nothing to explain: no {lacking}"
            )
        with isolated(self.about["seed"], torch_too=self.system.has_networks):
            handed = _blind(_handed(case, inputs, ()))
            return self.system._explain(self.state, handed, target or self.system.headline.id)

    def save(self, folder: str | Path) -> None:
        """Write the model into a new folder, whole or not at all.

        Raises `FileExistsError` when the folder is there already and not empty.
        """
        about = {
            "format": 1,
            "trabecula": version("trabecula"),
            "system": self.system.id(),
            "settings": self.system.settings(),
            "about": self.about,
        }
        with whole(Path(folder)) as temporary:
            save_state(self.state, temporary, about=about)

    @classmethod
    def load(cls, folder: str | Path, *, recipe: type[System] | None = None) -> Model:
        """Read a model back; its answers are identical. `recipe` is for systems outside the catalogue.

        Raises `ValueError` when a file is missing or altered or the model is another recipe's, `KeyError` for a system
        that is not known here.
        """
        folder = Path(folder)
        about = read_about(folder)
        if recipe is not None and recipe.id() != about["system"]:
            raise ValueError(f"{folder} holds a model of {about['system']}, not of {recipe.id()}")
        system = from_settings(recipe or _class(about["system"]), about["settings"])
        state = load_state(folder, about, networks=system._networks)
        return cls(system, state, about["about"])

    def _asked(self, cases: Sequence[Case]) -> list[Answer]:
        if not cases:
            return []
        with isolated(self.about["seed"], torch_too=self.system.has_networks):
            answers = self.system._predict(self.state, cases)
        if len(answers) != len(cases):
            raise ValueError(f"{self.system.id()} gave {len(answers)} answers to {len(cases)} cases")
        rows = {target.id: target for target in self.system.predicts}
        for answer in answers:
            if set(answer) != set(rows):
                raise ValueError(f"{self.system.id()} answered {sorted(answer)} where {sorted(rows)} were asked for")
            for target, prediction in answer.items():
                fits(prediction, rows[target])
        return answers

    def _abstain(self, lacking: Sequence[str]) -> Answer:
        reason: Prediction = Abstain(f"required input missing: {', '.join(lacking)}")
        return {target.id: reason for target in self.system.predicts}


def get_system(
    id_: str,
    *,
    size: str = "paper",
    targets: Sequence[str] = (),
    settings: Mapping[str, Any] | None = None,
) -> System:
    """Return the recipe of a system by its id, at a size (`paper`, `small`, `tiny`), with settings changed by name.

    Raises `KeyError` for an unknown id, size or setting, with the nearest name, `LookupError` for a system that is
    planned, and `ValueError` for a setting of the wrong type.
    """
    kind = _class(id_)
    if size != "paper" and size not in kind.sizes:
        raise KeyError(unknown("size", size, ("paper", *kind.sizes)))
    chosen = {} if size == "paper" else dict(kind.sizes[size])
    return from_settings(kind, {"targets": tuple(targets), **chosen, **(settings or {})})


def from_settings(kind: type[System], settings: Mapping[str, Any]) -> System:
    """Build a recipe from plain JSON settings, with the errors of `get_system`."""
    from pydantic import ValidationError  # noqa: PLC0415

    known = {each.name for each in fields(kind)}
    for name in settings:
        if name not in known:
            raise KeyError(unknown(f"setting of {kind.id()}", name, known))
    try:
        built: System = _adapter(kind).validate_python(dict(settings))
    except ValidationError as error:
        lines = "; ".join(f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors())
        raise ValueError(f"settings of {kind.id()}: {lines}") from error
    return built


def threads() -> int:
    """Return how many threads fitting and predicting use: `TRABECULA_THREADS`, or one.

    Fixed, because sums in another order are other numbers: serial, joblib and Dask then agree bit for bit. Several
    cores are used by running folds and systems side by side.
    Raises `ValueError` when the variable is not a number from 1 on.
    """
    import os  # noqa: PLC0415

    given = os.environ.get("TRABECULA_THREADS", "1")
    if not given.isdecimal() or int(given) < 1:
        raise ValueError(f"TRABECULA_THREADS is a number from 1 on; got {given!r}")
    return int(given)


@contextmanager
def isolated(seed: int, *, torch_too: bool) -> Iterator[None]:
    """Seed python, numpy and torch inside the block and leave their global random state as it was; fix the threads."""
    from threadpoolctl import threadpool_limits  # noqa: PLC0415

    python, numpy = random.getstate(), np.random.get_state()  # noqa: NPY002 the global state is what we protect
    with threadpool_limits(limits=threads()), _torch_isolated(seed) if torch_too else nullcontext():
        random.seed(seed)
        np.random.seed(seed % 2**32)  # noqa: NPY002
        try:
            yield
        finally:
            random.setstate(python)
            np.random.set_state(numpy)  # noqa: NPY002


@contextmanager
def _torch_isolated(seed: int) -> Iterator[None]:
    import torch  # noqa: PLC0415

    before = torch.get_num_threads()
    with torch.random.fork_rng(devices=range(torch.cuda.device_count())):
        torch.manual_seed(seed)
        torch.set_num_threads(threads())
        try:
            yield
        finally:
            torch.set_num_threads(before)


def _fabric(device: str, precision: Any) -> Fabric:
    from lightning_fabric import Fabric  # noqa: PLC0415 loads torch

    try:
        return Fabric(accelerator=device, devices=1, precision=precision)
    except RuntimeError as error:
        raise ValueError(f"device {device!r} cannot be used here: {error}") from error


def _handed(case: Case, inputs: Inputs, targets: Sequence[str]) -> Case:
    return case.only(
        images=inputs.images, masks=inputs.masks, table=inputs.table, groups=inputs.groups, targets=targets
    )


def _blind(case: Case) -> Case:
    """Take away who it is and where its files lie: an id or a path such as `osteoporosis/12.png` tells the answer."""
    return replace(
        case, id="case", patient="patient", part="", images=case.images.nameless(), masks=case.masks.nameless()
    )


def _default(each: Field[Any]) -> Any:
    if each.default is not MISSING:
        return each.default
    return each.default_factory() if each.default_factory is not MISSING else None


@cache
def _card_beside(kind: type[System]) -> SystemCard:
    module = importlib.import_module(kind.__module__)
    return read_card(Path(str(module.__file__)).parent / "card.yaml", SystemCard)


@cache
def _class(id_: str) -> type[System]:
    card = system_card(id_)
    if not card.built:
        raise LookupError(f"{id_} is planned: its card is there (`trabecula show {id_}`), its code is not")
    module = importlib.import_module(f"trabecula.systems.{id_}.system")
    found = [
        each
        for each in vars(module).values()
        if isinstance(each, type) and issubclass(each, System) and each is not System
        and each.__module__ == module.__name__
    ]  # fmt: skip
    if len(found) != 1:
        raise LookupError(f"{module.__name__} must define exactly one System, it defines {len(found)}")
    return found[0]


@cache
def _adapter(kind: type[System]) -> Any:
    from pydantic import TypeAdapter  # noqa: PLC0415

    return TypeAdapter(kind)
