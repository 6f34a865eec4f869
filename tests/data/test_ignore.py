"""What an ignore mask covers has no part in crops, thresholds, maps, metrics or verdicts."""

import json
import shutil

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from PIL import Image
from ssimae import Detector, evaluate_maps
from ssimae.cli import main
from ssimae.config.settings import Settings
from ssimae.data.ignore import inside_frame, inspected_frame, pair_ignore_masks
from ssimae.data.layouts import open_dataset
from ssimae.engines.pytorch import torch_engine
from ssimae.images.maps import read_float_map
from ssimae.inspection.cleaning import clean
from ssimae.inspection.residual import inspect_image
from ssimae.inspection.threshold import set_thresholds
from ssimae.models.autoencoder import Autoencoder
from ssimae.training.crops import LARGEST_IGNORED, CropSampler

TINY = {
    "patch_size": 32,
    "latent_dim": 8,
    "stride": 16,
    "margin": 8,
    "patches": 48,
    "epochs": 3,
    "batch_size": 16,
    "opening": 0,
}
FLAGS = ["--preset", "default", "--allow-collapsed"] + [
    part for name, value in TINY.items() for part in (f"--{name.replace('_', '-')}", str(value))
]


def save(path, pixels):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.asarray(pixels, dtype=np.uint8)).save(path)


@pytest.mark.parametrize("name", ["a", "train/good/a", "data/train/good/a"])
def test_a_mask_belongs_to_the_images_whose_path_ends_as_its_own(tmp_path, name):
    images = [tmp_path / "data" / "train" / "good" / f"{stem}.png" for stem in ("a", "b", "xa")]
    save(tmp_path / "masks" / f"{name}.tif", np.zeros((4, 4)))
    assert pair_ignore_masks(tmp_path / "masks", images, all_used=True) == {
        images[0]: tmp_path / "masks" / f"{name}.tif"
    }


def test_the_longest_name_that_fits_is_taken_and_one_file_is_for_all(tmp_path):
    images = [tmp_path / "data" / folder / "a.png" for folder in ("good", "hole")]
    for name in ("a.png", "hole/a.png"):
        save(tmp_path / "masks" / name, np.zeros((4, 4)))
    pairs = pair_ignore_masks(tmp_path / "masks", images, all_used=True)
    assert [path.relative_to(tmp_path / "masks").as_posix() for path in pairs.values()] == ["a.png", "hole/a.png"]
    one = tmp_path / "masks" / "a.png"
    assert pair_ignore_masks(one, images, all_used=True) == dict.fromkeys(images, one)


def test_masks_that_are_missing_or_belong_to_nothing_are_refused(tmp_path):
    images = [tmp_path / "a.png"]
    with pytest.raises(FileNotFoundError, match="no such ignore mask"):
        pair_ignore_masks(tmp_path / "none", images, all_used=True)
    (tmp_path / "masks" / ".thumbs").mkdir(parents=True)
    save(tmp_path / "masks" / ".thumbs" / "c.png", np.zeros((4, 4)))
    with pytest.raises(ValueError, match="no ignore mask in this folder"):
        pair_ignore_masks(tmp_path / "masks", images, all_used=True)
    save(tmp_path / "masks" / "b.png", np.zeros((4, 4)))
    with pytest.raises(ValueError, match=r"b\.png: an ignore mask that belongs to no image"):
        pair_ignore_masks(tmp_path / "masks", images, all_used=True)
    with pytest.raises(ValueError, match="belongs to no image"):  # nor does any other
        pair_ignore_masks(tmp_path / "masks", images, all_used=False)
    save(tmp_path / "masks" / "a.png", np.zeros((4, 4)))
    assert pair_ignore_masks(tmp_path / "masks", images, all_used=False) == {images[0]: tmp_path / "masks" / "a.png"}
    save(tmp_path / "masks" / "a.tif", np.zeros((4, 4)))
    with pytest.raises(ValueError, match=r"a\.tif: doubly named, as a\.png is"):
        pair_ignore_masks(tmp_path / "masks", images, all_used=False)


def test_images_without_a_mask_are_counted(tmp_path, caplog):
    save(tmp_path / "masks" / "a.png", np.zeros((4, 4)))
    pair_ignore_masks(tmp_path / "masks", [tmp_path / "a.png", tmp_path / "b.png"], all_used=True)
    assert f"1 of 2 images have no ignore mask, the first {tmp_path / 'b.png'}" in caplog.text


