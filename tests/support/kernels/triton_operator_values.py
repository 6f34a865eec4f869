"""The public function on Triton's kernels against the specification; test_kernels.py runs this file.

Under ``TRITON_INTERPRET=1``, which Triton reads when it is imported, on the CPU; otherwise on a CUDA device.
"""

import os

import pytest
import ssimae
import torch
from ssimae.similarity import operators

DEVICE = "cpu" if os.environ.get("TRITON_INTERPRET") == "1" else "cuda"
INTERPRETED = DEVICE == "cpu"
# The interpreter computes in float64 too; cards in float32 alone.
DTYPE = torch.float64 if INTERPRETED else torch.float32
CLOSE = {"rtol": 1e-9, "atol": 1e-12} if INTERPRETED else {"rtol": 1e-4, "atol": 1e-6}


def pair(shape, noise=0.1):
    generator = torch.Generator().manual_seed(0)
    rows, columns = torch.arange(shape[2])[:, None], torch.arange(shape[3])
    x = 0.5 + 0.3 * torch.sin(rows / 3) * torch.cos(columns / 4) + 0.1 * torch.randn(shape, generator=generator)
    y = x + noise * torch.randn(shape, generator=generator)
    return x.to(DEVICE, DTYPE), y.to(DEVICE, DTYPE)


def answers(x, y, **options):
    x, y = x.detach().clone().requires_grad_(), y.detach().clone().requires_grad_()
    loss = ssimae.ssim_loss(x, y, data_range=1.0, **options)
    weights = torch.linspace(0.5, 1.5, loss.numel(), dtype=loss.dtype, device=DEVICE).view(loss.shape)
    (loss * weights).sum().backward()
    return loss.detach(), x.grad, y.grad


@pytest.mark.exhaustive
def test_auto_takes_the_kernels(monkeypatch):
    x, y = pair((1, 1, 8, 9))
    monkeypatch.setattr(operators, "ssim_loss_sums", lambda *_, **__: (_ for _ in ()).throw(RuntimeError("reached")))
    with pytest.raises(RuntimeError, match="reached"):
        ssimae.ssim_loss(x, y, data_range=1.0, window_size=3)
    with pytest.raises(ValueError, match="backend` 'rust' cannot serve"):
        ssimae.ssim_loss(x, y, data_range=1.0, window_size=3, backend="rust")


# The ordinary suite takes each reduction once, and each kind of mask.
ORDINARY = {("mean", None), ("image", "window"), ("none", "weight")}


@pytest.mark.parametrize(
    ("reduction", "masked"),
    [
        pytest.param(reduction, masked, marks=[] if (reduction, masked) in ORDINARY else pytest.mark.exhaustive)
        for reduction in ("mean", "image", "none")
        for masked in (None, "weight", "window")
    ],
)
def test_values_and_gradients_are_those_of_the_specification(reduction, masked):
    x, y = pair((2, 2, 12, 11))
    options = {"window_size": 5, "reduction": reduction, "l1_weight": 0.2, "l2_weight": 0.7}
    if masked:
        mask = torch.rand(12, 11, generator=torch.Generator().manual_seed(1)).to(DEVICE, DTYPE)
        mask[2:9, 4:10] = 0
        options |= {"mask": mask if reduction != "image" else mask.expand(2, 1, 12, 11), "mask_mode": masked}
    want = answers(x, y, backend="torch", **options)
    for ours, theirs in zip(answers(x, y, backend="triton", **options), want, strict=True):
        torch.testing.assert_close(ours, theirs, **CLOSE)


@pytest.mark.exhaustive
@pytest.mark.parametrize("border", ["valid", "zero"])
@pytest.mark.parametrize("weighted", [False, True])
def test_windows_too_wide_for_one_launch_are_served_by_several(border, weighted):
    x, y = pair((1, 2, 32, 35))
    mask = torch.rand(1, 2, 32, 35, generator=torch.Generator().manual_seed(2)).to(DEVICE, DTYPE)
    options = {"window_size": 31, "sigma": 6.0, "border": border} | ({"mask": mask} if weighted else {})
    want = answers(x, y, backend="torch", **options)
    for ours, theirs in zip(answers(x, y, **options), want, strict=True):
        torch.testing.assert_close(ours, theirs, **CLOSE)


def test_a_gradient_asked_for_again_is_the_same_and_scaled_as_asked():
    x, y = pair((2, 1, 8, 9))
    y.requires_grad_()
    loss = ssimae.ssim_loss(x, y, data_range=1.0, window_size=3)
    loss.backward(retain_graph=True)
    first = y.grad.clone()
    y.grad.zero_()
    (3 * loss).backward()
    torch.testing.assert_close(y.grad, 3 * first, **CLOSE)


def test_uint8_targets_are_read_as_they_are():
    x = torch.randint(0, 256, (1, 1, 9, 12), dtype=torch.uint8, generator=torch.Generator().manual_seed(3)).to(DEVICE)
    y = pair((1, 1, 9, 12))[1].float().requires_grad_()
    found = []
    for backend in ("triton", "torch"):
        y.grad = None
        loss = ssimae.ssim_loss(x, y, data_range=1.0, window_size=5, backend=backend)
        loss.backward()
        found.append((loss.detach(), y.grad))
    for ours, theirs in zip(*found, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-7)


@pytest.mark.exhaustive
@pytest.mark.filterwarnings("ignore")
def test_compiled_functions_have_no_break():
    x, y = pair((1, 1, 9, 12))
    found = []
    for function in (loss_twice, torch.compile(loss_twice, fullgraph=True, backend="aot_eager")):
        b = y.clone().requires_grad_()
        value = function(x, b)
        value.backward()
        found.append((value.detach(), b.grad))
    for eager, compiled in zip(*found, strict=True):
        torch.testing.assert_close(compiled, eager, **CLOSE)


def loss_twice(x, y):
    return 2 * ssimae.ssim_loss(x, y, data_range=1.0, window_size=3)


@pytest.mark.skipif(INTERPRETED, reason="needs a CUDA device")
def test_a_captured_step_replays_to_the_same_bits():
    x, y = pair((2, 1, 40, 41))
    y.requires_grad_()

    def step():
        y.grad = None
        loss = ssimae.ssim_loss(x, y, data_range=1.0)
        loss.backward()
        return loss

    stream = torch.cuda.Stream()
    with torch.cuda.stream(stream):
        step()
    torch.cuda.synchronize()
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        captured = step()
    graph.replay()
    torch.cuda.synchronize()
    replayed = captured.detach().clone(), y.grad.clone()
    assert torch.equal(replayed[0], step().detach())
    assert torch.equal(replayed[1], y.grad)
