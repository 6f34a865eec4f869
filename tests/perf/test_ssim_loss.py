"""Loss and gradient of one input on the CPU beside rivals of the package index; `make bench` times them in one run."""

import pytest
import ssimae
import torch

SHAPE = (16, 1, 128, 128)
"""A quarter of a training batch: large enough that the call itself costs nothing."""


def inputs():
    torch.manual_seed(0)
    x = torch.rand(SHAPE)
    return x, (x + 0.1 * torch.randn(SHAPE)).requires_grad_()


def ours(backend, window):
    return lambda x, y: ssimae.ssim_loss(x, y, data_range=1.0, border="valid", window=window, backend=backend)


def pytorch_msssim(x, y):
    return 1 - pytest.importorskip("pytorch_msssim").ssim(x, y, data_range=1.0)


def torchmetrics(x, y):
    functional = pytest.importorskip("torchmetrics.functional.image")
    return 1 - functional.structural_similarity_index_measure(x, y, data_range=1.0)


RIVALS = {
    "ssimae rust gaussian": ours("rust", "gaussian"),
    "ssimae rust uniform": ours("rust", "uniform"),
    "ssimae torch gaussian": ours("torch", "gaussian"),
    "pytorch-msssim": pytorch_msssim,
    "torchmetrics": torchmetrics,
}


@pytest.mark.parametrize("name", RIVALS)
def test_loss_and_gradient(benchmark, name):
    x, y = inputs()

    def step():
        y.grad = None
        loss = RIVALS[name](x, y)
        loss.backward()
        return loss.detach()

    loss = benchmark(step)
    benchmark.extra_info.update(shape=SHAPE, threads=torch.get_num_threads(), torch=torch.__version__)
    window = "uniform" if "uniform" in name else "gaussian"
    want = ssimae.ssim_loss(x.double(), y.detach().double(), data_range=1.0, border="valid", window=window)
    # torchmetrics leaves out the border of a padded map: another mean of the same windows.
    assert float(loss) == pytest.approx(float(want), rel=2e-2 if name == "torchmetrics" else 1e-5)
    assert torch.isfinite(y.grad).all()
