"""Fracture: events follow the hazards that were planted, BMD alone shows the published gradients, the switches work."""

import numpy as np
import pytest
from scipy.stats import chi2
from statsmodels.duration.hazard_regression import PHReg

from trabecula.phantom.anatomy.hip_owner import hip_owner
from trabecula.phantom.chance import Chance
from trabecula.phantom.fracture import (
    GRADIENT,
    INCIDENCE,
    LN_GRADIENT_PER_DECADE,
    NECK_SD_G_CM2,
    PER_SD,
    hazards,
    latent_strength,
)
from trabecula.phantom.people import draw_columns, person

SEEDS = range(20)


def cox(drawn, cause, columns, chosen, offset=0.0):
    """Return effects, standard errors and covariance of a cause-specific Cox regression of those chosen."""
    years, event = (column[chosen] for column in drawn.outcomes[cause])
    rows, fracture = np.stack(columns, axis=1)[chosen], (event == 1).astype(float)
    rest = np.broadcast_to(offset, chosen.shape)[chosen]
    model = PHReg(years, rows, status=fracture, offset=rest, ties="breslow")
    fit = model.fit(start_params=start(years, fracture, rows, rest))
    return fit.params, fit.bse, fit.cov_params()


def start(years, fracture, rows, rest):
    """Return the effects of an exponential regression: Newton's steps for Cox's leave the road when begun at zero."""
    design = np.column_stack([np.ones(len(rows)), rows])
    exposed = years * np.exp(rest)
    effects = np.r_[np.log(fracture.sum() / exposed.sum()), np.zeros(rows.shape[1])]
    for _ in range(25):
        expected = exposed * np.exp(design @ effects)
        effects = effects + np.linalg.solve(design.T @ (design * expected[:, None]), design.T @ (fracture - expected))
    return effects[1:]


def alone(drawn):
    """Return the columns of a study of BMD given age: lower neck BMD in SD, its change a decade, age."""
    decades = (drawn.bodies.age - 65) / 10
    lower = (0.75 - drawn.bodies.bmd[:, 0]) / NECK_SD_G_CM2
    return [lower, lower * decades, decades, decades**2]


@pytest.mark.parametrize("cause", ["hip", "vertebral"])
def test_events_follow_strength_as_planted(cause):
    """20 seeds, women, everything else known: no bias beyond 2 standard errors, and 95 % intervals that cover."""
    planted = PER_SD["bone"][cause][0][0]
    found = []
    for seed in SEEDS:
        drawn = draw_columns(Chance(seed, np.arange(3000)), enriched=True)
        strength, decades = drawn.skeleton["strength"], (drawn.bodies.age - 65) / 10
        deformed = (drawn.height_loss > 0).sum(axis=1)
        rest = np.log(hazards(drawn.bodies, drawn.table, np.zeros_like(strength), deformed, of="bone")[cause])
        effects, errors, _ = cox(drawn, cause, [-strength, -strength * decades], drawn.bodies.sex == 0, rest)
        found.append((effects[0], errors[0]))
    effects, errors = np.transpose(found)
    assert abs(effects.mean() - planted) < 2 * np.sqrt((errors**2).mean() / len(SEEDS))
    assert (np.abs(effects - planted) < 1.96 * errors).mean() >= 0.85


@pytest.mark.slow
@pytest.mark.parametrize("strength", ["bone", "bmd", "femur"])
def test_bmd_alone_shows_the_published_gradients(strength):
    """20 seeds of people from 50 on as they are: cause-specific Cox on neck BMD given age, in each sex.

    Over both sexes, the mean lies within 2 standard errors of what is published and intervals cover in 85 %.
    """
    found = {cause: [] for cause in GRADIENT}
    for seed in SEEDS:
        drawn = draw_columns(Chance(100 + seed, np.arange(30_000)), enriched=False, strength=strength)
        for sex in (0, 1):
            chosen = (drawn.bodies.sex == sex) & (drawn.bodies.age >= 50)
            for cause, ratios in GRADIENT.items():
                effects, errors, _ = cox(drawn, cause, alone(drawn), chosen)
                slope = LN_GRADIENT_PER_DECADE.get(cause, effects[1])
                found[cause].append((effects[0] - np.log(ratios[sex]), errors[0], effects[1] - slope, errors[1]))
    for cause, rows in found.items():
        away, error, turned, turn_error = np.transpose(rows)
        for off, spread in ((away, error), (turned, turn_error)):
            share = spread**-2 / (spread**-2).sum()
            assert abs((off * share).sum()) < 2 * (spread**-2).sum() ** -0.5, cause
            assert (np.abs(off) < 1.96 * spread).mean() >= 0.85, cause


def test_the_gradient_of_hip_fracture_is_the_published_one():
    drawn = draw_columns(Chance(100, np.arange(100_000)), enriched=False)
    effects, errors, _ = cox(drawn, "hip", alone(drawn), (drawn.bodies.sex == 0) & (drawn.bodies.age >= 50))
    assert abs(effects[0] - np.log(2.88)) < 2.5 * errors[0]
    assert errors[0] < 0.10
    assert effects[1] < 0  # falls with age


