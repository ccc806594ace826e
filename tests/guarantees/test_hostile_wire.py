"""Somebody between a job and a real server alters what it says: no row is lost or doubled, and the job says so."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

import pytest
from hostile import Change, message, tampering
from peers import peer
from publishing import T, load, rows_of

from jobs.dbaccess.connector import Connector
from jobs.dbaccess.conninfo.settings import Server, Settings, Timeouts, Tls
from jobs.dbaccess.errors import DatabaseError, LoadError, ProtocolBroken
from jobs.dbaccess.load import staging
from jobs.dbaccess.load.copying import parts
from jobs.dbaccess.load.copying.parts import Counted
from jobs.dbaccess.load.copying.receipts import Receipt
from jobs.dbaccess.load.move.modes import Move
from jobs.dbaccess.load.publish_plan import PublishPlan
from jobs.dbaccess.postgres_connectivity import connect_pinned
from jobs.dbaccess.session import Session
from jobs.flows.load.publish import Driver, publish_once


@contextmanager
def way_by(database: Settings, change: Change) -> Iterator[Settings]:
    """A way to the database on which somebody alters its answers."""
    [server] = database.servers
    with peer(tampering((server.host, server.port), change)) as port:
        once = Timeouts(connect_timeout=60, deadline=0)
        yield replace(database, servers=(Server("127.0.0.1", port),), tls=Tls("disable"), timeouts=once)


@contextmanager
def altered(database: Settings, change: Change) -> Iterator[Session]:
    with way_by(database, change) as way, connect_pinned(way, "altered") as session:
        yield session


def telling(tag: bytes, other: bytes) -> Change:
    """Tells another tag than the server."""

    def change(kind: bytes, body: bytes) -> bytes:
        return message(kind, other + b"\0" if kind == b"C" and body == tag + b"\0" else body)

    return change


def without(left_out: bytes) -> Change:
    """Leaves a kind of message out."""
    return lambda kind, body: b"" if kind == left_out else message(kind, body)


@pytest.mark.parametrize("told", [b"COPY 2", b"COPY 4", b"COPY 0"])
def test_a_part_of_which_the_server_counts_other_rows_is_not_claimed(
    session: Session, database: Settings, told: bytes
) -> None:
    session.run("CREATE TABLE t (a int)")
    names = staging.plan_staging(T, ["a"])
    staging.create_beside(session, names, T)
    with altered(database, telling(b"COPY 3", told)) as between:
        parts.begin_attempt(between, names, 0, 1)
        with pytest.raises(LoadError, match=f"3 rows were sent, but the server counted {told[5:].decode()}"):
            parts.copy_part(between, names, 0, 1, [Counted(b"1\n2\n3\n", 3)])
    assert session.run(f"SELECT count(*) FROM {names.rows.quoted}") == [[0]]


@pytest.mark.parametrize("told", [b"INSERT 0 2", b"INSERT 0 4", b"INSERT 0 0", b"INSERT"])
@pytest.mark.parametrize("mode", ["append", "overwrite"])
def test_a_publish_of_which_the_server_counts_other_rows_is_undone(
    session: Session, database: Settings, told: bytes, mode: str
) -> None:
    session.run("CREATE TABLE t (a int, b int)")
    change = telling(b"INSERT 0 3", told)
    with altered(database, change) as between, pytest.raises(LoadError, match="3 rows were staged, and the server"):
        load(between, Move(mode, ("a", "b")), [(1, 1), (2, 2), (3, 3)])
    assert rows_of(session) == []


def test_a_trigger_that_leaves_rows_out_is_no_lie(session: Session) -> None:
    session.run("CREATE TABLE t (a int, b int)")
    session.run(
        "CREATE FUNCTION odd() RETURNS trigger LANGUAGE plpgsql AS "
        "$$BEGIN IF NEW.a % 2 = 1 THEN RETURN NEW; END IF; RETURN NULL; END$$"
    )
    session.run("CREATE TRIGGER odd BEFORE INSERT ON t FOR EACH ROW EXECUTE FUNCTION odd()")
    assert load(session, Move("append", ("a", "b")), [(1, 1), (2, 2), (3, 3)]).ignored == 1


@pytest.mark.parametrize("told", [b"ROLLBACK", b"COMMIT 9", b""])
def test_a_commit_that_is_told_otherwise_is_looked_up_in_the_marker(
    session: Session, database: Settings, told: bytes
) -> None:
    session.run("CREATE TABLE t (a int)")
    names = staging.plan_staging(T, ["a"])
    staging.create_beside(session, names, T)
    parts.begin_attempt(session, names, 0, 1)
    parts.copy_part(session, names, 0, 1, [Counted(b"1\n", 1)])
    plan = PublishPlan("x", T, names, (Receipt(0, 1),), Move("append", ("a",)), is_new=False)
    lies: list[bytes] = []

    def change(kind: bytes, body: bytes) -> bytes:
        if kind == b"C" and body == b"DROP TABLE\0" and not lies:
            lies.append(body)
        if kind == b"C" and body == b"COMMIT\0" and len(lies) == 1:
            lies.append(body)
            return message(kind, told + b"\0")
        return message(kind, body)

    with way_by(database, change) as way:
        driver = Driver(Connector(way, "load", "x"))
        with driver.connect() as lied_to:
            published = publish_once(driver, lied_to, plan)
    assert published is not None
    assert published.inserted == 1
    assert len(lies) == 2
    assert session.run("SELECT a FROM t") == [[1]]


@pytest.mark.parametrize(
    ("change", "error"),
    [
        pytest.param(telling(b"COPY 3", b"COPY 4"), "3 rows, and reported 4", id="another count"),
        pytest.param(without(b"d"), "0 rows, and reported 3", id="no rows"),
        pytest.param(without(b"c"), "kind b'C' came while rows were read", id="no CopyDone"),
        pytest.param(without(b"H"), "kind b'd' came while rows were read", id="no beginning"),
    ],
)
def test_an_extract_of_which_the_server_tells_other_rows_fails(database: Settings, change: Change, error: str) -> None:
    with altered(database, change) as between, pytest.raises(ProtocolBroken, match=error):
        list(between.copy_out("COPY (SELECT generate_series(1, 3)) TO STDOUT"))


def test_a_proxy_that_keeps_the_cancellation_key_to_itself_is_no_reason_to_fail(database: Settings) -> None:
    with altered(database, without(b"K")) as between:
        assert between.backend.pooled
        assert between.run("SELECT 1") == [[1]]


def test_a_lost_error_is_told_as_an_answer_that_lacks(database: Settings) -> None:
    with altered(database, without(b"E")) as between, pytest.raises(DatabaseError):
        list(between.copy_out("COPY nosuch TO STDOUT"))
