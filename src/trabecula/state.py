"""What fitting leaves behind, and how it lies on disk: without pickle, with checksums, whole or not at all."""

from __future__ import annotations

import hashlib
import json
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

if TYPE_CHECKING:
    import torch
    from numpy.typing import NDArray

Json: TypeAlias = Mapping[str, Any]

_CHECKSUMS = "checksums.json"
_MODEL = "model.json"
ESTIMATOR_TYPES = (
    "collections.OrderedDict",
    "numpy.dtype",
    "sklearn._loss._loss.CyHalfBinomialLoss",
    "sklearn._loss._loss.CyHalfMultinomialLoss",
    "sklearn._loss.link.Interval",
    "sklearn._loss.link.LogitLink",
    "sklearn._loss.link.MultinomialLogit",
    "sklearn._loss.loss.HalfBinomialLoss",
    "sklearn._loss.loss.HalfMultinomialLoss",
    "sklearn.neural_network._stochastic_optimizers.AdamOptimizer",
    "sklearn.neural_network._stochastic_optimizers.SGDOptimizer",
    "sklearn.tree._tree.Tree",
)
"""Types that skops does not trust by itself and that a saved estimator may hold. Anything else is refused."""


@dataclass(frozen=True, eq=False, kw_only=True)
class State:
    """What `_fit` returns: plain facts, arrays, networks and estimators, each under a name."""

    facts: Json = field(default_factory=dict)
    arrays: Mapping[str, NDArray[Any]] = field(default_factory=dict)
    networks: Mapping[str, torch.nn.Module] = field(default_factory=dict)
    estimators: Mapping[str, Any] = field(default_factory=dict)


@contextmanager
def whole(folder: Path) -> Iterator[Path]:
    """Give a temporary folder that becomes `folder` when the block ends well, and vanishes when it does not.

    Raises `FileExistsError` when `folder` is there already and not empty, and `OSError` that names it when it cannot
    be written, on a full disk for instance.
    """
    folder = folder.absolute()
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise FileExistsError(f"{folder} is there already: name another place or remove it first")
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        temporary = Path(tempfile.mkdtemp(dir=folder.parent, prefix=f".{folder.name}-"))
    except OSError as error:
        raise OSError(f"{folder} cannot be made ({error}): name another place") from error
    try:
        yield temporary
        temporary.chmod(0o755)
        if folder.exists():
            folder.rmdir()
        temporary.rename(folder)
    except BaseException as error:
        shutil.rmtree(temporary, ignore_errors=True)
        if isinstance(error, OSError):
            raise OSError(
                f"{folder} could not be written ({error}), so nothing was kept: free space there or name another place"
            ) from error
        raise


@contextmanager
def _failing_as_files_do(foreign: type[Exception]) -> Iterator[None]:
    """Turn the error with which a library says that it could not write into an `OSError`."""
    try:
        yield
    except foreign as error:
        raise OSError(str(error)) from error


def save_state(state: State, folder: Path, *, about: Json) -> None:
    """Write a state and what is known `about` it into an existing, empty folder.

    Networks and arrays as safetensors, estimators by skops or in CatBoost's own format, facts as JSON.
    Raises `TypeError` for an estimator that holds a type outside `ESTIMATOR_TYPES`.
    """
    formats = {}
    if state.arrays:
        from safetensors import SafetensorError  # noqa: PLC0415 only where there is something to save
        from safetensors.numpy import save_file  # noqa: PLC0415

        arrays = {name: _contiguous(array) for name, array in state.arrays.items()}
        with _failing_as_files_do(SafetensorError):
            save_file(arrays, folder / "arrays.safetensors")
    for name, network in state.networks.items():
        from safetensors import SafetensorError  # noqa: PLC0415
        from safetensors.torch import save_model  # noqa: PLC0415 loads torch

        with _failing_as_files_do(SafetensorError):
            save_model(network, str(folder / f"network.{name}.safetensors"))
    for name, estimator in state.estimators.items():
        formats[name] = _save_estimator(estimator, folder / f"estimator.{name}")
    model = {
        **about,
        "facts": state.facts,
        "networks": sorted(state.networks),
        "estimators": formats,
        "arrays": sorted(state.arrays),
    }
    (folder / _MODEL).write_text(json.dumps(model, indent=1, allow_nan=False), encoding="utf-8")
    (folder / _CHECKSUMS).write_text(json.dumps(_checksums(folder), indent=1), encoding="utf-8")


