"""A model of torch is run by another engine where that is asked for, with the same verdicts."""

import csv
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from ssimae.cli import main
from ssimae.config.settings import Settings
from ssimae.engines.openvino import openvino_engine
from ssimae.export.network import network_graph
from ssimae.hardware import resolve_precision
from ssimae.images.maps import read_float_map
from ssimae.models.build import new_autoencoder
from support.models import made_up_model, noisy


def rows(out: Path) -> list[tuple[str, ...]]:
    with (out / "predictions.csv").open() as file:
        return [tuple(row[name] for name in ("name", "verdict", "reason", "regions")) for row in csv.DictReader(file)]


def test_predict_by_openvino_says_what_torch_says(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    made_up_model(tmp_path / "model.safetensors", calibration="both", residual_smoothing=1.0)
    (tmp_path / "images").mkdir()
    for seed in range(2):
        Image.fromarray(noisy((100, 117), 1, seed=seed)).save(tmp_path / f"images/{seed}.png")
    command = ["predict", str(tmp_path / "model.safetensors"), str(tmp_path / "images"), "--out"]
    assert main([*command, str(tmp_path / "torch")]) == 0
    assert main([*command, str(tmp_path / "openvino"), "--engine", "openvino"]) == 0
    assert rows(tmp_path / "openvino") == rows(tmp_path / "torch")
    for path in (tmp_path / "torch").rglob("*.tiff"):
        found = read_float_map(tmp_path / "openvino" / path.relative_to(tmp_path / "torch"))
        np.testing.assert_allclose(found, read_float_map(path), rtol=1e-3, atol=1e-4)
    described = (tmp_path / "openvino/config.toml").read_text()
    assert 'device = "openvino' in described
    assert 'engine = "openvino"' in described
    # An inspection that goes on takes the same engine.
    (tmp_path / "openvino/predictions.csv").unlink()
    capsys.readouterr()
    assert main(["predict", "--resume", str(tmp_path / "openvino"), "--device", "cuda"]) == 2
    assert "openvino runs on the CPU, got `device` 'cuda'" in capsys.readouterr().err


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
