"""Checks of answers: what they look like, what they depend on and what they must not depend on."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from trabecula.case import ANY_GROUP, Event, Images
from trabecula.metrics import concordance
from trabecula.prediction import Abstain, LabelMap, Prediction, score
from trabecula.selftest.subject import NoMeaningError, Subject, gap, numbers, relabelled, require
from trabecula.system import Model

if TYPE_CHECKING:
    from trabecula.case import Case, Truth
    from trabecula.target import Target

_ALONE = 5  # cases that are asked alone
_ROUNDING = 1e-5  # sums over batches of another size may differ in the last bits of single precision
_DEALS = 6  # the truths are dealt anew at most so often
_DRAWS = 500  # permutations that make the interval of chance
_LATE = 1e6  # years, beyond any grade or value: what is ranked as a time may not be negative


def check_no_input_defines_the_target(subject: Subject) -> None:
    """Prevent the label from being among the features.

    No input is a variable that defines a target, none is its label map by name or by content, and no value of the
    table equals the truth in every case.
    """
    inputs = subject.system.inputs()
    for target in subject.system.predicts:
        circular = set(target.defined_by) & {*inputs.table, *inputs.masks}
        if target.kind == "label_map":
            circular |= {role for role in inputs.masks if _stem(role) == _stem(target.id)}
            circular |= {role for case in subject.test for role in _same_content(case, target.id)} & {
                *inputs.images, *inputs.masks,
            }  # fmt: skip
        if target.kind == "value":
            circular |= {name for name in inputs.table if _equals_truth(subject.cases, name, target.id)}
        require(not circular, f"{', '.join(sorted(circular))} is or defines {target.id}: it may not be an input")


def check_answers_are_plausible(subject: Subject) -> None:
    """Prevent a wrong unit, or one answer for everybody, from going unnoticed.

    Every target is answered for someone, not everybody has the same answer, and values lie within the range of the
    truth, widened by its own width on both sides.
    """
    for target in subject.system.predicts:
        given = [answer[target.id] for answer in subject.answers if not isinstance(answer[target.id], Abstain)]
        require(given, f"{target.id}: abstains from every case")
        different = any(not np.array_equal(numbers(given[0]), numbers(each)) for each in given[1:])
        require(different, f"{target.id}: every case has the same answer")
        if isinstance(given[0], LabelMap):
            require(any(numbers(each).any() for each in given), f"{target.id}: every label map is empty")
        if target.kind == "value":
            truths = [float(t) for t in _truths(subject.cases, target.id) if isinstance(t, int | float)]
            low, high = min(truths, default=-math.inf), max(truths, default=math.inf)
            wide = (high - low) if truths else 0.0
            outside = [v for v in map(score, given) if not low - wide <= v <= high + wide]
            require(not outside, f"{target.id}: answers {outside[:3]} where the truth is {low:.3g} to {high:.3g}")


def check_alone_as_in_a_batch(subject: Subject) -> None:
    """Prevent a patient's answer from depending on who else was examined that day.

    The answer to a case alone is its answer among others, to 1e-5: what single precision loses when sums change
    their order.
    """
    for case, among in zip(subject.test[:_ALONE], subject.answers, strict=False):
        apart = gap(among, subject.model.predict([case])[0])
        require(apart <= _ROUNDING, f"case {case.id}: its answer alone is {apart:.2g} from its answer among others")


def check_truth_cannot_reach_prediction(subject: Subject) -> None:
    """Prevent a system from reading the answer in a folder called `osteoporosis`.

    With other ids, patients, groups and weights, without file names, and with a truth that notes who looks at it,
    answers are the same and nobody looked.
    """
    wires = [_Wire() for _ in subject.test]
    keeps_groups = bool(subject.system.inputs().groups)
    strangers = [
        replace(
            case,
            id=f"stranger {number}",
            patient=f"nobody {number}",
            part=f"part {number}",
            weight=2.0 * case.weight,
            groups=case.groups if keeps_groups else dict.fromkeys(case.groups, "elsewhere"),
            images=case.images.nameless(),
            masks=case.masks.nameless(),
        )
        for number, case in enumerate(subject.test)
    ]
    for stranger, wire in zip(strangers, wires, strict=True):
        object.__setattr__(stranger, "truth", wire)  # as it is: a case would copy it and look at it
    answers = subject.model.predict(strangers)
    require(not any(wire.touched for wire in wires), "predicting looked at the truth")
    worst = max(gap(ours, theirs) for ours, theirs in zip(subject.answers, answers, strict=True))
    require(
        worst == 0, "answers change with ids, groups, weights or file names: they may rest on images and table only"
    )


def check_missing_input_abstains(subject: Subject) -> None:
    """Prevent a missing age from silently becoming 65.

    Without a required input every target abstains and says why; without an optional one the system still answers or
    abstains; a published system that has none of its inputs abstains.
    """
    inputs, model = subject.system.inputs(), subject.model
    names = [*inputs.images, *inputs.masks, *inputs.table, *inputs.groups]
    for name in names:
        answer = model.predict([_without(subject.test[0], [name])])[0]
        if name in subject.system.inputs().required:
            require(_abstains(answer), f"answers without {name}, which it requires")
    if names and subject.system.card().role == "system":
        require(_abstains(model.predict([_without(subject.test[0], names)])[0]), "answers with nothing to go by")


def check_image_is_used(subject: Subject) -> None:
    """Prevent the picture from being decoration beside age and sex.

    Most answers change when the images, with the masks drawn on them, are those of another patient of the same
    decade, sex and third of body mass index.
    """
    if not subject.system.inputs().images:
        raise NoMeaningError("it takes no image")
    swapped = [(number, other) for number, case in enumerate(subject.test) if (other := _double(case, subject.cases))]
    if len(swapped) < 3:
        raise NoMeaningError("fewer than three patients have another of their age, sex and body mass index")
    answers = subject.model.predict([other for _, other in swapped])
    changed = [gap(subject.answers[n], answer) > _ROUNDING for (n, _), answer in zip(swapped, answers, strict=True)]
    require(np.mean(changed) > 0.5, f"{sum(changed)} of {len(changed)} answers change with the image of someone alike")


def check_shuffled_labels_give_chance(subject: Subject) -> None:
    """Prevent a leak or a built-in rule from being taken for learning.

    After learning from truths dealt anew, concordance with the true test labels (for two classes the AUC) lies within
    the 95 % interval of chance, or below it. The interval is that of permutations of the test labels, so it is as wide
    as n is small. One excess proves nothing: a model taught by chance points in some direction, right or wrong with
    equal odds. So up to six deals with six seeds are tried, and all six must exceed the interval: under chance less
    than 1 in 2^6.
    """
    ranked = [each for each in subject.system.predicts if each.kind != "label_map"]
    if not ranked:
        raise NoMeaningError("a label map has no order that chance could keep")
    target = next((each for each in ranked if len(set(map(repr, _truths(subject.test, each.id)))) > 1), None)
    if target is None:
        raise NoMeaningError(f"the test cases do not differ in {', '.join(each.id for each in ranked)}")
    told = []
    for deal in range(_DEALS):
        seed = subject.seed + deal
        model = subject.system.fit(relabelled(subject.train, seed=seed), seed=seed)
        reached, chance = _concordance(model, subject.test, target, seed)
        if math.isnan(reached):
            raise NoMeaningError(f"no two test cases are known to differ in the order of {target.id}")
        if reached <= chance:
            return
        told.append(f"{reached:.2f}")
    raise AssertionError(f"after shuffled labels, concordance is {', '.join(told)}, where chance ends at {chance:.2f}")


def _concordance(model: Model, cases: Sequence[Case], target: Target, seed: int) -> tuple[float, float]:
    """Return the concordance with the truth, and the upper end of its 95 % interval under chance."""
    known = [case for case in cases if target.id in case.truth]
    scores = np.array([score(answer[target.id]) for answer in model.predict(known)])
    order = np.array([_earliness(case.truth[target.id]) for case in known])[np.isfinite(scores)]
    scores = scores[np.isfinite(scores)]
    rng = np.random.default_rng(seed)
    chance = [float(concordance(order, rng.permutation(scores))) for _ in range(_DRAWS)]
    return float(concordance(order, scores)), float(np.quantile(chance, 0.975))


def _earliness(truth: Truth) -> tuple[float, int]:
    """Return years and event; a higher grade or value is an earlier event, so that one concordance does for all."""
    if isinstance(truth, Event):
        return truth.years, truth.event
    return (_LATE - float(truth), 1) if isinstance(truth, int | float) else (math.nan, 0)


def _truths(cases: Sequence[Case], target: str) -> list[Truth]:
    return [case.truth[target] for case in cases if target in case.truth]


def _stem(name: str) -> str:
    """Return what a role or a label-map target is about: `vertebral_bodies` and `vertebral_body_mask` are one thing."""
    single = name.removesuffix("_mask")
    return single.removesuffix("ies") + "y" if single.endswith("ies") else single.removesuffix("s")


def _same_content(case: Case, target: str) -> Iterator[str]:
    truth = case.truth.get(target)
    if truth is None or isinstance(truth, int | float | Event):
        return
    for images in (case.images, case.masks):
        yield from (role for role in images if images.source(role).digest == truth.digest)


def _equals_truth(cases: Sequence[Case], name: str, target: str) -> bool:
    pairs: list[Any] = [(case.table[name], case.truth[target]) for case in cases
                        if name in case.table and target in case.truth]  # fmt: skip
    return len(pairs) > 2 and all(
        not isinstance(value, str) and math.isclose(value, truth, rel_tol=1e-6) for value, truth in pairs
    )


@dataclass
class _Wire(Mapping[str, Any]):
    """A truth that notes that somebody looked."""

    touched: list[str] = field(default_factory=list)

    def __getitem__(self, target: str) -> Any:
        self.touched.append(target)
        raise KeyError(target)

    def __iter__(self) -> Iterator[str]:
        self.touched.append("all")
        return iter(())

    def __len__(self) -> int:
        self.touched.append("len")
        return 0

    def __contains__(self, target: object) -> bool:
        self.touched.append(str(target))
        return False


def _without(case: Case, names: Sequence[str]) -> Case:
    return replace(
        case,
        images=_images_without(case.images, names),
        masks=_images_without(case.masks, names),
        table={name: value for name, value in case.table.items() if name not in names},
        groups={name: value for name, value in case.groups.items() if not {name, ANY_GROUP} & set(names)},
    )


def _images_without(images: Images, names: Sequence[str]) -> Images:
    return images.only([role for role in images if role not in names])


def _abstains(answer: Mapping[str, Prediction]) -> bool:
    return all(isinstance(prediction, Abstain) for prediction in answer.values())


def _double(case: Case, cases: Sequence[Case]) -> Case | None:
    """Return the case with the images and masks of another patient alike, where there is one."""
    thirds = np.quantile([bmi for each in cases if math.isfinite(bmi := _bmi(each))] or [0.0], [1 / 3, 2 / 3])
    alike = defaultdict(list)
    for each in cases:
        alike[_class(each, thirds)].append(each)
    others = [each for each in alike[_class(case, thirds)] if each.patient != case.patient]
    return replace(case, images=others[0].images, masks=others[0].masks) if others else None


def _class(case: Case, thirds: Any) -> tuple[Any, ...]:
    age, bmi = case.number("age_years"), _bmi(case)
    return (
        age // 10 if math.isfinite(age) else None,
        case.table.get("sex"),
        int(np.searchsorted(thirds, bmi)) if math.isfinite(bmi) else None,
        case.part,
        (tuple(case.images), tuple(case.masks)),
    )


def _bmi(case: Case) -> float:
    measured = case.number("bmi_kg_m2")
    return measured if math.isfinite(measured) else case.number("weight_kg") / (case.number("height_cm") / 100) ** 2
