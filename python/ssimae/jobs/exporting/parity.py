"""Compare what an exported model says of images with what torch says."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from ssimae.calibration.reference import Reference
from ssimae.config.settings import Settings
from ssimae.data.dataset import Sample, good_samples
from ssimae.data.layouts import open_dataset
from ssimae.data.masks import read_ignored
from ssimae.engines.engine import Outputs
from ssimae.images.depth import Image, view
from ssimae.images.read import image_size, read_stored
from ssimae.inspection.holdout import split_good
from ssimae.inspection.inspector import Inspector, Maps, surface_factor, surface_level
from ssimae.inspection.threshold import Thresholds
from ssimae.inspection.verdict import Judgement, judge
from ssimae.progress import Progress
from ssimae.storage.run_folder import RunFolder

MOST_IMAGES = 8
"""Good images that are compared, and as many of the others."""

_MOST_PIXELS = 2**24
"""Pixels of all compared images together, so that the comparison ends within minutes."""

Source = Literal["given", "held out", "made up"]


@dataclass(frozen=True)
class Compared:
    """One image, and what is ignored of it."""

    name: str
    image: Image
    ignored: NDArray[np.bool_] | None


def given_images(paths: Sequence[Path], settings: Settings) -> list[Compared]:
    """Return the images of files; raises as :func:`ssimae.images.read.read_stored`."""
    return [
        Compared(str(path), read_stored(path, channels=settings.channels, data_range=settings.data_range), None)
        for path in paths
    ]


def images_of_run(folder: RunFolder, settings: Settings) -> list[Compared]:
    """Return some held-out good images of a run and some of its test images; none where they are gone."""
    try:
        _, facts = folder.read_training()
        dataset = open_dataset(facts.data, ignore=facts.ignore)
        good = good_samples(dataset)
        sizes = [image_size(sample.path) for sample in good]
        scaled = [(round(height * settings.scale), round(width * settings.scale)) for height, width in sizes]
        held_out = [good[index] for index, _ in split_good(scaled, settings).held_out]
        chosen = [*_spread(held_out), *_spread(dataset.test)]
        return [_read(sample, settings) for sample in _affordable(chosen)]
    except (OSError, ValueError):
        return []


def made_up_images(settings: Settings, shape: tuple[int, int] | None = None) -> list[Compared]:
    """Return noisy surfaces, one with a spot, for a model whose images cannot be had."""
    side = round(max(3 * settings.smallest_side, 150) / settings.scale)
    rng = np.random.default_rng(settings.seed)
    images = []
    for number in range(2):
        size = shape or (side, side + 7)
        plain = rng.normal(0.5, 0.08, (*size, settings.channels)).astype(np.float32)
        if number:
            plain[size[0] // 3 : size[0] // 2, size[1] // 3 : size[1] // 2] += np.float32(0.3)
        surface = np.clip(plain, 0, 1)
        images.append(Compared(f"made up {number + 1}", surface[:, :, 0] if settings.channels == 1 else surface, None))
    return images


def compare_models(
    images: Sequence[Compared],
    torch_models: Sequence[Inspector],
    exported: Inspector | WholeGraph,
    thresholds: Thresholds,
    progress: Progress,
) -> tuple[dict[str, Any], list[str]]:
    """Return what the comparison found, ready for JSON, and a line for every image that they do not agree on.

    Parameters
    ----------
    images : sequence of Compared
    torch_models : sequence of Inspector
        In the exported arithmetic, of which the differences are taken; and in that of the thresholds, if it is another.
    exported : Inspector or WholeGraph
    thresholds : Thresholds
    progress : Progress
    """
    rows, disagreements = [], []
    largest = {"reconstruction": 0.0, "residual": 0.0, "judged": 0.0, "score": 0.0}
    with progress.task("comparing with torch", len(images)) as task:
        for count, compared in enumerate(images, 1):
            maps = exported.inspect(compared.image, compared.ignored)
            found = judge(maps, thresholds)
            for number, model in enumerate(torch_models):
                wanted_maps = model.inspect(compared.image, compared.ignored)
                wanted = judge(wanted_maps, thresholds)
                if number == 0:
                    for name, value in _differences(wanted_maps, maps).items():
                        largest[name] = max(largest[name], value)
                    largest["score"] = max(largest["score"], abs(wanted.score - found.score))
                    rows.append(
                        {
                            "image": compared.name,
                            "verdict": found.verdict,
                            "verdict_torch": wanted.verdict,
                            "score": found.score,
                            "score_torch": wanted.score,
                            "regions": len(found.regions),
                            "regions_torch": len(wanted.regions),
                        }
                    )
                if not _agree(found, wanted):
                    disagreements.append(
                        f"{compared.name}: {found.verdict} (score {found.score:.6g}), and {wanted.verdict} "
                        f"(score {wanted.score:.6g}) with torch in {model.engine.precision}"
                    )
            task.update(count)
    return {"largest_differences": largest, "images": rows}, disagreements


@dataclass(frozen=True)
class WholeGraph:
    """A graph of images of one size, which inspects with the limits of a model."""

    run: Outputs
    """Returns the outputs by name for an image (1, C, h, w) in its own units."""
    white: float
    reference: Reference | None

    def inspect(self, image: Image, ignored: NDArray[np.bool_] | None) -> Maps:
        """Return the maps of an image of the graph's size."""
        pixels = image[:] * np.float32(self.white)
        outputs = self.run(np.ascontiguousarray(np.moveaxis(pixels.reshape(*pixels.shape[:2], -1), 2, 0)[None]))
        rebuilt = np.moveaxis(outputs["reconstruction"][0], 0, 2).reshape(image.shape)
        judged = np.ascontiguousarray(outputs["judged"][0, 0])
        if self.reference is None:
            return Maps(rebuilt, judged, judged, calibrated=False)
        whole = self.reference.whole
        level = surface_level(outputs["calibrated"][0, 0], None)
        unlike = whole.unlike((*outputs["measures"].tolist(), level))
        judged = (judged / surface_factor(level, whole)).astype(np.float32)
        return Maps(rebuilt, outputs["residual"][0, 0], judged, calibrated=True, unlike=tuple(unlike))


