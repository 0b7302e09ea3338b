"""Every system that is built passes every check that has a meaning for it, at its smallest size."""

from dataclasses import replace
from functools import cache

import pytest

from tests.cohorts.told import coarse
from tests.contract.cases import patients
from tests.known_failures import KNOWN
from trabecula.card import cohort_card, cohort_ids, system_card, system_ids
from trabecula.case import ANY_GROUP, Images
from trabecula.cohort import open_cohort
from trabecula.selftest import CHECKS, run_checks
from trabecula.system import get_system

BUILT = [id_ for id_ in system_ids() if system_card(id_).built]
PATIENTS = 60
FEWER = {
    "hong2023_verte_x": 40,
    "hsieh2021_radiograph_bmd": 24,
    "huang2025_texture_moe": 24,
    "hussain2019_dxa": 24,
    "jang2021_hip_nonlocal": 30,
    "ke2025_semisupervised_diffusion": 24,
    "kim2024_drr_survival": 24,
    "kong2022_spine_deepsurv": 40,
    "kucukciloglu2023_mri_ct": 24,
    "mao2022_spine_covariates": 24,
    "widyaningrum2023_periapical": 40,
    "xie2024_fewshot_knee": 40,
    "zhang2023_multitask_ct": 18,
} | dict.fromkeys(("nam2019_lumbar_hu", "xie2022_qct_radiomics", "liu2022_hierarchical"), 30)
"""Images that take some 1 to 3 s to make, and systems that take their time."""
COARSER = ("phantom_spine_xray", "phantom_hip_xray")
"""Cohorts whose films are large and are looked at on a small canvas."""
COARSER_FOR = ("huang2025_texture_moe", "zhang2023_multitask_ct")
"""Systems that look at volumes on a small canvas, and draw label maps as large as the volume."""
COHORTS = {"huang2025_texture_moe": "phantom_lumbar_ct"}
"""Where several cohorts fit alike and one of them has its masks on another image."""
TARGETS = {"kim2024_drr_survival": ("time_to_any_fracture",)}
"""Where no made cohort has the card's: nobody of them comes with a fresh fracture of the hip."""


@pytest.mark.parametrize("check", [check.name for check in CHECKS])
@pytest.mark.parametrize("id_", BUILT)
def test_the_system_passes(id_, check):
    outcome = outcomes(id_)[check]
    if outcome.status == "skipped":
        (pytest.xfail if (id_, check) in KNOWN else pytest.skip)(outcome.message)
    assert outcome.status == "passed", outcome.message


def test_known_failures_are_of_systems_and_checks_that_exist():
    assert {id_ for id_, _ in KNOWN} <= set(BUILT)
    assert {check for _, check in KNOWN} <= {check.name for check in CHECKS}


@cache
def outcomes(id_):
    """Run all checks on one fitted model, once."""
    system = get_system(id_, size="tiny", targets=TARGETS.get(id_, ()))
    known = {check: reason for (of, check), reason in KNOWN.items() if of == id_}
    return {outcome.check: outcome for outcome in run_checks(system, cases_for(system), known_failures=known)}


def cases_for(system):
    """Return phantom patients with everything the system requires, and with most of what it can use beside."""
    needed, wanted = set(system.inputs().required), {target.id for target in system.predicts}
    inputs = system.inputs()
    usable = {*inputs.images, *inputs.masks, *inputs.table, *wanted}
    fitting = []
    for card in (cohort_card(id_) for id_ in cohort_ids()):
        offered = {*card.images, *card.masks, *card.table, *card.groups, *((ANY_GROUP,) if card.groups else ())}
        if card.made and needed <= offered and system.headline.id in card.targets:
            fitting.append((len(usable & {*offered, *card.targets}), card.id))
    if fitting:
        cohort = COHORTS.get(system.id(), max(fitting)[1])
        coarser = cohort in COARSER or system.id() in COARSER_FOR
        return made(cohort, FEWER.get(system.id(), PATIENTS), coarser=coarser)
    if not patients(1)[0].lacks(needed):
        return patients(PATIENTS)
    pytest.skip(f"no phantom cohort offers {', '.join(sorted(needed))} with truth for {system.headline.id}")


@cache
def made(cohort, count, *, coarser):
    cases = open_cohort(cohort, n=count).cases
    return [_coarser(case) for case in cases] if coarser else cases


def _coarser(case):
    """Return a case whose images, masks and label maps have pixels twice as wide: made in a third of the time."""
    images, masks = (Images({role: _wider(held.source(role)) for role in held}) for held in (case.images, case.masks))
    truth = {name: _wider(known) if hasattr(known, "recipe") else known for name, known in case.truth.items()}
    return replace(case, images=images, masks=masks, truth=truth)


def _wider(source):
    return replace(source, recipe=coarse(source.recipe, 2))
