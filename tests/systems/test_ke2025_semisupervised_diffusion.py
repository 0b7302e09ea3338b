"""Diffusion makes the pool, a sine lowers the threshold of each class, and the model is what the card says."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch

from tests.systems.knees import stub
from trabecula.case import Case, Images
from trabecula.image import Image
from trabecula.learn.examples import Examples, Held
from trabecula.metrics import auc
from trabecula.system import Model, get_system
from trabecula.systems.ke2025_semisupervised_diffusion.batches import SemiSupervised, WithPool
from trabecula.systems.ke2025_semisupervised_diffusion.diffusion import Noised, generate
from trabecula.systems.ke2025_semisupervised_diffusion.essence import essence
from trabecula.systems.ke2025_semisupervised_diffusion.network import Averaged
from trabecula.systems.ke2025_semisupervised_diffusion.shown import beside
from trabecula.systems.ke2025_semisupervised_diffusion.strong import Strong
from trabecula.systems.ke2025_semisupervised_diffusion.system import GeneratedPool
from trabecula.systems.ke2025_semisupervised_diffusion.threshold import Decay, PseudoLabels
from trabecula.systems.ke2025_semisupervised_diffusion.views import Views, frames, laid_on, lower_border

ID = "ke2025_semisupervised_diffusion"
TARGET = "mandibular_cortex_class"
ROLE = "panoramic"
ROWS, COLUMNS = 120, 240


def border(column):
    """Return the row of the lower border of a jaw: highest at the angles."""
    return 100 - 20 * (np.abs(column - COLUMNS / 2) / (COLUMNS / 2)) ** 2


def film(rng, loss):
    """Return a panoramic film: bone, a bright cortex along the border that thins and frays with the loss, and air."""
    y, x = np.mgrid[:ROWS, :COLUMNS]
    depth = border(x) - y
    wide = 8 - 5 * loss
    frayed = 1 - 0.8 * loss * (rng.uniform(size=(ROWS, COLUMNS)) > 0.5)
    grey = np.where(depth > 0, 0.45, 0.1) + 0.5 * frayed * ((depth > 0) & (depth < wide))
    stored = 2000 * (grey + rng.normal(0, 0.02, grey.shape)).clip(0, 1)
    return Image(voxels=stored.astype(np.uint16)[None], unit="stored", space="detector")


def jaws(n=24, *, seed=0, target=TARGET, grades=3):
    rng = np.random.default_rng(seed)
    return [
        Case(
            id=f"case {number}",
            patient=f"patient {number}",
            images=Images({ROLE: film(rng, number % grades / (grades - 1))}),
            truth={target: number % grades},
        )
        for number in range(n)
    ]


@pytest.fixture(scope="module")
def recipe():
    return get_system(ID, size="tiny", settings={"field": 0.2, "generator_epochs": 4, "generated": 16})


@pytest.fixture(scope="module")
def model(recipe):
    return recipe.fit(jaws())


def shares(model, cases):
    return np.array([answer[TARGET].p for answer in model.predict(cases)])


def test_tiny_ranks_unseen_jaws(model):
    unseen = jaws(seed=1)
    assert auc([case.truth[TARGET] == 2 for case in unseen], shares(model, unseen)[:, 2]) > 0.9


def test_saved_and_loaded_it_answers_the_same_bits_and_lists_its_pool(model, recipe, tmp_path):
    unseen = jaws(6, seed=1)
    model.save(tmp_path / "model")
    assert np.array_equal(shares(Model.load(tmp_path / "model"), unseen), shares(model, unseen))
    listed = json.loads((tmp_path / "model" / "model.json").read_text())["facts"]["pool"]
    assert [each["from"] for each in listed["pictures"]] == ["generator"] * recipe.generated
    assert len(listed["generator"]["weights_sha256"]) == 64


def test_essence_accepts_the_system_and_rejects_a_stub(recipe):
    essence(recipe, jaws(18))
    with pytest.raises(AssertionError, match="tell pictures from negatives"):
        essence(stub(recipe), jaws(18))


def test_the_generator_never_meets_a_film_that_is_judged_on(model):
    learned = {case.images.source(ROLE).digest for case in jaws()}
    met = model.state.facts["pool"]["generator"]
    seen = {digest.split("/")[0] for digest in (*met["learned_from"], *met["validated_on"])}
    assert seen == learned
    assert not seen & {case.images.source(ROLE).digest for case in jaws(seed=1)}


def test_without_real_unlabelled_films_there_is_no_such_pool(recipe):
    with pytest.raises(ValueError, match="bring unlabelled films"):
        replace(recipe, unlabelled="real").fit(jaws(9))


def test_an_interrupted_training_ends_as_if_it_had_never_stopped(recipe, tmp_path):
    few = replace(recipe, epochs=4, generator_epochs=2, generated=8)
    whole = few.fit(jaws(12))

    class StoppedError(Exception):
        pass

    def stop(done, total, message=""):
        if total == few.epochs and done == 2:
            raise StoppedError

    with pytest.raises(StoppedError):
        few.fit(jaws(12), folder=tmp_path, progress=stop)
    again = few.fit(jaws(12), folder=tmp_path)
    assert again.state.facts == whole.state.facts
    assert np.array_equal(shares(again, jaws(3)), shares(whole, jaws(3)))


@pytest.mark.parametrize("seed", range(3))
def test_the_border_is_found_and_lies_in_both_squares(seed):
    image = film(np.random.default_rng(seed), seed / 2)
    for square, columns in zip(frames(image, 0.2), ((48, 96), (144, 192)), strict=True):
        assert square.bottom - square.top == square.right - square.left == 48
        assert (square.left, square.right) == columns
        found = lower_border(image.voxels[0].astype(np.float32), square.left, square.right)
        told = border(np.arange(square.left, square.right))
        assert np.abs(found - told).max() <= 3
        assert square.top < told.min()
        assert told.max() < square.bottom


def test_sides_are_mirrored_and_heat_is_laid_back():
    whole = film(np.random.default_rng(0), 0.0)
    case = Case(id="a", patient="a", images=Images({ROLE: whole}))
    views = Views([case], ROLE, {"pixels": 48, "field": 0.2})
    assert np.abs(views[0].astype(float) - views[1]).mean() < 12
    heats = [np.zeros((48, 48), dtype=np.float32) for _ in range(2)]
    for heat in heats:
        heat[:, 40:] = 1
    laid = laid_on(whole, heats, 0.2)[0]
    assert laid.shape == (ROWS, COLUMNS)
    hot = np.flatnonzero(laid.any(axis=0))
    assert set(hot) <= {*range(86, 97), *range(144, 154)}
    assert {90, 150} <= set(hot)
    assert Views([case], ROLE, {"pixels": 48, "field": None})[0].shape == (48, 48)


def test_heat_is_on_the_film(model):
    case = jaws(1)[0]
    evidence = model.explain(case)
    assert evidence.heat[ROLE].shape == case.images[ROLE].shape
    assert evidence.heat[ROLE].min() >= 0
    assert evidence.heat[ROLE].max() > 0


@pytest.mark.parametrize(
    ("curve", "half"), [("sin", 0.6 + 0.35 * (1 - 0.5**0.5)), ("linear", 0.775), ("cos", 0.6 + 0.35 * 0.5**0.5)]
)
def test_half_way_each_curve_has_fallen_as_it_says(curve, half):
    decay = Decay(curve=curve, steps=8)
    assert decay.general(0) == 0.95
    assert decay.general(4) == pytest.approx(half)
    assert decay.general(8) == decay.general(20) == pytest.approx(0.6)


@pytest.mark.parametrize("wrong", [{"high": 0.5}, {"low": -0.1}, {"high": 1.1}, {"steps": 0}])
def test_impossible_thresholds_are_refused(wrong):
    with pytest.raises(ValueError, match="a threshold falls"):
        Decay(**{"steps": 3, **wrong})


def test_scaling_by_class_is_that_of_flexmatch():
    """Beta is the count over the largest, the unused included; M(x) = x / (2 - x)."""
    decay = Decay(steps=10)
    told = decay.each(0, torch.tensor([40, 20, 0]), 100)
    assert torch.allclose(told, torch.tensor([0.95, 0.4, 0.4]))
    assert decay.each(0, torch.tensor([40, 36, 30]), 106)[1] == pytest.approx(0.95 * 0.9 / 1.1)
    assert decay.each(0, torch.tensor([0, 0, 0]), 100).tolist() == pytest.approx([0.4] * 3)
    unused = decay.each(0, torch.tensor([40, 0, 0]), 90)[0]
    assert unused == pytest.approx(0.95 * 0.8 / 1.2)


def test_a_pseudo_label_is_remembered_until_another_is_confident():
    labels = PseudoLabels(Decay(steps=100), pool=3, classes=3)
    sure = torch.tensor([[9.0, 0, 0], [0, 9.0, 0], [0.1, 0, 0]])
    labels.loss(sure, torch.zeros(3, 3), torch.arange(3))
    assert labels.last.tolist() == [0, 1, -1]
    labels.loss(sure[[2, 0, 0]], torch.zeros(3, 3), torch.arange(3))
    assert labels.last.tolist() == [0, 0, 0]
    assert labels.counts.tolist() == [3, 0, 0]


def test_only_the_strong_view_is_taught():
    labels = PseudoLabels(Decay(steps=1, by_class=False), pool=1, classes=3)
    weak, strong = (torch.tensor([[4.0, 0, 0]], requires_grad=True) for _ in range(2))
    labels.loss(weak, strong, torch.tensor([0])).backward()
    assert weak.grad is None
    assert strong.grad.abs().sum() > 0


def test_a_batch_is_labelled_then_weak_then_strong():
    films = Held(np.random.default_rng(0).integers(0, 255, (4, 16, 16), dtype=np.uint8))
    labelled = Examples(films, [0, 1], [2, 0])
    batches = WithPool(labelled, films, 3, lambda x, _: x, lambda x, _: 1 - x)
    inputs, truth = batches.batch([0, 1], torch.Generator().manual_seed(0))
    assert inputs.shape == (2 + 6 + 6, 3, 16, 16)
    assert truth[:2].tolist() == [2, 0]
    assert truth[2:8].tolist() == truth[8:].tolist()
    assert truth[2:].max() < 0
    logits = torch.zeros(14, 3)
    labels = PseudoLabels(Decay(steps=1), pool=4, classes=3)
    loss = SemiSupervised(labels, 1.0)
    assert float(loss(logits, truth)) == pytest.approx(np.log(3)), "one third is too little to be believed"
    assert float(loss(logits[:2], truth[:2])) == pytest.approx(np.log(3))
    assert int(labels.step) == 1, "validation takes no step"


def test_strong_views_stay_pictures_and_follow_their_generator():
    grey = torch.rand(5, 1, 20, 20)
    strong = Strong()
    first, same, other = (strong(grey, torch.Generator().manual_seed(seed)) for seed in (1, 1, 2))
    assert torch.equal(first, same)
    assert not torch.equal(first, other)
    assert first.min() >= 0
    assert first.max() <= 1
    assert torch.allclose(Strong(operations=0, cutout=0)(grey, torch.Generator()), grey, atol=1e-5)


def test_an_average_lags_behind_and_answers_in_earnest():
    layer = torch.nn.Linear(1, 1, bias=False)
    both = Averaged(layer, 0.5)
    both.train()
    for _ in range(40):
        layer.weight.data += 1.0
        both(torch.ones(1, 1))
    lag = float(layer.weight.detach() - both.average.weight)
    assert lag == pytest.approx(1.0, abs=1e-3), "with half of each step, the lag is one step"
    both.eval()
    assert float(both(torch.ones(1, 1)).detach()) == pytest.approx(float(both.average.weight.detach()))


def test_noise_is_that_of_the_published_diffusion():
    """x_t = sqrt(abar_t) x_0 + sqrt(1 - abar_t) eps, with variances from 1e-4 to 0.02 (Ho et al., 2020)."""
    films = Held(np.full((6, 8, 8), 204, dtype=np.uint8))
    noised = Noised(films, range(6), 1000)
    (noisy, step), noise = noised.batch(range(6), torch.Generator().manual_seed(0))
    kept = torch.cumprod(1 - torch.linspace(1e-4, 0.02, 1000), 0)[step].view(-1, 1, 1, 1)
    clean = 2 * 204 / 255 - 1
    assert torch.allclose(noisy, kept.sqrt() * clean + (1 - kept).sqrt() * noise, atol=1e-5)


class Knows(torch.nn.Module):
    """Tells the noise in pictures of one grey level exactly."""

    def __init__(self, clean):
        super().__init__()
        self.clean = torch.nn.Parameter(torch.tensor(clean))

    def forward(self, given):
        noisy, step = given
        kept = torch.cumprod(1 - torch.linspace(1e-4, 0.02, 1000), 0)[step].view(-1, 1, 1, 1)
        return (noisy - kept.sqrt() * self.clean) / (1 - kept).sqrt()


@pytest.mark.parametrize("taken", [10, 50])
def test_who_tells_all_noise_makes_the_picture_itself(taken):
    made = generate(Knows(0.2), 3, pixels=8, steps=1000, taken=taken, seed=0)
    assert len(made) == 3
    assert np.abs(made.grey.astype(float) - 153).max() <= 1


def test_uneven_steps_are_refused():
    with pytest.raises(ValueError, match="take a divisor"):
        generate(Knows(0.2), 1, pixels=8, steps=1000, taken=7, seed=0)


def test_two_grades():
    target = "osteoporosis_dxa"
    cases = jaws(12, target=target, grades=2)
    settings = {"epochs": 1, "generator_epochs": 1, "generated": 4}
    answers = get_system(ID, size="tiny", targets=(target,), settings=settings).fit(cases).predict(cases[:3])
    assert all(0 < answer[target].p < 1 for answer in answers)


def test_generated_pictures_stand_beside_real_ones(model, recipe, tmp_path):
    from PIL import Image as Picture

    beside(model, jaws(), tmp_path / "sheet.png")
    with Picture.open(tmp_path / "sheet.png") as sheet:
        assert sheet.width > sheet.height > 200
    plain = replace(recipe, unlabelled="none", epochs=1).fit(jaws(9))
    with pytest.raises(ValueError, match="made no picture"):
        beside(plain, jaws(9), tmp_path / "none.png")


def test_one_training_step_at_the_published_depth():
    """Films of 32 px stand for those of 256: the networks are the same, their maps are smaller."""
    settings = {
        "pixels": 32, "epochs": 1, "generator_epochs": 1, "generated": 2, "sampling_steps": 1, "ratio": 1,
        "pretrained": False,
    }  # fmt: skip
    system = get_system(ID, settings=settings)
    fitted = system.fit(jaws(6))
    assert fitted.state.networks["classifier"].fc.in_features == 2048
    assert np.allclose(shares(fitted, jaws(3, seed=1)).sum(axis=1), 1)
    assert len(fitted.state.facts["pool"]["pictures"]) == 2
    assert isinstance(system, GeneratedPool)
