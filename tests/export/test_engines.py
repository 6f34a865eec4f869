"""A model of torch is run by another engine where that is asked for, with the same verdicts."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from ssimae.config.settings import Settings
from ssimae.engines.compiled import compiled_engine
from ssimae.engines.openvino import openvino_engine
from ssimae.export.network import network_graph
from ssimae.hardware import resolve_precision
from ssimae.models.autoencoder import Autoencoder
from ssimae.models.build import new_autoencoder
from support.engines.compared import predict_as_torch
from support.models import made_up_model, noisy
from torch import nn


def test_predict_by_openvino_says_what_torch_says(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    predict_as_torch("openvino", 'device = "openvino', tmp_path, capsys)


@pytest.mark.exhaustive
@pytest.mark.slow
def test_compiled_networks_say_what_torch_says() -> None:
    file = Path(__file__).parents[1] / "support/engines/compiled.py"
    command = [sys.executable, "-m", "pytest", "-q", "--no-header", "--tb=short", "-p", "no:cacheprovider", str(file)]
    # In a process of its own: forks of one where inductor has been at work cannot train.
    done = subprocess.run(command, cwd=file.parents[2], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


def test_a_compiled_network_sees_one_number_of_patches_and_rebuilds_each(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[int] = []

    def noted(model: nn.Module, **_: object) -> nn.Module:
        """Stand for torch.compile, which takes ten seconds of a processor."""
        model.register_forward_pre_hook(lambda _, batch: seen.append(len(batch[0])))
        return model

    monkeypatch.setattr(torch, "compile", noted)
    model = new_autoencoder(Settings(patch_size=64, latent_dim=8), seed=1).eval()
    assert isinstance(model, Autoencoder)
    engine = compiled_engine(model, Settings(patch_size=64, latent_dim=8), head=None, precision="float32")
    patches = np.random.default_rng(0).random((75, 1, 64, 64), np.float32)
    for count in (1, 32, 75):
        found, _ = engine.rebuild(patches[:count], first=0)
        with torch.inference_mode():
            np.testing.assert_allclose(found, model(torch.from_numpy(patches[:count])).numpy(), atol=1e-5)
    assert seen == [32] * 6


def test_a_network_that_cannot_be_compiled_is_refused_in_a_line(tmp_path: Path) -> None:
    made_up_model(tmp_path / "model.safetensors")
    Image.fromarray(noisy((100, 117), 1)).save(tmp_path / "image.png")
    command = ["predict", str(tmp_path / "model.safetensors"), str(tmp_path / "image.png"), "--engine", "compile"]
    # In a process of its own: one that was told to keep nothing cannot compile anything afterwards.
    done = subprocess.run(
        [sys.executable, "-m", "ssimae", *command, "--out", str(tmp_path / "out")],
        env=os.environ | {"CXX": "no-such-compiler", "TORCHINDUCTOR_FORCE_DISABLE_CACHES": "1"},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 2
    *_, line = done.stderr.splitlines()
    assert "torch.compile does not work here, which needs a C++ compiler such as g++" in line
    assert not (tmp_path / "out").exists()


def test_the_last_layer_laid_out_is_the_same_network_in_both_arithmetics() -> None:
    model = new_autoencoder(Settings(patch_size=32, latent_dim=8, channels=3), seed=1).eval()
    patches = np.random.default_rng(0).random((5, 3, 32, 32), np.float32)
    with torch.inference_mode():
        wanted = model(torch.from_numpy(patches)).numpy()
    graph = network_graph(model, {}, doubled=True)
    found, _ = openvino_engine(graph, None, threads=1).rebuild(patches, first=0)
    np.testing.assert_allclose(found, wanted, atol=1e-5)
    if resolve_precision("auto", torch.device("cpu")) == "bfloat16":
        engine = openvino_engine(graph, None, threads=1, precision="bfloat16")
        found, _ = engine.rebuild(patches, first=0)
        assert engine.precision == "bfloat16"
        assert 0 < np.abs(found - wanted).max() < 0.02 * np.ptp(wanted)
