"""Save and load a model: all arrays as safetensors, settings and thresholds as JSON metadata; loading runs no code."""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open

from ssimae.atomic import write_bytes
from ssimae.calibration.reference import PREFIX, Reference
from ssimae.config.settings import Settings
from ssimae.config.stored import settings_from_dict
from ssimae.inspection.inspector import Inspector
from ssimae.inspection.threshold import Thresholds
from ssimae.models.build import Network, place, stored_head, stored_network
from ssimae.models.head import Head
from ssimae.models.tensor_file import tensor_bytes

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
    """Arithmetic it was trained in: float32 or bfloat16."""
    thresholds: Thresholds | None
    """None while they have not been set."""
    head: Head | None = None
    """Discriminative head; None where none was trained."""
    reference: Reference | None = None
    """What good images show; None while it is not known, or where the residual is not calibrated."""

    def on(self, device: torch.device) -> Inspector:
        """Return what inspects images with this model on a device."""
        return Inspector(
            model=place(self.model, device),
            settings=self.settings,
            reference=self.reference,
            head=None if self.head is None else place(self.head, device),
            device=device,
            precision=self.precision,
        )


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
    }
    write_bytes(path, tensor_bytes(tensors, metadata))


def load_model(path: Path) -> SavedModel:
    """Return the model of a file, on the CPU and in evaluation mode.

    Raises
    ------
    OSError
        If the file cannot be read.
    ValueError
        If it is not a model of this version of ssimae, is damaged, or does not fit the network its settings describe.
    """
    if not path.is_file():
        raise FileNotFoundError(f"{path}: no such model file")
    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
            if metadata.get("format") not in (FORMAT, _EARLIER_FORMAT):
                found = metadata.get("format", "no format at all")
                raise ValueError(f"{path}: not a model of this version of ssimae (wants {FORMAT}, found {found})")
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - not a dict
    except SafetensorError as error:
        raise ValueError(f"{path}: not a model file, or damaged ({error})") from error
    try:
        settings = settings_from_dict(json.loads(metadata["settings"]), stored=True)
        thresholds = json.loads(metadata["thresholds"])
        precision = metadata["precision"]
    except (KeyError, json.JSONDecodeError) as error:
        raise ValueError(f"{path}: the metadata of the model is incomplete ({error})") from error
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from error
    head = {name.removeprefix(_HEAD): tensors.pop(name) for name in list(tensors) if name.startswith(_HEAD)}
    arrays = {name: tensors.pop(name).numpy() for name in list(tensors) if name.startswith(PREFIX)}
    try:
        return SavedModel(
            stored_network(settings, tensors),
            settings,
            precision,
            Thresholds.from_dict(thresholds) if thresholds is not None else None,
            stored_head(settings, head) if head else None,
            Reference.from_tensors(arrays) if arrays else None,
        )
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from error
