"""The shortcut that `trabecula check` looks for: caught where it is planted, not seen where it is not."""

import pytest

from trabecula.acquisition import shortcut
from trabecula.cohort import open_cohort

SEEDS = range(20)
PLANTED = 0.6


def accused(seed, planted, n=300):
    """Say whether acquisition facts alone are told to tell the label, as the check does; no picture is made."""
    cases = open_cohort("phantom_knee_xray", n=n, seed=seed, settings={"shortcut": planted}).cases
    facts = {case.id: dict(case.groups) for case in cases}
    found = shortcut(cases, cases, facts, target="osteoporosis_dxa", source="groups of the cases", seed=seed)
    return found is not None and found.strong


def test_a_shortcut_is_caught_and_a_clean_cohort_is_not_accused():
    assert accused(0, 1.0, n=100)
    assert not accused(0, 0.0, n=100)


@pytest.mark.slow
def test_the_planted_shortcut_is_caught_and_the_clean_cohort_seldom_accused():
    """Twenty seeds of 300 patients: sites follow the label in six of ten of them."""
    assert sum(accused(seed, PLANTED) for seed in SEEDS) >= 19
    assert sum(accused(seed, 0.0) for seed in SEEDS) <= 1
