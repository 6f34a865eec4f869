"""The check reads every file of a data set and lists all that is wrong, without stopping at the first."""

import os
import shutil
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from ssimae import Detector
from ssimae.cli import main
from ssimae.data import check
from ssimae.data.check import Problem
from ssimae.data.dataset import Dataset, Sample
from ssimae.data.layouts import open_dataset
from ssimae.images.pixels import Decoded
from support.small_data import SETTINGS

GRAY = np.full((16, 20), 90, np.uint8)
GRAY[2, 3] = 91
MARK = np.zeros((16, 20), np.uint8)
MARK[3:6, 4:9] = 255


def write(path: Path, samples: np.ndarray) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(samples).save(path)
    return path


def whole(root: Path) -> Path:
    for name in ("train/good/1.png", "train/good/2.png", "test/good/1.png", "test/hole/1.png", "test/hole/2.png"):
        write(root / name, GRAY)
    for name in ("1", "2"):
        write(root / "ground_truth" / "hole" / f"{name}_mask.png", MARK)
    return root


def check_dataset(*arguments: Any, **options: Any) -> list[Problem]:
    return check.check_dataset(*arguments, **options).problems


def listed(root: Path, problems: list[Problem]) -> dict[str, str]:
    assert len({problem.path for problem in problems}) == len(problems)
    return {problem.path.relative_to(root).as_posix(): f"{problem.severity}: {problem.message}" for problem in problems}


def test_whole_data_set_has_no_problems(tmp_path: Path) -> None:
    done: list[int] = []
    dataset = open_dataset(whole(tmp_path))
    assert check_dataset(dataset, patch_size=16, progress=done.append) == []
    assert done == [1, 2, 3, 4, 5]


def test_every_bad_file_is_listed_once(tmp_path: Path) -> None:
    root = whole(tmp_path)
    (root / "train/good/1.png").write_bytes(b"")
    (root / "train/good/2.png").write_text("no image")
    (root / "train/good/3.png").symlink_to(root / "nowhere.png")
    write(root / "train/good/4.png", GRAY[:, :15])
    cut = root / "test/good/1.png"
    cut.write_bytes(cut.read_bytes()[:-20])
    write(root / "ground_truth/hole/1_mask.png", MARK[:, :-1])
    write(root / "ground_truth/hole/2_mask.png", MARK * 0)
    write(root / "test/hole/3.png", GRAY)
    write(root / "ground_truth/hole/3_mask.png", MARK).write_text("no mask")
    got = listed(root, check_dataset(open_dataset(root), patch_size=16))
    want = {
        "train/good/1.png": "error: the file is empty",
        "train/good/2.png": "error: not a PNG, JPEG, TIFF, BMP or WebP image",
        "train/good/3.png": "error: No such file or directory",
        "train/good/4.png": "error: 16 x 15 pixels, smaller than a patch of 16 x 16",
        "test/good/1.png": "error: not a readable image",
        "ground_truth/hole/1_mask.png": "error: ",
        "ground_truth/hole/2_mask.png": "warning: marks no pixel of ",
        "ground_truth/hole/3_mask.png": "error: not a PNG, JPEG, TIFF, BMP or WebP image",
    }
    assert list(got) == list(want)
    for name, message in want.items():
        assert got[name].startswith(message), got[name]
    assert "the image is 16 x 20 (height x width), its mask" in got["ground_truth/hole/1_mask.png"]


def test_images_are_measured_after_scaling(tmp_path: Path) -> None:
    dataset = open_dataset(whole(tmp_path))
    assert check_dataset(dataset, patch_size=32, scale=2.0) == []
    problems = check_dataset(dataset, patch_size=16, scale=0.5)
    assert len(problems) == 5
    assert problems[0].message == "16 x 20 pixels (8 x 10 at scale 0.5), smaller than a patch of 16 x 16"


