"""Peak memory and time of one call on one image, by name: a script, since a peak needs its own process. Prints JSON.

The peak is that of the resident set above what imports, inputs and a small call before it have left, as Linux counts
it. A copy of the image, whose peak is known, is measured first.
"""

import json
import sys
import time
from pathlib import Path

import torch
from perf.ssim.answers import images, stepper
from perf.ssim.rivals import RIVALS

WITH_GRADIENT, MAP = "loss and gradient", "map"
WARM_SIDE = 64


def prepared(name, what, x, y):
    """Return the call."""
    if what == MAP:
        whole = RIVALS[name].map()
        return lambda: whole(x, y)
    return stepper(RIVALS[name].loss("gaussian"), x, y.requires_grad_())


def status(field):
    """Return a size of this process, in bytes."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(1024 * int(line.split()[1]) for line in lines if line.startswith(field + ":"))


def measure(name, what, side):
    """Return the peaks of a copy and of a call, and what stays of it, its map or gradient, in images; and seconds."""
    x, y = (part.clone() for part in images((1, 1, side, side)))
    images.cache_clear()
    prepared(name, what, *(part.clone() for part in images((1, 1, WARM_SIDE, WARM_SIDE))))()
    call = prepared(name, what, x, y)
    if name == "frame-analytics" and what == WITH_GRADIENT:
        call()  # compiled for each shape: the compiler's memory is not the call's
        y.grad = None
    (_, copied, _), (result, peak, seconds) = peak_of(x.clone), peak_of(call)
    kept = result[1] if isinstance(result, tuple) else result
    peaks = {"copy": copied / x.nbytes, "peak": peak / x.nbytes, "kept": kept.nbytes / x.nbytes}
    return peaks | {"seconds": seconds}


def peak_of(call):
    """Return what a call returns, its peak in bytes and its seconds."""
    Path("/proc/self/clear_refs").write_text("5")  # the peak starts over
    before, start = status("VmRSS"), time.perf_counter()
    result = call()
    seconds = time.perf_counter() - start
    return result, status("VmHWM") - before, seconds


if __name__ == "__main__":
    torch.set_num_threads(int(sys.argv[4]))
    print(json.dumps(measure(sys.argv[1], sys.argv[2], int(sys.argv[3]))))
