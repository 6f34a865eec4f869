"""Compare a run with the one it improves: taught images, good ones, planted defects, test images, known defects."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from ssimae.atomic import write_text
from ssimae.data.dataset import GOOD, Sample
from ssimae.data.ignore import pair_ignore_masks
from ssimae.data.masks import load_mask, read_ignored
from ssimae.hardware import resolve_device
from ssimae.images.read import read_stored
from ssimae.inspection.verdict import Judgement, judge
from ssimae.jobs.improve.teach import missed_samples
from ssimae.progress import Progress, Task
from ssimae.reading import read_json
from ssimae.storage.model_file import SavedModel, load_model
from ssimae.storage.predictions import read_predictions
from ssimae.storage.run_folder import RunFolder

_Models = tuple[SavedModel, SavedModel]
"""Before and after."""


@dataclass(frozen=True)
class Told:
    """What two models say of one image."""

    image: str
    part: str
    """How it took part: trained on, held out, or a known defect."""
    before: str
    """Verdict, and for a known defect with a mask whether it was found in its place."""
    after: str
    score_before: float
    score_after: float


@dataclass(frozen=True)
class Share:
    """How many of some things are flagged or found, before and after."""

    before: int
    of_before: int
    after: int
    of_after: int


@dataclass(frozen=True)
class Improvement:
    """The content of ``improvement.json``."""

    taught: tuple[Told, ...]
    missed: tuple[Told, ...]
    held_out: Share
    """Held-out good images that the model's own thresholds flag."""
    planted: Share | None
    """Planted defects that are found."""
    test_good: Share | None
    """Good test images that are flagged."""
    test_others: Share | None
    """The same of defective ones, and of those of which nothing says what they are."""
    changed: int
    """Test images whose verdict changed."""


def compare_stage(out: Path, *, device: str, progress: Progress) -> Improvement:
    """Return what an improved run changed, and write it into ``improvement.json``."""
    folder = RunFolder(out)
    _, facts = folder.read_training()
    assert facts.improves is not None
    source = RunFolder(facts.improves)
    earlier = set(source.read_training()[1].taught)
    models = load_model(source.model), load_model(folder.model)
    numbers = [number for number, path in enumerate(facts.taught) if path not in earlier]
    taught = [Path(facts.taught[number]) for number in numbers]
    ignored = {} if facts.ignore is None else pair_ignore_masks(facts.ignore, taught, all_used=False)
    samples = [Sample(path, path.stem, GOOD, ignore=ignored.get(path)) for path in taught]
    known = missed_samples([Path(path) for path in facts.missed], [Path(path) for path in facts.missed_masks])
    held_out = set(facts.held_out_images)
    parts = []
    for number, path in zip(numbers, taught, strict=True):
        kept_out = f"taught/{number + 1}-{path.name}" in held_out
        whole = len(held_out) < facts.train_images
        parts.append(("held out" if whole else "a band held out") if kept_out else "trained on")
    with progress.task("comparing", len(samples) + len(known)) as task:
        told = _tell([*samples, *known], [*parts, *["known defect"] * len(known)], models, device, task)
    test_good, test_others, changed = _tested(source, folder)
    improvement = Improvement(
        taught=tuple(told[: len(samples)]),
        missed=tuple(told[len(samples) :]),
        held_out=_held_out(models),
        planted=_planted(source, folder),
        test_good=test_good,
        test_others=test_others,
        changed=changed,
    )
    write_text(folder.improvement, json.dumps(asdict(improvement), indent=1) + "\n")
    return improvement


def _tell(samples: Sequence[Sample], parts: Sequence[str], models: _Models, device: str, task: Task) -> list[Told]:
    inspectors = [model.on(resolve_device(device)) for model in models]
    told = []
    for count, (sample, part) in enumerate(zip(samples, parts, strict=True), 1):
        words, scores = [], []
        for model, inspector in zip(models, inspectors, strict=True):
            assert model.thresholds is not None
            image = read_stored(sample.path, channels=model.settings.channels, data_range=model.settings.data_range)
            found = judge(inspector.inspect(image, read_ignored(sample, image.shape)), model.thresholds)
            words.append(_words(found, sample, image.shape))
            scores.append(found.score)
        told.append(Told(str(sample.path), part, words[0], words[1], scores[0], scores[1]))
        task.update(count)
    return told


def _words(found: Judgement, sample: Sample, shape: tuple[int, ...]) -> str:
    if not sample.masks or found.verdict == "good":
        return found.verdict
    place = "in its place" if found.mask[load_mask(sample, shape)].any() else "elsewhere"
    return f"{found.verdict}, {place}"


def _held_out(models: _Models) -> Share:
    numbers = []
    for model in models:
        assert model.thresholds is not None
        levels = model.thresholds.good_levels
        numbers += [sum(level > model.thresholds.review for level in levels), len(levels)]
    return Share(*numbers)


def _planted(source: RunFolder, folder: RunFolder) -> Share | None:
    if not source.pod.exists() or not folder.pod.exists():
        return None
    numbers = []
    for path in (source.pod, folder.pod):
        hits = read_json(path, dict[str, Any])["defects"]["hit"]
        numbers += [sum(hits), len(hits)]
    return Share(*numbers)


def _tested(source: RunFolder, folder: RunFolder) -> tuple[Share | None, Share | None, int]:
    """Return how many good test images are flagged, how many others, and how many verdicts changed."""
    before, after = (
        {(row.defect, row.name): row for row in read_predictions(part.predictions)[0]} for part in (source, folder)
    )
    both = [(before[key], after[key]) for key in before if key in after]
    shares = []
    for good in (True, False):
        some = [pair for pair in both if (pair[0].is_defective is False) == good]
        flagged = [sum(pair[side].flagged for pair in some) for side in (0, 1)]
        shares.append(Share(flagged[0], len(some), flagged[1], len(some)) if some else None)
    return shares[0], shares[1], sum(one.verdict != other.verdict for one, other in both)
