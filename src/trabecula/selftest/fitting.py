"""Checks of what fitting does, what it leaves alone, and what it leaves behind."""

from __future__ import annotations

import math
import random
import sys
import tempfile
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from trabecula import cache
from trabecula.case import Images
from trabecula.image import FileSource
from trabecula.selftest.subject import Subject, gap, require
from trabecula.selftest.watch import watched
from trabecula.system import Model

if TYPE_CHECKING:
    from collections.abc import Sequence

    from trabecula.case import Case
    from trabecula.prediction import Answer


def check_fitting_learns(subject: Subject) -> None:
    """Prevent a training step that is commented out from passing every test of shapes.

    Fitting to other patients with the same seed gives other answers and, in networks, other weights; the training
    loss of networks, in `State.facts["history"]["train_loss"]`, ends below where it began. Networks that are named in
    `State.facts["frozen"]` learn from something else than patients, whom they must not know.
    """
    theirs = subject.other.predict(subject.test)
    require(_worst(subject.answers, theirs) > 0, "fitting to other patients gives the same answers: nothing is learned")
    if not subject.system.has_networks:
        return
    ours, others = subject.model.state.networks, subject.other.state.networks
    frozen = set(subject.model.state.facts.get("frozen", ()))
    moved = {
        name
        for name in ours
        for weight, other in zip(ours[name].parameters(), others[name].parameters(), strict=True)
        if not np.array_equal(weight.detach().numpy(), other.detach().numpy())
    }
    require(not moved & frozen, f"patients change {', '.join(sorted(moved & frozen))}, which should not know them")
    require(
        moved or frozen >= set(ours), "fitting to other patients gives the same weights: no training step reaches them"
    )
    losses = subject.model.state.facts.get("history", {}).get("train_loss", [])
    require(len(losses) > 1, 'keep the training loss of each epoch in State.facts["history"]["train_loss"]')
    finite = all(math.isfinite(loss) for loss in losses)
    require(finite and losses[-1] < losses[0], f"the training loss went from {losses[0]:.4g} to {losses[-1]:.4g}")


def check_fitting_changes_nothing_else(subject: Subject) -> None:
    """Prevent a model from answering with what a later fit left behind.

    Fitting changes neither the recipe nor the answers of a model that was fitted before.
    """
    before, other = subject.answers, subject.other
    require(subject.system.settings() == subject.settings, "fitting changed the settings of the recipe")
    kind = type(subject.system)
    hidden = [name for name in vars(subject.system) if name not in kind.__dataclass_fields__]
    hidden = [name for name in hidden if not isinstance(getattr(kind, name, None), cached_property)]
    require(not hidden, f"fitting left {', '.join(hidden)} on the recipe: return it in the State")
    require(other.system == subject.system, "the model carries another recipe than the one that was fitted")
    after = subject.model.predict(subject.test)
    require(_worst(before, after) == 0, "a later fit changed the answers of an earlier model: it keeps state outside")


def check_same_seed_same_answer(subject: Subject) -> None:
    """Prevent a result that nobody can repeat.

    A second fit with the same seed gives identical answers, and fitting and predicting leave the global random state
    of python, numpy and torch as it was.
    """
    ours, before = subject.answers, _chance()
    again = subject.system.fit(subject.train, seed=subject.seed).predict(subject.test)
    worst = _worst(ours, again)
    require(worst == 0, f"the same seed gives answers {worst:.2g} apart: draw from run.rng or seed with run.seed")
    changed = [name for name, state in _chance().items() if state != before.get(name, state)]
    require(not changed, f"the global random state of {', '.join(changed)} was changed")


def check_saved_model_is_the_model(subject: Subject) -> None:
    """Prevent the deployed model from being another than the tested one.

    Loaded answers are identical, and a file of which one byte was altered is refused with `ValueError`.
    """
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder) / "model"
        subject.model.save(place)
        loaded = Model.load(place, recipe=type(subject.system))
        worst = _worst(subject.answers, loaded.predict(subject.test))
        require(worst == 0, f"answers are {worst:.2g} apart after saving and loading")
        for file in (file for file in sorted(place.rglob("*")) if file.is_file()):
            content = file.read_bytes()
            file.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
            refused = False
            try:
                Model.load(place, recipe=type(subject.system))
            except ValueError:
                refused = True
            require(refused, f"{file.name} was altered and the model was loaded nevertheless")
            file.write_bytes(content)


def check_neither_calls_out_nor_litters(subject: Subject) -> None:
    """Prevent patients' data from leaving the hospital, and a system from failing where there is no internet.

    Fitting works with the network refused, and asks for it only when it then states in `State.facts["weights"]`
    where its pretrained weights came from; predicting, saving and loading never ask. Nothing is written outside of
    the folders that were given and the cache.
    """
    train, test = ([_anchored(case) for case in side] for side in (subject.train, subject.test))
    rooms = [room] if (room := cache.folder()) else []
    _ = subject.answers  # what is imported or downloaded once for all is not this system's
    with tempfile.TemporaryDirectory() as given:
        with watched(Path(given), *rooms) as while_fitting:
            model = subject.system.fit(train, seed=subject.seed, folder=Path(given) / "training")
        with watched(Path(given), *rooms) as afterwards:
            model.save(Path(given) / "model")
            Model.load(Path(given) / "model", recipe=type(subject.system))
            model.predict(test)
    called = [] if "weights" in model.state.facts else while_fitting.calls
    require(not called, f"fitting called {', '.join(called)}")
    require(not afterwards.calls, f"predicting or saving called {', '.join(afterwards.calls)}")
    written = [*while_fitting.writes, *afterwards.writes]
    require(not written, f"it writes {', '.join(written)} outside of the folder given and the cache")


def _worst(ours: Sequence[Answer], theirs: Sequence[Answer]) -> float:
    return max(gap(a, b) for a, b in zip(ours, theirs, strict=True))


def _chance() -> dict[str, Any]:
    name, keys, *rest = np.random.get_state()  # noqa: NPY002 the global state is what must not change
    states: dict[str, Any] = {"python": random.getstate(), "numpy": (name, np.asarray(keys).tolist(), rest)}
    if torch := sys.modules.get("torch"):
        states["torch"] = torch.random.get_rng_state().tolist()
    return states


def _anchored(case: Case) -> Case:
    """Return a case whose files are found from any working folder."""
    return replace(case, images=_absolute(case.images), masks=_absolute(case.masks))


def _absolute(images: Images) -> Images:
    sources = {role: images.source(role) for role in images}
    return Images(
        {
            role: replace(source, path=source.path.absolute()) if isinstance(source, FileSource) else source
            for role, source in sources.items()
        }
    )
