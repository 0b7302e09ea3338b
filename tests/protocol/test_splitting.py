"""Splits: nobody on both sides, everybody once, whatever the order; and a paper's own split leaks where it did."""

from collections import Counter
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest

from trabecula.card import PublishedSplit
from trabecula.case import Case, Event
from trabecula.protocol import NAMES, Protocol, fewer_labels, published_split, split

TARGET = "osteoporosis_dxa"


def person(name, *truths, target=TARGET):
    """One case a truth; nothing as a truth is an unlabelled part."""
    return [
        Case(id=f"{name}/{i}", patient=name, part=f"L{i + 1}", truth={} if truth is None else {target: truth})
        for i, truth in enumerate(truths)
    ]


@pytest.fixture
def cases():
    """103 patients: 30 ill, 60 well, 13 unlabelled; every third has three parts, some with mixed or missing truth."""
    people = []
    for i in range(103):
        truth = None if i >= 90 else int(i < 30)
        parts = (truth, 0 if truth is not None else None, None)[: 3 if i % 3 == 0 else 1]
        people += person(f"p{i}", *parts)
    return people


def patients(cases, side):
    return {cases[i].patient for i in side}


@pytest.mark.parametrize(
    "protocol",
    [
        Protocol(), Protocol(folds=3, seed=4), Protocol(name="holdout"), Protocol(name="as_published", folds=2),
        Protocol(name="repeated", folds=3, repeats=4), Protocol(name="nested", folds=2),
        Protocol(name="learning_curve", folds=2), Protocol(name="few_shot", folds=2),
    ],
    ids=lambda protocol: f"{protocol.name}{protocol.folds}",
)  # fmt: skip
def test_nobody_is_on_both_sides(cases, protocol):
    folds = split(protocol, cases, TARGET)
    assert len(folds) == {"holdout": 1, "repeated": 12}.get(protocol.name, protocol.folds)
    for number, fold in enumerate(folds):
        assert fold.number == number
        assert sorted(fold.train + fold.test) == list(range(len(cases)))
        assert not patients(cases, fold.train) & patients(cases, fold.test)


def test_everybody_labelled_is_judged_once_and_the_unlabelled_never(cases):
    folds = split(Protocol(folds=4), cases, TARGET)
    judged = Counter(patient for fold in folds for patient in patients(cases, fold.test))
    assert judged == {f"p{i}": 1 for i in range(90)}
    for fold in folds:
        assert {f"p{i}" for i in range(90, 103)} <= patients(cases, fold.train)


def test_every_repeat_judges_everybody_once_on_another_deal(cases):
    folds = split(Protocol(name="repeated", folds=3, repeats=4, seed=7), cases, TARGET)
    assert [fold.number for fold in folds] == list(range(12))
    assert folds[4].name == "repeat 2, fold 2"
    assert len({frozenset(patients(cases, fold.test)) for fold in folds}) == 12
    for repeat in range(4):
        own = folds[3 * repeat : 3 * repeat + 3]
        assert Counter(p for fold in own for p in patients(cases, fold.test)) == {f"p{i}": 1 for i in range(90)}
        once = split(Protocol(folds=3, seed=7 + repeat), cases, TARGET)
        assert [fold.test for fold in own] == [fold.test for fold in once]
        ill = [sum(int(p[1:]) < 30 for p in patients(cases, fold.test)) for fold in own]
        assert ill == [10, 10, 10]


def test_folds_are_even_in_size_and_class(cases):
    folds = split(Protocol(folds=4), cases, TARGET)
    ill = [sum(int(p[1:]) < 30 for p in patients(cases, fold.test)) for fold in folds]
    everybody = [len(patients(cases, fold.test)) for fold in folds]
    assert max(ill) - min(ill) <= 1
    assert max(everybody) - min(everybody) <= 1


def test_a_patient_is_as_ill_as_the_worst_part():
    cases = [case for i in range(20) for case in person(f"p{i:02}", 0, int(i < 10))]
    for fold in split(Protocol(folds=5), cases, TARGET):
        assert sum(int(p[1:]) < 10 for p in patients(cases, fold.test)) == 2


ELSEWHERE = ("temporal", "leave_one_site_out", "external")  # these ask the cases where and when; see test_apart


@pytest.mark.parametrize("name", [name for name in NAMES if name not in ELSEWHERE])
def test_the_order_of_cases_does_not_matter(cases, name):
    protocol = Protocol(name=name, folds=3, seed=2)
    order = np.random.default_rng(0).permutation(len(cases))
    shuffled = [cases[i] for i in order]
    for first, second in zip(split(protocol, cases, TARGET), split(protocol, shuffled, TARGET), strict=True):
        assert patients(cases, first.test) == patients(shuffled, second.test)


