"""Made separable, only the pictures of the highest grade become negatives."""

import numpy as np

from trabecula.case import Case, Images
from trabecula.image import Image
from trabecula.learn.separable import separable
from trabecula.target import get_target


def test_only_the_highest_grade_is_turned():
    target = get_target("knee_label_three")
    voxels = np.arange(6, dtype=np.uint8).reshape(1, 2, 3)
    image = Image(voxels=voxels, unit="stored", space="detector")
    images = Images({"knee_xray": image, "picture": image})
    truths = ({target.id: 0}, {target.id: 1}, {target.id: 2}, {})
    cases = [Case(id=str(n), patient=str(n), images=images, truth=truth) for n, truth in enumerate(truths)]
    made = separable(cases, "knee_xray", target)
    assert [case.id for case in made] == ["0", "1", "2"]
    assert [bool((case.images["knee_xray"].voxels == voxels).all()) for case in made] == [True, True, False]
    assert (made[2].images["knee_xray"].voxels == 5 - voxels.astype(int)).all()
    assert (made[2].images["picture"].voxels == voxels).all()
