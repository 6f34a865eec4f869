"""Regions of a mask as SciPy finds them."""

import numpy as np
from scipy import ndimage
from ssimae.regions import label_regions

STRUCTURES = {4: ndimage.generate_binary_structure(2, 1), 8: np.ones((3, 3), dtype=bool)}
"""Neighbours of a pixel, by their number."""


def assert_same_partition(mask: np.ndarray, connectivity: int) -> None:
    """Labels equal SciPy's after both are renumbered by first pixel."""
    labels, count = label_regions(mask, connectivity=connectivity)
    want, want_count = ndimage.label(mask != 0, STRUCTURES[connectivity])
    assert count == want_count
    assert labels.dtype == np.int32
    np.testing.assert_array_equal(labels, number_by_first_pixel(want))


def number_by_first_pixel(labels: np.ndarray) -> np.ndarray:
    numbers = {0: 0}
    for label in labels.ravel().tolist():
        numbers.setdefault(label, len(numbers))
    return np.array([numbers[label] for label in labels.ravel().tolist()], dtype=np.int32).reshape(labels.shape)
