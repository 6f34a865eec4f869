"""Folders are recognised by their layout, images and masks pair up, and what does not is named."""

import logging
import os
import shutil
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from ssimae.data.dataset import Dataset, Sample, dataset_fingerprint, good_samples
from ssimae.data.files import natural_key
from ssimae.data.layouts import open_dataset
from ssimae.data.masks import read_mask
from ssimae.images.read import image_size

ODD_NAMES = ["a b", "it's", 'say "x"', "größe", "日本", "<b>&amp;", "100%", "-dash", "x" * 245]


def touch(root: Path, names: Iterable[str]) -> Path:
    """Make empty files: opening a data set looks at names alone."""
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    return root


def write_gray(path: Path, samples: np.ndarray) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(samples).save(path)
    return path


def relative(dataset: Dataset) -> tuple[list[str], list[tuple[str, str, str, list[str]]]]:
    def name(path: Path) -> str:
        return path.relative_to(dataset.root).as_posix()

    test = [
        (name(sample.path), sample.name, sample.defect, [name(mask) for mask in sample.masks])
        for sample in dataset.test
    ]
    return [name(path) for path in dataset.train], test


MVTEC = ["train/good/000.png", "train/good/001.png", "test/good/000.png", "test/hole/000.png", "test/cut/000.png"]


@pytest.mark.parametrize("ending", ["_mask", ""])
def test_mvtec_layout_with_masks(tmp_path: Path, ending: str) -> None:
    truth = [f"ground_truth/hole/000{ending}.png", f"ground_truth/cut/000{ending}.png"]
    dataset = open_dataset(touch(tmp_path / "carpet", [*MVTEC, *truth, "license.txt", "readme.txt"]))
    assert (dataset.name, dataset.layout, dataset.root) == ("carpet", "mvtec", tmp_path / "carpet")
    train, test = relative(dataset)
    assert train == ["train/good/000.png", "train/good/001.png"]
    assert test == [
        ("test/cut/000.png", "000", "cut", [f"ground_truth/cut/000{ending}.png"]),
        ("test/good/000.png", "000", "good", []),
        ("test/hole/000.png", "000", "hole", [f"ground_truth/hole/000{ending}.png"]),
    ]


def test_mvtec_layout_without_masks_or_test_images(tmp_path: Path) -> None:
    root = touch(tmp_path, [*MVTEC, "test/loose.png"])
    assert [(sample.name, sample.defect, sample.masks) for sample in open_dataset(root).test] == [
        ("loose", "unlabelled", ()),
        ("000", "cut", ()),
        ("000", "good", ()),
        ("000", "hole", ()),
    ]
    shutil.rmtree(root / "test")
    assert open_dataset(root).test == ()


@pytest.mark.parametrize("masks", [True, False])
def test_nanotwice_layout(tmp_path: Path, masks: bool) -> None:
    truth = [f"Anomalous/gt/ITIA{number}_gt.png" for number in (1, 2, 10)] if masks else []
    images = [f"Anomalous/images/ITIA{number}.tif" for number in (10, 2, 1)]
    dataset = open_dataset(touch(tmp_path, ["Normal/b.tif", "Normal/a.tif", *images, *truth]))
    train, test = relative(dataset)
    assert dataset.layout == "nanotwice"
    assert train == ["Normal/a.tif", "Normal/b.tif"]
    assert test == [
        (
            f"Anomalous/images/ITIA{number}.tif",
            f"ITIA{number}",
            "Anomalous",
            [f"Anomalous/gt/ITIA{number}_gt.png"] if masks else [],
        )
        for number in (1, 2, 10)
    ]


def test_plain_folder_is_all_good(tmp_path: Path) -> None:
    names = ["1.png", "2.JPG", "10.tiff", "line 1/1.png", "line 1/deep/1.bmp", "line 2/1.webp"]
    dataset = open_dataset(str(touch(tmp_path, [*names, "notes.txt", ".hidden.png", ".cache/1.png", "line 1/.x.png"])))
    assert (dataset.layout, relative(dataset)) == ("folder", (names, []))
    assert repr(dataset).endswith("folder layout: 6 good images to learn from, 0 test images>")
    samples = good_samples(dataset)
    assert [sample.name for sample in samples] == ["1", "2", "10", "line 1/1", "line 1/deep/1", "line 2/1"]
    assert {(sample.defect, sample.masks) for sample in samples} == {("training", ())}


