"""A prediction shows itself: its pictures, figure and numbers say the same, and nothing is fetched."""

import base64
import io
import json
import re

import numpy as np
import pytest
from matplotlib.figure import Figure
from PIL import Image
from ssimae import Prediction
from ssimae.figures.outlines import DEFECTIVE, REVIEW, painted
from ssimae.images.depth import Pixels
from ssimae.inspection.inspector import Maps
from ssimae.inspection.threshold import Thresholds
from ssimae.prediction.prediction import prediction_of

THRESHOLDS = Thresholds(
    review=2.0, defective=3.0, rule="area", min_area=4, held_out=True, images=5, pixels=99, precision="float32",
    engine="torch", good_scores=(1.0,), good_levels=(1.0,),
)  # fmt: skip


def prediction(shape: tuple[int, ...] = (60, 90), *, found: bool = True, unlike: tuple[str, ...] = ()) -> Prediction:
    rng = np.random.default_rng(0)
    judged = rng.uniform(0.5, 1.5, shape[:2]).astype(np.float32)
    if found:
        judged[10:20, 30:50] = 2.5
        judged[40:50, 60:70] = 3.5
    maps = Maps(np.zeros(shape, np.float32), judged / 10, judged, calibrated=True, unlike=unlike)
    return prediction_of(Pixels(rng.integers(0, 256, shape).astype(np.uint8), 255.0), maps, THRESHOLDS)


def pictures(html: str) -> list[Image.Image]:
    """Return the pictures of a cell, after seeing that it fetches nothing."""
    sources = re.findall(r'(?:src|href)="([^"]*)"', html)
    assert all(source.startswith("data:image/") for source in sources)
    assert "http" not in re.sub(r'src="[^"]*"', "", html)
    return [Image.open(io.BytesIO(base64.b64decode(source.partition("base64,")[2]))) for source in sources]


def test_the_numbers_are_json_and_agree_with_the_maps() -> None:
    found = prediction()
    said = json.loads(json.dumps(found.to_dict(), allow_nan=False))
    assert (said["verdict"], said["reason"]) == ("defective", "a place stands out")
    assert (said["height"], said["width"], said["defect_px"]) == (60, 90, 10 * 20 + 10 * 10)
    assert [(row["region"], row["verdict"], row["area"]) for row in said["regions"]] == [
        (1, "defective", 100),
        (2, "review", 200),
    ]
    first = said["regions"][0]
    assert found.mask[first["top"] : first["bottom"], first["left"] : first["right"]].all()
    assert prediction(found=False).to_dict()["regions"] == []
    assert repr(found) == f"Prediction(score={found.score!r}, verdict='defective', reason='a place stands out')"


@pytest.mark.parametrize("shape", [(60, 90), (60, 90, 3), (400, 3000), (3000, 80)])
def test_a_cell_holds_small_pictures_and_fetches_nothing(shape: tuple[int, ...]) -> None:
    html = prediction(shape)._repr_html_()
    assert len(html) < 400_000  # of noise, which JPEG cannot shrink
    sizes = [picture.size for picture in pictures(html)]
    assert len(sizes) == 2
    for width, height in sizes:
        assert max(width, height) <= 1020
        assert abs(width - height * shape[1] / shape[0]) <= 1 or abs(height - width * shape[0] / shape[1]) <= 1
    for width in re.findall(r"width:(\d+)px;max-width:100%", html):
        assert max(int(width), int(width) * shape[0] / shape[1]) <= 700
    assert ">defective</strong> a place stands out" in html
    assert "score 3.5; to be reviewed above 2, defective above 3" in html
    assert html.count("<tr>") == 1 + 2


def test_words_are_escaped() -> None:
    html = prediction(found=False, unlike=("<script>",))._repr_html_()
    assert "<script>" not in html
    assert ">review</strong>" in html
    assert ">good</strong> nothing stands out" in prediction(found=False)._repr_html_()


def test_colours_of_a_map_are_its_thresholds() -> None:
    found = prediction()
    picture = painted(found.judged, THRESHOLDS)
    amber, red = ((picture == colour).all(axis=2) for colour in (REVIEW, DEFECTIVE))
    np.testing.assert_array_equal(red, found.judged > 3)
    np.testing.assert_array_equal(amber | red, found.judged > 2)
    # A single pixel above a threshold is seen in a picture a tenth as large.
    spot = np.zeros((600, 900), np.float32)
    spot[301, 444] = 3.1
    assert (painted(spot, THRESHOLDS, shape=(60, 90)) == DEFECTIVE).all(axis=2).sum() == 1


def test_an_overlay_changes_pixels_at_the_outlines_alone() -> None:
    found = prediction()
    gray = np.repeat((found.image * 255).round().astype(np.uint8)[:, :, None], 3, axis=2)
    differing = (np.asarray(found.overlay()) != gray).any(axis=2)
    inside = np.zeros_like(found.mask)
    inside[12:18, 32:48] = inside[42:48, 62:68] = True
    assert differing.any()
    assert not differing[inside].any()
    assert not differing[22:38].any()
    assert not (np.asarray(prediction(found=False).overlay()) != gray).any()


def test_a_figure_shows_itself_and_may_be_drawn_into_given_axes() -> None:
    figure = prediction().plot()
    assert len(figure.axes) == 3
    assert figure._repr_png_().startswith(b"\x89PNG")
    own = Figure()
    axes = own.add_subplot()
    assert prediction().plot(ax=axes) is own
    assert axes.get_title() == "defective, score 3.5"
