"""Presets carry the paper's numbers, and settings that cannot work are refused where they are made."""

import dataclasses
import json
import math
import re

import numpy as np
import pytest
from ssimae.config.presets import PRESETS, preset
from ssimae.config.settings import PATCH_SIZES, Settings

# Bergmann et al. 2019, sec. 4.2.
PAPER = {
    "loss": "ssim",
    "patch_size": 128,
    "channels": 1,
    "patches": 10_000,
    "epochs": 200,
    "batch_size": 128,
    "lr": 2e-4,
    "schedule": "constant",
    "weight_decay": 1e-5,
    "window_size": 11,
    "stride": 30,
    "window": "uniform",
    "residual_window": "uniform",
    "residual_scales": 1,
    "residual_window_size": 11,
    "stains": 0,
    "residual_smoothing": 0,
    "residual_average": False,
    "opening": 4,
    "hold_out": False,
    "crops": "pool",
    "constants": "standard",
}


@pytest.mark.parametrize(
    ("name", "own"),
    [("paper", {"latent_dim": 500, "scale": 1.0}), ("paper-texture", {"latent_dim": 100, "scale": 0.5})],
)
def test_paper_presets_are_the_letter_of_the_paper(name: str, own: dict[str, object]) -> None:
    settings = preset(name)
    want = PAPER | own
    assert {field: getattr(settings, field) for field in want} == want
    assert settings.patches_total == 2_000_000


@pytest.mark.parametrize(("name", "latent_dim"), [("nanofibre", 500), ("texture", 100), ("default", 100)])
def test_other_presets_are_the_defaults_but_for_what_they_name(name: str, latent_dim: int) -> None:
    own = {"nanofibre": {"margin": 30, "residual_smoothing": 10.0}, "texture": {"margin": 30, "zoom": 0.15}}.get(
        name, {}
    )
    assert preset(name) == dataclasses.replace(Settings(), latent_dim=latent_dim, **own)


@pytest.mark.parametrize("name", ["default", "nanofibre", "texture", "paper", "paper-texture"])
def test_quick_takes_a_tenth_of_the_patches(name: str) -> None:
    quick, whole = preset(name, quick=True), preset(name)
    assert quick.patches_total * 10 == whole.patches_total
    assert (quick.lr, quick.latent_dim, quick.stride) == (1e-3, whole.latent_dim, whole.stride)


@pytest.mark.parametrize("name", ["best", "best-texture"])
def test_the_best_presets_are_nearly_as_short_as_quick(name: str) -> None:
    assert preset(name, quick=True) == dataclasses.replace(preset(name), epochs=20)


@pytest.mark.parametrize("name", PRESETS)
def test_every_preset_and_its_quick_form_obey_the_rules(name: str) -> None:
    for settings in (preset(name), preset(name, quick=True)):
        assert dataclasses.replace(settings) == settings


@pytest.mark.parametrize("name", ["best", "best-texture"])
def test_the_best_presets_need_an_eighth_of_the_papers_patches(name: str) -> None:
    settings = preset(name)
    assert settings.patches_total == preset("paper").patches_total // 8
    assert settings.stains == 3
    assert settings.residual_scales > 1


def test_unknown_presets_are_refused_with_the_known_ones() -> None:
    with pytest.raises(ValueError, match=r"`preset` must be one of .*paper-texture.*, got 'letter'"):
        preset("letter")


def test_patches_total_counts_every_epoch() -> None:
    assert Settings(patches=7, epochs=3).patches_total == 21


def test_constants_of_ssim_are_squared_in_the_standard_form_and_not_in_the_literal_one() -> None:
    standard, literal = Settings(constants="standard"), Settings(constants="literal")
    assert (standard.c1, standard.c2) == (0.01**2, 0.03**2)
    assert (literal.c1, literal.c2) == (0.01, 0.03)


def test_settings_cannot_be_changed_after_they_are_checked() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        Settings().stride = 0
    with pytest.raises(ValueError, match="`stride`"):
        dataclasses.replace(Settings(), stride=0)


@pytest.mark.parametrize("patch_size", PATCH_SIZES)
def test_values_at_the_edge_of_their_rules_are_taken(patch_size: int) -> None:
    for stride in (1, patch_size):
        Settings(patch_size=patch_size, stride=stride)
    for window_size in (1, 3, 31):
        Settings(patch_size=patch_size, window_size=window_size, residual_window_size=window_size, stride=1)
    Settings(
        latent_dim=1, patches=1, epochs=1, batch_size=1, min_area=1, opening=0, seed=0, residual_smoothing=0, stride=1
    )
    Settings(threshold_fpr=0.01, review_fpr=0.01)


@pytest.mark.parametrize("stride", [0, -1, 129])
def test_strides_that_leave_gaps_are_refused(stride: int) -> None:
    with pytest.raises(ValueError, match=rf"`stride` must be in 1\.\.patch_size \(128\), got {stride}"):
        Settings(stride=stride)


