"""`make bench-gpu` as far as it goes without a GPU: answers of rivals, refusals, floors, tables and files."""

import json
import math
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

pytest.importorskip("triton", reason="needs triton")

import gpu
import gpu_card
import gpu_checks
import gpu_rivals
from cubins import build, compiler_tools
from gpu_card import SHAPES, WORKS, Card, Timing, floor_seconds
from gpu_rivals import CONTENDERS
from gpu_table import Row, markdown, write_results

CPU = torch.device("cpu")
H200 = Card(bytes_per_second=4.3e12, float_slots_per_second=67e12 / 2)
PERF = Path(gpu.__file__).parent


def fake_timer(function):
    function()
    return Timing(2e-6, 1e-6, 3e-6)


@pytest.mark.parametrize("contender", CONTENDERS, ids=lambda contender: contender.name)
def test_every_installed_contender_answers_right(contender, recwarn):
    if contender.name.endswith("torch.compile"):
        # Compiling takes a minute; what is compiled is the same function.
        contender = contender._replace(make=gpu_rivals.separable_loss)
    for window in contender.windows:
        try:
            gpu_rivals.answer_is_right(contender, window, 3, contender.gradients, CPU)
        except ModuleNotFoundError as error:
            pytest.skip(f"needs {error.name}")


def test_wrong_answers_are_found():
    wrong = CONTENDERS[0]._replace(make=lambda *_: lambda x, y: (x - y).abs().mean())
    with pytest.raises(AssertionError, match="off by"):
        gpu_rivals.answer_is_right(wrong, "gaussian", 1, 1, CPU)
    row = gpu.time_one(wrong, "N1", (2, 1, 16, 16), WORKS[1], H200, CPU, fake_timer)
    assert row.note.startswith("failed: AssertionError")
    assert row.eager is None


def test_rows_have_times_or_reasons(monkeypatch):
    monkeypatch.setitem(SHAPES, "N1", (2, 1, 16, 20))
    missing = CONTENDERS[0]._replace(name="absent", make=lambda *_: __import__("no_such_package"))
    monkeypatch.setattr(gpu, "CONTENDERS", (CONTENDERS[0], CONTENDERS[7], missing))
    rows = list(gpu.time_all(["N1"], None, H200, CPU, fake_timer))
    assert len(rows) == 3 * len(WORKS)
    for row in rows:
        if row.contender == "ssimae":
            assert (row.note, row.eager) == ("", Timing(2e-6, 1e-6, 3e-6))
        if row.contender == "absent":
            assert row.note == "failed: ModuleNotFoundError: No module named 'no_such_package'"
    notes = {(row.contender, row.work): row.note for row in rows}
    assert notes["fused-ssim", "loss + both gradients"] == "gradients of 1 input alone"
    assert notes["fused-ssim", "uniform window, loss + d/dx"] == "no uniform window"


def test_floors_are_those_of_the_plan():
    """SSIM.md, 4: microseconds on an H200."""
    plan = {
        "forward": (7.1, 169, 57),
        "loss + d/dx": (13.1, 311, 105),
        "loss + both gradients": (15.1, 360, 121),
        "uniform window, loss + d/dx": (5.9, 139, 47),
    }
    for work in WORKS:
        for shape, wanted in zip(SHAPES.values(), plan[work.title], strict=True):
            assert 1e6 * floor_seconds(work, shape, H200) == pytest.approx(wanted, rel=0.01)


def test_results_are_written_whole(tmp_path):
    rows = [
        Row("N1 (128, 1, 128, 128)", "forward", "ssimae", 7e-6, Timing(2e-5, 1e-5, 3e-5), Timing(1.4e-5, 1e-5, 2e-5),
            1.2e-5, 3 << 20),
        Row("N1 (128, 1, 128, 128)", "forward", "piq", 7e-6, note="failed: ImportError: no | piq"),
        Row("N2 (8, 3, 1080, 1920)", "forward", "ssimae", 1e-4, Timing(2e-4, 1e-4, 3e-4)),
    ]  # fmt: skip
    facts = {"card": "NVIDIA H200", "date": "2026-01-02", "driver": "1.2"}
    table, numbers = write_results(tmp_path / "gpu", facts, rows)
    assert table.name == "nvidia-h200-2026-01-02.md"
    assert sorted(path.name for path in table.parent.iterdir()) == [numbers.name, table.name]
    text = table.read_text()
    assert text == markdown(facts, rows)
    assert "| ssimae | 20.0 (10.0, 30.0) | 14.0 (10.0, 20.0) | 12.0 | 2.00 | 3 |" in text
    assert "| piq | failed: ImportError: no / piq | | | | |" in text
    assert text.count("\n## ") == 2
    found = json.loads(numbers.read_text())
    assert found["facts"] == facts
    assert found["rows"][0]["graph"]["median"] == 1.4e-5
    assert found["rows"][1]["eager"] is None


