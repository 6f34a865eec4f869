"""Kernels on the GPU, in Triton; importable, and honest about why it cannot serve, without a GPU or Triton."""

from .one_shot import ssim_loss_sums
from .ssim import available, ssim_loss_map, ssim_loss_map_backward

__all__ = ["available", "ssim_loss_map", "ssim_loss_map_backward", "ssim_loss_sums"]
