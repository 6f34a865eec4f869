"""Compare how planted and how real defects rank ways to treat the maps of a finished run."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.stats import spearmanr

from ssimae.calibration.places import place_features
from ssimae.calibration.reference import Reference
from ssimae.calibration.whole import WholeLimits, fit_limits
from ssimae.config.settings import Form, Settings
from ssimae.data.dataset import Sample, inspected_samples
from ssimae.data.layouts import open_dataset
from ssimae.data.masks import read_ignored, read_mask
from ssimae.images.read import read_image
from ssimae.inspection.cleaning import clean
from ssimae.inspection.holdout import take
from ssimae.inspection.inspector import Inspector, surface_factor, surface_level, surface_of
from ssimae.jobs.stages import read_good_images
from ssimae.progress import Progress
from ssimae.regions import label_regions
from ssimae.storage.model_file import load_model
from ssimae.storage.run_folder import RunFolder
from ssimae.tuning.folds import ANYTHING, calibrated_maps, fit_folds, fit_references, joined, share_geometry
from ssimae.tuning.parts import GOOD_PIXELS, PLANTED_PIXELS, Part, fewer_parts, inspect_parts, labels_of
from ssimae.tuning.score import PlantedScore, score_maps
from ssimae.tuning.settle import SMOOTHINGS

_HEAD_WEIGHTS = 0.0, 0.5, 1.0

FACTORS = {"residual_smoothing": "smoothing", "calibration": "form", "head_weight": "weight of the head"}
"""What a treatment sets, and its name in a table."""


@dataclass(frozen=True)
class _RealDefects:
    """The maps of a defective test image before calibration, and where its defects are."""

    channels: Mapping[str, NDArray[np.float32]]
    features: NDArray[np.float32]
    ignored: NDArray[np.bool_] | None
    labels: NDArray[np.int32]


def compare_treatments(folder: RunFolder, *, device: torch.device, progress: Progress) -> list[dict[str, Any]]:
    """Return, for each way to treat the maps of a finished run, its score by planted and by real defects.

    Parameters
    ----------
    folder : RunFolder
        A run that calibrates, on a data set with masks.
    device : torch.device
    progress : Progress

    Returns
    -------
    list of dict
        With the keys of :data:`FACTORS`, and ``planted`` and ``real``: AU-PRO up to a false positive rate of 5 %, and
        the share found above the level of a good image (:func:`ssimae.tuning.score.score_maps` for both).

    Raises
    ------
    OSError, ValueError
        If the run is not finished, or its images are gone.

    Notes
    -----
    Nothing is chosen here: a run does not see its test images before its settings and thresholds are written.
    """
    settings, facts = folder.read_training()
    dataset = open_dataset(facts.data, ignore=facts.ignore)
    saved = load_model(folder.model)
    inspector = dataclasses.replace(saved.on(device), reference=None)
    good = fewer_parts(read_good_images(dataset, settings, progress), GOOD_PIXELS)
    parts, planted = inspect_parts(inspector, good, planted_pixels=PLANTED_PIXELS, on_part=lambda count: None)
    forms: list[Form] = ["border", "surface", *(("position", "both") if share_geometry(parts) else ())]
    folds = fit_folds(parts, forms, seed=settings.seed)
    whole = fit_references(parts, forms, whole=ANYTHING, seed=settings.seed)
    real = list(_real_defects(inspector, inspected_samples(dataset), progress))
    found = []
    weights = _HEAD_WEIGHTS if inspector.engine.has_head else _HEAD_WEIGHTS[:1]
    limits = {
        (form, weight): _limits(
            parts, folds[form], dataclasses.replace(saved.settings, calibration=form, head_weight=weight)
        )
        for form, weight in itertools.product(forms, weights)
    }
    treatments = list(itertools.product(forms, weights, SMOOTHINGS))
    with progress.task("comparing treatments", len(treatments)) as task:
        for count, (form, weight, smoothing) in enumerate(treatments, 1):
            treated = dataclasses.replace(
                saved.settings, calibration=form, head_weight=weight, residual_smoothing=smoothing
            )
            good_maps = calibrated_maps(parts, folds[form], treated)
            scores = {
                "planted": score_maps(
                    good_maps,
                    calibrated_maps(planted, folds[form], treated),
                    labels_of(planted),
                    min_area=treated.smallest_region,
                    ignored=[part.ignored_inside for part in planted],
                ),
                "real": _score_real(good_maps, real, whole[form], limits[form, weight], treated),
            }
            found.append(
                {
                    **{factor: getattr(treated, factor) for factor in FACTORS},
                    **{kind: {**dataclasses.asdict(score), "value": score.value} for kind, score in scores.items()},
                }
            )
            task.update(count)
    return found


def _real_defects(inspector: Inspector, samples: Sequence[Sample], progress: Progress) -> Iterator[_RealDefects]:
    masked = [sample for sample in samples if sample.masks]
    settings = inspector.settings
    with progress.task("inspecting test images", len(masked)) as task:
        for count, sample in enumerate(masked, 1):
            image = read_image(sample.path, channels=settings.channels, data_range=settings.data_range)
            ignored = read_ignored(sample, image.shape)
            truth = read_mask(sample, image.shape[:2])
            labels, _ = label_regions(truth if ignored is None else truth & ~ignored)
            rebuilt, channels = inspector.channels(image)
            yield _RealDefects(channels, place_features(surface_of(image, rebuilt), ignored), ignored, labels)
            task.update(count)


def _limits(parts: Sequence[Part], folds: Sequence[Reference], settings: Settings) -> WholeLimits:
    """Return how high the surfaces of good images lie before smoothing; nothing else of them is limited."""
    maps = [take(joined(part, folds, settings), part.region) for part in parts]
    levels = [surface_level(map_, part.ignored_inside) for map_, part in zip(maps, parts, strict=True)]
    return fit_limits([(0.0, 0.0, 0.0)] * len(levels), levels)


def _score_real(
    good_maps: Sequence[NDArray[np.float32]],
    real: Sequence[_RealDefects],
    reference: Reference,
    limits: WholeLimits,
    settings: Settings,
) -> PlantedScore:
    def judged(image: _RealDefects) -> NDArray[np.float32]:
        map_ = reference.joined(image.channels, image.features, settings)
        # As at inspection: another surface as a whole shall not pass for a defect everywhere.
        map_ /= surface_factor(surface_level(map_, image.ignored), limits)
        return clean(map_, settings, image.ignored)

    return score_maps(
        good_maps,
        [judged(image) for image in real],
        [image.labels for image in real],
        min_area=settings.smallest_region,
        ignored=[image.ignored for image in real],
    )


def agreement_table(compared: Mapping[str, Sequence[Mapping[str, Any]]]) -> str:
    """Return, for each data set, how well planted defects rank as real ones do, as Markdown.

    A row a factor: among treatments that differ in it alone, the mean rank correlation, and what the choice of planted
    defects costs against that of real ones.
    """
    lines = [
        "| data | what differs | treatments | Spearman AU-PRO .05 | Spearman found | real score of what planted "
        "defects choose | of the best |",
        "|---|---|---|---|---|---|---|",
    ]
    for data, treatments in compared.items():
        groups = {"everything": [list(treatments)]}
        groups |= {name: _alike_but_for(treatments, factor) for factor, name in FACTORS.items()}
        for name, group in groups.items():
            if group:
                lines.append(f"| {' | '.join([data, name, *_agreement(group)])} |")
    return "\n".join(lines)


def _alike_but_for(treatments: Sequence[Mapping[str, Any]], factor: str) -> list[list[Mapping[str, Any]]]:
    """Return groups of treatments, in each of which one factor alone differs; none where it does not."""
    groups: dict[tuple[Any, ...], list[Mapping[str, Any]]] = {}
    for treatment in treatments:
        others = tuple(treatment[name] for name in FACTORS if name != factor)
        groups.setdefault(others, []).append(treatment)
    return [group for group in groups.values() if len(group) > 1]


def _agreement(groups: Sequence[Sequence[Mapping[str, Any]]]) -> list[str]:
    correlations = [
        np.mean([_spearman(*([t[kind][measure] for t in group] for kind in ("planted", "real"))) for group in groups])
        for measure in ("au_pro", "found")
    ]
    chosen = [max(group, key=lambda t: t["planted"]["value"])["real"]["value"] for group in groups]
    best = [max(t["real"]["value"] for t in group) for group in groups]
    return [
        str(len(groups[0])),
        *(f"{value:.2f}" for value in correlations),
        *(f"{np.mean(values):.3f}" for values in (chosen, best)),
    ]


def _spearman(first: Sequence[float], second: Sequence[float]) -> float:
    """Return the rank correlation; 0 where all are equal on one side, which ranks nothing."""
    if len(set(first)) == 1 or len(set(second)) == 1:
        return 0.0
    return float(spearmanr(first, second).statistic)
