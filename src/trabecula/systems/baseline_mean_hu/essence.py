"""What makes this baseline itself: one number, falling risk with rising attenuation, and where the cuts hold."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from trabecula.prediction import Abstain, score

if TYPE_CHECKING:
    from trabecula.case import Case
    from trabecula.system import System


def essence(system: System, cases: Sequence[Case]) -> None:
    """Assert that made patients are ranked by attenuation at 120 kV and not answered elsewhere.

    Raises `AssertionError`.
    """
    target, rng = system.headline.id, np.random.default_rng(0)

    def patient(hu: float, kvp: float = 120.0, contrast: float = 0.0, ill: bool = False) -> Case:
        table = {"mean_hu": hu, "kvp": kvp, "contrast": contrast}
        return replace(cases[0], table=table, groups={}, truth={target: int(ill)})

    made = []
    for index in range(300):
        hu = rng.uniform(40, 260)
        made.append(replace(patient(hu, ill=hu + rng.normal(0, 30) < 120), id=str(index), patient=str(index)))
    misled = [replace(patient(250, kvp=80, ill=True), id=f"80-{i}", patient=f"80-{i}") for i in range(300)]
    model, other = system.fit(made), system.fit([*made, *misled])
    asked = [patient(hu) for hu in (60, 110, 160, 240)]
    risks = [score(answer[target]) for answer in model.predict(asked)]
    if not (np.diff(risks) < 0).all() or risks[0] < 0.9 or risks[-1] > 0.1:
        raise AssertionError(f"the risk falls as the attenuation rises, over nearly its whole range; got {risks}")
    if other.predict(asked) != model.predict(asked):
        raise AssertionError("cases at another tube voltage are not learned from")
    for case in (patient(100, kvp=100), patient(100, contrast=1.0)):
        if not isinstance(model.predict([case])[0][target], Abstain):
            raise AssertionError("another tube voltage, or contrast, is no case for these cuts")
