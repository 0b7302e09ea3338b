"""What makes this system itself: three inputs, two affine models solved by gradient descent, vertebra by vertebra."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from trabecula.case import Images
from trabecula.image import Image
from trabecula.prediction import Abstain, Prediction, score

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from trabecula.case import Case, TableValue
    from trabecula.system import Model, System
    from trabecula.target import Target

    Floats = NDArray[np.float64]

_SIDE = 12  # voxels of a made vertebra
_HU = {"L1": 80.0, "L2": 110.0, "L3": 150.0, "L4": 230.0}


def essence(system: System, cases: Sequence[Case]) -> None:
    """Assert affine answers from age, sex and HU alone, solved as in closed form, each vertebra by itself.

    Patients are made: a T-score that rises with HU and falls with age. Raises `AssertionError`.
    """
    made, t_scores = _made(system, cases[0])
    model = system.fit(made)
    for target in system.predicts:
        _follows_bone_and_age(model, made[0], target)
        _affine(model, made[0], target)
    _solved(model, made, t_scores)
    _each_vertebra(model, made[0])


def _made(system: System, case: Case) -> tuple[list[Case], Floats]:
    """Return patients with a table alone, and their T-scores."""
    rng = np.random.default_rng(0)
    age = rng.uniform(50, 90, 240)
    man = rng.integers(2, size=240)
    hu = 300 - 2.4 * age + rng.normal(0, 35, 240)
    t_score = -5.0 + 0.02 * hu - 0.01 * age + 0.1 * man + rng.normal(0, 0.3, 240)
    made = []
    for number, t in enumerate(t_score):
        truth = {each.id: _truth(each, t, t_score) for each in system.predicts}
        told = _patient(case, age[number], ("female", "male")[man[number]], hu[number])
        made.append(replace(told, id=str(number), patient=str(number), truth=truth))
    return made, t_score


def _truth(target: Target, t: float, everyone: Floats) -> float:
    """Return the T-score, or its grade, each of which has the same share of patients; lower T, higher grade."""
    if not target.classifies:
        return t
    cuts = np.quantile(everyone, np.linspace(0, 1, len(target.grades) + 1)[1:-1])
    return int(np.sum(t <= cuts))


def _patient(case: Case, age: float, sex: str, hu: float) -> Case:
    table: dict[str, TableValue] = {"age_years": float(age), "sex": sex, "mean_hu": float(hu)}
    return replace(case, table=table, images=Images({}), masks=Images({}), groups={}, part="")


def _follows_bone_and_age(model: Model, case: Case, target: Target) -> None:
    falling = -1 if target.classifies else 1
    thin, dense = (_patient(case, 70, "female", hu) for hu in (60, 200))
    young, old = (_patient(case, age, "female", 110) for age in (50, 90))
    worse, better, before, after = _scores(model, [thin, dense, young, old], target)
    if not falling * (better - worse) > 0.2:
        raise AssertionError(f"{target.id}: lower attenuation is worse bone; got {worse:.3g} and {better:.3g}")
    if not falling * (before - after) > 0:
        raise AssertionError(f"{target.id}: age raises the risk and lowers T here; got {before:.3g} and {after:.3g}")


def _affine(model: Model, case: Case, target: Target) -> None:
    """Second differences of the T-score, or of the log-odds of two grades, are 0 along HU and along age."""
    for along in (
        [_patient(case, 70, "male", hu) for hu in (90, 120, 150)],
        [_patient(case, age, "male", 120) for age in (60, 70, 80)],
    ):
        given = [answer[target.id] for answer in model.predict(along)]
        numbers = np.array([_linear(each) for each in given])
        if not np.allclose(np.diff(numbers, 2), 0, atol=1e-6) or not np.abs(np.diff(numbers)).max() > 1e-3:
            raise AssertionError(f"{target.id}: the answer is affine in HU and age; got {numbers}")


def _linear(prediction: Prediction) -> float:
    """Return a T-score, or the log-odds of the highest grade against the lowest."""
    p = getattr(prediction, "p", None)
    if p is None:
        return score(prediction)
    low, high = (p[0], p[-1]) if isinstance(p, tuple) else (1 - p, p)
    return float(np.log(high / low))


def _solved(model: Model, made: Sequence[Case], t_scores: Floats) -> None:
    """Assert that descent ends where least squares do, to 1e-3 on standardised inputs, with four weights a model."""
    for target in model.system.predicts:
        weights = model.state.arrays.get(target.id, np.zeros((0, 0)))
        outputs = len(target.grades) - 1 if target.classifies else 1
        if weights.shape != (outputs, 4):
            raise AssertionError(f"{target.id}: weights for age, sex, HU and a constant; got {weights.shape}")
        if target.classifies:
            continue
        rows = np.array([[c.number("age_years"), c.table["sex"] == "male", c.number("mean_hu")] for c in made], float)
        x = np.column_stack([(rows - rows.mean(axis=0)) / rows.std(axis=0), np.ones(len(rows))])
        closed = np.linalg.lstsq(x, t_scores, rcond=None)[0]
        if not np.allclose(weights[0], closed, atol=1e-3):
            raise AssertionError(f"{target.id}: descent ended at {weights[0]}, least squares are {closed}")


def _each_vertebra(model: Model, case: Case) -> None:
    """Assert that four vertebrae in a CT are answered as each alone would be, and the patient by their mean."""
    target = model.system.headline
    volume, mask = _spine()
    whole = replace(
        _patient(case, 70, "female", 100),
        images=Images({"lumbar_ct": volume}), masks=Images({"trabecular_region": mask}),
    )  # fmt: skip
    alone = [_patient(case, 70, "female", hu) for hu in _HU.values()]
    parts = _scores(model, alone, target)
    (together,) = _scores(model, [whole], target)
    expected = float(np.mean(parts))
    if getattr(model.system, "unit", "vertebra") == "patient":
        (expected,) = _scores(model, [_patient(case, 70, "female", float(np.mean(list(_HU.values()))))], target)
    if not np.isclose(together, expected, atol=1e-4) or not np.ptp(parts) > 0.1:
        raise AssertionError(f"the unit is the vertebra: {parts} become {together:.4g}")


def _spine() -> tuple[Image, Image]:
    """Return a CT of four even boxes one above another, and their mask."""
    voxels = np.zeros((len(_HU) * _SIDE, _SIDE, _SIDE), dtype=np.float32)
    labels = np.zeros(voxels.shape, dtype=np.uint8)
    inner = slice(2, _SIDE - 2)
    for place, hu in enumerate(reversed(_HU.values())):
        voxels[place * _SIDE : (place + 1) * _SIDE] = hu
        labels[place * _SIDE + 2 : (place + 1) * _SIDE - 2, inner, inner] = len(_HU) - place
    names = {number + 1: name for number, name in enumerate(_HU)}
    spacing = (2.0, 1.0, 1.0)
    return (
        Image(voxels=voxels, unit="HU", spacing=spacing),
        Image(voxels=labels, unit="label", spacing=spacing, names=names),
    )


def _scores(model: Model, cases: Sequence[Case], target: Target) -> list[float]:
    given = [answer[target.id] for answer in model.predict(cases)]
    refused = [each.reason for each in given if isinstance(each, Abstain)]
    if refused:
        raise AssertionError(f"{target.id}: a vertebra with age, sex and HU is answered; got: {refused[0]}")
    return [score(each) for each in given]
