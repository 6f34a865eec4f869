"""Measure other strides of a trained run: what each finds among held-out images, and how long it takes."""

from __future__ import annotations

import dataclasses
import operator
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import torch

from ssimae.errors import InterruptedRunError
from ssimae.hardware import resolve_precision
from ssimae.host import system
from ssimae.inspection.holdout import GoodImages
from ssimae.jobs.speed.clock import STEPS, TimedEngine, time_models, timed_engines
from ssimae.jobs.speed.estimate import expected_seconds
from ssimae.jobs.speed.follow import keep_maps, stride_path
from ssimae.jobs.speed.held import HeldOut, read_held_out, refuse_unfit
from ssimae.jobs.speed.kept import Asked, Measured
from ssimae.jobs.speed.measured import TORCH, Speed, Timing
from ssimae.models.build import place
from ssimae.progress import Progress
from ssimae.storage.agreement import check_agreement
from ssimae.storage.model_file import SavedModel, load_model, save_model
from ssimae.storage.run_folder import RunFolder
from ssimae.training.interrupt import interruption_of
from ssimae.tuning.held_out import store_judged
from ssimae.tuning.parts import PLANTED_PIXELS, planted_numbers
from ssimae.tuning.settle import Settled, n_parts, settle

PLANTED_IMAGES = 60
"""Images with planted defects, of up to four each: with the good ones enough verdicts to show one in 200."""

MOST_PLANTED_IMAGES = 1000


