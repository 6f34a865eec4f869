"""Other packages' SSIM behind one shape, each by the fastest call that its documentation offers on the CPU."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor

WindowKind = Literal["gaussian", "uniform"]
Function = Callable[[Tensor, Tensor], Any]

WINDOW_SIZE = 11


@dataclass(frozen=True)
class Rival:
    """One package's calls for an 11 x 11 window; images in [0, 1] of shape (N, 1, H, W), float32."""

    package: str
    """Name that is imported, when a call is made ready."""
    fastest: str
    """Which option makes it fastest, and why."""
    loss: Callable[[WindowKind], Function]
    """Makes ready the call for 1 - SSIM, a scalar."""
    map: Callable[[], Function] | None = None
    """Makes ready the call for the map of SSIM, Gaussian; from ssimae itself that of 1 - SSIM."""
    windows: tuple[WindowKind, ...] = ("gaussian", "uniform")
    differentiable: bool = True
    loss_border: str = "valid"
    """Border of `ssimae.ssim_loss` for which the mean is the same."""
    map_border: str = "reflect"
    """Border for which the map is."""

    @property
    def distribution(self) -> str:
        """Name by which its version is looked up."""
        return "scikit-image" if self.package == "skimage" else self.package.replace("_", "-")


def _ours(backend: Any) -> dict[str, Any]:
    import ssimae

    def loss(window: WindowKind) -> Function:
        return lambda x, y: ssimae.ssim_loss(x, y, data_range=1.0, border="valid", window=window, backend=backend)

    def whole() -> Function:
        return lambda x, y: ssimae.ssim_loss(x, y, data_range=1.0, border="reflect", reduction="none", backend=backend)

    return {"package": "ssimae", "loss": loss, "map": whole}


def _pytorch_msssim_loss(window: WindowKind) -> Function:
    from pytorch_msssim import SSIM, ssim

    gaussian = SSIM(data_range=1.0, channel=1).win
    taps = gaussian if window == "gaussian" else torch.full_like(gaussian, 1 / WINDOW_SIZE)
    return lambda x, y: 1 - ssim(x, y, data_range=1.0, win=taps)


def _torchmetrics_loss(window: WindowKind) -> Function:
    from torchmetrics.functional.image import structural_similarity_index_measure as ssim

    options: dict[str, Any] = {"gaussian_kernel": window == "gaussian", "kernel_size": WINDOW_SIZE}
    return lambda x, y: 1 - ssim(x, y, data_range=1.0, **options)


def _torchmetrics_map() -> Function:
    from torchmetrics.functional.image import structural_similarity_index_measure as ssim

    return lambda x, y: ssim(x, y, data_range=1.0, return_full_image=True)[1]


def _kornia_loss(_: WindowKind) -> Function:
    from kornia.metrics import ssim

    return lambda x, y: 1 - ssim(x, y, WINDOW_SIZE, padding="valid").mean()


def _kornia_map() -> Function:
    from kornia.metrics import ssim

    return lambda x, y: ssim(x, y, WINDOW_SIZE)


def _piq_loss(_: WindowKind) -> Function:
    from piq import ssim

    return lambda x, y: 1 - ssim(x, y, data_range=1.0, downsample=False)


def _frame_analytics_loss(_: WindowKind) -> Function:
    from frame_analytics import ssim

    return lambda x, y: 1 - ssim(x, y, data_range=1.0)


def _frame_analytics_map() -> Function:
    from frame_analytics import ssim

    return lambda x, y: ssim(x, y, data_range=1.0, return_map=True)


_SKIMAGE = {"data_range": 1.0, "use_sample_covariance": False, "channel_axis": 0}


def _scikit_image_loss(window: WindowKind) -> Function:
    from skimage.metrics import structural_similarity

    kind: dict[str, Any] = {"gaussian_weights": True} if window == "gaussian" else {"win_size": WINDOW_SIZE}
    return lambda x, y: 1 - structural_similarity(x[:, 0].numpy(), y[:, 0].numpy(), **_SKIMAGE, **kind)


def _scikit_image_map() -> Function:
    from skimage.metrics import structural_similarity

    def whole(x: Tensor, y: Tensor) -> Tensor:
        arrays = x[:, 0].numpy(), y[:, 0].numpy()
        _, similarity = structural_similarity(*arrays, full=True, gaussian_weights=True, **_SKIMAGE)
        return torch.from_numpy(similarity)[:, None]

    return whole


RIVALS: dict[str, Rival] = {
    "ssimae itself": Rival(
        fastest="beside itself it shows what the machine's noise makes of equal times", **_ours("auto")
    ),
    "ssimae, torch": Rival(fastest="the specification: separable, otherwise never optimised", **_ours("torch")),
    "pytorch-msssim": Rival(
        "pytorch_msssim", "`win` built once, as its module does, and not in every call", _pytorch_msssim_loss
    ),
    "torchmetrics": Rival(
        "torchmetrics", "the functional form, which keeps no state; `data_range` given, so that it seeks no extrema",
        _torchmetrics_loss, _torchmetrics_map, loss_border="reflect",
    ),
    "kornia": Rival(
        "kornia", "its metric and a mean, without the clamp of its loss; contiguous float32, which goes to oneDNN",
        _kornia_loss, _kornia_map, windows=("gaussian",),
    ),
    "piq": Rival("piq", "`downsample=False`: the same pixels", _piq_loss, windows=("gaussian",)),
    "frame-analytics": Rival(
        "frame_analytics", "its native kernel; gradients have none on the CPU and go through torch.compile",
        _frame_analytics_loss, _frame_analytics_map, windows=("gaussian",), map_border="valid",
    ),
    "scikit-image": Rival(
        "skimage", "float32 arrays, which it keeps; the batch as channels", _scikit_image_loss, _scikit_image_map,
        differentiable=False, map_border="symmetric",
    ),
}  # fmt: skip
