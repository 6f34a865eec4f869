"""Tell how the settings of a run were chosen: what was tried, how it scored, and what was taken."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from ssimae.report.format import listed, plural, share
from ssimae.storage.facts import Facts
from ssimae.storage.records import ModelResults
from ssimae.tuning.trial import TELLING, best_of

_FORMS = {
    "border": "places as far from the border",
    "surface": "places whose surface looks alike",
    "position": "the same position",
    "both": "places that look alike, and the position",
}
"""What each form of the calibration compares a place with."""


@dataclass(frozen=True)
class ChoiceTable:
    """What was compared for one model: a row each, one of them taken."""

    title: str
    meaning: str
    """What was compared, and what the score is, in sentences."""
    columns: list[str]
    rows: list[list[str]]
    chosen: int
    """Number of the row that was taken."""


def choice_tables(models: Sequence[ModelResults]) -> list[ChoiceTable]:
    """Return the trials and treatments that were compared; none where nothing was left to choose."""
    tables = []
    for model in models:
        title = f" of {model.title}" if len(models) > 1 else ""
        if model.trials:
            tables.append(_trials(model, f"Trainings that were tried{title}"))
        if model.treatments:
            tables.append(_treatments(model, f"Ways to treat the map{title}"))
    return tables


def settings_text(run: Facts) -> str:
    """Return where the settings of a run come from, in words."""
    if run.minutes is None:
        return f"preset {run.preset}{', quick' if run.quick else ''}; all of them below"
    given = "" if not run.given else f"; given, and not chosen: {listed(run.given)}"
    return f"chosen from the images, for {run.minutes:g} min{given}; all of them below"


def _trials(model: ModelResults, title: str) -> ChoiceTable:
    best = best_of(model.trials)
    rows = [
        [
            f"{trial.scale:g}",
            str(trial.patch_size),
            f"{trial.patches:,}",
            f"{trial.seconds:.0f}",
            f"{trial.loss:.3f} ({trial.plateau:.3f})",
            "learned nothing" if trial.collapsed else f"{trial.score:.3f}",
        ]
        for trial in model.trials
    ]
    meaning = (
        "Each is a short training. In brackets the loss of a constant output: a network that is no better has learned "
        "nothing. The score is that of the table below, without a head and for the best smoothing; where none reaches "
        f"{TELLING:g}, the trials were too short to tell, and the first that learned anything is taken."
    )
    columns = ["Scale", "Patch size", "Patches seen", "Seconds", "Loss", "Score"]
    return ChoiceTable(title, meaning, columns, rows, model.trials.index(best))


_TREATMENT_COLUMNS: dict[str, tuple[str, Callable[[Any], str]]] = {
    "calibration": ("Compared with", lambda value: _FORMS.get(value, str(value))),
    "residual_smoothing": ("Smoothing in px", lambda value: f"{value:g}"),
    "au_pro_0.05": ("AU-PRO up to 5 %", lambda value: f"{value:.3f}"),
    "found": ("Found", share),
    "score": ("Score", lambda value: f"{value:.3f}"),
}
"""Columns of the table of treatments by their keys in ``choices.json``; those that it lacks are left out."""


def _treatments(model: ModelResults, title: str) -> ChoiceTable:
    shown = {key: column for key, column in _TREATMENT_COLUMNS.items() if key in model.treatments[0]}
    planted = "" if model.detection is None else f" of {plural(model.detection.everything.planted, 'planted defect')}"
    meaning = (
        "Maps are divided by what good images show at like places; how many of these were held out decides which "
        "places can be compared. Found is how often a planted defect exceeds "
        "the level of a good image, over the upper half of these. The score is the mean of that and of the AU-PRO"
        f"{planted} up to a false positive rate of 5 %."
    )
    return ChoiceTable(
        title,
        meaning,
        [name for name, _ in shown.values()],
        [[text(treatment[key]) for key, (_, text) in shown.items()] for treatment in model.treatments],
        model.treatments.index(model.chosen_treatment),
    )
