"""`ssimae submit`: the folder that the server of MVTec AD 2 takes."""

import json
import re

import numpy as np
import pytest
import tifffile
from PIL import Image
from ssimae.cli import main
from ssimae.config.settings import Settings
from ssimae.inspection.threshold import Thresholds
from ssimae.storage.run_folder import RunFolder
from support.benchmark import SIZE, write_gray
from support.small_data import small_facts

PLACES = {"can/test_private": ["000_regular", "001_regular"], "can/test_private_mixed": ["000_shift_1"]}


@pytest.fixture
def stored(tmp_path):
    """Return a folder of data and maps, and the maps."""
    rng = np.random.default_rng(0)
    maps = {}
    for place, names in PLACES.items():
        for name in names:
            write_gray(tmp_path / "data" / place / f"{name}.png", rng.integers(0, 255, SIZE))
            maps[f"{place}/{name}"] = rng.normal(size=SIZE).astype(np.float32)
            (tmp_path / "maps" / place).mkdir(parents=True, exist_ok=True)
            tifffile.imwrite(tmp_path / "maps" / place / f"{name}.tiff", maps[f"{place}/{name}"])
    return tmp_path, maps


def submit(root, *more: str) -> int:
    return main(["submit", str(root / "maps"), str(root / "data"), "--out", str(root / "out"), *more])


def test_maps_are_float16_and_what_reaches_the_threshold_is_white(stored, capsys) -> None:
    root, maps = stored
    assert submit(root, "--threshold", "1.5") == 0
    said = capsys.readouterr().out
    assert "3 maps in anomaly_images" in said
    assert "fabric/test_private" in said
    files = {path.relative_to(root / "out").as_posix() for path in (root / "out").rglob("*") if path.is_file()}
    assert files == {f"anomaly_images/{name}.tiff" for name in maps} | {
        f"anomaly_images_thresholded/{name}.png" for name in maps
    }
    for name, map_ in maps.items():
        written = tifffile.imread(root / "out" / "anomaly_images" / f"{name}.tiff")
        assert written.dtype == np.float16
        np.testing.assert_array_equal(written, map_.astype(np.float16))
        with Image.open(root / "out" / "anomaly_images_thresholded" / f"{name}.png") as picture:
            assert picture.mode == "L"
            np.testing.assert_array_equal(np.array(picture), np.where(map_ >= 1.5, 255, 0))


def test_folders_of_predict_have_their_own_thresholds(stored) -> None:
    root, maps = stored
    for place, names in PLACES.items():
        folder = RunFolder(root / "maps" / place)
        folder.write_config(Settings(), small_facts())
        thresholds = Thresholds(0.5, 2.0, "area", 1, True, 5, 5000, "float32", "torch", (0.3,))
        folder.thresholds.write_text(json.dumps(thresholds.to_dict()))
        (folder.residuals / "unlabelled").mkdir(parents=True)
        for name in names:
            (folder.root / f"{name}.tiff").rename(folder.residuals / "unlabelled" / f"{name}.tiff")
    assert submit(root) == 0
    for name, map_ in maps.items():
        with Image.open(root / "out" / "anomaly_images_thresholded" / f"{name}.png") as picture:
            np.testing.assert_array_equal(np.array(picture) > 0, map_ > 0.5)


@pytest.mark.parametrize(
    ("change", "more", "said"),
    [
        (lambda root: None, [], "no thresholds of its own; name one with --threshold"),
        (
            lambda root: (root / "maps/can/test_private/001_regular.tiff").unlink(),
            ["--threshold", "1"],
            "001_regular.png: no map",
        ),
        (
            lambda root: tifffile.imwrite(
                root / "maps/can/test_private_mixed/000_shift_1.tiff", np.full(SIZE, 1e5, np.float32)
            ),
            ["--threshold", "1"],
            "000_shift_1.tiff: scores must be finite and at most 65504",
        ),
        (lambda root: (root / "out").mkdir(), ["--threshold", "1"], "is there already"),
        (lambda root: (root / "data/can").rename(root / "data/.can"), ["--threshold", "1"], "no <object>/test_private"),
    ],
)
def test_what_the_server_would_refuse_is_refused(stored, capsys, change, more, said) -> None:
    root, _ = stored
    change(root)
    before = {path.name for path in root.iterdir()}
    assert submit(root, *more) == 2
    assert re.search(said, capsys.readouterr().err)
    assert {path.name for path in root.iterdir()} == before
