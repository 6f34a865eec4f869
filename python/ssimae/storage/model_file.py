"""Save and load a model: all arrays as safetensors, settings and thresholds as JSON metadata; loading runs no code."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open

from ssimae.atomic import write_bytes
from ssimae.calibration.reference import PREFIX, Reference
from ssimae.config.settings import Settings
from ssimae.config.stored import settings_from_dict
from ssimae.engines.pytorch import torch_engine
from ssimae.errors import in_short
from ssimae.hardware import resolve_precision
from ssimae.inspection.inspector import Inspector
from ssimae.inspection.threshold import Thresholds
from ssimae.models.build import Network, place, stored_head, stored_network
from ssimae.models.head import Head
from ssimae.models.tensor_file import tensor_bytes
from ssimae.reading import Precision, as_kind, from_json, open_regular

FORMAT = "ssimae-model-2"

_EARLIER_FORMAT = "ssimae-model-1"
"""Has no calibration."""

_HEAD = "head."
"""Before the names of the head's weights."""


@dataclass(frozen=True)
class SavedModel:
    """A trained network with what is needed to inspect images with it."""

    model: Network
    settings: Settings
    precision: str
    """Arithmetic that its thresholds hold for: float32 or bfloat16."""
    thresholds: Thresholds | None
    """None while they have not been set."""
    head: Head | None = None
    """Discriminative head; None where none was trained."""
    reference: Reference | None = None
    """What good images show; None while it is not known, or where the residual is not calibrated."""
    alarm: str | None = None
    """That the network learned nothing, in a sentence; None where it did, or where an earlier version did not tell."""

    def on(self, device: torch.device) -> Inspector:
        """Return what inspects images with this model on a device, in its own arithmetic where the device has it."""
        engine = torch_engine(
            place(self.model, device),
            self.settings,
            head=None if self.head is None else place(self.head, device),
            device=device,
            precision=resolve_precision(self.precision, device),
        )
        return Inspector(engine=engine, settings=self.settings, reference=self.reference)


def save_model(path: Path, saved: SavedModel) -> None:
    """Write a model file atomically.

    Raises
    ------
    OSError
        If the file cannot be written.
    """
    tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in saved.model.state_dict().items()}
    if saved.head is not None:
        weights = saved.head.state_dict().items()
        tensors |= {f"{_HEAD}{name}": tensor.detach().cpu().contiguous() for name, tensor in weights}
    if saved.reference is not None:
        tensors |= {name: torch.from_numpy(array) for name, array in saved.reference.to_tensors().items()}
    metadata = {
        "format": FORMAT,
        "settings": json.dumps(dataclasses.asdict(saved.settings)),
        "precision": saved.precision,
        "thresholds": json.dumps(saved.thresholds.to_dict() if saved.thresholds is not None else None),
        **({} if saved.alarm is None else {"alarm": saved.alarm}),
    }
    write_bytes(path, tensor_bytes(tensors, metadata))


@dataclass(frozen=True)
class Description:
    """What a model file says of its network."""

    settings: Settings
    precision: str
    thresholds: Thresholds | None
    alarm: str | None


def describe_model(path: Path) -> Description:
    """Return what a model file says of its network, without reading weights; raises what :func:`load_model` does."""
    with _opened(path) as file:
        return _description(file.metadata() or {})


def load_model(path: Path) -> SavedModel:
    """Return the model of a file, on the CPU and in evaluation mode.

    Raises
    ------
    OSError
        If the file cannot be read.
    ValueError
        If it is not a model of this version of ssimae, is damaged, has a weight that is not finite, or does not fit
        the network its settings describe.
    """
    with _opened(path) as file:
        said = _description(file.metadata() or {})
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - not a dict
        head = {name.removeprefix(_HEAD): tensors.pop(name) for name in list(tensors) if name.startswith(_HEAD)}
        arrays = {name: tensors.pop(name) for name in list(tensors) if name.startswith(PREFIX)}
        if any(array.dtype != torch.float32 for array in arrays.values()):
            raise ValueError("calibration: numbers of another type than float32")
        return SavedModel(
            stored_network(said.settings, tensors),
            said.settings,
            said.precision,
            said.thresholds,
            stored_head(said.settings, head) if head else None,
            Reference.from_tensors({name: array.numpy() for name, array in arrays.items()}) if arrays else None,
            said.alarm,
        )


@contextmanager
def _opened(path: Path) -> Iterator[Any]:
    """Open a model file; whatever is wrong with it is told with its name."""
    if not path.exists():
        raise FileNotFoundError(f"{path}: no such model file")
    open_regular(path).close()  # the library waits for a pipe
    try:
        with safe_open(path, framework="pt") as file:
            yield file
    except SafetensorError as error:
        raise ValueError(f"{path}: not a model file, or damaged ({in_short(error)})") from error
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from error


def _description(metadata: Mapping[str, str]) -> Description:
    if metadata.get("format") not in (FORMAT, _EARLIER_FORMAT):
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
