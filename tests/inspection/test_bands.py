"""Images are inspected band by band: maps and verdicts are those of the whole to the last bit, in bounded memory."""

import errno
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from ssimae import bands
from ssimae.config.settings import Settings
from ssimae.images.depth import Pixels
from ssimae.inspection.verdict import judge
from support.inspectors import made_up_inspector, made_up_thresholds

CASES = {
    "margin and flips": {"margin": 13, "residual_flips": True},
    "Gaussian window": {"residual_window": "gaussian", "residual_smoothing": 2.5},
    "smaller scale": {"scale": 0.73, "residual_smoothing": 1.0},
    "patches averaged": {"residual_average": True, "stride": 7},
    "vae": {"loss": "vae"},
    "colour, large window": {"channels": 3, "scale": 0.5, "residual_window_size": 15},
    "calibrated": {"calibration": "both", "margin": 16, "residual_smoothing": 3.0},
    "calibrated colour": {"calibration": "surface", "channels": 3, "scale": 0.5},
}


@pytest.mark.parametrize("part", ["whole", "ignored"])
@pytest.mark.parametrize("case", CASES)
def test_bands_give_what_the_whole_gives(monkeypatch: pytest.MonkeyPatch, case: str, part: str) -> None:
    settings = Settings(**{"patch_size": 32, "latent_dim": 4, "stride": 16, "precision": "float32", **CASES[case]})
    rng = np.random.default_rng(0)
    shape = (201, 167, 3) if settings.channels == 3 else (201, 167)
    samples = rng.integers(0, 256, shape).astype(np.uint8)
    ignored = None
    if part == "ignored":
        ignored = np.zeros(shape[:2], bool)
        ignored[:, :20] = ignored[:7] = ignored[50:90, 60:110] = True
    judging = made_up_inspector(settings, shape)
    whole = judging.inspect((samples / np.float32(255)).astype(np.float32), ignored)
    thresholds = made_up_thresholds(*(float(np.quantile(whole.judged, share)) for share in (0.97, 0.999)))
    wanted = judge(whole, thresholds)
    assert wanted.regions
    monkeypatch.setattr(bands, "BAND", 2000)
    monkeypatch.setattr(bands, "LARGE", 1000)
    found = judging.inspect(Pixels(samples, 255.0), ignored)
    for name in ("reconstruction", "residual", "judged"):
        np.testing.assert_array_equal(getattr(found, name), getattr(whole, name), err_msg=name)
    assert found.unlike == whole.unlike
    got = judge(found, thresholds)
    np.testing.assert_array_equal(got.mask, wanted.mask)
    assert (got.verdict, got.score, got.regions) == (wanted.verdict, wanted.score, wanted.regions)


_PROGRAM = """
import resource
from dataclasses import replace

import numpy as np
from ssimae import bands
from ssimae.config.settings import Settings
from ssimae.images.depth import Pixels
from ssimae.inspection.verdict import judge
from support.inspectors import made_up_inspector, made_up_thresholds

bands.BAND = bands.LARGE = 2**18
settings = Settings(patch_size=32, latent_dim=4, stride=32, precision="float32", calibration="surface")
rng = np.random.default_rng(0)
samples = np.tile(rng.integers(0, 256, (500, 500)).astype(np.uint8), (5, 5))

def peak_of(image):
    judging = made_up_inspector(settings, image.shape)
    judging = replace(judging, engine=replace(judging.engine, has_head=False))  # it works in tiles of its own
    judge(judging.inspect(Pixels(image, 255.0)), made_up_thresholds(1e9, 2e9))
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024

before = peak_of(samples[:600, :1600])
print((peak_of(samples) - before) / samples.size)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="maps lie in files on Linux")
def test_a_large_image_takes_a_few_bytes_a_pixel() -> None:
    done = subprocess.run(
        [sys.executable, "-c", _PROGRAM], env={**os.environ, "OMP_NUM_THREADS": "1"}, cwd=Path(__file__).parents[1],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    # 43 when maps lay in memory. What remains is the mask, a byte, and what the allocator keeps.
    assert float(done.stdout) < 8


def test_no_room_for_a_map_is_said_with_the_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "posix_fallocate", refuse, raising=False)
    monkeypatch.setattr(bands, "LARGE", 1000)
    with pytest.raises(OSError, match="no room for 40000 bytes of a large image's map") as caught:
        bands.new_map((100, 100))
    assert caught.value.filename
