"""What torch.compile makes is what torch says; run in a process of its own, whose forks train nothing afterwards."""

from pathlib import Path

import numpy as np
import pytest
import torch
from ssimae.config.settings import Settings
from ssimae.engines.compiled import compiled_engine
from ssimae.models.autoencoder import Autoencoder

from support.engines.compared import predict_as_torch


def test_predict_by_compiled_networks_says_what_torch_says(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    predict_as_torch("compile", "on CPU, compiled, float32", tmp_path, capsys)


def test_each_of_two_compiled_networks_keeps_its_weights() -> None:
    settings = Settings(patch_size=32, latent_dim=8)
    models = [Autoencoder(8, 32, seed=seed).eval() for seed in range(2)]
    engines = [compiled_engine(model, settings, head=None, precision="float32") for model in models]
    patches = np.random.default_rng(0).random((5, 1, 32, 32), np.float32)
    for model, engine in zip(models, engines, strict=True):
        with torch.inference_mode():
            np.testing.assert_allclose(engine.rebuild(patches, first=0)[0], model(torch.from_numpy(patches)), atol=1e-5)
