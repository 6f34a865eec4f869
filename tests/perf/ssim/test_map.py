"""The residual map of one whole image, as prediction needs it, beside other packages' maps."""

import pytest
import ssimae
from perf.ssim.answers import images, specified_map
from perf.ssim.rivals import RIVALS

SHAPE, SMALL = (1, 1, 700, 1024), (1, 1, 70, 102)
"""An image of NanoTWICE's size, and what is enough where nothing is timed."""

TARGETS = {"scikit-image": ">= 30"}

# float32 in single pixels: rivals subtract squares near 1 and divide by C2 = 9e-4.
OURS_ATOL, THEIRS_ATOL = 1e-6, 3e-5


@pytest.mark.parametrize("name", [name for name, rival in RIVALS.items() if rival.map])
def test_map(benchmark, beside, installed, name):
    rival = installed(RIVALS[name])
    shape = SMALL if benchmark.disabled else SHAPE
    x, y = images(shape)
    border, whole = rival.map_border, rival.map()
    ours, theirs = beside(
        lambda: ssimae.ssim_loss(x, y, data_range=1.0, border=border, reduction="none"),
        lambda: whole(x, y),
        group=f"map, gaussian 11 x 11, {shape[2]} x {shape[3]}",
        name=name,
        pixels=(x.numel(), x.numel()),
        target=TARGETS.get(name),
        packages=[rival.distribution],
        option=rival.fastest,
    )
    want = specified_map(shape, border=border)
    assert ours.shape == theirs.shape == want.shape
    assert (ours - want).abs().max() < OURS_ATOL
    losses = theirs if rival.package == "ssimae" else 1 - theirs
    assert (losses - want).abs().max() < THEIRS_ATOL
