"""Tell what a model is: method, settings, training, thresholds and what they mean, versions, warnings."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import tyro

from ssimae.cli.exits import OK, visible
from ssimae.cli.flags import parse_flags
from ssimae.cli.rates import allowed_words, rate_words
from ssimae.cli.tables import described
from ssimae.config.settings import Settings
from ssimae.export.folder import ExportedModel, exported_description, load_exported
from ssimae.inspection.threshold import Thresholds
from ssimae.reading import read_json
from ssimae.storage.facts import Facts

if TYPE_CHECKING:  # it reads safetensors, which are not installed where exported models are inspected with
    from ssimae.storage.revisions.described import Described


@dataclass(frozen=True)
class _InfoFlags:
    model: Annotated[tyro.conf.Positional[Path], tyro.conf.arg(metavar="MODEL")]
    """model.safetensors, the folder of a run, or what `ssimae export` wrote."""
    json: bool = False
    """Print everything as JSON, with every setting and every good level."""
    debug: bool = False
    """Show the traceback of errors."""


def main(arguments: list[str]) -> int:
    """Run the verb and return its exit code."""
    flags = parse_flags(_InfoFlags, "info", arguments, description=__doc__)
    exported = exported_description(flags.model)
    if exported is not None:
        model, said = load_exported(exported), read_json(exported, dict[str, Any])
        content, rows, warnings = said, _exported(model, said), [] if model.alarm is None else [model.alarm]
    else:
        from ssimae.storage.revisions.described import describe  # noqa: PLC0415 - see above

        known = describe(flags.model)
        content, rows, warnings = known.to_dict(), _trained(known), list(known.warnings)
    if flags.json:
        print(json.dumps(content, indent=1))
        return OK
    print(visible(described(rows)))
    for warning in warnings:
        print(visible(f"warning: {warning}"))
    return OK


def _trained(known: Described) -> list[tuple[str, str]]:
    numbers = ", ".join(f"{part} {count:,}" for part, count in known.numbers.items())
    rows = [
        ("model", f"{known.model} ({known.size / 1e6:.1f} MB)"),
        ("method", f"{known.settings.row.title}; numbers: {numbers}; {known.precision}"),
        ("images", _images(known.settings)),
        ("inspection", _inspection(known.settings)),
    ]
    if known.facts is not None:
        rows += _training(known.facts)
    if known.thresholds is None:
        return [*rows, ("thresholds", "none yet")]
    rows += _thresholds(known.thresholds)
    if known.versions:
        number = max(version.number for version in known.versions if version.thresholds == known.thresholds)
        rows.append(("version", f"{number} of {len(known.versions)}; `ssimae threshold` shows them"))
    return rows


def _exported(model: ExportedModel, said: dict[str, Any]) -> list[tuple[str, str]]:
    """Return what is known of an exported model, which has left its run."""
    parity, whole = said["parity"], said["whole"]
    sides = None if whole is None else "{2} rows and {3} columns".format(*whole["shape"])
    return [
        ("model", f"{model.network}, exported by ssimae {said['ssimae']}; it needs no torch"),
        ("method", f"{model.settings.row.title}{'' if model.head is None else ' with a head'}; {model.precision}"),
        ("images", _images(model.settings)),
        ("inspection", _inspection(model.settings)),
        *([] if sides is None else [("whole graph", f"{whole['file']}, for images of {sides} alone")]),
        *_thresholds(model.thresholds),
        ("compared with", f"torch {parity['torch']} on {len(parity['images'])} images by {parity['engine']}"),
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


def _thresholds(thresholds: Thresholds) -> list[tuple[str, str]]:
    return [
        ("thresholds", f"review {thresholds.review:.4g}, defective {thresholds.defective:.4g}, {_region(thresholds)}"),
        (
            "they rest on",
            f"{thresholds.images} {'held-out ' if thresholds.held_out else ''}good images, whole or bands; good images "
            f"that may be flagged: {rate_words(thresholds)}{allowed_words(thresholds)}",
        ),
    ]


def _region(thresholds: Thresholds) -> str:
    rules = {
        "hysteresis": (thresholds.hysteresis, 1),
        "merge distance": (thresholds.merge_distance, 0),
        "min length": (thresholds.min_length, 0),
        "min contrast": (thresholds.min_contrast, 1),
    }
    more = "".join(f", {name} {value:g}" for name, (value, off) in rules.items() if value != off)
    return f"regions of {thresholds.min_area} pixels or more{more}"