def test_masks_beside_the_images_are_no_images(tmp_path, data):
    photos = tmp_path / "photos"
    photos.mkdir()
    for name in "ab":
        (photos / f"{name}.png").write_bytes((data / "train/good" / f"{name}.png").read_bytes())
    (photos / "ignore.png").symlink_to(tmp_path / "ignore.png")
    link = tmp_path / "link"
    link.symlink_to(photos)
    for root, ignore in ((photos, photos / "ignore.png"), (link, photos / "ignore.png"), (photos, link / "ignore.png")):
        assert [path.name for path in open_dataset(root, ignore=ignore).train] == ["a.png", "b.png"]
    out = tmp_path / "out"
    flags = ["--data", str(photos), "--ignore", str(photos / "ignore.png"), "--out", str(out), *FLAGS]
    assert main(["run", *flags]) == 0
    (out / "predictions.csv").unlink()
    assert main(["run", "--resume", str(out), "--allow-collapsed"]) == 0
    found = tmp_path / "found"
    assert (
        main(
            [
                "predict",
                str(out),
                str(photos),
                "--ignore",
                str(photos / "ignore.png"),
                "--out",
                str(found),
                "--allow-collapsed",
            ]
        )
        == 0
    )
    assert sorted(path.stem for path in (found / "residuals").rglob("*.tiff")) == ["a", "b"]
    with pytest.raises(ValueError, match="no defect-free image is left"):
        open_dataset(photos, ignore=photos)


def test_defects_that_are_wholly_ignored_are_not_missed(data, tmp_path, caplog):
    truth = np.zeros((64, 100))
    truth[:, :20] = 255
    save(data / "test/tear/f.png", np.array(Image.open(data / "test/good/c.png")))
    save(data / "ground_truth/tear/f_mask.png", truth)
    ignore, out = tmp_path / "ignore.png", tmp_path / "out"
    assert main(["run", "--data", str(data), "--ignore", str(ignore), "--out", str(out), *FLAGS]) == 0
    assert "marks only pixels that are ignored" in caplog.text
    metrics = json.loads((out / "metrics.json").read_text())
    assert metrics["by_defect"]["tear"]["n_regions"] == 0
    assert metrics["by_defect"]["tear"]["auroc"] is None
    assert metrics["n_regions"] == 2
    shutil.rmtree(data / "test/hole")
    shutil.rmtree(data / "ground_truth/hole")
    assert main(["run", "--data", str(data), "--ignore", str(ignore), "--out", str(tmp_path / "none"), *FLAGS]) == 0
    assert not (tmp_path / "none" / "metrics.json").exists()
    assert "no ground-truth mask marks a pixel that is inspected" in caplog.text


@given(arrays(np.bool_, st.tuples(st.integers(1, 8), st.integers(1, 8))).filter(lambda mask: not mask.all()))
def test_the_frame_is_the_smallest_rectangle_round_what_is_inspected(ignored):
    frame = inspected_frame(ignored)
    outside = np.ones_like(ignored)
    outside[frame] = False
    assert ignored[outside].all()
    inner = ignored[frame]
    for line in (inner[0], inner[-1], inner[:, 0], inner[:, -1]):
        assert not line.all()
    inside = inside_frame(ignored)
    assert np.array_equal(inner, np.zeros_like(inner) if inside is None else inside)


@pytest.mark.parametrize("zoom", [0.0, 0.3])
def test_crops_hold_a_quarter_of_ignored_pixels_at_most_and_come_from_everywhere_else(zoom):
    rng = np.random.default_rng(0)
    images = [np.zeros((64, 70), np.float32), np.ones((48, 50), np.float32) * 2]
    mask = rng.random((64, 70)) < 0.01
    mask[20:45, 28:60] = True
    images[0][mask] = 1
    settings = Settings(patch_size=32, stride=8, patches=4000, batch_size=500, zoom=zoom, crops="fresh")
    sampler = CropSampler(images, settings, [mask, None])
    crops = np.concatenate([sampler.batch(step).numpy().copy() for step in range(sampler.steps_per_epoch)])
    shares = crops[crops[:, 0, 0, 0] < 1.5].mean(axis=(1, 2, 3))
    assert 0 < len(shares) < len(crops)
    assert shares.max() <= LARGEST_IGNORED + 1e-6
    allowed = sum(
        mask[row : row + 32, column : column + 32].mean() <= LARGEST_IGNORED
        for row in range(33)
        for column in range(39)
    )
    assert len(shares) / len(crops) == pytest.approx(allowed / (allowed + 17 * 19), abs=0.04)


