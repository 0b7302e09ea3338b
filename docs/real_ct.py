"""The measuring half of Liu 2022, Xie 2022 and Nam 2019 on real CTs: numbers, and the voxels that were counted.

`python docs/real_ct.py` writes `docs/systems/real_ct.md` and a picture of each public CT in `../shared/data`, which may
be shown with their source. `python docs/real_ct.py CT --mask vertebral_bodies=BODIES --mask vertebrae=VERTEBRAE --out
regions.png` does the same for a CT of your own, masks as `trabecula measure` takes them.
"""

from __future__ import annotations

import argparse
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure
from tables import table

from trabecula.case import Case, Images
from trabecula.image import Image, read_nifti
from trabecula.measurement import case_of_file
from trabecula.systems.liu2022_hierarchical.texture import FEATURES, vertebral_texture
from trabecula.systems.nam2019_lumbar_hu.attenuation import PLACES, attenuation, counted
from trabecula.systems.xie2022_qct_radiomics.features import cancellous, features
from trabecula.systems.xie2022_qct_radiomics.system import PUBLISHED

ROOT = Path(__file__).parents[1]
DATA = ROOT.parent / "shared" / "data"
EXAMPLE = DATA / "ct_totalseg_example"
PAGE = ROOT / "docs" / "systems"
DEPTH_MM = 4.0
BODIES, DRAWN = "vertebral_bodies", "trabecular_region"
GREYS = {"levels": 32, "low_hu": -200.0, "high_hu": 1000.0}
"""As Liu 2022 is set by us."""
TEXTURE = ("stat_mean", "ih_entropy", "cm_contrast_2D_avg", "rlm_sre_2D_avg")

RADII_MM = (13.0, 9.0, 6.0)
"""Half widths of the ellipsoids placed by hand: from side to side, from front to back, up and down."""
BY_HAND = {
    "ct_spine": (
        "CRLM-CT-1004_CT.nii.gz",
        "TCIA Colorectal-Liver-Metastases, CC BY 4.0; portal-venous; levels counted from the lowest rib in the field",
        {"L1": (27, 181, 204), "L2": (21, 170, 207), "L3": (14, 162, 211), "L4": (7, 149, 212)},
    ),
    "ct_hip": (
        "STS_007_CT.nii.gz",
        "TCIA Soft-tissue-Sarcoma, CC BY 3.0; levels counted from the sacrum; L5 is sclerotic beside a disc with gas",
        {"L4": (66, 36, 202), "L5": (56, 48, 202)},
    ),
}  # fmt: skip
"""File, source, and the voxel `(k, j, i)` in the middle of each body, as seen by us."""


def example() -> Case:
    """Return the public CT with its vertebral bodies by level."""
    bodies, vertebrae = EXAMPLE / "vertebrae_body.nii.gz", EXAMPLE / "vertebrae_pp_refined.nii.gz"
    masks = [f"{BODIES}={bodies}", f"vertebrae={vertebrae}"]
    return case_of_file(str(EXAMPLE / "example_ct.nii.gz"), masks, "totalsegmentator")


def placed_by_hand(name: str) -> Case:
    """Return a public CT without masks with an ellipsoid in the trabecular bone of each body."""
    file, _, middles = BY_HAND[name]
    image = read_nifti(DATA / name / file, unit="HU")
    voxels = np.zeros(image.shape, dtype=np.uint8)
    places = np.indices(image.shape, sparse=True)
    for value, middle in enumerate(middles.values(), 1):
        steps = zip(places, middle, image.spacing, RADII_MM[::-1], strict=True)
        voxels[sum(((at - centre) * mm / radius) ** 2 for at, centre, mm, radius in steps) <= 1] = value
    mask = Image(
        voxels=voxels, unit="label", spacing=image.spacing, origin=image.origin, direction=image.direction,
        names=dict(enumerate(middles, 1)),
    )  # fmt: skip
    return Case(id=name, patient=name, images=Images({"lumbar_ct": image}), masks=Images({DRAWN: mask}))


def measured_in(case: Case) -> tuple[Image, Image, bool]:
    """Return the CT, its mask, and whether the mask is of trabecular regions rather than of whole bodies."""
    drawn = DRAWN in case.masks
    return next(iter(case.images.values())), case.masks[DRAWN if drawn else BODIES], drawn


def texture(case: Case) -> dict[str, dict[str, float]]:
    """Return some of the features of Liu 2022 of each vertebra; in whole bodies, of the ellipse that Nam 2019 reads."""
    image, mask, drawn = measured_in(case)
    found = {}
    for value, (level, where) in enumerate(counted(mask, drawn=drawn, slices=0).items(), 1):
        if level not in ("L1", "L2", "L3", "L4"):
            continue
        region = np.zeros(image.shape, dtype=np.uint8)
        region[tuple(where.T)] = value
        row = vertebral_texture(image, replace(mask, voxels=region, names={value: level}), **GREYS)[0]
        found[level] = {name: float(row[FEATURES.index(name)]) for name in TEXTURE}
    return found


def hounsfield(case: Case) -> dict[str, float]:
    """Return the mean HU of the vertebrae as Nam 2019 reads them."""
    image, mask, drawn = measured_in(case)
    means = attenuation(image, mask, drawn=drawn, slices=3)
    return {place: float(hu) for place, hu in zip(PLACES, means, strict=True) if np.isfinite(hu)}


def radiomics(case: Case, level: str = "L3") -> dict[str, float]:
    """Return the features of Xie 2022 of one vertebra."""
    image, mask, drawn = measured_in(case)
    row = features(image, mask, level=level, depth_mm=None if drawn else DEPTH_MM, bin_width=25.0)
    return dict(zip(row.dtype.names, row[0].tolist(), strict=True))


