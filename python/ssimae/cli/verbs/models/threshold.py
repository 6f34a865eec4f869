"""Show the thresholds of a run, or set others within seconds from its held-out images; no image is needed."""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro

from ssimae.cli.bars import progress_bars
from ssimae.cli.effects import compared, other_rates, verdict_words
from ssimae.cli.exits import OK
from ssimae.cli.flags import parse_flags
from ssimae.cli.rates import allowed_words, rate_words
from ssimae.cli.sizes import in_pixels
from ssimae.config.settings import setting_fields
from ssimae.jobs.thresholds.again import judge_again, latest_prediction
from ssimae.jobs.thresholds.change import Wanted, changed_thresholds
from ssimae.jobs.thresholds.standing import (
    Standing,
    add_version,
    effect_of,
    held_standing,
    is_unfinished,
    maps_of,
    use_version,
)
from ssimae.report.format import as_fraction
from ssimae.storage.revisions.versions import Version
from ssimae.tuning.held_out import GoodMap, HeldOutMaps

RATES = 1 / 10, 1 / 20, 1 / 50, 1 / 100, 1 / 200, 1 / 500, 1 / 1000
"""Shares of false calls that are told without flags."""


@dataclass(frozen=True)
class _ThresholdFlags:
    run: Annotated[tyro.conf.Positional[Path], tyro.conf.arg(metavar="RUN")]
    """Folder of a finished run."""
    false_calls: float | None = None
    """Share of good images that may be flagged, such as 1/200."""
    review: float | None = None
    """Threshold above which an image is at least to be reviewed, named by hand."""
    defective: float | None = None
    """Threshold above which it is defective. Default with --review: as far above it as that lies above good images."""
    min_area: str | None = None
    """Smallest region: pixels, or an area such as 2mm2."""
    hysteresis: float | None = None
    """Share of `review` down to which a region grows that exceeds `review` somewhere; 1 for none."""
    merge_distance: str | None = None
    """Fragments at most so far apart are one region: pixels, or a length such as 0.5mm; 0 for none."""
    min_length: str | None = None
    """Least length of a region: pixels, or a length such as 3mm; 0 for any."""
    min_contrast: float | None = None
    """What the highest value of a region must exceed, in multiples of `review`; 1 for no more than that."""
    pixel_size: float | None = None
    """Millimetres that a pixel stands for. Default: what the run knows."""
    add_good: tuple[Path, ...] = ()
    """Images, or folders of them, that a person confirmed to be good: the thresholds then rest on them, too."""
    ignore: Path | None = None
    """Mask of what is not inspected of those images (white), or a folder of one each."""
    undo: bool = False
    """Take back the version that was in use before this one was set."""
    version: int | None = None
    """Take the version of this number back."""
    dry_run: bool = False
    """Show what would change, and write nothing."""
    device: str = "auto"
    """auto, cpu, cuda or cuda:N; for --add-good."""
    debug: bool = False
    """Show the traceback of errors."""


def main(arguments: list[str]) -> int:
    """Run the verb and return its exit code."""
    flags = parse_flags(_ThresholdFlags, "threshold", arguments, description=__doc__)
    with held_standing(flags.run) as standing:
        return _worked(flags, standing)


def _worked(flags: _ThresholdFlags, standing: Standing) -> int:
    wanted = _wanted(flags, standing)
    changes = wanted != Wanted() or bool(flags.add_good)
    takes_back = flags.undo or flags.version is not None
    if (takes_back and changes) or (flags.undo and flags.version is not None):
        raise ValueError("`--undo` and `--version` take an earlier version back; nothing else can be given with them")
    if flags.ignore is not None and not flags.add_good:
        raise ValueError("`--ignore` is for the images of `--add-good`")
    if is_unfinished(standing) and not flags.dry_run:
        standing = use_version(standing, standing.present)
        print(f"thresholds.json was written again, as {standing.folder.model.name} says.")
    if not (changes or takes_back):
        print(_told(standing))
        return OK
    version, added = (
        _new(standing, flags, wanted) if changes else (_earlier(standing, flags.version), tuple[GoodMap, ...]())
    )
    if version.thresholds == standing.present.thresholds:
        print("Nothing changes: these are the thresholds in use.")
        return OK
    _show(standing, version, maps_of(standing.stored.with_good(added), version))
    if flags.dry_run:
        print("Nothing was written (--dry-run).")
        return OK
    after = use_version(standing, version) if version in standing.versions else add_version(standing, version, added)
    _close(after, standing.present)
    return OK


def _new(standing: Standing, flags: _ThresholdFlags, wanted: Wanted) -> tuple[Version, tuple[GoodMap, ...]]:
    """Return a version that keeps what is wanted, and the maps of more good images that it rests on."""
    added: tuple[GoodMap, ...] = ()
    if flags.add_good:
        from ssimae.jobs.thresholds.confirm import confirmed_maps  # noqa: PLC0415 - the network needs torch

        with progress_bars() as progress:
            added = confirmed_maps(
                standing, flags.add_good, ignore=flags.ignore, device=flags.device, progress=progress
            )
    thresholds = changed_thresholds(standing.present.thresholds, standing.maps.with_good(added), wanted, standing.known)
    return standing.new_version(thresholds, _how(flags), len(added)), added


