"""Make images smaller before the network, and residuals larger after it."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def scale_image(image: NDArray[np.float32], factor: float) -> NDArray[np.float32]:
    """Return an image resized by a factor, bilinear with antialiasing.

    Parameters
    ----------
    image : ndarray of shape (h, w) or (h, w, C), float32
    factor : float
        Bergmann et al. 2019, sec. 4.2 halves the textures; 1 returns the image itself.
    """
    if factor == 1.0:
        return image
    height, width = scaled_shape(image, factor)
    return _resize(image, height, width, antialias=True)


def scale_mask(mask: NDArray[np.bool_] | None, factor: float) -> NDArray[np.bool_] | None:
    """Return a mask resized as its image is: True wherever a True pixel contributes; None stays None."""
    return mask if mask is None or factor == 1.0 else scale_image(mask.astype(np.float32), factor) > 0


def scaled_shape(image: NDArray[np.float32], factor: float) -> tuple[int, int]:
    """Return the height and width that :func:`scale_image` gives."""
    return max(1, round(image.shape[0] * factor)), max(1, round(image.shape[1] * factor))


def restore_size(image: NDArray[np.float32], height: int, width: int) -> NDArray[np.float32]:
    """Return an image or residual resized to (height, width), bilinear."""
    if image.shape[:2] == (height, width):
        return image
    return _resize(image, height, width, antialias=False)


def _resize(image: NDArray[np.float32], height: int, width: int, *, antialias: bool) -> NDArray[np.float32]:
    # Only here: `ssimae check` asks for scaled shapes, and must not wait for torch.
    import torch  # noqa: PLC0415

    planes = torch.tensor(np.ascontiguousarray(image)).reshape(*image.shape[:2], -1).permute(2, 0, 1)[None]
    resized = torch.nn.functional.interpolate(
        planes, size=(height, width), mode="bilinear", align_corners=False, antialias=antialias
    )
    out: NDArray[np.float32] = resized[0].permute(1, 2, 0).reshape(height, width, *image.shape[2:]).contiguous().numpy()
    return out
