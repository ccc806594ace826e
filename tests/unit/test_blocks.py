"""Blocks of lines: how large they are, and where they are cut."""

from __future__ import annotations

from jobs.dbaccess.load.copying.parts import Counted
from jobs.dbaccess.load.rejects.blocks import BlockSize, Lines, gathered


def test_blocks_are_small_while_bad_lines_are_close_and_grow_again() -> None:
    size = BlockSize()
    usual = size.best
    for _ in range(10_000):
        size.count(100, 1)
    assert size.best < usual / 50
    for _ in range(300):
        size.count(1 << 20, 0)
    assert size.best >= usual


def test_lines_are_gathered_with_their_hashes_and_origins() -> None:
    blocks = [Counted(b"1\n", 1, 5, b"h" * 8, [b"a"]), Counted(b"2\n3\n", 2, 6, b"i" * 16, [b"b", b"c"])]
    joined = Counted(b"1\n2\n3\n", 3, 11, b"h" * 8 + b"i" * 16, [b"a", b"b", b"c"])
    assert list(gathered(blocks, BlockSize())) == [joined]


def test_lines_are_cut_only_where_they_are_much_longer_than_a_block() -> None:
    lines = Lines(Counted(b"1\n22\n333\n", 3))
    assert [bytes(lines.text(first, end)) for first, end in ((0, 3), (1, 3), (0, 1))] == [
        b"1\n22\n333\n",
        b"22\n333\n",
        b"1\n",
    ]
    assert lines.middle(0, 3, 100) is None
    assert lines.middle(0, 3, 2) == 1
    assert lines.middle(2, 3, 1) is None, "one line is never cut"
