"""Say what is installed, on what it will run, and what each verb lacks."""

from __future__ import annotations

import importlib
import json
import platform
import shutil
import sys
import tempfile
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec

from ssimae.cli.exits import BAD_INPUT, OK
from ssimae.cli.flags import parse_flags
from ssimae.cli.tables import described
from ssimae.host import system

_NETWORKS = "run, train, predict RUN, improve, speed, export, evaluate, report, threshold --add-good, reproduce"

NEEDED: tuple[tuple[str, str, str], ...] = (
    ("ssimae._rust", "every verb but info and doctor", "pip install . in the folder of the source builds it"),
    ("numpy", "every verb", "pip install numpy"),
    ("scipy", f"{_NETWORKS}, threshold", "pip install scipy"),
    ("PIL", "every verb that reads images", "pip install pillow"),
    ("tifffile", "every verb that reads images", "pip install tifffile"),
    ("torch", _NETWORKS, "pip install torch"),
    ("sklearn", _NETWORKS, "pip install scikit-learn"),
    ("safetensors", f"{_NETWORKS}, threshold, info RUN", "pip install safetensors"),
    ("matplotlib", "run, evaluate, report, reproduce", "pip install matplotlib"),
    ("jinja2", "run, evaluate, report", "pip install jinja2"),
)
"""Packages by the name that is imported, the verbs that lack them where they are missing, and how to get them."""

_ALWAYS = "ssimae._rust", "numpy", "PIL", "tifffile"
"""Those of them that an inspection with an exported model needs, too."""

OPTIONAL: tuple[tuple[str, str, str], ...] = (
    ("triton", "training on an NVIDIA or AMD GPU at full speed", "pip install triton"),
    ("torchvision", "--loss fm, --method dictionary, --compare with these", "pip install torchvision"),
    ("onnx", "export", "pip install onnx"),
    ("onnxruntime", "export, and predict and ssimae.Runtime with an exported model", "pip install onnxruntime"),
    ("openvino", "export --to openvino", "pip install openvino"),
    ("imagecodecs", "TIFF of 10, 12 or 14 packed bits or of rare compressions", "pip install imagecodecs"),
    ("ray", "reproduce on several machines", "pip install ray"),
)
"""The same of packages that most people do without."""

_DISTRIBUTIONS = {"PIL": "pillow", "sklearn": "scikit-learn", "ssimae._rust": "ssimae"}
"""Names of packages that are installed under another than they are imported by."""


_LOADED = (*_ALWAYS, "torch", "safetensors")
"""Packages that are imported to see whether they work: those that need a library of the system, or a build of ours. To
import all of them takes ten seconds, most of them what torchvision and scikit-learn import in turn."""


@dataclass(frozen=True)
class _DoctorFlags:
    thorough: bool = False
    """Import every package, where most are only looked up: it finds those that are broken, and takes ten seconds."""
    json: bool = False
    """Print everything as JSON."""
    debug: bool = False
    """Show the traceback of errors."""


def main(arguments: list[str]) -> int:
    """Run the verb and return its exit code: 2 if something is missing that a verb cannot do without."""
    flags = parse_flags(_DoctorFlags, "doctor", arguments, description=__doc__)
    loaded = [name for name, *_ in (*NEEDED, *OPTIONAL) if flags.thorough or name in _LOADED]
    needed = {name: _state(name, imported=name in loaded) for name, *_ in NEEDED}
    optional = {name: _state(name, imported=name in loaded) for name, *_ in OPTIONAL}
    machine = _machine(has_torch=needed["torch"][0])
    lacking = [
        {"package": name, "verbs": verbs, "remedy": remedy}
        for name, verbs, remedy in (*NEEDED, *OPTIONAL)
        if not (needed | optional)[name][0]
    ]
    broken = any(not works for works, _ in needed.values())
    if flags.json:
        packages = {name: {"works": works, "says": says} for name, (works, says) in (needed | optional).items()}
        print(json.dumps({"machine": machine, "packages": packages, "lacking": lacking}, indent=1))
        return BAD_INPUT if broken else OK
    print(described([*machine.items()]))
    print()
    print(described([(name, says) for name, (_, says) in (needed | optional).items()]))
    print()
    for entry in lacking:
        kind = "lacking" if entry["package"] in needed else "optional"
        print(f"{kind}: {entry['package']}, for {entry['verbs']}: {entry['remedy']}")
    if not broken:
        print("Every verb has what it needs.")
        if not flags.thorough:
            print("Most packages were looked up, not imported: `ssimae doctor --thorough` finds those that are broken.")
    elif all(needed[name][0] for name in _ALWAYS):
        print(
            "Something is missing that these verbs need; `predict` and `info` with an exported model need none of it."
        )
    else:
        print("Something is missing that verbs need.")
    return BAD_INPUT if broken else OK


def _state(name: str, *, imported: bool) -> tuple[bool, str]:
    """Return whether a package is there, or can be `imported`, and its version or what is wrong."""
    try:
        if imported:
            importlib.import_module(name)
        elif find_spec(name) is None:
            return False, "not installed"
    except ModuleNotFoundError:
        return False, "not installed"
    except (ImportError, OSError, RuntimeError) as error:  # a library that it needs, or one of another build
        return False, f"cannot be imported: {str(error).splitlines()[0]}"
    try:
        return True, version(_DISTRIBUTIONS.get(name, name))
    except PackageNotFoundError:
        return True, f"{'works' if imported else 'found'}; of no installed package"


def _machine(*, has_torch: bool) -> dict[str, str]:
    """Return what the work would run on, in words."""
    temporary = tempfile.gettempdir()
    found = {
        "ssimae": _state("ssimae", imported=True)[1],
        "python": f"{platform.python_version()} at {sys.executable}",
        "system": platform.platform(),
        "processors": str(system.processors()),
        "temporary files": f"{temporary}, {shutil.disk_usage(temporary).free / 1e9:,.1f} GB free",
    }
    if not has_torch:
        return found
    import torch  # noqa: PLC0415 - what it is not there for is told, too

    from ssimae.hardware import describe, resolve_device, resolve_precision  # noqa: PLC0415
    from ssimae.kernels.support import available  # noqa: PLC0415

    device = resolve_device("auto")
    memory = system.available_memory()
    declined = available(torch.zeros(1, device=device))
    return found | {
        "memory": "unknown" if memory is None else f"{memory / 1e9:,.1f} GB free",
        "device": describe(device),
        "bfloat16": "yes" if resolve_precision("auto", device) == "bfloat16" else "no: float32 is taken",
        "SSIM by": "Triton" if declined is None else f"Rust (Triton {declined})" if device.type == "cpu" else declined,
    }
