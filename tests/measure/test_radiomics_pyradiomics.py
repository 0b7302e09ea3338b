"""PyRadiomics's definitions, against what PyRadiomics 3.0.1 itself measured (bench/oracle_pyradiomics.py wrote it)."""

import json
import runpy
from pathlib import Path

import numpy as np
import pytest

from trabecula.image import Image
from trabecula.measure.radiomics import Settings, extract

ORACLE = runpy.run_path(str(Path(__file__).parents[2] / "bench" / "oracle_pyradiomics.py"))
THEIRS = json.loads((Path(__file__).parent / "pyradiomics_3_0_1.json").read_text())


def pair(case):
    hu, inside, spacing = ORACLE["picture"](case)
    return Image(voxels=hu, unit="HU", spacing=spacing), Image(voxels=inside, unit="label", spacing=spacing)


@pytest.mark.parametrize("case", ORACLE["CASES"])
def test_agrees_with_pyradiomics(case):
    settings = Settings.of({"definitions": "pyradiomics", **ORACLE["CASES"][case]})
    ours, theirs = extract(*pair(case), settings=settings), THEIRS["cases"][case]
    assert set(ours) == set(theirs)
    names = sorted(theirs)
    # SimpleITK's Laplacian is in single precision
    np.testing.assert_allclose(
        [ours[n] for n in names], [theirs[n] for n in names], rtol=1e-6, atol=1e-8, err_msg=str(names)
    )


def test_counts_of_features_are_those_of_the_papers():
    bone = THEIRS["cases"]["bone"]
    assert len(bone) == 851  # 107 of the image and 93 of each of eight wavelet bands
    assert sum(name.startswith("original_") for name in bone) == 107


def test_one_class_alone_is_the_same():
    some = extract(*pair("bone"), settings=Settings(definitions="pyradiomics", bin_width=25.0, families=("glrlm",)))
    assert len(some) == 16
    assert some["original_glrlm_RunVariance"] == pytest.approx(
        THEIRS["cases"]["bone"]["original_glrlm_RunVariance"], rel=1e-9
    )


def test_definitions_differ_where_they_should():
    """Kurtosis by three, axes by N against N - 1, bins by their origin: else the switch switches nothing."""
    image, mask = pair("bone")
    ibsi = extract(image, mask, settings=Settings(bin_width=25.0))
    theirs = THEIRS["cases"]["bone"]
    n = int(mask.voxels.sum())
    assert theirs["original_firstorder_Kurtosis"] == pytest.approx(ibsi["stat_kurt"] + 3, rel=1e-9)
    assert theirs["original_shape_MajorAxisLength"] == pytest.approx(
        ibsi["morph_pca_maj_axis"] * np.sqrt((n - 1) / n), rel=1e-9
    )
    assert theirs["original_glcm_JointAverage"] != pytest.approx(ibsi["cm_joint_avg_3D_avg"], rel=1e-3)
    same = extract(image, mask, settings=Settings(bin_count=16))
    counted = THEIRS["cases"]["counted"]
    assert counted["original_glcm_Contrast"] == pytest.approx(same["cm_contrast_3D_avg"], rel=0.02)
