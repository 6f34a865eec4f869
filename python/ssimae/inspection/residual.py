"""Compute the residual map of an image: patches, reconstruction, comparison, smoothing, opening."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ssimae.config.settings import Settings
from ssimae.data.ignore import inside_frame, inspected_frame
from ssimae.hardware import steady
from ssimae.images.resize import restore_size, scale_image
from ssimae.inspection.cleaning import clean
from ssimae.losses.protocol import loss_module
from ssimae.models.build import AnyAutoencoder, Network
from ssimae.models.dictionary import FeatureDictionary, score_map
from ssimae.tiling import Stitcher, extract_patches

BATCH = 64
"""Patches a forward pass; larger ones gain nothing on a CPU and cost memory."""

_FLIPS = ((1, -1), (-1, 1), (-1, -1))
"""Steps along rows and columns of a mirrored image."""


def inspect_image(
    model: Network,
    image: NDArray[np.float32],
    settings: Settings,
    *,
    device: torch.device,
    precision: str,
    ignored: NDArray[np.bool_] | None = None,
) -> tuple[NDArray[np.float32] | None, NDArray[np.float32]]:
    """Return the reconstruction and the residual map of one image, both of its size.

    Parameters
    ----------
    model : Autoencoder, VariationalAutoencoder or FeatureDictionary
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
    reconstruction : ndarray of the image's shape, float32, or None
        None for a dictionary, which rebuilds nothing; else the mean of the patches' reconstructions where they overlap
        (Bergmann et al. 2019, sec. 4.2), of the image as it lies, and the image itself outside that rectangle.
    residual : ndarray of shape (h, w), float32
        What the module of the loss in :mod:`ssimae.losses` returns, such as 1 - SSIM in [0, 2]. For a dictionary the
        distance of features. 0 where ignored.

    Raises
    ------
    ValueError
        If the image, or what is left of it, is smaller than a patch after scaling.
    """
    if ignored is None:
        reconstruction, raw = raw_residual(model, image, settings, device=device, precision=precision)
        return reconstruction, clean(raw, settings)
    frame = inspected_frame(ignored)
    rebuilt, raw = raw_residual(model, np.ascontiguousarray(image[frame]), settings, device=device, precision=precision)
    residual = np.zeros(image.shape[:2], np.float32)
    residual[frame] = clean(raw, settings, inside_frame(ignored))
    if rebuilt is None:
        return None, residual
    reconstruction = image.copy()
    reconstruction[frame] = rebuilt
    return reconstruction, residual


@steady()
def raw_residual(
    model: Network, image: NDArray[np.float32], settings: Settings, *, device: torch.device, precision: str
) -> tuple[NDArray[np.float32] | None, NDArray[np.float32]]:
    """Return the reconstruction and the residual map of a whole image, neither smoothed nor opened.

    Parameters and errors are those of :func:`inspect_image`.
    """
    scaled = scale_image(image, settings.scale)
    shape = image.shape[:2]
    if isinstance(model, FeatureDictionary):
        scores = score_map(
            model,
            scaled,
            patch_size=settings.dictionary_patch,
            stride=settings.dictionary_stride,
            device=device,
        )
        return None, restore_size(scores, *shape)
    reconstruction, residual = _rebuild(model, scaled, settings, device=device, precision=precision)
    for down, right in _FLIPS if settings.residual_flips else ():
        mirrored = np.ascontiguousarray(scaled[::down, ::right])
        _, again = _rebuild(model, mirrored, settings, device=device, precision=precision)
        residual = np.minimum(residual, again[::down, ::right])
    return restore_size(reconstruction, *shape), restore_size(residual, *shape)


@torch.inference_mode()
def _rebuild(
    model: AnyAutoencoder,
    image: NDArray[np.float32],
    settings: Settings,
    *,
    device: torch.device,
    precision: str,
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    loss = loss_module(settings)
    height, width = image.shape[:2]
    if min(height, width) < settings.patch_size:
        raise ValueError(f"image is {width} x {height} after scaling, smaller than a patch of {settings.patch_size}")
    # Mirrored past its border, so that pixels there lie in several patches as all others do.
    margin = settings.margin
    padded = np.pad(image, ((margin, margin), (margin, margin), *([(0, 0)] * (image.ndim - 2))), mode="reflect")
    grid: dict[str, int] = {"patch_size": settings.patch_size, "stride": settings.stride}
    rebuilt = Stitcher(*padded.shape[:2], **grid, channels=settings.channels)
    variances = Stitcher(*padded.shape[:2], **grid, channels=settings.channels) if settings.row.variational else None
    differences = Stitcher(*padded.shape[:2], **grid) if settings.residual_average else None
    # A batch at a time is cut, rebuilt and laid back: all patches together are some fifteen times the image.
    pixels = padded if padded.ndim == 3 else padded[:, :, None]
    patches = np.empty((BATCH, settings.channels, settings.patch_size, settings.patch_size), np.float32)
    for start in range(0, rebuilt.n_patches, BATCH):
        stop = min(start + BATCH, rebuilt.n_patches)
        cut = extract_patches(pixels, **grid, start=start, stop=stop, out=patches[: stop - start])
        batch = torch.from_numpy(cut).to(device)
        output, variance = loss.rebuild(model, batch, settings, precision=precision, first=start)
        rebuilt.add(output.cpu())
        if differences is not None:
            differences.add(loss.residual(batch, output, settings, variance).cpu())
        elif variances is not None and variance is not None:
            variances.add(variance.cpu())
    inner = (slice(margin, margin + height), slice(margin, margin + width))
    reconstruction = rebuilt.image()[inner]
    if differences is not None:
        residual = differences.image()[inner]
    else:
        spread = None if variances is None else _as_batch(variances.image()[inner])
        residual = loss.residual(_as_batch(image), _as_batch(reconstruction), settings, spread)[0].numpy()
    return reconstruction[:, :, 0] if settings.channels == 1 else reconstruction, residual


def _as_batch(image: NDArray[np.float32]) -> Tensor:
    # A copy: torch warns of arrays that cannot be written, such as those of a file.
    planes = torch.tensor(np.ascontiguousarray(image)).reshape(*image.shape[:2], -1)
    return planes.permute(2, 0, 1)[None].contiguous()
