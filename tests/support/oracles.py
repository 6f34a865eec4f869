"""Scored maps drawn by seed, metrics of MVTec AD by their definitions, regions by SciPy: slow, and plain to read."""

import numpy as np
from scipy import ndimage
from ssimae.regions import label_regions

STRUCTURES = {4: ndimage.generate_binary_structure(2, 1), 8: np.ones((3, 3), dtype=bool)}
"""Neighbours of a pixel, by their number."""


def random_case(
    seed: int, levels: int | None, *, ignoring: bool = False
) -> tuple[list[np.ndarray], list[np.ndarray], list[np.ndarray | None]]:
    """Return maps, masks and ignore masks of mixed sizes; `levels` distinct scores, or no ties."""
    rng = np.random.default_rng(seed)
    maps, masks, ignores = [], [], []
    for index, shape in enumerate([(12, 17), (23, 9), (8, 8), (1, 30)]):
        mask = ndimage.binary_dilation(rng.random(shape) < 0.03) if index != 2 else np.zeros(shape, dtype=bool)
        scores = rng.normal(size=shape) + 0.8 * mask
        maps.append(scores if levels is None else np.floor(scores * levels / 6))
        masks.append(mask)
        ignores.append(rng.random(shape) < 0.2 if ignoring and index != 1 else None)
    masks[0][0, 0], masks[0][-1, -1] = True, False
    if ignores[0] is not None:
        ignores[0][[0, -1], [0, -1]] = False
    return maps, masks, ignores


def pooled(
    maps: list[np.ndarray], masks: list[np.ndarray], ignores: list[np.ndarray | None]
) -> tuple[np.ndarray, np.ndarray]:
    """Return all scores, and the region each pixel lies in, 0 for none."""
    scores, regions, count = [], [], 0
    for map_, mask, ignore in zip(maps, masks, ignores, strict=True):
        kept = np.ones(map_.shape, dtype=bool) if ignore is None else ~ignore
        labels, found = ndimage.label(mask & kept, np.ones((3, 3)))
        scores.append(map_[kept])
        regions.append(np.where(labels > 0, labels + count, 0)[kept])
        count += found
    return np.concatenate(scores), np.concatenate(regions)


def official_pro(scores: np.ndarray, regions: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return FPR and PRO as MVTec AD's evaluation 1.0 computes them, without its rounding."""
    areas = np.bincount(regions)
    changes = np.where(regions > 0, 1.0 / areas[regions], 0.0)
    order = np.argsort(scores)[::-1]
    fprs = np.cumsum(regions[order] == 0) / areas[0]
    pros = (np.cumsum(changes[order], dtype=np.longdouble) / (len(areas) - 1)).astype(float)
    last_of_ties = np.append(np.diff(scores[order]) != 0, True)
    fprs, pros = fprs[last_of_ties].clip(max=1), pros[last_of_ties].clip(max=1)
    return np.concatenate([[0], fprs, [1]]), np.concatenate([[0], pros, [1]])


def area_up_to(limit: float, x: np.ndarray, y: np.ndarray) -> float:
    """Return the trapezoid area left of the limit, linear there, divided by it."""
    inside = x <= limit
    area = float(np.sum(np.diff(x[inside]) * (y[inside][1:] + y[inside][:-1]) / 2))
    if not inside.all():
        after = int(np.argmin(inside))
        height = y[after - 1] + (y[after] - y[after - 1]) * (limit - x[after - 1]) / (x[after] - x[after - 1])
        area += (limit - x[after - 1]) * (y[after - 1] + height) / 2
    return area / limit


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
