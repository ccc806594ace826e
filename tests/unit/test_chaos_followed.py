"""make chaos: what a table must hold that follows a capture, by its position."""

from __future__ import annotations

from pathlib import Path

import pytest
from captured_batches import write_batches

from chaos.data.batches import READ, held
from chaos.data.rows import as_json
from chaos.judge.followed import Seen, contradictions


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_batches(tmp_path_factory.mktemp("capture"))


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
