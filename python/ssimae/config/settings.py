"""Settings of a run: one frozen dataclass, its presets, and the rules between its values.

The fields are the single source of the command line's flags, of ``config.toml`` and of the defaults of
:class:`ssimae.Detector`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from numbers import Integral, Real
from typing import Literal

PATCH_SIZES = (32, 64, 128, 256)
"""Patch sizes the network is defined for; the last encoder kernel is a sixteenth of them."""

MAX_WINDOW_SIZE = 31

INSPECTION = frozenset(
    {
        "stride", "margin", "residual_window", "residual_window_size", "residual_scales", "residual_average",
        "residual_flips", "residual_smoothing", "latent_samples", "variance_floor", "dictionary_stride", "opening",
        "threshold_rule", "min_area", "threshold_fpr", "review_fpr",
    }
)  # fmt: skip
"""Settings that can change without training again: how images are inspected and thresholds set."""

_WHOLE_NUMBERS = (
    "latent_dim", "patch_size", "channels", "patches", "epochs", "batch_size", "stains", "checkpoint_every",
    "window_size", "stride", "margin", "residual_window_size", "residual_scales", "latent_samples", "dictionary_size",
    "dictionary_patch", "dictionary_stride", "opening", "min_area", "seed",
)  # fmt: skip

_NUMBERS = (
    "scale", "data_range", "zoom", "lr", "weight_decay", "sigma", "kl_weight", "feature_weight", "dictionary_variance",
    "residual_smoothing", "variance_floor", "threshold_fpr", "review_fpr",
)  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Settings:
    """Everything that decides what a run computes.

    The defaults are the tool's own; ``preset("paper")`` and ``preset("paper-texture")`` are the letter of Bergmann et
    al. 2019.
    """

    method: Literal["autoencoder", "dictionary"] = "autoencoder"
    """What learns the good surface: an autoencoder, or the dictionary of pretrained features of Napoletano et al. 2018,
    for which `loss` and all that concerns the network count for nothing."""
    loss: Literal["ssim", "l2", "vae", "fm"] = "ssim"
    """Training loss, and with it the residual: `ssim` structural similarity, `l2` squared error (sec. 3.1, 3.2); `vae`
    squared error of a variational autoencoder, `fm` squared error of gray and of pretrained features (sec. 4.1)."""
    latent_dim: int = 100
    """Size of the bottleneck d: 100 for textures, 500 for nanofibres (sec. 4.2)."""
    patch_size: int = 128
    """Side of a training patch in pixels: 32, 64, 128 or 256 (sec. 4.2: 128)."""
    channels: int = 1
    """1 for gray, 3 for colour."""
    scale: float = 1.0
    """Images are resized by this factor before cropping; residuals are enlarged back."""
    data_range: float | None = None
    """Value that counts as white; needed for float images, and for 12-bit data in 16-bit files."""

    patches: int = 10_000
    """Training patches an epoch (sec. 4.2)."""
    epochs: int = 200
    """Passes over that many patches (sec. 4.2)."""
    batch_size: int = 128
    """Patches a step (sec. 4.2)."""
    crops: Literal["pool", "fresh"] = "pool"
    """`pool`: positions drawn once and reshuffled each epoch (sec. 4.2); `fresh`: new positions each epoch."""
    zoom: float = 0.0
    """Largest change of a training crop's height and width, each by a random factor up to 1 + `zoom`: for surfaces
    whose weave or grain is not always equally dense. 0 for none."""
    turns: Literal["none", "flips", "all"] = "none"
    """How training crops are laid at random: `flips` mirrors them left to right, top to bottom, both or not; `all` also
    turns them by quarters. For surfaces that look alike in those directions."""
    stains: int = 3
    """Ellipses of one gray value or colour painted over each training crop before the network sees it; the loss asks
    for the crop without them. The network then learns to rebuild the surface under a defect, and not the defect. The
    paper's is 0."""
    lr: float = 2e-4
    """Learning rate of Adam; the peak of a schedule that is not constant (sec. 4.2)."""
    schedule: Literal["constant", "cooldown", "one-cycle"] = "constant"
    """Learning rate over the run: `constant` (sec. 4.2); `cooldown`, constant and falling to 0 over the last fifth;
    `one-cycle`, rising over the first 30 % and falling to 0 over the rest."""
    weight_decay: float = 1e-5
    """L2 penalty of Adam (sec. 4.2)."""
    precision: Literal["auto", "float32", "bfloat16"] = "auto"
    """Arithmetic of the network; `auto` takes bfloat16 where the processor has the instructions."""
    checkpoint_every: int = 60
    """Seconds between two saved training states."""

    window: Literal["gaussian", "uniform"] = "gaussian"
    """SSIM window of the training loss."""
    window_size: int = 11
    """Side K of the loss window in pixels (sec. 4.2: 11)."""
    sigma: float = 1.5
    """Standard deviation of Gaussian windows in pixels."""
    constants: Literal["standard", "literal"] = "standard"
    """`standard`: C1 = 0.01^2, C2 = 0.03^2 (Wang et al. 2004); `literal`: 0.01 and 0.03 as the paper's text reads."""
    border: Literal["reflect", "symmetric", "zero"] = "reflect"
    """How windows continue past the border of a patch or image."""
    kl_weight: float = 0.01
    """VAE: weight of the Kullback-Leibler divergence of a patch, summed over latent values and divided by its pixels,
    beside the mean squared error. 2 v makes it the evidence lower bound for noise of variance v."""
    feature_weight: float = 1.0
    """FM-AE: weight lambda of the mean squared error of features beside that of gray values."""
    features: Literal["imagenet", "random"] = "imagenet"
    """FM-AE and dictionary: weights of the fixed network, torchvision's for ImageNet, or random ones of `seed`."""
    dictionary_size: int = 100
    """Dictionary: number of normal features kept, the centres of k-means."""
    dictionary_patch: int = 32
    """Dictionary: side in pixels of the patches whose features are compared: 16 or 32."""
    dictionary_variance: float = 0.95
    """Dictionary: share of the features' variance that the principal components keep."""

    stride: int = 30
    """Step between patches at inspection in pixels (sec. 4.2: 30)."""
    margin: int = 0
    """Pixels the image is continued by, mirrored, at inspection: without them the border lies in few patches and is
    rebuilt worse than the rest. Helps where the mirrored surface looks like the surface; regular weaves may not."""
    residual_window: Literal["gaussian", "uniform"] = "uniform"
    """SSIM window of the residual map."""
    residual_window_size: int = 11
    """Side of the residual's window in pixels."""
    residual_scales: int = 3
    """Sizes at which the SSIM residual is taken, each half the one before, and averaged: coarser ones see larger
    defects than the window. Those at which a patch is smaller than the window are left out. The paper's is 1."""
    residual_average: bool = False
    """Average the patches' residuals instead of their reconstructions."""
    residual_flips: bool = False
    """Rebuild each image mirrored left to right, top to bottom, and both ways too, and keep the lowest residual: a good
    place is rebuilt well some way, a defect in none. Takes four times as long; for surfaces that may be mirrored."""
    latent_samples: int = 6
    """VAE: latent samples N that a patch is rebuilt from at inspection (sec. 4.1: 6)."""
    variance_floor: float = 1e-4
    """VAE: least variance of the rebuilt gray values, in [0, 1]^2, that their squared error is divided by."""
    dictionary_stride: int = 8
    """Dictionary: step in pixels between patches at inspection; scores are interpolated in between."""
    residual_smoothing: float = 0.0
    """Standard deviation in pixels of a Gaussian over the residual map; 0 leaves it as it is."""
    opening: int = 4
    """Diameter in pixels of the disk that opens the residual map; 0 leaves it as it is (sec. 4.2: 4)."""

    hold_out: bool = True
    """Keep some good images, or a band of each when there are fewer than 20, out of training for the thresholds."""
    threshold_rule: Literal["area", "fpr"] = "area"
    """`area`: no region of `min_area` pixels on good images; `fpr`: a share of good pixels lies above."""
    min_area: int | None = None
    """Smallest region in pixels that counts as a defect; by default what a single point is spread over by the window
    and the smoothing of the residual (see `smallest_region`)."""
    threshold_fpr: float = 0.001
    """Share of good pixels above the threshold `defective` under the rule `fpr`."""
    review_fpr: float = 0.01
    """Share of good pixels above the threshold `review`."""

    seed: int = 0
    """Seed of initialisation, crops and order."""

    def __post_init__(self) -> None:
        """Refuse what cannot work, naming the setting, the rule and the value.

        Raises
        ------
        ValueError
            For the first setting that breaks its rule.
        """
        _choice("method", self.method, ("autoencoder", "dictionary"))
        _choice("loss", self.loss, ("ssim", "l2", "vae", "fm"))
        _choice("features", self.features, ("imagenet", "random"))
        _choice("crops", self.crops, ("pool", "fresh"))
        _choice("turns", self.turns, ("none", "flips", "all"))
        _choice("schedule", self.schedule, ("constant", "cooldown", "one-cycle"))
        _choice("precision", self.precision, ("auto", "float32", "bfloat16"))
        _choice("window", self.window, ("gaussian", "uniform"))
        _choice("residual_window", self.residual_window, ("gaussian", "uniform"))
        _choice("constants", self.constants, ("standard", "literal"))
        _choice("border", self.border, ("reflect", "symmetric", "zero"))
        _choice("threshold_rule", self.threshold_rule, ("area", "fpr"))
        _choice("patch_size", self.patch_size, PATCH_SIZES)
        _choice("channels", self.channels, (1, 3))
        self._take_plain_numbers()
        _choice("dictionary_patch", self.dictionary_patch, (16, 32))
        for name in ("latent_dim", "patches", "epochs", "batch_size", "dictionary_size"):
            _at_least(name, getattr(self, name), 1)
        _at_least("latent_samples", self.latent_samples, 2)
        _at_least("min_area", 1 if self.min_area is None else self.min_area, 1)
        for name in ("kl_weight", "feature_weight", "weight_decay", "residual_smoothing"):
            _at_least(name, getattr(self, name), 0)
        for name in ("opening", "seed", "stains", "checkpoint_every"):
            _at_least(name, getattr(self, name), 0)
        _within("zoom", self.zoom, 0, 1)
        for name in ("scale", "lr", "sigma", "variance_floor", "dictionary_variance"):
            _positive(name, getattr(self, name))
        _positive("data_range", 1.0 if self.data_range is None else self.data_range)
        for name in ("window_size", "residual_window_size"):
            _window(name, getattr(self, name), self.patch_size)
        _at_least("residual_scales", self.residual_scales, 1)
        if not 1 <= self.stride <= self.patch_size:
            raise ValueError(f"`stride` must be in 1..patch_size ({self.patch_size}), got {self.stride}")
        _within("dictionary_variance", self.dictionary_variance, 0, 1)
        if not 1 <= self.dictionary_stride <= self.dictionary_patch:
            raise ValueError(
                f"`dictionary_stride` must be in 1..dictionary_patch ({self.dictionary_patch}), "
                f"got {self.dictionary_stride}"
            )
        if not 0 <= self.margin < self.patch_size:
            raise ValueError(f"`margin` must be in 0..patch_size - 1 ({self.patch_size - 1}), got {self.margin}")
        for name in ("threshold_fpr", "review_fpr"):
            if not 0 < getattr(self, name) < 1:
                raise ValueError(f"`{name}` must lie between 0 and 1, got {getattr(self, name)}")
        if self.review_fpr < self.threshold_fpr:
            raise ValueError(
                f"`review_fpr` must be at least `threshold_fpr` ({self.threshold_fpr}), got {self.review_fpr}"
            )

    def _take_plain_numbers(self) -> None:
        """Turn NumPy's numbers into Python's, which JSON and TOML can hold, and refuse what is none."""
        optional = {name for name in ("min_area", "data_range") if getattr(self, name) is None}
        for names, plain in ((_WHOLE_NUMBERS, _whole), (_NUMBERS, _number)):
            for name in names:
                if name not in optional:
                    object.__setattr__(self, name, plain(name, getattr(self, name)))
        for name in ("residual_average", "residual_flips", "hold_out"):
            _choice(name, getattr(self, name), (True, False))

    @property
    def system(self) -> str:
        """Which of the paper's systems this is: a name in :data:`ssimae.config.systems.TITLES`."""
        return "dictionary" if self.method == "dictionary" else self.loss

    @property
    def n_scales(self) -> int:
        """Sizes at which the SSIM residual is taken: `residual_scales`, but for those where a patch is too small."""
        fitting = sum(self.patch_size >> scale >= self.residual_window_size for scale in range(1, self.residual_scales))
        return 1 + fitting

    @property
    def smallest_side(self) -> int:
        """Side in pixels that a scaled image must have."""
        return self.dictionary_patch if self.method == "dictionary" else self.patch_size

    @property
    def patches_total(self) -> int:
        """Patches seen over the whole training; the dictionary sees each once."""
        return self.patches if self.method == "dictionary" else self.patches * self.epochs

    @property
    def smallest_region(self) -> int:
        """Smallest region in pixels that counts as a defect: `min_area`, or the footprint of a point.

        The window of the residual and its smoothing spread a point over a bell of variance v per axis, whose area is
        about 2 pi v; what covers less than that is no place of its own. 63 pixels for an 11 x 11 uniform window, 691
        with a smoothing of 10 pixels.
        """
        if self.min_area is not None:
            return self.min_area
        variance = self.residual_smoothing**2
        if self.system == "ssim":
            uniform = self.residual_window == "uniform"
            window = (self.residual_window_size**2 - 1) / 12 if uniform else self.sigma**2
            variance += window / self.scale**2  # the window lies on the scaled image, regions on the original
        return max(round(2 * math.pi * variance), self.opening**2, 1)

    @property
    def c1(self) -> float:
        """C1 of SSIM for images in [0, 1]."""
        return 0.01 if self.constants == "literal" else 0.01**2

    @property
    def c2(self) -> float:
        """C2 of SSIM for images in [0, 1]."""
        return 0.03 if self.constants == "literal" else 0.03**2


