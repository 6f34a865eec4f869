"""The embedded data set is what it says: outside the masks nothing differs, and inside what is named does."""

from functools import cache
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from scipy import ndimage
from skimage.metrics import structural_similarity
from sklearn.metrics import roc_auc_score
from ssimae.data.layouts import open_dataset
from ssimae.data.synthetic import DEFECTS, TEST_IMAGES, TRAIN_IMAGES, Defect, Planted, plant, write_woven_dataset
from ssimae.data.weave import PITCH_PX, SIZE_PX, WEAVES, Weave, draw_cloth, render, woven_image

STRUCTURAL = tuple(defect for defect in DEFECTS if defect != "contrast")
WINDOW_SIZE = 11

QUANTUM = 1 / 255
"""Half of it is lost by an 8-bit file."""


@cache
def planted(defect: Defect) -> list[Planted]:
    """One image of each weave; drawn once for all tests."""
    rng = np.random.default_rng([5, DEFECTS.index(defect)])
    return [plant(rng, weave, defect) for weave in WEAVES]


@pytest.fixture(scope="module")
def dataset_root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("synthetic") / "not yet there" / "woven"
    write_woven_dataset(root, seed=0)
    return root


def contents(root: Path) -> dict[str, bytes]:
    return {path.relative_to(root).as_posix(): path.read_bytes() for path in root.rglob("*") if path.is_file()}


def recognised_weave(path: Path) -> Weave:
    """Tell the weave by the diagonals along which it repeats after one yarn: both, one, or none."""
    image = np.asarray(Image.open(path), dtype=float)
    image -= ndimage.gaussian_filter(image, 3 * PITCH_PX)
    step = round(PITCH_PX)
    here, down_right = image[:-step, :-step], image[step:, step:]
    above, down_left = image[:-step, step:], image[step:, :-step]
    diagonals = [(here * down_right).mean() / image.var() > 0.6, (above * down_left).mean() / image.var() > 0.6]
    names: dict[int, Weave] = {2: "plain", 1: "twill", 0: "basket"}
    return names[sum(diagonals)]


def dissimilarity(image: np.ndarray, reference: np.ndarray) -> np.ndarray:
    _, similarity = structural_similarity(image, reference, win_size=WINDOW_SIZE, data_range=1, full=True)
    return 1 - similarity


def pixel_auroc(samples: list[Planted], residuals: list[np.ndarray]) -> float:
    truth = np.concatenate([sample.mask.ravel() for sample in samples])
    return float(roc_auc_score(truth, np.concatenate([residual.ravel() for residual in residuals])))


