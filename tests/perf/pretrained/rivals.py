"""PaDiM and PatchCore, as one would take them instead of us, on the features of EfficientNet-Lite0.

Images are cut along their longer side into pieces near to squares, or `tiled` into pieces of about 256 x 256 along
both, so that nothing small is lost. Pieces are brought to 256 x 256, and their maps back to their size. Three depths of
the network are taken: behind its second, third and fifth stage, at a quarter, an eighth and a sixteenth of the size.

References
----------
Defard, Setkov, Loesch, Audigier: PaDiM. ICPR 2020 workshops. Roth et al.: Towards Total Recall in Industrial Anomaly
Detection. CVPR 2022.
"""

import numpy as np
import torch
from scipy.ndimage import gaussian_filter
from ssimae.models.efficientnet import EfficientNetFeatures
from torch.nn.functional import avg_pool2d, interpolate

SIDE = 256
SIGMA = 4.0
"""Pixels of 256 x 256 that both smooth their maps by."""

_CHANNELS = 24, 40, 112
_DEPTHS = {5: 4, 7: 8, 13: 16}  # layers behind which maps are taken, and how much smaller they are


class PaDiM:
    """A normal distribution of features at each place; the score is the Mahalanobis distance from it.

    Its 100 features are drawn at random from all three depths.
    """

    tiled = False

    def __init__(self, images, *, n_features=100, floor=0.01, seed=0):
        self._network = EfficientNetFeatures.pretrained(pooled=True)
        generator = torch.Generator().manual_seed(seed)
        self._chosen = torch.randperm(sum(_CHANNELS), generator=generator)[:n_features].sort().values
        features = torch.stack([self._features(piece) for image in images for row in _pieces(image) for piece in row])
        points = features.flatten(2).permute(2, 0, 1)  # (H W, N, F)
        self._mean = points.mean(dim=1, keepdim=True)
        centred = points - self._mean
        covariance = centred.mT @ centred / max(len(features) - 1, 1) + floor * torch.eye(n_features)
        self._factor = torch.linalg.cholesky(covariance)

    def scores(self, piece):
        """Return the scores (64, 64) of a piece."""
        features = self._features(piece)
        points = features.flatten(1).T[:, :, None] - self._mean.mT
        distances = torch.linalg.solve_triangular(self._factor, points, upper=False).norm(dim=(1, 2))
        return distances.reshape(features.shape[1:])

    def _features(self, piece):
        return _at_one_size(_maps(self._network, piece), SIDE // 4)[self._chosen]


class PatchCore:
    """A bank of the features of normal places; the score is the distance to the nearest.

    Maps of the two deeper depths are averaged over 3 x 3 places. The bank is a tenth of 20,000 random places, chosen so
    that all of them are near to one in it.
    """

    def __init__(self, images, *, tiled=False, drawn=20_000, kept=2_000, seed=0):
        self.tiled = tiled
        self._network = EfficientNetFeatures.pretrained(pooled=True)
        generator = torch.Generator().manual_seed(seed)
        pieces = [piece for image in images for row in _pieces(image, tiled) for piece in row]
        share = -(-drawn // len(pieces))
        points = []
        for piece in pieces:
            places = self._features(piece).flatten(1).T
            points.append(places[torch.randperm(len(places), generator=generator)[:share]])
        self._bank = _spread_out(torch.cat(points), kept, generator)

    def scores(self, piece):
        """Return the scores (32, 32) of a piece."""
        features = self._features(piece)
        distances = torch.cdist(features.flatten(1).T, self._bank).amin(dim=1)
        return distances.reshape(features.shape[1:])

    def _features(self, piece):
        maps = [avg_pool2d(depth[None], 3, 1, 1)[0] for depth in _maps(self._network, piece)[1:]]
        return _at_one_size(maps, SIDE // 8)


def map_of(rival, image):
    """Return the scores (h, w) that a rival gives an image (h, w), float32 in [0, 1]."""
    return np.block(
        [[_as_map(rival.scores(piece), piece.shape) for piece in row] for row in _pieces(image, rival.tiled)]
    )


def _pieces(image, tiled=False):
    side = SIDE if tiled else min(image.shape)
    rows, columns = (max(1, round(length / side)) for length in image.shape)
    return [np.array_split(row, columns, axis=1) for row in np.array_split(image, rows)]


@torch.inference_mode()
def _maps(network, piece):
    x = torch.from_numpy(np.ascontiguousarray(piece))[None, None]
    x = interpolate(x, size=(SIDE, SIDE), mode="bilinear", align_corners=False, antialias=True)
    x = (x.expand(-1, 3, -1, -1) * 255 - 127) / 128
    found = []
    for number, layer in enumerate(network.layers):
        x = layer(x)
        if number in _DEPTHS:
            assert x.shape[-1] == SIDE // _DEPTHS[number]
            found.append(x[0])
        if len(found) == len(_DEPTHS):
            return found
    raise AssertionError


def _at_one_size(maps, side):
    return torch.cat([interpolate(depth[None], size=(side, side), mode="bilinear")[0] for depth in maps])


def _as_map(scores, shape):
    fine = interpolate(scores[None, None], size=(SIDE, SIDE), mode="bilinear")[0, 0].numpy()
    smooth = torch.from_numpy(gaussian_filter(fine, SIGMA))
    return interpolate(smooth[None, None], size=tuple(shape), mode="bilinear")[0, 0].numpy()


def _spread_out(points, count, generator):
    """Return so many of the points, each the farthest from those before it, after a random projection."""
    projected = points @ torch.randn(points.shape[1], 64, generator=generator) / 8
    chosen = [0]
    distances = (projected - projected[0]).norm(dim=1)
    while len(chosen) < min(count, len(points)):
        chosen.append(int(distances.argmax()))
        distances = torch.minimum(distances, (projected - projected[chosen[-1]]).norm(dim=1))
    return points[chosen]
