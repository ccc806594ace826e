"""make chaos strikes where it says: the wire between a job and the server."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace

import pytest

from chaos.plan.trial import Point
from chaos.stage.wire import Ambush, Link, Wire
from jobs.dbaccess.conninfo.settings import Server, Settings, Tls
from jobs.dbaccess.errors import ConnectionFailed
from jobs.dbaccess.postgres_connectivity import connect
from jobs.dbaccess.session import Session


@contextmanager
def through_wire(database: Settings, ambush: Ambush) -> Iterator[tuple[Session, Wire]]:
    [server] = database.servers
    wire = Wire((server.host, server.port))
    with wire.listening() as port:
        way = replace(database, servers=(Server("127.0.0.1", port),), tls=Tls("disable"))
        with connect(way, "wired") as session:
            wire.reset(ambush)
            yield session, wire
        wire.hang_up()


@pytest.mark.parametrize(
    ("statement", "values"),
    [("INSERT INTO t VALUES (%s)", (1,)), ("INSERT INTO t VALUES (1)", ())],
    ids=["bound", "plain"],
)
@pytest.mark.parametrize("answered", [True, False], ids=["after", "before"])
def test_a_connection_is_cut_once_a_statement_was_done_or_before(
    database: Settings, session: Session, statement: str, values: tuple[object, ...], answered: bool
) -> None:
    session.run("CREATE TABLE t (a int)")
    ambush = Ambush(Point("statement", 2, answered), Link.cut)
    with through_wire(database, ambush) as (wired, _):
        wired.run("SELECT 1")
        with pytest.raises(ConnectionFailed):
            wired.run(statement, *values)
    assert ambush.sprung is not None
    assert ambush.sprung.startswith("INSERT INTO t")
    assert session.run("SELECT count(*) FROM t") == [[int(answered)]]


def test_the_answer_to_a_commit_is_lost_when_it_was_done(database: Settings, session: Session) -> None:
    ambush = Ambush(Point("commit publish", 1, answered=True), Link.cut)
    with through_wire(database, ambush) as (wired, _):
        with wired.transaction():
            wired.run("SELECT 1")
        with pytest.raises(ConnectionFailed), wired.transaction():
            wired.run('INSERT INTO "table_updates" (update_id) VALUES (1)')
    assert ambush.sprung == "COMMIT"
    assert session.run('SELECT count(*) FROM "table_updates"') == [[1]]


@pytest.mark.parametrize("break_", [Link.half_close, Link.vanish], ids=["half-closed", "vanished"])
def test_what_a_half_closed_connection_sent_was_done_and_its_end_is_read(
    database: Settings, session: Session, break_: Callable[[Link], None]
) -> None:
    session.run("CREATE TABLE t (a int)")
    ambush = Ambush(Point("statement", 1, answered=False), break_)
    with through_wire(database, ambush) as (wired, _), pytest.raises(ConnectionFailed):
        wired.run("INSERT INTO t VALUES (1)")
    assert ambush.sprung == "INSERT INTO t VALUES (1)"


def test_bytes_of_a_copy_are_counted(database: Settings, session: Session) -> None:
    session.run("CREATE TABLE t (a int)")
    ambush = Ambush(Point("byte", 5, answered=False), lambda _: None)
    with through_wire(database, ambush) as (wired, wire):
        with wired.transaction():
            wired.copy_in("COPY t FROM STDIN", [b"1\n", b"2\n", b"3\n"])
        assert wire.copied == 6
    assert ambush.sprung == "COPY t FROM STDIN"
    assert session.run("SELECT count(*) FROM t") == [[3]]
