"""Two networks on whole films learn, see the released canvas, and survive saving."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from tests.systems.knees import film
from trabecula.case import Case, Images
from trabecula.image import Image
from trabecula.metrics import auc
from trabecula.selftest.essence import stub_of
from trabecula.system import Model, get_system
from trabecula.systems.hong2023_verte_x.essence import essence
from trabecula.systems.hong2023_verte_x.films import laid_back, on_canvas, place
from trabecula.systems.hong2023_verte_x.system import youden

ID = "hong2023_verte_x"
TARGETS = ("vertebral_fracture", "osteoporosis_dxa")


def spines(n=40, *, seed=0):
    """Return films whose bone fades with the loss of it, fractured from the half of the loss on."""
    rng = np.random.default_rng(seed)
    return [
        Case(
            id=f"case {number}",
            patient=f"patient {number}",
            images=Images({"spine_xray_lateral": film(rng, loss := number % 4 / 3)}),
            table={"age_years": float(rng.uniform(50, 90)), "sex": "female", "bmi_kg_m2": float(rng.normal(25, 3))},
            truth={"vertebral_fracture": int(loss > 0.5), "osteoporosis_dxa": int(loss > 0.9)},
        )
        for number in range(n)
    ]


@pytest.fixture(scope="module")
def model():
    return get_system(ID, size="tiny", settings={"epochs": 12}).fit(spines())


def _scores(model, cases, target=TARGETS[0]):
    return [answer[target].p for answer in model.predict(cases)]


def test_both_networks_rank_unseen_films(model):
    unseen = spines(seed=1)
    for target in TARGETS:
        assert auc([case.truth[target] for case in unseen], _scores(model, unseen, target)) > 0.7


def test_saved_and_loaded_it_answers_the_same_bits(model, tmp_path):
    unseen = spines(4, seed=1)
    model.save(tmp_path / "model")
    assert Model.load(tmp_path / "model").predict(unseen) == model.predict(unseen)


def test_essence_accepts_the_system_and_rejects_a_stub():
    recipe = get_system(ID, size="tiny", settings={"epochs": 12})
    essence(recipe, spines(32))
    with pytest.raises(AssertionError, match="tell films from negatives"):
        essence(stub_of(recipe), spines(32))


@pytest.mark.parametrize(
    ("shape", "placed"),
    [
        ((100, 200), (448, 0, 128, 256)),
        ((200, 100), (256, 0, 512, 256)),
        ((400, 100), (0, 0, 1024, 256)),
        ((800, 100), (0, 64, 1024, 128)),
    ],
)
def test_a_film_is_placed_by_the_rule_of_the_released_code(shape, placed):
    assert tuple(place(*shape, rows=1024, columns=256)) == placed


def test_the_canvas_is_equalised_and_black_around_the_film():
    pixels = np.random.default_rng(0).gamma(2.0, size=(1, 50, 100))
    seen = on_canvas(Image(voxels=pixels, unit="stored", space="detector"), rows=128, columns=64, margin=0.05)
    shown = seen[seen.sum(axis=1) > 0]
    assert len(shown) == int(50 / 90 * 64)
    assert abs(np.median(shown) - 128) < 20
    assert not seen[:40].any()
    assert not seen[-40:].any()


def test_heat_comes_back_to_where_the_film_showed_it(model):
    pixels = np.zeros((1, 90, 60))
    pixels[0, 60:66, 20:26] = 1
    image = Image(voxels=pixels, unit="stored", space="detector")
    seen = on_canvas(image, rows=96, columns=48, margin=0.05).astype(np.float32)
    laid = laid_back(seen, image, margin=0.05)
    _, j, i = np.unravel_index(laid.argmax(), laid.shape)
    assert abs(j - 63) < 4
    assert abs(i - 23) < 4
    case = spines(1)[0]
    for target in TARGETS:
        evidence = model.explain(case, target)
        assert evidence.heat["spine_xray_lateral"].shape == case.images["spine_xray_lateral"].shape
        assert evidence.numbers["score"] == pytest.approx(_scores(model, [case], target)[0], abs=1e-6)


def test_the_threshold_is_youdens():
    truth, score = np.array([0, 0, 1, 0, 1, 1], dtype=bool), np.array([0.1, 0.2, 0.3, 0.4, 0.5, 0.6])
    assert youden(truth, score) in (0.3, 0.5)
    assert youden(np.array([False, True]), np.array([0.2, 0.7])) == 0.7
    assert youden(np.array([True, True]), np.array([0.2, 0.7])) == 0.5


def test_positives_weigh_as_many_times_more_as_they_are_rarer(model):
    recipe = model.system
    loss = recipe._loss(recipe.headline, np.array([0, 0, 0, 1]))
    logits, truth = torch.tensor([[0.5], [-1.0]]), torch.tensor([1, 0])
    each = torch.nn.functional.binary_cross_entropy_with_logits(logits[:, 0], truth.float(), reduction="none")
    assert loss(logits, truth) == pytest.approx(float((3 * each[0] + each[1]) / 2), rel=1e-5)


def test_the_clinical_variant_needs_age_sex_and_bmi():
    recipe = get_system(ID, size="tiny", settings={"clinical": True, "epochs": 1, "rows": 32, "columns": 16})
    fitted = recipe.fit(spines(16))
    assert recipe.inputs().table == ("age_years", "sex", "bmi_kg_m2")
    case = spines(1)[0]
    older = replace(case, table={**case.table, "age_years": 95.0})
    assert _scores(fitted, [case]) != _scores(fitted, [older])
    with pytest.raises(ValueError, match="clinical values"):
        fitted.state.networks["fracture"]([torch.zeros(2, 3, 32, 16)])


def test_one_training_step_at_the_published_sizes():
    """Canvases of 128 x 64 px stand for those of 1024 x 512: the networks are the same."""
    settings = {"rows": 128, "columns": 64, "epochs": 1, "batch": 4, "pretrained": False}
    fitted = get_system(ID, targets=TARGETS[:1], settings=settings).fit(spines(8))
    head = fitted.state.networks["fracture"].head
    assert sum(each.numel() for each in head.parameters()) == 189_501
    assert 0 < _scores(fitted, spines(1))[0] < 1
