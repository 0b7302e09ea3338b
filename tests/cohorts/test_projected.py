"""The bone of every picture, projected, has the areal BMD of the patient's table: table and image cannot disagree.

Knee and jaws are not listed: no DXA region lies in their pictures, and their bone follows a peripheral density that
stands in no table.
"""

from dataclasses import replace

import numpy as np
import pytest

from trabecula.cohort import open_cohort
from trabecula.phantom.anatomy.lumbar_bone import REGION, region
from trabecula.phantom.anatomy.scene import Grid, Scene
from trabecula.phantom.hip_view import HipView
from trabecula.phantom.material import MINERAL_SHARE
from trabecula.phantom.spine_grain import film_grain

SPINES = [
    ("phantom_spine_xray", "spine_xray_ap"), ("phantom_spine_xray", "spine_xray_lateral"),
    ("phantom_lumbar_ct", "lumbar_ct"), ("phantom_lumbar_mri_ct", "lumbar_mri"), ("phantom_dxa", "spine_dxa"),
]  # fmt: skip
HIPS = [("phantom_hip_xray", "hip_xray"), ("phantom_hip_ct", "hip_ct"), ("phantom_dxa", "hip_dxa")]


def recipe_and_case(cohort, role, patient=3):
    case = next(c for c in open_cohort(cohort, n=patient + 1).cases if int(c.patient) == patient)
    return case.images.source(role).recipe, case


def projected(bones, grid, trunk):
    """Return the AP column of hydroxyapatite in g/cm2, with the grain of a film."""
    found = Scene(tissues=(), bones=tuple(bones)).columns(grid, "ap", texture=film_grain(trunk, "ap"))
    return found["bone_matrix"] * MINERAL_SHARE


@pytest.mark.parametrize(("cohort", "role"), SPINES)
def test_the_lumbar_spine_of_the_picture_has_the_bmd_of_the_table(cohort, role):
    """Bodies L1-L4 and what their AP outline covers, over the outline's area, within 1 %."""
    recipe, case = recipe_and_case(cohort, role)
    trunk = recipe.trunk
    low, high = trunk.spine.reach(REGION[0], REGION[-1])
    grid = Grid.around((-45.0, -45.0, low - 12), (45.0, 85.0, high + 12), (1.0, 1.0, 1.0))
    bones = trunk.bones(("T12", *REGION, "L5"))
    bodies = projected([bone for bone in bones if bone.name in REGION], grid, trunk)
    everything, covered = projected(bones, grid, trunk), region(trunk.spine, grid)
    found = (bodies.sum() + ((everything - bodies) * covered).sum()) / covered.sum()
    assert found == pytest.approx(case.truth.get("bmd_lumbar", case.table.get("bmd_lumbar_g_cm2")), rel=0.01)


@pytest.mark.parametrize(("cohort", "role"), HIPS)
def test_the_hip_of_the_picture_has_the_bmd_of_the_table(cohort, role):
    """Neck box and total hip of the femur that the picture shows, laid as DXA wants it, within 1 %."""
    recipe, case = recipe_and_case(cohort, role)
    owner = recipe.owner
    view = HipView(
        owner=owner, side=recipe.side, rows=150, columns=124, pixel_mm=1.0, straight=True, deep=1.0,
        rotation_deg=owner.hip.femur.anteversion_deg,
    )  # fmt: skip
    mineral, regions = view.femur()["bone_matrix"] * MINERAL_SHARE, view.mask("hip_regions")
    labels = regions.voxels[0] if recipe.side == "L" else regions.voxels[0][:, ::-1]
    neck = next(value for value, name in regions.names.items() if name == "femoral neck")
    for target, inside in (("bmd_femoral_neck", labels == neck), ("bmd_total_hip", labels > 0)):
        assert mineral[inside].mean() == pytest.approx(case.truth[target], rel=0.01), target


@pytest.mark.parametrize("patient", [3, 6])
def test_the_femur_of_a_ct_weighs_what_it_weighs_in_projection(patient):
    """In g of hydroxyapatite between the same planes, in the position of the CT, within 1 %."""
    recipe, _ = recipe_and_case("phantom_hip_ct", "hip_ct", patient)
    own = replace(recipe, scanner=replace(recipe.scanner, pixel_mm=1.0, slice_mm=1.0, interval_mm=1.0))
    femur = [bone for bone in own.scene().bones if "femur" in bone.name]
    grid = own.grid()
    volume = Scene(tissues=(), bones=tuple(femur)).body(grid, grain=own._grain).densities["bone_matrix"]
    column = Scene(tissues=(), bones=tuple(femur)).mineral(grid)
    found = volume.sum(dtype=np.float64) * np.prod(grid.spacing) / 1000 * MINERAL_SHARE
    assert found == pytest.approx(column.sum() * grid.spacing[0] * grid.spacing[2] / 100, rel=0.01)
