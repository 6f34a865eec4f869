"""Export a trained model for programs without torch, and refuse to where it would say something else."""

from __future__ import annotations

import hashlib
import importlib
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import torch

from ssimae.atomic import replacing_folder, write_bytes
from ssimae.engines.engine import Outputs, Rebuilder
from ssimae.engines.onnxruntime import onnxruntime_engine, onnxruntime_outputs
from ssimae.engines.openvino import openvino_engine, openvino_outputs, shared_core
from ssimae.errors import CollapsedError, ParityError
from ssimae.export.folder import DESCRIPTION, FORMATS, SUFFIXES, describe_exported, description_text, format_of
from ssimae.export.graph import OPSET
from ssimae.export.network import (
    DEFECTS,
    IMAGE,
    PATCHES,
    RECONSTRUCTION,
    RECONSTRUCTIONS,
    RESIDUAL,
    head_graph,
    network_graph,
)
from ssimae.export.whole.image import input_name, output_names, whole_graph
from ssimae.images.depth import Pixels
from ssimae.inspection.head import TILE
from ssimae.inspection.inspector import Inspector
from ssimae.jobs.exporting.parity import (
    Compared,
    Source,
    WholeGraph,
    compare_models,
    given_images,
    images_of_run,
    made_up_images,
    of_size,
)
from ssimae.models.autoencoder import Autoencoder
from ssimae.models.reach import REACH, STEP
from ssimae.progress import Progress
from ssimae.reading import read_json
from ssimae.storage.model_file import SavedModel, load_model
from ssimae.storage.run_folder import RunFolder

Kind = Literal["onnx", "openvino"]

_EXPORTABLE = "ssim", "l2"
"""Systems whose residual rests on one reconstruction without chance, and on no other network."""


@dataclass(frozen=True)
class Exported:
    """What an export wrote."""

    folder: Path
    files: tuple[str, ...]
    source: Source
    """Where the compared images came from."""
    images: int
    largest_differences: dict[str, float]


def export(
    model: Path,
    out: Path,
    *,
    kind: Kind,
    whole: tuple[int, int] | None = None,
    images: Sequence[Path] = (),
    force: bool = False,
    progress: Progress,
) -> Exported:
    """Write graphs and ``inspect.json`` of a finished model into a new folder.

    Parameters
    ----------
    model : Path
        ``model.safetensors`` of a finished run.
    out : Path
        New folder, or with `force` one that an export wrote.
    kind : {"onnx", "openvino"}
    whole : (height, width), optional
        Size of the images that one more graph takes, from the image to its maps.
    images : sequence of Path
        Images to compare on; by default held-out good ones and test images of the run, or made-up ones where these are
        gone.
    force : bool
    progress : Progress

    Raises
    ------
    OSError, ValueError
        If the model, an image or the folder cannot be worked with, the model is of a system that cannot be exported, or
        a package is missing.
    ParityError
        If the exported model says something else of an image; nothing is written then.
    CollapsedError
        If the network learned nothing.
    """
    saved = load_model(model)
    network = _exportable(model, saved)
    _refuse_occupied(out, force=force)
    metadata = {
        "format": format_of(saved.reference),
        "description": f"{DESCRIPTION} beside this file says how it is used",
    }
    graphs = {"network": network_graph(network, metadata)}
    if saved.head is not None:
        graphs["head"] = head_graph(saved.head, metadata)
    settings = saved.settings
    source: Source = "given"
    compared = given_images(images, settings)
    if not compared:
        source, compared = "held out", images_of_run(RunFolder(model.parent), settings)
    if not compared:
        source, compared = "made up", made_up_images(settings)
    white = settings.data_range or (pixels.white if isinstance(pixels := compared[0].image, Pixels) else 255.0)
    if whole is not None:
        graphs["whole"] = whole_graph(
            network, saved.head, settings, saved.reference, whole, white=white, metadata=metadata
        )
    with tempfile.TemporaryDirectory(prefix="ssimae-") as kept:
        paths = _write_graphs(Path(kept), graphs, kind)
        engine = _engine(paths, kind)
        parity: dict[str, Any] = {
            "engine": engine.name,
            "torch": torch.__version__,
            "source": source,
            **_compare(
                saved, Inspector(engine=engine, settings=settings, reference=saved.reference), compared, progress
            ),
        }
        if whole is not None:
            reader = WholeGraph(_outputs(paths["whole"], output_names(saved.reference), kind), white, saved.reference)
            parity["whole"] = _compare(saved, reader, of_size(compared, whole, settings), progress)
        content, numbers = describe_exported(
            settings,
            _in_float32(saved),
            saved.reference,
            alarm=saved.alarm,
            graphs=_descriptions(saved, paths, None if whole is None else (*whole, white)),
            parity=parity,
        )
        files: dict[str, bytes] = {path.name: path.read_bytes() for path in sorted(Path(kept).iterdir())}
    if numbers is not None:
        files[content["calibration"]["file"]] = numbers
    files[DESCRIPTION] = description_text(content).encode()
    out.parent.mkdir(parents=True, exist_ok=True)
    with replacing_folder(out) as partial:
        for name, body in files.items():
            write_bytes(partial / name, body)
    return Exported(out, tuple(files), source, len(compared), parity["largest_differences"])


