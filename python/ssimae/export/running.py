"""Run a model of torch by another engine: what that takes is made in memory."""

from __future__ import annotations

from typing import Literal

import torch

from ssimae.engines.compiled import compiled_engine
from ssimae.engines.engine import Rebuilder
from ssimae.engines.onnxruntime import onnxruntime_engine
from ssimae.engines.openvino import openvino_engine
from ssimae.export.network import head_graph, network_graph
from ssimae.hardware import resolve_precision
from ssimae.inspection.inspector import Inspector
from ssimae.models.autoencoder import Autoencoder
from ssimae.storage.model_file import SavedModel

OtherEngine = Literal["compile", "onnxruntime", "openvino"]


def inspector_by(engine: OtherEngine, saved: SavedModel, *, threads: int | None = None) -> Inspector:
    """Return what inspects images with a model by another engine, on the CPU.

    Parameters
    ----------
    engine : {"compile", "onnxruntime", "openvino"}
        ONNX Runtime computes in float32, the others in the arithmetic of the model where the processor has it.
    saved : SavedModel
    threads : int, optional
        By default one for each core; ``compile`` takes those of torch in any case.

    Raises
    ------
    ValueError
        If the model is of a system that torch alone runs, a package is not installed, or nothing can be compiled.
    """
    return Inspector(engine=_rebuilder(engine, saved, threads), settings=saved.settings, reference=saved.reference)


def _rebuilder(engine: OtherEngine, saved: SavedModel, threads: int | None) -> Rebuilder:
    if not isinstance(saved.model, Autoencoder):
        raise ValueError(f"a {saved.settings.row.title} is run by torch alone, not by {engine}")
    precision = resolve_precision(saved.precision, torch.device("cpu"))
    if engine == "compile":
        return compiled_engine(saved.model, saved.settings, head=saved.head, precision=precision)
    head = None if saved.head is None else head_graph(saved.head, {})
    if engine == "onnxruntime":
        return onnxruntime_engine(network_graph(saved.model, {}), head, threads=threads)
    return openvino_engine(network_graph(saved.model, {}, doubled=True), head, threads=threads, precision=precision)
