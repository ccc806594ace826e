"""One moment of the database for many connections: a session exports its snapshot, others adopt it.

https://www.postgresql.org/docs/current/functions-admin.html#FUNCTIONS-SNAPSHOT-SYNCHRONIZATION
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from jobs.dbaccess.errors import DatabaseError
from jobs.dbaccess.session import Session

# What decides how a value is written, so that its text can be read again; and nothing ends a transaction that is idle
# or takes long, for the snapshot lives as long as its transaction. Expressions of views and filters see these, too: so
# TimeZone, xmlbinary and standard_conforming_strings stay the role's, and DateStyle keeps the role's order of day and
# month. https://www.postgresql.org/docs/current/runtime-config-client.html
_SETTINGS = {
    "DateStyle": "ISO",
    "IntervalStyle": "postgres",
    "bytea_output": "hex",
    "extra_float_digits": "1",
    "statement_timeout": "0",
    "idle_in_transaction_session_timeout": "0",
    "transaction_timeout": "0",  # from PostgreSQL 17 on
    "tcp_user_timeout": "0",  # whoever reads may pause: then the server has rows that nobody takes
}

_LOST = {"22023", "42704", "55000", "58P01"}
"""SQLSTATEs of an identifier of which the server knows no snapshot, or none any more."""


class SnapshotLost(DatabaseError):
    """The transaction that held the snapshot has ended, so that no other session can see that moment any more."""


@dataclass(frozen=True)
class Snapshot:
    """A moment of the database.

    Attributes:
        id: by which other sessions adopt it.
        seen: what it sees, as PostgreSQL's pg_snapshot: `xmin:xmax:running`; empty on a standby.
    """

    id: str
    seen: str


def export(session: Session) -> Snapshot:
    """Take a snapshot, and hold it until the session ends or `release`s it. The session can only read from now on."""
    _begin(session)
    [[seen]] = session.run("SELECT CASE WHEN pg_is_in_recovery() THEN '' ELSE pg_current_snapshot()::text END")
    [[identifier]] = session.run("SELECT pg_export_snapshot()")
    return Snapshot(identifier, seen)


def release(session: Session) -> None:
    """End the transaction that holds the snapshot."""
    session.run("COMMIT")


@contextmanager
def adopted(session: Session, snapshot: Snapshot) -> Iterator[None]:
    """See the snapshot's moment in the block. Meanwhile this session counts among its `readers`.

    Raises:
        SnapshotLost: it is held no more.
    """
    _begin(session)
    try:
        session.run(f"SET TRANSACTION SNAPSHOT '{snapshot.id}'")  # it takes no bound value; the server made this one
    except DatabaseError as error:
        if error.sqlstate not in _LOST:
            raise
        raise SnapshotLost(
            "The snapshot that all parts are read in is lost: the driver's connection has ended, or this one reached "
            "another server.",
            "Nothing of this run is kept. Run it again; the server's log tells who ended the connection. "
            "Name one server, not several and no balancer.",
        ) from None
    session.run("SELECT pg_advisory_xact_lock_shared(hashtextextended(%s, 0))", _lock_name(snapshot))
    yield
    session.run("COMMIT")


def readers(session: Session, snapshot: Snapshot) -> int:
    """How many sessions see the snapshot's moment now, beside the one that holds it."""
    [[count]] = session.run(
        "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND objsubid = 1 "
        "AND database = (SELECT oid FROM pg_database WHERE datname = current_database()) "
        "AND (classid::bigint << 32 | objid::bigint) = hashtextextended(%s, 0)",
        _lock_name(snapshot),
    )
    return int(count)


def _lock_name(snapshot: Snapshot) -> str:
    """What is hashed to the 64-bit key of the readers' advisory lock."""
    return f"pgjobs snapshot {snapshot.id}"


def _begin(session: Session) -> None:
    """Begin a transaction whose statements all see one moment, and whose settings are ours."""
    session.run(
        "SELECT set_config(pg_settings.name, wanted.value, false) FROM pg_settings JOIN unnest(%s::text[], %s::text[]) "
        "AS wanted (name, value) ON lower(pg_settings.name) = lower(wanted.name)",
        list(_SETTINGS),
        list(_SETTINGS.values()),
    )
    session.run("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
