"""Time, peak memory and answers of one package's metrics, in a process of its own: a script. Prints JSON.

Called with the package's name, a folder that holds maps.npy and masks.npy, and a number of threads. The peak is that of
the resident set above what imports, inputs and a small call before it have left, as Linux counts it.
"""

import json
import resource
import sys
import time
from importlib.metadata import version
from pathlib import Path

import numpy as np
from perf.evaluation.rivals import DISTRIBUTIONS, RIVALS, WARM, ssimae


def status(field):
    """Return a size of this process, in bytes."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(1024 * int(line.split()[1]) for line in lines if line.startswith(field + ":"))


def measure(name, folder):
    """Return what a call costs and finds."""
    call = (RIVALS | {"ssimae": ssimae})[name]
    maps, masks = (np.load(Path(folder) / f"{part}.npy") for part in ("maps", "masks"))
    call(*WARM)
    Path("/proc/self/clear_refs").write_text("5")  # the peak starts over
    held, start, before = status("VmRSS"), time.perf_counter(), resource.getrusage(resource.RUSAGE_SELF)
    found = call(maps, masks)
    seconds, after = time.perf_counter() - start, resource.getrusage(resource.RUSAGE_SELF)
    cpu = after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime
    peak = status("VmHWM") - held
    return {"seconds": seconds, "cpu_s": cpu, "peak": peak, "found": found, "version": version(DISTRIBUTIONS[name])}


if __name__ == "__main__":
    if sys.argv[1] in ("torchmetrics", "anomalib"):
        import torch

        torch.set_num_threads(int(sys.argv[3]))
    print(json.dumps(measure(sys.argv[1], sys.argv[2])))
