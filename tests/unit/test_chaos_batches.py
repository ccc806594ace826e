"""make chaos: the files of a capture that a table follows."""

from __future__ import annotations

from pathlib import Path

import pyarrow.parquet as pq
import pytest
from captured_batches import FIRST, TRIALS, write_batches

from chaos.data.batches import batches, held
from chaos.plan.flows import TARGETS


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_batches(tmp_path_factory.mktemp("capture"))


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
