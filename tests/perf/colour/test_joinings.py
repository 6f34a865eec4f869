"""All joinings see the same maps, that of ssimae is among them, and what the command stores becomes a table."""

import importlib.util
import json
import runpy
import sys
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from perf.colour.calibrated import FORM, calibrated, fit
from perf.colour.joinings import JOININGS, MEAN, TAKEN
from perf.colour.surfaces import SURFACES, make_images
from ssimae.calibration import expectation
from ssimae.calibration.places import place_features
from ssimae.calibration.reference import COLOUR, PLANES, RESIDUAL
from ssimae.config.settings import Settings
from ssimae.tuning.folds import calibrated_maps, fit_folds
from ssimae.tuning.parts import Part

FOLDER, GENERATOR = Path(__file__).parent, Path(__file__).parents[3] / "docs" / "generate" / "results.py"
WHOLE = (slice(None), slice(None))


@pytest.fixture(autouse=True)
def _quick_fits(monkeypatch):
    monkeypatch.setattr(expectation, "_STEPS", 20)


def parts_in_colour():
    rng = np.random.default_rng(0)
    planes = rng.gamma(3, 0.05, (3, 40, 48, 3)).astype(np.float32)
    features = place_features(rng.random((40, 48, 3), dtype=np.float32))
    return [Part({RESIDUAL: p.mean(axis=2), PLANES: p}, features, WHOLE, None, n) for n, p in enumerate(planes)]


@pytest.mark.parametrize("name", JOININGS)
def test_a_joining_of_equal_maps_is_that_map(name):
    map_ = np.random.default_rng(1).uniform(0.2, 5, (7, 9)).astype(np.float32)
    joined = JOININGS[name]({RESIDUAL: map_, COLOUR: map_, PLANES: np.stack([map_] * 3, axis=2)})
    np.testing.assert_allclose(joined, map_, rtol=1e-5)


def test_a_higher_power_gives_a_higher_mean_up_to_the_maximum():
    planes = np.random.default_rng(2).uniform(0.2, 5, (7, 9, 3)).astype(np.float32)
    each = [join({PLANES: planes}) for name, join in JOININGS.items() if name.startswith(("each channel", "the same"))]
    assert len(each) == 5
    assert all((one < next_).all() for one, next_ in pairwise(each))
    np.testing.assert_array_equal(each[-1], planes.max(axis=2))


def test_the_joining_that_is_taken_is_that_of_ssimae():
    parts, settings = parts_in_colour(), Settings(channels=3, opening=0, residual_smoothing=0.0)
    folds = fit(parts, seed=0)
    ours = calibrated_maps(parts, fit_folds(parts, [FORM], seed=0)[FORM], settings)
    for part, map_ in zip(parts, ours):
        np.testing.assert_allclose(JOININGS[TAKEN](calibrated(part, folds)), map_, rtol=1e-5)


def test_each_channel_is_calibrated_by_its_own_level():
    parts = parts_in_colour()
    for part in parts:
        part.channels[PLANES][:, :, 2] *= 10
    maps = [calibrated(part, fit(parts, seed=0))[PLANES] for part in parts]
    levels = np.exp(np.log(maps).mean(axis=(0, 1, 2)))
    np.testing.assert_allclose(levels, 1, rtol=0.2)  # fits are short here


@pytest.mark.parametrize("surface", SURFACES)
def test_a_surface_follows_from_its_seed_and_is_noisy_in_blue(surface):
    one, two = (make_images(surface, seed=3, count=2, side=64) for _ in range(2))
    np.testing.assert_array_equal(one, two)
    others = [one[1], make_images(surface, seed=4, count=1, side=64)[0]]
    assert not any(np.array_equal(one[0], other) for other in others)
    assert one[0].shape == (64, 64, 3)
    assert one[0].dtype == np.float32
    assert one[0].min() >= 0
    assert one[0].max() <= 1
    # Of second differences along both axes the median tells noise from edges.
    grain = np.median(np.abs(np.diff(np.diff(one[0], axis=0), axis=1)), axis=(0, 1))
    assert grain[2] > 1.5 * grain[:2].max()


def test_the_command_stores_what_the_table_is_made_of(tmp_path, monkeypatch):
    out = tmp_path / "colour.json"
    small = ["--surfaces", "wood", "--seeds", "5", "--patches", "64", "--images", "3", "--side", "96"]
    monkeypatch.syspath_prepend(FOLDER)
    monkeypatch.setattr(sys, "argv", ["bench.py", *small, "--out", str(out)])
    runpy.run_path(str(FOLDER / "bench.py"), run_name="__main__")
    stored = json.loads(out.read_text())
    assert [(training["surface"], training["seed"]) for training in stored["trainings"]] == [("wood", 5)]
    stored["trainings"][0]["collapsed"] = False  # as 64 patches do
    head, _, *rows = table_of(stored).split("\n\n")[0].splitlines()
    assert head.count("|") == 5
    assert [row.split(" | ")[0].removeprefix("| ") for row in rows] == list(JOININGS)


def test_the_table_has_means_without_what_collapsed_and_marks_the_best():
    scores = [{"hue": {MEAN: 0.1, TAKEN: 0.3}}, {"hue": {MEAN: 0.2, TAKEN: 0.15}}, {"hue": {MEAN: 0, TAKEN: 0}}]
    stored = {
        "date": "2020-02-20", "machine": "CPU", "before": MEAN, "taken": TAKEN, "images": [24, 160, 160],
        "settings": {"patch_size": 32, "residual_smoothing": 4.0},
        "trainings": [
            {
                "surface": "wood", "seed": seed, "patches": 64,
                "planted": {"hue": 7}, "collapsed": seed == 2, "scores": each,
            }
            for seed, each in enumerate(scores)
        ],
    }  # fmt: skip
    text = table_of(stored)
    assert f"| {MEAN} | .150 |" in text
    assert f"| {TAKEN} | **.225** |" in text
    assert "in 1 of the 2 trainings" in " ".join(text.split())
    assert "(wood, seed 2)" in " ".join(text.split())


def table_of(stored):
    spec = importlib.util.spec_from_file_location("results", GENERATOR)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.joinings_table(stored)
