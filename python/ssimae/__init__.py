"""ssimae: surface defects found without defect examples (Bergmann et al. 2019)."""

from ssimae.config import Settings, preset
from ssimae.datasets import Dataset, Sample, open_dataset
from ssimae.detector import Detector, Prediction
from ssimae.evaluation import Evaluation, evaluate_maps
from ssimae.images import read_image
from ssimae.loss import ssim, ssim_loss
from ssimae.model import Autoencoder
from ssimae.regions import RegionStatistics, label_regions, region_statistics
from ssimae.tiling import extract_patches, patch_grid, stitch_patches

__all__ = [
    "Autoencoder",
    "Dataset",
    "Detector",
    "Evaluation",
    "Prediction",
    "RegionStatistics",
    "Sample",
    "Settings",
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
