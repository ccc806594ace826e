"""make chaos: the tables of a release beside its own."""

from __future__ import annotations

from pathlib import Path

import pyarrow.dataset

from chaos.data.release import BEFORE, MODES, after, before, loaded, referencing, write
from chaos.plan.deck import DECK
from chaos.plan.draw import draw
from chaos.plan.flows import RELEASE

TRIALS = [draw(seed) for seed in range(1, 2_000) if draw(seed).flow == RELEASE]
TRIAL = next(trial for trial in TRIALS if {table.mode for table in referencing(trial)} == {"overwrite", "upsert"})


def test_the_modes_of_the_tables_are_mixed() -> None:
    met = {tuple(table.mode for table in referencing(trial)) for trial in TRIALS}
    assert met >= {(child, grandchild) for child in MODES for grandchild in MODES}
    assert {trial.mode for trial in TRIALS} == {"append", "overwrite", "upsert", "ignore"}
    assert {referencing(trial)[1].created for trial in TRIALS} == {True, False}
    assert {trial.fault for trial in TRIALS[: len([case for case in DECK if case.flow == RELEASE])]} > {
        "lose answer to COMMIT",
        "terminate backends",
        "restart server",
        "same table",
    }


def test_two_releases_at_once_append_nothing() -> None:
    both = [trial for trial in TRIALS if trial.fault == "same table"]
    assert both
    assert "append" not in {mode for trial in both for mode in (trial.mode, *(t.mode for t in referencing(trial)))}


def test_no_row_refers_to_one_that_a_release_lacks_or_deletes() -> None:
    combinations = {tuple(table.mode for table in referencing(trial)): trial for trial in TRIALS}
    for trial in combinations.values():
        child, grandchild = referencing(trial)
        for published in (False, True):
            ids = {row[0] for row in after(trial, child, "x", published=published)}
            assert {row[1] for row in after(trial, grandchild, "x", published=published)} <= ids


def test_the_rows_of_a_release_are_written_for_spark(tmp_path: Path) -> None:
    write(TRIAL, tmp_path)
    child, _ = referencing(TRIAL)
    found = pyarrow.dataset.dataset(tmp_path / "child").to_table(columns=["id", "parent", "text"]).to_pylist()
    assert sorted((row["id"], row["parent"], row["text"]) for row in found) == [
        (key, parent, text) for key, parent, _, text in loaded(TRIAL, child, "x")
    ]


def test_rows_that_are_there_before_are_no_releases() -> None:
    for table in (table for table in referencing(TRIAL) if not table.created):
        assert {row[2] for row in before(table)} == {BEFORE}
        assert min(row[0] for row in before(table)) == table.first_old
