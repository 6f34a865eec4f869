"""Save and load the state of a training: weights, Adam's moments and step, as safetensors."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor, nn

from ssimae.atomic import write_bytes
from ssimae.models.tensor_file import tensor_bytes

_FORMAT = "ssimae-state-1"
_MOMENTS = ("exp_avg", "exp_avg_sq")


@dataclass(frozen=True)
class TrainingPosition:
    """A point in a training: steps done, seconds spent, running mean of the loss."""

    step: int = 0
    elapsed_s: float = 0.0
    loss: float | None = None


def save_state(path: Path, model: nn.Module, optimizer: torch.optim.Adam, position: TrainingPosition) -> None:
    """Write the state of a training; an interruption leaves the state before it.

    Raises
    ------
    OSError
        If the file cannot be written.
    """
    tensors: dict[str, Tensor] = {}
    for name, parameter in model.named_parameters():
        tensors[f"model.{name}"] = parameter.detach().cpu().contiguous()
        for moment in _MOMENTS:
            tensors[f"{moment}.{name}"] = optimizer.state[parameter][moment].cpu().contiguous()
    metadata = {"format": _FORMAT, "progress": json.dumps(asdict(position))}
    write_bytes(path, tensor_bytes(tensors, metadata))


def load_state(path: Path, model: nn.Module, optimizer: torch.optim.Adam) -> TrainingPosition:
    """Put a saved state into a model and its optimizer and return where the training stands.

    Raises
    ------
    ValueError
        If the file is not a training state, is damaged, or belongs to another network.
    """
    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
            if metadata.get("format") != _FORMAT:
                raise ValueError(f"{path}: not a training state of this version of ssimae ({_FORMAT})")
            position = TrainingPosition(**json.loads(metadata["progress"]))
            parameters = dict(model.named_parameters())
            if {f"model.{name}" for name in parameters} != {key for key in file.keys() if key.startswith("model.")}:  # noqa: SIM118
                raise ValueError(f"{path}: the training state belongs to another network")
            for name, parameter in parameters.items():
                saved = file.get_tensor(f"model.{name}")
                if saved.shape != parameter.shape:
                    raise ValueError(
                        f"{path}: {name} has shape {tuple(saved.shape)}, this network has {tuple(parameter.shape)}"
                    )
                with torch.no_grad():
                    parameter.copy_(saved)
                optimizer.state[parameter] = {
                    # The fused optimizer keeps its step as a float32 tensor beside the parameter.
                    "step": torch.tensor(float(position.step), dtype=torch.float32, device=parameter.device),
                    **{moment: _like(file.get_tensor(f"{moment}.{name}"), parameter) for moment in _MOMENTS},
                }
    except SafetensorError as error:
        raise ValueError(f"{path}: damaged training state ({error})") from error
    return position


def _like(saved: Tensor, parameter: Tensor) -> Tensor:
    out = torch.empty_like(parameter, requires_grad=False)
    return out.copy_(saved)
