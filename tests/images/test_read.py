"""Every depth and kind of image is read in full, into [0, 1], or refused with the file's name."""

import struct
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from numpy.typing import NDArray
from PIL import Image, ImageOps
from ssimae import bands
from ssimae.images.decoding import IMAGE_SUFFIXES, decode
from ssimae.images.read import image_size, read_image

rng = np.random.default_rng(0)
GRAY8 = np.arange(256, dtype=np.uint8).reshape(8, 32)
GRAY16 = rng.integers(0, 65536, (13, 11), dtype=np.uint16)
COLOUR8 = rng.integers(0, 256, (13, 11, 3), dtype=np.uint8)
COLOUR16 = rng.integers(0, 65536, (13, 11, 3), dtype=np.uint16)
BUILT_IN = ["none", "zlib"]
"""Compressions that tifffile writes without imagecodecs."""


def unit(samples: NDArray[Any], white: float) -> NDArray[np.float32]:
    return (samples / np.float64(white)).astype(np.float32)


def luma(samples: NDArray[Any], white: float) -> NDArray[np.float64]:
    red, green, blue = (samples[:, :, channel].astype(np.float64) for channel in range(3))
    return (0.299 * red + 0.587 * green + 0.114 * blue) / white


def write_tiff(path: Path, samples: NDArray[Any], **options: Any) -> Path:
    options.setdefault("photometric", "rgb" if samples.ndim == 3 else "minisblack")
    tifffile.imwrite(path, samples, metadata=None, **options)
    return path


def save(path: Path, image: Image.Image, **options: Any) -> Path:
    image.save(path, **options)
    return path


@pytest.mark.parametrize("suffix", [".png", ".tif", ".bmp", ".tiff"])
def test_every_8_bit_level_is_a_255th(tmp_path: Path, suffix: str) -> None:
    path = save(tmp_path / f"a{suffix}", Image.fromarray(GRAY8))
    got = read_image(path)
    assert got.dtype == np.float32
    np.testing.assert_array_equal(got, unit(GRAY8, 255))
    assert (got.min(), got.max()) == (0, 1)


def test_every_16_bit_level_stays_apart(tmp_path: Path) -> None:
    levels = np.arange(65536, dtype=np.uint16).reshape(256, 256)
    path = save(tmp_path / "a.png", Image.fromarray(levels))
    got = read_image(path)
    np.testing.assert_array_equal(got, unit(levels, 65535))
    assert len(np.unique(got)) == 65536
    np.testing.assert_array_equal(read_image(write_tiff(tmp_path / "a.tif", levels)), got)


@pytest.mark.parametrize("compression", [*BUILT_IN, "packbits", "tiff_lzw"])
@pytest.mark.parametrize("byteorder", ["<", ">"])
@pytest.mark.parametrize("dtype", ["uint8", "uint16", "float32"])
def test_gray_tiff_equals_its_samples(tmp_path: Path, compression: str, byteorder: Any, dtype: str) -> None:
    samples = (GRAY16 % 251).astype(dtype)
    path = tmp_path / "a.tif"
    if compression in BUILT_IN:
        write_tiff(path, samples, compression=compression, byteorder=byteorder)
    else:
        save(path, Image.fromarray(samples), compression=compression)
    white = {"uint8": 255, "uint16": 65535, "float32": 300}[dtype]
    got = read_image(path, data_range=300 if dtype == "float32" else None)
    np.testing.assert_array_equal(got, unit(samples, white))
    assert image_size(path) == (13, 11)


@pytest.mark.parametrize("compression", BUILT_IN)
@pytest.mark.parametrize("planar", ["contig", "separate"])
@pytest.mark.parametrize("samples", [COLOUR8, COLOUR16, COLOUR16.astype(np.uint32) << 16, COLOUR16.astype(np.float32)])
def test_colour_tiff_equals_its_samples(tmp_path: Path, compression: str, planar: Any, samples: NDArray[Any]) -> None:
    stored = np.moveaxis(samples, -1, 0) if planar == "separate" else samples
    path = write_tiff(tmp_path / "a.tif", stored, compression=compression, planarconfig=planar)
    white = 65535 if samples.dtype.kind == "f" else np.iinfo(samples.dtype).max
    data_range = 65535 if samples.dtype.kind == "f" else None
    np.testing.assert_array_equal(read_image(path, channels=3, data_range=data_range), unit(samples, white))
    # One rounding to float32 apart from the float64 formula, whose sum may be taken in another order.
    np.testing.assert_allclose(read_image(path, data_range=data_range), luma(samples, white), rtol=6e-8)


