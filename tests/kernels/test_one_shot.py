"""The kernel of the sums: within its budget of instructions and registers as a cubin, launched in fitting sizes."""

import collections
from collections.abc import Iterator
from typing import NamedTuple

import pytest
from ssimae.kernels.loss_sums.programs import loss_sums_kernel
from ssimae.kernels.loss_sums.sizes import ProgramGrid, choose_grid, fits_registers
from ssimae.similarity.window import make_window
from support.cubins import Request, build, compiled_ahead, compiler_tools, request


def _floor(window_size: int, gradients: int) -> int:
    """Return the multiply-adds of a pixel in Gaussian passes: four planes forward, three or four slopes back."""
    return 2 * window_size * (4 + (gradients + 2 if gradients else 0))


class Case(NamedTuple):
    capability: int
    window_size: int
    sigma: float | None
    border: str
    types: tuple[str, str]
    width: int
    gradients: int
    masked: bool
    budget: int
    """Instructions a pixel of the main loop, a little above what was counted with Triton 3.9."""

    def grid(self) -> ProgramGrid:
        return choose_grid(
            128, 128, self.width, self.window_size, processors=132, gradients=self.gradients, masked=self.masked
        )


CASES = {
    "paper-80": Case(80, 11, 1.5, "reflect", ("fp32", "fp32"), 128, 1, False, 300),
    "paper-90": Case(90, 11, 1.5, "reflect", ("fp32", "fp32"), 128, 1, False, 290),
    "paper-100": Case(100, 11, 1.5, "reflect", ("fp32", "fp32"), 128, 1, False, 300),
    "uniform": Case(90, 11, None, "reflect", ("fp32", "fp32"), 128, 1, False, 245),
    "forward": Case(90, 11, 1.5, "reflect", ("fp32", "u8"), 1920, 0, False, 180),
    "every-option": Case(90, 11, 1.5, "valid", ("bf16", "fp16"), 130, 2, True, 560),
    "narrow": Case(90, 7, None, "valid", ("fp32", "fp32"), 128, 1, False, 220),
    "one-pixel": Case(90, 1, None, "reflect", ("fp32", "fp32"), 128, 0, False, 100),
    "widest-that-fits": Case(90, 19, 3.0, "symmetric", ("fp16", "fp16"), 128, 1, False, 540),
}
# Triton takes half a minute for eleven Gaussian taps; the ordinary suite compiles seven equal ones, with the gradient.
ORDINARY = ("one-pixel",)


def _request_of(case: Case) -> Request:
    from triton.language import float32

    size = case.grid()
    form = make_window(
        data_range=1.0, window_size=case.window_size, window="gaussian" if case.sigma else "uniform",
        sigma=case.sigma or 1.0, k1=0.01, k2=0.03, c1=None, c2=None, border=case.border,
    )  # type: ignore[arg-type]  # fmt: skip
    constants = {
        "TAPS": form.taps,
        "BORDER": case.border,
        "RIM": (case.width - 1) % size.side,
        "GRADS": case.gradients,
        "WEIGHTED": case.masked,
        "MASKED": case.masked,
        "EXTRA": case.masked,
        "SIDE": size.side,
        "LANES": size.columns // size.side,
        "ACC": float32,
    }
    pointers = {
        "x_ptr": case.types[0], "y_ptr": case.types[1], "grad_x_ptr": case.types[0], "grad_y_ptr": case.types[1],
        "partial_ptr": "fp64", "weights_ptr": "fp32", "mask_ptr": "fp32",
    }  # fmt: skip
    types = dict.fromkeys(loss_sums_kernel.arg_names, "i32") | {name: f"*{kind}" for name, kind in pointers.items()}
    types |= dict.fromkeys(("shift", "c1", "c2", "scale", "l1", "l2"), "fp64")
    divisible = [*pointers, *(["width"] if case.width % 16 == 0 else [])]
    return request(
        loss_sums_kernel, types, constants, capability=case.capability, num_warps=size.num_warps, divisible=divisible
    )


@pytest.fixture(scope="module")
def _ahead(request: pytest.FixtureRequest) -> Iterator[None]:
    """Compile what the tests of this run ask for side by side."""
    compiler_tools()
    chosen = [item.callspec.params for item in request.session.items if hasattr(item, "callspec")]
    with compiled_ahead(_request_of(CASES[params["name"]]) for params in chosen if params.get("name") in CASES):
        yield


@pytest.mark.slow
@pytest.mark.usefixtures("_ahead")
@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=[] if name in ORDINARY else pytest.mark.exhaustive) for name in CASES]
)
def test_kernel_compiles_without_a_card_within_its_budget(name: str) -> None:
    compiler_tools()
    case = CASES[name]
    assert fits_registers(case.window_size, case.gradients, case.masked)
    cubin = build(_request_of(case))
    assert cubin.spilled_bytes == 0
    # Two programs fit a multiprocessor with its 65536 registers and, in shared memory, many.
    assert cubin.registers <= 256
    assert cubin.shared_bytes <= 8192
    main_loop = max(cubin.loops(), key=len)
    pixel = len(main_loop) / case.grid().side
    loop = collections.Counter(cubin.instructions[index].name.split(".", maxsplit=1)[0] for index in main_loop)
    print(f"{pixel:.1f} instructions a pixel, {_floor(case.window_size, case.gradients)} at least: {loop}")
    assert _floor(case.window_size, case.gradients) < pixel <= case.budget, loop


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
