"""Run an exported network with ONNX Runtime, on the CPU and in float32."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ssimae.engines.engine import ExportedRebuilder, Outputs, Rebuilder, padded_planes
from ssimae.errors import in_short, needs_package


def onnxruntime_engine(network: Path | bytes, head: Path | bytes | None, *, threads: int | None = None) -> Rebuilder:
    """Return what runs an exported network.

    Parameters
    ----------
    network, head : path or bytes
        Files that ``ssimae export`` wrote, or their content; `head` is None for a model without one.
    threads : int, optional
        Threads of each; by default one for each core.

    Raises
    ------
    OSError
        If a file cannot be read.
    ValueError
        If onnxruntime is not installed, or cannot run a file.
    """
    runtime: Any
    try:
        runtime = importlib.import_module("onnxruntime")
    except ImportError as error:
        raise needs_package("onnxruntime") from error
    sessions = [None if part is None else _session(runtime, part, threads) for part in (network, head)]
    return OnnxRebuilder(
        name=f"onnxruntime {runtime.__version__} on CPU",
        precision="float32",
        has_head=head is not None,
        network=sessions[0],
        head=sessions[1],
    )


def _session(runtime: Any, part: Path | bytes, threads: int | None) -> Any:
    options = runtime.SessionOptions()
    options.log_severity_level = 3  # errors; they are raised, too
    if threads is not None:
        options.intra_op_num_threads = threads
    content = part.read_bytes() if isinstance(part, Path) else part
    try:
        return runtime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
    except Exception as error:
        where = part if isinstance(part, Path) else "the exported network"
        raise ValueError(f"{where}: not a network that onnxruntime can run ({in_short(error)})") from error


def onnxruntime_outputs(graph: Path, *, threads: int | None = None) -> Outputs:
    """Return what runs a graph of one input; it returns all outputs by name. Errors are as above."""
    runtime: Any = importlib.import_module("onnxruntime")
    session = _session(runtime, graph, threads)
    names = [put.name for put in session.get_outputs()]
    (given,) = (put.name for put in session.get_inputs())
    return lambda values: dict(zip(names, session.run(None, {given: values}), strict=True))


class OnnxRebuilder(ExportedRebuilder):
    """Sessions of ONNX Runtime; methods as in :class:`.engine.Rebuilder`."""

    def rebuild(self, patches: NDArray[np.float32], *, first: int) -> tuple[NDArray[np.float32], None]:
        """Return the reconstruction, which has no variance."""
        (output,) = self.network.run(None, {self.network.get_inputs()[0].name: patches})
        return output, None

    def defects(
        self,
        image: NDArray[np.float32],
        reconstruction: NDArray[np.float32],
        residual: NDArray[np.float32],
        part: tuple[slice, slice],
    ) -> NDArray[np.float32]:
        """Return what the head says."""
        planes = padded_planes(image, reconstruction, residual)
        names = [put.name for put in self.head.get_inputs()]
        (found,) = self.head.run(None, dict(zip(names, planes, strict=True)))
        return found[0][:, *part]  # type: ignore[no-any-return]
