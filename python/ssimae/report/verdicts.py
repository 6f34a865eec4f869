"""Count how the verdicts of a run came out, by kind of defect, and say it in a sentence."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import get_args

from ssimae.data.dataset import GOOD
from ssimae.inspection.verdict import Verdict
from ssimae.report.assessment import Assessment, assess_image
from ssimae.report.format import share
from ssimae.storage.predictions import TRAINING
from ssimae.storage.records import ModelResults


@dataclass(frozen=True)
class Tally:
    """Verdicts on the images of one kind."""

    kind: str
    images: int
    flagged: int
    """Images with the verdict `review` or `defective`."""
    review: int
    """Those of them with the verdict `review`."""
    placed: int | None
    """Flagged images in which what is marked touches the defect; None for good ones, and where masks do not tell."""

    @property
    def cells(self) -> list[str]:
        """The numbers below :data:`COLUMNS`."""
        placed = "–" if self.placed is None else self._with_share(self.placed)
        return [f"{self.images:,}", self._with_share(self.flagged), f"{self.review:,}", placed]

    def _with_share(self, count: int) -> str:
        return f"{count:,} ({share(count / self.images)})"


NOTHING_LEARNED = "No verdict counts: the training collapsed, so the network has learned nothing."
"""What is said in place of a count of verdicts."""

COLUMNS = ("Images", "Flagged", "of these for review", "Found in the right place")
"""Headings of a table of tallies, after that of the kind."""


def tally(kind: str, assessments: Sequence[Assessment]) -> Tally:
    """Return the counts of some images, which are all good or all defective."""
    flagged = [item for item in assessments if item.inspection.flagged]
    placed = None
    if all(item.inspection.is_defective for item in assessments) and all(item.counts is not None for item in flagged):
        placed = sum(item.counts is not None and item.counts.hit > 0 for item in flagged)
    return Tally(
        kind,
        images=len(assessments),
        flagged=len(flagged),
        review=sum(item.inspection.verdict == "review" for item in flagged),
        placed=placed,
    )


def verdict_table(assessments: Sequence[Assessment]) -> list[Tally]:
    """Return the counts of all defective images, of each kind of defect, and of good images.

    Images of which nothing says whether they are good are left out; so are all, where only such were inspected.
    """
    defective = _of_kind(assessments, True)
    kinds = sorted({item.inspection.defect for item in defective})
    rows = [tally("all defective", defective)] if len(kinds) > 1 else []
    rows += [tally(kind, [item for item in defective if item.inspection.defect == kind]) for kind in kinds]
    for kind in (GOOD, TRAINING):
        if good := [item for item in assessments if item.inspection.defect == kind]:
            rows.append(tally({GOOD: "good", TRAINING: "good, inspected themselves"}[kind], good))
    return rows


def count_verdicts(assessments: Sequence[Assessment]) -> dict[str, Tally]:
    """Return the counts of good and of defective images, as ``good`` and ``defective``; of neither where none is."""
    kinds = {GOOD: _of_kind(assessments, False), "defective": _of_kind(assessments, True)}
    return {kind: tally(kind, chosen) for kind, chosen in kinds.items() if chosen}


def verdict_sentence(assessments: Sequence[Assessment]) -> str:
    """Return how many good images passed and how many defective ones were flagged, as far as the truth is known."""
    if not assessments:
        return "No image has been inspected."
    parts = []
    counted = count_verdicts(assessments)
    if good := counted.get(GOOD):
        parts.append(f"{good.images - good.flagged} of {good.images} good images passed")
    if counts := counted.get("defective"):
        parts.append(f"{counts.flagged} of {counts.images} defective {'ones' if good else 'images'} were flagged")
        if counts.placed is not None and counts.flagged:
            parts[-1] += f", {counts.placed} of them in the right place"
    if unknown := _of_kind(assessments, None):
        verdicts = Counter(item.inspection.verdict for item in unknown)
        named = ", ".join(f"{verdicts[name]} {name}" for name in get_args(Verdict) if verdicts[name])
        parts.append(f"{len(unknown)} unlabelled: {named}")
    return "; ".join(parts) + "."


def headline(results: ModelResults, assessments: Sequence[Assessment], *, allow_collapsed: bool) -> str:
    """Return the sentence of :func:`verdict_sentence`, or that it would mean nothing where the training collapsed."""
    if results.alarm is not None and not allow_collapsed:
        return NOTHING_LEARNED
    return verdict_sentence(assessments)


def told_by_verdicts(results: ModelResults, *, allow_collapsed: bool = False) -> str | None:
    """Return the sentence of :func:`headline` from a run folder, or None where no image was inspected.

    Maps and masks are read of flagged defective images alone: the others are told by their rows.
    """
    if not results.inspections:
        return None
    assessments = [
        assess_image(results, inspection)
        if inspection.is_defective and inspection.flagged
        else Assessment(inspection, None, None)
        for inspection in results.inspections
    ]
    return headline(results, assessments, allow_collapsed=allow_collapsed)


def _of_kind(assessments: Iterable[Assessment], defective: bool | None) -> list[Assessment]:
    return [item for item in assessments if item.inspection.is_defective is defective]
