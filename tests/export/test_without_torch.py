"""An exported model is inspected with where torch, SciPy and scikit-learn are not installed, with the same verdicts."""

import csv
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from ssimae.cli import main
from ssimae.images.maps import read_float_map
from support.models import made_up_model, noisy

BLOCKED = "torch", "scipy", "sklearn", "safetensors", "matplotlib", "jinja2", "triton"

_START = f"""
import sys

class Without:
    def __init__(self, finder):
        self.finder = finder

    def find_spec(self, name, path=None, target=None):
        return None if name.partition(".")[0] in {BLOCKED!r} else self.finder.find_spec(name, path, target)

    def __getattr__(self, name):
        return getattr(self.finder, name)

sys.meta_path[:] = map(Without, sys.meta_path)
"""


def without_torch(code: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(  # noqa: PLW1510 - some are to fail
        [sys.executable, "-c", _START + code],
        capture_output=True,
        text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )


def rows(table: Path) -> list[tuple[str, ...]]:
    """Return the rows without scores, which differ in their last digits."""
    with table.open() as file:
        return [tuple(row[name] for name in ("name", "verdict", "reason", "regions")) for row in csv.DictReader(file)]


@pytest.mark.parametrize(("named", "flags"), [("out", []), ("out/network.onnx", ["--continuous"])])
def test_predict_says_the_same_without_torch(named: str, flags: list[str], tmp_path: Path) -> None:
    saved = made_up_model(tmp_path / "model.safetensors", calibration="both", residual_smoothing=1.0)
    assert main(["export", str(tmp_path / "model.safetensors"), "--out", str(tmp_path / "out")]) == 0
    images = tmp_path / "images"
    images.mkdir()
    for seed in range(3):
        Image.fromarray(noisy((100, 117), saved.settings.channels, seed=seed)).save(images / f"{seed}.png")
    model = str(tmp_path / "model.safetensors")
    assert main(["predict", model, str(images), "--out", str(tmp_path / "by_torch"), *flags]) == 0
    command = ["predict", str(tmp_path / named), str(images), "--out", str(tmp_path / "found"), *flags]
    done = without_torch(f"from ssimae.cli import main; sys.exit(main({command!r}))")
    assert done.returncode == 0, done.stderr
    assert "next, where torch is installed: ssimae report" in done.stderr + done.stdout
    wanted = rows(tmp_path / "by_torch/predictions.csv")
    assert rows(tmp_path / "found/predictions.csv") == wanted
    assert {verdict for _, verdict, _, _ in wanted} != {"good"}
    table = tmp_path / "found/predictions.csv"
    table.write_text("".join(table.read_text().splitlines(keepends=True)[:2]))  # as a kill after the first image
    command = ["predict", "--resume", str(tmp_path / "found")]
    done = without_torch(f"from ssimae.cli import main; sys.exit(main({command!r}))")
    assert done.returncode == 0, done.stderr
    assert rows(table) == wanted
    for path in (tmp_path / "by_torch/calibrated").rglob("*.tiff"):
        found, of_torch = (
            read_float_map(tmp_path / folder / path.relative_to(tmp_path / "by_torch"))
            for folder in ("found", "by_torch")
        )
        np.testing.assert_allclose(found, of_torch, rtol=1e-3)


def test_what_lacks_is_said_in_a_line(tmp_path: Path) -> None:
    made_up_model(tmp_path / "model.safetensors", calibration="none")
    assert main(["export", str(tmp_path / "model.safetensors"), "--out", str(tmp_path / "out")]) == 0
    command = ["predict", str(tmp_path / "out"), str(tmp_path), "--out", str(tmp_path / "found")]
    code = "sys.modules['onnxruntime'] = None; from ssimae.cli import main; sys.exit(main"
    done = without_torch(f"{code}({command!r}))")
    assert done.returncode == 2
    assert done.stderr.splitlines() == [
        "ssimae: this needs onnxruntime, which is not installed: pip install onnxruntime"
    ]


@pytest.mark.parametrize(
    ("command", "lacks"),
    [
        (["predict", "model.safetensors", "."], "torch"),
        (["info", "model.safetensors"], "safetensors"),
        (["report", "out"], "scikit-learn"),
        (["threshold", "out"], "scipy"),
    ],
)
def test_a_verb_that_cannot_do_without_names_its_package(command: list[str], lacks: str) -> None:
    done = without_torch(f"from ssimae.cli import main; sys.exit(main({command!r}))")
    (line,) = done.stderr.splitlines()
    assert done.returncode == 2
    assert line.startswith(f"ssimae: `ssimae {command[0]}` needs ")
    assert f"which is not installed: pip install {lacks}; `ssimae doctor` lists" in line


def test_info_and_doctor_tell_without_torch(tmp_path: Path) -> None:
    saved = made_up_model(tmp_path / "model.safetensors", calibration="none")
    assert main(["export", str(tmp_path / "model.safetensors"), "--out", str(tmp_path / "out")]) == 0
    assert saved.thresholds is not None
    for named in ("out", "out/network.onnx"):
        done = without_torch(f"from ssimae.cli import main; sys.exit(main(['info', {str(tmp_path / named)!r}]))")
        assert done.returncode == 0, done.stderr
        assert f"review {saved.thresholds.review:.4g}" in done.stdout
        assert "network.onnx, exported by ssimae" in done.stdout
    done = without_torch("from ssimae.cli import main; sys.exit(main(['doctor']))")
    assert done.returncode == 2
    assert "lacking: torch, for run, train, predict RUN" in done.stdout
    assert "`predict` and `info` with an exported model need none of it" in done.stdout
