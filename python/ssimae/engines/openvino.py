"""Run an exported network with OpenVINO, on the CPU."""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from ssimae.engines.engine import ExportedRebuilder, Outputs, Rebuilder, padded_planes
from ssimae.errors import in_short, needs_package


def openvino_engine(
    network: Path | bytes,
    head: Path | bytes | None,
    *,
    threads: int | None = None,
    precision: Literal["float32", "bfloat16"] = "float32",
) -> Rebuilder:
    """Return what runs an exported network; parameters and errors as for :func:`.onnxruntime.onnxruntime_engine`.

    A path may be that of an ``.xml`` file with its ``.bin`` beside it, or of an ``.onnx`` file. The caller knows that
    the processor multiplies in bfloat16 where that is the `precision`.
    """
    core, version = shared_core(), importlib.import_module("openvino").__version__
    options = _options(threads, precision)
    compiled = [None if part is None else _compiled(core, part, options) for part in (network, head)]
    return OpenvinoRebuilder(
        name=f"openvino {version} on CPU",
        precision=precision,
        has_head=head is not None,
        network=compiled[0],
        head=compiled[1],
    )


def openvino_outputs(graph: Path, names: Sequence[str], *, threads: int | None = None) -> Outputs:
    """Return what runs a graph of one input; it returns outputs by name. Errors are as above."""
    compiled = _compiled(shared_core(), graph, _options(threads))

    def run(values: NDArray[np.float32]) -> dict[str, NDArray[np.float32]]:
        found = compiled([values])
        return {name: np.array(found[compiled.output(name)]) for name in names}

    return run


@cache
def shared_core() -> Any:
    """Return the core of OpenVINO that all networks of this process are compiled by.

    Each core brings its processor plugin, which takes over the memory that signal handlers run in; of two, the one that
    goes last gives back the memory of the first, which is gone, and the next Ctrl-C ends the process without a word.
    """
    openvino: Any
    try:
        openvino = importlib.import_module("openvino")
    except ImportError as error:
        raise needs_package("openvino") from error
    return openvino.Core()


def _options(threads: int | None, precision: str = "float32") -> dict[str, Any]:
    # By default processors with bfloat16 compute in it.
    hint = "bf16" if precision == "bfloat16" else "f32"
    return {"INFERENCE_PRECISION_HINT": hint} | ({} if threads is None else {"INFERENCE_NUM_THREADS": threads})


def _compiled(core: Any, part: Path | bytes, options: dict[str, Any]) -> Any:
    try:
        return core.compile_model(core.read_model(str(part) if isinstance(part, Path) else part), "CPU", options)
    except RuntimeError as error:
        where = part if isinstance(part, Path) else "the exported network"
        raise ValueError(f"{where}: not a network that openvino can run ({in_short(error)})") from error


class OpenvinoRebuilder(ExportedRebuilder):
    """Compiled models of OpenVINO; methods as in :class:`.engine.Rebuilder`."""

    def rebuild(self, patches: NDArray[np.float32], *, first: int) -> tuple[NDArray[np.float32], None]:
        """Return the reconstruction, which has no variance."""
        return np.array(self.network([patches])[0]), None  # its own memory is used again

    def defects(
        self,
        image: NDArray[np.float32],
        reconstruction: NDArray[np.float32],
        residual: NDArray[np.float32],
        part: tuple[slice, slice],
    ) -> NDArray[np.float32]:
        """Return what the head says."""
        found: NDArray[np.float32] = self.head(list(padded_planes(image, reconstruction, residual)))[0]
        return np.array(found[0][:, *part])
