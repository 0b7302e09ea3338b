"""One network locates, segments and classifies: on toy spines, on made patients, and piece by piece."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from tests.cohorts.told import coarse
from trabecula.case import Case, Images
from trabecula.cohort import open_cohort
from trabecula.image import Image
from trabecula.metrics import auc, dice
from trabecula.prediction import Abstain, score
from trabecula.system import Model, get_system
from trabecula.systems.zhang2023_multitask_ct.essence import toy
from trabecula.systems.zhang2023_multitask_ct.losses import Truth, losses, total
from trabecula.systems.zhang2023_multitask_ct.sections import drawn, label_map, on_volume, sections

ID = "zhang2023_multitask_ct"
GRADE, MAP = "osteoporosis_dxa", "vertebral_body_mask"
_RESNET34 = 21_284_672  # parameters before its classifier: He et al., CVPR 2016
_UPWARDS = ((0.0, 0.0, 1.0), (0.0, 1.0, 0.0), (1.0, 0.0, 0.0))


@pytest.fixture(scope="module")
def recipe():
    return get_system(ID, size="tiny", targets=(GRADE, MAP))


def toys(recipe, numbers):
    return [toy(Case(id=f"case {n}", patient=f"patient {n}"), n, recipe) for n in numbers]


@pytest.fixture(scope="module")
def model(recipe):
    return recipe.fit(toys(recipe, range(16)))


def test_unseen_toys_are_ranked_and_drawn(recipe, model):
    unseen = toys(recipe, range(100, 112))
    answers = model.predict(unseen)
    assert auc([case.truth[GRADE] for case in unseen], [score(answer[GRADE]) for answer in answers]) > 0.9
    assert np.mean(_overlaps(unseen, answers)) > 0.6


def test_saved_and_loaded_it_answers_the_same_bits(recipe, model, tmp_path):
    unseen = toys(recipe, range(100, 103))
    model.save(tmp_path / "model")
    for ours, theirs in zip(model.predict(unseen), Model.load(tmp_path / "model").predict(unseen), strict=True):
        assert ours[GRADE] == theirs[GRADE]
        assert np.array_equal(ours[MAP].image.voxels, theirs[MAP].image.voxels)


def test_weights_and_places_explain_an_answer(recipe, model):
    case = toys(recipe, [100])[0]
    evidence = model.explain(case)
    weights = [evidence.numbers[f"{level}: weight"] for level in recipe.levels]
    assert sum(weights) == pytest.approx(1, abs=1e-5)
    assert evidence.heat["lumbar_ct"].shape == case.images["lumbar_ct"].shape
    assert evidence.heat["lumbar_ct"].max() <= max(weights)
    down = [evidence.numbers[f"{level}: down_mm"] for level in recipe.levels]
    assert down == sorted(down)  # L1 is above L5


@pytest.mark.parametrize(("change", "why"), [({"unit": "stored"}, "HU"), ({"spacing": None}, "spacing")])
def test_a_volume_of_unknown_unit_or_size_is_not_answered(recipe, model, change, why):
    case = toys(recipe, [100])[0]
    unknown = replace(case, images=Images({"lumbar_ct": replace(case.images["lumbar_ct"], **change)}))
    assert all(isinstance(each, Abstain) and why in each.reason for each in model.predict([unknown])[0].values())


def test_masks_teach_and_are_never_asked_for(recipe):
    alone = replace(recipe, targets=(GRADE,))
    assert recipe.inputs().required == alone.inputs().required == ["lumbar_ct"]
    assert (recipe.inputs().masks, alone.inputs().optional) == ((), ("vertebral_bodies",))
    bare = [replace(case, masks=Images({})) for case in toys(recipe, range(6))]
    with pytest.raises(ValueError, match="from masks: give some cases vertebral_bodies"):
        alone.fit(bare)


def test_levels_and_places_of_masks_are_as_they_should_be(recipe):
    cases = toys(recipe, range(6))
    sacrum = replace(recipe, levels=("L1", "S1"))
    with pytest.raises(ValueError, match="no mask shows S1; set levels to some of L1, L2"):
        sacrum.fit(cases)
    mask = cases[0].truth[MAP]
    elsewhere = replace(cases[0], truth={**cases[0].truth, MAP: replace(mask, origin=(0.0, 0.0, 8.0))})
    with pytest.raises(ValueError, match="the mask lies 8 mm away"):
        recipe.fit([elsewhere, *cases[1:]])


def test_unknown_grades_and_levels_teach_nothing(recipe):
    network = recipe._network().train()
    pictures = torch.rand(2, recipe.sections, recipe.pixels, recipe.pixels)
    masks = torch.zeros(2, len(recipe.levels), *pictures.shape[1:])
    found = losses(network, network(pictures), Truth(torch.tensor([-1, -1]), masks, masks), sigma=0.05)
    assert {name: each.item() for name, each in found.items()} == dict.fromkeys(found, 0.0)
    assert total(found | {"classify": torch.tensor(2.0)}, dict.fromkeys(found, 0.5)) == 1.0


def test_first_it_locates_and_segments_then_all_tasks_are_learned_at_once(recipe):
    short = replace(recipe, warm_up=2, epochs=3)
    fitted = short.fit(toys(recipe, range(8)))
    assert len(fitted.state.facts["history"]["train_loss"]) == 5
    fresh, learned = short._network().head, fitted.state.networks["network"].head
    assert not torch.equal(fresh.weight, learned.weight)


@pytest.mark.parametrize("without", ["boundary", "gated", "fusion"])
def test_each_module_may_be_left_out(recipe, without):
    with torch.random.fork_rng(devices=()), torch.inference_mode():
        torch.manual_seed(0)
        whole, less = recipe._network().eval(), replace(recipe, **{without: False})._network().eval()
        count = [sum(each.numel() for each in network.parameters()) for network in (whole, less)]
        assert count[1] < count[0]
        told = less(torch.rand(2, recipe.sections, recipe.pixels, recipe.pixels))
    assert (told.boundary is None) == (without == "boundary")
    same = torch.allclose(told.weights, torch.full_like(told.weights, 1 / len(recipe.levels)))
    assert same == (without == "fusion")


def test_the_network_of_the_paper_takes_a_step():
    """Sections of 64 px stand for those of 256: the network is the same, its maps are smaller."""
    few = {"pixels": 64, "pixel_mm": 3.5, "window_px": 16, "samples": 16, "sections": 2, "step_mm": 10.0}
    settings = {**few, "pretrained": False, "warm_up": 0, "epochs": 1, "batch": 3}
    recipe = get_system(ID, targets=(GRADE, MAP), settings=settings)
    fitted = recipe.fit(toys(recipe, range(6)))
    network = fitted.state.networks["network"]
    assert sum(each.numel() for each in network.encoder.parameters()) == _RESNET34
    assert [up[0].out_channels for up in network.decoder] == [64, 64, 128, 256]


# Sections


def test_sections_do_not_depend_on_how_the_voxels_lie():
    rng = np.random.default_rng(0)
    settings = {"count": 3, "step_mm": 6.0, "pixels": 32, "pixel_mm": 3.0, "slab_mm": 3.0, "window_hu": (-300, 900)}
    axial = Image(
        voxels=rng.uniform(-200, 800, (20, 30, 24)).astype(np.float32), unit="HU", spacing=(4.0, 2.0, 3.0),
        direction=_UPWARDS,
    )  # fmt: skip
    sagittal = Image(
        voxels=axial.voxels[::-1, :, ::-1].transpose(2, 0, 1), unit="HU", spacing=(3.0, 4.0, 2.0),
        direction=((-1.0, 0.0, 0.0), (0.0, 0.0, -1.0), (0.0, 1.0, 0.0)),
    )  # fmt: skip
    assert np.array_equal(sections(axial, **settings), sections(sagittal, **settings))


def test_a_boundary_map_is_high_on_the_edge_and_falls_to_both_sides():
    labels = np.zeros((41, 41, 5), dtype=np.uint8)
    labels[10:31, 10:31] = 1
    mask = Image(voxels=labels, unit="label", spacing=(1.0, 1.0, 1.0), names={1: "L3"})
    grid = {"count": 1, "step_mm": 1.0, "pixels": 41, "pixel_mm": 1.0}
    mask = replace(mask, direction=_UPWARDS)
    inside, edge = drawn(mask, mask, levels=["L3"], edge_px=2.0, **grid)[:, 0, 0]
    assert inside.sum() == 255 * 21 * 21
    row = edge[20] / 255
    expected = np.exp(-(np.array([0.5, 1.5, 2.5]) ** 2) / 8)
    assert row[10:13] == pytest.approx(expected, abs=0.003)
    assert row[[9, 8, 7]] == pytest.approx(expected, abs=0.003)


# Made patients


def spines(n):
    """Return made patients on voxels twice as wide: enough for a canvas of 3.5 mm."""
    return [_wider(case) for case in open_cohort("phantom_lumbar_ct", n=n).cases]


@pytest.mark.parametrize(("size", "least"), [("tiny", 0.8), ("small", 0.85)])
def test_what_is_laid_back_lies_where_it_was_cut(size, least):
    """Windows about true places, of sections of exact masks, give back the volume: what could be reached at best."""
    recipe, case = get_system(ID, size=size), spines(1)[0]
    image, mask = case.images["lumbar_ct"], case.masks["vertebral_bodies"]
    spine = recipe._sections([image], [mask], [0], None)
    _, truth = spine.batch([0], torch.Generator())
    areas = truth.masks[0].sum(dim=1)  # [V, H, W]
    shares = (torch.arange(recipe.pixels) + 0.5) / recipe.pixels
    places = torch.stack([areas.sum(dim=2) @ shares, areas.sum(dim=1) @ shares], dim=1) / areas.sum(dim=(1, 2))[:, None]
    cut = recipe._network().cut
    windows = [cut(truth.masks[:, v].unsqueeze(2), places[None, None, v])[0, 0, :, 0] for v in range(len(places))]
    laid = on_volume(
        torch.stack(windows).double().numpy(),
        image,
        middles=(places.double().numpy() - 0.5) * recipe.pixels * recipe.pixel_mm,
        side_mm=recipe.window_px * recipe.pixel_mm,
        step_mm=recipe.step_mm,
    )
    numbers = {level: n for n, level in enumerate(recipe.levels, start=1)}
    assert dice(mask.voxels, label_map(*laid, image, numbers).voxels) > least


@pytest.mark.slow
def test_bodies_of_unseen_patients_are_found_without_a_mask(recipe):
    """Twenty-four learn; L5, cut by the field, is the hardest."""
    cases = spines(32)
    fitted = replace(recipe, warm_up=10, epochs=40).fit(cases[:24])
    unseen = [replace(case, masks=Images({})) for case in cases[24:]]
    assert np.mean(_overlaps(unseen, fitted.predict(unseen))) > 0.55


def _overlaps(cases, answers):
    return [
        dice(case.truth[MAP].load().voxels, answer[MAP].image.voxels)
        for case, answer in zip(cases, answers, strict=True)
    ]


def _wider(case):
    images, masks = (
        Images({role: replace(held.source(role), recipe=coarse(held.source(role).recipe, 2)) for role in held})
        for held in (case.images, case.masks)
    )
    return replace(case, images=images, masks=masks, truth={**case.truth, MAP: masks.source("vertebral_bodies")})
