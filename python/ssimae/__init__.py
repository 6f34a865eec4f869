"""ssimae: surface defects found without defect examples (Bergmann et al. 2019)."""

from ssimae.config import Settings, preset
from ssimae.model import Autoencoder

__all__ = [
    "Autoencoder",
    "Settings",
    "preset",
]
