"""The loss of a training batch, with the gradient of the reconstruction and alone, beside other packages."""

import pytest
import ssimae
from perf.ssim.answers import images, specified_loss, stepper
from perf.ssim.rivals import RIVALS

SHAPE, SMALL = (128, 1, 128, 128), (2, 1, 64, 64)
"""A training batch (Bergmann et al. 2019, sec. 4.1), and what is enough where nothing is timed."""

WITH_GRADIENT, ALONE = "loss and gradient", "loss alone"

TARGETS = {
    ("pytorch-msssim", "gaussian", WITH_GRADIENT): ">= 60",
    ("frame-analytics", "gaussian", WITH_GRADIENT): ">= 6",
    ("frame-analytics", "gaussian", ALONE): ">= 2",
}

CASES = [
    (name, window, what)
    for window in ("gaussian", "uniform")
    for what in (WITH_GRADIENT, ALONE)
    for name, rival in RIVALS.items()
    if window in rival.windows and (rival.differentiable or what == ALONE)
]

# float32: of sums over a batch, and of gradients by packages that subtract squares.
LOSS_RTOL, GRADIENT_RTOL = 1e-5, 1e-4


# Raised inside torch.compile, which looks at gradients of its intermediate tensors; as an error it ends compiling.
@pytest.mark.filterwarnings("ignore:The .grad attribute of a Tensor that is not a leaf")
@pytest.mark.parametrize(("name", "window", "what"), CASES)
def test_loss(benchmark, beside, installed, name, window, what):
    rival = installed(RIVALS[name])
    shape = SMALL if benchmark.disabled else SHAPE
    x, y = images(shape)
    y = y.clone().requires_grad_(what == WITH_GRADIENT)
    options = {"window": window, "border": rival.loss_border}
    answers = beside(
        stepper(lambda x, y: ssimae.ssim_loss(x, y, data_range=1.0, **options), x, y),
        stepper(rival.loss(window), x, y),
        group=f"{what}, {window} 11 x 11, {' x '.join(map(str, shape))}",
        name=name,
        pixels=(x.numel(), x.numel()),
        target=TARGETS.get((name, window, what)),
        packages=[rival.distribution],
        option=rival.fastest,
    )
    want, gradient = specified_loss(shape, **options)
    for loss, grad in answers:
        assert loss == pytest.approx(want, rel=LOSS_RTOL)
        assert (grad is None) == (what == ALONE)
        assert grad is None or (grad - gradient).norm() < GRADIENT_RTOL * gradient.norm()
