"""Images are resized as torch does it, by which networks were trained, and without torch."""

import subprocess
import sys

import numpy as np
import pytest
import torch
from ssimae.images.resize import enlarge_rows, restore_size, scale_image
from torch.nn.functional import interpolate

ROUNDING = 4e-6
"""Places up to 64 have steps of 4e-6 in float32. Torch's arithmetic for small images differs by that from its other; on
a processor that fuses multiplication and addition, ours has the bits of the latter."""

rng = np.random.default_rng(0)


def by_torch(image: np.ndarray, **options: object) -> np.ndarray:
    planes = torch.from_numpy(image.reshape(*image.shape[:2], -1)).permute(2, 0, 1)[None].contiguous()
    resized = interpolate(planes, mode="bilinear", align_corners=False, **options)[0].permute(1, 2, 0)
    return resized.reshape(*resized.shape[:2], *image.shape[2:]).numpy()


@pytest.mark.parametrize("factor", [0.5, 0.7, 0.31, 1.6])
@pytest.mark.parametrize("shape", [(97, 130), (33, 5), (61, 44, 3)])
def test_scaling_is_antialiased(shape: tuple[int, ...], factor: float) -> None:
    image = rng.random(shape, dtype=np.float32)
    scaled = scale_image(image, factor)
    np.testing.assert_allclose(scaled, by_torch(image, size=scaled.shape[:2], antialias=True), atol=ROUNDING)
    restored = restore_size(scaled, *shape[:2])
    np.testing.assert_allclose(restored, by_torch(scaled, size=shape[:2]), atol=ROUNDING)


@pytest.mark.parametrize("factor", [2, 4, 8])
def test_rows_are_those_of_the_whole_enlarged_map(factor: int) -> None:
    values = rng.random((37, 29), dtype=np.float32)
    whole = by_torch(values, scale_factor=factor)
    for start, stop in ((0, 37 * factor), (factor, 3 * factor + 1), (36 * factor, 37 * factor)):
        rows = enlarge_rows(values, slice(start, stop), factor)
        np.testing.assert_allclose(rows, whole[start:stop], atol=ROUNDING)


def test_resizing_needs_no_torch() -> None:
    code = "import sys, numpy as np; from ssimae.images import resize; resize.scale_image(np.ones((9, 9), 'f4'), 0.5)"
    subprocess.run([sys.executable, "-c", f"{code}; assert 'torch' not in sys.modules"], check=True)
