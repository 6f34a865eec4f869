"""Write rust/THIRD-PARTY.txt: the crates that the compiled library links, on whichever system, and their licences."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
_NAMES = "LICENSE*", "LICENCE*", "COPYING*", "UNLICENSE*", "NOTICE*"

_HEAD = """\
The compiled library of ssimae links the crates below, and the standard library of Rust
(MIT OR Apache-2.0, The Rust Project Contributors). Each crate has its version, its licence
as its authors name it, and where its texts stand; equal texts stand once, at the end. Of
crates that one may choose a licence for, it is the MIT licence where they ship its text.
`make generated` writes this file from Cargo.lock.
"""


def generated() -> dict[Path, str]:
    """Return the contents of the generated files by their paths."""
    return {ROOT / "rust" / "THIRD-PARTY.txt": licences(linked_crates())}


def linked_crates() -> list[dict[str, Any]]:
    """Return what cargo says of every crate that is linked: not of what builds, tests, or writes code."""
    command = ["cargo", "metadata", "--format-version", "1", "--locked", "--features", "python"]
    metadata = json.loads(subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout)
    crates = {crate["id"]: crate for crate in metadata["packages"]}
    nodes = {node["id"]: node for node in metadata["resolve"]["nodes"]}
    root = metadata["resolve"]["root"]
    found, waiting = {root}, [root]
    while waiting:
        for dependency in nodes[waiting.pop()]["deps"]:
            kinds = {kind["kind"] for kind in dependency["dep_kinds"]}
            crate = crates[dependency["pkg"]]
            writes_code = any("proc-macro" in target["kind"] for target in crate["targets"])
            if None in kinds and not writes_code and crate["id"] not in found:
                found.add(crate["id"])
                waiting.append(crate["id"])
    return sorted((crates[name] for name in found - {root}), key=lambda crate: (crate["name"], crate["version"]))


def licences(crates: list[dict[str, Any]]) -> str:
    """Return the file: a line for each crate, then every text."""
    numbers: dict[str, int] = {}
    lines = [_HEAD]
    for crate in crates:
        folder = Path(crate["manifest_path"]).parent
        files = sorted({path for name in _NAMES for path in folder.glob(name) if path.is_file()})
        chosen = [path for path in files if "MIT" in path.name]
        if chosen and " OR " in crate["license"].replace("/", " OR "):
            files = chosen
        texts = [" ".join(path.read_text(encoding="utf-8").split("\r")).strip() for path in files]
        where = [str(numbers.setdefault(text, len(numbers) + 1)) for text in texts]
        told = f"texts {', '.join(where)}" if where else "its authors ship no text"
        lines.append(f"{crate['name']} {crate['version']}: {crate['license']}; {told}")
    for text, number in numbers.items():
        lines += ["", "=" * 80, f"Text {number}", "", text]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    for path, content in generated().items():
        path.write_text(content, encoding="utf-8")
