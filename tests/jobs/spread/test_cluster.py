"""Images and maps that a Ray cluster works on give what one process gives, whatever becomes of a worker."""

import os
import signal
import subprocess
import sys
import time
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from ssimae.cli import main
from ssimae.jobs.spread import cluster, evaluate, predict
from support.small_data import SETTINGS, texture, write_small_dataset


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    """Return a finished run."""
    folder = tmp_path_factory.mktemp("model")
    data = write_small_dataset(folder / "data")
    assert main(["run", "--data", str(data), "--out", str(folder / "run"), "--compare", "none", *SETTINGS]) == 0
    return folder / "run"


@pytest.fixture
def here(monkeypatch):
    """Let parts be worked on in this process, by what two workers would keep."""

    def spread(ray, make, items, *, gpu):
        workers = [make(), make()]
        for number, part in enumerate(cluster.parts_of(items, 2)):
            yield workers[number % 2](part)

    class NoRay:
        def __enter__(self):
            return self

        def __exit__(self, *error):
            pass

    for module in (predict, evaluate):
        monkeypatch.setattr(module, "connected", lambda address: NoRay())
        monkeypatch.setattr(module, "spread", spread)


def write_images(folder: Path, count: int) -> Path:
    """Write textures, every seventh of them broken."""
    rng = np.random.default_rng(1)
    folder.mkdir()
    for number in range(count):
        path = folder / f"{number:03d}.png"
        Image.fromarray(texture(rng)).save(path)
        if number % 7 == 3:
            path.write_bytes(path.read_bytes()[:200])
    return folder


def contents(folder: Path) -> dict[str, bytes]:
    """Return all files of a folder but what names the folder itself."""
    files = (path for path in folder.rglob("*") if path.is_file() and path.name not in (".lock", "config.toml"))
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}


def command(model: Path, images: Path, out: Path, *more: str) -> list[str]:
    kinds = ["--masks", "flagged", "--overlays", "flagged", "--skip-bad", "--allow-collapsed"]
    return ["predict", str(model), str(images), "--out", str(out), *kinds, *more]


def test_parts_hold_all_in_order():
    for count in (1, 2, 7, 33, 1000):
        parts = cluster.parts_of(range(count), 3)
        assert [item for part in parts for item in part] == list(range(count))
        assert all(1 <= len(part) <= 16 for part in parts)


def test_images_in_parts_give_what_one_process_gives(model, tmp_path, here, capsys):
    images = write_images(tmp_path / "images", 20)
    assert main(command(model, images, tmp_path / "one")) == 3
    alone = capsys.readouterr().out.splitlines()[:-1]
    assert main(command(model, images, tmp_path / "parts", "--ray", "local")) == 3
    assert capsys.readouterr().out.splitlines()[:-1] == alone
    assert contents(tmp_path / "parts") == contents(tmp_path / "one")


def test_an_interrupted_inspection_goes_on_in_parts(model, tmp_path, here):
    images = write_images(tmp_path / "images", 12)
    assert main(command(model, images, tmp_path / "one")) == 3
    assert main(command(model, images, tmp_path / "parts")) == 3
    table = tmp_path / "parts/predictions.csv"
    table.write_text("".join(table.read_text().splitlines(keepends=True)[:3]))
    assert main(["predict", "--resume", str(tmp_path / "parts"), "--ray", "local"]) == 3
    assert contents(tmp_path / "parts") == contents(tmp_path / "one")


def test_maps_in_parts_are_scored_as_by_one_process(model, tmp_path, here):
    for name, more in (("one", []), ("parts", ["--ray", "local"])):
        assert main(["evaluate", str(model), "--out", str(tmp_path / name), "--no-report", *more]) == 0
    names = "metrics.json", "region_scores.csv", "curves.npz"
    assert all((tmp_path / "one" / name).read_bytes() == (tmp_path / "parts" / name).read_bytes() for name in names)


@pytest.mark.parametrize("more", [["--continuous"], ["--watch", "."]])
def test_what_comes_one_by_one_is_not_spread(model, tmp_path, capsys, more):
    images = [] if "--watch" in more else [str(write_images(tmp_path / "images", 2))]
    assert main(["predict", str(model), *images, "--out", str(tmp_path / "out"), "--ray", "local", *more]) == 2
    assert "--ray" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


@pytest.mark.exhaustive
@pytest.mark.skipif(find_spec("ray") is None, reason="needs Ray: pip install 'ssimae[ray]'")
def test_a_killed_worker_loses_nothing_and_repeats_nothing(model, tmp_path, monkeypatch):
    images = write_images(tmp_path / "images", 150)
    monkeypatch.setenv("OMP_NUM_THREADS", "1")  # as Ray has it for a worker of one processor
    out = tmp_path / "spread"
    mark = f"SSIMAE_TEST={out}"
    program = [sys.executable, "-m", "ssimae", *command(model, images, out, "--ray", "local")]
    running = subprocess.Popen(
        program, env=os.environ | dict([mark.split("=")]), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    table = out / "predictions.csv"
    while running.poll() is None and not (table.exists() and table.read_text().count("\n") > 5):
        time.sleep(0.01)
    os.kill(_worker_with(mark), signal.SIGKILL)
    _, errors = running.communicate(timeout=300)
    assert running.returncode == 3, errors
    alone = [sys.executable, "-m", "ssimae", *command(model, images, tmp_path / "one")]
    assert subprocess.run(alone, capture_output=True, check=False).returncode == 3
    assert contents(out) == contents(tmp_path / "one")


def _worker_with(mark: str) -> int:
    """Return a worker of the cluster that has an environment variable."""
    for process in Path("/proc").glob("[0-9]*"):
        try:
            ours = mark.encode() in (process / "environ").read_bytes().split(b"\0")
            if ours and b"_Worker" in (process / "cmdline").read_bytes():
                return int(process.name)
        except OSError:
            continue
    raise AssertionError("no worker")
