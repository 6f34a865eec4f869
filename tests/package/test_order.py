"""The tree stays in order: few files a folder, and no test that others import."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
LIMIT = 10
"""Source files that one folder holds at most."""

UNCOUNTED = {"__init__.py", "__main__.py", "conftest.py", "mod.rs", "lib.rs"}
"""Files that say what a folder holds, and hold nothing themselves."""


def source_files(top: str) -> list[Path]:
    paths = (path for ending in ("py", "rs") for path in (ROOT / top).rglob(f"*.{ending}"))
    return [path for path in paths if path.name not in UNCOUNTED and "__pycache__" not in path.parts]


@pytest.mark.parametrize("top", ["python", "rust", "kernels", "tests"])
def test_no_folder_holds_more_than_ten_source_files(top: str) -> None:
    files = source_files(top)
    assert files
    crowded = {
        str(folder.relative_to(ROOT)): count
        for folder in {path.parent for path in files}
        if (count := sum(path.parent == folder for path in files)) > LIMIT
    }
    assert crowded == {}


def test_no_test_imports_another() -> None:
    imported = re.compile(
        r"^\s*(?:from|import)\s+(?:\S+\.)?test_\w+|^\s*from\s+\S+\s+import\s+.*\btest_\w+", re.MULTILINE
    )
    found = {str(path.relative_to(ROOT)): imported.findall(path.read_text()) for path in source_files("tests")}
    assert {name: lines for name, lines in found.items() if lines} == {}
