"""The networks of Bergmann et al. 2019, table 1: layers top to bottom, and the initialisation that trains."""

from __future__ import annotations

import math
from collections.abc import Iterable

import torch
from torch import Tensor, nn

from ssimae.config.settings import PATCH_SIZES

NEGATIVE_SLOPE = 0.2
"""Slope of every LeakyReLU (Bergmann et al. 2019, sec. 4.2)."""

OUTPUT_GAIN = 0.1
"""Factor of the output layer's first weights. At 1 the first reconstructions are as lively as the patches and
have nothing to do with them; with some seeds SSIM is below 0 then, and the quickest way up, to a black output, is where
the training stays."""


class Autoencoder(nn.Module):
    """Convolutional autoencoder of Bergmann et al. 2019, table 1.

    Parameters
    ----------
    latent_dim : int
        Size of the bottleneck d; the paper takes 100 for textures and 500 for nanofibres.
    patch_size : int
        Side of the square patches: 32, 64, 128 or 256. The last encoder kernel is a sixteenth of it.
    channels : int
        1 (gray, the paper) or 3.
    seed : int or None
        Seed of the initialisation; None draws from torch's global generator.

    Raises
    ------
    ValueError
        If a size is one the network is not defined for.

    Notes
    -----
    `latent_dim=100, patch_size=128, channels=1` has 1,048,549 parameters.

    Weights start as Kaiming normal for LeakyReLU 0.2, where the fan of a transposed layer is
    ``in_channels * kernel**2 / stride**2``, the number of products that meet in one output inside the image. (In the
    first decoder layer, whose input is one pixel, only ``in_channels`` do: its outputs start smaller than elsewhere by
    the kernel's side, which did no harm.) The output layer starts at a tenth of that, see :data:`OUTPUT_GAIN`. With
    PyTorch's default the output stays constant for tens of thousands of patches; the paper does not state its
    initialisation.

    References
    ----------
    Bergmann, Löwe, Fauser, Sattlegger, Steger: Improving Unsupervised Defect Segmentation by Applying Structural
    Similarity to Autoencoders. VISAPP 2019.

    Examples
    --------
    >>> import ssimae, torch
    >>> network = ssimae.Autoencoder(latent_dim=100, seed=0)
    >>> network(torch.zeros(2, 1, 128, 128)).shape
    torch.Size([2, 1, 128, 128])
    """

    def __init__(
        self, latent_dim: int = 100, patch_size: int = 128, channels: int = 1, *, seed: int | None = None
    ) -> None:
        super().__init__()
        _check_sizes(latent_dim, patch_size, channels)
        self.latent_dim, self.patch_size, self.channels = latent_dim, patch_size, channels
        self.encoder = _encoder(channels, latent_dim, patch_size)
        self.decoder = _decoder(latent_dim, channels, patch_size)
        _initialise(self, seed)

    def forward(self, patches: Tensor) -> Tensor:
        """Return the reconstruction of patches of shape (N, C, H, W), float in [0, 1]; same shape, unbounded."""
        reconstruction: Tensor = self.decoder(self.encoder(patches))
        return reconstruction


class VariationalAutoencoder(nn.Module):
    """Variational autoencoder on the layers of :class:`Autoencoder` (the VAE of Bergmann et al. 2019, sec. 4.1).

    Parameters
    ----------
    latent_dim, patch_size, channels, seed
        As for :class:`Autoencoder`.

    Notes
    -----
    The last encoder layer gives mean and log-variance of each latent value, twice `latent_dim`. The log-variances start
    at 0, so that what the encoder says at first is as loud as the noise.

    References
    ----------
    Kingma, Welling: Auto-Encoding Variational Bayes. ICLR 2014.

    Examples
    --------
    >>> import ssimae, torch
    >>> network = ssimae.VariationalAutoencoder(latent_dim=8, patch_size=32, seed=0)
    >>> network(torch.zeros(2, 1, 32, 32)).shape
    torch.Size([2, 1, 32, 32])
    """

    def __init__(
        self, latent_dim: int = 100, patch_size: int = 128, channels: int = 1, *, seed: int | None = None
    ) -> None:
        super().__init__()
        _check_sizes(latent_dim, patch_size, channels)
        self.latent_dim, self.patch_size, self.channels = latent_dim, patch_size, channels
        self.encoder = _encoder(channels, 2 * latent_dim, patch_size)
        self.decoder = _decoder(latent_dim, channels, patch_size)
        _initialise(self, seed)
        with torch.no_grad():
            _last_weight(self.encoder)[latent_dim:].zero_()

    def encode(self, patches: Tensor) -> tuple[Tensor, Tensor]:
        """Return mean and log-variance of the latent values of patches (N, C, H, W), each (N, d)."""
        mean, log_variance = self.encoder(patches).flatten(1).chunk(2, dim=1)
        return mean, log_variance

    def decode(self, latents: Tensor) -> Tensor:
        """Return the patches (N, C, H, W) of latent values (N, d)."""
        patches: Tensor = self.decoder(latents[:, :, None, None])
        return patches

    def sample(self, patches: Tensor, noise: Iterable[Tensor]) -> tuple[list[Tensor], Tensor, Tensor]:
        """Return reconstructions of patches from latent values drawn for them.

        Parameters
        ----------
        patches : Tensor of shape (N, C, H, W), float in [0, 1]
        noise : iterable of Tensor of shape (N, d), float32
            Standard normal, one for each reconstruction.

        Returns
        -------
        reconstructions : list of Tensor of shape (N, C, H, W)
        mean, log_variance : Tensor of shape (N, d), float32
            Of the latent values that they were drawn from.
        """
        mean, log_variance = (part.float() for part in self.encode(patches))
        log_variance = log_variance.clamp(max=20.0)  # far beyond sense, and short of exp() overflowing
        deviation = (log_variance / 2).exp()
        return [self.decode(mean + deviation * draw) for draw in noise], mean, log_variance

    def forward(self, patches: Tensor) -> Tensor:
        """Return the reconstruction of patches from their latent means; same shape, unbounded."""
        return self.decode(self.encode(patches)[0])


