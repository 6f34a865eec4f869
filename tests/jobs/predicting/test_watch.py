"""A watched folder: a file counts once it rests, none stops the watch, none is missed or inspected twice."""

import csv
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from ssimae.cli import main
from ssimae.jobs.predicting.arrivals import Arrival
from ssimae.jobs.predicting.watch import ATTEMPTS, Watched


class Clock:
    """Time that passes only while somebody sleeps, and what happens then."""

    def __init__(self) -> None:
        self.now = 0.0
        self.events: list[tuple[float, Callable[[], object]]] = []

    def at(self, moment: float, event: Callable[[], object]) -> None:
        self.events.append((moment, event))

    def sleep(self, seconds: float) -> None:
        self.now += seconds
        for moment, event in [item for item in self.events if item[0] <= self.now]:
            self.events.remove((moment, event))
            event()


def watched(folder: Path, clock: Clock, *, until: float, in_order: bool = False) -> Watched:
    return Watched(
        folder,
        "in",
        settle=1.0,
        ignore=None,
        known=lambda path, stamp: path.name == "known.png",
        stopped=lambda: clock.now >= until,
        in_order=in_order,
        clock=lambda: clock.now,
        sleep=clock.sleep,
    )


def seen(images: Watched, clock: Clock) -> Iterator[tuple[str, float]]:
    for arrival in images:
        yield arrival.shown, round(clock.now, 1)


def touch(path: Path, content: bytes = b"x", mtime: float = 1e9) -> None:
    path.write_bytes(content)
    os.utime(path, (mtime, mtime))


def test_a_file_counts_once_it_rests(tmp_path: Path) -> None:
    clock = Clock()
    touch(tmp_path / "2.png")
    touch(tmp_path / "known.png")
    (tmp_path / "sub").mkdir()
    for moment in range(1, 6):
        clock.at(moment, lambda moment=moment: touch(tmp_path / "10.png", b"x" * moment))  # still growing
    for moment in range(3, 9):
        clock.at(moment, lambda moment=moment: touch(tmp_path / "sub" / "3.png", mtime=1e9 + moment))  # of one size
    clock.at(4, lambda: touch(tmp_path / "2.png", b"another"))  # a camera that counts round
    clock.at(4, lambda: touch(tmp_path / "2.txt"))
    clock.at(4, lambda: touch(tmp_path / ".3.png"))
    found = list(seen(watched(tmp_path, clock, until=12), clock))
    assert [name for name, _ in found] == ["in/2.png", "in/2.png", "in/10.png", "in/sub/3.png"]
    for (_, moment), rests_from in zip(found, (0, 4, 5, 8), strict=True):
        assert rests_from + 1 <= moment < rests_from + 1.5


def test_a_file_that_is_renamed_into_place_counts_at_once(tmp_path: Path) -> None:
    clock = Clock()
    clock.at(2, lambda: touch(tmp_path / ".a.png.part"))
    clock.at(2.5, lambda: (tmp_path / ".a.png.part").rename(tmp_path / "a.png"))
    # It was not seen under the other name, or was written to since: it has to rest.
    clock.at(5, lambda: touch(tmp_path / "b.tmp"))
    clock.at(5.5, lambda: (touch(tmp_path / "b.tmp", b"more"), (tmp_path / "b.tmp").rename(tmp_path / "b.png")))
    (first, at_once), (second, rested) = seen(watched(tmp_path, clock, until=9), clock)
    assert (first, second) == ("in/a.png", "in/b.png")
    assert at_once < 3
    assert 6.5 <= rested < 7


def test_what_cannot_be_read_is_tried_again_and_told_at_last(tmp_path: Path) -> None:
    clock = Clock()
    touch(tmp_path / "locked.png")
    touch(tmp_path / "vanishing.png")
    images = watched(tmp_path, clock, until=30)
    tries: list[tuple[str, float, bool]] = []
    clock.at(20, lambda: touch(tmp_path / "locked.png", b"complete"))
    for arrival in images:
        name = arrival.path.name
        if name == "vanishing.png":
            arrival.path.unlink()
            assert images.comes_again(arrival, FileNotFoundError())
        elif clock.now < 20:
            tries.append((name, clock.now, images.comes_again(arrival, PermissionError("in use"))))
        else:
            tries.append((name, clock.now, False))
    assert [again for _, _, again in tries] == [True] * (ATTEMPTS - 1) + [False, False]
    moments = [moment for _, moment, _ in tries]
    assert 2 <= moments[1] - moments[0] < 2.5
    assert 4 <= moments[2] - moments[1] < 4.5
    assert moments[3] >= 21


