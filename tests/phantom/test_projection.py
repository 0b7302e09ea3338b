"""Radiographs against analytic integrals and laws that must hold exactly."""

import math
import time
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from scipy.integrate import quad
from scipy.ndimage import gaussian_filter

from trabecula.phantom.body import Body
from trabecula.phantom.material import ENERGIES_KEV, mass_attenuation
from trabecula.phantom.projection import (
    XRay,
    columns,
    displayed,
    expose,
    log_attenuation,
    swank,
    transmission,
    wide_blur,
)

QUIET = XRay(photons=math.inf)
RNG = np.random.default_rng(0)


@pytest.mark.parametrize("kvp", [60, 120])
def test_a_step_wedge_is_the_analytic_integral(kvp):
    """Aluminium, 0 to 50 mm, against the integral over NIST's coefficients by adaptive quadrature."""
    nist_kev = np.array([10, 15, 20, 30, 40, 50, 60, 80, 100, 150.0])
    nist_al = np.array([26.23, 7.955, 3.441, 1.128, 0.5685, 0.3681, 0.2778, 0.2018, 0.1704, 0.1378])
    xray = replace(QUIET, kvp=kvp, filters_mm=(("Al", 3.0),))
    spectrum = xray.spectrum()
    steps = np.arange(5.0, 51.0, 5.0)

    def left(cm):
        def signal(kev, thickness):
            mu = math.exp(np.interp(math.log(kev), np.log(nist_kev), np.log(nist_al)))
            return kev * np.interp(kev, spectrum.energies_kev, spectrum.fluence) * math.exp(-mu * 2.699 * thickness)

        lines = [57.5, 59.0, 67.0, 69.0]
        edges = [10.0, *(kev for kev in lines if kev < kvp), float(kvp)]
        through, opened = (
            sum(quad(signal, a, b, args=(t,), limit=200, epsrel=1e-4)[0] for a, b in pairwise(edges)) for t in (cm, 0.0)
        )
        return -math.log(through / opened)

    wedge = np.tile(steps / 10 * 2.699, (4, 1))
    measured = log_attenuation(expose({"aluminium": wedge}, xray, RNG))[0]
    np.testing.assert_allclose(measured, [left(mm / 10) for mm in steps], rtol=0.01)


def test_a_picture_is_the_exact_integral_and_quick():
    """512 x 512 rays of five materials against a sum in double precision over all energies; 0.5 s on one core."""
    maps = {
        name: most * np.random.default_rng(k).random((512, 512))
        for k, (name, most) in enumerate(
            {"muscle": 12, "adipose": 12, "bone_matrix": 3, "red_marrow": 2, "yellow_marrow": 2}.items()
        )
    }
    spectrum = replace(QUIET, kvp=80.0).spectrum()
    transmission(maps, spectrum)
    started = time.process_time()
    measured = transmission(maps, spectrum)
    assert time.process_time() - started < 0.5
    rays = {name: values[::64, ::64] for name, values in maps.items()}
    weights = spectrum.fluence * ENERGIES_KEV
    line = sum(mass_attenuation(name)[:, None, None] * values for name, values in rays.items())
    exact = np.tensordot(weights / weights.sum(), np.exp(-line), axes=1)
    np.testing.assert_allclose(measured[::64, ::64], exact, rtol=2e-3)


def test_columns_are_what_a_body_holds():
    body = Body(
        densities={"water": np.full((3, 4, 5), 1.0), "hydroxyapatite": np.full((3, 4, 5), 0.2)}, spacing=(1, 2, 3)
    )
    assert columns(body, axis=1)["water"] == pytest.approx(np.full((3, 5), 0.8))
    assert columns(body, axis=2)["hydroxyapatite"] == pytest.approx(np.full((3, 4), 0.3))


def test_noise_is_that_of_quanta():
    water = {"water": np.full((200, 200), 5.0)}
    xray = replace(QUIET, photons=1e4)
    mean = transmission(water, xray.spectrum())[0, 0]
    signal = expose(water, xray, np.random.default_rng(1))
    assert signal.mean() == pytest.approx(mean, rel=0.005)
    assert signal.std() == pytest.approx(math.sqrt(mean / (1e4 * swank(xray.spectrum()))), rel=0.02)


