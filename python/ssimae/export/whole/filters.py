"""Add what is done with planes (N, C, h, w): continue them past their border, smooth, shrink, open."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from ssimae.calibration.places import CELL
from ssimae.export.graph import Graph
from ssimae.inspection.cleaning import disk_footprint

Size = tuple[int, int]

_LARGE = 3e38
"""Stands for infinity, of which the difference with itself is no number."""


def taken(graph: Graph, planes: str, rows: NDArray[np.int64], columns: NDArray[np.int64]) -> str:
    """Add planes made of the rows and columns of these numbers, each any number of times."""
    tall = graph.add("Gather", planes, graph.constant(rows, np.int64), axis=2)
    return graph.add("Gather", tall, graph.constant(columns, np.int64), axis=3)


def continued(graph: Graph, planes: str, size: Size, reach: int, mode: str) -> str:
    """Add planes continued by `reach` pixels on every side, as ``np.pad`` does in a mode."""
    rows, columns = (np.pad(np.arange(side), reach, mode=mode) for side in size)  # type: ignore[call-overload]
    return taken(graph, planes, rows, columns)


def completed(graph: Graph, planes: str, size: Size, step: int) -> str:
    """Add planes whose last row and column are repeated until both sides are multiples of a step."""
    if not any(side % step for side in size):
        return planes
    rows, columns = (np.pad(np.arange(side), (0, -side % step), mode="edge") for side in size)
    return taken(graph, planes, rows, columns)


def cut(graph: Graph, planes: str, size: Size) -> str:
    """Add the first rows and columns of planes."""
    ends, axes, starts = (graph.constant(values, np.int64) for values in (size, (2, 3), (0, 0)))
    return graph.add("Slice", planes, starts, ends, axes)


def windowed(graph: Graph, planes: str, channels: int, taps: Sequence[float]) -> str:
    """Add the weighted means of windows of planes, which become smaller by the window less one."""
    for shape in ((len(taps), 1), (1, len(taps))):
        weights = np.tile(np.asarray(taps, np.float32).reshape(1, 1, *shape), (channels, 1, 1, 1))
        planes = graph.add("Conv", planes, graph.constant(weights), kernel_shape=list(shape), group=channels)
    return planes


def smoothed(graph: Graph, plane: str, size: Size, sigma: float) -> str:
    """Add a plane (1, 1, h, w) smoothed with a Gaussian, as inspection does."""
    reach = int(4 * sigma + 0.5)
    taps = np.exp(-0.5 / sigma**2 * np.arange(-reach, reach + 1) ** 2)
    return windowed(graph, continued(graph, plane, size, reach, "symmetric"), 1, list(taps / taps.sum()))


def cell_means(graph: Graph, planes: str, size: Size) -> str:
    """Add the means of cells of 4 x 4 pixels; the last pixels are repeated."""
    whole = completed(graph, planes, size, CELL)
    return graph.add("AveragePool", whole, kernel_shape=[CELL, CELL], strides=[CELL, CELL])


def resized(graph: Graph, planes: str, channels: int, size: Size) -> str:
    """Add planes (1, C, h, w) resized to a size, bilinear without antialiasing."""
    sizes = graph.constant([1, channels, *size], np.int64)
    return graph.add("Resize", planes, "", "", sizes, mode="linear", coordinate_transformation_mode="half_pixel")


def opened(graph: Graph, plane: str, size: Size, diameter: int) -> str:
    """Add the gray opening of a plane with a flat disk, as :func:`ssimae.inspection.cleaning.open_map` defines it."""
    disk = disk_footprint(diameter)
    # The lowest is the highest of the negative.
    eroded = _highest(graph, graph.add("Neg", plane), disk, (size[0] + diameter - 1, size[1] + diameter - 1))
    return _highest(graph, graph.add("Neg", eroded), disk[::-1, ::-1], size, first=False)


def _highest(graph: Graph, plane: str, disk: NDArray[np.bool_], size: Size, *, first: bool = True) -> str:
    """Add the highest value of the disk at each place that `size` has; what lies outside is lower than all.

    At first, disks that lie partly outside count too.
    """
    reach = len(disk) - 1 if first else 0
    padded = plane
    if reach:
        pads = graph.constant([0, 0, reach, reach] * 2, np.int64)
        padded = graph.add("Pad", plane, pads, graph.constant(-_LARGE), mode="constant")
    parts = []
    for row, line in enumerate(disk):
        left, right = int(np.argmax(line)), len(line) - int(np.argmax(line[::-1]))
        runs = graph.add("MaxPool", padded, kernel_shape=[1, right - left], strides=[1, 1])
        starts = graph.constant([row, left], np.int64)
        ends = graph.constant([row + size[0], left + size[1]], np.int64)
        parts.append(graph.add("Slice", runs, starts, ends, graph.constant([2, 3], np.int64)))
    return parts[0] if len(parts) == 1 else graph.add("Max", *parts)
