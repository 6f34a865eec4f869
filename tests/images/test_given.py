"""A detector takes arrays by the rules of files: what a file may not hold, an array may not."""

import logging
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from ssimae import Detector, read_image
from ssimae.images.depth import Pixels
from ssimae.images.given import image_of_array, take_image
from ssimae.images.maps import write_float_tiff

TINY = {"patch_size": 32, "latent_dim": 8, "stride": 16, "margin": 8, "patches": 48, "epochs": 1, "batch_size": 16}
GRAY = np.random.default_rng(0).integers(0, 256, (40, 50)).astype(np.uint8)


@pytest.mark.parametrize("data_range", [None, 255.0, 300.0, 65535.0])
@pytest.mark.parametrize("dtype", ["uint8", "uint16", "float32", "float64"])
@pytest.mark.parametrize("largest", [1, 200, 60000])
def test_an_array_is_taken_or_refused_as_the_file_that_holds_it(
    tmp_path: Path, dtype: str, data_range: float | None, largest: int
) -> None:
    array = (GRAY.astype(np.float64) / 255 * min(largest, 255 if dtype == "uint8" else largest)).astype(dtype)
    path = tmp_path / "image.tif"
    if dtype.startswith("float"):
        write_float_tiff(path, array.astype(np.float32))
    else:
        Image.fromarray(array).save(path)

    def taken(read: object) -> str | np.ndarray:
        try:
            return read()  # type: ignore[operator,no-any-return]
        except ValueError as error:
            return str(error).split(": ", 1)[1]

    # A file of floats has no range of its own, an array has 1.
    file_range = 1.0 if data_range is None and dtype.startswith("float") else data_range
    want = taken(lambda: read_image(path, data_range=file_range))
    got = taken(lambda: image_of_array(array, "image 0", channels=1, data_range=data_range)[:])
    if isinstance(want, str) and dtype != "float64":
        assert got == want
    elif isinstance(want, str):
        assert str(got).split("got")[0] == want.split("got")[0]
    else:
        np.testing.assert_allclose(got, want, rtol=0, atol=1e-7)


@pytest.mark.parametrize("value", [-0.01, 1.01, 200.0, np.nan, np.inf])
def test_floats_outside_their_range_are_refused_before_any_training(value: float) -> None:
    images = [np.full((40, 50), 0.5, np.float32) for _ in range(2)]
    images[1][3, 4] = value
    rule = "finite" if not np.isfinite(value) else r"lie in 0\.\.`data_range` \(1\)"
    with pytest.raises(ValueError, match=rf"image 1: pixels must (be )?{rule}, got .* at row 3, column 4"):
        Detector(**TINY, device="cpu").fit(images)


def test_a_fitted_detector_refuses_them_and_says_colour_made_gray(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    colour = np.stack([GRAY, GRAY // 2, GRAY // 3], axis=2)
    Image.fromarray(colour).save(tmp_path / "colour.png")
    Image.fromarray(np.stack([GRAY] * 3, axis=2)).save(tmp_path / "gray.png")
    with caplog.at_level(logging.WARNING):
        detector = Detector(**TINY, device="cpu").fit([tmp_path / "colour.png", tmp_path / "gray.png"])
    assert "1 of 2 images are in colour and are inspected in gray" in caplog.text
    assert "different depth" not in caplog.text
    with pytest.raises(ValueError, match="image: pixels must lie in"):
        detector.inspect(GRAY.astype(np.float32))
    caplog.clear()
    whole = detector.inspect(GRAY)
    np.testing.assert_array_equal(whole.residual, detector.inspect(GRAY / np.float32(255)).residual)
    np.testing.assert_allclose(whole.residual, detector.inspect(tmp_path / "gray.png").residual, rtol=0, atol=1e-4)
    assert not caplog.text
    detector.inspect(tmp_path / "colour.png")
    assert "colour.png: in colour, and inspected in gray" in caplog.text
    with pytest.raises(ValueError, match=r"must have shape \(h, w\), got \(40, 50, 3\)"):
        detector.inspect(colour)


def test_a_fit_says_that_files_differ_in_depth(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    Image.fromarray(GRAY).save(tmp_path / "8.png")
    Image.fromarray(GRAY.astype(np.uint16) * 257).save(tmp_path / "16.png")
    Detector(**TINY, device="cpu").fit([tmp_path / "8.png", str(tmp_path / "16.png"), GRAY])
    assert "images of different depth, each scaled by its own range: 1 of 8 bits" in caplog.text


def test_a_channel_of_its_own_axis_is_dropped_and_masked_pixels_are_refused() -> None:
    gray = np.arange(12, dtype=np.uint8).reshape(3, 4)
    given = take_image(gray[:, :, None], "image", channels=1).pixels
    assert isinstance(given, Pixels)
    assert given.shape == (3, 4)
    take_image(np.ma.masked_array(gray), "image", channels=1)  # nothing is masked
    with pytest.raises(ValueError, match=r"image is a masked array: .* \(`ignore`\)"):
        take_image(np.ma.masked_array(gray, mask=gray > 5), "image", channels=1)
