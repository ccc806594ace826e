"""The wire's messages as blocks of rows, however they arrive."""

from __future__ import annotations

import io
import struct
from io import BufferedRWPair

import pytest
from hypothesis import given
from hypothesis import strategies as st
from trickle import Trickle

from jobs.dbaccess.errors import ConnectionFailed, DatabaseError
from jobs.dbaccess.network import copy_out

ROWS = st.lists(st.binary(max_size=700).map(lambda row: row.replace(b"\n", b"n") + b"\n"), max_size=40)


def message(kind: bytes, body: bytes) -> bytes:
    return kind + struct.pack("!i", len(body) + 4) + body


BEGIN = message(b"H", struct.pack("!bhh", 0, 1, 0))


def answer(rows: list[bytes], between: bytes = b"") -> bytes:
    """CopyOutResponse, the rows, CopyDone, CommandComplete, ReadyForQuery."""
    data = between.join(message(b"d", row) for row in rows)
    end = message(b"c", b"") + message(b"C", b"COPY %d\0" % len(rows)) + message(b"Z", b"I")
    return BEGIN + data + end


def pair(data: bytes, size: int = 1 << 16, buffer: int = 1 << 16) -> BufferedRWPair:
    return BufferedRWPair(Trickle(data, size), io.BytesIO(), buffer)


NOTICES = st.sampled_from([b"", message(b"N", b"SNOTICE\0Md\nd\0\0"), message(b"S", b"TimeZone\0UTC\0")])


@given(rows=ROWS, between=NOTICES, size=st.integers(1, 5000), buffer=st.sampled_from([16, 100, 1 << 16]))
def test_every_row_comes_once_in_order_and_what_follows_is_left(
    rows: list[bytes], between: bytes, size: int, buffer: int
) -> None:
    file = pair(answer(rows, between) + b"next", size, buffer)
    assert b"".join(copy_out.rows(file, "COPY")) == b"".join(rows)
    assert file.read(4) == b"next"


@pytest.mark.parametrize("buffer", [16, 1 << 16])
def test_an_answer_that_ends_anywhere_is_a_connection_that_broke(buffer: int) -> None:
    whole = answer([b"one\n", b"two\n"])
    for end in range(len(whole)):
        with pytest.raises(ConnectionFailed, match="it hung up"):
            list(copy_out.rows(pair(whole[:end], buffer=buffer), "COPY"))


def test_an_error_is_raised_when_the_server_is_ready_again() -> None:
    failed = message(b"E", b"SERROR\0C22012\0Mdivision by zero\0\0") + message(b"Z", b"E")
    file = pair(BEGIN + message(b"d", b"one\n") + failed + b"next")
    with pytest.raises(DatabaseError, match="division by zero"):
        list(copy_out.rows(file, "COPY"))
    assert file.read(4) == b"next"
