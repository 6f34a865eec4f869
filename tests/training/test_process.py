"""Training and inspection leave the process of whoever calls them as it was: what he computes next is exact."""

import sys

import numpy as np
import torch
from ssimae.config.settings import Settings
from ssimae.engines.pytorch import torch_engine
from ssimae.hardware import steady
from ssimae.inspection.head import head_maps
from ssimae.inspection.residual import inspect_image
from ssimae.training.head.train import train_head
from ssimae.training.train import train

CPU = torch.device("cpu")
IMAGE = np.random.default_rng(0).random((50, 60), dtype=np.float32)
SETTINGS = Settings(
    patch_size=32, latent_dim=8, patches=32, epochs=1, batch_size=16, stride=16, opening=0, head_patches=32
)


def flushed() -> bool:
    """Return whether a denormal number is zero, in this thread."""
    return sys.float_info.min / 2 == 0.0


def test_denormal_numbers_are_there_again_afterwards() -> None:
    model = train([IMAGE], SETTINGS, device=CPU).model
    assert not flushed()
    head = train_head(model, [IMAGE], SETTINGS, device=CPU, precision="float32")
    assert not flushed()
    engine = torch_engine(model, SETTINGS, head=head, device=CPU, precision="float32")
    rebuilt, residual = inspect_image(engine, IMAGE, SETTINGS)
    assert rebuilt is not None
    head_maps(engine, IMAGE, rebuilt, residual, SETTINGS)
    assert not flushed()


def test_what_was_set_before_stays_set() -> None:
    cudnn = torch.backends.cudnn
    before = cudnn.deterministic, cudnn.allow_tf32
    with steady():
        assert (cudnn.deterministic, cudnn.allow_tf32) == (True, False)
        with steady():
            pass
        assert flushed() or not torch.set_flush_denormal(True)
        assert (cudnn.deterministic, cudnn.allow_tf32) == (True, False)
    assert (cudnn.deterministic, cudnn.allow_tf32) == before
    assert not flushed()
