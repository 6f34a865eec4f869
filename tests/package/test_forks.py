"""What was used in a process works in its forks: multiprocessing's pools, and the workers of torch's DataLoader."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

# A fork that hangs cannot fail by itself: every answer is waited for with a limit, in a process that can be ended.
_PROGRAM = """
import multiprocessing, sys
from pathlib import Path

import numpy as np
import ssimae
import torch
from PIL import Image
from ssimae.evaluation.evaluator import Evaluator
from ssimae.tiling import gather_crops
from torch.utils.data import DataLoader, Dataset

rng = np.random.default_rng(0)
image = rng.random((160, 192), np.float32)
mask = image > 0.99
patches = ssimae.extract_patches(image, patch_size=32, stride=16)
planes = torch.from_numpy(image)[None, None].expand(4, 1, -1, -1).contiguous()
file = Path(sys.argv[1]) / "image.png"
Image.fromarray((image * 255).astype(np.uint8)).save(file)
gathered = Evaluator()
gathered.update(image, mask)
detector = ssimae.Detector(
    patch_size=32, latent_dim=4, patches=16, epochs=1, batch_size=16, stride=32, min_area=4, opening=0,
    hold_out=False, precision="float32",
).fit([image])


def crops():
    out = np.empty((9, 1, 32, 32), np.float32)
    gather_crops([image], np.array([[0, 8 * n, 8 * n, 32, 32] for n in range(9)], float), out)
    return out


def stitched():
    stitcher = ssimae.Stitcher(160, 192, patch_size=32, stride=16)
    stitcher.add(patches)
    return stitcher.image()


def gradient():
    x = planes.clone().requires_grad_()
    ssimae.ssim_loss(x, planes.flip(2), data_range=1.0).backward()
    return x.grad.numpy()


def labels():
    found, count = ssimae.label_regions(mask)
    return np.array([count, *ssimae.region_statistics(found, count, scores=image).mean_scores])


CALLS = {
    "patch_grid": lambda: ssimae.patch_grid(160, 192, patch_size=32, stride=16),
    "extract_patches": lambda: ssimae.extract_patches(image, patch_size=32, stride=16),
    "stitch_patches": lambda: ssimae.stitch_patches(patches, height=160, width=192, stride=16),
    "Stitcher": stitched,
    "gather_crops": crops,
    "regions": labels,
    "ssim": lambda: ssimae.ssim(planes, planes.flip(3), data_range=1.0, reduction="none").numpy(),
    "ssim_loss": gradient,
    "evaluate_maps": lambda: np.array(ssimae.evaluate_maps([image] * 2, [mask] * 2).aupro),
    "Evaluator": lambda: np.array(Evaluator.from_bytes(gathered.to_bytes()).merge(gathered).compute().auroc),
    "read_image": lambda: ssimae.read_image(file),
    "Detector": lambda: detector.inspect(image).residual,
}


def answer(name):
    return CALLS[name]()


class Answers(Dataset):
    def __len__(self):
        return len(CALLS)

    def __getitem__(self, index):
        return list(CALLS)[index], answer(list(CALLS)[index])


# Used before: the threads of the parent have started.
wanted = {name: answer(name) for name in CALLS}
pool = multiprocessing.get_context("fork").Pool(2)
waiting = {name: pool.apply_async(answer, [name]) for name in CALLS}
for name, result in waiting.items():
    np.testing.assert_allclose(result.get(timeout=30), wanted[name], rtol=1e-4, atol=1e-5, err_msg=name)
pool.terminate()
loader = DataLoader(
    Answers(), batch_size=None, num_workers=2, multiprocessing_context="fork", timeout=30, collate_fn=lambda pair: pair
)
for name, found in loader:
    np.testing.assert_allclose(found, wanted[name], rtol=1e-4, atol=1e-5, err_msg=name)
# And the parent goes on.
for name in CALLS:
    np.testing.assert_array_equal(answer(name), wanted[name], err_msg=name)
print("all answered")
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs processes that are forked")
def test_every_public_function_works_in_forks_of_a_process_that_used_it(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", _PROGRAM, str(tmp_path)],
        env={**os.environ, "OMP_NUM_THREADS": "2", "RAYON_NUM_THREADS": "2"},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.stdout == "all answered\n", done.stderr[-2000:]
