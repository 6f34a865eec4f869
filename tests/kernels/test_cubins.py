"""The map kernels as compiled for every card, without one: no spills, few registers, instructions counted."""

import re
from collections.abc import Iterator
from typing import NamedTuple

import pytest
from ssimae.kernels.loss_map import programs
from support.cubins import Cubin, Request, build, compiled_ahead, compiler_tools, request

LINES, LANES = 16, 32
"""As choose_pass_size gives them for all but small images: one warp, each of whose threads computes 16 pixels."""


class Case(NamedTuple):
    window_size: int = 11
    uniform: bool = False
    border: str = "reflect"
    dtype: str = "fp32"
    full: bool = False
    """Masks, extra terms, both gradients."""
    one_pixel: bool = False
    """A map of one pixel: Triton compiles a size of 1 in instead of passing it."""


PAPER, UNIFORM, WIDEST = Case(), Case(uniform=True), Case(window_size=31, border="symmetric", dtype="fp16")
EVERYTHING = Case(window_size=3, border="valid", dtype="u8", full=True, one_pixel=True)

KERNELS = ("blur_products_kernel", "loss_kernel", "slopes_kernel", "spread_kernel", "gradient_kernel")
CAPABILITIES = [pytest.param(80, marks=pytest.mark.exhaustive), 90, pytest.param(100, marks=pytest.mark.exhaustive)]
"""Of the cards, of which the ordinary suite takes one."""


def request_of(name: str, case: Case, capability: int) -> Request:
    from triton.language import float32

    kernel = getattr(programs, name)
    images = ("x_ptr", "y_ptr")
    gradients = "fp32" if case.dtype == "u8" else case.dtype
    dtypes = dict.fromkeys(images, case.dtype) | dict.fromkeys(("grad_x_ptr", "grad_y_ptr"), gradients)
    types = {
        "taps": ("fp32",) * case.window_size,
        "constants": ("fp32",) * 6,
    } | {
        parameter: f"*{dtypes.get(parameter, 'fp32')}" if parameter.endswith("_ptr") else "i32"
        for parameter in kernel.arg_names
        if parameter.islower() and parameter not in ("taps", "constants")
    }  # fmt: skip
    constants = {
        "BORDER": case.border, "UNIFORM": case.uniform, "MASKED": case.full, "EXTRA": case.full, "BOTH": case.full,
        "ACC": float32, "LINES": LINES, "LANES": LANES,
    } | ({"map_height": 1, "map_width": 1} if case.one_pixel else {})  # fmt: skip
    return request(kernel, types, constants, capability=capability)


def compiled(name: str, case: Case, capability: int) -> Cubin:
    compiler_tools()
    return build(request_of(name, case, capability))


@pytest.fixture(scope="module", autouse=True)
def _ahead(request: pytest.FixtureRequest) -> Iterator[None]:
    """Compile what the tests of this run ask for side by side."""
    compiler_tools()
    chosen = [
        item.callspec.params
        for item in request.session.items
        if item.path == request.path and hasattr(item, "callspec")
    ]
    with compiled_ahead(
        request_of(params["name"], case, params.get("capability", 90))
        for params in chosen
        if "name" in params
        for case in (params.get("case", PAPER),)
    ):
        yield


@pytest.mark.slow
@pytest.mark.parametrize("capability", CAPABILITIES)
@pytest.mark.parametrize("name", KERNELS)
@pytest.mark.parametrize(
    "case", [pytest.param(PAPER, id="paper"), pytest.param(EVERYTHING, id="everything", marks=pytest.mark.exhaustive)]
)
def test_kernels_fit_every_card(name: str, case: Case, capability: int) -> None:
    cubin = compiled(name, case, capability)
    assert cubin.spilled_bytes == 0
    # A processor has 65536 registers, for 9 warps of 32 threads at least: two for each of its schedulers.
    assert cubin.registers <= 224
    # Turning planes costs half a kilobyte a warp, if it is not done by shuffles altogether.
    assert cubin.shared_bytes <= 4096


@pytest.mark.exhaustive
@pytest.mark.parametrize("name", KERNELS)
@pytest.mark.parametrize("case", [pytest.param(WIDEST, id="widest")])
def test_the_widest_window_does_not_spill(name: str, case: Case) -> None:
    assert compiled(name, case, 90).spilled_bytes == 0


