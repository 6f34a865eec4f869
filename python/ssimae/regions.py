"""Find the connected regions of a mask and measure them; the work is done in Rust."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ssimae import _rust
from ssimae.bands import bands, let_go


def label_regions(mask: NDArray[Any], *, connectivity: int = 8) -> tuple[NDArray[np.int32], int]:
    """Return the connected regions of a mask and their number.

    Parameters
    ----------
    mask : ndarray of shape (h, w), bool or any number
        Not zero is inside.
    connectivity : {4, 8}
        Whether pixels join over edges only, or over corners too.

    Returns
    -------
    labels : ndarray of shape (h, w), int32
        0 outside, 1..n inside, numbered in the order of their first pixel.
    n : int

    Raises
    ------
    ValueError
        If the mask is not two-dimensional or the connectivity is another.

    Examples
    --------
    >>> import numpy as np
    >>> import ssimae
    >>> labels, n = ssimae.label_regions(np.array([[1, 1, 0], [0, 0, 1]]), connectivity=4)
    >>> labels
    array([[1, 1, 0],
           [0, 0, 2]], dtype=int32)
    >>> n
    2
    """
    if mask.ndim != 2:
        raise ValueError(f"`mask` must have shape (h, w), got {mask.shape}")
    if connectivity not in (4, 8):
        raise ValueError(f"`connectivity` must be 4 or 8, got {connectivity}")
    if mask.dtype not in (np.uint8, np.bool_):
        mask = mask != 0
    # Where there is no region, fresh zeros are never touched.
    labels = np.zeros(mask.shape, dtype=np.int32)
    count = _rust.label_regions(np.ascontiguousarray(mask).view(np.uint8), labels, eight_connected=connectivity == 8)
    return labels, count


@dataclass(frozen=True)
class RegionStatistics:
    """Measures of n regions, by region.

    Examples
    --------
    >>> import numpy as np
    >>> import ssimae
    >>> labels, n = ssimae.label_regions(np.array([[1, 1, 0], [0, 0, 1]]))
    >>> ssimae.region_statistics(labels, n).areas
    array([3])
    """

    areas: NDArray[np.int64]
    """(n,), pixels."""
    boxes: NDArray[np.int64]
    """(n, 4): top, left, bottom, right; half-open."""
    centroids: NDArray[np.float64]
    """(n, 2): mean row and column."""
    max_scores: NDArray[np.float64]
    """(n,), NaN without scores."""
    mean_scores: NDArray[np.float64]
    """(n,), NaN without scores."""


def region_statistics(
    labels: NDArray[np.int32], n: int, *, scores: NDArray[np.float32] | NDArray[np.float64] | None = None
) -> RegionStatistics:
    """Return area, box, centroid and scores of each region.

    Parameters
    ----------
    labels : ndarray of shape (h, w), int32
        As :func:`label_regions` returns.
    n : int
        Number of regions.
    scores : ndarray of shape (h, w), float32 or float64, or None
        Map whose maximum and mean over each region are taken.

    Raises
    ------
    ValueError
        If a label exceeds `n` or the shapes differ.

    Examples
    --------
    >>> import numpy as np
    >>> import ssimae
    >>> scores = np.array([[0.5, 0.7, 0.0], [0.0, 0.0, 0.9]])
    >>> labels, n = ssimae.label_regions(scores > 0.1, connectivity=4)
    >>> ssimae.region_statistics(labels, n, scores=scores).max_scores
    array([0.7, 0.9])
    """
    if scores is not None and scores.shape != labels.shape:
        raise ValueError(f"`scores` must have the shape of `labels` {labels.shape}, got {scores.shape}")
    map_: NDArray[np.float32] | NDArray[np.float64] | None = None
    if scores is not None:
        double = scores.dtype == np.float64
        map_ = np.ascontiguousarray(scores, np.float64) if double else np.ascontiguousarray(scores, np.float32)
    return _statistics(_rust.measure_regions(np.ascontiguousarray(labels, dtype=np.int32), n, map_))


def keep_large_regions(
    mask: NDArray[np.bool_],
    scores: NDArray[np.float32],
    *,
    min_area: int,
    distance: int = 0,
    above: float = -np.inf,
    min_length: float = 0,
) -> RegionStatistics:
    """Clear all regions of a mask that do not keep some rules, and return the measures of the others.

    They are in the order of their first pixel. No image of labels is made: beside the mask, memory is needed for its
    runs alone.

    Parameters
    ----------
    mask : ndarray of shape (h, w), bool, C-contiguous
        Changed in place.
    scores : ndarray of shape (h, w), float32
        Map whose maximum and mean over each region are taken.
    min_area : int
        Fewest pixels of a region.
    distance : int
        8-connected regions of which two pixels' centres lie at most so many pixels apart are one.
    above : float
        What the highest score of a region must exceed.
    min_length : float
        Least length of a region: the largest distance between the centres of two of its pixels, and one.

    Raises
    ------
    ValueError
        If the shapes differ.
    """
    if scores.shape != mask.shape:
        raise ValueError(f"`scores` must have the shape of `mask` {mask.shape}, got {scores.shape}")
    regions = _rust.LargeRegions(mask.view(np.uint8), distance=distance, min_area=min_area, eight_connected=True)
    for band in bands(*mask.shape):
        regions.add(np.ascontiguousarray(scores[band.rows]))
        let_go(scores)
    found = _statistics(regions.measures())
    kept = found.max_scores > above
    if min_length > 1:
        kept &= regions.lengths() >= min_length
    if not kept.all():
        regions.keep_only(mask.view(np.uint8), kept.tolist())
        found = _statistics(regions.measures())
    return found


def open_levels(levels: NDArray[np.uint8], *, min_area: int) -> NDArray[np.uint8]:
    """Return a map of levels whose pixels above any level are those in large regions above it.

    Parameters
    ----------
    levels : ndarray of shape (h, w), uint8
    min_area : int
        Pixels of an 8-connected region that is kept.

    Returns
    -------
    ndarray of shape (h, w), uint8
        Each pixel the highest level at or above which it lies in such a region; 0 where there is none. This is the area
        opening, so the segmentation of :func:`ssimae.inspection.verdict.segment` at every level at once.
    """
    opened = np.empty(levels.shape, np.uint8)
    _rust.open_levels(np.ascontiguousarray(levels), opened, min_area=min_area)
    return opened


def outline_region(mask: NDArray[np.bool_], box: tuple[int, int, int, int]) -> NDArray[np.int64]:
    """Return the polygon round an 8-connected region of a mask, along the edges of its pixels.

    Parameters
    ----------
    mask : ndarray of shape (h, w), bool, C-contiguous
    box : tuple of int
        Top, left, bottom and right of the region, half-open. No two regions fill the same box.

    Returns
    -------
    ndarray of shape (n, 2), int64
        Corners where the outline changes its direction, x and y, clockwise as one sees it. The pixel of a row and a
        column lies between x = column and column + 1, and between y = row and row + 1. Holes are not cut out.

    Raises
    ------
    ValueError
        If no region fills the box.
    """
    return _rust.outline_region(mask.view(np.uint8), box)


def _statistics(found: _rust.RegionMeasures) -> RegionStatistics:
    return RegionStatistics(found.areas, found.boxes, found.centroids, found.max_scores, found.mean_scores)
