"""The examples of docs/python.md run as they stand, from top to bottom, with a network that is trained in no time."""

import ast
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from support.small_data import texture

PAGE = Path(__file__).parents[2] / "docs" / "python.md"
SLOW = 'preset="auto", minutes=5'


def test_the_examples_of_the_page_run(tmp_path: Path, tiny: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(0)
    masks = tmp_path / "photos" / "ground_truth"
    masks.mkdir(parents=True)
    for kind in ("good", "bad"):
        (tmp_path / "photos" / kind).mkdir(parents=True)
        for number in range(4):
            image = texture(rng)
            if kind == "bad":
                image[20:40, 30:60] = rng.integers(0, 255, (20, 30))
                mask = np.zeros_like(image)
                mask[20:40, 30:60] = 255
                Image.fromarray(mask).save(masks / f"{number}_mask.png")
            Image.fromarray(image).save(tmp_path / "photos" / kind / f"{number}.png")
    source = PAGE.read_text()
    blocks = re.findall(r"```python\n(.*?)```", source, flags=re.DOTALL)
    assert len(blocks) > 5
    assert SLOW in source
    names: dict[str, Any] = {"tiny": tiny}
    for block in blocks:
        tree = ast.parse(block.replace(SLOW, "**tiny"))
        exec(compile(tree, str(PAGE), "exec"), names)
        if isinstance(last := tree.body[-1], ast.Expr):
            shown = eval(ast.unparse(last), names)
            assert getattr(shown, "_repr_html_", lambda: "")() is not None
    assert (tmp_path / "marked.png").exists()
    assert (tmp_path / "found.png").exists()
    assert len(names["verdicts"]) == 4
    # The labelled search, which gives defective images to a fit, too.
    assert 0 <= names["search"].best_score_ <= 1
    assert names["search"].best_estimator_.thresholds_.images == 4