def draw(case: Case, path: Path, level: str = "L3") -> None:
    """Draw the slices of L1 to L5 that are counted in red, and the region of the features in blue."""
    image, mask, drawn = measured_in(case)
    slices = counted(mask, drawn=drawn, slices=3)
    region = np.argwhere(cancellous(mask, level=level, depth_mm=None if drawn else DEPTH_MM).voxels)
    columns = [*slices.items(), (f"{level}, features", region)]
    figure = Figure(figsize=(2.6 * len(columns), 5.4), layout="constrained")
    plots = figure.subplots(2, len(columns), squeeze=False)
    for place, (name, where) in enumerate(columns):
        colour = "#e0452f" if place < len(slices) else "#3f8efc"
        for row, axis in enumerate((_axial(image), _sagittal(image))):
            _panel(plots[row, place], image, where, axis, colour)
        plots[0, place].set_title(name, fontsize=9)
    figure.savefig(path, dpi=110)


def _axial(image):
    return int(np.abs(image.affine[2, :3] / np.array(image.spacing)).argmax())


def _sagittal(image):
    return int(np.abs(image.affine[0, :3] / np.array(image.spacing)).argmax())


def _panel(plot, image, where, axis, colour):
    """Show the slice across an axis that holds most of the counted voxels, feet down."""
    own = np.bincount(where[:, axis]).argmax()
    shown = np.take(image.voxels, own, axis=axis)
    inside = np.zeros(image.shape, dtype=bool)
    inside[tuple(where.T)] = True
    overlay = np.take(inside, own, axis=axis)
    rest = [each for each in range(3) if each != axis]
    up, across = sorted(rest, key=lambda each: each != _axial(image)) if axis != _axial(image) else _rows(image, rest)
    if rest != [up, across]:
        shown, overlay = shown.T, overlay.T
    for line, along in enumerate((up, across)):
        step = image.affine[:3, along]
        main = int(np.abs(step).argmax())
        if step[main] * (-1 if main == 2 else 1) < 0:  # rows go down to the feet or to the back, columns to the left
            shown, overlay = np.flip(shown, line), np.flip(overlay, line)
    plot.imshow(shown, cmap="gray", vmin=-150, vmax=450, aspect=image.spacing[up] / image.spacing[across])
    plot.contour(overlay, levels=[0.5], colors=[colour], linewidths=1.0)
    k, j = np.argwhere(overlay).mean(axis=0)
    tall, wide = 45 / image.spacing[up], 45 / image.spacing[across]
    plot.set(xlim=(j - wide, j + wide), ylim=(k + tall, k - tall), xticks=[], yticks=[])


def _rows(image, rest):
    """Return which of two axes of an axial slice runs from front to back, and which from side to side."""
    first = np.abs(image.affine[1, rest[0]]) > np.abs(image.affine[1, rest[1]])
    return rest if first else rest[::-1]


def section(case: Case, title: str, level: str, picture: str) -> str:
    """Return what was measured in a CT, as Markdown, beside its picture."""
    means, greys, found = hounsfield(case), texture(case), radiomics(case, level)
    rows = [
        {"vertebra": each, "mean HU (Nam 2019)": f"{hu:.1f}"}
        | {f"{name} (Liu 2022)": f"{greys[each][name]:.3g}" if each in greys else "" for name in TEXTURE}
        for each, hu in means.items()
    ]
    score = [{"feature of the published rad-score": f"`{name}`", level: f"{found[name]:.4g}"} for name in PUBLISHED]
    return (
        f"## {title}\n\n![What was counted]({picture})\n\n{table(rows)}\n\nXie 2022 computes {len(found)} features of "
        f"{level}:\n\n{table(score)}"
    )


def page() -> None:
    """Write the page and its pictures."""
    parts = [
        "# Real voxels through the same code\n\nGenerated by `python docs/real_ct.py`: the measuring halves of Nam "
        "2019 (red: three axial slices), Liu 2022 (the same places) and Xie 2022 (blue) on public CTs. Whole bodies "
        "are those of the masks that came with the CT; where none came, an ellipsoid of 26 x 18 x 12 mm was placed by "
        "hand in the trabecular bone of each body. No figure here says anything about a patient: there is no DXA "
        "beside them, and contrast or voltage would forbid the published cuts."
    ]
    cases = {"ct_totalseg_example": (example(), "Example of TotalSegmentator, Apache-2.0; 3 mm", "L3")}
    for name, (file, source, middles) in BY_HAND.items():
        cases[name] = (
            placed_by_hand(name),
            f"{file.partition('_CT')[0]}, {source}",
            "L3" if "L3" in middles else "L4",
        )
    for name, (case, title, level) in cases.items():
        picture = PAGE / f"real_{name}.png"
        draw(case, picture, level)
        parts.append(section(case, title, level, picture.name))
    (PAGE / "real_ct.md").write_text("\n\n".join(parts) + "\n", encoding="utf-8")


def main() -> None:
    """Write the page, or measure the CT that is named."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("ct", nargs="?")
    parser.add_argument("--mask", action="append", default=[])
    parser.add_argument("--layout")
    parser.add_argument("--out", type=Path, default=Path("regions.png"))
    told = parser.parse_args()
    if not told.ct:
        return page()
    case = case_of_file(told.ct, told.mask, told.layout)
    draw(case, told.out)
    sys.stdout.write(section(case, told.ct, "L3", str(told.out)) + "\n")
    return None


if __name__ == "__main__":
    main()
