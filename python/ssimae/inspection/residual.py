"""From an image to its residual map: patches, reconstruction, comparison, smoothing, opening."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import avg_pool2d, interpolate

from ssimae.config.settings import Settings
from ssimae.data.ignore import inside_frame, inspected_frame
from ssimae.hardware import prepare
from ssimae.images.resize import restore_size, scale_image
from ssimae.inspection.cleaning import clean
from ssimae.models.autoencoder import Autoencoder, VariationalAutoencoder
from ssimae.models.build import Network
from ssimae.models.dictionary import FeatureDictionary, score_map
from ssimae.similarity.loss import ssim_loss
from ssimae.tiling import Stitcher, extract_patches

BATCH = 64
"""Patches a forward pass; larger ones gain nothing on a CPU and cost memory."""

_FLIPS = ((1, -1), (-1, 1), (-1, -1))
"""Steps along rows and columns of a mirrored image."""

_SAMPLES = 7  # stream of random numbers under the seed, beside those of training


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
        1 - SSIM in [0, 2]; the squared difference; for a VAE that divided by the variance of its reconstructions; the
        mean over channels. For a dictionary the distance of features. 0 where ignored.

    Raises
    ------
    ValueError
        If the image, or what is left of it, is smaller than a patch after scaling.
    """
    if ignored is None:
        reconstruction, raw = _inspect_whole(model, image, settings, device=device, precision=precision)
        return reconstruction, clean(raw, settings)
    frame = inspected_frame(ignored)
    rebuilt, raw = _inspect_whole(
        model, np.ascontiguousarray(image[frame]), settings, device=device, precision=precision
    )
    residual = np.zeros(image.shape[:2], np.float32)
    residual[frame] = clean(raw, settings, inside_frame(ignored))
    if rebuilt is None:
        return None, residual
    reconstruction = image.copy()
    reconstruction[frame] = rebuilt
    return reconstruction, residual


def _inspect_whole(
    model: Network, image: NDArray[np.float32], settings: Settings, *, device: torch.device, precision: str
) -> tuple[NDArray[np.float32] | None, NDArray[np.float32]]:
    prepare(device)
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


