"""Images to time and, by the specification in float64, what must come out."""

from functools import cache

import ssimae
import torch


@cache
def images(shape):
    """Noise in [0, 1] and its noisy rebuild, float32."""
    generator = torch.Generator().manual_seed(0)
    x = torch.rand(shape, generator=generator)
    return x, (x + 0.1 * torch.randn(shape, generator=generator)).clamp(0, 1)


@cache
def specified_loss(shape, **options):
    """Mean loss of `images(shape)`, and its gradient by y."""
    x, y = (part.double() for part in images(shape))
    y.requires_grad_()
    loss = ssimae.ssim_loss(x, y, data_range=1.0, backend="torch", **options)
    return loss.item(), torch.autograd.grad(loss, y)[0]


@cache
def specified_map(shape, **options):
    """Map of the loss of `images(shape)`."""
    x, y = (part.double() for part in images(shape))
    return ssimae.ssim_loss(x, y, data_range=1.0, backend="torch", reduction="none", **options)


def stepper(loss, x, y):
    """Return a function that computes a loss and, if y wants it, its gradient, afresh each time."""

    def step():
        y.grad = None
        value = loss(x, y)
        if y.requires_grad:
            value.backward()
            value = value.detach()
        return float(value), y.grad

    return step
