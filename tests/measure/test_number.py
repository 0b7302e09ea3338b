"""Numbers say what they are; a mask of another place is refused; a part that cannot be measured abstains."""

from dataclasses import replace

import numpy as np
import pytest

from trabecula.image import Image
from trabecula.measure.number import Missing, Number, of_parts, same_place

HU = Number(name="mean_hu", value=132.6, unit="HU", part="L1", region="ellipse 24 x 18 mm", uncertainty=3.1)
IMAGE = Image(voxels=np.zeros((4, 5, 6)), unit="HU", spacing=(3.0, 1.0, 1.0), origin=(10.0, 0.0, -5.0))


def test_a_number_prints_part_name_value_and_unit():
    assert str(HU) == "L1: mean_hu 132.6 +- 3.1 HU"
    assert str(Number(name="morph_av", value=0.698, unit="1")) == "morph_av 0.698"
    assert HU.to_json()["region"] == "ellipse 24 x 18 mm"


@pytest.mark.parametrize(
    ("changed", "said"),
    [({"value": float("nan")}, "no number"), ({"unit": ""}, "needs a unit"), ({"uncertainty": -1.0}, "not negative")],
)
def test_what_is_no_number_is_refused(changed, said):
    with pytest.raises(ValueError, match=said):
        replace(HU, **changed)


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"voxels": np.zeros((4, 5, 7))}, r"the mask has \(4, 5, 7\) voxels"),
        ({"spacing": None}, "only one of image and mask has a spacing"),
        ({"origin": (10.0, 0.0, -4.0)}, "1 mm away"),
        ({"spacing": (3.0, 1.0, 1.1)}, "0.5 mm away"),
        ({"direction": ((-1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, 0.0, 1.0))}, "mm away"),
    ],
)
def test_a_mask_of_another_place_is_refused(changed, said):
    same_place(IMAGE, IMAGE)
    with pytest.raises(ValueError, match=said):
        same_place(IMAGE, replace(IMAGE, **changed))


def test_a_part_that_is_refused_abstains_with_the_reason_and_the_others_stand():
    def measure(part):
        if part == "L3":
            raise ValueError("the mask of L3 is empty")
        return [replace(HU, part=part)]

    first, second = of_parts(measure, ["L1", "L3"], names=["mean_hu"])
    assert first == HU
    assert isinstance(second, Missing)
    assert second.to_json() == {"part": "L3", "name": "mean_hu", "value": None, "abstained": "the mask of L3 is empty"}
