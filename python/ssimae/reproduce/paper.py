"""The numbers of Bergmann et al. 2019 that results are compared with (sec. 4.3, table 2, fig. 7)."""

from __future__ import annotations

AUROC = {"ssim": 0.966, "l2": 0.688, "dictionary": 0.974}
"""Pixel AUROC on NanoTWICE; the dictionary's is the highest that Napoletano et al. 2018 report. Those of the VAE and of
FM-AE stand in a figure alone."""

MEDIAN_OVERLAP = 0.91
"""Share of a defect that is found at least, for half of the defects, at a false positive rate of 5 % (fig. 7)."""

TABLE_2 = {
    "latent_dim": {50: 0.848, 100: 0.935, 200: 0.961, 500: 0.966, 1000: 0.962},
    "window_size": {3: 0.889, 7: 0.965, 11: 0.966, 15: 0.960, 19: 0.952},
    "patch_size": {32: 0.949, 64: 0.959, 128: 0.966},
}
"""Pixel AUROC of SSIM-AE on NanoTWICE by one setting, the others as in the best row."""

FORWARD_S = 2.23e-3
"""Forward pass of a patch, d = 500, on a Tesla V100."""

IMAGE_S = 3.61
"""Whole image of 1024 x 700 at stride 30, on a Tesla V100."""

NAPOLETANO_IMAGE_S = (15.0, 55.0)
"""The same by the dictionary, as Napoletano et al. 2018 report it."""
