"""Categories of a benchmark, with the stored maps of detectors, so small that all are scored in a second."""

from pathlib import Path

import numpy as np
import tifffile
from PIL import Image
from scipy import ndimage

SIZE = (40, 56)
IMAGES = [("cut", "1"), ("cut", "2"), ("good", "1"), ("good", "2"), ("stain", "1")]
"""Test images of each category, in the order of a data set."""


def write_category(root: Path, seed: int) -> Path:
    """Write a data set in MVTec AD's layout."""
    rng = np.random.default_rng(seed)
    write_gray(root / "train" / "good" / "0.png", rng.integers(0, 255, SIZE))
    for defect, name in IMAGES:
        write_gray(root / "test" / defect / f"{name}.png", rng.integers(0, 255, SIZE))
        if defect != "good":
            mask = ndimage.binary_dilation(rng.random(SIZE) < 0.004, iterations=3)
            write_gray(root / "ground_truth" / defect / f"{name}_mask.png", 255 * mask)
    return root


def write_gray(path: Path, array: np.ndarray) -> None:
    """Write an 8-bit image and the folders above it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(array.astype(np.uint8)).save(path)


def masks_of(category: Path) -> list[np.ndarray]:
    """Return the mask of each image, in the order of `IMAGES`."""
    paths = [category / "ground_truth" / defect / f"{name}_mask.png" for defect, name in IMAGES]
    return [np.array(Image.open(path)) > 0 if path.exists() else np.zeros(SIZE, bool) for path in paths]


def write_maps(root: Path, category: Path, gain: float, seed: int = 0) -> list[np.ndarray]:
    """Write noisy maps of a category in which defects stand out by `gain`; return them in the order of `IMAGES`."""
    rng = np.random.default_rng(seed)
    maps = [(rng.normal(size=SIZE) + gain * mask).astype(np.float32) for mask in masks_of(category)]
    for (defect, name), map_ in zip(IMAGES, maps, strict=True):
        path = root / "test" / defect / f"{name}.tiff"
        path.parent.mkdir(parents=True, exist_ok=True)
        tifffile.imwrite(path, map_)
    return maps
