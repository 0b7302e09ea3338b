"""The spine: sizes, heights lost exactly, curves, mineral solved for the areal BMD, soft tissue of the right size."""

from dataclasses import dataclass, replace
from math import pi

import numpy as np
import pytest

from trabecula.phantom.anatomy.lumbar_bone import REGION, built, region, region_bmd, solved_bone, spine_bones
from trabecula.phantom.anatomy.scene import Grid, Scene, share_inside
from trabecula.phantom.anatomy.spine import Traits, draw_spine
from trabecula.phantom.anatomy.torso import draw_torso
from trabecula.phantom.anatomy.vertebra import LEVELS, arch_solid, body_solid, usual_vertebra
from trabecula.phantom.ct import Scanner, water_equivalent_cm
from trabecula.phantom.people import Deformity, person

WOMAN = Traits(age_years=65, sex="female", height_cm=163, bmi_kg_m2=27)
MAN = Traits(age_years=65, sex="male", height_cm=176, bmi_kg_m2=27)
PLACES = {"wedge": (0,), "biconcave": (1,), "crush": (0, 1, 2)}


@dataclass(frozen=True)
class Bone:
    """What solving needs of a skeleton."""

    lumbar_g_cm2: float = 1.0
    lumbar_vbmd_mg_cm3: float = 120.0
    marrow_fat: float = 0.5
    wall: float = 0.0


def spine_of(traits=WOMAN, seed=0, deformities=()):
    return draw_spine(traits, np.random.default_rng(seed), deformities=deformities)


def heights(spine, level):
    points = spine.points(level)
    return np.linalg.norm(points[:3] - points[3:], axis=1)


def drawn(patient, seed, **settings):
    who = person(patient, seed, **settings)
    names = ("age_years", "sex", "height_cm", "bmi_kg_m2")
    return who, Traits(**{name: who.table[name] for name in names})


def axial(z, traits, half=230.0, spacing=1.0):
    return Grid.around((-half, -half, z - 0.5), (half, half, z + 0.5), (spacing, spacing, spacing))


@pytest.mark.parametrize("shape", sorted(PLACES))
@pytest.mark.parametrize("level", ["T4", "T8", "T12", "L2", "L5"])
def test_a_deformity_loses_exactly_its_height_where_it_lies(shape, level):
    before = heights(spine_of(), level)
    after = heights(spine_of(deformities=[Deformity(level=level, shape=shape, loss=0.31)]), level)
    for place in range(3):
        if place in PLACES[shape]:
            assert after[place] == pytest.approx(0.69 * before[place], rel=1e-6)
        elif shape == "wedge" and place == 1:
            assert after[place] == pytest.approx((1 - 0.31 / 2) * before[place], rel=1e-6)
        else:
            assert after[place] == pytest.approx(before[place], rel=1e-6)


@pytest.mark.parametrize("deformities", [(), (Deformity(level="L2", shape="biconcave", loss=0.4),)])
def test_the_body_reaches_from_endplate_to_endplate_at_its_six_points(deformities):
    """Just within a point is bone, just beyond it is none; rims are round, so front and back are read inside them."""
    spine = spine_of(deformities=deformities)
    vertebra = spine.vertebrae["L2"]
    solid = body_solid(vertebra)
    for n, place in enumerate((-0.86, 0.0, 0.86) * 2):
        y = place * vertebra.depth / 2
        z = np.linspace(0, 25 if n < 3 else -25, 5001, dtype=np.float32)
        inside = solid.distance(np.zeros_like(z), np.full_like(z, y), z) < 0
        reached, points = float(z[inside][-1]), vertebra.points[:3, 2] if n < 3 else vertebra.points[3:, 2]
        if place == 0.0:
            assert reached == pytest.approx(points[1], abs=0.02)
        else:
            rim = points[0] if place < 0 else points[2]
            assert reached == pytest.approx(rim + (1 - 0.86**2) * (points[1] - points[[0, 2]].mean()), abs=0.35)


def test_what_is_drawn_does_not_depend_on_deformities():
    hurt = spine_of(deformities=[Deformity(level="T9", shape="crush", loss=0.4)])
    whole = spine_of()
    for level in LEVELS:
        if level != "T9":
            assert hurt.vertebrae[level] == whole.vertebrae[level]
    assert np.allclose(hurt.frames["L1"].shift, whole.frames["L1"].shift)
    assert hurt.frames["T4"].shift[2] < whole.frames["T4"].shift[2] - 5


def test_sizes_grow_downwards_and_men_are_larger():
    women, men = ([usual_vertebra(v, male=male, height_cm=170) for v in LEVELS] for male in (False, True))
    assert all(w.width < m.width and w.posterior < m.posterior for w, m in zip(women, men, strict=True))
    widths = [w.width for w in women]
    assert widths == sorted(widths)
    l1 = usual_vertebra("L1", male=False, height_cm=163)
    assert 23 < l1.anterior < 28
    assert 25 < l1.posterior < 29
    assert 37 < l1.width < 44


