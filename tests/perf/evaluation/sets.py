"""Anomaly maps and masks made by seed: smooth noise, higher near defects; every fifth image is good."""

import numpy as np
from scipy.ndimage import gaussian_filter

SETS = {"50 x 512 x 512": (50, 512), "117 x 1024 x 1024": (117, 1024)}
SMALL = (6, 128)

LARGEST_DEFECT = 40
HEAVY_TAIL = 16
"""Power that spreads scores over many orders of magnitude, and leaves every rank as it is."""


def make(count, side, *, heavy_tailed=False):
    """Return maps and masks, (N, H, W) float32 in [0, 1] and uint8."""
    rng = np.random.default_rng(0)
    maps, masks = np.empty((count, side, side), np.float32), np.zeros((count, side, side), np.uint8)
    for index, mask in enumerate(masks):
        for _ in range(index % 5):
            row, column = rng.integers(0, side - LARGEST_DEFECT, 2)
            height, width = rng.integers(4, LARGEST_DEFECT, 2)
            mask[row : row + height, column : column + width] = 1
        noise = gaussian_filter(rng.standard_normal((side, side), dtype=np.float32), 2)
        near = gaussian_filter(mask.astype(np.float32), 3)
        maps[index] = 1 / (1 + np.exp(-4 * (noise / 0.14 * 0.4 + near - 1)))
    return (maps**HEAVY_TAIL if heavy_tailed else maps), masks
