import numpy as np
import pytest

from trabecula.measure.clustering import Clusters, cluster_shares, fuzzy_c_means, k_means


def _three_groups(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    truth = np.repeat([0, 1, 2], [50, 30, 20])
    return np.array([[10.0, 5.0], [100.0, -5.0], [200.0, 0.0]])[truth] + rng.normal(0, 1, (100, 2)), truth


@pytest.mark.parametrize("cluster", [k_means, fuzzy_c_means])
def test_groups_that_lie_apart_are_found_whatever_the_order_of_values_and_the_seed(cluster) -> None:
    values, truth = _three_groups(np.random.default_rng(0))
    for seed in range(5):
        order = np.random.default_rng(seed).permutation(len(values))
        found = cluster(values[order], 3, seed=seed)
        np.testing.assert_array_equal(found.labels, truth[order])
        np.testing.assert_allclose(cluster_shares(found), [0.5, 0.3, 0.2])
        assert (np.diff(found.centres[:, 0]) > 0).all()


def test_k_means_of_four_numbers_is_what_is_found_by_hand() -> None:
    found = k_means(np.array([[1.0], [2.0], [9.0], [12.0]]), 2, seed=0)
    np.testing.assert_allclose(found.centres, [[1.5], [10.5]])
    np.testing.assert_array_equal(found.labels, [0, 0, 1, 1])
    assert found.objective[-1] == pytest.approx(2 * 0.5**2 + 2 * 1.5**2)


def test_fuzzy_memberships_and_centres_of_symmetric_numbers_are_those_found_by_hand() -> None:
    """-1, 0 and 1 in two clusters at -c and c: 0 belongs half to each; the centre equation is cubic in c^2."""
    found = fuzzy_c_means(np.array([[-1.0], [0.0], [1.0]]), 2, seed=0)
    (low,), (c,) = found.centres
    assert low == pytest.approx(-c, abs=1e-6)
    near, far = (1 - c) ** 2, (1 + c) ** 2
    mine, other = far / (near + far), near / (near + far)
    np.testing.assert_allclose(found.memberships, [[mine, other], [0.5, 0.5], [other, mine]], atol=1e-6)
    assert c == pytest.approx((mine**2 - other**2) / (mine**2 + 0.25 + other**2), abs=1e-6)


def test_fuzzy_c_means_ends_where_both_of_bezdek_s_equations_hold() -> None:
    values, m = np.random.default_rng(1).uniform(0, 255, (400, 1)), 1.7
    found = fuzzy_c_means(values, 4, fuzzifier=m, seed=0)
    distance = np.abs(values - found.centres.T)
    expected = 1 / ((distance[:, :, None] / distance[:, None, :]) ** (2 / (m - 1))).sum(axis=2)
    np.testing.assert_allclose(found.memberships, expected, atol=1e-9)
    weights = found.memberships**m
    np.testing.assert_allclose((weights * values).sum(axis=0) / weights.sum(axis=0), found.centres[:, 0], atol=1e-3)


def test_the_objective_of_fuzzy_c_means_falls_at_every_step() -> None:
    objective = np.array(fuzzy_c_means(np.random.default_rng(2).gamma(2, 30, (500, 2)), 5, seed=0).objective)
    assert len(objective) > 5
    assert (np.diff(objective) <= 1e-9 * objective[0]).all()


def test_a_fuzzifier_near_one_gives_k_means() -> None:
    values, _ = _three_groups(np.random.default_rng(3))
    sharp, soft = k_means(values, 3, seed=0), fuzzy_c_means(values, 3, fuzzifier=1.05, seed=0)
    np.testing.assert_allclose(soft.centres, sharp.centres, atol=1e-6)
    np.testing.assert_allclose(soft.memberships, sharp.memberships, atol=1e-6)


def test_a_value_on_a_centre_belongs_to_it_alone() -> None:
    found = fuzzy_c_means(np.array([[0.0], [0.0], [5.0]]), 2, seed=0)
    np.testing.assert_allclose(found.memberships, [[1, 0], [1, 0], [0, 1]])


@pytest.mark.parametrize("cluster", [k_means, fuzzy_c_means])
def test_repeated_values_count_as_often_as_they_occur(cluster) -> None:
    rng = np.random.default_rng(4)
    values = np.round(np.concatenate([rng.normal(60, 15, 3000), rng.normal(150, 25, 900)]))[:, None]
    coarse, fine = (cluster(values + shift, 2, seed=0) for shift in (0, rng.uniform(-1e-6, 1e-6, values.shape)))
    np.testing.assert_allclose(coarse.centres, fine.centres, atol=1e-3)


@pytest.mark.parametrize("cluster", [k_means, fuzzy_c_means])
def test_the_same_seed_gives_the_same_clusters_to_the_last_bit(cluster) -> None:
    values = np.random.default_rng(5).normal(0, 1, (300, 3))
    one, two = cluster(values, 4, seed=7), cluster(values, 4, seed=7)
    assert isinstance(one, Clusters)
    np.testing.assert_array_equal(one.centres, two.centres)
    np.testing.assert_array_equal(one.memberships, two.memberships)


@pytest.mark.parametrize("cluster", [k_means, fuzzy_c_means])
@pytest.mark.parametrize(
    ("values", "clusters", "said"),
    [
        (np.full((50, 1), 7.0), 2, "1 different values"),
        (np.array([[1.0], [np.nan]]), 2, "finite"),
        (np.zeros((0, 1)), 1, "at least one"),
        (np.arange(5.0), 2, "shape"),
        (np.arange(5.0)[:, None], 0, "got 0"),
    ],
)
def test_what_cannot_be_clustered_is_refused(cluster, values, clusters, said) -> None:
    with pytest.raises(ValueError, match=said):
        cluster(values, clusters, seed=0)


def test_a_fuzzifier_of_one_is_refused() -> None:
    with pytest.raises(ValueError, match="above 1"):
        fuzzy_c_means(np.arange(9.0)[:, None], 2, fuzzifier=1.0, seed=0)
