"""In a real browser, the page marks and counts what the segmentation does, and hands out commands and masks."""

import dataclasses
import json
import shlex
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from numpy.typing import NDArray
from PIL import Image
from scipy import ndimage
from ssimae.config.settings import Settings
from ssimae.data.dataset import Sample
from ssimae.figures.previews import shrink_highest
from ssimae.inspection.threshold import Thresholds
from ssimae.inspection.verdict import PLACE, segment
from ssimae.jobs.evaluate import evaluate_stage
from ssimae.pod.table import tabulate_detection
from ssimae.progress import SilentProgress
from ssimae.report.assessment import assess
from ssimae.report.detection import detection_sentences
from ssimae.report.page import write_report
from ssimae.report.verdicts import count_verdicts
from ssimae.storage.predictions import StoredInspection, write_predictions
from ssimae.storage.records import read_results
from ssimae.storage.revisions.held_out import write_held_out
from ssimae.storage.run_folder import RunFolder
from ssimae.tuning.held_out import HeldOutMaps, JudgedMaps, store_judged
from ssimae.tuning.planting.planted import PlantedDefect
from support.browser import Browser, browsing, find_browser
from support.small_data import small_facts

pytestmark = pytest.mark.skipif(find_browser() is None, reason="needs Chromium (Debian: apt-get install chromium)")

HOSTILE = "it's <img src=x onerror=alert(1)>"
LARGE = (700, 560)
CHIPS = {"good": "Passed", "review": "For review", "defective": "Judged defective"}
THRESHOLDS = Thresholds(2.0, 3.0, "area", 25, True, 48, 5000, "float32", "torch", (2.5,), (1.9,))


def write_run(root: Path) -> RunFolder:
    """Write a run of smooth calibrated maps; one image is larger than its preview."""
    rng = np.random.default_rng(3)
    folder = RunFolder(root / "run")
    folder.root.mkdir()
    folder.write_config(Settings(), small_facts(dataset="tiles"))
    folder.thresholds.write_text(json.dumps(THRESHOLDS.to_dict()))
    samples, rows = [], []
    for number, kind in enumerate(("good", "good", "good", "hole", "hole", "scratch")):
        shape = LARGE if number == 1 else (80, 96)
        name = HOSTILE if number == 0 else f"image{number}"
        image = root / f"{name}.png"
        Image.fromarray(rng.integers(60, 180, shape, np.uint8)).save(image)
        map_ = ndimage.gaussian_filter(rng.random(shape), 3)
        map_ = (0.5 + 3.5 * (map_ - map_.min()) / np.ptp(map_)).astype(np.float32)
        masks: tuple[Path, ...] = ()
        if kind != "good":
            masks = (root / f"mask{number}.png",)
            truth = np.zeros(shape, np.uint8)
            truth[10:40, 20:60] = 255
            Image.fromarray(truth).save(masks[0])
        sample = Sample(image, name, kind, masks)
        for part in (folder.calibrated, folder.residuals, folder.reconstructions):
            path = folder.map_path(part, kind, name)
            path.parent.mkdir(parents=True, exist_ok=True)
            tifffile.imwrite(path, map_ if part != folder.reconstructions else np.full(shape, 0.5, np.float32))
        mask, regions, verdict = segment(map_, THRESHOLDS)
        score = float(max((region.max_score for region in regions), default=1.0))
        samples.append(sample)
        rows.append(
            StoredInspection(
                name, kind, image, masks, None, *shape, score, verdict, len(regions), int(mask.sum()),
                PLACE if regions else "",
            )
        )  # fmt: skip
    write_predictions(folder.predictions, rows, [])
    maps = planted_maps()
    write_held_out(folder.held_out, maps)
    folder.pod.write_text(json.dumps(tabulate_detection(maps.found(THRESHOLDS)).to_dict()))
    evaluate_stage(folder, tuple(samples), SilentProgress())
    return folder


