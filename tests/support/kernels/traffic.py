"""What launches read and write, element by element, is what the model of traffic says; run as values.py is."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import pytest
import torch
from perf.gpu.traffic import Traffic, gradient_traffic, map_traffic
from ssimae.kernels.loss_map import launch
from ssimae.kernels.loss_map.sizes import PassSize
from triton.runtime import interpreter

from support.kernels.values import options, pair, upstream

SIZE = PassSize(lines=4, lanes=32, planes=1)


class Recorder:
    """Counts the bytes of each launch: as often as programs ask for them, and each address once."""

    def __init__(self) -> None:
        self.requested = self.distinct = 0
        self.touched: dict[str, list[np.ndarray[Any, Any]]] = {"read": [], "written": []}

    def record(self, way: str, addresses: Any, mask: Any, itemsize: int) -> None:
        found = np.broadcast_to(addresses, np.broadcast_shapes(addresses.shape, mask.shape))[
            np.broadcast_to(mask.astype(bool), np.broadcast_shapes(addresses.shape, mask.shape))
        ]
        self.requested += found.size * itemsize
        self.touched[way].append(found)
        self.itemsize = itemsize

    def launched(self) -> None:
        for parts in self.touched.values():
            if parts:
                self.distinct += np.unique(np.concatenate(parts)).size * self.itemsize
            parts.clear()


@contextmanager
def recorded(monkeypatch: pytest.MonkeyPatch) -> Iterator[Recorder]:
    recorder = Recorder()
    builder = interpreter.InterpreterBuilder
    load, store, run = builder.create_masked_load, builder.create_masked_store, launch._launch

    def masked_load(self: Any, pointers: Any, mask: Any, *rest: Any) -> Any:
        recorder.record("read", pointers.data, mask.data, pointers.get_element_ty().primitive_bitwidth // 8)
        return load(self, pointers, mask, *rest)

    def masked_store(self: Any, pointers: Any, value: Any, mask: Any, *rest: Any) -> Any:
        recorder.record("written", pointers.data, mask.data, pointers.get_element_ty().primitive_bitwidth // 8)
        return store(self, pointers, value, mask, *rest)

    def counted_launch(*args: Any) -> None:
        run(*args)
        recorder.launched()

    with monkeypatch.context() as patch:
        patch.setattr(builder, "create_masked_load", masked_load)
        patch.setattr(builder, "create_masked_store", masked_store)
        patch.setattr(launch, "_launch", counted_launch)
        patch.setattr(launch, "choose_pass_size", lambda *_: SIZE)
        yield recorder


@pytest.mark.parametrize(
    ("border", "height", "width"),
    [
        pytest.param("reflect", 7, 34, marks=pytest.mark.exhaustive),
        pytest.param("valid", 7, 34, marks=pytest.mark.exhaustive),
        ("symmetric", 5, 6),
        pytest.param("zero", 5, 6, marks=pytest.mark.exhaustive),
    ],
)
def test_launches_move_what_the_model_says(
    monkeypatch: pytest.MonkeyPatch, border: str, height: int, width: int
) -> None:
    form = options(border, window_size=3)
    x, y = pair((1, 1, height, width))
    grad = upstream(x, form)
    shape = {"window_size": 3, "border": border, "size": SIZE}
    with recorded(monkeypatch) as moved:
        launch.ssim_loss_map(x, y, *form)
    check(moved, map_traffic(1, height, width, **shape))  # type: ignore[arg-type]
    for both in (False, True):
        with recorded(monkeypatch) as moved:
            launch.ssim_loss_map_backward(grad, x, y, *form, True, both)
        check(moved, gradient_traffic(1, height, width, both=both, **shape))  # type: ignore[arg-type]


def check(moved: Recorder, expected: Traffic) -> None:
    assert moved.requested == expected.requested
    assert moved.distinct == expected.distinct
    assert 0 < expected.scratch < expected.distinct


def test_bfloat16_images_are_half_as_many_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    form = options("reflect", window_size=3)
    x, y = pair((1, 1, 6, 9), torch.bfloat16)
    shape = {"window_size": 3, "border": "reflect", "size": SIZE}
    with recorded(monkeypatch) as moved:
        launch.ssim_loss_map(x, y, *form)
    assert moved.requested == map_traffic(1, 6, 9, image_bytes=2, **shape).requested  # type: ignore[arg-type]
