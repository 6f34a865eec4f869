"""A detector whose settings are to be chosen takes from the images what was not given."""

import dataclasses

import numpy as np
import pytest
import ssimae
from PIL import Image
from ssimae.calibration import expectation
from support.small_data import texture

SMALL = {"latent_dim": 8, "batch_size": 16, "precision": "float32", "stride": 16}


def test_a_fit_chooses_what_was_not_given(monkeypatch):
    monkeypatch.setattr(expectation, "_STEPS", 100)
    rng = np.random.default_rng(0)
    images = [texture(rng, 96, 200) for _ in range(4)]
    detector = ssimae.Detector(preset="auto", minutes=0.02, **SMALL).fit(images)
    chosen = detector.settings_
    assert {name: getattr(chosen, name) for name in SMALL} == SMALL
    assert (chosen.channels, chosen.patch_size) == (1, 64)
    assert chosen.patches_total != ssimae.preset("auto").patches_total
    assert chosen.calibration == "border"
    found = detector.inspect(images[0])
    assert found.calibrated is not None
    assert found.calibrated.shape == (96, 200)
    assert found.verdict in ("good", "review", "defective")


def test_colour_is_kept_where_it_carries_something(monkeypatch, tmp_path):
    monkeypatch.setattr(expectation, "_STEPS", 100)
    rng = np.random.default_rng(0)
    gray = [np.repeat(texture(rng, 96, 200)[:, :, None], 3, axis=2) for _ in range(3)]
    tinted = [(image * np.array([1, 0.7, 0.5])).astype(np.uint8) for image in gray]
    for name, images, channels in (("gray", gray, 1), ("tinted", tinted, 3)):
        paths = [tmp_path / f"{name}{number}.png" for number in range(3)]
        for path, image in zip(paths, images, strict=True):
            Image.fromarray(image).save(path)
        assert ssimae.Detector(preset="auto", minutes=0.01, **SMALL).fit(paths).settings_.channels == channels
    assert ssimae.Detector(preset="auto", minutes=0.01, **SMALL).fit(gray).settings_.channels == 3


def test_minutes_must_be_positive_and_finite():
    for minutes in (0.0, float("inf"), float("nan")):
        with pytest.raises(ValueError, match="`minutes` must be positive and finite"):
            ssimae.Detector(preset="auto", minutes=minutes).fit([np.zeros((96, 200), np.uint8)])


def test_a_preset_chooses_nothing():
    settings = dataclasses.asdict(ssimae.preset("best"))
    assert {name: getattr(ssimae.Detector(preset="best"), name) for name in settings} == settings
