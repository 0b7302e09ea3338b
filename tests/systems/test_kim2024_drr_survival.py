"""DRRs of a hip CT to a curve: beams sum what they should, hazards obey their likelihood, unseen people are ranked."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from trabecula.case import Case, Event, Images
from trabecula.image import Image, read_nifti
from trabecula.metrics import concordance
from trabecula.prediction import score
from trabecula.selftest.essence import stub_of
from trabecula.system import Model, get_system
from trabecula.systems.kim2024_drr_survival.drr import UPRIGHT, VIEWS, laid_back, pictures, projections
from trabecula.systems.kim2024_drr_survival.essence import essence
from trabecula.systems.kim2024_drr_survival.films import Drrs, Looks
from trabecula.systems.kim2024_drr_survival.hazard import hazard_loss, steps, usual_logits, without_event
from trabecula.systems.kim2024_drr_survival.shown import falls_under

ID, ROLE, TARGET = "kim2024_drr_survival", "hip_ct", "time_to_subsequent_fracture"
DATA = Path(__file__).parents[3] / "shared" / "data" / "ct_hip"
BEAMS = {"spacing_mm": 1.0, "hu": (-1000.0, 3000.0), "water_per_mm": 0.02}
SETTINGS = {"pixels": 32, "spacing_mm": 4.0}
GRID = np.linspace(0, 10, 13)


def hips(n=60, *, seed=0):
    """Return people whose fractures come the sooner the thinner the wall of their femur."""
    rng = np.random.default_rng(seed)
    return [_hip(number, rng) for number in range(n)]


def _hip(number, rng):
    loss = rng.normal()
    years, end = rng.exponential(7 * np.exp(-1.5 * loss)), rng.uniform(3, 10)
    event = Event(float(min(years, end)), int(years <= end))
    ct = Images({ROLE: _ct(rng, loss)})
    return Case(id=f"case {number}", patient=f"patient {number}", images=ct, truth={TARGET: event})


def _ct(rng, loss):
    """Return a femur along z in a thigh in air, on voxels of 4 mm."""
    y, x = np.mgrid[:20, :20]
    away = np.hypot(y - 10 - rng.normal(0, 0.5), x - 10 - rng.normal(0, 0.5))
    section = np.where(away < 9, 40.0, -1000.0)
    section[away < 4] = 900 - 350 * np.clip(loss, -2, 2)
    voxels = section + rng.normal(0, 20, (14, 20, 20))
    return Image(voxels=voxels.astype(np.float32), unit="HU", spacing=(4.0, 4.0, 4.0), direction=UPRIGHT)


def recipe(**settings):
    return get_system(ID, size="tiny", settings={**SETTINGS, **settings})


@pytest.fixture(scope="module")
def model():
    return recipe().fit(hips(48))


def _risks(model, cases):
    return [score(answer[TARGET]) for answer in model.predict(cases)]


def test_tiny_ranks_unseen_people(model):
    unseen = hips(seed=1)
    truth = [(case.truth[TARGET].years, case.truth[TARGET].event) for case in unseen]
    assert concordance(truth, _risks(model, unseen)) > 0.7


def test_curves_tell_as_many_events_as_were_observed(model):
    answers = [answer[TARGET] for answer in model.predict(hips(48))]
    assert answers[0].years == pytest.approx(tuple(GRID))
    before = GRID[3]  # 2.5 years: nobody is lost before 3
    observed = np.mean([case.truth[TARGET].event == 1 and case.truth[TARGET].years <= before for case in hips(48)])
    assert np.mean([each.at(before) for each in answers]) == pytest.approx(observed, abs=0.08)


@pytest.mark.parametrize("settings", [{}, {"fusion": "features"}, {"views": ("lateral",)}])
def test_saved_and_loaded_it_answers_the_same_bits(settings, tmp_path):
    fitted = recipe(**settings, epochs=1).fit(hips(16))
    fitted.save(tmp_path / "model")
    assert _risks(Model.load(tmp_path / "model"), hips(4, seed=1)) == _risks(fitted, hips(4, seed=1))


def test_essence_accepts_the_system_and_rejects_a_stub():
    essence(recipe(), hips(30))
    with pytest.raises(AssertionError, match="break sooner"):
        essence(stub_of(recipe(epochs=2)), hips(30))


@pytest.mark.parametrize("views", [(), ("axial", "axial")])
def test_views_are_named_once(views):
    with pytest.raises(ValueError, match="each once"):
        recipe(views=views)


def test_without_events_nothing_can_be_learned():
    cases = [case for case in hips() if case.truth[TARGET].event == 0]
    with pytest.raises(ValueError, match="had the event"):
        recipe().fit(cases)


def test_a_plate_of_water_takes_the_attenuation_of_its_thickness():
    voxels = np.full((30, 40, 50), -1000.0, dtype=np.float32)
    voxels[:, 10:20] = 0  # 10 mm thick, front to back
    plate = Image(voxels=voxels, unit="HU", spacing=(1.0, 1.0, 1.0), direction=UPRIGHT)
    front, side, below = projections(plate, **BEAMS)
    assert front == pytest.approx(0.02 * 10 * np.ones((30, 50)), rel=1e-5)
    assert side.shape == (30, 40)
    assert side[:, 10:20] == pytest.approx(0.02 * 50 * np.ones((30, 10)), rel=1e-5)
    assert below[10:20] == pytest.approx(0.02 * 30 * np.ones((10, 50)), rel=1e-5)
    assert side[:, :10].max() == below[20:].max() == 0


def test_views_are_as_one_stands_before_a_patient():
    """Head up; right and front to the left: metal in the left upper front corner lies where it should."""
    voxels = np.full((20, 20, 20), -1000.0, dtype=np.float32)
    voxels[17, 4, 15] = 3000  # z high, y small: front, x large: the patient's left
    image = Image(voxels=voxels, unit="HU", spacing=(1.0, 1.0, 1.0), direction=UPRIGHT)
    found = [np.unravel_index(film.argmax(), film.shape) for film in projections(image, **BEAMS)]
    assert found == [(2, 15), (2, 4), (4, 15)]


def test_how_voxels_are_stored_does_not_matter():
    rng = np.random.default_rng(0)
    image = Image(voxels=_smooth(rng), unit="HU", spacing=(1.0, 1.0, 1.0), direction=UPRIGHT)
    turned = Image(
        voxels=image.voxels.transpose(2, 0, 1)[::-1], unit="HU", spacing=(1.0, 1.0, 1.0),
        direction=((-1.0, 0.0, 0.0), (0.0, 0.0, 1.0), (0.0, 1.0, 0.0)), origin=(21.0, 0.0, 0.0),
    )  # fmt: skip
    for own, other in zip(projections(image, **BEAMS), projections(turned, **BEAMS), strict=True):
        assert own == pytest.approx(other, abs=1e-4)


def test_a_tilted_volume_is_seen_along_the_patient():
    """A rod along the patient, in a volume tilted by 20 degrees about x, is still a dot from below."""
    angle = np.deg2rad(20)
    k, j = (0.0, -np.sin(angle), np.cos(angle)), (0.0, np.cos(angle), np.sin(angle))
    zs, ys = np.mgrid[:60, :60].astype(float) - 30
    y = ys * j[1] + zs * k[1]  # of the patient
    section = np.where(np.abs(y) < 2, 2000.0, -1000.0)
    voxels = np.full((60, 60, 21), -1000.0, dtype=np.float32)
    voxels[:, :, 9:12] = section[:, :, None]
    tilted = Image(voxels=voxels, unit="HU", spacing=(1.0, 1.0, 1.0), direction=(k, j, (1.0, 0.0, 0.0)))
    _, side, below = projections(tilted, **BEAMS)
    lit = np.argwhere(below > below.max() / 2)
    assert np.ptp(lit, axis=0).max() <= 4
    rows, _ = np.nonzero(side > side.max() / 2)
    assert np.ptp(rows) > 45


def test_scale_is_common_and_films_lie_in_the_middle():
    image = Image(voxels=_smooth(np.random.default_rng(0)), unit="HU", spacing=(4.0, 1.0, 1.0), direction=UPRIGHT)
    seen = pictures(image, size=77, percentiles=(0.5, 99.5), **BEAMS)  # 77 high, 20 and 22 wide
    assert seen.shape == (3, 77, 77)
    assert seen.dtype == np.uint8
    outside = [seen[0][:, :27], seen[0][:, 50:], seen[1][:, :28], seen[2][:27], seen[2][:, 50:]]
    assert max(each.max() for each in outside) == 0
    assert seen[0][:, 28:48].mean() > 60


def test_heat_of_a_place_seen_from_three_sides_comes_back_to_it():
    image = Image(voxels=_smooth(np.random.default_rng(0)), unit="HU", spacing=(1.0, 1.0, 1.0), direction=UPRIGHT)
    bright = image.with_voxels(np.full(image.shape, -1000.0, dtype=np.float32))
    voxels = bright.voxels.copy()
    voxels[14:17, 5:8, 10:13] = 1000
    seen = pictures(bright.with_voxels(voxels), size=44, percentiles=(0.0, 100.0), **BEAMS).astype(np.float32)
    laid = laid_back(seen, image, spacing_mm=1.0)
    assert laid.shape == image.shape
    assert np.unravel_index(laid.argmax(), laid.shape) == (15, 6, 11)
    assert laid.min() >= 0


def _smooth(rng):
    noise = np.cumsum(rng.normal(0, 60, (20, 20, 22)), axis=0)
    return noise.astype(np.float32).clip(-500, 500)


@pytest.mark.skipif(not DATA.exists(), reason="needs ../shared/data/ct_hip")
def test_real_hips_are_seen_whole():
    """Every view of a real CT sums to the attenuation of the volume, less half a voxel at its edges; bone is bright."""
    for path in sorted(DATA.glob("STS_0[12]5_CT.nii.gz")) + sorted(DATA.glob("STS_026_CT.nii.gz")):
        image = read_nifti(path, unit="HU")
        films = projections(image, **BEAMS)
        whole = np.maximum(0.02 * (1 + image.voxels.clip(-1000, 3000) / 1000), 0).sum() * np.prod(image.spacing)
        for film in films:
            assert film.sum() == pytest.approx(whole, rel=0.03)
        mineral = np.where(image.voxels > 250, image.voxels, -1000.0).astype(np.float32)
        bone = projections(image.with_voxels(mineral), **BEAMS)
        seen = pictures(image, size=128, percentiles=(0.5, 99.5), **BEAMS)
        assert all(30 < film.mean() < 200 for film in seen)
        for film, own in zip(films, bone, strict=True):
            assert film[own > np.quantile(own, 0.95)].mean() > 1.3 * film.mean()


def test_events_are_rounded_up_and_the_lost_down():
    truth = np.array([[0.9, 1], [0.9, 0], [GRID[2], 1], [GRID[2], 0], [10.0, 1], [10.2, 1], [12.0, 0], [0.1, 0]])
    ends = steps(truth, GRID)
    assert ends.tolist() == [[2, 1], [1, 0], [2, 1], [2, 0], [12, 1], [12, 0], [12, 0], [0, 0]]


def test_the_likelihood_has_its_lowest_point_at_the_shares_of_those_at_risk():
    """For one group of people, the best hazards are events over those at risk, and the curve is Kaplan and Meier's."""
    ends = torch.tensor([[1.0, 1.0], [1.0, 0.0], [2.0, 1.0], [2.0, 1.0], [3.0, 0.0], [3.0, 0.0], [3.0, 1.0]])
    logits = torch.zeros(1, 4, requires_grad=True)
    optimiser = torch.optim.LBFGS([logits], max_iter=200)

    def closure():
        optimiser.zero_grad()
        value = hazard_loss(logits.expand(7, 4), ends)
        value.backward()
        return value

    optimiser.step(closure)
    assert without_event(logits.detach())[0].tolist() == pytest.approx(
        np.cumprod([1, 6 / 7, 3 / 5, 2 / 3]).tolist(), abs=2e-3
    )