def _check_sizes(latent_dim: int, patch_size: int, channels: int) -> None:
    if patch_size not in PATCH_SIZES:
        raise ValueError(f"`patch_size` must be one of {PATCH_SIZES}, got {patch_size}")
    if latent_dim < 1:
        raise ValueError(f"`latent_dim` must be at least 1, got {latent_dim}")
    if channels not in (1, 3):
        raise ValueError(f"`channels` must be 1 or 3, got {channels}")


def _encoder(channels: int, outputs: int, patch_size: int) -> nn.Sequential:
    return nn.Sequential(
        *_conv(channels, 32, 4, 2, 1),
        *_conv(32, 32, 4, 2, 1),
        *_conv(32, 32, 3, 1, 1),
        *_conv(32, 64, 4, 2, 1),
        *_conv(64, 64, 3, 1, 1),
        *_conv(64, 128, 4, 2, 1),
        *_conv(128, 64, 3, 1, 1),
        *_conv(64, 32, 3, 1, 1),
        nn.Conv2d(32, outputs, patch_size // 16, 1, 0),
    )


def _decoder(latent_dim: int, channels: int, patch_size: int) -> nn.Sequential:
    return nn.Sequential(
        *_deconv(latent_dim, 32, patch_size // 16, 1, 0),
        *_deconv(32, 64, 3, 1, 1),
        *_deconv(64, 128, 3, 1, 1),
        *_deconv(128, 64, 4, 2, 1),
        *_deconv(64, 64, 3, 1, 1),
        *_deconv(64, 32, 4, 2, 1),
        *_deconv(32, 32, 3, 1, 1),
        *_deconv(32, 32, 4, 2, 1),
        nn.ConvTranspose2d(32, channels, 4, 2, 1),
    )


def _conv(inputs: int, outputs: int, kernel: int, stride: int, padding: int) -> tuple[nn.Module, nn.Module]:
    return nn.Conv2d(inputs, outputs, kernel, stride, padding), nn.LeakyReLU(NEGATIVE_SLOPE, inplace=True)


def _deconv(inputs: int, outputs: int, kernel: int, stride: int, padding: int) -> tuple[nn.Module, nn.Module]:
    return nn.ConvTranspose2d(inputs, outputs, kernel, stride, padding), nn.LeakyReLU(NEGATIVE_SLOPE, inplace=True)


def _initialise(network: Autoencoder | VariationalAutoencoder, seed: int | None) -> None:
    generator = None if seed is None else torch.Generator().manual_seed(seed)
    for layer in network.modules():
        if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d):
            _kaiming_normal(layer, generator)
    with torch.no_grad():
        _last_weight(network.decoder).mul_(OUTPUT_GAIN)


def _last_weight(layers: nn.Sequential) -> nn.Parameter:
    return layers.get_parameter(f"{len(layers) - 1}.weight")


def _kaiming_normal(layer: nn.Conv2d | nn.ConvTranspose2d, generator: torch.Generator | None) -> None:
    fan_in = layer.in_channels * layer.kernel_size[0] * layer.kernel_size[1]
    if isinstance(layer, nn.ConvTranspose2d):
        fan_in = fan_in // (layer.stride[0] * layer.stride[1])
    std = nn.init.calculate_gain("leaky_relu", NEGATIVE_SLOPE) / math.sqrt(fan_in)
    with torch.no_grad():
        layer.weight.normal_(0.0, std, generator=generator)
        if layer.bias is not None:
            layer.bias.zero_()
