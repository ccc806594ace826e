"""Snapshots of a log become its lines: each once, in order, whatever is rotated in between."""

from __future__ import annotations

import gzip
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pgjobs.runs.log_rotation import GAP, Tail, advance, log_files, unzipped


def test_a_growing_file_gives_its_new_lines_only() -> None:
    first, tail = advance(Tail(), [], b"one\ntwo\n")
    second, tail = advance(tail, [], b"one\ntwo\nthree\n")
    third, tail = advance(tail, [], b"one\ntwo\nthree\n")
    assert (first, second, third) == ("one\ntwo\n", "three\n", "")


def test_a_line_is_shown_when_it_is_whole() -> None:
    first, tail = advance(Tail(), [], b"one\ntw")
    second, tail = advance(tail, [], b"one\ntwo\nthr")
    assert (first, second) == ("one\n", "two\n")
    assert advance(tail, [], None, last=True)[0] == "thr"


def test_a_character_that_was_cut_comes_out_whole() -> None:
    text = "größe\n".encode()
    first, tail = advance(Tail(), [], text[:3])
    assert first + advance(tail, [], text)[0] == "größe\n"


def test_after_a_rotation_the_old_file_is_read_to_its_end_and_then_the_new_one() -> None:
    _, tail = advance(Tail(), [], b"one\n")
    old, tail = advance(tail, [(1, b"one\ntwo\n")], b"three\n")
    new, tail = advance(tail, [], b"three\n")
    assert (old, new) == ("two\n", "three\n")
    assert advance(tail, [(2, b"three\nfour\n")], b"")[0] == "four\n"


def test_a_new_file_whose_predecessor_is_not_there_yet_waits_for_it() -> None:
    _, tail = advance(Tail(), [], b"one\n")
    early, tail = advance(tail, [], b"three\n")
    late, _ = advance(tail, [(1, b"one\ntwo\n")], b"three\n")
    assert (early, late) == ("", "two\n")


def test_a_predecessor_that_never_comes_is_told_as_a_gap() -> None:
    _, tail = advance(Tail(), [], b"one\n")
    assert advance(tail, [], b"three\n", last=True)[0] == GAP.decode() + "three\n"


@given(st.lists(st.tuples(st.text(max_size=12), st.sampled_from(["", "look", "rotate", "look early"])), max_size=30))
def test_no_line_is_lost_or_repeated_whenever_one_looks(happenings: list[tuple[str, str]]) -> None:
    """A writer rotates now and then, and a reader looks now and then, perhaps before the rotated file is there."""
    rotated: list[tuple[int, bytes]] = []
    live, written, shown, tail = b"", b"", "", Tail()
    for number, (words, event) in enumerate(happenings):
        line = f"{number} {words}".encode()
        live, written = live + line, written + line
        if event == "rotate":
            rotated.append((len(rotated) + 1, live))
            live = b""
        elif event:
            early = event == "look early" and tail.length > 0
            there = [(part, text) for part, text in rotated[: -1 if early else None] if part > tail.part]
            fresh, tail = advance(tail, there, live)
            shown += fresh
    shown += advance(tail, [(part, text) for part, text in rotated if part > tail.part], live, last=True)[0]
    assert shown == written.decode()


def test_rotated_files_are_in_order_and_before_the_one_that_is_written() -> None:
    names = ["stderr.gz", "archived/stderr_10.gz", "archived/stderr_2.gz", "stdout.gz", "other.gz"]
    found = log_files((f"p/SPARK_DRIVER/{name}", "etag") for name in names)
    assert [(file.stream, file.part) for file in found] == [
        ("stderr", 2),
        ("stderr", 10),
        ("stderr", None),
        ("stdout", None),
    ]


def test_a_gz_file_may_have_several_members_and_an_end_that_is_missing() -> None:
    whole = gzip.compress(b"one\n") + gzip.compress(b"two\n" * 1000)
    assert unzipped(whole) == b"one\n" + b"two\n" * 1000
    assert unzipped(whole[:-8]).startswith(b"one\ntwo\n")
    with pytest.raises(zlib.error):
        unzipped(b"no gz at all")
