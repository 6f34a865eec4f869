"""The PRO curve of MVTec AD's official evaluation as its paper defines it, transcribed to numpy: oracle and rival.

Everything at once: all scores in one array, sorted by one argsort, summed by two cumsums in float64 (the published code
sums false positives in float32). Bergmann, Batzner, Fauser, Sattlegger, Steger: The MVTec Anomaly Detection Dataset.
IJCV 2021, sec. 5.
"""

import numpy as np
from scipy.ndimage import label

EIGHT_CONNECTED = np.ones((3, 3))


def pro_curve(maps, masks):
    """Return false positive rates and mean overlaps, both from 0 to 1."""
    weights, good, regions = [], [], 0
    for mask in masks:
        labels, count = label(mask, EIGHT_CONNECTED)
        areas = np.bincount(labels.ravel())
        own = np.zeros(len(areas))
        own[1:] = 1 / areas[1:]
        weights.append(own[labels])
        good.append(labels == 0)
        regions += count
    scores, good, weights = np.stack(maps).ravel(), np.stack(good).ravel(), np.stack(weights).ravel()
    order = np.argsort(scores)[::-1]
    scores = scores[order]
    fprs = np.cumsum(good[order], dtype=np.float64)
    pros = np.cumsum(weights[order], dtype=np.float64)
    last_of_ties = np.append(np.diff(scores) != 0, True)
    fprs, pros = fprs[last_of_ties] / fprs[-1], np.clip(pros[last_of_ties] / regions, 0, 1)
    return np.concatenate([[0], fprs, [1]]), np.concatenate([[0], pros, [1]])


def au_pro(maps, masks, limit=0.3):
    """Return the area under the curve up to a false positive rate, linear there, divided by it."""
    fprs, pros = pro_curve(maps, masks)
    end = int(np.searchsorted(fprs, limit, side="right"))
    height = np.interp(limit, fprs[end - 1 : end + 1], pros[end - 1 : end + 1])
    return float(np.trapezoid(np.append(pros[:end], height), np.append(fprs[:end], limit)) / limit)