def usual_strides(saved: SavedModel) -> list[int]:
    """Return the strides that are worth a look: that of the training, and from a quarter of the patch to all of it."""
    patch = saved.settings.patch_size
    return sorted({saved.settings.stride, patch // 4, 3 * patch // 8, patch // 2, 3 * patch // 4, patch})


def usual_threads() -> list[int]:
    """Return one thread, and as many as this process may have."""
    return sorted({1, system.processors()})


def measure_speed(
    run: Path,
    *,
    strides: Sequence[int],
    threads: Sequence[int],
    engines: Sequence[TimedEngine] = (),
    loss_limit: float,
    planted_images: int = PLANTED_IMAGES,
    force: bool = False,
    progress: Progress,
) -> Speed:
    """Measure strides of a run; write ``speed.json`` and a model with thresholds of its own for each stride.

    What an earlier call measured of the same network with as many planted images is not measured again.

    Parameters
    ----------
    run : Path
        A finished run, or one of ``ssimae train``, whose images lie where they lay.
    strides : sequence of int
        Steps between patches, in 1..patch_size; none for the usual ones. That of the training is always measured.
    threads : sequence of int
        Numbers of threads, each at least 1; none for the usual ones.
    engines : sequence of str
        What is timed beside torch; none for all that are installed.
    loss_limit : float in [0, 1)
        Share of verdicts that the chosen stride may lose.
    planted_images : int
        Images with planted defects.
    force : bool
        Measure everything again.
    progress : Progress

    Raises
    ------
    OSError, ValueError
        If the run has no calibrated autoencoder with thresholds, its images have changed, a stride or number of
        threads cannot be, an engine is not installed, or another command writes in the folder.
    InterruptedRunError
        If Ctrl-C or SIGTERM came; what was measured by then is kept.
    """
    folder = RunFolder(run)
    _, facts = folder.read_training()
    with folder.locked():
        check_agreement(folder)
        saved = load_model(folder.model)
        refuse_unfit(folder, saved)
        chosen = sorted({*(strides or usual_strides(saved)), saved.settings.stride})
        for stride in chosen:
            if not 1 <= stride <= saved.settings.patch_size:
                raise ValueError(f"`--strides` must be in 1..{saved.settings.patch_size}, the patch size, got {stride}")
        if any(count < 1 for count in threads):
            raise ValueError(f"`--threads` must be at least 1, got {min(threads)}")
        timed = timed_engines(saved, engines)
        held = read_held_out(folder, facts, saved, progress)
        height, width = held.good.images[held.good.split.held_out[0][0]].shape[:2]
        asked = Asked(
            tuple(chosen),
            tuple(sorted({*(threads or usual_threads())})),
            tuple(timed),
            loss_limit,
            planted_images,
            len(planted_numbers(held.good, PLANTED_PIXELS, MOST_PLANTED_IMAGES)),
            height,
            width,
        )
        measured = Measured(folder, saved, asked)
        if not force:
            measured.take_up()
        _announce(measured, held, progress)
        try:
            _inspect(measured, held, progress)
            _time(measured, held.timed, progress)
        except KeyboardInterrupt as error:
            raise InterruptedRunError(interruption_of(error).signal, _how_far(measured)) from error
        return measured.write()


def _announce(measured: Measured, held: HeldOut, progress: Progress) -> None:
    """Say what will be done, and about how long it takes."""
    asked, strides, threads = measured.asked, measured.missing_strides, measured.missing_threads
    if not strides and not threads:
        progress.say(f"{measured.folder.root}: all of this has been measured; `--force` measures it again")
        return
    if measured.judged:
        kept = ", ".join(map(str, sorted(measured.judged)))
        progress.say(f"what was measured at stride {kept} before is kept; `--force` measures it again")
    seconds = expected_seconds(
        measured.saved,
        held.good.images[held.good.split.held_out[0][0]],
        strides,
        parts=n_parts(held.good, measured.saved.settings, planted_images=asked.planted_images),
        timed_strides=asked.strides,
        timed_images=len(held.timed),
        threads=threads,
        engines=asked.engines,
    )
    minutes = max(round(seconds / 60), 1)
    compiling = ", some of it to compile" if "compile" in asked.engines and threads else ""
    progress.say(
        f"this takes about {minutes} minute{'' if minutes == 1 else 's'}{compiling}; Ctrl-C keeps what is measured by "
        "then"
    )


def _inspect(measured: Measured, held: HeldOut, progress: Progress) -> None:
    """Inspect the held-out images at the strides that are missing."""
    saved, good, planted_images = measured.saved, held.good, measured.asked.planted_images
    by_image = dict(zip((index for index, _ in good.split.held_out), held.names, strict=True))
    total = n_parts(good, saved.settings, planted_images=planted_images)
    strides = measured.missing_strides
    with progress.task("inspecting held-out images", len(strides) * total) as task:
        for number, stride in enumerate(strides):
            done = number * total
            settled = _settle(
                saved,
                good,
                stride,
                planted_images,
                lambda count, done=done: task.update(done + count, f"stride {stride}"),  # type: ignore[misc]  # noqa: B023
            )
            if settled.planted is None:
                raise ValueError(
                    f"{measured.folder.root}: its images leave no room for planted defects: nothing tells what is lost"
                )
            path = stride_path(measured.folder, stride)
            path.parent.mkdir(exist_ok=True)
            save_model(path, _model_of(saved, settled))
            judged = settled.judged
            shown = [by_image[index] for index in judged.images]
            keep_maps(measured.folder, stride, settled.thresholds, store_judged(judged, shown, settled.thresholds))
            measured.judge([stride])
            measured.write()


def _time(measured: Measured, images: Sequence[Path], progress: Progress) -> None:
    """Time all strides with the numbers of threads that are missing."""
    strides, threads = measured.asked.strides, measured.missing_threads
    models = [stride_path(measured.folder, stride) for stride in strides]
    with progress.task("timing", len(threads) * STEPS) as task:
        for number, count in enumerate(threads):
            timed = time_models(
                models,
                images,
                measured.asked.engines,
                threads=count,
                on_step=lambda done, before=number * STEPS: task.update(before + done),  # type: ignore[misc]
            )
            wanted = {times.model: times.verdicts for times in timed.times if times.engine == TORCH}
            found: dict[int, list[Timing]] = {stride: [] for stride in strides}
            for times in timed.times:
                low, middle, high = (float(value) for value in np.quantile(times.ms, [0.25, 0.5, 0.75]))
                same = sum(map(operator.eq, times.verdicts, wanted[times.model]))
                timing = Timing(
                    times.engine, count, middle, (low, high), len(times.ms), len(images), same, times.start_s
                )
                found[strides[times.model]].append(timing)
            measured.timings |= {(count, stride): tuple(timings) for stride, timings in found.items()}
            measured.absent |= timed.absent
            measured.write()


def _how_far(measured: Measured) -> str:
    """Return what is kept, as an interruption says it."""
    strides, threads = measured.asked.strides, measured.asked.threads
    if measured.missing_strides:
        return (
            f"after {len(measured.judged)} of {len(strides)} strides; what was measured is kept"
            if measured.judged
            else "before the first stride was measured"
        )
    timed = len(threads) - len(measured.missing_threads)
    return f"after all strides and {timed} of {len(threads)} numbers of threads; what was measured is kept"


def _settle(
    saved: SavedModel, good: GoodImages, stride: int, planted_images: int, on_part: Callable[[int], None]
) -> Settled:
    device = torch.device("cpu")
    return settle(
        place(saved.model, device),
        good,
        dataclasses.replace(saved.settings, stride=stride),
        head=None if saved.head is None else place(saved.head, device),
        device=device,
        precision=resolve_precision(saved.precision, device),
        planted_images=planted_images,
        on_part=on_part,
    )


def _model_of(saved: SavedModel, settled: Settled) -> SavedModel:
    return dataclasses.replace(
        saved, settings=settled.settings, thresholds=settled.thresholds, reference=settled.reference
    )
