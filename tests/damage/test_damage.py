"""A damaged file of any kind gets one line with its name and exit code 2, in bounded time and memory; a pipe, too."""

import io
import json
import lzma
import os
import re
import shutil
import signal
import struct
import subprocess
import sys
import zipfile
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load, save
from ssimae.cli import main
from support.small_data import SETTINGS, write_small_dataset

HERE = Path(__file__).parent
OLD_RUN = HERE.parent / "storage" / "old_run"


@pytest.mark.parametrize(
    ("seconds", "seed"), [(4, 0), pytest.param(16, 1, marks=[pytest.mark.exhaustive, pytest.mark.slow])]
)
def test_damaged_files_are_read_or_refused_in_bounded_time_and_memory(tmp_path: Path, seconds: int, seed: int) -> None:
    command = [sys.executable, str(HERE / "fuzz.py"), str(tmp_path / "files"), str(seconds), str(seed)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=seconds + 240, check=False)
    assert done.returncode == 0, done.stdout + done.stderr[-2000:]
    assert int(done.stdout.split()[0]) > 20


class TookTooLongError(BaseException):
    """A verb waits."""


@pytest.fixture(autouse=True)
def _no_verb_waits() -> Iterator[None]:
    def ring(*_: object) -> None:
        raise TookTooLongError

    before = signal.signal(signal.SIGALRM, ring)
    signal.alarm(600)
    yield
    signal.alarm(0)
    signal.signal(signal.SIGALRM, before)


@pytest.fixture
def old(tmp_path: Path) -> Path:
    """Return a folder with a run, its images, and a data set."""
    shutil.copytree(OLD_RUN, tmp_path / "old")
    run = tmp_path / "old" / "run"
    for path in (run / "config.toml", run / "predictions.csv"):
        path.write_text(path.read_text().replace("/data/mesh", str(tmp_path / "old" / "mesh")))
    (run / "model.safetensors").write_bytes(lzma.decompress((run / "model.safetensors.xz").read_bytes()))
    return tmp_path / "old"


