"""The Triton kernels: right in the interpreter, launched in fitting sizes, absent without complaint."""

import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from ssimae.kernels.loss_map.sizes import Card, choose_pass_size
from ssimae.kernels.support import available

_INTERPRETED = os.environ.get("TRITON_INTERPRET") == "1"


_VALUES = ("values", "inputs", "one_shot_values", "triton_operator_values")
"""Files whose tests run in processes of their own, since Triton is interpreted or compiled for a process's life."""


def _start(files: Sequence[str], *options: str, **environment: str) -> subprocess.Popen[str]:
    """Start pytest on some of the files; `exhaustive` cases are chosen by the options."""
    paths = [str(Path(__file__).parents[1] / "support" / "kernels" / f"{file}.py") for file in files]
    words = ["-q", "--no-header", "--tb=short", "-p", "no:cacheprovider", *options]
    inherited = {name: value for name, value in os.environ.items() if name != "TRITON_INTERPRET"}
    return subprocess.Popen(
        [sys.executable, "-m", "pytest", *words, *paths], env=inherited | environment, cwd=Path(__file__).parents[1],
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
    )  # fmt: skip


def _check(*processes: subprocess.Popen[str]) -> None:
    printed = [process.communicate()[0] for process in processes]
    failed = [text for process, text in zip(processes, printed, strict=True) if process.returncode]
    if failed:
        pytest.fail("\n".join(failed), pytrace=False)


@pytest.mark.slow
def test_interpreted_kernels_give_the_textbook() -> None:
    pytest.importorskip("triton", reason="needs triton")
    _check(_start([*_VALUES, "traffic"], "-m", "not exhaustive", TRITON_INTERPRET="1"))


@pytest.mark.exhaustive
def test_interpreted_kernels_give_the_textbook_in_every_case() -> None:
    pytest.importorskip("triton", reason="needs triton")
    # Two processes side by side, of about the same work.
    halves = (["values", "inputs"], ["one_shot_values", "triton_operator_values", "traffic"])
    _check(*(_start(half, "-m", "exhaustive", TRITON_INTERPRET="1") for half in halves))


@pytest.mark.gpu
def test_compiled_kernels_give_the_textbook() -> None:
    if not torch.cuda.is_available():
        pytest.skip("needs a CUDA device")
    reason = available(torch.zeros(1, device="cuda"))
    if reason:
        pytest.skip(f"needs a device that Triton serves: {reason}")
    _check(_start(_VALUES))


@pytest.mark.skipif(_INTERPRETED, reason="needs Triton's compiler: unset TRITON_INTERPRET")
def test_tensors_that_cannot_be_served_are_declined_in_words(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("triton", reason="needs triton")
    assert available(torch.zeros(1)) == "needs a CUDA or ROCm device, got cpu"
    # Not a tensor, so that the rules for a card can be tried without one.
    on_card = SimpleNamespace(device=torch.device("cuda", 0), dtype=torch.float64)
    assert available(on_card) == "needs float32, bfloat16, float16 or uint8, got torch.float64"
    monkeypatch.setattr(torch.version, "hip", None)
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda _: (9, 0))
    on_card.dtype = torch.uint8
    assert available(on_card) is None
    on_card.dtype = torch.bfloat16
    for capability, reason in (((8, 0), None), ((7, 5), "needs compute capability 8.0 or higher, got 7.5")):
        monkeypatch.setattr(torch.cuda, "get_device_capability", lambda _, found=capability: found)
        assert available(on_card) == reason


def test_kernels_import_without_triton_and_say_so() -> None:
    code = (
        "import sys; sys.modules['triton'] = None\n"
        "import torch; import ssimae.similarity.operators; from ssimae.kernels.support import available\n"
        "print(available(torch.zeros(1)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.stdout.strip(), done.returncode) == ("triton is not installed", 0), done.stderr


H100 = Card(processors=132, warp_size=32, l2_bytes=50 << 20)


@pytest.mark.parametrize(
    "shape", [(1, 3, 4), (1, 64, 64), (1, 1024, 1024), (128, 128, 128), (24, 1080, 1920), (70_000, 5, 8)]
)
def test_launches_fill_the_card_and_scratch_stays_bounded(shape: tuple[int, int, int]) -> None:
    planes, height, width = shape
    size = choose_pass_size(*shape, H100)
    programs = planes * -(-height // size.lines) * -(-width // size.lanes)
    # Small maps are cut into small programs; a large image keeps the 4 schedulers of every processor busy.
    assert size.lines in (4, 8, 16)
    assert size.lines == 4 or programs >= 8 * H100.processors
    assert size.lines == 16 or size.lines >= max(height, width) or programs < 16 * H100.processors
    assert size.planes == 1 or size.planes * height * width <= 1 << 22
    # Chunks differ by less than a plane each.
    chunks = -(-planes // size.planes)
    assert chunks * size.planes - planes < chunks
