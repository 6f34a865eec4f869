"""The operator on a device held to the specification in float64: values, gradients, bits, compiled and captured."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import ssimae
import torch
from perf.gpu.floors import CASES
from perf.gpu.timing import captured, first_line
from torch import Tensor

# docs/ssim.md, "Tolerances". A mean is allowed its own rounding to float32 besides; with a mask that of its weights and
# their sum.
MEAN_ATOL, MAP_ATOL, LOSS_RTOL, GRADIENT_RTOL, HALF_ATOL = 1e-8, 1e-6, 1e-5, 2e-6, 1e-6
MEAN_ROUNDING, MASKED_ROUNDING = 2**-23, 2**-21
# Where a window or what a mask leaves of it has few pixels, a variance may be next to nothing: a single pixel of an
# image then makes up the error.
FEW_PIXELS_RTOL, FEW_PIXELS = 1e-5, 3

_HALVES = {torch.float16: (2**-10, 2**-24), torch.bfloat16: (2**-7, 0.0)}
"""Twice the rounding of a number, relative and of the smallest: gradients are rounded when stored and when scaled."""


class Check(NamedTuple):
    """One use of the operator."""

    shape: tuple[int, int, int, int] = (2, 3, 37, 53)
    window: str = "gaussian"
    window_size: int = 11
    border: str = "reflect"
    reduction: str = "mean"
    wanted: str = "x"
    """Inputs whose gradients are computed; of none, without a graph for them."""
    dtype: str = "float32"
    target: str = ""
    """Type of y, if another."""
    mask: str = ""
    """`weight` or `window`, `shared` by all planes or not, `bool` or of fractions."""
    l1: float = 0.0
    l2: float = 0.0
    noise: float = 1e-3
    data_range: float = 1.0
    layout: str = ""
    way: str = "eager"
    """`eager`, `compiled` by torch.compile, or `captured` in a CUDA graph."""

    def __str__(self) -> str:
        defaults = Check()
        shape = "x".join(map(str, self.shape))
        changed = [
            f"{name}={value}" for name, value, usual in zip(self._fields, self, defaults) if value != usual
        ]  # fmt: skip
        return " ".join([shape, *(part for part in changed if not part.startswith("shape="))])


def checks(device: torch.device) -> list[Check]:
    """Return what is checked: borders by windows by sizes whole, every other option with a few of them."""
    # What is timed comes first, with the same constants, so that it is compiled whatever happens.
    listed = [
        Check(
            (128, 1, 128, 128) if device.type == "cuda" else (2, 1, 16, 16),
            case.window,
            11,
            border,
            "mean",
            case.wanted,
        )
        for border in ("reflect", "valid", "zero")
        for case in CASES
    ]
    reductions, inputs, shapes = ("mean", "none", "image"), ("x", "xy", "y", ""), ((2, 3, 37, 53), (1, 2, 64, 131))
    crossed = [(b, w, s) for s in (3, 11, 19, 31) for w in ("gaussian", "uniform") for b in _BORDERS]
    for place, (border, window, size) in enumerate(crossed):
        turn = place + place // 4  # so that every border meets every shape and reduction
        listed.append(Check(shapes[turn % 2], window, size, border, reductions[turn % 3], inputs[place // 2 % 4]))
    listed += [Check((3, 1, 11, 11)), Check((1, 1, 12, 40), border="valid"), Check((1, 1, 5, 7), window_size=1)]
    listed += [Check(reduction=reduction, wanted=inputs) for reduction in reductions for inputs in ("x", "y", "xy", "")]
    for dtype in ("bfloat16", "float16"):
        listed += [Check(dtype=dtype, noise=0.1, reduction=reduction, wanted="xy") for reduction in reductions]
    for dtype in ("float32", "bfloat16"):
        listed += [Check(dtype=dtype, target="uint8", noise=0.1, reduction=reduction) for reduction in ("mean", "none")]
    for mode in ("weight", "window"):
        listed += [Check(mask=f"{mode} shared", noise=0.05, reduction=reduction) for reduction in reductions]
        listed.append(Check(mask=f"{mode} bool", noise=0.05, border="valid", wanted="xy", shape=(2, 3, 41, 50)))
        listed.append(Check(mask=f"{mode} shared bool", noise=0.05, border="zero", window="uniform", window_size=7))
    listed += [Check(l1=0.3, l2=0.7, reduction=reduction, wanted="xy") for reduction in reductions]
    listed.append(Check(l1=0.3, mask="window shared", noise=0.05, border="valid", wanted="xy", reduction="image"))
    listed += [Check(noise=1e-4, wanted="xy"), Check(noise=0.0, wanted="xy"), Check(noise=0.0, reduction="none")]
    listed += [Check(data_range=255.0, wanted="xy"), Check(layout="channels_last"), Check(layout="transposed")]
    listed += [Check(way="compiled", wanted="xy", reduction=reduction) for reduction in ("mean", "none")]
    if device.type == "cuda":
        listed += [Check(way="captured", wanted="xy", reduction=reduction) for reduction in reductions]
        listed.append(Check(way="captured", mask="weight shared", noise=0.05))
        listed += [Check((1, 3, 1080, 1920)), Check((1, 1, 2048, 2047))]
    return list(dict.fromkeys(listed))


_BORDERS = ("reflect", "symmetric", "zero", "valid")


def problems(check: Check, device: torch.device, backend: str) -> list[str]:
    """Return what is wrong with one use of the operator, in words; nothing if all holds."""
    try:
        found = _problems(check, device, backend)
    except Exception as error:  # noqa: BLE001 - whatever is raised, the operator did not serve
        found = [first_line(error)]
    return [f"{check}: {problem}" for problem in found]


def _problems(check: Check, device: torch.device, backend: str) -> list[str]:
    x, y = _inputs(check, device, seed=0)
    options = _options(check, device)

    def value(x: Tensor, y: Tensor) -> Tensor:
        return ssimae.ssim_loss(x, y, backend=backend, **options)

    def step(x: Tensor, y: Tensor, value: Callable[[Tensor, Tensor], Tensor] = value) -> list[Tensor]:
        return _step(value, x, y, check.wanted)

    if check.way == "compiled":
        torch._dynamo.reset()
        compiled = torch.compile(value, fullgraph=True, backend="inductor" if device.type == "cuda" else "aot_eager")
        found, again = step(x, y, compiled), step(x, y, compiled)
    elif check.way == "captured":
        graph, found = captured(lambda: step(x, y))
        x, y = (part.copy_(fresh) for part, fresh in zip((x, y), _inputs(check, device, seed=1)))
        again = step(x, y)
        graph.replay()
        torch.cuda.synchronize(device)
    else:
        with _UnwrittenIsNan():
            found, again = step(x, y), step(x, y)
    wrong = [] if all(map(torch.equal, found, again)) else ["not the same bits twice"]
    numbers = [_as_numbers(part, check.data_range) for part in (x, y)]
    want = _step(lambda x, y: ssimae.ssim_loss(x, y, backend="torch", **options), *numbers, check.wanted)
    wrong += _value_problems(check, found[0], want[0])
    for name, got, right in zip(check.wanted, found[1:], want[1:], strict=True):
        wrong += _gradient_problems(check, name, got, right)
    return wrong


def _inputs(check: Check, device: torch.device, seed: int) -> tuple[Tensor, Tensor]:
    """Return a texture and a rebuild of it that is off by the noise."""
    generator = torch.Generator().manual_seed(seed)
    rows, columns = torch.arange(check.shape[2])[:, None], torch.arange(check.shape[3])
    x = 0.5 + 0.25 * torch.sin(0.7 * rows + 0.3 * columns) + 0.1 * torch.randn(check.shape, generator=generator)
    y = x + check.noise * torch.randn(check.shape, generator=generator)
    dtype = getattr(torch, check.dtype)
    x, y = ((check.data_range * part).to(dtype) for part in (x, y))
    if check.target:
        y = (255 / check.data_range * y.float()).round().clamp(0, 255).to(getattr(torch, check.target))
    if check.layout == "channels_last":
        x, y = (part.contiguous(memory_format=torch.channels_last) for part in (x, y))
    if check.layout == "transposed":
        x = x.transpose(2, 3).contiguous().transpose(2, 3)
    return x.to(device), y.to(device)


def _options(check: Check, device: torch.device) -> dict[str, Any]:
    options = {
        "data_range": check.data_range, "window": check.window, "window_size": check.window_size,
        "sigma": max(0.8, 1.5 * check.window_size / 11), "border": check.border, "reduction": check.reduction,
        "l1_weight": check.l1, "l2_weight": check.l2,
    }  # fmt: skip
    if check.mask:
        shape = (1, 1, *check.shape[2:]) if "shared" in check.mask else check.shape
        mask = torch.rand(shape, generator=torch.Generator().manual_seed(9))
        mask[mask < 0.3] = 0
        mask[..., : shape[2] // 2, : shape[3] // 2] = 0
        options["mask"] = (mask > 0 if "bool" in check.mask else mask).to(device)
        options["mask_mode"] = check.mask.split()[0]
    return options


def _step(value: Callable[[Tensor, Tensor], Tensor], x: Tensor, y: Tensor, wanted: str) -> list[Tensor]:
    """Return a loss and the gradients of the inputs that are wanted, with unequal shares of what is not a scalar."""
    x, y = x.detach().requires_grad_("x" in wanted), y.detach().requires_grad_("y" in wanted)
    loss = value(x, y)
    share = torch.ones_like(loss)
    if loss.ndim:
        share = torch.linspace(0.5, 1.5, loss.numel(), dtype=torch.float32, device=loss.device).view(loss.shape)
    leaves = [part for part in (x, y) if part.requires_grad]
    if not leaves:
        return [loss]
    return [loss.detach(), *torch.autograd.grad(loss, leaves, share.to(loss.dtype))]


def _as_numbers(image: Tensor, data_range: float) -> Tensor:
    """Return what the operator reads, in float64; bytes become numbers in float32 already."""
    if image.dtype == torch.uint8:
        image = image.float() * torch.tensor(data_range / 255, dtype=torch.float32, device=image.device)
    return image.double()


def _value_problems(check: Check, got: Tensor, want: Tensor) -> list[str]:
    if got.shape != want.shape or got.dtype != torch.float32:
        return [f"gives {tuple(got.shape)} {got.dtype}, not {tuple(want.shape)} torch.float32"]
    if check.noise == 0:
        return [] if not got.any() else ["identical images do not give 0"]
    off = (got.double() - want).abs()
    if check.reduction == "none":
        limit: Any = MAP_ATOL
    elif check.dtype != "float32":
        limit = HALF_ATOL
    else:
        limit = MEAN_ATOL + (MASKED_ROUNDING if check.mask else MEAN_ROUNDING) * want.abs()
    wrong = [] if bool((off <= limit).all()) else [f"value off by {float(off.max()):.1e}"]
    relative = float(off.norm() / want.norm())
    # Of smaller differences the images themselves have rounded too much.
    if check.noise >= 1e-3 and not relative <= LOSS_RTOL:
        wrong.append(f"value off by {relative:.1e} (relative L2), allowed {LOSS_RTOL:.0e}")
    return wrong


def _gradient_problems(check: Check, name: str, got: Tensor, want: Tensor) -> list[str]:
    if got.dtype != getattr(torch, check.dtype) or got.shape != want.shape:
        return [f"gradient by {name} is {tuple(got.shape)} {got.dtype}"]
    relative, smallest = _HALVES.get(got.dtype, (0.0, 0.0))
    beyond_rounding = ((got.double() - want).abs() - relative * want.abs() - smallest).clamp(min=0)
    few = check.mask.startswith("window") or check.window_size <= FEW_PIXELS
    limit = FEW_PIXELS_RTOL if few else GRADIENT_RTOL
    off, size = float(beyond_rounding.norm()), float(want.norm())
    if off <= limit * size:
        return []
    return [f"gradient by {name} off by {off / size if size else off:.1e} (relative L2), allowed {limit:.0e}"]


class _UnwrittenIsNan:
    """Fills what is allocated with NaN, as torch does when it is deterministic, so that an unwritten pixel shows."""

    def __enter__(self) -> None:
        self.before = (
            torch.are_deterministic_algorithms_enabled(),
            torch.is_deterministic_algorithms_warn_only_enabled(),
        )
        torch.use_deterministic_algorithms(True, warn_only=True)

    def __exit__(self, *_: object) -> None:
        torch.use_deterministic_algorithms(self.before[0], warn_only=self.before[1])
