"""Xie et al. 2022: selection against definitions and scikit-learn, three models, the nomogram, what is not answered."""

import runpy
import xml.etree.ElementTree as ET
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

from trabecula.case import Images
from trabecula.cohort import open_cohort
from trabecula.image import Image
from trabecula.metrics import auc
from trabecula.prediction import Abstain
from trabecula.selftest.essence import stub_of
from trabecula.system import Model, get_system
from trabecula.systems.xie2022_qct_radiomics.essence import _made, essence
from trabecula.systems.xie2022_qct_radiomics.features import cancellous, features
from trabecula.systems.xie2022_qct_radiomics.nomogram import Nomogram, Scale, nice, svg
from trabecula.systems.xie2022_qct_radiomics.selection import lasso_path, log_loss, mrmr, strengths, wald_p
from trabecula.systems.xie2022_qct_radiomics.system import KEPT, PUBLISHED

SCRIPT = Path(__file__).parents[2] / "docs" / "real_ct.py"
EXAMPLE = Path(__file__).parents[3] / "shared" / "data" / "ct_totalseg_example"
TARGET = "qct_osteoporosis_or_osteopenia"


def xie(targets=(), **settings):
    return get_system("xie2022_qct_radiomics", size="tiny", targets=targets, settings=settings)


@pytest.fixture(scope="module")
def cases():
    """Return 36 made patients with small volumes, as the essence makes them, on the table of a phantom."""
    return _made(xie(), open_cohort("phantom_lumbar_ct", n=1).cases[0])


@pytest.fixture(scope="module")
def model(cases):
    return xie().fit(cases)


