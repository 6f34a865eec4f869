"""The report is one file that shows every image, says what is missing, and depends on the run folder alone."""

import base64
import dataclasses
import hashlib
import io
import json
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from numpy.typing import NDArray
from PIL import Image
from scipy import ndimage
from ssimae import bands
from ssimae.cli import main
from ssimae.config.settings import Settings
from ssimae.data.dataset import Sample
from ssimae.figures.previews import shrink, shrink_highest
from ssimae.images.depth import Pixels
from ssimae.inspection.threshold import Thresholds
from ssimae.inspection.verdict import segment
from ssimae.jobs.evaluate import evaluate_stage
from ssimae.progress import SilentProgress
from ssimae.report.assessment import assess, read_maps
from ssimae.report.format import share
from ssimae.report.gallery.pictures import LONG_SIDE, TRUTH, preview_shape
from ssimae.report.page import write_report
from ssimae.report.wording import training_sentence
from ssimae.storage.predictions import StoredInspection, write_predictions
from ssimae.storage.records import read_results
from ssimae.storage.run_folder import RunFolder
from support.small_data import small_facts

HEIGHT, WIDTH = 80, 96
ODD_NAME = '<b>&"x"'
DEFECT = (slice(20, 50), slice(30, 70))


def write_run(
    root: Path,
    *,
    masks: bool = True,
    compare: bool = False,
    kinds: tuple[str, ...] = ("good", "hole", "hole", "scratch"),
) -> RunFolder:
    """Write a small finished run: one false alarm, one hole missed, the other defects found."""
    data = root.parent / "data"
    data.mkdir(exist_ok=True)
    samples, levels = [], {}
    for number, kind in enumerate(kinds):
        name = ODD_NAME if number == 1 else f"image{number}"
        image = np.full((HEIGHT, WIDTH), 100 + 10 * number, np.uint8)
        Image.fromarray(image).save(data / f"{name}.png")
        mask_paths: tuple[Path, ...] = ()
        if masks and kind not in ("good", "unlabelled", "training"):
            mask_paths = (data / f"{name}_mask.png",)
            truth = np.zeros((HEIGHT, WIDTH), np.uint8)
            truth[DEFECT] = 255
            Image.fromarray(truth).save(mask_paths[0])
        samples.append(Sample(data / f"{name}.png", name, kind, mask_paths))
        levels[name] = 0.2 if number == 2 else 0.9
    for loss in ("ssim", "l2") if compare else ("ssim",):
        folder = RunFolder(root if loss == "ssim" else root / loss)
        folder.root.mkdir()
        _write_model(folder, loss, samples, levels, "l2" if compare else None)
        evaluate_stage(folder, tuple(samples), SilentProgress())
    return RunFolder(root)


def _write_model(
    folder: RunFolder, loss: str, samples: list[Sample], levels: dict[str, float], compare: str | None
) -> None:
    facts = small_facts(dataset="tiles <i>", plateau=1.0, compare=compare)
    if loss == "l2":
        facts = facts.with_alarm("the second network learned nothing")
    settings = Settings(loss=loss)  # type: ignore[arg-type]
    folder.write_config(settings, facts)
    thresholds = Thresholds(0.4, 0.6, "area", 25, True, 5, 5000, "float32", "torch", (0.3, 0.35, 0.4))
    folder.thresholds.write_text(json.dumps(thresholds.to_dict()))
    for step in range(5):
        line = {"step": step, "patches": 128 * step, "epoch": 0, "loss": 1 / (step + 1), "lr": 2e-4, "elapsed_s": 9.0}
        folder.append_log(line)
    inspections = []
    for sample in samples:
        residual = np.full((HEIGHT, WIDTH), 0.1, np.float32)
        residual[DEFECT] = levels[sample.name]
        for maps in (folder.residuals, folder.reconstructions):
            path = folder.map_path(maps, sample.defect, sample.name)
            path.parent.mkdir(parents=True, exist_ok=True)
            tifffile.imwrite(path, residual)
        mask, regions, verdict = segment(residual, thresholds)
        inspections.append(
            StoredInspection(
                sample.name, sample.defect, sample.path, sample.masks, None, HEIGHT, WIDTH, float(residual.max()),
                verdict, len(regions), int(mask.sum()),
            )
        )  # fmt: skip
    write_predictions(folder.predictions, inspections, [])


