"""Rows of COPY TO STDOUT as blocks: whole, in order, and the connection is good afterwards or closed."""

from __future__ import annotations

import socket
import ssl
import tempfile
import threading
from collections.abc import Iterator
from dataclasses import replace

import pytest
import trustme
from peers import forwarding, peer, tls_front

from jobs.dbaccess.conninfo.settings import Server, Settings, Tls
from jobs.dbaccess.errors import DatabaseError, DataRejected
from jobs.dbaccess.network import copy_out
from jobs.dbaccess.postgres_connectivity import connect
from jobs.dbaccess.session import Session


def read(session: Session, query: str) -> bytes:
    return b"".join(session.copy_out(f"COPY ({query}) TO STDOUT"))


def assert_usable(session: Session) -> None:
    assert session.run("SELECT 1") == [[1]]


SIZES = [0, 1, 10, copy_out.BLOCK // 8, copy_out.BLOCK, 3 * copy_out.BLOCK]


def test_rows_of_any_length_come_whole_and_in_order(session: Session) -> None:
    query = f"SELECT repeat(chr(97 + n::int), size) FROM unnest('{{{','.join(map(str, SIZES))}}}'::int[]) "
    expected = b"".join(bytes([98 + n]) * size + b"\n" for n, size in enumerate(SIZES))
    assert read(session, query + "WITH ORDINALITY AS u (size, n)") == expected
    assert_usable(session)


def test_blocks_end_with_a_row_and_are_large(session: Session) -> None:
    blocks = list(session.copy_out("COPY (SELECT repeat('x', n % 500) FROM generate_series(1, 40000) n) TO STDOUT"))
    assert len(blocks) > 2
    assert all(block.endswith(b"\n") for block in blocks)
    assert all(len(block) >= copy_out.BLOCK for block in blocks[:-1])
    assert b"".join(blocks) == b"".join(b"x" * (n % 500) + b"\n" for n in range(1, 40001))


@pytest.mark.parametrize("length", [10, 100, 2560, 0x0A0A, 0x640A])
def test_a_length_that_holds_a_newlines_or_a_kinds_byte_is_no_row(session: Session, length: int) -> None:
    """A message's length counts itself, and the newline at the row's end."""
    assert read(session, f"SELECT repeat('d', {length - 5}) FROM generate_series(1, 50)") == (
        (b"d" * (length - 5) + b"\n") * 50
    )


def test_a_query_without_rows_gives_no_block(session: Session) -> None:
    assert list(session.copy_out("COPY (SELECT 1 WHERE false) TO STDOUT")) == []
    assert_usable(session)


def test_what_is_escaped_holds_neither_tab_nor_newline(session: Session) -> None:
    assert read(session, r"SELECT E'a\tb\nc\rd\\e', NULL, '\N', ''") == b"a\\tb\\nc\\rd\\\\e\t\\N\t\\\\N\t\n"


def test_an_error_at_once_is_the_servers_own_and_the_session_goes_on(session: Session) -> None:
    with pytest.raises(DatabaseError, match='relation "nosuch" does not exist'):
        read(session, "SELECT * FROM nosuch")
    assert_usable(session)


def test_an_error_after_rows_is_raised_and_the_session_goes_on(session: Session) -> None:
    with pytest.raises(DataRejected, match="division by zero"):
        read(session, "SELECT repeat('x', 1000), 1 / (99999 - n) FROM generate_series(1, 99999) n")
    assert_usable(session)


def test_notices_between_rows_are_no_rows(session: Session) -> None:
    session.run(
        "CREATE FUNCTION noisy(n int) RETURNS int LANGUAGE plpgsql AS "
        "$$BEGIN RAISE NOTICE E'row %\\nd', n; RETURN n; END$$"
    )
    session.run("SET client_min_messages = notice")
    assert read(session, "SELECT noisy(n) FROM generate_series(1, 1000) n") == b"".join(
        b"%d\n" % n for n in range(1, 1001)
    )
    assert_usable(session)


def test_a_reading_that_is_given_up_closes_the_connection(session: Session, database: Settings) -> None:
    """The rest would still come: a statement would read it for its answer."""
    with connect(database, "other") as other:
        blocks = other.copy_out("COPY (SELECT repeat('x', 1000) FROM generate_series(1, 100000)) TO STDOUT")
        next(blocks)
        assert isinstance(blocks, Iterator)
        blocks.close()  # type: ignore[attr-defined] # a generator's
        assert other.closed
    assert_usable(session)


def test_rows_come_over_tls(database: Settings) -> None:
    authority = trustme.CA()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    [server] = database.servers
    with peer(tls_front((server.host, server.port), context)) as port:
        way = replace(database, servers=(Server("127.0.0.1", port),), tls=Tls("require"))
        with connect(way, "tls") as session:
            assert read(session, "SELECT repeat('x', 999) FROM generate_series(1, 9999)") == (b"x" * 999 + b"\n") * 9999
            assert_usable(session)


def test_rows_come_over_a_unix_socket(database: Settings) -> None:
    """Its other end passes on to the server, which may have no such socket here."""
    [server] = database.servers
    with tempfile.TemporaryDirectory(prefix="pgjobs-") as directory, socket.socket(socket.AF_UNIX) as listener:
        listener.bind(f"{directory}/.s.PGSQL.{server.port}")
        listener.listen()
        passing = threading.Thread(target=pass_one_on, args=(listener, (server.host, server.port)))
        passing.start()
        with connect(replace(database, servers=(Server(directory, server.port),)), "socket") as local:
            assert read(local, "SELECT repeat('x', 999) FROM generate_series(1, 9999)") == (b"x" * 999 + b"\n") * 9999
            assert_usable(local)
        passing.join()


def pass_one_on(listener: socket.socket, backend: tuple[str, int]) -> None:
    client, _ = listener.accept()
    with client:
        forwarding(backend)(client)
