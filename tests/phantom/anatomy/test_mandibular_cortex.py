"""Klemetti's classes: what a class says of the inner margin is there."""

import numpy as np
import pytest

from trabecula.phantom.anatomy.mandible import JawBone, draw_jaw, mandible_paths
from trabecula.phantom.anatomy.mandibular_cortex import CUTS, erosion, klemetti_class

EXAMPLES = {"C1": CUTS[0] - 0.5, "C2": (CUTS[0] + CUTS[1]) / 2, "C3": CUTS[1] + 1.0}


def inferior(patient, eroded, *, cortical=-1.0):
    """Return cortical path and depth above the border of the body behind the left mental foramen, at 0.2 mm."""
    jaw = draw_jaw(np.random.default_rng([4, patient]), age=65, male=False)
    x, z = np.arange(20, 62, 0.2), np.arange(-48, -22, 0.2)
    bone = JawBone(trabecular=cortical, cortical=cortical, erosion=eroded)
    return mandible_paths(jaw, bone, x, z), bone


def margin(patient, eroded):
    """Return the thickness of cortex without marrow in each column, in mm."""
    paths, _ = inferior(patient, eroded)
    depth = np.where((paths.trabecular > 0.6) & (paths.border_mm > 0), paths.border_mm, np.inf)
    return depth.min(axis=0)


def test_classes_begin_at_their_cuts():
    assert [klemetti_class(value) for value in (*EXAMPLES.values(), *CUTS)] == [0, 1, 2, 1, 2]
    assert erosion(-2.0, -2.0, 0.0) == pytest.approx(2.0)
    assert erosion(0.0, -1.0, 0.0) > erosion(-1.0, 0.0, 0.0) > erosion(0.0, 0.0, 0.0)


def test_c1_is_even_and_c2_is_bitten():
    """The spread of the margin along the jaw beyond its slope: some tenths of a mm, then half-moons."""
    for patient in range(4):
        rough = {}
        for name in ("C1", "C2"):
            found = margin(patient, EXAMPLES[name])
            places = np.arange(len(found))
            rough[name] = (found - np.polyval(np.polyfit(places, found, 2), places)).std()
        assert rough["C1"] < 0.3
        assert rough["C2"] > 1.7 * rough["C1"]


def test_each_class_has_less_cortex_than_the_one_before():
    for patient in range(4):
        solid = [np.median(margin(patient, value)) for value in EXAMPLES.values()]
        assert solid[0] > solid[1] > solid[2]
        mass = []
        for value in EXAMPLES.values():
            paths, bone = inferior(patient, value)
            band = (paths.border_mm > 0) & (paths.border_mm < bone.cortex_mm)
            mass.append(paths.cortical[band].mean())
        assert mass[0] > mass[1] > mass[2]
        assert mass[2] < 0.85 * mass[0]


def test_residues_lie_above_an_eroded_cortex_alone():
    """Cortical path between 1.1 and 1.9 times the cortex above the border: layers in C2 and C3, plates alone in C1."""
    for patient in range(4):
        spread = []
        for value in EXAMPLES.values():
            paths, bone = inferior(patient, value)
            layer = (paths.border_mm > 1.1 * bone.cortex_mm) & (paths.border_mm < 1.9 * bone.cortex_mm)
            spread.append(np.percentile(paths.cortical[layer], 95) - np.percentile(paths.cortical[layer], 50))
        assert spread[2] > 1.3 * spread[0]


def test_erosion_spares_the_ramus():
    jaw = draw_jaw(np.random.default_rng(5), age=65, male=True)
    x, z = np.arange(84 * jaw.size, 100 * jaw.size, 0.25), np.arange(0, 24, 0.25)
    sound, eroded = (
        mandible_paths(jaw, JawBone(trabecular=-2, cortical=-2, erosion=value), x, z) for value in (-1.0, 6.0)
    )
    assert np.array_equal(sound.cortical, eroded.cortical)
