"""Print what a million images would cost on a Ray cluster, from measured parts: ``python cost.py MODEL IMAGES``.

IMAGES is a folder of at least 48. Processor time is told, which a busy machine stretches least.
"""

import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from ssimae.jobs.spread.cluster import connected, spread

FEW, MANY = 16, 48
PARTS = 2000
MILLION = 1_000_000


def predict(model, images, out):
    """Inspect images in one process; return its processor time in seconds and the bytes it wrote."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    command = [sys.executable, "-m", "ssimae", "predict", str(model), *map(str, images), "--out", str(out)]
    subprocess.run(command, check=True, capture_output=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    written = sum(path.stat().st_size for path in out.rglob("*") if path.is_file())
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime, written


def give_back():
    """Return work that does nothing."""
    return lambda part: part


def way_s():
    """Return the seconds that Ray takes to hand an image to a worker and back."""
    with connected("local") as ray:
        done = spread(ray, give_back, list(range(16 * PARTS)), gpu=False)
        next(done)
        start = time.perf_counter()
        count = sum(map(len, done))
        return (time.perf_counter() - start) / count


if __name__ == "__main__":
    model, folder = map(Path, sys.argv[1:])
    images = sorted(path for path in folder.iterdir() if path.is_file())[:MANY]
    with tempfile.TemporaryDirectory() as out:
        few, few_bytes = predict(model, images[:FEW], Path(out, "few"))
        many, many_bytes = predict(model, images, Path(out, "many"))
    each, size = ((more - less) / (MANY - FEW) for more, less in ((many, few), (many_bytes, few_bytes)))
    way = way_s()
    print(f"an image: {1000 * each:.0f} ms of a processor, {size / 1e6:.2f} MB of files")
    print(f"before the first: {few - FEW * each:.1f} s of a processor for each worker")
    print(
        f"the way to a worker and back: {1e6 * way:.0f} us an image, so up to {each / way:.0f} processors are kept busy"
    )
    print(f"a million: {MILLION * each / 3600:.0f} hours of a processor, {MILLION * size / 1e12:.2f} TB of files")
