"""What each way to start imports: modules are counted, not seconds."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from ssimae.cli.dispatch import _verbs

HEAVY = {"torch", "sklearn", "scipy", "matplotlib", "triton", "jinja2", "safetensors"}


def imported(code: str) -> set[str]:
    done = subprocess.run(
        [sys.executable, "-c", f"import sys\n{code}\nprint('modules', *sys.modules)"],
        capture_output=True,
        text=True,
        check=True,
    )
    return set(done.stdout.splitlines()[-1].split())


def test_the_package_is_imported_without_what_its_names_need() -> None:
    modules = imported("import ssimae; dir(ssimae)")
    assert "importlib.metadata" not in modules
    assert not modules & (HEAVY | {"numpy", "PIL", "tyro", "rich"})
    assert len([name for name in modules if name.startswith("ssimae")]) == 1


def test_help_lists_every_verb_and_imports_none() -> None:
    modules = imported("from ssimae.cli import main; main(['--help'])")
    assert not modules & (HEAVY | {"numpy", "PIL", "tyro", "rich"})
    assert [name for name in modules if name.startswith("ssimae.cli.verbs.")] == []


def test_every_verb_says_in_a_line_what_it_does(capsys: pytest.CaptureFixture[str]) -> None:
    from ssimae.cli import main

    assert main(["--help"]) == 0
    lines = capsys.readouterr().out.splitlines()
    for verb in _verbs():
        (line,) = (line for line in lines if line.startswith(f"  ssimae {verb} "))
        assert len(line.split()) > 5


def test_a_folder_is_checked_without_torch(tmp_path: Path) -> None:
    for index in range(2):
        Image.fromarray(np.arange(140 * 150, dtype=np.uint8).reshape(140, 150) + index).save(tmp_path / f"{index}.png")
    modules = imported(
        f"from ssimae.cli import main; assert main(['check', {str(tmp_path)!r}, '--scale', '0.95']) == 0"
    )
    assert not modules & HEAVY


def test_settings_and_data_sets_need_no_torch(tmp_path: Path) -> None:
    assert not imported("import ssimae; ssimae.Settings(); ssimae.preset('best'); ssimae.open_dataset") & HEAVY


def test_predict_is_imported_without_torch() -> None:
    assert not imported("import ssimae.cli.verbs.predict") & HEAVY
