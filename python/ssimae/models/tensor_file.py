"""Write safetensors files whose bytes are the same for the same content."""

from __future__ import annotations

import json
from collections.abc import Mapping

from safetensors.torch import save
from torch import Tensor

_LENGTH = 8
"""Bytes before the header that hold its length, least significant first; the header's length is a multiple too."""


def tensor_bytes(tensors: Mapping[str, Tensor], metadata: Mapping[str, str]) -> bytes:
    """Return the safetensors file of contiguous tensors on the CPU and of metadata.

    Notes
    -----
    The library sorts tensors, but writes metadata in an order that differs from process to process. Here it is sorted,
    so that two equal runs leave the same bytes.
    """
    content = save(dict(tensors), metadata=dict(metadata))
    start = _LENGTH + int.from_bytes(content[:_LENGTH], "little")
    header = json.loads(content[_LENGTH:start])
    header["__metadata__"] = dict(sorted(header["__metadata__"].items()))
    encoded = json.dumps(header, separators=(",", ":"), ensure_ascii=False).encode()
    encoded += b" " * (-len(encoded) % _LENGTH)
    return len(encoded).to_bytes(_LENGTH, "little") + encoded + content[start:]
