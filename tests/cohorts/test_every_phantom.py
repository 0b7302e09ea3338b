"""What every phantom cohort promises: what its card says, the same picture again, twins that differ in bone alone."""

import importlib
import pickle
from functools import cache

import numpy as np
import pytest

from trabecula.card import cohort_card, cohort_ids
from trabecula.case import Case
from trabecula.cohort import open_cohort
from trabecula.image import Source
from trabecula.measure.number import same_place
from trabecula.target import ROLES, get_target

PHANTOMS = [name for name in cohort_ids() if cohort_card(name).made]
IMAGING = [name for name in PHANTOMS if cohort_card(name).images]
DXA_VARIABLES = ("bmd_", "t_score_")


def made(cohort, patient=0, seed=0, **settings):
    """Return the visits of one patient, the first first."""
    module = importlib.import_module(f"trabecula.cohorts.{cohort}.cohort")
    cases = module.make(patient, seed, {**module.SETTINGS, **settings})
    return (cases,) if isinstance(cases, Case) else cases


@cache
def voxels(cohort, role, patient=0, shift=0.0):
    return made(cohort, patient, bone_shift=shift)[0].images[role].voxels.astype(np.float32)


def first_role(cohort):
    return cohort_card(cohort).images[0]


@pytest.mark.parametrize("cohort", PHANTOMS)
def test_cases_offer_what_the_card_says_and_nothing_else(cohort):
    card = cohort_card(cohort)
    cases = open_cohort(cohort, n=60).cases
    for kind in ("images", "masks", "table", "groups"):
        offered = {name for case in cases for name in getattr(case, kind)}
        assert offered == set(getattr(card, kind)), kind
    assert {target for case in cases for target in case.truth} == set(card.targets)
    assert len({case.patient for case in cases}) == 60
    assert all(case.weight > 0 for case in cases)


@pytest.mark.parametrize("cohort", PHANTOMS)
def test_truth_is_of_its_kind(cohort):
    for case in open_cohort(cohort, n=30).cases:
        for target, truth in case.truth.items():
            row = get_target(target)
            if row.classifies:
                assert truth in range(len(row.grades)), target
            elif row.kind == "label_map":
                assert isinstance(truth, Source), target
            elif row.kind == "time_to_event":
                assert truth.years > 0, target
                assert truth.event in (0, 1, 2), target


@pytest.mark.parametrize("cohort", PHANTOMS)
def test_a_case_does_not_depend_on_who_else_is_made(cohort):
    alone, among = made(cohort, 5)[0], next(c for c in open_cohort(cohort, n=7).cases if c.patient.endswith("5"))
    assert (alone.id, alone.table, alone.groups) == (among.id, among.table, among.groups)
    assert made(cohort, 5, seed=1)[0].table != alone.table


@pytest.mark.parametrize("cohort", PHANTOMS)
def test_impossible_settings_are_one_clear_line(cohort):
    with pytest.raises(KeyError, match="setting of"):
        open_cohort(cohort, n=1, settings={"bone_shfit": 1.0})
    with pytest.raises(ValueError, match="count from 0"):
        made(cohort, -1)


@pytest.mark.parametrize("cohort", IMAGING)
def test_pictures_are_reproducible_picklable_and_apart(cohort):
    role = first_role(cohort)
    source = made(cohort)[0].images.source(role)
    again = pickle.loads(pickle.dumps(source))
    assert isinstance(again, Source)
    assert again.digest == source.digest
    assert np.array_equal(again.load().voxels, voxels(cohort, role))
    assert made(cohort, 1)[0].images.source(role).digest != source.digest
    assert made(cohort, bone_shift=-1.0)[0].images.source(role).digest != source.digest


@pytest.mark.parametrize("cohort", IMAGING)
def test_images_have_the_space_and_unit_of_their_role(cohort):
    case = made(cohort)[0]
    for role in case.images:
        image = case.images[role]
        assert image.spacing is not None, role
        unit = {"ct": ("HU",), "xray": ("stored",), "dental": ("stored",), "mri": ("stored",), "dxa": ("log", "g/cm2")}
        assert image.unit in unit[ROLES[role].modality], role
        assert image.space == ("patient" if ROLES[role].modality in ("ct", "mri") else "detector"), role
        assert np.ptp(image.voxels) > 0, role
    for role in case.masks:
        mask = case.masks[role]
        assert mask.unit == "label", role
        assert set(np.unique(mask.voxels)) - {0} == set(mask.names), role
        assert any(_fits(case.images[image], mask) for image in case.images), role


def _fits(image, mask):
    try:
        same_place(image, mask)
    except ValueError:
        return False
    return True


@pytest.mark.parametrize("cohort", IMAGING)
def test_a_twin_differs_in_bone_alone(cohort):
    """Denser bone: the same person, site and beam, another DXA result and another picture."""
    one, other = made(cohort)[0], made(cohort, bone_shift=1.0)[0]
    assert one.groups == other.groups
    assert {k: v for k, v in one.table.items() if not k.startswith(DXA_VARIABLES)} == {
        k: v for k, v in other.table.items() if not k.startswith(DXA_VARIABLES)
    }
    role = first_role(cohort)
    changed = voxels(cohort, role, 0, 1.0) - voxels(cohort, role)
    assert changed.any()
    outside = np.abs(changed) <= 0.02 * np.ptp(voxels(cohort, role))
    assert outside.mean() > 0.4, "most of the picture is no bone and stays as it is"


@pytest.mark.parametrize("cohort", IMAGING)
def test_scanners_are_drawn_independently_of_the_patient(cohort):
    dense, sparse = (open_cohort(cohort, n=40, settings={"bone_shift": shift}).cases for shift in (0.0, -2.0))
    assert [case.groups for case in dense] == [case.groups for case in sparse]


@pytest.mark.parametrize("cohort", IMAGING)
def test_a_planted_shortcut_follows_the_label(cohort):
    cases = open_cohort(cohort, n=300, settings={"shortcut": 1.0}).cases
    sites = {label: {c.groups["site"] for c in cases if c.truth.get("osteoporosis_dxa") == label} for label in (0, 1)}
    assert sites[0]
    assert sites[1]
    assert not sites[0] & sites[1]
