"""Draw small pictures of one inspected image: original, reconstruction, the map its verdict rests on, segmentation."""

from __future__ import annotations

import base64
import io
from dataclasses import dataclass
from typing import TypeVar

import matplotlib as mpl
import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy import ndimage

from ssimae.bands import Band, band_rows, in_bands, let_go
from ssimae.images.depth import Image as Pixels
from ssimae.images.maps import read_float_map
from ssimae.images.read import read_stored
from ssimae.report.assessment import Maps, read_maps
from ssimae.storage.predictions import StoredInspection
from ssimae.storage.records import ModelResults

PREVIEW_SIDE = 512
"""Longest side of a preview in pixels."""

LONG_ASPECT = 3
"""Images longer than this many times their width or height are long: their previews may have LONG_SIDE."""

LONG_SIDE = 1024
"""Longest side of a preview of a long image; at 512 pixels a woven band of 4096 x 256 would be 32 pixels high."""

TRUTH_RED = (230, 0, 0)
RESULT_GREEN = (0, 190, 60)
RESULT_ALPHA = 0.5
IGNORED_LIGHT = 0.35
"""Share of its light that is left of what was not inspected."""

_Value = TypeVar("_Value", bound=np.generic)

_COLOURS = "inferno"
_QUALITIES = (82, 70, 55, 40)
_SMALLEST_SHOWN = 256


@dataclass(frozen=True)
class MapScale:
    """Meaning of the colours in all maps of one model."""

    map_name: str
    """What is drawn: residual, calibrated residual, or calibrated map of residual and head."""
    top: float
    """Value that takes the last colour; 0 takes the first."""
    with_head: bool
    """Whether the map joins residual and head."""
    usual: float | None
    """What good images show, 1 for calibrated residuals; None where that differs from place to place."""
    review: float | None
    defective: float | None
    saturated: bool
    """Whether some value may exceed `top`."""


@dataclass(frozen=True)
class Preview:
    """One picture, or the reason why there is none."""

    title: str
    uri: str | None
    width: int
    """Shown width in pixels."""
    height: int
    enlarged: bool


def map_scale(results: ModelResults) -> MapScale:
    """Return a scale common to all images of a model.

    It ends at the highest score, but at least at the threshold `defective` and at most at twice that, so that one
    glaring defect does not turn all others black.
    """
    highest = max((inspection.score for inspection in results.inspections), default=0.0)
    thresholds = results.thresholds
    usual = 1.0 if results.calibrated else None
    with_head = results.judges_by_head
    if thresholds is None:
        return MapScale(
            results.map_name, highest if highest > 0 else 1.0, with_head, usual, None, None, results.calibrated
        )
    top = min(max(highest, thresholds.defective), 2 * thresholds.defective)
    top = top if top > 0 else 1.0
    # The score of a calibrated map is the level of a whole region, which single pixels exceed.
    saturated = highest > top or results.calibrated
    return MapScale(results.map_name, top, with_head, usual, thresholds.review, thresholds.defective, saturated)


def colour_bar() -> str:
    """Return the colours of a map from 0 to the top of its scale as a data URI."""
    buffer = io.BytesIO()
    Image.fromarray(_colourise(np.linspace(0, 1, 256, dtype=np.float32)[None, :], 1.0)).save(buffer, "PNG")
    return png_uri(buffer.getvalue())


def png_uri(content: bytes) -> str:
    """Return a PNG file as a data URI."""
    return _uri("image/png", content)


