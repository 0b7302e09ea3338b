"""What makes this system itself: two beams, denoised, bone told pixel by pixel, and mineral by the equation of both."""
# ruff: noqa: S101 an essence is a list of assertions

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
from scipy.ndimage import gaussian_filter

from trabecula.case import Case, Images
from trabecula.prediction import score
from trabecula.systems.hussain2019_dxa.denoise import noise_sd, non_local_means
from trabecula.systems.hussain2019_dxa.pixels import areal_mineral
from trabecula.systems.hussain2019_dxa.system import DxaReport

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from trabecula.image import Image
    from trabecula.system import Model, System

    Floats = NDArray[np.float64]

_MADE = 24
_MU_LOW, _MU_HIGH, _SOFT_LOW, _SOFT_HIGH = 0.57, 0.30, 0.25, 0.19  # cm2/g; facts
_NOISE = 0.004


def essence(system: System, cases: Sequence[Case]) -> None:
    """Assert what the card's `essence` says, on beams made from the hips' outlines by the forward model.

    Raises `AssertionError`.
    """
    assert isinstance(system, DxaReport)
    assert {"hip_dxa_low", "hip_dxa_high"} <= set(system.inputs().images), "the input is a pair of beams"
    with_masks = [case for case in cases if "bone" in case.masks and "sex" in case.table][:_MADE]
    assert with_masks, "bring cases with a mask of bone"
    _equation(with_masks[0].masks["bone"])
    _denoising(with_masks[0].masks["bone"])
    made = [_pair(case, n, _dense(n)) for n, case in enumerate(with_masks)]
    made = [replace(c, truth={system.headline.id: int(_dense(n) < 0.8)}) for n, c in enumerate(made)]
    model = system.fit(made)
    forest = model.state.estimators["hip"]
    assert len(forest.estimators_) == system.trees, "a forest of pixels tells bone from soft tissue"
    flips, steady, lines = 0, [], []
    for n, case in enumerate(with_masks):
        dense, thick, thin = (_pair(case, n, 1.0), _pair(case, n, 1.0, tissue=2.0), _pair(case, n, 0.6))
        flips += _risk(model, dense) < 0.5 < _risk(model, thin)
        bmd, more, less = (_bmd(model, each) for each in (dense, thick, thin))
        steady.append(abs(more / bmd - 1))
        lines.append(abs(less / bmd - 0.6))
    assert flips > 0.8 * len(with_masks), f"less mineral flips the class; in {flips} of {len(with_masks)}"
    assert np.median(steady) < 0.02, f"twice the soft tissue moves BMD by {100 * np.median(steady):.1f} %"
    assert np.median(lines) < 0.03, "0.6 of the mineral is 0.6 of the BMD"


def _dense(number: int) -> float:
    """Return the mineral of a made hip in g/cm2: every second one has little."""
    return (1.0 if number % 2 else 0.6) + 0.005 * number


def _equation(mask: Image) -> None:
    """Assert that mineral is found within 2 %, whatever the soft tissue."""
    bone = mask.voxels[0] > 0
    for tissue in (1.0, 2.0):
        low, high = _beams(bone, 0.9, tissue)
        found, _ = areal_mineral(low, high, bone, mm=float((mask.spacing or (1, 1, 1))[1]), beams=(_MU_LOW, _MU_HIGH))
        assert abs(found[bone].mean() / 0.9 - 1) < 0.02, f"0.9 g/cm2 of mineral reads {found[bone].mean():.3f}"


def _denoising(mask: Image) -> None:
    """Assert that noise goes and edges stay."""
    clean = (mask.voxels[0] > 0).astype(np.float64)
    noisy = clean + np.random.default_rng(0).normal(0, 0.05, clean.shape)
    smooth = non_local_means(noisy, patch=5, reach=4, strength=0.8)
    assert noise_sd(smooth) < 0.5 * noise_sd(noisy), "non-local means take noise away"
    blurred = gaussian_filter(noisy, 1.5)
    assert np.abs(smooth - clean).mean() < 0.6 * np.abs(blurred - clean).mean(), "and keep edges"


def _beams(bone: NDArray[np.bool_], dense: float, tissue: float) -> tuple[Floats, Floats]:
    """Return log attenuation of a slab of mineral where bone is, in soft tissue that is thicker on one side."""
    soft = tissue * np.broadcast_to(np.linspace(14, 18, bone.shape[1]), bone.shape)
    mineral = dense * bone
    return _MU_LOW * mineral + _SOFT_LOW * soft, _MU_HIGH * mineral + _SOFT_HIGH * soft


def _pair(case: Case, number: int, dense: float, *, tissue: float = 1.0) -> Case:
    mask = case.masks["bone"]
    rng = np.random.default_rng(number)
    images = {
        f"hip_dxa_{beam}": mask.with_voxels((values + rng.normal(0, _NOISE, values.shape))[None], unit="log")
        for beam, values in zip(("low", "high"), _beams(mask.voxels[0] > 0, dense, tissue), strict=True)
    }
    masks = Images({"bone": case.masks.source("bone")})
    table = {"sex": case.table["sex"], "age_years": 65.0}
    return replace(case, id=str(number), patient=str(number), images=Images(images), masks=masks, table=table, truth={})


def _risk(model: Model, case: Case) -> float:
    return score(model.predict([case])[0][model.system.headline.id])


def _bmd(model: Model, case: Case) -> float:
    evidence = model.explain(case)
    assert evidence is not None, "a report tells area, BMC, BMD and T-score of every region"
    for name in ("area_cm2", "bmc_g", "bmd_g_cm2", "t_score"):
        assert f"femoral neck: {name}" in evidence.numbers, f"the report lacks the neck's {name}"
    return evidence.numbers["total hip: bmd_g_cm2"]
