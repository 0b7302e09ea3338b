"""A picture of the regions that were measured, on the image: nobody trusts an HU without seeing its circle."""

from __future__ import annotations

from itertools import cycle
from typing import TYPE_CHECKING, Any

import numpy as np

from trabecula.measure.hounsfield import REGIONS, find_place
from trabecula.measure.masks import is_level, part_mask
from trabecula.measure.vertebral_frame import HEAD, body_clouds, body_frame

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping
    from pathlib import Path

    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from numpy.typing import NDArray

    from trabecula.image import Image
    from trabecula.measure.hounsfield import RegionName

    Floats = NDArray[np.float64]

_INK = {"ellipse": "#ffd166", "eroded": "#4cc9f0", "whole": "#ff4d6d"}
_INKS = ("#ffd166", "#4cc9f0", "#ff4d6d", "#80ed99", "#c77dff", "#ff9f1c")
_STEP_MM, _MARGIN_MM = 0.75, 25.0
_WINDOW_HU = (-200.0, 500.0)
_MOST = 12  # parts in one picture


def draw_regions(
    image: Image, mask: Image | None, path: Path, regions: Collection[RegionName] = tuple(REGIONS)
) -> None:
    """Write a PNG: for each part a section across it and one along it, with the outlines of its `regions`.

    A vertebral body is cut in its own axes, through the middle of its ellipse; another bone across and along the
    patient. Parts that could not be measured say why. A picture of one slice is shown whole, with the outlines of the
    parts of its mask, or without one as it is.
    Raises `ValueError` for a mask of a volume without spacing, names or voxels, a volume without a mask, and `OSError`
    when the file cannot be written.
    """
    from matplotlib.figure import Figure  # noqa: PLC0415 takes a second

    if image.shape[0] == 1:
        _draw_picture(image, mask, path)
        return
    if mask is None:
        raise ValueError("a picture of regions in a volume needs their mask")
    clouds = body_clouds(mask)
    parts = list(clouds)[:_MOST]
    figure = Figure(figsize=(6.4, 3.0 * len(parts) + 0.5), dpi=110, facecolor="black", layout="constrained")
    axes = figure.subplots(len(parts), 2, squeeze=False)
    for row, part in zip(axes, parts, strict=True):
        places, refused = _places(mask, part, clouds, regions)
        left, back, up, middle = _axes_of(mask, part, clouds)
        for plot, across, title in zip(row, ((left, back), (back, -up)), ("across", "along"), strict=True):
            _draw(plot, image, mask, places, (middle, *across))
            plot.set_title(f"{part}, {title}", color="white", fontsize=9, loc="left")
        if refused:
            row[0].set_xlabel(refused, color="#ff9f1c", fontsize=7, wrap=True)
    _legend(figure, {name: ink for name, ink in _INK.items() if name in regions})
    more = f"; {len(clouds) - len(parts)} more parts" if len(clouds) > len(parts) else ""
    figure.suptitle(f"measured regions{more}", color="white", fontsize=10, x=0.02, ha="left")
    figure.savefig(path, format="png", facecolor="black")


def _draw_picture(image: Image, mask: Image | None, path: Path) -> None:
    """Write a picture of one slice, with the outline of each part of its mask in a colour of its own."""
    from matplotlib.figure import Figure  # noqa: PLC0415

    rows, columns = image.shape[1:]
    tall = image.spacing[1] / image.spacing[2] if image.spacing else 1.0
    figure = Figure(figsize=(6.4, min(6.4 * tall * rows / columns, 12.0) + 0.5), dpi=110, facecolor="black",
                    layout="constrained")  # fmt: skip
    plot = figure.subplots()
    low, high = np.percentile(image.voxels, (0.5, 99.5))
    plot.imshow(image.voxels[0], cmap="gray", vmin=low, vmax=high, aspect=tall)
    inks: dict[str, str] = {}
    mask = image.with_voxels(np.zeros(image.shape, dtype=np.uint8)) if mask is None else mask
    for (value, name), ink in zip((dict(mask.names) or {1: "mask"}).items(), cycle(_INKS), strict=False):
        inside = mask.voxels[0] == value if mask.names else mask.voxels[0] != 0
        if inside.any():
            plot.contour(inside, levels=[0.5], colors=[ink], linewidths=1.2)
            inks[name] = ink
    plot.set(xticks=[], yticks=[])
    _legend(figure, inks)
    figure.suptitle("measured regions" if inks else "measured: whole picture", color="white", fontsize=10, x=0.02,
                    ha="left")  # fmt: skip
    figure.savefig(path, format="png", facecolor="black")


