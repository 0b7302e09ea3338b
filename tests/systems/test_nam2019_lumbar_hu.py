"""Nam et al. 2019: descent against closed forms, what is counted where, each vertebra, and what is not answered."""

import json
import runpy
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

from trabecula.case import Case, Images
from trabecula.cohort import open_cohort
from trabecula.cohorts.phantom_lumbar_ct.cohort import SETTINGS, make, qct_t_score
from trabecula.image import Image
from trabecula.phantom.chance import Chance
from trabecula.phantom.people import draw_columns
from trabecula.phantom.population import FEMALE
from trabecula.prediction import Abstain
from trabecula.selftest.essence import stub_of
from trabecula.system import Model, get_system
from trabecula.systems.nam2019_lumbar_hu.attenuation import PLACES, attenuation, counted
from trabecula.systems.nam2019_lumbar_hu.descent import Descent, linear_weights, logistic_weights, probabilities
from trabecula.systems.nam2019_lumbar_hu.essence import essence

SCRIPT = Path(__file__).parents[2] / "docs" / "real_ct.py"
EXAMPLE = Path(__file__).parents[3] / "shared" / "data" / "ct_totalseg_example"
FAST = Descent(rate=0.3, steps=5000, least_change=1e-12)


def nam(size="tiny", targets=(), **settings):
    return get_system("nam2019_lumbar_hu", size=size, targets=targets, settings=settings)


@pytest.fixture(scope="module")
def cases():
    """Return 120 people with a table alone, whose T-score follows HU and age."""
    rng = np.random.default_rng(1)
    made = []
    for number in range(120):
        age, hu, sex = rng.uniform(50, 90), rng.uniform(40, 240), ("female", "male")[rng.integers(2)]
        t = -4.5 + 0.02 * hu - 0.01 * (age - 70) + rng.normal(0, 0.3)
        table = {"age_years": age, "sex": sex, "mean_hu": hu}
        truth = {"qct_t_score": t, "qct_osteoporosis": int(t <= -2.5)}
        made.append(Case(id=str(number), patient=str(number), table=table, truth=truth))
    return made


@pytest.fixture(scope="module")
def model(cases):
    return nam().fit(cases)


AXIAL = ((0.0, 0.0, 1.0), (0.0, 1.0, 0.0), (1.0, 0.0, 0.0))  # k to the head, j to the back, i to the left


def spine():
    """Return a CT whose four vertebrae are denser slice by slice towards the head, and the mask of their regions."""
    voxels = np.repeat(np.arange(80, dtype=np.float32)[:, None, None], 20, axis=1).repeat(20, axis=2)
    labels = np.zeros(voxels.shape, dtype=np.uint8)
    for place in range(4):
        labels[20 * place + 5 : 20 * place + 15, 6:14, 6:14] = 4 - place
    names = {n: f"L{n}" for n in (1, 2, 3, 4)}
    where = {"spacing": (2.0, 1.0, 1.0), "direction": AXIAL}
    return Image(voxels=voxels, unit="HU", **where), Image(voxels=labels, unit="label", names=names, **where)


def with_ct(case, image, mask, role="trabecular_region"):
    return replace(case, images=Images({"lumbar_ct": image}), masks=Images({role: mask}))


def test_linear_descent_ends_at_least_squares():
    rng = np.random.default_rng(0)
    x = np.column_stack([rng.normal(size=(90, 3)), np.ones(90)])
    y = x @ [0.3, -0.2, 1.1, -2.0] + rng.normal(size=90)
    found = linear_weights(x, y, FAST)
    np.testing.assert_allclose(found[0], np.linalg.lstsq(x, y, rcond=None)[0], atol=1e-4)


@pytest.mark.parametrize("count", [2, 3])
def test_logistic_descent_ends_at_the_likeliest_weights(count):
    rng = np.random.default_rng(0)
    x = np.column_stack([rng.normal(size=(300, 3)), np.ones(300)])
    grades = np.digitize(x[:, 0] + rng.normal(size=300), np.linspace(-0.5, 0.5, count - 1))
    theirs = LogisticRegression(C=np.inf, tol=1e-10, max_iter=5000).fit(x[:, :3], grades).predict_proba(x[:, :3])
    found = probabilities(x, logistic_weights(x, grades, FAST, count=count))
    np.testing.assert_allclose(found, theirs, atol=1e-4)


