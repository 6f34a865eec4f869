"""Model files that nobody trained, as finished runs leave them."""

from dataclasses import replace
from pathlib import Path

import numpy as np
from ssimae.config.settings import Settings
from ssimae.engines.pytorch import TorchRebuilder
from ssimae.images.depth import Pixels
from ssimae.levels.rules import RegionRules, region_level
from ssimae.models.build import new_autoencoder
from ssimae.storage.model_file import SavedModel, save_model

from support.inspectors import made_up_inspector, made_up_thresholds


def made_up_model(path: Path, *, shape: tuple[int, int] = (100, 117), **changes: object) -> SavedModel:
    """Write a model file whose thresholds some places of noisy images exceed; returns what it holds."""
    settings = Settings(**{"patch_size": 32, "latent_dim": 8, "stride": 20, "precision": "float32", **changes})
    inspector = made_up_inspector(settings, shape)
    assert isinstance(inspector.engine, TorchRebuilder)
    level = region_level(inspector.inspect(Pixels(noisy(shape, settings.channels), 255.0)).judged, RegionRules(9))
    saved = SavedModel(
        new_autoencoder(settings, seed=0),
        settings,
        "float32",
        replace(made_up_thresholds(0.8 * level, level * 1.001), masked=False),
        inspector.engine.head,
        inspector.reference,
    )
    save_model(path, saved)
    return saved


def noisy(shape: tuple[int, int], channels: int, *, seed: int = 0) -> np.ndarray:
    """Return a noisy image with a spot, (h, w) or (h, w, 3), uint8."""
    rng = np.random.default_rng(seed)
    image = rng.normal(120, 20, (*shape, channels))
    image[20:40, 30:60] += 70
    pixels = np.clip(image, 0, 255).astype(np.uint8)
    return pixels[:, :, 0] if channels == 1 else pixels