BUDGETS = {"blur_products_kernel": 140, "loss_kernel": 148, "slopes_kernel": 190, "spread_kernel": 45,
           "gradient_kernel": 121}  # fmt: skip
"""Instructions a pixel, K = 11: 8 % above the most that a card takes, which is sm_100."""


FLOATS = ("multiply-add", "multiply", "add")


def slots(counted: dict[str, float]) -> float:
    return sum(counted.values())


def arithmetic(counted: dict[str, float]) -> float:
    # sm_100 packs two operations of a thread into one instruction.
    return sum(counted.get(title, 0.0) for title in FLOATS) + 2 * counted.get("two at once", 0.0)


@pytest.mark.slow
@pytest.mark.parametrize("capability", CAPABILITIES)
def test_instructions_of_each_pixel_stay_few(capability: int, capsys: pytest.CaptureFixture[str]) -> None:
    table = []
    for name in KERNELS:
        counted = compiled(name, PAPER, capability).count()
        pixel = {title: number / LINES for title, number in counted.items()}
        table.append((name, pixel))
    forward = slots(table[0][1]) + slots(table[1][1])
    backward = slots(table[0][1]) + slots(table[2][1]) + 3 * slots(table[3][1]) + slots(table[4][1])
    with capsys.disabled():
        print(f"\nsm_{capability}: instructions a pixel, K = 11")
        for name, pixel in table:
            parts = ", ".join(f"{title} {number:.1f}" for title, number in sorted(pixel.items(), key=lambda i: -i[1]))
            print(f"  {name:22} {slots(pixel):6.1f} = {parts}")
        print(f"  map {forward:.0f}, its gradient {backward:.0f}; floors of loss_sums 114 and 209")
    for name, pixel in table:
        # Fewer than K a blurred plane would mean that instructions were missed.
        planes = {"spread_kernel": 1, "gradient_kernel": 3}.get(name, 4)
        assert 11 * planes <= arithmetic(pixel)
        assert slots(pixel) <= BUDGETS[name], (name, pixel)


@pytest.mark.exhaustive
@pytest.mark.parametrize("name", KERNELS)
@pytest.mark.parametrize("case", [pytest.param(UNIFORM, id="uniform")])
def test_uniform_windows_take_fewer_instructions(name: str, case: Case) -> None:
    uniform, gaussian = (compiled(name, each, 90).count() for each in (case, PAPER))
    planes = {"spread_kernel": 1, "gradient_kernel": 3}.get(name, 4)
    saved = (arithmetic(gaussian) - arithmetic(uniform)) / LINES
    # Eleven lines: a multiplication and, shared by 16 windows of 26 lines, about 6 additions in place of 11 FFMA.
    assert saved >= 3.5 * planes
    assert slots(uniform) < slots(gaussian)


@pytest.mark.slow
@pytest.mark.parametrize("name", KERNELS)
def test_offsets_of_planes_and_lines_are_int64(name: str) -> None:
    """More than 2^31 elements are addressed right: every offset of a pointer is computed in 64 bits.

    The numbers of planes, lines and lanes are 32 bits wide; what is multiplied is not.
    """
    ttir = compiled(name, PAPER, 90).ttir
    defined = {left: right for left, right in re.findall(r"(%[\w#]+) = ([^\n]*)", ttir)}

    def products(value: str, seen: set[str]) -> set[str]:
        """Return the multiplications that an offset is made of."""
        if value in seen or value not in defined:
            return set()
        seen.add(value)
        line = defined[value]
        own = {line} if "arith.muli" in line else set()
        return own.union(*(products(part, seen) for part in re.findall(r"%[\w#]+", line)))

    pointers = [line for line in defined.values() if line.startswith("tt.addptr")]
    assert pointers
    for line in pointers:
        offset = re.findall(r"%[\w#]+", line)[1]
        for product in products(offset, set()):
            if ": i64" not in product and "xi64" not in product:
                # Positions along one axis: twice a side, or the number of a tile times its side.
                factors = re.findall(r"%[\w#]+", product)
                assert any(defined.get(factor, "").startswith("arith.constant") for factor in factors), product
