"""From an image to its residual map: patches, reconstruction, comparison, smoothing, opening."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter, grey_dilation, grey_erosion
from torch import Tensor

from ssimae.config import Settings
from ssimae.hardware import prepare_cpu
from ssimae.ignore import inside_frame, inspected_frame
from ssimae.loss import ssim_loss
from ssimae.model import Autoencoder
from ssimae.scaling import restore_size, scale_image
from ssimae.tiling import Stitcher, extract_patches

BATCH = 64
"""Patches a forward pass; larger ones gain nothing on a CPU and cost memory."""


def inspect_image(
    model: Autoencoder,
    image: NDArray[np.float32],
    settings: Settings,
    *,
    device: torch.device,
    precision: str,
    ignored: NDArray[np.bool_] | None = None,
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return the reconstruction and the residual map of one image, both of its size.

    Parameters
    ----------
    model : Autoencoder
        Trained network, on `device`.
    image : ndarray of shape (h, w) or (h, w, C), float32 in [0, 1]
    settings : Settings
        Stride, residual window, averaging, smoothing, opening, scale.
    device : torch.device
    precision : {"float32", "bfloat16"}
        Arithmetic of the forward pass.
    ignored : ndarray of shape (h, w), bool, or None
        True for pixels that are not inspected. The image is cut to the rectangle around the others first.

    Returns
    -------
    reconstruction : ndarray of the image's shape, float32
        Mean of the patches' reconstructions where they overlap (Bergmann et al. 2019, sec. 4.2); the image itself
        outside that rectangle.
    residual : ndarray of shape (h, w), float32
        1 - SSIM in [0, 2], or the squared difference; the mean over channels. 0 where ignored.

    Raises
    ------
    ValueError
        If the image, or what is left of it, is smaller than a patch after scaling.
    """
    if ignored is None:
        reconstruction, residual = _inspect_whole(model, image, settings, device=device, precision=precision)
        return reconstruction, clean(residual, settings)
    frame = inspected_frame(ignored)
    reconstruction, residual = image.copy(), np.zeros(image.shape[:2], np.float32)
    reconstruction[frame], raw = _inspect_whole(
        model, np.ascontiguousarray(image[frame]), settings, device=device, precision=precision
    )
    residual[frame] = clean(raw, settings, inside_frame(ignored))
    return reconstruction, residual


