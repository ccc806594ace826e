"""The pure-Python carrier reads PySpark's framing in blocks, and nothing beyond its section."""

from __future__ import annotations

import io
import struct
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st
from trickle import Trickle

from jobs.dbaccess.load.copying.parts import Counted
from jobs.spark.origins import Line
from jobs.spark.tasks.copy_blocks import BlockDeserializer, HashedDeserializer, OriginDeserializer
from jobs.spark.tasks.load_tasks import line_like, line_of

END = struct.pack("!ii", -1, -4)  # END_OF_DATA_SECTION, END_OF_STREAM


def framed(lines: list[bytes]) -> bytes:
    return b"".join(struct.pack("!i", len(line)) + line for line in lines) + END


@given(
    lines=st.lists(st.binary(max_size=700).map(lambda body: body.replace(b"\n", b"n") + b"\n"), max_size=40),
    size=st.integers(1, 5000),
    buffer=st.sampled_from([16, 100, 65536]),
)
def test_every_line_comes_once_in_order_and_the_next_section_is_left(
    lines: list[bytes], size: int, buffer: int
) -> None:
    stream = io.BufferedReader(Trickle(framed(lines), size), buffer)
    blocks = list(BlockDeserializer().load_stream(stream))
    assert b"".join(bytes(counted.block) for counted in blocks) == b"".join(lines)
    assert sum(counted.rows for counted in blocks) == len(lines)
    assert stream.read() == struct.pack("!i", -4)


@given(
    rows=st.lists(
        st.tuples(
            st.integers(-(2**63), 2**63 - 1),
            st.binary(max_size=300).map(lambda body: body.replace(b"\n", b"n") + b"\n"),
        ),
        max_size=40,
    ),
    size=st.integers(1, 5000),
    buffer=st.sampled_from([16, 100, 65536]),
)
def test_a_hash_before_each_line_is_summed_and_taken_off(rows: list[tuple[int, bytes]], size: int, buffer: int) -> None:
    frames = [struct.pack("!q", number) + line for number, line in rows]
    stream = io.BufferedReader(Trickle(framed(frames), size), buffer)
    blocks = list(HashedDeserializer().load_stream(stream))
    assert b"".join(bytes(counted.block) for counted in blocks) == b"".join(line for _, line in rows)
    assert sum(counted.rows for counted in blocks) == len(rows)
    assert sum(counted.hashes for counted in blocks) == sum(number for number, _ in rows)
    assert stream.read() == struct.pack("!i", -4)


@given(
    rows=st.lists(
        st.tuples(
            st.integers(-(2**63), 2**63 - 1),
            st.integers(-(2**63), 2**63 - 1),
            st.none() | st.integers(0, 2**40),
            st.binary(max_size=300).map(lambda body: body.replace(b"\n", b"n") + b"\n"),
        ),
        max_size=40,
    ),
    hashed=st.booleans(),
    size=st.integers(1, 5000),
    buffer=st.sampled_from([16, 100, 65536]),
)
def test_origins_before_lines_are_taken_off_and_belong_to_their_lines(
    rows: list[tuple[int, int, int | None, bytes]], hashed: bool, size: int, buffer: int
) -> None:
    origins = [f"{file}\t{'' if row is None else row}\t".encode() for _, file, row, _ in rows]
    frames = [
        (struct.pack("!q", number) if hashed else b"") + origin + line
        for (number, _, _, line), origin in zip(rows, origins)
    ]
    blocks = list(OriginDeserializer(hashed).load_stream(io.BufferedReader(Trickle(framed(frames), size), buffer)))
    assert b"".join(bytes(counted.block) for counted in blocks) == b"".join(line for *_, line in rows)
    assert [origin for counted in blocks for origin in counted.origins] == origins
    assert sum(counted.hashes for counted in blocks) == (sum(row[0] for row in rows) if hashed else 0)
    assert b"".join(counted.row_hashes for counted in blocks) == (
        b"".join(struct.pack("!q", row[0]) for row in rows) if hashed else b""
    )
    for place, (origin, row) in enumerate(zip(origins, rows), 1):
        assert line_of(place)(blocks) == [Line(row[-1], origin)]
        first = next(one for one, other in zip(origins, rows) if other[-1] == row[-1])
        assert line_like(row[-1])(blocks) == [Line(row[-1], first)]
        assert line_of(place)([Counted(b"".join(line for *_, line in rows), len(rows))]) == [Line(row[-1], b"")]
    assert line_of(len(rows) + 1)(blocks) == line_like(b"of no row\n")(blocks) == []


@pytest.mark.parametrize("length", [10, 266, 2560, 0x0A0A])
def test_a_length_that_holds_a_newline_byte_is_no_line(length: int) -> None:
    lines = [b"x" * (length - 1) + b"\n"] * 3
    blocks = list(BlockDeserializer().load_stream(io.BufferedReader(io.BytesIO(framed(lines)))))
    assert b"".join(bytes(counted.block) for counted in blocks) == b"".join(lines)


@pytest.mark.parametrize("length", [40_000, 5_000_000])
def test_long_lines_take_time_in_proportion(length: int) -> None:
    """A search that began again at each byte of a line that is not whole yet would take hours."""
    lines = [b"x" * length + b"\n"] * (20_000_000 // length)
    start = time.thread_time()
    blocks = BlockDeserializer().load_stream(io.BufferedReader(io.BytesIO(framed(lines)), 65536))
    assert sum(len(counted.block) for counted in blocks) == len(lines) * (length + 1)
    assert time.thread_time() - start < 60


def test_lines_that_fit_the_buffer_come_in_one_block() -> None:
    lines = [b"a\tb\n"] * 1000
    blocks = list(BlockDeserializer().load_stream(io.BufferedReader(io.BytesIO(framed(lines)), 65536)))
    assert [counted.rows for counted in blocks] == [1000]
