"""The Triton kernels: right in the interpreter, compilable for every card without one, absent without complaint."""

import os
import re
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from ssimae.kernels import available
from ssimae.kernels import ssim as kernel_module

_INTERPRETED = os.environ.get("TRITON_INTERPRET") == "1"


def _run_values(**environment: str) -> None:
    """Run kernel_values.py in a process of its own, since Triton is interpreted or compiled for a process's life."""
    file = Path(__file__).with_name("kernel_values.py")
    command = [sys.executable, "-m", "pytest", "-q", "--no-header", "--tb=short", "-p", "no:cacheprovider", str(file)]
    inherited = {name: value for name, value in os.environ.items() if name != "TRITON_INTERPRET"}
    done = subprocess.run(
        command, env=inherited | environment, cwd=file.parents[1], capture_output=True, text=True, check=False
    )
    if done.returncode:
        pytest.fail(done.stdout + done.stderr, pytrace=False)


@pytest.mark.slow
def test_interpreted_kernels_give_the_textbook() -> None:
    pytest.importorskip("triton", reason="needs triton")
    _run_values(TRITON_INTERPRET="1")


@pytest.mark.gpu
def test_compiled_kernels_give_the_textbook() -> None:
    if not torch.cuda.is_available():
        pytest.skip("needs a CUDA device")
    reason = available(torch.zeros(1, device="cuda"))
    if reason:
        pytest.skip(f"needs a device that Triton serves: {reason}")
    _run_values()


def _dtypes(name: str, image_dtype: str) -> str:
    if name.endswith("_ptr"):
        return f"*{image_dtype if name in ('x_ptr', 'y_ptr', 'grad_x_ptr', 'grad_y_ptr') else 'fp32'}"
    if name.isupper():
        return "constexpr"
    return "fp64" if name in ("shift", "c1", "c2") else "i32"


@pytest.mark.skipif(_INTERPRETED, reason="needs Triton's compiler: unset TRITON_INTERPRET")
@pytest.mark.parametrize("capability", [80, 90])
@pytest.mark.parametrize(
    "case",
    [
        pytest.param((11, "reflect", "fp32", False), id="paper"),
        pytest.param((31, "symmetric", "fp16", False), id="widest"),
        # A size of 1 is not passed but compiled in.
        pytest.param((3, "valid", "bf16", True), id="valid-map-of-one-pixel"),
    ],
)
def test_kernels_compile_without_a_card_and_spill_nothing(
    capability: int, case: tuple[int, str, str, bool], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    window_size, border, dtype, one_pixel = case
    triton = pytest.importorskip("triton", reason="needs triton")
    from triton.backends import nvidia
    from triton.backends.compiler import GPUTarget
    from triton.compiler import ASTSource

    cuobjdump = Path(nvidia.__file__).parent / "bin" / "cuobjdump"
    if not (cuobjdump.exists() and cuobjdump.with_name("ptxas").exists()):
        pytest.skip(f"needs the CUDA tools that triton ships in {cuobjdump.parent}")
    monkeypatch.setenv("TRITON_CACHE_DIR", str(tmp_path / "cache"))
    names = [name for name in vars(kernel_module) if name.endswith("_kernel")]
    assert len(names) == 5
    for name in names:
        kernel = getattr(kernel_module, name)
        constants = {
            "RADIUS": window_size // 2,
            "BORDER": border,
            "BOTH": True,
            "ACC": triton.language.float32,
            "BLOCK_H": kernel_module._BLOCK_H,
            "BLOCK_W": kernel_module._BLOCK_W,
        } | ({"map_height": 1, "map_width": 1} if one_pixel else {})
        signature = {arg: "constexpr" if arg in constants else _dtypes(arg, dtype) for arg in kernel.arg_names}
        compiled = triton.compile(
            ASTSource(kernel, signature, {arg: constants[arg] for arg in kernel.arg_names if arg in constants}),
            target=GPUTarget("cuda", capability, 32),
            options={"num_warps": kernel_module._NUM_WARPS, "enable_fp_fusion": True},
        )
        cubin = tmp_path / f"{name}.cubin"
        cubin.write_bytes(compiled.asm["cubin"])
        usage = subprocess.run(
            [cuobjdump, "--dump-resource-usage", cubin], capture_output=True, text=True, check=True
        ).stdout
        used = {key: int(value) for key, value in re.findall(r"(REG|STACK|LOCAL):(\d+)", usage)}
        assert used.keys() == {"REG", "STACK", "LOCAL"}
        assert used["STACK"] == used["LOCAL"] == 0, f"{name} spills: {usage}"
        # Two programs of 8 warps fit a multiprocessor with its 65536 registers.
        assert used["REG"] <= 128, f"{name}: {usage}"


@pytest.mark.skipif(_INTERPRETED, reason="needs Triton's compiler: unset TRITON_INTERPRET")
def test_tensors_that_cannot_be_served_are_declined_in_words(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("triton", reason="needs triton")
    assert available(torch.zeros(1)) == "needs a CUDA or ROCm device, got cpu"
    # Not a tensor, so that the rules for a card can be tried without one.
    on_card = SimpleNamespace(device=torch.device("cuda", 0), dtype=torch.float64)
    assert available(on_card) == "needs float32, bfloat16 or float16, got torch.float64"
    on_card.dtype = torch.bfloat16
    monkeypatch.setattr(torch.version, "hip", None)
    for capability, reason in (((8, 0), None), ((7, 5), "needs compute capability 8.0 or higher, got 7.5")):
        monkeypatch.setattr(torch.cuda, "get_device_capability", lambda _, found=capability: found)
        assert available(on_card) == reason


def test_kernels_import_without_triton_and_say_so() -> None:
    code = (
        "import sys; sys.modules['triton'] = None\n"
        "import torch; from ssimae import kernels\n"
        "print(kernels.available(torch.zeros(1)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.stdout.strip(), done.returncode) == ("triton is not installed", 0), done.stderr
