"""The measuring half of Nam 2019 and Xie 2022 on a real CT: numbers, and a picture of the voxels that were counted.

`python bench/lumbar_ct.py CT --mask vertebral_bodies=BODIES --mask vertebrae=VERTEBRAE --out regions.png`; masks as
`trabecula measure` takes them. Without a CT, that of `../shared/data/ct_totalseg_example`.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from trabecula.case import Case
from trabecula.measurement import case_of_file
from trabecula.systems.nam2019_lumbar_hu.attenuation import PLACES, attenuation, counted
from trabecula.systems.xie2022_qct_radiomics.features import cancellous, features
from trabecula.systems.xie2022_qct_radiomics.system import PUBLISHED

EXAMPLE = Path(__file__).parents[2] / "shared" / "data" / "ct_totalseg_example"
DEPTH_MM = 4.0


def example() -> Case:
    """Return the public CT with its vertebral bodies by level."""
    bodies, vertebrae = EXAMPLE / "vertebrae_body.nii.gz", EXAMPLE / "vertebrae_pp_refined.nii.gz"
    masks = [f"vertebral_bodies={bodies}", f"vertebrae={vertebrae}"]
    return case_of_file(str(EXAMPLE / "example_ct.nii.gz"), masks, "totalsegmentator")


def hounsfield(case: Case) -> dict[str, float]:
    """Return the mean HU of the vertebrae as Nam 2019 reads them."""
    image, mask = next(iter(case.images.values())), case.masks["vertebral_bodies"]
    means = attenuation(image, mask, drawn=False, slices=3)
    return {place: float(hu) for place, hu in zip(PLACES, means, strict=True) if np.isfinite(hu)}


def radiomics(case: Case, level: str = "L3") -> dict[str, float]:
    """Return the features of Xie 2022 of one vertebra."""
    image, mask = next(iter(case.images.values())), case.masks["vertebral_bodies"]
    row = features(image, mask, level=level, depth_mm=DEPTH_MM, bin_width=25.0)
    return dict(zip(row.dtype.names, row[0].tolist(), strict=True))


def draw(case: Case, path: Path, level: str = "L3") -> None:
    """Draw the slices of L1 to L5 that are counted in red, and the region of the features in blue."""
    image, mask = next(iter(case.images.values())), case.masks["vertebral_bodies"]
    slices = counted(mask, drawn=False, slices=3)
    region = np.argwhere(cancellous(mask, level=level, depth_mm=DEPTH_MM).voxels)
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


def main() -> None:
    """Print the numbers and write the picture."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("ct", nargs="?")
    parser.add_argument("--mask", action="append", default=[])
    parser.add_argument("--layout")
    parser.add_argument("--out", type=Path, default=Path("regions.png"))
    told = parser.parse_args()
    case = case_of_file(told.ct, told.mask, told.layout) if told.ct else example()
    print("mean HU of three axial slices:", ", ".join(f"{level} {hu:.1f}" for level, hu in hounsfield(case).items()))
    found = radiomics(case)
    print(f"{len(found)} features of L3 deeper than {DEPTH_MM:g} mm; those of the published rad-score:")
    for name in PUBLISHED:
        print(f"  {name} {found[name]:.4g}")
    draw(case, told.out)
    print(f"written: {told.out}")


if __name__ == "__main__":
    main()