def test_curves_are_those_of_a_patient_who_lies():
    """Lordosis L1-S1 and kyphosis T4-T12 between the endplates, mean over people; recalled 40-60 and 25-50 degrees."""

    def lean(spine, level, upper):
        points = spine.points(level)[:3] if upper else spine.points(level)[3:]
        back = points[2] - points[0]
        return np.degrees(np.arctan2(back[2], back[1]))

    lordosis, kyphosis = [], []
    for seed in range(40):
        spine = spine_of(seed=seed)
        down = np.degrees(np.arctan2(spine.sacrum.turn[2, 1], spine.sacrum.turn[1, 1]))
        lordosis.append(down - lean(spine, "L1", upper=True))
        kyphosis.append(lean(spine, "T4", upper=True) - lean(spine, "T12", upper=False))
    assert 40 < np.mean(lordosis) < 60
    assert 25 < np.mean(kyphosis) < 50
    assert 4 < np.std(lordosis) < 15


def test_neighbours_do_not_run_into_each_other():
    """The bodies of neighbours share no voxel, and arches no more than a trace at the facets."""
    for seed in range(3):
        spine = spine_of(seed=seed)
        low, high = spine.reach("L1", "L3")
        grid = Grid.around((-55, -40, low - 15), (55, 90, high + 15), (1.5, 1.5, 1.5))
        shares = {
            (part, level): share_inside(spine.frames[level].placed(solid(spine.vertebrae[level])), grid)
            for level in ("L1", "L2", "L3")
            for part, solid in (("body", body_solid), ("arch", arch_solid))
        }
        for above, below in (("L1", "L2"), ("L2", "L3")):
            assert np.minimum(shares["body", above], shares["body", below]).sum() == 0
            arches = np.minimum(shares["arch", above], shares["arch", below]).sum()
            assert arches < 0.02 * shares["arch", above].sum()


@pytest.mark.parametrize(("traits", "bmd", "vbmd"), [(WOMAN, 0.75, 60.0), (WOMAN, 1.05, 150.0), (MAN, 1.25, 130.0)])
def test_the_dxa_region_holds_the_areal_bmd(traits, bmd, vbmd):
    """Solved on one grid, projected on others that are finer and coarser."""
    spine = spine_of(traits, seed=3)
    bone = solved_bone(spine, Bone(lumbar_g_cm2=bmd, lumbar_vbmd_mg_cm3=vbmd))
    for spacing in (0.8, 1.5, 2.0):
        assert region_bmd(spine, bone, spacing_mm=spacing) == pytest.approx(bmd, rel=0.006)


def test_a_densitometer_that_cuts_the_region_out_of_its_map_agrees():
    """The whole trunk, a map of 1 mm and pixels more than half covered by the bodies: within the 1 % that is asked."""
    spine = spine_of(MAN, seed=5)
    bone = solved_bone(spine, Bone(lumbar_g_cm2=1.0))
    low, high = spine.reach("L1", "L4")
    grid = Grid.around((-40, -60, low - 5), (40, 140, high + 5), (1.0, 1.0, 1.0))
    mineral = Scene(tissues=(), bones=tuple(spine_bones(spine, bone))).mineral(grid)
    assert mineral[region(spine, grid) > 0.5].mean() == pytest.approx(1.0, rel=0.01)


def test_solved_bone_of_deformed_spines_holds_the_areal_bmd():
    spine = spine_of(deformities=[Deformity(level="L1", shape="crush", loss=0.45)])
    bone = solved_bone(spine, Bone(lumbar_g_cm2=0.8, lumbar_vbmd_mg_cm3=70))
    assert region_bmd(spine, bone, spacing_mm=1.0) == pytest.approx(0.8, rel=0.005)


def test_more_bone_means_more_cortex_and_a_thick_wall_thins_the_arch():
    spine = spine_of()
    sparse, dense = (solved_bone(spine, Bone(lumbar_g_cm2=bmd)) for bmd in (0.8, 1.1))
    assert sparse.side_mm < dense.side_mm
    assert sparse.arch_mm < dense.arch_mm
    thick = solved_bone(spine, Bone(lumbar_g_cm2=1.1, wall=2.0))
    assert thick.side_mm > dense.side_mm
    assert thick.arch_mm < dense.arch_mm


def test_what_no_cortex_can_hold_is_said():
    with pytest.raises(ValueError, match=r"no plausible cortex makes 0\.400 g/cm2"):
        solved_bone(spine_of(), Bone(lumbar_g_cm2=0.4, lumbar_vbmd_mg_cm3=240))


def solved_ranges(patients, **settings):
    """Return walls and densities of drawn people, one row each."""
    rows = []
    for patient in patients:
        who, traits = drawn(patient, 0, **settings)
        bone = solved_bone(draw_spine(traits, np.random.default_rng([0, patient]), deformities=who.deformities),
                           who.skeleton)  # fmt: skip
        rows.append((bone.side_mm, bone.plate_mm, bone.arch_mm, bone.cortical_mg_cm3))
    return np.array(rows)


