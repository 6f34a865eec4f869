"""The one-shot Triton kernel: right in the interpreter, within its budget of instructions and registers as a cubin."""

import collections
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from ssimae.kernels.loss_sums.programs import loss_sums_kernel
from ssimae.kernels.loss_sums.sizes import ProgramGrid, choose_grid, fits_registers
from ssimae.kernels.support import available
from ssimae.similarity.window import make_window

_INTERPRETED = os.environ.get("TRITON_INTERPRET") == "1"


def _run_values(**environment: str) -> None:
    """Run one_shot_values.py in a process of its own, as Triton is interpreted or compiled for a process's life."""
    file = Path(__file__).with_name("one_shot_values.py")
    command = [sys.executable, "-m", "pytest", "-q", "--no-header", "--tb=short", "-p", "no:cacheprovider", str(file)]
    inherited = {name: value for name, value in os.environ.items() if name != "TRITON_INTERPRET"}
    done = subprocess.run(
        command, env=inherited | environment, cwd=file.parents[1], capture_output=True, text=True, check=False
    )
    if done.returncode:
        pytest.fail(done.stdout + done.stderr, pytrace=False)


@pytest.mark.slow
def test_interpreted_kernel_gives_the_textbook() -> None:
    pytest.importorskip("triton", reason="needs triton")
    _run_values(TRITON_INTERPRET="1")


@pytest.mark.gpu
def test_compiled_kernel_gives_the_textbook() -> None:
    if not torch.cuda.is_available():
        pytest.skip("needs a CUDA device")
    reason = available(torch.zeros(1, device="cuda"))
    if reason:
        pytest.skip(f"needs a device that Triton serves: {reason}")
    _run_values()


def _floor(window_size: int, gradients: int) -> int:
    """Return the multiply-adds of a pixel in Gaussian passes: four planes forward, three or four slopes back."""
    return 2 * window_size * (4 + (gradients + 2 if gradients else 0))


def _main_loop(sass: str) -> collections.Counter[str]:
    """Return the instructions of the longest loop, by name."""
    labels: dict[str, int] = {}
    names: list[str] = []
    loop = (0, 0)
    for line in sass.splitlines():
        label = re.match(r"\s*(\.L_\w+):", line)
        if label:
            labels[label[1]] = len(names)
        found = re.match(r"\s*/\*[0-9a-f]+\*/\s+(?:\{\s*)?(?:@!?U?P\w+\s+)?([A-Z]\w+)(.*)", line)
        if found:
            names.append(found[1])
            target = re.search(r"(\.L_\w+)", found[2]) if found[1] == "BRA" else None
            if target and len(names) - labels.get(target[1], len(names)) > loop[1] - loop[0]:
                loop = (labels[target[1]], len(names))
    return collections.Counter(names[slice(*loop)])


