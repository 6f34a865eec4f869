"""Write and read an exported model: its graphs, and ``inspect.json`` with all that a reader needs."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ssimae.calibration.places import CELL
from ssimae.calibration.reference import COLOUR_WEIGHT, Reference
from ssimae.calibration.whole import MEASURES
from ssimae.config.settings import Settings
from ssimae.config.stored import settings_from_dict
from ssimae.engines.engine import Rebuilder
from ssimae.engines.onnxruntime import onnxruntime_engine
from ssimae.engines.openvino import openvino_engine
from ssimae.inspection.inspector import Inspector
from ssimae.inspection.threshold import Thresholds
from ssimae.reading import Count, read_bytes, read_json
from ssimae.similarity.window import make_window

FORMAT = "ssimae-inspect-2"
"""Of a model that judges by distances from good images; without them it is the format before."""

FORMER_FORMAT = "ssimae-inspect-1"
FORMATS = FORMAT, FORMER_FORMAT
DESCRIPTION = "inspect.json"
NUMBERS = "calibration.bin"
"""Files of an exported model, beside its graphs."""

SUFFIXES = {"onnx": ".onnx", "openvino": ".xml"}
"""Of the graphs, by what they are for."""

_MOST_NUMBERS = 2**28
"""Numbers of one array of a calibration; more than any image has cells."""


@dataclass(frozen=True, kw_only=True)
class ExportedModel:
    """An exported model, which inspects without torch."""

    network: Path
    head: Path | None
    settings: Settings
    thresholds: Thresholds
    reference: Reference | None
    alarm: str | None
    """That the network learned nothing, in a sentence; None where it did."""

    @property
    def precision(self) -> str:
        """Arithmetic of the exported network."""
        return "float32"

    def engine(self, *, threads: int | None = None) -> Rebuilder:
        """Return what runs its network: OpenVINO for ``.xml`` files, else ONNX Runtime."""
        start = openvino_engine if self.network.suffix == SUFFIXES["openvino"] else onnxruntime_engine
        return start(self.network, self.head, threads=threads)

    def inspector(self, *, threads: int | None = None) -> Inspector:
        """Return what inspects images with it."""
        return Inspector(engine=self.engine(threads=threads), settings=self.settings, reference=self.reference)


def exported_description(path: Path) -> Path | None:
    """Return the ``inspect.json`` of an exported model, named by its folder or a file in it; None for anything else."""
    folder = path if path.is_dir() else path.parent
    described = folder / DESCRIPTION
    named = path.is_dir() or path.name == DESCRIPTION or path.suffix in SUFFIXES.values()
    return described if named and (described.exists() or path.suffix in SUFFIXES.values()) else None


@dataclass(frozen=True)
class _Array:
    shape: tuple[Count, ...]
    offset: Count
    """In numbers from the start of the file."""


@dataclass(frozen=True)
class _Calibration:
    file: str
    arrays: dict[str, _Array]


@dataclass(frozen=True, kw_only=True)
class _Graph:
    file: str


@dataclass(frozen=True, kw_only=True)
class _Description:
    format: str
    network: _Graph
    head: _Graph | None
    settings: dict[str, Any]
    thresholds: dict[str, Any]
    calibration: _Calibration | None
    alarm: str | None = None


def load_exported(path: Path) -> ExportedModel:
    """Return an exported model, named by its folder or by a file in it; no graph is read yet.

    Raises
    ------
    OSError
        If a file is missing or cannot be read.
    ValueError
        If ``inspect.json`` is of another version, or damaged.
    """
    described = exported_description(path)
    if described is None:
        raise ValueError(f"{path}: not an exported model; it has a file {DESCRIPTION}")
    if not described.exists():
        raise FileNotFoundError(f"{path}: no {DESCRIPTION} beside it; `ssimae export` writes both")
    folder = described.parent
    found = read_json(described, dict[str, Any]).get("format")
    if found not in FORMATS:
        raise ValueError(f"{described}: not of this version of ssimae (wants {FORMAT}, found {found})")
    try:
        said = read_json(described, _Description)
        for name in (said.network.file, *([] if said.head is None else [said.head.file])):
            if Path(name).name != name:
                raise ValueError(f"a graph that is no file of this folder: {name!r:.80}")
            if not (folder / name).exists():
                raise FileNotFoundError(f"{folder / name}: no such file; {DESCRIPTION} names it")
        return ExportedModel(
            network=folder / said.network.file,
            head=None if said.head is None else folder / said.head.file,
            settings=settings_from_dict(said.settings, stored=True),
            thresholds=Thresholds.from_dict(said.thresholds),
            reference=None if said.calibration is None else _read_reference(folder, said.calibration),
            alarm=said.alarm,
        )
    except ValueError as error:
        raise ValueError(f"{described}: {str(error).removeprefix(f'{described}: ')}") from error


def _read_reference(folder: Path, said: _Calibration) -> Reference:
    if Path(said.file).name != said.file:
        raise ValueError(f"a calibration that is no file of this folder: {said.file!r:.80}")
    content = read_bytes(folder / said.file)
    tensors = {}
    for name, array in said.arrays.items():
        count = math.prod(array.shape)
        if count > _MOST_NUMBERS or 4 * (array.offset + count) > len(content):
            raise ValueError(f"{said.file} is shorter than its array {name!r:.80}")
        values = np.frombuffer(content, "<f4", count, 4 * array.offset)
        tensors[name] = values.reshape(array.shape).astype(np.float32)
    return Reference.from_tensors(tensors)


def format_of(reference: Reference | None) -> str:
    """Return the format of the export of a model."""
    return FORMER_FORMAT if reference is None or not reference.knows_distances else FORMAT


def describe_exported(
    settings: Settings,
    thresholds: Thresholds,
    reference: Reference | None,
    *,
    alarm: str | None,
    graphs: Mapping[str, Mapping[str, Any] | None],
    parity: Mapping[str, Any],
) -> tuple[dict[str, Any], bytes | None]:
    """Return the content of ``inspect.json``, and that of ``calibration.bin`` for a calibrated model.

    Parameters
    ----------
    settings : Settings
    thresholds : Thresholds
    reference : Reference or None
    alarm : str or None
    graphs : mapping
        ``network``, ``head`` and ``whole``: their file, inputs and outputs; None where there is none.
    parity : mapping
        What the comparison with torch found.
    """
    numbers, calibration = (None, None) if reference is None else _write_reference(reference)
    form = make_window(
        data_range=1.0, window=settings.residual_window, window_size=settings.residual_window_size,
        sigma=settings.sigma, k1=0.01, k2=0.03, c1=settings.c1, c2=settings.c2, border=settings.border,
    )  # fmt: skip
    content = {
        "format": format_of(reference),
        "ssimae": version("ssimae"),
        **graphs,
        "settings": asdict(settings),
        "derived": {
            "residual_scales": settings.n_scales if settings.row.windowed else 0,
            "window_taps": list(form.taps) if settings.row.windowed else [],
            "c1": form.c1,
            "c2": form.c2,
            "smoothing": settings.smoothing,
        },
        "thresholds": thresholds.to_dict(),
        "calibration": calibration,
        "whole_image": None
        if reference is None
        else {
            "measures": [name for name, _, _ in MEASURES],
            "below": [below for _, below, _ in MEASURES],
            "above": [above for _, _, above in MEASURES],
            "low": [_finite(value) for value in reference.whole.low],
            "high": [_finite(value) for value in reference.whole.high],
        },
        "alarm": alarm,
        "parity": parity,
    }
    return content, numbers


def _finite(value: float) -> float | None:
    """Return a limit as JSON can hold it: None where there is none."""
    return value if math.isfinite(value) else None


def _write_reference(reference: Reference) -> tuple[bytes, dict[str, Any]]:
    parts: list[NDArray[np.float32]] = []
    arrays, offset = {}, 0
    for name, array in reference.to_tensors().items():
        arrays[name] = {"shape": list(array.shape), "offset": offset}
        parts.append(array.ravel())
        offset += array.size
    content = np.concatenate(parts).astype("<f4").tobytes()
    weight = {} if reference.colour is None else {"colour_weight": COLOUR_WEIGHT}
    return content, {"file": NUMBERS, "cell": CELL, **weight, "arrays": arrays}


def description_text(content: Mapping[str, Any]) -> str:
    """Return ``inspect.json`` as text."""
    return json.dumps(content, indent=1, allow_nan=False) + "\n"
