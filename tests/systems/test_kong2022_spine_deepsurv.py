"""DeepSurv on a spine film: learns who fractures sooner, answers curves, is what its card says, survives saving."""

import numpy as np
import pytest
import torch
from scipy import ndimage

from trabecula.case import Case, Event, Images
from trabecula.image import Image
from trabecula.metrics import concordance
from trabecula.prediction import Abstain, score
from trabecula.selftest.essence import stub_of
from trabecula.system import Model, get_system
from trabecula.systems.kong2022_spine_deepsurv.essence import essence
from trabecula.systems.kong2022_spine_deepsurv.film import People, film, laid_back

ID = "kong2022_spine_deepsurv"
ROLE = "spine_xray_lateral"
TARGET = "time_to_vertebral_fracture"
SETTINGS = {"pixels": 48, "equalise": False, "epochs": 12, "batch": 16, "rate": 5e-3, "trunk_rate": 1e-2}
"""Of two tissues in noise, equal shares of all greys would leave little to see."""


def spines(n=80, *, seed=0, by="bone"):
    """Return people whose fractures come the sooner the fainter their vertebrae, or with `age` the older they are."""
    rng = np.random.default_rng(seed)
    return [_spine(number, rng, by) for number in range(n)]


def _spine(number, rng, by):
    loss, age = rng.normal(), rng.normal()
    years = rng.exponential(8 * np.exp(-1.5 * (loss if by == "bone" else age)))
    end = rng.uniform(4, 10)
    table = {
        "age_years": 65 + 8 * age,
        "sex": str(rng.choice(["female", "male"])),
        "bmi_kg_m2": rng.normal(26, 4),
        "glucocorticoids": int(rng.random() < 0.1),
        "secondary_osteoporosis": 0,
    }
    return Case(
        id=f"case {number}",
        patient=f"patient {number}",
        images=Images({ROLE: _film(rng, loss)}),
        table=table,
        truth={TARGET: Event(float(min(years, end)), int(years <= end))},
    )


def _film(rng, loss, *, rows=100, columns=60):
    """Return a film of a column of vertebrae in soft tissue, with black collimation at the sides."""
    y, x = np.mgrid[:rows, :columns]
    body = (np.abs(x - columns / 2 - rng.normal(0, 1)) < 8) & (y % 14 > 2)
    bone = ndimage.gaussian_filter(body * (0.5 - 0.15 * np.clip(loss, -2, 2)), 0.7)
    grey = rng.uniform(0.9, 1.1) * (0.4 + bone) + rng.normal(0, 0.02, (rows, columns))
    grey[:, :5] = grey[:, -5:] = 0
    return Image(voxels=np.clip(2000 * grey, 0, 4095).astype(np.uint16)[None], unit="stored", space="detector")


def recipe(**settings):
    return get_system(ID, size="tiny", settings={**SETTINGS, **settings})


@pytest.fixture(scope="module")
def model():
    return recipe().fit(spines())


def _risks(model, cases):
    return [score(answer[TARGET]) for answer in model.predict(cases)]


def _c_index(model, cases):
    return concordance([(case.truth[TARGET].years, case.truth[TARGET].event) for case in cases], _risks(model, cases))


def test_tiny_ranks_unseen_people_and_clinical_values_alone_do_not(model):
    unseen = spines(seed=1)
    assert _c_index(model, unseen) > 0.7
    for form in ("cox", "clinical"):
        assert abs(_c_index(recipe(form=form).fit(spines()), unseen) - 0.5) < 0.15


@pytest.mark.parametrize("form", ["cox", "clinical"])
def test_where_age_decides_clinical_values_are_enough(form):
    blind = recipe(form=form, epochs=40, patience=40).fit(spines(by="age"))
    assert _c_index(blind, spines(seed=1, by="age")) > 0.7
    assert not blind.system.inputs().images
    assert len(blind.state.facts["history"]["train_loss"]) > 1


def test_curves_rise_to_the_horizon_and_follow_what_was_observed(model):
    answers = [answer[TARGET] for answer in model.predict(spines())]
    assert answers[0].years[-1] <= 10
    observed = np.mean([case.truth[TARGET].event == 1 and case.truth[TARGET].years <= 4 for case in spines()])
    assert np.mean([each.at(4) for each in answers]) == pytest.approx(observed, abs=0.06)  # nobody is lost before


@pytest.mark.parametrize("settings", [{}, {"form": "cox"}, {"form": "clinical"}, {"model": 0}])
def test_saved_and_loaded_it_answers_the_same_bits(settings, tmp_path):
    fitted = recipe(**settings, epochs=2).fit(spines(30))
    fitted.save(tmp_path / "model")
    assert _risks(Model.load(tmp_path / "model"), spines(8, seed=1)) == _risks(fitted, spines(8, seed=1))


