"""Damaged files, depths that would be cut and values out of range are refused with the file's name."""

import io
import struct
import warnings
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image
from ssimae.images.read import image_size, read_image

rng = np.random.default_rng(0)
GRAY8 = np.arange(256, dtype=np.uint8).reshape(8, 32)
COLOUR8 = rng.integers(0, 256, (13, 11, 3), dtype=np.uint8)
COLOUR16 = rng.integers(0, 65536, (13, 11, 3), dtype=np.uint16)


def write_tiff(path: Path, samples: NDArray[Any], **options: Any) -> Path:
    options.setdefault("photometric", "rgb" if samples.ndim == 3 else "minisblack")
    tifffile.imwrite(path, samples, metadata=None, **options)
    return path


def write_png(path: Path, samples: NDArray[Any], depth: int, colour_type: int) -> Path:
    """Write what Pillow cannot: 16-bit PNG with colour or alpha."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    head = struct.pack(">IIBBBBB", samples.shape[1], samples.shape[0], depth, colour_type, 0, 0, 0)
    rows = b"".join(b"\0" + row.tobytes() for row in samples)
    path.write_bytes(
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
    )
    return path


def save(path: Path, image: Image.Image, **options: Any) -> Path:
    image.save(path, **options)
    return path


@pytest.mark.parametrize(("colour_type", "channels"), [(2, 3), (4, 2), (6, 4)])
def test_16_bit_png_that_would_be_cut_is_refused(tmp_path: Path, colour_type: int, channels: int) -> None:
    samples = rng.integers(0, 65536, (5, 7, channels)).astype(">u2")
    path = write_png(tmp_path / "deep.png", samples, 16, colour_type)
    with pytest.raises(ValueError, match=r"deep\.png: 16-bit PNG .* would be cut to 8 bits"):
        read_image(path)


def truncated(path: Path) -> None:
    content = path.read_bytes()
    path.write_bytes(content[: len(content) * 2 // 3])


def flipped(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 0x10
    path.write_bytes(content)


DAMAGES: dict[str, tuple[str, Callable[[Path], Any]]] = {
    "empty file": (".png", lambda path: path.write_bytes(b"")),
    "text": (".png", lambda path: path.write_text("this is no image, whatever its name says")),
    "signature alone": (".png", lambda path: path.write_bytes(b"\x89PNG\r\n\x1a\n")),
    "cut png": (".png", truncated),
    "flipped png": (".png", flipped),
    "cut jpeg": (".jpg", truncated),
    "cut bmp": (".bmp", truncated),
    "cut webp": (".webp", truncated),
    "cut tiff": (".tif", truncated),
    "cut deflate tiff": (".tif", lambda path: (write_tiff(path, COLOUR16, compression="zlib"), truncated(path))),
    "cut 16-bit tiff": (".tif", lambda path: cut_pixels(write_tiff(path, COLOUR16))),
    "cut 8-bit tiff": (".tif", lambda path: cut_pixels(write_tiff(path, COLOUR8))),
    "cut lzw tiff": (".tif", lambda path: cut_strip(path, "tiff_lzw")),
    "cut packbits tiff": (".tif", lambda path: cut_strip(path, "packbits")),
}


def cut_pixels(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-9])


def cut_strip(path: Path, compression: str) -> None:
    """Write a TIFF whose head says that its compressed pixels are shorter than they are."""
    save(path, Image.fromarray(COLOUR8), compression=compression)
    with tifffile.TiffFile(path) as tiff:
        tag = tiff.pages.first.tags["StripByteCounts"]
        position, size = tag.valueoffset, tag.value[0]
    content = bytearray(path.read_bytes())
    content[position : position + 2] = struct.pack("<H", size // 2)
    path.write_bytes(content)


@pytest.mark.parametrize("damage", DAMAGES)
def test_damaged_file_is_refused_by_name(tmp_path: Path, damage: str) -> None:
    suffix, harm = DAMAGES[damage]
    path = save(tmp_path / f"bad{suffix}", Image.fromarray(np.tile(COLOUR8, (5, 5, 1))))
    harm(path)
    with pytest.raises((ValueError, OSError), match=r"bad\.\w+: \w"):
        read_image(path)


def test_tiff_without_a_page_or_pixels_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "none.tif"
    path.write_bytes(b"II*\0\0\0\0\0")
    with pytest.raises(ValueError, match=r"none\.tif: "):
        read_image(path)


def test_missing_file_and_folder_are_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"none\.png"):
        read_image(tmp_path / "none.png")
    with pytest.raises(IsADirectoryError, match=tmp_path.name):
        read_image(tmp_path)


def test_too_many_pixels_are_refused_before_decoding(tmp_path: Path) -> None:
    path = save(tmp_path / "a.png", Image.fromarray(GRAY8))
    assert read_image(path, max_pixels=256).shape == (8, 32)
    with pytest.raises(ValueError, match=r"a\.png: 8 x 32 = 256 pixels is more than `max_pixels` \(255\)"):
        read_image(path, max_pixels=255)
    content = bytearray(path.read_bytes())
    content[16:24] = struct.pack(">II", 60_000, 60_000)
    content[29:33] = struct.pack(">I", zlib.crc32(content[12:29]))
    path.write_bytes(content)
    with pytest.raises(ValueError, match=r"a\.png: 60000 x 60000"):
        read_image(path)
    assert image_size(path) == (60_000, 60_000)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("samples", [np.zeros((5, 7), np.float32), np.zeros((5, 7, 3), np.float32)])
def test_pixel_that_is_not_finite_is_named(tmp_path: Path, bad: float, samples: NDArray[Any]) -> None:
    samples = samples.copy()
    samples[3, 4] = bad
    path = write_tiff(tmp_path / "a.tif", samples)
    with pytest.raises(ValueError, match=r"a\.tif: pixels must be finite, got .*(nan|inf).* at row 3, column 4"):
        read_image(path, data_range=1)


@pytest.mark.parametrize(("value", "dtype"), [(4096, "uint16"), (-1, "int16"), (-0.5, "float32"), (5000, "float32")])
def test_pixel_outside_the_data_range_is_named(tmp_path: Path, value: float, dtype: str) -> None:
    samples = np.zeros((5, 7), dtype)
    samples[3, 4] = value
    path = write_tiff(tmp_path / "a.tif", samples)
    with pytest.raises(ValueError, match=r"a\.tif: pixels must lie in 0\.\.`data_range` \(4095\).*row 3, column 4"):
        read_image(path, data_range=4095)


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64", "int8", "int16", "int32"])
def test_samples_without_a_range_need_one(tmp_path: Path, dtype: str) -> None:
    path = write_tiff(tmp_path / "a.tif", np.ones((5, 7), dtype))
    with pytest.raises(ValueError, match=rf"a\.tif: {dtype} samples have no range of their own: give `data_range`"):
        read_image(path)
    np.testing.assert_array_equal(read_image(path, data_range=2), np.full((5, 7), 0.5, np.float32))


def test_parameters_that_break_their_rule_are_refused(tmp_path: Path) -> None:
    path = save(tmp_path / "a.png", Image.fromarray(GRAY8))
    with pytest.raises(ValueError, match="`channels` must be 1 or 3, got 2"):
        read_image(path, channels=2)
    with pytest.raises(ValueError, match="`max_pixels` must be at least 1, got 0"):
        read_image(path, max_pixels=0)
    for data_range in (0, -1, np.nan, np.inf):
        with pytest.raises(ValueError, match="`data_range` must be positive and finite"):
            read_image(path, data_range=data_range)
    with pytest.raises(ValueError, match=r"`data_range` \(4095\) is more than its samples can hold \(255\)"):
        read_image(path, data_range=4095)


def test_channels_that_are_no_colours_are_refused(tmp_path: Path) -> None:
    for samples in (COLOUR8, COLOUR16, COLOUR16[:, :, :2]):
        path = write_tiff(tmp_path / "a.tif", samples, photometric="minisblack", planarconfig="contig")
        with pytest.raises(ValueError, match=r"a\.tif: [23] channels that are not gray, colour and alpha"):
            read_image(path)


def test_16_bits_in_32_would_be_black_and_need_a_range(tmp_path: Path) -> None:
    path = write_tiff(tmp_path / "a.tif", GRAY8.astype(np.uint32))
    with pytest.raises(ValueError, match=rf"a\.tif: uint32 samples of which none exceeds {GRAY8.max()}, black beside"):
        read_image(path)
    np.testing.assert_array_equal(read_image(path, data_range=255), GRAY8 / np.float32(255))


def test_damaged_exif_data_is_workable_and_silent(tmp_path: Path) -> None:
    path = save(tmp_path / "a.jpg", Image.fromarray(GRAY8), exif=b"Exif\0\0II*\0\x08\0\0\0\x05\0\x12\x01\x03\0\xff\xff")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert read_image(path).shape == (8, 32)


def encoded(suffix: str, **options: Any) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(COLOUR8).save(buffer, format=suffix, **options)
    return buffer.getvalue()


def encoded_tiff(samples: NDArray[Any], **options: Any) -> bytes:
    buffer = io.BytesIO()
    tifffile.imwrite(buffer, samples, metadata=None, **options)
    return buffer.getvalue()


SEEDS = [
    encoded("png"),
    encoded("jpeg"),
    encoded("bmp"),
    encoded("webp"),
    encoded("tiff", compression="tiff_lzw"),
    encoded_tiff(COLOUR16, photometric="rgb"),
    encoded("tiff", compression="packbits"),
    encoded_tiff(COLOUR16[:, :, 0].astype(np.float32), compression="zlib"),
]


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_any_flipped_bytes_give_an_image_or_a_refusal(tmp_path: Path, data: st.DataObject) -> None:
    content = bytearray(data.draw(st.sampled_from(SEEDS)))
    edits = st.tuples(st.integers(0, len(content) - 1), st.integers(0, 255))
    for position, value in data.draw(st.lists(edits, min_size=1, max_size=4)):
        content[position] = value
    path = tmp_path / "fuzzed"
    path.write_bytes(content[: data.draw(st.integers(1, len(content)))])
    try:
        image = read_image(path, data_range=None, max_pixels=10**5)
    except (ValueError, OSError) as error:
        assert "fuzzed" in str(error)  # noqa: PT017
    else:
        assert image.ndim == 2
        assert image.min() >= 0
        assert image.max() <= 1
