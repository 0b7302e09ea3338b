"""The inner split keeps patients whole and classes in proportion."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trabecula.case import Case, Event
from trabecula.learn.split import inner, inner_folds
from trabecula.target import get_target

_KNEE = get_target("osteoporosis_knee_label")


def _case(number, patient, truth, target=_KNEE):
    return Case(id=str(number), patient=str(patient), truth={} if truth is None else {target.id: truth})


@settings(max_examples=40, deadline=None)
@given(
    patients=st.lists(st.tuples(st.integers(0, 12), st.sampled_from([0, 1, None])), min_size=1, max_size=40),
    share=st.floats(0.05, 0.6),
    seed=st.integers(0, 5),
)
def test_no_patient_is_on_both_sides(patients, share, seed):
    sure = [(100, 0), (101, 0), (102, 1), (103, 1)]
    cases = [_case(n, patient, truth) for n, (patient, truth) in enumerate([*patients, *sure])]
    training, validation = inner(cases, _KNEE, share=share, rng=np.random.default_rng(seed))
    assert not {cases[i].patient for i in training} & {cases[i].patient for i in validation}
    assert sorted([*training, *validation]) == [i for i, case in enumerate(cases) if case.truth]
    assert {cases[i].truth[_KNEE.id] for i in validation} == {0, 1}


def test_each_class_gives_its_share():
    cases = [_case(n, n, int(n < 20)) for n in range(100)]
    _, validation = inner(cases, _KNEE, share=0.2, rng=np.random.default_rng(0))
    assert sum(cases[i].truth[_KNEE.id] for i in validation) == 4
    assert len(validation) == 20


def test_the_same_generator_gives_the_same_split():
    cases = [_case(n, n // 2, n // 2 % 2) for n in range(40)]
    a, b, c = (inner(cases, _KNEE, share=0.25, rng=np.random.default_rng(seed))[1].tolist() for seed in (0, 0, 1))
    assert a == b
    assert a != c


def test_what_cannot_be_split_is_refused():
    rng = np.random.default_rng(0)
    with pytest.raises(ValueError, match="only one patient has the class 'osteoporosis'"):
        inner([_case(0, "a", 0), _case(1, "b", 0), _case(2, "c", 1), _case(3, "c", 1)], _KNEE, share=0.2, rng=rng)
    with pytest.raises(ValueError, match="between 0 and 1"):
        inner([_case(n, n, n % 2) for n in range(8)], _KNEE, share=1.0, rng=rng)
    bmd = get_target("bmd_lumbar")
    with pytest.raises(ValueError, match="cannot be split"):
        inner([_case(0, "a", 1.0, bmd)], bmd, share=0.5, rng=rng)


def test_values_and_times_are_split_too():
    bmd, fracture = get_target("bmd_lumbar"), get_target("time_to_any_fracture")
    rng = np.random.default_rng(0)
    values = [_case(n, n, n / 40, bmd) for n in range(40)]
    _, validation = inner(values, bmd, share=0.2, rng=rng)
    assert [int(np.sum((validation >= low) & (validation < low + 10))) for low in (0, 10, 20, 30)] == [2, 2, 2, 2]
    times = [_case(n, n, Event(float(n), 1 if n < 8 else 0), fracture) for n in range(40)]
    _, validation = inner(times, fracture, share=0.25, rng=rng)
    assert int(np.sum(validation < 8)) == 2


@settings(max_examples=40, deadline=None)
@given(
    patients=st.lists(st.tuples(st.integers(0, 12), st.sampled_from([0, 1, None])), min_size=1, max_size=40),
    count=st.integers(2, 6),
    seed=st.integers(0, 5),
)
def test_every_labelled_case_validates_once_and_no_patient_is_on_both_sides(patients, count, seed):
    sure = [(100, 0), (101, 0), (102, 1), (103, 1)]
    cases = [_case(n, patient, truth) for n, (patient, truth) in enumerate([*patients, *sure])]
    folds = inner_folds(cases, _KNEE, count=count, rng=np.random.default_rng(seed))
    labelled = [index for index, case in enumerate(cases) if case.truth]
    assert sorted(index for _, held in folds for index in held) == labelled
    for training, held in folds:
        assert sorted([*training, *held]) == labelled
        assert not {cases[i].patient for i in training} & {cases[i].patient for i in held}
        assert {cases[i].truth[_KNEE.id] for i in training} == {0, 1}


def test_a_rare_class_makes_fewer_folds():
    cases = [_case(n, n, int(n < 3)) for n in range(40)]
    folds = inner_folds(cases, _KNEE, count=10, rng=np.random.default_rng(0))
    assert [sum(cases[i].truth[_KNEE.id] for i in held) for _, held in folds] == [1, 1, 1]
    with pytest.raises(ValueError, match="at least two folds"):
        inner_folds(cases, _KNEE, count=1, rng=np.random.default_rng(0))
