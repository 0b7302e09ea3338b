"""Patients made in memory, with bone planted in every input: what the toy systems learn from."""

import numpy as np

from trabecula.case import Case, Event, Images
from trabecula.image import Image

_ROWS, _COLUMNS = np.mgrid[:16, :16]
_BODY = (np.abs(_ROWS - 7.5) < 4) & (np.abs(_COLUMNS - 7.5) < 5)


def patients(n=60, *, seed=0, unlabelled=0.0):
    """Return one case a patient; of the share `unlabelled` nobody knows the truth."""
    rng = np.random.default_rng(seed)
    return [_patient(number, rng, labelled=rng.random() >= unlabelled) for number in range(n)]


def _patient(number, rng, *, labelled):
    t_score = float(rng.normal(-1.8, 1.2))
    age = float(np.clip(rng.normal(68 - 3 * t_score, 8), 50, 95))
    hu = 190 + 45 * t_score + rng.normal(0, 8)
    table = {
        "age_years": age,
        "sex": str(rng.choice(["female", "male"])),
        "bmi_kg_m2": float(rng.normal(26, 3)),
        "mean_hu": float(hu),
        "kvp": 120.0,
    }
    images = {
        "spine_xray_ap": _film(np.cos(2 * np.pi * _ROWS / 4), t_score, rng),
        "spine_xray_lateral": _film(np.cos(2 * np.pi * _COLUMNS / 4), t_score, rng),
        "lumbar_ct": _volume(hu, rng),
    }
    truth = {
        "t_score_lowest": t_score,
        "osteoporosis_dxa": int(t_score <= -2.5),
        "who_class_dxa": int(t_score < -1.0) + int(t_score <= -2.5),
        "vertebral_body_mask": _body(),
        "time_to_vertebral_fracture": _fracture(t_score, age, rng),
    }
    return Case(
        id=f"case {number}",
        patient=f"patient {number}",
        images=Images(images),
        table=table,
        groups={"scanner": str(rng.choice(["a", "b"]))},
        truth=truth if labelled else {},
    )


def _film(stripes, t_score, rng):
    """Return a picture whose stripes are the fainter the less bone there is."""
    grey = 100 + (20 + 6 * t_score) * stripes + rng.normal(0, 6, stripes.shape)
    return Image(voxels=grey[None].astype(np.float32), unit="stored", space="detector")


def _volume(hu, rng):
    """Return four slices with one vertebral body in soft tissue."""
    voxels = np.where(_BODY, hu, -100) + rng.normal(0, 15, (4, 16, 16))
    return Image(voxels=voxels.astype(np.float32), unit="HU", spacing=(4.0, 4.0, 4.0))


def _body():
    labels = np.broadcast_to(_BODY, (4, 16, 16)).astype(np.uint8)
    return Image(voxels=labels, unit="label", spacing=(4.0, 4.0, 4.0), names={1: "L1"})


def _fracture(t_score, age, rng):
    """Fractures come sooner with less bone, deaths with age; observation ends after ten years."""
    fracture = rng.exponential(6 * np.exp(0.9 * (t_score + 1.8)))
    death = rng.exponential(30 * np.exp(-0.05 * (age - 70)))
    years = min(fracture, death, 10.0)
    return Event(float(years), 1 if years == fracture else 2 if years == death else 0)
