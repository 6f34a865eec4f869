"""What a model is, which version this is, and what is installed: told at once, and as JSON."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from ssimae.cli import main
from ssimae.cli.verbs.models import doctor
from ssimae.config.settings import Settings
from ssimae.inspection.threshold import Thresholds
from ssimae.models.build import new_autoencoder
from ssimae.storage.model_file import SavedModel, save_model
from ssimae.storage.run_folder import RunFolder
from support.small_data import small_facts

SETTINGS = Settings(patch_size=32, latent_dim=4, stride=16, min_area=5)
LEVELS = Thresholds(2.5, 3.5, "area", 5, True, 9, 99, "float32", "torch", (3.0,) * 9, (2.0,) * 9, False, 1 / 20, True)


@pytest.fixture
def run(tmp_path: Path) -> Path:
    folder = RunFolder(tmp_path / "run")
    folder.root.mkdir()
    folder.write_config(SETTINGS, small_facts(warnings=("no metrics: no masks",)))
    save_model(folder.model, SavedModel(new_autoencoder(SETTINGS, seed=0), SETTINGS, "float32", LEVELS))
    return folder.root


def modules(code: str) -> tuple[str, set[str]]:
    done = subprocess.run(
        [sys.executable, "-c", f"import sys\nfrom ssimae.cli import main\n{code}\nprint(*sys.modules)"],
        capture_output=True,
        text=True,
        check=True,
    )
    *said, last = done.stdout.splitlines()
    return "\n".join(said), set(last.split())


def test_a_model_is_told_without_torch_by_its_file_or_its_run(run: Path) -> None:
    said, loaded = modules(f"assert main(['info', {str(run)!r}]) == 0")
    assert "torch" not in loaded
    assert "sklearn" not in loaded
    for words in ("SSIM-AE", "24 good images", "review 2.5, defective 3.5", "1 in 20, extrapolated", "no metrics"):
        assert words in said
    (run / "model.safetensors").rename(run.parent / "alone.safetensors")
    said, _ = modules(f"assert main(['info', {str(run.parent / 'alone.safetensors')!r}]) == 0")
    assert "review 2.5" in said
    assert "24 good images" not in said


def test_a_model_as_json_says_everything(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["info", str(run), "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["settings"]["latent_dim"] == 4
    assert told["thresholds"] == LEVELS.to_dict()
    assert told["numbers"] == {"network": sum(p.numel() for p in new_autoencoder(SETTINGS, seed=0).parameters())}
    assert told["run"]["train_images"] == 24
    assert told["warnings"] == ["no metrics: no masks"]


def test_what_is_no_model_is_refused_in_a_line(run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "text").write_text("text")
    for path, said in ((tmp_path / "text", "not a model file"), (tmp_path, "not a run folder"), ("x", "no such model")):
        assert main(["info", str(path)]) == 2
        (line,) = capsys.readouterr().err.splitlines()
        assert said in line
    (run / "model.safetensors").unlink()
    assert main(["info", str(run)]) == 2
    assert "ssimae run --resume" in capsys.readouterr().err


def test_the_version_loads_nothing() -> None:
    said, loaded = modules("assert main(['--version']) == 0")
    assert said.startswith("ssimae 0.")
    assert not loaded & {"torch", "numpy", "tyro", "rich"}


def test_the_doctor_imports_no_more_than_it_must() -> None:
    said, loaded = modules("assert main(['doctor']) == 0")
    assert "scikit-learn" not in said
    assert any(line.split()[0] == "sklearn" and line.split()[1][0].isdigit() for line in said.splitlines() if line)
    # It took eleven seconds to import these, and what they import.
    assert "torch" in loaded
    assert not loaded & {"torchvision", "sklearn", "scipy", "matplotlib", "openvino", "onnxruntime", "torch._dynamo"}


def test_the_doctor_names_what_is_there_and_what_is_missing(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert main(["doctor", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["packages"]["torch"]["works"]
    assert told["machine"]["bfloat16"]
    monkeypatch.setitem(sys.modules, "jinja2", None)
    monkeypatch.setitem(sys.modules, "torchvision", None)
    assert main(["doctor"]) == 2
    said = capsys.readouterr().out
    assert "lacking: jinja2, for run, evaluate, report: pip install jinja2" in said
    assert "optional: torchvision, for --loss fm" in said
    assert any(line.split()[:2] == ["torch", torch.__version__.split("+")[0]] for line in said.splitlines())


def test_the_doctor_finds_a_package_that_is_broken(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "jinja2").mkdir()
    (tmp_path / "jinja2/__init__.py").write_text("raise ImportError('libjinja.so: cannot open shared object file')")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "jinja2", raising=False)
    monkeypatch.setattr(doctor, "OPTIONAL", ())
    assert main(["doctor"]) == 0
    assert "ssimae doctor --thorough` finds those that are broken" in capsys.readouterr().out
    assert main(["doctor", "--thorough"]) == 2
    assert "cannot be imported: libjinja.so: cannot open shared object file" in capsys.readouterr().out
