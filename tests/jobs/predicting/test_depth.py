"""Sixteen bits and three channels go end to end: what 8 bits or gray would lose is found."""

import csv
import json
import math
from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image
from ssimae.cli import main
from support.small_data import SETTINGS, texture

WHITE = 250
"""Of all values of a file: as 8 bits, which are their high ones, every pixel would be 0."""

SPOT = (slice(20, 40), slice(30, 60))


def coloured(rng: np.random.Generator) -> np.ndarray:
    """Return a texture in three channels, (70, 96, 3) uint16, of values around 65."""
    planes = [texture(rng) for _ in range(3)]
    return (50 + np.stack(planes, axis=2) * np.float64(30 / 255)).astype(np.uint16)


def predictions(out: Path) -> list[dict[str, str]]:
    with (out / "predictions.csv").open() as file:
        return list(csv.DictReader(file))


def test_a_spot_of_one_channel_in_the_low_bits_is_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("ssimae.training.train.PLATEAU", math.inf)
    rng = np.random.default_rng(0)
    (tmp_path / "good").mkdir()
    (tmp_path / "new").mkdir()
    for number in range(6):
        tifffile.imwrite(tmp_path / "good" / f"{number}.tiff", coloured(rng), photometric="rgb")
    image = coloured(rng)
    tifffile.imwrite(tmp_path / "new" / "good.tiff", image, photometric="rgb")
    image[(*SPOT, 2)] = 245  # in blue alone
    tifffile.imwrite(tmp_path / "new" / "spot.tiff", image, photometric="rgb")
    assert not (image >> 8).any()
    run, out = tmp_path / "run", tmp_path / "out"
    colour = ["--loss", "l2", "--channels", "3", "--data-range", str(WHITE)]
    assert main(["train", "--data", str(tmp_path / "good"), "--out", str(run), *SETTINGS, *colour]) == 0
    capsys.readouterr()
    command = ["predict", str(run), str(tmp_path / "new"), "--out", str(out), "--json", "--overlays", "flagged"]
    assert main(command) == 0
    good, spot = (json.loads(line) for line in capsys.readouterr().out.splitlines())
    assert spot["verdict"] == "defective"
    assert spot["score"] > 3 * good["score"]
    box = spot["regions"][0]["box"]
    assert (box["top"], box["left"], box["bottom"], box["right"]) == pytest.approx((20, 30, 40, 60), abs=3)
    overlay = np.asarray(Image.open(spot["files"]["overlay"])).astype(int)
    centre = overlay[30, 45]
    np.testing.assert_allclose(centre, np.rint(image[30, 45] * (255 / WHITE)), atol=1)


def test_the_same_values_in_8_and_16_bits_give_the_same_map(run: Path, tmp_path: Path) -> None:
    image = texture(np.random.default_rng(0))
    (tmp_path / "new").mkdir()
    Image.fromarray(image).save(tmp_path / "new" / "a8.png")
    Image.fromarray(image.astype(np.uint16) * 257).save(tmp_path / "new" / "b16.png")
    fine = image.astype(np.uint16) * 257
    fine[SPOT] += 100  # less than half of a step of 8 bits
    Image.fromarray(fine).save(tmp_path / "new" / "c16.png")
    np.testing.assert_array_equal(np.rint(fine / 257), image)
    out = tmp_path / "out"
    assert main(["predict", str(run), str(tmp_path / "new"), "--out", str(out)]) == 0
    maps = [tifffile.imread(path) for path in sorted((out / "residuals" / "unlabelled").iterdir())]
    np.testing.assert_array_equal(maps[0], maps[1])
    assert (maps[2] != maps[1]).any()
    coarse, same, _ = predictions(out)
    assert coarse["score"] == same["score"]
