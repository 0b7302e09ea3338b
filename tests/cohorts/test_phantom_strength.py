"""The switch of strength in cohorts with images: bones stay, what breaks them changes.

That nothing an image shows adds to BMD then is tested on the hazards, in `tests/phantom/test_fracture.py`.
"""

import importlib

import pytest

from trabecula.case import Case

COHORTS = ("phantom_dxa", "phantom_hip_ct", "phantom_spine_xray", "phantom_lumbar_ct")
EVERYBODY = {"fractured": 0.0}


def first_visits(cohort, patients=40, **settings):
    module = importlib.import_module(f"trabecula.cohorts.{cohort}.cohort")
    known = {name: value for name, value in settings.items() if name in module.SETTINGS}
    found = [module.make(patient, 0, {**module.SETTINGS, **known}) for patient in range(patients)]
    return [each if isinstance(each, Case) else each[0] for each in found]


@pytest.mark.parametrize("cohort", COHORTS)
def test_unasked_the_whole_bone_is_what_breaks(cohort):
    plain, bone = first_visits(cohort), first_visits(cohort, strength="bone")
    for one, other in zip(plain, bone, strict=True):
        assert (one.table, one.weight, one.groups) == (other.table, other.weight, other.groups)
        assert [one.images.source(role).digest for role in one.images] == [
            other.images.source(role).digest for role in other.images
        ]
        events = [name for name in one.truth if name.startswith("time_to_")]
        assert all(one.truth[name] == other.truth[name] for name in events)


@pytest.mark.parametrize("strength", ["bmd", "femur"])
@pytest.mark.parametrize("cohort", COHORTS)
def test_the_switch_changes_fractures_and_no_density(cohort, strength):
    bone, bmd = (first_visits(cohort, 300, **EVERYBODY, strength=each) for each in ("bone", strength))
    densities = [[case.truth["t_score_lowest"] for case in cases] for cases in (bone, bmd)]
    assert densities[0] == densities[1]
    events = [[case.truth.get("time_to_any_fracture") for case in cases] for cases in (bone, bmd)]
    assert events[0] != events[1]
    if cohort in ("phantom_dxa", "phantom_hip_ct"):  # no deformity lies in the picture of a hip
        role = next(iter(bone[0].images))
        same = [a.images.source(role).digest == b.images.source(role).digest for a, b in zip(bone, bmd, strict=True)]
        assert all(same)


@pytest.mark.parametrize("cohort", COHORTS)
def test_another_strength_is_refused(cohort):
    with pytest.raises(ValueError, match="of the femur"):
        first_visits(cohort, patients=1, strength="steel")
