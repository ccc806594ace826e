"""One moment of the database for many connections: a session exports its snapshot, others adopt it.

https://www.postgresql.org/docs/current/functions-admin.html#FUNCTIONS-SNAPSHOT-SYNCHRONIZATION
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from jobs.dbaccess import table_locks
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


WAIT = 600
"""Seconds that whoever takes a snapshot waits for each lock: a reload of the table may have to end first."""

READERS_WAIT = 60
"""Seconds that those who adopt it wait. The table is locked for them already, so they only ever wait behind somebody
who waits for the extract to end, which it cannot: PostgreSQL lets no reader past a waiting ACCESS EXCLUSIVE."""


@dataclass(frozen=True)
class Snapshot:
    """A moment of the database.

    Attributes:
        id: by which other sessions adopt it. After a restart the server gives the same ids again.
        seen: what it sees, as PostgreSQL's pg_snapshot: `xmin:xmax:running`; empty on a standby.
        holder: the server's process that holds it, by its id and start.
    """

    id: str
    seen: str
    holder: str


HOLDER = "pid || to_char(backend_start AT TIME ZONE 'UTC', '@YYYYMMDDHH24MISSUS')"
"""Of a session in pg_stat_activity: what no other session of a server ever is, whether it was restarted or not."""


def export(session: Session, probe: str) -> Snapshot:
    """Lock what is to be read, take a snapshot then, and hold both until the session ends or `release`s them.

    A snapshot that is older than a TRUNCATE, a rewrite or a swap of a table finds no rows there. So each relation is
    locked before the snapshot is taken: the probe's plan locks what it reads (partitions, views and their tables among
    it), and locks nothing else when it is planned again after the snapshot. Where it does, a name leads elsewhere or a
    partition was attached meanwhile, and a newer snapshot is taken.

    The session is in READ COMMITTED, whose transactions export as many snapshots as they like: it does not see that
    moment itself. It can only read from now on.

    Args:
        session: holds the locks and the snapshot.
        probe: a SELECT of all that will be read, without LIMIT.

    Raises:
        TransientError: a lock was not granted within `WAIT` seconds.
    """
    with table_locks.awaited(session, WAIT):
        _begin(session, "READ COMMITTED")
        return _locked_and_exported(session, probe)


def export_another(session: Session, probe: str) -> Snapshot:
    """Take a newer snapshot in the transaction that holds others; as `export`."""
    with table_locks.awaited(session, WAIT):
        return _locked_and_exported(session, probe)


def _locked_and_exported(session: Session, probe: str) -> Snapshot:
    session.describe(probe)
    while True:
        locked = table_locks.held_relations(session)
        moment = _exported(session)
        session.describe(probe)
        if table_locks.held_relations(session) <= locked:
            return moment


def _exported(session: Session) -> Snapshot:
    [[identifier, seen, holder]] = session.run(
        "SELECT pg_export_snapshot(), CASE WHEN pg_is_in_recovery() THEN '' ELSE pg_current_snapshot()::text END, "
        f"{HOLDER} FROM pg_stat_activity WHERE pid = pg_backend_pid()"
    )
    return Snapshot(identifier, seen, holder)


def release(session: Session) -> None:
    """End the transaction that holds the snapshot."""
    session.run("COMMIT")


@contextmanager
def adopted(session: Session, snapshot: Snapshot) -> Iterator[None]:
    """See the snapshot's moment in the block.

    Raises:
        SnapshotLost: it is held no more.
        TransientError: a lock was not granted within `READERS_WAIT` seconds.
    """
    with table_locks.awaited(session, READERS_WAIT):
        _begin(session, "REPEATABLE READ")
        try:
            session.run(
                f"SET TRANSACTION SNAPSHOT '{snapshot.id}'"
            )  # it takes no bound value; the server made this one
        except DatabaseError as error:
            if error.sqlstate not in _LOST:
                raise
            raise _lost() from None
        [[is_held]] = session.run(
            f"SELECT EXISTS (SELECT 1 FROM pg_stat_activity WHERE {HOLDER} = %s)", snapshot.holder
        )
        if not is_held:  # another extract's snapshot has this id, after a restart
            raise _lost()
        yield
        session.run("COMMIT")


def _lost() -> SnapshotLost:
    return SnapshotLost(
        "The snapshot that all parts are read in is lost: the driver's connection has ended, or this one reached "
        "another server.",
        "Nothing of this run is kept. Run it again; the server's log tells who ended the connection. "
        "Name one server, not several and no balancer.",
    )


def _begin(session: Session, isolation: str) -> None:
    """Begin a transaction whose settings are ours, whatever the role's or the database's are."""
    session.run(
        "SELECT set_config(pg_settings.name, wanted.value, false) FROM pg_settings JOIN unnest(%s::text[], %s::text[]) "
        "AS wanted (name, value) ON lower(pg_settings.name) = lower(wanted.name)",
        list(_SETTINGS),
        list(_SETTINGS.values()),
    )
    session.run(f"BEGIN ISOLATION LEVEL {isolation} READ ONLY NOT DEFERRABLE")