class Page(HTMLParser):
    """Tags, attributes, text and data of a page."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.links: list[tuple[str, str, str]] = []
        self.words = ""
        self.scripts: dict[str, str] = {}
        """Content of script elements by their id."""
        self._inside: str | None = None
        self.feed(path.read_text())
        self.words = re.sub(r"\s+", " ", self.words)
        self.content: dict[str, Any] = json.loads(self.scripts["content"])

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.links += [(tag, name, value or "") for name, value in attrs if name in ("src", "href", "srcset")]
        if tag in ("script", "style"):
            self._inside = dict(attrs).get("id") or tag

    def handle_endtag(self, tag: str) -> None:
        self._inside = None

    def handle_data(self, data: str) -> None:
        if self._inside is None:
            self.words += data
        else:
            self.scripts[self._inside] = self.scripts.get(self._inside, "") + data

    @property
    def images(self) -> list[dict[str, Any]]:
        """What the page holds of each image."""
        return list(self.content["images"])

    @property
    def problems(self) -> str:
        """What it says is missing."""
        return " ".join(problem for image in self.images for problem in image["problems"])

    def pictures(self, index: int) -> dict[str, Any]:
        """The data URIs of an image."""
        found: dict[str, Any] = json.loads(self.scripts[f"pictures-{index}"])
        return found


def pixels(uri: str) -> NDArray[np.uint8]:
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(uri.split(",")[1]))))


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> RunFolder:
    """A run with its report; not to be changed."""
    folder = write_run(tmp_path_factory.mktemp("finished") / "run")
    assert write_report(folder.root) == folder.report
    return folder


@pytest.fixture(scope="module")
def compared(tmp_path_factory: pytest.TempPathFactory) -> RunFolder:
    """A run with a model of comparison, and its report; not to be changed."""
    folder = write_run(tmp_path_factory.mktemp("compared") / "run", compare=True)
    write_report(folder.root)
    return folder


def test_page_names_every_image_and_verdict(finished: RunFolder) -> None:
    folder, page = finished, Page(finished.report)
    stored = {(row.defect, row.name): (row.score, row.verdict) for row in read_results(folder).inspections}
    rows = {
        (item["defect"], item["name"]): (item["rows"][0]["score"], item["rows"][0]["verdict"]) for item in page.images
    }
    assert rows == stored
    assert "0 of 1 good images passed; 2 of 3 defective ones were flagged, 2 of them in the right place." in page.words
    assert all(page.pictures(index)["original"] for index in range(len(stored)))
    assert {file.name for file in (folder.root / "figures").iterdir()} == {
        "training_ssim.png", "roc.png", "pro.png", "overlap_ssim.png", "scores_ssim.png",
    }  # fmt: skip


@pytest.mark.parametrize(
    "rules", [{}, {"hysteresis": 0.6, "merge_distance": 4, "min_length": 8.0, "min_contrast": 1.2}]
)
def test_counts_at_every_threshold_are_those_of_the_segmentation(tmp_path: Path, rules: dict[str, Any]) -> None:
    folder = write_run(tmp_path / "run")
    rng = np.random.default_rng(0)
    for path in folder.residuals.rglob("*.tiff"):
        map_ = tifffile.imread(path) + ndimage.gaussian_filter(rng.random((HEIGHT, WIDTH)), 2)
        tifffile.imwrite(path, map_.astype(np.float32))
    before = json.loads(folder.thresholds.read_text())
    folder.thresholds.write_text(json.dumps({**before, **rules}))
    results, page = read_results(folder), Page(write_report(folder.root))
    (model,) = page.content["models"]
    thresholds = results.thresholds
    assert thresholds is not None
    assert model["bounds"][model["review"]] == thresholds.review
    assert model["bounds"][model["defective"]] == thresholds.defective
    for image, item in zip(page.images, assess(results), strict=True):
        row = image["rows"][0]
        peaks, hit, false = (
            np.frombuffer(base64.b64decode(row[name]), kind)
            for name, kind in (("peaks", "u1"), ("hit", "<u4"), ("false", "<u4"))
        )
        maps = read_maps(results, item.inspection)
        assert maps.judged is not None
        assert maps.truth is not None
        for place in range(0, len(model["bounds"]), 5):
            review = model["bounds"][place]
            at = dataclasses.replace(thresholds, review=review, defective=max(review, thresholds.defective))
            mask, _, verdict = segment(maps.judged, at)
            assert (hit[place], false[place]) == ((mask & maps.truth).sum(), (mask & ~maps.truth).sum())
            assert (peaks[place] > 0) == (verdict != "good")
            assert (peaks[place] > max(place, model["defective"])) == (verdict == "defective")
        assert item.counts is not None
        assert (hit[model["review"]], false[model["review"]]) == (item.counts.hit, item.counts.false)


def test_failures_come_first_and_the_missed_before_the_false_alarm(finished: RunFolder) -> None:
    results = read_results(finished)
    assessments = assess(results)
    assert [item.fault for item in assessments] == ["missed", "false alarm", None, None]
    missed, false, found, _ = (item.counts for item in assessments)
    assert missed is not None
    assert false is not None
    assert found is not None
    assert (missed.covered, missed.quality) == (0.0, 0.0)
    assert false.false_share == pytest.approx(30 * 40 / (HEIGHT * WIDTH))
    assert (found.covered, found.false_share, found.quality) == (1.0, 0.0, 1.0)


def test_same_folder_gives_same_bytes(compared: RunFolder) -> None:
    folder = compared
    files = [folder.report, *sorted((folder.root / "figures").iterdir())]
    first = [file.read_bytes() for file in files]
    write_report(folder.root)
    assert [file.read_bytes() for file in files] == first


def test_markup_in_names_is_text(finished: RunFolder) -> None:
    folder, page = finished, Page(finished.report)
    assert ODD_NAME in [image["name"] for image in page.images]
    assert (folder.root.parent / "data" / f"{ODD_NAME}.png").as_uri() in [image["link"] for image in page.images]
    assert "tiles <i>" in page.words
    assert "i" not in page.tags
    assert page.scripts["content"].count("<") == 0


def test_page_needs_nothing_but_itself(compared: RunFolder) -> None:
    page, text = Page(compared.report), compared.report.read_text()
    assert not {"link", "iframe", "object", "embed"} & set(page.tags)
    for tag, _, value in page.links:
        allowed = "data:image/" if tag == "img" else ("#image-", "https://doi.org/")
        assert value.startswith(allowed), value
    assert "url(" not in text
    # The browser is told to load nothing, and to run this one script alone.
    digest = base64.b64encode(hashlib.sha256(page.scripts["script"].encode()).digest()).decode()
    assert f"default-src 'none'; img-src data: blob:; style-src 'unsafe-inline'; script-src 'sha256-{digest}'" in text
    for word in ("eval(", "Function(", "innerHTML", "fetch(", "XMLHttpRequest", "import("):
        assert word not in page.scripts["script"]


def test_original_inside_the_run_folder_is_linked_relatively(tmp_path: Path) -> None:
    folder = write_run(tmp_path / "run")
    (tmp_path / "data").rename(folder.root / "data")
    table = folder.predictions.read_text().replace(str(tmp_path / "data"), str(folder.root / "data"))
    folder.predictions.write_text(table)
    assert "data/image0.png" in [image["link"] for image in Page(write_report(folder.root)).images]


@pytest.mark.parametrize(
    ("height", "width", "expected"),
    [
        (1, 1, (1, 1)),
        (80, 96, (80, 96)),
        (512, 512, (512, 512)),
        (513, 400, (512, 399)),
        (3000, 1000, (512, 171)),
        (256, 4096, (64, 1024)),
        (1, 5000, (1, 1024)),
    ],
)
def test_previews_keep_their_size_limit(height: int, width: int, expected: tuple[int, int]) -> None:
    assert preview_shape(height, width, pixels=LONG_SIDE**2) == expected


def test_shrinking_keeps_the_highest_residual() -> None:
    map_ = np.zeros((101, 67), np.float32)
    map_[100, 66] = 7
    small = shrink_highest(map_, (10, 9))
    assert small.shape == (10, 9)
    assert small[-1, -1] == 7
    assert np.count_nonzero(small) == 1
    np.testing.assert_array_equal(shrink_highest(map_, map_.shape), map_)


@pytest.mark.parametrize("shape", [(101, 67), (101, 67, 3), (40, 300)])
def test_large_images_are_shrunk_band_by_band_to_the_same_pixels(
    shape: tuple[int, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    rng = np.random.default_rng(0)
    samples, map_ = rng.integers(0, 256, shape).astype(np.uint8), rng.random(shape[:2], np.float32)
    image = Pixels(samples, 255.0)
    small = (31, 23)
    whole = np.asarray(Image.fromarray(samples).resize((23, 31), Image.Resampling.BOX))
    highest = shrink_highest(map_, small)
    monkeypatch.setattr(bands, "BAND", 700)
    np.testing.assert_array_equal(shrink(image, small), whole)
    np.testing.assert_array_equal(shrink_highest(map_, small), highest)
    np.testing.assert_array_equal(shrink_highest(map_ > 0.99, small), highest > 0.99)


def test_pictures_hold_the_truth_and_every_segmentation(finished: RunFolder) -> None:
    page, results = Page(finished.report), read_results(finished)
    (model,) = page.content["models"]
    for index, item in enumerate(assess(results)):
        stored = page.pictures(index)
        maps = read_maps(results, item.inspection)
        opened = pixels(stored["maps"][0]["opened"])
        np.testing.assert_array_equal(opened > model["review"], maps.segmentation)
        if item.inspection.masks:
            np.testing.assert_array_equal(pixels(stored["masks"]) == TRUTH, maps.truth)
        else:
            assert stored["masks"] is None


def test_a_page_of_many_images_keeps_to_its_size(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def size(page: Page) -> int:
        return sum(len(text) for name, text in page.scripts.items() if name.startswith("pictures"))

    folder = write_run(tmp_path / "run", kinds=("good", "hole") * 2)
    rng = np.random.default_rng(0)
    for path in (tmp_path / "data").glob("*[0-9].png"):
        Image.fromarray(rng.integers(0, 256, (HEIGHT, WIDTH), np.uint8)).save(path)
    whole = size(Page(write_report(folder.root)))
    monkeypatch.setattr("ssimae.report.gallery.content._PAGE_BYTES", int(0.7 * whole))
    page = Page(write_report(folder.root))
    assert size(page) < 0.75 * whole
    assert all(image["preview"] < [WIDTH, HEIGHT] == image["size"] for image in page.images)


def test_data_without_masks_has_no_metrics_and_says_so(tmp_path: Path) -> None:
    page = Page(write_report(write_run(tmp_path / "run", masks=False).root))
    assert "No metrics: this data has no ground-truth masks." in page.words
    assert "AU-PRO" not in page.words


@pytest.mark.parametrize(
    ("kind", "said"),
    [
        ("unlabelled", "2 unlabelled: 2 defective."),
        ("training", "This data has no test images: the good images themselves were inspected."),
    ],
)
def test_images_without_truth_are_said_to_be_so(tmp_path: Path, kind: str, said: str) -> None:
    folder = write_run(tmp_path / "run", kinds=(kind,) * 2)
    page = Page(write_report(folder.root))
    assert said in page.words
    assert "No metrics" in page.words


def test_comparison_stands_beside_the_model(compared: RunFolder) -> None:
    folder, page = compared, Page(compared.report)
    assert "SSIM-AE: 0 of 1 good images passed; 2 of 3 defective" in page.words
    assert "L2-AE: No verdict counts" in page.words
    assert "L2-AE: the second network learned nothing" in page.words
    assert [len(image["rows"]) for image in page.images] == [2] * 4
    assert all(maps["opened"] for index in range(4) for maps in page.pictures(index)["maps"])
    assert [model["title"] for model in page.content["models"]] == ["SSIM-AE", "L2-AE"]
    assert (folder.root / "figures" / "overlap_l2.png").exists()


def test_verdicts_of_a_network_that_learned_nothing_are_counted_when_told(tmp_path: Path) -> None:
    page = Page(write_report(write_run(tmp_path / "run", compare=True).root, allow_collapsed=True))
    assert "L2-AE: 0 of 1 good images passed; 2 of 3 defective" in page.words
    assert "L2-AE: the second network learned nothing" in page.words


def test_comparison_without_results_is_said(tmp_path: Path) -> None:
    folder = write_run(tmp_path / "run", compare=True)
    (folder.root / "l2" / "config.toml").unlink()
    page = Page(write_report(folder.root))
    assert "No comparison: the run names a second model (l2)" in page.words
    assert len(page.content["models"]) == 1


def test_runs_stand_side_by_side(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name in ("monday", "tuesday"):
        (tmp_path / name).mkdir()
        write_run(tmp_path / name / "run", kinds=("good", "hole", "hole") if name == "monday" else ("good", "hole"))
    runs = [str(tmp_path / name / "run") for name in ("monday", "tuesday")]
    out = tmp_path / "new" / "both.html"
    assert main(["report", *runs, "--out", str(out)]) == 0
    page = Page(out)
    assert [model["title"] for model in page.content["models"]] == ["monday/run", "tuesday/run"]
    assert [model["command"] for model in page.content["models"]] == runs
    assert sorted(sum(row is not None for row in image["rows"]) for image in page.images) == [1, 2, 2]
    assert main(["report", *runs, "--out", str(out)]) == 0
    config = tmp_path / "monday" / "run" / "config.toml"
    before = config.read_bytes()
    assert main(["report", *runs, "--out", str(config)]) == 2
    assert "exists, and is no page of runs side by side" in capsys.readouterr().err
    assert config.read_bytes() == before
    assert main(["report", runs[0], "--out", str(out)]) == 2
    assert main(["report", runs[0], runs[0]]) == 2
    assert "given twice" in capsys.readouterr().err


def test_runs_without_a_common_image_are_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name, kind in (("monday", "hole"), ("tuesday", "scratch")):
        (tmp_path / name).mkdir()
        write_run(tmp_path / name / "run", kinds=(kind,))
    assert main(["report", *(str(tmp_path / name / "run") for name in ("monday", "tuesday"))]) == 2
    assert "has no inspected image in common with" in capsys.readouterr().err


def test_what_has_gone_is_named_at_its_image(tmp_path: Path) -> None:
    folder = write_run(tmp_path / "run")
    (tmp_path / "data" / "image0.png").unlink()
    (tmp_path / "data" / "image3_mask.png").unlink()
    folder.map_path(folder.residuals, "hole", "image2").unlink()
    folder.map_path(folder.reconstructions, "hole", "image2").write_bytes(b"II*\0")
    page = Page(write_report(folder.root))
    said = page.problems
    assert f"The original is not there any more: {tmp_path / 'data' / 'image0.png'}." in said
    assert f"The ground truth is not there any more: {tmp_path / 'data' / 'image3_mask.png'}." in said
    assert "The residual is not there any more: " in said
    assert "The reconstruction cannot be shown: " in said


def test_training_that_has_not_finished_is_called_so(tmp_path: Path) -> None:
    folder = write_run(tmp_path / "run")
    assert training_sentence(read_results(folder)) == "2,000,000 patches in 9 s, loss 0.2 last"
    folder.thresholds.unlink()
    assert training_sentence(read_results(folder)).startswith("unfinished: 512 of 2,000,000 patches in 9 s")


def test_run_that_stopped_early_still_has_a_page(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path)
    folder.write_config(Settings(), small_facts())
    page = Page(write_report(tmp_path))
    assert "No image has been inspected" in page.words
    assert "No thresholds" in page.words


def test_of_many_images_the_worst_are_pictured_and_all_are_counted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ssimae.report.gallery.content.MOST_PICTURED", 1)
    page = Page(write_report(write_run(tmp_path / "run").root))
    assert [name for name in page.scripts if name.startswith("pictures-")] == ["pictures-0"]
    assert page.images[0]["name"] == "image2"  # the one that was missed
    assert all("peaks" in image["rows"][0] for image in page.images)


def test_folder_that_is_no_run_is_refused(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"not a run folder \(no config.toml\)"):
        write_report(tmp_path)


@pytest.mark.parametrize("name", ["thresholds.json", "metrics.json", "curves.npz", "predictions.csv", "pod.json"])
def test_damaged_file_is_named(tmp_path: Path, name: str) -> None:
    folder = write_run(tmp_path / "run")
    (folder.root / name).write_text("name\n{")
    with pytest.raises(ValueError, match=re.escape(name)):
        write_report(folder.root)


def test_share_never_rounds_something_to_nothing() -> None:
    values = (0.0, 1e-9, 0.00123, 0.12345, 0.9999, 1.0, None)
    assert [share(value) for value in values] == ["0 %", "< 0.01 %", "0.12 %", "12.3 %", "> 99.9 %", "100 %", "–"]


def test_metrics_of_an_earlier_version_are_shown_as_far_as_they_go(tmp_path: Path) -> None:
    folder = write_run(tmp_path / "run")
    metrics = json.loads(folder.metrics.read_text())
    del metrics["by_size"]
    for part in metrics["by_defect"].values():
        for name in ("median_overlap", "area_px", "image_auroc"):
            del part[name]
    folder.metrics.write_text(json.dumps(metrics))
    assert f"{metrics['by_defect']['hole']['auroc']:.3f}" in Page(write_report(folder.root)).words
