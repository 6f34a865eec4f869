"""Masks mark what is not background, whatever their values mean, and what is odd about one is named."""

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from scipy import ndimage
from ssimae import Evaluator
from ssimae.cli import main
from ssimae.data.dataset import Sample
from ssimae.data.masks import load_marks
from support.small_data import SETTINGS, write_small_dataset

REGIONS = np.zeros((70, 96), np.uint8)
REGIONS[5:15, 5:25], REGIONS[30:50, 40:60], REGIONS[60:62, 70:90] = 1, 2, 3
"""Three regions, the last of them thin, by their numbers."""


def save(path: Path, pixels: np.ndarray, **options: object) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path, **options)
    return path


def marked(tmp_path: Path, pixels: np.ndarray, name: str = "mask.png") -> tuple[np.ndarray, str]:
    marks = load_marks(Sample(tmp_path / "a.png", "a", "hole", (save(tmp_path / name, pixels),)), None)
    return marks.marked, marks.kinds[0]


@pytest.mark.parametrize("values", [(1, 1, 1), (1, 2, 3), (50, 100, 200), (254, 2, 255), (255, 1, 2), (10, 128, 127)])
@pytest.mark.parametrize("kind", ["uint8", "uint16", "palette", "colour"])
def test_every_class_and_instance_number_is_marked(tmp_path: Path, values: tuple[int, ...], kind: str) -> None:
    numbers = np.array([0, *values], np.uint8)[REGIONS]
    path = tmp_path / "mask.png"
    if kind == "palette":
        image = Image.fromarray(REGIONS, mode="P")
        image.putpalette([0, 0, 0, *(part for value in values for part in (0, value, 0))])
        image.save(path)
    else:
        save(
            path,
            {"uint8": numbers, "uint16": numbers.astype(np.uint16), "colour": numbers[..., None] * [1, 0, 0]}[
                kind
            ].astype(np.uint16 if kind == "uint16" else np.uint8),
        )
    marks = load_marks(Sample(tmp_path / "a.png", "a", "hole", (path,)), None)
    np.testing.assert_array_equal(marks.marked, REGIONS > 0)


@given(st.integers(0, 2**32 - 1), st.sampled_from([0.6, 1.0, 2.5, 8.0]))
def test_smooth_edges_are_cut_at_half(tmp_path_factory: pytest.TempPathFactory, seed: int, blur: float) -> None:
    rng = np.random.default_rng(seed)
    solid = np.zeros((60, 80))
    top, left = rng.integers(5, 25, 2)
    solid[top : top + rng.integers(15, 25), left : left + rng.integers(15, 40)] = 255
    smooth = np.rint(ndimage.gaussian_filter(ndimage.rotate(solid, rng.uniform(0, 90), reshape=False, order=1), blur))
    pixels = smooth.clip(0, 255).astype(np.uint8)
    got, kind = marked(tmp_path_factory.mktemp("masks"), pixels)
    assert kind == "shades"
    np.testing.assert_array_equal(got, pixels > 127)


@pytest.mark.parametrize("suffix", ["png", "tif", "webp"])
@pytest.mark.parametrize("colour", [0, 255])
def test_what_is_drawn_in_an_alpha_channel_is_marked(tmp_path: Path, suffix: str, colour: int) -> None:
    opaque = np.where(REGIONS > 0, 255, 0).astype(np.uint8)
    pixels = np.dstack([np.full((*REGIONS.shape, 3), colour, np.uint8), opaque])
    path = tmp_path / f"mask.{suffix}"
    Image.fromarray(pixels).save(path, **({"lossless": True, "exact": True} if suffix == "webp" else {}))
    marks = load_marks(Sample(tmp_path / "a.png", "a", "hole", (path,)), None)
    np.testing.assert_array_equal(marks.marked, REGIONS > 0)
    assert marks.kinds == ("opacity",)


def test_an_alpha_channel_that_says_what_colours_say_changes_nothing(tmp_path: Path) -> None:
    white = np.where(REGIONS > 0, 255, 0).astype(np.uint8)
    frame = np.full_like(white, 255)
    frame[:3] = 0  # as a mask that was turned has transparent corners
    for alpha in (white, frame, np.full_like(white, 255), np.zeros_like(white)):
        got, kind = marked(tmp_path, np.dstack([white, white, white, alpha]))
        assert kind == "two values"
        np.testing.assert_array_equal(got, REGIONS > 0)


