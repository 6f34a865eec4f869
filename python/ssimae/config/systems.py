"""The systems that Bergmann et al. 2019 compare (sec. 4.1), a row each.

Whoever needs to know what sets a system apart asks its row. A new autoencoder is a new name in :data:`Loss`, a row
here, and a module of its name in :mod:`ssimae.losses`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Method = Literal["autoencoder", "dictionary"]
Loss = Literal["ssim", "l2", "vae", "fm"]
System = Literal[Loss, "dictionary"]

Features = Literal["imagenet", "efficientnet-lite0", "random"]
"""Fixed features of FM-AE and the dictionary."""

Pretrained = Literal["alexnet", "resnet18"]
"""Networks of torchvision whose features a system may use."""


@dataclass(frozen=True, kw_only=True)
class SystemRow:
    """One system, and everything that sets it apart from the others."""

    name: System
    title: str
    """Name as the paper writes it."""
    method: Method = "autoencoder"
    loss: Loss | None
    """Loss of an autoencoder; None where the setting `loss` is ignored."""
    pretrained: Pretrained | None = None
    """Network whose fixed features it uses."""
    variational: bool = False
    """Whether its network draws latent values instead of computing them."""
    windowed: bool = False
    """Whether its residual compares windows, which spread a point, and not single pixels."""
    rebuilds: bool = True
    """Whether it rebuilds the image; without a reconstruction, all there is to see is the residual."""
    has_loss_curve: bool = True
    """Whether its loss falls over many steps, so that there is a curve to draw."""
    many_epochs: bool = True
    """Whether it sees the patches `epochs` times, and not once."""
    patch_setting: Literal["patch_size", "dictionary_patch"] = "patch_size"
    """Setting that holds the side of its patches."""
    measure: str = "loss"
    """What the log's last number is called."""


ROWS: dict[str, SystemRow] = {
    row.name: row
    for row in (
        SystemRow(name="ssim", title="SSIM-AE", loss="ssim", windowed=True),
        SystemRow(name="l2", title="L2-AE", loss="l2"),
        SystemRow(name="vae", title="VAE", loss="vae", variational=True),
        SystemRow(name="fm", title="FM-AE", loss="fm", pretrained="alexnet"),
        # The comparator of Napoletano et al. 2018.
        SystemRow(
            name="dictionary",
            title="CNN dictionary",
            method="dictionary",
            loss=None,
            pretrained="resnet18",
            rebuilds=False,
            has_loss_curve=False,
            many_epochs=False,
            patch_setting="dictionary_patch",
            measure="mean distance to the dictionary",
        ),
    )
}
"""All systems by name."""

TITLES: dict[str, str] = {name: row.title for name, row in ROWS.items()}
"""Names as the paper writes them."""


_FEATURES = {"efficientnet-lite0": "EfficientNet-Lite0", "random": "random features"}
_IMAGENET: dict[Pretrained, str] = {"alexnet": "AlexNet", "resnet18": "ResNet-18"}


def title_with_features(name: str, features: str) -> str:
    """Return the title of a system, and which network's features it compares where it does: ``FM-AE (AlexNet)``."""
    row = ROWS[name]
    if row.pretrained is None:
        return row.title
    return f"{row.title} ({_FEATURES.get(features) or _IMAGENET[row.pretrained]})"


def row_of(method: Method, loss: Loss) -> SystemRow:
    """Return the row of the system that two settings choose."""
    return next(row for row in ROWS.values() if row.method == method and row.loss in (None, loss))
