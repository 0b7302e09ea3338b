"""Hospitals' DICOM in, our `Image` out, and back again: everything that is odd about DICOM ends here."""

from trabecula.dicom.series import DicomSource, SegmentationSource, Series, find_series
from trabecula.dicom.volume import read_label_map, read_series

__all__ = ["DicomSource", "SegmentationSource", "Series", "find_series", "read_label_map", "read_series"]
