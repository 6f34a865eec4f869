"""Inspect the frames of a line-scan camera with the rows of their neighbours, so that no seam is a border."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Generic, TypeVar

import numpy as np
from numpy.typing import NDArray

from ssimae.calibration.calibration import Calibration
from ssimae.calibration.places import CELL, place_features
from ssimae.calibration.places import REACH as PLACES_REACH
from ssimae.calibration.reference import RESIDUAL, Reference
from ssimae.config.settings import Settings
from ssimae.data.ignore import inspected_frame
from ssimae.images.depth import Image, Pixels, view
from ssimae.inspection.cleaning import clean, reach_of_cleaning
from ssimae.inspection.inspector import Inspector, Maps, surface_of
from ssimae.inspection.residual import framed, inspect_image
from ssimae.models.reach import REACH as HEAD_REACH
from ssimae.models.reach import STEP as HEAD_STEP

_FAR = 2**20
"""Rows beyond a part of a surface that goes on: so many that its end is not felt."""

_Key = TypeVar("_Key")
Loaded = tuple[Image, NDArray[np.bool_] | None]
"""An image, and what of it is ignored."""


@dataclass(frozen=True)
class _Frame(Generic[_Key]):
    """A frame of the surface; its rows count from the first of all."""

    key: _Key
    load: Callable[[], Loaded]
    rows: slice
    wanted: bool


class Web(Generic[_Key]):
    """A surface that passes under a line-scan camera, frame by frame.

    A frame is inspected together with the rows above and below that its map depends on, once these are there: the map
    is that which the long image of all frames has in its rows. Only the first and the last frame lie at a border. What
    is measured of a whole image is measured of each frame.

    Parameters
    ----------
    inspector : Inspector

    Notes
    -----
    What the calibration knows of a position holds for the column alone: frames begin where they happen to. It is the
    median over the rows of the good images, where these had the same width.
    """

    def __init__(self, inspector: Inspector) -> None:
        self._inspector = inspector
        self._reach = rows_needed(inspector.settings, has_head=inspector.engine.has_head)
        self._frames: list[_Frame[_Key]] = []
        self._end = 0

    def add(
        self, key: _Key, height: int, load: Callable[[], Loaded], *, wanted: bool = True
    ) -> Iterator[tuple[_Key, Maps]]:
        """Yield the frames that can be inspected now that another one has come, with their maps.

        Parameters
        ----------
        key : object
            Stands for the frame.
        height : int
        load : callable
            Returns the frame, of shape (h, w) or (h, w, C), and what of it is ignored, (h, w) bool or None.
        wanted : bool
            Whether it is to be inspected; else only its neighbours see it.
        """
        self._frames.append(_Frame(key, load, slice(self._end, self._end + height), wanted))
        self._end += height
        yield from self._inspected(ended=False)

    def end(self) -> Iterator[tuple[_Key, Maps]]:
        """Yield the frames that are left, the last of which ends at a border; then another surface may begin."""
        yield from self._inspected(ended=True)
        self._frames, self._end = [], 0

    def hold(self) -> None:
        """Read the frames that the next one sees, as long as they are there; raises an OSError or ValueError."""
        self._frames = [replace(frame, load=_holding(frame.load())) for frame in self._frames]

    def _inspected(self, *, ended: bool) -> Iterator[tuple[_Key, Maps]]:
        while (waiting := next((frame for frame in self._frames if frame.wanted), None)) is not None:
            if not ended and waiting.rows.stop + self._reach.halo + self._reach.block > self._end:
                break
            maps = self._inspect(waiting, ended=ended)
            self._frames = [replace(frame, wanted=frame.wanted and frame is not waiting) for frame in self._frames]
            yield waiting.key, maps
        first = self._end if waiting is None else waiting.rows.start
        needed = first - self._reach.halo - self._reach.step
        self._frames = [frame for frame in self._frames if frame.rows.stop > needed]

    def _inspect(self, frame: _Frame[_Key], *, ended: bool) -> Maps:
        reach, first = self._reach, self._frames[0].rows.start
        top = max(frame.rows.start - reach.halo, 0) // reach.step * reach.step
        top = max(top, -(-first // reach.step) * reach.step)
        bottom = top + -(-(frame.rows.stop + reach.halo - top) // reach.block) * reach.block
        at_end = ended and bottom >= self._end
        bottom = min(bottom, self._end)
        seen = [part for part in self._frames if part.rows.start < bottom and part.rows.stop > top]
        image, ignored = _joined([part.load() for part in seen])
        offset = seen[0].rows.start
        cut = slice(top - offset, bottom - offset)
        return inspect_rows(
            self._inspector,
            view(image, cut),
            None if ignored is None else np.ascontiguousarray(ignored[cut]),
            rows=slice(frame.rows.start - top, frame.rows.stop - top),
            beyond=(top, 0 if at_end else _FAR),
        )


def _holding(loaded: Loaded) -> Callable[[], Loaded]:
    return lambda: loaded


@dataclass(frozen=True)
class Needed:
    """What rows a part of a surface needs so that its map is that of the whole."""

    halo: int
    """Rows on either side that the map of a row depends on."""
    step: int
    """What the first row is a multiple of, so that patches and cells lie as on the whole."""
    block: int
    """What the number of rows is a multiple of, so that they are scaled as on the whole."""


def rows_needed(settings: Settings, *, has_head: bool) -> Needed:
    """Return what rows a part of a surface needs."""
    scale = Fraction(settings.scale).limit_denominator(64)
    dictionary = settings.method == "dictionary"
    side, stride = settings.smallest_side, settings.dictionary_stride if dictionary else settings.stride
    coarsest = 2 ** (settings.n_scales - 1) if settings.row.windowed else 1
    window = (settings.residual_window_size // 2 + 3) * coarsest if settings.row.windowed else 0
    head = HEAD_REACH if has_head else 0
    # Rows of the scaled image; those of the image itself that cells see; and those that cleaning joins.
    halo = math.ceil((side + window + head + 4) / settings.scale)
    if settings.calibration != "none":
        halo = max(halo, math.ceil((side + 4) / settings.scale) + PLACES_REACH)
    unit = math.lcm(stride, coarsest, HEAD_STEP if has_head else 1)
    scaled = unit * scale.denominator
    step = math.lcm(scaled // math.gcd(scaled, scale.numerator), CELL)
    return Needed(halo + reach_of_cleaning(settings), step, scale.denominator)


def inspect_rows(
    inspector: Inspector,
    image: Image,
    ignored: NDArray[np.bool_] | None,
    *,
    rows: slice,
    beyond: tuple[int, int],
) -> Maps:
    """Return the maps of some rows of a part of a surface.

    Parameters
    ----------
    inspector : Inspector
    image : ndarray of shape (h, w) or (h, w, C), float32 in [0, 1], or Pixels
    ignored : ndarray of shape (h, w), bool, or None
    rows : slice
        Those that are wanted.
    beyond : tuple of int
        Rows of the surface above and below the part.

    Raises
    ------
    ValueError
        If what is left of it is smaller than a patch after scaling.
    """
    settings = inspector.settings
    if inspector.reference is None:
        rebuilt, residual = inspect_image(inspector.engine, image, settings, ignored=ignored)
        return Maps(None if rebuilt is None else rebuilt[rows], residual[rows], residual[rows], calibrated=False)
    # Rows that are ignored stay: patches shall lie as on the whole.
    frame = slice(None), inspected_frame(ignored)[1]
    inner = None if ignored is None else np.ascontiguousarray(ignored[frame])
    cut = view(image, frame)
    rebuilt, channels = inspector.channels(cut)
    features = place_features(surface_of(cut, rebuilt), inner, beyond=beyond)
    by_column = replace(inspector, reference=_by_column(inspector.reference, features.shape[:2]))
    joined, unlike = by_column.judged(cut, channels, features, inner, rows=rows)
    judged = clean(joined, settings, inner)
    residual = channels[RESIDUAL] if inner is None else np.where(inner, np.float32(0), channels[RESIDUAL])
    shape = (rows.stop - rows.start, *image.shape[1:])
    return Maps(
        None if rebuilt is None else framed(rebuilt[rows], frame, shape, view(image, rows)),
        framed(residual[rows], frame, shape[:2]),
        framed(judged[rows], frame, shape[:2]),
        calibrated=True,
        unlike=tuple(unlike),
    )


def _by_column(reference: Reference, cells: tuple[int, ...]) -> Reference:
    """Return what good images show, of positions only what columns have in common."""

    def common(calibration: Calibration) -> Calibration:
        position = calibration.position
        if position is None or position.shape[1] != cells[1]:
            return replace(calibration, position=None)
        column: NDArray[np.float32] = np.median(position, axis=0)
        return replace(calibration, position=np.broadcast_to(column, cells))

    return replace(reference, channels={name: common(part) for name, part in reference.channels.items()})


def _joined(parts: list[Loaded]) -> Loaded:
    """Return parts of a surface as one image, in their own depth where all have the same."""
    images = [image for image, _ in parts]
    stored = [image for image in images if isinstance(image, Pixels)]
    if len(stored) == len(images) and len({(image.samples.dtype, image.white) for image in stored}) == 1:
        image: Image = Pixels(np.concatenate([image.samples for image in stored]), stored[0].white)
    else:
        image = np.concatenate([image[:] for image in images])
    if all(ignored is None for _, ignored in parts):
        return image, None
    masks = [np.zeros(image.shape[:2], bool) if ignored is None else ignored for image, ignored in parts]
    return image, np.concatenate(masks)
