"""Shared fixtures: the real images beside the checkout, and settings that must precede imports."""

import os
from pathlib import Path

import pytest

# Triton 3.9 warns unless this is set, and it is read at import.
os.environ.setdefault("TRITON_DEFAULT_FP_FUSION", "1")


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Folder of the real images; tests that need it are skipped where it is absent."""
    folder = Path(__file__).resolve().parents[2] / "shared" / "data"
    if not folder.is_dir():
        pytest.skip(f"needs the real images in {folder}")
    return folder
