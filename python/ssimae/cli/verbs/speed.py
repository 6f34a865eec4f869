"""Measure how fast a run inspects at other strides, what each loses, and keep a model for each."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import tyro

from ssimae.cli.bars import progress_bars
from ssimae.cli.exits import OK
from ssimae.cli.flags import parse_flags
from ssimae.host import system
from ssimae.jobs.speed.measure import PLANTED_IMAGES, measure_speed
from ssimae.jobs.speed.measured import TORCH, Speed, Timing

_SOONER = 0.95
"""Share of the time of torch that another engine, or fewer threads, take at most to be worth a word."""

_WIDTH = 22
"""Of the columns of times: a busy machine has long ones."""


@dataclass(frozen=True)
class _SpeedFlags:
    run: tyro.conf.Positional[Path]
    """Run folder."""
    strides: tuple[int, ...] = ()
    """Steps between patches in pixels. Default: that of the training, and from a quarter of a patch to all of it."""
    threads: tuple[int, ...] = ()
    """Numbers of threads. Default: 1, and all processors."""
    loss: float = 0.005
    """Share of verdicts that the chosen stride may lose, such as 1/200: on held-out good images and planted defects."""
    planted: int = PLANTED_IMAGES
    """Images with planted defects, of up to four each; more of them show smaller losses, and take longer."""
    debug: bool = False
    """Show the traceback of errors."""


def main(arguments: list[str]) -> int:
    """Run the verb and return its exit code."""
    flags = parse_flags(_SpeedFlags, "speed", arguments, description=__doc__)
    if not 0 <= flags.loss < 1:
        raise ValueError(f"`--loss` must be a share from 0 to below 1, such as 1/200, got {flags.loss:g}")
    if not 1 <= flags.planted <= 1000:
        raise ValueError(f"`--planted` must be in 1..1000 images, got {flags.planted}")
    with progress_bars() as progress:
        speed = measure_speed(
            flags.run,
            strides=flags.strides,
            threads=flags.threads,
            loss_limit=flags.loss,
            planted_images=flags.planted,
            progress=progress,
        )
    for line in _lines(speed):
        print(line)
    engine = ["--engine", "openvino"] if _is_sooner_by_openvino(speed) else []
    print(system.command_line(["ssimae", "predict", str(flags.run), "IMAGES", "--stride", str(speed.chosen), *engine]))
    return OK


def _lines(speed: Speed) -> list[str]:
    threads = sorted({timing.threads for timing in speed.strides[0].timings})
    engines = list(dict.fromkeys(timing.engine for timing in speed.strides[0].timings))
    heads = [f"{count} thread{'' if count == 1 else 's'}" for count in threads]
    lines = [
        f"Images of {speed.width} x {speed.height}, from file to verdict, in milliseconds (quartiles):",
        f"{'stride':>8}  {'engine':12}"
        + "".join(f"{head:>{_WIDTH}}" for head in heads)
        + f"{'images/s':>10}{'planted found':>16}{'good flagged':>14}{'lost':>6}{'won':>5}",
    ]
    for each in speed.strides:
        for engine in engines:
            timings = [timing for timing in each.timings if timing.engine == engine]
            best = min(timing.ms for timing in timings)
            columns = "".join(f"{_in_words(timing):>{_WIDTH}}" for timing in timings)
            line = f"  {engine:12}{columns}{1000 / best:>10.1f}"
            if engine == engines[0]:
                mark = "*" if each.stride == speed.chosen else " "
                found, flagged = f"{each.found} of {speed.planted}", f"{each.flagged} of {speed.good}"
                lines.append(f"{mark}{each.stride:>7}{line}{found:>16}{flagged:>14}{each.lost:>6}{each.won:>5}")
            else:
                differing = max(timing.images - timing.same_verdicts for timing in timings)
                lines.append(
                    f"{'':8}{line}" + (f"  {differing} of {timings[0].images} verdicts differ" if differing else "")
                )
    chosen = speed.of(speed.chosen)
    lines.append(
        f"* the fastest that loses at most {speed.loss_limit:.2%} of {speed.verdicts} verdicts against stride "
        f"{speed.trained_stride}, those that it wins taken off."
    )
    at_once = max((timing for timing in chosen.timings if timing.engine == TORCH), key=lambda timing: timing.threads)
    if (few := chosen.fastest).ms < _SOONER * at_once.ms:
        lines.append(
            f"torch takes {few.ms:.0f} ms there on {few.threads} of {at_once.threads} threads, and {at_once.ms:.0f} on "
            f"all, as predict runs: set OMP_NUM_THREADS and RAYON_NUM_THREADS to {few.threads} for it."
        )
    if speed.loss_limit * speed.verdicts < 1 and chosen.stride != speed.trained_stride:
        lines.append(
            f"{speed.verdicts} verdicts cannot show so small a loss: none was lost, and it may be one in "
            f"{speed.verdicts // 3}. More --planted images show more."
        )
    return lines


def _is_sooner_by_openvino(speed: Speed) -> bool:
    """Return whether OpenVINO takes clearly less time than torch at the chosen stride, with the same verdicts."""
    chosen = speed.of(speed.chosen)
    others = [timing for timing in chosen.timings if timing.engine == "openvino"]
    return bool(others) and all(
        timing.same_verdicts == timing.images and min(each.ms for each in others) < _SOONER * chosen.fastest.ms
        for timing in others
    )


def _in_words(timing: Timing) -> str:
    return f"{timing.ms:.0f} ({timing.ms_quartiles[0]:.0f}-{timing.ms_quartiles[1]:.0f})"
