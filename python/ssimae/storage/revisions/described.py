"""Gather what is known of a model: from its file, and from the run folder that it lies in. No weights are read."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ssimae.config.settings import Settings
from ssimae.inspection.threshold import Thresholds
from ssimae.storage.agreement import check_agreement
from ssimae.storage.description import count_weights, describe_model
from ssimae.storage.facts import Facts, PredictFacts
from ssimae.storage.revisions.versions import Version, read_versions
from ssimae.storage.run_folder import RunFolder

_PARTS = {"head.": "head", "calibration.": "calibration"}
"""Parts of a model file by how the names of their tensors begin; all others are the network's."""


@dataclass(frozen=True)
class Described:
    """What is known of a model."""

    model: Path
    settings: Settings
    precision: str
    numbers: dict[str, int]
    """How many numbers the network, its head and its calibration have."""
    size: int
    """Bytes of the file."""
    thresholds: Thresholds | None
    facts: Facts | None
    """Of its run; None for a model that lies alone."""
    versions: tuple[Version, ...]
    """Of its thresholds; none where only those of the training are known."""
    stores_maps: bool
    """Whether its run stores the maps of held-out images."""
    warnings: tuple[str, ...]

    def to_dict(self) -> dict[str, Any]:
        """Return everything, ready for JSON."""
        return {
            "model": str(self.model),
            "system": self.settings.row.title,
            "precision": self.precision,
            "numbers": self.numbers,
            "bytes": self.size,
            "settings": dataclasses.asdict(self.settings),
            "thresholds": None if self.thresholds is None else self.thresholds.to_dict(),
            "run": None if self.facts is None else self.facts.to_table(),
            "threshold_versions": [
                {"number": version.number, "how": version.how, "created": version.created} for version in self.versions
            ],
            "stores_maps": self.stores_maps,
            "warnings": list(self.warnings),
        }


def describe(path: Path) -> Described:
    """Return what is known of a model file, or of the model in a run folder.

    Raises
    ------
    OSError, ValueError
        If there is no such model, or it or its run is damaged, or both say different things.
    """
    run = RunFolder(path if path.is_dir() else path.parent)
    model = run.model if path.is_dir() else path
    facts = None
    if path.is_dir():
        facts = _facts(run)
        if not model.exists():
            raise FileNotFoundError(
                f"{path}: holds no model yet; its training goes on with: {run.command('run', '--resume')}"
            )
    elif model.name == run.model.name and run.config.exists():
        facts = _facts(run)
    if facts is not None:
        check_agreement(run)
    said = describe_model(model)
    numbers: dict[str, int] = {}
    for name, count in count_weights(model).items():
        part = next((part for start, part in _PARTS.items() if name.startswith(start)), "network")
        numbers[part] = numbers.get(part, 0) + count
    warnings = [] if facts is None else list(facts.warnings)
    if said.alarm is not None and said.alarm not in warnings:
        warnings.append(said.alarm)
    if said.thresholds is not None and not said.thresholds.held_out:
        warnings.append("thresholds were set on training images: expect more false calls on new ones")
    return Described(
        model=model,
        settings=said.settings,
        precision=said.precision,
        numbers=numbers,
        size=model.stat().st_size,
        thresholds=said.thresholds,
        facts=facts,
        versions=() if facts is None else read_versions(run.versions),
        stores_maps=facts is not None and run.held_out.exists(),
        warnings=tuple(warnings),
    )


def _facts(run: RunFolder) -> Facts:
    _, facts = run.read_config()
    if isinstance(facts, PredictFacts):
        raise ValueError(f"{run.root}: a folder of `predict`, by the model {facts.model}; ask about that")
    return facts