def test_another_seed_is_another_split(cases):
    tests = {frozenset(patients(cases, split(Protocol(seed=seed), cases, TARGET)[0].test)) for seed in range(5)}
    assert len(tests) == 5
    assert split(Protocol(seed=1), cases, TARGET) == split(Protocol(seed=1), cases, TARGET)


@pytest.mark.parametrize("share", [0.1, 0.25, 0.4, 0.75])
def test_a_hold_out_has_the_share_it_says(cases, share):
    (fold,) = split(Protocol(name="holdout", test_share=share), cases, TARGET)
    held = patients(cases, fold.test)
    assert len(held) == pytest.approx(share * 90, abs=1)
    assert sum(int(p[1:]) < 30 for p in held) == pytest.approx(share * 30, abs=1)


def test_values_are_stratified_by_fifths():
    cases = [case for i in range(50) for case in person(f"p{i:02}", float(i), target="t_score_lowest")]
    for fold in split(Protocol(folds=5), cases, "t_score_lowest"):
        fifths = Counter(int(p[1:]) // 10 for p in patients(cases, fold.test))
        assert set(fifths.values()) == {2}
        assert set(fifths) == set(range(5))


def test_events_are_spread_over_folds():
    target = "time_to_hip_fracture"
    cases = [c for i in range(60) for c in person(f"p{i:02}", Event(float(i), int(i < 12)), target=target)]
    for fold in split(Protocol(folds=4), cases, target):
        assert sum(int(p[1:]) < 12 for p in patients(cases, fold.test)) == 3


@pytest.mark.parametrize(
    ("protocol", "truths", "said"),
    [
        (Protocol(), [], "no case has truth for osteoporosis_dxa.*--target"),
        (Protocol(), [None] * 9, "no case has truth for osteoporosis_dxa"),
        (Protocol(folds=5), [0, 1, 0], "3 patients cannot be dealt into 5 parts: ask for fewer folds"),
        (Protocol(folds=5), [1] * 20, "every patient has the same osteoporosis_dxa"),
        (Protocol(folds=5), [0] * 20 + [1] * 4, "rarest class .* has 4 patients, so 5 parts .*: ask for fewer folds"),
        (Protocol(folds=2), [0] * 20 + [1], "has 1 patients.*: bring more patients"),
        (Protocol(name="holdout"), [0] * 20 + [1], "has 1 patients.*: bring more patients"),
    ],
)
def test_too_few_patients_are_told(protocol, truths, said):
    cases = [case for i, truth in enumerate(truths) for case in person(f"p{i}", truth)]
    with pytest.raises(ValueError, match=said):
        split(protocol, cases, TARGET)


def test_too_few_values_for_a_hold_out():
    cases = [case for i in range(4) for case in person(f"p{i}", float(i), target="t_score_lowest")]
    with pytest.raises(ValueError, match="4 patients are too few"):
        split(Protocol(name="holdout"), cases, "t_score_lowest")


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"name": "loo"}, "kfold"),
        ({"folds": 1}, "two folds"),
        ({"test_share": 0.0}, "share"),
        ({"test_share": 1.0}, "share"),
        ({"inner_folds": 1}, "two folds"),
        ({"name": "repeated", "repeats": 1}, "at least twice.*ask for kfold"),
        ({"since": "2019-01-01"}, "belongs to the protocol temporal, not to kfold"),
        ({"name": "temporal", "since": "May 2019"}, "'May 2019' is no date: write it as 2019-05-31"),
    ],
)
def test_no_wrong_protocol_can_be_made(wrong, said):
    with pytest.raises(ValueError, match=said):
        Protocol(**wrong)


def test_the_rule_is_told_in_a_sentence():
    assert Protocol(folds=7, seed=3).rule == "7-fold cross-validation by patient, stratified by class, seed 3"
    assert "25%" in Protocol(name="holdout").rule
    assert "dealt 5 times" in Protocol(name="repeated").rule
    assert "seed 3 to 7" in Protocol(name="repeated", seed=3).rule
    assert "seen before 2019-05-31" in Protocol(name="temporal", since="2019-05-31").rule
    for name in NAMES:
        assert Protocol(name=name, seed=41).rule.count("seed 41") == 1


# As a paper split -----------------------------------------------------------------------------------------------------


def by(unit, **kind):
    kind = kind or {"test_share": 0.2}
    name = "kfold" if "folds" in kind else "holdout"
    return PublishedSplit(kind=name, unit=unit, note="", origin="read", **kind)


