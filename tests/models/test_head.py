"""The head takes images of any size, sees no border, and looks no further than it says."""

import pytest
import torch
from ssimae.models.head import Head, head_input
from ssimae.models.reach import REACH, STEP
from torch import Tensor


def random_planes(channels: int, height: int, width: int) -> Tensor:
    generator = torch.Generator().manual_seed(0)
    images, rebuilt = torch.rand(2, 2, channels, height, width, generator=generator)
    return head_input(images, rebuilt, torch.rand(2, 1, height, width, generator=generator))


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize(("height", "width"), [(1, 1), (7, 3), (8, 9), (13, 40), (64, 32)])
def test_every_pixel_of_an_image_of_any_size_has_a_logit(channels: int, height: int, width: int) -> None:
    logits = Head(channels, seed=0)(random_planes(channels, height, width))
    assert logits.shape == (2, 1, height, width)
    assert logits.isfinite().all()


@pytest.mark.parametrize("channels", [1, 3])
def test_it_is_small(channels: int) -> None:
    assert 20_000 <= sum(parameter.numel() for parameter in Head(channels).parameters()) <= 60_000


def test_the_seed_alone_decides_how_it_starts() -> None:
    torch.manual_seed(1)
    first = Head(seed=3).state_dict()
    torch.manual_seed(2)
    again, other = Head(seed=3).state_dict(), Head(seed=4).state_dict()
    assert all(torch.equal(first[name], again[name]) for name in first)
    assert not torch.equal(first["stem.weight"], other["stem.weight"])


def test_another_number_of_channels_is_refused() -> None:
    with pytest.raises(ValueError, match=r"`channels` must be 1 or 3, got 2"):
        Head(2)


def test_its_input_is_image_reconstruction_difference_and_residual() -> None:
    image, rebuilt, residual = torch.tensor([0.75, 0.25, 0.95]).reshape(3, 1, 1, 1, 1)
    planes = head_input(image, rebuilt, residual)
    torch.testing.assert_close(planes.flatten(), torch.tensor([0.5, -0.5, 2.0, 1.5]))


@torch.inference_mode()
def test_a_pixel_reaches_no_further_than_stated() -> None:
    head = Head(seed=0).double()
    planes = random_planes(1, 4 * REACH, 4 * REACH).double()
    row, column = 2 * REACH + 3, 2 * REACH - 2
    changed = planes.clone()
    changed[:, :, row, column] += 10
    moved = (head(changed) != head(planes)).any(0)[0].nonzero()
    assert len(moved) > 0
    assert (moved - torch.tensor([row, column])).abs().max() <= REACH


@torch.inference_mode()
def test_a_border_cannot_be_told_from_the_inside_of_a_constant_image() -> None:
    head = Head(seed=0).double()
    planes = random_planes(1, 1, 1).double().expand(-1, -1, 10 * STEP, 10 * STEP)
    logits = head(planes)
    # But for the outermost pixels, between which and the next there is nothing to interpolate.
    torch.testing.assert_close(logits[..., 1 : -STEP - 1, :], logits[..., STEP + 1 : -1, :], rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(logits[..., 1 : -STEP - 1], logits[..., STEP + 1 : -1], rtol=1e-12, atol=1e-12)
