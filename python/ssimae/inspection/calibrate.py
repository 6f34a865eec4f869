"""Calibrate a trained network: inspect the held-out good images and set the thresholds on them."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
import torch
from numpy.typing import NDArray

from ssimae.config.settings import Settings
from ssimae.hardware import describe
from ssimae.inspection.holdout import GoodImages, take
from ssimae.inspection.residual import inspect_image
from ssimae.inspection.threshold import Thresholds, set_thresholds
from ssimae.models.build import Network


def calibrate(
    model: Network,
    good: GoodImages,
    settings: Settings,
    *,
    device: torch.device,
    precision: str,
    on_part: Callable[[int], None] | None = None,
) -> Thresholds:
    """Return the thresholds that the held-out good images give.

    Parameters
    ----------
    model : Autoencoder, VariationalAutoencoder or FeatureDictionary
        Trained network, on `device`.
    good : GoodImages
    settings : Settings
    device : torch.device
    precision : {"float32", "bfloat16"}
        Arithmetic of the forward pass.
    on_part : callable, optional
        Called after every held-out part with the number of those inspected so far.

    Raises
    ------
    ValueError
        As :func:`.threshold.set_thresholds` does.
    """
    residuals, masks = [], []
    for residual, mask in _held_out_residuals(model, good, settings, device=device, precision=precision):
        residuals.append(residual)
        masks.append(mask)
        if on_part is not None:
            on_part(len(residuals))
    return set_thresholds(
        residuals,
        settings,
        ignored=masks,
        masked=good.masked,
        held_out=good.split.kind != "none",
        precision=precision,
        engine=f"torch {torch.__version__} on {describe(device)}",
    )


def _held_out_residuals(
    model: Network,
    good: GoodImages,
    settings: Settings,
    *,
    device: torch.device,
    precision: str,
) -> Iterator[tuple[NDArray[np.float32], NDArray[np.bool_] | None]]:
    """Yield the residual map of each held-out part, computed on the whole image as at inspection, and its mask."""
    for index, region in good.split.held_out:
        ignored = good.ignored[index]
        _, residual = inspect_image(
            model, good.images[index], settings, device=device, precision=precision, ignored=ignored
        )
        rows, columns = (_unscaled(side, settings.scale) for side in region)
        yield take(residual, (rows, columns)), None if ignored is None else take(ignored, (rows, columns))


def _unscaled(side: slice, scale: float) -> slice:
    start, stop = (None if end is None else round(end / scale) for end in (side.start, side.stop))
    return slice(start, stop)
