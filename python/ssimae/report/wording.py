"""Write plain sentences about a run: its thresholds, facts and warnings."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from ssimae.config.settings import Settings
from ssimae.data.dataset import GOOD, UNLABELLED
from ssimae.data.layouts import LAYOUTS, open_dataset
from ssimae.images.read import image_size
from ssimae.inspection.holdout import FEWEST_IMAGES
from ssimae.inspection.threshold import Thresholds, outlier_note
from ssimae.report.choices import settings_text
from ssimae.report.format import listed, plural, share
from ssimae.storage.facts import Facts, PredictFacts
from ssimae.storage.predictions import TRAINING
from ssimae.storage.records import ModelResults


def truth_notes(results: ModelResults) -> list[str]:
    """Return what the reader must know of the test images before reading numbers."""
    defects = {inspection.defect for inspection in results.inspections}
    notes = [f"Not inspected: {skipped.image} ({skipped.reason})." for skipped in results.skipped]
    if TRAINING in defects:
        notes.append("This data has no test images: the good images themselves were inspected.")
    if UNLABELLED in defects:
        notes.append("Images called “unlabelled” come without truth: nothing says whether they are defective.")
    if defects and not defects & {TRAINING, UNLABELLED, GOOD}:
        notes.append("There is no good test image, so false alarms show on the defective images only.")
    return notes


def threshold_sentences(results: ModelResults) -> list[str]:
    """Return the thresholds and how they were set."""
    thresholds, run = results.thresholds, results.training
    if thresholds is None:
        return [
            "No thresholds: the run has not come that far."
            if run is not None
            else "The thresholds are not known: an earlier version inspected these images. Their verdicts stand."
        ]
    sentences = [
        f"A place is marked where the {results.map_name} exceeds {thresholds.review:.4g} (“review”) on at least "
        f"{plural(thresholds.min_area, 'connected pixel')}; its image is defective if it also exceeds "
        f"{thresholds.defective:.4g} there, and for review if not."
    ]
    bands = run is not None and results.settings.hold_out and _holds_out_bands(run)
    if run is None and thresholds.held_out:
        source = f"{plural(thresholds.images, 'good image')}, or bands of them, that the model was not trained on"
    elif thresholds.held_out and bands:
        source = f"bands of {plural(thresholds.images, 'good image')} that were kept out of training"
    elif thresholds.held_out:
        source = f"{plural(thresholds.images, 'good image')} that were kept out of training"
    else:
        source = f"the same {plural(thresholds.images, 'good image')} the model was trained on (none was held out)"
    note = None if run is None else outlier_note(thresholds, run.threshold_images)
    if thresholds.false_calls is not None:
        rule = f", by the level above which each of them shows no such place. {false_calls_text(thresholds, bands)}"
    elif thresholds.rule == "area":
        rule = (
            f": the level above which none of them{' but one' if note else ''} shows such a place. By chance, about "
            f"one new good image in {thresholds.images + 1} will still show one"
        )
    elif thresholds.rule == "given":
        rule = "; “review” and “defective” were named by hand afterwards"
    else:
        rule = (
            f": {share(results.settings.review_fpr)} of their pixels lie above “review”, "
            f"{share(results.settings.threshold_fpr)} above “defective”"
        )
    sentences.append(f"Set on {source} ({thresholds.pixels:,} pixels){rule}.")
    if results.calibrated:
        sentences.append(
            "A whole image that clearly leaves the range of the good ones in gray level, contrast, sharpness or "
            "surface is flagged too; how often that happens to a good one was not estimated."
        )
    if note is not None:
        sentences.append(f"{note[:1].upper()}{note[1:]}.")
    if not thresholds.held_out:
        sentences.append("Thresholds set on training images come out too low: expect more false alarms on new images.")
    return sentences


def false_calls_text(thresholds: Thresholds, bands: bool) -> str:
    """Return which share of good images may be flagged, and whether the held-out ones can show it.

    Parameters
    ----------
    thresholds : Thresholds
        Its `false_calls` is not None.
    bands : bool
        Whether only a band of each image was held out.

    Notes
    -----
    One image among n + 1 is the least that n images can show: :func:`ssimae.levels.false_calls.false_call_level`.
    """
    assert thresholds.false_calls is not None
    held_out = "held-out " if thresholds.held_out else ""
    images = plural(thresholds.images, f"{held_out}good image")
    finest = f"1 in {thresholds.images + 1}"
    if bands:
        images, finest = f"bands of {images}", f"{finest} bands"
    asked = f"One good image in {_one_in(thresholds.false_calls)} may be flagged"
    if thresholds.allowed is not None:
        asked += f" (one in {_one_in(thresholds.allowed)} was allowed; the rarer rate finds nearly all that this would)"
    if thresholds.extrapolated:
        return f"{asked}; this is extrapolated from the tail of {images}, which can show no rate below {finest}"
    return f"{asked}. {images[:1].upper()}{images[1:]} can show a rate down to {finest}"


def _one_in(share_of: float) -> str:
    return f"{1 / share_of:.2g}" if share_of > 0.1 else f"{1 / share_of:,.0f}"


def facts(results: ModelResults) -> list[tuple[str, str]]:
    """Return label and text of what a reader wants to know of a run."""
    run = results.facts
    ignored = "nothing: whole images are inspected" if run.ignore is None else f"what {run.ignore} masks"
    seed = str(results.settings.seed)
    passed_over = [("Passed over", "; ".join(run.passed_over))] if run.passed_over else []
    if isinstance(run, PredictFacts):
        return [
            ("Model", str(run.model)),
            *([] if run.model_sha256 is None else [("Model file", f"SHA-256 {run.model_sha256}")]),
            ("Method", results.settings.row.title),
            *_sources(run),
            *passed_over,
            ("Not inspected", ignored),
            ("Device", run.device),
            ("Seed", seed),
            *([] if run.created is None else [("Started", _in_words(run.created))]),
            *([] if run.ssimae is None else [("Version", f"ssimae {run.ssimae}")]),
        ]
    layout = LAYOUTS.get(run.layout)
    return [
        ("Trained on", _trained_on(run, results.settings)),
        ("Held out", _held_out(run)),
        ("Not inspected", ignored),
        ("Training", training_sentence(results) + (f", in {run.weights}" if run.weights is not None else "")),
        ("Precision", run.precision),
        ("Device", run.device),
        ("Settings", settings_text(run)),
        ("Seed", seed),
        ("Data", f"{run.data} ({'unknown' if layout is None else layout.title} layout)"),
        *passed_over,
        ("Started", _in_words(run.created)),
        ("Versions", f"ssimae {run.ssimae}, torch {run.torch}, python {run.python}"),
    ]


def _in_words(time: str) -> str:
    """Return a time in ISO 8601, as it is stored, for the reader."""
    return time.replace("T", " ").replace("+00:00", " UTC")


def training_sentence(results: ModelResults) -> str:
    """Return how long a model was trained, and which loss it reached."""
    if not results.log:
        return "no log"
    last = results.log[-1]
    seconds = last["elapsed_s"]
    duration = f"{seconds:.0f} s" if seconds < 100 else f"{seconds / 60:.0f} min"
    planned = f"{results.settings.patches_total:,}"
    # The log's last line may lie a few steps before the end; thresholds exist only once a training has finished.
    seen = planned if results.thresholds is not None else f"unfinished: {int(last['patches']):,} of {planned}"
    return f"{seen} patches in {duration}, {results.settings.row.measure} {last['loss']:.4g} last"


def warnings(models: Sequence[ModelResults]) -> list[tuple[bool, str]]:
    """Return the warnings of all models, whether each makes the results worthless, the gravest first."""
    grades: dict[str, bool] = {}
    common = set(models[0].facts.graded_warnings())
    for number, model in enumerate(models):
        for text, grave in model.facts.graded_warnings():
            if number and not grave and (text, grave) in common:
                continue
            name = f"{model.title}: " if len(models) > 1 and (number or grave) else ""
            grades[f"{name}{text}" if name else text[:1].upper() + text[1:]] = grave
    return sorted(((grave, text) for text, grave in grades.items()), key=lambda item: not item[0])


def _trained_on(run: Facts, settings: Settings) -> str:
    text = plural(run.train_images, "good image")
    try:
        sizes = Counter(image_size(path) for path in open_dataset(run.data, ignore=run.ignore).train)
    except (OSError, ValueError):
        return f"{text} (their folder is not there any more, so sizes are not known)"
    shown = [f"{width} × {height}" for (height, width), _ in sizes.most_common(3)]
    scale = "" if settings.scale == 1 else f", resized by {settings.scale:g}"
    return f"{text} of {listed(shown)}{' and other sizes' if len(sizes) > 3 else ''} pixels{scale}"


def _sources(run: PredictFacts) -> list[tuple[str, str]]:
    """Return where the images of an inspection outside any run came from, what they are, and which maps were kept."""
    sources = []
    if run.watch is not None:
        sources.append(("Images", f"those that came into {run.watch}"))
    elif run.images:
        names = ["named on standard input" if name == "-" else name for name in run.images]
        sources.append(("Images", _shown(names, 8)))
    if run.continuous:
        sources.append(("Frames", "inspected as one surface, with the rows of their neighbours"))
    if run.pixel_size is not None:
        sources.append(("Pixel", f"{run.pixel_size:g} mm wide and high"))
    if run.maps != "all":
        sources.append(("Maps", {"none": "not kept", "flagged": "of flagged images alone"}[run.maps]))
    return sources


def _shown(names: Sequence[str], most: int) -> str:
    """Return names as a list in a sentence, and how many there are beyond the first."""
    return listed(names if len(names) <= most else [*names[: most - 1], f"{len(names) - most + 1} more"])


def _held_out(run: Facts) -> str:
    names = run.held_out_images
    if not names:
        return "nothing"
    shown = _shown(names, 8)
    return f"a band of each of {shown}" if _holds_out_bands(run) else f"{plural(len(names), 'image')}: {shown}"


def _holds_out_bands(run: Facts) -> bool:
    """Return whether bands of images are held out: of whole images never more than a part are."""
    return run.train_images < FEWEST_IMAGES or len(run.held_out_images) == run.train_images