def test_a_stride_within_the_default_patch_is_refused_for_a_smaller_one() -> None:
    with pytest.raises(ValueError, match=r"`stride` must be in 1\.\.patch_size \(32\), got 33"):
        Settings(patch_size=32, stride=33)


@pytest.mark.parametrize("name", ["window_size", "residual_window_size"])
@pytest.mark.parametrize("value", [0, -11, 2, 10, 33, 128, 129])
def test_windows_that_are_even_or_too_large_are_refused(name: str, value: int) -> None:
    with pytest.raises(ValueError, match=rf"`{name}` must be odd and in 1\.\.31, got {value}"):
        Settings(**{name: value})


@pytest.mark.parametrize("value", [33, 35, 63])
def test_windows_larger_than_the_patch_are_refused(value: int) -> None:
    with pytest.raises(ValueError, match=rf"`window_size` must be odd and in 1\.\.31, got {value}"):
        Settings(patch_size=32, stride=8, window_size=value)


@pytest.mark.parametrize("name", ["scale", "lr", "sigma", "data_range"])
@pytest.mark.parametrize("value", [0.0, -1.5, math.inf, math.nan])
def test_what_must_be_positive_and_finite_is(name: str, value: float) -> None:
    with pytest.raises(ValueError, match=f"`{name}` must be positive and finite, got {value}"):
        Settings(**{name: value})


@pytest.mark.parametrize("name", ["latent_dim", "patches", "epochs", "batch_size", "min_area"])
@pytest.mark.parametrize("value", [0, -3])
def test_counts_below_one_are_refused(name: str, value: int) -> None:
    with pytest.raises(ValueError, match=f"`{name}` must be at least 1, got {value}"):
        Settings(**{name: value})


@pytest.mark.parametrize("name", ["weight_decay", "residual_smoothing", "opening", "seed", "checkpoint_every"])
@pytest.mark.parametrize("value", [-1, math.nan])
def test_what_may_be_nothing_may_not_be_less(name: str, value: float) -> None:
    with pytest.raises(ValueError, match=f"`{name}` must be (at least 0|a whole number), got {value}"):
        Settings(**{name: value})


@pytest.mark.parametrize("name", ["threshold_fpr", "review_fpr"])
@pytest.mark.parametrize("value", [0.0, 1.0, -0.1, math.nan])
def test_shares_of_good_pixels_lie_strictly_between_none_and_all(name: str, value: float) -> None:
    with pytest.raises(ValueError, match=f"`{name}` must lie between 0 and 1, got {value}"):
        Settings(**{name: value})


def test_review_may_not_be_rarer_than_defective() -> None:
    with pytest.raises(ValueError, match=r"`review_fpr` must be at least `threshold_fpr` \(0\.02\), got 0\.01"):
        Settings(threshold_fpr=0.02, review_fpr=0.01)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("loss", "mse"),
        ("crops", "all"),
        ("schedule", "cosine"),
        ("precision", "float16"),
        ("window", "box"),
        ("residual_window", ""),
        ("constants", "paper"),
        ("border", "wrap"),
        ("threshold_rule", "max"),
        ("patch_size", 100),
        ("channels", 2),
    ],
)
def test_unknown_choices_are_refused_with_the_known_ones(name: str, value: object) -> None:
    with pytest.raises(ValueError, match=f"`{name}` must be one of .+, got {value!r}"):
        Settings(**{name: value})


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"latent_dim": 1.5}, "`latent_dim` must be a whole number, got 1.5"),
        ({"seed": True}, "`seed` must be a whole number, got True"),
        ({"weight_decay": float("inf")}, "`weight_decay` must be at least 0 and finite, got inf"),
        ({"residual_smoothing": float("nan")}, "`residual_smoothing` must be at least 0, got nan"),
        ({"seed": None}, "`seed` must be a whole number, got None"),
        ({"lr": "x"}, "`lr` must be a number, got 'x'"),
        ({"hold_out": "no"}, "`hold_out` must be one of True, False, got 'no'"),
        ({"zoom": 1.5}, "`zoom` must lie in [0, 1], got 1.5"),
    ],
)
def test_what_is_no_whole_or_finite_number_is_refused(change: dict, said: str) -> None:
    with pytest.raises(ValueError, match=re.escape(said)):
        Settings(**change)


def test_numpy_integers_are_whole_numbers() -> None:
    settings = Settings(latent_dim=np.int64(7), min_area=np.uint8(9), lr=np.float32(0.5))
    assert json.loads(json.dumps(dataclasses.asdict(settings))) == dataclasses.asdict(settings)
    assert (settings.latent_dim, settings.min_area, settings.lr) == (7, 9, 0.5)
