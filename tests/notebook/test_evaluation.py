"""An evaluation shows itself: its figure and its cell in a notebook hold its numbers, and nothing is fetched."""

import json
import re

import numpy as np
from ssimae import Evaluation, evaluate_maps


def evaluation(*, good: bool) -> Evaluation:
    rng = np.random.default_rng(0)
    masks = [np.zeros((40, 50), np.uint8) for _ in range(3)]
    for mask in masks[1 if good else 0 :]:
        mask[10:20, 20:30] = 1
    return evaluate_maps([rng.random(mask.shape) + mask / 2 for mask in masks], masks)


def test_a_cell_and_the_text_hold_the_metrics() -> None:
    found = evaluation(good=True)
    html = found._repr_html_()
    for number in (found.auroc, found.aupro, found.image_auroc):
        assert f">{number:.4f}</td>" in html
    assert re.findall(r'src="(data:image/png;base64,)', html) == ["data:image/png;base64,"]
    assert "http" not in re.sub(r'src="[^"]*"', "", html)
    assert repr(found).startswith(f"Evaluation(auroc={found.auroc:.4f}, average_precision=")
    assert repr(found).endswith("n_images=3, n_regions=2)")
    assert json.loads(json.dumps(found.to_dict(), allow_nan=False))["au_pro"] == found.aupro


def test_a_metric_that_is_not_defined_has_its_reason() -> None:
    found = evaluation(good=False)
    assert found.image_auroc_reason is not None
    assert f">none: {found.image_auroc_reason}</td>" in found._repr_html_()


def test_metrics_that_nobody_asked_for_are_not_shown_as_missing() -> None:
    found = evaluation(good=True)
    assert "–" not in repr(found)
    assert ">–</td>" not in found._repr_html_()


def test_the_curves_of_the_figure_are_those_of_the_evaluation() -> None:
    found = evaluation(good=True)
    roc, pro, overlap = found.plot().axes
    np.testing.assert_array_equal(roc.lines[1].get_xydata(), found.roc.T)
    np.testing.assert_array_equal(pro.lines[0].get_xydata(), found.pro.T)
    assert len(overlap.lines) == len(found.overlap_quantiles)
