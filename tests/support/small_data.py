"""A data set so small that a whole run on it takes a second."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from ssimae.storage.facts import Facts

SETTINGS = [
    *(
        "--preset",
        "default",
        "--patch-size",
        "32",
        "--latent-dim",
        "8",
        "--patches",
        "48",
        "--epochs",
        "3",
        "--batch-size",
        "16",
    ),
    *("--stride", "16", "--opening", "0", "--min-area", "4", "--precision", "float32"),
    "--allow-collapsed",
]
"""Flags of such a run: in so few steps nothing is learned."""


_FACTS = Facts(
    data=Path("/nowhere"),
    dataset="small",
    layout="mvtec",
    fingerprint="0" * 64,
    preset="default",
    quick=False,
    train_only=False,
    created="2024-05-06T07:08:09+00:00",
    ssimae="0.1.0",
    torch="2.12.0",
    python="3.11.7",
    platform="Linux",
    device="CPU, 2 threads, AVX512",
    precision="float32",
    threads=2,
    train_images=24,
    warnings=(),
)


def small_facts(**changes: Any) -> Facts:
    """Return the facts of a run, with some of them changed."""
    return replace(_FACTS, **changes)


def texture(rng: np.random.Generator, height: int = 70, width: int = 96) -> np.ndarray:
    rows, columns = np.arange(height)[:, None], np.arange(width)[None, :]
    wave = 128 + 60 * np.sin(rows / 2.5 + rng.uniform(0, 6)) * np.cos(columns / 3 + rng.uniform(0, 6))
    return (wave + rng.normal(0, 5, (height, width))).clip(0, 255).astype(np.uint8)


def write_small_dataset(root: Path, height: int = 70, width: int = 96) -> Path:
    """MVTec AD layout: 4 good images, 1 good and 2 defective test images with masks."""
    rng = np.random.default_rng(0)
    for folder, names in (("train/good", "abcd"), ("test/good", "e"), ("test/hole", "fg")):
        (root / folder).mkdir(parents=True)
        for name in names:
            Image.fromarray(texture(rng, height, width)).save(root / folder / f"{name}.png")
    (root / "ground_truth/hole").mkdir(parents=True)
    for name in "fg":
        image = np.array(Image.open(root / "test/hole" / f"{name}.png"))
        mask = np.zeros_like(image)
        mask[20:40, 30:60] = 255
        image[20:40, 30:60] = rng.integers(0, 255, (20, 30))
        Image.fromarray(image).save(root / "test/hole" / f"{name}.png")
        Image.fromarray(mask).save(root / "ground_truth/hole" / f"{name}_mask.png")
    return root