@pytest.mark.parametrize("seed", [0, 1])
def test_same_seed_gives_same_bytes_and_another_seed_other_images(
    seed: int, dataset_root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Images are drawn in the order of their numbers, so a smaller data set is the beginning of a larger one.
    monkeypatch.setattr("ssimae.data.synthetic.TRAIN_IMAGES", 2)
    monkeypatch.setattr("ssimae.data.synthetic.TEST_IMAGES", 1)
    write_woven_dataset(tmp_path, seed=seed)
    full, part = contents(dataset_root), contents(tmp_path)
    assert len(part) == 2 + 1 + 2 * len(DEFECTS)
    assert {full[name] == content for name, content in part.items()} == {seed == 0}


def test_every_image_is_unlike_every_other(dataset_root: Path) -> None:
    images = [content for name, content in contents(dataset_root).items() if "ground_truth" not in name]
    assert len(set(images)) == len(images)


def test_data_set_opens_as_mvtec_with_a_mask_for_each_defective_image(dataset_root: Path) -> None:
    dataset = open_dataset(dataset_root)
    assert (dataset.layout, len(dataset.train)) == ("mvtec", TRAIN_IMAGES)
    kinds = [sample.defect for sample in dataset.test]
    assert {kind: kinds.count(kind) for kind in kinds} == dict.fromkeys(["good", *DEFECTS], TEST_IMAGES)
    assert all((not sample.masks) == (sample.defect == "good") for sample in dataset.test)


def test_files_are_8_bit_gray_and_masks_are_black_and_white(dataset_root: Path) -> None:
    paths = sorted(dataset_root.rglob("*.png"))
    for path in paths:
        with Image.open(path) as image:
            assert (image.mode, image.size) == ("L", (SIZE_PX, SIZE_PX))
            if "ground_truth" in path.parts:
                assert set(np.unique(np.asarray(image))) == {0, 255}
    assert {path.suffix for path in dataset_root.rglob("*") if path.is_file()} == {".png"}


def test_all_weaves_occur_in_every_folder(dataset_root: Path) -> None:
    folders = [dataset_root / "train" / "good", *(dataset_root / "test").iterdir()]
    assert len(folders) == 2 + len(DEFECTS)
    for folder in folders:
        assert {recognised_weave(path) for path in folder.iterdir()} == set(WEAVES)


@pytest.mark.parametrize("weave", WEAVES)
def test_cloth_has_the_pitch_and_contrast_a_window_sees(weave: Weave) -> None:
    image = woven_image(np.random.default_rng(1), weave)
    assert (image.shape, image.dtype) == ((SIZE_PX, SIZE_PX), np.float32)
    assert 0 < image.min() < image.max() < 1
    mean = ndimage.uniform_filter(image, WINDOW_SIZE)
    local_std = np.sqrt(ndimage.uniform_filter(image**2, WINDOW_SIZE) - mean**2)
    assert 0.12 < local_std.mean() < 0.2
    # Yarn edges repeat with the pitch whatever the weave: the gradient's profile correlates best one pitch on.
    for axis in (0, 1):
        profile = np.abs(np.diff(image, axis=axis)).mean(axis=1 - axis)
        profile -= ndimage.gaussian_filter1d(profile, PITCH_PX)
        lags = np.arange(int(0.75 * PITCH_PX), int(1.5 * PITCH_PX))
        correlations = [float(profile[lag:] @ profile[:-lag]) for lag in lags]
        assert abs(lags[np.argmax(correlations)] - PITCH_PX) <= 1


@pytest.mark.parametrize("weave", WEAVES)
def test_weave_lays_warp_over_half_of_the_weft(weave: Weave) -> None:
    repeat = WEAVES[weave]
    assert (repeat.mean(axis=0) == 0.5).all()
    assert (repeat.mean(axis=1) == 0.5).all()


def test_drawing_cloth_again_gives_the_same_image() -> None:
    cloth = draw_cloth(np.random.default_rng(2), "twill")
    np.testing.assert_array_equal(render(cloth), render(cloth))


@pytest.mark.parametrize("defect", DEFECTS)
def test_nothing_differs_outside_the_mask(defect: Defect) -> None:
    for sample in planted(defect):
        np.testing.assert_array_equal(sample.image[~sample.mask], sample.clean[~sample.mask])
        assert sample.image.min() >= 0
        assert sample.image.max() <= 1


@pytest.mark.parametrize("defect", DEFECTS)
def test_mask_is_one_or_two_regions_of_visible_size(defect: Defect) -> None:
    for sample in planted(defect):
        _, regions = ndimage.label(sample.mask)
        assert 1 <= regions <= 3
        assert 300 <= sample.mask.sum() <= 3000


@pytest.mark.parametrize("defect", STRUCTURAL)
def test_structural_defect_keeps_the_gray(defect: Defect) -> None:
    for sample in planted(defect):
        change = sample.image - sample.clean
        assert abs(change[sample.mask].mean()) < 1e-3
        weight = sample.mask.astype(float)
        # Averaged over some yarns around each pixel of the mask, where the mask does not reach left out.
        nearby = ndimage.gaussian_filter(change * weight, PITCH_PX) / ndimage.gaussian_filter(weight + 1e-9, PITCH_PX)
        assert np.abs(nearby[sample.mask]).max() < 0.03


@pytest.mark.parametrize("defect", STRUCTURAL)
def test_structural_defect_keeps_the_gray_of_the_file(defect: Defect) -> None:
    for sample in planted(defect):
        image, clean = (np.rint(pixels * 255) / 255 for pixels in (sample.image, sample.clean))
        assert abs((image - clean)[sample.mask].mean()) < QUANTUM


def test_contrast_defect_shifts_the_gray_far() -> None:
    for sample in planted("contrast"):
        assert abs((sample.image - sample.clean)[sample.mask].mean()) > 0.3


@pytest.mark.parametrize("defect", DEFECTS)
def test_structure_differs_inside_the_mask_and_nowhere_beyond_a_window(defect: Defect) -> None:
    for sample in planted(defect):
        residual = dissimilarity(sample.image, sample.clean)
        assert residual[sample.mask].mean() > 0.4
        reach = ndimage.binary_dilation(sample.mask, np.ones((WINDOW_SIZE, WINDOW_SIZE)))
        # Running sums of float32 pixels leave a trace of rounding.
        assert np.abs(residual[~reach]).max() < 1e-3


@pytest.mark.parametrize("defect", DEFECTS)
def test_ssim_with_a_blurred_reconstruction_ranks_defective_pixels_first(defect: Defect) -> None:
    samples = planted(defect)
    blurred = [ndimage.gaussian_filter(sample.clean, 1) for sample in samples]
    ssim = pixel_auroc(samples, [dissimilarity(s.image, b) for s, b in zip(samples, blurred, strict=True)])
    assert ssim > 0.97
    if defect == "contrast":
        squared = pixel_auroc(samples, [(s.image - b) ** 2 for s, b in zip(samples, blurred, strict=True)])
        assert abs(ssim - squared) < 0.03


def test_negative_seed_is_refused_before_anything_is_written(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="`seed` must not be negative, got -1"):
        write_woven_dataset(tmp_path / "woven", seed=-1)
    assert not (tmp_path / "woven").exists()