def test_root_is_absolute_and_a_relative_path_is_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    touch(tmp_path / "data", ["1.png"])
    monkeypatch.chdir(tmp_path / "data")
    assert open_dataset(".") == open_dataset(tmp_path / "data")
    assert open_dataset(Path("../data")).name == "data"


def test_odd_names_pair_up(tmp_path: Path) -> None:
    images = [f"test/odd one's/{name}.png" for name in ODD_NAMES]
    masks = [f"ground_truth/odd one's/{name}_mask.png" for name in ODD_NAMES]
    dataset = open_dataset(touch(tmp_path, ["train/good/1.png", *images, *masks]))
    assert {sample.name: sample.masks[0].stem for sample in dataset.test} == {
        name: f"{name}_mask" for name in ODD_NAMES
    }


@settings(max_examples=50, deadline=None)
@given(st.lists(st.text(st.characters(codec="utf-8", exclude_characters="/\0"), min_size=1, max_size=12), unique=True))
def test_natural_order_is_one_order(names: list[str]) -> None:
    paths = [Path("x" + name) for name in names]
    want = sorted(paths, key=natural_key)
    assert sorted(reversed(paths), key=natural_key) == want
    assert len({str(natural_key(path)) for path in paths}) == len(set(paths))


def test_numbers_in_names_are_sorted_by_value(tmp_path: Path) -> None:
    names = ["1.png", "a2b10.png", "a2b9.png", "A10.png", "a1.png", "007.png", "10.png", "²3.png"]
    got = [path.name for path in open_dataset(touch(tmp_path, names)).train]
    assert got == ["1.png", "007.png", "10.png", "a1.png", "a2b9.png", "a2b10.png", "A10.png", "²3.png"]


def test_links_are_followed_and_loops_end(tmp_path: Path) -> None:
    real = touch(tmp_path / "real", ["1.png", "deep/2.png"])
    (real / "deep" / "up").symlink_to(real, target_is_directory=True)
    (real / "itself").symlink_to(real / "itself")
    (real / "itself.png").symlink_to(real / "itself.png")
    (real / "dead.png").symlink_to(tmp_path / "nowhere.png")
    (real / "linked.png").symlink_to(real / "1.png")
    root = tmp_path / "root"
    root.symlink_to(real, target_is_directory=True)
    # Links that lead nowhere stay in the list, so that the check names them.
    names = ["1.png", "dead.png", "itself.png", "linked.png", "deep/2.png"]
    assert relative(open_dataset(root))[0] == names
    touch(tmp_path / "mvtec", ["train/x.txt"])
    (tmp_path / "mvtec" / "train" / "good").symlink_to(real, target_is_directory=True)
    (real / "deep" / "2.png").unlink()
    assert len(open_dataset(tmp_path / "mvtec").train) == 4


def test_folders_that_are_no_data_set_show_what_is_understood(tmp_path: Path) -> None:
    cases: list[tuple[list[str], str]] = [
        ([], "no image; found nothing"),
        (["notes.txt", "sub/other.csv"], r"no image; found notes\.txt, sub/"),
        (["train/x.txt"], "no defect-free image in train/good; found train/"),
        (["train/good/notes.txt", "test/good/1.png"], "no defect-free image in train/good; found test/, train/"),
        (["train/1.png"], "no defect-free image in train/good"),
        (["Normal/x.txt", "Anomalous/images/1.png"], "no defect-free image in Normal"),
        (["train/good/1.png", "train/bad/1.png"], "images where the layout has no place for them"),
    ]
    for number, (names, said) in enumerate(cases):
        root = tmp_path / str(number)
        root.mkdir()
        with pytest.raises(ValueError, match=said) as caught:
            open_dataset(touch(root, names))
        message = str(caught.value)
        assert str(root) in message
        assert all(layout in message for layout in ("MVTec AD:", "NanoTWICE:", "folder:"))
        assert len(message.splitlines()) < 16