def draw_previews(
    results: ModelResults,
    inspection: StoredInspection,
    scale: MapScale,
    *,
    comparison: tuple[ModelResults, StoredInspection, MapScale] | None,
    limit_bytes: int,
) -> tuple[list[Preview], list[str]]:
    """Return the previews of one image, and in sentences what is missing.

    Parameters
    ----------
    results : ModelResults
    inspection : StoredInspection
        The image to draw.
    scale : MapScale
        Colours of the map that the verdict rests on.
    comparison : tuple or None
        Another model's results, its row for the same image and its colours: its map and segmentation are drawn
        too.
    limit_bytes : int
        Size a picture keeps to if lower JPEG quality allows.
    """
    shape = (inspection.height, inspection.width)
    small = preview_shape(*shape)
    problems: list[str] = []
    original = reconstruction = None
    try:
        original = _checked(
            read_stored(inspection.image, channels=results.settings.channels, data_range=results.settings.data_range),
            shape,
        )
    except FileNotFoundError:
        problems.append(f"The original is not there any more: {inspection.image}.")
    except (OSError, ValueError) as error:
        problems.append(f"The original cannot be shown: {error}.")
    # Behind the original, which takes most memory while it is decoded.
    maps = read_maps(results, inspection)
    problems = [*maps.problems, *problems]
    path = results.folder.map_path(results.folder.reconstructions, inspection.defect, inspection.name)
    rebuilds = results.settings.row.rebuilds
    try:
        reconstruction = _checked(read_float_map(path), shape) if rebuilds else None
    except FileNotFoundError:
        problems.append("There is no reconstruction in the run folder.")
    except (OSError, ValueError) as error:
        problems.append(f"The reconstruction cannot be shown: {error}.")

    pictures = {
        "Original": None if original is None else shrink(original, small),
        "Reconstruction": None if reconstruction is None else shrink(reconstruction, small),
        scale.map_name.capitalize(): None if maps.judged is None else draw_map(maps.judged, small, scale.top),
        "Segmentation": draw_segmentation(original, maps, small),
    }
    if comparison is None:
        drawn = list(pictures.items())
    else:
        other, row, other_scale = comparison
        other_maps = read_maps(other, row)
        own_map, other_map = scale.map_name.capitalize(), other_scale.map_name.capitalize()
        # In three columns, what is compared lies below each other.
        drawn = [
            ("Original", pictures["Original"]),
            (f"{own_map}, {results.title}", pictures[own_map]),
            (f"Segmentation, {results.title}", pictures["Segmentation"]),
            (f"Reconstruction, {results.title}", pictures["Reconstruction"]),
            (
                f"{other_map}, {other.title}",
                None if other_maps.judged is None else draw_map(other_maps.judged, small, other_scale.top),
            ),
            (f"Segmentation, {other.title}", draw_segmentation(original, other_maps, small)),
        ]
    drawn = [(title, pixels) for title, pixels in drawn if rebuilds or not title.startswith("Reconstruction")]
    return [_preview(title, pixels, small, limit_bytes) for title, pixels in drawn], problems


def preview_shape(height: int, width: int) -> tuple[int, int]:
    """Return height and width of the preview of an image; never larger than the image."""
    longer, shorter = max(height, width), min(height, width)
    factor = min(1.0, (LONG_SIDE if longer > LONG_ASPECT * shorter else PREVIEW_SIDE) / longer)
    return max(1, round(height * factor)), max(1, round(width * factor))


def shrink(image: Pixels, shape: tuple[int, int], *, gray: bool = False) -> NDArray[np.uint8]:
    """Return an image of (h, w) or (h, w, 3) in [0, 1] as 8 bits in a smaller shape, pixels averaged.

    Of colour, `gray` takes the mean of the channels.
    """
    colour = image.ndim == 3 and not gray
    narrow = np.empty((image.shape[0], shape[1], 3) if colour else (image.shape[0], shape[1]), np.uint8)

    def rows(band: Band) -> NDArray[np.uint8]:
        values = image[band.rows]
        values = values if colour or values.ndim == 2 else values.mean(axis=2)
        whole = Image.fromarray(np.round(255 * np.clip(values, 0, 1)).astype(np.uint8))
        return np.asarray(whole.resize((shape[1], whole.height), Image.Resampling.BOX))

    # The two passes that Pillow takes over the whole.
    whole = Image.fromarray(in_bands(rows, narrow, image))
    return np.asarray(whole.resize((shape[1], shape[0]), Image.Resampling.BOX))


