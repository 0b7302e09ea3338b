"""The six classifiers of a layer: five, each chosen among its settings by folds, and a stacking of the five."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from trabecula.system import threads

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]
    Grades = NDArray[np.intp]
    Folds = Sequence[tuple[Grades, Grades]]

Learner = Literal["logistic", "svm", "ann", "forest", "boosted", "stacking"]
FIVE: tuple[Learner, ...] = ("logistic", "svm", "ann", "forest", "boosted")

_PROBABILITY = "_probability"
_LEAST = 1e-6  # probability that a wrong certainty is taken for when candidates are compared


@dataclass(frozen=True, kw_only=True)
class Grids:
    """Settings of the five, and those that are tried."""

    logistic_c: tuple[float, ...]
    svm_c: tuple[float, ...]
    svm_gamma: tuple[float | Literal["scale"], ...]
    hidden: int
    alpha: float
    iterations: int
    trees: int
    least_in_leaf: int
    rounds: int
    depth: int
    learning_rate: float
    sample: float


@dataclass(frozen=True, eq=False)
class Trained:
    """Estimators by name, and what they say `[n, classes]` of training people they had not seen."""

    estimators: Mapping[str, Any]
    unseen: Floats


def trained(learner: Learner, x: Floats, y: Grades, folds: Folds, grids: Grids, *, seed: int) -> Trained:
    """Fit a classifier to features `[n, columns]` and classes 0, 1, ... `[n]`.

    Among several settings the one with the smallest log loss over the folds is taken. The stacking is a logistic
    regression on the five's answers to people they had not seen.
    """
    if learner != "stacking":
        return min(
            (_trained(learner, make, x, y, folds) for make in _candidates(learner, grids, seed, classes=y.max() + 1)),
            key=lambda each: _log_loss(each.unseen, y),
        )
    from sklearn.linear_model import LogisticRegression  # noqa: PLC0415 keeps the catalogue light

    five = {name: trained(name, x, y, folds, grids, seed=seed) for name in FIVE}
    told = _side_by_side([five[name].unseen for name in FIVE])
    last = LogisticRegression(max_iter=2000).fit(told, y)
    estimators = {name: estimator for each in five.values() for name, estimator in each.estimators.items()}
    return Trained({**estimators, "stacking": last}, last.predict_proba(told))


def probabilities(learner: Learner, estimators: Mapping[str, Any], x: Floats) -> Floats:
    """Return probabilities `[n, classes]`."""
    if learner == "stacking":
        x = _side_by_side([probabilities(name, estimators, x) for name in FIVE])
    estimator = estimators[learner]
    if learner == "svm":
        x, estimator = _margins(estimator, x), estimators[learner + _PROBABILITY]
    return np.asarray(estimator.predict_proba(x), dtype=np.float64)


def _trained(learner: Learner, make: Callable[[], Any], x: Floats, y: Grades, folds: Folds) -> Trained:
    """Fit one candidate to everybody, and in turns to all but those it is then asked about."""
    ask = _margins if learner == "svm" else lambda estimator, rows: estimator.predict_proba(rows)
    parts = [(held, ask(_fitted(make(), x[rest], y[rest]), x[held])) for rest, held in folds]
    unseen = np.empty((len(y), parts[0][1].shape[1]))
    for held, told in parts:
        unseen[held] = told
    estimators: dict[str, Any] = {learner: _fitted(make(), x, y)}
    if learner == "svm":  # Platt's scaling, on distances to borders that those asked about had not moved
        from sklearn.linear_model import LogisticRegression  # noqa: PLC0415

        platt = estimators[learner + _PROBABILITY] = LogisticRegression(max_iter=2000).fit(unseen, y)
        unseen = platt.predict_proba(unseen)
    return Trained(estimators, unseen)


def _candidates(learner: Learner, grids: Grids, seed: int, *, classes: int) -> list[Callable[[], Any]]:
    """Return makers of unfitted estimators, one a setting that is tried."""
    match learner:
        case "logistic":
            from sklearn.linear_model import LogisticRegression  # noqa: PLC0415

            return [partial(LogisticRegression, C=c, max_iter=2000) for c in grids.logistic_c]
        case "svm":
            from sklearn.svm import SVC  # noqa: PLC0415

            return [partial(SVC, C=c, gamma=gamma) for c in grids.svm_c for gamma in grids.svm_gamma]
        case "ann":
            from sklearn.neural_network import MLPClassifier  # noqa: PLC0415

            return [partial(MLPClassifier, (grids.hidden,), alpha=grids.alpha, max_iter=grids.iterations,
                            random_state=seed)]  # fmt: skip
        case "forest":
            from sklearn.ensemble import RandomForestClassifier  # noqa: PLC0415

            return [partial(RandomForestClassifier, grids.trees, min_samples_leaf=grids.least_in_leaf,
                            class_weight="balanced", random_state=seed, n_jobs=1)]  # fmt: skip
        case _:
            from catboost import CatBoostClassifier  # noqa: PLC0415

            return [partial(CatBoostClassifier, iterations=grids.rounds, depth=grids.depth,
                            learning_rate=grids.learning_rate, bootstrap_type="Bernoulli", subsample=grids.sample,
                            rsm=grids.sample, loss_function="Logloss" if classes == 2 else "MultiClass",
                            random_seed=seed, thread_count=threads(), allow_writing_files=False,
                            logging_level="Silent")]  # fmt: skip


def _fitted(estimator: Any, x: Floats, y: Grades) -> Any:
    from sklearn.exceptions import ConvergenceWarning  # noqa: PLC0415

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # the network stops where the recipe says
        return estimator.fit(x, y)


def _margins(estimator: Any, x: Floats) -> Floats:
    """Return the SVM's distances to its borders `[n, borders]`."""
    return np.asarray(estimator.decision_function(x), dtype=np.float64).reshape(len(x), -1)


def _side_by_side(told: Sequence[Floats]) -> Floats:
    """Return answers as features; the first class is what the others leave."""
    return np.concatenate([each[:, 1:] for each in told], axis=1)


def _log_loss(unseen: Floats, y: Grades) -> float:
    return float(-np.log(np.maximum(unseen[np.arange(len(y)), y], _LEAST)).mean())
