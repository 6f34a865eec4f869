"""Score an anomalib model exactly: store its raw maps beside each other, and let `ssimae evaluate` read them.

    python score_anomalib.py MODEL CHECKPOINT DATA OUT       for example: Patchcore patchcore.ckpt mvtec/carpet scores
    ssimae evaluate OUT/maps DATA --resize bilinear          (which this script does at its end)

anomalib draws maps as pictures; scores are needed here, of float32 and unscaled. DATA is a data set that ssimae reads,
with test images and masks. The maps have the size that the model computes, and are resized when they are scored.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import ssimae
import tifffile
from ssimae.cli import main as run_ssimae


def predicted(model: str, checkpoint: Path, images: Path) -> Iterator[tuple[Path, np.ndarray]]:
    """Yield the path and the raw map, (h, w) float32, of every image in a folder and below."""
    try:
        from anomalib.data import PredictDataset
        from anomalib.engine import Engine
        from anomalib.models import get_model
    except ImportError:
        sys.exit("this example needs anomalib, which is not installed: pip install anomalib")
    network = type(get_model(model)).load_from_checkpoint(checkpoint, visualizer=False)
    # Maps as the model computes them: neither scaled to [0, 1] nor cut off. A checkpoint says otherwise, so after it.
    network.post_processor.enable_normalization = False
    network.post_processor.enable_thresholding = False
    batches = Engine().predict(model=network, dataset=PredictDataset(images))
    for batch in batches or []:
        for path, map_ in zip(batch.image_path, batch.anomaly_map, strict=True):
            yield Path(path), np.asarray(map_.cpu().numpy(), dtype=np.float32).squeeze()


def store_maps(maps: Iterable[tuple[Path, np.ndarray]], samples: Iterable[Any], folder: Path) -> int:
    """Write the map of each test image as ``<defect>/<name>.tiff``, whatever order they come in; return how many."""
    targets = {sample.path.resolve(): folder / sample.defect / f"{sample.name}.tiff" for sample in samples}
    written = 0
    for image, map_ in maps:
        target = targets.get(image.resolve())
        if target is not None:  # masks and other pictures below the folder are no test images
            target.parent.mkdir(parents=True, exist_ok=True)
            tifffile.imwrite(target, map_)
            written += 1
    return written


def main() -> int:
    """Predict, store and score; return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", help="name of a class of anomalib.models, such as Patchcore")
    parser.add_argument("checkpoint", type=Path)
    parser.add_argument("data", type=Path)
    parser.add_argument("out", type=Path)
    given = parser.parse_args()
    dataset = ssimae.open_dataset(given.data)
    folder = Path(dataset.test[0].path).parents[1]
    count = store_maps(predicted(given.model, given.checkpoint, folder), dataset.test, given.out / "maps")
    print(f"{given.out / 'maps'}: {count} maps")
    arguments = ["evaluate", str(given.out / "maps"), str(given.data), "--out", str(given.out / "scores")]
    return run_ssimae([*arguments, "--resize", "bilinear"])


if __name__ == "__main__":
    sys.exit(main())
