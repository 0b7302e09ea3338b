"""Liu et al. 2022: who has osteoporosis, from what is known of a person: demographics, laboratory, texture in a CT.

Three nested layers: the first looks at demographic values, the second also at laboratory values, the third also at the
texture of trabecular bone in a CT made for another reason. A person is answered by the deepest layer whose columns
they have, so a missing CT costs depth and not the answer. As a cascade, only those whom a layer suspects go on to
the next: `stages` counts who needs which.

The paper's comparison of six classifiers is `--vary learner=logistic,svm,ann,forest,boosted,stacking`, once for each
layer by `--set deepest=1` to 3; that of the layers is `--vary deepest=1,2,3`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np

from trabecula import cache
from trabecula.learn.split import inner_folds
from trabecula.learn.tabular import labelled, predictions
from trabecula.prediction import Abstain, Answer, Prediction
from trabecula.state import State
from trabecula.system import Evidence, Inputs, Model, Run, System, guess, paper
from trabecula.systems.liu2022_hierarchical.classifiers import Grids, probabilities, trained
from trabecula.systems.liu2022_hierarchical.screening import Screen, screened
from trabecula.systems.liu2022_hierarchical.texture import FEATURES, middle_slices, vertebral_texture
from trabecula.target import VARIABLES

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from trabecula.case import Case
    from trabecula.state import Json

    Floats = NDArray[np.float64]

BLOCKS = ("demographic", "laboratory", "texture")

_CT, _REGION = "lumbar_ct", "trabecular_region"
_NOT_READ = "the paper's hyper-parameters were not found"


@dataclass(frozen=True, kw_only=True)
class HierarchicalScreening(System):
    """Three layers of classifiers, each on the columns that differ between the classes in training."""

    learner: Literal["logistic", "svm", "ann", "forest", "boosted", "stacking"] = paper(
        "logistic", "abstract: the AUCs that it states; all six are compared in every layer"
    )
    deepest: Literal[1, 2, 3] = paper(3, "abstract: demographic characteristics, laboratory tests and CT")
    cascade: bool = guess(False, "whether only those a layer suspects go on was not found; else all go as deep as data")
    above_years: float = paper(40.0, "abstract: people older than 40 years; others are neither learned from nor told")
    significance: float = paper(0.05, "abstract: p below 0.05")
    redundancy: float = guess(0.9, "|r| from which columns are redundant; the paper's criterion was not found")
    missing: float = guess(0.3, "share of gaps from which a column is dropped; not found")
    grey_levels: int = guess(32, "not found")
    low_hu: float = guess(-200.0, "not found; HU below are taken for it")
    high_hu: float = guess(1000.0, "not found; HU above are taken for it")
    folds: int = guess(5, "for settings, thresholds and the stacking; not found")
    logistic_c: tuple[float, ...] = guess((0.01, 0.1, 1.0, 10.0), _NOT_READ)
    svm_c: tuple[float, ...] = guess((0.1, 1.0, 10.0, 100.0), _NOT_READ + "; the RBF kernel was")
    svm_gamma: tuple[float | Literal["scale"], ...] = guess(("scale", 0.01, 0.1), _NOT_READ)
    hidden: int = guess(16, _NOT_READ)
    alpha: float = guess(1e-3, _NOT_READ)
    iterations: int = guess(500, _NOT_READ)
    trees: int = guess(300, _NOT_READ)
    least_in_leaf: int = guess(3, _NOT_READ)
    rounds: int = guess(200, _NOT_READ + "; boosting is CatBoost's, the paper's is XGBoost's")
    depth: int = guess(3, _NOT_READ)
    learning_rate: float = guess(0.05, _NOT_READ)
    sample: float = guess(0.8, "share of people and of columns that a boosted tree sees; " + _NOT_READ)

    sizes: ClassVar[Mapping[str, Mapping[str, Any]]] = {
        "small": {"folds": 3, "trees": 100, "rounds": 100, "learning_rate": 0.1, "svm_c": (1.0, 10.0)},
        "tiny": {
            "folds": 3, "trees": 20, "rounds": 20, "learning_rate": 0.3, "iterations": 100, "logistic_c": (0.1, 1.0),
            "svm_c": (1.0,), "svm_gamma": ("scale",),
        },
    }  # fmt: skip

    def inputs(self) -> Inputs:
        """Return what is handed over: without a CT for two layers, without laboratory values for one."""
        declared = super().inputs()
        if self.deepest == 3:
            return declared
        laboratory = set(declared.optional) if self.deepest == 1 else set()
        return declared.model_copy(
            update={
                "images": (), "masks": (),
                "table": tuple(name for name in declared.table if name not in laboratory),
                "optional": tuple(n for n in declared.optional if n in declared.table and n not in laboratory),
            }
        )  # fmt: skip

    def _fit(self, cases: Sequence[Case], run: Run) -> State:
        known, grades = labelled([case for case in cases if self._reason(case) is None], self.headline)
        if len(set(grades.tolist())) < 2:
            raise ValueError(f"{self.id()}: nobody above {self.above_years:g} years, or all with the same truth")
        table, people, columns = self._table(known, run), np.arange(len(known)), list[str]()
        layers: list[dict[str, Any]] = []
        screening: dict[str, Any] = {}
        estimators: dict[str, Any] = {}
        unseen: list[Floats] = []
        for block, own in self._blocks().items():
            held = people[~np.isnan(table.of(own)[people]).all(axis=1)]
            _, counts = np.unique(grades[held], return_counts=True)
            if len(counts) < 2 or counts.min() < 2:
                screening[block] = {"people": len(held), "layer": "none: too few people have these values"}
                continue
            people = held
            kept, report = screened(table.of(own)[people], grades[people], own, self._screen, coded=("sex",))
            screening[block] = {"people": len(people), **report}
            columns = [*columns, *kept]
            mine = [known[each] for each in people]
            layer, fitted, answers = self._layer(block, table.of(columns)[people], grades[people], mine, run)
            layers.append({**layer, "columns": columns})
            estimators |= {f"{block}.{name}": estimator for name, estimator in fitted.items()}
            unseen.append(np.full(len(known), np.nan))
            unseen[-1][people] = answers[:, -1]
        if not layers:
            raise ValueError(f"{self.id()}: no layer can be learned; each class needs two people with its values")
        facts = {
            "screening": screening,
            "layers": layers,
            "training": _stages(unseen, [each["cut"] for each in layers]),
        }
        return State(facts=facts, estimators=estimators)

    def _layer(
        self, block: str, x: Floats, grades: NDArray[np.intp], cases: Sequence[Case], run: Run
    ) -> tuple[dict[str, Any], Mapping[str, Any], Floats]:
        """Return a layer's facts, its estimators, and what it says of people it had not seen `[n, classes]`."""
        classes, y = np.unique(grades, return_inverse=True)
        shares = np.bincount(y) / len(y)
        middle = np.nanmedian(x, axis=0)
        filled = np.where(np.isnan(x), middle, x)
        layer = {
            "block": block, "classes": classes.tolist(), "shares": shares.tolist(),
            "middle": middle.tolist(), "mean": filled.mean(axis=0).tolist(),
            "sd": np.where(filled.std(axis=0) > 0, filled.std(axis=0), 1.0).tolist(),
        }  # fmt: skip
        if not x.shape[1]:
            return layer | {"cut": 0.0}, {}, np.tile(shares, (len(y), 1))
        run.progress(BLOCKS.index(block), len(BLOCKS), f"{self.learner} on {block}: {x.shape[1]} columns")
        rng = np.random.default_rng([run.seed, BLOCKS.index(block)])  # a layer's folds hang on no other layer
        folds = inner_folds(cases, self.headline, count=self.folds, rng=rng)
        grids = Grids(**{each.name: getattr(self, each.name) for each in fields(Grids)})
        found = trained(self.learner, _scaled(x, layer), y, folds, grids, seed=run.seed)
        return layer | {"cut": _youden(found.unseen[:, -1], y == y.max())}, found.estimators, found.unseen

    def _predict(self, state: State, cases: Sequence[Case]) -> list[Answer]:
        told = self._told(state, cases)
        answers: list[Answer] = []
        for number, case in enumerate(cases):
            answer: Prediction
            if (reason := self._reason(case)) is not None:
                answer = Abstain(reason)
            else:
                layer = self._depth(state, told[:, number])
                classes = state.facts["layers"][layer]["classes"]
                answer = predictions(self.headline, told[layer, number, None, : len(classes)], classes)[0]
            answers.append({self.headline.id: answer})
        return answers

    def _explain(self, state: State, case: Case, target: str) -> Evidence | None:
        """Tell the layer that answers, what each layer says, the share of each column, and the slices measured."""
        if self._reason(case) is not None:
            return None
        told, layers = self._told(state, [case])[:, 0], state.facts["layers"]
        depth = self._depth(state, told)
        layer, known = layers[depth], ~np.isnan(told[:, 0])
        numbers = {"layer": depth + 1.0, "layers with data": float(known.sum())}
        for each, said in zip(layers, told, strict=True):
            if np.isfinite(said[0]):
                numbers[f"p of the {each['block']} layer"] = float(said[len(each["classes"]) - 1])
        method = f"layer {depth + 1} of {len(layers)} ({layer['block']}) answers; p is that of its highest class"
        if self.learner == "logistic" and layer["columns"]:
            logistic = state.estimators[f"{layer['block']}.logistic"]
            x = _scaled(self._table([case]).of(layer["columns"]), layer)[0]
            numbers["expected"] = float(logistic.intercept_[-1])
            numbers |= dict(zip(layer["columns"], map(float, logistic.coef_[-1] * x), strict=True))
            method += f"; columns: coefficient times scaled value, which with `expected` add up to log-odds of {target}"
        if _CT in case.images and _REGION in case.masks:
            reason = self._texture(case)[1]
            method += f"; CT not measured: {reason}" if reason else ""
            if layer["block"] == "texture":
                return Evidence(heat={_CT: middle_slices(case.masks[_REGION])}, numbers=numbers, method=method)
        return Evidence(numbers=numbers, method=method)

    def _told(self, state: State, cases: Sequence[Case]) -> Floats:
        """Return what each layer says of each case `[layer, case, class]`; NaN where the case lacks its columns."""
        layers = state.facts["layers"]
        told = np.full((len(layers), len(cases), max(len(layer["classes"]) for layer in layers)), np.nan)
        table, blocks = self._table(cases), self._blocks()
        held = np.ones(len(cases), dtype=bool)
        for number, layer in enumerate(layers):
            x = table.of(layer["columns"])
            held &= ~np.isnan(table.of(blocks[layer["block"]])).all(axis=1) & ~np.isnan(x).any(axis=1)
            if not held.any():
                break
            estimators = {
                name.removeprefix(f"{layer['block']}."): each
                for name, each in state.estimators.items()
                if name.startswith(f"{layer['block']}.")
            }
            shares = np.tile(layer["shares"], (int(held.sum()), 1))
            found = probabilities(self.learner, estimators, _scaled(x[held], layer)) if estimators else shares
            told[number, held, : found.shape[1]] = found
        return told

    def _depth(self, state: State, told: Floats) -> int:
        """Return the index of the layer that answers a person of whom the layers say `told` `[layer, class]`."""
        deepest = int(np.count_nonzero(~np.isnan(told[:, 0]))) - 1
        if not self.cascade:
            return deepest
        for number, layer in enumerate(state.facts["layers"][:deepest]):
            if told[number, len(layer["classes"]) - 1] < layer["cut"]:
                return number
        return deepest

    def _blocks(self) -> dict[str, list[str]]:
        """Return the names of the columns of each block."""
        inputs = self.inputs()
        blocks = {
            "demographic": [name for name in inputs.table if name not in inputs.optional],
            "laboratory": [name for name in inputs.table if name in inputs.optional],
            "texture": list(FEATURES),
        }
        return {block: blocks[block] for block in BLOCKS[: self.deepest]}

    def _table(self, cases: Sequence[Case], run: Run | None = None) -> _Table:
        """Return every column of cases; NaN where a value is not known."""
        blocks, rows = self._blocks(), []
        for number, case in enumerate(cases, 1):
            row = [_number(case, name) for block in BLOCKS[:2] for name in blocks.get(block, ())]
            if self.deepest == 3:
                row += self._texture(case)[0].tolist()
                if run is not None:
                    run.progress(number, len(cases), "texture")
            rows.append(row)
        return _Table([name for block in blocks.values() for name in block], np.array(rows, dtype=np.float64))

    def _texture(self, case: Case) -> tuple[Floats, str]:
        """Return the mean of each feature over the vertebrae of a case, and why there is none where there is none."""
        if not (_CT in case.images and _REGION in case.masks):
            return np.full(len(FEATURES), np.nan), "no CT with a region"
        settings = {"levels": self.grey_levels, "low_hu": self.low_hu, "high_hu": self.high_hu}
        try:
            found = cache.remember(
                vertebral_texture, case.images.source(_CT), case.masks.source(_REGION), settings=settings,
                package="trabecula.measure",
            )  # fmt: skip
        except ValueError as error:
            return np.full(len(FEATURES), np.nan), str(error)
        return np.asarray(found).mean(axis=0), ""

    @property
    def _screen(self) -> Screen:
        return Screen(significance=self.significance, redundancy=self.redundancy, missing=self.missing)

    def _reason(self, case: Case) -> str | None:
        """Say why a person is not one of those the layers are for; `None` for the others."""
        age = case.number("age_years")
        if age > self.above_years:
            return None
        return f"the layers are for people above {self.above_years:g} years; this one is {age:g}"


