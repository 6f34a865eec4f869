"""Score PaDiM and PatchCore on a data set beside a finished run of ours: ``python bench.py DATA RUN OUT``.

Writes their maps below OUT, into OUT/scores what `ssimae evaluate --compare` writes of all, and its table into
``results/pretrained/``, from where `make generated` takes it.
"""

import shutil
import sys
import time
from functools import partial
from pathlib import Path

import numpy as np
from rivals import PaDiM, PatchCore, map_of
from ssimae.cli import main
from ssimae.data.layouts import open_dataset
from ssimae.images.read import read_stored

RIVALS = {"PaDiM": PaDiM, "PatchCore": PatchCore, "PatchCore, tiled": partial(PatchCore, tiled=True)}
RESULTS = Path(__file__).parents[3] / "results" / "pretrained"


def write_maps(dataset, out):
    """Write the maps of each rival, and print how long it took to learn and for an image."""

    def image(path):
        return read_stored(path, channels=1, data_range=None)[:].astype(np.float32)

    good = [image(path) for path in dataset.train]
    for name, kind in RIVALS.items():
        start = time.perf_counter()
        rival = kind(good)
        learned = time.perf_counter()
        for sample in dataset.test:
            path = out / name / sample.defect / f"{sample.name}.npy"
            path.parent.mkdir(parents=True, exist_ok=True)
            np.save(path, map_of(rival, image(sample.path)))
        each = (time.perf_counter() - learned) / len(dataset.test)
        print(f"{name}: learned in {learned - start:.1f} s, {1000 * each:.0f} ms an image")


if __name__ == "__main__":
    data, run, out = map(Path, sys.argv[1:])
    write_maps(open_dataset(data), out)
    first, *others = (str(out / name) for name in RIVALS)
    scored = [first, str(data), "--compare", *others, str(run), "--names", *RIVALS, "ssimae"]
    code = main(["evaluate", *scored, "--out", str(out / "scores"), "--no-report"])
    RESULTS.mkdir(exist_ok=True)
    shutil.copy(out / "scores" / "table.csv", RESULTS / f"{data.name}.csv")
    sys.exit(code)