def test_scatter_has_the_share_asked_for_and_fills_the_shadow():
    water = np.full((120, 120), 15.0)
    bone = np.zeros_like(water)
    bone[50:70, 50:70] = 4.0
    maps = {"water": water, "cortical_bone": bone}
    primary = expose(maps, QUIET, RNG)
    both = expose(maps, replace(QUIET, scatter=0.4, scatter_mm=300), RNG)
    line = log_attenuation(primary)
    assert 1 - (line * primary).sum() / (line * both).sum() == pytest.approx(0.4, abs=0.001)
    flat = 0.4 / 0.6 * (line * primary).sum() / line.sum()
    expected = math.log((primary[10, 10] + flat) / (primary[60, 60] + flat))
    assert math.log(both[10, 10] / both[60, 60]) == pytest.approx(expected, rel=0.02)
    narrow = expose(maps, replace(QUIET, scatter=0.4, scatter_mm=1), RNG)
    assert narrow[60, 60] < both[60, 60], "a narrow kernel leaves the middle of a shadow darker"


def test_no_scatter_comes_out_of_air():
    """Behind the patient the share is that asked for, however much open beam the picture holds."""
    share = []
    for width in (160, 400):
        water = np.zeros((160, width))
        water[:, :80] = 15.0
        primary, both = (expose({"water": water}, replace(QUIET, scatter=s, scatter_mm=3), RNG) for s in (0.0, 0.4))
        share.append(1 - primary[80, 20] / both[80, 20])
    assert share[0] == pytest.approx(0.4, abs=0.02)
    assert share[1] == pytest.approx(share[0], abs=1e-3)
    assert both[80, -1] == pytest.approx(1.0, abs=1e-3)
    assert not np.isnan(expose({"water": np.zeros((8, 8))}, replace(QUIET, scatter=0.4), RNG)).any()


@pytest.mark.parametrize("sigma", [8.0, 12.0, 33.3])
def test_a_wide_blur_has_the_spread_of_its_gaussian(sigma):
    edge = np.zeros((8, 401))
    edge[:, 200:] = 1.0
    np.testing.assert_allclose(wide_blur(edge, sigma), gaussian_filter(edge, sigma, mode="nearest"), atol=0.02)
    spread = np.diff(wide_blur(edge, sigma)[4]) @ (np.arange(400) - 199.0) ** 2
    assert math.sqrt(spread) == pytest.approx(sigma, rel=0.025)


def test_the_detector_blurs_an_edge_as_a_gaussian():
    edge = np.zeros((40, 80))
    edge[:, 40:] = 2.0
    sharp, blurred = (expose({"cortical_bone": edge}, replace(QUIET, blur_mm=mm), RNG)[20] for mm in (0.0, 0.9))
    spread = np.diff((blurred - sharp[0]) / (sharp[-1] - sharp[0]))
    place = (np.arange(79) - 39) * QUIET.pixel_mm
    assert math.sqrt((spread * place**2).sum()) == pytest.approx(0.9, rel=0.03)


def test_the_display_curve_is_monotonic_and_centred():
    grey = displayed(np.linspace(-5, 10, 50), middle=2.0, latitude=3.0)
    assert (np.diff(grey) > 0).all()
    assert displayed(np.array([2.0]), middle=2.0, latitude=3.0) == pytest.approx(0.5)


@pytest.mark.parametrize("axis", [0, 1])
def test_a_flipped_phantom_gives_a_flipped_radiograph(axis):
    maps = {"water": 20 * RNG.random((64, 64)), "cortical_bone": RNG.random((64, 64))}
    xray = replace(QUIET, scatter=0.3, blur_mm=0.4)
    flipped = expose({name: np.flip(values, axis) for name, values in maps.items()}, xray, RNG)
    np.testing.assert_allclose(np.flip(expose(maps, xray, RNG), axis), flipped, rtol=1e-4)


@pytest.mark.parametrize(
    ("make", "line"),
    [
        (lambda: XRay(kvp=300), "kvp lies between 20 and 150"),
        (lambda: XRay(scatter=1.0), "scatter lies between"),
        (lambda: transmission({"water": np.array([[-1.0]])}, QUIET.spectrum()), "not negative"),
        (lambda: transmission({"wood": np.ones((1, 1))}, QUIET.spectrum()), "no material is called"),
        (lambda: displayed(np.zeros(1), middle=0, latitude=0), "latitude"),
    ],
)
def test_bad_input_gives_one_clear_line(make, line):
    with pytest.raises((ValueError, KeyError), match=line) as error:
        make()
    assert "\n" not in str(error.value)


def test_a_pencil_of_one_energy_is_beer_lambert():
    from trabecula.phantom.spectrum import Spectrum

    one = Spectrum(ENERGIES_KEV, (ENERGIES_KEV == 60.5).astype(float))
    left = transmission({"water": np.array([[10.0]])}, one)
    per_g = float(np.interp(60.5, ENERGIES_KEV, mass_attenuation("water")))
    assert left[0, 0] == pytest.approx(math.exp(-10 * per_g), rel=1e-5)
