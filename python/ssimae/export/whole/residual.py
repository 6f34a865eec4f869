"""Add the way from an image to its reconstruction and residual: patches, network, stitching, comparison."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ssimae.config.settings import Settings
from ssimae.export.graph import Graph
from ssimae.export.network import add_autoencoder, enlarged
from ssimae.export.whole.filters import Size, completed, continued, cut, taken, windowed
from ssimae.models.autoencoder import Autoencoder
from ssimae.similarity.window import Window, make_window
from ssimae.tiling import patch_grid

_FLIPS = ((False, True), (True, False), (True, True))
_MIDDLE = 0.5
"""Taken from gray values before their squares: variances of small numbers keep more digits."""


def add_residual(graph: Graph, model: Autoencoder, settings: Settings, image: str, size: Size) -> tuple[str, str, str]:
    """Add reconstruction, residual, and residual of each channel of an image (1, C, h, w) in [0, 1], of its size."""
    rebuilt, planes = _rebuilt(graph, model, settings, image, size)
    residual = _mean(graph, planes, settings.channels)
    for down, across in _FLIPS if settings.residual_flips else ():
        rows, columns = (
            np.arange(side)[::-1] if mirrored else np.arange(side)
            for side, mirrored in zip(size, (down, across), strict=True)
        )
        _, again = _rebuilt(graph, model, settings, taken(graph, image, rows, columns), size)
        upright = taken(graph, again, rows, columns)
        residual = graph.add("Min", residual, _mean(graph, upright, settings.channels))
        planes = residual if settings.channels == 1 else graph.add("Min", planes, upright)
    return rebuilt, residual, planes


def _rebuilt(graph: Graph, model: Autoencoder, settings: Settings, image: str, size: Size) -> tuple[str, str]:
    """Add reconstruction and residual of each channel."""
    margin, side, channels = settings.margin, settings.patch_size, settings.channels
    wide = (size[0] + 2 * margin, size[1] + 2 * margin)
    planes = continued(graph, image, size, margin, "reflect") if margin else image
    lines = [
        np.unique(patch_grid(*shape, patch_size=side, stride=settings.stride)[:, axis])
        for axis, shape in enumerate(((wide[0], side), (side, wide[1])))
    ]
    numbers = [starts[:, None] + np.arange(side) for starts in lines]
    # (1, C, rows, k, columns, k), and then a patch after the other.
    cells = graph.add("Gather", planes, graph.constant(numbers[0], np.int64), axis=2)
    cells = graph.add("Gather", cells, graph.constant(numbers[1], np.int64), axis=4)
    ordered = graph.add("Transpose", cells, perm=[0, 2, 4, 1, 3, 5])
    patches = graph.add("Reshape", ordered, graph.constant([-1, channels, side, side], np.int64))
    output = add_autoencoder(graph, model, patches)
    inner = [np.arange(margin, margin + length) for length in size]
    rebuilt = taken(graph, _stitched(graph, output, lines, channels=channels, side=side, size=wide), *inner)
    if not settings.residual_average:
        return rebuilt, compared(graph, settings, image, rebuilt, size)
    each = compared(graph, settings, patches, output, (side, side))
    return rebuilt, taken(graph, _stitched(graph, each, lines, channels=channels, side=side, size=wide), *inner)


def _stitched(
    graph: Graph, patches: str, lines: list[NDArray[np.int64]], *, channels: int, side: int, size: Size
) -> str:
    """Add the mean of patches (P, C, k, k) where they overlap, (1, C, h, w): first down, then across."""
    shape = [len(lines[0]), len(lines[1]), channels, side, side]
    cells = graph.add("Reshape", patches, graph.constant(shape, np.int64))
    # (C, rows k, columns k)
    cells = graph.add("Transpose", cells, perm=[2, 0, 3, 1, 4])
    flat = graph.constant([1, channels, shape[0] * side, shape[1] * side], np.int64)
    planes = graph.add("Reshape", cells, flat)
    for axis, (starts, length) in enumerate(zip(lines, size, strict=True), 2):
        indices, weights = _covering(starts, side, length)
        parts = []
        for index, weight in zip(indices, weights, strict=True):
            part = graph.add("Gather", planes, graph.constant(index, np.int64), axis=axis)
            parts.append(graph.calculate("Mul", part, weight[:, None] if axis == 2 else weight))
        planes = parts[0]
        for part in parts[1:]:
            planes = graph.add("Add", planes, part)
    return planes


def _covering(starts: NDArray[np.int64], side: int, length: int) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """Return which values of patches laid along a line cover each place of it, and with which weight.

    Each row of both results has a value for every place; places that fewer patches cover have weights of 0.
    """
    covered: list[list[int]] = [[] for _ in range(length)]
    for number, start in enumerate(starts.tolist()):
        for offset in range(side):
            covered[start + offset].append(number * side + offset)
    most = max(map(len, covered))
    indices = np.array([[*each, *each[:1] * (most - len(each))] for each in covered]).T
    weights = np.array([[1 / len(each)] * len(each) + [0.0] * (most - len(each)) for each in covered], np.float32).T
    return indices, weights


def compared(graph: Graph, settings: Settings, x: str, y: str, size: Size) -> str:
    """Add the residual of each channel of batches (N, C, h, w)."""
    channels = settings.channels
    if not settings.row.windowed:
        difference = graph.add("Sub", x, y)
        return graph.add("Mul", difference, difference)
    form = make_window(
        data_range=1.0, window=settings.residual_window, window_size=settings.residual_window_size,
        sigma=settings.sigma, k1=0.01, k2=0.03, c1=settings.c1, c2=settings.c2, border=settings.border,
    )  # fmt: skip
    total, sides = _loss_map(graph, form, x, y, size, channels=channels), size
    for scale in range(1, settings.n_scales):
        x, y = (
            graph.add("AveragePool", completed(graph, planes, sides, 2), kernel_shape=[2, 2], strides=[2, 2])
            for planes in (x, y)
        )
        sides = (-(-sides[0] // 2), -(-sides[1] // 2))
        means = _loss_map(graph, form, x, y, sides, channels=channels)
        total = graph.add("Add", total, cut(graph, enlarged(graph, means, 2**scale), size))
    return graph.calculate("Div", total, settings.n_scales)


def _loss_map(graph: Graph, form: Window, x: str, y: str, size: Size, *, channels: int) -> str:
    """Add 1 - SSIM of each channel, without cancellation.

    With d = x - y it is a + b - a b, where a compares means, mean(d)^2 over their constant and squares, and b what is
    left, var(d) over its constant and the variances.
    """
    x, y = (graph.calculate("Sub", planes, _MIDDLE) for planes in (x, y))
    if form.border == "zero":
        pads = graph.constant([0, 0, form.radius, form.radius] * 2, np.int64)
        x, y = (graph.add("Pad", planes, pads, graph.constant(-_MIDDLE), mode="constant") for planes in (x, y))
    else:
        x, y = (continued(graph, planes, size, form.radius, form.border) for planes in (x, y))
    d = graph.add("Sub", x, y)
    squares = [graph.add("Mul", planes, planes) for planes in (x, y, d)]
    moments = windowed(graph, graph.add("Concat", x, y, d, *squares, axis=1), 6 * channels, form.taps)
    mean_x, mean_y, mean_d, square_x, square_y, square_d = (
        graph.add(
            "Slice", moments, *(graph.constant(values, np.int64) for values in ([number], [number + channels], [1]))
        )
        for number in range(0, 6 * channels, channels)
    )

    def squared(planes: str) -> str:
        return graph.add("Mul", planes, planes)

    means = [squared(graph.calculate("Add", mean, _MIDDLE)) for mean in (mean_x, mean_y)]
    a = graph.add("Div", squared(mean_d), graph.calculate("Add", graph.add("Add", *means), form.c1))
    variances = [
        graph.calculate("Max", graph.add("Sub", square, squared(mean)), 0.0)
        for square, mean in ((square_x, mean_x), (square_y, mean_y), (square_d, mean_d))
    ]
    b = graph.add("Div", variances[2], graph.calculate("Add", graph.add("Add", *variances[:2]), form.c2))
    return graph.add("Sub", graph.add("Add", a, b), graph.add("Mul", a, b))


def _mean(graph: Graph, planes: str, channels: int) -> str:
    """Add the mean over channels, (N, 1, h, w)."""
    return planes if channels == 1 else graph.add("ReduceMean", planes, axes=[1], keepdims=1)
