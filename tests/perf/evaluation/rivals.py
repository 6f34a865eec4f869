"""Other packages' metrics of anomaly maps behind one shape, each by the fastest call that its documentation offers.

Imports nothing of ssimae or of the tests: the script that uses it also runs in other packages' own environment.
"""

import numpy as np


def ssimae(maps, masks):
    """All metrics."""
    from ssimae import evaluate_maps

    found = evaluate_maps(maps, masks)
    return {"auroc": found.auroc, "average_precision": found.average_precision, "au_pro": found.aupro}


def official(maps, masks):
    """AU-PRO alone."""
    from perf.evaluation.official import au_pro

    return {"au_pro": au_pro(maps, masks)}


def scikit_learn(maps, masks):
    """AUROC and average precision, a sort each; views, not copies, go in."""
    from sklearn.metrics import average_precision_score, roc_auc_score

    labels, scores = masks.ravel(), maps.ravel()
    return {
        "auroc": float(roc_auc_score(labels, scores)),
        "average_precision": float(average_precision_score(labels, scores)),
    }


def torchmetrics(maps, masks):
    """AUROC and average precision without bins; the functional form, which keeps no state."""
    import torch
    from torchmetrics.functional.classification import binary_auroc, binary_average_precision

    scores, labels = torch.from_numpy(maps).ravel(), torch.from_numpy(masks).ravel().int()
    options = {"thresholds": None, "validate_args": False}
    return {
        "auroc": float(binary_auroc(scores, labels, **options)),
        "average_precision": float(binary_average_precision(scores, labels, **options)),
    }


def anomalib(maps, masks):
    """AU-PRO alone, without bins, its default."""
    import torch
    from anomalib.metrics.aupro import _AUPRO

    metric = _AUPRO(fpr_limit=0.3)
    metric.update(torch.from_numpy(maps), torch.from_numpy(masks).int())
    return {"au_pro": float(metric.compute())}


def adeval(maps, masks):
    """AUROC, average precision and AU-PRO by bins; its accumulator, which sees each image twice."""
    from adeval import EvalAccumulator

    accumulator = EvalAccumulator(float(maps.min()), float(maps.max()))
    for map_, mask in zip(maps, masks):
        accumulator.add_anomap(map_, mask)
        accumulator.add_image(float(map_.max()), bool(mask.any()))
    found = accumulator.summary()
    return {"auroc": found["p_auroc"], "average_precision": found["p_aupr"], "au_pro": found["p_aupro"]}


RIVALS = {
    "official": official,
    "scikit-learn": scikit_learn,
    "torchmetrics": torchmetrics,
    "anomalib": anomalib,
    "ADEval": adeval,
}

DISTRIBUTIONS = {
    "official": "numpy", "scikit-learn": "scikit-learn", "torchmetrics": "torchmetrics", "anomalib": "anomalib",
    "ADEval": "ADEval", "ssimae": "ssimae",
}  # fmt: skip

WARM = np.array([[[0.25, 0.5], [0.75, 1.0]]] * 2, np.float32), np.array([[[0, 1], [0, 1]], [[0, 0], [0, 0]]], np.uint8)
"""Two images for a first call, which imports and compiles."""