def _rebuild(
    model: Autoencoder | VariationalAutoencoder,
    image: NDArray[np.float32],
    settings: Settings,
    *,
    device: torch.device,
    precision: str,
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    height, width = image.shape[:2]
    if min(height, width) < settings.patch_size:
        raise ValueError(f"image is {width} x {height} after scaling, smaller than a patch of {settings.patch_size}")
    # Mirrored past its border, so that pixels there lie in several patches as all others do.
    margin = settings.margin
    padded = np.pad(image, ((margin, margin), (margin, margin), *([(0, 0)] * (image.ndim - 2))), mode="reflect")
    grid: dict[str, int] = {"patch_size": settings.patch_size, "stride": settings.stride}
    rebuilt = Stitcher(*padded.shape[:2], **grid, channels=settings.channels)
    variances = Stitcher(*padded.shape[:2], **grid, channels=settings.channels) if settings.loss == "vae" else None
    differences = Stitcher(*padded.shape[:2], **grid) if settings.residual_average else None
    # A batch at a time is cut, rebuilt and laid back: all patches together are some fifteen times the image.
    pixels = padded if padded.ndim == 3 else padded[:, :, None]
    patches = np.empty((BATCH, settings.channels, settings.patch_size, settings.patch_size), np.float32)
    for start in range(0, rebuilt.n_patches, BATCH):
        stop = min(start + BATCH, rebuilt.n_patches)
        cut = extract_patches(pixels, **grid, start=start, stop=stop, out=patches[: stop - start])
        batch = torch.from_numpy(cut).to(device)
        output, variance = _rebuild_patches(model, batch, settings, precision, first=start)
        rebuilt.add(output.cpu())
        if differences is not None:
            differences.add(difference(batch, output, settings, variance).cpu())
        elif variances is not None and variance is not None:
            variances.add(variance.cpu())
    inner = (slice(margin, margin + height), slice(margin, margin + width))
    reconstruction = rebuilt.image()[inner]
    if differences is not None:
        residual = differences.image()[inner]
    else:
        spread = None if variances is None else _as_batch(variances.image()[inner])
        residual = difference(_as_batch(image), _as_batch(reconstruction), settings, spread)[0].numpy()
    return reconstruction[:, :, 0] if settings.channels == 1 else reconstruction, residual


def _rebuild_patches(
    model: Autoencoder | VariationalAutoencoder, patches: Tensor, settings: Settings, precision: str, *, first: int
) -> tuple[Tensor, Tensor | None]:
    """Return the reconstruction of patches, the first of them number `first` of its image; of a VAE its variance too.

    A VAE's latent values are drawn anew for each patch from the seed and the patch's number, so that an image always
    gets the same map.
    """
    if not isinstance(model, VariationalAutoencoder):
        return reconstruct(model, patches, precision), None
    rng = np.random.default_rng([settings.seed, _SAMPLES, first])
    noise = rng.standard_normal((settings.latent_samples, len(patches), model.latent_dim), dtype=np.float32)
    return sample_reconstructions(model, patches, torch.from_numpy(noise).to(patches.device), precision)


@torch.inference_mode()
def reconstruct(model: Autoencoder | VariationalAutoencoder, patches: Tensor, precision: str) -> Tensor:
    """Return the reconstruction of patches (N, C, h, w) as contiguous float32; of a VAE that of its latent means."""
    with torch.autocast(patches.device.type, torch.bfloat16, enabled=precision == "bfloat16"):
        output: Tensor = model(patches.contiguous(memory_format=torch.channels_last))
    return output.float().contiguous()


@torch.inference_mode()
def sample_reconstructions(
    model: VariationalAutoencoder, patches: Tensor, noise: Tensor, precision: str
) -> tuple[Tensor, Tensor]:
    """Return mean and variance of the reconstructions of patches (N, C, h, w) from S latent samples each.

    Parameters
    ----------
    model : VariationalAutoencoder
    patches : Tensor of shape (N, C, h, w), float32 in [0, 1]
    noise : Tensor of shape (S, N, d), float32
        Standard normal.
    precision : {"float32", "bfloat16"}

    Returns
    -------
    mean, variance : Tensor of shape (N, C, h, w), float32
        The variance is over the S samples, not S - 1: it is a scale, not an estimate.
    """
    with torch.autocast(patches.device.type, torch.bfloat16, enabled=precision == "bfloat16"):
        latent_mean, log_variance = (
            part.float() for part in model.encode(patches.contiguous(memory_format=torch.channels_last))
        )
        deviation = (log_variance.clamp(max=20.0) / 2).exp()
        samples = torch.stack([model.decode(latent_mean + deviation * draw).float() for draw in noise])
    return samples.mean(dim=0).contiguous(), samples.var(dim=0, unbiased=False).contiguous()


@torch.inference_mode()
def difference(images: Tensor, reconstructions: Tensor, settings: Settings, variances: Tensor | None = None) -> Tensor:
    """Return the residual maps (N, h, w) of batches (N, C, h, w): 1 - SSIM or squared difference.

    1 - SSIM is the mean over `residual_scales` sizes of the images, each half the one before.

    With `variances`, those of a VAE's reconstructions, the squared difference is divided by them, or by the setting
    `variance_floor` where they are less (Bergmann et al. 2019, sec. 4.1).
    """
    if settings.loss != "ssim":
        squares = (images - reconstructions).square()
        if variances is not None:
            squares = squares / variances.clamp(min=settings.variance_floor)
        return squares.mean(dim=1)
    height, width = images.shape[-2:]
    total = torch.zeros(len(images), height, width, device=images.device)
    for scale in range(settings.n_scales):
        if scale:
            images, reconstructions = (
                avg_pool2d(planes, 2, ceil_mode=True, count_include_pad=False) for planes in (images, reconstructions)
            )
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
        mean = maps.mean(dim=1, keepdim=True)
        if scale:  # a pixel there stands for 2^scale x 2^scale, of which the last may lie outside the image
            mean = interpolate(mean, scale_factor=2**scale, mode="bilinear", align_corners=False)
        total += mean[:, 0, :height, :width]
    return total / settings.n_scales


def _as_batch(image: NDArray[np.float32]) -> Tensor:
    # A copy: torch warns of arrays that cannot be written, such as those of a file.
    planes = torch.tensor(np.ascontiguousarray(image)).reshape(*image.shape[:2], -1)
    return planes.permute(2, 0, 1)[None].contiguous()
