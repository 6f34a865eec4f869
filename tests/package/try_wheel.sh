#!/usr/bin/env bash
# Installs a wheel in a clean environment and uses it from outside the checkout.
# usage: try_wheel.sh UV PYTHON WHEEL
set -euo pipefail
uv=$(realpath "$1")
wheel=$(realpath "$3")
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"$2" -m venv --without-pip "$folder/venv"
# Its own requirements are resolved from the index; files that the cache of uv holds are linked.
"$uv" pip install --quiet --python "$folder/venv/bin/python" "$wheel"
cd "$folder"
"$folder/venv/bin/python" -W error - <<'PYTHON'
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
image = np.random.default_rng(0).random((70, 90), dtype=np.float32)
patches = ssimae.extract_patches(image, patch_size=32, stride=15)
assert np.abs(ssimae.stitch_patches(patches, height=70, width=90, stride=15) - image).max() < 1e-6
print(f"wheel holds: ssimae {_rust.__name__} and kernels {sorted(kernels)} import from {package}")
PYTHON
"$folder/venv/bin/ssimae" --help >/dev/null
