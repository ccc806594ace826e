"""Targets: what a server may send. Processing ends, and an error is one of ours, in one line."""

from __future__ import annotations

import io
import socket
import struct
from contextlib import suppress
from io import BufferedRWPair
from typing import Any, cast

from hypothesis import strategies as st

from fuzz.target import Target
from jobs.dbaccess.errors import DatabaseError, driver_errors_translated, from_server
from jobs.dbaccess.network import copy_out
from jobs.dbaccess.network.hearing import READERS
from jobs.dbaccess.network.messages import Reader, error_fields
from jobs.dbaccess.network.sockets import PlainSocket
from jobs.dbaccess.postgres_connectivity import create_connection

CELL = b"pl4nted-cell"
KINDS = b"RSKZTDCE123nItGHdcNAsvW"


def _message(kind: int, body: bytes, lie: int = 0) -> bytes:
    return bytes([kind]) + struct.pack("!I", (len(body) + 4 + lie) % (1 << 32)) + body


def _column(name: bytes, oid: int) -> bytes:
    return name + b"\0" + struct.pack("!ihihih", 0, 0, oid, -1, -1, 0)


OIDS = st.sampled_from([16, 17, 20, 23, 25, 114, 600, 700, 1000, 1007, 1082, 1114, 1184, 1186, 1700, 2950, 3802, 3904])
VALUES = st.sampled_from(
    [b"t", b"1", b"{1,NULL}", b'{"a"}', b"2000-01-01", b"1 day", b"[", b"(1,2)", b"\\x00", b"empty"]
)
SIZED = st.none() | VALUES | st.binary(max_size=6)


def _row(values: list[bytes | None]) -> bytes:
    sized = (struct.pack("!i", -1) if value is None else struct.pack("!i", len(value)) + value for value in values)
    return _message(ord("D"), struct.pack("!H", len(values)) + b"".join(sized))


RIGHT = st.sampled_from(
    [
        _message(ord("R"), bytes(4)),
        _message(ord("R"), struct.pack("!i", 3)),
        _message(ord("R"), struct.pack("!i", 10) + b"SCRAM-SHA-256\0\0"),
        _message(ord("S"), b"client_encoding\0UTF8\0"),
        _message(ord("K"), bytes(8)),
        _message(ord("Z"), b"I"),
        _message(ord("Z"), b"T"),
        _message(ord("C"), b"SELECT 1\0"),
        _message(ord("C"), b"COPY 1\0"),
        _message(ord("E"), b"C22P02\0Mno\0\0"),
        _message(ord("N"), b"Mno\0\0"),
        _message(ord("A"), bytes(4) + b"\xff\0\xff\0"),
        *(_message(kind, b"") for kind in b"123nIc"),
        _message(ord("H"), b"\0\0\1\0\0"),
        _message(ord("G"), b"\0\0\1\0\0"),
        _message(ord("d"), b"1\n"),
        _message(ord("t"), b"\0\0"),
    ]
)
COLUMNS = st.lists(OIDS, max_size=3).map(
    lambda oids: _message(ord("T"), struct.pack("!H", len(oids)) + b"".join(_column(b"a", oid) for oid in oids))
)
ROWS = st.lists(SIZED, max_size=3).map(_row)
ONE = st.tuples(OIDS, SIZED).map(
    lambda pair: _message(ord("T"), struct.pack("!H", 1) + _column(b"a", pair[0])) + _row([pair[1]])
)
WRONG = st.builds(
    _message, st.sampled_from(KINDS), st.binary(max_size=20), st.sampled_from([0, 0, 0, -1, 1, -5, 1 << 30, 1 << 31])
)
SAID = st.lists(RIGHT | COLUMNS | ROWS | ONE | WRONG | st.binary(max_size=9), max_size=12).map(b"".join)
LET_IN = _message(ord("R"), bytes(4)) + _message(ord("K"), bytes(8)) + _message(ord("Z"), b"I")
CONVERSATIONS = SAID | SAID.map(lambda said: LET_IN + said)


def converse(said: bytes) -> None:
    """pg8000, over our file object, with a server that sends everything before it is asked."""
    ours, theirs = socket.socketpair()
    sock = PlainSocket(ours.family, ours.type, ours.proto, fileno=ours.detach())
    sock.settimeout(5)
    with theirs, sock:
        theirs.sendall(said)
        theirs.shutdown(socket.SHUT_WR)
        try:
            _ask(sock)
        except DatabaseError as error:
            assert str(error).isprintable()
        finally:
            with suppress(OSError):
                sock.file.close()


def _ask(sock: PlainSocket) -> None:
    connection = create_connection(sock=sock, ssl_context=False, user="u", password="p")  # noqa: S106 - of nobody
    for oid, read in READERS.items():
        connection.register_in_adapter(oid, read)
    connection.autocommit = True
    with driver_errors_translated():
        cursor = connection.cursor()
        for values in ((), ("x",)):
            cursor.execute("SELECT %s" if values else "SELECT 1", values)
            if cursor.description:
                assert all(len(row) == len(cursor.description) for row in cursor.fetchall())


def read_messages(said: bytes) -> None:
    """Message by message."""
    reader = Reader(io.BytesIO(said))
    with suppress(DatabaseError):
        while reader.next() is not None:
            pass


def copy_out_rows(said: bytes) -> None:
    """The rows of a COPY: as many as the server reports, each a line."""
    file: BufferedRWPair = cast(Any, BufferedRWPair)(io.BytesIO(said), io.BytesIO(), 64)  # close enough to raw files
    found = b""
    try:
        for block in copy_out.rows(file, "COPY t TO STDOUT"):
            assert block.endswith(b"\n")
            found += block
    except DatabaseError:
        return
    assert b"COPY %d\0" % found.count(b"\n") in said


def error_message(fields: list[bytes]) -> None:
    """The text of an error is one line, and in class 22 shows no quoted value."""
    error = from_server(error_fields(b"\0".join(fields)))
    assert error.message.isprintable()
    state = [field[1:] for field in fields if field[:1] == b"C"]
    shown = [field for field in fields if field[:1] == b"M" and field.count(b'"' + CELL) and b"\0" not in field]
    if state and all(each.startswith(b"22") for each in state) and len(shown) == 1 == len(state):
        assert CELL.decode() not in error.message


LINES = st.lists(st.sampled_from([b"1\n", b"a\\n\tb\n", b"\n", b"x" * 100 + b"\n"]) | st.binary(max_size=4), max_size=9)
COPIES = LINES.map(
    lambda lines: (
        _message(ord("H"), b"\0\0\1\0\0")
        + b"".join(_message(ord("d"), line) for line in lines)
        + _message(ord("c"), b"")
        + _message(ord("C"), b"COPY %d\0" % len(lines))
        + _message(ord("Z"), b"I")
    )
)
FIELDS = st.lists(
    st.sampled_from(
        [b"C22P02", b"C42601", b'Minvalid: "' + CELL + b'"', b'Mvalue "' + CELL, b"WCOPY t, line 1, column c: x"]
    )
    | st.binary(max_size=12),
    max_size=5,
)

TARGETS = [
    Target("conversation", CONVERSATIONS, converse),
    Target("messages", SAID, read_messages),
    Target("copy_out", COPIES | SAID.map(lambda said: _message(ord("H"), b"\0\0\1\0\0") + said), copy_out_rows),
    Target("error_message", FIELDS, error_message),
]
