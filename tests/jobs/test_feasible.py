"""What cannot work with these images, or on this machine, is refused before any training."""

import shutil
from pathlib import Path

import numpy as np
import pytest
import ssimae
from PIL import Image
from ssimae.cli import main
from ssimae.host import system
from ssimae.jobs import choose, run
from support.small_data import SETTINGS, write_small_dataset


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_small_dataset(tmp_path_factory.mktemp("feasible") / "data")


def trained(*_: object, **__: object) -> None:
    raise AssertionError("a training began")


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (
            ["--opening", "18"],
            "`opening` must be at most a quarter of the shortest side of an image (70 pixels)",
        ),
        (["--residual-smoothing", "18"], "`residual_smoothing` must be at most a quarter"),
        (["--min-area", "673"], "`min_area` must be at most a tenth of the smallest image (6720 pixels), got 673"),
        (["--threshold-rule", "fpr"], "`threshold_fpr` 0.001 is finer than 8960 good pixels carry"),
        (["--threshold-rule", "fpr", "--no-hold-out", "--threshold-fpr", "1e-4"], "is finer than 26880 good pixels"),
        (["--seed", str(2**32)], "`seed` must lie in [0, 4294967295], got 4294967296"),
        (["--scale", "1e-9"], "smaller than a patch"),
        (["--scale", "1e6"], "`scale` 1000000.0 needs 26,880,000.0 GB of memory at least"),
        (["--batch-size", "1000000000"], "`batch_size` 1000000000 needs"),
        (["--latent-dim", "1000000000"], "`latent_dim` 1000000000 needs"),
        (["--patches", "1000000000000"], "`patches` 1000000000000 needs"),
        (["--head-patches", "1000000000000"], "`head_patches` 1000000000000 needs"),
        (
            ["--method", "dictionary", "--features", "random", "--dictionary-size", "49"],
            "at most `patches` (48), got 49",
        ),
        (["--sigma", "1e300"], "`sigma` must lie in [0.1, 100]"),
        (["--false-calls", "1e-300"], "`false_calls` must lie in [0.0001, 1]"),
    ],
)
def test_a_run_refuses_it(
    flags: list[str],
    said: str,
    data: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(run, "train_stage", trained)
    assert main(["run", "--data", str(data), "--out", str(tmp_path / "out"), *SETTINGS, *flags]) == 2
    assert said in capsys.readouterr().err


def test_a_run_that_chooses_refuses_it_before_its_trials(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(choose, "choose", trained)
    flags = ["--threshold-rule", "fpr", "--threshold-fpr", "1e-5", "--patch-size", "32"]
    assert main(["run", "--data", str(data), "--out", str(tmp_path / "out"), *flags]) == 2
    assert "good pixels carry" in capsys.readouterr().err


def test_masked_pixels_do_not_count(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(run, "train_stage", trained)
    Image.fromarray(np.eye(70, 96, dtype=np.uint8) * 255).save(tmp_path / "ignore.png")
    flags = [*SETTINGS, "--threshold-rule", "fpr", "--ignore", str(tmp_path / "ignore.png"), "--patch-size", "32"]
    assert main(["run", "--data", str(data), "--out", str(tmp_path / "out"), *flags]) == 2
    # Four bands of 70 x 32 pixels, of which the diagonal crosses 6.
    assert f"finer than {4 * (70 * 32 - 6)} good pixels" in capsys.readouterr().err


def test_a_detector_refuses_it_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ssimae.detector.fit.learn", trained)
    images = [np.eye(70, 96, dtype=np.float32)] * 4
    with pytest.raises(ValueError, match="`opening` must be at most"):
        ssimae.Detector(patch_size=32, stride=16, opening=40).fit(images)
    with pytest.raises(ValueError, match="is finer than"):
        ssimae.Detector(patch_size=32, stride=16, threshold_rule="fpr").fit(images)


def test_the_memory_of_this_machine_is_known() -> None:
    available = system.available_memory()
    if available is None:
        pytest.skip("needs /proc/meminfo")
    assert 2**20 < available < 2**50


@pytest.mark.parametrize("name", ["/".join(["y" * 250] * 17), "caf\udce9"])
def test_names_after_which_no_result_can_be_called_are_refused(
    name: str, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(run, "train_stage", trained)
    photos = tmp_path / "photos"
    (photos / "train").mkdir(parents=True)
    shutil.copytree(data / "train" / "good", photos / "train" / "good")
    monkeypatch.chdir(photos)
    Path("test").mkdir()
    folder = Path("test") / name.split("/", maxsplit=1)[0]
    shutil.copytree(data / "test" / "good", folder)
    out = tmp_path.joinpath(*name.split("/")[1:-1]) / "out"
    assert main(["run", "--data", str(photos), "--out", str(out), *SETTINGS]) == 2
    assert "rename" in capsys.readouterr().err
