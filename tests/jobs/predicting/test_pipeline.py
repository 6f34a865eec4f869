"""While an image is inspected the next is read and the one before is written, and nothing else changes."""

import csv
import threading
import weakref
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from ssimae.cli import main
from ssimae.inspection.inspector import Inspector, Maps
from ssimae.jobs.predicting import one_by_one
from ssimae.jobs.predicting.pipeline import Behind, Underway, ahead
from support.small_data import texture

PATIENCE = 60
"""Seconds after which something that should have happened is taken not to happen."""


@pytest.fixture
def images(tmp_path: Path) -> Path:
    rng = np.random.default_rng(2)
    (tmp_path / "new").mkdir()
    for number in range(4):
        Image.fromarray(texture(rng)).save(tmp_path / "new" / f"{number}.png")
    return tmp_path / "new"


def names(out: Path) -> list[str]:
    with (out / "predictions.csv").open() as file:
        return [row["name"] for row in csv.DictReader(file)]


def test_an_image_is_inspected_while_its_neighbours_are_read_and_written(
    run: Path, images: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    read, judged = ([threading.Event() for _ in range(4)] for _ in range(2))
    inspecting = [threading.Event() for _ in range(4)]
    read_sample, judge, inspect = one_by_one.read_sample, one_by_one.judge, Inspector.inspect
    missed: list[str] = []
    found: list[weakref.ref[Maps]] = []

    def wait(event: threading.Event, what: str) -> None:
        if not event.wait(PATIENCE):
            missed.append(what)

    def reading(sample: object, settings: object) -> object:
        image = read_sample(sample, settings)  # type: ignore[arg-type]
        next(event for event in read if not event.is_set()).set()
        return image

    def inspected(self: Inspector, *arguments: object) -> object:
        number = next(number for number, event in enumerate(inspecting) if not event.is_set())
        inspecting[number].set()
        if number + 1 < len(read):
            wait(read[number + 1], f"{number + 1} read before {number} is inspected")
        if number:
            wait(judged[number - 1], f"{number - 1} judged before {number} is inspected")
        if number > 1 and found[number - 2]() is not None:
            missed.append(f"memory of {number - 2} free before {number} is inspected")
        maps = inspect(self, *arguments)  # type: ignore[arg-type]
        found.append(weakref.ref(maps))
        return maps

    def judging(*arguments: object) -> object:
        number = next(number for number, event in enumerate(judged) if not event.is_set())
        if number + 1 < len(inspecting):
            wait(inspecting[number + 1], f"{number + 1} inspected while {number} is judged")
        judged[number].set()
        return judge(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(one_by_one, "read_sample", reading)
    monkeypatch.setattr(one_by_one, "judge", judging)
    monkeypatch.setattr(Inspector, "inspect", inspected)
    assert main(["predict", str(run), str(images), "--out", str(tmp_path / "out")]) == 0
    assert missed == []
    assert names(tmp_path / "out") == ["0", "1", "2", "3"]
    monkeypatch.undo()
    assert main(["predict", str(run), str(images / "2.png"), "--out", str(tmp_path / "alone")]) == 0
    for path in (tmp_path / "alone").rglob("*.tiff"):
        assert path.read_bytes() == (tmp_path / "out" / path.relative_to(tmp_path / "alone")).read_bytes()


def test_what_cannot_be_written_ends_the_work(
    run: Path, images: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(one_by_one, "write_maps", full)
        assert main(["predict", str(run), str(images), "--out", str(tmp_path / "out")]) == 2
    assert "No space left on device" in capsys.readouterr().err
    assert names(tmp_path / "out") == []
    assert main(["predict", "--resume", str(tmp_path / "out")]) == 0
    assert names(tmp_path / "out") == ["0", "1", "2", "3"]


def test_one_item_is_made_ahead_and_none_beside_one_that_is_alone() -> None:
    made: list[int] = []

    def items() -> Iterator[int]:
        for number in range(6):
            made.append(number)
            yield number
        raise ValueError("the sixth")

    taken = []

    def take_all() -> None:
        for number in ahead(items(), alone=lambda number: number == 3):
            assert len(made) <= number + (1 if number == 3 else 2)
            taken.append(number)

    with pytest.raises(ValueError, match="the sixth"):
        take_all()
    assert taken == list(range(6))


def test_after_a_call_that_failed_no_other_is_made() -> None:
    made: list[int] = []

    def fail() -> None:
        raise ValueError("the second")

    def make(*calls: Callable[[], None]) -> None:
        with Behind() as behind:
            for call in calls:
                behind.call(call)

    for calls in ([lambda: made.append(1), fail, lambda: made.append(3)], [fail]):
        with pytest.raises(ValueError, match="the second"):
            make(*calls)
    assert made == [1]


def test_a_file_that_comes_again_waits_until_it_is_done() -> None:
    underway, path, begun = Underway(), Path("a.png"), threading.Event()

    def again() -> None:
        underway.begin(path)
        begun.set()

    underway.begin(path)
    thread = threading.Thread(target=again)
    thread.start()
    assert not begun.wait(0.05)
    underway.end(path)
    assert begun.wait(PATIENCE)
    thread.join()
    underway.end(path)
    assert underway.busy_s > 0
