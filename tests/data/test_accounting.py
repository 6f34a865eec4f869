"""Every file below a data folder is taken or passed over with the reason, and no bad part is taken for a good one."""

import json
import os
import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from ssimae.cli import main
from support.small_data import SETTINGS, write_small_dataset

pytestmark = pytest.mark.usefixtures("every_training_learns")

GRAY = np.random.default_rng(0).integers(60, 200, (64, 64)).astype(np.uint8)
MARK = np.zeros((64, 64), np.uint8)
MARK[10:20, 10:20] = 255


def write(root: Path, names: str) -> Path:
    """Write images, or masks where a folder or ending says so: empty ones behind a tilde; other files are empty."""
    for name in names.split():
        path = root / name.removeprefix("~")
        path.parent.mkdir(parents=True, exist_ok=True)
        is_mask = any(word in name.lower() for word in ("mask", "_gt", "gt/", "label", "ground_truth"))
        if path.suffix.lower() not in (".png", ".jpg", ".bmp", ".tif"):
            path.touch()
        else:
            Image.fromarray((MARK * (name[0] != "~")) if is_mask else GRAY).save(path)
    return root


def account(root: Path, capsys: pytest.CaptureFixture[str]) -> dict[str, object]:
    """Return layout and files as `check --json` gives them, below the folder, once all are accounted for."""
    assert main(["check", str(root), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)

    def below(path: str) -> str:
        return Path(path).relative_to(root).as_posix()

    masks = [below(mask) for test in found["test"] for mask in test["masks"]] + list(map(below, found["empty_masks"]))
    parts = {
        "layout": found["layout"],
        "good": list(map(below, found["good"])),
        "test": [(test["defect"], below(test["image"]), len(test["masks"])) for test in found["test"]],
        "left": {below(left["path"]): left["reason"] for left in found["passed_over"]},
    }
    named = [*parts["good"], *(image for _, image, _ in parts["test"]), *masks, *parts["left"]]
    assert sorted(named) == sorted(path.relative_to(root).as_posix() for path in root.rglob("*") if not path.is_dir())
    return parts


LAYOUTS = [
    (
        "good-bad",
        "良品/0.png 不良品/1.png 不良品/2.gif",
        "良品/0.png",
        [("不良品", "不良品/1.png", 0)],
    ),
    (
        "mvtec-loco",
        "train/good/0.png validation/good/0.png test/good/0.png test/logical/0.png ground_truth/logical/0/000.png "
        "ground_truth/logical/0/001.png",
        "train/good/0.png validation/good/0.png",
        [("good", "test/good/0.png", 0), ("logical", "test/logical/0.png", 2)],
    ),
    (
        "mvtec-ad-2",
        "train/good/0.png validation/good/0.png test_public/good/0.png test_public/bad/0_regular.png "
        "test_public/ground_truth/bad/0_regular_mask.png test_private/0.png test_private_mixed/0.png",
        "train/good/0.png validation/good/0.png",
        [("bad", "test_public/bad/0_regular.png", 1), ("good", "test_public/good/0.png", 0)],
    ),
    (
        "btad",
        "train/ok/0.bmp test/ok/1.bmp test/ko/2.bmp ground_truth/ko/2.png",
        "train/ok/0.bmp",
        [("ko", "test/ko/2.bmp", 1), ("good", "test/ok/1.bmp", 0)],
    ),
    (
        "visa",
        "Data/Images/Normal/0.JPG Data/Images/Anomaly/00.JPG Data/Masks/Anomaly/00.png image_anno.csv",
        "Data/Images/Normal/0.JPG",
        [("Anomaly", "Data/Images/Anomaly/00.JPG", 1)],
    ),
    (
        "dagm",
        "Train/1.PNG Train/2.PNG Train/Label/2_label.PNG Train/Label/Labels.txt Test/1.PNG Test/2.PNG "
        "Test/Label/2_label.PNG",
        "Train/1.PNG",
        [("good", "Test/1.PNG", 0), ("defect", "Test/2.PNG", 1)],
    ),
    (
        "kolektor",
        "kos01/Part0.jpg ~kos01/Part0_label.bmp kos01/Part1.jpg kos01/Part1_label.bmp kos02/Part0.jpg "
        "~kos02/Part0_label.bmp",
        "kos01/Part0.jpg kos02/Part0.jpg",
        [("defect", "kos01/Part1.jpg", 1)],
    ),
    (
        "kolektor2",
        "train/10.png ~train/10_GT.png train/11.png train/11_GT.png test/20.png ~test/20_GT.png test/21.png "
        "test/21_GT.png",
        "train/10.png",
        [("good", "test/20.png", 1), ("defect", "test/21.png", 1)],
    ),
    (
        "mvtec",
        "Train/Good/lot1/0.png Train/Good/lot2/0.png Test/OK/0.png Test/hole/lot1/0.png "
        "Ground_Truth/hole/lot1/0_mask_1.png Ground_Truth/hole/lot1/0_mask_2.png",
        "Train/Good/lot1/0.png Train/Good/lot2/0.png",
        [("hole", "Test/hole/lot1/0.png", 2), ("good", "Test/OK/0.png", 0)],
    ),
    (
        "mvtec",
        "train/good/0.png test/hole/1.png Masks/hole/1.png",
        "train/good/0.png",
        [("hole", "test/hole/1.png", 1)],
    ),
    ("good-bad", "good/0.png bad/1.png", "good/0.png", [("bad", "bad/1.png", 0)]),
    (
        "good-bad",
        "OK/lot/0.png ok2/0.png NG/scratch/0.png NG/1.png masks/scratch/0.png masks/1.png",
        "OK/lot/0.png ok2/0.png",
        [("NG", "NG/1.png", 1), ("scratch", "NG/scratch/0.png", 1)],
    ),
    ("good-bad", "Normal/0.png Anomalous/0.png", "Normal/0.png", [("Anomalous", "Anomalous/0.png", 0)]),
    ("good-bad", "no_defects/0.png defects/1.png", "no_defects/0.png", [("defects", "defects/1.png", 0)]),
    ("folder", "lot1/0.png lot2/0.png", "lot1/0.png lot2/0.png", []),
]


@pytest.mark.parametrize(("layout", "names", "good", "test"), LAYOUTS)
def test_layouts_of_public_and_sorted_data_sets_are_understood(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    layout: str,
    names: str,
    good: str,
    test: list[tuple[str, str, int]],
) -> None:
    found = account(write(tmp_path / "parts", names), capsys)
    assert (found["layout"], found["good"], found["test"]) == (layout, good.split(), test)


@pytest.mark.parametrize(
    ("names", "said"),
    [
        ("a.png line/bad/b.png", "line/bad/b.png may be defective.*good/ for the good images, bad/"),
        ("a.png NG_b.png", "NG_b.png may be defective"),
        ("a.png imgNG2.png", "imgNG2.png may be defective"),
        ("Positive/b.png Negative/b.png", "Negative/b.png may be defective"),
        ("gut/a.png Ausschuß/b.png fehler/b.png", "Ausschuß: neither good nor bad by its name, beside gut"),
        ("a.png défaut/b.png", "défaut/b.png may be defective"),
        ("a.png a_overlay.png", "a_overlay.png is a mask"),
        ("a.png line/KO/b.png", "line/KO/b.png may be defective"),
        ("a.png Defects/b.png", "Defects/b.png may be defective"),
        ("a.png ANOMALY/b.png", "ANOMALY/b.png may be defective"),
        ("a.png not_ok/b.png", "not_ok/b.png may be defective"),
        ("a.png defect_no_3.png", "defect_no_3.png may be defective"),
        ("a.png Test/b.png", "Test/b.png is for a test.*train/good/ for the good images"),
        ("a.png labels/b.png", "labels/b.png is a mask or label.*ground_truth/bad/"),
        ("a.png b/a_mask.png", "b/a_mask.png is a mask"),
        ("a.png GT/b.png", "GT/b.png is a mask"),
        ("test/hole/1.png ground_truth/hole/1.png", "ground_truth/hole/1.png is a mask.*train/good/"),
        ("good/a.png cut/b.png", "cut: neither good nor bad by its name, beside good.*bad/cut"),
        ("good/a.png good/bad/b.png", "good/bad: the name says that its images are not good ones"),
        ("train/good/a.png train/good/NG_b.png", "NG_b.png: the name says that the image is defective"),
        ("train/good/a.png train/good/a_mask.png", "a_mask.png: a mask by its name, among images"),
        ("train/good/a.png test/hole/b.png test/hole/b_mask.png", "b_mask.png: a mask by its name, among images"),
        ("train/good/a.png train/good/7_GT.png", "7_GT.png: a mask by its name, among images"),
        ("good/a.png bad/b.png NG/b.png masks/b.png", "masks/b.png: of two images of that name, one of them"),
        ("good/a.png bad/b.png bad/c_label_2.png", "c_label_2.png: a mask by its name, among images"),
        ("train/good/a.png test/hole/b.png test/masks/b.png", "test/masks: masks where test images belong"),
        ("train/good/a.png test/ok/b.png test/good/b.png", "a second folder of good images"),
        ("Train/a.png Test/b.png", "1 images lie in Train itself: put the good ones into Train/good"),
        ("train/good/a.png Train/good/b.png", "doubly named, as .* is but for case"),
        ("a.png ~a_label.bmp b.png", "b.png: no mask beside it"),
        ("a.png 不良/b.png", "不良/b.png may be defective"),
        ("a.png non_conforme/b.png", "non_conforme/b.png may be defective"),
        ("good/a.png bad/b.gif", "bad: no image that is read; found b.gif there: save them as PNG"),
        ("train/good/a.png test/hole/b.pgm ground_truth/hole/b.png", "test/hole: no image that is read; found b.pgm"),
        ("train/good/a.png test/hole/b.png ground_truth/hole/b.gif", "ground_truth/hole: no image that is read"),
        ("val/good/a.png test/good/b.png", "test, val but no train: the good images to learn from lie in train/good"),
        ("carpet/train/good/1.png grid/train/good/1.png", "name one of them: carpet, grid"),
    ],
)
def test_names_that_speak_against_good_stop_with_the_layout_that_was_meant(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], names: str, said: str
) -> None:
    root = write(tmp_path / "parts", names)
    assert main(["check", str(root)]) == main(["run", "--data", str(root), "--out", str(tmp_path / "out")]) == 2
    message = " ".join(capsys.readouterr().err.split())
    assert re.search(said, message), message
    assert not (tmp_path / "out").exists()


