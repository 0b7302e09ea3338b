"""Sites: reproducible, blind to the patient unless a shortcut is planted, and different enough to be one then."""

from dataclasses import fields, is_dataclass

import numpy as np
import pytest
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.model_selection import cross_val_predict

from trabecula.metrics import auc
from trabecula.phantom import ct, mri
from trabecula.phantom.chance import Chance
from trabecula.phantom.dxa import Densitometer
from trabecula.phantom.radiograph import Film
from trabecula.phantom.sites import (
    SITES,
    USUAL,
    VIEWS,
    Exam,
    choose,
    ct_scanner,
    densitometer,
    film,
    groups,
    spin_echo,
)

TAKEN = {
    **{view: lambda chance, site, exam=USUAL, view=view: film(chance, site, view, exam) for view in VIEWS},
    "ct": lambda chance, site, exam=USUAL: ct_scanner(chance, site, exam),
    "mri": lambda chance, site, exam=USUAL: spin_echo(chance, site, exam),
    "dxa": lambda chance, site, exam=USUAL: densitometer(site, exam),
}


def facts(kind, patient, *, seed=0, label=False, shortcut=0.0):
    chance = Chance(seed, np.array([patient]))
    site = choose(chance, label, shortcut)
    return groups(site, TAKEN[kind](chance, site), kind if kind in VIEWS else "")


def predicted(kind, labels, *, seed, shortcut):
    """Return the cross-validated AUC of the label from acquisition facts alone."""
    rows = [facts(kind, n, seed=seed, label=bool(y), shortcut=shortcut) for n, y in enumerate(labels)]
    names = sorted({name for row in rows for name in row})
    codes = {name: {value: k for k, value in enumerate(sorted({r[name] for r in rows}))} for name in names}
    table = np.array([[float(r[n]) if _number(r[n]) else codes[n][r[n]] for n in names] for r in rows])
    model = HistGradientBoostingClassifier(max_iter=30, max_depth=3)
    return auc(labels, cross_val_predict(model, table, labels, cv=5, method="predict_proba")[:, 1])


def _number(text):
    return text.replace(".", "", 1).isdigit()


@pytest.mark.parametrize("kind", sorted(TAKEN))
def test_facts_are_strings_and_reproducible(kind):
    first = facts(kind, 3)
    assert first == facts(kind, 3)
    assert {"site", "scanner"} < set(first)
    assert all(isinstance(value, str) and value for value in first.values())
    assert len({tuple(facts(kind, n).items()) for n in range(40)}) >= 5


@pytest.mark.parametrize("kind", sorted(TAKEN))
def test_sites_differ(kind):
    settings = {}
    for name, site in SITES.items():
        settings[name] = TAKEN[kind](Chance(0, np.array([1])), site)
    assert len({repr(each) for each in settings.values()}) == 5
    assert {type(each) for each in settings.values()} <= {Film, ct.Scanner, mri.SpinEcho, Densitometer}


def test_every_exam_is_possible():
    """Settings refuse what no device does: none of these raises."""
    for patient in range(200):
        chance = Chance(9, np.array([patient]))
        site = choose(chance, False, 0.0)
        for take in TAKEN.values():
            taken = take(chance, site)
            assert is_dataclass(taken)
            assert fields(taken)


def test_the_site_is_chance_alone_unless_planted():
    n = 3000
    chances = [Chance(2, np.array([k])) for k in range(n)]
    clean = [[choose(chance, label, 0.0).name for chance in chances] for label in (False, True)]
    assert clean[0] == clean[1], "no site knows the label"
    shares = np.array([clean[0].count(name) for name in SITES]) / n
    np.testing.assert_allclose(shares, 0.2, atol=4 * np.sqrt(0.2 * 0.8 / n))
    planted = [{choose(chance, label, 1.0).name for chance in chances} for label in (False, True)]
    assert planted == [{"south", "west", "centre"}, {"north", "east"}]
    half = np.mean([choose(chance, True, 0.5).name in planted[1] for chance in chances])
    assert half == pytest.approx(0.5 + 0.5 * 0.4, abs=0.035)


@pytest.mark.parametrize("kind", ["knee", "ct", "mri", "dxa", "periapical"])
def test_a_shortcut_is_seen_when_planted_and_nothing_is_seen_when_not(kind):
    labels = (np.random.default_rng(5).random(800) < 0.33).astype(int)
    assert predicted(kind, labels, seed=1, shortcut=1.0) > 0.97
    assert predicted(kind, labels, seed=1, shortcut=0.5) > 0.62
    assert predicted(kind, labels, seed=1, shortcut=0.0) == pytest.approx(0.5, abs=0.075), "3 standard errors"


@pytest.mark.parametrize("kind", sorted(TAKEN))
def test_a_twin_differs_in_what_was_asked_and_nothing_else(kind):
    chance, site = Chance(4, np.array([6])), SITES["east"]
    take = TAKEN[kind]
    usual, again = (take(chance, site) for _ in range(2))
    assert usual == again
    louder = take(chance, site, Exam(noise_scale=2.0))
    assert _noise(louder) == pytest.approx(2 * _noise(usual))
    if kind != "mri":
        assert _kvp(take(chance, site, Exam(kvp_shift=10.0))) == _kvp(usual) + 10
    if kind == "ct":
        assert take(chance, site, Exam(kernel="bone")).kernel == "bone"
    if kind != "dxa":
        assert take(chance, site, Exam(visit=1)) != usual, "another visit, another positioning"


def _noise(taken):
    match taken:
        case Film():
            return taken.quanta**-0.5
        case ct.Scanner():
            return taken.noise_hu
        case mri.SpinEcho():
            return 1 / taken.snr
        case Densitometer():
            return taken.high.photons**-0.5


def _kvp(taken):
    match taken:
        case Film():
            return taken.xray.kvp
        case ct.Scanner():
            return taken.kvp
        case Densitometer():
            return taken.low.kvp


def test_visits_are_cropped_anew():
    chance = Chance(4, np.array([6]))
    sizes = {film(chance, SITES["west"], "hip", Exam(visit=visit)).rows for visit in range(8)}
    assert len(sizes) >= 3


def test_dental_films_bear_no_marker_and_no_shutter():
    for site in SITES.values():
        for view in ("periapical", "panoramic"):
            each = film(Chance(0, np.array([0])), site, view)
            assert (each.marker, any(each.shutter)) == ("none", False)
        assert film(Chance(0, np.array([0])), site, "knee").marker in ("boxed", "plain")


@pytest.mark.parametrize(
    ("make", "line"),
    [
        (lambda: choose(Chance(0, np.array([0])), True, 1.5), "share from 0 to 1"),
        (lambda: Exam(noise_scale=0.0), "positive factor"),
        (lambda: film(Chance(0, np.array([0])), SITES["east"], "kneee"), "no view is called"),
        (lambda: ct_scanner(Chance(0, np.array([0])), SITES["east"], Exam(kernel="sharpest")), "no kernel is called"),
    ],
)
def test_bad_input_gives_one_clear_line(make, line):
    with pytest.raises((ValueError, KeyError), match=line) as error:
        make()
    assert "\n" not in str(error.value)
