"""What makes this system this system: six models from one path, views as channels, three covariates before the end."""
# ruff: noqa: S101 an essence is a list of assertions

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import product
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from trabecula.case import Images
from trabecula.image import Image
from trabecula.learn.separable import separable
from trabecula.metrics import auc
from trabecula.prediction import Abstain, score
from trabecula.systems.mao2022_spine_covariates.patients import COVARIATES
from trabecula.systems.mao2022_spine_covariates.system import SpineCovariates

if TYPE_CHECKING:
    from trabecula.case import Case
    from trabecula.system import Model, System

_VIEWS = {"ap": ("spine_xray_ap",), "lateral": ("spine_xray_lateral",), "both": ("spine_xray_ap", "spine_xray_lateral")}
_DENSENET121 = 6_953_856  # parameters before its classifier, with three channels: Huang et al., CVPR 2017


def essence(system: System, cases: Sequence[Case]) -> None:
    """Assert what the card's `essence` says; on `cases` made separable.

    Who may be in a cohort, and how it is split, belongs to the cohort and the protocol, not to the recipe.
    Raises `AssertionError` where it does not hold.
    """
    assert isinstance(system, SpineCovariates)
    assert COVARIATES == ("age_years", "sex", "bmi_kg_m2"), "the covariates are age, gender and BMI, and no other"
    for views, covariates in product(_VIEWS, (False, True)):
        _is_one_of_six(replace(system, views=views, covariates=covariates))  # type: ignore[arg-type]
    _published_network(replace(SpineCovariates(targets=system.targets), views=system.views))
    roles = system.inputs().images
    cases = _prepared(system, [case for case in cases if not case.lacks((*roles, *COVARIATES))])
    for role in roles:
        cases = separable(cases, role, system.headline)
    model = system.fit(cases)
    answers = _answers(model, cases)
    highest = [case.truth[system.headline.id] == len(system.headline.grades) - 1 for case in cases]
    assert auc(highest, answers) > 0.8, "after fitting it must tell pictures from negatives"
    if len(roles) > 1:
        swapped = [_with_films(case, dict(zip(roles, reversed(roles), strict=True))) for case in cases]
        assert _most_change(model, swapped, answers), "swapping the AP and the lateral film must change the answer"
    for role in roles:
        lacking = replace(cases[0], images=cases[0].images.only([each for each in roles if each != role]))
        assert all(isinstance(each, Abstain) for each in model.predict([lacking])[0].values()), (
            f"answers without {role}"
        )
    older = [replace(case, table={**case.table, "age_years": case.number("age_years") + 10}) for case in cases]
    assert _most_change(model, older, answers) == system.covariates, "age counts in the clinical mode, and only there"


def _is_one_of_six(variant: SpineCovariates) -> None:
    inputs = variant.inputs()
    assert inputs.images == _VIEWS[variant.views], f"{variant.views} looks at {inputs.images}"
    assert inputs.table == (COVARIATES if variant.covariates else ()), "without covariates no table is asked for"
    assert not inputs.optional, "no view and no covariate may be missing"
    network: Any = variant._networks({})["network"].eval()
    channels = len(_VIEWS[variant.views])
    films, clinical = torch.rand(2, channels, 64, 64), torch.rand(2, len(COVARIATES), requires_grad=True)
    right, wrong = ([films, clinical], [films]) if variant.covariates else ([films], [films, clinical])
    logits = network(right)
    assert logits.shape == (2, len(variant.headline.grades)), "there is one logit a class"
    if variant.covariates:
        (slope,) = torch.autograd.grad(logits[:, 0].sum(), clinical)
        assert (slope.abs().max(dim=0).values > 0).any(), "covariates must reach the classifier"
    for given in (wrong, [torch.rand(2, channels + 1, 64, 64), *right[1:]]):
        assert _refuses(network, given), "covariates in the image mode, or another number of views, must be refused"


def _refuses(network: Any, given: Sequence[torch.Tensor]) -> bool:
    try:
        network(given)
    except ValueError:
        return True
    return False


def _published_network(recipe: SpineCovariates) -> None:
    """DenseNet-121 ends in 1024 features; 16 of the covariates join them."""
    with torch.device("meta"):
        network: Any = recipe._networks({})["network"]
    first = network.trunk.features.conv0
    views = len(recipe.inputs().images)
    assert (first.in_channels, first.out_channels, first.kernel_size) == (views, 64, (7, 7)), "views are channels"
    assert network.trunk.num_features == 1024
    trunk = sum(each.numel() for each in network.trunk.parameters())
    assert trunk == _DENSENET121 - (3 - views) * first.weight[:, 0].numel(), "the trunk is DenseNet-121"
    assert [tuple(each.weight.shape) for each in network.head if hasattr(each, "weight")] == [
        (128, 1024 + 16),
        (len(recipe.headline.grades), 128),
    ]


def _prepared(system: SpineCovariates, cases: Sequence[Case]) -> list[Case]:
    """Return cases whose films are those that the network sees: they are remembered, and small."""
    roles = system.inputs().images
    films = {role: system._films(cases, role) for role in roles}
    return [
        replace(
            case,
            images=Images(
                {role: Image(voxels=films[role][n][None], unit="stored", space="detector") for role in roles}
            ),
        )
        for n, case in enumerate(cases)
    ]


def _with_films(case: Case, shown: dict[str, str]) -> Case:
    return replace(case, images=Images({role: case.images.source(other) for role, other in shown.items()}))


def _most_change(model: Model, cases: Sequence[Case], answers: Any) -> bool:
    return bool(np.mean(np.abs(_answers(model, cases) - answers) > 1e-6) > 0.5)


def _answers(model: Model, cases: Sequence[Case]) -> Any:
    return np.array([score(answer[model.system.headline.id]) for answer in model.predict(cases)])
