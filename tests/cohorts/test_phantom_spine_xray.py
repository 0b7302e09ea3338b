"""Made films of the spine: deformities where they are said to be, visits in the order of time, events enough."""

import time
from collections import Counter
from dataclasses import replace
from functools import cache

import numpy as np
import pytest

from tests.cohorts.told import coarse
from trabecula.cohort import open_cohort
from trabecula.cohorts.phantom_spine_xray.cohort import SETTINGS, make
from trabecula.phantom.later import last_seen, years_later
from trabecula.phantom.people import Deformity, person
from trabecula.reference import genant_grade

VIEWS = ("ap", "lateral")


def visits(patient, seed=0, **settings):
    return make(patient, seed, {**SETTINGS, **settings})


def film(patient, view="ap", seed=0, **settings):
    return visits(patient, seed, **settings)[0].images.source(f"spine_xray_{view}")


def greys(source):
    return source.load().voxels[0].astype(float)


@cache
def cohort():
    return open_cohort("phantom_spine_xray").cases


def first_visits():
    return [case for case in cohort() if "_" not in case.id]


def fractures(case):
    """Return whether a vertebra breaks in follow-up; before 50 it is not asked."""
    event = case.truth.get("time_to_vertebral_fracture")
    return event is not None and event.event == 1


def test_enough_happens():
    """At least 100 events of each kind that a spine film is asked about, in patients; the rest as it comes."""
    events = {
        target: Counter(case.truth[target].event for case in first_visits() if target in case.truth)
        for target in ("time_to_vertebral_fracture", "time_to_any_fracture")
    }
    assert all(found[1] >= 100 for found in events.values()), events
    grades = Counter(case.truth["genant_grade"] for case in first_visits())
    assert all(grades[grade] >= 20 for grade in range(4)), grades
    classes = Counter(case.truth["who_class_dxa"] for case in first_visits())
    assert all(0.26 < classes[each] / 1000 < 0.42 for each in range(3)), classes


def test_weights_take_back_that_fractures_were_sought():
    """Weighted share of women and men with a vertebral fracture in follow-up, with and without seeking them."""
    sought, found = first_visits(), open_cohort("phantom_spine_xray", n=3000, settings={"fractured": 0.0}).cases
    shares = []
    for cases in (sought, [case for case in found if "_" not in case.id]):
        weight = np.array([case.weight for case in cases])
        event = np.array([fractures(case) for case in cases])
        shares.append((weight * event).sum() / weight.sum())
        assert weight.mean() == pytest.approx(1.0, abs=0.12)
    assert shares[0] == pytest.approx(shares[1], abs=0.008)
    assert 0.005 < shares[1] < 0.03


def test_truth_is_that_of_the_deformities_that_are_drawn():
    for case in cohort()[:300]:
        trunk = case.images.source("spine_xray_lateral").recipe.trunk
        grade = max((genant_grade(each.loss) for each in trunk.deformities), default=0)
        assert case.truth["genant_grade"] == grade
        assert case.truth["vertebral_fracture"] == int(grade > 0)
        assert case.truth["bmd_lumbar"] == case.table["bmd_lumbar_g_cm2"] == trunk.skeleton.lumbar_g_cm2


def test_a_second_visit_is_later_has_less_bone_and_the_new_fracture():
    pairs = {}
    for case in cohort():
        pairs.setdefault(case.patient, []).append(case)
    twice = [each for each in pairs.values() if len(each) == 2]
    assert 0.25 < len(twice) / len(pairs) < 0.40
    broken = 0
    for first, second in twice:
        if "time_to_vertebral_fracture" not in first.truth:
            continue
        trunks = [each.images.source("spine_xray_lateral").recipe.trunk for each in (first, second)]
        years = second.number("age_years") - first.number("age_years")
        assert 1.9 < years < 6.1
        assert second.number("bmd_lumbar_g_cm2") < first.number("bmd_lumbar_g_cm2") + 1e-9
        assert trunks[1].skeleton.lumbar_vbmd_mg_cm3 < trunks[0].skeleton.lumbar_vbmd_mg_cm3
        event = first.truth["time_to_vertebral_fracture"]
        new = set(trunks[1].deformities) - set(trunks[0].deformities)
        assert set(trunks[0].deformities) <= set(trunks[1].deformities)
        if event.event == 1 and event.years <= years - 0.06:
            assert len(new) == 1
            assert "time_to_vertebral_fracture" not in second.truth
            broken += 1
        elif not new:
            later = second.truth["time_to_vertebral_fracture"]
            assert later.event == event.event
            assert later.years == pytest.approx(event.years - years, abs=0.06)
        assert first.groups["site"] == second.groups["site"]
    assert broken >= 5


