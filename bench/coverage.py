"""Whether our intervals hold the truth in 95 % of studies and our tests find differences in 5 % where there are none.

`python bench/coverage.py` simulates some minutes of studies whose truth is known and prints each rate with its Monte
Carlo interval; `--runs 4000` makes the intervals a third. Two normals of known distance give the AUC of a hold-out set;
logistic models on normal features, whose AUC is a formula of their weights, give that of every fitted model.
"""

from __future__ import annotations

import argparse
import json
import math
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray
from scipy.stats import norm, ttest_1samp

from trabecula import metrics

Floats: TypeAlias = NDArray[np.float64]
Study: TypeAlias = Callable[[np.random.Generator], dict[str, bool]]
FOLDS, REPEATS = 5, 10


# One study: what is true, and which claims were right ---------------------------------------------------------------


def hold_out(n: int, share: float, area: float) -> Study:
    """Measure an AUC on a hold-out set of n patients, of whom a share are cases, in three ways."""
    cases = round(n * share)
    truth = np.repeat([1, 0], (cases, n - cases))
    apart = math.sqrt(2) * norm.ppf(area)

    def study(rng: np.random.Generator) -> dict[str, bool]:
        score = rng.normal(apart * truth)
        return {
            "bootstrap": holds(metrics.auc_interval(truth, score, seed=int(rng.integers(2**31)), draws=1000), area),
            "DeLong": holds(metrics.delong_interval(truth, score), area),
            "Newcombe": holds(metrics.newcombe_interval(truth, score), area),
        }

    return study


def two_on_hold_out(n: int, share: float, correlation: float) -> Study:
    """Compare two systems of the same AUC on the same hold-out patients."""
    cases = round(n * share)
    truth = np.repeat([1, 0], (cases, n - cases))

    def study(rng: np.random.Generator) -> dict[str, bool]:
        common, own = rng.normal(size=n), rng.normal(size=(2, n))
        a, b = truth + math.sqrt(correlation) * common + math.sqrt(1 - correlation) * own
        found = metrics.difference(metrics.auc, truth, a, b, seed=int(rng.integers(2**31)), draws=1000)
        return {"DeLong": metrics.delong_difference(truth, a, b).p < 0.05, "bootstrap": not holds(found, 0)}

    return study


def fitted_models(n: int, effect: float) -> Study:
    """Measure the mean AUC of the models of five folds, which is known, by bootstrap within folds and of all."""

    def study(rng: np.random.Generator) -> dict[str, bool]:
        truth, features = patients(rng, n, [effect] * 4)
        folds = dealt(rng, truth, 1)
        weights, scores = out_of_fold(features, truth, folds)
        area = norm.cdf(effect * weights.sum(axis=1) / np.sqrt(2 * (weights**2).sum(axis=1))).mean()
        found = metrics.auc_interval(truth, scores, folds=folds[0], seed=int(rng.integers(2**31)), draws=1000)
        pooled = metrics.auc_interval(truth, scores, seed=int(rng.integers(2**31)), draws=1000)
        return {"bootstrap within folds": holds(found, area), "bootstrap of pooled scores": holds(pooled, area)}

    return study


def two_under_cross_validation(n: int, effects: tuple[float, float], difference: float = 0.0) -> Study:
    """Compare two models on eight features each of these effects; a claim is another difference in AUC than is true."""

    def study(rng: np.random.Generator) -> dict[str, bool]:
        truth, features = patients(rng, n, [effects[0]] * 8 + [effects[1]] * 8)
        folds = dealt(rng, truth, REPEATS)
        again, fold = np.tile(truth, REPEATS), folds.ravel()
        a, b = (out_of_fold(features[:, mine], truth, folds)[1] for mine in (slice(8), slice(8, 16)))
        apart, _ = metrics.fold_differences(metrics.auc, again, a, b, folds=fold)
        ours = metrics.repeated_difference(metrics.auc, again, a, b, folds=fold, repeats=REPEATS)
        published = metrics.corrected_difference(apart, train=n - n / FOLDS, test=n / FOLDS)
        told = {
            "corrected t-test, 10 x 5 folds, as one of 5": not holds(ours, difference),
            "corrected t-test, 10 x 5 folds, as published": not holds(published, difference),
            "plain t-test, 10 x 5 folds": bool(ttest_1samp(apart - difference, 0).pvalue < 0.05),
        }
        if difference == 0:
            once = metrics.corrected_difference(apart[:FOLDS], train=n - n / FOLDS, test=n / FOLDS)
            paired = metrics.difference(
                metrics.auc, truth, a[:n], b[:n], folds=folds[0], seed=int(rng.integers(2**31)), draws=1000
            )
            told |= {
                "corrected t-test, 5 folds": once.p < 0.05,
                "DeLong on pooled scores, 5 folds": metrics.delong_difference(truth, a[:n], b[:n]).p < 0.05,
                "bootstrap within 5 folds (of the fitted models)": not holds(paired, 0),
            }
        return told

    return study


def calibration(n: int) -> Study:
    """Measure the intercept and slope of a system that is calibrated."""

    def study(rng: np.random.Generator) -> dict[str, bool]:
        risk = rng.beta(2, 4, n)
        truth, seed = (rng.uniform(size=n) < risk).astype(float), int(rng.integers(2**31))
        told = {}
        for name, metric, right in (
            ("intercept", metrics.calibration_intercept, 0), ("slope", metrics.calibration_slope, 1),
        ):  # fmt: skip
            found = metrics.interval(metric, truth, risk, by_class=False, seed=seed, draws=500)
            told[f"{name}, patients drawn"] = holds(found, right)
        kept = metrics.interval(metrics.calibration_intercept, truth, risk, seed=seed, draws=500)
        return told | {"intercept, cases kept to their number": holds(kept, 0)}

    return study