def _exportable(model: Path, saved: SavedModel) -> Autoencoder:
    if saved.settings.system not in _EXPORTABLE or not isinstance(saved.model, Autoencoder):
        raise ValueError(
            f"{model}: a {saved.settings.row.title} cannot be exported; SSIM and L2 autoencoders can (`--loss ssim`)"
        )
    if saved.thresholds is None:
        raise ValueError(f"{model}: the model has no thresholds yet; its run sets them")
    if saved.alarm is not None:
        raise CollapsedError(f"{model}: {saved.alarm}")
    return saved.model


def _in_float32(saved: SavedModel) -> Any:
    assert saved.thresholds is not None
    return replace(saved.thresholds, precision="float32")


def _refuse_occupied(out: Path, *, force: bool) -> None:
    if not out.exists() or (out.is_dir() and not any(out.iterdir())):
        return
    described = out / DESCRIPTION
    if not described.is_file() or read_json(described, dict[str, Any]).get("format") not in FORMATS:
        raise FileExistsError(f"{out}: not empty, and not an earlier export; choose another --out")
    if not force:
        raise FileExistsError(f"{out}: not empty; choose another --out, or overwrite with --force")


def _write_graphs(folder: Path, graphs: dict[str, bytes], kind: Kind) -> dict[str, Path]:
    """Write graphs into a folder; returns their paths by name."""
    paths = {name: folder / f"{name}{SUFFIXES[kind]}" for name in graphs}
    if kind == "onnx":
        for name, graph in graphs.items():
            paths[name].write_bytes(graph)
        return paths
    core = shared_core()
    openvino: Any = importlib.import_module("openvino")
    for name, graph in graphs.items():
        read = core.read_model(graph)
        openvino.save_model(read, str(paths[name]), compress_to_fp16=False)
    return paths


def _engine(paths: dict[str, Path], kind: Kind) -> Rebuilder:
    start = openvino_engine if kind == "openvino" else onnxruntime_engine
    return start(paths["network"], paths.get("head"), threads=torch.get_num_threads())


def _outputs(path: Path, names: Sequence[str], kind: Kind) -> Outputs:
    if kind == "openvino":
        return openvino_outputs(path, names, threads=torch.get_num_threads())
    return onnxruntime_outputs(path, threads=torch.get_num_threads())


def _compare(
    saved: SavedModel, exported: Inspector | WholeGraph, compared: Sequence[Compared], progress: Progress
) -> dict[str, Any]:
    """Return how far an export is from torch, in its own arithmetic and in that of the thresholds."""
    assert saved.thresholds is not None
    device = torch.device("cpu")
    models = [replace(saved, precision="float32").on(device)]
    if saved.on(device).engine.precision != "float32":
        models.append(saved.on(device))
    found, disagreements = compare_models(compared, models, exported, saved.thresholds, progress)
    if disagreements:
        raise ParityError(
            f"the exported model disagrees with torch on {len(disagreements)} of {len(compared)} images, and nothing "
            "was written:\n" + "\n".join(disagreements)
        )
    return {"precisions": [model.engine.precision for model in models], **found}


def _descriptions(
    saved: SavedModel, paths: dict[str, Path], whole: tuple[int, int, float] | None
) -> dict[str, dict[str, Any] | None]:
    settings = saved.settings

    def file(name: str) -> dict[str, Any]:
        content = paths[name].read_bytes()
        return {"file": paths[name].name, "sha256": hashlib.sha256(content).hexdigest(), "opset": OPSET}

    sides = [settings.channels, settings.patch_size, settings.patch_size]
    return {
        "network": {**file("network"), "input": PATCHES, "output": RECONSTRUCTIONS, "shape": [None, *sides]},
        "head": None
        if "head" not in paths
        else {
            **file("head"),
            "inputs": [IMAGE, RECONSTRUCTION, RESIDUAL],
            "output": DEFECTS,
            "multiple_of": STEP,
            "tile": TILE,
            "reach": REACH,
        },
        "whole": None
        if whole is None
        else {
            **file("whole"),
            "input": input_name(settings, whole[2]),
            "white": whole[2],
            "shape": [1, settings.channels, whole[0], whole[1]],
            "outputs": output_names(saved.reference),
        },
    }
