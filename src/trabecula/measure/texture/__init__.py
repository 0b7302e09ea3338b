"""Texture of radiographs: from a picture and a region to numbers with the lengths in mm that they belong to.

`measure_texture(image, mask)` is the way in; the methods (`co_occurrences`, `binary_patterns`, `gabor_energy`,
`box_dimension`, `variogram`) are plain functions of a `Patch` or an array.
"""

from trabecula.measure.texture.extraction import IN_MM, IN_PIXELS, Lengths, measure_texture

__all__ = ["IN_MM", "IN_PIXELS", "Lengths", "measure_texture"]