@pytest.mark.parametrize("enriched", [True, False])
def test_drawn_people_have_plausible_cortex(enriched):
    side, plate, arch, cortex = solved_ranges(range(20), enriched=enriched).T
    for values, low, high in ((side, 0.2, 1.1), (plate, 0.3, 1.7), (arch, 0.4, 2.8), (cortex, 600, 1034)):
        assert low < values.min()
        assert values.max() < high


@pytest.mark.slow
@pytest.mark.parametrize("enriched", [True, False])
@pytest.mark.parametrize("shift", [0.0, -1.0, 1.0])
def test_every_drawn_person_can_be_solved(enriched, shift):
    side, _, arch, _ = solved_ranges(range(100), enriched=enriched, bone_shift=shift).T
    assert side.min() > 0.15
    assert side.max() < 1.5
    assert 0.3 < np.median(side) < 0.7
    assert arch.max() < 3.5


def test_arches_bear_a_third_to_two_thirds_of_the_mineral():
    spine = spine_of()
    bone = solved_bone(spine, Bone())
    low, high = spine.reach("L1", "L4")
    grid = Grid.around((-60, -40, low), (60, 100, high), (1.5, 1.5, 1.5))
    bones = spine_bones(spine, bone, REGION, sacrum=False)
    covered = region(spine, grid)
    bodies, total = (
        (Scene(tissues=(), bones=tuple(part)).mineral(grid) * covered).sum() for part in (bones[:4], bones)
    )
    assert 0.3 < 1 - bodies / total < 0.55


@pytest.mark.parametrize("area", [12.0, 20.0, 30.0])
def test_the_psoas_has_the_area_that_was_asked_for(area):
    spine = spine_of()
    torso = draw_torso(WOMAN, spine, np.random.default_rng(1), fat_share=0.38, psoas_cm2=area)
    grid = axial(0.0, WOMAN)
    bones = tuple(spine_bones(spine, built(1.0, Bone())))
    mask = Scene(tissues=torso.tissues, bones=bones).labels(grid, {"psoas": 1})
    assert (mask.voxels == 1).sum() * 0.01 == pytest.approx(area, rel=0.03)


@pytest.mark.parametrize(("sex", "bmi", "low", "high"), [
    ("female", 20, 20.5, 25), ("female", 27, 24, 29), ("male", 28, 26, 31), ("male", 40, 33, 41),
])  # fmt: skip
def test_the_trunk_is_as_large_as_patients_are(sex, bmi, low, high):
    """Water-equivalent diameter in cm of an abdomen; 25 to 36 in most adults, more in the obese."""
    traits = replace(WOMAN, sex=sex, bmi_kg_m2=bmi, height_cm=163 if sex == "female" else 176)
    torso = draw_torso(traits, spine_of(traits), np.random.default_rng(2), fat_share=0.35, psoas_cm2=18)
    grid = Grid.around((-270, -330, -10), (270, 190, 10), (10.0, 4.0, 4.0))
    assert low < water_equivalent_cm(Scene(tissues=torso.tissues, bones=()).body(grid), Scanner()) < high


def test_a_known_waist_is_the_girth_of_the_trunk():
    traits = replace(WOMAN, waist_cm=104.0)
    torso = draw_torso(traits, spine_of(traits), np.random.default_rng(2), fat_share=0.35, psoas_cm2=18)
    half = np.array([torso.form.width, torso.form.depth]) / 2
    assert 2 * pi * np.sqrt((half**2).mean()) == pytest.approx(1040, rel=0.01)


@pytest.mark.parametrize(
    ("make", "line"),
    [
        (lambda: replace(WOMAN, sex="other"), "female or male"),
        (lambda: replace(WOMAN, age_years=5), "age_years lies between"),
        (lambda: usual_vertebra("C7", male=False, height_cm=160), "T4 to L5"),
        (lambda: usual_vertebra("L1", male=False, height_cm=20), "stature"),
        (lambda: usual_vertebra("L1", male=False, height_cm=160).deformed("burst", 0.3), "a deformity is"),
        (lambda: usual_vertebra("L1", male=False, height_cm=160).deformed("wedge", 0.95), "loss of 0 to 0.8"),
        (lambda: spine_of(deformities=[Deformity(level="T1", shape="wedge", loss=0.3)]), "deformities are of T4"),
        (lambda: replace(built(1.0, Bone()), side_mm=-1.0), "walls are not negative"),
        (
            lambda: draw_torso(WOMAN, spine_of(), np.random.default_rng(0), fat_share=1.4, psoas_cm2=10),
            "share of 0 to 1",
        ),
    ],
)
def test_bad_input_gives_one_clear_line(make, line):
    with pytest.raises(ValueError, match=line):
        make()
