"""What makes this system itself: it learns who fractures first."""

from dataclasses import replace

import numpy as np

from trabecula.metrics import concordance
from trabecula.prediction import score

_SHUFFLES = 20


def essence(system, cases):
    """Concordance is well above one half, and about one half on average when times are dealt anew."""
    known = [case.truth[system.headline.id] for case in cases]
    rng = np.random.default_rng(0)
    dealt = [_concordance(system, _dealt(cases, rng.permutation(len(cases)), system), known) for _ in range(_SHUFFLES)]
    learnt = _concordance(system, cases, known)
    assert learnt > 0.65, f"concordance {learnt:.2f} on the cases it learned from"
    assert abs(np.mean(dealt) - 0.5) < 0.12, f"concordance {np.mean(dealt):.2f} after learning from shuffled times"


def _dealt(cases, order, system):
    target = system.headline.id
    return [replace(case, truth={target: cases[i].truth[target]}) for case, i in zip(cases, order, strict=True)]


def _concordance(system, cases, known):
    answers = system.fit(cases).predict(cases)
    risk = [score(answer[system.headline.id]) for answer in answers]
    return float(concordance([(each.years, each.event) for each in known], risk))