def test_missing_folder_and_file_are_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"(?s)nowhere: no such data folder.*MVTec AD"):
        open_dataset(tmp_path / "nowhere")
    touch(tmp_path, ["a.png"])
    with pytest.raises(NotADirectoryError, match=r"(?s)a\.png: not a folder.*MVTec AD"):
        open_dataset(tmp_path / "a.png")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"-ground_truth/hole/2_mask.png"}, r"image .*test/hole/2\.png: no mask in .*ground_truth/hole"),
        (
            {"-ground_truth/hole/1_mask.png", "-ground_truth/hole/2_mask.png", "+ground_truth/readme.txt"},
            r"(?s)test/hole/1\.png: no mask.*test/hole/2\.png: no mask",
        ),
        ({"+ground_truth/hole/3_mask.png"}, r"mask .*ground_truth/hole/3_mask\.png: no image of that name"),
        ({"+ground_truth/scratch/1_mask.png"}, r"mask .*scratch/1_mask\.png: no image of that name"),
        ({"+ground_truth/hole/1.png"}, r"image .*test/hole/1\.png: two masks, .*hole/1\.png and .*1_mask\.png"),
        ({"+ground_truth/hole/1_mask.bmp"}, r"1_mask\.png: doubly named, as 1_mask\.bmp is"),
        ({"+test/hole/1.tif"}, r"hole/1\.tif: doubly named, as 1\.png is"),
        ({"+ground_truth/good/7_mask.png"}, r"mask .*good/7_mask\.png: no image of that name"),
    ],
)
def test_images_and_masks_that_do_not_pair_up_are_named(tmp_path: Path, change: set[str], said: str) -> None:
    names = {"train/good/1.png", "test/good/1.png", "test/hole/1.png", "test/hole/2.png"}
    names |= {"ground_truth/hole/1_mask.png", "ground_truth/hole/2_mask.png"}
    open_dataset(touch(tmp_path / "whole", names))
    added = {name[1:] for name in change if name[0] == "+"}
    removed = {name[1:] for name in change if name[0] == "-"}
    with pytest.raises(ValueError, match=said):
        open_dataset(touch(tmp_path / "changed", (names | added) - removed))


def test_many_unpaired_masks_stay_a_short_message(tmp_path: Path) -> None:
    masks = [f"Anomalous/gt/{number}_gt.png" for number in range(40)]
    touch(tmp_path, ["Normal/1.png", "Anomalous/images/0.png", *masks])
    with pytest.raises(ValueError, match="and 27 more") as caught:
        open_dataset(tmp_path)
    assert len(str(caught.value).splitlines()) == 14


def test_names_that_no_result_can_carry_are_refused(tmp_path: Path) -> None:
    touch(tmp_path / "long", ["x" * 251 + ".png"])
    with pytest.raises(ValueError, match="may have 250 bytes, got 251"):
        open_dataset(tmp_path / "long")
    (tmp_path / "bytes").mkdir()
    with open(os.fsencode(tmp_path / "bytes") + b"/\xff.png", "wb"):
        pass
    with pytest.raises(ValueError, match="not valid UTF-8"):
        open_dataset(tmp_path / "bytes")


def sample_with_mask(tmp_path: Path, mask: np.ndarray, defect: str = "hole") -> Sample:
    image = write_gray(tmp_path / "a.png", np.zeros((4, 6), np.uint8))
    return Sample(image, "a", defect, (write_gray(tmp_path / "a_mask.png", mask),))


LEVELS = np.array([[0, 1, 127, 128], [254, 255, 0, 255]], dtype=np.uint8)


