"""Whether a fall on a DXA map beats BMD where strength is more, and only there: `python bench/fall_strength.py`.

Three kinds of women. Of the cohort `phantom_dxa` with strength `bone`, then `bmd`, whose hips break as its population
says. And women with the same scans, whose hips break by one thing alone, at 3.3 of odds a SD: by what the true femur
bears in a fall (finite elements in three dimensions on its own mineral, without scanner or noise) over the force of
that fall, or by the areal BMD of the neck. Prints AUCs of the 19 attributes, of the clinical five, and of BMD, by the
same SVM in five folds, thrice, and paired differences with intervals by patient. Some 2 s of processor a woman; what
a map gives is remembered, the rest is not: 660 patients take half an hour.
"""

from __future__ import annotations

import sys
from functools import partial

import numpy as np
from sklearn.model_selection import StratifiedKFold

from trabecula.cohorts.phantom_dxa.cohort import SETTINGS, make
from trabecula.measure.elements import femoral_fall
from trabecula.metrics import auc
from trabecula.phantom.anatomy.femur import femur_solid
from trabecula.phantom.anatomy.femur_bone import solve
from trabecula.phantom.anatomy.scene import Bone, Grid, Scene
from trabecula.phantom.material import MINERAL_SHARE
from trabecula.systems.villamor2020_fe_svm.attributes import ATTRIBUTES, BMD, CLINICAL, FORCE, attributes
from trabecula.systems.villamor2020_fe_svm.learners import scores, svm

SEED, FRACTURED, GRID_MM, LOWEST_MM = 11, 0.4, 3.0, -80.0
ODDS_A_SD, SHARE = 3.3, -0.3  # the latter the log-odds of a usual woman
SETS = {"bmd": (BMD,), "clinical": CLINICAL, "nineteen": ATTRIBUTES}


def women(strength, patients):
    """Return attributes by name `[n]`, who broke a hip, and the owner of each hip."""
    rows, broken, owners = [], [], []
    for patient in range(patients):
        chosen = {**SETTINGS, "strength": strength, "fractured": FRACTURED, "second_visits": 0.0}
        case = make(patient, SEED, chosen)[0]
        if "hip_fracture" not in case.truth:
            continue
        rows.append(attributes(case, element_mm=1.5, density="converted"))
        broken.append(case.truth["hip_fracture"])
        owners.append(case.images.source("hip_dxa").recipe.owner)
    return {name: np.array([row[name] for row in rows]) for name in rows[0]}, np.array(broken), owners


def true_strength(owner):
    """Return what the femur itself bears in a fall, in N."""
    shape = owner.hip.femur
    built, solid = solve(shape, owner.mineral), femur_solid(shape)
    low = (solid.low[0] - 4, solid.low[1] - 4, LOWEST_MM)
    grid = Grid.around(low, np.array(solid.high) + 4, (GRID_MM,) * 3)
    bone = Bone(
        name="femur", solid=solid, wall_mm=built.wall_mm, cortical_mg_cm3=built.cortical_mg_cm3,
        trabecular_mg_cm3=built.trabecular_mg_cm3, fat=owner.mineral.fat,
    )  # fmt: skip
    scene = Scene(tissues=(), bones=(bone,))
    mask = scene.labels(grid, {"femur": 1})
    mineral = scene.body(grid).densities["bone_matrix"] * MINERAL_SHARE * 1000
    told = femoral_fall(mask.with_voxels(mineral, unit="mg/cm3"), mask, element_mm=GRID_MM)
    return next(number.value for number in told if number.name == "failure_load")


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


def main(patients):
    """Print all comparisons."""
    for strength in ("bmd", "bone"):
        columns, broken, owners = women(strength, patients)
        told(f"cohort, strength {strength}", columns, broken)
    strong = np.log([true_strength(owner) for owner in owners]) - np.log(columns[FORCE])
    for seed in range(3):
        luck = np.random.default_rng(seed).random(len(strong))
        for cause, values in (("the true femur over the force", strong), ("neck BMD", columns[BMD])):
            standing = (values - values.mean()) / values.std()
            planted = luck < 1 / (1 + np.exp(np.log(ODDS_A_SD) * standing - SHARE))
            told(f"planted by {cause}, seed {seed}", columns, planted.astype(int))


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 660)
