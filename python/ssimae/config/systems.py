"""The systems that Bergmann et al. 2019 compare (sec. 4.1): names, and the settings that make them."""

from __future__ import annotations

import dataclasses
from typing import Any, Literal

from ssimae.config.settings import Settings

System = Literal["ssim", "l2", "vae", "fm", "dictionary"]

TITLES: dict[str, str] = {
    "ssim": "SSIM-AE",
    "l2": "L2-AE",
    "vae": "VAE",
    "fm": "FM-AE",
    "dictionary": "CNN dictionary",
}
"""Names as the paper writes them; the last is the comparator of Napoletano et al. 2018."""

PRETRAINED: dict[str, Literal["alexnet", "resnet18"]] = {"fm": "alexnet", "dictionary": "resnet18"}
"""The network whose features a system uses."""


def as_system(settings: Settings, system: str) -> Settings:
    """Return the settings with another system, all else alike.

    Raises
    ------
    ValueError
        If it is not the name of one.
    """
    if system not in TITLES:
        raise ValueError(f"`system` must be one of {', '.join(TITLES)}, got {system!r}")
    change: dict[str, Any] = {"method": "dictionary"} if system == "dictionary" else {"loss": system}
    return dataclasses.replace(settings, **({"method": "autoencoder"} | change))


def title(settings: Settings) -> str:
    """Return the name of the system that settings make, as the paper writes it."""
    return TITLES[settings.system]