def _inspect_whole(
    model: Autoencoder, image: NDArray[np.float32], settings: Settings, *, device: torch.device, precision: str
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    prepare_cpu()
    scaled = scale_image(image, settings.scale)
    height, width = scaled.shape[:2]
    if min(height, width) < settings.patch_size:
        raise ValueError(f"image is {width} x {height} after scaling, smaller than a patch of {settings.patch_size}")
    # Mirrored past its border, so that pixels there lie in several patches as all others do.
    margin = settings.margin
    padded = np.pad(scaled, ((margin, margin), (margin, margin), *([(0, 0)] * (scaled.ndim - 2))), mode="reflect")
    grid: dict[str, int] = {"patch_size": settings.patch_size, "stride": settings.stride}
    rebuilt = Stitcher(*padded.shape[:2], **grid, channels=settings.channels)
    differences = Stitcher(*padded.shape[:2], **grid) if settings.residual_average else None
    # A batch at a time is cut, rebuilt and laid back: all patches together are some fifteen times the image.
    pixels = padded if padded.ndim == 3 else padded[:, :, None]
    patches = np.empty((BATCH, settings.channels, settings.patch_size, settings.patch_size), np.float32)
    for start in range(0, rebuilt.n_patches, BATCH):
        stop = min(start + BATCH, rebuilt.n_patches)
        cut = extract_patches(pixels, **grid, start=start, stop=stop, out=patches[: stop - start])
        batch = torch.from_numpy(cut).to(device)
        output = reconstruct(model, batch, precision)
        rebuilt.add(output.cpu())
        if differences is not None:
            differences.add(difference(batch, output, settings).cpu())
    inner = (slice(margin, margin + height), slice(margin, margin + width))
    reconstruction = rebuilt.image()[inner]
    reconstruction = reconstruction[:, :, 0] if settings.channels == 1 else reconstruction
    if differences is not None:
        residual = differences.image()[inner]
    else:
        residual = difference(_as_batch(scaled), _as_batch(reconstruction), settings)[0].numpy()
    shape = image.shape[:2]
    return restore_size(reconstruction, *shape), restore_size(residual, *shape)


@torch.inference_mode()
def reconstruct(model: Autoencoder, patches: Tensor, precision: str) -> Tensor:
    """Return the reconstruction of patches (N, C, h, w) as contiguous float32."""
    with torch.autocast(patches.device.type, torch.bfloat16, enabled=precision == "bfloat16"):
        output: Tensor = model(patches.contiguous(memory_format=torch.channels_last))
    return output.float().contiguous()


@torch.inference_mode()
def difference(images: Tensor, reconstructions: Tensor, settings: Settings) -> Tensor:
    """Return the residual maps (N, h, w) of batches (N, C, h, w): 1 - SSIM or squared difference."""
    if settings.loss == "l2":
        return (images - reconstructions).square().mean(dim=1)
    maps: Tensor = ssim_loss(
        images,
        reconstructions,
        data_range=1.0,
        window=settings.residual_window,
        window_size=settings.residual_window_size,
        sigma=settings.sigma,
        border=settings.border,
        reduction="none",
        c1=settings.c1,
        c2=settings.c2,
    )
    return maps.mean(dim=1)


def clean(
    residual: NDArray[np.float32], settings: Settings, ignored: NDArray[np.bool_] | None = None
) -> NDArray[np.float32]:
    """Return a residual map smoothed and opened as the settings say; what is ignored takes no part and becomes 0."""
    if ignored is None:
        if settings.residual_smoothing > 0:
            residual = gaussian_filter(residual, settings.residual_smoothing, mode="reflect")
        return open_map(residual, settings.opening) if settings.opening > 1 else residual
    if settings.residual_smoothing > 0:
        weight = gaussian_filter((~ignored).astype(np.float32), settings.residual_smoothing, mode="reflect")
        total = gaussian_filter(np.where(ignored, 0, residual), settings.residual_smoothing, mode="reflect")
        residual = np.divide(total, weight, out=np.zeros_like(residual), where=~ignored)
    if settings.opening > 1:
        # As past the border of the image: every disk that covers an inspected pixel has a finite lowest value.
        residual = open_map(np.where(ignored, np.float32(np.inf), residual), settings.opening)
    return np.where(ignored, np.float32(0), residual)


def open_map(residual: NDArray[np.float32], diameter: int) -> NDArray[np.float32]:
    """Return the gray opening of a map with a flat disk.

    Notes
    -----
    Opening the map once gives the same masks as opening every thresholded map, because a flat opening commutes with
    thresholding. That needs pixels outside the image to take no part: +inf under erosion, -inf under dilation; SciPy's
    default borders break the equality.
    """
    disk = disk_footprint(diameter)
    # Disks whose anchor lies outside the image count too: else an even disk opens the four borders differently.
    padded = np.pad(residual, diameter, constant_values=np.inf)
    eroded = grey_erosion(padded, footprint=disk, mode="constant", cval=np.inf)
    opened: NDArray[np.float32] = grey_dilation(eroded, footprint=disk, mode="constant", cval=-np.inf)
    return np.ascontiguousarray(opened[diameter:-diameter, diameter:-diameter])


def disk_footprint(diameter: int) -> NDArray[np.bool_]:
    """Return the pixels whose centres lie in a disk; diameter 4 is 4 x 4 without its corners."""
    offset = np.arange(diameter) - (diameter - 1) / 2
    inside: NDArray[np.bool_] = offset[:, None] ** 2 + offset[None, :] ** 2 <= (diameter / 2) ** 2
    return inside


def _as_batch(image: NDArray[np.float32]) -> Tensor:
    # A copy: torch warns of arrays that cannot be written, such as those of a file.
    planes = torch.tensor(np.ascontiguousarray(image)).reshape(*image.shape[:2], -1)
    return planes.permute(2, 0, 1)[None].contiguous()
