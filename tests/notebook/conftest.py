"""A detector that was fitted within a second."""

from typing import Any

import numpy as np
import pytest
from ssimae import Detector
from support.small_data import texture

TINY: dict[str, Any] = {
    "patch_size": 32, "latent_dim": 8, "stride": 16, "margin": 8, "patches": 48, "epochs": 1, "batch_size": 16,
    "precision": "float32", "device": "cpu", "min_area": 9,
}  # fmt: skip


@pytest.fixture(scope="session")
def tiny() -> dict[str, Any]:
    """Return the parameters of such a detector."""
    return TINY


@pytest.fixture(scope="session")
def surfaces() -> list[np.ndarray]:
    """Return good images."""
    rng = np.random.default_rng(0)
    return [texture(rng) for _ in range(6)]


@pytest.fixture(scope="session")
def fitted(tiny: dict[str, Any], surfaces: list[np.ndarray]) -> Detector:
    """Return a detector fitted on them; no test changes it."""
    return Detector(**tiny).fit(surfaces)
