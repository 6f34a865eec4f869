"""Candidates fit the images, the budget and what the user said; a collapsed trial is never chosen over a sound one."""

import dataclasses

import numpy as np
import pytest
import torch
from ssimae.config.presets import preset
from ssimae.config.settings import Settings
from ssimae.reading import as_kind
from ssimae.tuning.look import Look, look_at
from ssimae.tuning.recipe import CHOSEN, candidates, choose
from ssimae.tuning.trial import Trial, best_of, with_patches

AUTO = preset("auto")


def look(side: int) -> Look:
    return Look(20, (side, 2 * side), (side, 2 * side), side, coloured=False, grain=2.0, period=None)


def tried(side: int, given: dict[str, object] | None = None, minutes: float = 60) -> list[Settings]:
    given = given or {}
    return candidates(look(side), dataclasses.replace(AUTO, **given), given, minutes)


def pairs(found: list[Settings]) -> list[tuple[float, int]]:
    return [(settings.scale, settings.patch_size) for settings in found]


def test_large_images_try_two_scales_and_two_patch_sizes() -> None:
    found = tried(600)
    assert pairs(found) == [(1.0, 64), (0.5, 64), (1.0, 128), (0.5, 128)]
    assert [settings.latent_dim for settings in found] == [100, 100, 300, 300]
    assert [settings.residual_scales for settings in found] == [3, 2, 3, 2]
    assert [settings.stride for settings in found] == [16, 16, 32, 32]


@pytest.mark.parametrize(
    ("side", "found"),
    [
        (32, [(1.0, 32)]),
        (63, [(1.0, 32)]),
        (64, [(1.0, 64)]),
        (127, [(1.0, 64)]),
        (128, [(1.0, 64), (0.5, 64), (1.0, 128)]),
    ],
)
def test_a_patch_fits_into_every_scaled_image(side: int, found: list[tuple[float, int]]) -> None:
    assert pairs(tried(side)) == found


@pytest.mark.parametrize("side", [32, 33, 40, 65, 129, 500])
def test_a_margin_is_narrower_than_the_image_and_the_rest_stays(side: int) -> None:
    for settings in tried(side):
        assert settings.margin < side * settings.scale
        same = {name: getattr(AUTO, name) for name in CHOSEN}
        assert dataclasses.replace(settings, **same) == AUTO


@pytest.mark.parametrize(
    "given",
    [
        {"scale": 0.5},
        {"patch_size": 128},
        {"patch_size": 32, "stride": 5},
        {"latent_dim": 7},
        {"margin": 0, "residual_scales": 1},
        {"scale": 0.7, "patch_size": 64, "latent_dim": 40, "seed": 5},
    ],
)
def test_what_is_given_is_kept(given: dict[str, object]) -> None:
    found = tried(600, given)
    assert found
    for settings in found:
        assert {name: getattr(settings, name) for name in given} == given
    assert len(set(map(str, found))) == len(found)


def test_with_scale_and_patch_size_given_there_is_nothing_to_try() -> None:
    assert pairs(tried(600, {"scale": 0.25, "patch_size": 64})) == [(0.25, 64)]
    # Images too small for what is given are refused where they are checked, not here.
    assert pairs(tried(40, {"patch_size": 128})) == [(1.0, 128), (0.5, 128)]


@pytest.mark.parametrize(("minutes", "count"), [(0.01, 1), (1, 1), (6, 2), (8, 3), (20, 4), (500, 4)])
def test_a_short_budget_tries_fewer(minutes: float, count: int) -> None:
    found = tried(600, minutes=minutes)
    assert found == tried(600)[:count]


def test_other_systems_are_trained_without_trials() -> None:
    assert len(tried(600, {"loss": "l2"})) == 1


@pytest.mark.parametrize("patches", [1, 100, 640, 5_000, 12_345, 10**6])
def test_a_number_of_patches_becomes_epochs_of_whole_batches(patches: int) -> None:
    settings = with_patches(AUTO, patches)
    assert 1 <= settings.epochs <= 10
    assert settings.patches >= settings.batch_size
    if patches >= settings.batch_size:
        assert patches - settings.epochs < settings.patches_total <= patches


def chosen(**given: object) -> Settings:
    rng = np.random.default_rng(0)
    images = [rng.random((70, 96), dtype=np.float32) for _ in range(3)]
    look = look_at(images, [image.shape for image in images])
    base = dataclasses.replace(AUTO, latent_dim=8, batch_size=16, precision="float32", **given)
    names = {"latent_dim", "batch_size", "precision", *given}
    settings, trials = choose(images, [None] * 3, look, base, given=names, minutes=0.02, device=torch.device("cpu"))
    assert trials == []
    return settings


def test_training_and_head_are_sized_to_the_time() -> None:
    settings = chosen()
    assert 0 < settings.patches_total < 20_000
    assert 0 < settings.head_patches < 20_000


def test_given_sizes_are_kept_and_the_other_is_sized() -> None:
    """The preset's head would take minutes."""
    settings = chosen(patches=32, epochs=2)
    assert (settings.patches, settings.epochs) == (32, 2)
    assert 0 < settings.head_patches < 20_000
    settings = chosen(head_patches=77)
    assert settings.head_patches == 77
    assert settings.patches_total < 20_000
    settings = chosen(patches=32, epochs=2, head_patches=77)
    assert (settings.patches_total, settings.head_patches) == (64, 77)


def test_a_head_that_would_count_for_nothing_is_not_trained() -> None:
    assert chosen(calibration="none").head_patches == 0
    assert chosen(calibration="none", head_patches=77).head_patches == 77


TRIAL = Trial(1.0, 64, 100, 5000, 30.0, loss=0.2, plateau=0.5, collapsed=False, score=0.4)


def test_the_highest_score_wins_and_of_collapsed_trials_the_lowest_loss_for_its_plateau() -> None:
    better = dataclasses.replace(TRIAL, scale=0.5, score=0.5, loss=0.45)
    collapsed = dataclasses.replace(TRIAL, patch_size=128, loss=0.49, collapsed=True, score=0.0)
    nearer = dataclasses.replace(collapsed, loss=0.3, plateau=0.3)
    assert best_of([TRIAL, better, collapsed]) is better
    assert best_of([collapsed, TRIAL]) is TRIAL
    assert best_of([nearer, collapsed]) is collapsed


def test_full_size_is_kept_where_trials_were_too_short_to_tell() -> None:
    full = dataclasses.replace(TRIAL, score=0.01)
    half = dataclasses.replace(TRIAL, scale=0.5, score=0.09)
    collapsed = dataclasses.replace(TRIAL, collapsed=True, score=0.0)
    assert best_of([full, half]) is full
    assert best_of([collapsed, half, full]) is half
    assert best_of([full, dataclasses.replace(half, score=0.11)]).scale == 0.5


def test_trials_come_back_from_their_fields() -> None:
    assert as_kind(TRIAL.to_dict(), Trial) == TRIAL
    for wrong in ({**TRIAL.to_dict(), "scale": "1"}, {**TRIAL.to_dict(), "loss": float("nan")}, {}):
        with pytest.raises(ValueError, match=r"Expected|required"):
            as_kind(wrong, Trial)
