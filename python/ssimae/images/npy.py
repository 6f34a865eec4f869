"""Read NumPy's ``.npy`` format, once its head announces no more than the file holds."""

from __future__ import annotations

import math
from tokenize import TokenError
from typing import IO, Any

import numpy as np
from numpy.lib import format as stored
from numpy.typing import NDArray


def read_npy(file: IO[bytes], size: int) -> NDArray[Any]:
    """Return the array of a file of `size` bytes, opened at its start.

    Raises
    ------
    ValueError
        If it is damaged, cut short, or holds Python objects.
    """
    shape, dtype, in_columns, start = _head(file, size)
    content = file.read(math.prod(shape) * dtype.itemsize)
    if len(content) != math.prod(shape) * dtype.itemsize:
        raise ValueError(f"ends at byte {start + len(content)}, {size} were announced")
    return np.frombuffer(content, dtype).reshape(shape, order="F" if in_columns else "C")


def npy_head(file: IO[bytes], size: int) -> tuple[tuple[int, ...], np.dtype[Any]]:
    """Return shape and type of the array of a file; raises as :func:`read_npy`."""
    shape, dtype, _, _ = _head(file, size)
    return shape, dtype


def _head(file: IO[bytes], size: int) -> tuple[tuple[int, ...], np.dtype[Any], bool, int]:
    try:
        version = stored.read_magic(file)
        if version not in ((1, 0), (2, 0)):
            raise ValueError(f"version {version} of the format is not understood")
        read_rest = stored.read_array_header_1_0 if version == (1, 0) else stored.read_array_header_2_0
        shape, in_columns, dtype = read_rest(file)
    # What parsing a damaged head raises.
    except (EOFError, MemoryError, OverflowError, RecursionError, SyntaxError, TokenError, TypeError) as error:
        raise ValueError(f"damaged head: {error or type(error).__name__}") from error
    if dtype.hasobject:
        raise ValueError("holds Python objects")
    start = file.tell()
    if any(side < 0 for side in shape) or math.prod(shape) * dtype.itemsize > size - start:
        raise ValueError(f"announces {dtype.name} of shape {shape}, more than its {size} bytes hold")
    return shape, dtype, in_columns, start
