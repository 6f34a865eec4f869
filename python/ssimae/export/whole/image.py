"""Write the graph of an image of fixed size: what goes in is the image in its own units, and maps come out."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from ssimae import _rust
from ssimae.calibration.reference import COLOUR, DISTANCE, HEAD, RESIDUAL, Reference
from ssimae.config.settings import Settings
from ssimae.export.graph import Graph
from ssimae.export.network import add_head
from ssimae.export.whole.calibrated import add_distance, add_joined, add_measures
from ssimae.export.whole.filters import Size, completed, cut, opened, resized, smoothed
from ssimae.export.whole.residual import add_residual
from ssimae.models.autoencoder import Autoencoder
from ssimae.models.head import Head
from ssimae.models.reach import STEP


def output_names(reference: Reference | None) -> list[str]:
    """Return what comes out, in its order."""
    names = ["reconstruction", "residual", "calibrated", "measures", "judged"]
    return names if reference is not None else [name for name in names if name not in ("calibrated", "measures")]


def input_name(settings: Settings, white: float) -> str:
    """Return the name of what goes in, which says its channels and range."""
    return f"{'gray' if settings.channels == 1 else 'rgb'}_0_to_{white:g}"


def whole_graph(
    model: Autoencoder,
    head: Head | None,
    settings: Settings,
    reference: Reference | None,
    size: Size,
    *,
    white: float,
    metadata: Mapping[str, str],
) -> bytes:
    """Return the graph from an image (1, C, h, w) to its maps (1, 1, h, w).

    Parameters
    ----------
    model : Autoencoder
    head : Head or None
    settings : Settings
    reference : Reference or None
    size : (height, width)
    white : float
        Value of the image that becomes 1.
    metadata : mapping of str to str
        Texts that are kept in the file.

    Raises
    ------
    ValueError
        If the image is smaller than a patch.
    """
    scaled = (max(1, round(size[0] * settings.scale)), max(1, round(size[1] * settings.scale)))
    if min(scaled) < settings.patch_size:
        raise ValueError(
            f"an image of {size[0]} x {size[1]} is {scaled[0]} x {scaled[1]} after scaling, smaller than a patch of "
            f"{settings.patch_size}"
        )
    graph = Graph(f"ssimae image of {size[0]} x {size[1]}")
    channels = settings.channels
    name = input_name(settings, white)
    image = graph.calculate("Div", graph.input(name, (1, channels, *size)), white)

    def shrunk(planes: str) -> str:
        return planes if settings.scale == 1 else _shrunk(graph, planes, size, settings.scale)

    def restored(planes: str, planes_channels: int) -> str:
        return planes if scaled == size else resized(graph, planes, planes_channels, size)

    small, small_residual, planes = add_residual(graph, model, settings, shrunk(image), scaled)
    rebuilt, residual = restored(small, channels), restored(small_residual, 1)
    graph.output(rebuilt, "reconstruction", (1, channels, *size))
    graph.output(residual, "residual", (1, 1, *size))
    judged = residual
    if reference is not None:
        maps = {RESIDUAL: residual}
        if reference.colour is not None:
            maps[COLOUR] = restored(add_distance(graph, reference.colour, planes), 1)
        if head is not None:
            seen = (completed(graph, shrunk(part), scaled, STEP) for part in (image, rebuilt, residual))
            for channel, said in zip((HEAD, DISTANCE), add_head(graph, head, *seen), strict=False):
                maps[channel] = restored(cut(graph, said, scaled), 1)
        judged = add_joined(graph, reference, maps, _gray(graph, rebuilt, channels), size, settings=settings)
        graph.output(judged, "calibrated", (1, 1, *size))
        graph.output(add_measures(graph, _gray(graph, image, channels), size), "measures", (3,))
    if settings.smoothing > 0:
        judged = smoothed(graph, judged, size, settings.smoothing)
    if settings.opening > 1:
        judged = opened(graph, judged, size, settings.opening)
    graph.output(judged, "judged", (1, 1, *size))
    return graph.to_bytes(metadata)


def _gray(graph: Graph, planes: str, channels: int) -> str:
    return planes if channels == 1 else graph.add("ReduceMean", planes, axes=[1], keepdims=1)


def _shrunk(graph: Graph, planes: str, size: Size, factor: float) -> str:
    """Add planes resized with antialiasing: products with the weights of each row and column."""
    down, across = _weights(size[0], factor), _weights(size[1], factor)
    return graph.add("MatMul", graph.add("MatMul", graph.constant(down), planes), graph.constant(across.T))


def _weights(length: int, factor: float) -> NDArray[np.float32]:
    """Return what :func:`ssimae.images.resize.scale_image` makes of each pixel of a line, (wanted, length)."""
    weights = np.empty((max(1, round(length * factor)), length, 1), np.float32)
    _rust.shrink_rows(np.eye(length, dtype=np.float32)[:, :, None].copy(), weights)
    return weights[:, :, 0]