def test_images_that_must_come_in_order_wait_for_each_other(tmp_path: Path) -> None:
    clock = Clock()
    for name in ("f1", "f2", "f10"):
        touch(tmp_path / f"{name}.png")
    for size in range(2, 6):
        clock.at(0.6 * (size - 1), lambda size=size: touch(tmp_path / "f2.png", b"x" * size))
    found = list(seen(watched(tmp_path, clock, until=9, in_order=True), clock))
    assert [name for name, _ in found] == ["in/f1.png", "in/f2.png", "in/f10.png"]
    assert found[0][1] < 2
    assert found[1][1] >= 3.4


def test_a_folder_that_goes_and_comes_again_does_not_stop_the_watch(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    clock = Clock()
    folder = tmp_path / "in"
    folder.mkdir()
    clock.at(1, lambda: folder.rename(tmp_path / "away"))
    clock.at(5, lambda: (tmp_path / "away").rename(folder))
    clock.at(5, lambda: touch(folder / "a.png"))
    assert [name for name, _ in seen(watched(folder, clock, until=9), clock)] == ["in/a.png"]
    assert caplog.text.count("cannot be listed for now") == 1


def test_masks_and_images_of_the_same_state_are_told_apart(tmp_path: Path) -> None:
    clock = Clock()
    for name in ("07.png", "07_mask.png"):
        touch(tmp_path / name)
    os.link(tmp_path / "07.png", tmp_path / "08.png")
    assert {name for name, _ in seen(watched(tmp_path, clock, until=5), clock)} == {"in/07.png", "in/08.png"}


def test_a_killed_watch_goes_on_with_the_same_command_and_ends_cleanly(
    run: Path, images: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder, out = tmp_path / "in", tmp_path / "out"
    folder.mkdir()
    command = [sys.executable, "-m", "ssimae", "predict", str(run), "--watch", "in", "--out", "out", "--settle", "0.2"]

    def start() -> subprocess.Popen[str]:
        return subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    def wait_for(names: set[str]) -> None:
        deadline = time.monotonic() + 120
        while process.poll() is None and inspected(out) != names:
            assert time.monotonic() < deadline
            time.sleep(0.02)

    shutil.copy(images / "0.png", folder / "before.png")
    process = start()
    wait_for({"before"})
    shutil.copy(images / "1.png", folder / "meanwhile.png")
    (folder / "broken.png").write_bytes(b"\x89PNG")
    wait_for({"before", "meanwhile"})
    process.kill()
    process.communicate()
    shutil.copy(images / "2.png", folder / "away.png")
    process = start()
    wait_for({"before", "meanwhile", "away"})
    process.send_signal(signal.SIGINT)
    said, complained = process.communicate()
    assert f"{folder}: watched for images until Ctrl-C" in complained
    assert process.returncode in (0, 3)  # as the broken one was tried often enough by then
    *each, closing = said.splitlines()
    assert [line.split(":")[0] for line in each] == ["in/away.png"]
    assert closing.startswith("out: 3 ")
    assert "images/s" in closing
    assert closing.endswith("watch on: ssimae predict --resume out")
    assert "Traceback" not in complained
    with (out / "predictions.csv").open() as file:
        rows = [row["name"] for row in csv.DictReader(file) if row["verdict"] != "skipped"]
    assert sorted(rows) == ["away", "before", "meanwhile"]
    # Another watch is not mixed with it.
    command = ["predict", str(run), "--watch", str(folder), "--out", str(out), "--maps", "all"]
    assert main(command) == 2
    assert "another `maps`" in capsys.readouterr().err


def inspected(out: Path) -> set[str]:
    try:
        with (out / "predictions.csv").open() as file:
            return {row["name"] for row in csv.DictReader(file) if row["verdict"] in ("good", "review", "defective")}
    except FileNotFoundError:
        return set()


def test_arrivals_are_named_below_the_folder_as_it_was_given(tmp_path: Path) -> None:
    clock = Clock()
    (tmp_path / "cam 1").mkdir()
    touch(tmp_path / "cam 1" / "a.png")
    (arrival,) = watched(tmp_path, clock, until=3)
    assert arrival == Arrival(tmp_path / "cam 1" / "a.png", "in/cam 1/a.png")
