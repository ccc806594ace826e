"""What create_connection, its cursors and its transactions raise is caught as this project's and as pg8000's."""

from __future__ import annotations

import io
import warnings
from collections.abc import Callable, Iterator

import pg8000.exceptions
import pytest
from libpq import password_of
from pg8000 import dbapi

from jobs.dbaccess.conninfo.settings import Settings
from jobs.dbaccess.errors import AuthenticationFailed, ConnectionFailed, DatabaseError, DataRejected
from jobs.dbaccess.network.driver import Connection, Cursor
from jobs.dbaccess.postgres_connectivity import create_connection, get_connection_params


@pytest.fixture
def connection(database: Settings) -> Iterator[Connection]:
    server = database.servers[0]
    params = get_connection_params(server.host, server.port, database.dbname, database.user, password_of(database))
    opened = create_connection(**params)
    yield opened
    if opened._usock is not None:  # noqa: SLF001 - pg8000 has no other sign that it is closed
        opened.close()


def test_a_statement_that_fails_is_caught_as_either_and_shows_no_value(connection: Connection) -> None:
    for kind in (DatabaseError, pg8000.exceptions.DatabaseError, dbapi.DataError):
        with pytest.raises(kind) as caught:
            connection.cursor().execute("SELECT 'planted'::int")
        connection.rollback()
        assert (type(caught.value), getattr(caught.value, "sqlstate", "")) == (DataRejected, "22P02")
        assert "planted" not in repr(caught.value)


FAILING: list[Callable[[Cursor], object]] = [
    lambda cursor: cursor.execute("SELECT %s::int", ("x",)),
    lambda cursor: cursor.executemany("SELECT %s::int", [("1",), ("x",)]),
    lambda cursor: cursor.callproc("nosuch", (1,)),
    lambda cursor: cursor.fetchone(),
    lambda cursor: cursor.fetchmany(2),
    lambda cursor: cursor.fetchall(),
]


@pytest.mark.parametrize("fail", FAILING)
def test_each_way_in_which_a_cursor_fails_is_caught_as_either(
    connection: Connection, fail: Callable[[Cursor], object]
) -> None:
    with pytest.raises(DatabaseError) as caught:
        fail(connection.cursor())
    assert isinstance(caught.value, pg8000.exceptions.DatabaseError)


def test_a_closed_cursor_says_so(connection: Connection) -> None:
    cursor = connection.cursor()
    cursor.close()
    for use in (
        lambda: cursor.execute("SELECT 1"),
        lambda: cursor.callproc("f"),
        lambda: cursor.executemany("x", [()]),
    ):
        with pytest.raises(DatabaseError, match="The cursor is closed"):
            use()


def test_a_commit_that_fails_is_caught_as_either(connection: Connection) -> None:
    cursor = connection.cursor()
    cursor.execute("CREATE TEMPORARY TABLE t (a int UNIQUE DEFERRABLE INITIALLY DEFERRED)")
    cursor.execute("INSERT INTO t VALUES (1), (1)")
    with pytest.raises(DatabaseError) as caught:
        connection.commit()
    assert isinstance(caught.value, dbapi.IntegrityError)


def test_a_login_that_is_refused_is_caught_as_either(database: Settings) -> None:
    server = database.servers[0]
    params = get_connection_params(server.host, server.port, "nosuch", "nobody", "wrong")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(AuthenticationFailed) as caught:
            create_connection(**params)
    assert isinstance(caught.value, dbapi.OperationalError)


def test_no_server_is_caught_as_either_and_as_what_pg8000_raises() -> None:
    with pytest.raises(pg8000.exceptions.InterfaceError) as caught:
        create_connection(**get_connection_params("127.0.0.1", 1, "d", "u", "p"))
    assert isinstance(caught.value, ConnectionFailed)
    assert isinstance(caught.value, pg8000.exceptions.DatabaseError)


def test_a_closed_connection_says_so(connection: Connection) -> None:
    cursor = connection.cursor()
    connection.close()
    for use in (lambda: cursor.execute("SELECT 1"), connection.commit, connection.close):
        with pytest.raises(ConnectionFailed, match="connection is closed"):
            use()


class Unreadable(io.RawIOBase):
    """A file on a disk that fails."""

    def readinto(self, _: object) -> int:
        raise OSError(5, "Input/output error")


def test_a_file_that_cannot_be_read_is_no_broken_connection(connection: Connection) -> None:
    cursor = connection.cursor()
    cursor.execute("CREATE TEMPORARY TABLE t (a int)")
    with pytest.raises(OSError, match="Input/output error"):
        cursor.execute("COPY t FROM STDIN", stream=Unreadable())
