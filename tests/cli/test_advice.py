"""What a message advises is done as it says, and works."""

import importlib
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Callable
from pathlib import Path

import pytest
import ssimae
from PIL import Image
from ssimae import bands
from ssimae.cli import main
from ssimae.cli.verbs import check, report
from ssimae.jobs import evaluate, run
from support.small_data import SETTINGS, write_small_dataset

pytestmark = pytest.mark.usefixtures("every_training_learns")

Said = pytest.CaptureFixture[str]


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_small_dataset(tmp_path_factory.mktemp("it's") / "my data")


@pytest.fixture(scope="module")
def finished(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of a finished run."""
    out = tmp_path_factory.mktemp("a run") / "out"
    assert main(["run", "--data", str(data), "--out", str(out), *SETTINGS]) == 0
    return out


def advised(text: str) -> list[str]:
    """Return the arguments of the one command in a message."""
    (command,) = re.findall(r"(?:with|them|named|by|again by): (ssimae .*)|`(ssimae .*?)`", text)
    return shlex.split("".join(command))[1:]


def test_an_occupied_folder_can_be_gone_on_with_or_overwritten(
    data: Path, finished: Path, tmp_path: Path, capsys: Said
) -> None:
    for command in (
        ["run", "--data", str(data), "--out", str(tmp_path / "run"), *SETTINGS],
        ["train", "--data", str(data), "--out", str(tmp_path / "train"), *SETTINGS],
        ["predict", str(finished), str(data / "test"), "--out", str(tmp_path / "predict")],
    ):
        assert main(command) == 0
        assert main(command) == 2
        said = capsys.readouterr().err
        assert advised(said)[0] == command[0]
        assert main(advised(said)) == 0
        assert "overwrite it with --force" in said
        assert main([*command, "--force"]) == 0
    other = tmp_path / "other"
    other.mkdir()
    (other / "letter.txt").write_text("dear")
    for command in (["run", "--data", str(data)], ["predict", str(finished), str(data)]):
        assert main([*command, "--out", str(other)]) == 2
        said = capsys.readouterr().err
        assert "choose another --out" in said
        assert "--force" not in said
        assert "--resume" not in said


def test_a_training_alone_says_how_images_are_inspected(data: Path, tmp_path: Path, capsys: Said) -> None:
    out = tmp_path / "out"
    assert main(["train", "--data", str(data), "--out", str(out), *SETTINGS]) == 0
    capsys.readouterr()
    assert main(["evaluate", str(out)]) == 2
    command = advised(capsys.readouterr().err)
    assert main(["report", str(out)]) == 0
    page = (out / "report.html").read_text()
    assert f"ssimae run --resume {out}" in page
    assert command == ["run", "--resume", str(out)]
    assert main(command) == 0
    assert (out / "metrics.json").exists()


def test_a_run_that_fails_after_its_training_goes_on_or_gives_its_network(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Said
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise ValueError("too fine")

    out = tmp_path / "out"
    with monkeypatch.context() as patch:
        patch.setattr(run, "threshold_stage", fail)
        assert main(["run", "--data", str(data), "--out", str(out), *SETTINGS]) == 2
    assert main(["run", "--weights", str(out), "--out", str(tmp_path / "other"), "--min-area", "5"]) == 0
    capsys.readouterr()
    assert main(["predict", str(out), str(data / "test")]) == 2
    assert main(advised(capsys.readouterr().err)) == 0
    assert (out / "report.html").exists()


@pytest.mark.parametrize("number", [pytest.param(signal.SIGINT, marks=pytest.mark.exhaustive), signal.SIGTERM])
@pytest.mark.parametrize("verb", ["check", "evaluate", "report", "run"])
def test_after_an_interruption_the_command_that_is_named_goes_on(
    verb: str,
    number: int,
    data: Path,
    finished: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: Said,
) -> None:
    where: dict[str, tuple[object, str, list[str]]] = {
        "check": (check, "check_dataset", ["check", str(data), "--patch-size", "32"]),
        "evaluate": (evaluate, "gather", ["evaluate", str(finished)]),
        "report": (report, "write_report", ["report", str(finished)]),
        "run": (run, "threshold_stage", ["run", "--data", str(data), "--out", str(tmp_path / "out"), *SETTINGS]),
    }
    module, name, command = where[verb]
    before = signal.getsignal(number)
    with monkeypatch.context() as patch:
        patch.setattr(module, name, lambda *_, **__: signal.raise_signal(number))
        assert main(command) == 128 + number
    assert signal.getsignal(number) is before
    again = advised(capsys.readouterr().err)
    assert again == (command if verb != "run" else ["run", "--resume", str(tmp_path / "out")])
    assert main(again) == 0


def test_an_interruption_before_the_work_leads_to_the_same_command(
    data: Path, finished: Path, monkeypatch: pytest.MonkeyPatch, capsys: Said
) -> None:
    # What stands in --out is the run of somebody else, until this one has taken its place.
    command = ["run", "--data", str(data), "--out", str(finished), "--force", *SETTINGS]
    monkeypatch.setattr(run, "check_images", lambda *_, **__: signal.raise_signal(signal.SIGTERM))
    assert main(command) == 143
    assert advised(capsys.readouterr().err) == command


def test_maps_and_runs_are_scored_as_the_messages_say(data: Path, finished: Path, tmp_path: Path, capsys: Said) -> None:
    maps = finished / "residuals"
    assert main(["evaluate", str(maps)]) == 2
    command = [str(data) if word == "DATA" else word for word in advised(capsys.readouterr().err)]
    assert main([*command, "--out", str(tmp_path / "one")]) == 0
    said = capsys.readouterr().out
    assert all(path.name in said for path in (tmp_path / "one").iterdir())
    assert main(["evaluate", str(finished), "--image-top", "0.5"]) == 2
    assert "`--image-top` needs --out" in capsys.readouterr().err
    assert main(["evaluate", str(finished), "--image-top", "0.5", "--out", str(tmp_path / "two")]) == 0
    capsys.readouterr()
    assert main(["evaluate", str(finished)]) == 0
    assert main(advised(capsys.readouterr().out.splitlines()[-1])) == 0
    assert main(["evaluate", str(tmp_path / "nowhere")]) == 2
    assert "no such folder" in capsys.readouterr().err


def test_a_file_of_several_pages_is_read_as_the_message_says(data: Path, tmp_path: Path, capsys: Said) -> None:
    import ssimae

    pages = [Image.open(path) for path in sorted((data / "train" / "good").iterdir())]
    photos = tmp_path / "photos"
    photos.mkdir()
    pages[0].save(photos / "pages.tif", save_all=True, append_images=pages[1:])
    assert main(["check", str(photos)]) == 2
    assert "name one with `page` in 0..3 to `ssimae.read_image`" in capsys.readouterr().err
    assert ssimae.read_image(photos / "pages.tif", page=3).shape == (70, 96)


@pytest.mark.parametrize(
    "arguments", [["check", "--help"], pytest.param(["evaluate", "{run}"], marks=pytest.mark.exhaustive)]
)
def test_a_reader_who_leaves_is_no_error(arguments: list[str], finished: Path) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    command = [sys.executable, "-m", "ssimae", *(word.format(run=finished) for word in arguments)]
    done = subprocess.run(command, stdout=writer, stderr=subprocess.PIPE, text=True, check=False)
    os.close(writer)
    assert (done.returncode, done.stderr) == (141, "")


@pytest.mark.parametrize("call", ["fsync", "replace"])
def test_a_full_disk_is_named_with_the_file(
    call: str, finished: Path, monkeypatch: pytest.MonkeyPatch, capsys: Said
) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, call, full)
    assert main(["evaluate", str(finished)]) == 2
    assert capsys.readouterr().err == f"ssimae: {finished / 'metrics.json'}: No space left on device\n"


def test_a_folder_that_another_command_writes_is_left_alone(
    finished: Path, monkeypatch: pytest.MonkeyPatch, capsys: Said
) -> None:
    write: Callable[..., Path] = report.write_report

    def write_and_look(root: Path, *, allow_collapsed: bool) -> Path:
        assert main(["report", str(root)]) == 2
        assert main(["evaluate", str(root)]) == 2
        return write(root, allow_collapsed=allow_collapsed)

    monkeypatch.setattr(report, "write_report", write_and_look)
    assert main(["report", str(finished)]) == 0
    assert capsys.readouterr().err.count("another command is writing here") == 2


def test_a_signal_that_comes_while_modules_load_is_obeyed_behind_them(
    monkeypatch: pytest.MonkeyPatch, capsys: Said
) -> None:
    loaded = []

    def load(name: str) -> None:
        signal.raise_signal(signal.SIGTERM)
        loaded.append(name)

    monkeypatch.setattr(importlib, "import_module", load)
    assert main(["check", "a b"]) == 143
    assert loaded == ["ssimae.cli.verbs.check"]
    assert advised(capsys.readouterr().err) == ["check", "a b"]


def test_an_interruption_while_textures_are_woven_leaves_the_folder_empty(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Said
) -> None:
    def weave(folder: Path, **_: object) -> None:
        (folder / "train/good").mkdir(parents=True)
        (folder / "train/good/00.png").write_bytes(b"")
        signal.raise_signal(signal.SIGTERM)

    monkeypatch.setattr(run, "write_woven_dataset", weave)
    command = ["run", "--out", str(tmp_path / "out")]
    for _ in range(2):
        assert main(command) == 143
        assert advised(capsys.readouterr().err) == command


def test_an_edited_file_is_put_right_as_the_message_says(finished: Path, tmp_path: Path, capsys: Said) -> None:
    run = tmp_path / "a copy"
    shutil.copytree(finished, run)
    thresholds, config = run / "thresholds.json", run / "config.toml"
    before = thresholds.read_text()
    thresholds.write_text(before.replace('"min_area": 4', '"min_area": 999'))
    assert main(["report", str(run)]) == 2
    command = advised(capsys.readouterr().err)
    thresholds.unlink()
    assert main(command) == 0
    assert thresholds.read_text() == before
    settings = config.read_text()
    for old, new in (("stride = 16", "stride = 8"), ("residual_flips = false", "residual_flips = true")):
        assert old in settings
        config.write_text(settings.replace(old, new))
        capsys.readouterr()
        assert main(["report", str(run)]) == 2
        command = advised(capsys.readouterr().err)
        config.write_text(settings)
        assert main([*command, "--out", str(tmp_path / new)]) == 0
        assert new in (tmp_path / new / "config.toml").read_text()


@pytest.mark.parametrize("verb", ["run", "predict"])
def test_when_there_is_room_again_the_work_goes_on(
    verb: str, data: Path, finished: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Said
) -> None:
    out = tmp_path / "out"
    command = {
        "run": ["run", "--data", str(data), "--out", str(out), *SETTINGS],
        "predict": ["predict", str(finished), str(data / "test"), "--out", str(out)],
    }[verb]
    replace, calls = os.replace, []

    def full(source: str, target: Path) -> None:
        calls.append(target)
        if Path(target).suffix == ".tiff" and len([path for path in calls if Path(path).suffix == ".tiff"]) == 3:
            raise OSError(28, "No space left on device")
        replace(source, target)

    with monkeypatch.context() as patch:
        patch.setattr(os, "replace", full)
        assert main(command) == 2
    assert capsys.readouterr().err.splitlines()[-1] == f"ssimae: {calls[-1]}: No space left on device"
    assert main(command) == 2
    assert main(advised(capsys.readouterr().err)) == 0
    assert (out / "predictions.csv").exists()
    assert not list(out.rglob("*.partial*"))


@pytest.mark.skipif(sys.platform != "linux", reason="maps lie in files on Linux")
def test_maps_go_where_the_message_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(bands, "LARGE", 100)
    with monkeypatch.context() as patch:
        patch.setattr(os, "posix_fallocate", refuse)
        with pytest.raises(OSError, match="TMPDIR may name another folder"):
            bands.new_map((20, 20))
    monkeypatch.setattr(tempfile, "tempdir", None)
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    reserve, places = os.posix_fallocate, []

    def look(handle: int, start: int, size: int) -> None:
        places.append(Path(os.readlink(f"/proc/self/fd/{handle}")).parent)
        reserve(handle, start, size)

    monkeypatch.setattr(os, "posix_fallocate", look)
    bands.new_map((20, 20))
    assert places == [tmp_path]


def test_what_is_to_be_installed_is_there_to_be_installed() -> None:
    """Each extra that a message names is one of the package."""
    sources = (path.read_text() for path in Path(ssimae.__path__[0]).rglob("*.py"))
    named = {extra for source in sources for extra in re.findall(r"pip install '?ssimae\[(\w+)\]", source)}
    assert {"features", "ray", "efficientnet"} <= named
    project = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text())["project"]
    assert named <= project["optional-dependencies"].keys()


@pytest.mark.parametrize(("verb", "advises"), [("train", True), ("predict", False)])
def test_advice_on_memory_names_flags_of_the_verb(
    verb: str, advises: bool, monkeypatch: pytest.MonkeyPatch, capsys: Said
) -> None:
    def run_out(_: object) -> None:
        raise RuntimeError("CUDA out of memory. Tried to allocate 2 GiB\n more")

    monkeypatch.setattr(importlib.import_module(f"ssimae.cli.verbs.{verb}"), "main", run_out)
    assert main([verb]) == 2
    flags = re.findall(r"--[a-z-]+", capsys.readouterr().err)
    assert flags == (["--batch-size", "--scale"] if advises else [])
