"""What makes this system this system: two paths added on each picture, and branches that never meet."""
# ruff: noqa: S101 an essence is a list of assertions

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch.nn import functional

from trabecula.case import Images
from trabecula.image import Image
from trabecula.learn.separable import separable
from trabecula.metrics import auc
from trabecula.prediction import score
from trabecula.systems.kucukciloglu2023_mri_ct.system import MriCt, summed_loss

if TYPE_CHECKING:
    from trabecula.case import Case
    from trabecula.system import Model, System

_ROLES = ("lumbar_mri", "lumbar_ct")
_TOTALS = {"mri": 569_793, "multimodal": 1_409_922}  # parameters as Keras counts them, non-trainable ones included


def essence(system: System, cases: Sequence[Case]) -> None:
    """Assert what the card's `essence` says; on slices of `cases` made separable.

    Raises `AssertionError` where it does not hold.
    """
    assert isinstance(system, MriCt)
    assert system.experiment == "multimodal", "the multimodal model is what is looked at; the others are its branches"
    cases = [_sliced(system, case) for case in cases if not case.lacks(_ROLES)]
    for role in _ROLES:
        cases = separable(cases, role, system.headline)
    model = system.fit(cases)
    highest = [case.truth[system.headline.id] == len(system.headline.grades) - 1 for case in cases]
    for role in _ROLES:
        alone = [replace(case, images=case.images.only([role])) for case in cases]
        assert auc(highest, _answers(model, alone)) > 0.8, f"after fitting, {role} alone must tell pictures apart"
    _branches_never_meet(model, cases)
    for role in _ROLES:
        _two_paths_are_added(model, cases, role)
    _losses_are_summed()
    _published_sizes(system)


def _sliced(system: MriCt, case: Case) -> Case:
    """Return a case whose volumes are the middle one of the slices that the network sees."""
    seen = {role: system._seen(case, role) for role in _ROLES}
    pictures = {role: Image(voxels=each[len(each) // 2][None], unit="stored") for role, each in seen.items()}
    return replace(case, images=Images(pictures))


def _branches_never_meet(model: Model, cases: Sequence[Case]) -> None:
    truths = [case.truth[model.system.headline.id] for case in cases]
    one, other = (cases[truths.index(each)] for each in (min(truths), max(truths)))  # type: ignore[type-var]
    for role, kept in (_ROLES, _ROLES[::-1]):
        mixed = replace(one, images=Images({kept: one.images[kept], role: other.images[role]}))
        before, after = (_outputs(model, case) for case in (one, mixed))
        assert before[kept] == after[kept], f"the output of {kept} must not change, by a bit, with {role}"
        assert before[role] != after[role], f"the output of {role} must change with {role}"


def _two_paths_are_added(model: Model, cases: Sequence[Case], role: str) -> None:
    branch: Any = model.state.networks["multimodal"].get_submodule(f"branches.{role}")
    parts = [branch.pooling, branch.strided, branch.merge]
    passed: list[tuple[torch.Tensor, torch.Tensor]] = []
    hooks = [
        part.register_forward_hook(lambda _module, given, output: passed.append((given[0], output))) for part in parts
    ]
    _outputs(model, cases[0])
    for hook in hooks:
        hook.remove()
    assert len(passed) == len(parts), "the answers must come through both paths and their sum"
    (picture, pooled), (same_picture, strided), (added, _) = passed
    assert torch.equal(picture, same_picture), "both paths must see the same picture"
    assert picture.shape[1:] == (3, 80, 60), f"the input is 3 x 80 x 60, not {tuple(picture.shape[1:])}"
    assert 0 <= picture.min() <= picture.max() <= 1, "the input lies between 0 and 1"
    assert torch.equal(pooled + strided, added), "the paths must be added"
    for path in (branch.pooling, branch.strided):
        before = _outputs(model, cases[0])[role]
        hook = path.register_forward_hook(lambda _module, _given, output: torch.zeros_like(output))
        after = _outputs(model, cases[0])[role]
        hook.remove()
        assert before != after, "each path must count in the answer"


def _losses_are_summed() -> None:
    logits, grades = torch.tensor([[[0.3], [-1.2]], [[2.0], [0.1]]]), torch.tensor([[1, 0], [1, 1]])
    each = [functional.binary_cross_entropy(logits[:, n, 0].sigmoid(), grades[:, n].float()) for n in (0, 1)]
    assert torch.isclose(summed_loss(logits, grades), each[0] + each[1]), "losses are summed with equal weights"


def _published_sizes(system: MriCt) -> None:
    usual = MriCt()
    for experiment, published in _TOTALS.items():
        with torch.device("meta"):
            networks = replace(usual, experiment=experiment)._networks({})  # type: ignore[arg-type]
        (network,) = networks.values()
        statistics = [each for name, each in network.named_buffers() if "running" in name]
        counted = sum(each.numel() for each in (*network.parameters(), *statistics))
        assert counted == published, f"{experiment} has {counted} parameters, published are {published}"
    assert system.card().trainable_parameters["multimodal"] == published - 512


def _outputs(model: Model, case: Case) -> dict[str, float]:
    evidence = model.explain(case)
    assert evidence is not None, "every branch keeps an output of its own"
    return dict(evidence.numbers)


def _answers(model: Model, cases: Sequence[Case]) -> Any:
    return np.array([score(answer[model.system.headline.id]) for answer in model.predict(cases)])