def refused(capsys: pytest.CaptureFixture[str], *arguments: object) -> str:
    capsys.readouterr()
    assert main([str(argument) for argument in arguments]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert len(line) < 1000
    return line


DEEP = b"[" * 100_000


DAMAGES: list[tuple[str, Callable[[bytes], bytes]]] = [
    ("config.toml", lambda text: text + b"\na = " + DEEP),
    ("config.toml", lambda text: text.replace(b"train_images = 4", b"train_images = true")),
    ("config.toml", lambda text: b"run = 3\n"),
    ("config.toml", lambda text: b"\xff\xfe" + text),
    ("thresholds.json", lambda text: DEEP),
    ("thresholds.json", lambda text: b"[]"),
    ("thresholds.json", lambda text: text.replace(b'"pixels"', b'"pixel"')),
    ("log.jsonl", lambda text: b'{"step": "x"}\n' + text),
    ("log.jsonl", lambda text: b"\0" * 100 + text),
    ("metrics.json", lambda text: text.replace(b'"overlap"', b'"overlaps"')),
    ("metrics.json", lambda text: b"null"),
    ("predictions.csv", lambda text: text.replace(b"40,72,", b"4000000,7200000,")),
    ("predictions.csv", lambda text: text + b"\0" * 10),
    ("predictions.csv", lambda text: text + b'"' + b"x" * 200_000),
    ("curves.npz", lambda content: content[: len(content) // 2]),
    ("pod.json", lambda text: b'{"defects": {"size_px": 3}}'),
    ("choices.json", lambda text: b'{"trials": {}}'),
]


def test_report_names_the_damaged_file(old: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name, change in DAMAGES:
        path = old / "run" / name
        before = path.read_bytes() if path.exists() else None
        path.write_bytes(change(before or b""))
        assert path.read_bytes() != before
        line = refused(capsys, "report", old / "run")
        assert f"ssimae: {path if name != 'config.toml' else old / 'run'}" in line
        if before is None:
            path.unlink()
        else:
            path.write_bytes(before)


def npy_of(shape: tuple[int, ...]) -> bytes:
    """Return the head of an array with few bytes behind it."""
    buffer = io.BytesIO()
    np.lib.format.write_array_header_1_0(buffer, {"descr": "<f4", "fortran_order": False, "shape": shape})
    return buffer.getvalue() + b"\0" * 64


def npz_of(content: bytes, name: str) -> bytes:
    """Return an archive with one member."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(name, content)
    return buffer.getvalue()


def png_of(width: int, height: int) -> bytes:
    """Return a PNG whose head announces a size, and that holds next to nothing."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    head = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(bytes(99))) + chunk(b"IEND", b"")


def test_heads_that_announce_more_than_the_file_holds_take_no_memory(
    old: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each of them announces some gigabytes."""
    empty = np.empty

    def counted(shape: object, *rest: object, **options: object) -> object:
        assert np.prod(np.atleast_1d(np.asarray(shape))) < 10**8
        return empty(shape, *rest, **options)  # type: ignore[call-overload]

    monkeypatch.setattr(np, "empty", counted)
    huge = tmp_path / "huge.png"
    huge.write_bytes(png_of(30_000, 30_000))
    model = old / "run" / "model.safetensors"
    assert "30000 x 30000 pixels announced" in refused(capsys, "predict", model, huge, "--out", tmp_path / "out")
    ignoring = ["predict", str(model), str(old / "mesh/test"), "--ignore", str(huge), "--out", str(tmp_path / "out")]
    assert main(ignoring) == 2
    assert "30000 x 30000 pixels announced" in capsys.readouterr().err
    maps = tmp_path / "maps"
    for defect in ("good", "hole"):
        (maps / "test" / defect).mkdir(parents=True)
        for path in sorted((old / "mesh/test" / defect).iterdir()):
            (maps / "test" / defect / f"{path.stem}.npy").write_bytes(npy_of((40_000, 40_000)))
    assert "more than its" in refused(capsys, "evaluate", maps, old / "mesh", "--out", tmp_path / "out")
    curves = old / "run" / "curves.npz"
    curves.write_bytes(npz_of(npy_of((10**10,)), "roc_fpr.npy"))
    assert f"{curves}: " in refused(capsys, "report", old / "run")
    content, alone = model.read_bytes(), tmp_path / "alone.safetensors"
    with safe_open(model, framework="pt") as file:
        metadata = file.metadata()
    settings = {**json.loads(metadata["settings"]), "latent_dim": 10**9}
    alone.write_bytes(save(load(content), {**metadata, "settings": json.dumps(settings)}))
    assert "do not fit" in refused(capsys, "predict", alone, old / "mesh/test", "--out", tmp_path / "out")
    alone.write_bytes(save({"weight": torch.zeros(3)}, {**metadata, "format": "ssimae-model-2"}))
    assert "do not fit" in refused(capsys, "predict", alone, old / "mesh/test", "--out", tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_no_verb_waits_for_a_pipe(old: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pipe, run, data = tmp_path / "pipe.png", old / "run", write_small_dataset(tmp_path / "data")
    os.mkfifo(pipe)
    model, images, out = run / "model.safetensors", old / "mesh" / "test", ("--out", tmp_path / "out")
    for arguments in (
        ("predict", model, pipe, *out),
        ("predict", pipe, images, *out),
        ("predict", model, images, "--ignore", pipe, *out),
        ("run", "--data", data, "--config", pipe, *out),
        ("run", "--data", data / "train/good", "--ignore", pipe, *SETTINGS, *out),
        ("check", data / "train/good", "--ignore", pipe, "--patch-size", 32),
    ):
        capsys.readouterr()
        assert main([str(argument) for argument in arguments]) == 2, arguments
        assert re.search("a pipe, not a file|neither a file nor a folder", capsys.readouterr().err), arguments
    for arguments in (("run", "--data", pipe, *out), ("check", pipe), ("evaluate", pipe, data), ("report", pipe)):
        assert main([str(argument) for argument in arguments]) == 2, arguments
    for name in ("thresholds.json", "log.jsonl", "metrics.json", "curves.npz", "predictions.csv", "model.safetensors"):
        path = run / name
        content = path.read_bytes()
        path.unlink()
        os.mkfifo(path)
        assert f"{path}: a pipe, not a file" in refused(capsys, "report", run)
        path.unlink()
        path.write_bytes(content)
