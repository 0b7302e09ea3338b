"""What makes this system itself: physics that obeys itself, then a learner that needs what physics found."""
# ruff: noqa: S101 an essence is a list of assertions

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from trabecula.case import Case, Images
from trabecula.learn.tabular import labelled
from trabecula.measure.elements import dxa_fall
from trabecula.metrics import auc
from trabecula.prediction import score
from trabecula.systems.villamor2020_fe_svm.attributes import ATTRIBUTES, CLINICAL, RESPONSE, attributes
from trabecula.systems.villamor2020_fe_svm.learners import LEARNERS
from trabecula.systems.villamor2020_fe_svm.system import FallAndSvm

if TYPE_CHECKING:
    from trabecula.system import Model, System

_ASKED = 40  # cases that are learned from and asked about
_MAP = "hip_dxa"


def essence(system: System, cases: Sequence[Case]) -> None:
    """Assert what the card's `essence` says; hips that break are those that bend most in the fall.

    Raises `AssertionError`.
    """
    assert isinstance(system, FallAndSvm)
    assert len(ATTRIBUTES) == 19, "the main set-up has 19 attributes"
    assert replace(system, attributes="clinical").names == tuple(n for n in CLINICAL if n in system.inputs().table)
    _physics(system, cases[0])
    made = _bent(system, cases)
    middle = 2 * len(made) // 3
    model, test = system.fit(made[:middle]), made[middle:]
    broken = labelled(test, system.headline)[1]
    assert auc(broken, _answers(model, test)) > 0.8, "hips that bend most in the fall are told from the others"
    compared = model.state.facts["comparison"]
    assert set(LEARNERS) <= set(compared), "all four learners are trained and compared"
    assert "bmd" in compared, "and with BMD alone"
    for learner in LEARNERS:
        other = replace(system, learner=learner, compare=False).fit(made[:middle])
        assert np.ptp(_answers(other, test)) > 0, f"{learner} answers everybody alike"
    blind = replace(system, attributes="clinical", compare=False).fit(made[:middle])
    assert np.abs(_answers(blind, test) - _answers(model, test)).max() > 0.05, "mechanical attributes change answers"
    sparse = [_with_mineral(case, 0.85) for case in test]
    raised = _answers(model, sparse) > _answers(model, test)
    assert raised.mean() > 0.7, f"with less mineral in the same map the risk rises; in {raised.sum()} of {len(test)}"
    _strain_explains(model, test[0])


def _physics(system: FallAndSvm, case: Case) -> None:
    """Assert that forces are in balance, that strain grows with the patient's weight, and as mineral shrinks."""
    image, mask = case.images[_MAP], case.masks["proximal_femur"]
    how = {"element_mm": system.element_mm, "density": system.density}
    told = {n.name: n.value for n in dxa_fall(image, mask, force_n=2000.0, **how)}  # type: ignore[arg-type]
    assert math.isclose(told["reaction"], 2000.0, rel_tol=1e-3), f"supports push back {told['reaction']:.1f} of 2000 N"
    half = _with_mineral(case, 0.5)
    table = {**case.table, "weight_kg": 2 * case.number("weight_kg")}
    usual, sparse, heavy = (attributes(each, **how) for each in (case, half, replace(case, table=table)))  # type: ignore[arg-type]
    for name in RESPONSE:
        assert math.isclose(heavy[name], 2 * usual[name], rel_tol=1e-6), f"twice the force is not twice the {name}"
        if "strain" in name:
            assert abs(sparse[name]) > 1.5 * abs(usual[name]), f"half the mineral does not raise the {name}"


def _with_mineral(case: Case, share: float) -> Case:
    """Return the case with a share of the mineral in its map, and the same table."""
    image = case.images[_MAP]
    return replace(case, images=Images({_MAP: image.with_voxels(image.voxels * np.float32(share))}))


def _bent(system: FallAndSvm, cases: Sequence[Case]) -> list[Case]:
    """Return cases of which every second one breaks: those with the larger strain of the neck."""
    made, strains = [], []
    for case in cases[:_ASKED]:
        try:
            found = attributes(case, element_mm=system.element_mm, density=system.density)
        except ValueError:
            continue
        made.append(case)
        strains.append(-found["neck_minor_strain_p5"])
    limit = float(np.median(strains))
    return [
        replace(case, id=str(n), patient=str(n), truth={system.headline.id: int(strain > limit)})
        for n, (case, strain) in enumerate(zip(made, strains, strict=True))
    ]


def _strain_explains(model: Model, case: Case) -> None:
    evidence = model.explain(case)
    assert evidence is not None, "it says what an answer rests on"
    inside = case.masks["proximal_femur"].voxels > 0
    assert evidence.heat[_MAP][inside].max() > 0, "bone is strained in the fall"
    assert not evidence.heat[_MAP][~inside].any(), "strain lies in the bone"


def _answers(model: Model, cases: Sequence[Case]) -> np.ndarray:
    return np.array([score(answer[model.system.headline.id]) for answer in model.predict(cases)])