@dataclass(frozen=True, eq=False)
class _Table:
    """Columns by name: values `[case, name]`."""

    names: Sequence[str]
    values: Floats

    def of(self, names: Sequence[str]) -> Floats:
        """Return some of the columns."""
        return self.values[:, [self.names.index(name) for name in names]]


def stages(model: Model, cases: Sequence[Case]) -> list[dict[str, Any]]:
    """Return, layer by layer, how many of these people have its data, reach it and are answered by it.

    Raises `ValueError` for a case without the required inputs, as `explain`.
    """
    layers = model.state.facts["layers"]
    told = [evidence.numbers for case in cases if (evidence := model.explain(case)) is not None]
    return [
        {
            "layer": number,
            "block": layer["block"],
            "with_data": sum(each["layers with data"] >= number for each in told),
            "reached": sum(each["layer"] >= number for each in told),
            "answered": sum(each["layer"] == number for each in told),
        }
        for number, layer in enumerate(layers, 1)
    ]


def _stages(unseen: Sequence[Floats], cuts: Sequence[float]) -> list[dict[str, int]]:
    """Return how many of the training people have a layer's data and would reach it in a cascade."""
    passing = np.ones(len(unseen[0]), dtype=bool)
    rows = []
    for answers, cut in zip(unseen, cuts, strict=True):
        held = ~np.isnan(answers)
        rows.append({"with_data": int(held.sum()), "reached_in_cascade": int((held & passing).sum())})
        passing &= held & (answers >= cut)
    return rows


def _number(case: Case, name: str) -> float:
    if not VARIABLES[name].categorical:
        return case.number(name)
    return float(VARIABLES[name].codes.index(str(case.table[name]))) if name in case.table else float("nan")


def _scaled(x: Floats, layer: Json) -> Floats:
    """Fill gaps with the training median and bring columns to mean 0 and SD 1."""
    middle, mean, sd = (np.array(layer[name]) for name in ("middle", "mean", "sd"))
    return np.asarray((np.where(np.isnan(x), middle, x) - mean) / sd)


def _youden(answers: Floats, ill: NDArray[np.bool_]) -> float:
    """Return the cut at which sensitivity and specificity together are largest; from it on people are suspected."""
    cuts = np.unique(answers)
    suspected = answers[None, :] >= cuts[:, None]
    gain = (suspected & ill).sum(axis=1) / ill.sum() - (suspected & ~ill).sum(axis=1) / (~ill).sum()
    return float(cuts[int(np.argmax(gain))])
