from .config.presets import preset as preset
from .config.settings import Settings as Settings
from .data.dataset import Dataset as Dataset
from .data.dataset import Sample as Sample
from .data.layouts import open_dataset as open_dataset
from .detector.detector import Detector as Detector
from .evaluation.evaluate import evaluate_maps as evaluate_maps
from .evaluation.evaluator import Evaluator as Evaluator
from .evaluation.result import Evaluation as Evaluation
from .images.read import read_image as read_image
from .models.autoencoder import Autoencoder as Autoencoder
from .models.autoencoder import VariationalAutoencoder as VariationalAutoencoder
from .prediction.prediction import Prediction as Prediction
from .regions import RegionStatistics as RegionStatistics
from .regions import label_regions as label_regions
from .regions import region_statistics as region_statistics
from .runtime import Runtime as Runtime
from .similarity.loss import ssim as ssim
from .similarity.loss import ssim_loss as ssim_loss
from .tensors.torch_dataset import TorchDataset as TorchDataset
from .tiling import Stitcher as Stitcher
from .tiling import extract_patches as extract_patches
from .tiling import patch_grid as patch_grid
from .tiling import stitch_patches as stitch_patches

__version__: str
