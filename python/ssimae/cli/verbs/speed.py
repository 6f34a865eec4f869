"""Measure how fast a run inspects at other strides, what each loses, and keep a model for each."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path

import tyro

from ssimae.cli.bars import progress_bars
from ssimae.cli.exits import OK, complain
from ssimae.cli.flags import parse_flags
from ssimae.cli.tables import folded
from ssimae.errors import InterruptedRunError
from ssimae.host import system
from ssimae.jobs.speed.clock import TimedEngine
from ssimae.jobs.speed.measure import MOST_PLANTED_IMAGES, PLANTED_IMAGES, measure_speed
from ssimae.jobs.speed.measured import TORCH, Speed, Stride, Timing
from ssimae.report.format import as_fraction

_SOONER = 0.95
"""Share of the time of torch that another engine, or fewer threads, take at most to be worth a word."""

_CHOOSABLE = "openvino", "compile"
"""What `predict --engine` takes beside torch; of two that take as long, the first."""


@dataclass(frozen=True)
class _SpeedFlags:
    run: tyro.conf.Positional[Path]
    """Run folder."""
    strides: tuple[int, ...] = ()
    """Steps between patches in pixels. Default: that of the training, and from a quarter of a patch to all of it."""
    threads: tuple[int, ...] = ()
    """Numbers of threads. Default: 1, and all processors."""
    engines: tuple[TimedEngine, ...] = ()
    """What is timed beside torch. Default: all that is installed; compile takes half a minute more to start for each
    number of threads, sooner when it has been compiled before."""
    loss: float = 0.005
    """Share of verdicts that the chosen stride may lose, such as 1/200: on held-out good images and planted defects."""
    planted: int = PLANTED_IMAGES
    """Images with planted defects, of up to four each; more of them show smaller losses, and take longer."""
    force: bool = False
    """Measure everything again, also what an earlier or interrupted command has measured."""
    debug: bool = False
    """Show the traceback of errors."""


def main(arguments: list[str]) -> int:
    """Run the verb and return its exit code."""
    flags = parse_flags(_SpeedFlags, "speed", arguments, description=__doc__)
    if not 0 <= flags.loss < 1:
        raise ValueError(f"`--loss` must be a share from 0 to below 1, such as 1/200, got {flags.loss:g}")
    if not 1 <= flags.planted <= MOST_PLANTED_IMAGES:
        raise ValueError(f"`--planted` must be in 1..{MOST_PLANTED_IMAGES} images, got {flags.planted}")
    with progress_bars() as progress:
        try:
            speed = measure_speed(
                flags.run,
                strides=flags.strides,
                threads=flags.threads,
                engines=flags.engines,
                loss_limit=flags.loss,
                planted_images=flags.planted,
                force=flags.force,
                progress=progress,
            )
        except InterruptedRunError as error:
            again = [argument for argument in arguments if argument != "--force"]
            error.command = system.command_line(["ssimae", "speed", *again])
            raise
    print(_times(speed))
    print()
    print(_verdicts(speed))
    print()
    for line in (*_notes(speed), *_shown_loss(flags, speed)):
        print(line)
    engine = _sooner_engine(speed)
    chosen = ["--stride", str(speed.chosen), *(["--engine", engine] if engine else [])]
    print(system.command_line(["ssimae", "predict", str(flags.run), "IMAGES", *chosen]))
    for name, reason in speed.absent.items():
        complain(f"{name} was not timed: {reason}")
    return OK


def _times(speed: Speed) -> str:
    threads = sorted({timing.threads for each in speed.strides for timing in each.timings})
    engines = list(dict.fromkeys(timing.engine for each in speed.strides for timing in each.timings))
    rows = [["stride", "engine", *(f"{count} thread{'' if count == 1 else 's'}" for count in threads), "images/s"]]
    for each in speed.strides:
        for number, engine in enumerate(engines):
            timings = {timing.threads: timing for timing in each.timings if timing.engine == engine}
            if timings:
                best = min(timing.ms for timing in timings.values())
                stride = "" if number else f"{_mark(speed, each)}{each.stride}"
                cells = [_in_words(timings[count]) if count in timings else "-" for count in threads]
                rows.append([stride, engine, *cells, f"{1000 / best:.1f}"])
    size = f"{speed.width} x {speed.height}"
    return f"Images of {size}, from file to verdict, in milliseconds (quartiles):\n{folded(rows, keys=2)}"


def _verdicts(speed: Speed) -> str:
    rows = [["stride", "planted found", "good flagged", "lost", "won"]]
    for each in speed.strides:
        found, flagged = f"{each.found} of {speed.planted}", f"{each.flagged} of {speed.good}"
        rows.append([f"{_mark(speed, each)}{each.stride}", found, flagged, str(each.lost), str(each.won)])
    return folded(rows, keys=1)


def _mark(speed: Speed, each: Stride) -> str:
    return "*" if each.stride == speed.chosen else " "


def _notes(speed: Speed) -> list[str]:
    chosen = _chosen(speed)
    lines = [
        f"* the fastest that loses at most {as_fraction(speed.loss_limit)} of {speed.verdicts} verdicts against stride "
        f"{speed.trained_stride}, those that it wins taken off."
    ]
    for each in speed.strides:
        for engine in dict.fromkeys(timing.engine for timing in each.timings):
            timings = [timing for timing in each.timings if timing.engine == engine]
            if differing := max(timing.images - timing.same_verdicts for timing in timings):
                lines.append(
                    f"{engine} at stride {each.stride}: {differing} of {timings[0].images} timed images have another "
                    "verdict than by torch."
                )
    compiled = [timing for timing in chosen.timings if timing.engine == "compile" and timing.start_s is not None]
    if compiled:
        best = min(compiled, key=lambda timing: timing.ms)
        saved_ms, start_s = chosen.fastest.ms - best.ms, best.start_s or 0
        pays = f"which pays from {_round(1000 * start_s / saved_ms):,} images on" if saved_ms > 0 else "for nothing"
        lines.append(f"compile took {start_s:.0f} s to start, {pays}; less where it has been compiled before.")
    at_once = max((timing for timing in chosen.timings if timing.engine == TORCH), key=lambda timing: timing.threads)
    if (few := chosen.fastest).ms < _SOONER * at_once.ms:
        lines.append(
            f"torch takes {few.ms:.0f} ms there on {few.threads} of {at_once.threads} threads, and {at_once.ms:.0f} on "
            f"all, as predict runs: set OMP_NUM_THREADS and RAYON_NUM_THREADS to {few.threads} for it."
        )
    return lines


def _shown_loss(flags: _SpeedFlags, speed: Speed) -> list[str]:
    """Return that so few verdicts do not show the loss that was asked for, and the flag that would."""
    if speed.loss_limit == 0 or speed.loss_limit * speed.verdicts >= 1:
        return []
    line = f"{speed.verdicts} verdicts cannot show a loss of {as_fraction(speed.loss_limit)}"
    if speed.plantable_images is not None:
        planted = min(flags.planted, speed.plantable_images)
        wanted = math.ceil((1 / speed.loss_limit - speed.good) * planted / max(speed.planted, 1))
        # A tenth more, and round: how many defects find room differs from image to image.
        wanted = math.ceil(1.1 * wanted / 10) * 10
        if wanted <= min(speed.plantable_images, MOST_PLANTED_IMAGES):
            command = [
                "ssimae",
                "speed",
                str(flags.run),
                "--loss",
                as_fraction(speed.loss_limit),
                "--planted",
                str(wanted),
            ]
            for name in ("strides", "threads", "engines"):
                command += [f"--{name}", *map(str, values)] if (values := getattr(flags, name)) else []
            return [f"{line}; enough are planted by: {system.command_line(command)}"]
    return [f"{line}, nor can more --planted images of this size; the smallest they show is --loss 1/{speed.verdicts}"]


def _sooner_engine(speed: Speed) -> str | None:
    """Return what takes clearly less time than torch at the chosen stride, with the same verdicts; None for nothing."""
    chosen = _chosen(speed)
    best, engine = _SOONER * chosen.fastest.ms, None
    for name in _CHOOSABLE:
        timings = [timing for timing in chosen.timings if timing.engine == name]
        if timings and all(timing.same_verdicts == timing.images for timing in timings):
            ms = min(timing.ms for timing in timings)
            if ms < best:
                best, engine = _SOONER * ms, name
    return engine


def _chosen(speed: Speed) -> Stride:
    assert speed.chosen is not None  # a measurement that ends has times of all strides
    return speed.of(speed.chosen)


def _round(number: float) -> int:
    """Return a number with its first two digits."""
    return max(int(float(f"{number:.2g}")), 1)


def _in_words(timing: Timing) -> str:
    return f"{timing.ms:.0f} ({timing.ms_quartiles[0]:.0f}-{timing.ms_quartiles[1]:.0f})"
