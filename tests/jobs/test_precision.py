"""A model trained in bfloat16 judges alike on a computer without it, in float32, and that is said once."""

import csv
import logging
from pathlib import Path

import pytest
from ssimae import hardware
from ssimae.cli import main
from ssimae.storage.model_file import load_model
from support.small_data import SETTINGS, write_small_dataset

# bfloat16 has 8 bits of mantissa; residuals of SSIM are up to 2.
SCORE_ATOL = 2e-2


def rows(folder: Path) -> list[dict[str, str]]:
    with (folder / "predictions.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def test_another_computer_takes_float32_and_the_thresholds_hold(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    data, run = write_small_dataset(tmp_path / "data"), tmp_path / "run"
    monkeypatch.setattr(hardware, "_capabilities", lambda: {"avx512_bf16": True})
    flags = ["--data", str(data), "--out", str(run), *SETTINGS, "--precision", "bfloat16", "--device", "cpu"]
    assert main(["run", *flags]) == 0
    assert load_model(run / "model.safetensors").precision == "bfloat16"
    monkeypatch.setattr(hardware, "_capabilities", dict)
    hardware._say_no_bfloat16.cache_clear()
    caplog.clear()
    flags = ["--out", str(tmp_path / "found"), "--device", "cpu", "--allow-collapsed"]
    with caplog.at_level(logging.WARNING):
        assert main(["predict", str(run), str(data / "test"), *flags]) == 0
    (said,) = [record.getMessage() for record in caplog.records if "bfloat16" in record.getMessage()]
    assert said == "this CPU has no bfloat16 arithmetic: float32 is taken instead"
    before = {row["image"]: row for row in rows(run)}
    for row in rows(tmp_path / "found"):
        assert row["verdict"] == before[row["image"]]["verdict"]
        assert float(row["score"]) == pytest.approx(float(before[row["image"]]["score"]), abs=SCORE_ATOL)
    # Thresholds that are set there are set in float32.
    again = tmp_path / "again"
    assert main(["run", "--weights", str(run), "--out", str(again), "--device", "cpu", "--allow-collapsed"]) == 0
    saved = load_model(again / "model.safetensors")
    assert saved.thresholds is not None
    assert saved.precision == saved.thresholds.precision == "float32"
