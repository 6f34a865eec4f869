"""Add the calibration of maps by what good images show at a like place, and what a whole image measures."""

from __future__ import annotations

import numpy as np

from ssimae.calibration.calibration import Calibration
from ssimae.calibration.colour import ColourDistance
from ssimae.calibration.places import CELL, N_BORDER, place_features
from ssimae.calibration.reference import Reference
from ssimae.config.settings import Settings
from ssimae.export.graph import Graph
from ssimae.export.network import enlarged
from ssimae.export.whole.filters import Size, cell_means, cut, smoothed

_MIDDLE = 0.5
_LEAST_SPREAD = 1 / 300
_MOST_SPREADS = 4.0
_LEAST_CONTRAST, _LEAST_SHARPNESS = 1e-3, 1e-4


def add_joined(
    graph: Graph, reference: Reference, maps: dict[str, str], gray: str, size: Size, *, settings: Settings
) -> str:
    """Add the calibrated map of all kinds; `gray` is the reconstruction, (1, 1, h, w)."""
    features = _features(graph, gray, size)
    total, *others = (
        graph.calculate("Mul", _log_ratio(graph, reference.channels[name], maps[name], features, size), weight)
        for name, weight in reference.weights(maps, settings).items()
    )
    for logs in others:
        total = graph.add("Add", total, logs)
    return graph.add("Exp", total)


def add_distance(graph: Graph, colour: ColourDistance, planes: str) -> str:
    """Add how far the residuals of the channels, (1, C, h, w), are from those of good images, (1, 1, h, w)."""
    channels = len(colour.mean)
    logs = graph.add("Log", graph.calculate("Add", planes, colour.offset.reshape(1, -1, 1, 1)))
    centred = graph.calculate("Sub", logs, colour.mean.reshape(1, -1, 1, 1))
    kernel = graph.constant(colour.whitening[:, :, None, None])
    white = graph.add("Conv", centred, kernel, kernel_shape=[1, 1])
    mean = graph.add("ReduceMean", graph.add("Mul", white, white), axes=[1], keepdims=1)
    return graph.add("Sqrt", graph.calculate("Mul", mean, channels))


def _log_ratio(graph: Graph, calibration: Calibration, values: str, features: str, size: Size) -> str:
    expectation = calibration.expectation
    ends = (graph.constant(number, np.int64) for number in ([0], [expectation.n_features], [1]))
    places = graph.add("Slice", features, *ends)
    places = graph.calculate("Sub", places, expectation.mean.reshape(1, -1, 1, 1))
    places = graph.calculate("Div", places, expectation.spread.reshape(1, -1, 1, 1))
    places = graph.add("Clip", places, graph.constant(-_MOST_SPREADS), graph.constant(_MOST_SPREADS))
    layers = list(zip(expectation.weights, expectation.biases, strict=True))
    for number, (weight, bias) in enumerate(layers, 1):
        kernel = graph.constant(weight.T[:, :, None, None])
        places = graph.add("Conv", places, kernel, graph.constant(bias), kernel_shape=[1, 1])
        if number < len(layers):
            places = graph.add("Relu", places)
    cells = tuple(-(-side // CELL) for side in size)
    if calibration.position is not None and calibration.position.shape == cells:
        places = graph.calculate("Add", places, calibration.position[None, None])
    usual = cut(graph, enlarged(graph, places, CELL), size)
    return graph.add("Sub", graph.add("Log", graph.calculate("Add", values, calibration.offset)), usual)


def _features(graph: Graph, gray: str, size: Size) -> str:
    """Add the features of :func:`ssimae.calibration.places.place_features`, (1, F, rows, columns)."""
    # Those of the border depend on the size alone.
    border = place_features(np.zeros(size, np.float32))[:, :, :N_BORDER]
    centred = graph.calculate("Sub", gray, _MIDDLE)
    squares = graph.add("Mul", centred, centred)
    cells = (-(-size[0] // CELL), -(-size[1] // CELL))

    def spread(mean: str, square: str) -> str:
        variance = graph.add("Sub", square, graph.add("Mul", mean, mean))
        return graph.add("Sqrt", graph.calculate("Max", variance, 0.0))

    def logarithm(values: str) -> str:
        return graph.add("Log", graph.calculate("Add", values, _LEAST_SPREAD))

    levels, spreads = [], []
    for sigma in (2.0, float(CELL)):
        mean = smoothed(graph, centred, size, sigma)
        levels.append(cell_means(graph, mean, size))
        spreads.append(cell_means(graph, spread(mean, smoothed(graph, squares, size, sigma)), size))
    coarse, coarse_squares = (
        smoothed(graph, cell_means(graph, planes, size), cells, CELL) for planes in (centred, squares)
    )
    slopes = [graph.add("Mul", slope, slope) for slope in _gradients(graph, smoothed(graph, gray, size, 1.0), size)]
    steepness = smoothed(graph, cell_means(graph, graph.add("Sqrt", graph.add("Add", *slopes)), size), cells, 1.0)
    return graph.add(
        "Concat",
        graph.constant(np.moveaxis(border, 2, 0)[None]),
        *(graph.calculate("Add", level, _MIDDLE) for level in (*levels, coarse)),
        *(logarithm(values) for values in (*spreads, spread(coarse, coarse_squares), steepness)),
        axis=1,
    )


def _gradients(graph: Graph, plane: str, size: Size) -> list[str]:
    """Add the slopes down and across, as ``np.gradient`` takes them."""
    slopes = []
    for axis, length in enumerate(size, 2):
        after = np.minimum(np.arange(length) + 1, length - 1)
        before = np.maximum(np.arange(length) - 1, 0)
        steps = (after - before).astype(np.float32)
        difference = graph.add(
            "Sub",
            *(graph.add("Gather", plane, graph.constant(index, np.int64), axis=axis) for index in (after, before)),
        )
        slopes.append(graph.calculate("Div", difference, steps[:, None] if axis == 2 else steps))
    return slopes


def add_measures(graph: Graph, gray: str, size: Size) -> str:
    """Add gray level, contrast and sharpness of a whole image (1, 1, h, w), (3,)."""

    def mean(planes: str) -> str:
        return graph.add("ReduceMean", planes, axes=[2, 3], keepdims=1)

    def deviation(planes: str, least: float) -> str:
        centred = graph.add("Sub", planes, mean(planes))
        root = graph.add("Sqrt", mean(graph.add("Mul", centred, centred)))
        return graph.calculate("Add", root, least)

    fine = graph.add("Sub", gray, smoothed(graph, gray, size, 1.0))
    contrast = graph.add("Log", deviation(gray, _LEAST_CONTRAST))
    sharpness = graph.add("Sub", graph.add("Log", deviation(fine, _LEAST_SHARPNESS)), contrast)
    measures = graph.add("Concat", mean(gray), contrast, sharpness, axis=1)
    return graph.add("Reshape", measures, graph.constant([3], np.int64))
