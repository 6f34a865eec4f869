"""Read and change the head of safetensors files without torch: names, shapes and metadata, and no weights."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping

_LENGTH = 8
"""Bytes before the header that hold its length, least significant first; the header's length is a multiple too."""


def with_metadata(content: bytes, metadata: Mapping[str, str]) -> bytes:
    """Return a safetensors file with other metadata, sorted, and the same tensors."""
    start = _LENGTH + int.from_bytes(content[:_LENGTH], "little")
    header = json.loads(content[_LENGTH:start])
    header["__metadata__"] = dict(sorted(metadata.items()))
    encoded = json.dumps(header, separators=(",", ":"), ensure_ascii=False).encode()
    encoded += b" " * (-len(encoded) % _LENGTH)
    return len(encoded).to_bytes(_LENGTH, "little") + encoded + content[start:]


def metadata_of(content: bytes) -> dict[str, str]:
    """Return the metadata of a sound safetensors file."""
    start = _LENGTH + int.from_bytes(content[:_LENGTH], "little")
    metadata: dict[str, str] = json.loads(content[_LENGTH:start])["__metadata__"]
    return metadata


def sizes_of(content: bytes) -> dict[str, int]:
    """Return how many numbers each tensor of a sound safetensors file holds."""
    start = _LENGTH + int.from_bytes(content[:_LENGTH], "little")
    header = json.loads(content[_LENGTH:start])
    return {name: math.prod(entry["shape"]) for name, entry in header.items() if name != "__metadata__"}