def test_essence_accepts_the_system_and_rejects_a_stub():
    essence(recipe(), spines(40))
    with pytest.raises(AssertionError, match="fracture sooner"):
        essence(stub_of(recipe(epochs=2)), spines(40))


def test_evidence_is_a_heat_map_and_a_share_a_value(model):
    evidence = [model.explain(case) for case in spines(6)]
    assert all(each.heat[ROLE].shape == (1, 100, 60) for each in evidence)
    assert all(each.heat[ROLE].min() >= 0 for each in evidence)
    assert max(each.heat[ROLE].max() for each in evidence) > 0
    assert set(evidence[0].numbers) == set(model.system.inputs().table)


def test_shares_of_a_cox_regression_are_coefficient_times_distance_from_the_mean():
    cases = spines()
    fitted = recipe(form="cox").fit(cases)
    mean = np.mean([case.table["age_years"] for case in cases])
    sd = np.std([case.table["age_years"] for case in cases])
    share = fitted.explain(cases[0]).numbers["age_years"]
    assert share == pytest.approx(fitted.state.arrays["coefficients"][0] * (cases[0].table["age_years"] - mean) / sd)


@pytest.mark.parametrize(("number", "count"), [(0, 0), (1, 2), (2, 3), (3, 5)])
def test_nested_models_ask_for_no_more_than_they_hold(number, count):
    assert len(recipe(model=number).inputs().table) == count


def test_without_anything_to_go_by_there_is_no_recipe():
    with pytest.raises(ValueError, match="nothing is left"):
        recipe(form="cox", model=0)


def test_without_a_required_value_it_abstains(model):
    case = spines(1)[0]
    lacking = case.only(images=[ROLE], table=["age_years", "sex", "bmi_kg_m2", "glucocorticoids"])
    assert isinstance(model.predict([lacking])[0][TARGET], Abstain)


def test_without_events_nothing_can_be_learned():
    cases = [case for case in spines() if case.truth[TARGET].event == 0]
    with pytest.raises(ValueError, match="had the event"):
        recipe().fit(cases)


def test_a_batch_with_few_events_borrows_them_once_each():
    truth = np.array([[1, 0]] * 10 + [[1, 1]] * 5, dtype=np.float32)
    people = People(None, np.arange(15, dtype=np.float32)[:, None], truth, list(range(15)), least_events=4)
    inputs, observed = people.batch([0, 1, 14], torch.Generator().manual_seed(0))
    assert observed[:, 1].sum() == 4
    assert len(set(inputs["clinical"].flatten().tolist())) == 6
    assert len(people.batch([10, 11, 12, 13], torch.Generator())[1]) == 4


def test_the_lumbar_end_of_a_film_is_seen_and_heat_comes_back_to_its_place():
    image = _film(np.random.default_rng(0), 0.0)
    voxels = image.voxels.copy()
    voxels[0, :40] = voxels[0, :40] // 8  # lungs
    seen = film(image.with_voxels(voxels), size=50, equalise=False)  # 100 rows, 50 columns inside the collimation
    assert (seen == film(image, size=50, equalise=False)).all()
    assert (seen > 0).mean() > 0.9
    heat = np.zeros((50, 50), dtype=np.float32)
    heat[40:50, 10:20] = 1
    laid = laid_back(heat, image)[0]
    assert laid[91:99, 16:24].min() == 1
    assert laid[:, :5].max() == laid[:89].max() == 0


def test_equalising_forgets_the_exposure():
    image = _film(np.random.default_rng(0), 0.0)
    bright = image.with_voxels((image.voxels / 4095) ** 0.5)
    plain = [film(each, size=48, equalise=False).astype(float) for each in (image, bright)]
    equal = [film(each, size=48, equalise=True).astype(float) for each in (image, bright)]
    assert np.abs(equal[0] - equal[1]).mean() < 0.6 * np.abs(plain[0] - plain[1]).mean()


def test_an_interrupted_fit_ends_as_an_uninterrupted_one(tmp_path):
    system, cases = recipe(epochs=4), spines(30)

    def stop(done, total, message=""):
        if done == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        system.fit(cases, folder=tmp_path, progress=stop)
    done = []
    resumed = system.fit(cases, folder=tmp_path, progress=lambda d, total, message="": done.append(d))
    assert done == [3, 4]
    assert _risks(resumed, cases) == _risks(system.fit(cases), cases)


def test_part_of_the_people_may_decide_when_to_stop():
    fitted = recipe(epochs=3, validation_share=0.3).fit(spines())
    assert len(fitted.state.facts["history"]["validation_loss"]) == 3


def test_one_training_step_at_the_published_size():
    fitted = get_system(ID, settings={"epochs": 1, "pretrained": False, "pixels": 64}).fit(spines(8))
    trunk = fitted.state.networks["network"].trunk
    assert sum(each.numel() for each in trunk.features.parameters()) == 6_953_856
    assert 0 <= _risks(fitted, spines(1))[0] <= 1
