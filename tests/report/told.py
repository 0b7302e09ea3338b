"""Dictionaries of `report.json` in every form: scores are drawn, all figures are computed by the library."""

from functools import cache

import numpy as np

from trabecula.report import numbers
from trabecula.report.numbers import Row
from trabecula.target import get_target

HOSTILE = "<script>alert('x')</script>&\"$_{x}$"
LONG = "zhang2025_very_long_name_of_a_cross_modal_hierarchical_transformer_with_uncertainty"
KNEE = "osteoporosis_knee_label"

_SETTINGS = [
    {"name": "learning_rate", "value": 1e-4, "origin": "guess", "usual": 1e-4, "note": "the paper does not say"},
    {"name": "epochs", "value": 3, "origin": "changed", "usual": 50, "note": "early stopping after ten"},
    {"name": "image_size", "value": [224, 224], "origin": "paper", "usual": [224, 224], "note": "section 3.2"},
]
_PUBLISHED = {
    "metric": "accuracy", "value": 0.9762, "low": 0.95, "high": 0.99, "set": "test set of 72 pictures", "n": 72,
    "unit": "image", "target": None, "comparator": False, "note": "one hold-out by picture", "origin": "read",
}  # fmt: skip
_SPLIT = {
    "kind": "holdout", "unit": "image", "test_share": 0.1935, "folds": None,
    "note": "One hold-out of 72 of 372 pictures; patients are unknown.", "origin": "read",
}  # fmt: skip
_KNEE_ENTRANTS = (
    ("muhammad2025_hybrid_attention", "system", 1.15, 1),
    ("sultana2025_swin_knee", "system", 0.85, 2),
    (LONG, "system", 0.35, 3),
    ("baseline_acquisition", "baseline", 1.0, 4),
    ("baseline_age_sex_bmi", "baseline", 0.5, 5),
    ("baseline_mean_hu", "baseline", 0.2, 6),
    ("baseline_prevalence", "baseline", 0.0, 7),
)


@cache
def _knee(n):
    return report([(*each, KNEE) for each in _KNEE_ENTRANTS], n=n)


def knee(n=180):
    """Three systems, four baselines, two of them under their papers' splits, with abstentions and a strong shortcut."""
    told = copied(_knee(n))
    told["results"] += [
        result(rows("muhammad2025_hybrid_attention", "as_published", 2.2, 1, KNEE, n=72), leak=(72, 14)),
        result(rows("sultana2025_swin_knee", "as_published", 1.2, 2, KNEE, n=72), leak=(72, 0)),
    ]
    return told


def mixed():
    """Ordinal, value, survival and a replaced binary target, several parts a patient, and figures that are null."""
    told = report(
        [
            ("liu2022_hierarchical", "system", 0.8, 1, "who_class_dxa"),
            ("baseline_age_sex_bmi", "baseline", 0.5, 5, "who_class_dxa"),
            ("hsieh2021_radiograph_bmd", "system", 0.8, 2, "t_score_lowest"),
            ("kong2022_spine_deepsurv", "system", 0.8, 3, "time_to_vertebral_fracture"),
        ],
        n=60,
        parts=3,
    )
    by_name = {each["system"]: each for each in told["results"]}
    by_name["liu2022_hierarchical"] |= {
        "target_replaced": True, "published": [], "circular": True, "fidelity": "reconstruction",
    }  # fmt: skip
    by_name["kong2022_spine_deepsurv"]["metrics"]["c_index"] = {"value": None, "low": None, "high": None}
    del told["cohort"]["findings"]["shortcut"]
    return told


def alone(strength=0.8, n=12):
    """One system, no baseline, few patients."""
    return report([("kong2020_catboost", "system", strength, 1, "osteoporosis_dxa")], n=n)


