"""Rows are found in a part by their hashes, and by the texts of columns that these do not compare."""

from __future__ import annotations

import struct

from jobs.copyformat.text.parsed_text import ParsedText
from jobs.dbaccess.load.copying.parts import Counted
from jobs.spark.origins import Finder, Line


def block(*rows: tuple[int, int], text: bytes = b"%d\n") -> Counted:
    """Rows of a hash, from a file."""
    lines = b"".join(text % one for one, _ in rows)
    hashes = struct.pack(f"!{len(rows)}q", *(one for one, _ in rows))
    return Counted(lines, len(rows), 0, hashes, [b"%d\t%d\t" % (file, place) for place, (_, file) in enumerate(rows)])


def test_rows_are_counted_and_the_last_ones_are_told_with_their_numbers_in_the_part() -> None:
    blocks = [block((5, 1), (-7, 1)), block((6, 1)), block((5, 2), (8, 2), (5, 3))]
    finder = Finder({4: {(5, ()): 2, (-7, ()): 1, (9, ()): 1}}, with_lines=True)
    [five, seven] = finder.find(4, blocks)
    assert (five.part, five.hash, five.count, five.is_sure) == (4, 5, 3, True)
    assert five.last == ((4, Line(b"5\n", b"2\t0\t")), (6, Line(b"5\n", b"3\t2\t")))
    assert (seven.count, seven.files) == (1, frozenset({1}))
    assert seven.last == ((2, Line(b"-7\n", b"1\t1\t")),)


def test_rows_that_are_known_to_be_others_do_not_count() -> None:
    [five] = Finder({0: {(5, ()): 1}}, but=frozenset({(0, 2), (1, 1)})).find(0, [block((5, 1), (5, 2))])
    assert (five.count, five.files) == (1, frozenset({1}))
    assert [place for place, _ in five.last] == [1]


def test_rows_of_one_hash_are_told_apart_by_their_texts_as_far_as_these_are_known() -> None:
    integer = ParsedText.of("integer")
    assert integer is not None
    finder = Finder({0: {(5, ("7",)): 1, (5, (None,)): 1}}, ((1, integer),))
    known = block((5, 1), text=b"%d\t007\n"), block((5, 2), text=b"%d\t8\n"), block((5, 3), text=b"%d\t\\N\n")
    [seven, null] = finder.find(0, known)
    assert [(one.count, one.is_sure, one.last[0][0]) for one in (seven, null)] == [(1, True, 1), (1, True, 3)]
    [seven, null] = finder.find(0, [*known, block((5, 9), text=b"%d\t0x7\n")])
    assert [(one.count, one.is_sure, one.last) for one in (seven, null)] == [(2, False, ())] * 2
    assert seven.files == {1, 9}
