"""The check of the built documentation finds what it is there for, and every page has a place in the site."""

import re
import runpy
from pathlib import Path

DOCS = Path(__file__).parents[2] / "docs"


def test_the_check_finds_links_that_lead_nowhere_and_files_from_elsewhere(tmp_path: Path) -> None:
    faults = runpy.run_path(str(DOCS / "check_site.py"))["faults"]
    (tmp_path / "other.html").write_text('<h2 id="here">Here</h2><img src="data:image/png;base64,AA==">')
    good = '<a href="other.html#here">a</a> <a href="#top" id="top">b</a> <a href="https://example.org/">c</a>'
    (tmp_path / "index.html").write_text(good)
    assert faults(tmp_path) == []
    (tmp_path / "index.html").write_text(
        good
        + '<a href="gone.html">d</a> <a href="other.html#gone">e</a> <img src="gone.png">'
        + '<script src="https://example.org/x.js"></script> <link rel="stylesheet" href="//example.org/x.css">'
    )
    (tmp_path / "own.css").write_text("@import 'https://example.org/fonts.css';")
    assert faults(tmp_path) == [
        "index.html: loads https://example.org/x.js from elsewhere",
        "index.html: loads //example.org/x.css from elsewhere",
        "index.html: gone.html leads nowhere",
        "index.html: other.html#gone has no such heading",
        "index.html: gone.png leads nowhere",
        "own.css: loads from elsewhere",
    ]


def test_every_page_has_its_line_in_the_contents() -> None:
    listed = re.findall(r"^[a-z][a-z_/-]*$", (DOCS / "index.md").read_text(), re.MULTILINE)
    pages = {str(path.relative_to(DOCS).with_suffix("")) for path in DOCS.rglob("*.md")} - {"index"}
    assert sorted(listed) == sorted(pages)
