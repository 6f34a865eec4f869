"""Judge images of a finished inspection again by other thresholds, from their stored maps or scores."""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ssimae.images.maps import read_float_map
from ssimae.inspection.threshold import Thresholds
from ssimae.inspection.verdict import Verdict, judge_map, unlike_in
from ssimae.storage.facts import PredictFacts
from ssimae.storage.predictions import (
    StoredInspection,
    StoredRegion,
    area_mm2,
    read_predictions,
    write_predictions,
    write_regions,
)
from ssimae.storage.run_folder import RunFolder


@dataclass(frozen=True)
class Judged:
    """Images of one folder, judged again."""

    folder: Path
    images: int
    changed: tuple[tuple[StoredInspection, Verdict], ...]
    """Those whose verdict changes, as they were, and their new verdict."""
    unknown: int
    """Images of which neither a map nor a score tells."""
    flagged: dict[str, tuple[int, int, int]]
    """Of images known to be good, and to be defective: how many are flagged before and after, and their number."""

    @property
    def counts(self) -> Counter[tuple[Verdict, Verdict]]:
        """How many go from one verdict to another."""
        return Counter((before.verdict, after) for before, after in self.changed)


def judge_again(folder: RunFolder, before: Thresholds, after: Thresholds) -> Judged:
    """Return which images of a folder change their verdict.

    An image whose map is stored is judged by it. Of another, the score of a calibrated image tells whether it is
    flagged, where the rules of regions stay.
    """
    inspections, _ = read_predictions(folder.predictions)
    calibrated = _is_calibrated(folder)
    verdicts = [(row, _verdict(folder, row, before, after, calibrated=calibrated)) for row in inspections]
    known = [(row, verdict) for row, verdict in verdicts if verdict is not None]
    flagged = {}
    for name, defective in (("good", False), ("defective", True)):
        some = [(row.flagged, verdict != "good") for row, verdict in known if row.is_defective is defective]
        if some:
            flagged[name] = (sum(one for one, _ in some), sum(other for _, other in some), len(some))
    return Judged(
        folder.root,
        len(inspections),
        tuple((row, verdict) for row, verdict in known if verdict != row.verdict),
        len(verdicts) - len(known),
        flagged,
    )


def _is_calibrated(folder: RunFolder) -> bool:
    """Return whether verdicts rest on calibrated residuals; a folder of `predict` may hold no map that tells it."""
    _, facts = folder.read_config()
    if isinstance(facts, PredictFacts) and facts.calibrated is not None:
        return facts.calibrated
    return folder.calibrated.exists()


def _verdict(
    folder: RunFolder, row: StoredInspection, before: Thresholds, after: Thresholds, *, calibrated: bool
) -> Verdict | None:
    path = folder.map_path(folder.calibrated if calibrated else folder.residuals, row.defect, row.name)
    if path.exists():
        return judge_map(read_float_map(path), after, calibrated=calibrated, unlike=unlike_in(row.reason)).verdict
    if before.rules != after.rules or not calibrated:
        return None
    flagged = row.score > after.review or bool(unlike_in(row.reason))
    # What reaches `defective` over a whole region is defective; less may be, at its highest value.
    return "defective" if row.score > after.defective else "review" if flagged else "good"


def rewrite_rows(folder: RunFolder, thresholds: Thresholds, *, pixel_size_mm: float | None) -> None:
    """Write the rows of a run's images as other thresholds judge their stored maps.

    Where a map is missing, the rows go: the images are inspected again when the run goes on.
    """
    inspections, skipped = read_predictions(folder.predictions)
    paths = [folder.map_path(folder.judged, row.defect, row.name) for row in inspections]
    if not all(path.exists() for path in paths):
        folder.predictions.unlink(missing_ok=True)
        folder.regions.unlink(missing_ok=True)
        return
    if not inspections:
        return
    rows: list[StoredInspection] = []
    regions: list[StoredRegion] = []
    for row, path in zip(inspections, paths, strict=True):
        found = judge_map(
            read_float_map(path),
            thresholds,
            calibrated=folder.judged == folder.calibrated,
            unlike=unlike_in(row.reason),
        )
        defect_px = int(found.mask.sum())
        rows.append(
            dataclasses.replace(
                row,
                score=found.score,
                verdict=found.verdict,
                regions=len(found.regions),
                defect_px=defect_px,
                defect_mm2=None if pixel_size_mm is None else area_mm2(defect_px, pixel_size_mm),
                reason=found.reason,
            )
        )
        regions += [
            StoredRegion(row.name, row.defect, number, region, pixel_size_mm)
            for number, region in enumerate(found.regions, 1)
        ]
    write_regions(folder.regions, regions)
    write_predictions(folder.predictions, rows, skipped)


def latest_prediction(run: RunFolder, beside: Sequence[Path]) -> RunFolder | None:
    """Return the newest folder of `predict`, in some folders, that inspected with the model of a run; None without."""
    model = run.model.resolve()
    found = []
    for parent in {path.resolve() for path in beside}:
        for table in parent.glob("predict*/predictions.csv"):
            folder = RunFolder(table.parent)
            try:
                facts = folder.read_prediction()
            except (OSError, ValueError):
                continue
            if facts.model == model:
                found.append((table.stat().st_mtime_ns, folder))
    return max(found, key=lambda pair: pair[0])[1] if found else None