def report(entrants, *, n, parts=1):
    """Build a report of entrants given as id, role, strength, seed and target."""
    drawn = {(e[0], e[4]): rows(*e, n=n, parts=parts) for e in entrants}
    results = [result(each) for each in drawn.values()]
    judged = {(r["system"], r["target"]): numbers.by_patient(drawn[r["system"], r["target"]]) for r in results}
    for each in results:
        rivals = [other for other in results if other is not each and other["target"] == each["target"]]
        each["differences"] = [
            {"against": other["system"], "role": other["role"], **found}
            for other in rivals
            if (found := numbers.compared(judged[_key(each)], judged[_key(other)]))
        ]
        each["common"] = _common(each, judged, rivals)
    results.sort(key=lambda r: (r["target"], -(r["metrics"][r["headline_metric"]]["value"] or 0)))
    return {
        "format": 1, "cohort": _cohort(n, parts, sorted({e[4] for e in entrants})),
        "protocol": {
            "name": "kfold", "rule": "5-fold cross-validation by patient, stratified by class, seed 0", "folds": 5,
            "seed": 0, "unit": "patient",
            "intervals": "95 % percentile bootstrap of patients within folds and classes, 2,000 draws; figures are "
            "means over folds; conditional on the fitted models",
        },
        "results": results,
        "environment": {
            "python": "3.11.7", "system": "Linux", "machine": "x86_64", "cores": 2, "threads": 1, "seed": 0,
            "packages": {"trabecula": "0.1.0", "numpy": "2.4.1", "scikit-learn": "1.8.0", "torch": "2.15.0"},
            "written": "2026-01-02T03:04:05+00:00",
        },
        "checksums": {"predictions.csv": "ab" * 32, "splits.csv": "cd" * 32},
    }  # fmt: skip


def rows(system, role, strength, seed, target, *, n, parts=1):
    """Draw answers whose tie to the truth has a strength; system 2 leaves every fifteenth patient unanswered."""
    rng, truths = np.random.default_rng(seed), np.random.default_rng(0)
    kind = get_target(target).kind
    found = []
    for number in range(n):
        bone = truths.normal()
        for part in range(parts):
            noise = strength * bone + rng.normal() if strength else 0.0
            silent = seed == 2 and number % 15 == 4 and role == "system" and parts == 1
            truth, answer = _answer(kind, bone, noise)
            found.append(
                Row(
                    system=system, role=role, protocol="as_published" if role == "as_published" else "kfold",
                    target=target, case=f"p{number}-{part}", part=f"L{part + 1}", patient=f"p{number}", fold=number % 5,
                    truth=truth, prediction=None if silent else answer,
                    abstained="required input missing: knee_xray" if silent else "",
                )
            )  # fmt: skip
    return found


def result(drawn, *, leak=None):
    """Build one entry of `results` from its answers."""
    row, target, patients = drawn[0], get_target(drawn[0].target), numbers.by_patient(drawn)
    parts, silent = numbers.by_part(drawn), [r.abstained for r in drawn if r.abstained]
    system = row.role != "baseline"
    return {
        "system": row.system, "title": f"A paper about {row.system}", "year": 2025, "role": row.role,
        "protocol": row.protocol, "target": row.target, "target_title": target.title, "target_replaced": False,
        "circular": target.circular, "headline_metric": numbers.headline_metric(target),
        "size": "tiny" if system else "paper", "fidelity": "approximate" if system else "faithful",
        "patients": len(patients.patients), "cases": len(drawn),
        "abstained": {
            "patients": int((~patients.evaluable).sum()), "share": float((~patients.evaluable).mean()),
            "reasons": {reason: silent.count(reason) for reason in silent},
        },
        "metrics": numbers.figures(patients),
        "metrics_by_part": numbers.figures(parts) if len(parts.patients) > len(patients.patients) else {},
        "metrics_abstaining_as_negative": numbers.abstaining_as_negative(patients),
        "population": target.population, "kind": target.kind,
        "inputs": {"images": ["knee_xray"], "masks": [], "table": ["age_years"], "groups": [], "optional": []},
        "curves": numbers.curves(patients), "settings": [dict(each) for each in _SETTINGS] if system else [],
        "published": [dict(_PUBLISHED), {**_PUBLISHED, "metric": "all metrics", "value": None, "low": None,
                                         "high": None, "n": None, "note": "not found"}] if system else [],
        "weaknesses": ["A public set of 372 pictures without patient ids.", "Labels of unknown origin."] * system,
        "seconds": {"fit": 83.2 if system else 0.4, "predict": 4.1},
        "notes": {"weights": "ImageNet weights could not be loaded; random start"} if system else {},
        "leak": {"judged": leak[0], "copy_in_training": leak[1]} if leak else {},
        "split": dict(_SPLIT) if leak else None,
        "labels": {"asked": "", "patients": None},
    }  # fmt: skip