def test_arguments_are_read_and_refused(capsys):
    chosen = gpu.arguments(["--shapes", "N1", "--only", "ssimae", "piq"])
    assert (chosen.shapes, chosen.only, chosen.check) == (["N1"], ["ssimae", "piq"], False)
    with pytest.raises(SystemExit):
        gpu.arguments(["--only", "nobody"])
    assert "no such contender: nobody" in capsys.readouterr().err


def test_the_public_loss_is_checked_and_mistakes_are_named(monkeypatch):
    assert list(gpu_checks.check_loss(CPU, (2, 1, 24, 30), "rust")) == []
    right = gpu_checks.ssimae.ssim_loss
    monkeypatch.setattr(
        gpu_checks.ssimae, "ssim_loss",
        lambda x, y, **terms: right(x, y, **terms) * (1 + 1e-4 * (terms["backend"] == "rust")),
    )  # fmt: skip
    mistakes = list(gpu_checks.check_loss(CPU, (2, 1, 24, 30), "rust"))
    assert len(mistakes) == 3 * 16
    assert mistakes[0].startswith("the loss of ssim_loss, gaussian, reflect: off by 1.0e-04")


@pytest.mark.slow
def test_the_kernels_check_finds_nothing_wrong():
    code = "import torch, gpu_checks; print(list(gpu_checks.check_kernels(torch.device('cpu'), ((1, 1, 11, 12),))))"
    paths = os.pathsep.join([str(PERF), *sys.path])
    done = subprocess.run(
        [sys.executable, "-c", code], env=os.environ | {"TRITON_INTERPRET": "1", "PYTHONPATH": paths},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.stdout.strip() == "[]", done.stdout + done.stderr


@pytest.mark.skipif(torch.cuda.is_available(), reason="needs a machine without a CUDA device")
def test_without_a_device_it_says_so():
    done = subprocess.run(
        [sys.executable, PERF / "gpu.py"], env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 2
    assert done.stderr == "No CUDA device: nothing was checked or timed.\n"
    assert done.stdout == ""


def test_card_is_measured_by_its_copy(monkeypatch):
    monkeypatch.setattr(gpu_card, "_measure_slots", lambda _: 5.0)
    empty = torch.empty
    monkeypatch.setattr(torch, "empty", lambda size, **options: empty(1000, dtype=options["dtype"]))
    card = gpu_card.measure_card(fake_timer)
    assert card.float_slots_per_second == 5.0
    assert math.isclose(card.bytes_per_second, 2 * 4000 / 2e-6)


@pytest.mark.slow
def test_the_rate_of_the_card_is_measured_by_multiply_adds_alone():
    compiler_tools()
    cubin = build(
        gpu_card._chains_kernel, {"out_ptr": "*fp32", "rounds": "i32"}, {"BLOCK": 256, "UNROLLED": 16},
        capability=90, num_warps=8,
    )  # fmt: skip
    bodies = [
        [instruction.name for instruction in cubin.instructions[body.start : body.stop]] for body in cubin.loops()
    ]
    body = max(bodies, key=len)
    assert len(body) > 0
    assert sum(name.startswith("FFMA") for name in body) > 0.9 * len(body)


def test_traffic_is_more_than_the_images():
    text = gpu.traffic(CPU)
    # Two images read, scratch planes of four products written and read, one map written: 44 bytes.
    assert text.startswith("N1 map 44 (scratch 32), requested ")
    assert text.count(";") == 5