def test_the_papers_learning_rate_solves_the_t_score_and_leaves_the_odds_on_their_way(cases):
    """At 1e-4 and 100,000 steps: what the setting says of itself. Ranks are those of the solved model all the same."""
    slow, fast = (nam(size).fit(cases).state.arrays for size in ("paper", "small"))
    np.testing.assert_allclose(slow["qct_t_score"], fast["qct_t_score"], atol=1e-3)
    assert np.abs(slow["qct_osteoporosis"][0, 2]) < 0.7 * np.abs(fast["qct_osteoporosis"][0, 2])


def test_too_high_a_learning_rate_is_told(cases):
    with pytest.raises(ValueError, match="choose a lower one"):
        nam(learning_rate=1.5).fit(cases)


def test_three_slices_are_below_the_top_in_the_middle_and_above_the_bottom():
    image, mask = spine()
    assert attenuation(image, mask, drawn=True, slices=0)[:4] == pytest.approx([69.5, 49.5, 29.5, 9.5])
    slices = {place: np.unique(where[:, 0]).tolist() for place, where in counted(mask, drawn=True, slices=3).items()}
    assert slices["L4"] == [5, 10, 14]
    assert attenuation(image, mask, drawn=True, slices=3)[3] == pytest.approx(29 / 3)
    assert np.isnan(attenuation(image, mask, drawn=True, slices=3)[PLACES.index("L5")])


def test_a_slice_that_cuts_a_corner_of_a_tilted_vertebra_does_not_count():
    _, mask = spine()
    voxels = np.array(mask.voxels)
    voxels[4, 6:9, 6:14] = 4  # 24 voxels below a region of 64 a slice
    found = counted(mask.with_voxels(voxels), drawn=True, slices=3)
    assert np.unique(found["L4"][:, 0]).tolist() == [5, 10, 14]


def test_slices_are_axial_whichever_axis_of_the_array_that_is():
    image, mask = spine()
    turned = [
        replace(each, voxels=np.moveaxis(each.voxels, 0, 2), spacing=(1.0, 1.0, 2.0),
                direction=tuple(each.direction[n] for n in (1, 2, 0)))
        for each in (image, mask)
    ]  # fmt: skip
    np.testing.assert_allclose(
        attenuation(*turned, drawn=True, slices=3), attenuation(image, mask, drawn=True, slices=3)
    )


def test_metal_leaves_its_vertebra_out_and_the_others_in(cases, model):
    image, mask = spine()
    voxels = np.array(image.voxels)
    voxels[mask.voxels == 2] = 3000
    found = attenuation(image.with_voxels(voxels), mask, drawn=True, slices=0)
    assert np.isnan(found[1])
    assert np.isfinite(found[[0, 2, 3]]).all()
    nothing = with_ct(cases[0], image.with_voxels(np.full_like(voxels, 3000)), mask)
    assert isinstance(model.predict([nothing])[0]["qct_osteoporosis"], Abstain)


def test_a_region_without_a_name_is_one_vertebra_and_several_are_refused(cases, model):
    image, mask = spine()
    one = replace(mask, voxels=(mask.voxels == 3).astype(np.uint8), names={})
    assert attenuation(image, one, drawn=True, slices=0)[PLACES.index("region")] == pytest.approx(29.5)
    told = model.predict([with_ct(cases[0], image, replace(mask, names={}))])[0]["qct_t_score"]
    assert "have no names" in told.reason


def test_patients_are_the_mean_of_their_vertebrae_and_the_table_is_for_those_without_a_ct(cases, model):
    image, mask = spine()
    whole = with_ct(cases[0], image, mask)
    means = attenuation(image, mask, drawn=True, slices=3)[:4]
    alone = [replace(cases[0], table={**cases[0].table, "mean_hu": float(hu)}) for hu in means]
    for target in ("qct_t_score", "qct_osteoporosis"):
        parts = [getattr(a[target], "value", getattr(a[target], "p", None)) for a in model.predict(alone)]
        together = model.predict([whole])[0][target]
        assert getattr(together, "value", getattr(together, "p", None)) == pytest.approx(np.mean(parts))
    by_patient = nam(unit="patient").fit(cases).predict([whole])[0]["qct_t_score"].value
    assert by_patient == pytest.approx(model.predict([whole])[0]["qct_t_score"].value)  # affine: the order is the same


def test_shares_add_up_and_the_heat_is_what_was_counted(cases, model):
    image, mask = spine()
    case = with_ct(cases[0], image, mask)
    evidence = model.explain(case, "qct_t_score")
    assert sum(evidence.numbers.values()) == pytest.approx(model.predict([case])[0]["qct_t_score"].value)
    heat = evidence.heat["lumbar_ct"]
    assert heat.shape == image.shape
    assert set(np.unique(mask.voxels[heat > 0])) == {1, 2, 3, 4}
    assert "L1 " in evidence.method