def test_nobody_comes_back_after_death():
    who = next(p for p in (person(n, 0, enriched=True) for n in range(200)) if last_seen(p) < 5)
    with pytest.raises(ValueError, match="before death"):
        years_later(who, 5.0, patient=0, seed=0)


def test_a_twin_of_other_bone_is_the_same_person():
    for patient in range(40):
        one, other = (visits(patient, bone_shift=shift)[0] for shift in (0.0, -1.0))
        assert one.table["height_cm"] == other.table["height_cm"]
        assert one.groups == other.groups


@pytest.mark.parametrize("view", VIEWS)
def test_the_points_of_a_body_lie_on_its_outline(view):
    """The six points are on the border of the label map: bone on one side of each, none on the other."""
    source = replace(film(3, view), view=view)
    labels = source.labels().load()
    names = {name: value for value, name in labels.names.items()}
    for level in ("T12", "L2", "L4"):
        inside = labels.voxels[0] == names[level]
        for n, (row, column) in enumerate(source.points(level)):
            if (
                n % 3 == 1 or view == "ap"
            ):  # rims stand in front of the middle of an endplate that is seen from the side
                continue
            away = 3 if n < 3 else -3
            j, i = round(row), round(column + (2.5 if n % 3 == 0 else -2.5))
            assert inside[j + away, i], (level, n)
            assert not inside[j - away, i], (level, n)


def test_a_wedge_is_lower_in_front_on_the_lateral_film():
    source = film(3, "lateral")
    hurt = replace(source, trunk=replace(source.trunk, deformities=(Deformity(level="L1", shape="wedge", loss=0.4),)))
    for each, expected in ((replace(source, trunk=replace(source.trunk, deformities=())), 1.0), (hurt, 0.6)):
        labels = each.labels().load()
        value = next(v for v, name in labels.names.items() if name == "L1")
        columns = (labels.voxels[0] == value).sum(axis=0)
        seen = np.flatnonzero(columns)
        front, back = (columns[seen[round(at * (len(seen) - 1))]] for at in (0.12, 0.88))
        vertebra = each.trunk.spine.vertebrae["L1"]
        usual = each.trunk.spine.vertebrae["L1"].anterior / expected / vertebra.posterior
        assert front / back == pytest.approx(expected * usual, abs=0.12)


@pytest.mark.parametrize("view", VIEWS)
def test_denser_bone_brightens_bone_alone(view):
    one, other = (coarse(film(2, view, bone_shift=shift, noise_scale=0.01), 3) for shift in (0.0, 1.5))
    changed = greys(other) - greys(one)
    bones = one.labels().load().voxels[0] > 0
    assert changed[bones].mean() > (3 if view == "ap" else 1.5), "wide latitude on the lateral film"
    edge = changed[:, : changed.shape[1] // 12]
    assert np.abs(edge).mean() < 0.3 * changed[bones].mean()


@pytest.mark.parametrize(
    ("settings", "line"),
    [
        ({"shortcut": 2.0}, "share from 0 to 1"),
        ({"second_visits": 1.5}, "second_visits is a share"),
        ({"fractured": -0.1}, "fractured is a share"),
        ({"noise_scale": 0.0}, "positive factor"),
    ],
)
def test_bad_input_gives_one_clear_line(settings, line):
    with pytest.raises(ValueError, match=line):
        visits(0, **settings)


@pytest.mark.slow
@pytest.mark.parametrize("view", VIEWS)
def test_a_film_of_512_by_512_takes_two_seconds(view):
    """CPU time on one core, solving apart: it is done once for both films."""
    source = film(20, view)
    source = replace(source, film=replace(source.film, rows=512, columns=512))
    assert source.trunk.bone
    started = time.process_time()
    assert source.load().shape == (1, 512, 512)
    assert time.process_time() - started < 3
