"""One volume, two answers: where the vertebra is, and the WHO class by the attenuation inside it."""

from dataclasses import dataclass, replace

import numpy as np
from scipy import ndimage
from sklearn.linear_model import LogisticRegression

from trabecula.prediction import LabelMap, graded
from trabecula.state import State
from trabecula.system import System, guess


@dataclass(frozen=True, kw_only=True)
class LabelMapAndGrades(System):
    """A threshold halfway between the thinnest bone and its surroundings, then multinomial logistic regression."""

    opening: int = guess(1, "a toy")
    strength: float = guess(1.0, "a toy")

    def _fit(self, cases, run):
        where, grade = (target.id for target in self.predicts)
        inside, outside = [], []
        for case in cases:
            if where in case.truth:
                bone, hu = case.truth[where].load().voxels > 0, case.images["lumbar_ct"].voxels
                inside.append(hu[bone].mean())
                outside.append(hu[~bone].mean())
        cut = np.array([(min(inside) + np.mean(outside)) / 2])  # HU
        graded_cases = [case for case in cases if grade in case.truth]
        attenuation = [self._attenuation(case, self._bone(case, cut)) for case in graded_cases]
        classifier = LogisticRegression(C=self.strength).fit(attenuation, [case.truth[grade] for case in graded_cases])
        return State(arrays={"cut_hu": cut}, estimators={"grade": classifier})

    def _predict(self, state, cases):
        return [self._answer(state, case) for case in cases]

    def _answer(self, state, case):
        where, grade = self.predicts
        bone = self._bone(case, state.arrays["cut_hu"])
        labels = replace(case.images["lumbar_ct"], voxels=bone.astype(np.uint8), unit="label", names={1: "vertebra"})
        grades = state.estimators["grade"].predict_proba([self._attenuation(case, bone)])[0]
        return {where.id: LabelMap(labels), grade.id: graded(grade, grades)}

    def _attenuation(self, case, bone):
        """Mean attenuation inside the map, in 50 HU, and 0 where the map is empty."""
        return [case.images["lumbar_ct"].voxels[bone].mean() / 50 if bone.any() else 0.0]

    def _bone(self, case, cut):
        return ndimage.binary_opening(case.images["lumbar_ct"].voxels > cut, iterations=self.opening)
