"""The digital phantom of IBSI-1: every consensus value within its tolerance, one test for each row of the table."""

import csv
import math
from functools import cache
from pathlib import Path

import pytest

from trabecula.image import read_nifti
from trabecula.measure.radiomics import Settings, extract

DATA = Path(__file__).parents[3] / "shared" / "data" / "ibsi"
TABLE = DATA / "digital_phantom_reference.csv"

pytestmark = pytest.mark.skipif(not TABLE.exists(), reason=f"the IBSI digital phantom is not in {DATA}")

NOT_STANDARDISED = {
    "morph_vol_dens_ombb", "morph_area_dens_ombb", "morph_vol_dens_mvee", "morph_area_dens_mvee", "ivh_auc",
}  # fmt: skip
"""The table itself has no value for these."""


def rows() -> list[dict[str, str]]:
    if not TABLE.exists():
        return []
    with TABLE.open(encoding="utf-8-sig") as file:
        return [row for row in csv.DictReader(file) if row["tag"]]


@cache
def measured() -> dict[str, float]:
    image = read_nifti(DATA / "digital_phantom/nifti/image/phantom.nii.gz", unit="stored")
    mask = read_nifti(DATA / "digital_phantom/nifti/mask/mask.nii.gz", unit="label")
    return extract(image, mask, settings=Settings())  # the phantom's values are grey levels


@pytest.mark.parametrize("row", rows(), ids=lambda row: row["tag"])
def test_consensus_value(row):
    value, reference = measured()[row["tag"]], row["reference value"]
    if not reference:
        assert row["tag"] in NOT_STANDARDISED
        assert math.isfinite(value)
        return
    assert abs(float(f"{value:.3g}") - float(reference)) <= float(row["tolerance"])


def test_names_are_the_tags_and_no_others():
    assert set(measured()) == {row["tag"] for row in rows()}
    assert len(rows()) == 487
