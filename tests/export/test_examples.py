"""The examples say what the runtime says, without ssimae."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

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
