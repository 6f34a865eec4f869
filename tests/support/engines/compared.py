"""Compare what another engine says of a model with what torch says."""

import csv
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from ssimae.cli import main
from ssimae.images.maps import read_float_map

from support.models import made_up_model, noisy


def predict_as_torch(engine: str, device: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Hold verdicts and maps of ``predict --engine`` with those of torch; `device` is what it calls the processor."""
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


def rows(out: Path) -> list[tuple[str, ...]]:
    with (out / "predictions.csv").open() as file:
        return [tuple(row[name] for name in ("name", "verdict", "reason", "regions")) for row in csv.DictReader(file)]