def test_colours_that_cannot_be_seen_are_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data = write_small_dataset(tmp_path / "data")
    mask = data / "ground_truth/hole/f_mask.png"
    red_on_transparent_white = np.full((70, 96, 4), [255, 255, 255, 0], np.uint8)
    red_on_transparent_white[20:40, 30:60] = [255, 0, 0, 255]
    save(mask, red_on_transparent_white)
    assert main(["check", str(data), "--patch-size", "32"]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line == (
        f"error: {mask}: {70 * 96 - 600} pixels are marked by their colour and transparent: save the mask without an "
        "alpha channel"
    )


def test_many_instances_are_told_from_the_noise_of_a_jpeg_that_was_stored_again(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    instances = rng.permutation(np.arange(1, 256))[:56].reshape(7, 8).astype(np.uint8)
    instances[::2] = 0
    pixels = instances.repeat(10, axis=0).repeat(12, axis=1)
    got, kind = marked(tmp_path, pixels)
    assert kind == "numbers"
    np.testing.assert_array_equal(got, pixels > 0)
    Image.fromarray(np.where(REGIONS > 0, 255, 0).astype(np.uint8)).save(tmp_path / "noisy.jpg", quality=75)
    noisy = np.asarray(Image.open(tmp_path / "noisy.jpg"))
    got, kind = marked(tmp_path, noisy)
    assert kind == "shades"
    np.testing.assert_array_equal(got, noisy > 127)


def test_a_jpeg_changes_values_and_is_cut_at_half(tmp_path: Path) -> None:
    got, kind = marked(tmp_path, np.where(REGIONS > 0, 255, 0).astype(np.uint8), "mask.jpg")
    stored = np.asarray(Image.open(tmp_path / "mask.jpg"))
    assert kind == "shades"
    assert set(np.unique(stored)) > {0, 255}
    np.testing.assert_array_equal(got, stored > 127)


def test_a_photograph_is_no_mask(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data = write_small_dataset(tmp_path / "data")
    mask = data / "ground_truth/hole/f_mask.png"
    mask.write_bytes((data / "test/hole/f.png").read_bytes())
    assert main(["check", str(data), "--patch-size", "32"]) == 2
    assert "f_mask.png: 9" in (said := capsys.readouterr().err)
    assert "neither dark nor bright, as in a photograph" in said


def test_several_masks_of_an_image_are_united_to_the_metrics(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Three files, class numbers among them, give the metrics of one mask, in the run, afterwards and in the report."""
    found = []
    for name in ("one", "parts"):
        root = write_small_dataset(tmp_path / name / "data")
        truth = root / "ground_truth" / "hole"
        if name == "one":
            save(truth / "f_mask.png", np.where(REGIONS > 0, 255, 0).astype(np.uint8))
        else:
            (truth / "f_mask.png").unlink()
            for number in (1, 2, 3):
                save(truth / f"f_mask_{number}.png", np.where(number == REGIONS, number, 0).astype(np.uint8))
        out = tmp_path / name / "run"
        assert main(["run", "--data", str(root), "--out", str(out), *SETTINGS]) == 0
        found.append(json.loads((out / "metrics.json").read_text()))
        before = (out / "metrics.json").read_bytes()
        assert main(["evaluate", str(out)]) == 0
        assert (out / "metrics.json").read_bytes() == before
        assert main(["report", str(out)]) == 0
        assert "No ground truth" not in (out / "report.html").read_text()
    assert found[0] == found[1]
    assert found[0]["n_regions"] == 4
    capsys.readouterr()
    assert main(["check", str(tmp_path / "parts" / "data")]) == 0
    out = capsys.readouterr().out
    assert "masks        3 of numbers of classes or instances: all but 0 is marked" in out
    assert "masks        1 of black and white: what is not black is marked" in out


def test_a_folder_of_masks_is_one_mask(tmp_path: Path) -> None:
    masks = tuple(save(tmp_path / f"{number}.png", (number == REGIONS).astype(np.uint8)) for number in (1, 2, 3))
    np.testing.assert_array_equal(load_marks(Sample(tmp_path, "a", "hole", masks), None).marked, REGIONS > 0)
    masks = (*masks, save(tmp_path / "4.png", REGIONS[1:]))
    with pytest.raises(ValueError, match=r"its mask .*4\.png is 69 x 96"):
        load_marks(Sample(tmp_path, "a", "hole", masks), None)


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return write_small_dataset(tmp_path / "data")


def warnings_of_check(data: Path, capsys: pytest.CaptureFixture[str], *flags: str, code: int = 0) -> str:
    assert main(["check", str(data), *flags]) == code
    return capsys.readouterr().err


def test_masks_of_most_of_an_image_and_of_nothing_are_named(
    data: Path, capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    assert warnings_of_check(data, capsys) == ""
    truth = data / "ground_truth" / "hole"
    save(truth / "f_mask.png", 255 - np.asarray(Image.open(truth / "f_mask.png")))
    save(truth / "g_mask.png", REGIONS * 0)
    said = warnings_of_check(data, capsys)
    assert "f_mask.png: marks 91 % of" in said
    assert "g_mask.png: marks no pixel of" in said
    # Evaluation is told so, too, where nothing was checked before.
    maps = data.parent / "maps" / "test"
    for path in (data / "test").rglob("*.png"):
        folder = maps / path.parent.name
        folder.mkdir(parents=True, exist_ok=True)
        np.save(folder / f"{path.stem}.npy", np.asarray(Image.open(path)).astype(np.float32))
    assert main(["evaluate", str(maps.parent), str(data), "--out", str(data.parent / "scores")]) == 0
    assert "f_mask.png: marks 91 % of" in caplog.text
    assert "g_mask.png: marks no pixel of" in caplog.text


def test_an_ignore_mask_of_most_of_the_image_is_named_once(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    ignore = np.full((70, 96), 255, np.uint8)
    ignore[:40, :60] = 0
    save(tmp_path / "ignore.png", ignore)
    said = warnings_of_check(data, capsys, "--ignore", str(tmp_path / "ignore.png"))
    assert said.count("ignore.png: leaves 64 % of its image uninspected") == 1
    save(tmp_path / "ignore.png", np.full((70, 96), 255, np.uint8))
    assert main(["check", str(data), "--patch-size", "32", "--ignore", str(tmp_path / "ignore.png")]) == 2
    said = capsys.readouterr().err
    assert "leaves nothing of" in said
    assert "no ignore mask marks anything" not in said


@pytest.mark.parametrize("orientation", [2, 3, 6])
def test_a_mask_beside_an_image_that_exif_turns_is_named(
    data: Path, capsys: pytest.CaptureFixture[str], orientation: int
) -> None:
    photo = data / "test" / "hole" / "f.png"
    exif = Image.Exif()
    exif[274] = orientation
    Image.open(photo).save(photo, exif=exif)
    if orientation < 5:
        said = warnings_of_check(data, capsys)
        assert (
            f"f_mask.png: taken as drawn on {photo} once its EXIF data has turned it (orientation {orientation})"
            in said
        )
        return
    said = warnings_of_check(data, capsys, code=2)
    assert "the image is 96 x 70 (height x width), its mask" in said
    assert "EXIF data turns the one and not the other: turn the mask" in said
    mask = data / "ground_truth" / "hole" / "f_mask.png"
    Image.open(mask).save(mask, exif=exif)
    assert warnings_of_check(data, capsys) == ""


def test_arrays_in_python_are_marked_where_they_are_not_zero() -> None:
    """The rule of Evaluator and evaluate_maps is one, too: it has no files whose meaning it had to guess."""
    scores = np.random.default_rng(0).random(REGIONS.shape)
    found = []
    for mask in (REGIONS > 0, REGIONS, REGIONS.astype(np.float32) / 255, REGIONS.astype(np.int64) * -1):
        evaluator = Evaluator()
        evaluator.update(scores, mask)
        found.append((evaluator.compute().auroc, evaluator.n_regions))
    assert len(set(found)) == 1
    assert found[0][1] == 3