def read_about(folder: Path) -> dict[str, Any]:
    """Return what is known about a saved model after checking that every file is as it was written.

    Raises `ValueError` that names a file that is missing, new or altered.
    """
    try:
        written = dict(json.loads((folder / _CHECKSUMS).read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError) as error:
        raise ValueError(f"{folder} is no saved model: its {_CHECKSUMS} is missing or unreadable") from error
    found = _checksums(folder)
    for name in sorted({*written, *found}):
        if name not in found:
            raise ValueError(f"{folder}: {name} is missing; save the model again or copy the whole folder")
        if name not in written:
            raise ValueError(f"{folder}: {name} does not belong to this model; remove it")
        if written[name] != found[name]:
            raise ValueError(f"{folder}: {name} was altered since the model was saved; save the model again")
    about: dict[str, Any] = json.loads((folder / _MODEL).read_text(encoding="utf-8"))
    return about


def load_state(folder: Path, about: Json, *, networks: Callable[[Json], Mapping[str, torch.nn.Module]]) -> State:
    """Read a state; `networks` builds the empty networks from the facts, and their weights must fit exactly."""
    arrays: dict[str, NDArray[Any]] = {}
    if about["arrays"]:
        from safetensors.numpy import load_file  # noqa: PLC0415

        arrays = load_file(folder / "arrays.safetensors")
    built: dict[str, torch.nn.Module] = {}
    if about["networks"]:
        from safetensors.torch import load_model  # noqa: PLC0415

        built = dict(networks(about["facts"]))
        for name in about["networks"]:
            load_model(built[name], str(folder / f"network.{name}.safetensors"), strict=True)
            built[name].eval()
    estimators = {
        name: _load_estimator(folder / f"estimator.{name}", kind) for name, kind in about["estimators"].items()
    }
    return State(facts=about["facts"], arrays=arrays, networks=built, estimators=estimators)


def _save_estimator(estimator: Any, stem: Path) -> str:
    if type(estimator).__module__.startswith("catboost"):
        from catboost import CatBoostError  # noqa: PLC0415

        with _failing_as_files_do(CatBoostError):
            estimator.save_model(f"{stem}.cbm")
        return type(estimator).__name__
    import skops.io  # noqa: PLC0415 loads torch where it is installed

    path = Path(f"{stem}.skops")
    skops.io.dump(estimator, path)
    if strange := sorted(set(skops.io.get_untrusted_types(file=path)) - set(ESTIMATOR_TYPES)):
        raise TypeError(f"estimator {stem.name} holds types that are not on the list of state.py: {strange}")
    return "skops"


def _load_estimator(stem: Path, kind: str) -> Any:
    if kind == "skops":
        import skops.io  # noqa: PLC0415

        return skops.io.load(Path(f"{stem}.skops"), trusted=list(ESTIMATOR_TYPES))
    import catboost  # noqa: PLC0415

    if kind not in ("CatBoostClassifier", "CatBoostRegressor"):
        raise ValueError(f"{stem.name}: unknown kind of estimator {kind!r}")
    return getattr(catboost, kind)().load_model(f"{stem}.cbm")


def _checksums(folder: Path) -> dict[str, str]:
    return {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.name != _CHECKSUMS
    }


def _contiguous(array: NDArray[Any]) -> NDArray[Any]:
    import numpy as np  # noqa: PLC0415

    return np.asarray(array, order="C")  # np.ascontiguousarray would give a single number an axis
