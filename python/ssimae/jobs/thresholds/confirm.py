"""Inspect images that a person confirmed to be good, so that thresholds rest on them, too."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path

from ssimae.data.dataset import UNLABELLED, Sample
from ssimae.data.ignore import pair_ignore_masks
from ssimae.data.masks import read_ignored
from ssimae.hardware import resolve_device
from ssimae.images.read import read_stored
from ssimae.inspection.threshold import Thresholds
from ssimae.inspection.verdict import WHOLE, judge
from ssimae.jobs.accounts import open_again
from ssimae.jobs.job import refuse_problems
from ssimae.jobs.listing import check_for
from ssimae.jobs.predicting.given import absolute, named_images
from ssimae.jobs.thresholds.standing import Standing
from ssimae.progress import Progress
from ssimae.reading import file_sha256
from ssimae.storage.model_file import SavedModel, load_model
from ssimae.tuning.held_out import GoodMap


def confirmed_maps(
    standing: Standing, images: Sequence[Path], *, ignore: Path | None, device: str, progress: Progress
) -> tuple[GoodMap, ...]:
    """Return the maps of images that are good, as the model of a run sees them.

    Those that the thresholds rest on already are passed over, which is said.

    Raises
    ------
    OSError, ValueError
        If an image cannot be inspected, or the network was trained on it: it then shows less than a new one.
    """
    saved = load_model(standing.folder.model)
    assert saved.thresholds is not None
    samples = _samples(images, ignore, saved.thresholds, progress)
    check_given(samples, saved, progress)
    digests = {sample.path: file_sha256(sample.path) for sample in samples}
    trained, counted = _known(standing, {path.stat().st_size for path in digests})
    for path, digest in digests.items():
        if digest in trained:
            raise ValueError(
                f"{path}: the network was trained on this image ({trained[digest]}), so that it shows less there than "
                "on a new one; thresholds take images that were kept out of training"
            )
    new = [sample for sample in samples if digests[sample.path] not in counted]
    if len(new) < len(samples):
        progress.say(f"{len(samples) - len(new)} of {len(samples)} images are counted already.")
    inspector = saved.on(resolve_device(device))
    found, unlike = [], []
    with progress.task("inspecting good images", len(new)) as task:
        for count, sample in enumerate(new, 1):
            image = read_stored(sample.path, channels=saved.settings.channels, data_range=saved.settings.data_range)
            maps = inspector.inspect(image, read_ignored(sample, image.shape))
            if WHOLE in (reason := judge(maps, saved.thresholds).reason):
                unlike.append(f"{sample.path.name}: {reason}")
            codes = standing.stored.encode(maps.judged)
            found.append(GoodMap(codes, sample.path.name, sha256=digests[sample.path]))
            task.update(count)
    if unlike:
        progress.say(
            f"{len(unlike)} of these are flagged as a whole ({unlike[0]}); thresholds do not change that, "
            "`ssimae improve` does."
        )
    return tuple(found)


def given_samples(images: Sequence[Path], ignore: Path | None, progress: Progress) -> tuple[Sample, ...]:
    """Return the images that files, folders and patterns name, as `predict` finds them."""
    named = list(map(str, images))
    found = named_images(list(map(absolute, named)), named, ignore=ignore, say=progress.say)
    return tuple(Sample(arrival.path, arrival.path.stem, UNLABELLED) for arrival in found)


def check_given(samples: Sequence[Sample], saved: SavedModel, progress: Progress) -> None:
    """Log the warnings of images for a model, and refuse all that cannot be inspected in one message."""
    refuse_problems(check_for(saved.settings, samples, progress))


def digests_of(paths: Iterable[Path], sizes: set[int]) -> dict[str, Path]:
    """Return those files by the SHA-256 of their content that have one of some sizes: others are not read."""
    return {file_sha256(path): path for path in paths if path.exists() and path.stat().st_size in sizes}


def _samples(
    images: Sequence[Path], ignore: Path | None, thresholds: Thresholds, progress: Progress
) -> tuple[Sample, ...]:
    samples = given_samples(images, ignore, progress)
    if ignore is None:
        if thresholds.masked:
            raise ValueError("the thresholds rest on good images with an ignore mask; name theirs with `--ignore`")
        return samples
    pairs = pair_ignore_masks(ignore, [sample.path for sample in samples], all_used=False)
    return tuple(replace(sample, ignore=pairs.get(sample.path)) for sample in samples)


def _known(standing: Standing, sizes: set[int]) -> tuple[dict[str, Path], set[str]]:
    """Return which of the files of some sizes were trained on, and which the thresholds rest on; what can be known.

    The run's own images are known where they still lie in their folder.
    """
    counted = {part.sha256 for part in standing.maps.good if part.sha256 is not None}
    _, facts = standing.folder.read_training()
    try:
        dataset = open_again(standing.folder, facts)
    except (OSError, ValueError):
        return {}, counted
    by_digest = digests_of(dataset.train, sizes)
    whole = {part.name for part in standing.maps.good if part.share == 1 and part.sha256 is None}
    held_out = {path for path in dataset.train if dataset.name_of(path) in whole}
    trained = {digest: path for digest, path in by_digest.items() if path not in held_out}
    return trained, counted | (by_digest.keys() - trained.keys())
