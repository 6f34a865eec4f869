"""Tell what a model is: method, settings, training, thresholds and what they mean, versions, warnings."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro

from ssimae.cli.effects import rate_words
from ssimae.cli.exits import OK, visible
from ssimae.cli.flags import parse_flags
from ssimae.cli.tables import columns
from ssimae.config.settings import Settings
from ssimae.inspection.threshold import Thresholds
from ssimae.storage.facts import Facts
from ssimae.storage.revisions.described import Described, describe


@dataclass(frozen=True)
class _InfoFlags:
    model: Annotated[tyro.conf.Positional[Path], tyro.conf.arg(metavar="MODEL")]
    """model.safetensors, or the folder of a run."""
    json: bool = False
    """Print everything as JSON, with every setting and every good level."""
    debug: bool = False
    """Show the traceback of errors."""


def main(arguments: list[str]) -> int:
    """Run the verb and return its exit code."""
    flags = parse_flags(_InfoFlags, "info", arguments, description=__doc__)
    described = describe(flags.model)
    if flags.json:
        print(json.dumps(described.to_dict(), indent=1))
        return OK
    rows = [("model", f"{described.model} ({described.size / 1e6:.1f} MB)"), *_network(described)]
    if described.facts is not None:
        rows += _training(described.facts)
    rows += _thresholds(described)
    print(visible(columns(rows, right=False)))
    for warning in described.warnings:
        print(visible(f"warning: {warning}"))
    return OK


def _network(described: Described) -> list[tuple[str, str]]:
    settings = described.settings
    numbers = ", ".join(f"{part} {count:,}" for part, count in described.numbers.items())
    return [
        ("method", f"{settings.row.title}; numbers: {numbers}; {described.precision}"),
        ("images", _images(settings)),
        ("inspection", _inspection(settings)),
    ]


def _images(settings: Settings) -> str:
    kind = "colour" if settings.channels == 3 else "gray"
    white = "" if settings.data_range is None else f", white at {settings.data_range:g}"
    return f"{kind}, scale {settings.scale:g}, at least {settings.smallest_side} pixels a side after that{white}"


def _inspection(settings: Settings) -> str:
    if not settings.row.rebuilds:
        return f"every {settings.dictionary_stride} pixels"
    head = f", head of weight {settings.head_weight:g}" if settings.head_patches and settings.head_weight else ""
    return (
        f"patches of {settings.patch_size} every {settings.stride} pixels, latent dimension {settings.latent_dim}; "
        f"calibration {settings.calibration}, smoothing {settings.smoothing:g}{head}"
    )


def _training(facts: Facts) -> list[tuple[str, str]]:
    held_out = f", {len(facts.held_out_images)} of them held out, whole or a band" if facts.held_out else ""
    return [
        ("trained on", f"{facts.train_images} good images of {facts.data}{held_out}"),
        ("started", f"{facts.created.replace('T', ' ').replace('+00:00', ' UTC')}, preset {facts.preset}"),
        ("versions", f"ssimae {facts.ssimae}, torch {facts.torch}, python {facts.python}"),
        ("machine", facts.device),
    ]


def _thresholds(described: Described) -> list[tuple[str, str]]:
    thresholds = described.thresholds
    if thresholds is None:
        return [("thresholds", "none yet")]
    rows = [
        ("thresholds", f"review {thresholds.review:.4g}, defective {thresholds.defective:.4g}, {_region(thresholds)}"),
        (
            "they rest on",
            f"{thresholds.images} {'held-out ' if thresholds.held_out else ''}good images, whole or bands; good images "
            f"that may be flagged: {rate_words(thresholds)}",
        ),
    ]
    if described.versions:
        number = max(version.number for version in described.versions if version.thresholds == thresholds)
        rows.append(("version", f"{number} of {len(described.versions)}; `ssimae threshold` shows them"))
    return rows


def _region(thresholds: Thresholds) -> str:
    rules = {
        "hysteresis": (thresholds.hysteresis, 1),
        "merge distance": (thresholds.merge_distance, 0),
        "min length": (thresholds.min_length, 0),
        "min contrast": (thresholds.min_contrast, 1),
    }
    more = "".join(f", {name} {value:g}" for name, (value, off) in rules.items() if value != off)
    return f"regions of {thresholds.min_area} pixels or more{more}"
