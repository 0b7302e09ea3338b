"""Who is judged: systems under their names, baselines beside them, and papers by their own split."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from trabecula.card import system_card, system_ids
from trabecula.cohort import Cohort, fitted_to
from trabecula.protocol import Fold, Protocol, fewer_labels, published_split
from trabecula.system import System, get_system
from trabecula.target import get_target

if TYPE_CHECKING:
    from trabecula.case import Case
    from trabecula.evaluation.data import Data


@dataclass(frozen=True, eq=False, kw_only=True)
class Entrant:
    """A recipe, the cases it meets and how they are split."""

    candidates: tuple[System, ...]
    """The recipe, or the recipes of which each fold chooses one."""
    name: str
    """The id, and where a system is entered in several variants the settings that tell them apart."""
    role: str
    cases: Sequence[Case]
    folds: Sequence[Fold]
    protocol: str
    labels: str = ""
    """How many labels it learned from, where that is the question: `labels=25%` or `shots=5`."""

    @property
    def system(self) -> System:
        """The recipe, the first where there are several."""
        return self.candidates[0]

    @property
    def labelled(self) -> float | None:
        """Patients whose labels it was told, on average over folds, where that is the question."""
        told = [{self.cases[i].patient for i in fold.labelled} for fold in self.folds if fold.labelled is not None]
        return sum(map(len, told)) / len(told) if told else None


@dataclass(frozen=True, eq=False, kw_only=True)
class Judgement:
    """What one fold of one entrant gave; answers are plain JSON."""

    entrant: int
    fold: Fold
    answers: Sequence[Mapping[str, Any]]
    fit_seconds: float
    predict_seconds: float
    notes: dict[str, Any] = field(default_factory=dict)
    """What should be known besides; lists hold an entry a fold or several."""


def names_of(systems: Sequence[System]) -> list[str]:
    """Name systems by their ids, and variants of one by the settings that tell them apart as well."""
    told = [system.settings() for system in systems]
    names = []
    for system, own in zip(systems, told, strict=True):
        variants = [other for each, other in zip(systems, told, strict=True) if each.id() == system.id()]
        apart = [name for name in own if any(other[name] != own[name] for other in variants)]
        names.append(":".join((system.id(), *(f"{name}={_short(own[name])}" for name in apart))))
    return names


def _short(value: Any) -> str:
    return "-".join(map(str, value)) if isinstance(value, list) else str(value)


def entered(systems: Sequence[System], protocol: Protocol) -> dict[str, tuple[System, ...]]:
    """Return who is judged by name: each system, or for `nested` all variants of one together.

    Raises `ValueError` when two are the same, or `nested` has nothing to choose.
    """
    names = names_of(systems)
    if twice := [name for name, n in Counter(names).items() if n > 1]:
        raise ValueError(f"{twice[0]} is named twice with the same settings: name it once, or vary a setting")
    if protocol.name != "nested":
        return {name: (system,) for name, system in zip(names, systems, strict=True)}
    together: dict[str, tuple[System, ...]] = {}
    for system in systems:
        together[system.id()] = (*together.get(system.id(), ()), system)
    if all(len(variants) == 1 for variants in together.values()):
        raise ValueError("nested chooses a setting inside each fold: say between which with --vary NAME=VALUE,VALUE")
    return together


def judgeable(system: System, cohort: Cohort) -> None:
    """Refuse a system that asks for a target or an input that no case of the cohort has.

    Raises `ValueError` that says what the cohort has instead.
    """
    offered = sorted({target for case in cohort.cases for target in case.truth})
    wanted = system.headline
    if wanted.id not in offered:
        same = [t for t in offered if get_target(t).same_kind(wanted)]
        hint = (
            f"--target {same[0]} replaces it" if same else f"the cohort has truth for {', '.join(offered) or 'nothing'}"
        )
        raise ValueError(f"{system.id()} predicts {wanted.id}, for which {cohort.id} has no truth; {hint}")
    inputs = system.inputs()
    cases = fitted_to(cohort.cases, inputs)
    if lacking := [name for name in inputs.required if all(case.lacks([name]) for case in cases)]:
        raise ValueError(f"{system.id()} needs {', '.join(lacking)}, which no case of {cohort.id} has")


def entrants_of(
    named: Mapping[str, tuple[System, ...]], data: Data, folds: Sequence[Fold], protocol: Protocol, *, baselines: bool
) -> list[Entrant]:
    """Return all who are judged: systems, the baselines that have their inputs, and papers by their own split."""
    first = next(iter(named.values()))[0]
    known = {variants[0].id() for variants in named.values()}
    beside = {system.id(): (system,) for system in (_baselines(first, known, data) if baselines else ())}
    fewer = fewer_labels(protocol, folds, data.honest.cases, first.headline.id)
    told: Mapping[str, Sequence[Fold]] = fewer or {"": folds}
    entrants = [
        Entrant(
            candidates=candidates,
            name=":".join(filter(None, (name, labels))),
            role=candidates[0].card().role,
            cases=fitted_to(data.honest.cases, candidates[0].inputs()),
            folds=own,
            protocol=protocol.label,
            labels=labels,
        )
        for name, candidates in {**named, **beside}.items()
        for labels, own in told.items()
    ]
    if protocol.name != "as_published":
        return entrants
    apart = (_as_published(name, variants[0], data.raw, protocol.seed) for name, variants in named.items())
    return entrants + [entrant for entrant in apart if entrant]


def _as_published(name: str, system: System, cohort: Cohort, seed: int) -> Entrant | None:
    """Enter a system again under its paper's own split: duplicates apart, conflicts kept, as the paper had them."""
    published = system.card().split
    if published is None:
        return None
    cases = fitted_to(cohort.cases, system.inputs())
    folds = published_split(published, cases, system.headline.id, seed=seed)
    if published.unit == "image":
        cases = [replace(case, patient=case.id) for case in cases]
    return Entrant(
        candidates=(system,), name=name, role="as_published", cases=cases, folds=folds, protocol="as_published"
    )


def _baselines(first: System, known: set[str], data: Data) -> Iterator[System]:
    """Give each baseline for the first system's headline that both sides have the inputs for and nobody named."""
    sides: list[Sequence[Case]] = [data.honest.cases]
    if data.judged:
        sides = [[c for c in data.honest.cases if (c.id in data.judged) is judged] for judged in (True, False)]
    for card in map(system_card, system_ids()):
        if card.role != "baseline" or not card.built or card.id in known:
            continue
        if not get_target(card.targets[0]).same_kind(first.headline):
            continue
        system = get_system(card.id, targets=(first.headline.id,))
        required = system.inputs().required
        if all(any(not case.lacks(required) for case in side) for side in sides):
            yield system
