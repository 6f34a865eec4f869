"""Make images smaller before the network, and residuals larger after it."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from ssimae.bands import Band, bands, in_bands, let_go, new_map
from ssimae.images.depth import Image

if TYPE_CHECKING:
    from torch import Tensor


def scale_image(image: Image, factor: float) -> Image:
    """Return an image resized by a factor, bilinear with antialiasing.

    Parameters
    ----------
    image : ndarray of shape (h, w) or (h, w, C), float32, or Pixels
    factor : float
        Bergmann et al. 2019, sec. 4.2 halves the textures; 1 returns the image itself.
    """
    return image if factor == 1.0 else _resized(image, factor)


def scale_mask(mask: NDArray[np.bool_] | None, factor: float) -> NDArray[np.bool_] | None:
    """Return a mask resized as its image is: True wherever a True pixel contributes; None stays None."""
    return mask if mask is None or factor == 1.0 else _resized(mask.astype(np.float32), factor) > 0


def scaled_shape(image: Image, factor: float) -> tuple[int, int]:
    """Return the height and width that :func:`scale_image` gives."""
    return max(1, round(image.shape[0] * factor)), max(1, round(image.shape[1] * factor))


def restore_size(image: NDArray[np.float32], height: int, width: int) -> NDArray[np.float32]:
    """Return an image or residual resized to (height, width), bilinear."""
    if image.shape[:2] == (height, width):
        return image
    for factor in (2, 4, 8):
        if (height, width) == (factor * image.shape[0], factor * image.shape[1]):
            out = new_map((height, width, *image.shape[2:]))
            return in_bands(partial(_enlarged_band, image, factor), out, image, step=factor)
    # Only here: `ssimae check` asks for scaled shapes, and must not wait for torch.
    import torch  # noqa: PLC0415

    resized = new_map((height, width, *image.shape[2:]))
    torch.ops.aten.upsample_bilinear2d.out(
        _planes(image), [height, width], False, None, None, out=torch.from_numpy(resized).reshape(height, width, -1)
        .permute(2, 0, 1)[None],
    )  # fmt: skip
    let_go(resized, image)
    return resized


def enlarge_rows(values: NDArray[np.float32], rows: slice, factor: int) -> NDArray[np.float32]:
    """Return some rows of a map that is enlarged by a factor, (rows, w times the factor) or with channels, bilinear.

    They are those of the whole to the last bit.

    Parameters
    ----------
    values : ndarray of shape (h, w) or (h, w, C), float32
    rows : slice
        Of the enlarged map; its start is a multiple of the factor.
    factor : int
        A power of two: others are rounded as the rows lie.
    """
    import torch  # noqa: PLC0415

    # A row on either side would do, but torch rounds images whose sides sum up to 128 or less otherwise.
    context = max(1, 128 // factor)
    first = max(rows.start // factor - context, 0)
    seen = values[first : -(-rows.stop // factor) + context]
    wide = torch.nn.functional.interpolate(_planes(seen), scale_factor=factor, mode="bilinear", align_corners=False)
    enlarged: NDArray[np.float32] = wide[0, :, rows.start - first * factor : rows.stop - first * factor].numpy()
    return np.moveaxis(enlarged, 0, -1).reshape(-1, wide.shape[3], *values.shape[2:])


def _enlarged_band(values: NDArray[np.float32], factor: int, band: Band) -> NDArray[np.float32]:
    return enlarge_rows(values, band.rows, factor)


def _resized(image: Image, factor: float) -> NDArray[np.float32]:
    """Return an image resized with antialiasing: first its rows, band by band, then its columns, stripe by stripe.

    The two passes are those that torch takes over the whole.
    """
    height, width = scaled_shape(image, factor)
    tall, channels = image.shape[0], image.shape[2:]
    narrow = new_map((tall, width, *channels))
    in_bands(lambda band: _antialiased(image[band.rows], band.rows.stop - band.rows.start, width), narrow, image)
    resized = new_map((height, width, *channels))
    # Wider than it has to be: torch rounds a single column otherwise.
    for stripe in bands(width, tall, halo=16):
        seen = narrow[:, stripe.seen]
        resized[:, stripe.rows] = _antialiased(seen, height, seen.shape[1])[:, stripe.inner]
        let_go(narrow, resized)
    return resized


def _antialiased(image: NDArray[np.float32], height: int, width: int) -> NDArray[np.float32]:
    import torch  # noqa: PLC0415

    resized = torch.nn.functional.interpolate(
        _planes(image), size=(height, width), mode="bilinear", align_corners=False, antialias=True
    )
    out: NDArray[np.float32] = resized[0].permute(1, 2, 0).reshape(height, width, *image.shape[2:]).contiguous().numpy()
    return out


def _planes(image: NDArray[np.float32]) -> Tensor:
    """Return an image as a batch (1, C, h, w)."""
    import torch  # noqa: PLC0415

    contiguous = np.ascontiguousarray(image)
    # A copy where it cannot be written, such as that of a file: torch warns of such arrays.
    tensor = torch.from_numpy(contiguous) if contiguous.flags.writeable else torch.tensor(contiguous)
    return tensor.reshape(*image.shape[:2], -1).permute(2, 0, 1)[None]
