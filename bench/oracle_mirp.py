"""Write what MIRP measures under configurations A to E of IBSI-1: the outside reference for resampling and the rest.

    python3.10 -m venv ORACLE && ORACLE/bin/pip install mirp==2.5.0
    ORACLE/bin/python bench/oracle_mirp.py tests/measure/mirp_2_5_0.json

MIRP reproduces the consensus values of the standard's CT phantom (its `test/ibsi_1_test.py`). The picture is that of
`oracle_pyradiomics.py`; with `--ct CT.nii.gz MASK.nii.gz` that of a CT instead.
"""

from __future__ import annotations

import argparse
import json
import re
import tempfile
import warnings
from pathlib import Path

import numpy as np

CONFIGURATIONS = {
    "A": {"keep_within": [-500.0, 400.0], "bin_width": 25.0},
    "B": {"keep_within": [-500.0, 400.0], "bin_count": 32, "spacing_mm": [None, 2.0, 2.0]},
    "C": {
        "keep_within": [-1000.0, 400.0], "bin_width": 25.0, "spacing_mm": [2.0, 2.0, 2.0], "ivh_bin_width": 2.5,
    },
    "D": {"keep_within_sd": 3.0, "bin_count": 32, "spacing_mm": [2.0, 2.0, 2.0]},
    "E": {
        "keep_within": [-1000.0, 400.0], "keep_within_sd": 3.0, "bin_count": 32, "spacing_mm": [2.0, 2.0, 2.0],
        "interpolation": "cubic", "ivh_bin_count": 1000,
    },
}  # fmt: skip
"""As our settings say them; A and B are measured slice by slice, the others in space."""

_WAYS = {
    "2d_avg": "2D_avg", "2d_s_mrg": "2D_comb", "2.5d_d_mrg": "2_5D_avg", "2.5d_v_mrg": "2_5D_comb",
    "3d_avg": "3D_avg", "3d_v_mrg": "3D_comb", "2d": "2D", "2.5d": "2_5D", "3d": "3D",
}  # fmt: skip


def tag(column: str) -> str | None:
    """Turn MIRP's name of a feature into the tag of the standard; `None` for what is no feature of the standard."""
    name = re.sub(r"_(fbs_w[0-9.]+|fbn_n[0-9]+)$", "", column)
    if re.match(r"(morph|loc|stat|ih|ivh)_", name):
        return name
    texture = r"((?:cm|rlm|szm|dzm|ngt|ngl)_.*?)(?:_d1(?:\.0)?)?(?:_a0(?:\.0)?)?_(2d|2\.5d|3d)(_avg|_[sdv]_mrg)?$"
    found = re.match(texture, name)
    return f"{found[1]}_{_WAYS[found[2] + (found[3] or '')]}" if found else None


def aggregations(name: str) -> tuple[str, ...]:
    """Return ours for one configuration."""
    return ("2D_avg", "2D_comb", "2_5D_avg", "2_5D_comb") if name in "AB" else ("3D_avg", "3D_comb")


def settings_of(name: str) -> dict:
    """Say a configuration in MIRP's words."""
    told, flat = CONFIGURATIONS[name], name in "AB"
    directed = ["2d_average", "2d_slice_merge", "2.5d_direction_merge", "2.5d_volume_merge"]
    directed = directed if flat else ["3d_average", "3d_volume_merge"]
    plain = ["2d", "2.5d"] if flat else ["3d"]
    settings: dict = {
        "by_slice": flat,
        "no_approximation": True,
        "anti_aliasing": False,
        "base_feature_families": "all",
    }
    settings.update({f"{family}_spatial_method": directed for family in ("glcm", "glrlm")})
    settings.update({f"{family}_spatial_method": plain for family in ("glszm", "gldzm", "ngtdm", "ngldm")})
    methods = []
    if "keep_within" in told:
        methods.append("range")
        settings["resegmentation_intensity_range"] = told["keep_within"]
    if "keep_within_sd" in told:
        methods.append("outlier")
        settings["resegmentation_sigma"] = told["keep_within_sd"]
    settings["resegmentation_method"] = methods
    if "bin_width" in told:
        settings.update(base_discretisation_method="fixed_bin_size", base_discretisation_bin_width=told["bin_width"])
    else:
        settings.update(base_discretisation_method="fixed_bin_number", base_discretisation_n_bins=told["bin_count"])
    if "ivh_bin_width" in told:
        settings.update(ivh_discretisation_method="fixed_bin_size", ivh_discretisation_bin_width=told["ivh_bin_width"])
    if "ivh_bin_count" in told:
        settings.update(ivh_discretisation_method="fixed_bin_number", ivh_discretisation_n_bins=told["ivh_bin_count"])
    if "spacing_mm" in told:
        settings.update(new_spacing=2.0, roi_spline_order=1)
        settings["spline_order"] = 3 if told.get("interpolation") == "cubic" else 1
    return settings


def measure(name: str, image: str, mask: str) -> dict[str, float]:
    """Return MIRP's features of two files under one configuration."""
    import mirp

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        (table,) = mirp.extract_features(image=image, mask=mask, image_modality="ct", **settings_of(name))
    row = table.iloc[0]
    found = {tag(column): row[column] for column in table.columns if tag(column)}
    return {name: float(f"{float(value):.10g}") for name, value in found.items() if np.isfinite(float(value))}


def written(folder: Path) -> tuple[str, str]:
    """Write the picture and its mask as files."""
    import runpy

    import itk

    hu, mask, (k, j, i) = runpy.run_path(str(Path(__file__).with_name("oracle_pyradiomics.py")))["picture"]("bone")
    paths = []
    for name, voxels in (("image", hu), ("mask", mask.astype(np.uint8))):
        volume = itk.image_from_array(voxels)
        volume.SetSpacing([i, j, k])
        paths.append(str(folder / f"{name}.nii.gz"))
        itk.imwrite(volume, paths[-1])
    return paths[0], paths[1]


def main() -> None:
    from importlib.metadata import version

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("output", type=Path)
    parser.add_argument("--ct", nargs=2, metavar=("IMAGE", "MASK"))
    told = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        image, mask = told.ct or written(Path(folder))
        found = {name: measure(name, image, mask) for name in CONFIGURATIONS}
    versions = {name: version(name) for name in ("mirp", "numpy", "scipy", "scikit-image")}
    text = json.dumps({"versions": versions, "configurations": found}, separators=(",", ":"))
    told.output.write_text(text.replace('},"', '},\n"') + "\n")


if __name__ == "__main__":
    main()
