"""Draw the pictures of the phantoms again, beside real images of their kind where the licence allows it.

`python docs/pictures.py [--data DIR]` writes `docs/phantoms/*.jpg`. Without the data, the real ones are left out and
nothing is written over.
"""

from __future__ import annotations

import argparse
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import matplotlib as mpl

mpl.use("agg")
import matplotlib.pyplot as plt
import numpy as np

from trabecula.cohort import open_cohort
from trabecula.image import read_nifti

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from numpy.typing import NDArray

    from trabecula.image import Image

HERE = Path(__file__).parent / "phantoms"
BONE = (-200.0, 800.0)
"""Window of CT in HU."""
CORTEX_HU = 350
STS = "STS_011\nTCIA Soft-tissue-Sarcoma, CC BY 3.0"
CRLM = "CRLM-CT-1004\nTCIA Colorectal-Liver-Metastases, CC BY 4.0"
TOTAL = "example of TotalSegmentator\nApache-2.0"


@dataclass(frozen=True, eq=False, kw_only=True)
class Panel:
    """One picture: greys `[row, column]`, its title, how high a pixel is over its width, and its window."""

    grey: NDArray[np.float32]
    title: str
    aspect: float = 1.0
    window: tuple[float, float] | None = None


def film(image: Image, title: str) -> Panel:
    """Return a radiograph."""
    return Panel(grey=image.voxels[0].astype(np.float32), title=title)


def upright(image: Image) -> Image:
    """Return a volume with k towards the head, j backwards and i to the left, by flips and changes of axes alone."""
    order = [int(np.argmax(np.abs(np.asarray(image.direction)[:, axis]))) for axis in (2, 1, 0)]
    voxels, spacing = image.voxels.transpose(order), [image.spacing[axis] for axis in order]
    for place, (axis, along) in enumerate(zip(order, (2, 1, 0), strict=True)):
        if image.direction[axis][along] < 0:
            voxels = np.flip(voxels, axis=place)
    return type(image)(voxels=voxels, unit=image.unit, spacing=tuple(spacing))


def cut(image: Image, plane: str, share: float | None, title: str, window: tuple[float, float] | None = BONE) -> Panel:
    """Return a slice of a volume, head up: at a share of its extent, or where most of it is bone."""
    volume = upright(image)
    k_mm, j_mm, i_mm = volume.spacing
    axis = {"axial": 0, "coronal": 1, "sagittal": 2}[plane]
    others = tuple(each for each in range(3) if each != axis)
    bone = (volume.voxels > CORTEX_HU).sum(axis=others)
    place = int(bone.argmax()) if share is None else int(share * volume.shape[axis])
    grey = np.take(volume.voxels, place, axis=axis).astype(np.float32)
    if plane == "axial":
        return Panel(grey=grey, title=title, aspect=j_mm / i_mm, window=window)
    return Panel(grey=grey[::-1], title=title, aspect=k_mm / (i_mm if plane == "coronal" else j_mm), window=window)


