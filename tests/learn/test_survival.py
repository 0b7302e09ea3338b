"""Cox's likelihood and regression are those of statsmodels, ties too; a constant in all hazards means nothing."""

import math

import numpy as np
import pytest
import torch
from statsmodels.duration.hazard_regression import PHReg

from trabecula.case import Case, Event
from trabecula.learn.survival import breslow, cox_loss, cox_regression, curve, known_years, observed
from trabecula.target import get_target

TARGET = get_target("time_to_vertebral_fracture")


def _people(n=200, *, seed=0, whole_years=True):
    """Return features and truths; with whole years many events are tied."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(n, 3))
    years = rng.exponential(6 * np.exp(-x @ [0.8, -0.5, 0.0]))
    end = rng.uniform(1, 10, n)
    truth = np.stack([np.minimum(years, end), years <= end], axis=1).astype(float)
    if whole_years:
        truth[:, 0] = np.ceil(truth[:, 0])
    return x, truth


def _theirs(x, truth):
    return PHReg(truth[:, 0], x, status=truth[:, 1], ties="efron")


@pytest.mark.parametrize("whole_years", [True, False])
def test_the_loss_is_the_likelihood_of_statsmodels(whole_years):
    x, truth = _people(whole_years=whole_years)
    for at in np.random.default_rng(1).normal(size=(5, 3)):
        ours = float(cox_loss(torch.from_numpy(x @ at), torch.from_numpy(truth))) * truth[:, 1].sum()
        assert ours == pytest.approx(-_theirs(x, truth).loglike(at), rel=1e-9)


@pytest.mark.parametrize("whole_years", [True, False])
def test_the_regression_is_that_of_statsmodels(whole_years):
    x, truth = _people(whole_years=whole_years)
    ours, losses = cox_regression(x, truth)
    np.testing.assert_allclose(ours, _theirs(x, truth).fit().params, atol=1e-5)
    assert losses[-1] < losses[0]


def test_a_feature_that_is_the_same_for_everybody_needs_a_ridge():
    x, truth = _people()
    x[:, 2] = 0.0
    with pytest.raises(ValueError, match="give a ridge"):
        cox_regression(x, truth)
    assert cox_regression(x, truth, ridge=1e-3)[0][2] == pytest.approx(0, abs=1e-9)


def test_a_feature_that_only_those_with_the_event_have_stays_finite():
    x, truth = _people()
    x[:, 2] = truth[:, 1] * (truth[:, 0] < 2)
    coefficients, _ = cox_regression(x, truth, ridge=1e-2)
    assert 1 < coefficients[2] < 10


def test_the_loss_of_three_people_by_hand():
    hazards = torch.tensor([0.5, -1.0, 2.0], dtype=torch.float64)
    truth = torch.tensor([[1.0, 1], [2.0, 0], [3.0, 1]], dtype=torch.float64)
    first = math.log(sum(math.exp(each) for each in hazards)) - 0.5
    assert float(cox_loss(hazards, truth)) == pytest.approx((first + 0.0) / 2)


def test_a_constant_changes_neither_loss_nor_curve():
    x, truth = _people()
    hazards = x @ [0.8, -0.5, 0.0]
    years = known_years(truth, horizon=8)
    for constant in (-30.0, 5.0, 30.0):
        losses = [float(cox_loss(torch.from_numpy(h), torch.from_numpy(truth))) for h in (hazards, hazards + constant)]
        assert losses[0] == pytest.approx(losses[1], rel=1e-9)
        told = [curve(h[7], years, breslow(h, truth, years)) for h in (hazards, hazards + constant)]
        np.testing.assert_allclose(told[0].incidence["event"], told[1].incidence["event"], rtol=1e-9)


def test_a_batch_without_events_gives_zero_and_no_gradient():
    hazards = torch.randn(4, requires_grad=True)
    loss = cox_loss(hazards, torch.tensor([[1.0, 0], [2, 0], [3, 2], [4, 0]]))
    loss.backward()
    assert loss == 0
    assert (hazards.grad == 0).all()


def test_hazards_far_apart_give_no_nan():
    hazards = torch.tensor([400.0, -400.0, 0.0], requires_grad=True)
    loss = cox_loss(hazards, torch.tensor([[2.0, 1], [1, 1], [1, 1]]))
    loss.backward()
    assert torch.isfinite(loss)
    assert torch.isfinite(hazards.grad).all()


def test_the_baseline_is_that_of_statsmodels():
    x, truth = _people(whole_years=False)
    fitted = _theirs(x, truth).fit()
    when, theirs, _ = fitted.baseline_cumulative_hazard[0]
    before = breslow(x @ fitted.params, truth, np.asarray(when) - 1e-9)  # theirs is the value before each event
    np.testing.assert_allclose(before, theirs, rtol=1e-9)


def test_without_differences_the_curve_is_that_of_nelson_and_aalen():
    truth = np.array([[1.0, 1], [2, 0], [3, 1], [4, 0]])
    years = np.array([0.5, 1, 2, 3.5])
    np.testing.assert_allclose(breslow(np.zeros(4), truth, years), [0, 1 / 4, 1 / 4, 1 / 4 + 1 / 2])
    told = curve(0.0, years, breslow(np.zeros(4), truth, years))
    assert told.at(3.5) == pytest.approx(1 - math.exp(-0.75))


def test_curves_are_calibrated_in_many():
    x, truth = _people(800, whole_years=False)
    coefficients, _ = cox_regression(x, truth)
    years = np.array([1.0, 3.0, 5.0])
    told = [curve(h, years, breslow(x @ coefficients, truth, years)).at(3) for h in x @ coefficients]
    true = 1 - np.exp(-3 / (6 * np.exp(-x @ [0.8, -0.5, 0.0])))
    assert np.abs(np.array(told) - true).mean() < 0.05


def test_a_curve_is_told_no_further_than_somebody_was_seen():
    truth = np.array([[1.2, 1], [3.3, 0]])
    assert known_years(truth, horizon=10).tolist() == [0.5, 1, 1.5, 2, 2.5, 3]
    assert known_years(truth, horizon=2, step=1).tolist() == [1, 2]
    assert known_years(np.array([[0.3, 1]]), horizon=10).tolist() == [0.3]


def test_death_ends_the_observation_and_someone_must_have_the_event():
    cases = [Case(id=str(e), patient=str(e), truth={TARGET.id: Event(2.0, e)}) for e in (0, 1, 2)]
    assert observed(cases, TARGET).tolist() == [[2, 0], [2, 1], [2, 0]]
    with pytest.raises(ValueError, match="none of 2 cases had the event"):
        observed([cases[0], cases[2]], TARGET)
