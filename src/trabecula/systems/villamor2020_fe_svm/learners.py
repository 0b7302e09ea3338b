"""The four learners on a table of attributes, judged on patients that they never saw."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

import numpy as np

from trabecula.metrics import auc

if TYPE_CHECKING:
    from numpy.random import Generator
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]
    Whole = NDArray[np.intp]

Learner: TypeAlias = Literal["svm", "logistic", "neural", "forest"]
LEARNERS: tuple[Learner, ...] = ("svm", "logistic", "neural", "forest")
_CERTAIN = 1e-3  # a share of trees nearer to 0 or 1 than this has no odds
_STEPS = 5000


@dataclass(frozen=True, eq=False, kw_only=True)
class Table:
    """Attributes `[n, names]`, grades `[n]`, and inner folds by patient: training and held-out cases of each."""

    x: Floats
    grades: Whole
    folds: Sequence[tuple[Whole, Whole]]

    def reached(self, build: Callable[[], Any]) -> float:
        """Return the AUC on held-out patients, averaged over folds; of several grades, of each against the rest."""
        found = []
        for train, held in self.folds:
            estimator = build().fit(self.x[train], self.grades[train])
            told, classes = scores(estimator, self.x[held]), estimator.classes_
            above = classes[1:] if told.shape[1] == 1 else classes
            found += [float(auc(self.grades[held] == grade, told[:, n])) for n, grade in enumerate(above)]
        known = [each for each in found if not math.isnan(each)]
        return float(np.mean(known)) if known else 0.5

    def probability(self, build: Callable[[], Any]) -> Any:
        """Return Platt's scaling of scores, learned on patients that the models which scored them never saw."""
        from sklearn.linear_model import LogisticRegression  # noqa: PLC0415

        told = [scores(build().fit(self.x[train], self.grades[train]), self.x[held]) for train, held in self.folds]
        order = np.concatenate([held for _, held in self.folds])
        return LogisticRegression(C=1e3, max_iter=_STEPS).fit(np.concatenate(told), self.grades[order])


def scores(estimator: Any, x: Floats) -> Floats:
    """Return what ranks cases, `[n, 1]` or, of several grades, `[n, grades]`: distances or log-odds."""
    if hasattr(estimator, "decision_function"):
        return np.asarray(estimator.decision_function(x), dtype=float).reshape(len(x), -1)
    p = np.clip(estimator.predict_proba(x), _CERTAIN, 1 - _CERTAIN)
    odds = np.log(p / (1 - p))
    return np.asarray(odds[:, 1:] if p.shape[1] == 2 else odds)


def importance(estimator: Any, x: Floats, rng: Generator) -> list[float]:
    """Return how far scores move, in their own SD, when one attribute is dealt anew among the patients."""
    usual = scores(estimator, x)
    spread = float(usual.std()) or 1.0
    moved = []
    for column in range(x.shape[1]):
        dealt = x.copy()
        dealt[:, column] = rng.permutation(dealt[:, column])
        moved.append(float(np.abs(scores(estimator, dealt) - usual).mean() / spread))
    return moved


def svm(c: float, gamma: float) -> Any:
    """Return an SVM with an RBF kernel on z-scores, its penalty weighted by the inverse frequency of the classes."""
    from sklearn.svm import SVC  # noqa: PLC0415 keeps the catalogue light

    return _scaled(SVC(C=c, gamma=gamma, class_weight="balanced"))


def logistic(penalty: float) -> Any:
    """Return a logistic regression with an L2 penalty on z-scores."""
    from sklearn.linear_model import LogisticRegression  # noqa: PLC0415

    return _scaled(LogisticRegression(C=penalty, class_weight="balanced", max_iter=_STEPS))


def neural(hidden: int, decay: float, seed: int) -> Any:
    """Return a network with one hidden layer of tanh units on z-scores, by L-BFGS."""
    from sklearn.neural_network import MLPClassifier  # noqa: PLC0415

    network = MLPClassifier(
        (hidden,), activation="tanh", solver="lbfgs", alpha=decay, max_iter=_STEPS, tol=1e-3, random_state=seed
    )
    return _scaled(network)


def forest(trees: int, seed: int) -> Any:
    """Return a random forest that looks at the square root of the number of attributes at a split."""
    from sklearn.ensemble import RandomForestClassifier  # noqa: PLC0415

    return _scaled(RandomForestClassifier(trees, class_weight="balanced", random_state=seed))


def _scaled(estimator: Any) -> Any:
    from sklearn.pipeline import make_pipeline  # noqa: PLC0415
    from sklearn.preprocessing import StandardScaler  # noqa: PLC0415

    return make_pipeline(StandardScaler(), estimator)
