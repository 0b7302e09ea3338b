"""Whether intervals of an AUC hold in surveys of clusters, by design and by person: `python bench/coverage_survey.py`.

Surveys like NHANES: 15 strata of two clusters (PSUs), people of a cluster alike in score and illness by `alike` (the
share of the score's variance that lies between clusters). By person: as if each were drawn alone. Prints coverage; 300
surveys for each of three likenesses take some 3 minutes on one core.
"""

from __future__ import annotations

import sys

import numpy as np

from trabecula.metrics import Design, auc, auc_interval, sensitivity, survey_interval

PEOPLE, STRATA, DRAWS = 100, 15, 200


def drawn(rng, clusters, alike):
    """Return yes or no, probability and cluster of people drawn in so many clusters."""
    who = np.repeat(np.arange(clusters), PEOPLE)
    score = rng.normal(0, alike**0.5, clusters)[who] + rng.normal(0, (1 - alike) ** 0.5, len(who))
    truth = (score + rng.normal(0, 1, len(who)) > 0.5).astype(int)
    return truth, 1 / (1 + np.exp(-2 * (score - 0.3))), who


def main(surveys):
    for alike in (0.0, 0.1, 0.4):
        rng, held = np.random.default_rng(0), np.zeros(3)
        truth, told, _ = drawn(rng, 40_000, alike)
        known = float(auc(truth, told)), float(sensitivity(truth, told))
        for survey in range(surveys):
            truth, told, who = drawn(rng, 2 * STRATA, alike)
            design = Design(rng.uniform(0.5, 2, len(who)), who // 2, who % 2)
            asked = {"share": True, "draws": DRAWS, "seed": survey}
            for place, (metric, value) in enumerate(zip((auc, sensitivity), known, strict=True)):
                found = survey_interval(metric, truth, told, design, **asked)
                held[place] += found.low <= value <= found.high
            found = auc_interval(truth, told, draws=DRAWS, seed=survey)
            held[2] += found.low <= known[0] <= found.high
        by_design, called, alone = held / surveys
        print(f"alike {alike:.1f}: AUC by design {by_design:.1%}, by person {alone:.1%}; sensitivity {called:.1%}")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 300)
