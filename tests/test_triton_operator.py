"""The public function on Triton's kernels, in processes of their own: interpreted, and on a card if there is one."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from ssimae.kernels.support import available


def run_values(**environment: str) -> None:
    """Run triton_operator_values.py; Triton is interpreted or compiled for a process's life."""
    file = Path(__file__).with_name("triton_operator_values.py")
    command = [sys.executable, "-m", "pytest", "-q", "--no-header", "--tb=short", "-p", "no:cacheprovider", str(file)]
    inherited = {name: value for name, value in os.environ.items() if name != "TRITON_INTERPRET"}
    done = subprocess.run(
        command, env=inherited | environment, cwd=file.parents[1], capture_output=True, text=True, check=False
    )
    if done.returncode:
        pytest.fail(done.stdout + done.stderr, pytrace=False)


@pytest.mark.slow
def test_interpreted_operator_is_the_specification() -> None:
    pytest.importorskip("triton", reason="needs triton")
    run_values(TRITON_INTERPRET="1")


@pytest.mark.gpu
def test_operator_on_a_card_is_the_specification() -> None:
    if not torch.cuda.is_available():
        pytest.skip("needs a CUDA device")
    reason = available(torch.zeros(1, device="cuda"))
    if reason:
        pytest.skip(f"needs a device that Triton serves: {reason}")
    run_values()
