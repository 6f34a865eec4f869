"""Save and load a model: all arrays as safetensors, settings and thresholds as JSON metadata; loading runs no code."""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass
from pathlib import Path

import torch

from ssimae.atomic import write_bytes
from ssimae.calibration.reference import PREFIX, Reference
from ssimae.config.settings import Settings
from ssimae.engines.pytorch import torch_engine
from ssimae.hardware import resolve_precision
from ssimae.inspection.inspector import Inspector
from ssimae.inspection.threshold import Thresholds
from ssimae.models.build import Network, place, stored_head, stored_network
from ssimae.models.head import Head
from ssimae.models.tensor_file import tensor_bytes
from ssimae.storage.description import FORMAT, FORMER_FORMAT, description_of, opened

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
        # Versions that know no distances must not read a file whose thresholds rest on more.
        "format": FORMER_FORMAT if saved.reference is None or not saved.reference.knows_distances else FORMAT,
        "settings": json.dumps(dataclasses.asdict(saved.settings)),
        "precision": saved.precision,
        "thresholds": json.dumps(saved.thresholds.to_dict() if saved.thresholds is not None else None),
        **({} if saved.alarm is None else {"alarm": saved.alarm}),
    }
    write_bytes(path, tensor_bytes(tensors, metadata))


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
    with opened(path, framework="pt") as file:
        said = description_of(file.metadata() or {})
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
