"""Kong et al. 2020: fragility fracture from a wide clinical table by CatBoost, beside its rivals SVM and logistic.

Every column but age may be missing, and a column that no training case has is dropped. CatBoost is given codes and
yes/no values as categories: a yes/no with a missing answer has three states without an order, and a code such as the
ethnic group never had one. It turns them into numbers itself (one-hot for two states, ordered target statistics for
more), so a gap in an answer is a state of its own and nothing is filled in. Numbers keep their gaps too: trees send a
missing one to the low side. The rivals cannot do this, so theirs are filled, scaled and one-hot encoded.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np

from trabecula.learn.split import inner
from trabecula.learn.tabular import encoded, feature_names, labelled, learned_columns, predictions, present
from trabecula.prediction import Answer
from trabecula.state import State
from trabecula.system import Evidence, Run, System, guess, paper, threads
from trabecula.target import VARIABLES

if TYPE_CHECKING:
    from catboost import Pool

    from trabecula.case import Case

_READ_NOWHERE = "the paper's settings were not found"


@dataclass(frozen=True, kw_only=True)
class CatBoostOnTable(System):
    """Gradient-boosted symmetric trees on a table with gaps and categories, stopped early on held-out patients."""

    learner: Literal["catboost", "svm", "logistic"] = paper("catboost", "abstract; the other two are its rivals there")
    trees: int = guess(1000, _READ_NOWHERE)
    patience: int = guess(50, _READ_NOWHERE)
    depth: int = guess(6, _READ_NOWHERE + "; CatBoost's own default")
    learning_rate: float = guess(0.03, _READ_NOWHERE)
    l2_leaf: float = guess(3.0, _READ_NOWHERE + "; CatBoost's own default")
    held_out: float = guess(0.2, "share of patients for early stopping, and for the probabilities of the SVM")
    c: float = guess(1.0, "penalty of SVM (RBF kernel) and logistic regression; scikit-learn's default")

    sizes: ClassVar[Mapping[str, Mapping[str, Any]]] = {
        "small": {"trees": 300, "learning_rate": 0.1, "patience": 30},
        "tiny": {"trees": 40, "learning_rate": 0.3, "patience": 10, "depth": 4},
    }

    def _fit(self, cases: Sequence[Case], run: Run) -> State:
        known, grades = labelled(cases, self.headline)
        names = present(known, self.inputs().table)
        run.progress(0, 1, f"{self.learner} on {len(known)} cases, {len(names)} columns")
        if self.learner == "catboost":
            return self._fit_trees(known, grades, names, run)
        from sklearn.linear_model import LogisticRegression  # noqa: PLC0415 only the rivals need it
        from sklearn.svm import SVC  # noqa: PLC0415

        if self.learner == "logistic":
            columns = learned_columns(known, names)
            risk = LogisticRegression(C=self.c, max_iter=2000).fit(encoded(known, columns), grades)
            return State(facts={"columns": columns}, estimators={"risk": risk})
        train, held = inner(known, self.headline, share=self.held_out, rng=run.rng)
        columns = learned_columns([known[i] for i in train], names)
        x = encoded(known, columns)
        svm = SVC(C=self.c, gamma="scale").fit(x[train], grades[train])
        scores = svm.decision_function(x[held]).reshape(len(held), -1)
        probability = LogisticRegression().fit(scores, grades[held])  # Platt's scaling, on patients the SVM never saw
        return State(facts={"columns": columns}, estimators={"risk": svm, "probability": probability})

    def _fit_trees(self, cases: Sequence[Case], grades: Any, names: Sequence[str], run: Run) -> State:
        from catboost import CatBoostClassifier  # noqa: PLC0415 keeps the catalogue light

        train, held = inner(cases, self.headline, share=self.held_out, rng=run.rng)
        model = CatBoostClassifier(
            iterations=self.trees,
            depth=self.depth,
            learning_rate=self.learning_rate,
            l2_leaf_reg=self.l2_leaf,
            boosting_type="Ordered",
            loss_function="Logloss" if len(self.headline.grades) == 2 else "MultiClass",
            random_seed=run.seed,
            thread_count=threads(),
            allow_writing_files=False,
            logging_level="Silent",
        )
        model.fit(
            _pool([cases[i] for i in train], names, grades[train]),
            eval_set=_pool([cases[i] for i in held], names, grades[held]),
            early_stopping_rounds=self.patience,
            use_best_model=True,
        )
        shares = model.get_feature_importance(type="PredictionValuesChange")
        ranked = sorted(zip(names, map(float, shares), strict=True), key=lambda pair: -pair[1])
        facts = {"names": list(names), "importance": [list(pair) for pair in ranked], "trees": model.tree_count_}
        return State(facts=facts, estimators={"risk": model})

    def _predict(self, state: State, cases: Sequence[Case]) -> list[Answer]:
        risk = last = state.estimators["risk"]
        if self.learner == "catboost":
            probabilities = risk.predict_proba(_pool(cases, state.facts["names"]), thread_count=threads())
        else:
            x = encoded(cases, state.facts["columns"])
            if self.learner == "svm":
                x, last = risk.decision_function(x).reshape(len(cases), -1), state.estimators["probability"]
            probabilities = last.predict_proba(x)
        answers = predictions(self.headline, np.asarray(probabilities), [int(grade) for grade in last.classes_])
        return [{self.headline.id: answer} for answer in answers]

    def _explain(self, state: State, case: Case, target: str) -> Evidence | None:
        """Give each variable's share in the log-odds of the answer (of the highest grade, where there are several)."""
        risk = state.estimators["risk"]
        if self.learner == "catboost":
            shares = risk.get_feature_importance(
                _pool([case], state.facts["names"]), type="ShapValues", thread_count=threads()
            )[0]
            values = shares[-1] if shares.ndim == 2 else shares  # [grades,] features and the expected answer
            numbers = dict(zip((*state.facts["names"], "expected"), map(float, values), strict=True))
            return Evidence(numbers=numbers, method=f"TreeSHAP by CatBoost, log-odds of {target}: they add up to it")
        if self.learner == "svm":
            return None
        numbers = {"expected": float(risk.intercept_[-1])}
        shares = risk.coef_[-1] * encoded([case], state.facts["columns"])[0]
        for name, share in zip(feature_names(state.facts["columns"]), shares, strict=True):
            numbers[name] = numbers.get(name, 0.0) + float(share)
        return Evidence(numbers=numbers, method=f"coefficient times scaled value, log-odds of {target}: they add up")


def _pool(cases: Sequence[Case], names: Sequence[str], grades: Any = None) -> Pool:
    from catboost import Pool  # noqa: PLC0415

    categories = [name for name in names if VARIABLES[name].categorical or VARIABLES[name].unit == "0/1"]
    rows = [[_state(case, name) if name in categories else case.number(name) for name in names] for case in cases]
    return Pool(rows, grades, cat_features=categories, feature_names=list(names), thread_count=threads())


def _state(case: Case, name: str) -> str:
    value = case.table.get(name, "missing")
    return value if isinstance(value, str) else f"{value:g}"