def test_missing_mask_beside_others_is_an_error(tmp_path: Path) -> None:
    dataset = open_dataset(whole(tmp_path))
    samples = [Sample(sample.path, sample.name, sample.defect) for sample in dataset.test]
    bare = Dataset(dataset.name, dataset.layout, dataset.root, dataset.train, tuple(samples))
    assert check_dataset(bare, patch_size=16) == []
    mixed = Dataset(dataset.name, dataset.layout, dataset.root, dataset.train, (*dataset.test[:2], samples[2]))
    problem = Problem(samples[2].path, "no ground-truth mask, while other images have one", "error")
    assert check_dataset(mixed, patch_size=16) == [problem]


def test_mask_that_marks_a_good_image_is_an_error(tmp_path: Path) -> None:
    write(whole(tmp_path) / "ground_truth/good/1_mask.png", MARK)
    (problem,) = check_dataset(open_dataset(tmp_path), patch_size=16)
    assert problem.severity == "error"
    assert "a good image, but its mask" in problem.message


def test_12_bit_data_in_16_bit_files_is_a_warning(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    for number in range(3):
        write(tmp_path / f"{number}.png", rng.integers(0, 4000, (16, 16), dtype=np.uint16))
    dataset = open_dataset(tmp_path)
    (problem,) = check_dataset(dataset, patch_size=16)
    assert (problem.path, problem.severity) == (tmp_path, "warning")
    assert "all 3 16-bit images stay below 4096" in problem.message
    assert check_dataset(dataset, patch_size=16, data_range=4095) == []
    write(tmp_path / "bright.png", rng.integers(0, 65536, (16, 16), dtype=np.uint16))
    (problem,) = check_dataset(open_dataset(tmp_path), patch_size=16)
    assert "3 of 4 16-bit images stay below 4096" in problem.message
    errors = check_dataset(open_dataset(tmp_path), patch_size=16, data_range=4095)
    assert [(problem.path.name, problem.severity) for problem in errors] == [("bright.png", "error")]


def test_black_and_constant_images_are_fine(tmp_path: Path) -> None:
    write(tmp_path / "8" / "black.png", GRAY * 0)
    write(tmp_path / "8" / "gray.png", GRAY)
    write(tmp_path / "16" / "black.png", np.zeros((16, 20), np.uint16))
    write(tmp_path / "16" / "gray.png", GRAY.astype(np.uint16) * 257)
    for depth in ("8", "16"):
        assert check_dataset(open_dataset(tmp_path / depth), patch_size=16) == []


def test_parameters_that_break_their_rule_are_refused(tmp_path: Path) -> None:
    dataset = open_dataset(whole(tmp_path))
    for parameters, said in (({"channels": 2}, "channels"), ({"patch_size": 0}, "patch_size"), ({"scale": 0}, "scale")):
        with pytest.raises(ValueError, match=f"`{said}` must be"):
            check_dataset(dataset, **parameters)  # type: ignore[arg-type]


def test_progress_that_raises_stops_the_check(tmp_path: Path) -> None:
    def interrupt(done: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        check_dataset(open_dataset(whole(tmp_path)), patch_size=16, progress=interrupt)


@pytest.mark.real_data
def test_real_data_is_without_problems(shared_data: Path, tmp_path: Path) -> None:
    nanotwice = open_dataset(shared_data / "nanotwice")
    assert check_dataset(nanotwice) == []
    fabric = open_dataset(shared_data / "aitex_fabric01")
    assert check_dataset(fabric) == []
    assert len(check_dataset(fabric, patch_size=256, scale=0.5)) == 33
    copy = shutil.copytree(shared_data / "nanotwice", tmp_path / "copy", copy_function=shutil.copyfile)
    (copy / "Anomalous" / "images" / "ITIA1120.tif").write_bytes(b"II*\0")
    (problem,) = check_dataset(open_dataset(copy))
    assert problem.path.name == "ITIA1120.tif"


def test_checking_needs_neither_torch_nor_scikit_learn() -> None:
    code = "import sys, ssimae.data.check, ssimae.data.layouts; print({'torch', 'sklearn'} & sys.modules.keys())"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"


@pytest.mark.parametrize("value", [0, 90])
def test_good_images_that_show_nothing_stop_before_any_training(
    tmp_path: Path, value: int, capsys: pytest.CaptureFixture[str]
) -> None:
    data, out = tmp_path / "data", tmp_path / "out"
    for name in ("good/1.png", "good/2.png", "bad/3.png"):
        write(data / name, np.full((70, 96), value, np.uint8))
    write(data / "bad/3.png", np.arange(70 * 96, dtype=np.uint8).reshape(70, 96))
    said = f"{data}: all 2 good images are of one value throughout: there is nothing to learn from"
    assert main(["check", str(data), "--patch-size", "32"]) == 2
    assert said in capsys.readouterr().err
    assert main(["run", "--data", str(data), "--out", str(out), *SETTINGS]) == 2
    assert capsys.readouterr().err == f"ssimae: {said}\n"
    assert not out.exists()
    # With an ignore mask it is what is inspected that counts.
    clamp = np.full((70, 96), value, np.uint8)
    clamp[:, :10] = 200
    for name in ("1", "2"):
        write(data / f"good/{name}.png", clamp)
    assert main(["check", str(data), "--patch-size", "32"]) == 0
    ignore = write(tmp_path / "ignore.png", np.where(clamp == 200, 255, 0).astype(np.uint8))
    assert main(["check", str(data), "--patch-size", "32", "--ignore", str(ignore)]) == 2
    with pytest.raises(ValueError, match="`X`: all 2 good images are of one value throughout"):
        Detector(patch_size=32).fit([clamp, clamp], ignore=clamp == 200)


def test_ignore_masks_none_of_which_marks_anything_are_named(tmp_path: Path) -> None:
    data, masks = tmp_path / "data", tmp_path / "masks"
    for name in ("1", "2"):
        write(data / f"{name}.png", GRAY)
        write(masks / f"{name}.png", np.zeros_like(GRAY))
    said = "no ignore mask marks anything, so whole images are inspected; white is what is not inspected"
    for ignore in (masks, masks / "1.png"):
        found = check_dataset(open_dataset(data, ignore=ignore), patch_size=4)
        assert found == [Problem(data, said, "warning")]
    write(masks / "2.png", MARK)
    assert check_dataset(open_dataset(data, ignore=masks), patch_size=4) == []


def test_one_good_image_that_shows_something_is_enough(tmp_path: Path) -> None:
    root = whole(tmp_path)
    write(root / "train/good/1.png", np.full((16, 20), 7, np.uint8))
    assert check_dataset(open_dataset(root), patch_size=16) == []


def test_large_images_are_read_one_after_the_other(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(12):
        write(tmp_path / f"{number}.png", GRAY if number % 3 else np.tile(GRAY, (2, 3)))
    (tmp_path / "odd.png").write_text("no image")
    together, most, lock = [0], [0], threading.Lock()
    decode = check.decode

    def counted(path: Path, **options: Any) -> Decoded:
        decoded = decode(path, **options)
        with lock:
            together[0] += decoded.samples.size
            most[0] = max(most[0], together[0])
        time.sleep(0.01)
        with lock:
            together[0] -= decoded.samples.size
        return decoded

    monkeypatch.setattr(check, "decode", counted)
    monkeypatch.setattr(os, "cpu_count", lambda: 8)
    dataset = open_dataset(tmp_path)
    for at_once in (2 * GRAY.size, 8 * GRAY.size):
        monkeypatch.setattr(check, "AT_ONCE", at_once)
        most[0] = 0
        assert [problem.path.name for problem in check_dataset(dataset, patch_size=16)] == ["odd.png"]
        assert most[0] <= max(at_once, 6 * GRAY.size)
    assert most[0] > 6 * GRAY.size  # as many as there is room for, all the same
