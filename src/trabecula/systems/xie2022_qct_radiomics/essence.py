"""What makes this system itself: a rad-score of L3 by mRMR and LASSO, clinical values beside it, one nomogram."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
from scipy.ndimage import gaussian_filter

from trabecula.case import Images
from trabecula.image import Image
from trabecula.prediction import Abstain, score
from trabecula.system import from_settings
from trabecula.systems.xie2022_qct_radiomics.selection import mrmr
from trabecula.systems.xie2022_qct_radiomics.system import KEPT, PUBLISHED, PUBLISHED_CONSTANT

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from trabecula.case import Case, TableValue
    from trabecula.system import Model, System

    Floats = NDArray[np.float64]

_SIDE, _PATIENTS, _ASKED = 14, 36, 12
_LOWER_HU = 50.0  # two bins, so that grey levels of textures stay as they are


def essence(system: System, cases: Sequence[Case]) -> None:
    """Assert mRMR, a rad-score that rises as bone thins, clinical values beside it, and the published score.

    Patients and their small volumes are made. Raises `AssertionError`.
    """
    _copies_are_dropped()
    made = _made(system, cases[0])
    model = system.fit(made)
    _selected(model)
    _thinner_bone_is_riskier(model, made)
    _clinical_values_count(model, made)
    usual = {**system.settings(), "model": "radiomics"}
    for weights in ("refitted", "published"):
        alone = from_settings(type(system), {**usual, "weights": weights}).fit(made)
        _thinner_bone_is_riskier(alone, made)
    _is_the_published_score(alone, made)


def _copies_are_dropped() -> None:
    x = np.random.default_rng(0).normal(size=(50, 6))
    y = x[:, 0] + 0.5 * x[:, 3] + 0.1 * x[:, 4]
    chosen = mrmr(np.column_stack([x, x[:, 0], 2 * x[:, 3] + 1]), y, 8)
    if len({0, 6} & {*chosen}) != 1 or len({3, 7} & {*chosen}) != 1:
        raise AssertionError(f"mRMR drops a copy of a chosen feature; it chose {chosen}")


def _made(system: System, case: Case) -> list[Case]:
    """Return patients whose grade follows the attenuation of L3 and, less, the three clinical values; grain varies."""
    rng = np.random.default_rng(0)
    ill, grain = rng.normal(size=_PATIENTS), rng.uniform(15, 40, size=_PATIENTS)
    worse = ill + 0.3 * rng.normal(size=_PATIENTS)
    cuts = np.quantile(worse, np.linspace(0, 1, len(system.headline.grades) + 1)[1:-1])
    made = []
    for number, bone in enumerate(ill):
        table: dict[str, TableValue] = {name: value for name, value in case.table.items() if name not in KEPT}
        low = (62.0, 78.0, 12.0) + worse[number] * np.array([6.0, 5.0, 1.0]) + rng.normal(size=3) * [4.0, 8.0, 1.5]
        table |= dict(zip(KEPT, map(float, low), strict=True))
        volume, mask = _bone(150 - 40 * bone, grain[number], number)
        made.append(
            replace(
                case, id=str(number), patient=str(number), part="", table=table, groups={},
                images=Images({"lumbar_ct": volume}), masks=Images({"trabecular_region": mask}),
                truth={system.headline.id: int(np.sum(worse[number] > cuts))},
            )
        )  # fmt: skip
    return made


def _bone(mean_hu: float, grain_hu: float, seed: int) -> tuple[Image, Image]:
    """Return a small CT with a round region that is called L3."""
    grain = gaussian_filter(np.random.default_rng(seed).normal(size=(_SIDE,) * 3), 0.8)
    k, j, i = np.indices(grain.shape) - (_SIDE - 1) / 2
    inside = (k**2 + j**2 + i**2 < (_SIDE / 2 - 2) ** 2).astype(np.uint8)
    volume = (mean_hu + grain_hu * grain / grain.std()).astype(np.float32)
    spacing = (1.5, 1.0, 1.0)
    return Image(voxels=volume, unit="HU", spacing=spacing), Image(
        voxels=inside, unit="label", spacing=spacing, names={1: "L3"}
    )


def _selected(model: Model) -> None:
    rad = model.state.facts["rad"]
    if not rad:
        raise AssertionError("there is no rad-score: a clinical model alone is the paper's comparison, not its system")
    given, kept = rad[0]["preselected"], rad[0]["names"]
    wanted = PUBLISHED if model.system.settings()["weights"] == "published" else None
    if wanted is None and not (0 < len(kept) <= len(given) == model.system.settings()["preselected"]):
        raise AssertionError(f"mRMR leaves 20 and the LASSO some of them; they left {len(given)} and {len(kept)}")


def _thinner_bone_is_riskier(model: Model, made: Sequence[Case]) -> None:
    """Lower every HU of the region by a constant, texture as it is: the odds go up.

    In each patient under the published weights; on average where weights were learned, of which some stand for what
    grain and shape tell beside the mean.
    """
    settings = model.system.settings()
    every = settings["weights"] == "published" and settings["model"] == "radiomics"
    asked = made[:_ASKED]
    moved = _odds(model, [_thinner(case) for case in asked]) - _odds(model, asked)
    if not moved.mean() > 0.1 or (every and not (moved > 0).all()):
        raise AssertionError(f"{-_LOWER_HU:g} HU raise the risk; log-odds moved by {moved.round(2)}")


def _thinner(case: Case) -> Case:
    volume = case.images["lumbar_ct"]
    return replace(case, images=Images({"lumbar_ct": volume.with_voxels(volume.voxels - np.float32(_LOWER_HU))}))


def _clinical_values_count(model: Model, made: Sequence[Case]) -> None:
    """Assert that the combined model listens to the table, and the radiomics model does not."""
    case = made[0]
    older = replace(case, table={**case.table, **{name: 1.5 * case.number(name) for name in KEPT}})
    before, after = _scores(model, [case, older])
    if (before != after) != (model.system.settings()["model"] != "radiomics"):
        raise AssertionError(f"clinical values move the combined model alone; {before:.3f} became {after:.3f}")


def _is_the_published_score(model: Model, made: Sequence[Case]) -> None:
    """Assert the published weights, and 2.755 at the mean of every feature, which is the mean of all scores."""
    (rad,) = model.state.facts["rad"]
    if dict(zip(rad["names"], rad["weights"], strict=True)) != dict(PUBLISHED):
        raise AssertionError(f"the published rad-score has six weights of its own; got {rad['names']}")
    scores = [model.system.rad_score(model.state, case) for case in made]  # type: ignore[attr-defined]
    if not np.isclose(np.mean(scores), PUBLISHED_CONSTANT, atol=1e-6):
        raise AssertionError(f"where every feature is at its mean, the rad-score is 2.755; got {np.mean(scores)}")


def _odds(model: Model, cases: Sequence[Case]) -> Floats:
    """Return log-odds; of the expected grade as a share of the highest, where there are several."""
    share = np.clip(_scores(model, cases) / (len(model.system.headline.grades) - 1), 1e-12, 1 - 1e-12)
    return np.asarray(np.log(share / (1 - share)))


def _scores(model: Model, cases: Sequence[Case]) -> Floats:
    given = [answer[model.system.headline.id] for answer in model.predict(cases)]
    refused = [each.reason for each in given if isinstance(each, Abstain)]
    if refused:
        raise AssertionError(f"a CT with L3 drawn and a whole table is answered; got: {refused[0]}")
    return np.array([score(each) for each in given])
