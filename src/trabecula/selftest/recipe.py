"""Checks of what stands written: the card, the settings, the size of the networks, the imports."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import fields
from operator import attrgetter
from pathlib import Path
from typing import TYPE_CHECKING, Any

from trabecula.selftest.subject import NoMeaningError, Subject, require
from trabecula.system import from_settings, isolated

if TYPE_CHECKING:
    from torch import nn

    from trabecula.system import System

_OUT_OF_SIGHT = ("cohort", "cohorts", "evaluation", "protocol", "phantom", "dicom")
_PROBE = "import importlib, json, sys; importlib.import_module(sys.argv[1]); print(json.dumps(sorted(sys.modules)))"


def check_card_is_complete(subject: Subject) -> None:
    """Prevent a guess from being quoted as the paper's.

    Every setting says whether it is the paper's or ours and why, and nothing is the paper's on a card on which
    nothing was read. The card has facts, data, weaknesses and sources.
    """
    card = subject.system.card()
    if card.role == "baseline":
        raise NoMeaningError("a baseline has no paper")
    empty = [
        name for name in ("authors", "anatomies", "data", "facts", "weaknesses", "sources") if not getattr(card, name)
    ]
    require(not empty, f"the card lacks {', '.join(empty)}")
    settings = [each for each in fields(subject.system) if each.name != "targets"]
    for each in settings:
        told = each.metadata.get("origin") in ("paper", "guess") and str(each.metadata.get("note", "")).strip()
        require(told, f"setting {each.name!r} does not say where it comes from: write paper(...) or guess(...)")
    quoted = [each.name for each in settings if each.metadata["origin"] == "paper"]
    read = any(fact.origin == "read" for fact in card.facts)
    require(read or not quoted, f"{', '.join(quoted)} are paper(...), but no fact on the card was read")


def check_class_agrees_with_card(subject: Subject) -> None:
    """Prevent facts that are kept in two places from drifting apart.

    Folder, inputs and targets of the class with its own settings are those of the card.
    """
    kind = type(subject.system)
    card, usual = kind.card(), kind()
    folder = Path(str(sys.modules[kind.__module__].__file__)).parent.name
    require(card.id == folder, f"the card says id {card.id!r}, the folder is {folder!r}")
    asked = tuple(target.id for target in usual.predicts)
    require(asked == card.targets, f"the class answers {asked}, the card says {card.targets}")
    require(usual.inputs() == card.inputs, f"the class asks for {usual.inputs()}, the card says {card.inputs}")


def check_settings_survive_json(subject: Subject) -> None:
    """Prevent a saved model from coming back as another recipe.

    Settings become JSON and back the same; so do those of every size, of which there are at least `small` and `tiny`.
    """
    kind = type(subject.system)
    require({"small", "tiny"} <= set(kind.sizes), "sizes has `small` and `tiny`, if need be without a change")
    recipes = [subject.system, *(from_settings(kind, settings) for settings in kind.sizes.values())]
    for recipe in recipes:
        back = from_settings(kind, json.loads(json.dumps(recipe.settings())))
        changed = [each.name for each in fields(recipe) if getattr(recipe, each.name) != getattr(back, each.name)]
        require(not changed, f"{', '.join(changed)} come back from JSON as something else: give them a stricter type")


def check_imports_only_what_it_needs(subject: Subject) -> None:
    """Prevent a system from seeing the split or the source of its data, and a table model from waiting for torch.

    Importing its module in a new process loads no cohort, protocol, phantom or DICOM, and torch only for networks.
    """
    command = [sys.executable, "-c", _PROBE, type(subject.system).__module__]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)  # noqa: S603 our own
    require(done.returncode == 0, f"cannot be imported alone: {done.stderr.strip().splitlines()[-1:]}")
    loaded = set(json.loads(done.stdout.splitlines()[-1]))
    seen = [f"trabecula.{room}" for room in _OUT_OF_SIGHT if f"trabecula.{room}" in loaded]
    require(not seen, f"importing it loads {', '.join(seen)}, which a system may not see")
    require(subject.system.has_networks or "torch" not in loaded, "importing it loads torch, and it has no networks")


def check_parameters_are_the_published(subject: Subject) -> None:
    """Prevent another network from carrying the paper's name.

    At the paper's size every part named on the card has as many trainable parameters as were published.
    """
    published = subject.system.card().trainable_parameters
    if not published:
        raise NoMeaningError("the card states no number of parameters")
    networks = _at_paper_size(subject.system, subject.model.state.facts)
    for name, count in published.items():
        built = _count(networks, name)
        require(built is not None, f"no network or part is called {name!r}; there are {', '.join(networks)}")
        require(built == count, f"{name} has {built} trainable parameters, the card says {count}")


def _at_paper_size(system: System, facts: Mapping[str, object]) -> Mapping[str, nn.Module]:
    """Build the networks at the paper's size, without memory for their weights where that is possible."""
    import torch  # noqa: PLC0415 only for systems with networks

    usual = from_settings(type(system), {"targets": system.targets})
    with isolated(0, torch_too=True):
        try:
            with torch.device("meta"):
                return usual._networks(facts)
        except (RuntimeError, NotImplementedError, ValueError):
            return usual._networks(facts)


def _count(networks: Mapping[str, nn.Module], name: str) -> int | None:
    """Count the trainable parameters of a network, of an attribute path in one, or of a timm backbone in one.

    `<backbone>.features` of a backbone that has no such attribute is the backbone without its classifier.
    """
    if name in networks:
        return _parameters(networks[name])
    for key, network in networks.items():
        for path in (name.removeprefix(f"{key}."), name):
            with suppress(AttributeError):
                return _parameters(attrgetter(path)(network))
    backbone, _, part = name.partition(".")
    modules: list[Any] = [module for network in networks.values() for module in network.modules()]
    named = [each for each in modules if getattr(each, "pretrained_cfg", {}).get("architecture") == backbone]
    if not named:
        return None
    if part == "features" and not hasattr(named[0], part):
        return _parameters(named[0]) - _parameters(named[0].get_classifier())
    return _parameters(attrgetter(part)(named[0]) if part else named[0])


def _parameters(module: nn.Module) -> int:
    return sum(each.numel() for each in module.parameters() if each.requires_grad)
