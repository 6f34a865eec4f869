"""Write the networks as graphs: the autoencoder over patches, and the head over pixels."""

from __future__ import annotations

import numpy as np
from torch import nn

from ssimae.export.graph import Graph
from ssimae.models.autoencoder import Autoencoder
from ssimae.models.fast.inspecting import Doubling
from ssimae.models.head import Head

PATCHES, RECONSTRUCTIONS = "patches_0_to_1", "reconstructions"
"""Names of what goes into the autoencoder, and of what comes out."""

IMAGE, RECONSTRUCTION, RESIDUAL, DEFECTS = "image_0_to_1", "reconstruction", "residual", "defects"
"""Names of what goes into the head, and of what comes out."""


def network_graph(model: Autoencoder, metadata: dict[str, str], *, doubled: bool = False) -> bytes:
    """Return the graph of an autoencoder, for any number of patches, float32 (P, C, k, k) in [0, 1].

    Parameters
    ----------
    model : Autoencoder
    metadata : dict of str to str
    doubled : bool
        Whether the last layer is the ordinary convolution of :class:`ssimae.models.fast.inspecting.Doubling`.
    """
    graph = Graph("ssimae autoencoder")
    shape = ("patches", model.channels, model.patch_size, model.patch_size)
    patches = graph.input(PATCHES, shape)
    rebuilt = _add_doubled(graph, model, patches) if doubled else add_autoencoder(graph, model, patches)
    graph.output(rebuilt, RECONSTRUCTIONS, shape)
    return graph.to_bytes(metadata)


def head_graph(head: Head, metadata: dict[str, str]) -> bytes:
    """Return the graph of a head, for images whose sides are multiples of 8."""
    graph = Graph("ssimae head")
    sides = ("height", "width")
    image, rebuilt = (graph.input(name, (1, head.channels, *sides)) for name in (IMAGE, RECONSTRUCTION))
    residual = graph.input(RESIDUAL, (1, 1, *sides))
    said = add_head(graph, head, image, rebuilt, residual)
    found = said[0] if len(said) == 1 else graph.add("Concat", *said, axis=1)
    graph.output(found, DEFECTS, (1, len(said), *sides))
    return graph.to_bytes(metadata)


def add_autoencoder(graph: Graph, model: Autoencoder, patches: str) -> str:
    """Add the layers from top to bottom; returns the reconstruction."""
    value = patches
    for layer in [*model.encoder, *model.decoder]:
        value = _add_layer(graph, layer, value)
    return value


def _add_doubled(graph: Graph, model: Autoencoder, patches: str) -> str:
    """Add the layers, the last as a convolution whose pixels are laid out; returns the reconstruction."""
    *layers, last = [*model.encoder, *model.decoder]
    value = patches
    for layer in layers:
        value = _add_layer(graph, layer, value)
    assert isinstance(last, nn.ConvTranspose2d)
    doubling = Doubling(last)
    arrays = [graph.constant(part.float().cpu().contiguous().numpy()) for part in (doubling.weight, doubling.bias)]
    squares = graph.add("Conv", value, *arrays, kernel_shape=[2, 2], strides=[1, 1], pads=[1] * 4)
    ends = [graph.constant(numbers, np.int64) for numbers in ([1, 1], [-1, -1], [2, 3])]
    return graph.add("Slice", graph.add("DepthToSpace", squares, blocksize=2, mode="CRD"), *ends)


def add_head(graph: Graph, head: Head, image: str, rebuilt: str, residual: str) -> list[str]:
    """Add what a head does with images whose sides are multiples of 8.

    Returns probabilities of their size, and the distance from good surfaces where the head knows them.
    """
    level = graph.add("Log", graph.calculate("Add", graph.calculate("Max", residual, 0.0), 0.05))
    planes = graph.add(
        "Concat",
        graph.calculate("Sub", graph.calculate("Mul", image, 2.0), 1.0),
        graph.calculate("Sub", graph.calculate("Mul", rebuilt, 2.0), 1.0),
        graph.calculate("Mul", graph.add("Sub", image, rebuilt), 4.0),
        graph.calculate("Add", level, 1.5),
        axis=1,
    )

    def followed(layer: nn.Module, value: str) -> str:
        return graph.add("LeakyRelu", _add_layer(graph, layer, value), alpha=head.middle[1].negative_slope)

    def halved(value: str) -> str:
        return graph.add("AveragePool", value, kernel_shape=[2, 2], strides=[2, 2])

    def added(layers: nn.Sequential, value: str) -> str:
        for layer in layers:
            value = _add_layer(graph, layer, value)
        return value

    fine = followed(head.fine, followed(head.stem, planes))
    middle = added(head.middle, halved(fine))
    coarse = added(head.coarse, halved(middle))
    wide = enlarged(graph, _add_layer(graph, head.from_coarse, coarse), 2)
    middle = followed(head.to_middle, graph.add("Concat", wide, middle, axis=1))
    wide = enlarged(graph, _add_layer(graph, head.from_middle, middle), 2)
    fine = followed(head.to_fine, graph.add("Concat", wide, fine, axis=1))
    said = [graph.add("Sigmoid", enlarged(graph, _add_layer(graph, head.last, fine), 2))]
    if head.whiten is not None:
        seen = _add_layer(graph, head.whiten, graph.add("Concat", halved(fine), middle, axis=1))
        squares = graph.add("ReduceMean", graph.add("Mul", seen, seen), axes=[1], keepdims=1)
        said.append(enlarged(graph, graph.add("Sqrt", squares), 4))
    return said


def enlarged(graph: Graph, value: str, factor: int) -> str:
    """Return images (N, C, h, w) enlarged by a whole factor, bilinear."""
    scales = graph.constant([1, 1, factor, factor])
    return graph.add("Resize", value, "", scales, mode="linear", coordinate_transformation_mode="half_pixel")


def _add_layer(graph: Graph, layer: nn.Module, value: str) -> str:
    if isinstance(layer, nn.LeakyReLU):
        return graph.add("LeakyRelu", value, alpha=layer.negative_slope)
    assert isinstance(layer, nn.Conv2d | nn.ConvTranspose2d)
    assert layer.bias is not None
    arrays = [graph.constant(part.detach().float().cpu().contiguous().numpy()) for part in (layer.weight, layer.bias)]
    (padding, _), stride = (int(side) for side in layer.padding), [int(side) for side in layer.stride]
    if layer.padding_mode == "replicate":
        value = graph.add("Pad", value, graph.constant([0, 0, padding, padding] * 2, np.int64), mode="edge")
        padding = 0
    operator = "ConvTranspose" if isinstance(layer, nn.ConvTranspose2d) else "Conv"
    kernel = [int(side) for side in layer.kernel_size]
    return graph.add(operator, value, *arrays, kernel_shape=kernel, strides=stride, pads=[padding] * 4)