@pytest.fixture(scope="module")
def signal():
    """Return columns of which the first two carry a class, and that class."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(200, 8))
    y = (1.2 * x[:, 0] - 0.8 * x[:, 1] + rng.logistic(size=200) > 0).astype(float)
    return (x - x.mean(axis=0)) / x.std(axis=0), y


def test_mrmr_adds_what_tells_most_beside_the_chosen(signal):
    """Against the definition, written out: I(f; y) less the mean of I(f; s)."""
    x, y = signal
    x = np.column_stack([x, x[:, 0] + 0.3 * x[:, 2]])

    def told(a, b):
        return -0.5 * np.log(1 - np.corrcoef(a, b)[0, 1] ** 2)

    chosen = []
    for _ in range(5):
        gain = {
            f: told(x[:, f], y) - np.mean([told(x[:, f], x[:, s]) for s in chosen] or [0.0])
            for f in range(x.shape[1]) if f not in chosen
        }  # fmt: skip
        chosen.append(max(gain, key=gain.__getitem__))
    assert mrmr(x, y, 5) == chosen


def test_mrmr_never_takes_a_copy_or_a_constant(signal):
    x, y = signal
    doubled = np.column_stack([x, -3 * x + 2, np.ones(len(x))])
    chosen = mrmr(doubled, y, 20)
    assert len(chosen) == 8
    assert len({column % 8 for column in chosen}) == 8
    assert 16 not in chosen


def test_lasso_path_is_where_scikit_learn_ends(signal):
    x, y = signal
    penalties = strengths(x, y, 6, least=0.02)
    path = lasso_path(x, y, penalties, steps=20_000)
    assert not path[1:, 0].any()
    for penalty, ours in zip(penalties[1:], path.T[1:], strict=True):
        theirs = LogisticRegression(
            l1_ratio=1.0, C=1 / (penalty * len(x)), solver="saga", tol=1e-8, max_iter=20_000
        ).fit(x, y)
        np.testing.assert_allclose(ours, [theirs.intercept_[0], *theirs.coef_[0]], atol=2e-3)
        slope = x.T @ (1 / (1 + np.exp(-ours[0] - x @ ours[1:])) - y) / len(x)
        assert (np.abs(slope[ours[1:] == 0]) <= penalty + 1e-4).all()
    assert log_loss(x, y, path).mean(axis=0).argmin() == 5


def test_wald_p_values_are_those_of_statsmodels(signal):
    from statsmodels.api import Logit, add_constant

    x, y = signal
    theirs = Logit(y, add_constant(x[:, :4])).fit(disp=False).pvalues[1:]
    np.testing.assert_allclose(wald_p(x[:, :4], y), theirs, atol=0.01)
    apart = wald_p(np.sign(y - 0.5)[:, None], y)
    assert np.isfinite(apart).all()


def test_the_rad_score_is_made_of_a_few_of_twenty_of_851(cases, model):
    (rad,) = model.state.facts["rad"]
    assert len(rad["preselected"]) == 20
    assert 0 < len(rad["names"]) < 20
    row = features(*(cases[0].images["lumbar_ct"], cases[0].masks["trabecular_region"]),
                   level="L3", depth_mm=None, bin_width=25.0)  # fmt: skip
    assert len(row.dtype.names) == 851
    assert set(PUBLISHED) <= set(row.dtype.names)


def test_one_error_of_the_best_is_sparser(cases, model):
    lowest = xie(rule="min").fit(cases).state.facts["rad"][0]["names"]
    assert len(model.state.facts["rad"][0]["names"]) < len(lowest)


def test_three_models_take_what_they_say_and_nothing_else(cases):
    blind = [replace(case, images=Images({}), masks=Images({})) for case in cases]
    bare = [replace(case, table={}) for case in cases]
    for kind, enough, lacking in (("clinical", blind, bare), ("radiomics", bare, blind)):
        fitted = xie(model=kind).fit(enough)
        answers = fitted.predict(cases)
        assert answers == fitted.predict(enough)
        assert auc([c.truth[TARGET] for c in cases], [a[TARGET].p for a in answers]) > 0.8
        assert all(isinstance(a[TARGET], Abstain) for a in fitted.predict(lacking))


def test_clinical_values_are_tested_where_that_is_asked_for(cases):
    rng = np.random.default_rng(0)
    ill = {case.id: case.truth[TARGET] for case in cases}
    told = [
        replace(c, table={**c.table, **dict.fromkeys(KEPT, rng.normal(60, 5)), "glucose_mmol_l": 5 + 2 * ill[c.id]
                          + rng.normal()})
        for c in cases
    ]  # fmt: skip
    kept, tested = (xie(model="clinical", clinical=how).fit(told).state.facts["clinical"] for how in ("kept", "tested"))
    assert [each["name"] for each in kept] == list(KEPT)
    assert [each["name"] for each in tested] == ["glucose_mmol_l"]


def test_three_gaps_are_filled_with_medians_and_four_are_not(cases, model):
    names = [name for name in model.system.inputs().table if name not in ("age_years", "homocysteine_umol_l")]
    three = {name: value for name, value in cases[0].table.items() if name not in names[:3]}
    four = {name: value for name, value in cases[0].table.items() if name not in names[:4]}
    answers = [a[TARGET] for a in model.predict([replace(cases[0], table=t) for t in (three, four)])]
    assert not isinstance(answers[0], Abstain)
    assert "more than 3 clinical values" in answers[1].reason
    gap = {name: value for name, value in cases[0].table.items() if name != "homocysteine_umol_l"}
    middle = float(np.median([case.number("homocysteine_umol_l") for case in cases]))
    filled = {**gap, "homocysteine_umol_l": middle}
    one, other = model.predict([replace(cases[0], table=t) for t in (gap, filled)])
    assert one == other


@pytest.mark.parametrize("spoilt", ["metal", "level", "unit", "mask"])
def test_what_cannot_be_measured_is_not_answered(cases, model, spoilt):
    volume, mask = cases[0].images["lumbar_ct"], cases[0].masks["trabecular_region"]
    voxels = np.array(volume.voxels)
    voxels[7, 7, 7] = 3000
    images, masks, why = {
        "metal": (volume.with_voxels(voxels), {"trabecular_region": mask}, "metal"),
        "level": (volume, {"trabecular_region": replace(mask, names={1: "L2"})}, "L3 is not in the mask"),
        "unit": (replace(volume, unit="stored"), {"trabecular_region": mask}, "not in HU"),
        "mask": (volume, {}, "no mask"),
    }[spoilt]
    asked = replace(cases[0], images=Images({"lumbar_ct": images}), masks=Images(masks))
    assert why in model.predict([asked])[0][TARGET].reason


def test_whole_bodies_are_taken_without_their_walls():
    body = np.zeros((20, 30, 40), dtype=np.uint8)
    body[2:18, 2:28, 2:38] = 3
    mask = Image(voxels=body, unit="label", spacing=(1.0, 1.0, 1.0), names={3: "L3"})
    assert cancellous(mask, level="L3", depth_mm=4.0).voxels.sum() == 8 * 18 * 28
    assert cancellous(mask, level="L3", depth_mm=None).voxels.sum() == 16 * 26 * 36


NOMOGRAM = Nomogram(
    event="osteoporosis", constant=-3.0,
    scales=(
        Scale(name="age", title="Age, years", weight=0.05, low=50, high=90),
        Scale(name="bone", title="Bone", weight=-1.0, low=-3, high=2),
    ),
)  # fmt: skip


def test_points_add_up_to_the_probability_of_the_model():
    for age, bone in ((50, 2), (90, -3), (70, 0.5), (40, 4)):
        total = sum(NOMOGRAM.points({"age": age, "bone": bone}).values())
        assert NOMOGRAM.probability(total) == pytest.approx(1 / (1 + np.exp(3 - 0.05 * age + bone)))
        assert NOMOGRAM.total(NOMOGRAM.probability(total)) == pytest.approx(total)
    assert NOMOGRAM.points({"age": 50, "bone": 2}) == {"age": 0, "bone": 0}
    assert NOMOGRAM.points({"age": 90, "bone": -3}) == pytest.approx({"age": 40, "bone": 100})
    assert NOMOGRAM.most == pytest.approx(140)


def test_the_drawing_has_every_axis_and_the_patient_where_the_points_are():
    plain, marked = svg(NOMOGRAM), svg(NOMOGRAM, values={"age": 70, "bone": 0})
    assert plain == svg(NOMOGRAM)
    words = " ".join(ET.fromstring(marked).itertext())
    for told in ("Points", "Age, years", "Bone", "Total points", "Probability of", "osteoporosis", "Not a medical"):
        assert told in words
    assert "20 points" in words
    assert "40 points" in words
    assert f"{1 / (1 + np.exp(3 - 3.5)):.2f}" in words
    assert "20 points" not in " ".join(ET.fromstring(plain).itertext())


def test_round_numbers_of_an_axis():
    assert nice(50, 90) == [50, 60, 70, 80, 90]
    assert nice(-0.3, 0.31) == [-0.2, 0.0, 0.2]
    assert nice(2, 2) == [2]


def test_explanation_places_the_patient_on_the_nomogram(cases, model):
    for case in cases[:3]:
        evidence, p = model.explain(case), model.predict([case])[0][TARGET].p
        nomogram = model.system.nomogram(model.state)
        assert set(evidence.numbers) == {"rad_score", *KEPT}
        assert nomogram.probability(sum(evidence.numbers.values())) == pytest.approx(p, abs=1e-9)
        assert f"{p:.2f}" in " ".join(ET.fromstring(evidence.figure).itertext())
        assert evidence.heat["lumbar_ct"].sum() == (case.masks["trabecular_region"].voxels > 0).sum()


def test_the_published_score_says_whose_scaling_it_has(cases, tmp_path):
    frozen = xie(weights="published").fit(cases)
    assert "scaling is not published" in frozen.explain(cases[0]).method
    frozen.save(tmp_path / "model")
    assert Model.load(tmp_path / "model").predict(cases) == frozen.predict(cases)


def test_the_essence_holds_and_rejects_what_is_not_it(cases):
    essence(xie(), cases)
    for other in (stub_of(xie()), xie(model="clinical")):
        with pytest.raises(AssertionError):
            essence(other, cases)


def test_normal_bone_has_no_truth_for_osteoporosis_against_osteopenia():
    for case in open_cohort("phantom_lumbar_ct", n=40).cases:
        assert case.truth.get(TARGET) == {0: None, 1: 0, 2: 1}[case.truth["qct_class"]]


@pytest.mark.skipif(not EXAMPLE.exists(), reason="needs ../shared/data/ct_totalseg_example")
def test_a_real_l3_has_all_features_and_those_of_attenuation_agree_with_it(monkeypatch):
    monkeypatch.syspath_prepend(str(SCRIPT.parent))
    shown = runpy.run_path(str(SCRIPT))
    case = shown["example"]()
    found = shown["radiomics"](case)
    assert len(found) == 851
    inside = cancellous(case.masks["vertebral_bodies"], level="L3", depth_mm=4.0).voxels > 0
    values = next(iter(case.images.values())).voxels[inside]
    assert found["original_firstorder_10Percentile"] == pytest.approx(np.percentile(values, 10))
    assert found["original_firstorder_Median"] == pytest.approx(np.median(values))
    low = found["wavelet-LLL_firstorder_Median"] / found["original_firstorder_Median"]
    assert low == pytest.approx(2**1.5, rel=0.1)  # three low passes, each of which sums to the square root of 2
