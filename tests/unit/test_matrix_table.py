"""How the table of `make matrix` is kept."""

from __future__ import annotations

from pathlib import Path

import pytest

from matrix import plan, table
from matrix.plan import Trial

ROOT = Path(__file__).parents[2]


PAGE = ROOT / "docs" / "versions.md"


TRIAL = Trial("core", "18", "3.5", "3.9")


COUNTS = table.Counts(passed=1083, failed=0, skipped=150, seconds=90)


ROW = table.Row("core", ("18.4", "3.5.6", "3.9.18"), COUNTS, "2026-11-21", "0123456789")


EMPTY = f"before\n{table.BEGIN}{table.END}after\n"


def test_a_row_is_read_back_as_it_was_written() -> None:
    page = table.with_row(EMPTY, ROW, plan.trials())
    assert table.read(page) == [ROW]
    assert page.startswith("before\n")
    assert page.endswith("after\n")


def test_a_result_takes_the_place_of_the_same_trials_last_one_in_the_tables_order() -> None:
    older = table.Row("core", ("18.3", "3.5.6", "3.9.1"), COUNTS, "2026-10-01", "1111111111")
    other = table.Row("postgres", ("14.23", "4.0.2", "3.9.18"), COUNTS, "2026-11-21", "0123456789")
    page = EMPTY
    for row in (older, other, ROW):
        page = table.with_row(page, row, plan.trials())
    assert table.read(page) == [other, ROW]


def test_a_page_without_a_place_for_the_table_is_told() -> None:
    with pytest.raises(ValueError, match="lacks the lines <!-- make matrix: begin -->"):
        table.with_row("nothing", ROW, plan.trials())


def with_failures(failed: int, commit: str) -> table.Row:
    return table.Row(ROW.tests, ROW.versions, table.Counts(1, failed, 0, 1.0), ROW.date, commit)


@pytest.mark.parametrize(
    ("row", "commit", "settled"),
    [
        (ROW, ROW.commit, True),
        (ROW, "fedcba9876", False),
        (with_failures(1, ROW.commit), ROW.commit, False),
        (with_failures(0, "0123456789+"), "0123456789+", False),
    ],
)
def test_what_passed_on_a_commit_is_not_run_again_on_it(row: table.Row, commit: str, settled: bool) -> None:
    assert row.settles(TRIAL, commit) is settled


def test_a_result_is_of_its_own_versions_alone() -> None:
    others = [Trial("core", "18", "3.5", "3.10"), Trial("core", "18", "4.0", "3.9"), Trial("whole", "18", "3.5", "3.9")]
    assert ROW.is_of(TRIAL)
    assert not any(ROW.is_of(other) for other in others)


def test_the_docs_table_has_rows_of_trials_alone() -> None:
    rows = table.read(PAGE.read_text())
    assert [row for row in rows if not any(row.is_of(trial) for trial in plan.trials())] == []