@pytest.mark.parametrize("kind", [{"test_share": 0.2}, {"folds": 5}])
def test_a_split_by_picture_puts_patients_on_both_sides(kind):
    cases = [case for i in range(40) for case in person(f"p{i}", *[i % 2] * 4)]
    for fold in published_split(by("image", **kind), cases, TARGET, seed=0):
        both = patients(cases, fold.train) & patients(cases, fold.test)
        assert len(both) > 15
        assert sorted(fold.train + fold.test) == list(range(160))
        assert len(fold.test) == 32
    for fold in published_split(by("patient", **kind), cases, TARGET, seed=0):
        assert not patients(cases, fold.train) & patients(cases, fold.test)
        assert len(fold.test) == 32


@pytest.mark.parametrize("unit", ["image", "patient"])
@pytest.mark.parametrize("kind", [{"test_share": 0.3}, {"folds": 3}])
def test_a_published_split_does_not_hang_on_the_order_either(cases, unit, kind):
    order = np.random.default_rng(0).permutation(len(cases))
    shuffled = [cases[i] for i in order]
    pairs = zip(
        published_split(by(unit, **kind), cases, TARGET, seed=1),
        published_split(by(unit, **kind), shuffled, TARGET, seed=1),
        strict=True,
    )
    for first, second in pairs:
        assert {cases[i].id for i in first.test} == {shuffled[i].id for i in second.test}


def test_pictures_without_truth_are_not_judged_as_published(cases):
    for fold in published_split(by("image", folds=3), cases, TARGET, seed=0):
        assert all(TARGET in cases[i].truth for i in fold.test)


@pytest.mark.parametrize("kind", [{"test_share": 0.2}, {"folds": 10}])
def test_too_few_pictures_for_a_published_split(kind):
    cases = [case for i in range(6) for case in person(f"p{i}", int(i == 0))]
    with pytest.raises(ValueError, match="patients"):
        published_split(by("image", **kind), cases, TARGET, seed=0)


def test_one_part_each_makes_both_units_alike(cases):
    single = [replace(case, patient=case.id) for case in cases]
    assert published_split(by("image"), single, TARGET, seed=0) == published_split(
        by("patient"), single, TARGET, seed=0
    )


@pytest.mark.parametrize("name", ["learning_curve", "few_shot"])
def test_fewer_labels_lie_among_more_and_everybody_is_judged_on_the_same(cases, name):
    protocol = Protocol(name=name, folds=3, shots=(1, 5, 20))
    folds = split(protocol, cases, TARGET)
    levels = list(fewer_labels(protocol, folds, cases, TARGET).values())
    assert len(levels) == (4 if name == "learning_curve" else 3)
    for level in levels:
        assert [(fold.train, fold.test) for fold in level] == [(fold.train, fold.test) for fold in folds]
    for fewer, more in pairwise(levels):
        for a, b in zip(fewer, more, strict=True):
            assert set(a.labelled) < set(b.labelled) <= set(a.train)


def test_shares_and_shots_are_of_each_class(cases):
    """Of 20 ill and 40 well patients to learn from: a quarter is 5 and 10; five shots are 5 and 5."""
    for protocol, asked, counts in (
        (Protocol(name="learning_curve", folds=3), "labels=25%", {1: 5, 0: 10}),
        (Protocol(name="few_shot", folds=3), "shots=5", {1: 5, 0: 5}),
    ):
        folds = split(protocol, cases, TARGET)
        for fold in fewer_labels(protocol, folds, cases, TARGET)[asked]:
            told = {cases[i].patient: 0 for i in fold.labelled}
            for i in fold.labelled:
                told[cases[i].patient] = max(told[cases[i].patient], cases[i].truth.get(TARGET) or 0)
            assert Counter(told.values()) == counts
    everything = fewer_labels(Protocol(name="learning_curve"), folds, cases, TARGET)["labels=100%"]
    known = {case.patient for case in cases if TARGET in case.truth}
    assert all(patients(cases, fold.labelled) == patients(cases, fold.train) & known for fold in everything)


def test_shots_that_cannot_be_had_are_refused(cases):
    protocol = Protocol(name="few_shot", folds=3, shots=(50,))
    with pytest.raises(ValueError, match="50 shots a class were asked for"):
        fewer_labels(protocol, split(protocol, cases, TARGET), cases, TARGET)
    survival = "time_to_hip_fracture"
    alive = [c for i in range(30) for c in person(f"q{i}", Event(years=1.0 + i, event=i % 2), target=survival)]
    with pytest.raises(ValueError, match="has none: ask for a learning_curve"):
        fewer_labels(Protocol(name="few_shot"), split(Protocol(), alive, survival), alive, survival)
    for wrong in ({"shares": (0.5, 0.25)}, {"shares": (0.0, 1.0)}, {"shots": (0, 1)}):
        with pytest.raises(ValueError, match="ris"):
            Protocol(name="few_shot", **wrong)
