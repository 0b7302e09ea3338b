"""Whether a fall on a DXA map beats BMD where strength is more, and only there: `python bench/fall_strength.py`.

Women of the cohort `phantom_dxa`, 40 % of them drawn from those who break a hip, with strength made of areal BMD of the
neck alone (`bmd`), of that and the shape of the femur that bears a fall (`femur`), or of all of the bone (`bone`), of
which a map of the hip shows little beside BMD. Prints AUCs of the 19 attributes, of the clinical five, and of BMD, by
the same SVM in five folds, thrice, and paired differences with intervals by patient. Some 1.5 s of processor a woman;
what a map gives is remembered.
"""

from __future__ import annotations

import sys
from functools import partial

import numpy as np
from sklearn.model_selection import StratifiedKFold

from trabecula.cohorts.phantom_dxa.cohort import SETTINGS, make
from trabecula.metrics import auc
from trabecula.systems.villamor2020_fe_svm.attributes import ATTRIBUTES, BMD, CLINICAL, attributes
from trabecula.systems.villamor2020_fe_svm.learners import scores, svm

SEED, FRACTURED = 11, 0.4
SETS = {"bmd": (BMD,), "clinical": CLINICAL, "nineteen": ATTRIBUTES}


def women(strength, patients):
    """Return attributes by name `[n]`, and who broke a hip."""
    rows, broken = [], []
    for patient in range(patients):
        chosen = {**SETTINGS, "strength": strength, "fractured": FRACTURED, "second_visits": 0.0}
        case = make(patient, SEED, chosen)[0]
        if "hip_fracture" in case.truth:
            rows.append(attributes(case, element_mm=1.5, density="converted"))
            broken.append(case.truth["hip_fracture"])
    return {name: np.array([row[name] for row in rows]) for name in rows[0]}, np.array(broken)


def held_out(x, y):
    """Return scores of patients that the models never saw, the mean of three divisions into five folds."""
    build, total = partial(svm, 1.0, 2.0**-7), np.zeros(len(y))
    for seed in range(3):
        for train, held in StratifiedKFold(5, shuffle=True, random_state=seed).split(x, y):
            model = build().fit(x[train], y[train])
            usual = scores(model, x[train])[:, 0]
            total[held] += (scores(model, x[held])[:, 0] - usual.mean()) / usual.std()
    return total


def told(name, columns, broken):
    """Print AUCs of the three sets, and by how much the nineteen are better than the others."""
    reached = {kind: held_out(np.stack([columns[n] for n in names], axis=1), broken) for kind, names in SETS.items()}
    rng = np.random.default_rng(0)
    draws = [rng.integers(0, len(broken), len(broken)) for _ in range(1000)]
    print(f"\n{name}: {len(broken)} women, {broken.sum()} broken")
    print("  AUC", {kind: round(float(auc(broken, each)), 3) for kind, each in reached.items()})
    for rival in ("bmd", "clinical"):
        more = [float(auc(broken[i], reached["nineteen"][i]) - auc(broken[i], reached[rival][i])) for i in draws]
        low, high = np.quantile(more, [0.025, 0.975])
        print(f"  nineteen less {rival}: {np.mean(more):+.3f} ({low:+.3f} to {high:+.3f})")


if __name__ == "__main__":
    for kind in ("bmd", "femur", "bone"):
        told(f"strength {kind}", *women(kind, int(sys.argv[1]) if len(sys.argv) > 1 else 660))
