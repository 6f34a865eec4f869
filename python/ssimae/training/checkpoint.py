"""Save and load the state of a training: weights, Adam's moments and step, as safetensors."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor, nn

from ssimae.atomic import write_bytes
from ssimae.config.settings import Settings, inspection_settings, setting_fields
from ssimae.config.stored import settings_from_dict
from ssimae.errors import in_short
from ssimae.models.build import check_weights
from ssimae.models.tensor_file import tensor_bytes
from ssimae.reading import Count, Finite, NotNegative, from_json, open_regular

_FORMAT = "ssimae-state-1"
MOMENTS = ("exp_avg", "exp_avg_sq")
"""What Adam keeps of each parameter, by its names in torch."""


@dataclass(frozen=True)
class TrainingPosition:
    """A point in a training: steps done, seconds spent, running mean of the loss."""

    step: Count = 0
    elapsed_s: NotNegative = 0.0
    loss: Finite | None = None


def save_state(
    path: Path, model: nn.Module, optimizer: torch.optim.Adam, position: TrainingPosition, settings: Settings
) -> None:
    """Write the state of a training; an interruption leaves the state before it.

    Raises
    ------
    OSError
        If the file cannot be written.
    """
    tensors: dict[str, Tensor] = {}
    for name, parameter in model.named_parameters():
        tensors[f"model.{name}"] = parameter.detach().cpu().contiguous()
        for moment in MOMENTS:
            tensors[f"{moment}.{name}"] = optimizer.state[parameter][moment].cpu().contiguous()
    metadata = {
        "format": _FORMAT,
        "progress": json.dumps(asdict(position)),
        "settings": json.dumps(asdict(settings)),
    }
    write_bytes(path, tensor_bytes(tensors, metadata))


def load_state(path: Path, model: nn.Module, optimizer: torch.optim.Adam, settings: Settings) -> TrainingPosition:
    """Put a saved state into a model and its optimizer and return where the training stands.

    Raises
    ------
    ValueError
        If the file is not a training state, is damaged, or belongs to another network or to other settings.
    """
    open_regular(path).close()  # the library waits for a pipe
    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
            if metadata.get("format") != _FORMAT:
                raise ValueError(f"not a training state of this version of ssimae ({_FORMAT})")
            _refuse_other_settings(metadata, settings)
            position = from_json(metadata.get("progress", ""), TrainingPosition)
            wanted = {
                f"{part}.{name}": parameter
                for name, parameter in model.named_parameters()
                for part in ("model", *MOMENTS)
            }
            if wanted.keys() != set(file.keys()):
                raise ValueError("the training state belongs to another network")
            saved = {name: file.get_tensor(name) for name in wanted}
            for name, tensor in saved.items():
                if tensor.shape != wanted[name].shape:
                    raise ValueError(
                        f"{name} has shape {tuple(tensor.shape)}, this network has {tuple(wanted[name].shape)}"
                    )
            check_weights(saved)
    except SafetensorError as error:
        raise ValueError(f"{path}: damaged training state ({in_short(error)})") from error
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from error
    for name, parameter in model.named_parameters():
        with torch.no_grad():
            parameter.copy_(saved[f"model.{name}"])
        optimizer.state[parameter] = {
            # The fused optimizer keeps its step as a float32 tensor beside the parameter.
            "step": torch.tensor(float(position.step), dtype=torch.float32, device=parameter.device),
            **{moment: _like(saved[f"{moment}.{name}"], parameter) for moment in MOMENTS},
        }
    return position


def _refuse_other_settings(metadata: Mapping[str, str], settings: Settings) -> None:
    """Refuse to go on with other settings than those of a state; one of an earlier version does not say."""
    if "settings" not in metadata:
        return
    before = settings_from_dict(from_json(metadata["settings"], dict[str, Any]), stored=True)
    for name in sorted(setting_fields().keys() - inspection_settings()):
        if getattr(before, name) != getattr(settings, name):
            raise ValueError(
                f"the training began with `{name}` {getattr(before, name)}, and config.toml now has "
                f"{getattr(settings, name)}: put that back, or start a new run"
            )


def _like(saved: Tensor, parameter: Tensor) -> Tensor:
    out = torch.empty_like(parameter, requires_grad=False)
    return out.copy_(saved)
