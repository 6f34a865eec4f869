"""Labelling of masks and of dense predictions, and areas and boxes of regions, beside other packages on one thread."""

from functools import cache

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from perf.label_rivals import DISTRIBUTIONS, LABELLING, PACKAGES, STATISTICS, scipy, ssimae, ssimae_statistics

SIDES, SMALL = (1024, 4096), 256

TARGETS = {"connected-components-3d": ">= 1", "opencv": ">= 1"}


@cache
def mask_of(kind, side):
    """A few blobs as ground truth has them, noise above a level as predictions are, or every pixel at random."""
    rng = np.random.default_rng(0)
    if kind == "mask":
        mask = np.zeros((side, side), np.uint8)
        for _ in range(4):
            row, column = rng.integers(0, side - 64, 2)
            height, width = rng.integers(8, 64, 2)
            mask[row : row + height, column : column + width] = 255
        return mask
    noise = rng.standard_normal((side, side), dtype=np.float32)
    if kind == "prediction":
        noise = gaussian_filter(noise, 2)
        return (noise > np.quantile(noise, 0.7)).astype(np.uint8)
    return (noise > 0).astype(np.uint8)


KINDS = ("mask", "prediction", "every pixel at random")


@pytest.fixture
def package(benchmark):
    """Return a function that names a rival's package, or skips where it is not installed."""

    def find(name):
        pytest.importorskip(PACKAGES[name], reason=f"needs {name}, of the extra `bench`")
        if name == "opencv":
            import cv2

            cv2.setNumThreads(1)
        return DISTRIBUTIONS.get(name, name)

    return find


@pytest.mark.parametrize("name", LABELLING)
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("side", SIDES)
def test_labelling(benchmark, beside, package, name, kind, side):
    distribution, mask = package(name), mask_of(kind, SMALL if benchmark.disabled else side)
    theirs = LABELLING[name]
    (labels, count), (other, other_count) = beside(
        lambda: ssimae(mask), lambda: theirs(mask), group=f"labels of a {kind}, {side} x {side}, one thread",
        name=name, pixels=(mask.size, mask.size), target=TARGETS.get(name), packages=[distribution],
    )  # fmt: skip
    assert count == other_count
    # The same pixels belong together if pairs of labels are as many as labels.
    pairs = np.unique(labels.astype(np.int64) * (count + 1) + other)
    assert len(pairs) == len(np.unique(labels))


@pytest.mark.parametrize("name", STATISTICS)
@pytest.mark.parametrize("kind", KINDS[:2])
def test_statistics(benchmark, beside, package, name, kind):
    side = SMALL if benchmark.disabled else SIDES[0]
    distribution, mask = package(name), mask_of(kind, side)
    theirs = STATISTICS[name]
    found = beside(
        lambda: ssimae_statistics(mask), lambda: theirs(mask), group=f"areas and boxes of a {kind}, {side} x {side}",
        name=name, pixels=(mask.size, mask.size), packages=[distribution],
    )  # fmt: skip
    rows = [sorted(np.column_stack([areas, boxes]).astype(int).tolist()) for areas, boxes in found]
    assert rows[0] == rows[1]


@cache
def with_regions(count, side):
    """A mask with so many regions, all of nine pixels in all, or one pixel each where nine do not fit."""
    mask = np.zeros((side, side), np.uint8)
    step = max(2, int(side / np.ceil(np.sqrt(count))))
    width = min(3, step - 1)
    places = [(row, column) for row in range(0, side - width, step) for column in range(0, side - width, step)][:count]
    rows, columns = np.array(places).T
    for down in range(width):
        for right in range(width):
            mask[rows + down, columns + right] = 1
    return mask


@pytest.mark.parametrize("count", [1, 100, 10_000, 1_000_000])
def test_labelling_grows_with_pixels_and_runs(benchmark, beside, count):
    side, count = (SMALL, min(count, 1000)) if benchmark.disabled else (2048, count)
    first, mask = with_regions(1, side), with_regions(count, side)
    answers = beside(
        lambda: ssimae(first), lambda: ssimae(mask), group=f"labels of {side} x {side}, by number of regions",
        name=str(count), pixels=(first.size, mask.size), labels=("one", "this"),
    )  # fmt: skip
    assert answers[0][1] == 1
    assert answers[1][1] == scipy(mask)[1] == count
