"""What makes this system itself: a pool of radiomic texture that teaches the encoder, gated experts, three heads."""
# ruff: noqa: S101 an essence is a list of assertions

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from scipy import ndimage

from trabecula.case import Images
from trabecula.image import Image
from trabecula.metrics import auc
from trabecula.prediction import score
from trabecula.systems.huang2025_texture_moe.crops import CLASSES, LEVELS, vertebrae
from trabecula.systems.huang2025_texture_moe.examples import Cubes

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from trabecula.case import Case
    from trabecula.system import Model, System
    from trabecula.systems.huang2025_texture_moe.crops import Vertebra

    Floats = NDArray[np.float64]
    Change = Callable[[NDArray[Any]], NDArray[Any]]

_PATIENTS, _UNLABELLED = 64, 16
_LEAST = {"pretext_epochs": 8, "epochs": 24}  # what so few vertebrae need
_OFFSET_G_CM2 = 0.3  # by which the DXA of the second hospital reads higher
_STEPS_HU = (-60, -30, 0, 30, 60)
_HIGHER = 0.07  # of the side, by which half a body is higher than half of that above it
_ASKED = 16  # vertebrae whose texture is measured anew


def essence(system: System, cases: Sequence[Case]) -> None:
    """Assert the texture pool, what blur and shift move, a gate that tells devices apart, and BMD that rises with HU.

    Patients are made, with one vertebra each: of two hospitals, whose CT has another grain and whose DXA reads higher.
    A quarter of them is unlabelled. Raises `AssertionError`.
    """
    assert len(system.predicts) == 2, "it answers a diagnosis and, beside it, BMD"
    longer: Any = replace(system, **{name: max(least, system.settings()[name]) for name, least in _LEAST.items()})
    made = _made(longer, cases[0])
    model = longer.fit([*made[_UNLABELLED:], *(replace(case, truth={}) for case in made[:_UNLABELLED])])
    _pool_is_of_texture(model, made)
    _three_heads(model, made)
    _bmd_rises_with_attenuation(model, made)
    _blur_moves_what_a_flip_does_not(model, made)
    _gate_is_learned(model, made)


def _pool_is_of_texture(model: Model, made: Sequence[Case]) -> None:
    """Assert that the pool holds the radiomic texture of every vertebra, measured in its CT, labelled or not."""
    facts, arrays = model.state.facts, model.state.arrays
    assert "pool" in arrays, "self-supervision has a texture feature pool: without pretraining it is another system"
    families = {name.split("_")[1] for name in facts["textures"]}
    assert families <= set(CLASSES), f"the pool is of radiomic texture, not of {sorted(families - set(CLASSES))}"
    assert len(families - {"firstorder"}) > 2, f"the pool tells texture and not attenuation alone; it has {families}"
    assert len(arrays["pool"]) == _PATIENTS, "unlabelled vertebrae are in the pool beside labelled ones"
    own = _textures(model, _seen(model, made[_UNLABELLED:])[:_ASKED])
    assert np.allclose(own, arrays["pool"][:_ASKED], atol=1e-6), "a row of the pool is the texture of its vertebra"
    assert np.allclose(arrays["pool"].mean(axis=0), 0, atol=1e-6), "features are scaled over the pool"


def _three_heads(model: Model, made: Sequence[Case]) -> None:
    """Assert that diagnosis, BMD and level are all read from the vertebra, better than by chance."""
    system: Any = model.system
    answers = model.predict(made)
    worst, value = system.headline.id, system.predicts[1].id
    highest = [case.truth[worst] == len(system.headline.grades) - 1 for case in made]
    reached = float(auc(highest, [score(answer[worst]) for answer in answers]))
    assert reached > 0.85, f"the diagnosis of made vertebrae must be learned; AUC {reached:.2f}"
    known: list[Any] = [case.truth[value] for case in made]
    together = np.corrcoef([score(answer[value]) for answer in answers], known)[0, 1]
    assert together > 0.7, f"BMD of made vertebrae must be learned; correlation {together:.2f}"
    located = _told(model, _seen(model, made)).level.argmax(dim=1).numpy() == np.arange(_PATIENTS) // 2 % len(LEVELS)
    assert located.mean() > 0.4, f"the level, told by the height of the body, must be learned; {located.mean():.0%}"


