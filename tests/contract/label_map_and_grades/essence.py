"""What makes this system itself: the grade is measured inside its own map."""

from dataclasses import replace

import numpy as np

from trabecula.case import Images
from trabecula.metrics import dice
from trabecula.prediction import score


def essence(system, cases):
    """The map finds the bone; denser bone is a lower grade, and fatter surroundings change nothing."""
    where, grade = (target.id for target in system.predicts)
    model = system.fit(cases)
    overlaps, inside, outside = [], [], []
    for case in cases[:8]:
        answer = model.predict([case])[0]
        drawn = answer[where].image.voxels
        overlaps.append(dice(case.truth[where].load().voxels, drawn))
        for change, effects in ((20 * (drawn > 0), inside), (-20 * (drawn == 0), outside)):
            effects.append(score(model.predict([_changed(case, change)])[0][grade]) - score(answer[grade]))
    assert np.mean(overlaps) > 0.7, f"the map misses the bone: mean Dice {np.mean(overlaps):.2f}"
    assert np.mean(inside) < -0.05, "denser bone is not graded as healthier"
    assert np.abs(outside).mean() < np.abs(inside).mean() / 4, "the grade is measured outside the map"


def _changed(case, change_hu):
    image = case.images["lumbar_ct"]
    return replace(case, images=Images({"lumbar_ct": image.with_voxels(image.voxels + change_hu)}))
