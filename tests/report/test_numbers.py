"""From answers to numbers: parts become patients by the rule of the target, and nothing is counted twice."""

import json
import math

import numpy as np
import pytest

from trabecula import metrics
from trabecula.report.numbers import (
    Row,
    abstaining_as_negative,
    by_part,
    by_patient,
    compared,
    curves,
    figures,
    headline_metric,
)
from trabecula.target import get_target


def row(patient, truth, prediction, *, target="osteoporosis_dxa", part="", fold=0, abstained=""):
    return Row(
        system="s", role="system", protocol="kfold", target=target, case=f"{patient}{part}", part=part,
        patient=patient, fold=fold, truth=truth, prediction=prediction, abstained=abstained,
    )  # fmt: skip


def parts(truths, predictions, target, patient="p"):
    """One patient; a prediction of nothing is an abstention."""
    return [
        row(patient, truth, prediction, target=target, part=str(i), abstained="" if prediction is not None else "why")
        for i, (truth, prediction) in enumerate(zip(truths, predictions, strict=True))
    ]


@pytest.mark.parametrize(
    ("target", "truths", "predictions", "truth", "prediction"),
    [
        # The mean of a diagnosis, the maximum of a fracture; the truth of a class is its worst part.
        ("osteoporosis_dxa", (0, 1), (0.2, 0.6), 1, 0.4),
        ("vertebral_fracture", (0, 1, 0), (0.2, 0.1, 0.9), 1, 0.9),
        ("bmd_lumbar", (0.8, 1.0), (0.7, 0.9), 0.9, 0.8),
        ("bmd_lumbar", (0.8, 1.0), ({"value": 0.7, "low": 0.6, "high": 0.8}, 0.9), 0.9, 0.8),
        # Abstained parts are left out of the answer, never out of the truth.
        ("vertebral_fracture", (1, 0), (None, 0.3), 1, 0.3),
        ("bmd_lumbar", (0.8, 1.0), (0.7, None), 0.9, 0.7),
    ],
)
def test_parts_become_one_number(target, truths, predictions, truth, prediction):
    judged = by_patient(parts(truths, predictions, target))
    assert judged.patients == ("p",)
    assert judged.truth.tolist() == [pytest.approx(truth)]
    assert judged.prediction.tolist() == [pytest.approx(prediction)]
    assert judged.evaluable.all()


def test_grades_of_parts():
    mean = by_patient(parts((0, 2), ((1.0, 0, 0), (0, 0, 1.0)), "who_class_dxa"))
    assert mean.truth.tolist() == [2]
    assert mean.prediction.tolist() == [[0.5, 0, 0.5]]
    worst = by_patient(parts((0, 3), ((0.7, 0.3, 0, 0), (0.1, 0, 0, 0.9)), "genant_grade"))
    assert worst.prediction.tolist() == [[0.1, 0, 0, 0.9]]
    none = by_patient(parts((0, 2), (None, None), "who_class_dxa"))
    assert none.prediction.shape == (1, 3)
    assert not none.evaluable.any()


def curve(*incidence):
    return {
        "years": list(range(1, len(incidence) + 1)),
        "incidence": {"event": list(incidence), "death": [0.0] * len(incidence)},
    }


def test_times_to_event_of_parts():
    truths = [{"years": 5.0, "event": 0}, {"years": 3.0, "event": 1}, {"years": 1.0, "event": 2}]
    judged = by_patient(parts(truths, [curve(0.1, 0.2), curve(0.1, 0.6), curve(0, 0.1)], "time_to_vertebral_fracture"))
    assert judged.truth.tolist() == [[3, 1]]  # a fracture counts, whatever the other parts did
    assert judged.prediction.tolist() == [0.6]
    earlier = [{"years": 4.0, "event": 1}, {"years": 2.0, "event": 1}]
    assert by_patient(parts(earlier, [curve(0.1)] * 2, "time_to_vertebral_fracture")).truth.tolist() == [[2, 1]]


def test_a_patient_abstains_when_no_part_answered():
    judged = by_patient(
        [*parts((1, 0), (None, None), "osteoporosis_dxa", "a"), *parts((0,), (0.4,), "osteoporosis_dxa", "b")]
    )
    assert judged.patients == ("a", "b")
    assert judged.evaluable.tolist() == [False, True]
    assert judged.truth.tolist() == [1, 0]
    assert math.isnan(judged.prediction[0])


def test_every_part_stands_alone_beside():
    judged = by_part(parts((0, 1), (0.2, None), "osteoporosis_dxa"))
    assert judged.patients == ("p", "p")
    assert judged.evaluable.tolist() == [True, False]


@pytest.fixture
def many():
    rng = np.random.default_rng(3)
    truth = rng.integers(0, 2, 80)
    p = np.clip(truth * 0.3 + rng.uniform(0, 0.7, 80), 0, 1)
    return [row(f"p{i}", int(t), float(s), fold=i % 4) for i, (t, s) in enumerate(zip(truth, p, strict=True))]


def test_figures_are_those_of_the_metrics_over_folds(many):
    judged = by_patient(many)
    told = figures(judged, seed=5)
    assert set(told) == set(metrics.METRICS["binary"])
    for name, metric in metrics.METRICS["binary"].items():
        expected = metrics.interval(
            metric, judged.truth, judged.prediction, folds=judged.folds, patients=judged.patients, seed=5
        )
        assert told[name] == pytest.approx(expected.to_json())
    json.dumps(told, allow_nan=False)


def test_abstentions_do_not_count_as_answers(many):
    some = [row(r.patient, r.truth, None, fold=r.fold, abstained="why") if i < 20 else r for i, r in enumerate(many)]
    judged = by_patient(some)
    assert figures(judged) == figures(by_patient(many[20:]))
    missed = abstaining_as_negative(judged)
    counted = by_patient([row(r.patient, r.truth, 0.0 if r.abstained else r.prediction, fold=r.fold) for r in some])
    assert missed == figures(counted)
    assert abstaining_as_negative(by_patient(many)) == {}
    assert figures(by_patient([row("a", 1, None, abstained="why")])) == {}


def test_comparisons_are_on_the_patients_both_answered(many):
    ours = by_patient(many)
    theirs = by_patient([row(r.patient, r.truth, 1 - r.prediction, fold=r.fold) for r in reversed(many[:60])])
    found = compared(ours, theirs)
    same = by_patient(many[:60])
    assert found["patients"] == 60
    aucs = [
        metrics.interval(metrics.auc, same.truth, p, folds=same.folds).value
        for p in (same.prediction, 1 - same.prediction)
    ]
    assert found["value"] == pytest.approx(aucs[0] - aucs[1])
    silent = by_patient([row(r.patient, r.truth, None, fold=r.fold, abstained="why") for r in many])
    assert compared(ours, silent) is None


def test_curves_are_of_binary_answers_only(many):
    drawn = curves(by_patient(many))
    assert len(drawn["roc"]["true_positive_rate"]) == len(drawn["roc"]["false_positive_rate"])
    assert sum(b["n"] for b in drawn["calibration"]) == 80
    assert curves(by_patient([row("a", 1, 0.5), row("b", 1, 0.6)])) == {}
    assert curves(by_patient(parts((0.8,), (0.7,), "bmd_lumbar"))) == {}


def test_the_first_metric_heads_the_leaderboard():
    names = {
        "osteoporosis_dxa": "auc", "who_class_dxa": "quadratic_kappa", "bmd_lumbar": "mae",
        "time_to_hip_fracture": "c_index", "bone_mask": "dice",
    }  # fmt: skip
    assert {target: headline_metric(get_target(target)) for target in names} == names
