"""What files hold in different ways is said: colour beside gray, depths, and 12 bits at either end of 16."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from ssimae.cli import main
from support.small_data import SETTINGS, texture

pytestmark = pytest.mark.usefixtures("every_training_learns")

LEVELS = np.random.default_rng(0).integers(0, 4096, (64, 64)).astype(np.uint16)
GRAY = (LEVELS >> 4).astype(np.uint8)
COLOUR = np.stack([GRAY, GRAY // 2, GRAY // 3], axis=2)


def write(folder: Path, **images: np.ndarray) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for name, pixels in images.items():
        Image.fromarray(pixels).save(folder / f"{name}.png")
    return folder


@pytest.mark.parametrize(
    ("images", "flags", "said"),
    [
        ({"a": GRAY, "b": GRAY}, "", ""),
        ({"a": LEVELS << 4, "b": LEVELS << 4}, "", ""),
        ({"a": LEVELS, "b": LEVELS}, "", "all 2 16-bit images stay below 4096"),
        ({"a": LEVELS, "b": LEVELS}, "--data-range 4095", ""),
        ({"a": LEVELS, "b": LEVELS << 4}, "", "1 of 2 16-bit images stay below 4096, as 12 bits at the low end do "
         "(a.png), and the others go beyond in multiples of 16, as 12 bits at the high end do (b.png)"),
        ({"a": LEVELS, "b": LEVELS * 15}, "", "1 of 2 16-bit images stay below 4096"),
        ({"a": GRAY, "b": LEVELS << 4}, "", "images of different depth, each scaled by its own range: 1 of 8 bits "
         "(a.png); 1 of 16 bits (b.png)"),
        ({"a": GRAY, "b": GRAY > 99}, "", "1 of 1 bit (b.png)"),
        ({"a": GRAY, "b": COLOUR}, "--channels 1", "1 of 2 images are in colour and are inspected in gray"),
        ({"a": GRAY, "b": COLOUR}, "--preset default --patch-size 64", "1 of 2 images are in colour"),
        ({"a": GRAY, "b": COLOUR}, "--channels 3", ""),
        ({"a": GRAY, "b": np.stack([GRAY] * 3, axis=2)}, "--channels 1", ""),
    ],
)  # fmt: skip
def test_check_says_what_differs(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], images: dict[str, np.ndarray], flags: str, said: str
) -> None:
    assert main(["check", str(write(tmp_path / "parts", **images)), *flags.split()]) == 0
    error = capsys.readouterr().err
    assert said in error
    assert bool(error) == bool(said)


def test_predict_says_colour_made_gray(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    rng = np.random.default_rng(0)
    good = write(tmp_path / "parts", **{name: texture(rng) for name in "abcd"})
    assert main(["train", "--data", str(good), "--out", str(tmp_path / "run"), *SETTINGS]) == 0
    assert "colour" not in caplog.text
    new = write(tmp_path / "new", e=np.stack([texture(rng), texture(rng), texture(rng)], axis=2), f=texture(rng))
    assert main(["predict", str(tmp_path / "run"), str(new), "--out", str(tmp_path / "found")]) == 0
    assert f"{new}: 1 of 2 images are in colour and are inspected in gray" in caplog.text
