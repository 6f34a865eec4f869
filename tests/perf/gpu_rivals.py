"""Other packages' SSIM loss on a GPU behind one shape, each by the fastest call that its documentation offers."""

from __future__ import annotations

import importlib.metadata
from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

WINDOW_SIZE, SIGMA = 11, 1.5
C1, C2 = 0.01**2, 0.03**2

Loss = Callable[[Tensor, Tensor], Tensor]
"""1 - SSIM of float32 images in [0, 1], (N, C, H, W), as a scalar."""


class Contender(NamedTuple):
    name: str
    distribution: str
    """Name by which its version is looked up."""
    make: Callable[[str, int, torch.device], Loss]
    """Makes ready the call for a window, gaussian or uniform, a number of channels, and a device."""
    windows: tuple[str, ...] = ("gaussian",)
    border: str = "valid"
    """Border of `ssimae.ssim_loss` for which the mean is the same."""
    gradients: int = 2
    """Of how many inputs it has the gradient; the first comes first."""
    rtol: float = 1e-3
    """Of the loss and of the gradient's norm; formulas with five planes lose digits."""


def _ours(border: Any) -> Callable[[str, int, torch.device], Loss]:
    def make(window: Any, *_: Any) -> Loss:
        import ssimae

        return lambda x, y: ssimae.ssim_loss(x, y, data_range=1.0, window=window, border=border)

    return make


def _taps(window: str) -> Tensor:
    offsets = torch.arange(WINDOW_SIZE, dtype=torch.float64) - WINDOW_SIZE // 2
    weights = torch.exp(-(offsets**2) / (2 * SIGMA**2)) if window == "gaussian" else torch.ones(WINDOW_SIZE)
    return (weights / weights.sum()).float()


def _pytorch_msssim(window: str, channels: int, device: torch.device) -> Loss:
    from pytorch_msssim import ssim

    taps = _taps(window).to(device).repeat(channels, 1, 1, 1)
    return lambda x, y: 1 - ssim(x, y, data_range=1.0, win=taps)


def _torchmetrics(window: str, *_: Any) -> Loss:
    from torchmetrics.functional.image import structural_similarity_index_measure as ssim

    return lambda x, y: 1 - ssim(x, y, data_range=1.0, gaussian_kernel=window == "gaussian", kernel_size=WINDOW_SIZE)


def _kornia(*_: Any) -> Loss:
    from kornia.metrics import ssim

    return lambda x, y: 1 - ssim(x, y, WINDOW_SIZE, padding="valid").mean()


def _piq(*_: Any) -> Loss:
    from piq import ssim

    return lambda x, y: 1 - ssim(x, y, data_range=1.0, downsample=False)


def _frame_analytics(*_: Any) -> Loss:
    from frame_analytics import ssim

    return lambda x, y: 1 - ssim(x, y, data_range=1.0)


def _fused_ssim(*_: Any) -> Loss:
    from fused_ssim import fused_ssim

    return lambda x, y: 1 - fused_ssim(x, y, padding="valid", train=x.requires_grad)


def separable_loss(window: str, channels: int, device: torch.device) -> Loss:
    """Return the textbook in five planes and separable convolutions, as one would write it for `torch.compile`."""
    taps = _taps(window).to(device)
    down, across = (
        taps.reshape(1, 1, *sides).repeat(5 * channels, 1, 1, 1) for sides in ((WINDOW_SIZE, 1), (1, WINDOW_SIZE))
    )

    def loss(x: Tensor, y: Tensor) -> Tensor:
        planes = torch.cat([x, y, x * x, y * y, x * y], 1)
        groups = planes.shape[1]
        planes = functional.conv2d(functional.conv2d(planes, down, groups=groups), across, groups=groups)
        mx, my, xx, yy, xy = planes.chunk(5, 1)
        sxx, syy, sxy = xx - mx * mx, yy - my * my, xy - mx * my
        above = (2 * mx * my + C1) * (2 * sxy + C2)
        return 1 - (above / ((mx * mx + my * my + C1) * (sxx + syy + C2))).mean()

    return loss


def _compiled(window: str, channels: int, device: torch.device) -> Loss:
    compiled: Loss = torch.compile(separable_loss(window, channels, device), fullgraph=True)
    return compiled


BOTH = ("gaussian", "uniform")
CONTENDERS = (
    Contender("ssimae", "ssimae", _ours("valid"), BOTH),
    Contender("ssimae, border reflect", "ssimae", _ours("reflect"), BOTH, border="reflect"),
    # The window is handed over ready, so that none is made anew at each call.
    Contender("pytorch-msssim", "pytorch-msssim", _pytorch_msssim, BOTH),
    Contender("kornia", "kornia", _kornia),
    # It leaves the rim out of a padded map: another mean of nearly the same windows.
    Contender("torchmetrics", "torchmetrics", _torchmetrics, BOTH, rtol=0.15),
    # `downsample=False`: else it computes another quantity, of smaller images.
    Contender("piq", "piq", _piq),
    Contender("frame-analytics", "frame-analytics", _frame_analytics),
    # `train=False` without a gradient: it then stores nothing for the way back.
    Contender("fused-ssim", "fused-ssim", _fused_ssim, gradients=1),
    Contender("separable, torch.compile", "torch", _compiled, BOTH),
)


def version(contender: Contender) -> str:
    """Return the version of a contender's package, or why there is none to time."""
    try:
        return importlib.metadata.version(contender.distribution)
    except importlib.metadata.PackageNotFoundError:
        return "not installed as a package"


def step_of(loss: Loss, x: Tensor, y: Tensor, gradients: int) -> Callable[[], tuple[Tensor, ...]]:
    """Return what is timed: the loss, and its gradient of so many inputs, the first of them first."""
    inputs = [image.detach().requires_grad_(index < gradients) for index, image in enumerate((x, y))]
    wanted = inputs[:gradients]

    def step() -> tuple[Tensor, ...]:
        if not wanted:
            with torch.no_grad():
                return (loss(*inputs),)
        value = loss(*inputs)
        return value.detach(), *torch.autograd.grad(value, wanted)

    return step


def answer_is_right(contender: Contender, window: Any, channels: int, gradients: int, device: torch.device) -> None:
    """Compare a contender's loss and gradients with the specification in float64, on images of 48 x 64 pixels.

    Raises
    ------
    AssertionError
        If they differ; the message says by how much.
    """
    import ssimae

    generator = torch.Generator().manual_seed(3)
    x = torch.rand((2, channels, 48, 64), generator=generator)
    y = (x + 0.1 * torch.randn(x.shape, generator=generator)).clamp(0, 1)
    loss = contender.make(window, channels, device)
    found = step_of(loss, x.to(device), y.to(device), gradients)()

    def specified(x: Tensor, y: Tensor) -> Tensor:
        return ssimae.ssim_loss(
            x, y, data_range=1.0, window=window, border=contender.border, backend="torch"  # type: ignore[arg-type]
        )  # fmt: skip

    expected = step_of(specified, x.double(), y.double(), gradients)()
    for got, want in zip(found, expected, strict=True):
        error = float((got.double().cpu() - want).norm() / want.norm())
        # A mean over other pixels has the same gradient but near the rim: of it, the size is compared.
        if contender.rtol > 0.01:
            error = abs(float(got.double().norm() / want.norm()) - 1)
        if not error <= contender.rtol:
            raise AssertionError(f"its answer is off by {error:.1e}, relatively")
