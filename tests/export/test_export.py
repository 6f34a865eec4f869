"""An exported model says what its model says, from graphs of few operators, or is not written."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from PIL import Image
from ssimae import Runtime
from ssimae.cli import main
from ssimae.images.depth import Pixels
from ssimae.jobs.exporting import export as job
from ssimae.models.build import new_autoencoder
from ssimae.prediction.prediction import prediction_of
from support.models import made_up_model, noisy

OPERATORS = {
    "Add", "AveragePool", "Clip", "Concat", "Conv", "ConvTranspose", "Div", "Exp", "Gather", "Identity", "LeakyRelu",
    "Log", "MatMul", "Max", "MaxPool", "Min", "Mul", "Neg", "Pad", "ReduceMean", "Relu", "Reshape", "Resize", "Sigmoid",
    "Slice", "Sqrt", "Sub", "Transpose",
}  # fmt: skip
"""Of opset 17, all in the support matrix of TensorRT 8.6 and 10."""

MAPS = 2e-3
"""Of calibrated maps, at most about 20 here: they divide by small residuals, and those differ by 1e-5."""

KINDS = {
    "calibrated": {
        "calibration": "both",
        "residual_scales": 3,
        "border": "symmetric",
        "residual_smoothing": 1.5,
        "margin": 8,
    },
    "halved colour": {"calibration": "both", "channels": 3, "scale": 0.5, "residual_smoothing": 2.0, "opening": 0},
    "l2 mirrored": {"loss": "l2", "calibration": "border", "residual_flips": True, "residual_smoothing": 0.0},
    "averaged": {"calibration": "none", "residual_average": True, "border": "zero", "opening": 5},
}


@pytest.mark.parametrize(("kind", "to"), [*((kind, "onnx") for kind in KINDS), ("halved colour", "openvino")])
def test_verdicts_regions_and_maps_are_those_of_torch(kind: str, to: str, tmp_path: Path) -> None:
    saved = made_up_model(tmp_path / "model.safetensors", **KINDS[kind])
    flags = ["--to", to, "--whole", "100x117", "--out", str(tmp_path / "out")]
    assert main(["export", str(tmp_path / "model.safetensors"), *flags]) == 0
    of_whole = json.loads((tmp_path / "out/inspect.json").read_text())["parity"]["whole"]
    assert 0 < of_whole["largest_differences"]["judged"] < MAPS
    runtime = Runtime.load(tmp_path / "out", threads=1)
    torch_inspector = saved.on(torch.device("cpu"))
    ignore = np.zeros((100, 117), bool)
    ignore[:, :10] = True
    for shape, seed, ignored in (((100, 117), 0, None), ((131, 97), 3, None), ((100, 117), 5, ignore)):
        pixels = noisy(shape, saved.settings.channels, seed=seed)
        found = runtime.inspect(pixels, ignore=ignored)
        wanted = prediction_of(
            Pixels(pixels, 255.0), torch_inspector.inspect(Pixels(pixels, 255.0), ignored), saved.thresholds
        )
        assert (found.verdict, found.reason) == (wanted.verdict, wanted.reason)
        assert found.score == pytest.approx(wanted.score, rel=1e-4)
        assert [region.area for region in found.regions] == [region.area for region in wanted.regions]
        np.testing.assert_array_equal(found.mask, wanted.mask)
        np.testing.assert_allclose(found.reconstruction, wanted.reconstruction, atol=1e-5)
        if found.calibrated is not None:
            np.testing.assert_allclose(found.calibrated, wanted.calibrated, atol=MAPS)
    assert found.verdict != "good"


INTERRUPTED = """
import pathlib, signal, sys
from ssimae.engines.openvino import openvino_engine
network = pathlib.Path(sys.argv[1])
first, second = openvino_engine(network, None, threads=1), openvino_engine(network, None, threads=1)
del first
del second
signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background jobs ignore it
try:
    signal.raise_signal(signal.SIGINT)
except KeyboardInterrupt:
    print("interrupted")
