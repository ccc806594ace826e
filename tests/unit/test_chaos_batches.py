"""make chaos: the files of a capture that a table follows, and what the table must hold by them."""

from __future__ import annotations

from pathlib import Path

import pyarrow.parquet as pq
import pytest

from chaos.data.batches import READ, Capture, Seen, batches, contradictions, held
from chaos.data.rows import as_json, loaded
from chaos.plan.draw import draw
from chaos.plan.flows import FOLLOW, TARGETS

TRIALS = [draw(seed) for seed in range(1, 2_000) if draw(seed).flow == FOLLOW]
TRIAL = TRIALS[0]

FIRST, ALL = 500, 600
"""The keys that are there at first, and that are ever inserted: fewer than in a trial."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """All that is written in a trial."""
    folder = tmp_path_factory.mktemp("capture")
    capture = Capture(TRIAL, folder, range(ALL))
    capture.copy(loaded(TRIAL, FIRST))
    capture.change()
    assert list(batches(folder)) == [*range(1, READ + 1)]
    capture.begin()
    capture.complete()
    capture.complete()
    capture.leave_and_tell()
    capture.change()
    return folder


def told(folder: Path, number: int) -> list[tuple[str, int]]:
    table = pq.ParquetDataset(folder / f"pgjobs_batch={number:012d}", partitioning=None).read(["_op", "id"])
    return list(zip(*(column.to_pylist() for column in table.columns)))


def test_tables_are_followed_from_the_start_and_from_a_position() -> None:
    assert {(trial.primed, trial.verify) for trial in TRIALS} == {(a, b) for a in (False, True) for b in (False, True)}
    assert {(trial.mode, trial.target) for trial in TRIALS} == {("upsert", target) for target in TARGETS["upsert"]}
    assert {trial.input for trial in TRIALS} == {"files", "shuffled"}


def test_a_batch_that_is_not_complete_does_not_count(folder: Path) -> None:
    assert list(batches(folder)) == [1, 2, 3, 4, 6, 7, 8]
    assert len(told(folder, 5)) > 0
    assert held(folder, 5) == held(folder, 4)


def test_batches_insert_update_and_delete_what_they_say(folder: Path) -> None:
    there: set[int] = set()
    for number in batches(folder):
        changes = told(folder, number)
        inserted, updated, deleted = ({key for op, key in changes if op == name} for name in "IUD")
        assert len(changes) == len(inserted) + len(updated) + len(deleted)
        assert inserted.isdisjoint(there)
        assert updated | deleted <= there
        assert inserted
        assert number == 1 or (updated and deleted)
        there = (there | inserted) - deleted
    assert {row[0] for row in held(folder, max(batches(folder)))} == there


def test_the_last_change_of_a_key_counts(folder: Path) -> None:
    first, second = ({key: operation for operation, key in told(folder, number)} for number in (2, 3))
    assert {("U", "U"), ("U", "D"), ("D", "I")} <= {(first[key], second[key]) for key in first.keys() & second.keys()}
    before, after = ({row[0]: row for row in held(folder, number)} for number in (1, 3))
    assert {key for key in range(FIRST) if before[key] == after.get(key)} == set()


def seen(folder: Path, last: int, batch: int, load_id: str = "x", *, recorded: bool = True) -> Seen:
    return Seen(as_json(held(folder, last)), batch, load_id, recorded)


def test_a_table_that_is_what_its_position_says_is_no_contradiction(folder: Path) -> None:
    assert list(contradictions(seen(folder, 8, 8), folder, "x")) == []
    assert list(contradictions(seen(folder, 3, 3), folder, "x", READ)) == []
    assert list(contradictions(Seen([]), folder, "", 0)) == []


@pytest.mark.parametrize(
    ("last", "batch", "load_id", "recorded", "told"),
    [
        (8, 7, "x", True, "the table at batch 7: "),
        (6, 7, "x", True, "the table at batch 7: "),
        (1, 0, "", False, "the table at batch 0: 500 rows for 0"),
        (4, 5, "x", True, "the position is batch 5, which is not complete"),
        (2, 2, "x", True, "the position is batch 2, and 8 are complete"),
        (6, 6, "y", True, "the position was stored by 'y', and not by 'x'"),
        (6, 6, "x", False, "'x' stored a position, and has no marker"),
    ],
)
def test_rows_position_and_marker_that_are_not_one_are_told(
    folder: Path, last: int, batch: int, load_id: str, recorded: bool, told: str
) -> None:
    what = seen(folder, last, batch, load_id, recorded=recorded)
    assert any(told in complaint for complaint in contradictions(what, folder, "x", READ))
