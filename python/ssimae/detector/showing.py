"""Show a detector: in a notebook, as a figure, and as numbers for other programs."""

from __future__ import annotations

from dataclasses import asdict
from html import escape
from typing import TYPE_CHECKING, Any

from sklearn.utils.validation import check_is_fitted

from ssimae.config.settings import Settings
from ssimae.detector.parameters import Parameters, changed
from ssimae.inspection.threshold import Thresholds
from ssimae.models.build import Network
from ssimae.models.head import Head
from ssimae.pod.table import DetectionTable
from ssimae.tuning.trial import Trial

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


class Shown(Parameters):
    """A detector that shows itself."""

    model_: Network
    head_: Head | None
    fitted_settings_: Settings
    settings_: Settings
    thresholds_: Thresholds
    detection_: DetectionTable | None
    trials_: tuple[Trial, ...]
    alarm_: str | None

    def to_dict(self) -> dict[str, Any]:
        """Return all but the weights, ready for JSON; what only a fit tells is None before it."""
        fitted = self._fitted
        return {
            "fitted": fitted,
            "preset": self.preset,
            "settings": asdict(self.settings_) if fitted else self._given(),
            "thresholds": self.thresholds_.to_dict() if fitted else None,
            "detection": self.detection_.to_dict() if fitted and self.detection_ is not None else None,
            "trials": [trial.to_dict() for trial in self.trials_] if fitted else [],
            "alarm": self.alarm_ if fitted else None,
        }

    def plot(self) -> Figure:
        """Return a figure of the good images' levels beside the thresholds, and of which planted defects are found.

        Raises
        ------
        sklearn.exceptions.NotFittedError
            Before :meth:`fit`.
        """
        check_is_fitted(self, "model_")
        from ssimae.figures.drawing import report_figure  # noqa: PLC0415 - with matplotlib

        table = self.detection_ if self.detection_ is not None and self.detection_.everything.planted else None
        figure = report_figure(width=5.2 if table is None else 10.4, height=3.9, dpi=100)
        panels = figure.subplots(1, 1 if table is None else 2, squeeze=False)[0]
        _plot_levels(panels[0], self.thresholds_)
        if table is not None:
            from ssimae.report.detection import plot_detection  # noqa: PLC0415 - with matplotlib

            plot_detection(panels[1], table)
            panels[1].legend(loc="lower right", fontsize="small")
            panels[1].set_title("Planted defects, found above and missed below", fontsize="medium")
        return figure

    @property
    def _fitted(self) -> bool:
        return hasattr(self, "model_")

    def _repr_html_(self) -> str:
        from ssimae.figures.drawing import png_of  # noqa: PLC0415 - with matplotlib
        from ssimae.figures.markup import figure_tag, folded, table  # noqa: PLC0415 - wanted by notebooks alone

        title = f"<p><code>{escape(repr(self))}</code></p>"
        every = folded("all settings", table((name, repr(value)) for name, value in self.to_dict()["settings"].items()))
        if not self._fitted:
            return f"<div>{title}<p>not fitted yet: <code>fit</code> takes good images, or a folder</p>{every}</div>"
        warnings = [self.alarm_] if self.alarm_ is not None else []
        try:
            stale = changed(self._settings(), self.fitted_settings_)
        except ValueError as error:
            warnings.append(str(error))
        else:
            if stale:
                warnings.append(f"{', '.join(stale)}: not what the detector was fitted with; fit it again")
        alarms = "".join(f'<p style="color:#dc2626"><strong>{escape(line)}</strong></p>' for line in warnings)
        figure = self.plot()
        caption = "levels of good images, thresholds, and what is found"
        picture = figure_tag(png_of(figure), caption, width=380 * len(figure.axes))
        trials = ""
        if self.trials_:
            rows = [[f"{trial.patch_size}", trial.scale, trial.score] for trial in self.trials_]
            trials = folded("settings that were tried", table(rows, head=("patch size", "scale", "score")))
        return f"<div>{title}{alarms}{table(self._facts())}{self._found()}{picture}{trials}{every}</div>"

    def _facts(self) -> list[tuple[str, str]]:
        """Return what was fitted, a line each."""
        settings, thresholds = self.settings_, self.thresholds_
        kind = "held-out good images, or bands of them" if thresholds.held_out else "images it was trained on (too low)"
        share = None if thresholds.false_calls is None else 100 * thresholds.false_calls
        asked = "" if share is None else f"; {share:.3g} % of good images may be flagged"
        asked += "" if thresholds.allowed is None else f" ({100 * thresholds.allowed:.3g} % were allowed)"
        asked += " (extrapolated: so few images cannot show it)" if thresholds.extrapolated else ""
        smoothing = settings.residual_smoothing
        colour = "colour" if settings.channels == 3 else "gray"
        lines = [
            (
                "network",
                f"{settings.row.title}, patches of {settings.patch_size} at scale {settings.scale:g}, {colour}",
            ),
            ("trained on", f"{settings.patches_total:,} patches"),
            ("calibration", settings.calibration + ("" if smoothing is None else f", smoothing {smoothing:g} px")),
            ("to be reviewed", f"above {thresholds.review:.4g}{asked}"),
            ("defective", f"above {thresholds.defective:.4g}"),
            ("set on", f"{thresholds.images} {kind}"),
        ]
        chosen = [f"{name} {getattr(settings, name)}" for name in changed(settings, self.fitted_settings_)]
        return [*lines, ("chosen", ", ".join(chosen))] if chosen else lines

    def _found(self) -> str:
        """Return what is found of planted defects, in sentences."""
        if self.detection_ is None or not self.detection_.everything.planted:
            return ""
        from ssimae.report.detection import detection_sentences  # noqa: PLC0415 - with matplotlib

        lines = "".join(f"<li>{escape(line)}</li>" for line in detection_sentences(self.detection_))
        return f"<p>Of defects planted on good images:</p><ul>{lines}</ul>"

    def _repr_mimebundle_(self, **kwargs: Any) -> dict[str, str]:
        return {"text/plain": repr(self), "text/html": self._repr_html_()}


def _plot_levels(axes: Axes, thresholds: Thresholds) -> None:
    from matplotlib.ticker import MaxNLocator  # noqa: PLC0415 - with matplotlib

    from ssimae.figures.drawing import BLUE, labelled  # noqa: PLC0415 - with matplotlib

    levels = thresholds.good_levels or thresholds.good_scores
    labelled(axes, "Level", "Good images, or bands of them")
    axes.hist(levels, bins=min(20, max(5, len(levels))), color=BLUE, edgecolor="white", linewidth=0.4)
    axes.yaxis.set_major_locator(MaxNLocator(integer=True))
    for level, name, line in ((thresholds.review, "review", "--"), (thresholds.defective, "defective", "-")):
        axes.axvline(level, color="black", linestyle=line, linewidth=1.2, label=f"{name}, {level:.3g}")
    axes.legend(loc="best", fontsize="small")
    axes.set_title("Held-out good images and thresholds" if thresholds.held_out else "Good images", fontsize="medium")