def test_a_mask_that_leaves_no_room_for_a_patch_is_refused():
    mask = np.zeros((40, 40), np.bool_)
    mask[::2] = True
    with pytest.raises(ValueError, match="no room for a training patch of 32 x 32"):
        CropSampler([np.zeros((40, 40), np.float32)], Settings(**TINY), [mask])


def test_what_lies_outside_the_frame_has_no_influence():
    rng = np.random.default_rng(1)
    model, settings = Autoencoder(8, 32, 1, seed=0).eval(), Settings(**TINY, residual_smoothing=2.0, scale=0.75)
    image, mask = rng.random((70, 90), dtype=np.float32), np.zeros((70, 90), np.bool_)
    mask[:, :24], mask[60:] = True, True
    mask[30:34, 50:55] = True
    maps = []
    for selvedge in (0.0, 1.0):
        image[:, :24], image[60:] = selvedge, selvedge
        engine = torch_engine(model, settings, device=torch.device("cpu"), precision="float32")
        reconstruction, residual = inspect_image(engine, image, settings, ignored=mask)
        assert residual.shape == image.shape
        assert not residual[mask].any()
        assert (residual[~mask] > 0).any()
        assert np.array_equal(reconstruction[60:], image[60:])
        maps.append(residual)
    assert np.array_equal(*maps)


@pytest.mark.parametrize(
    "changes", [{"residual_smoothing": 4.0}, {"opening": 5}, {"residual_smoothing": 2.0, "opening": 4}]
)
def test_neither_smoothing_nor_opening_carries_an_ignored_residual_out(changes):
    rng = np.random.default_rng(4)
    settings = Settings(**{**TINY, **changes})
    residual = rng.random((50, 60)).astype(np.float32)
    ignored = np.zeros((50, 60), np.bool_)
    ignored[20:32, 25:40] = True
    calm = clean(residual, settings, ignored)
    wild = clean(np.where(ignored, np.float32(7), residual), settings, ignored)
    np.testing.assert_array_equal(calm, wild)
    assert not calm[ignored].any()
    assert residual.min() <= calm[~ignored].min() <= calm[~ignored].max() <= residual.max()
    # Far from what is ignored nothing changes.
    np.testing.assert_allclose(calm[:, :5], clean(residual, settings)[:, :5], atol=1e-6)


def test_ignored_pixels_count_in_no_threshold():
    rng = np.random.default_rng(2)
    maps = [rng.random((60, 60)).astype(np.float32) for _ in range(3)]
    masks = [None, np.zeros((60, 60), np.bool_), None]
    masks[1][:, 20:] = True
    maps[1][masks[1]] = 0
    cut = [maps[0], np.ascontiguousarray(maps[1][:, :20]), maps[2]]
    for rule in ("area", "fpr"):
        settings = Settings(threshold_rule=rule, min_area=3, threshold_fpr=0.02, review_fpr=0.1)
        whole = set_thresholds(maps, settings, ignored=masks, held_out=True, precision="float32", engine="torch")
        want = set_thresholds(cut, settings, held_out=True, precision="float32", engine="torch")
        assert (whole.review, whole.defective, whole.pixels) == (want.review, want.defective, want.pixels)


@pytest.fixture
def data(tmp_path):
    """MVTec layout whose images have a strip of noise at the left, and in one defective image the truth there too."""
    rng, root = np.random.default_rng(3), tmp_path / "data"
    wave = 128 + 60 * np.sin(np.arange(64)[:, None] / 2.5) * np.cos(np.arange(100)[None, :] / 3)
    for name in ("train/good/a", "train/good/b", "test/good/c", "test/hole/d", "test/hole/e"):
        image = (wave + rng.normal(0, 4, wave.shape)).clip(0, 255)
        image[:, :30] = rng.integers(0, 255, (64, 30))
        if "hole" in name:
            truth = np.zeros(wave.shape)
            truth[20:40, 60:80] = 255
            truth[5:15, 5:15] = 255
            image[20:40, 60:80] = rng.integers(0, 255, (20, 20))
            save(root / f"ground_truth/hole/{name[-1]}_mask.png", truth)
        save(root / f"{name}.png", image)
    mask = np.zeros(wave.shape)
    mask[:, :30] = 255
    save(tmp_path / "ignore.png", mask)
    return root


