"""Widyaningrum et al. 2023: clusters of grey levels and their shares, six pipelines, on made regions."""

import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest

from trabecula.case import Case, Images
from trabecula.image import Image
from trabecula.metrics import auc
from trabecula.prediction import Abstain, Grades, score
from trabecula.selftest.essence import stub_of
from trabecula.system import Model, get_system
from trabecula.systems.widyaningrum2023_periapical.clusters import centres_of, grey_histogram, greys, pooled, shares_of
from trabecula.systems.widyaningrum2023_periapical.essence import essence

TARGET, FILM, REGION = "osteoporosis_dxa", "periapical", "trabecular_region"
PIPELINES = [
    {"clusterer": clusterer, "classifier": classifier}
    for clusterer in ("k_means", "fuzzy_c_means")
    for classifier in ("tree", "naive_bayes", "mlp")
]


def tiny(*, targets=(), **settings):
    return get_system("widyaningrum2023_periapical", size="tiny", targets=targets, settings=settings)


def picture(pixels, mask=None):
    image = Image(voxels=np.asarray(pixels, dtype=np.uint8)[None], unit="stored", space="detector")
    masks = {} if mask is None else {REGION: image.with_voxels(np.asarray(mask, dtype=np.uint8)[None], unit="label")}
    return {"images": Images({FILM: image}), "masks": Images(masks)}


@pytest.fixture(scope="module")
def people():
    """Return 60 people whose pictures are bone in a frame; the ill have less that is bright."""
    rng, made = np.random.default_rng(0), []
    mask = np.zeros((40, 44))
    mask[8:32, 8:36] = 1
    for number in range(60):
        ill = number % 2
        bright = rng.random(mask.shape) < 0.4 - 0.2 * ill + rng.normal(0, 0.03)
        pixels = np.where(mask > 0, np.where(bright, 150, 100) + 8 * rng.normal(size=mask.shape), 250)
        made.append(Case(id=f"{number}", patient=f"{number}", truth={TARGET: ill}, **picture(pixels, mask)))
    return made


def area(model, cases):
    return auc([case.truth[TARGET] for case in cases], [score(answer[TARGET]) for answer in model.predict(cases)])


def test_the_essence_holds_and_rejects_the_stub(people):
    essence(tiny(), people)
    with pytest.raises(AssertionError):
        essence(stub_of(tiny()), people)


@pytest.mark.parametrize("pipeline", PIPELINES, ids=lambda pipeline: "-".join(pipeline.values()))
def test_every_pipeline_learns_and_survives_saving(people, tmp_path, pipeline):
    fitted = tiny(**pipeline).fit(people[:40])
    assert area(fitted, people[40:]) > 0.85
    fitted.save(tmp_path / "model")
    assert Model.load(tmp_path / "model").predict(people) == fitted.predict(people)


@pytest.mark.parametrize("classifier", ["mlp", "naive_bayes", "tree"])
def test_an_ordinal_target_gets_its_grades(people, classifier):
    three = [replace(case, truth={"who_class_dxa": number % 3}) for number, case in enumerate(people)]
    answers = tiny(targets=("who_class_dxa",), classifier=classifier).fit(three).predict(three)
    assert all(isinstance(answer["who_class_dxa"], Grades) for answer in answers)


@pytest.mark.parametrize("centres", ["image", "training"])
def test_shares_are_those_of_the_pixels_nearest_to_each_centre(people, centres):
    fitted = tiny(clusters=2, centres=centres).fit(people)
    evidence = fitted.explain(people[1])
    pixels, region = people[1].images[FILM].voxels, people[1].masks[REGION].voxels > 0
    assert list(evidence.numbers.values()) == pytest.approx(
        [(pixels[region] < 125).mean(), (pixels[region] >= 125).mean()], abs=0.01
    )
    heat = evidence.heat[FILM]
    assert (heat[~region] == 0).all()
    assert heat[region & (pixels > 135)] == pytest.approx(1)
    assert heat[region & (pixels < 115)] == pytest.approx(0.5)
    assert ("centres" in fitted.state.facts) == (centres == "training")