def _legend(figure: Figure, inks: Mapping[str, str]) -> None:
    if inks:
        figure.legend(
            handles=[_line(ink) for ink in inks.values()], labels=list(inks), loc="upper right", ncols=3, fontsize=8,
            facecolor="black", labelcolor="white", framealpha=0.6,
        )  # fmt: skip


def _places(mask: Image, part: str, clouds: Any, regions: Collection[RegionName]) -> tuple[dict[str, Image], str]:
    """Return the regions of a part as masks, and why one is missing."""
    found: dict[str, Image] = {}
    refused = ""
    for name, region in REGIONS.items():
        if name not in regions or (name == "ellipse" and not is_level(part)):
            continue
        try:
            inside = find_place(mask, part, region, clouds=clouds).inside
        except ValueError as error:
            refused = str(error)
            continue
        found[name] = mask.with_voxels(inside.astype(np.uint8))
    return found, refused


def _axes_of(mask: Image, part: str, clouds: Any) -> tuple[Floats, Floats, Floats, Floats]:
    """Return the axes in which a part is cut, and where."""
    try:
        body = body_frame(part, clouds, mask) if is_level(part) else None
    except ValueError:
        body = None
    if body is not None:
        return body.left, body.back, body.up, body.middle
    middle = clouds[part].middle if part in clouds else np.argwhere(part_mask(mask, part).voxels).mean(axis=0)
    return np.array([1.0, 0.0, 0.0]), np.array([0.0, 1.0, 0.0]), HEAD, middle


def _draw(
    plot: Axes, image: Image, mask: Image, places: dict[str, Image], plane: tuple[Floats, Floats, Floats]
) -> None:
    reach = _reach(mask, places, plane)
    side = np.arange(-reach, reach + _STEP_MM / 2, _STEP_MM)
    low, high = _WINDOW_HU if image.unit == "HU" else np.percentile(image.voxels, (1, 99))
    plot.imshow(_section(image, plane, side), cmap="gray", vmin=low, vmax=high, extent=_extent(side))
    for name, place in places.items():
        shown = _section(place, plane, side)
        if shown.max() > 0.5:
            plot.contour(side, side, shown, levels=[0.5], colors=[_INK[name]], linewidths=1.2)
    plot.plot([side[0] + 4, side[0] + 14], [side[-1] - 4] * 2, color="white", linewidth=2)
    plot.text(side[0] + 9, side[-1] - 6, "10 mm", color="white", fontsize=7, ha="center", va="bottom")
    plot.set(xticks=[], yticks=[])


def _extent(side: Floats) -> tuple[float, float, float, float]:
    return float(side[0]), float(side[-1]), float(side[-1]), float(side[0])


def _reach(mask: Image, places: dict[str, Image], plane: tuple[Floats, Floats, Floats]) -> float:
    """Return half the side of the section in mm that shows a part with some of what lies about it."""
    if not places:
        return 2 * _MARGIN_MM
    shown = places.get("whole") or next(iter(places.values()))
    index = np.argwhere(shown.voxels)
    positions = index @ mask.affine[:3, :3].T + mask.affine[:3, 3] - plane[0]
    return min(float(np.percentile(np.abs(positions @ np.stack(plane[1:]).T), 99)) + _MARGIN_MM, 120.0)


def _section(image: Image, plane: tuple[Floats, Floats, Floats], side: Floats) -> Floats:
    """Return an image on a plane: rows grow along the second, columns along the first of its directions."""
    from scipy.ndimage import map_coordinates  # noqa: PLC0415

    middle, right, down = plane
    positions = middle + side[None, :, None] * right + side[:, None, None] * down
    back = np.linalg.inv(image.affine)
    index = positions @ back[:3, :3].T + back[:3, 3]
    outside = float(image.voxels.min())
    return np.asarray(
        map_coordinates(image.voxels.astype(np.float32), np.moveaxis(index, -1, 0), order=1, cval=outside)
    )


def _line(colour: str) -> Any:
    from matplotlib.lines import Line2D  # noqa: PLC0415

    return Line2D([], [], color=colour, linewidth=1.5)
