#!/usr/bin/env bash
# Installs a wheel in a clean environment and uses it from outside the checkout.
# usage: try_wheel.sh UV PYTHON WHEEL
set -euo pipefail
uv=$(realpath "$1")
wheel=$(realpath "$3")
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"$2" -m venv --without-pip "$folder/venv"
bin=$folder/venv/bin
[ -d "$bin" ] || bin=$folder/venv/Scripts # Windows
# Its own requirements are resolved from the index; files that the cache of uv holds are linked.
"$uv" pip install --quiet --python "$bin/python" "$wheel"
cd "$folder"
"$bin/python" -W error - <<'PYTHON'
import json
from importlib.metadata import files
from pathlib import Path

import numpy as np

import ssimae
from ssimae import _rust

package = Path(ssimae.__file__).parent
assert "venv" in package.parts, package
kernels = {str(path.relative_to(package / "kernels")) for path in (package / "kernels").rglob("*.py")}
assert {"loss_map/programs.py", "loss_sums/programs.py"} <= kernels, f"no kernels in the wheel: {kernels}"
assert (package / "report" / "templates" / "report.html.j2").is_file(), "no report template in the wheel"
assert (package / "py.typed").is_file(), "no py.typed in the wheel"
written = {str(path).split(".dist-info/")[-1].replace("\\", "/"): path for path in files("ssimae")}
assert {"licenses/LICENSE", "licenses/rust/THIRD-PARTY.txt"} <= set(written), sorted(written)
(sbom,) = (path for name, path in written.items() if name.startswith("sboms/") and name.endswith(".json"))
linked = {part["name"] for part in json.loads(sbom.read_text(encoding="utf-8"))["components"]}
assert {"pyo3", "numpy", "rayon"} <= linked, f"the wheel does not say what it links: {linked}"
image = np.random.default_rng(0).random((70, 90), dtype=np.float32)
patches = ssimae.extract_patches(image, patch_size=32, stride=15)
assert np.abs(ssimae.stitch_patches(patches, height=70, width=90, stride=15) - image).max() < 1e-6
print(f"wheel holds: ssimae {_rust.__name__} and kernels {sorted(kernels)} import from {package}")
PYTHON
"$bin/ssimae" --help >/dev/null
