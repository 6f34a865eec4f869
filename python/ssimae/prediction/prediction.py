"""Hold the result of inspecting one image; it shows itself in a notebook, and gives its numbers to other programs."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from html import escape
from typing import TYPE_CHECKING, Any, cast

import numpy as np
from numpy.typing import NDArray
from PIL import Image as Pillow

from ssimae.figures.markup import fitting, folded, picture_tag, side_by_side, table
from ssimae.figures.outlines import outlined, painted
from ssimae.images.depth import Image
from ssimae.inspection.threshold import Thresholds
from ssimae.inspection.verdict import Region, Verdict, judge

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from ssimae.inspection.inspector import Maps  # needs torch, which verdicts do not

_COLOURS = {"good": "#1a7f37", "review": "#b35900", "defective": "#dc2626"}
"""Of the verdicts, dark enough to carry white letters."""

_ROWS = 10
"""Regions that a notebook lists."""


@dataclass(frozen=True)
class Prediction:
    """The result of inspecting one image.

    Notes
    -----
    As the last line of a cell in a notebook it shows itself: the image with its regions outlined, the map that the
    verdict rests on, verdict, reason, score and thresholds, and a table of the regions.

    Examples
    --------
    >>> prediction = detector.inspect("part.png")  # doctest: +SKIP
    >>> prediction.overlay().save("part-marked.png")  # doctest: +SKIP
    >>> pandas.DataFrame(prediction.to_dict()["regions"])  # doctest: +SKIP

    Of a training of a second, which learns nothing:

    >>> import numpy as np
    >>> import ssimae
    >>> good = list(np.random.default_rng(0).random((2, 64, 96), np.float32))
    >>> detector = ssimae.Detector(patch_size=32, latent_dim=4, patches=32, epochs=1, batch_size=16, stride=16)
    >>> prediction = detector.fit(good).inspect(good[0])
    >>> prediction.mask.shape, prediction.overlay().size
    ((64, 96), (96, 64))
    """

    score: float
    """Larger is more defective. Where the residual is calibrated, the level that a region of `min_area` pixels reaches:
    1 is what good images show, and above `review` the image is flagged; a defective one may score less than
    `defective`, which the `max_score` of a region exceeds. Else the highest residual."""
    verdict: Verdict
    reason: str
    """Why the image is not good: a place stands out, or the whole is unlike the good ones; empty for a good one."""
    residual: NDArray[np.float32] = field(repr=False)
    """(h, w), float32; neither smoothed nor opened where it is calibrated."""
    calibrated: NDArray[np.float32] | None = field(repr=False)
    """(h, w), float32: the residual divided by what good images show at a like place, smoothed and opened; what the
    verdict rests on. None where the residual is not calibrated and the verdict rests on itself."""
    reconstruction: NDArray[np.float32] | None = field(repr=False)
    """Of the image's shape, float32; None from a dictionary, which rebuilds nothing."""
    mask: NDArray[np.bool_] = field(repr=False)
    """(h, w), True where a region lies."""
    regions: tuple[Region, ...] = field(repr=False)
    """Highest first."""
    thresholds: Thresholds = field(repr=False)
    """By which it was judged."""
    pixels: Image = field(repr=False)
    """The image that was inspected, in the depth that it came in; `image` has it as float32."""

    @property
    def image(self) -> NDArray[np.float32]:
        """The image as it was inspected, (h, w) or (h, w, 3), float32 in [0, 1]; made anew each time from 8 bits."""
        return self.pixels[:]

    @property
    def judged(self) -> NDArray[np.float32]:
        """The map that the verdict rests on, (h, w), float32: `calibrated`, or `residual` where there is none."""
        return self.residual if self.calibrated is None else self.calibrated

    def to_dict(self) -> dict[str, Any]:
        """Return all but the maps, ready for JSON, under the keys of the lines of ``ssimae predict --json``.

        Each of `regions` is one flat row: pandas makes a table of them.
        """
        height, width = self.mask.shape
        return {
            "verdict": self.verdict,
            "reason": self.reason,
            "score": self.score,
            "review": self.thresholds.review,
            "defective": self.thresholds.defective,
            "height": height,
            "width": width,
            "defect_px": int(np.count_nonzero(self.mask)),
            "calibrated": self.calibrated is not None,
            "regions": [
                {"region": number, "verdict": self.verdict_of(region), **asdict(region)}
                for number, region in enumerate(self.regions, 1)
            ],
        }

    def verdict_of(self, region: Region) -> Verdict:
        """Return what is said of one region."""
        return "defective" if region.max_score > self.thresholds.defective else "review"

    def overlay(self) -> Pillow.Image:
        """Return the image, 8 bits RGB in its own size, its regions outlined: amber to be reviewed, red for defective.

        It shows itself in a notebook, saves itself, and is an array to NumPy and matplotlib.
        """
        return outlined(self.pixels, self.mask, self.regions, self.thresholds)

    def plot(self, *, ax: Axes | None = None) -> Figure:
        """Return a figure of the image with its regions outlined, its reconstruction, and the map that was judged.

        Parameters
        ----------
        ax : matplotlib Axes, optional
            Where the outlined image alone is to be drawn; the figure is then that of the axes.
        """
        title = f"{self.verdict}, score {self.score:.4g}"
        if ax is not None:
            _show(ax, self.overlay(), title)
            return cast("Figure", ax.get_figure(root=True))
        from ssimae.figures.drawing import report_figure  # noqa: PLC0415 - all else does without matplotlib

        panels: list[tuple[Any, str]] = [(self.overlay(), title)]
        if self.reconstruction is not None:
            panels.append((self.reconstruction.clip(0, 1), "reconstruction"))
        panels.append((painted(self.judged, self.thresholds), self._map_caption))
        height, width = self.mask.shape
        figure = report_figure(width=4.2 * len(panels), height=4.2 * min(max(height / width, 0.2), 3) + 0.5, dpi=100)
        for axes, (picture, name) in zip(
            figure.subplots(1, len(panels), sharex=True, sharey=True), panels, strict=True
        ):
            _show(axes, picture, name)
        if self.reason:
            figure.supxlabel(self.reason, fontsize="medium")
        return figure

    @property
    def _map_caption(self) -> str:
        name = "residual" if self.calibrated is None else "calibrated map"
        return f"{name}: amber above review, red above defective"

    def _repr_html_(self) -> str:
        shape, levels = fitting(self.mask.shape), self.thresholds
        marked = outlined(self.pixels, self.mask, self.regions, levels, shape=shape)
        pictures = [
            picture_tag(marked, "regions: amber to be reviewed, red defective"),
            picture_tag(Pillow.fromarray(painted(self.judged, levels, shape=shape)), self._map_caption),
        ]
        reason = escape(self.reason) or "nothing stands out"
        return (
            f'<div><p><strong style="background:{_COLOURS[self.verdict]};color:white;padding:0.15em 0.6em">'
            f"{self.verdict}</strong> {reason}<br>score {self.score:.4g}; to be reviewed above {levels.review:.4g}, "
            f"defective above {levels.defective:.4g}</p>{side_by_side(pictures)}{self._table()}</div>"
        )

    def _table(self) -> str:
        rows: list[dict[str, Any]] = self.to_dict()["regions"]
        if not rows:
            return ""
        count = len(rows)
        head = [name.replace("_", " ") for name in rows[0]]
        listed = table((list(row.values()) for row in rows[:_ROWS]), head=head)
        more = f"<p>and {count - _ROWS} more</p>" if count > _ROWS else ""
        return folded("1 region" if count == 1 else f"{count} regions, the highest first", listed + more)


def _show(axes: Axes, picture: Any, title: str) -> None:
    axes.imshow(picture, cmap="gray", vmin=0, vmax=1)
    axes.set_title(title, fontsize="medium")
    axes.set_xticks([])
    axes.set_yticks([])


def prediction_of(image: Image, maps: Maps, thresholds: Thresholds) -> Prediction:
    """Return what the maps of an image say at thresholds."""
    judgement = judge(maps, thresholds)
    return Prediction(
        score=judgement.score,
        verdict=judgement.verdict,
        reason=judgement.reason,
        residual=maps.residual,
        calibrated=maps.judged if maps.calibrated else None,
        reconstruction=maps.reconstruction,
        mask=judgement.mask,
        regions=judgement.regions,
        thresholds=thresholds,
        pixels=image,
    )
