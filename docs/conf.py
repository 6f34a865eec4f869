"""Build the pages of docs/ and the docstrings into one site that works offline: `make docs`."""

from importlib.metadata import version as version_of

from sphinx.application import Sphinx

project = "ssimae"
author = "the authors of ssimae"
copyright = "the authors of ssimae; Apache-2.0"
version = release = version_of("ssimae")

extensions = ["sphinx.ext.autodoc", "sphinx.ext.napoleon", "myst_nb"]
exclude_patterns = ["_build"]

html_theme = "furo"
html_title = f"ssimae {release}"
html_static_path: list[str] = []
# Nothing is asked of other servers: the theme brings its own scripts, and there are no formulas, which would need one.
html_show_sphinx = False
html_copy_source = False
# furo marks its own file of variables for a pygments style by name.
pygments_style = "friendly"
pygments_dark_style = "monokai"

# All links between pages are checked, and so are those to headings.
nitpicky = False
myst_heading_anchors = 4
myst_enable_extensions = ["colon_fence", "deflist"]

autodoc_member_order = "bysource"
autodoc_typehints = "none"  # the docstrings name types, with shapes and ranges
napoleon_google_docstring = False
napoleon_use_rtype = False
napoleon_preprocess_types = False

# A cell that fails ends the build. Notebooks are kept without outputs; they are made here.
nb_execution_mode = "force"
nb_execution_raise_on_error = True
nb_execution_timeout = 180
nb_execution_show_tb = True
nb_merge_streams = True


def setup(app: Sphinx) -> None:
    """Let a link to a file outside of docs/ lead to the page that includes it, and leave out what scikit-learn adds."""
    app.connect("source-read", _inside)
    app.connect("autodoc-skip-member", _routes_metadata)
    app.connect("autodoc-process-docstring", _whole_sentences, priority=400)


def _inside(app: Sphinx, page: str, source: list[str]) -> None:
    source[0] = source[0].replace("](../results/settings.md)", "](settings-results.md)")


def _routes_metadata(app: Sphinx, what: str, name: str, member: object, skip: bool, options: object) -> bool | None:
    return True if name.startswith("set_") and name.endswith("_request") else None


def _whole_sentences(app: Sphinx, what: str, name: str, member: object, options: object, lines: list[str]) -> None:
    """Keep napoleon, which comes next, from taking what stands before a colon for the type of an attribute."""
    if what in ("attribute", "property"):
        lines.insert(0, "")
