"""COPY from us: the server is heard while rows are sent, over every kind of socket."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

import pytest
import trustme
from server_build import build_has_tls
from server_folder import server_folder, serving

from jobs.dbaccess.conninfo.settings import Server, Settings, Tls
from jobs.dbaccess.errors import ConnectionFailed, DatabaseError, DataRejected
from jobs.dbaccess.postgres_connectivity import connect
from jobs.dbaccess.session import Session
from servermgr.postgres import Manager

MEGABYTE = 1 << 20


@pytest.fixture(scope="module")
def sockets() -> Iterator[dict[str, Settings]]:
    """The ways to one server: in plain text, over a Unix socket, and under TLS where it was built with that."""
    with server_folder(0o777) as directory:
        settings = {"fsync": "off", "unix_socket_directories": directory}
        manager = Manager("127.0.0.1", 0, directory / "data", initialize=True, settings=settings)
        has_tls = build_has_tls(directory / "data")
        manager.settings["ssl"] = "on" if has_tls else "off"
        certificate = trustme.CA().issue_cert("127.0.0.1")
        certificate.private_key_pem.write_to_path(str(directory / "data" / "server.key"))
        (directory / "data" / "server.key").chmod(0o600)
        owner = (directory / "data").stat()
        os.chown(directory / "data" / "server.key", owner.st_uid, owner.st_gid)
        certificate.cert_chain_pems[0].write_to_path(str(directory / "data" / "server.crt"))
        with serving(manager):
            plain = Settings("postgres", "postgres", (Server("127.0.0.1", manager.port),), tls=Tls("disable"))
            local = replace(plain, servers=(Server(str(directory), manager.port),))
            encrypted = {"tls": replace(plain, tls=Tls("require"))} if has_tls else {}
            yield {"plain": plain, "unix": local, **encrypted}


@pytest.fixture(params=["plain", "tls", "unix"])
def copying(sockets: dict[str, Settings], request: pytest.FixtureRequest) -> Iterator[Session]:
    """A session with an empty table."""
    if request.param not in sockets:
        pytest.skip("this build of PostgreSQL has no TLS")
    with connect(sockets[request.param], "copying") as session:
        session.run("DROP TABLE IF EXISTS t")
        session.run("CREATE TABLE t (a int, b text)")
        yield session


@contextmanager
def within(seconds: float) -> Iterator[None]:
    """End what hangs."""

    def end(*_: object) -> None:
        raise AssertionError("it hangs")

    before = signal.signal(signal.SIGALRM, end)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


NOISY = """
CREATE OR REPLACE FUNCTION noisy(a int) RETURNS boolean LANGUAGE plpgsql AS
$$BEGIN RAISE NOTICE '%', repeat('n', 1000); RETURN true; END$$
"""


def test_a_server_that_talks_while_rows_are_sent_is_heard(copying: Session) -> None:
    copying.run("SET client_min_messages = notice")
    copying.run(NOISY)
    copying.run("ALTER TABLE t ADD CHECK (noisy(a))")
    block = b"".join(b"%d\t%s\n" % (i, b"x" * 200) for i in range(1000))
    with within(60):
        assert copying.copy_in("COPY t FROM STDIN", [block] * 60) == 60_000
    assert copying.run("SELECT count(*) FROM t") == [[60_000]]


def test_a_refused_row_ends_a_copy_before_the_rest_is_sent(copying: Session) -> None:
    read = 0

    def blocks() -> Iterator[bytes]:
        nonlocal read
        yield b"bad\tx\n"
        for _ in range(280):
            read += 1
            yield (b"1\t" + b"x" * 1021 + b"\n") * 1024

    with pytest.raises(DataRejected, match='"a"'):
        copying.copy_in("COPY t FROM STDIN", blocks())
    assert read < 40  # what fits the buffers on the way
    assert copying.run("SELECT count(*) FROM t") == [[0]]


def test_blocks_larger_than_any_buffer_arrive_whole_and_in_order(copying: Session) -> None:
    rows = [b"%d\t%s\n" % (i, bytes([97 + i % 26]) * (i * 37 % 9000)) for i in range(4000)]
    stream = b"".join(rows)
    cuts = [0, 1, 1000, 3 * MEGABYTE + 17, 3 * MEGABYTE + 18, len(stream)]
    assert copying.copy_in("COPY t FROM STDIN", [stream[a:b] for a, b in zip(cuts, cuts[1:])]) == 4000
    assert b"".join(copying.copy_out("COPY (SELECT * FROM t ORDER BY a) TO STDOUT")) == stream


def test_a_source_that_raises_ends_the_copy_and_not_the_session(copying: Session) -> None:
    def blocks() -> Iterator[bytes]:
        yield b"1\tx\n"
        raise OSError("the source broke")

    with pytest.raises(OSError, match="the source broke"):
        copying.copy_in("COPY t FROM STDIN", blocks())
    assert copying.run("SELECT count(*) FROM t") == [[0]]


def test_a_server_that_ends_the_session_is_heard_before_the_connection_breaks(
    copying: Session, sockets: dict[str, Settings]
) -> None:
    [[pid]] = copying.run("SELECT pg_backend_pid()")

    def blocks() -> Iterator[bytes]:
        with connect(sockets["plain"], "other") as other:
            other.run("SELECT pg_terminate_backend(%s, 10000)", pid)
        while True:
            yield b"1\tx\n" * 100_000

    with pytest.raises(DatabaseError, match="terminating connection") as caught:
        copying.copy_in("COPY t FROM STDIN", blocks())
    assert caught.value.transient
    assert copying.closed


def test_a_copy_that_is_refused_at_once_reads_no_block(copying: Session) -> None:
    blocks = iter([b"1\tx\n"])
    with pytest.raises(DatabaseError, match="does not exist"):
        copying.copy_in("COPY missing FROM STDIN", blocks)
    assert len(list(blocks)) == 1
    assert not copying.closed
    assert copying.copy_in("COPY t FROM STDIN", [b"1\tx\n"]) == 1


def test_an_interrupted_copy_ends_the_session(copying: Session) -> None:
    """A message may be sent in part."""

    def blocks() -> Iterator[bytes]:
        yield b"1\tx\n"
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        copying.copy_in("COPY t FROM STDIN", blocks())
    with pytest.raises(ConnectionFailed):
        copying.run("SELECT 1")
