"""Read every file of a data folder and list what is wrong with it, before any work."""

from __future__ import annotations

import dataclasses
import json
import sys
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import tyro

from ssimae.cli.bars import progress_bars
from ssimae.cli.exits import BAD_INPUT, OK
from ssimae.cli.flags import parse_flags
from ssimae.config.presets import Preset, preset
from ssimae.config.settings import least_side
from ssimae.data.accounting import PassedOver, in_words, passed_over
from ssimae.data.check import Checked, check_dataset
from ssimae.data.dataset import Dataset
from ssimae.data.layouts import LAYOUTS, open_dataset
from ssimae.data.masks import RULES


@dataclass(frozen=True)
class _CheckFlags:
    data: tyro.conf.Positional[Path]
    """Folder of images."""
    ignore: Path | None = None
    """Mask of what is not inspected (white): one image for all, or a folder of one each."""
    preset: Preset = "auto"
    """Named settings that a run is to start from; the flags below change single ones."""
    patch_size: int | None = None
    """Side of a training patch in pixels: smaller images are errors. Default: the preset's; auto takes the smallest."""
    scale: float | None = None
    """Factor images are resized by before that. Default: the preset's."""
    channels: int | None = None
    """1 for gray, 3 for colour. Default: the preset's; auto chooses."""
    data_range: float | None = None
    """Value that counts as white; needed for float images."""
    json: bool = False
    """Print every file and every problem as JSON."""
    debug: bool = False
    """Show the traceback of errors."""


def main(arguments: list[str]) -> int:
    """Run the verb and return its exit code."""
    flags = parse_flags(_CheckFlags, "check", arguments, description=__doc__)
    given = {
        name: value
        for name in ("patch_size", "scale", "channels", "data_range")
        if (value := getattr(flags, name)) is not None
    }
    settings = dataclasses.replace(preset(flags.preset), **given)
    chooses = flags.preset == "auto"
    dataset = open_dataset(flags.data, ignore=flags.ignore)
    left = passed_over(dataset, ignore=flags.ignore)
    with progress_bars() as progress, progress.task("checking", len(dataset.train) + len(dataset.test)) as task:
        checked = check_dataset(
            dataset,
            patch_size=least_side(settings, patch_chosen=chooses and flags.patch_size is None),
            scale=settings.scale,
            channels=None if chooses and flags.channels is None else settings.channels,
            data_range=settings.data_range,
            progress=task.update,
        )
    for problem in checked.problems:
        print(f"{problem.severity}: {problem.path}: {problem.message}", file=sys.stderr)
    if flags.json:
        print(json.dumps(_content(dataset, left, checked), indent=1))
    else:
        print("\n".join(_lines(dataset, left, checked)))
    return BAD_INPUT if checked.errors else OK


def _lines(dataset: Dataset, left: Sequence[PassedOver], checked: Checked) -> list[str]:
    """Return what was found, in a few lines."""
    lines = [
        f"{dataset.root}: {dataset.layout} layout, {len(dataset.train)} good images, {len(dataset.test)} test images; "
        f"{len(checked.errors)} errors, {len(checked.warnings)} warnings",
        f"  layout       {' '.join(LAYOUTS[dataset.layout].pattern.split())}",
        f"  good         {_by_folder(dataset, dataset.train)}",
    ]
    if dataset.test:
        kinds = Counter(sample.defect for sample in dataset.test)
        lines.append(f"  test         {', '.join(f'{count} {kind}' for kind, count in kinds.items())}")
    lines += [f"  masks        {count} of {RULES[kind]}" for kind, count in checked.masks.items()]
    if dataset.empty_masks:
        lines.append(f"  masks        {len(dataset.empty_masks)} that mark nothing, so that their images are good")
    if dataset.ignore:
        lines.append(f"  ignored      in part: {len(dataset.ignore)} images")
    return lines + [f"  passed over  {line}" for line in in_words(left, dataset.root)]


def _by_folder(dataset: Dataset, images: Sequence[Path]) -> str:
    folders = Counter(image.parent.relative_to(dataset.root).as_posix() for image in images)
    shown = [f"{count} in {'the folder itself' if name == '.' else name}" for name, count in folders.most_common(3)]
    return ", ".join(shown) + (f", and in {len(folders) - 3} more folders" if len(folders) > 3 else "")


def _content(dataset: Dataset, left: Sequence[PassedOver], checked: Checked) -> dict[str, object]:
    """Return what was found as JSON has it: every file once."""
    return {
        "data": str(dataset.root),
        "layout": dataset.layout,
        "good": [str(path) for path in dataset.train],
        "test": [
            {
                "image": str(sample.path),
                "defect": sample.defect,
                "masks": [str(mask) for mask in sample.masks],
                "ignore": None if sample.ignore is None else str(sample.ignore),
            }
            for sample in dataset.test
        ],
        "empty_masks": [str(path) for path in dataset.empty_masks],
        "mask_rules": {kind: {"masks": count, "rule": RULES[kind]} for kind, count in checked.masks.items()},
        "passed_over": [{"path": str(file.path), "reason": file.reason} for file in left],
        "problems": [
            {"path": str(problem.path), "severity": problem.severity, "message": problem.message}
            for problem in checked.problems
        ],
        "errors": len(checked.errors),
        "warnings": len(checked.warnings),
    }
