"""ssimae: surface defects found without defect examples (Bergmann et al. 2019)."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

# Needs torch alone, and is more than a name: the module `ssim` would hide the function.
from ssimae.loss import ssim, ssim_loss

if TYPE_CHECKING:
    from ssimae.config import Settings
    from ssimae.datasets import Dataset, Sample, open_dataset
    from ssimae.detector import Detector, Prediction
    from ssimae.evaluation import evaluate_maps
    from ssimae.evaluator import Evaluator
    from ssimae.images import read_image
    from ssimae.metrics import Evaluation
    from ssimae.model import Autoencoder, VariationalAutoencoder
    from ssimae.presets import preset
    from ssimae.regions import RegionStatistics, label_regions, region_statistics
    from ssimae.tiling import Stitcher, extract_patches, patch_grid, stitch_patches

__all__ = [
    "Autoencoder",
    "Dataset",
    "Detector",
    "Evaluation",
    "Evaluator",
    "Prediction",
    "RegionStatistics",
    "Sample",
    "Settings",
    "Stitcher",
    "VariationalAutoencoder",
    "evaluate_maps",
    "extract_patches",
    "label_regions",
    "open_dataset",
    "patch_grid",
    "preset",
    "read_image",
    "region_statistics",
    "ssim",
    "ssim_loss",
    "stitch_patches",
]

_MODULES = {
    "config": ("Settings",),
    "datasets": ("Dataset", "Sample", "open_dataset"),
    "detector": ("Detector", "Prediction"),
    "evaluation": ("evaluate_maps",),
    "evaluator": ("Evaluator",),
    "images": ("read_image",),
    "metrics": ("Evaluation",),
    "model": ("Autoencoder", "VariationalAutoencoder"),
    "presets": ("preset",),
    "regions": ("RegionStatistics", "label_regions", "region_statistics"),
    "tiling": ("Stitcher", "extract_patches", "patch_grid", "stitch_patches"),
}
_HOME = {name: module for module, names in _MODULES.items() for name in names}


def __getattr__(name: str) -> Any:
    """Import a public name when it is first used: who wants the SSIM operator waits for torch only (PEP 562)."""
    if name not in _HOME:
        raise AttributeError(f"module 'ssimae' has no attribute {name!r}")
    found = getattr(importlib.import_module(f"ssimae.{_HOME[name]}"), name)
    globals()[name] = found
    return found


def __dir__() -> list[str]:
    """Return the public names, imported or not."""
    return __all__
