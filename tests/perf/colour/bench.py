"""Compare ways to join the channels of an image by the planted defects that they find: ``python bench.py``.

Trains on made-up surfaces in colour, computes the maps of each network once for all joinings, and writes their scores
into ``results/colour.json``, from where `make generated` takes them into docs/verdicts.md.
"""

import argparse
import dataclasses
import json
import time
from importlib.metadata import version
from pathlib import Path

import torch
from calibrated import FORM, calibrated, fit
from joinings import JOININGS, MEAN, TAKEN
from ssimae.atomic import write_text
from ssimae.config.presets import preset
from ssimae.engines.pytorch import torch_engine
from ssimae.hardware import describe
from ssimae.inspection.cleaning import clean
from ssimae.inspection.holdout import arrange_good, take
from ssimae.inspection.inspector import Inspector
from ssimae.training.train import train
from ssimae.tuning.parts import PLANTED_PIXELS, inspect_parts, labels_of
from ssimae.tuning.planting.planted import GRAY_KINDS
from ssimae.tuning.score import score_maps
from ssimae.tuning.trial import with_patches
from surfaces import NOISE, SURFACES, make_images

COLUMNS = {
    "defects in one channel": ["one channel"],
    "in hue at constant luminance": ["hue"],
    "in all channels": list(GRAY_KINDS),
}
"""Which kinds of defects are planted, each group in images of its own."""

CHANGED = {
    "channels": 3,
    "patch_size": 32,
    "batch_size": 16,
    "stride": 16,
    "head_patches": 0,
    "calibration": FORM,
    "residual_smoothing": 4.0,
}
"""Settings that are not those of the preset `auto`. Of small batches a few thousand patches make enough steps."""

DEVICE = torch.device("cpu")
RESULTS = Path(__file__).parents[3] / "results" / "colour.json"


def measure(surface, seed, options):
    """Return what a training on a surface ended with, and the score of each joining for each group of defects."""
    settings = with_patches(dataclasses.replace(preset("auto"), **CHANGED, seed=seed), options.patches)
    images = make_images(surface, seed=seed, count=options.images, side=options.side)
    good = arrange_good(images, [None] * len(images), settings)
    training = train(good.training_parts(settings)[0], settings, device=DEVICE)
    engine = torch_engine(training.model, settings, device=DEVICE, precision=training.precision)
    inspector = Inspector(engine=engine, settings=settings, reference=None)
    inspected = {
        column: inspect_parts(
            inspector,
            good,
            planted_pixels=PLANTED_PIXELS,
            planted_images=options.images,
            planted_kinds=kinds,
            on_part=lambda count: None,
        )
        for column, kinds in COLUMNS.items()
    }
    parts = next(iter(inspected.values()))[0]  # the same in all columns
    folds = fit(parts, seed=seed)
    good_maps = joined(parts, folds, settings)
    scores = {}
    for column, (_, planted) in inspected.items():
        planted_maps = joined(planted, folds, settings)
        scores[column] = {
            name: score_maps(
                good_maps[name],
                planted_maps[name],
                labels_of(planted),
                min_area=settings.smallest_region,
                ignored=[None] * len(planted),
            ).value
            for name in JOININGS
        }
    return {
        "surface": surface,
        "seed": seed,
        "patches": settings.patches_total,
        "seconds": round(training.elapsed_s, 1),
        "loss": training.loss,
        "plateau": training.plateau,
        "collapsed": training.collapsed,
        "planted": {column: sum(len(part.defects) for part in planted) for column, (_, planted) in inspected.items()},
        "scores": scores,
    }


def joined(parts, folds, settings):
    """Return, by joining, the map of each part's region: calibrated, joined, smoothed and opened as ssimae does."""
    maps = [calibrated(part, folds) for part in parts]
    return {
        name: [take(clean(join(kinds), settings), part.region) for kinds, part in zip(maps, parts)]
        for name, join in JOININGS.items()
    }


def main():
    """Measure each surface with each seed, and write all of it."""
    parser = argparse.ArgumentParser(description=__doc__.split(":")[0])
    parser.add_argument("--surfaces", nargs="+", choices=SURFACES, default=list(SURFACES))
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2])
    parser.add_argument("--patches", type=int, default=6000, help="that each training sees (%(default)s)")
    parser.add_argument("--images", type=int, default=24, help="of each surface (%(default)s)")
    parser.add_argument("--side", type=int, default=160, help="of an image in pixels (%(default)s)")
    parser.add_argument("--out", type=Path, default=RESULTS)
    options = parser.parse_args()
    trainings = []
    for surface in options.surfaces:
        for seed in options.seeds:
            found = measure(surface, seed, options)
            trainings.append(found)
            write_text(options.out, json.dumps(record(trainings, options), indent=1) + "\n")
            means = [f"{scores[MEAN]:.3f} -> {scores[TAKEN]:.3f}" for scores in found["scores"].values()]
            print(f"{surface}, seed {seed}: loss {found['loss']:.3f} of {found['plateau']:.3f};", *means, flush=True)


def record(trainings, options):
    """Return all that is stored: what the trainings gave, and what they rest on."""
    return {
        "date": time.strftime("%Y-%m-%d"),
        "machine": describe(DEVICE),
        "versions": {name: version(name) for name in ("ssimae", "torch", "numpy")},
        "settings": {"preset": "auto", **CHANGED},
        "images": [options.images, options.side, options.side],
        "noise": NOISE,
        "before": MEAN,
        "taken": TAKEN,
        "trainings": trainings,
    }


if __name__ == "__main__":
    main()
