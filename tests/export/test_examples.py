"""The examples say what the runtime says, without ssimae."""

import json
import runpy
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import openvino
import pytest
from PIL import Image
from ssimae import Runtime
from ssimae.cli import main
from support.models import made_up_model, noisy

EXAMPLES = Path(__file__).parents[2] / "docs/examples"


def exported(folder: Path, **changes: object) -> Runtime:
    made_up_model(folder / "model.safetensors", **changes)
    flags = ["--whole", "100x117", "--out", str(folder / "out")]
    assert main(["export", str(folder / "model.safetensors"), *flags]) == 0
    return Runtime.load(folder / "out", threads=1)


@pytest.mark.parametrize("calibration", ["none", "surface"])
def test_the_example_in_python_needs_numpy_and_onnxruntime_alone(calibration: str, tmp_path: Path) -> None:
    runtime = exported(tmp_path, calibration=calibration, residual_smoothing=1.0)
    for seed in (0, 1):
        Image.fromarray(noisy((100, 117), 1, seed=seed)).save(tmp_path / "image.png")
        wanted = runtime.inspect(tmp_path / "image.png")
        command = [
            sys.executable,
            str(EXAMPLES / "inspect_image.py"),
            str(tmp_path / "out"),
            str(tmp_path / "image.png"),
        ]
        said = json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
        assert said["verdict"] == wanted.verdict
        assert said["regions"] == len(wanted.regions)
        assert bool(said["reasons"]) == ("the whole image" in wanted.reason)


@pytest.mark.parametrize(
    "rule", [{"hysteresis": 0.9}, {"merge_distance": 5}, {"min_length": 12.0}, {"min_contrast": 1.2}], ids=str
)
def test_the_example_in_python_keeps_the_rules_of_regions(
    rule: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    runtime = exported(tmp_path, calibration="surface", residual_smoothing=1.0, head_weight=0.7)
    Image.fromarray(noisy((100, 117), 1, seed=1)).save(tmp_path / "image.png")
    without = len(runtime.inspect(tmp_path / "image.png").regions)
    described = tmp_path / "out/inspect.json"
    model = json.loads(described.read_text())
    model["thresholds"] |= rule
    described.write_text(json.dumps(model))
    wanted = Runtime.load(tmp_path / "out", threads=1).inspect(tmp_path / "image.png")
    monkeypatch.setattr(sys, "argv", ["inspect_image.py", str(tmp_path / "out"), str(tmp_path / "image.png")])
    capsys.readouterr()
    runpy.run_path(str(EXAMPLES / "inspect_image.py"))
    said = json.loads(capsys.readouterr().out)
    assert (said["verdict"], said["regions"]) == (wanted.verdict, len(wanted.regions))
    assert 0 < len(wanted.regions) < without


@pytest.mark.exhaustive
@pytest.mark.skipif(shutil.which("g++") is None, reason="needs g++")
def test_the_example_in_cpp_is_compiled_and_says_the_same(tmp_path: Path) -> None:
    runtime = exported(tmp_path, calibration="none")
    package = Path(openvino.__path__[0])
    (library,) = (package / "libs").glob("libopenvino.so.*")
    program = tmp_path / "inspect_image"
    flags = [f"-I{package / 'include'}", str(library), f"-Wl,-rpath,{package / 'libs'}", "-o", str(program)]
    subprocess.run(["g++", "-std=c++17", str(EXAMPLES / "inspect_image.cpp"), *flags], check=True)
    image = noisy((100, 117), 1)
    (tmp_path / "image.raw").write_bytes(image.tobytes())
    wanted = runtime.inspect(image)
    levels = [
        str(value) for value in (runtime.thresholds.review, runtime.thresholds.defective, runtime.thresholds.min_area)
    ]
    command = [str(program), str(tmp_path / "out/whole.onnx"), str(tmp_path / "image.raw"), *levels]
    said = subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()
    assert said == [wanted.verdict, str(len(wanted.regions))]
    assert wanted.verdict != "good"
