"""An inspector that nobody trained or fitted: its numbers mean nothing, but every step of an inspection is taken."""

import numpy as np
import torch
from ssimae.calibration.calibration import Calibration
from ssimae.calibration.colour import ColourDistance
from ssimae.calibration.expectation import Expectation
from ssimae.calibration.places import N_BORDER, N_FEATURES
from ssimae.calibration.reference import Reference
from ssimae.calibration.whole import WholeLimits
from ssimae.config.settings import Settings
from ssimae.engines.pytorch import torch_engine
from ssimae.inspection.inspector import Inspector
from ssimae.inspection.threshold import Thresholds
from ssimae.models.build import new_autoencoder
from ssimae.models.head import FEATURES, Head


def _expectation(n_features: int, seed: int) -> Expectation:
    rng = np.random.default_rng(seed)
    weights = [rng.normal(0, 0.3, shape).astype(np.float32) for shape in ((n_features, 32), (32, 32), (32, 1))]
    biases = [rng.normal(0, 0.3, shape).astype(np.float32) for shape in (32, 32, 1)]
    spread = np.full(n_features, 0.3, np.float32)
    return Expectation(n_features, np.zeros(n_features, np.float32), spread, tuple(weights), tuple(biases))


def made_up_inspector(settings: Settings, shape: tuple[int, ...]) -> Inspector:
    """Return an inspector of images of a shape, with head, distance and position where the settings calibrate."""
    reference = head = None
    if settings.calibration != "none":
        cells = tuple(-(-side // 4) for side in shape[:2])
        position = np.random.default_rng(5).normal(0, 0.1, cells).astype(np.float32)
        channels = {
            "residual": Calibration(0.02, _expectation(N_FEATURES, 1), position),
            "head": Calibration(0.01, _expectation(N_BORDER, 2), None),
            "distance": Calibration(0.02, _expectation(N_FEATURES, 4), None),
        }
        colour = None
        if settings.channels == 3:
            channels["colour"] = Calibration(0.05, _expectation(N_FEATURES, 3), -position)
            weights = np.array([[3, 0, 0], [-2, 4, 0], [1, -3, 5]], np.float32)
            colour = ColourDistance(np.full(3, 0.02, np.float32), np.array([-0.5, -0.4, -0.2], np.float32), weights)
        # Its surface as a whole is unlike the good ones: the map is divided by the excess.
        reference = Reference(channels, WholeLimits((-9.0,) * 4, (9.0, 9.0, 9.0, -5.0)), colour)
        head = Head(settings.channels, seed=0).eval()
        head = head.knowing(torch.linspace(-1, 1, FEATURES), torch.eye(FEATURES) + 0.1)
    model = new_autoencoder(settings, seed=0).eval()
    engine = torch_engine(model, settings, head=head, device=torch.device("cpu"), precision="float32")
    return Inspector(engine=engine, settings=settings, reference=reference)


def made_up_thresholds(review: float, defective: float) -> Thresholds:
    """Return thresholds of two levels for regions of nine pixels."""
    return Thresholds(
        review, defective, rule="area", min_area=9, held_out=True, images=1, pixels=1, precision="float32",
        engine="torch", good_scores=(),
    )  # fmt: skip
