"""Automated machine learning: many classifiers and a stack of the best, compared by folds; the leader stays."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]
    Whole = NDArray[np.intp]
    Folds = Sequence[tuple[Whole, Whole]]

Learner: TypeAlias = Literal["logistic", "svm", "forest", "extra_trees", "boosting", "mlp"]
LEARNERS: tuple[Learner, ...] = ("logistic", "svm", "forest", "extra_trees", "boosting", "mlp")
STACK = "stack"

_PENALTIES = (0.01, 0.1, 1.0, 10.0, 100.0, 1000.0)
_STEPS = 2000
_LEAST = 1e-3  # a probability below this counts as this, so that one sure mistake does not decide


@dataclass(frozen=True, eq=False, kw_only=True)
class Leader:
    """The classifier that stays, and what all of them reached."""

    name: str
    estimators: Mapping[str, Any]
    """One, or those of the stack and `stack` itself."""
    board: Mapping[str, float]
    """Log-loss over the folds by name, classes weighing alike, the best first; empty where none could be compared."""


def led(x: Floats, y: Whole, folds: Folds, *, learners: Sequence[Learner], trees: int, seed: int) -> Leader:
    """Compare classifiers on features `[n, columns]` and classes 0, 1, ... `[n]`, and fit the one with the least loss.

    The stack is a logistic regression on what the best of each kind say of cases they were not fitted to. Without
    folds there is nothing to compare: the first candidate is taken as it is.
    """
    candidates = _candidates(learners, trees, seed)
    if not folds:
        name = next(iter(candidates))
        return Leader(name=name, estimators={name: _fitted(candidates[name](), x, y)}, board={})
    unseen = {name: _unseen(make, x, y, folds) for name, make in candidates.items()}
    board = {name: _log_loss(told, y) for name, told in unseen.items()}
    best = [min((name for name in board if _kind(name) == kind), key=board.__getitem__) for kind in learners]
    told = _side_by_side([unseen[name] for name in best])
    if len(best) > 1:
        board[STACK] = _log_loss(_unseen(_meta, told, y, folds), y)
    board = dict(sorted(board.items(), key=lambda each: each[1]))
    leader = next(iter(board))
    if leader != STACK:
        return Leader(name=leader, estimators={leader: _fitted(candidates[leader](), x, y)}, board=board)
    fitted = {name: _fitted(candidates[name](), x, y) for name in best}
    return Leader(name=STACK, estimators={**fitted, STACK: _fitted(_meta(), told, y)}, board=board)


def probabilities(estimators: Mapping[str, Any], x: Floats) -> Floats:
    """Return the leader's probabilities `[n, classes]`."""
    if STACK not in estimators:
        (leader,) = estimators.values()
        return _told(leader, x)
    told = [_told(each, x) for name, each in estimators.items() if name != STACK]
    return _told(estimators[STACK], _side_by_side(told))


def _candidates(learners: Sequence[Learner], trees: int, seed: int) -> dict[str, Callable[[], Any]]:
    """Return makers of unfitted classifiers by name, at most 20, the plainest of a kind first."""
    from sklearn.ensemble import ExtraTreesClassifier, GradientBoostingClassifier, RandomForestClassifier  # noqa: PLC0415
    from sklearn.linear_model import LogisticRegression  # noqa: PLC0415 keeps the catalogue light
    from sklearn.neural_network import MLPClassifier  # noqa: PLC0415
    from sklearn.svm import SVC  # noqa: PLC0415

    kinds: dict[Learner, dict[str, Callable[[], Any]]] = {
        "logistic": {f"{c:g}": partial(LogisticRegression, C=c, solver="newton-cholesky") for c in _PENALTIES},
        "svm": {f"{c:g}": partial(SVC, C=c) for c in (0.1, 1.0, 10.0)},
        "forest": {f"{n}": partial(RandomForestClassifier, trees, min_samples_leaf=n, random_state=seed)
                   for n in (1, 3)},
        "extra_trees": {f"{n}": partial(ExtraTreesClassifier, trees, min_samples_leaf=n, random_state=seed)
                        for n in (1, 3)},
        "boosting": {f"{n}": partial(GradientBoostingClassifier, n_estimators=max(10, trees // 4), max_depth=n,
                                           subsample=0.8, max_features="sqrt", random_state=seed) for n in (1, 2)},
        "mlp": {f"{a:g}": partial(MLPClassifier, (16,), alpha=a, solver="lbfgs", max_iter=200, random_state=seed)
                for a in (1.0, 10.0)},
    }  # fmt: skip
    return {f"{kind}-{setting}": make for kind in learners for setting, make in kinds[kind].items()}


def _kind(name: str) -> str:
    return name.partition("-")[0]


def _meta() -> Any:
    from sklearn.linear_model import LogisticRegression  # noqa: PLC0415

    return LogisticRegression(C=0.1, max_iter=_STEPS)


def _unseen(make: Callable[[], Any], x: Floats, y: Whole, folds: Folds) -> Floats:
    """Return what classifiers say of cases that they were not fitted to, `[n, classes]`."""
    told = np.empty((len(y), y.max() + 1))
    for rest, held in folds:
        told[held] = _told(_fitted(make(), x[rest], y[rest]), x[held])
    return told


def _fitted(estimator: Any, x: Floats, y: Whole) -> Any:
    """Fit with classes weighing alike, however many cases each has."""
    from sklearn.exceptions import ConvergenceWarning  # noqa: PLC0415

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # the network stops where the recipe says
        return estimator.fit(x, y, sample_weight=_weights(y))


def _told(estimator: Any, x: Floats) -> Floats:
    """Return probabilities; of an SVM, which has none, its margins taken for logits."""
    if hasattr(estimator, "predict_proba"):
        return np.asarray(estimator.predict_proba(x), dtype=np.float64)
    margins = np.asarray(estimator.decision_function(x), dtype=np.float64).reshape(len(x), -1)
    if margins.shape[1] == 1:
        margins = np.hstack([-margins, margins])
    raised = np.exp(margins - margins.max(axis=1, keepdims=True))
    return np.asarray(raised / raised.sum(axis=1, keepdims=True))


def _side_by_side(told: Sequence[Floats]) -> Floats:
    """Return log-probabilities of several classifiers as features."""
    return np.concatenate([np.log(np.maximum(each, _LEAST)) for each in told], axis=1)


def _weights(y: Whole) -> Floats:
    counts = np.bincount(y)
    return np.asarray(len(y) / (np.count_nonzero(counts) * counts[y]))


def _log_loss(told: Floats, y: Whole) -> float:
    loss = -np.log(np.maximum(told[np.arange(len(y)), y], _LEAST))
    return float(np.average(loss, weights=_weights(y)))