def _choice(name: str, value: object, allowed: tuple[object, ...]) -> None:
    if value not in allowed:
        raise ValueError(f"`{name}` must be one of {', '.join(map(str, allowed))}, got {value!r}")


def _whole(name: str, value: object) -> int:
    """Return a whole number, of NumPy or Python, as int."""
    if isinstance(value, bool) or not isinstance(value, Integral):
        raise ValueError(f"`{name}` must be a whole number, got {value!r}")
    return int(value)


def _number(name: str, value: object) -> float:
    """Return a number, of NumPy or Python, as float; a whole one stays whole."""
    if isinstance(value, bool) or not isinstance(value, Real):
        raise ValueError(f"`{name}` must be a number, got {value!r}")
    return value if isinstance(value, int) else float(value)


def _at_least(name: str, value: float, least: int) -> None:
    if not least <= value < math.inf:
        raise ValueError(f"`{name}` must be at least {least}{' and finite' if value == math.inf else ''}, got {value}")


def _within(name: str, value: float, least: float, most: float) -> None:
    if not least <= value <= most:
        raise ValueError(f"`{name}` must lie in [{least:g}, {most:g}], got {value}")


def _positive(name: str, value: float) -> None:
    if not (value > 0 and math.isfinite(value)):
        raise ValueError(f"`{name}` must be positive and finite, got {value}")


def _window(name: str, value: int, patch_size: int) -> None:
    largest = min(MAX_WINDOW_SIZE, patch_size - 1)
    if not (1 <= value <= largest and value % 2 == 1):
        raise ValueError(f"`{name}` must be odd and in 1..{largest}, got {value}")