def _bmd_rises_with_attenuation(model: Model, made: Sequence[Case]) -> None:
    """Assert that more HU in the body, and nothing else, is more BMD: in nearly all, and at each step on average."""
    told = np.stack([_told(model, [_denser(each, hu) for each in _seen(model, made)]).value for hu in _STEPS_HU])
    rising = (told[-1] > told[0]).mean()
    assert rising > 0.9, f"BMD rises with trabecular HU; it does in {rising:.0%}"
    assert (np.diff(told.mean(axis=1)) > 0).all(), "BMD rises with every step of trabecular HU"


def _blur_moves_what_a_flip_does_not(model: Model, made: Sequence[Case]) -> None:
    """Assert that blur moves texture and embedding, and that flips and shifts leave both almost as they were."""
    system: Any = model.system
    seen = _seen(model, made)[:_ASKED]
    blurred = [replace(each, hu=_blurred(each.hu)) for each in seen]
    flipped, shifted = (
        [replace(each, hu=change(each.hu), body=change(each.body)) for each in seen] for change in (_flipped, _shifted)
    )
    for name, numbers, harmless in (("texture", _textures, 0.1), ("embedding", _embeddings, 0.5)):
        before = numbers(model, seen)
        blur, flip, shift = (_moved(before, numbers(model, each)) for each in (blurred, flipped, shifted))
        assert blur > 0.3, f"{name}: blur must move it by much of what vertebrae differ; it moved {blur:.2f}"
        worst = max(flip, shift)
        assert worst < harmless * blur, f"{name}: a flip or shift moved it by {worst:.2f}, blur by {blur:.2f}"
    cubes = Cubes(seen, system.window_hu).stacked(range(len(seen)))
    views = system.moves(cubes, torch.Generator().manual_seed(0))
    assert not torch.equal(views, cubes), "views differ from the cube"
    assert np.isin(views.numpy(), cubes.numpy()).all(), "augmentation moves voxels and mixes none: a mean is blur"


def _gate_is_learned(model: Model, made: Sequence[Case]) -> None:
    """Assert that shares depend on the vertebra and on the hospital of its CT, and that equal ones do worse."""
    told = _told(model, _seen(model, made))
    assert told.gate.shape[1] > 1, "one expert is no mixture"
    assert float(told.gate.std(dim=0).max()) > 0.01, "the gate depends on the vertebra: it is no average"
    elsewhere = _told(model, _seen(model, _made(model.system, made[0], elsewhere=True)))
    change = _entropy(elsewhere.gate) - _entropy(told.gate)
    change *= np.where(np.arange(_PATIENTS) % 2, -1, 1)  # from the first hospital to the second
    sure = abs(change.mean()) / (change.std() / np.sqrt(_PATIENTS))
    assert sure > 3, f"the entropy of the gate differs between hospitals and their devices; t is {sure:.1f}"
    even = copy.deepcopy(model.state.networks["network"])
    last: Any = even.get_submodule("experts.gate.2")
    torch.nn.init.zeros_(last.weight)
    torch.nn.init.zeros_(last.bias)
    learned, forced = _error(model, told, made), _error(model, _told(model, _seen(model, made), even), made)
    assert learned < forced, f"equal shares must do worse: BMD is {forced:.3f} SD off, by the gate {learned:.3f}"


def _error(model: Model, told: Any, made: Sequence[Case]) -> float:
    """Return the mean error of BMD, in SD of training."""
    scale, value = model.state.facts["value"], model.system.predicts[1].id
    known = np.array([case.truth[value] for case in made], dtype=float)
    return float(np.abs(told.value.numpy() - (known - scale["mean"]) / scale["sd"]).mean())


def _entropy(gate: torch.Tensor) -> Floats:
    return np.asarray(-(gate * gate.clamp(min=1e-12).log()).sum(dim=1))


@torch.inference_mode()
def _told(model: Model, seen: Sequence[Vertebra], network: Any = None) -> Any:
    """Return what a network, or the model's own, says of vertebrae."""
    system: Any = model.system
    cubes = Cubes(seen, system.window_hu).stacked(range(len(seen)))
    return (network or model.state.networks["network"])(cubes)


