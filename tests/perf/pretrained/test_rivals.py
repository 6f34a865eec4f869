"""The rivals on pretrained features find what is plain to see, so that they are worth beating."""

import numpy as np
import pytest
import torch
from perf.pretrained.rivals import PaDiM, PatchCore, _spread_out, map_of


def surface(rng):
    rows, columns = np.mgrid[:96, :200]
    return (0.5 + 0.2 * np.sin(rows / 3) * np.cos(columns / 4) + rng.normal(0, 0.02, (96, 200))).astype(np.float32)


@pytest.mark.exhaustive
@pytest.mark.parametrize("kind", [PaDiM, PatchCore])
def test_a_blot_scores_higher_than_the_rest(kind):
    rng = np.random.default_rng(0)
    image = surface(rng)
    image[40:60, 50:80] = 0.9
    scores = map_of(kind([surface(rng) for _ in range(6)]), image)
    assert scores.shape == image.shape
    assert scores[45:55, 55:75].min() > np.percentile(scores[:, 100:], 99)


def test_spread_out_points_leave_no_cluster_out():
    points = torch.tensor([[0.0, 0.0]] * 50 + [[9.0, 0.0]] * 2 + [[0.0, 9.0]])
    kept = _spread_out(points, 3, torch.Generator().manual_seed(0))
    assert {tuple(point) for point in kept.tolist()} == {(0.0, 0.0), (9.0, 0.0), (0.0, 9.0)}
