"""What makes this system itself: films without a truth teach it to see."""

import numpy as np

from trabecula.prediction import score


def essence(system, cases):
    """Unlabelled cases change the answers, and change them by case."""
    labelled = [case for case in cases if system.headline.id in case.truth]
    assert len(labelled) < len(cases), "this essence needs some cases without truth"
    with_all, without = (
        [score(answer[system.headline.id]) for answer in system.fit(given).predict(labelled)]
        for given in (cases, labelled)
    )
    moved = np.subtract(with_all, without)
    assert np.ptp(moved) > 1e-3, "films without a truth make no difference to the answers"