def test_training_starts_from_the_hazards_of_everybody():
    ends = np.array([[1.0, 1.0], [1.0, 0.0], [2.0, 1.0], [2.0, 0.0]])
    mean = 2 / (4 + 4 + 2)  # events over points at which somebody was at risk
    expected = np.array([mean / 5, (1 + mean) / 5, (1 + mean) / 3, mean])
    assert usual_logits(ends, 4) == pytest.approx(np.log(expected / (1 - expected)))


def test_the_day_on_which_a_curve_falls_under_the_reference():
    grid, reference = np.array([0.0, 1.0, 2.0]), np.array([1.0, 0.9, 0.8])
    assert falls_under(grid, own=np.array([1.0, 0.92, 0.76]), reference=reference) == pytest.approx(365 * 4 / 3, abs=19)
    assert falls_under(grid, own=np.array([1.0, 0.95, 0.9]), reference=reference) is None
    assert falls_under(grid, own=np.array([0.99, 0.8, 0.7]), reference=reference) == 0


def test_a_side_may_be_exchanged_but_not_front_and_back():
    usual = recipe()._augment
    looks = Looks(Drrs([], ROLE, {}), VIEWS, np.zeros((0, 2), dtype=np.float32), [], usual)
    assert [looks._change(view).flip for view in VIEWS] == [True, False, True]
    assert not replace(looks, augment=replace(usual, flip=False))._change("frontal").flip


def test_an_interrupted_fit_ends_as_an_uninterrupted_one(tmp_path):
    system, cases, said = recipe(epochs=2), hips(16), []

    def stop(done, total, message=""):
        said.append(done)
        if len(said) == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        system.fit(cases, folder=tmp_path, progress=stop)
    resumed = system.fit(cases, folder=tmp_path)
    assert _risks(resumed, cases) == _risks(system.fit(cases), cases)


def test_part_of_the_people_may_decide_when_to_stop():
    fitted = recipe(epochs=2, validation_share=0.3, views=("axial",)).fit(hips())
    assert len(fitted.state.facts["networks"]["axial"]["history"]["validation_loss"]) == 2


def test_one_training_step_at_the_published_size():
    settings = {"epochs": 1, "pretrained": False, "pixels": 64, "views": ("frontal",)}
    fitted = get_system(ID, settings=settings).fit(hips(8))
    (network,) = fitted.state.networks.values()
    assert sum(each.numel() for each in network.trunks[0].features.parameters()) == 6_953_856
    assert network.hazards.weight.shape == (13, 1024)
