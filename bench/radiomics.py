"""Speed of radiomics beside PyRadiomics and MIRP on the same voxels, as ratios of one run.

    python bench/radiomics.py [--pyradiomics ORACLE/bin/python] [--mirp ORACLE/bin/python]

The oracles live in environments of their own (see oracle_pyradiomics.py and oracle_mirp.py); without them ours alone is
timed. One thread each. Seconds are medians, of the wall and of the processor: on a machine that does other things the
second is the fairer one.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

for _name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "ITK_GLOBAL_DEFAULT_NUMBER_OF_THREADS"):
    os.environ.setdefault(_name, "1")

BIN_HU = 25
Times = tuple[float, float]


def vertebra(scale: float = 1.0) -> tuple[np.ndarray, np.ndarray]:
    """Make HU and mask `[k, j, i]` at 1 mm of a body with cortex and correlated grain; 34,000 voxels at scale 1."""
    from scipy.ndimage import gaussian_filter

    half = np.array([13.5, 17.5, 22.5]) * scale
    grids = [np.arange(-int(h) - 4, int(h) + 5) for h in half]
    k, j, i = np.meshgrid(*grids, indexing="ij")
    depth = np.minimum(half[0] + 0.5 - np.abs(k), (1 - np.hypot(j / half[1], i / half[2])) * half[1])
    grain = gaussian_filter(np.random.default_rng(0).normal(size=k.shape), 0.8)
    hu = np.where(depth > 2, 150, np.where(depth > 0, 450, 40)) + 70 * grain / grain.std()
    return np.round(hu).astype(np.int16), depth > 0


def timed(work: Callable[[], object], runs: int) -> Times:
    """Return median seconds of the wall and of the processor, after one run that warms up."""
    work()
    wall, processor = [], []
    for _ in range(runs):
        start, began = time.perf_counter(), time.process_time()
        work()
        wall.append(time.perf_counter() - start)
        processor.append(time.process_time() - began)
    return statistics.median(wall), statistics.median(processor)


def ours(hu: np.ndarray, mask: np.ndarray, runs: int, **told: object) -> Times:
    from trabecula.image import Image
    from trabecula.measure.radiomics import Settings, extract

    spacing = (1.0, 1.0, 1.0)
    image, region = Image(voxels=hu, unit="HU", spacing=spacing), Image(voxels=mask, unit="label", spacing=spacing)
    settings = Settings(bin_width=float(BIN_HU), **told)
    return timed(lambda: extract(image, region, settings=settings), runs)


def spine(levels: int, runs: int) -> Times:
    """Measure every level of one label map, as a cohort does."""
    from trabecula.image import Image
    from trabecula.measure.radiomics import Settings, extract

    hu, mask = vertebra()
    labels = np.concatenate([mask * np.uint8(level + 1) for level in range(levels)])
    spacing = (1.0, 1.0, 1.0)
    image = Image(voxels=np.tile(hu, (levels, 1, 1)), unit="HU", spacing=spacing)
    region = Image(voxels=labels, unit="label", spacing=spacing)
    settings = Settings(definitions="pyradiomics", bin_width=float(BIN_HU))
    return timed(lambda: [extract(image, region, settings=settings, label=n + 1) for n in range(levels)], runs)


def pyradiomics(hu: np.ndarray, mask: np.ndarray, runs: int) -> Times:
    import SimpleITK
    from radiomics import featureextractor, setVerbosity

    setVerbosity(60)
    image, region = SimpleITK.GetImageFromArray(hu), SimpleITK.GetImageFromArray(mask.astype(np.uint8))
    extractor = featureextractor.RadiomicsFeatureExtractor(binWidth=BIN_HU)
    return timed(lambda: extractor.execute(image, region), runs)


def mirp(hu: np.ndarray, mask: np.ndarray, runs: int) -> Times:
    import logging
    import warnings

    import mirp as library

    warnings.simplefilter("ignore")
    logging.disable(logging.CRITICAL)
    families = ["morphological", "statistical", "glcm", "glrlm", "glszm", "ngtdm", "ngldm"]
    settings = {
        "base_feature_families": families,
        "base_discretisation_method": "fixed_bin_size",
        "base_discretisation_bin_width": float(BIN_HU),
        "resegmentation_method": "range",
        "resegmentation_intensity_range": [-1000.0, 3000.0],
        "glcm_spatial_method": "3d_average",
        "glrlm_spatial_method": "3d_average",
        **{f"{family}_spatial_method": "3d" for family in ("glszm", "ngtdm", "ngldm")},
    }
    image, region = hu.astype(float), mask.astype(np.uint8)
    return timed(
        lambda: library.extract_features(image=image, mask=region, image_modality="ct", **settings), min(runs, 3)
    )


def theirs(library: str, python: str, hu: np.ndarray, mask: np.ndarray, runs: int) -> Times:
    """Let another interpreter run this file on the same voxels."""
    with tempfile.TemporaryDirectory() as folder:
        voxels = Path(folder) / "vertebra.npz"
        np.savez(voxels, hu=hu, mask=mask)
        command = [python, "-I", __file__, "--as", library, "--voxels", str(voxels), "--runs", str(runs)]
        done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    wall, processor = json.loads(done.stdout.strip().splitlines()[-1])
    return wall, processor


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pyradiomics", help="a Python that has PyRadiomics")
    parser.add_argument("--mirp", help="a Python that has MIRP")
    parser.add_argument("--runs", type=int, default=7)
    parser.add_argument("--as", dest="library", choices=["pyradiomics", "mirp"], help=argparse.SUPPRESS)
    parser.add_argument("--voxels", help=argparse.SUPPRESS)
    told = parser.parse_args()
    if told.library:
        with np.load(told.voxels) as given:
            work = {"pyradiomics": pyradiomics, "mirp": mirp}[told.library]
            print(json.dumps(work(given["hu"], given["mask"], told.runs)))
        return
    hu, mask = vertebra()
    base = ours(hu, mask, told.runs, definitions="pyradiomics")
    print(f"one vertebra, {mask.sum():,} voxels at 1 mm, bins of {BIN_HU} HU, one thread; seconds: wall, processor")

    def line(name: str, times: Times, note: str = "") -> None:
        print(f"  {name:<44}{times[0]:8.3f}{times[1]:8.3f}   {note}")

    line("ours, PyRadiomics's classes", base, "aim: 0.10")
    line("ours, the standard, in space (3D_avg)", ours(hu, mask, told.runs, aggregations=("3D_avg",)))
    line("ours, the standard, all aggregations", ours(hu, mask, told.runs))
    both = ("original", "wavelet")
    line("ours, 851 features, with wavelets", ours(hu, mask, 3, definitions="pyradiomics", filters=both))
    for name, library, python, wanted in (
        ("PyRadiomics", "pyradiomics", told.pyradiomics, 1),
        ("MIRP, the same classes, 3D_avg", "mirp", told.mirp, 12),
    ):
        if python:
            times = theirs(library, python, hu, mask, told.runs)
            ratio = f"{times[0] / base[0]:.1f} and {times[1] / base[1]:.1f}"
            line(name, times, f"{ratio} times ours; at least {wanted} is wanted")
    line("ours, a spine of 17 levels", spine(17, 3), "below 3 is wanted")
    print("cost by size, PyRadiomics's classes")
    for scale in (0.5, 1.0, 2.0):
        hu, mask = vertebra(scale)
        wall, processor = ours(hu, mask, 3, definitions="pyradiomics")
        per_million = f"{1e6 * processor / mask.sum():.2f} s per million"
        print(f"  {mask.sum():>10,} voxels{wall:8.3f}{processor:8.3f}   {per_million}")


if __name__ == "__main__":
    main()
