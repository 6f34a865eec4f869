"""Build a graph in ONNX, node by node, from operators that TensorRT has too."""

from __future__ import annotations

import importlib
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ssimae.errors import needs_package

OPSET = 17
"""Version of the operators; TensorRT 8.6 and onnxruntime 1.12 are the first to have it."""

_IR_VERSION = 8


class Graph:
    """A graph that grows; values are known by their names.

    Parameters
    ----------
    name : str

    Raises
    ------
    ValueError
        If the package onnx is not installed.
    """

    def __init__(self, name: str) -> None:
        try:
            self._onnx: Any = importlib.import_module("onnx")
        except ImportError as error:
            raise needs_package("onnx") from error
        self.name = name
        self._nodes: list[Any] = []
        self._constants: dict[tuple[str, tuple[int, ...], bytes], Any] = {}
        self._inputs: list[Any] = []
        self._outputs: list[Any] = []

    def input(self, name: str, shape: Sequence[int | str]) -> str:
        """Add an input of float32; sides that are texts may be of any length."""
        self._inputs.append(self._value(name, shape))
        return name

    def output(self, value: str, name: str, shape: Sequence[int | str]) -> None:
        """Make a value an output of float32 under a name."""
        self._nodes.append(self._onnx.helper.make_node("Identity", [value], [name]))
        self._outputs.append(self._value(name, shape))

    def constant(self, values: ArrayLike, dtype: type = np.float32) -> str:
        """Add an array that stays as it is; the same array is added once."""
        array: NDArray[Any] = np.ascontiguousarray(values, dtype).reshape(np.shape(values))
        key = (array.dtype.str, array.shape, array.tobytes())
        if key not in self._constants:
            name = f"constant_{len(self._constants)}"
            self._constants[key] = self._onnx.numpy_helper.from_array(array, name)
        return self._constants[key].name  # type: ignore[no-any-return]

    def add(self, operator: str, *values: str, **attributes: Any) -> str:
        """Add a node of one output, which is returned."""
        name = f"{operator.lower()}_{len(self._nodes)}"
        self._nodes.append(self._onnx.helper.make_node(operator, list(values), [name], **attributes))
        return name

    def calculate(self, operator: str, value: str, number: ArrayLike) -> str:
        """Add a node that combines a value with numbers, such as ``Mul`` or ``Add``."""
        return self.add(operator, value, self.constant(number))

    def to_bytes(self, metadata: Mapping[str, str]) -> bytes:
        """Return the checked graph as the content of a file, with texts that are kept in it."""
        helper = self._onnx.helper
        graph = helper.make_graph(self._nodes, self.name, self._inputs, self._outputs, list(self._constants.values()))
        model = helper.make_model(
            graph, opset_imports=[helper.make_opsetid("", OPSET)], producer_name="ssimae", ir_version=_IR_VERSION
        )
        helper.set_model_props(model, dict(metadata))
        self._onnx.checker.check_model(model, full_check=True)
        return model.SerializeToString()  # type: ignore[no-any-return]

    def _value(self, name: str, shape: Sequence[int | str]) -> Any:
        return self._onnx.helper.make_tensor_value_info(name, self._onnx.TensorProto.FLOAT, list(shape))
