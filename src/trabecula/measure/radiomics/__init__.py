"""Radiomics: from an image and a mask to named features, as the standard (IBSI) or PyRadiomics defines them.

`extract(image, mask, settings=Settings(...))` is the way in; `docs/why/radiomics.md` says what it was checked against.
"""

from trabecula.measure.radiomics.extraction import extract, record
from trabecula.measure.radiomics.settings import Settings

__all__ = ["Settings", "extract", "record"]
