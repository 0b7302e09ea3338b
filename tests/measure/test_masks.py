"""Masks are understood by name, whoever wrote them; what is not there or not named is refused."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from trabecula.image import Image, read_nifti
from trabecula.measure.masks import LAYOUTS, bodies_by_level, is_level, level_mask, named_mask, part_mask, plain_name

DATA = Path(__file__).parents[3] / "shared" / "data" / "ct_totalseg_example"
example = pytest.mark.skipif(not DATA.exists(), reason="needs ../shared/data/ct_totalseg_example")


def mask(values, names=None):
    return Image(voxels=np.asarray(values, dtype=np.uint8), unit="label", spacing=(1.0,) * 3, names=names or {})


TWO = mask([[[0, 27, 28], [75, 75, 0]]])


@pytest.mark.parametrize(
    ("spelt", "plain"),
    [
        ("vertebrae_L1", "L1"), ("L1", "L1"), ("Vertebral body L1", "L1"), ("l01", "L1"), ("vertebrae_T12", "T12"),
        ("vertebrae_body", "vertebral body"), ("Vertebral-Body", "vertebral body"), ("femur_left", "left femur"),
        ("left femur", "left femur"), ("Femur L", "left femur"), ("iliopsoas_right", "right iliopsoas"),
        ("hydroxyapatite 50 mg/cm3", "hydroxyapatite 50 mg cm3"),
    ],
)  # fmt: skip
def test_a_name_has_one_spelling(spelt, plain):
    assert plain_name(spelt) == plain
    assert plain_name(plain) == plain


def test_levels_are_told_from_other_bones():
    assert [is_level(name) for name in ("L1", "T12", "C7", "S1", "left femur", "L")] == [True] * 3 + [False] * 3


def test_layouts_name_each_bone_once_and_spines_are_whole():
    for layout in LAYOUTS.values():
        names = [plain_name(name) for name in layout.values()]
        assert len(set(names)) == len(names)
        assert names == list(layout.values())
    for id_ in ("totalsegmentator", "totalsegmentator_v1"):
        assert sum(map(is_level, LAYOUTS[id_].values())) == 24
    assert [LAYOUTS["totalsegmentator"][n] for n in (27, 31, 32, 50)] == ["L5", "L1", "T12", "C1"]
    assert [LAYOUTS["totalsegmentator_v1"][n] for n in (18, 22, 23, 41)] == ["L5", "L1", "T12", "C1"]
    assert [LAYOUTS["verse"][n] for n in (7, 8, 20, 24)] == ["C7", "T1", "L1", "L5"]


def test_a_mask_takes_its_own_names_a_layout_or_ours():
    assert dict(named_mask(TWO, "totalsegmentator").names) == {27: "L5", 28: "L4", 75: "left femur"}
    assert dict(named_mask(TWO, {27: "Vertebra L2"}).names) == {27: "L2"}
    assert dict(named_mask(replace(TWO, names={28: "vertebrae_L3"})).names) == {28: "L3"}


@pytest.mark.parametrize(
    ("broken", "layout", "said"),
    [
        (TWO, None, "have no names"),
        (TWO, "nora", "no layout 'nora'"),
        (TWO, {5: "L1"}, "none of the values"),
        (mask(np.zeros((1, 2, 3))), "verse", "mask is empty"),
        (replace(TWO, voxels=TWO.voxels + 0.4), "verse", "whole numbers"),
    ],
)
def test_a_mask_that_says_nothing_is_refused(broken, layout, said):
    with pytest.raises(ValueError, match=said):
        named_mask(broken, layout)


def test_a_part_is_taken_by_any_spelling_and_a_missing_one_lists_the_others():
    named = named_mask(TWO, "totalsegmentator")
    assert part_mask(named, "femur_left").voxels.sum() == 2
    assert set(np.unique(level_mask(named).voxels)) == {0, 27, 28}
    with pytest.raises(ValueError, match="L1 is not in the mask; there are L5, L4, left femur"):
        part_mask(named, "L1")
    with pytest.raises(ValueError, match="no vertebra"):
        level_mask(named_mask(TWO, {75: "left femur"}))


def test_bodies_take_their_level_from_the_vertebra_they_lie_in():
    bodies = mask([[[1, 1, 0], [1, 2, 1]]], {1: "vertebrae_body", 2: "intervertebral_discs"})
    vertebrae = mask([[[27, 28, 28], [0, 28, 28]]], {27: "vertebrae_L5", 28: "vertebrae_L4"})
    found = bodies_by_level(bodies, vertebrae)
    assert found.voxels.tolist() == [[[27, 28, 0], [0, 0, 28]]]
    assert dict(found.names) == {27: "L5", 28: "L4"}
    with pytest.raises(ValueError, match="no vertebral body lies in a vertebra"):
        bodies_by_level(bodies, replace(vertebrae, voxels=vertebrae.voxels * (bodies.voxels != 1)))


@example
def test_published_maps_say_their_names_and_the_layouts_agree_with_them():
    for file, layout in (
        ("all_117_classes", "totalsegmentator"), ("vertebrae_totalseg", "totalsegmentator"),
        ("vertebrae_pp_refined", "verse"), ("vertebrae_body", "totalsegmentator_vertebrae_body"),
    ):  # fmt: skip
        told = named_mask(read_nifti(DATA / f"{file}.nii.gz", unit="label"))
        by_layout = named_mask(told, layout)
        assert {value: told.names[value] for value in by_layout.names} == dict(by_layout.names)
        assert any(map(is_level, told.names.values())) or "vertebral body" in told.names.values()


@example
def test_levels_of_published_bodies_go_down_the_spine():
    bodies, vertebrae = (
        named_mask(read_nifti(DATA / f"{file}.nii.gz", unit="label"))
        for file in ("vertebrae_body", "vertebrae_totalseg")
    )
    found = bodies_by_level(bodies, vertebrae)
    heights = {
        name: (np.argwhere(found.voxels == value) @ found.affine[2, :3]).mean() for value, name in found.names.items()
    }
    assert sorted(heights, key=heights.get) == ["L5", "L4", "L3", "L2", "L1", "T12"]
