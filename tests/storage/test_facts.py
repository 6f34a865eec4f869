"""The facts of a run survive its config.toml, and a table that lacks one is refused by its name."""

from pathlib import Path

import pytest
from ssimae.config.settings import Settings
from ssimae.storage.facts import Facts, PredictFacts, facts_from_table
from ssimae.storage.run_folder import RunFolder
from support.small_data import small_facts

EVERYTHING = small_facts(
    warnings=("no metrics",),
    ignore=Path("/masks/edge.png"),
    weights=Path("/runs/first"),
    pretrained=Path("/weights/alexnet.pth"),
    commit="0123456789ab",
    compare="l2",
    held_out=True,
    held_out_images=("a.png", "b.png"),
    threshold_images=("a.png",),
    plateau=0.5,
    features="random:0",
)


@pytest.mark.parametrize(
    "facts",
    [
        small_facts(),
        EVERYTHING,
        EVERYTHING.with_alarm("it learned nothing"),
        PredictFacts(model=Path("/runs/first/model.safetensors"), device="CPU"),
        PredictFacts(model=Path("/runs/first/model.safetensors"), device="CPU", ignore=Path("/masks")),
    ],
)
def test_facts_come_back_as_they_were_written(tmp_path: Path, facts: Facts | PredictFacts) -> None:
    folder = RunFolder(tmp_path)
    folder.write_config(Settings(), facts)
    assert folder.read_config() == (Settings(), facts)


def test_only_the_warning_of_a_collapse_is_grave() -> None:
    facts = small_facts(warnings=("no metrics",))
    assert facts.graded_warnings() == [("no metrics", False)]
    assert facts.with_alarm("nothing").graded_warnings() == [("no metrics", False), ("nothing", True)]


def test_a_recorded_collapse_counts_and_not_how_a_warning_reads() -> None:
    table = small_facts(warnings=("training collapsed: or did it",)).to_table()
    assert not facts_from_table(table).graded_warnings()[0][1]  # type: ignore[union-attr]


def test_a_missing_fact_is_named() -> None:
    table = small_facts().to_table()
    del table["fingerprint"]
    with pytest.raises(ValueError, match="has no `fingerprint`"):
        facts_from_table(table)