@torch.inference_mode()
def _embeddings(model: Model, seen: Sequence[Vertebra]) -> Floats:
    system: Any = model.system
    network: Any = model.state.networks["network"]
    return np.asarray(network.encoder(Cubes(seen, system.window_hu).stacked(range(len(seen)))).double())


def _textures(model: Model, seen: Sequence[Vertebra]) -> Floats:
    """Return textures as rows of the pool."""
    system: Any = model.system
    names, arrays = model.state.facts["textures"], model.state.arrays
    rows = [[texture[name] for name in names] for texture in (each.texture(system.bin_width) for each in seen)]
    return np.asarray((np.array(rows) - arrays["centre"]) / arrays["spread"])


def _moved(before: Floats, after: Floats) -> float:
    """Return how far rows moved on average, as a share of how far they lie from their mean."""
    apart = np.linalg.norm(before - before.mean(axis=0), axis=1).mean()
    return float(np.linalg.norm(after - before, axis=1).mean() / apart)


def _seen(model: Model, made: Sequence[Case]) -> list[Vertebra]:
    system: Any = model.system
    sources = [(case.images.source("lumbar_ct"), case.masks.source("vertebral_bodies")) for case in made]
    return [each for pair in sources for each in vertebrae(*pair, side=system.side, spacing_mm=system.spacing_mm)]


def _denser(vertebra: Vertebra, hu: int) -> Vertebra:
    return replace(vertebra, hu=vertebra.hu + np.int16(hu) * vertebra.body.astype(np.int16))


def _blurred(hu: NDArray[np.int16]) -> NDArray[np.int16]:
    return np.rint(ndimage.gaussian_filter(hu.astype(np.float32), 1.0)).astype(np.int16)


def _flipped(voxels: NDArray[Any]) -> NDArray[Any]:
    return voxels[:, :, ::-1].copy()


def _shifted(voxels: NDArray[Any]) -> NDArray[Any]:
    return np.roll(voxels, 1, axis=2)


def _made(system: Any, case: Case, *, elsewhere: bool = False) -> list[Case]:
    """Return patients of two hospitals in turn, whose BMD follows the HU of their one vertebra and the DXA device.

    `elsewhere` shows the same vertebrae in the CT of the other hospital.
    """
    bone, grades = np.random.default_rng(0).normal(size=_PATIENTS), len(system.headline.grades)
    cuts = np.quantile(bone, np.linspace(0, 1, grades + 1)[1:-1])
    made = []
    for number, each in enumerate(bone):
        device = number % 2
        volume, mask = _vertebra(
            system, 140 + 45 * each, number // 2 % len(LEVELS), coarse=bool(device) != elsewhere, seed=number
        )
        truth = {
            system.headline.id: grades - 1 - int(np.sum(each > cuts)),
            system.predicts[1].id: 1.0 + 0.15 * each + _OFFSET_G_CM2 * device,
        }
        made.append(
            replace(
                case, id=str(number), patient=str(number), part="", table={}, groups={}, truth=truth,
                images=Images({"lumbar_ct": volume}), masks=Images({"vertebral_bodies": mask}),
            )
        )  # fmt: skip
    return made


def _vertebra(system: Any, mean_hu: float, level: int, *, coarse: bool, seed: int) -> tuple[Image, Image]:
    """Return a CT of one body, the higher the lower its level, with coarse or fine grain, and its mask."""
    side = system.side
    k, j, i = np.indices((side,) * 3) - (side - 1) / 2
    half = side * (0.14 + _HIGHER * level)
    inside = (np.abs(k) < half) & ((j / (0.33 * side)) ** 2 + (i / (0.42 * side)) ** 2 < 1)
    grain = ndimage.gaussian_filter(np.random.default_rng(seed).normal(size=inside.shape), 1.2 if coarse else 0.5)
    hu = np.where(inside, mean_hu, 40.0) + 35 * grain / grain.std()
    place: dict[str, Any] = {"spacing": (system.spacing_mm,) * 3, "direction": ((0, 0, 1), (0, 1, 0), (1, 0, 0))}
    volume = Image(voxels=hu.astype(np.float32), unit="HU", **place)
    return volume, Image(voxels=inside.astype(np.uint8), unit="label", names={1: LEVELS[level]}, **place)