@pytest.mark.parametrize(
    ("fact", "value", "why"),
    [("contrast", 1.0, "contrast"), ("kvp", 80.0, "80 kV"), ("mean_hu", None, "no attenuation"), ("sex", None, "sex")],
)
def test_what_the_number_depends_on_is_not_guessed(cases, fact, value, why):
    told = [replace(case, table={**case.table, "kvp": 120.0}) for case in cases]
    asked = replace(told[0], table={**told[0].table, fact: value})
    answers = nam().fit(told).predict([asked, replace(told[0], table={**told[0].table, "kvp": 122.0})])
    assert all(why in answer.reason for answer in answers[0].values())
    assert not any(isinstance(answer, Abstain) for answer in answers[1].values())


def test_a_target_nobody_had_truth_for_is_not_answered(cases):
    graded = [replace(case, truth={"qct_osteoporosis": case.truth["qct_osteoporosis"]}) for case in cases]
    answer = nam().fit(graded).predict(graded[:1])[0]
    assert isinstance(answer["qct_t_score"], Abstain)
    assert not isinstance(answer["qct_osteoporosis"], Abstain)


def test_saved_and_loaded_it_is_the_same(cases, model, tmp_path):
    model.save(tmp_path / "model")
    assert Model.load(tmp_path / "model").predict(cases) == model.predict(cases)


@pytest.mark.parametrize("targets", [(), ("osteoporosis_dxa",), ("who_class_dxa",)])
def test_the_essence_holds_and_rejects_the_mean(cases, targets):
    essence(nam(targets=targets), cases)
    essence(nam(targets=targets, unit="patient"), cases)
    with pytest.raises(AssertionError):
        essence(stub_of(nam(targets=targets)), cases)


def test_the_essence_rejects_descent_that_did_not_arrive(cases):
    with pytest.raises(AssertionError, match="least squares"):
        essence(nam(steps=3), cases)


def test_the_t_score_of_made_people_is_that_of_made_young_women():
    drawn = draw_columns(Chance(7, np.arange(60_000)), enriched=False)
    young = (drawn.bodies.sex == FEMALE) & (drawn.bodies.age >= 20) & (drawn.bodies.age < 30)
    t = qct_t_score(drawn.skeleton["lumbar_vbmd_mg_cm3"][young])
    assert np.mean(t) == pytest.approx(0, abs=0.05)
    assert np.std(t) == pytest.approx(1, abs=0.04)


def test_vertebrae_of_a_made_patient_are_cases_of_their_own():
    parts = make(3, 0, {**SETTINGS, "parts": "vertebrae"})
    whole = make(3, 0, dict(SETTINGS))
    assert [part.part for part in parts] == ["L1", "L2", "L3", "L4"]
    assert len({part.id for part in parts}) == 4
    assert {part.patient for part in parts} == {whole.patient}
    mask = whole.masks["trabecular_region"]
    for value, part in enumerate(parts, 1):
        alone = part.masks["trabecular_region"]
        assert np.array_equal(alone.voxels > 0, mask.voxels == value)
        assert list(alone.names.values()) == [part.part]
        assert part.truth["qct_t_score"] == whole.truth["qct_t_score"]
        assert "vertebral_fracture" not in part.truth
    assert len({part.masks.source("trabecular_region").digest for part in parts}) == 4
    with pytest.raises(ValueError, match="patients or vertebrae"):
        open_cohort("phantom_lumbar_ct", n=1, settings={"parts": "discs"})


@pytest.mark.skipif(not EXAMPLE.exists(), reason="needs ../shared/data/ct_totalseg_example")
def test_real_vertebrae_read_lower_than_the_published_report(tmp_path, monkeypatch):
    """Its regions hold cortex on one side (tests/measure/test_hounsfield.py), which raises means more than medians."""
    monkeypatch.syspath_prepend(str(SCRIPT.parent))
    shown = runpy.run_path(str(SCRIPT))
    case = shown["example"]()
    found = shown["hounsfield"](case)
    report = json.loads((EXAMPLE / "spine_report.json").read_text())["results"]
    assert set(found) == {"L1", "L2", "L3", "L4", "L5"}
    for level, hu in found.items():
        mean, median = (report[f"vertebrae_{level}_intensity{each}"] for each in ("", "_median"))
        assert median - 20 < hu < mean
    shown["draw"](case, tmp_path / "regions.png")
    assert (tmp_path / "regions.png").stat().st_size > 20_000
