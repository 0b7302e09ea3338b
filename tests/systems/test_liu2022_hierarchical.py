"""Liu et al. 2022: layers, screens, cascade and six classifiers on made people; the texture on a real CT."""

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from scipy import stats

from trabecula.case import Case, Images
from trabecula.image import Image, read_nifti
from trabecula.measure.hounsfield import Ellipse, find_place
from trabecula.measure.masks import named_mask
from trabecula.measure.radiomics import Settings, extract
from trabecula.metrics import auc
from trabecula.prediction import Abstain, Grades, score
from trabecula.selftest.essence import stub_of
from trabecula.system import Model, get_system
from trabecula.systems.liu2022_hierarchical.essence import essence, made_people
from trabecula.systems.liu2022_hierarchical.screening import Screen, p_value, screened
from trabecula.systems.liu2022_hierarchical.system import _youden, stages
from trabecula.systems.liu2022_hierarchical.texture import FEATURES, middle_slices, vertebral_texture

DATA = Path(__file__).parents[3] / "shared" / "data" / "ct_totalseg_example"
TARGET = "osteoporosis_dxa"
SETTINGS = {"levels": 32, "low_hu": -200.0, "high_hu": 1000.0}
AXIAL = ((0.0, 0.0, 1.0), (0.0, 1.0, 0.0), (1.0, 0.0, 0.0))
LEARNERS = ("logistic", "svm", "ann", "forest", "boosted", "stacking")


def tiny(*, targets=(), **settings):
    return get_system("liu2022_hierarchical", size="tiny", targets=targets, settings=settings)


@pytest.fixture(scope="module")
def people():
    """Return 140 people; weight tells a little, one laboratory value more, the texture of a small CT most."""
    table = {"age_years": 70.0, "height_cm": 165.0, "weight_kg": 70.0, "bmi_kg_m2": 25.7}
    adults = [Case(id=sex, patient=sex, table={**table, "sex": sex}) for sex in ("female", "male")]
    return made_people(tiny(), adults)


@pytest.fixture(scope="module")
def model(people):
    return tiny().fit(people[:80])


def without_ct(case):
    return replace(case, images=Images({}), masks=Images({}))


def without_laboratory(case):
    optional = tiny().inputs().optional
    return replace(case, table={name: value for name, value in case.table.items() if name not in optional})


def layer_of(model, case):
    return model.explain(case).numbers["layer"]


def area(model, cases):
    return auc([case.truth[TARGET] for case in cases], [score(answer[TARGET]) for answer in model.predict(cases)])


def test_the_essence_holds_and_rejects_the_stub(people):
    essence(tiny(), people)
    with pytest.raises(AssertionError):
        essence(stub_of(tiny()), people)


@pytest.mark.parametrize("learner", LEARNERS)
def test_every_classifier_learns_and_survives_saving(people, tmp_path, learner):
    fitted = tiny(learner=learner).fit(people[:80])
    assert area(fitted, people[80:]) > 0.8
    fitted.save(tmp_path / "model")
    assert Model.load(tmp_path / "model").predict(people[80:]) == fitted.predict(people[80:])


@pytest.mark.parametrize("learner", LEARNERS)
def test_an_ordinal_target_gets_its_grades(people, learner):
    three = [
        replace(case, truth={"who_class_dxa": number % 3})
        for number, case in enumerate(people)
        if (case.truth[TARGET] == 1) == (number % 3 == 2)
    ]
    answers = tiny(targets=("who_class_dxa",), learner=learner).fit(three).predict(three)
    assert all(isinstance(answer["who_class_dxa"], Grades) for answer in answers)


