"""Two blocks a picture and two branches learn, are what the published code says, and survive saving."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy import ndimage

from tests.systems.knees import stub
from trabecula.case import Case, Images
from trabecula.image import Image
from trabecula.metrics import auc
from trabecula.prediction import Abstain
from trabecula.system import Model, get_system
from trabecula.systems.kucukciloglu2023_mri_ct.essence import essence
from trabecula.systems.kucukciloglu2023_mri_ct.network import KerasConvolution
from trabecula.systems.kucukciloglu2023_mri_ct.slices import sagittal
from trabecula.systems.kucukciloglu2023_mri_ct.system import MriCt

ID = "kucukciloglu2023_mri_ct"
TARGET = "osteoporosis_spine_dxa"
MRI, CT = "lumbar_mri", "lumbar_ct"
SHOWN = {
    "rows": 80, "columns": 60, "count": 3, "spread_mm": 10.0, "window_hu": (-150.0, 350.0), "percentiles": (1.0, 99.0),
    "nearest": True,
}  # fmt: skip


def spines(n=40, *, seed=0, target=TARGET, grades=2):
    """Return one case a patient: sagittal pictures of a column of blocks, darker in CT, brighter in MRI when sick."""
    rng = np.random.default_rng(seed)
    cases = []
    for number in range(n):
        loss = number % grades / (grades - 1)
        pictures = {MRI: _column(rng, 90 + 60 * loss), CT: _column(rng, 170 - 60 * loss)}
        name = f"patient {number}"
        cases.append(Case(id=name, patient=name, images=Images(pictures), truth={target: number % grades}))
    return cases


def _column(rng, inside):
    rows, columns = 160, 120
    y, x = np.mgrid[:rows, :columns]
    block = (np.abs(x - columns / 2 - rng.normal(0, 3)) < 20) & ((y + rng.integers(30)) % 30 > 6)
    grey = np.where(block, inside, 60) + ndimage.gaussian_filter(rng.normal(0, 30, (rows, columns)), 1)
    return Image(voxels=np.clip(grey, 0, 255).astype(np.uint8)[None], unit="stored")


@pytest.fixture(scope="module")
def recipe():
    return get_system(ID, size="tiny", settings={"epochs": 8})


@pytest.fixture(scope="module")
def model(recipe):
    return recipe.fit(spines())


def _scores(model, cases):
    return [answer[TARGET].p for answer in model.predict(cases)]


def _only(cases, role):
    return [replace(case, images=case.images.only([role])) for case in cases]


def test_each_branch_ranks_unseen_spines(model):
    unseen = spines(seed=1)
    for role in (MRI, CT):
        assert auc([case.truth[TARGET] for case in unseen], _scores(model, _only(unseen, role))) > 0.8


def test_saved_and_loaded_it_answers_the_same_bits(model, tmp_path):
    unseen = spines(8, seed=1)
    model.save(tmp_path / "model")
    assert _scores(Model.load(tmp_path / "model"), unseen) == _scores(model, unseen)


def test_essence_accepts_the_system_and_rejects_a_stub_and_another_experiment(recipe):
    essence(recipe, spines())
    with pytest.raises(AssertionError, match="alone must tell pictures apart"):
        essence(stub(recipe), spines())
    with pytest.raises(AssertionError, match="multimodal model"):
        essence(replace(recipe, experiment="ct"), spines())


def test_which_output_answers(model):
    case = spines(1, seed=2)[0]
    alone = {role: _scores(model, _only([case], role))[0] for role in (MRI, CT)}
    assert _scores(model, [case]) == [alone[CT]]
    assert model.explain(case).numbers == pytest.approx(alone, abs=1e-12)
    for answer, expected in (("mri", alone[MRI]), ("mean", sum(alone.values()) / 2)):
        other = Model(replace(model.system, answer=answer), model.state, model.about)
        assert _scores(other, [case]) == pytest.approx([expected], abs=1e-12)
    nothing = replace(case, images=Images({}))
    assert isinstance(model.predict([nothing])[0][TARGET], Abstain)


@pytest.mark.parametrize("experiment", ["mri", "ct", "combined"])
def test_experiments_with_one_network(experiment):
    system = get_system(ID, size="tiny", settings={"experiment": experiment, "epochs": 8})
    fitted, unseen = system.fit(spines()), spines(20, seed=1)
    assert list(fitted.state.networks) == ["unimodal"]
    for role in system.inputs().images:
        cases = unseen if len(system.inputs().images) == 1 else _only(unseen, role)
        assert auc([case.truth[TARGET] for case in cases], _scores(fitted, cases)) > 0.7


def test_patients_may_have_one_kind_of_picture_each(recipe):
    cases = spines()
    apart = [*_only(cases[:24], MRI), *_only(cases[24:], CT)]
    short = replace(recipe, epochs=1)
    assert all(0 < p < 1 for p in _scores(short.fit(apart), cases[:3]))
    with pytest.raises(ValueError, match="no pictures for lumbar_ct"):
        short.fit(_only(cases, MRI))


def test_three_classes():
    target = "who_class_dxa"
    cases = spines(18, target=target, grades=3)
    answers = get_system(ID, size="tiny", targets=(target,), settings={"epochs": 1}).fit(cases).predict(cases[:3])
    assert all(len(answer[target].p) == 3 for answer in answers)


def test_maps_and_parameters_are_those_of_the_published_summaries():
    for experiment, places, listed in (("mri", (18, 13), 569_793), ("multimodal", (20, 15), 1_409_922)):
        (network,) = MriCt(experiment=experiment)._networks({}).values()
        branch = next(iter(network.branches.values()))
        with torch.no_grad():
            assert branch.pooling(torch.zeros(1, 3, 80, 60)).shape == (1, 32, *places)
            assert branch.strided(torch.zeros(1, 3, 80, 60)).shape == (1, 32, *places)
        statistics = sum(each.numel() for name, each in network.named_buffers() if "running" in name)
        assert sum(each.numel() for each in network.parameters()) + statistics == listed


def test_same_padding_puts_the_odd_pixel_below_and_to_the_right():
    layer = KerasConvolution(1, 1, kernel=5, stride=2, same=True)
    torch.nn.init.zeros_(layer.weight)
    torch.nn.init.zeros_(layer.bias)
    layer.weight.data[0, 0, 1, 1] = 1.0  # one before the first pixel is padding, so this tap sees the first pixel
    picture = torch.arange(48.0).reshape(1, 1, 8, 6)
    with torch.no_grad():
        assert torch.equal(layer(picture), picture[:, :, ::2, ::2])


def test_sizes_that_cannot_be_added_are_refused():
    with pytest.raises(ValueError, match="use 80 x 60"):
        MriCt(experiment="mri", rows=81)._networks({})


def test_slices_stand_upright_whatever_the_order_of_the_voxels():
    k, j, i = np.indices((9, 40, 30))
    stored = (1000 + 10 * j + i).astype(np.int16)  # rows from head to feet, columns from front to back
    mri = Image(
        voxels=stored + 0 * k.astype(np.int16), unit="stored", spacing=(4.0, 1.0, 1.0),
        direction=((-1.0, 0.0, 0.0), (0.0, 0.0, -1.0), (0.0, 1.0, 0.0)),
    )  # fmt: skip
    axial = Image(
        voxels=np.ascontiguousarray(mri.voxels.transpose(1, 2, 0)[::-1]), unit="stored", spacing=(1.0, 1.0, 4.0),
        direction=((0.0, 0.0, 1.0), (0.0, 1.0, 0.0), (-1.0, 0.0, 0.0)),
    )  # fmt: skip
    upright = sagittal(mri, **SHOWN)
    assert upright.shape == (3, 80, 60)
    assert (np.diff(upright[0].astype(int), axis=0) >= 0).all()
    assert (np.diff(upright[0].astype(int), axis=1) >= 0).all()
    assert np.array_equal(upright, sagittal(axial, **SHOWN))


def test_a_picture_is_divided_by_255_and_hu_are_shown_in_a_window():
    picture = Image(voxels=np.full((1, 80, 60), 51, dtype=np.uint8), unit="stored")
    assert (sagittal(picture, **SHOWN) == 51).all()
    ct = Image(voxels=np.full((1, 80, 60), 100.0, dtype=np.float32), unit="HU")
    assert (sagittal(ct, **SHOWN) == round(255 * 0.5)).all()


def test_one_training_step_at_the_published_size():
    fitted = get_system(ID, settings={"epochs": 1}).fit(spines(8))
    assert all(0 < p < 1 for p in _scores(fitted, spines(2)))
