"""Cubes, the texture pool, moves that mix nothing, the losses, and what few labels and missing BMD leave to learn."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch

from trabecula.case import Case, Images
from trabecula.image import Image
from trabecula.prediction import Abstain, Grades, Value
from trabecula.system import Model, get_system
from trabecula.systems.huang2025_texture_moe.crops import LEVELS, cubes, laid_back, vertebrae
from trabecula.systems.huang2025_texture_moe.essence import _made, essence
from trabecula.systems.huang2025_texture_moe.examples import Cubes, Labelled, Moves, Views
from trabecula.systems.huang2025_texture_moe.network import Told, contrast, heads_loss
from trabecula.systems.huang2025_texture_moe.pool import TexturePool, alike
from trabecula.systems.huang2025_texture_moe.system import TextureMoe

ID = "huang2025_texture_moe"
CT, BODIES = "lumbar_ct", "vertebral_bodies"
CLASS, BMD = "who_class_dxa", "bmd_lumbar"
BRIEF = {"pretext_epochs": 1, "epochs": 2}
NOBODY = Case(id="nobody", patient="nobody")


@pytest.fixture(scope="module")
def recipe():
    return get_system(ID, size="tiny", settings=BRIEF)


@pytest.fixture(scope="module")
def made(recipe):
    return _made(recipe, NOBODY)


@pytest.fixture(scope="module")
def model(recipe, made):
    return recipe.fit(made)


@pytest.fixture
def spine():
    """Return a CT of two bodies with L2 above L3, each of its own HU, on voxels of 2 x 1 x 1 mm, and their mask."""
    hu, mask = np.zeros((50, 48, 60), dtype=np.float32), np.zeros((50, 48, 60), dtype=np.uint8)
    for value, (low, high), level in ((150.0, (28, 41), 2), (90.0, (9, 22), 3)):
        hu[low:high, 10:36, 12:46], mask[low:high, 10:36, 12:46] = value, level
    hu[28:41, 10:36, 40:46] = 300.0  # on the left of L2
    place = {"spacing": (2.0, 1.0, 1.0), "direction": ((0, 0, 1), (0, 1, 0), (1, 0, 0)), "origin": (-30.0, -20.0, 5.0)}
    return Image(voxels=hu, unit="HU", **place), Image(voxels=mask, unit="label", names={2: "L2", 3: "L3"}, **place)


def test_a_cube_is_upright_and_centred_on_its_body(spine):
    rows = cubes(*spine, side=25, spacing_mm=2.0)
    assert rows["level"].tolist() == ["L2", "L3"]
    for row, value in zip(rows, (150, 90), strict=True):
        assert row["hu"][12, 12, 10] == pytest.approx(value, abs=1)
        filled = np.argwhere(row["body"])
        np.testing.assert_allclose(filled.mean(axis=0), 12, atol=0.01)
        assert 8 * len(filled) == 26 * 26 * 34  # mm3
    assert rows[0]["hu"][12, 12, 19] > 250  # the patient's left is where i is high
    np.testing.assert_allclose(rows[0]["at"] - rows[1]["at"], [0, 0, 38], atol=1e-6)


def test_the_same_patient_stored_in_another_order_is_the_same_cube(spine):
    turned = []
    for image in spine:
        voxels = image.voxels[::-1, :, ::-1].transpose(1, 2, 0)
        last = (image.affine @ [image.shape[0] - 1, 0, image.shape[2] - 1, 1])[:3]
        turned.append(
            replace(
                image, voxels=voxels, spacing=(1.0, 1.0, 2.0), origin=tuple(last),
                direction=((0, 1, 0), (-1, 0, 0), (0, 0, -1)),
            )
        )  # fmt: skip
    ours, theirs = (cubes(*pair, side=25, spacing_mm=2.0) for pair in (spine, turned))
    assert np.abs(ours["hu"] - theirs["hu"]).max() <= 1
    assert (ours["body"] != theirs["body"]).mean() < 0.01


def test_what_cannot_be_looked_at_is_refused(spine):
    image, mask = spine
    with pytest.raises(ValueError, match="not in HU"):
        cubes(replace(image, unit="stored"), mask, side=8, spacing_mm=4.0)
    metal = image.with_voxels(np.where(mask.voxels == 3, np.float32(3000), image.voxels))
    assert cubes(metal, mask, side=8, spacing_mm=4.0)["level"].tolist() == ["L2"]
    cut = [replace(each, voxels=each.voxels[:35]) for each in (metal, mask)]
    with pytest.raises(ValueError, match="L2 touches the edge"):
        cubes(*cut, side=8, spacing_mm=4.0)
    with pytest.raises(ValueError, match="no body of L1, L2, L3, L4"):
        cubes(image, replace(mask, names={2: "T11", 3: "T12"}), side=8, spacing_mm=4.0)


def test_a_map_lies_on_the_vertebra_it_is_of(spine):
    found = vertebrae(*spine, side=25, spacing_mm=2.0)
    heat = laid_back(
        [found[0].body.astype(np.float32), np.zeros_like(found[1].body, dtype=np.float32)], found, spine[0]
    )
    assert heat.shape == spine[0].shape
    inside = spine[1].voxels == 2
    assert heat[inside].mean() > 0.85
    assert heat[~inside].mean() < 0.02


def test_of_two_features_that_tell_the_same_the_pool_keeps_one():
    rng = np.random.default_rng(0)
    values = rng.normal(size=(40, 3))
    textures = [
        {"a": a, "b": b, "twice a": 2 * a + 1e-3 * c, "less b": -b, "fixed": 1.0} | ({"rare": c} if c > 0 else {})
        for a, b, c in values
    ]
    pool = TexturePool.of(textures, redundant=0.95)
    assert pool.names == ("a", "b")
    np.testing.assert_allclose(pool.rows.mean(axis=0), 0, atol=1e-12)
    np.testing.assert_allclose(pool.rows.std(axis=0), 1)
    np.testing.assert_allclose(pool.scaled(textures[7]), pool.rows[7])
    with pytest.raises(ValueError, match="no radiomic feature varies"):
        TexturePool.of([{"fixed": 1.0}] * 4, redundant=0.95)


def test_neighbours_are_at_the_smallest_angle_and_among_those_searched():
    angles = np.radians([0, 10, 25, 90, 100, 200])
    rows = np.array([1, 9, 1, 3, 1, 1])[:, None] * np.stack([np.cos(angles), np.sin(angles)], axis=1)
    assert alike(rows, 2, among=range(6))[:, 0].tolist() == [1, 0, 1, 4, 3, 4]
    assert alike(rows, 5, among=[0, 3, 5]).tolist() == [[3, 5], [0, 3], [0, 3], [0, 5], [3, 5], [3, 0]]


def test_moves_change_the_place_of_voxels_and_nothing_else():
    noise = torch.randn(8, 1, 24, 24, 24)
    moved = Moves(degrees=5, shift=0.05, flip=True)(noise, torch.Generator().manual_seed(0))
    assert np.isin(moved.numpy(), noise.numpy()).all()
    assert not torch.equal(moved, noise)
    assert moved.std() == pytest.approx(float(noise.std()), rel=0.02)
    flipped = Moves(flip=True)(noise, torch.Generator().manual_seed(0))
    either = [torch.equal(a, b) or torch.equal(a, b.flip(-1)) for a, b in zip(flipped, noise, strict=True)]
    assert all(either)
    assert not torch.equal(flipped, noise)


def test_every_view_has_another_that_belongs_to_it(recipe, made):
    seen = Cubes([each for case in made[:12] for each in recipe._seen(case)], recipe.window_hu)
    neighbours = alike(np.random.default_rng(0).normal(size=(12, 3)), 2, among=range(12))
    views = Views(cubes=seen, textures=np.eye(12), neighbours=neighbours, anchors=range(4, 12), moves=Moves())
    shown, truth = views.batch([0, 5, 2], torch.Generator().manual_seed(0))
    textures, pairs = truth[:, :12], truth[:, 12:]
    assert textures.argmax(dim=1)[:6].tolist() == [4, 9, 6, 4, 9, 6]
    assert torch.equal(shown[0], shown[3])
    assert torch.equal(pairs, pairs.T)
    assert not pairs.diagonal().any()
    assert pairs[:3, 3:6].diagonal().all()
    for anchor, drawn in zip((4, 9, 6), textures.argmax(dim=1)[6:].tolist(), strict=True):
        assert drawn in neighbours[anchor]
    assert pairs[:3, 6:].diagonal().all()


def test_contrast_is_what_its_formula_says():
    alone = torch.eye(6)[[0, 0, 1, 1, 2, 2]]
    pairs = (alone @ alone.T) - torch.eye(6)
    assert float(contrast(torch.ones(6, 1), pairs, temperature=0.1)) == pytest.approx(math.log(5))  # all look the same
    apart = math.log(1 + 4 * math.exp(-1 / 0.1))  # one like it at cosine 1, four others at 0
    assert float(contrast(alone, pairs, temperature=0.1)) == pytest.approx(apart, rel=1e-3)


def test_a_missing_bmd_counts_for_nothing_and_an_even_load_for_one():
    told = Told(torch.zeros(2, 3), torch.tensor([1.5, 99.0]), torch.zeros(2, 4), torch.eye(2))
    known = torch.tensor([[0, 1.0, 2], [2, math.nan, 3]])
    both = heads_loss(told, known, bmd=1.0, level=0.2, balance=0.01)
    assert float(both) == pytest.approx(math.log(3) + 0.5 * 0.5**2 + 0.2 * math.log(4) + 0.01)
    uneven = told._replace(gate=torch.tensor([[1.0, 0.0], [1.0, 0.0]]))
    unknown = torch.full((2, 3), math.nan)
    assert float(heads_loss(uneven, unknown, bmd=1.0, level=0.2, balance=0.01)) == pytest.approx(0.02)


def test_a_patient_is_the_mean_of_the_vertebrae(model, made):
    first, second = (made[place] for place in (0, 3))
    volumes, masks = ([case.images[CT] for case in (first, second)], [case.masks[BODIES] for case in (first, second)])
    names = [next(iter(mask.names.values())) for mask in masks]
    labels = np.concatenate([masks[0].voxels, 2 * masks[1].voxels])
    together = replace(
        first,
        images=Images({CT: replace(volumes[0], voxels=np.concatenate([each.voxels for each in volumes]))}),
        masks=Images({BODIES: replace(masks[0], voxels=labels, names=dict(enumerate(names, 1)))}),
    )
    one, other, both = model.predict([first, second, together])
    np.testing.assert_allclose(both[CLASS].p, np.mean([one[CLASS].p, other[CLASS].p], axis=0), atol=0.02)
    assert both[BMD].value == pytest.approx((one[BMD].value + other[BMD].value) / 2, abs=0.02)
    evidence = model.explain(together)
    assert evidence.heat[CT].shape == together.images[CT].shape
    assert evidence.heat[CT].max() > 0
    for name in names:
        shares = [share for key, share in evidence.numbers.items() if key.startswith(f"{name} expert")]
        assert sum(shares) == pytest.approx(1)


def test_saved_and_loaded_it_answers_the_same(model, made, tmp_path):
    model.save(tmp_path / "model")
    assert Model.load(tmp_path / "model").predict(made[:3]) == model.predict(made[:3])


def test_one_labelled_patient_a_class_is_enough_and_the_rest_are_in_the_pool(recipe, made, model):
    grades = [case.truth[CLASS] for case in made]
    told = {grades.index(grade) for grade in range(3)}
    few = [case if place in told else replace(case, truth={}) for place, case in enumerate(made)]
    fitted = recipe.fit(few)
    np.testing.assert_array_equal(fitted.state.arrays["pool"], model.state.arrays["pool"])
    assert fitted.state.facts["pretraining"] == model.state.facts["pretraining"]  # labels have no part in it
    assert isinstance(fitted.predict(made[:1])[0][CLASS], Grades)


def test_without_any_bmd_it_has_none_and_with_bmd_alone_a_case_counts(recipe, made):
    plain = replace(recipe, pretraining=False)
    graded = [replace(case, truth={CLASS: case.truth[CLASS]}) for case in made]
    answer = plain.fit(graded).predict(made[:1])[0]
    assert isinstance(answer[BMD], Abstain)
    assert isinstance(answer[CLASS], Grades)
    mixed = [*graded[:40], *(replace(case, truth={BMD: case.truth[BMD]}) for case in made[40:])]
    fitted = plain.fit(mixed)
    mean = np.mean([case.truth[BMD] for case in made[40:]])
    assert fitted.state.facts["value"]["mean"] == pytest.approx(mean)
    assert isinstance(fitted.predict(made[:1])[0][BMD], Value)


def test_without_pretraining_it_is_another_system(recipe, made):
    plain = replace(recipe, pretraining=False, epochs=24)
    with pytest.raises(AssertionError, match="texture feature pool"):
        essence(plain, [NOBODY])
    with_it, without = (replace(recipe, pretraining=on) for on in (True, False))
    assert {name: each for name, each in with_it.settings().items() if name != "pretraining"} == {
        name: each for name, each in without.settings().items() if name != "pretraining"
    }


def test_at_the_papers_size_a_cube_becomes_512_features():
    with torch.device("meta"):
        network = TextureMoe()._networks({})["network"]
        maps = network.encoder.stages.conv1(torch.zeros(1, 1, 64, 64, 64))
        told = network(torch.zeros(2, 1, 64, 64, 64))
    assert maps.shape == (1, 64, 64, 64, 64)
    assert network.experts.gate[0].in_features == 512
    assert len(network.experts.experts) == 4
    assert [tuple(each.shape) for each in told] == [(2, 3), (2,), (2, 4), (2, 4)]


@pytest.mark.slow
def test_at_the_papers_size_it_takes_a_training_step():
    recipe = TextureMoe()
    network = recipe._networks({})["network"]
    patients = _made(recipe, NOBODY)[:2]
    seen = [each for case in patients for each in recipe._seen(case)]
    known = np.array([[0, 0.5, LEVELS.index(seen[0].level)], [2, -0.5, LEVELS.index(seen[1].level)]], dtype=np.float32)
    inputs, truth = Labelled(cubes=Cubes(seen, recipe.window_hu), known=known).batch([0, 1], torch.Generator())
    optimiser = torch.optim.AdamW(network.parameters(), lr=recipe.rate)
    losses = []
    for _ in range(2):
        optimiser.zero_grad()
        loss = heads_loss(network(inputs), truth, bmd=1.0, level=0.2, balance=0.01)
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
    assert losses[1] < losses[0]