def test_an_answer_is_as_deep_as_the_data(model, people):
    case = people[90]
    assert layer_of(model, case) == 3
    assert layer_of(model, without_ct(case)) == 2
    assert layer_of(model, without_laboratory(without_ct(case))) == 1
    assert layer_of(model, without_laboratory(case)) == 1  # the third layer needs what the second does
    unmeasurable = replace(case, masks=Images({"trabecular_region": blank(case.masks["trabecular_region"])}))
    evidence = model.explain(unmeasurable)
    assert evidence.numbers["layer"] == 2
    assert "CT not measured: the mask has no region" in evidence.method


def blank(mask):
    return mask.with_voxels(np.zeros_like(mask.voxels))


def test_a_few_with_a_ct_make_the_third_layer_and_all_make_the_others(people):
    some = [case if number < 40 else without_ct(case) for number, case in enumerate(people[:80])]
    facts = tiny().fit(some).state.facts
    assert [layer["with_data"] for layer in facts["training"]] == [80, 80, 40]
    assert facts["screening"]["texture"]["people"] == 40


def test_a_block_that_nobody_has_is_no_layer(people):
    nobody = tiny().fit([without_laboratory(case) for case in people[:80]])
    assert [layer["block"] for layer in nobody.state.facts["layers"]] == ["demographic", "texture"]
    assert nobody.explain(without_laboratory(people[90])).numbers["layer"] == 2
    alone = tiny().fit([without_laboratory(without_ct(case)) for case in people[:80]])
    assert [layer["block"] for layer in alone.state.facts["layers"]] == ["demographic"]


def test_a_layer_without_columns_answers_the_share(people):
    rng = np.random.default_rng(0)
    values = ("weight_kg", "bmi_kg_m2")
    dull = [without_ct(replace(c, table={**c.table, **{n: float(rng.normal(70, 9)) for n in values}})) for c in people]
    dull = [without_laboratory(case) for case in dull]
    fitted = tiny(significance=1e-6).fit(dull[:81])
    assert fitted.state.facts["layers"][0]["columns"] == []
    assert [answer[TARGET].p for answer in fitted.predict(dull)] == pytest.approx([40 / 81] * len(dull))


def test_others_than_adults_above_forty_are_neither_learned_from_nor_told(model, people):
    young = [replace(case, table={**case.table, "age_years": 40.0}) for case in people]
    answer = model.predict(young[:1])[0][TARGET]
    assert isinstance(answer, Abstain)
    assert "above 40" in answer.reason
    assert model.explain(young[0]) is None
    assert tiny().fit([*people[:80], *young[80:]]).predict(people) == model.predict(people)
    with pytest.raises(ValueError, match="nobody above 40"):
        tiny().fit(young)


def test_a_cascade_sends_on_only_the_suspected(people):
    fitted = tiny(cascade=True).fit(people[:80])
    rows = stages(fitted, people[80:])
    assert [row["with_data"] for row in rows] == [60, 60, 60]
    assert 60 == rows[0]["reached"] > rows[1]["reached"] > rows[2]["reached"] > 0
    assert [row["answered"] for row in rows] == [
        row["reached"] - after for row, after in zip(rows, [*(r["reached"] for r in rows[1:]), 0], strict=True)
    ]
    first = fitted.state.facts["layers"][0]
    for case in people[80:]:
        numbers = fitted.explain(case).numbers
        assert (numbers["layer"] > 1) == (numbers["p of the demographic layer"] >= first["cut"])
    everybody = stages(tiny().fit(people[:80]), people[80:])
    assert [row["answered"] for row in everybody] == [0, 0, 60]


def test_coefficients_add_up_to_the_answer(model, people):
    for case in people[80:85]:
        numbers = model.explain(case).numbers
        p = model.predict([case])[0][TARGET].p
        columns = model.state.facts["layers"][2]["columns"]
        assert numbers["expected"] + sum(numbers[name] for name in columns) == pytest.approx(np.log(p / (1 - p)))
        assert numbers["p of the texture layer"] == pytest.approx(p)


