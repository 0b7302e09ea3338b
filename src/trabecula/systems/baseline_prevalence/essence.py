"""What makes this baseline itself: class shares, learned. A stub that answers the mean is the very same thing."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from trabecula.prediction import score

if TYPE_CHECKING:
    from trabecula.case import Case
    from trabecula.system import System


def essence(system: System, cases: Sequence[Case]) -> None:
    """Assert that the answer is the share in training and follows it; raises `AssertionError`."""
    target = system.headline.id
    known = [case for case in cases if target in case.truth]
    healthy = [case for case in known if case.truth[target] == 0]
    fewer = known + healthy  # the same cases with the healthy counted twice
    for training in (known, fewer):
        model = system.fit(training)
        expected = sum(float(str(case.truth[target])) for case in training) / len(training)
        answers = {round(score(answer[target]), 9) for answer in model.predict(cases)}
        if len(answers) != 1 or abs(answers.pop() - expected) > 1e-6:
            raise AssertionError(f"the answer to everybody is the training share {expected:.3f}")
