"""Measure what a network reaches: finish its run folder, and store its time beside its metrics and planted defects."""

from __future__ import annotations

import dataclasses
import datetime
import json
from pathlib import Path
from typing import Any

import torch

from ssimae.atomic import write_text
from ssimae.data.layouts import open_dataset
from ssimae.evaluation.output import read_metrics
from ssimae.inspection.holdout import GoodImages, take
from ssimae.inspection.threshold import Thresholds
from ssimae.jobs.job import Job, facts_of
from ssimae.jobs.stages import read_good_images
from ssimae.losses.protocol import constant_loss
from ssimae.pod.hits import PlantedDefects
from ssimae.pod.table import DetectionTable
from ssimae.progress import Progress
from ssimae.reading import read_json
from ssimae.reproduce.over_time.points import TIME, Point
from ssimae.reproduce.over_time.snapshots import read_snapshot
from ssimae.reproduce.stored.results import digest, kept_facts, mapsdigest
from ssimae.storage.model_file import SavedModel, load_model, save_model
from ssimae.storage.run_folder import RunFolder
from ssimae.training.crops import CropSampler
from ssimae.training.log import LogLine
from ssimae.training.train import Training
from ssimae.tuning.held_out import found_defects
from ssimae.tuning.parts import GOOD_PIXELS, PLANTED_PIXELS, fewer_parts, held_out_regions, plant_images

_LONGEST = 3.0, 300.0
"""Multiples of the minutes that were asked for, and seconds on top, beyond which a run is taken to have paused."""


def adopt(point: Point, snapshot: Path, good: GoodImages, out: Path, *, device: torch.device) -> None:
    """Make the state of a training the network of a run folder, which is then finished as any other.

    Raises
    ------
    OSError, ValueError
        If the state cannot be read, or the folder not be written.
    """
    cell = point.cell
    folder, settings = cell.folder(out), cell.settings
    dataset = open_dataset(cell.data, ignore=cell.ignore)
    job = Job(data=cell.data, ignore=cell.ignore, settings=settings, preset=cell.preset, device=str(device))
    facts = facts_of(job, dataset, device)
    model, position = read_snapshot(snapshot, settings)
    parts, ignored = good.training_parts(settings)
    crops = CropSampler(parts, settings, ignored)
    training = Training(
        model, position.loss or 0.0, constant_loss(crops.batch(0), settings), facts.precision, position.elapsed_s
    )
    patches = crops.patches_seen(position.step)
    folder.root.mkdir(parents=True, exist_ok=True)
    with folder.locked():
        folder.clear()
        save_model(folder.model, SavedModel(model, settings, facts.precision, None, alarm=training.alarm))
        folder.append_log(
            LogLine(
                position.step,
                patches,
                position.step // crops.steps_per_epoch,
                training.loss,
                settings.lr,
                patches / position.elapsed_s,
                position.elapsed_s,
            ).as_dict()
        )
        # Last: what has settings but no network would be trained.
        folder.write_config(settings, dataclasses.replace(facts, plateau=training.plateau).with_alarm(training.alarm))


def measure(point: Point, out: Path, results: Path, *, device: torch.device, progress: Progress) -> dict[str, Any]:
    """Return the numbers of a finished run, and store them; those of the same network are not measured again.

    Raises
    ------
    OSError, ValueError
        If the run is damaged, its images are gone, or it has no metrics.
    """
    folder, path = point.cell.folder(out), point.record(results)
    model = digest([folder.model])
    stored: dict[str, Any] = read_json(path, dict[str, Any]) if path.exists() else {}
    if stored.get("model_sha256") == model:
        return stored
    settings, facts = folder.read_training()
    if not folder.metrics.exists():
        raise ValueError(f"{facts.data}: no ground-truth mask marks a pixel that is inspected, so no metrics")
    metrics = read_metrics(folder.metrics)
    planted = _planted(folder, device=device, progress=progress)
    last = folder.read_log()[-1]
    stored = {
        "time_of": point.cell.name,
        "data": point.cell.data_name,
        "way": point.way,
        "minutes": point.minutes,
        "seed": point.seed,
        "masked": facts.ignore is not None,
        "ready_s": _ready_s(point, folder, facts.created) if point.way == "auto" else last["elapsed_s"],
        "patches": last["patches"],
        "planted": len(planted.hit),
        "found": int(planted.hit.sum()),
        "metrics": {name: metrics[name] for name in ("auroc", "image_auroc", "aupros")},
        "facts": kept_facts(facts),
        "commit": facts.commit,
        "settings": dataclasses.asdict(settings),
        "model_sha256": model,
        "residuals_sha256": mapsdigest(folder),
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    write_text(path, json.dumps(stored, indent=1) + "\n")
    return stored


def read_measured(results: Path) -> list[dict[str, Any]]:
    """Return all that is stored, in the order of the names.

    Raises
    ------
    ValueError
        If a file is damaged.
    """
    return [read_json(path, dict[str, Any]) for path in sorted(results.glob(f"*/{TIME}/*.json"))]


def _ready_s(point: Point, folder: RunFolder, created: str) -> float | None:
    """Return the seconds from the start of a run until its model had thresholds.

    None for one that paused, or whose thresholds were set again: its files then tell of far longer.
    """
    seconds = folder.model.stat().st_mtime - datetime.datetime.fromisoformat(created).timestamp()
    factor, more = _LONGEST
    return seconds if 0 < seconds <= factor * 60 * point.minutes + more else None


def _planted(folder: RunFolder, *, device: torch.device, progress: Progress) -> PlantedDefects:
    """Return what a run found of planted defects; where it did not plant any itself, on its held-out images now."""
    if folder.pod.exists():
        return DetectionTable.from_dict(read_json(folder.pod, dict[str, Any])).defects
    settings, facts = folder.read_training()
    saved = load_model(folder.model)
    assert saved.thresholds is not None
    good = read_good_images(open_dataset(facts.data, ignore=facts.ignore), settings, progress)
    return find_planted(saved, good, saved.thresholds, device=device, progress=progress)


def find_planted(
    saved: SavedModel, good: GoodImages, thresholds: Thresholds, *, device: torch.device, progress: Progress
) -> PlantedDefects:
    """Return which defects a model finds that are planted in the held-out parts of good images, as a run plants them.

    Parameters
    ----------
    saved : SavedModel
    good : GoodImages
        With at least one held-out part.
    thresholds : Thresholds
        What is above them is found.
    device : torch.device
    progress : Progress
    """
    inspector, good = saved.on(device), fewer_parts(good, GOOD_PIXELS)
    regions = held_out_regions(good, saved.settings.scale)
    images = list(plant_images(good, scale=saved.settings.scale, seed=saved.settings.seed, pixels=PLANTED_PIXELS))
    maps, labels = [], []
    with progress.task("inspecting planted defects", len(images)) as task:
        for count, planted in enumerate(images, 1):
            index, region = regions[planted.index]
            maps.append(take(inspector.inspect(planted.image, good.ignored[index]).judged, region))
            labels.append(take(planted.labels, region))
            task.update(count)
    return found_defects(maps, labels, [planted.defects for planted in images], thresholds)
