"""Float maps come back bit for bit, appear whole or not at all, and hold nothing but finite float32."""

import io
from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image
from ssimae import bands
from ssimae.images.maps import read_float_map, write_float_tiff

rng = np.random.default_rng(0)


@pytest.mark.parametrize("shape", [(1, 1), (7, 5), (7, 5, 3)])
def test_float_tiff_comes_back_bit_for_bit(tmp_path: Path, shape: tuple[int, ...]) -> None:
    array = rng.standard_normal(shape, dtype=np.float32)
    path = tmp_path / f"{'x' * 240} ü'\".tiff"
    write_float_tiff(path, array)
    np.testing.assert_array_equal(read_float_map(path), array)
    np.testing.assert_array_equal(tifffile.imread(path).reshape(shape), array)
    assert [path.name for path in tmp_path.iterdir()] == [path.name]


@pytest.mark.parametrize("shape", [(50, 70), (31, 20, 3)])
def test_a_map_is_written_in_bands_as_tifffile_writes_the_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, shape: tuple[int, ...]
) -> None:
    array = rng.random(shape, np.float32)
    whole = io.BytesIO()
    tifffile.imwrite(whole, array, photometric="rgb" if array.ndim == 3 else "minisblack", metadata=None)
    monkeypatch.setattr(bands, "BAND", 300)
    write_float_tiff(tmp_path / "a.tiff", np.repeat(array, 2, axis=1)[:, ::2])
    assert (tmp_path / "a.tiff").read_bytes() == whole.getvalue()


@pytest.mark.parametrize("shape", [(50, 70), (31, 20, 3)])
def test_a_large_map_stays_in_its_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, shape: tuple[int, ...]) -> None:
    array = rng.random(shape, np.float32)
    path = tmp_path / "a.tiff"
    write_float_tiff(path, array)
    monkeypatch.setattr(bands, "BAND", 300)
    monkeypatch.setattr(bands, "LARGE", 1000)
    found = read_float_map(path)
    assert not found.flags.writeable  # mapped, not read
    np.testing.assert_array_equal(found, array)
    array[20, 3] = np.nan
    write_float_tiff(path, array)
    with pytest.raises(ValueError, match=r"a\.tiff: pixels must be finite, got .* at row 20, column 3"):
        read_float_map(path)
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(ValueError, match=r"a\.tiff: not a readable image"):
        read_float_map(path)
    for kind in ({"compression": "zlib"}, {"byteorder": ">"}):
        tifffile.imwrite(path, found, photometric="rgb" if len(shape) == 3 else "minisblack", **kind)
        np.testing.assert_array_equal(read_float_map(path), found)


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
    Image.fromarray(np.zeros((8, 32), np.uint8)).save(tmp_path / "bytes.tiff")
    for name, said in (
        ("objects.npy", "Python objects"),
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
