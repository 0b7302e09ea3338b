"""The jaw: lengths, masses and classes that an image shows are those that were asked for."""

from dataclasses import replace

import numpy as np
import pytest

from trabecula.phantom.anatomy.alveolar import alveolar_mesh
from trabecula.phantom.anatomy.dentition import draw_dentition
from trabecula.phantom.anatomy.jaw_paths import CORTICAL_MG_CM3, LAMINA_DURA_MM, LIGAMENT_MM
from trabecula.phantom.anatomy.mandible import JawBone, draw_jaw, mandible_paths
from trabecula.phantom.anatomy.teeth import LOWER, UPPER, Tooth, chord, tooth_paths
from trabecula.phantom.grain import projected_field
from trabecula.phantom.material import BONE_MATRIX_CM3_PER_G, MINERAL_SHARE, get_material

YOUNG = JawBone(trabecular=0.0, cortical=0.0, erosion=-2.0)


def jaw(patient=0, age=45):
    return draw_jaw(np.random.default_rng([0, patient]), age=age, male=False)


def around(x, z, width, height, step=0.1):
    return x + np.arange(-width / 2, width / 2, step), z + np.arange(-height / 2, height / 2, step)


def molar(**settings):
    return Tooth(**{"shape": LOWER[5], "upper": False, "left": True, "place": 6, "x": 0.0, "z": 0.0, **settings})


def paths_of(tooth, step=0.1):
    return tooth_paths(tooth, *around(0, 0, 30, 50, step))


def test_the_chord_of_an_elliptic_rod_is_that_of_an_ellipse():
    x = np.linspace(-3, 3, 61)
    assert chord(3 - np.abs(x), np.array(3.0), np.array(5.0)) == pytest.approx(
        10 * np.sqrt(1 - (x / 3) ** 2), abs=1e-12
    )


@pytest.mark.parametrize("shape", [*LOWER, *UPPER])
def test_a_tooth_has_the_size_of_its_kind(shape):
    """Length within 0.5 mm and width within 6 % of the table: a smooth outline rounds its corners, roots may bulge."""
    found = paths_of(molar(shape=shape, bend=0.0))
    inside = found.depth > 0
    assert inside.any(axis=1).sum() * 0.1 == pytest.approx(shape.crown + shape.root, abs=0.5)
    assert inside.any(axis=0).sum() * 0.1 == pytest.approx(shape.width, rel=0.06)


@pytest.mark.parametrize("part", ["enamel", "dentine"])
def test_finer_pixels_hold_the_same_tooth(part):
    coarse, fine = (getattr(paths_of(molar(), step), part).sum() * step**2 for step in (0.2, 0.05))
    assert coarse == pytest.approx(fine, rel=0.01)


def test_a_tooth_of_the_other_side_is_its_mirror_image_and_roots_of_the_upper_jaw_point_up():
    tooth = molar(shape=LOWER[3], lean=12.0, bend=0.15)
    x, z = np.linspace(-15, 15, 301), np.linspace(-25, 25, 501)
    left, right, upper = np.zeros((3, 501, 301))
    for picture, each in ((left, tooth), (right, replace(tooth, left=False)), (upper, replace(tooth, upper=True))):
        found = tooth_paths(each, x, z)
        picture[found.where] = found.total
    assert np.abs(left - right[:, ::-1]).mean() < 0.01
    assert np.abs(left - upper[::-1]).mean() < 0.01
    assert np.abs(left - right).mean() > 0.1


def test_enamel_covers_the_crown_alone_and_a_filling_takes_its_place():
    sound, filled = paths_of(molar()), paths_of(molar(filling="amalgam", wide=0.5))
    _, up = molar().own(np.zeros(1)[None, :], around(0, 0, 30, 50)[1][sound.where[0]][:, None])
    assert sound.enamel[up[:, 0] < -0.5].max() == 0
    assert sound.enamel[up[:, 0] > 4].sum() > 0.3 * sound.total[up[:, 0] > 4].sum()
    assert sound.metal.max() == 0 < filled.metal.max()
    assert filled.enamel.sum() < sound.enamel.sum()


def test_pulp_narrows_with_age():
    young, old = (
        np.mean([t.pulp for n in range(20) for t in draw_dentition(np.random.default_rng(n), age, size=1.0).teeth])
        for age in (25, 85)
    )
    assert young > 1.3 * old
    assert paths_of(molar(pulp=1.2)).dentine.sum() < paths_of(molar(pulp=0.6)).dentine.sum()


@pytest.mark.parametrize("age", [30, 60, 90])
def test_teeth_stand_in_their_order_and_some_are_left_behind_the_canine(age):
    for n in range(15):
        for upper in (False, True):
            teeth = draw_dentition(np.random.default_rng([age, n]), age, size=1.0).of(upper=upper)
            assert len({tooth.number for tooth in teeth}) == len(teeth)
            for left in (False, True):
                quadrant = [tooth for tooth in teeth if tooth.left == left]
                places = [abs(tooth.x) for tooth in sorted(quadrant, key=lambda tooth: tooth.place)]
                assert places == sorted(places)
                assert sum(4 <= tooth.place <= 7 for tooth in quadrant) >= 2


def test_the_old_have_fewer_teeth_and_a_lower_crest():
    count, crest = {}, {}
    for age in (30, 85):
        found = [draw_dentition(np.random.default_rng([1, n]), age, size=1.0) for n in range(40)]
        count[age] = np.mean([len(each.teeth) for each in found])
        crest[age] = np.mean([each.lower_crest(np.linspace(-50, 50, 60)).mean() for each in found])
    assert 26 < count[30] <= 32
    assert 10 < count[85] < count[30] - 5
    assert crest[85] < crest[30] - 1