def test_shallow_variants_ask_for_no_more_than_they_need(people):
    assert not tiny(deepest=2).inputs().images
    assert "albumin_g_l" in tiny(deepest=2).inputs().table
    assert set(tiny(deepest=1).inputs().table) == {"age_years", "sex", "height_cm", "weight_kg", "bmi_kg_m2"}
    assert tiny(deepest=2).fit(people[:80]).predict(people) == tiny().fit(people[:80]).predict(
        [without_ct(case) for case in people]
    )


def test_the_screen_uses_the_test_that_fits():
    rng = np.random.default_rng(0)
    grades = np.repeat([0, 1], 60)
    normal, skewed = rng.normal(size=120), rng.lognormal(sigma=1.5, size=120)
    codes = (rng.random(120) < 0.3 + 0.2 * grades).astype(float)
    assert p_value(normal, grades, coded=False) == pytest.approx(stats.ttest_ind(normal[:60], normal[60:]).pvalue)
    rank = stats.mannwhitneyu(skewed[:60], skewed[60:]).pvalue
    assert p_value(skewed, grades, coded=False) == pytest.approx(rank)
    counts = [[(codes[:60] == code).sum(), (codes[60:] == code).sum()] for code in (0, 1)]
    assert p_value(codes, grades, coded=True) == pytest.approx(stats.chi2_contingency(counts).pvalue)
    assert p_value(np.ones(120), grades, coded=False) == 1
    assert p_value(np.where(grades == 1, np.nan, normal), grades, coded=False) == 1


def test_the_screen_drops_gaps_noise_and_twins():
    rng = np.random.default_rng(1)
    grades = np.repeat([0, 1], 100)
    told = rng.normal(size=200) + grades
    columns = {
        "noise": rng.normal(size=200), "weaker twin": told + rng.normal(0, 0.2, 200), "told": told,
        "gaps": np.where(rng.random(200) < 0.4, np.nan, told + rng.normal(size=200)),
        "other": rng.normal(size=200) - grades,
    }  # fmt: skip
    limits = Screen(significance=0.01, redundancy=0.9, missing=0.3)
    kept, report = screened(np.stack(list(columns.values()), axis=1), grades, list(columns), limits)
    assert kept == ["told", "other"] or kept == ["weaker twin", "other"]
    assert len(report["redundant"]) == 1
    assert report["gaps"] == ["gaps"]
    assert report["kept"] == 2
    assert report["p"]["noise"] > 0.01


def test_the_share_of_false_columns_is_the_significance():
    rng = np.random.default_rng(2)
    grades = np.repeat([0, 1], 50)
    ps = [p_value(rng.normal(size=100), grades, coded=False) for _ in range(400)]
    assert stats.binomtest(sum(p < 0.05 for p in ps), 400, 0.05).pvalue > 0.01


def test_the_cut_is_youdens():
    assert _youden(np.array([0.1, 0.2, 0.3, 0.4]), np.array([False, False, True, True])) == 0.3


@pytest.fixture
def body():
    """Return a CT of noise with regions of L1 and L3 and one of T12."""
    rng = np.random.default_rng(4)
    voxels = (120 + 30 * rng.normal(size=(9, 24, 26))).astype(np.float32)
    region = np.zeros(voxels.shape, dtype=np.uint8)
    region[0:2, 4:20, 4:20], region[3:6, 4:20, 5:21], region[7:9, 5:21, 4:20] = 1, 2, 3
    image = Image(voxels=voxels, unit="HU", spacing=(2.0, 0.7, 0.8), direction=AXIAL)
    return image, replace(image, voxels=region, unit="label", names={1: "L3", 2: "L1", 3: "T12"})


def test_texture_is_that_of_the_middle_slices(body):
    image, mask = body
    found = vertebral_texture(image, mask, **SETTINGS)
    assert found.shape == (2, len(FEATURES))
    shown = middle_slices(mask)
    assert shown[4].sum() == 256
    assert shown[[1, 2, 3, 5, 6, 7, 8]].sum() == 0
    alone = replace(image, voxels=image.voxels[4:5]), replace(mask, voxels=mask.voxels[4:5])
    settings = Settings(families=("stat", "ih", "cm", "rlm"), bin_count=32, aggregations=("2D_avg",))
    direct = extract(*alone, settings=settings, label=2)
    assert found[1] == pytest.approx([direct[name] for name in FEATURES], rel=1e-6)


