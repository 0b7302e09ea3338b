"""Design-based means against hand calculation, an outside implementation and coverage in simulated surveys."""

import numpy as np
import pytest
from scipy import stats

from trabecula.survey import weighted_mean


def test_two_strata_by_hand():
    # Stratum A: PSU sums of weight 2 and 2 with means 1 and 3; stratum B: weights 1 and 3, values 4 and 8.
    value = [1.0, 3.0, 4.0, 8.0]
    weight = [2.0, 2.0, 1.0, 3.0]
    mean = (2 + 6 + 4 + 24) / 8  # 4.5
    scores = [2 * (1 - mean) / 8, 2 * (3 - mean) / 8, 1 * (4 - mean) / 8, 3 * (8 - mean) / 8]
    variance = (scores[0] - scores[1]) ** 2 + (scores[2] - scores[3]) ** 2  # 2/(2-1) * 2 * (half the difference)^2
    found = weighted_mean(value, weight, strata=["a", "a", "b", "b"], psu=[1, 2, 1, 2])
    assert found.value == pytest.approx(4.5)
    assert found.se == pytest.approx(variance**0.5)
    assert found.se == pytest.approx(((0.875 - 0.375) ** 2 + (-0.0625 - 1.3125) ** 2) ** 0.5)
    half = stats.t.ppf(0.975, 4 - 2) * variance**0.5
    assert (found.low, found.high) == pytest.approx((4.5 - half, 4.5 + half))


def test_one_person_a_unit_is_the_stratified_mean_of_the_textbooks():
    rng = np.random.default_rng(0)
    sizes, shares = (12, 30, 7), (0.2, 0.5, 0.3)
    values = [rng.normal(m, s, n) for m, s, n in zip((10, 20, 40), (2, 5, 9), sizes, strict=True)]
    weights = np.concatenate([np.full(n, share / n) for n, share in zip(sizes, shares, strict=True)])
    found = weighted_mean(
        np.concatenate(values), weights, strata=np.repeat([0, 1, 2], sizes), psu=np.arange(sum(sizes))
    )
    assert found.value == pytest.approx(sum(p * v.mean() for p, v in zip(shares, values, strict=True)))
    variance = sum(p**2 * v.var(ddof=1) / len(v) for p, v in zip(shares, values, strict=True))
    assert found.se == pytest.approx(variance**0.5)


def test_clusters_agree_with_the_sandwich_of_statsmodels():
    linear = pytest.importorskip("statsmodels.regression.linear_model", reason="statsmodels is an oracle of tests only")
    rng = np.random.default_rng(1)
    unit = rng.integers(0, 14, 200)
    value, weight = rng.normal(unit / 3, 1), rng.uniform(0.5, 4, 200)
    fitted = linear.WLS(value, np.ones(200), weights=weight).fit(cov_type="cluster", cov_kwds={"groups": unit})
    found = weighted_mean(value, weight, strata=np.zeros(200), psu=unit)
    assert found.value == pytest.approx(fitted.params[0])
    assert found.se == pytest.approx(fitted.bse[0])


def test_a_domain_keeps_units_without_members():
    value = np.array([0.0, 1.0, 1.0, 0.0, 1.0, 0.0])
    strata, psu = [1, 1, 1, 2, 2, 2], [1, 2, 3, 1, 2, 3]
    domain = np.array([1.0, 1.0, 0.0, 1.0, 1.0, 1.0])
    kept = weighted_mean(value, domain, strata=strata, psu=psu)
    inside = domain > 0
    left_out = weighted_mean(value[inside], domain[inside], strata=np.array(strata)[inside], psu=np.array(psu)[inside])
    assert kept.value == left_out.value
    assert kept.se != pytest.approx(left_out.se)
    missing = np.where(inside, value, np.nan)
    assert weighted_mean(missing, domain, strata=strata, psu=psu) == kept


@pytest.mark.slow
def test_intervals_cover_at_the_nominal_rate_in_repeated_surveys():
    rng, covered, draws = np.random.default_rng(2), 0, 1000
    means = rng.normal(0, 1, (16, 500))  # 16 strata of 500 units; people within a unit resemble each other
    truth = means.mean()
    for _ in range(draws):
        chosen = np.array([rng.choice(row, 2) for row in means])
        value = (chosen[..., None] + rng.normal(0, 1, (16, 2, 20))).ravel()
        strata, psu = np.repeat(np.arange(16), 40), np.tile(np.repeat([1, 2], 20), 16)
        found = weighted_mean(value, np.ones(640), strata=strata, psu=psu)
        covered += found.low <= truth <= found.high
    assert abs(covered / draws - 0.95) < 4 * (0.95 * 0.05 / draws) ** 0.5


@pytest.mark.parametrize(
    ("values", "weights", "psu", "said"),
    [
        ([1, 2, 3], [1, 1], [1, 2], "length"),
        ([1, 2], [1, -1], [1, 2], "not negative"),
        ([1, 2], [0, 0], [1, 2], "some are positive"),
        ([1, float("nan")], [1, 1], [1, 2], "weight 0"),
        ([1, 2], [1, 1], [1, 1], "one PSU"),
        ([1, 2], [1, 0], [1, 2], "one PSU only"),
    ],
)
def test_errors_say_what_to_do(values, weights, psu, said):
    with pytest.raises(ValueError, match=said):
        weighted_mean(values, weights, strata=[0] * len(weights), psu=psu)
