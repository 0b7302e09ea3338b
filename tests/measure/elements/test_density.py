"""Densities and laws: the kind of density is a type, and numbers are those of the papers."""

import numpy as np
import pytest

from trabecula.measure.elements.density import (
    ASH_TO_APPARENT,
    CALIBRATIONS,
    KEYAK_ASH,
    KOPPERDAHL_VERTEBRA,
    LAWS,
    MORGAN_FEMORAL_NECK,
    MORGAN_VERTEBRA,
    PIECEWISE_FEMUR,
    SCHILEO_ASH,
    ApparentDensity,
    AshDensity,
    Density,
    MineralDensity,
    modulus_of_mineral,
)


@pytest.mark.parametrize("law", LAWS.values(), ids=LAWS)
@pytest.mark.parametrize("kind", [MineralDensity, AshDensity, ApparentDensity])
def test_a_law_refuses_another_density(law, kind):
    density = kind(np.array([0.1, 0.5]))
    if kind is law.takes:
        assert (law.modulus(density) > 0).all()
    else:
        with pytest.raises(TypeError, match=rf"takes {law.takes.__name__}, not {kind.__name__}"):
            law.modulus(density)


def test_conversions_refuse_another_density():
    with pytest.raises(TypeError, match="takes MineralDensity"):
        KEYAK_ASH(AshDensity(0.2))
    with pytest.raises(TypeError, match="takes AshDensity"):
        ASH_TO_APPARENT(MineralDensity(0.2))


def test_the_wrong_density_would_halve_the_modulus():
    """Why there are types: 0.2 g/cm3 of mineral is 0.24 of ash and 0.40 of apparent density."""
    right = modulus_of_mineral(MineralDensity(0.2), law="morgan_2003_vertebra", calibration="keyak_1994")
    wrong = MORGAN_VERTEBRA.modulus(ApparentDensity(0.2))
    assert right / wrong == pytest.approx(((0.0633 + 0.887 * 0.2) / 0.6 / 0.2) ** 1.56, rel=1e-12)
    assert wrong / right < 0.5


def test_laws_are_the_papers():
    assert MORGAN_FEMORAL_NECK.modulus(ApparentDensity(1.0)) == pytest.approx(6850)
    assert MORGAN_VERTEBRA.modulus(ApparentDensity(0.18)) == pytest.approx(326, rel=0.01)
    assert KOPPERDAHL_VERTEBRA.modulus(MineralDensity(0.1)) == pytest.approx(2980 * 0.1**1.05)
    assert SCHILEO_ASH(MineralDensity(1.0)).g_cm3 == pytest.approx((1 + 0.09) / 1.14, rel=1e-3)


def test_pieces_meet_and_fat_bears_nothing():
    """The two pieces of the femur's law differ by little where they meet; below no density there is no modulus."""
    low, high = PIECEWISE_FEMUR.modulus(ApparentDensity(np.array([0.28, 0.28 + 1e-9])))
    assert low == pytest.approx(high, rel=0.1)
    assert KOPPERDAHL_VERTEBRA.modulus(MineralDensity(-0.1)) == 0
    assert LAWS["crawford_2003"].modulus(MineralDensity(0.005)) == 0


def test_modulus_rises_with_density():
    rho = MineralDensity(np.linspace(0.02, 1.0, 60))
    for law in LAWS:
        for calibration in CALIBRATIONS:
            assert (np.diff(modulus_of_mineral(rho, law=law, calibration=calibration)) > 0).all()


@pytest.mark.parametrize(("value", "said"), [(120.0, "divide mg/cm3 by 1000"), (np.nan, "finite")])
def test_impossible_densities_are_refused(value, said):
    with pytest.raises(ValueError, match=said):
        Density(value)


def test_unknown_names_are_told():
    with pytest.raises(ValueError, match="there are kopperdahl_2002"):
        modulus_of_mineral(MineralDensity(0.1), law="hooke", calibration="keyak_1994")