def copied(told):
    """Return a deep copy, by way of JSON: a report holds nothing that JSON does not."""
    import json

    return json.loads(json.dumps(told, allow_nan=False))


def _answer(kind, bone, noise):
    p = float(1 / (1 + np.exp(-noise * 1.2)))
    match kind:
        case "binary":
            return float(bone > 0.1), p
        case "ordinal":
            return float(np.digitize(bone, [-0.5, 0.7])), [(1 - p) ** 2, 2 * p * (1 - p), p * p]
        case "time_to_event":
            return {"years": float(np.exp(1.2 - bone)), "event": int(bone > -0.5)}, {
                "years": [1.0, 5.0], "incidence": {"event": [p / 2, p]},
            }  # fmt: skip
        case _:
            return float(-bone - 1.5), float(-noise - 1.5)


def _common(each, judged, rivals):
    everybody = [judged[_key(r)] for r in (each, *rivals)]
    if all(j.evaluable.all() for j in everybody):
        return {}
    answered = np.all([j.evaluable for j in everybody], axis=0)
    kept = judged[_key(each)].only(answered)
    return {"patients": len(kept.patients), "metrics": numbers.figures(kept)}


def _key(each):
    return each["system"], each["target"]


def _cohort(n, parts, targets):
    graded = [get_target(t) for t in targets if get_target(t).classifies]
    return {
        "id": "knees", "title": "Knee radiographs of two hospitals", "cases": n * parts, "patients": n,
        "checksum": "0123456789abcdef" * 4,
        "card": {
            "id": "knees", "title": "Knee radiographs of two hospitals", "source": "drawn by a random generator",
            "licence": "CC0", "population": "nobody", "truth": "planted", "modalities": ["xray"], "targets": targets,
            "images": ["knee_xray"], "masks": [], "table": ["age_years", "sex"], "groups": ["site"],
            "patients": "known", "made": True, "layout": "", "link": None, "checksum": None,
            "warnings": ["Labels are folder names; nobody says how they were made."],
        },
        "notes": ["3 cases dropped: the same picture occurs with different labels"],
        "findings": {
            "cases": n * parts + 3, "readable": n * parts + 3, "unreadable": [],
            "duplicates": [{"kind": "exact", "cases": ["a.png", "b.png"], "patients": 2},
                           {"kind": "similar", "cases": ["c.png", "d.jpg", "e.png"], "patients": 3}],
            "conflicts": [{"target": targets[0], "cases": ["f.png", "g.png", "h.png"]}],
            "shortcut": {"target": targets[0], "told_apart": "osteoporosis against the rest",
                         "source": "groups of the cases",
                         "auc": 0.81, "low": 0.75, "high": 0.87, "strong": True, "n": n, "patients": n,
                         "features": {"columns": 0.21, "rows": 0.034},
                         "raw": {"auc": 0.76, "low": 0.7, "high": 0.82}},
            "problems": ["3 cases hold 1 picture with different labels: find out which label is right"],
            "remarks": ["age_years is missing in 12 of 183 cases"], "must_resolve": True,
            "missing": {"age_years": 0.0656, "sex": 0.0},
        },
        "described": {
            group: {
                "patients": n // share,
                "table": {
                    "age_years": {"missing": 12 // share, "mean": 65.25, "sd": 9.4, "quartiles": [58.0, 65.5, 72.0]},
                    "sex": {"missing": 0, "counts": {"female": n // share, "male": 0}},
                    "t_score_lowest": {"missing": n // share},
                },
            }
            for group, share in (("everybody", 1), ("no osteoporosis", 2), ("osteoporosis", 2))
        },
        "prevalence": {
            row.id: {
                grade: {"cases": n // len(row.grades),
                        "population": {"value": 0.12, "low": 0.1, "high": 0.15, "se": 0.01} if at else None}
                for at, grade in enumerate(row.grades)
            }
            for row in graded
        },
    }  # fmt: skip
