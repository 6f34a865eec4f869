"""Every public name has an example in its docstring, and what it prints is true."""

import doctest
from pathlib import Path

import pytest
import ssimae

EXPORTED = {"Runtime"}
"""Names whose examples need an exported model: tests/export run them."""


def examples(name: str) -> list[doctest.DocTest]:
    """Return the examples of a public name: in its docstring, and in those of its methods."""
    tests = doctest.DocTestFinder().find(getattr(ssimae, name), name, module=False, globs={})
    return [test for test in tests if any(not example.options.get(doctest.SKIP) for example in test.examples)]


@pytest.mark.parametrize("name", sorted(ssimae.__all__))
def test_the_examples_of_a_public_name_print_what_they_say(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    tests = examples(name)
    assert name in EXPORTED or any(test.name == name for test in tests), "no example in the docstring"
    said: list[str] = []
    for test in tests:
        doctest.DocTestRunner().run(test, out=said.append)
    assert not said, "".join(said)
