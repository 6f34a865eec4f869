"""Every depth and kind of image is read in full, into [0, 1], or refused with the file's name."""

import io
import struct
import warnings
import zlib
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image, ImageOps
from ssimae.images import IMAGE_SUFFIXES, image_size, read_float_map, read_image, write_float_tiff

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
@pytest.mark.parametrize("samples", [COLOUR8, COLOUR16, COLOUR16.astype(np.uint32), COLOUR16.astype(np.float32)])
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


@pytest.mark.parametrize("name", ["a.png", "a.tif", "a.webp"])
def test_limit_of_pillow_does_not_count(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    path = save(tmp_path / name, Image.fromarray(COLOUR8), lossless=True)
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 10)
    np.testing.assert_array_equal(read_image(path, channels=3), unit(COLOUR8, 255))
    assert Image.MAX_IMAGE_PIXELS == 10


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


def test_many_threads_read_the_same(tmp_path: Path) -> None:
    paths = [write_tiff(tmp_path / f"{number}.tif", COLOUR8 + np.uint8(number)) for number in range(40)]
    with ThreadPoolExecutor(8) as executor:
        images = list(executor.map(read_image, paths))
    for path, image in zip(paths, images, strict=True):
        np.testing.assert_array_equal(image, read_image(path))


@pytest.mark.parametrize("shape", [(1, 1), (7, 5), (7, 5, 3)])
def test_float_tiff_comes_back_bit_for_bit(tmp_path: Path, shape: tuple[int, ...]) -> None:
    array = rng.standard_normal(shape, dtype=np.float32)
    path = tmp_path / f"{'x' * 240} ü'\".tiff"
    write_float_tiff(path, array)
    np.testing.assert_array_equal(read_float_map(path), array)
    np.testing.assert_array_equal(tifffile.imread(path).reshape(shape), array)
    assert [path.name for path in tmp_path.iterdir()] == [path.name]


def test_float_map_is_read_from_npy_too(tmp_path: Path) -> None:
    array = rng.random((7, 5), dtype=np.float32)
    for name, stored in (("a.npy", array), ("b.npy", array.astype(">f4")), ("c.npy", np.asfortranarray(array))):
        np.save(tmp_path / name, stored)
        got = read_float_map(tmp_path / name)
        np.testing.assert_array_equal(got, array)
        assert got.dtype == np.float32
        assert got.flags.c_contiguous


def test_float_map_that_is_none_is_refused(tmp_path: Path) -> None:
    np.save(tmp_path / "objects.npy", np.array([{}, []], dtype=object), allow_pickle=True)
    np.save(tmp_path / "double.npy", np.zeros((3, 4)))
    np.save(tmp_path / "line.npy", np.zeros(3, np.float32))
    nan = np.zeros((3, 4), np.float32)
    nan[1, 2] = np.nan
    np.save(tmp_path / "nan.npy", nan)
    (tmp_path / "text.npy").write_text("no array")
    (tmp_path / "cut.npy").write_bytes((tmp_path / "nan.npy").read_bytes()[:-5])
    save(tmp_path / "bytes.tiff", Image.fromarray(GRAY8))
    for name, said in (
        ("objects.npy", "pickle|Object"),
        ("double.npy", r"must be float32 of shape .* got float64 of shape \(3, 4\)"),
        ("line.npy", r"got float32 of shape \(3,\)"),
        ("nan.npy", "finite, got nan at row 1, column 2"),
        ("text.npy", "not a readable"),
        ("cut.npy", "not a readable"),
        ("bytes.tiff", "must be float32 .* got uint8"),
    ):
        with pytest.raises(ValueError, match=rf"{name}: .*({said})"):
            read_float_map(tmp_path / name)


def test_write_that_fails_keeps_what_was_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.tiff"
    first = np.ones((3, 4), np.float32)
    write_float_tiff(path, first)

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device", str(path))

    monkeypatch.setattr("os.replace", full)
    with pytest.raises(OSError, match="No space left"):
        write_float_tiff(path, np.zeros((3, 4), np.float32))
    np.testing.assert_array_equal(read_float_map(path), first)
    assert list(tmp_path.iterdir()) == [path]
    with pytest.raises(ValueError, match="`array` must be float32 of shape"):
        write_float_tiff(path, np.zeros((3, 4)))  # type: ignore[arg-type]


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
