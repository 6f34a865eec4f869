"""Cut images into patches and stitch patches into images; the work is done in Rust."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ssimae import _rust
from ssimae.bands import let_go, new_map

if TYPE_CHECKING:
    from torch import Tensor


def patch_grid(height: int, width: int, *, patch_size: int, stride: int) -> NDArray[np.int64]:
    """Return the top-left corners of all patches of an image, row by row.

    Parameters
    ----------
    height, width : int
        Size of the image, at least `patch_size`.
    patch_size : int
        Side of the square patches.
    stride : int
        Step between them, in 1..patch_size.

    Returns
    -------
    ndarray of shape (P, 2), int64
        Row and column. The last row and column of patches are shifted to the border (Bergmann et al. 2019, sec. 4.2
        leaves open what happens there).

    Raises
    ------
    ValueError
        If the patch is larger than the image, or the stride would leave gaps.

    Examples
    --------
    >>> import ssimae
    >>> ssimae.patch_grid(40, 60, patch_size=32, stride=16).tolist()
    [[0, 0], [0, 16], [0, 28], [8, 0], [8, 16], [8, 28]]
    """
    return _rust.patch_grid(height, width, patch_size, stride)


def extract_patches(
    image: NDArray[Any],
    *,
    patch_size: int,
    stride: int,
    start: int = 0,
    stop: int | None = None,
    out: NDArray[np.float32] | Tensor | None = None,
) -> NDArray[np.float32]:
    """Return the patches of an image, or a range of them.

    Parameters
    ----------
    image : ndarray of shape (H, W) or (H, W, C)
        uint8 and uint16 are scaled to [0, 1] by their type's range; float32 and float64 are taken as they are.
    patch_size, stride : int
        As for :func:`patch_grid`.
    start, stop : int, optional
        The first patch that is cut, and the first that is not, in the order of :func:`patch_grid`: cut in batches, the
        patches never exist all at once. By default all.
    out : ndarray or CPU tensor of the result's shape, float32, contiguous, optional
        Where the patches go; nothing is allocated then.

    Returns
    -------
    ndarray of shape (P, h, w), or (P, C, h, w) for an image with channels, float32
        `out`, or an array over the tensor's memory, if that was given.

    Raises
    ------
    ValueError
        If the image has another number of dimensions or another type, the grid cannot be laid, the range passes its
        end, or `out` does not fit.

    Examples
    --------
    >>> import numpy as np
    >>> import ssimae
    >>> ssimae.extract_patches(np.zeros((40, 60), np.uint8), patch_size=32, stride=16).shape
    (6, 32, 32)
    """
    if image.ndim not in (2, 3) or 0 in image.shape[2:]:
        raise ValueError(f"`image` must have shape (H, W) or (H, W, C), got {image.shape}")
    if image.dtype not in (np.uint8, np.uint16, np.float32, np.float64):
        raise ValueError(f"`image` must be uint8, uint16, float32 or float64, got {image.dtype}")
    total = count_patches(image.shape[0], image.shape[1], patch_size=patch_size, stride=stride)
    stop = total if stop is None else stop
    if not 0 <= start <= stop <= total:
        raise ValueError(f"`start` and `stop` must satisfy 0 <= start <= stop <= {total}, got {start} and {stop}")
    planes = np.ascontiguousarray(image if image.ndim == 3 else image[:, :, None])
    patches = _output(out, (stop - start, *image.shape[2:], patch_size, patch_size))
    _rust.extract_patches(planes, stride, start, patches if image.ndim == 3 else patches[:, None])
    return patches


def stitch_patches(
    patches: NDArray[np.float32] | Tensor,
    *,
    height: int,
    width: int,
    stride: int,
    out: NDArray[np.float32] | Tensor | None = None,
) -> NDArray[np.float32]:
    """Return the image of patches laid on their grid, the mean where they overlap.

    Parameters
    ----------
    patches : ndarray or CPU tensor of shape (P, h, w) or (P, C, h, w), float32
        In the order of :func:`patch_grid`.
    height, width : int
        Size of the image.
    stride : int
        Step the patches were extracted with.
    out : ndarray or CPU tensor of the result's shape, float32, contiguous, optional
        Where the image goes.

    Returns
    -------
    ndarray of shape (H, W) or (H, W, C), float32
        `out`, or an array over the tensor's memory, if that was given.

    Raises
    ------
    ValueError
        If the patches are not square or their number is not that of the grid, or `out` does not fit.

    See Also
    --------
    Stitcher : the same from patches that come in batches.

    Examples
    --------
    >>> import numpy as np
    >>> import ssimae
    >>> image = np.random.default_rng(0).random((40, 60), np.float32)
    >>> patches = ssimae.extract_patches(image, patch_size=32, stride=16)
    >>> bool(np.allclose(ssimae.stitch_patches(patches, height=40, width=60, stride=16), image))
    True
    """
    patches = as_array("patches", patches)
    if patches.ndim not in (3, 4) or patches.shape[-1] != patches.shape[-2] or 0 in patches.shape[1:]:
        raise ValueError(f"`patches` must have shape (P, h, h) or (P, C, h, h), got {patches.shape}")
    count = count_patches(height, width, patch_size=patches.shape[-1], stride=stride)
    if len(patches) != count:
        raise ValueError(f"`patches` must be the grid's {count}, got {len(patches)}")
    planes = np.ascontiguousarray(patches if patches.ndim == 4 else patches[:, None], dtype=np.float32)
    image = _output(out, (height, width, *patches.shape[1:-2]))
    _rust.stitch_patches(planes, stride, 0, image if patches.ndim == 4 else image[:, :, None])
    return image


class Stitcher:
    """The image of patches that come in batches, the mean where they overlap.

    It holds the image as far as it has come, never the patches. The result is that of :func:`stitch_patches` to the
    last bit, in whatever batches they come and on any number of threads: every pixel takes its patches in the order of
    the grid.

    Parameters
    ----------
    height, width : int
        Size of the image.
    patch_size, stride : int
        As for :func:`patch_grid`.
    channels : int, optional
        Channels of patches (P, C, h, w); without, patches are (P, h, w).

    Attributes
    ----------
    n_patches : int
        Patches of the grid.
    n_added : int
        Patches that have come so far.

    Raises
    ------
    ValueError
        If the grid cannot be laid, or `channels` is below 1.

    Examples
    --------
    >>> import numpy as np
    >>> import ssimae
    >>> image = np.random.default_rng(0).random((40, 60), np.float32)
    >>> stitcher = ssimae.Stitcher(40, 60, patch_size=32, stride=16)
    >>> while stitcher.n_added < stitcher.n_patches:
    ...     first = stitcher.n_added
    ...     stitcher.add(ssimae.extract_patches(image, patch_size=32, stride=16, start=first, stop=first + 1))
    >>> bool(np.allclose(stitcher.image(), image))
    True
    """

    def __init__(self, height: int, width: int, *, patch_size: int, stride: int, channels: int | None = None) -> None:
        self.n_patches = count_patches(height, width, patch_size=patch_size, stride=stride)
        self.n_added = 0
        if channels is not None and channels < 1:
            raise ValueError(f"`channels` must be at least 1, got {channels}")
        self._patch_shape = (patch_size, patch_size) if channels is None else (channels, patch_size, patch_size)
        self._stride = stride
        self._image = new_map((height, width, channels or 1))

    def add(self, patches: NDArray[np.float32] | Tensor) -> None:
        """Take the next patches, as many as there are.

        Parameters
        ----------
        patches : ndarray or CPU tensor of shape (n, h, w), or (n, C, h, w) with channels, float32
            Follow those that have come, in the order of :func:`patch_grid`.

        Raises
        ------
        ValueError
            If they have another shape, or are more than are missing; none is taken then.
        """
        patches = as_array("patches", patches)
        if patches.ndim != 1 + len(self._patch_shape) or patches.shape[1:] != self._patch_shape:
            wanted = ", ".join(map(str, self._patch_shape))
            raise ValueError(f"`patches` must have shape (n, {wanted}), got {patches.shape}")
        if len(patches) > self.n_patches - self.n_added:
            raise ValueError(f"{len(patches)} patches after {self.n_added} are more than the grid's {self.n_patches}")
        planes = np.ascontiguousarray(patches if patches.ndim == 4 else patches[:, None], dtype=np.float32)
        _rust.stitch_patches(planes, self._stride, self.n_added, self._image)
        self.n_added += len(patches)
        let_go(self._image)

    def image(self) -> NDArray[np.float32]:
        """Return the mean of all patches, (H, W) or (H, W, C); the same array at every call.

        Raises
        ------
        ValueError
            If patches are missing.
        """
        if self.n_added < self.n_patches:
            raise ValueError(f"only {self.n_added} of {self.n_patches} patches have come")
        return self._image if len(self._patch_shape) == 3 else self._image[:, :, 0]


def gather_crops(
    images: Sequence[NDArray[Any]],
    boxes: NDArray[np.float64],
    out: NDArray[np.float32] | Tensor,
    *,
    turns: NDArray[np.uint8] | None = None,
) -> None:
    """Crop rectangles of several images, resize them to patches, and write them into a batch.

    Parameters
    ----------
    images : sequence of ndarray of shape (H, W) or (H, W, C), C-contiguous
        uint8 and uint16 are scaled to [0, 1] by their type's range; float32 and float64 are taken as they are. Sizes
        and types may differ.
    boxes : ndarray of shape (N, 5), float64
        Image number, first row, first column, height and width of each crop in pixels. Crops of the patch's size at
        whole pixels are copied, others resampled (bilinear).
    out : ndarray or CPU tensor of shape (N, C, h, h), float32, contiguous
        Overwritten.
    turns : ndarray of shape (N,), uint8 in 0..7, optional
        How each crop is laid: turn t is ``np.rot90(crop, t % 4)``, of the crop mirrored left to right (``np.fliplr``)
        where t >= 4. 0, 2, 4 and 6 are the flips: none, both, left to right, top to bottom.

    Raises
    ------
    ValueError
        If a crop does not lie inside its image, a turn is none, or the shapes do not fit together.
    """
    views = [image if image.ndim == 3 else image[:, :, None] for image in images]
    if turns is not None and turns.dtype != np.uint8:
        raise ValueError(f"`turns` must be uint8, got {turns.dtype}")
    laid = None if turns is None else np.ascontiguousarray(turns)
    _rust.gather_crops(views, np.ascontiguousarray(boxes), laid, _output(out, tuple(out.shape)))


def count_patches(height: int, width: int, *, patch_size: int, stride: int) -> int:
    """Return the number of patches of an image, without computing their positions.

    Raises
    ------
    ValueError
        As :func:`patch_grid`.
    """
    return _rust.count_patches(height, width, patch_size, stride)


def as_array(name: str, value: NDArray[Any] | Tensor) -> NDArray[Any]:
    """Return an array as it is, or one over the memory of a CPU tensor.

    Raises
    ------
    ValueError
        If a tensor lies elsewhere or is not float32.
    """
    if isinstance(value, np.ndarray):
        return value
    if value.device.type != "cpu" or str(value.dtype) != "torch.float32":
        raise ValueError(f"`{name}` must be a float32 tensor on the CPU, got {value.dtype} on {value.device}")
    array: NDArray[Any] = value.detach().numpy()
    return array


def _output(out: NDArray[np.float32] | Tensor | None, shape: tuple[int, ...]) -> NDArray[np.float32]:
    """Return the array that results go to: the caller's if it fits, or a new one."""
    if out is None:
        return np.empty(shape, dtype=np.float32)
    array = as_array("out", out)
    if array.dtype != np.float32 or array.shape != shape or not array.flags.carray:
        kind = "" if array.flags.carray else ", not contiguous or read-only"
        raise ValueError(
            f"`out` must be float32 of shape {shape}, C-contiguous and writable, "
            f"got {array.dtype} of shape {array.shape}{kind}"
        )
    return array
