"""Tell from the head of a model file what it says of its network, without torch and without reading weights."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from safetensors import SafetensorError, safe_open

from ssimae.atomic import write_bytes
from ssimae.config.settings import Settings
from ssimae.config.stored import settings_from_dict
from ssimae.errors import in_short
from ssimae.inspection.threshold import Thresholds
from ssimae.models.tensor_header import metadata_of, sizes_of, with_metadata
from ssimae.reading import Precision, as_kind, from_json, open_regular, read_bytes

FORMAT = "ssimae-model-3"
"""Of a model that judges by distances from good images; without them a file is of the format before."""

FORMER_FORMAT = "ssimae-model-2"
EARLIER_FORMAT = "ssimae-model-1"
"""Has no calibration."""


@dataclass(frozen=True)
class Description:
    """What a model file says of its network."""

    settings: Settings
    precision: str
    thresholds: Thresholds | None
    alarm: str | None


def describe_model(path: Path) -> Description:
    """Return what a model file says of its network, without reading weights; raises what :func:`load_model` does."""
    with opened(path, framework="numpy") as file:
        return description_of(file.metadata() or {})


def count_weights(path: Path) -> dict[str, int]:
    """Return how many numbers each tensor of a model file holds; raises what :func:`describe_model` does."""
    describe_model(path)
    return sizes_of(read_bytes(path))


def replace_thresholds(path: Path, thresholds: Thresholds) -> None:
    """Write other thresholds into a model file, atomically; all else stays to the byte.

    Raises
    ------
    OSError, ValueError
        What :func:`describe_model` raises, and if the file cannot be written; what stood there stays.
    """
    describe_model(path)
    content = read_bytes(path)
    metadata = metadata_of(content) | {"thresholds": json.dumps(thresholds.to_dict())}
    write_bytes(path, with_metadata(content, metadata))


@contextmanager
def opened(path: Path, *, framework: Literal["pt", "numpy"]) -> Iterator[Any]:
    """Open a model file; whatever is wrong with it is told with its name."""
    if not path.exists():
        raise FileNotFoundError(f"{path}: no such model file")
    open_regular(path).close()  # the library waits for a pipe
    try:
        with safe_open(path, framework=framework) as file:
            yield file
    except SafetensorError as error:
        raise ValueError(f"{path}: not a model file, or damaged ({in_short(error)})") from error
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from error


def description_of(metadata: Mapping[str, str]) -> Description:
    """Return what the metadata of a model file say; raises a ValueError where they are none."""
    if metadata.get("format") not in (FORMAT, FORMER_FORMAT, EARLIER_FORMAT):
        found = metadata.get("format", "no format at all")
        raise ValueError(f"not a model of this version of ssimae (wants {FORMAT}, found {found})")
    try:
        settings = settings_from_dict(from_json(metadata["settings"], dict[str, Any]), stored=True)
        thresholds = from_json(metadata["thresholds"], dict[str, Any] | None)  # type: ignore[arg-type]
        precision = as_kind(metadata["precision"], Precision)
    except KeyError as error:
        raise ValueError(f"the metadata of the model is incomplete ({in_short(error)})") from error
    return Description(
        settings,
        precision,
        None if thresholds is None else Thresholds.from_dict(thresholds),
        metadata.get("alarm"),
    )
