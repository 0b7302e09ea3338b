"""MRI and CT of one patient: the same vertebrae in both, marrow bright and discs dark, twins in opposite directions."""

from functools import cache
from itertools import pairwise

import numpy as np
import pytest

from trabecula.cohorts.phantom_lumbar_mri_ct.cohort import SETTINGS, make

QUIET = {"noise_scale": 1e-3}


@cache
def case(patient=1, **settings):
    return make(patient, 0, {**SETTINGS, **settings})


@cache
def volume(role, **settings):
    return case(**settings).images[role]


@cache
def mask(**settings):
    return case(**settings).masks["vertebral_bodies"]


def positions(image, index):
    return index @ image.affine[:3, :3].T + image.affine[:3, 3]


def test_the_mask_lies_on_the_voxels_of_the_mri_and_names_the_levels_downwards():
    image, labels = volume("lumbar_mri"), mask()
    assert labels.shape == image.shape
    assert np.allclose(labels.affine, image.affine)
    heights = [positions(labels, np.argwhere(labels.voxels == value))[:, 2].mean() for value in range(1, 6)]
    assert [labels.names[value] for value in range(1, 6)] == ["L1", "L2", "L3", "L4", "L5"]
    assert all(28 < above - below < 50 for above, below in pairwise(heights))


def test_the_vertebrae_of_the_mri_are_those_of_the_ct():
    """Voxels in the middle of the MRI's bodies hold bone in the CT, those between two bodies do not."""
    ct, labels = volume("lumbar_ct", **QUIET), mask()
    inverse = np.linalg.inv(ct.affine)
    for value in (2, 3):
        cloud = positions(labels, np.argwhere(labels.voxels == value))
        middle = cloud.mean(axis=0)
        below = positions(labels, np.argwhere(labels.voxels == value + 1)).mean(axis=0)
        inside, disc = (
            ct.voxels[tuple(np.rint((inverse @ [*place, 1])[:3]).astype(int))]
            for place in (middle, (middle + below) / 2)
        )
        assert inside > disc + 15


def test_discs_are_darker_than_marrow_and_cortex_is_darkest():
    image, labels = volume("lumbar_mri", **QUIET), mask()
    cloud = [positions(labels, np.argwhere(labels.voxels == value)).mean(axis=0) for value in (2, 3)]
    inverse = np.linalg.inv(image.affine)
    along = np.array([cloud[0] + share * (cloud[1] - cloud[0]) for share in np.linspace(0, 1, 60)])
    index = np.rint((np.c_[along, np.ones(60)] @ inverse.T)[:, :3]).astype(int)
    profile = image.voxels[tuple(index.T)].astype(float)
    marrow, disc = np.median(profile[[0, 1, 2, 57, 58, 59]]), np.median(profile[27:33])
    assert disc < 0.8 * marrow
    assert profile.min() < 0.85 * disc, "an endplate lies between them"


@pytest.mark.parametrize(("role", "sense"), [("lumbar_mri", -1), ("lumbar_ct", 1)])
def test_denser_bone_is_darker_in_mri_and_brighter_in_ct(role, sense):
    inside = volume(role).voxels.astype(float)
    denser = volume(role, bone_shift=1.0).voxels.astype(float)
    changed = denser - inside
    where = np.abs(changed) > np.percentile(np.abs(changed), 97)
    assert sense * changed[where].mean() > 0
    if role == "lumbar_mri":
        assert denser[mask().voxels > 0].mean() < inside[mask().voxels > 0].mean()


def test_noise_is_the_same_in_twins():
    noisy, quiet = (volume("lumbar_mri", **each).voxels.astype(float) for each in ({}, QUIET))
    twin, quiet_twin = (volume("lumbar_mri", bone_shift=1.0, **each).voxels.astype(float) for each in ({}, QUIET))
    assert np.corrcoef((noisy - quiet).ravel(), (twin - quiet_twin).ravel())[0, 1] > 0.95
