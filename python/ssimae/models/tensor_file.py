"""Write safetensors files whose bytes are the same for the same content."""

from __future__ import annotations

from collections.abc import Mapping

from safetensors.torch import save
from torch import Tensor

from ssimae.models.tensor_header import with_metadata


def tensor_bytes(tensors: Mapping[str, Tensor], metadata: Mapping[str, str]) -> bytes:
    """Return the safetensors file of contiguous tensors on the CPU and of metadata.

    Notes
    -----
    The library sorts tensors, but writes metadata in an order that differs from process to process. Here it is sorted,
    so that two equal runs leave the same bytes.
    """
    return with_metadata(save(dict(tensors), metadata=dict(metadata)), metadata)