def shrink_highest(map_: NDArray[_Value], shape: tuple[int, int]) -> NDArray[_Value]:
    """Return a map or mask in a smaller shape, each pixel the highest it stands for: a small defect does not fade."""
    height, width = map_.shape
    tops, lefts = (np.arange(short) * full // short for short, full in zip(shape, map_.shape, strict=True))
    highest = np.empty(shape, map_.dtype)
    together = max(1, band_rows(width) * shape[0] // height)
    for first in range(0, shape[0], together):
        starts = tops[first : first + together]
        end = int(tops[first + together]) if first + together < shape[0] else height
        rows = np.maximum.reduceat(map_[int(starts[0]) : end], starts - starts[0], axis=0)
        highest[first : first + together] = np.maximum.reduceat(rows, lefts, axis=1)
        let_go(map_)
    return highest


def draw_map(map_: NDArray[np.float32], shape: tuple[int, int], top: float) -> NDArray[np.uint8]:
    """Return a map in colours, (h, w, 3)."""
    return _colourise(shrink_highest(map_, shape), top)


def draw_segmentation(original: Pixels | None, maps: Maps, shape: tuple[int, int]) -> NDArray[np.uint8] | None:
    """Return the original in gray with the result filled green and the truth outlined red, (h, w, 3).

    What was not inspected is darkened. Without the original the ground is plain gray.
    """
    if maps.segmentation is None:
        return None
    picture = np.full((*shape, 3), 90.0)
    if original is not None:
        picture[:] = shrink(original, shape, gray=True)[:, :, None]
    if maps.ignored is not None:
        picture[shrink_highest(maps.ignored, shape)] *= IGNORED_LIGHT
    marked = shrink_highest(maps.segmentation, shape)
    picture[marked] = (1 - RESULT_ALPHA) * picture[marked] + RESULT_ALPHA * np.array(RESULT_GREEN)
    corners = np.ones((3, 3), dtype=np.bool_)
    # An opaque rim: a region of a few pixels is lost otherwise in a bright texture.
    picture[marked & ~ndimage.binary_erosion(marked, corners)] = RESULT_GREEN
    if maps.truth is not None:
        defective = shrink_highest(maps.truth, shape)
        # One pixel outside and one inside: a line of two, seen also on the smallest defect and at the image's border.
        outline = ndimage.binary_dilation(defective, corners) & ~ndimage.binary_erosion(defective, corners)
        picture[outline] = TRUTH_RED
    return np.round(picture).astype(np.uint8)


def _checked(image: Pixels, shape: tuple[int, int]) -> Pixels:
    if image.shape[:2] != shape:
        raise ValueError(
            f"it is {image.shape[1]} x {image.shape[0]} now, but was {shape[1]} x {shape[0]} when inspected"
        )
    return image


def _colourise(map_: NDArray[np.float32], top: float) -> NDArray[np.uint8]:
    colours: NDArray[np.uint8] = mpl.colormaps[_COLOURS](np.clip(map_ / top, 0, 1), bytes=True)
    return colours[:, :, :3]


def _preview(title: str, pixels: NDArray[np.uint8] | None, shape: tuple[int, int], limit_bytes: int) -> Preview:
    factor = max(1, _SMALLEST_SHOWN // max(shape))
    uri = None if pixels is None else _jpeg_uri(pixels, limit_bytes)
    return Preview(title, uri, factor * shape[1], factor * shape[0], factor > 1)


def _jpeg_uri(pixels: NDArray[np.uint8], limit_bytes: int) -> str:
    # Thin red lines need their colour at full resolution.
    for quality in _QUALITIES:
        buffer = io.BytesIO()
        Image.fromarray(pixels).save(buffer, "JPEG", quality=quality, subsampling=0, optimize=True)
        if buffer.tell() <= limit_bytes:
            break
    return _uri("image/jpeg", buffer.getvalue())


def _uri(kind: str, content: bytes) -> str:
    return f"data:{kind};base64,{base64.b64encode(content).decode()}"