def test_a_brighter_exposure_moves_shares_only_where_centres_are_the_trainings(people):
    brighter = [
        replace(case, images=Images({FILM: case.images[FILM].with_voxels(case.images[FILM].voxels - 20)}))
        for case in people
    ]
    alone, together = tiny().fit(people), tiny(centres="training").fit(people)
    assert alone.predict(brighter) == alone.predict(people)
    assert together.predict(brighter) != together.predict(people)


def test_without_a_mask_the_middle_is_looked_at(people):
    pixels = np.full((300, 340), 10)
    pixels[100:200, 120:220] = np.arange(100)[:, None] + 100
    counts = grey_histogram(picture(pixels)["images"][FILM], box_px=100)
    assert counts[100:200].tolist() == [100] * 100
    assert counts.sum() == 10_000
    bare = replace(people[0], masks=Images({}))
    evidence = tiny().fit(people).explain(bare)
    assert "middle 100 x 100 px" in evidence.method
    assert (evidence.heat[FILM] > 0).all()  # a smaller picture is looked at as a whole


def test_deeper_pictures_become_eight_bits_and_others_stay(people):
    image = people[0].images[FILM]
    assert greys(image) is not None
    np.testing.assert_array_equal(greys(image), image.voxels)
    deep = Image(voxels=np.array([[[1000, 2000, 3000, 4000]]], dtype=np.uint16), unit="stored", space="detector")
    assert greys(deep).tolist() == [[[0, 85, 170, 255]]]


def test_what_makes_no_clusters_abstains(people):
    fitted = tiny().fit(people)
    flat = replace(people[0], **picture(np.full((40, 44), 90)))
    empty = replace(people[0], **picture(np.arange(1760).reshape(40, 44) % 200, np.zeros((40, 44))))
    told = [answer[TARGET] for answer in fitted.predict([flat, people[0], empty])]
    assert [type(each) is Abstain for each in told] == [True, False, True]
    assert "no 3 clusters" in told[0].reason
    assert "mask is empty" in told[2].reason
    assert fitted.explain(flat) is None
    assert tiny().fit([*people, replace(flat, id="f", patient="f")]).predict(people) == fitted.predict(people)
    with pytest.raises(ValueError, match="no two classes of regions"):
        tiny().fit([replace(flat, id=f"{n}", patient=f"{n}", truth={TARGET: n}) for n in (0, 1)])
    for clusters in (1, 6):
        with pytest.raises(ValueError, match="2 to 5 clusters"):
            tiny(clusters=clusters)


def test_regions_count_alike_whatever_their_size():
    small, large = np.zeros(256, dtype=np.int64), np.zeros(256, dtype=np.int64)
    small[[50, 60]], large[[150, 160]] = 10, 10_000
    both = pooled([small, large])
    assert both[[50, 60, 150, 160]].tolist() == [25_000] * 4
    np.testing.assert_allclose(centres_of(both, "k_means", 2), [55, 155])
    np.testing.assert_allclose(shares_of(small, np.array([55.0, 155.0])), [1, 0])


def test_fitting_and_predicting_load_no_torch():
    code = (
        "import sys, numpy as np; from trabecula.case import Case, Images; from trabecula.image import Image\n"
        "from trabecula.system import get_system\n"
        "rng = np.random.default_rng(0)\n"
        "image = lambda: Image(voxels=rng.integers(0, 255, (1, 9, 9)).astype(np.uint8), unit='stored')\n"
        "made = [Case(id=str(i), patient=str(i), images=Images({'periapical': image()}),"
        " truth={'osteoporosis_dxa': i % 2}) for i in range(8)]\n"
        "get_system('widyaningrum2023_periapical', size='tiny').fit(made).predict(made)\n"
        "sys.exit('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
