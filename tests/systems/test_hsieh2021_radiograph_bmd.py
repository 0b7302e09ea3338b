"""The chain from a film to BMD, class and route: each link against what is known of it, and the whole on toy films."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch

from tests.systems.knees import film
from trabecula.case import Case, Images
from trabecula.image import Image
from trabecula.prediction import Abstain
from trabecula.selftest.essence import stub_of
from trabecula.system import Model, get_system
from trabecula.systems.hsieh2021_radiograph_bmd.agreement import agreement, cut_offs
from trabecula.systems.hsieh2021_radiograph_bmd.essence import essence
from trabecula.systems.hsieh2021_radiograph_bmd.network import bmd_loss, landmark_loss, places, spread
from trabecula.systems.hsieh2021_radiograph_bmd.regions import (
    PARTS,
    canvas,
    compression,
    cropped,
    hip_region,
    marks,
    on_canvas,
    on_film,
)

ID = "hsieh2021_radiograph_bmd"
QUICK = {"canvas": 32, "pixels": 32, "landmark_epochs": 12, "epochs": 12}


def hips(n=24, *, seed=0):
    """Return films of one bone with four blocks drawn as regions, and areal BMD that falls as the bone fades."""
    rng = np.random.default_rng(seed)
    labels = np.zeros((1, 160, 120), dtype=np.uint8)
    for part in range(4):
        labels[0, 20 + 30 * part : 45 + 30 * part, 40:80] = part + 1
    drawn = Image(voxels=labels, unit="label", space="detector", names=dict(enumerate(PARTS["hip"], start=1)))
    cases = []
    for number in range(n):
        loss = number / (n - 1)
        bmd = 1.1 - 0.6 * loss
        neck = bmd - 0.08
        lowest = min((bmd - 0.942) / 0.122, (neck - 0.858) / 0.120)
        cases.append(
            Case(
                id=f"case {number}",
                patient=f"patient {number}",
                images=Images({"hip_xray": film(rng, loss)}),
                masks=Images({"hip_regions": drawn}),
                table={"age_years": 70.0, "sex": "female"},
                truth={
                    "bmd_total_hip": bmd, "bmd_femoral_neck": neck, "osteoporosis_hip_dxa": int(lowest <= -2.5),
                    "who_class_dxa": int(lowest <= -2.5) + int(lowest < -1.0),
                },
            )
        )  # fmt: skip
    return cases


@pytest.fixture(scope="module")
def model():
    return get_system(ID, size="tiny", settings=QUICK).fit(hips())


def test_saved_and_loaded_it_answers_the_same_bits(model, tmp_path):
    unseen = hips(4, seed=1)
    model.save(tmp_path / "model")
    assert Model.load(tmp_path / "model").predict(unseen) == model.predict(unseen)


def test_essence_accepts_the_system_and_rejects_a_stub():
    cases = hips(24)
    essence(get_system(ID, size="tiny", settings={"landmark_epochs": 30}), cases)
    with pytest.raises(AssertionError, match="R is nan"):
        essence(stub_of(get_system(ID, size="tiny", settings=QUICK)), cases)


def test_lumbar_bmd_is_the_mean_over_the_vertebrae_that_are_not_compressed():
    recipe = get_system(ID, size="tiny", targets=("bmd_lumbar", "osteoporosis_spine_dxa"), settings=QUICK)
    assert recipe.inputs().images == ("spine_xray_lateral",)
    shown = film(np.random.default_rng(0), 0.5)
    case = Case(id="one", patient="one", images=Images({"spine_xray_lateral": shown}))
    networks = recipe._networks({})
    regions = [hip_region(np.array([[y, 40.0], [y + 30, 80.0]] * 8), margin=0) for y in (10.0, 40.0, 70.0)]
    network = networks["spine_bmd"]
    each = [recipe._bmd(network, "spine", case, [region])[0] for region in regions]
    assert recipe._bmd(network, "spine", case, regions)[0] == pytest.approx(np.mean(each), abs=1e-6)
    assert np.isnan(recipe._bmd(network, "spine", case, [])).all()


def test_a_film_without_a_hip_is_refused(model):
    sure = replace(model.system, doubt=0.01)
    told = Model(sure, model.state, model.about).predict(hips(2))[0]
    assert all(isinstance(each, Abstain) for each in told.values())
    assert "no hip was found" in told["bmd_total_hip"].reason


def test_corners_of_a_mask_and_the_way_to_the_canvas_and_back():
    labels = np.zeros((1, 60, 40), dtype=np.uint8)
    labels[0, 10:20, 5:25] = 3
    found = marks(Image(voxels=labels, unit="label", names={3: "L2"}), names=("L1", "L2"))
    assert np.isnan(found[:4]).all()
    assert found[4:].tolist() == [[10.5, 5.5], [10.5, 24.5], [19.5, 5.5], [19.5, 24.5]]
    there = on_canvas(found[4:], (60, 40))
    assert there[0].tolist() == pytest.approx([10.5 / 60, 15.5 / 60])
    assert np.allclose(on_film(there, (60, 40)), found[4:])
    assert compression(np.tile(found[4:], (4, 1))).tolist() == [1.0] * 4


def test_the_canvas_keeps_the_aspect_and_the_region_is_mirrored_to_one_side():
    pixels = np.zeros((1, 60, 40), dtype=np.float32)
    pixels[0, 20:30, 10:20] = 100
    image = Image(voxels=pixels, unit="stored", space="detector")
    seen = canvas(image, size=60)
    assert np.argwhere(seen > 128).min(axis=0).tolist() == [20, 20]
    corners = np.repeat([[15.0, 30.0], [25.0, 5.0], [35.0, 10.0], [30.0, 20.0]], 4, axis=0)
    region = hip_region(corners, margin=0.0)
    assert region.mirrored  # the trochanter lies to the left of the neck
    plain, mirrored = (
        cropped(image, region=[region.top, region.left, region.side, flip], size=20) for flip in (False, True)
    )
    assert np.array_equal(plain[:, ::-1], mirrored)


def test_heat_maps_give_their_mean_place_and_how_far_they_spread():
    maps = torch.zeros(1, 1, 8, 10)
    maps[0, 0, 2, 3] = 1.0
    assert places(maps)[0, 0].tolist() == pytest.approx([2.5 / 8, 3.5 / 10])
    assert float(spread(maps)) == pytest.approx(0.0, abs=1e-3)
    assert float(spread(torch.full((1, 1, 8, 8), 1 / 64))) == pytest.approx(math.sqrt(2 / 12), abs=0.01)
    there = torch.tensor([[[2.5 / 8, 0.35]]])
    away, absent = there + 0.3, torch.full_like(there, math.nan)
    losses = [float(landmark_loss(maps, truth, sigma=0.05)) for truth in (there, away, absent)]
    assert losses[0] < losses[1]
    assert losses[2] == 0


def test_a_site_whose_truth_is_not_known_does_not_count():
    told, truth = torch.tensor([[1.0, 5.0], [2.0, 2.0]]), torch.tensor([[0.5, math.nan], [2.0, 2.5]])
    assert float(bmd_loss(told, truth)) == pytest.approx((0.25 + 0 + 0.25) / 3)


def test_agreement_is_that_of_bland_and_altman():
    rng = np.random.default_rng(0)
    truth = rng.normal(0.9, 0.15, 4000)
    told = 0.9 + 0.5 * (truth - 0.9) + rng.normal(0.02, 0.05, 4000)
    agreed = agreement(truth, told)
    assert agreed["bias"] == pytest.approx(0.02, abs=0.01)
    spread_ = 1.96 * math.hypot(0.5 * 0.15, 0.05)
    assert (agreed["high"] - agreed["low"]) / 2 == pytest.approx(spread_, rel=0.05)
    assert agreed["slope"] == pytest.approx(0.5 * 0.15**2 / (0.25 * 0.15**2 + 0.05**2), rel=0.05)


def test_nobody_is_settled_where_nobody_can_be():
    low, high = cut_offs([True, False] * 10, np.repeat(np.linspace(-3, 0, 10), 2))
    assert (low, high) == (-math.inf, math.inf)


@pytest.mark.parametrize(
    ("targets", "told"),
    [(("t_score_lowest",), "none of them"), (("bmd_lumbar", "osteoporosis_hip_dxa"), "does not follow")],
)
def test_what_does_not_follow_from_bmd_is_refused(targets, told):
    with pytest.raises(ValueError, match=told):
        get_system(ID, size="tiny", targets=targets)


def test_landmarks_need_masks_on_the_film():
    recipe = get_system(ID, size="tiny", settings=QUICK)
    with pytest.raises(ValueError, match="learned from masks"):
        recipe.fit([replace(case, masks=Images({})) for case in hips(8)])
    small = Image(voxels=np.zeros((1, 8, 8), dtype=np.uint8), unit="label", names={1: "femoral neck"})
    with pytest.raises(ValueError, match="draw it on that film"):
        recipe.fit([replace(case, masks=Images({"hip_regions": small})) for case in hips(8)])


def test_one_training_step_at_the_published_widths():
    """Canvases and regions of 64 px stand for those of 512: the networks are the same."""
    settings = {"canvas": 64, "pixels": 64, "epochs": 1, "landmark_epochs": 1, "batch": 4, "pretrained": False}
    fitted = get_system(ID, settings=settings).fit(hips(6))
    trunk = fitted.state.networks["hip_bmd"].vgg16.features
    assert sum(each.numel() for each in trunk.parameters()) == 14_714_688
    assert 0 < fitted.predict(hips(2))[0]["bmd_total_hip"].value < 2