@pytest.mark.parametrize(
    ("stored", "want"),
    [
        (LEVELS, LEVELS > 127),
        (LEVELS > 127, LEVELS > 127),
        ((LEVELS > 127).astype(np.uint8), LEVELS > 127),
        ((LEVELS > 127).astype(np.uint16), LEVELS > 127),
        (LEVELS.astype(np.uint16) * 257, LEVELS > 127),
        (np.stack([LEVELS, LEVELS * 0, LEVELS * 0], axis=2), LEVELS > 127),
    ],
)
def test_mask_marks_what_is_bright(tmp_path: Path, stored: np.ndarray, want: np.ndarray) -> None:
    got = read_mask(sample_with_mask(tmp_path, stored), (2, 4))
    assert got.dtype == np.bool_
    np.testing.assert_array_equal(got, want)


def test_good_image_has_an_empty_mask(tmp_path: Path) -> None:
    assert not read_mask(Sample(tmp_path / "a.png", "a", "good"), (3, 5)).any()
    empty = sample_with_mask(tmp_path, np.zeros((3, 5), np.uint8), "good")
    assert read_mask(empty, (3, 5)).shape == (3, 5)
    with pytest.raises(ValueError, match=r"a\.png: a good image, but its mask .*a_mask\.png marks 6 pixels"):
        read_mask(sample_with_mask(tmp_path, np.full((2, 3), 255, np.uint8), "good"), (2, 3))


def test_mask_that_does_not_fit_is_refused_by_pair(tmp_path: Path) -> None:
    sample = sample_with_mask(tmp_path, np.full((4, 5), 255, np.uint8))
    with pytest.raises(ValueError, match=r"a\.png: the image is 4 x 6 .* its mask .*a_mask\.png is 4 x 5"):
        read_mask(sample, image_size(sample.path))
    with pytest.raises(ValueError, match=r"a\.png: no ground-truth mask"):
        read_mask(Sample(sample.path, "a", "hole"), (4, 6))


def test_empty_mask_of_a_defective_image_is_a_warning(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    sample = sample_with_mask(tmp_path, np.zeros((4, 6), np.uint8))
    with caplog.at_level(logging.WARNING):
        assert not read_mask(sample, (4, 6)).any()
    assert "a_mask.png: marks no pixel of" in caplog.text


def test_fingerprint_follows_names_and_contents_alone(tmp_path: Path) -> None:
    root = touch(tmp_path / "one", [*MVTEC, "ground_truth/hole/000_mask.png", "ground_truth/cut/000.png"])
    first = dataset_fingerprint(open_dataset(root))
    assert len(first) == 64
    touch(root, ["notes.txt", "test/hole/.hidden.png"])
    copy = shutil.copytree(root, tmp_path / "two")
    assert dataset_fingerprint(open_dataset(copy)) == first
    seen = {first}
    for change in (
        lambda: (copy / "ground_truth/hole/000_mask.png").write_bytes(b"\0"),
        lambda: (copy / "train/good/000.png").write_bytes(b"\0"),
        lambda: (copy / "train/good/001.png").rename(copy / "train/good/002.png"),
        (copy / "train/good/000.png").unlink,
    ):
        change()
        seen.add(dataset_fingerprint(open_dataset(copy)))
    assert len(seen) == 5


@pytest.mark.real_data
def test_real_layouts_are_recognised(shared_data: Path) -> None:
    nanotwice = open_dataset(shared_data / "nanotwice")
    assert (nanotwice.layout, len(nanotwice.train), len(nanotwice.test)) == ("nanotwice", 5, 40)
    fabric = open_dataset(shared_data / "aitex_fabric01")
    assert (fabric.layout, len(fabric.train), len(fabric.test)) == ("mvtec", 21, 12)
    assert {sample.defect for sample in fabric.test} == {"defective"}
    for dataset in (nanotwice, fabric):
        assert all(sample.masks for sample in dataset.test)
    # Defect areas that the data's own description gives: 0.26 % to 9.85 %.
    shares = [100 * read_mask(sample, (696, 1024)).mean() for sample in nanotwice.test]
    assert (round(min(shares), 2), round(max(shares), 2)) == (0.26, 9.85)