def draw(name: str, panels: list[Panel], *, columns: int, height: float = 3.2) -> None:
    """Write one picture of several panels."""
    rows = -(-len(panels) // columns)
    figure, axes = plt.subplots(rows, columns, figsize=(2.7 * columns, height * rows), facecolor="white")
    for place in axes.ravel():
        place.axis("off")
    for place, panel in zip(axes.ravel(), panels, strict=False):
        low, high = panel.window or np.percentile(panel.grey, (0.2, 99.8))
        place.imshow(panel.grey, cmap="gray", vmin=low, vmax=high, aspect=panel.aspect, interpolation="nearest")
        place.set_title(panel.title, fontsize=6.5)
    figure.tight_layout(pad=0.6, h_pad=1.2)
    HERE.mkdir(exist_ok=True)
    figure.savefig(HERE / f"{name}.jpg", dpi=110, pil_kwargs={"quality": 82})
    plt.close(figure)


def told(case: object) -> str:
    """Return who is shown: age, sex, class."""
    table, truth = case.table, case.truth
    class_ = ("normal", "osteopenia", "osteoporosis")[int(truth["who_class_dxa"])]
    return f"phantom: {table['age_years']:.0f} y, {table['sex']}, {class_}"


def one_of_each(cohort: str, per_class: int = 1) -> list[object]:
    """Return patients of a cohort, so many a WHO class, the densest first; the visits after the first are left out."""
    cases = [c for c in open_cohort(cohort, n=40).cases if "who_class_dxa" in c.truth]
    first = {case.patient: case for case in reversed(cases)}
    chosen = []
    for class_ in range(3):
        chosen += [c for c in reversed(first.values()) if c.truth["who_class_dxa"] == class_][:per_class]
    return chosen


def films(cohort: str, *, per_class: int = 1, columns: int = 3, height: float = 3.2) -> None:
    """Draw the radiographs of a cohort."""
    panels = [film(c.images[role], f"{told(c)}\n{role}") for c in one_of_each(cohort, per_class) for role in c.images]
    draw(cohort, panels, columns=columns, height=height)


def volumes(cohort: str, role: str, cuts: list[tuple[str, float | None]], real: list[Panel]) -> None:
    """Draw slices of a cohort's volumes, a row a patient, and real ones in the last."""
    panels = []
    for case in one_of_each(cohort):
        image = case.images[role]
        window = BONE if image.unit == "HU" else None
        panels += [cut(image, plane, share, told(case), window) for plane, share in cuts]
    draw(cohort, [*panels, *real], columns=len(cuts))


def real_hip(data: Path) -> Iterator[Panel]:
    """Yield slices of a real hip."""
    image = read_nifti(data / "ct_hip" / "STS_011_CT.nii.gz", unit="HU")
    for plane, share in (("coronal", None), ("axial", 0.8)):
        yield cut(image, plane, share, f"real: {STS}")


def real_spine(data: Path) -> Iterator[Panel]:
    """Yield slices of real spines."""
    portal = read_nifti(data / "ct_spine" / "CRLM-CT-1004_CT.nii.gz", unit="HU")
    example = read_nifti(data / "ct_totalseg_example" / "example_ct.nii.gz", unit="HU")
    yield cut(portal, "sagittal", 0.5, f"real: {CRLM}")
    yield cut(portal, "axial", 0.5, f"real: {CRLM}")
    yield cut(example, "sagittal", 0.5, f"real: {TOTAL}")
    yield cut(example, "axial", 0.5, f"real: {TOTAL}")


def main() -> int:
    """Write every picture."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", help="draw this cohort only")
    parser.add_argument("--data", type=Path, help="where ct_hip, ct_spine and ct_totalseg_example lie")
    asked = parser.parse_args()
    data = asked.data
    if data is not None and not (data / "ct_hip").is_dir():
        sys.stderr.write(f"{data} holds no ct_hip: leave --data out to draw the phantoms alone\n")
        return 2
    for name, work in _works(data).items():
        if asked.only in (None, name):
            work()
    return 0


def _works(data: Path | None) -> dict[str, Callable[[], None]]:
    """Return what draws each cohort."""
    spine, hip = (list(real(data)) if data else [] for real in (real_spine, real_hip))
    return {
        "phantom_knee_xray": lambda: films("phantom_knee_xray", per_class=2, columns=6, height=3.6),
        "phantom_hip_xray": lambda: films("phantom_hip_xray", columns=3),
        "phantom_spine_xray": lambda: films("phantom_spine_xray", columns=6, height=5.0),
        "phantom_periapical": lambda: films("phantom_periapical", per_class=2, columns=3, height=2.2),
        "phantom_panoramic": lambda: films("phantom_panoramic", columns=3, height=1.6),
        "phantom_dxa": lambda: films("phantom_dxa", columns=6),
        "phantom_lumbar_ct": lambda: volumes(
            "phantom_lumbar_ct", "lumbar_ct", [("sagittal", 0.5), ("axial", 0.45)], spine
        ),
        "phantom_hip_ct": lambda: volumes("phantom_hip_ct", "hip_ct", [("coronal", None), ("axial", None)], hip),
        "phantom_lumbar_mri_ct": lambda: volumes(
            "phantom_lumbar_mri_ct", "lumbar_mri", [("sagittal", 0.5), ("sagittal", 0.3)], []
        ),
    }


if __name__ == "__main__":
    sys.exit(main())