@pytest.mark.parametrize("cortical", [-3.0, -1.0, 1.0])
def test_the_inferior_cortex_is_as_thick_as_asked_for_below_the_mental_foramen(cortical):
    """At 0.1 mm, from the border to the first marrow; unevenness of an uneroded cortex is about 5 %."""
    bone = replace(YOUNG, cortical=cortical)
    found = []
    for patient in range(6):
        it = jaw(patient)
        foramen = it.canals[0][-1, 0]
        x, z = around(foramen, -36, 4, 24)
        paths = mandible_paths(it, bone, x, z)
        column = len(x) // 2
        border = paths.border_mm[:, column]
        found.append(border[(paths.trabecular[:, column] > 0.5) & (border > 0)].min())
    assert np.mean(found) == pytest.approx(bone.cortex_mm, abs=0.25)
    assert bone.cortex_mm == pytest.approx(4.0 + 0.4 * cortical)


def test_a_tooth_lies_in_a_dark_ligament_and_a_bright_wall():
    """From the root outwards mineral falls in the ligament, rises in the lamina dura, and falls again in marrow."""
    it = jaw(2)
    tooth = next(t for t in it.dentition.of(upper=False) if t.left and t.place in (4, 5))
    x, z = around(tooth.x, tooth.z - 8, 12, 12, 0.05)
    paths = mandible_paths(it, YOUNG, x, z)
    columns = paths.columns(np.ones_like(paths.cortical))
    mineral = columns["bone_matrix"] * MINERAL_SHARE + columns["hydroxyapatite"]
    inside = (paths.crest_mm > 2) & (paths.border_mm > 6)
    root, ligament, lamina, marrow = (
        mineral[inside & (paths.tooth_mm > low) & (paths.tooth_mm < high)].mean()
        for low, high in ((0.3, 0.6), (-0.1, 0.0), (-LIGAMENT_MM - LAMINA_DURA_MM / 2, -LIGAMENT_MM), (-1.6, -0.9))
    )
    assert lamina > 1.2 * marrow
    assert ligament < 0.9 * lamina
    assert root > 1.2 * ligament


def test_denser_trabeculae_add_their_mineral_and_nothing_else_moves():
    """The column of mineral changes by density times path, whatever the mesh; teeth and outline stay."""
    it = jaw(1)
    x, z = around(35, -15, 40, 30, 0.2)
    sparse, dense = (mandible_paths(it, replace(YOUNG, trabecular=sd), x, z) for sd in (-2.0, 0.0))
    mesh = alveolar_mesh(np.random.default_rng(0), sparse.cortical.shape, 0.2, -1.0)
    columns = [paths.columns(mesh) for paths in (sparse, dense)]
    added = (columns[1]["bone_matrix"] - columns[0]["bone_matrix"]) * MINERAL_SHARE
    assert added == pytest.approx((dense.mg_cm3 - sparse.mg_cm3) * 1e-4 * mesh * dense.trabecular, abs=1e-9)
    assert (dense.mg_cm3 - sparse.mg_cm3).max() == pytest.approx(68, rel=0.3)
    for name in ("hydroxyapatite", "copper", "aluminium"):
        assert np.array_equal(columns[0][name], columns[1][name])
    assert np.array_equal(sparse.tooth_mm, dense.tooth_mm)


def test_bone_and_marrow_fill_the_bone():
    it = jaw(3)
    paths = mandible_paths(it, YOUNG, *around(35, -25, 30, 20, 0.25))
    columns = paths.columns(np.ones_like(paths.cortical))
    volume = columns["bone_matrix"] * BONE_MATRIX_CM3_PER_G + sum(
        columns[name] / get_material(name).density for name in ("red_marrow", "yellow_marrow")
    )
    assert volume == pytest.approx((paths.cortical + paths.trabecular) / 10, abs=1e-6)
    assert CORTICAL_MG_CM3 / 1000 / MINERAL_SHARE * BONE_MATRIX_CM3_PER_G < 1


@pytest.mark.parametrize("trabecular", [-4.0, -1.0, 1.0])
def test_the_mesh_moves_no_mineral(trabecular):
    mesh = alveolar_mesh(np.random.default_rng(1), (240, 320), 0.1, trabecular)
    assert mesh.mean() == pytest.approx(1.0, abs=1e-9)
    assert mesh.min() >= 0


def test_a_sparser_mesh_has_wider_spaces_and_more_contrast():
    """Along a line of the same network struts are fewer as bone is lost."""

    def contrast_and_struts(trabecular):
        mesh = alveolar_mesh(np.random.default_rng(2), (256, 256), 0.1, trabecular)
        above = mesh > mesh.mean()
        return mesh.std(), (above[:, 1:] & ~above[:, :-1]).sum(axis=1).mean() / 25.6

    young, old = contrast_and_struts(0.0), contrast_and_struts(-4.0)
    assert old[0] > 1.15 * young[0]
    assert old[1] < 0.90 * young[1]
    assert 0.5 < young[1] < 1.4, "struts a mm"


@pytest.mark.parametrize("trabecular", [-4.0, 0.0])
def test_the_mesh_has_the_contrast_of_struts_through_eight_mm(trabecular):
    """Against the spectrum of a three-dimensional network of the same density: within a half more or less."""
    bone = replace(YOUNG, trabecular=trabecular)
    struts = projected_field(
        np.random.default_rng(0), (256, 320), 0.1, vbmd=bone.trabecular_mg_cm3, depth_mm=8.0, axis=1
    )
    mesh = alveolar_mesh(np.random.default_rng(0), (256, 320), 0.1, trabecular)
    assert 0.67 < mesh.std() / struts.std() < 1.5
