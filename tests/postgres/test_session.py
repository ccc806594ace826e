"""Sessions on a real server: statements, transactions, COPY, and errors in the project's words."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from dataclasses import replace

import pytest
from libpq import password_of

from jobs.dbaccess.conninfo.settings import Server, Settings, Timeouts
from jobs.dbaccess.errors import (
    ConnectionFailed,
    ConstraintViolated,
    DatabaseError,
    DataRejected,
    DuplicateTable,
    ProtocolBroken,
    UndefinedTable,
    UsageError,
)
from jobs.dbaccess.network.copy_in import Block
from jobs.dbaccess.postgres_connectivity import connect, create_connection, get_connection_params
from jobs.dbaccess.session import Session


def test_values_are_bound(session: Session) -> None:
    assert session.run("SELECT %s::text, %s::int + 1", "'; drop --", 1) == [["'; drop --", 2]]


@pytest.mark.parametrize("text", ["a\0b", "caf\udce9"])
def test_a_text_that_cannot_be_sent_is_refused_and_the_session_goes_on(session: Session, text: str) -> None:
    for ask in (
        lambda: session.run("SELECT %s::text", text),
        lambda: session.run("SELECT %s::text[]", [["x"], [text]]),
        lambda: session.run(f"SELECT '{text}'"),
        lambda: session.change("SELECT %s::text", text),
        lambda: session.copy_in(f'COPY "{text}" FROM STDIN', []),
        lambda: list(session.copy_out(f'COPY "{text}" TO STDOUT')),
        lambda: session.describe(f"SELECT '{text}'"),
    ):
        with pytest.raises(UsageError, match="contains NUL, or bytes that are not UTF-8"):
            ask()
        assert session.run("SELECT 1") == [[1]]


def test_a_change_tells_how_many_rows_it_changed(session: Session) -> None:
    session.run("CREATE TABLE t (a int)")
    assert session.change("INSERT INTO t VALUES (1), (2)") == 2


def test_a_transaction_that_raises_leaves_nothing(session: Session) -> None:
    session.run("CREATE TABLE t (a int)")
    with pytest.raises(KeyError), session.transaction():
        session.run("INSERT INTO t VALUES (1)")
        raise KeyError
    assert session.run("SELECT * FROM t") == []


def test_a_transaction_that_ends_is_kept(session: Session) -> None:
    with session.transaction():
        session.run("CREATE TABLE t (a int)")
    assert session.run("SELECT * FROM t") == []


@pytest.mark.parametrize(
    ("name", "default", "stated"),
    [
        ("transaction_isolation", "serializable", "read committed"),
        ("transaction_isolation", "repeatable read", "read committed"),
        ("transaction_read_only", "on", "off"),
        ("transaction_deferrable", "on", "off"),
    ],
)
def test_a_transaction_states_its_own_characteristics_and_inherits_none(
    database: Settings, name: str, default: str, stated: str
) -> None:
    with connect(replace(database, startup=((f"default_{name}", default),)), "t") as session:
        assert session.run(f"SHOW {name}") == [[default]]
        with session.transaction():
            assert session.run(f"SHOW {name}") == [[stated]]


def test_a_change_outside_of_a_transaction_is_one_that_states_its_characteristics(database: Settings) -> None:
    with connect(replace(database, startup=(("default_transaction_read_only", "on"),)), "t") as session:
        with session.transaction():
            session.run("CREATE TABLE t (a text DEFAULT current_setting('transaction_isolation'))")
        assert session.change("INSERT INTO t DEFAULT VALUES") == 1
        assert session.run("SELECT a FROM t") == [["read committed"]]


def test_settings_of_a_transaction_end_with_it(session: Session) -> None:
    with session.transaction(array_nulls="off"):
        assert session.run("SHOW array_nulls") == [["off"]]
    assert session.run("SHOW array_nulls") == [["on"]]


def test_blocks_may_be_cut_anywhere_and_of_any_kind(session: Session) -> None:
    session.run("CREATE TABLE t (a int, b text)")
    blocks: list[Block] = [b"1\tx\n2", bytearray(b"\ty\n"), memoryview(b"__3\tz\n")[2:], b""]
    assert session.copy_in("COPY t FROM STDIN", blocks) == 3
    assert session.run("SELECT a, b FROM t ORDER BY a") == [[1, "x"], [2, "y"], [3, "z"]]


def test_text_is_utf8_in_a_database_of_another_encoding(server: Settings, template: str) -> None:
    with connect(server, "t") as admin:
        admin.run(f"CREATE DATABASE {template}_latin ENCODING 'LATIN1' LC_COLLATE 'C' LC_CTYPE 'C' TEMPLATE template0")
        try:
            with connect(replace(server, dbname=f"{template}_latin"), "t") as session:
                session.run("CREATE TABLE t (a text)")
                session.copy_in("COPY t FROM STDIN", ["é\n".encode()])
                assert session.run("SELECT a, octet_length(a) FROM t") == [["é", 1]]
        finally:
            admin.run(f"DROP DATABASE {template}_latin WITH (FORCE)")


def test_a_refused_cell_names_its_column_and_not_its_value(session: Session) -> None:
    session.run("CREATE TABLE t (a int, price int)")
    with pytest.raises(DataRejected) as caught:
        session.copy_in("COPY t FROM STDIN", [b"1\tplanted\n"])
    assert caught.value.column == "price"
    assert "planted" not in repr(caught.value)


def test_a_session_goes_on_after_the_server_refused_a_copy(session: Session) -> None:
    session.run("CREATE TABLE t (a int)")
    with pytest.raises(DataRejected):
        session.copy_in("COPY t FROM STDIN", [b"x\n"])
    assert session.run("SELECT count(*) FROM t") == [[0]]


def test_a_source_that_raises_leaves_nothing_and_the_session_goes_on(session: Session) -> None:
    session.run("CREATE TABLE t (a int)")

    def blocks() -> Iterator[bytes]:
        yield b"1\n"
        raise OSError("the source broke")

    with pytest.raises(OSError, match="the source broke"):
        session.copy_in("COPY t FROM STDIN", blocks())
    assert session.run("SELECT count(*) FROM t") == [[0]]


def test_an_interrupted_statement_ends_the_session(session: Session, database: Settings) -> None:
    """The answer is still on its way: the next statement would take it for its own."""
    main_thread = threading.get_ident()
    with connect(database, "holder") as holder:
        holder.run("SELECT pg_advisory_lock(1)")

        def interrupt() -> None:
            while not holder.run("SELECT 1 FROM pg_locks WHERE NOT granted AND pid = %s", session.backend.pid):
                pass
            signal.pthread_kill(main_thread, signal.SIGINT)

        interrupting = threading.Thread(target=interrupt)
        with pytest.raises(KeyboardInterrupt):
            interrupting.start()
            session.run("SELECT pg_advisory_lock(1)")
        interrupting.join()
    assert session.closed
    with pytest.raises(ConnectionFailed):
        session.run("SELECT 1")


def test_a_broken_constraint_is_told_apart(session: Session) -> None:
    session.run("CREATE TABLE t (a int PRIMARY KEY)")
    session.run("INSERT INTO t VALUES (1)")
    with pytest.raises(ConstraintViolated, match="t_pkey"):
        session.run("INSERT INTO t VALUES (1)")


def test_a_killed_connection_is_transient(session: Session, database: Settings) -> None:
    [[pid]] = session.run("SELECT pg_backend_pid()")
    with connect(database, "t") as other:
        other.run("SELECT pg_terminate_backend(%s)", pid)
    with pytest.raises(DatabaseError) as caught:
        session.run("SELECT 1")
    assert caught.value.transient


def test_closing_twice_is_fine(session: Session) -> None:
    session.close()
    session.close()


def test_a_refused_connection_says_where_and_what_to_check() -> None:
    nowhere = Settings("d", "u", (Server("127.0.0.1", 1),), timeouts=Timeouts(deadline=0))
    with pytest.raises(ConnectionFailed, match=r"127\.0\.0\.1:1: Connection refused.*Check host and port"):
        connect(nowhere, "t")


def test_an_unknown_database_is_named_with_a_hint(database: Settings) -> None:
    with pytest.raises(DatabaseError, match=r'"nosuch" does not exist.*Check the database'):
        connect(replace(database, dbname="nosuch"), "t")


def test_the_server_sees_who_is_there(database: Settings) -> None:
    with connect(database, "pgjobs load 7 " + "x" * 100) as session:
        [[name]] = session.run("SELECT application_name FROM pg_stat_activity WHERE pid = pg_backend_pid()")
    assert name == ("pgjobs load 7 " + "x" * 100)[:63]


@pytest.mark.parametrize(
    "statement", ["SELECT 1 WHERE false", "VALUES (1), (2)", "SELECT 1, 2", "SET work_mem = '1MB'"]
)
def test_what_is_not_the_one_value_that_a_statement_has_to_return_is_an_error_of_ours(
    database: Settings, statement: str
) -> None:
    with connect(database, "t") as session:
        assert session.value("SELECT %s::int", 7) == 7
        assert session.row(2, "SELECT 1, NULL") == [1, None]
        with pytest.raises(ProtocolBroken, match="did not answer with one row of 1 values"):
            session.value(statement)
        assert session.closed


def test_the_seeds_door_opens_a_db_api_connection(database: Settings) -> None:
    server = database.servers[0]
    params = get_connection_params(server.host, str(server.port), database.dbname, database.user, password_of(database))
    assert list(params) == ["host", "port", "database", "user", "password"]
    connection = create_connection(**params)
    cursor = connection.cursor()
    cursor.execute("SELECT %s::int", (1,))
    assert [list(row) for row in cursor.fetchall()] == [[1]]
    connection.close()


def test_a_missing_table_and_one_that_exists_already_are_errors_of_their_own(session: Session) -> None:
    session.run("CREATE TABLE here (a int)")
    with pytest.raises(UndefinedTable, match='relation "absent" does not exist'):
        session.run("SELECT * FROM absent")
    with pytest.raises(UndefinedTable):
        session.copy_in("COPY absent FROM STDIN", [b"1\n"])
    with pytest.raises(DuplicateTable, match='relation "here" already exists'):
        session.run("CREATE TABLE here (a int)")
