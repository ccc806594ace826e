"""make chaos: the tables of a release beside its own, and what a reader who joins them must not see."""

from __future__ import annotations

import json
from pathlib import Path

import pyarrow.dataset
import pytest

from chaos.data.release import BEFORE, MODES, Seen, after, before, contradictions, loaded, manifest, referencing, write
from chaos.data.rows import first_old
from chaos.plan.draw import DECK, draw
from chaos.plan.flows import RELEASE

TRIALS = [draw(seed) for seed in range(1, 2_000) if draw(seed).flow == RELEASE]
TRIAL = next(trial for trial in TRIALS if {table.mode for table in referencing(trial)} == {"overwrite", "upsert"})
CHILD, GRANDCHILD = (table.first_old for table in referencing(TRIAL))
ALL = (first_old(TRIAL), CHILD, GRANDCHILD)


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


def test_a_release_is_written_for_spark_under_its_own_name(tmp_path: Path) -> None:
    write(TRIAL, tmp_path)
    child, _ = referencing(TRIAL)
    found = pyarrow.dataset.dataset(tmp_path / "child").to_table(columns=["id", "parent", "text"]).to_pylist()
    assert sorted((row["id"], row["parent"], row["text"]) for row in found) == [
        (key, parent, text) for key, parent, _, text in loaded(TRIAL, child, "x")
    ]
    [grandchild, *_, target] = json.loads(manifest(TRIAL, tmp_path, "x", {"table": "shop.target"}))["tables"]
    assert (grandchild["table"], target["table"]) == ("shop.grandchild", "shop.target")
    assert "'x' AS release" in grandchild["select"]


def test_rows_that_are_there_before_are_no_releases() -> None:
    for table in (table for table in referencing(TRIAL) if not table.created):
        assert {row[2] for row in before(table)} == {BEFORE}
        assert min(row[0] for row in before(table)) == table.first_old


@pytest.mark.parametrize(
    "seen", [Seen((0, 0, 0), ((), ()), 0), Seen(ALL, (("a",), ("a",)), 0), Seen(ALL, (("b",), ("b",)), 0)]
)
def test_a_whole_release_or_none_is_no_contradiction(seen: Seen) -> None:
    assert list(contradictions(TRIAL, seen)) == []


@pytest.mark.parametrize(
    ("seen", "told"),
    [
        (Seen((*ALL[:2], 0), (("a",), ()), 0), "rows of a release of"),
        (Seen((ALL[0], CHILD - 1, GRANDCHILD), (("a",), ("a",)), 0), "rows of a release of"),
        (Seen(ALL, (("a",), ("b",)), 0), "rows of another release in each table"),
        (Seen(ALL, (("a", "b"), ("a",)), 0), "rows of two releases in one table"),
        (Seen(ALL, (("a",), ("a",)), 3), "3 rows without those that they refer to"),
    ],
)
def test_a_part_of_a_release_or_two_of_them_are_told(seen: Seen, told: str) -> None:
    assert any(told in complaint for complaint in contradictions(TRIAL, seen))