"""


def test_signals_are_handled_after_engines_came_and_went(tmp_path: Path) -> None:
    made_up_model(tmp_path / "model.safetensors", calibration="none", loss="l2")
    assert main(["export", str(tmp_path / "model.safetensors"), "--out", str(tmp_path / "out")]) == 0
    command = [sys.executable, "-c", INTERRUPTED, str(tmp_path / "out/network.onnx")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "interrupted\n"), done.stderr


def test_graphs_have_few_operators_and_any_number_of_patches(tmp_path: Path) -> None:
    made_up_model(tmp_path / "model.safetensors", calibration="surface", residual_smoothing=1.0)
    flags = ["--whole", "64x70", "--out", str(tmp_path / "out")]
    assert main(["export", str(tmp_path / "model.safetensors"), *flags]) == 0
    description = json.loads((tmp_path / "out/inspect.json").read_text())
    for part in ("network", "head", "whole"):
        graph = onnx.load(tmp_path / "out" / description[part]["file"])
        assert {node.op_type for node in graph.graph.node} <= OPERATORS
        assert [put.version for put in graph.opset_import] == [17]
    assert onnx.load(tmp_path / "out/whole.onnx").graph.input[0].name == "gray_0_to_255"
    sides = onnx.load(tmp_path / "out/network.onnx").graph.input[0].type.tensor_type.shape.dim
    assert [side.dim_value for side in sides] == [0, 1, 32, 32]
    parity = description["parity"]
    assert [row["verdict"] for row in parity["images"]] == [row["verdict_torch"] for row in parity["images"]]
    assert 0 <= parity["largest_differences"]["judged"] < MAPS


def test_nothing_is_written_where_the_export_says_something_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    saved = made_up_model(tmp_path / "model.safetensors", calibration="none", loss="l2")
    other = new_autoencoder(saved.settings, seed=0)
    with torch.no_grad():
        other.decoder[-1].bias.fill_(0.45)
    build = job.network_graph
    monkeypatch.setattr(job, "network_graph", lambda _, metadata: build(other, metadata))
    Image.fromarray(noisy((100, 117), 1)).save(tmp_path / "image.png")
    images = ["--images", str(tmp_path / "image.png")]
    assert main(["export", str(tmp_path / "model.safetensors"), *images, "--out", str(tmp_path / "out")]) == 4
    assert "image.png" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_what_cannot_be_exported_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    model = tmp_path / "model.safetensors"
    made_up_model(model, loss="vae", calibration="none")
    assert main(["export", str(model), "--out", str(tmp_path / "out")]) == 2
    assert "a VAE cannot be exported" in capsys.readouterr().err
    made_up_model(model, calibration="none")
    (tmp_path / "out").mkdir()
    (tmp_path / "out/mine.txt").write_text("mine")
    assert main(["export", str(model), "--force", "--out", str(tmp_path / "out")]) == 2
    assert (tmp_path / "out/mine.txt").read_text() == "mine"
    assert main(["export", str(model), "--out", str(tmp_path / "new")]) == 0
    assert main(["export", str(model), "--out", str(tmp_path / "new")]) == 2
    assert "--force" in capsys.readouterr().err
    assert main(["export", str(model), "--force", "--out", str(tmp_path / "new")]) == 0


@pytest.mark.parametrize(
    ("name", "content", "match"),
    [
        ("inspect.json", "{", "not JSON"),
        ("inspect.json", '{"format": "ssimae-inspect-9"}', "wants ssimae-inspect-2, found ssimae-inspect-9"),
        ("inspect.json", '{"format": "ssimae-inspect-1"}', "missing required field"),
        ("calibration.bin", "short", "shorter than its array"),
        ("network.onnx", "no graph", "not a network that onnxruntime can run"),
        ("network.onnx", None, "no such file"),
    ],
)
def test_a_damaged_export_is_refused_in_a_line(name: str, content: str | None, match: str, tmp_path: Path) -> None:
    made_up_model(tmp_path / "model.safetensors", calibration="surface", residual_smoothing=1.0)
    assert main(["export", str(tmp_path / "model.safetensors"), "--out", str(tmp_path / "out")]) == 0
    if content is None:
        (tmp_path / "out" / name).unlink()
    else:
        (tmp_path / "out" / name).write_text(content)
    with pytest.raises((ValueError, OSError), match=match) as raised:
        Runtime.load(tmp_path / "out", threads=1)
    assert "\n" not in str(raised.value)
