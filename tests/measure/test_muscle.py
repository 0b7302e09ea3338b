"""The psoas: areas of known prisms, the made patient's own area, and planes that do not hang on the grid."""

from dataclasses import replace

import numpy as np
import pytest

from tests.measure.bodies import label_map, orientations, painted, placed
from trabecula.image import Image
from trabecula.measure.muscle import measure_psoas
from trabecula.measure.number import Missing
from trabecula.phantom.anatomy.vertebra import usual_vertebra

BODIES = label_map({"L3": placed(usual_vertebra("L3", male=False, height_cm=163))}, (2.0, 1.5, 1.5), margin=16.0)


def prism(names=None, *, low=0, high=None):
    """Two square columns of 12 x 12 mm along the patient beside the body."""
    labels = np.zeros(BODIES.shape, dtype=np.uint8)
    labels[low:high, 2:10, 2:10] = 1
    labels[low:high, 2:10, -10:-2] = 2
    return replace(BODIES, voxels=labels, names=names or {1: "iliopsoas_right", 2: "iliopsoas_left"})


PSOAS = prism()
CT = painted(PSOAS, {1: 55.0, 2: 45.0})


def by_name(measured):
    return {(each.part, each.name): each.value for each in measured if not isinstance(each, Missing)}


def test_prisms_have_their_area_and_density():
    found = by_name(measure_psoas(CT, PSOAS, BODIES))
    assert found["psoas", "muscle_area_cm2"] == pytest.approx(2 * 1.44)
    assert found["left iliopsoas", "muscle_area_cm2"] == pytest.approx(1.44)
    assert found["psoas", "muscle_mean_hu"] == pytest.approx(50)
    assert found["right iliopsoas", "muscle_mean_hu"] == pytest.approx(55)
    assert found["psoas", "muscle_fat_share"] == 0


def test_fat_is_what_reads_as_fat():
    values = np.array(CT.voxels)
    values[:, 2:4][PSOAS.voxels[:, 2:4] > 0] = -100  # a quarter of each column
    found = by_name(measure_psoas(CT.with_voxels(values), PSOAS, BODIES))
    assert found["psoas", "muscle_fat_share"] == pytest.approx(25)
    assert found["psoas", "muscle_mean_hu"] == pytest.approx(0.75 * 50 - 25)


def test_all_48_orientations_give_the_same_numbers():
    wanted = by_name(measure_psoas(CT, PSOAS, BODIES))
    for image, psoas, bodies in zip(*(orientations(each) for each in (CT, PSOAS, BODIES)), strict=True):
        for key, value in by_name(measure_psoas(image, psoas, bodies)).items():
            assert value == pytest.approx(wanted[key], abs=1e-6)


def test_what_does_not_reach_the_level_is_not_measured():
    found = measure_psoas(CT, prism(low=BODIES.shape[0] - 5), BODIES)
    assert {each.abstain.reason for each in found if each.part == "psoas"} == {
        "psoas does not reach through the plane of L3 in this mask"
    }
    with pytest.raises(ValueError, match="L4 is not in the mask; there are L3"):
        measure_psoas(CT, PSOAS, BODIES, level="L4")
    with pytest.raises(ValueError, match="no psoas is in the mask; there are liver"):
        measure_psoas(CT, prism({1: "liver"}), BODIES)
    with pytest.raises(ValueError, match="not in HU"):
        measure_psoas(replace(CT, unit="1"), PSOAS, BODIES)
    with pytest.raises(ValueError, match="of another series"):
        measure_psoas(CT, replace(PSOAS, origin=(0.0, 0.0, 0.0)), BODIES)


@pytest.fixture(scope="module")
def patient():
    """A made patient's psoas and bodies, and what the muscle's area at L3 is."""
    from trabecula.cohorts.phantom_lumbar_ct.cohort import SETTINGS, make
    from trabecula.phantom.people import person

    case = make(0, 0, SETTINGS)
    return case, person(0, 0, enriched=True, bone_shift=0.0).skeleton.psoas_cm2


def test_a_made_patient_has_the_area_that_was_drawn(patient):
    case, area = patient
    psoas, bodies = case.masks["psoas"], case.masks["vertebral_bodies"]
    flat = Image(
        voxels=np.full(psoas.shape, 50.0, dtype=np.float32), unit="HU", spacing=psoas.spacing, origin=psoas.origin,
        direction=psoas.direction,
    )  # fmt: skip
    found = by_name(measure_psoas(flat, psoas, bodies))
    assert found["psoas", "muscle_area_cm2"] == pytest.approx(area, rel=0.05)
