"""What learning radiomic texture first is worth, at few and many labels: `python bench/texture_pretraining.py`.

Huang 2025 on patients of the cohort `phantom_lumbar_ct`, in three folds by patient, learned from the labels of 10, 25
and 100 % of the training patients. With pretraining the vertebrae of all of them, labelled or not, teach the encoder
their texture; without it the very same network starts from the same random weights. With fewer labels there are as
many more epochs, so that each has as many steps: a network that is not done learning would make anything that starts
it better look good. Prints both, and the paired difference with its 95 % interval by patient, whichever sign it has:
quadratic kappa and AUC of the WHO class, and the error of BMD. Some 4 s of processor a volume, which is remembered,
and at `tiny` with 60 patients 6 s a fit without pretraining and 12 s with it.

    python bench/texture_pretraining.py PATIENTS SIZE JOBS      60 tiny 1 unless told
"""

from __future__ import annotations

import sys

from trabecula.cohort import open_cohort
from trabecula.evaluation import evaluate
from trabecula.metrics import METRICS, difference
from trabecula.protocol import Protocol
from trabecula.report.numbers import by_patient, figures
from trabecula.system import get_system

SYSTEM, COHORT = "huang2025_texture_moe", "phantom_lumbar_ct"
SHARES, FOLDS = (0.1, 0.25, 1.0), 3
TOLD = {"who_class_dxa": ("quadratic_kappa", "auc"), "bmd_lumbar": ("mae",)}


def judged(report, share, pretraining, target):
    """Return the answers of one variant at one share of the labels, by patient."""
    name = f"{SYSTEM}:pretraining={pretraining}:labels={share:.0%}"
    rows = [row for row in report.rows if row.system == name and row.target == target]
    if not rows:
        raise SystemExit(f"no answers of {name}; there are {sorted({row.system for row in report.rows})}")
    return by_patient(rows)


def told(report, share):
    """Print what both variants reach with a share of the labels, and by how much they differ."""
    for target, metrics in TOLD.items():
        pretrained, plain = (judged(report, share, on, target) for on in (True, False))
        both = pretrained.evaluable & plain.evaluable
        for name in metrics:
            metric = METRICS[pretrained.target.kind][name]
            gained = difference(
                metric,
                pretrained.truth[both],
                pretrained.prediction[both],
                plain.prediction[both],
                folds=pretrained.folds[both],
            )
            with_it, without = (figures(each)[name]["value"] for each in (pretrained, plain))
            print(
                f"  {share:4.0%}  {target:13s} {name:15s} with {with_it:.3f}  without {without:.3f}"
                f"  difference {gained.value:+.3f} ({gained.low:+.3f} to {gained.high:+.3f})",
                flush=True,
            )


def main(patients, size, jobs):
    """Judge both variants with each share of the labels, and print the differences."""
    cohort = open_cohort(COHORT, n=patients)
    print(f"{SYSTEM} at {size} on {patients} patients of {COHORT}, {FOLDS} folds by patient", flush=True)
    usual = get_system(SYSTEM, size=size).settings()["epochs"]
    for share in SHARES:
        changes = {"epochs": round(usual / share)}
        variants = [get_system(SYSTEM, size=size, settings={**changes, "pretraining": on}) for on in (True, False)]
        protocol = Protocol(name="learning_curve", folds=FOLDS, shares=(share,))
        told(evaluate(variants, cohort, protocol=protocol, baselines=False, jobs=jobs), share)


if __name__ == "__main__":
    count, size, jobs = (*sys.argv[1:], *("60", "tiny", "1")[len(sys.argv) - 1 :])
    main(int(count), size, int(jobs))