@pytest.mark.slow
@pytest.mark.skipif(_INTERPRETED, reason="needs Triton's compiler: unset TRITON_INTERPRET")
@pytest.mark.parametrize(
    ("capability", "window_size", "sigma", "border", "types", "width", "gradients", "masked", "budget"),
    # Budgets: instructions a pixel of the main loop, a little above what was counted with Triton 3.9.
    [
        pytest.param(80, 11, 1.5, "reflect", ("fp32", "fp32"), 128, 1, False, 300, id="paper-80"),
        pytest.param(90, 11, 1.5, "reflect", ("fp32", "fp32"), 128, 1, False, 290, id="paper-90"),
        pytest.param(100, 11, 1.5, "reflect", ("fp32", "fp32"), 128, 1, False, 300, id="paper-100"),
        pytest.param(90, 11, None, "reflect", ("fp32", "fp32"), 128, 1, False, 245, id="uniform"),
        pytest.param(90, 11, 1.5, "reflect", ("fp32", "u8"), 1920, 0, False, 180, id="forward"),
        pytest.param(90, 11, 1.5, "valid", ("bf16", "fp16"), 130, 2, True, 560, id="every-option"),
        pytest.param(90, 7, None, "valid", ("fp32", "fp32"), 128, 1, False, 220, id="narrow"),
        pytest.param(90, 1, None, "reflect", ("fp32", "fp32"), 128, 0, False, 100, id="one-pixel"),
        pytest.param(90, 19, 3.0, "symmetric", ("fp16", "fp16"), 128, 1, False, 540, id="widest-that-fits"),
    ],
)
def test_kernel_compiles_without_a_card_within_its_budget(
    capability: int, window_size: int, sigma: float | None, border: str, types: tuple[str, str], width: int,
    gradients: int, masked: bool, budget: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    triton = pytest.importorskip("triton", reason="needs triton")
    from triton.backends import nvidia
    from triton.backends.compiler import GPUTarget
    from triton.compiler import ASTSource

    tools = Path(nvidia.__file__).parent / "bin"
    if not all((tools / tool).exists() for tool in ("cuobjdump", "nvdisasm", "ptxas")):
        pytest.skip(f"needs the CUDA tools that triton ships in {tools}")
    monkeypatch.setenv("TRITON_CACHE_DIR", str(tmp_path / "cache"))
    assert fits_registers(window_size, gradients, masked)
    size = choose_grid(128, 128, width, window_size, processors=132, gradients=gradients, masked=masked)
    form = make_window(
        data_range=1.0, window_size=window_size, window="gaussian" if sigma else "uniform", sigma=sigma or 1.0,
        k1=0.01, k2=0.03, c1=None, c2=None, border=border,
    )  # type: ignore[arg-type]  # fmt: skip
    constants = {
        "TAPS": form.taps,
        "BORDER": border,
        "RIM": (width - 1) % size.side,
        "GRADS": gradients,
        "WEIGHTED": masked,
        "MASKED": masked,
        "EXTRA": masked,
        "SIDE": size.side,
        "LANES": size.columns // size.side,
        "ACC": triton.language.float32,
    }
    pointers = {
        "x_ptr": types[0], "y_ptr": types[1], "grad_x_ptr": types[0], "grad_y_ptr": types[1],
        "partial_ptr": "fp64", "weights_ptr": "fp32", "mask_ptr": "fp32",
    }  # fmt: skip
    signature = {name: "i32" for name in loss_sums_kernel.arg_names} | dict.fromkeys(constants, "constexpr")
    signature |= {name: f"*{kind}" for name, kind in pointers.items()}
    signature |= dict.fromkeys(("shift", "c1", "c2", "scale", "l1", "l2"), "fp64")
    multiples_of_16 = [*pointers, *(["width"] if width % 16 == 0 else [])]
    attributes = {(loss_sums_kernel.arg_names.index(name),): [["tt.divisibility", 16]] for name in multiples_of_16}
    compiled = triton.compile(
        ASTSource(loss_sums_kernel, signature, constants, attributes),
        target=GPUTarget("cuda", capability, 32),
        options={"num_warps": size.num_warps, "enable_fp_fusion": True},
    )
    cubin = tmp_path / "kernel.cubin"
    cubin.write_bytes(compiled.asm["cubin"])

    def ask(*command: str | Path) -> str:
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout

    usage = ask(tools / "cuobjdump", "--dump-resource-usage", cubin)
    used = {key: int(value) for key, value in re.findall(r"(REG|STACK|LOCAL):(\d+)", usage)}
    assert used["STACK"] == used["LOCAL"] == 0, f"spills: {usage}"
    # Two programs fit a multiprocessor with its 65536 registers and, in shared memory, many.
    assert used["REG"] <= 256
    assert compiled.metadata.shared <= 8192
    loop = _main_loop(ask(tools / "nvdisasm", "-c", cubin))
    pixel = loop.total() / size.side
    print(f"{pixel:.1f} instructions a pixel, {_floor(window_size, gradients)} at least: {loop}, {used}")
    assert _floor(window_size, gradients) < pixel <= budget, loop


@pytest.mark.parametrize(
    ("planes", "height", "width"), [(128, 128, 128), (24, 1080, 1920), (1, 4096, 4096), (1, 11, 11), (3, 5000, 129)]
)
@pytest.mark.parametrize("window_size", [1, 11, 19])
def test_launch_covers_each_plane_once(planes: int, height: int, width: int, window_size: int) -> None:
    size = choose_grid(planes, height, width, window_size, processors=132)
    assert size.block_rows % size.side == 0
    assert 4 * size.strip_quads % size.side == 0
    assert (size.blocks - 1) * size.block_rows < height <= size.blocks * size.block_rows
    step, radius = 4 * size.strip_quads, window_size // 2
    # Every strip sees a radius beyond the columns that it owns, on both sides.
    assert step + 2 * radius <= size.columns
    assert (size.strips - 1) * step + size.columns >= width
    assert size.strips == 1 or (size.strips - 2) * step + size.columns < width


def _bytes_a_pixel(size: ProgramGrid, height: int, width: int, window_size: int) -> float:
    """Return the memory traffic of float32 images and a gradient if halos were read anew by every program."""
    rows = sum(
        min(height, (block + 1) * size.block_rows + window_size - 1) - max(0, block * size.block_rows - window_size + 1)
        for block in range(size.blocks)
    )
    cols = sum(
        min(width, 4 * size.strip_quads * strip + size.columns + window_size // 2)
        - max(0, 4 * size.strip_quads * strip - window_size // 2)
        for strip in range(size.strips)
    )
    return 8 * rows * cols / (height * width) + 4


@pytest.mark.parametrize(
    ("planes", "height", "width", "most"), [(128, 128, 128, 14.0), (24, 1080, 1920, 15.0), (1, 4096, 4096, 15.0)]
)
def test_traffic_is_near_that_of_two_images_and_a_gradient(planes: int, height: int, width: int, most: float) -> None:
    size = choose_grid(planes, height, width, 11, processors=132)
    assert 12 <= _bytes_a_pixel(size, height, width, 11) < most


@pytest.mark.parametrize(("gradients", "masked", "widest"), [(0, False, 31), (1, False, 19), (2, False, 15)])
def test_windows_that_fit(gradients: int, masked: bool, widest: int) -> None:
    assert fits_registers(widest, gradients, masked)
    assert widest == 31 or not fits_registers(widest + 2, gradients, masked)