def of_size(images: Sequence[Compared], size: tuple[int, int], settings: Settings) -> list[Compared]:
    """Return the images of a size, and parts of that size of larger ones; made-up ones where there are none."""
    cut = [
        Compared(each.name, view(each.image, (slice(size[0]), slice(size[1]))), None)
        for each in images
        if each.image.shape[0] >= size[0] and each.image.shape[1] >= size[1]
    ]
    return cut or made_up_images(settings, size)


def _agree(one: Judgement, other: Judgement) -> bool:
    return one.verdict == other.verdict and one.reason == other.reason


def _differences(one: Maps, other: Maps) -> dict[str, float]:
    pairs = {
        "reconstruction": (one.reconstruction, other.reconstruction),
        "residual": (one.residual, other.residual),
        "judged": (one.judged, other.judged),
    }
    return {
        name: float(np.abs(first - second).max())
        for name, (first, second) in pairs.items()
        if first is not None and second is not None
    }


def _spread(samples: Sequence[Sample]) -> list[Sample]:
    step = max(1, -(-len(samples) // MOST_IMAGES))
    return list(samples[::step])


def _affordable(samples: Sequence[Sample]) -> list[Sample]:
    """Return as many of the samples as the pixels allow, spread over all, and at least one."""
    pixels = [np.prod(image_size(sample.path)) for sample in samples]
    count = max(1, min(len(samples), int(_MOST_PIXELS * len(samples) / max(sum(pixels), 1))))
    return [samples[index] for index in np.linspace(0, len(samples) - 1, count).astype(int)] if samples else []


def _read(sample: Sample, settings: Settings) -> Compared:
    image = read_stored(sample.path, channels=settings.channels, data_range=settings.data_range)
    return Compared(str(sample.path), image, read_ignored(sample, image.shape))