def planted_maps() -> HeldOutMaps:
    """Return a map with 40 planted squares, the larger the more certainly above the threshold."""
    rng = np.random.default_rng(5)
    map_, labels = np.full((320, 256), 0.5, np.float32), np.zeros((320, 256), np.int32)
    defects = []
    for number in range(40):
        side, (row, column) = 6 + number // 2, (64 * (number // 8), 32 * (number % 8))
        labels[row : row + side, column : column + side] = number + 1
        map_[row : row + side, column : column + side] = 1 + 0.06 * number + rng.random()
        defects.append(PlantedDefect("spot", side * side, 0.1 if number % 2 else 0.3))
    judged = JudgedMaps((map_ * 0 + 0.5,), (0,), (1.0,), (map_,), (labels,), (tuple(defects),))
    return store_judged(judged, ["image0"], THRESHOLDS)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> RunFolder:
    folder = write_run(tmp_path_factory.mktemp("data"))
    write_report(folder.root)
    return folder


@pytest.fixture(scope="module")
def started(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    with browsing(tmp_path_factory.mktemp("browser")) as browser:
        yield browser


@pytest.fixture
def page(started: Browser, run: RunFolder) -> Iterator[Browser]:
    """The page, freshly opened. Whatever a test does, nothing is loaded from elsewhere and nothing goes wrong."""
    started.requests.clear()
    started.complaints.clear()
    started.open(run.report)
    yield started
    assert started.complaints == []
    assert {address for address in started.requests if not address.startswith(("data:", "blob:"))} == {
        run.report.absolute().as_uri()
    }


def slide(page: Browser, name: str, position: int) -> float:
    """Move a slider, let it go, and return the threshold there."""
    page.js(
        f"(() => {{ const slider = document.getElementById('slider-{name}'); slider.value = {position};"
        "slider.dispatchEvent(new Event('input')); })()"
    )
    page.js("new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")
    page.js(f"document.getElementById('slider-{name}').dispatchEvent(new Event('change'))")
    return float(content(page)["models"][0]["bounds"][position])


def content(page: Browser) -> dict[str, Any]:
    held: dict[str, Any] = json.loads(page.js("document.getElementById('content').textContent"))
    return held


def green_pixels(page: Browser, index: int) -> int:
    """Count the green pixels of an image's card; the ground is gray."""
    card = f"document.querySelector('#image-{index} canvas')"
    page.js(f"document.getElementById('image-{index}').scrollIntoView()")
    page.until(f"{card}.width > 1")
    page.js("new Promise((done) => setTimeout(done, 50))")
    return int(
        page.js(
            f"(() => {{ const card = {card}, copy = document.createElement('canvas');"
            "[copy.width, copy.height] = [card.width, card.height];"
            "const context = copy.getContext('2d', { willReadFrequently: true });"
            "context.drawImage(card, 0, 0);"
            "const { data } = context.getImageData(0, 0, copy.width, copy.height);"
            "let green = 0;"
            "for (let place = 0; place < data.length; place += 4) green += data[place + 1] - data[place] > 40;"
            "return green; })()"
        )
    )


def choose(page: Browser, name: str, value: str) -> None:
    """Choose from one of the boxes above the gallery."""
    box = f"document.querySelector('[name={name}]')"
    page.js(f"{box}.value = {value!r}; {box}.dispatchEvent(new Event('change'))")


def test_green_pixels_are_those_of_the_segmentation(page: Browser, run: RunFolder) -> None:
    images = content(page)["images"]
    own = content(page)["models"][0]["review"]
    for position in (own, own - 40, own + 25):
        review = slide(page, "review", position)
        for index, image in enumerate(images):
            if image["defective"]:
                continue
            path = run.map_path(run.calibrated, image["defect"], image["name"])
            mask, _, _ = segment(
                tifffile.imread(path), Thresholds(**{**vars(THRESHOLDS), "review": review, "defective": 9.0})
            )
            marked = shrink_highest(mask, tuple(image["preview"][::-1]))
            assert image["preview"] == ([410, 512] if image["size"] == [LARGE[1], LARGE[0]] else image["size"])
            assert green_pixels(page, index) == np.count_nonzero(marked)


def test_counts_at_the_present_thresholds_are_those_of_the_run(page: Browser, run: RunFolder) -> None:
    counted = count_verdicts(assess(read_results(run)))
    good, bad = counted["good"], counted["defective"]
    said = page.texts("#live li")
    assert said[0] == f"Good images: {good.images - good.flagged} of {good.images} pass"
    assert (
        said[1] == f"Defective images: {bad.flagged} of {bad.images} flagged, {bad.placed} of them in the right place"
    )
    before = page.texts("table[data-tally] tbody td")
    own = content(page)["models"][0]["review"]
    slide(page, "review", own + 30)
    assert page.texts("#live li") != said
    page.click("#back")
    assert page.texts("#live li") == said
    assert page.texts("table[data-tally] tbody td") == before


def test_counts_at_other_thresholds_are_those_of_the_segmentation(page: Browser, run: RunFolder) -> None:
    results = read_results(run)
    for position in (60, 160, 200):
        review = slide(page, "review", position)
        defective = max(review, 3.0)
        flagged = {"good": 0, "defective": 0, "review": 0}
        for row in results.inspections:
            map_ = tifffile.imread(run.map_path(run.calibrated, row.defect, row.name))
            _, _, verdict = segment(map_, Thresholds(**{**vars(THRESHOLDS), "review": review, "defective": defective}))
            flagged[verdict] += 1
        chips = dict(text.rsplit(" ", 1) for text in page.texts("[data-outcome]"))
        shown = {verdict: int(chips[title]) for verdict, title in CHIPS.items()}
        assert shown == flagged


def test_the_command_keeps_what_the_sliders_show(page: Browser, run: RunFolder) -> None:
    assert page.texts("#command") == []
    review = slide(page, "review", 100)
    command = page.texts("#command code")[0]
    assert shlex.split(command) == ["ssimae", "threshold", str(run.root), "--review", f"{review:g}", "--defective", "3"]
    # A place is defective only if it is marked, so the other slider is pushed along.
    beyond = slide(page, "review", 230)
    assert float(shlex.split(page.texts("#command code")[0])[-1]) == beyond


def test_points_of_the_curves_follow_the_threshold(page: Browser) -> None:
    def points() -> list[float]:
        found: list[float] = page.js(
            "[...document.querySelectorAll('#charts .point')].map((one) => one.cx.baseVal.value)"
        )
        return found

    before = points()
    assert len(before) == 5  # ROC, PRO, and three quantiles of the overlap
    slide(page, "review", 20)
    assert all(now > then for now, then in zip(points(), before, strict=True))


def test_the_curves_of_planted_defects_follow_the_threshold(page: Browser) -> None:
    maps, bounds = planted_maps(), content(page)["models"][0]["bounds"]

    def misses(review: float) -> int:
        found = maps.found(dataclasses.replace(THRESHOLDS, review=review, defective=max(review, 3.0)))
        return int(np.count_nonzero(~found.hit))

    def shown() -> tuple[int, int, list[str]]:
        counts = [len(page.texts(f"[data-detection] .{kind}")) for kind in ("hit", "miss")]
        return counts[0], counts[1], page.texts("[data-sentences] li")

    hits, missed, sentences = shown()
    assert (hits, missed) == (40 - misses(2.0), misses(2.0))
    assert sentences == detection_sentences(tabulate_detection(maps.found(THRESHOLDS)))
    numbers = []
    for place in (40, 200):
        slide(page, "review", place)
        step = min(content(page)["models"][0]["planted"]["steps"], key=lambda one: abs(one["from"] - place))
        assert shown()[1] == misses(bounds[step["from"]])
        numbers.append(shown()[1])
    assert numbers[0] < missed < numbers[1]


def test_an_image_without_its_map_is_shown_and_keeps_its_verdict(started: Browser, tmp_path: Path) -> None:
    folder = write_run(tmp_path)
    row = next(row for row in read_results(folder).inspections if row.flagged and not row.is_defective)
    folder.map_path(folder.calibrated, row.defect, row.name).unlink()
    started.open(write_report(folder.root))
    image = next(number for number, one in enumerate(content(started)["images"]) if one["name"] == row.name)
    assert green_pixels(started, image) == 0
    card = started.texts(f"#image-{image}")[0]
    assert "The calibrated residual is not there any more" in card
    slide(started, "review", 0)
    assert started.texts(f"#image-{image} .verdict") != ["judged good"]
    slide(started, "review", len(content(started)["models"][0]["bounds"]) - 1)
    assert started.texts(f"#image-{image} .verdict") == ["judged good"]


def names(page: Browser) -> list[str]:
    return page.texts("#gallery h3")


def test_images_are_filtered_searched_and_sorted(page: Browser) -> None:
    everything = names(page)
    assert len(everything) == 6
    assert f"{HOSTILE} good" in everything
    page.click("[data-outcome]", text="Passed")
    passed = names(page)
    page.click("[data-outcome]", text="Flagged")
    assert sorted(passed + names(page)) == sorted(everything)
    page.click("[data-outcome]", text="All")
    choose(page, "kind", "hole")
    assert names(page) == [name for name in everything if name.endswith("hole")]
    choose(page, "kind", "")
    choose(page, "order", "lowest")
    scores = [float(text.split("score ")[1].split(",")[0]) for text in page.texts("#gallery .badges")]
    assert scores == sorted(scores)
    page.click("input[type=search]")
    for key in "IMAGE4":
        page.press(key)
    assert names(page) == ["image4 hole"]


def test_the_viewer_is_left_and_walked_through_by_keys(page: Browser) -> None:
    order = names(page)
    page.click("#gallery .pictures")
    page.until("document.querySelectorAll('#viewer canvas').length === 8")

    def shown() -> str:
        return page.texts("#viewer h2")[0]

    assert shown() == order[0]
    page.press("ArrowRight")
    page.until(f"document.querySelector('#viewer h2').innerText === {json.dumps(order[1])}")
    page.press("ArrowLeft")
    page.press("ArrowLeft")
    page.until(f"document.querySelector('#viewer h2').innerText === {json.dumps(order[-1])}")
    page.press("+")
    stages = page.js("[...document.querySelectorAll('.stage')].map((stage) => stage.style.transform)")
    assert len(set(stages)) == 1  # all pictures are zoomed and moved together
    page.press("Escape")
    page.until("!document.getElementById('viewer').open")


def test_ticks_collect_one_command_that_a_shell_reads_back(page: Browser, run: RunFolder) -> None:
    paths = [image["path"] for image in content(page)["images"] if not image["defective"]]
    for index, image in enumerate(content(page)["images"]):
        ticks = page.js(f"document.querySelectorAll('#image-{index} .tick input').length")
        assert ticks == (0 if image["defective"] else 1)
        if ticks:
            page.click(f"#image-{index} .tick input")
    command = shlex.split(page.texts("#improve code")[0])
    assert command == ["ssimae", "improve", str(run.root), "--good", *paths]
    assert run.root.parent.joinpath(f"{HOSTILE}.png").as_posix() in command
    page.click("#ticks button", text="Clear")
    assert page.js("document.getElementById('ticks').hidden")


def test_a_drawn_mask_is_saved_at_the_size_of_the_image(page: Browser, tmp_path: Path) -> None:
    page.send("Page.setDownloadBehavior", behavior="allow", downloadPath=str(tmp_path))
    page.click("input[type=search]")
    for key in "image1":
        page.press(key)
    page.click("#gallery .pictures")
    page.until("document.querySelectorAll('#viewer canvas').length === 8")
    page.press("r")
    stage = "document.querySelector('.stage').getBoundingClientRect()"
    left, top, width, height = page.js(f"[{stage}.x, {stage}.y, {stage}.width, {stage}.height]")
    page.drag([left + width * 0.25, top + height * 0.25], [left + width * 0.75, top + height * 0.5])
    page.click("#viewer button", text="Save mask")
    file = tmp_path / "image1.png"
    end = time.monotonic() + 30
    while not file.exists() and time.monotonic() < end:
        time.sleep(0.05)
    mask: NDArray[np.uint8] = np.asarray(Image.open(file).convert("L"))
    assert mask.shape == LARGE
    assert set(np.unique(mask)) == {0, 255}
    rows, columns = (np.flatnonzero(mask.any(axis=axis)) for axis in (1, 0))
    # A pixel of the screen is about as wide as one of this image.
    np.testing.assert_allclose((rows[0], rows[-1] + 1), (LARGE[0] * 0.25, LARGE[0] * 0.5), atol=3)
    np.testing.assert_allclose((columns[0], columns[-1] + 1), (LARGE[1] * 0.25, LARGE[1] * 0.75), atol=3)
    assert np.count_nonzero(mask) == len(rows) * len(columns)
    assert "image1.png" in page.texts("#viewer .mask")[0]


@pytest.mark.parametrize("width", [390, 1280])
def test_nothing_is_wider_than_the_screen(page: Browser, run: RunFolder, width: int) -> None:
    page.open(run.report, width=width, dark=width == 390)
    assert page.js("document.documentElement.scrollWidth") <= width
    page.click("#gallery .pictures")
    page.until("document.querySelectorAll('#viewer canvas').length === 8")
    assert page.js("document.getElementById('viewer').scrollWidth") <= width
