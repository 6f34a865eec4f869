"""Score a fitted detector: by labels, or by defects planted on good images."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import roc_auc_score

from ssimae.images.depth import Image
from ssimae.inspection.holdout import GoodImages, Split
from ssimae.inspection.inspector import Inspector
from ssimae.tuning.parts import GOOD_PIXELS, PLANTED_PIXELS, fewer_parts, plant_images
from ssimae.tuning.score import score_maps

_SEED = 0
"""Of the planted defects: the same for all detectors that are compared."""


def image_auroc(scores: NDArray[np.float64], is_defective: NDArray[np.bool_]) -> float:
    """Return the AUROC of images, larger scores being more defective.

    Raises
    ------
    ValueError
        If all images are of one kind.
    """
    if is_defective.all() or not is_defective.any():
        kind = "defective" if is_defective.any() else "good"
        raise ValueError(
            f"`y` calls all {len(is_defective)} images {kind}, and an AUROC takes both kinds; in a search, folds have "
            "both with cv=StratifiedKFold(shuffle=True), and images that are all good are scored without `y`"
        )
    return float(roc_auc_score(is_defective, scores))


def planted_score(
    inspector: Inspector, images: Sequence[Image], ignored: Sequence[NDArray[np.bool_] | None], *, min_area: int
) -> float:
    """Return how well defects are found that are planted on good images, in [0, 1]; see :mod:`ssimae.tuning.score`.

    Raises
    ------
    ValueError
        If the images are too small or too plain for a defect that can be seen.
    """
    whole = (slice(None), slice(None))
    everything = tuple((index, whole) for index in range(len(images)))
    good = fewer_parts(GoodImages(tuple(images), tuple(ignored), False, Split((), everything, "images")), GOOD_PIXELS)
    used = good.split.held_out
    planted, labels, masks = [], [], []
    for made in plant_images(good, scale=1.0, seed=_SEED, pixels=PLANTED_PIXELS):
        mask = ignored[used[made.index][0]]
        planted.append(inspector.inspect(made.image, mask).judged)
        labels.append(made.labels)
        masks.append(mask)
    if not any(label.any() for label in labels):
        raise ValueError("no defect could be planted that is seen: the images are too small or too plain; give `y`")
    levels = [inspector.inspect(images[index], ignored[index]).judged for index, _ in used]
    return score_maps(levels, planted, labels, min_area=min_area, ignored=masks).value
