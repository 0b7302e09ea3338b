"""Write what PyRadiomics 3.0.1 measures on small made images: the outside reference of tests/measure/test_radiomics*.

    python3.9 -m venv ORACLE && ORACLE/bin/pip install "numpy<2" pyradiomics==3.0.1
    ORACLE/bin/python -I bench/oracle_pyradiomics.py tests/measure/pyradiomics_3_0_1.json

PyRadiomics needs Python 3.9 or 3.10 and numpy below 2; without `-I` bench/radiomics.py is taken for it. The tests load
`CASES` and `picture` from this file, so that both measure the same voxels.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np

CLASSES = ("shape", "firstorder", "glcm", "glrlm", "glszm", "gldm", "ngtdm")

CASES = {
    "bone": {"bin_width": 25.0, "filters": ["original", "wavelet"]},
    "counted": {"bin_count": 16, "array_shift": 1000.0},
    "within": {"bin_width": 20.0, "keep_within": [50.0, 400.0]},
    "outliers": {"bin_width": 20.0, "keep_within_sd": 1.5},
    "slice": {"bin_width": 25.0},
    "coarse": {"bin_width": 500.0},
    "resampled": {"bin_width": 25.0, "spacing_mm": [1.0, 1.0, 1.0], "interpolation": "cubic"},
    "laplacian": {"bin_width": 25.0, "filters": ["log"], "log_sigma_mm": [1.5, 3.0]},
}


def picture(case: str) -> tuple[np.ndarray, np.ndarray, tuple[float, float, float]]:
    """Make HU `[k, j, i]`, a mask, and the spacing along k, j, i in mm: a shell of bone with a cancellous inside."""
    random = np.random.RandomState(3)  # its stream is the same in all versions of numpy
    shape = (13, 24, 27)
    k, j, i = np.meshgrid(*(np.linspace(-1, 1, n) for n in shape), indexing="ij")
    radius = np.sqrt((k / 0.8) ** 2 + (j / 0.7) ** 2 + (i / 0.75) ** 2)
    noise = random.normal(size=shape)
    for axis in range(3):
        noise = (np.roll(noise, 1, axis) + noise) / np.sqrt(2)
    hu = np.where(radius < 1, np.where(radius > 0.8, 500.0, 150.0), 40.0) + 60 * noise + 40 * j
    mask = (radius < 1) & ~((j > 0.2) & (np.abs(i) < 0.15))
    if case == "slice":
        mask[np.arange(shape[0]) != 6] = False
    return np.round(hu).astype(np.int16), mask, (2.5, 0.9, 0.8)


def measure(case: str) -> dict[str, float]:
    """Return PyRadiomics's features of one case."""
    import SimpleITK
    from radiomics import featureextractor, setVerbosity

    setVerbosity(60)
    hu, mask, (k, j, i) = picture(case)
    image, region = SimpleITK.GetImageFromArray(hu), SimpleITK.GetImageFromArray(mask.astype(np.uint8))
    for volume in (image, region):
        volume.SetSpacing((i, j, k))
    told = CASES[case]
    settings = {"voxelArrayShift": told.get("array_shift", 0)}
    if "bin_count" in told:
        settings["binCount"] = told["bin_count"]
    else:
        settings["binWidth"] = told["bin_width"]
    if "keep_within" in told:
        settings["resegmentRange"] = told["keep_within"]
    if "keep_within_sd" in told:
        settings.update(resegmentRange=[-told["keep_within_sd"], told["keep_within_sd"]], resegmentMode="sigma")
    if "spacing_mm" in told:
        settings.update(resampledPixelSpacing=told["spacing_mm"][::-1], interpolator="sitkBSpline")
    extractor = featureextractor.RadiomicsFeatureExtractor(**settings)
    extractor.disableAllImageTypes()
    names = {"original": "Original", "wavelet": "Wavelet", "log": "LoG"}
    for name in told.get("filters", ["original"]):
        extractor.enableImageTypeByName(
            names[name], customArgs={"sigma": told["log_sigma_mm"]} if name == "log" else {}
        )
    found = extractor.execute(image, region)
    return {name: float(f"{float(value):.10g}") for name, value in found.items() if not name.startswith("diagnostics")}


def main() -> None:
    import radiomics
    import SimpleITK

    versions = {"pyradiomics": radiomics.__version__, "numpy": np.__version__, "simpleitk": SimpleITK.__version__}
    written = {"versions": versions, "cases": {case: measure(case) for case in CASES}}
    Path(sys.argv[1]).write_text(json.dumps(written, separators=(",", ":")).replace('},"', '},\n"') + "\n")


if __name__ == "__main__":
    main()