# What studies are made of -------------------------------------------------------------------------------------------


def holds(found: metrics.Interval, truth: float) -> bool:
    return bool(found.low <= truth <= found.high)


def patients(rng: np.random.Generator, n: int, effects: list[float]) -> tuple[Floats, Floats]:
    """Draw patients, three of ten cases; features are normal of variance 1, raised in cases by their effects."""
    truth = (np.arange(n) < 0.3 * n).astype(float)
    return truth, rng.normal(size=(n, len(effects))) + truth[:, None] * np.array(effects)


def dealt(rng: np.random.Generator, truth: Floats, repeats: int) -> NDArray[np.intp]:
    """Return folds `[repeats, n]`, stratified by class, numbered on from repeat to repeat."""
    folds = np.empty((repeats, len(truth)), dtype=int)
    for repeat in range(repeats):
        for label in (0, 1):
            members = rng.permutation(np.flatnonzero(truth == label))
            folds[repeat, members] = np.arange(len(members)) % FOLDS + repeat * FOLDS
    return folds


def out_of_fold(features: Floats, truth: Floats, folds: NDArray[np.intp]) -> tuple[Floats, Floats]:
    """Return the weights `[folds, features]` of a ridge logistic regression a fold and the scores `[repeats * n]`."""
    design = np.column_stack([features, np.ones(len(truth))])
    products = (design[:, :, None] * design[:, None, :]).reshape(len(truth), -1)
    numbers = np.unique(folds)
    learned = np.concatenate([row != row.min() + np.arange(FOLDS)[:, None] for row in folds]).astype(float)
    found, ridge = np.zeros((len(numbers), design.shape[1])), np.eye(design.shape[1])
    ridge[-1, -1] = 0
    for _ in range(12):
        p = 1 / (1 + np.exp(-found @ design.T))
        slope = (learned * (truth - p)) @ design - found @ ridge
        bend = ((learned * p * (1 - p)) @ products).reshape(len(numbers), *ridge.shape) + ridge
        found += np.linalg.solve(bend, slope[..., None])[..., 0]
    scores = found @ design.T
    return found[:, :-1], np.concatenate([scores[row, np.arange(len(truth))] for row in folds])


def expected_difference(n: int, effects: tuple[float, float], runs: int) -> float:
    """Return the mean true AUC of models on the first eight features less that of models on the others."""
    rng, apart = np.random.default_rng(987), []
    for _ in range(runs):
        truth, features = patients(rng, n, [effects[0]] * 8 + [effects[1]] * 8)
        folds = dealt(rng, truth, 1)
        areas = []
        for mine, effect in ((slice(8), effects[0]), (slice(8, 16), effects[1])):
            weights, _ = out_of_fold(features[:, mine], truth, folds)
            areas.append(norm.cdf(effect * weights.sum(axis=1) / np.sqrt(2 * (weights**2).sum(axis=1))).mean())
        apart.append(areas[0] - areas[1])
    return float(np.mean(apart))


# All of them ----------------------------------------------------------------------------------------------------------


def studies(runs: int) -> Iterator[tuple[str, float, Study]]:
    """Give each study with what it is called and what its rates should be."""
    for n, share, area in ((60, 0.5, 0.75), (60, 0.2, 0.9), (200, 0.3, 0.75), (200, 0.1, 0.95)):
        yield f"AUC {area} on a hold-out of {n}, {share:.0%} cases: interval holds", 0.95, hold_out(n, share, area)
    for n, effect in ((100, 0.5), (300, 0.3)):
        yield f"AUC of the models of 5 folds, {n} patients: interval holds", 0.95, fitted_models(n, effect)
    yield "calibration, 300 patients: interval holds", 0.95, calibration(300)
    for n, share in ((60, 0.5), (200, 0.2)):
        yield f"two equal on a hold-out of {n}: difference found", 0.05, two_on_hold_out(n, share, 0.5)
    for n in (100, 300):
        yield f"two models of noise, {n} patients: difference found", 0.05, two_under_cross_validation(n, (0.0, 0.0))
        yield f"two equal models, {n} patients: difference found", 0.05, two_under_cross_validation(n, (0.3, 0.3))
    apart = expected_difference(100, (0.4, 0.2), max(200, runs))
    study = two_under_cross_validation(100, (0.4, 0.2), apart)
    yield f"two models {apart:.3f} apart, 100 patients: another difference found", 0.05, study


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--runs", type=int, default=400, help="simulated studies of each kind")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", default="", help="only studies whose name holds this")
    parser.add_argument("--json", type=Path, help="also write the rates here")
    asked = parser.parse_args()
    rows = []
    for number, (name, wanted, study) in enumerate(studies(asked.runs)):
        if asked.only not in name:
            continue
        start, rng = time.perf_counter(), np.random.default_rng([asked.seed, number])
        told = [study(rng) for _ in range(asked.runs)]
        print(f"{name} (should be {wanted:.0%}; {time.perf_counter() - start:.0f} s)", flush=True)
        for claim in told[0]:
            rate = float(np.mean([each[claim] for each in told]))
            low, high = metrics.wilson(round(rate * asked.runs), asked.runs)
            rows.append({"study": name, "claim": claim, "wanted": wanted, "rate": rate, "low": low, "high": high})
            print(f"    {claim:<50}{rate:>7.1%}  ({low:.1%} to {high:.1%})", flush=True)
    if asked.json:
        asked.json.write_text(json.dumps({"runs": asked.runs, "seed": asked.seed, "rates": rows}, indent=1) + "\n")


if __name__ == "__main__":
    main()