def test_texture_does_not_hang_on_how_the_volume_is_stored(body):
    turned = []
    for each in body:
        (k, j, i), (along_k, along_j, along_i) = each.spacing, each.direction
        voxels = each.voxels.transpose(2, 0, 1)
        turned.append(replace(each, voxels=voxels, spacing=(i, k, j), direction=(along_i, along_k, along_j)))
    np.testing.assert_allclose(vertebral_texture(*turned, **SETTINGS), vertebral_texture(*body, **SETTINGS))


def test_what_cannot_be_measured_is_refused(body):
    image, mask = body
    with pytest.raises(ValueError, match="not in HU"):
        vertebral_texture(replace(image, unit="stored"), mask, **SETTINGS)
    with pytest.raises(ValueError, match="metal"):
        vertebral_texture(image.with_voxels(np.full_like(image.voxels, 3000)), mask, **SETTINGS)
    with pytest.raises(ValueError, match="resample"):
        vertebral_texture(image, replace(mask, origin=(3.0, 0.0, 0.0)), **SETTINGS)
    with pytest.raises(ValueError, match="no region of L1"):
        vertebral_texture(image, blank(mask), **SETTINGS)
    metal = image.with_voxels(np.where(mask.voxels == 1, 3000, image.voxels))
    assert len(vertebral_texture(metal, mask, **SETTINGS)) == 1
    nameless = replace(mask, names={})
    assert len(vertebral_texture(image, nameless, **SETTINGS)) == 3


def test_fitting_and_predicting_load_no_torch():
    code = (
        "import sys; from trabecula.case import Case; from trabecula.system import get_system\n"
        "base = {'sex': 'female', 'height_cm': 160, 'weight_kg': 60}\n"
        "made = [Case(id=str(i), patient=str(i), table={**base, 'age_years': 50 + i, 'bmi_kg_m2': 30 - i / 3},"
        " truth={'osteoporosis_dxa': int(i > 20)}) for i in range(40)]\n"
        "for learner in ('logistic', 'stacking'):\n"
        "    get_system('liu2022_hierarchical', size='tiny', settings={'learner': learner}).fit(made).predict(made)\n"
        "sys.exit('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.mark.skipif(not DATA.exists(), reason="needs ../shared/data/ct_totalseg_example")
def test_the_texture_of_real_vertebrae():
    """The same code on real voxels: whole bodies are measured, and the mean HU are those of the other measure."""
    image = read_nifti(DATA / "example_ct.nii.gz", unit="HU")
    bodies = named_mask(read_nifti(DATA / "vertebrae_pp_refined.nii.gz", unit="label"))
    places = {level: find_place(bodies, level, Ellipse()).inside for level in ("L1", "L2", "L3", "L4")}
    regions = np.zeros(image.shape, dtype=np.uint8)
    for value, inside in enumerate(places.values(), 1):
        regions[inside] = value
    mask = replace(bodies, voxels=regions, names=dict(enumerate(places, 1)))
    found = vertebral_texture(image, mask, **SETTINGS)
    assert found.shape == (4, len(FEATURES))
    assert np.isfinite(found).all()
    means = [image.voxels[inside].mean() for inside in places.values()]
    np.testing.assert_allclose(found[:, 0], means, atol=25)
    low, high, entropy = (found[:, FEATURES.index(name)] for name in ("stat_min", "stat_max", "ih_entropy"))
    assert (low > -100).all()
    assert (high[1:] < 300).all()
    assert high[0] > 500  # a dense island in L1, which an average over four bodies hides
    assert ((entropy > 2) & (entropy < 5)).all()
