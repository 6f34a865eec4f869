"""The plain script: the paper's method as one writes it in an afternoon, in eager PyTorch with packages for SSIM.

Written for comparison alone, and with care: batches, one optimizer, no work done twice. Nothing else uses it.
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.ndimage import grey_opening
from torch import Tensor, nn

DISK = np.array([[0, 1, 1, 0], [1, 1, 1, 1], [1, 1, 1, 1], [0, 1, 1, 0]], dtype=np.bool_)

_WINDOW = torch.full((1, 1, 1, 11), 1 / 11)  # uniform as the preset's; pytorch-msssim applies it along both axes


class PlainAutoencoder(nn.Module):
    """Table 1 of Bergmann et al. 2019 for square patches, of 128 x 128 pixels as there or of others; gray."""

    def __init__(self, latent_dim: int, patch_size: int = 128) -> None:
        super().__init__()
        act = nn.LeakyReLU(0.2)
        last = patch_size // 16
        self.encoder = nn.Sequential(
            nn.Conv2d(1, 32, 4, 2, 1), act,
            nn.Conv2d(32, 32, 4, 2, 1), act,
            nn.Conv2d(32, 32, 3, 1, 1), act,
            nn.Conv2d(32, 64, 4, 2, 1), act,
            nn.Conv2d(64, 64, 3, 1, 1), act,
            nn.Conv2d(64, 128, 4, 2, 1), act,
            nn.Conv2d(128, 64, 3, 1, 1), act,
            nn.Conv2d(64, 32, 3, 1, 1), act,
            nn.Conv2d(32, latent_dim, last, 1, 0),
        )  # fmt: skip
        self.decoder = nn.Sequential(
            nn.ConvTranspose2d(latent_dim, 32, last, 1, 0), act,
            nn.ConvTranspose2d(32, 64, 3, 1, 1), act,
            nn.ConvTranspose2d(64, 128, 3, 1, 1), act,
            nn.ConvTranspose2d(128, 64, 4, 2, 1), act,
            nn.ConvTranspose2d(64, 64, 3, 1, 1), act,
            nn.ConvTranspose2d(64, 32, 4, 2, 1), act,
            nn.ConvTranspose2d(32, 32, 3, 1, 1), act,
            nn.ConvTranspose2d(32, 32, 4, 2, 1), act,
            nn.ConvTranspose2d(32, 1, 4, 2, 1),
        )  # fmt: skip

    def forward(self, patches: Tensor) -> Tensor:
        """Return the reconstruction of patches (N, 1, s, s)."""
        reconstruction: Tensor = self.decoder(self.encoder(patches))
        return reconstruction


def plain_patches(
    images: list[NDArray[np.float32]], count: int, rng: np.random.Generator, *, side: int = 128
) -> Tensor:
    """Return random patches of images, (N, 1, side, side)."""
    patches = []
    for _ in range(count):
        image = images[rng.integers(len(images))]
        row, column = (rng.integers(extent - side + 1) for extent in image.shape)
        patches.append(image[row : row + side, column : column + side])
    return torch.from_numpy(np.stack(patches))[:, None]


def plain_step(model: PlainAutoencoder, optimizer: torch.optim.Optimizer, patches: Tensor) -> float:
    """Take one step of training on a batch and return its loss, 1 - SSIM."""
    from pytorch_msssim import ssim  # noqa: PLC0415 - wanted for this comparison only

    optimizer.zero_grad()
    loss = 1 - ssim(model(patches), patches, data_range=1, win=_WINDOW, nonnegative_ssim=False)
    loss.backward()
    optimizer.step()
    return float(loss.item())


@torch.no_grad()
def plain_inspect(
    model: PlainAutoencoder, image: NDArray[np.float32], *, stride: int = 30
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return reconstruction and residual map of an image (h, w): patches at a stride, averaged; SSIM map; opening."""
    from skimage.metrics import structural_similarity  # noqa: PLC0415 - wanted for this comparison only

    height, width = image.shape
    rows, columns = ([*range(0, side - 128, stride), side - 128] for side in (height, width))
    places = [(row, column) for row in rows for column in columns]
    total, count = np.zeros((height, width), np.float32), np.zeros((height, width), np.float32)
    for start in range(0, len(places), 64):
        batch = places[start : start + 64]
        patches = np.stack([image[row : row + 128, column : column + 128] for row, column in batch])
        rebuilt = model(torch.from_numpy(patches)[:, None])[:, 0].numpy()
        for (row, column), patch in zip(batch, rebuilt, strict=True):
            total[row : row + 128, column : column + 128] += patch
            count[row : row + 128, column : column + 128] += 1
    reconstruction = total / count
    options = {"data_range": 1, "win_size": 11, "use_sample_covariance": False, "full": True}
    _, similarity = structural_similarity(image, reconstruction, **options)  # type: ignore[no-untyped-call]
    return reconstruction, grey_opening(1 - similarity, footprint=DISK).astype(np.float32)