def test_colour_without_colour_is_the_gray_itself(tmp_path: Path) -> None:
    levels = np.arange(65536, dtype=np.uint16).reshape(256, 256)
    path = write_tiff(tmp_path / "a.tif", np.repeat(levels[:, :, None], 3, axis=2))
    np.testing.assert_array_equal(read_image(path), unit(levels, 65535))


def test_gray_is_repeated_for_three_channels(tmp_path: Path) -> None:
    got = read_image(save(tmp_path / "a.png", Image.fromarray(GRAY8)), channels=3)
    np.testing.assert_array_equal(got, np.repeat(unit(GRAY8, 255)[:, :, None], 3, axis=2))


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA", "I;16", "CMYK"])
def test_large_files_are_decoded_band_by_band_to_the_same_samples(
    tmp_path: Path, mode: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    deep = Image.fromarray(GRAY8.astype(np.uint16) * 200)
    image = deep if mode == "I;16" else Image.fromarray(COLOUR8).convert(mode)
    path = tmp_path / ("a.tif" if mode == "CMYK" else "a.png")
    if mode == "P":
        image.info["transparency"] = 3
    image.save(path)
    whole = decode(path, page=None, max_pixels=10**6)
    monkeypatch.setattr(bands, "BAND", 3 * image.width)
    found = decode(path, page=None, max_pixels=10**6)
    np.testing.assert_array_equal(found.samples, whole.samples)
    assert found.samples.dtype == whole.samples.dtype
    assert (found.alpha is None) == (whole.alpha is None)
    if whole.alpha is not None:
        np.testing.assert_array_equal(found.alpha, whole.alpha)


def test_alpha_is_dropped_from_gray_and_colour(tmp_path: Path) -> None:
    gray = Image.fromarray(GRAY8)
    gray.putalpha(Image.fromarray(255 - GRAY8))
    np.testing.assert_array_equal(read_image(save(tmp_path / "la.png", gray)), unit(GRAY8, 255))
    colour = Image.fromarray(COLOUR8)
    colour.putalpha(Image.fromarray(COLOUR8[:, :, 0]))
    for name in ("a.png", "a.tif"):
        np.testing.assert_array_equal(read_image(save(tmp_path / name, colour), channels=3), unit(COLOUR8, 255))
    for samples, used in ((rng.integers(0, 65536, (5, 7, 4), dtype=np.uint16), 3), (COLOUR16[:, :, :2], 1)):
        photometric = "rgb" if used == 3 else "minisblack"
        path = write_tiff(tmp_path / "b.tif", samples, photometric=photometric, extrasamples=["unassalpha"])
        want = samples[:, :, :3] if used == 3 else np.repeat(samples[:, :, :1], 3, axis=2)
        np.testing.assert_array_equal(read_image(path, channels=3), unit(want, 65535))


def test_one_bit_is_black_and_white(tmp_path: Path) -> None:
    bits = GRAY16 > 30000
    for name, options in (("a.png", {}), ("a.tif", {}), ("b.tif", {"compression": "group4"}), ("a.bmp", {})):
        got = read_image(save(tmp_path / name, Image.fromarray(bits), **options))
        np.testing.assert_array_equal(got, bits.astype(np.float32))


@pytest.mark.parametrize("transparency", [None, 3, bytes(range(200))])
def test_palette_gives_its_colours(tmp_path: Path, transparency: Any) -> None:
    image = Image.fromarray(COLOUR8).quantize(64)
    options = {} if transparency is None else {"transparency": transparency}
    path = save(tmp_path / "a.png", image, **options)
    np.testing.assert_array_equal(read_image(path, channels=3), unit(np.asarray(image.convert("RGB")), 255))


def test_jpeg_webp_and_cmyk_are_read_as_pillow_decodes_them(tmp_path: Path) -> None:
    image = Image.fromarray(COLOUR8)
    paths = [
        save(tmp_path / "a.jpg", image),
        save(tmp_path / "a.webp", image, lossless=True),
        save(tmp_path / "cmyk.jpg", image.convert("CMYK")),
        save(tmp_path / "a.tif", image.convert("CMYK")),
        save(tmp_path / "b.tif", image, compression="jpeg"),
    ]
    for path in paths:
        with Image.open(path) as want:
            np.testing.assert_array_equal(read_image(path, channels=3), unit(np.asarray(want.convert("RGB")), 255))


@pytest.mark.parametrize("samples", [GRAY8, GRAY16])
def test_white_as_zero_is_turned_over(tmp_path: Path, samples: NDArray[Any]) -> None:
    white = np.iinfo(samples.dtype).max
    path = write_tiff(tmp_path / "a.tif", samples, photometric="miniswhite")
    np.testing.assert_array_equal(read_image(path), unit(white - samples, white))


def test_packed_12_bits_have_white_at_4095(tmp_path: Path) -> None:
    tags = [(256, 3, 2), (257, 3, 1), (258, 3, 12), (259, 3, 1), (262, 3, 1), (273, 4, 8), (277, 3, 1), (279, 4, 3)]
    directory = b"".join(struct.pack("<HHII", tag, kind, 1, value) for tag, kind, value in tags)
    path = tmp_path / "a.tif"
    head = b"II*\0" + struct.pack("<I", 12) + b"\xff\xf8\x00\x00"
    path.write_bytes(head + struct.pack("<H", len(tags)) + directory + struct.pack("<I", 0))
    np.testing.assert_array_equal(read_image(path), unit(np.array([[4095, 2048]]), 4095))


@pytest.mark.parametrize("orientation", range(1, 9))
def test_orientation_is_applied(tmp_path: Path, orientation: int) -> None:
    exif = Image.Exif()
    exif[274] = orientation
    image = Image.fromarray(COLOUR8)
    image.getexif()[274] = orientation
    want = unit(np.asarray(ImageOps.exif_transpose(image)), 255)
    tag = [(274, "H", 1, orientation, True)]
    paths = [
        save(tmp_path / "a.png", Image.fromarray(COLOUR8), exif=exif),
        write_tiff(tmp_path / "a.tif", COLOUR8, extratags=tag),
        # 16 bits take the way of tifffile; 257 spreads 8 bits over them.
        write_tiff(tmp_path / "b.tif", COLOUR8 * np.uint16(257), extratags=tag),
    ]
    for path in paths:
        np.testing.assert_array_equal(read_image(path, channels=3), want)
        assert image_size(path) == want.shape[:2]


def test_data_range_is_the_value_of_white(tmp_path: Path) -> None:
    samples = GRAY16 >> 4
    path = write_tiff(tmp_path / "a.tif", samples)
    np.testing.assert_array_equal(read_image(path, data_range=4095), unit(samples, 4095))
    floats = write_tiff(tmp_path / "b.tif", samples.astype(np.float64), compression="zlib")
    np.testing.assert_array_equal(read_image(floats, data_range=4095), unit(samples, 4095))


def test_pages_are_read_by_number(tmp_path: Path) -> None:
    stack = rng.integers(0, 65536, (3, 5, 7), dtype=np.uint16)
    path = write_tiff(tmp_path / "a.tif", stack, photometric="minisblack")
    for page in range(3):
        np.testing.assert_array_equal(read_image(path, page=page), unit(stack[page], 65535))
        assert image_size(path, page=page) == (5, 7)
    for read in (read_image, image_size):
        with pytest.raises(ValueError, match=r"a\.tif: 3 pages: name one with `page` in 0\.\.2"):
            read(path)
        with pytest.raises(ValueError, match=r"a\.tif: `page` must be in 0\.\.2, got 3"):
            read(path, page=3)


@pytest.mark.parametrize("name", ["a.png", "a.tif", "a.webp"])
def test_limit_of_pillow_does_not_count(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    path = save(tmp_path / name, Image.fromarray(COLOUR8), lossless=True)
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 10)
    np.testing.assert_array_equal(read_image(path, channels=3), unit(COLOUR8, 255))
    assert Image.MAX_IMAGE_PIXELS == 10


def test_many_threads_read_the_same(tmp_path: Path) -> None:
    paths = [write_tiff(tmp_path / f"{number}.tif", COLOUR8 + np.uint8(number)) for number in range(40)]
    with ThreadPoolExecutor(8) as executor:
        images = list(executor.map(read_image, paths))
    for path, image in zip(paths, images, strict=True):
        np.testing.assert_array_equal(image, read_image(path))


def test_suffixes_are_lower_case_and_sorted() -> None:
    assert list(IMAGE_SUFFIXES) == sorted(suffix.lower() for suffix in IMAGE_SUFFIXES)


@pytest.mark.real_data
def test_real_images_are_read_as_pillow_reads_them(shared_data: Path) -> None:
    for path in (
        shared_data / "nanotwice" / "Normal" / "ITIA1141.tif",
        *sorted((shared_data / "aitex_fabric01" / "train" / "good").iterdir())[:3],
    ):
        with Image.open(path) as image:
            want = np.asarray(image.getchannel(0))
        np.testing.assert_array_equal(read_image(path), unit(want, 255))
        assert image_size(path) == want.shape