def test_a_folder_whose_own_name_says_defective_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", str(write(tmp_path / "NG parts", "a.png"))]) == 2
    assert "by its name its images may be defective" in capsys.readouterr().err
    assert main(["check", str(write(tmp_path / "test", "a.png"))]) == 0


@pytest.mark.parametrize("part", ["test", "test/hole", "ground_truth", "ground_truth/hole"])
def test_a_part_of_a_data_set_is_no_folder_of_good_images(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], part: str
) -> None:
    root = write(tmp_path / "parts", "train/good/a.png test/good/b.png test/hole/c.png ground_truth/hole/c_mask.png")
    assert main(["check", str(root / part)]) == 2
    assert str(root / part) in capsys.readouterr().err
    for good in ("train", "train/good", "test/good"):
        assert main(["check", str(root / good)]) == 0
    # Loose images of a test have no folder that says what they are.
    loose = write(tmp_path / "loose", "train/good/a.png test/b.png")
    assert main(["check", str(loose / "test")]) == 2
    assert "name the folder above" in capsys.readouterr().err


def test_a_product_whose_name_is_a_word_for_masks_lies_in_good(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for names in ("good/label_1.png good/test_2.png good/mask.png", "good/face_mask_1.png good/face_mask_2.png"):
        assert set(account(write(tmp_path / names[5], names), capsys)["good"]) == set(names.split())


@pytest.mark.parametrize("names", ["train/good/a.png test/hole/a.png", "good/a.png bad/a.png", "a.png b.png"])
def test_ignore_masks_below_the_data_folder_are_neither_ground_truth_nor_passed_over(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], names: str
) -> None:
    root = write(tmp_path / "parts", f"{names} masks/a.png")
    assert main(["check", str(root), "--ignore", str(root / "masks"), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["passed_over"], found["warnings"]) == ([], 0)
    assert not any(test["masks"] for test in found["test"])


def test_what_is_passed_over_is_said_with_the_reason(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    root = write(tmp_path / "parts", "train/good/a.png train/good/b.gif extra/c.png d.pgm .hidden/e.png readme f.jp2")
    write(root, "runs/old/residuals/x.tif runs/old/config.toml")
    (root / "dead.png").symlink_to(root / "nowhere")
    os.mkfifo(root / "pipe.png")
    (root / "train" / "good" / "loop").symlink_to(root)
    found = account(root, capsys)
    assert found["left"] == {
        ".hidden/e.png": "hidden",
        "d.pgm": "with the suffix .pgm, which is not read",
        "dead.png": "linked to what is not there",
        "extra/c.png": "where the layout has no place for images",
        "f.jp2": "with the suffix .jp2, which is not read",
        "pipe.png": "that are pipes or devices",
        "readme": "without a suffix",
        "runs/old/config.toml": "results of an earlier run",
        "runs/old/residuals/x.tif": "results of an earlier run",
        "train/good/b.gif": "with the suffix .gif, which is not read",
    }
    assert main(["check", str(root)]) == 0
    out = capsys.readouterr().out
    assert "passed over  1 hidden (.hidden/e.png)" in out
    assert "passed over  2 results of an earlier run (runs/old/config.toml, runs/old/residuals/x.tif)" in out


def test_run_predict_and_evaluate_say_what_they_pass_over(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    root, run = write_small_dataset(tmp_path / "data"), tmp_path / "run"
    write(root, "test/hole/h.gif test/hole/i.gif")
    said = f"{root}: passed over 2 files: 2 with the suffix .gif, which is not read (test/hole/h.gif, test/hole/i.gif)"
    assert main(["run", "--data", str(root), "--out", str(run), *SETTINGS]) == 0
    assert said in capsys.readouterr().err
    assert main(["evaluate", str(run)]) == 0
    assert said in capsys.readouterr().err
    assert main(["evaluate", str(run), str(root), "--out", str(tmp_path / "scores")]) == 0
    assert said in capsys.readouterr().err
    # A folder that is inspected has no layout, but its masks are no photographs. Photographs that cannot be read count.
    predict = ["predict", str(run), str(root), "--out", str(tmp_path / "found")]
    assert main(predict) == 2
    assert "test/hole/h.gif" in capsys.readouterr().err
    assert main([*predict, "--skip-bad"]) == 3
    said = capsys.readouterr().err
    assert "2 a mask, by its name (ground_truth/hole/f_mask.png, ground_truth/hole/g_mask.png)" in said
    assert "test/hole/h.gif: skipped" in said
    assert len(list((tmp_path / "found" / "residuals").rglob("*.tiff"))) == 7
    for folder, why in ((root / "ground_truth", "no image in this folder"), (run, "results of an earlier command")):
        assert main(["predict", str(run), str(folder), "--out", str(tmp_path / "none")]) == 2
        assert why in capsys.readouterr().err
    for results in (run, tmp_path / "found", tmp_path / "scores"):
        assert main(["check", str(results)]) == 2
        assert "results of an earlier command" in capsys.readouterr().err


def test_what_check_accepts_with_a_preset_run_accepts(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    root = write(tmp_path / "parts", "a.png b.png")
    assert main(["check", str(root)]) == 0
    assert main(["check", str(root), "--preset", "paper"]) == 2
    assert "64 x 64 pixels, smaller than a patch of 128 x 128" in capsys.readouterr().err
    assert main(["check", str(root), "--preset", "paper", "--patch-size", "64"]) == 0
    assert main(["run", "--data", str(root), "--preset", "paper", "--out", str(tmp_path / "out")]) == 2
    assert "smaller than a patch of 128 x 128" in capsys.readouterr().err
