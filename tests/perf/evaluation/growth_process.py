"""Time and peak memory of evaluating maps that stream past, in a process of its own: a script. Prints JSON.

Called with a number of maps of 1024 x 1024, the regions of each, and the megabytes of scores that may be held or `all`.
A few maps are made before; each comes again on another scale, so that no two images share their scores. Making them is
not timed.
"""

import json
import sys
import time
from pathlib import Path

import numpy as np
from perf.evaluation.process import status
from ssimae.evaluation.evaluator import Evaluator

SIDE, BASES = 1024, 4
SCALE_STEP = 1e-5


DEFECT_SHARE = 0.05
"""Share of the pixels that are defects, whatever the number of regions."""


def bases(regions):
    """Return maps and masks to choose from: a mask holds so many square regions."""
    rng = np.random.default_rng(0)
    made = []
    for _ in range(BASES):
        mask = np.zeros((SIDE, SIDE), np.uint8)
        step = int(SIDE / np.ceil(np.sqrt(regions)))
        side = max(1, min(step - 1, round(np.sqrt(DEFECT_SHARE * SIDE**2 / regions))))
        places = [(row, column) for row in range(0, SIDE, step) for column in range(0, SIDE, step)][:regions]
        for row, column in places:
            mask[row : row + side, column : column + side] = 1
        made.append((rng.standard_normal((SIDE, SIDE), dtype=np.float32) + mask, mask))
    return made


def measure(count, regions, memory_limit):
    """Return what evaluating costs and finds."""
    made = bases(regions)
    evaluator = Evaluator()
    evaluator.update(*made[0])
    evaluator.compute()
    Path("/proc/self/clear_refs").write_text("5")  # the peak starts over
    held, seconds = status("VmRSS"), 0.0
    evaluator = Evaluator(memory_limit=memory_limit)
    for index in range(count):
        map_, mask = made[index % BASES]
        scaled = map_ * np.float32(1 + index * SCALE_STEP)
        start = time.perf_counter()
        evaluator.update(scaled, mask)
        seconds += time.perf_counter() - start
    start = time.perf_counter()
    found = evaluator.compute()
    seconds += time.perf_counter() - start
    answers = {"auroc": found.auroc, "au_pro": found.aupro, "average_precision": found.average_precision}
    peak = status("VmHWM") - held
    return {"seconds": seconds, "peak": peak, "found": answers, "pixels": found.n_pixels, "regions": found.n_regions}


if __name__ == "__main__":
    limit = None if sys.argv[3] == "all" else 1_000_000 * int(sys.argv[3])
    print(json.dumps(measure(int(sys.argv[1]), int(sys.argv[2]), limit)))
