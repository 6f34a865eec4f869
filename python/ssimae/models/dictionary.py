"""The comparator of the paper: a dictionary of the features of normal patches (Napoletano et al. 2018)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.cluster import KMeans
from sklearn.decomposition import IncrementalPCA
from torch import Tensor, nn

from ssimae.bands import bands, let_go, new_map
from ssimae.images.depth import Image
from ssimae.images.patches import patch_batches
from ssimae.models.efficientnet import EfficientNetFeatures
from ssimae.models.features import PatchFeatures, ResNet18Features
from ssimae.tiling import patch_grid

BATCH = 256
"""Patches a forward pass at inspection: they are small."""


class FeatureDictionary(nn.Module):
    """Principal components and centres of normal features; what is far from all centres is not normal.

    Everything lies in the ``state_dict``: weights of the network, `mean` (F,), `components` (D, F), `centres`
    (size, D). F is 512 for ResNet-18 and 320 for EfficientNet-Lite0.

    Notes
    -----
    Features of a patch are those of ResNet-18, or of another network, averaged over the patch and divided by their
    sum of magnitudes; principal components keep 95 % of their variance; the score is the Euclidean distance to the
    nearest centre of k-means.

    References
    ----------
    Napoletano, Piccoli, Schettini: Anomaly Detection in Nanofibrous Materials by CNN-Based Self-Similarity. Sensors 18
    (1), 2018.
    """

    mean: Tensor
    components: Tensor
    centres: Tensor

    def __init__(self, features: PatchFeatures, *, n_components: int, size: int) -> None:
        super().__init__()
        self.features = features
        self.register_buffer("mean", torch.zeros(features.n_features))
        self.register_buffer("components", torch.zeros(n_components, features.n_features))
        self.register_buffer("centres", torch.zeros(size, n_components))

    @classmethod
    def from_state(cls, state: Mapping[str, Tensor]) -> FeatureDictionary:
        """Return the dictionary of a stored ``state_dict``, in evaluation mode.

        Raises
        ------
        ValueError
            If something is missing, or does not fit.
        """
        shapes = {name: tuple(state[name].shape) for name in ("components", "centres") if name in state}
        if len(shapes) != 2 or any(len(shape) != 2 for shape in shapes.values()):
            raise ValueError("weights are not those of a dictionary of features: `components` or `centres` is missing")
        features: PatchFeatures = ResNet18Features.random(0)
        if shapes["components"][1] == EfficientNetFeatures.n_features:
            features = EfficientNetFeatures(None, "stored", pooled=True)
        if shapes["components"] != (shapes["centres"][1], features.n_features):
            raise ValueError(f"weights do not fit a dictionary of features: {shapes}")
        dictionary = cls(features, n_components=shapes["components"][0], size=shapes["centres"][0])
        try:
            dictionary.load_state_dict(dict(state))
        except RuntimeError as error:
            raise ValueError(f"weights do not fit a dictionary of features: {error}") from error
        dictionary.eval()
        return dictionary

    @torch.inference_mode()
    def project(self, patches: Tensor) -> Tensor:
        """Return the features of patches (N, C, h, w), float32 in [0, 1], on the principal components, (N, D)."""
        return (normalised(self.features(patches)) - self.mean) @ self.components.T

    @torch.inference_mode()
    def score(self, patches: Tensor) -> Tensor:
        """Return the distance of patches (N, C, h, w), float32 in [0, 1], to the dictionary, (N,) float32."""
        return torch.cdist(self.project(patches), self.centres).amin(dim=1)


def normalised(features: Tensor) -> Tensor:
    """Return features (N, F) divided by the sum of their magnitudes."""
    return nn.functional.normalize(features, p=1.0, dim=1)


def fit_dictionary(
    batches: Callable[[], Iterable[Tensor]],
    features: PatchFeatures,
    *,
    size: int,
    variance: float = 0.95,
    seed: int,
    device: torch.device,
    on_batch: Callable[[int], None] | None = None,
) -> FeatureDictionary:
    """Return the dictionary of normal patches.

    Parameters
    ----------
    batches : callable
        Returns batches of patches (N, C, h, w), float32 in [0, 1]; called twice, the same both times.
    features : PatchFeatures
    size : int
        Number of centres.
    variance : float in (0, 1]
        Share of the variance that the principal components keep.
    seed : int
        Of k-means' first centres.
    device : torch.device
    on_batch : callable, optional
        Called with the number of patches so far, in both passes together half of them.

    Raises
    ------
    ValueError
        If there are fewer different features than centres.

    Notes
    -----
    In the first pass principal components are found batch by batch, all of them, so that no variance is lost between
    batches; in the second the features are kept on those that remain, a few dozen numbers a patch, for k-means. What
    is held is one batch of patches, a block of as many features as there are numbers in one, and those.
    """
    network, n_features = features.to(device), features.n_features
    pca = IncrementalPCA(n_components=n_features)
    seen = 0
    for block in _blocks(_features(batches(), network, device), n_features):
        if len(block) < n_features:
            raise ValueError(f"a dictionary needs at least {n_features} patches (`patches`), got {len(block)}")
        pca.partial_fit(block)
        seen += len(block)
        if on_batch is not None:
            on_batch(seen // 2)
    shares = np.cumsum(pca.explained_variance_ratio_)
    n_components = min(int(np.searchsorted(shares, variance)) + 1, n_features)
    dictionary = FeatureDictionary(network, n_components=n_components, size=size).to(device)
    dictionary.mean.copy_(torch.from_numpy(pca.mean_))
    dictionary.components.copy_(torch.from_numpy(pca.components_[:n_components]))
    kept = []
    for batch in batches():
        kept.append(dictionary.project(batch.to(device)).cpu().numpy())
        if on_batch is not None:
            on_batch((seen + sum(map(len, kept))) // 2)
    points = np.concatenate(kept)
    distinct = len(np.unique(points, axis=0))
    if distinct < size:
        raise ValueError(f"`dictionary_size` is {size}, but the good images have only {distinct} different features")
    clusters = KMeans(size, random_state=seed, n_init=1).fit(points)
    dictionary.centres.copy_(torch.from_numpy(clusters.cluster_centers_))
    dictionary.eval()
    return dictionary


@torch.inference_mode()
def _features(batches: Iterable[Tensor], network: PatchFeatures, device: torch.device) -> Iterable[NDArray[np.float32]]:
    for batch in batches:
        yield normalised(network(batch.to(device))).cpu().numpy()


def _blocks(parts: Iterable[NDArray[np.float32]], least: int) -> Iterator[NDArray[np.float32]]:
    """Yield the rows of parts in blocks of at least `least`, the last one with the rows left over."""
    held: list[NDArray[np.float32]] = []
    block: NDArray[np.float32] | None = None
    for part in parts:
        held.append(part)
        if sum(map(len, held)) >= least:
            if block is not None:
                yield block
            block, held = np.concatenate(held), []
    rest = [*([] if block is None else [block]), *held]
    if rest:
        yield np.concatenate(rest)


def score_map(
    dictionary: FeatureDictionary,
    image: Image,
    *,
    patch_size: int,
    stride: int,
    device: torch.device,
) -> NDArray[np.float32]:
    """Return the distance to the dictionary of every pixel of an image, (h, w) float32.

    Parameters
    ----------
    dictionary : FeatureDictionary
        On `device`.
    image : ndarray of shape (h, w) or (h, w, C), float32 in [0, 1], or Pixels
    patch_size, stride : int
        Side of the patches and step between them in pixels; the last row and column are shifted to the border.
    device : torch.device

    Raises
    ------
    ValueError
        If the image is smaller than a patch.

    Notes
    -----
    The score of a patch stands at its centre; between centres it is interpolated bilinearly, and beyond the outermost
    ones it stays.
    """
    height, width = image.shape[:2]
    if min(height, width) < patch_size:
        raise ValueError(f"image is {width} x {height} after scaling, smaller than a patch of {patch_size}")
    origins = patch_grid(height, width, patch_size=patch_size, stride=stride)
    scores = np.empty(len(origins), np.float32)
    for start, patches in patch_batches(image, patch_size=patch_size, stride=stride, batch=BATCH):
        scores[start : start + len(patches)] = dictionary.score(torch.from_numpy(patches).to(device)).cpu().numpy()
    rows, columns = (np.unique(origins[:, axis]) + (patch_size - 1) / 2 for axis in (0, 1))
    across = _interpolate(scores.reshape(len(rows), len(columns)), columns, width)
    score_map: NDArray[np.float32] = new_map((height, width))
    for stripe in bands(width, height):
        score_map[:, stripe.rows] = _interpolate(across.T[stripe.rows], rows, height).T
        let_go(score_map)
    return score_map


def _interpolate(lines: NDArray[np.float32], positions: NDArray[np.floating[Any]], length: int) -> NDArray[np.float32]:
    """Return lines (n, m), given at m positions, interpolated at 0..length - 1."""
    pixels = np.arange(length)
    return np.stack([np.interp(pixels, positions, line) for line in lines]).astype(np.float32)
