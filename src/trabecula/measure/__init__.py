"""Measurements: from images and masks to numbers with units."""
