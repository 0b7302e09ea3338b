"""Hospitals' DICOM in, our `Image` out: everything that is odd about DICOM ends here."""

from trabecula.dicom.series import DicomSource, Series, find_series
from trabecula.dicom.volume import read_series

__all__ = ["DicomSource", "Series", "find_series", "read_series"]