@pytest.mark.parametrize(("strength", "knows"), [("bone", True), ("bmd", False)])
def test_the_switch_decides_whether_an_image_can_know_more_than_bmd(strength, knows):
    """Wald test of all that an image shows beside neck BMD, age, sex and stature, in a cohort of both sexes."""
    drawn = draw_columns(Chance(7, np.arange(20_000)), enriched=True, strength=strength)
    seen = ["lumbar_vbmd_mg_cm3", "hip_vbmd_mg_cm3", "marrow_fat", "wall", "axial"]
    columns = [drawn.skeleton[name] for name in seen] + [(drawn.height_loss > 0).sum(axis=1)]
    images = [(column - column.mean()) / column.std() for column in columns]
    known = [*alone(drawn), drawn.bodies.sex.astype(float)]
    for cause in ("hip", "vertebral", "any"):
        effects, errors, covariance = cox(drawn, cause, images + known, drawn.bodies.age >= 50)
        more, spread = effects[: len(images)], covariance[: len(images), : len(images)]
        p = chi2.sf(more @ np.linalg.solve(spread, more), len(images))
        assert (p < 1e-6) if knows else (p > 0.005), (cause, p)
        if knows and cause == "vertebral":
            assert more[0] < -3 * errors[0]  # denser is safer at the same areal BMD


def test_strength_of_bmd_is_bmd_and_of_bone_mostly():
    chance = Chance(8, np.arange(20_000))
    bodies = draw_columns(chance, enriched=False).bodies
    bmd, bone = (latent_strength(chance, bodies, of=of) for of in ("bmd", "bone"))
    at_65 = (bodies.age == 65) & (bodies.sex == 0)
    assert np.corrcoef(bmd[at_65], bodies.bmd[at_65, 0])[0, 1] == pytest.approx(1)
    assert np.corrcoef(bone, bmd)[0, 1] == pytest.approx(0.75, abs=0.03)
    assert bone.std() == pytest.approx(1, abs=0.05)


def test_strength_of_the_femur_is_its_bmd_and_a_shape_that_its_hip_is_drawn_with():
    chance = Chance(8, np.arange(2000))
    bodies = draw_columns(chance, enriched=False).bodies
    bmd, femur = (latent_strength(chance, bodies, of=of) for of in ("bmd", "femur"))
    assert femur.std() == pytest.approx(1, abs=0.06)
    assert np.corrcoef(femur, bmd)[0, 1] == pytest.approx(0.75, abs=0.05)
    drawn = [person(n, 8, enriched=False, strength="femur") for n in range(200)]
    hips = [hip_owner(each, 8).hip.femur for each in drawn]
    slender = np.log([hip.neck_mm / hip.neck_half_mm**2 for hip in hips])
    rest, shown = (
        values[:200] - np.polyval(np.polyfit(bmd[:200], values[:200], 1), bmd[:200])
        for values in (femur, np.array(slender))
    )
    assert np.corrcoef(rest, shown)[0, 1] < -0.5
    assert [each.skeleton.strength for each in drawn] == pytest.approx(femur[:200].tolist())


@pytest.mark.parametrize("sex", [0, 1])
def test_incidence_is_the_planted_one(sex):
    """Expected hazards, from 50 on by decade, within 10 %; and events, hip fracture before death, agree with them."""
    drawn = draw_columns(Chance(9, np.arange(100_000)), enriched=False)
    bodies, strength = drawn.bodies, drawn.skeleton["strength"]
    each = hazards(bodies, drawn.table, strength, (drawn.height_loss > 0).sum(axis=1), of="bone")
    for cause, rows in INCIDENCE.items():
        level, ratio = rows[sex]
        for low in (55, 65, 75):
            chosen = (bodies.sex == sex) & (bodies.age >= low) & (bodies.age < low + 10)
            planted = (level * ratio ** ((bodies.age[chosen] - 65) / 10)).mean()
            assert each[cause][chosen].mean() == pytest.approx(planted, rel=0.10), (cause, low)
    old = (bodies.sex == sex) & (bodies.age >= 70)
    years, event = drawn.outcomes["hip"]
    expected = (each["hip"][old] * years[old]).sum()
    assert (event[old] == 1).sum() == pytest.approx(expected, abs=3.5 * np.sqrt(expected))


def test_a_deformity_raises_later_vertebral_risk_and_weak_bone_has_more():
    drawn = draw_columns(Chance(10, np.arange(40_000)), enriched=False)
    old, deformed = drawn.bodies.age >= 65, (drawn.height_loss > 0).any(axis=1)
    years, event = drawn.outcomes["vertebral"]
    rates = [(event[old & group] == 1).sum() / years[old & group].sum() for group in (deformed, ~deformed)]
    assert rates[0] > 2.5 * rates[1]
    assert drawn.skeleton["strength"][old & deformed].mean() < drawn.skeleton["strength"][old & ~deformed].mean() - 0.4
    women = drawn.bodies.sex == 0
    shares = [deformed[women & (drawn.bodies.age // 10 == decade)].mean() for decade in (5, 6, 7, 8)]
    assert shares == sorted(shares)
    assert 0.03 < shares[0] < 0.10
    assert 0.18 < shares[3] < 0.35