def _how(flags: _ThresholdFlags) -> str:
    """Return the flags that a version was made with, as one types them."""
    words = [
        f"--{field.name.replace('_', '-')} {as_fraction(value) if field.name == 'false_calls' else value}"
        for field in dataclasses.fields(flags)
        if field.name not in ("run", "add_good", "ignore", "dry_run", "device", "debug")
        and (value := getattr(flags, field.name)) != field.default
    ]
    return " ".join([*words, *(f"--add-good {path}" for path in flags.add_good)])


def _earlier(standing: Standing, number: int | None) -> Version:
    """Return the version of a number, or the one that was in use before the present one was set."""
    wanted = standing.present.after if number is None else number
    found = [version for version in standing.versions if version.number == wanted]
    if number is None and not found:
        raise ValueError(f"`--undo`: no thresholds came before those in use, version {standing.present.number}")
    if not found:
        known = ", ".join(str(version.number) for version in standing.versions)
        raise ValueError(f"`--version` must be one of {known}, got {number}")
    return found[0]


def _told(standing: Standing) -> str:
    """Return the thresholds in use, and what other rates of false calls would give."""
    maps, present = standing.maps, standing.present
    effects = [
        (rate, effect_of(changed_thresholds(present.thresholds, maps, Wanted(false_calls=rate), standing.known), maps))
        for rate in RATES
    ]
    versions = [
        f"{'*' if version is present else ' '} {version.number}  review {version.thresholds.review:.4g}, "
        f"{rate_words(version.thresholds)}{allowed_words(version.thresholds)}, "
        f"set by {version.how}{f' at {version.created}' if version.created else ''}"
        for version in standing.versions
    ]
    command = standing.folder.command("threshold")
    return "\n".join(
        [
            compared(["in use"], [effect_of(present.thresholds, maps)], standing.pixel_size_mm),
            "",
            "Other rates of false calls would flag good images and find planted defects so:",
            other_rates(effects, standing.pixel_size_mm),
            "",
            f"Versions (* in use; values from stored maps are up to {100 * standing.stored.step:.1f} % higher):",
            *versions,
            "",
            f"Set one with: {command} --false-calls 1/200; --help shows the other ways.",
        ]
    )


def _show(standing: Standing, version: Version, maps: HeldOutMaps) -> None:
    """Print what a version changes: thresholds, held-out images, planted defects, and images inspected before."""
    before, after = standing.present.thresholds, version.thresholds
    effects = [effect_of(before, maps), effect_of(after, maps)]
    print(compared(["before", "after"], effects, standing.pixel_size_mm))
    if after.extrapolated:
        bands = any(part.share < 1 for part in maps.good)
        print(
            f"{after.images} {'bands of held-out images' if bands else 'held-out images'} show no rate below 1 in "
            f"{after.images + 1}{' bands' if bands else ''}: this one is extrapolated from the tail of what they show."
        )
    folder = standing.folder
    if folder.predictions.exists():
        print(verdict_words(judge_again(folder, before, after), str(folder.root)))
    latest = latest_prediction(folder, [folder.root.parent, Path("runs")])
    if latest is not None:
        print(verdict_words(judge_again(latest, before, after), str(latest.root)))


def _close(standing: Standing, before: Version) -> None:
    """Print what is in use now, and the ways on and back to what was in use before."""
    folder = standing.folder
    print(f"{folder.root}: version {standing.present.number} of the thresholds is in use.")
    earlier = ["--undo"] if standing.present.after == before.number else ["--version", str(before.number)]
    print(f"Back: {folder.command('threshold', *earlier)}")
    if folder.report.exists():
        print(f"The report still shows the earlier ones: {folder.command('report')}")


def _wanted(flags: _ThresholdFlags, standing: Standing) -> Wanted:
    size = flags.pixel_size or standing.pixel_size_mm
    if size is not None and not 0 < size < math.inf:
        raise ValueError(f"`--pixel-size` must be positive and finite, got {size}")
    if flags.false_calls is not None and not 0 < flags.false_calls < 1:
        raise ValueError(
            f"`--false-calls` must be a share between 0 and 1, such as 1/200 or 0.005, got {flags.false_calls}"
        )

    def pixels(flag: str, text: str | None, *, square: bool = False) -> float | None:
        return None if text is None else in_pixels(flag, text, square=square, pixel_size_mm=size)

    area = pixels("--min-area", flags.min_area, square=True)
    merge = pixels("--merge-distance", flags.merge_distance)
    wanted = Wanted(
        false_calls=flags.false_calls,
        review=flags.review,
        defective=flags.defective,
        min_area=None if area is None else max(1, round(area)),
        hysteresis=flags.hysteresis,
        merge_distance=None if merge is None else round(merge),
        min_length=pixels("--min-length", flags.min_length),
        min_contrast=flags.min_contrast,
    )
    for name in ("min_area", "hysteresis", "merge_distance", "min_length", "min_contrast"):
        value, field = getattr(wanted, name), setting_fields()[name]
        if value is not None:
            for rule in field.rules:
                rule.check(name, value, None)
    return wanted
