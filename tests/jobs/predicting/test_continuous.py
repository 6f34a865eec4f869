"""`ssimae predict --continuous`: frames are judged as rows of one long image, also after an interruption."""

import csv
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from ssimae.cli import main
from ssimae.images.maps import read_float_map
from ssimae.inspection.web import Web
from ssimae.jobs.predicting.frames import Sequence
from support.small_data import texture

HEIGHT, FRAMES = 120, 7


@pytest.fixture(scope="module")
def long(run: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, np.ndarray]:
    """Return a folder of frames, and the residual of the image that they were cut from."""
    folder = tmp_path_factory.mktemp("long")
    image = texture(np.random.default_rng(3), HEIGHT * FRAMES, 96)
    Image.fromarray(image).save(folder / "all.png")
    (folder / "frames").mkdir()
    for number in range(FRAMES):
        # 7 to 13: their natural order is not that of their letters.
        Image.fromarray(image[HEIGHT * number : HEIGHT * (number + 1)]).save(folder / "frames" / f"f{number + 7}.png")
    assert main(["predict", str(run), str(folder / "all.png"), "--out", str(folder / "out")]) == 0
    return folder / "frames", read_float_map(folder / "out" / "residuals" / "unlabelled" / "all.tiff")


def residual(out: Path, number: int) -> np.ndarray:
    return read_float_map(out / "residuals" / "unlabelled" / f"f{number + 7}.tiff")


def differences(out: Path, whole: np.ndarray) -> list[float]:
    """Return by how much the map of each frame differs from that of the long image at most."""
    rows = [whole[HEIGHT * number : HEIGHT * (number + 1)] for number in range(FRAMES)]
    return [float(np.abs(residual(out, number) - wanted).max()) for number, wanted in enumerate(rows)]


def names(out: Path) -> list[str]:
    with (out / "predictions.csv").open() as file:
        return [row["name"] for row in csv.DictReader(file)]


def test_frames_are_judged_as_one_image_also_after_an_interruption(
    run: Path, long: tuple[Path, np.ndarray], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    frames, whole = long
    out = tmp_path / "out"
    command = ["predict", str(run), str(frames), "--out", str(out), "--continuous"]
    seen = []
    inspect = Web._inspect

    def counted(self: Web, *arguments: object, **named: object) -> object:
        seen.append(arguments)
        if len(seen) == 4:
            raise KeyboardInterrupt  # as at a second Ctrl-C, which waits for nothing
        return inspect(self, *arguments, **named)  # type: ignore[arg-type]

    monkeypatch.setattr(Web, "_inspect", counted)
    assert main(command) == 130
    assert names(out) == ["f7", "f8", "f9"]
    assert main(["predict", "--resume", str(out)]) == 0
    assert len(seen) == FRAMES + 1
    assert names(out) == [f"f{number + 7}" for number in range(FRAMES)]
    assert max(differences(out, whole)) < 1e-6


def test_a_gap_another_width_and_a_broken_frame_are_borders_and_said(
    run: Path, long: tuple[Path, np.ndarray], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    frames, whole = long
    folder = shutil.copytree(frames, tmp_path / "frames")
    (folder / "f9.png").unlink()
    (folder / "f11.png").write_bytes(b"no image")
    Image.open(frames / "f13.png").crop((0, 0, 90, HEIGHT)).save(folder / "f13.png")
    command = ["predict", str(run), str(folder), "--continuous", "--skip-bad", "--out"]
    assert main([*command, str(tmp_path / "out")]) == 3
    begins = [line for line in caplog.text.splitlines() if "begin anew" in line]
    assert len(begins) == 3
    assert "f10.png does not follow f8.png" in begins[0]
    assert "could not be read" in begins[1]
    assert "90 pixels wide, and 96 before" in begins[2]
    assert names(tmp_path / "out") == ["f7", "f8", "f11", "f10", "f12", "f13"]
    # What ends at a border is what an image alone would be there.
    alone = tmp_path / "alone"
    assert main(["predict", str(run), str(folder / "f10.png"), "--out", str(alone)]) == 0
    np.testing.assert_allclose(residual(tmp_path / "out", 3), residual(alone, 3), atol=1e-6)
    np.testing.assert_allclose(residual(tmp_path / "out", 0), whole[:HEIGHT], atol=1e-6)
    assert np.abs(residual(tmp_path / "out", 1) - whole[HEIGHT : 2 * HEIGHT]).max() > 1e-4


@pytest.mark.parametrize(
    ("stems", "gaps"),
    [
        (["f7", "f8", "f9", "f10"], []),
        (["f007", "f008", "f010", "f011"], ["f010"]),
        (["r1_8", "r1_9", "r2_1", "r2_2"], ["r2_1"]),
        (["20240101_235959_001", "20240102_000000_337", "20240102_000001_002"], []),
        (["a", "b", "c"], []),
        (["f1", "f2", "g3"], ["g3"]),
        (["f3", "f5", "f7", "f8", "f7"], ["f7"]),
    ],
)
def test_a_gap_shows_once_names_have_counted(stems: list[str], gaps: list[str]) -> None:
    sequence = Sequence()
    found = [stem for stem in stems if sequence.gap_before(Path(f"/d/{stem}.png")) is not None]
    assert found == gaps
