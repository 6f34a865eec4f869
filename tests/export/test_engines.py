"""A model of torch is run by another engine where that is asked for, with the same verdicts."""

import csv
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from ssimae.cli import main
from ssimae.config.settings import Settings
from ssimae.engines.compiled import compiled_engine
from ssimae.engines.openvino import openvino_engine
from ssimae.export.network import network_graph
from ssimae.hardware import resolve_precision
from ssimae.images.maps import read_float_map
from ssimae.models.autoencoder import Autoencoder
from ssimae.models.build import new_autoencoder
from support.models import made_up_model, noisy
from torch import _dynamo as dynamo
from torch import nn
from torch._inductor import config


def rows(out: Path) -> list[tuple[str, ...]]:
    with (out / "predictions.csv").open() as file:
        return [tuple(row[name] for name in ("name", "verdict", "reason", "regions")) for row in csv.DictReader(file)]


@pytest.mark.parametrize(
    ("engine", "device"),
    [
        ("openvino", 'device = "openvino'),
        pytest.param("compile", "on CPU, compiled, float32", marks=(pytest.mark.exhaustive, pytest.mark.slow)),
    ],
)
def test_predict_by_another_engine_says_what_torch_says(
    engine: str, device: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    made_up_model(tmp_path / "model.safetensors", calibration="both", residual_smoothing=1.0)
    (tmp_path / "images").mkdir()
    for seed in range(2):
        Image.fromarray(noisy((100, 117), 1, seed=seed)).save(tmp_path / f"images/{seed}.png")
    command = ["predict", str(tmp_path / "model.safetensors"), str(tmp_path / "images"), "--out"]
    assert main([*command, str(tmp_path / "torch")]) == 0
    assert main([*command, str(tmp_path / engine), "--engine", engine]) == 0
    assert rows(tmp_path / engine) == rows(tmp_path / "torch")
    for path in (tmp_path / "torch").rglob("*.tiff"):
        found = read_float_map(tmp_path / engine / path.relative_to(tmp_path / "torch"))
        np.testing.assert_allclose(found, read_float_map(path), rtol=1e-3, atol=1e-4)
    described = (tmp_path / engine / "config.toml").read_text()
    assert device in described
    assert f'engine = "{engine}"' in described
    # An inspection that goes on takes the same engine.
    (tmp_path / engine / "predictions.csv").unlink()
    capsys.readouterr()
    assert main(["predict", "--resume", str(tmp_path / engine), "--device", "cuda"]) == 2
    assert f"{engine} runs on the CPU, got `device` 'cuda'" in capsys.readouterr().err


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


@pytest.mark.exhaustive
@pytest.mark.slow
def test_each_of_two_compiled_networks_keeps_its_weights() -> None:
    settings = Settings(patch_size=32, latent_dim=8)
    models = [Autoencoder(8, 32, seed=seed).eval() for seed in range(2)]
    engines = [compiled_engine(model, settings, head=None, precision="float32") for model in models]
    patches = np.random.default_rng(0).random((5, 1, 32, 32), np.float32)
    for model, engine in zip(models, engines, strict=True):
        with torch.inference_mode():
            np.testing.assert_allclose(engine.rebuild(patches, first=0)[0], model(torch.from_numpy(patches)), atol=1e-5)


def test_a_network_that_cannot_be_compiled_is_refused_in_a_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    made_up_model(tmp_path / "model.safetensors")
    Image.fromarray(noisy((100, 117), 1)).save(tmp_path / "image.png")
    dynamo.reset()  # what other tests have compiled
    monkeypatch.setattr(config.cpp, "cxx", (None, "no-such-compiler"))
    monkeypatch.setattr(config, "force_disable_caches", True)
    command = ["predict", str(tmp_path / "model.safetensors"), str(tmp_path / "image.png"), "--engine", "compile"]
    assert main([*command, "--out", str(tmp_path / "out")]) == 2
    *_, line = capsys.readouterr().err.splitlines()
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