def test_a_run_leaves_the_masked_part_out_of_everything(data, tmp_path, capsys):
    ignore, out = tmp_path / "ignore.png", tmp_path / "out"
    assert main(["run", "--data", str(data), "--ignore", str(ignore), "--out", str(out), *FLAGS]) == 0
    residuals = {path.stem: read_float_map(path) for path in (out / "residuals").rglob("*.tiff")}
    assert len(residuals) == 3
    assert all(not residual[:, :30].any() and residual[:, 30:].any() for residual in residuals.values())
    thresholds = json.loads((out / "thresholds.json").read_text())
    assert thresholds["masked"]
    assert thresholds["pixels"] == 2 * 64 * 32  # bands of a patch's width, of images cut to 70 columns
    truth = np.array(Image.open(data / "ground_truth/hole/d_mask.png")) > 0
    masks = [truth if name != "c" else np.zeros_like(truth) for name in sorted(residuals)]
    want = evaluate_maps([residuals[name][:, 30:] for name in sorted(residuals)], [mask[:, 30:] for mask in masks])
    metrics = json.loads((out / "metrics.json").read_text())
    assert (metrics["auroc"], metrics["n_regions"]) == (pytest.approx(want.auroc, abs=1e-15), 2)
    before = (out / "metrics.json").read_bytes()
    assert main(["evaluate", str(out)]) == 0
    assert (out / "metrics.json").read_bytes() == before
    assert "ignore.png" in (out / "report.html").read_text()
    # The same mask on the shop floor, and a word where it is forgotten.
    found = tmp_path / "found"
    assert (
        main(
            [
                "predict",
                str(out),
                str(data / "test/hole"),
                "--ignore",
                str(ignore),
                "--out",
                str(found),
                "--allow-collapsed",
            ]
        )
        == 0
    )
    assert np.array_equal(read_float_map(next((found / "residuals").rglob("d.tiff"))), residuals["d"])
    # A changed mask is other data.
    save(ignore, np.zeros((64, 100)))
    assert main(["run", "--resume", str(out)]) == 2
    assert "have changed" in capsys.readouterr().err


def test_a_forgotten_mask_is_said(data, tmp_path, caplog):
    out = tmp_path / "out"
    assert (
        main(["train", "--data", str(data), "--ignore", str(tmp_path / "ignore.png"), "--out", str(out), *FLAGS]) == 0
    )
    assert (
        main(["predict", str(out), str(data / "test/hole"), "--out", str(tmp_path / "found"), "--allow-collapsed"]) == 0
    )
    assert "without --ignore" in caplog.text


def test_a_mask_of_another_size_is_one_line(data, tmp_path, capsys):
    save(tmp_path / "ignore.png", np.zeros((64, 99)))
    assert main(["check", str(data), "--ignore", str(tmp_path / "ignore.png"), "--patch-size", "32"]) == 2
    assert "its mask" in capsys.readouterr().err
    save(tmp_path / "ignore.png", np.ones((64, 100)))
    assert main(["run", "--data", str(data), "--ignore", str(tmp_path / "ignore.png"), *FLAGS]) == 2
    assert "leaves nothing of" in capsys.readouterr().err
    mask = np.zeros((64, 100))
    mask[:, :80] = 255
    save(tmp_path / "ignore.png", mask)
    assert main(["run", "--data", str(data), "--ignore", str(tmp_path / "ignore.png"), *FLAGS]) == 2
    assert "64 x 20 pixels left of 64 x 100 by the ignore mask" in capsys.readouterr().err


def test_the_detector_takes_masks_too(data):
    images = sorted((data / "train/good").iterdir())
    mask = np.zeros((64, 100), np.bool_)
    mask[:, :30] = True
    detector = Detector(**TINY, device="cpu").fit(images, ignore=mask)
    assert detector.thresholds_.pixels == 2 * 64 * 32
    prediction = detector.inspect(images[0], ignore=mask)
    assert not prediction.residual[:, :30].any()
    assert Detector(**TINY, device="cpu").fit(images, ignore=[None, mask]).thresholds_.pixels == 64 * 32 * 2
    with pytest.raises(ValueError, match="shape of its image"):
        detector.inspect(images[0], ignore=mask[:, 1:])
    assert np.array_equal(
        detector.score_samples(images, ignore=mask), [-detector.inspect(i, ignore=mask).score for i in images]
    )
    assert detector.predict(images, ignore=[mask, None]).shape == (2,)
    with pytest.raises(ValueError, match="as many as images"):
        Detector(**TINY, device="cpu").fit(images, ignore=[mask])
