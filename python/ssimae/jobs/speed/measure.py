"""Measure other strides of a trained run: what each finds among held-out images, and how long it takes."""

from __future__ import annotations

import dataclasses
import operator
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np
import torch

from ssimae.data.dataset import dataset_fingerprint
from ssimae.hardware import describe, resolve_precision
from ssimae.host import system
from ssimae.inspection.holdout import GoodImages
from ssimae.jobs.accounts import open_again
from ssimae.jobs.speed.clock import engines_at_hand, time_models
from ssimae.jobs.speed.follow import Judged, follow, keep_maps, stride_path
from ssimae.jobs.speed.measured import (
    TORCH,
    Speed,
    Stride,
    Timing,
    choose_stride,
    model_hash,
    network_hash,
    write_speed,
)
from ssimae.jobs.stages import read_good_images, threshold_names
from ssimae.models.build import place
from ssimae.models.dictionary import FeatureDictionary
from ssimae.progress import Progress
from ssimae.storage.agreement import check_agreement
from ssimae.storage.model_file import SavedModel, load_model, save_model
from ssimae.storage.run_folder import RunFolder
from ssimae.tuning.held_out import store_judged
from ssimae.tuning.settle import Settled, n_parts, settle

TIMED = 3
"""Held-out images that are timed, evenly taken."""

PLANTED_IMAGES = 60
"""Images with planted defects, of up to four each: with the good ones enough verdicts to show one in 200."""


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
    loss_limit: float,
    planted_images: int = PLANTED_IMAGES,
    progress: Progress,
) -> Speed:
    """Measure strides of a run; write ``speed.json`` and a model with thresholds of its own for each stride.

    Parameters
    ----------
    run : Path
        A finished run, or one of ``ssimae train``, whose images lie where they lay.
    strides : sequence of int
        Steps between patches, in 1..patch_size; none for the usual ones. That of the training is always measured.
    threads : sequence of int
        Numbers of threads, each at least 1; none for the usual ones.
    loss_limit : float in [0, 1)
        Share of verdicts that the chosen stride may lose.
    planted_images : int
        Images with planted defects.
    progress : Progress

    Raises
    ------
    OSError, ValueError
        If the run has no calibrated autoencoder with thresholds, its images have changed, a stride or number of
        threads cannot be, or another command writes in the folder.
    """
    folder = RunFolder(run)
    _, facts = folder.read_training()
    with folder.locked():
        check_agreement(folder)
        saved = load_model(folder.model)
        _refuse_unfit(folder, saved)
        chosen = sorted({*(strides or usual_strides(saved)), saved.settings.stride})
        for stride in chosen:
            if not 1 <= stride <= saved.settings.patch_size:
                raise ValueError(f"`--strides` must be in 1..{saved.settings.patch_size}, the patch size, got {stride}")
        if any(count < 1 for count in threads):
            raise ValueError(f"`--threads` must be at least 1, got {min(threads)}")
        dataset = open_again(folder, facts)
        if dataset_fingerprint(dataset) != facts.fingerprint:
            raise ValueError(f"{dataset.root}: the images have changed since {folder.root} was started")
        good = read_good_images(dataset, saved.settings, progress)
        names = threshold_names(dataset, good)
        if tuple(names) != facts.threshold_images:
            raise ValueError(
                f"{folder.root}: an earlier version held out other parts of the good images, and those of this version "
                "were trained on; train it again"
            )
        by_image = dict(zip((index for index, _ in good.split.held_out), names, strict=True))
        models = {stride: stride_path(folder, stride) for stride in chosen}
        total = n_parts(good, saved.settings, planted_images=planted_images)
        with progress.task("inspecting held-out images", len(chosen) * total) as task:
            for number, stride in enumerate(chosen):
                done = number * total
                settled = _settle(
                    saved,
                    good,
                    stride,
                    planted_images,
                    lambda count, done=done: task.update(done + count),  # type: ignore[misc]
                )
                if settled.planted is None:
                    raise ValueError(
                        f"{folder.root}: its images leave no room for planted defects: nothing tells what is lost"
                    )
                models[stride].parent.mkdir(exist_ok=True)
                save_model(models[stride], _model_of(saved, settled))
                judged = settled.judged
                shown = [by_image[index] for index in judged.images]
                keep_maps(folder, stride, settled.thresholds, store_judged(judged, shown, settled.thresholds))
        assert saved.thresholds is not None
        found = follow(folder, chosen, saved.settings.stride, saved.thresholds)
        images = [dataset.train[index] for index, _ in good.split.held_out]
        timed = [images[number * len(images) // min(TIMED, len(images))] for number in range(min(TIMED, len(images)))]
        timings = _timings(saved, models, timed, threads or usual_threads(), progress)
        speed = _table(saved, folder.model, good, found=found, timings=timings, loss_limit=loss_limit)
        write_speed(folder, speed)
    return speed


def _refuse_unfit(folder: RunFolder, saved: SavedModel) -> None:
    if saved.thresholds is None:
        raise ValueError(f"{folder.model}: the model has no thresholds yet; its run sets them: {folder.resumption}")
    if isinstance(saved.model, FeatureDictionary) or saved.settings.residual_average:
        raise ValueError(f"{folder.model}: its stride is a part of its method, and cannot be changed")
    if saved.reference is None:
        raise ValueError(
            f"{folder.model}: the residual is not calibrated, and without planted defects nothing tells what is lost; "
            "calibrate it by: ssimae run --weights RUN --calibration auto"
        )


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


def _timings(
    saved: SavedModel, models: dict[int, Path], images: Sequence[Path], threads: Sequence[int], progress: Progress
) -> dict[int, tuple[Timing, ...]]:
    found: dict[int, list[Timing]] = {stride: [] for stride in models}
    engines = engines_at_hand(saved)
    with progress.task("timing", len(threads)) as task:
        for number, count in enumerate(sorted(set(threads)), 1):
            timed = time_models(list(models.values()), images, engines, threads=count)
            wanted = {times.model: times.verdicts for times in timed if times.engine == TORCH}
            for times in timed:
                low, middle, high = (float(value) for value in np.quantile(times.ms, [0.25, 0.5, 0.75]))
                same = sum(map(operator.eq, times.verdicts, wanted[times.model]))
                timing = Timing(times.engine, count, middle, (low, high), len(times.ms), len(images), same)
                found[list(models)[times.model]].append(timing)
            task.update(number)
    return {stride: tuple(timings) for stride, timings in found.items()}


def _table(
    saved: SavedModel,
    model: Path,
    good: GoodImages,
    *,
    found: Mapping[int, Judged],
    timings: dict[int, tuple[Timing, ...]],
    loss_limit: float,
) -> Speed:
    own = found[saved.settings.stride]
    strides = tuple(
        Stride(stride=stride, timings=timings[stride], **each.against(own)) for stride, each in found.items()
    )
    height, width = good.images[good.split.held_out[0][0]].shape[:2]
    return Speed(
        version=1,
        model=model_hash(model),
        trained_stride=saved.settings.stride,
        height=height,
        width=width,
        good=len(own.good),
        planted=len(own.planted),
        loss_limit=loss_limit,
        chosen=choose_stride(strides, len(own.right), loss_limit, saved.settings.stride),
        strides=strides,
        processor=describe(torch.device("cpu")),
        network=network_hash(model),
    )
