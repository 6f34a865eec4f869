"""Compare the command without flags with the presets, on every data set: pixels, images, and verdicts."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import mean, median, stdev
from typing import Any

from ssimae.config.presets import Preset, preset
from ssimae.reproduce.cells import SURFACES, Cell
from ssimae.reproduce.plan import Plan
from ssimae.reproduce.stored.summary import devices
from ssimae.reproduce.targets import spread


@dataclass(frozen=True)
class Command:
    """One way to run a data set."""

    name: str
    flags: str
    """What is typed after ``ssimae run --data DIR``."""
    preset: Preset
    minutes: float | None = None
    epochs: int | None = None
    seeds: int | None = None
    """How many of the seeds are run; None for all."""


COMMANDS = (
    Command("auto", "", "auto", minutes=20, seeds=1),
    Command("quick", "--minutes 5", "auto", minutes=5),
    Command("best", "--preset best --epochs 10", "best", epochs=10, seeds=1),
    Command("texture", "--preset best-texture --epochs 10", "best-texture", epochs=10, seeds=1),
    Command("paper", "--preset paper --epochs 10", "paper", epochs=10, seeds=1),
)
"""The presets train on 100,000 patches, some minutes on two cores with bfloat16 as the command without flags does."""


def surface_cells(plan: Plan) -> list[Cell]:
    """Return a cell for each data set, command and seed."""
    cells = []
    for material in plan.materials:
        for command in COMMANDS:
            settings = preset(command.preset)
            if command.epochs is not None:
                settings = dataclasses.replace(settings, epochs=command.epochs)
            for seed in plan.seeds[: command.seeds]:
                cells.append(
                    Cell(
                        name=f"{material.name}/{SURFACES}/{command.name}-seed{seed}",
                        data=material.data,
                        ignore=material.ignore,
                        settings=dataclasses.replace(settings, seed=seed),
                        preset=command.preset,
                        minutes=command.minutes,
                    )
                )
    return cells


def flagless_cells(plan: Plan) -> list[Cell]:
    """Return the cell of each data set that is run without flags."""
    return [cell for cell in surface_cells(plan) if cell.name.endswith(f"/{COMMANDS[0].name}-seed{plan.seeds[0]}")]


def surface_table(results: Sequence[dict[str, Any]]) -> str:
    """Return a row for each data set and command with stored results, seeds together, as Markdown."""
    lines = [
        "| data | `ssimae run --data DIR` | pixel AUROC | AP | AU-PRO .3 | AU-PRO .05 | image AUROC | defective images "
        "flagged | in the right place | good images flagged | the whole took |",
        "|---|---|---|---|---|---|---|---|---|---|---|",
    ]
    groups: dict[tuple[str, str], list[dict[str, Any]]] = {}
    for result in results:
        data, part, name = result["cell"].split("/")
        if part == SURFACES and result["metrics"] is not None:
            groups.setdefault((data, name.rsplit("-seed", 1)[0]), []).append(result)
    for data in dict.fromkeys(data for data, _ in groups):
        for command in COMMANDS:
            if group := groups.get((data, command.name)):
                flags = f"`{command.flags}`" if command.flags else "no flag"
                if any(result.get("masked") for result in group):
                    flags += ", with `--ignore`"
                lines.append(f"| {' | '.join([data, flags, *_columns(group)])} |")
    return "\n".join(lines)


def _columns(group: Sequence[dict[str, Any]]) -> list[str]:
    metrics = [result["metrics"] for result in group]
    verdicts = [result["verdicts"] for result in group]
    image = [stored["image_auroc"] for stored in metrics]
    return [
        *(spread([stored[name] for stored in metrics]) for name in ("auroc", "average_precision")),
        *(spread([stored["aupros"][limit] for stored in metrics]) for limit in ("0.3", "0.05")),
        "" if None in image else spread(image),
        _share([(counts["defective"]["flagged"], counts["defective"]["images"]) for counts in verdicts]),
        _share([(counts["defective"]["placed"], counts["defective"]["images"]) for counts in verdicts]),
        _share([(counts["good"]["flagged"], counts["good"]["images"]) for counts in verdicts if "good" in counts]),
        # The median: of a run that was interrupted, the pause counts too.
        f"{median(result['seconds'] for result in group) / 60:.0f} min, {devices(group)}",
    ]


def _share(counts: Sequence[tuple[int, int]]) -> str:
    """Return counts of images as a share, with its spread over seeds; empty where there are none."""
    if not counts:
        return ""
    shares = [100 * some / of for some, of in counts]
    if len(counts) > 1:
        return f"{mean(shares):.0f} ± {stdev(shares):.0f} % of {counts[0][1]}"
    return f"{counts[0][0]} of {counts[0][1]}"
