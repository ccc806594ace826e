"""One snapshot for many connections: a session exports its snapshot, and others adopt it.

https://www.postgresql.org/docs/current/functions-admin.html#FUNCTIONS-SNAPSHOT-SYNCHRONIZATION
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from jobs.dbaccess import table_locks
from jobs.dbaccess.errors import DatabaseError
from jobs.dbaccess.session import Session

# These settings determine how a value is written, so that its text can be parsed. And no timeout may end the
# transaction, since the snapshot lives as long as it. Expressions of views and filters see these settings, too. So
# TimeZone, xmlbinary and standard_conforming_strings stay the role's, and DateStyle keeps the role's order of day and
# month. https://www.postgresql.org/docs/current/runtime-config-client.html
_SETTINGS = {
    "DateStyle": "ISO",
    "IntervalStyle": "postgres",
    "bytea_output": "hex",
    "extra_float_digits": "1",
    "statement_timeout": "0",
    "idle_in_transaction_session_timeout": "0",
    "transaction_timeout": "0",  # since PostgreSQL 17
    "tcp_user_timeout": "0",  # a reader may pause, and the server then has unacknowledged rows
}

_LOST = {"22023", "42704", "55000", "58P01"}
"""SQLSTATEs of an identifier for which the server has no snapshot, or no longer has one."""


class SnapshotLost(DatabaseError):
    """The transaction that held the snapshot has ended, so no other session can adopt it any more."""


WAIT = 600
"""Seconds to wait for each lock before taking a snapshot: a reload of the table may have to finish first."""

READERS_WAIT = 60
"""Seconds to wait for each lock after adopting a snapshot.

The holder has locked the table already, so a reader only waits behind a session that itself waits for the extract to
end: PostgreSQL queues readers behind a waiting ACCESS EXCLUSIVE.
"""


@dataclass(frozen=True)
class Snapshot:
    """An exported snapshot.

    Attributes:
        id: The identifier by which other sessions adopt it. After a restart, the server uses the same ids again.
        seen: What it sees, as PostgreSQL's pg_snapshot: `xmin:xmax:running`; empty on a standby.
        holder: The server process that holds it, by its id and start time.
    """

    id: str
    seen: str
    holder: str


HOLDER = "pid || to_char(backend_start AT TIME ZONE 'UTC', '@YYYYMMDDHH24MISSUS')"
"""Identifies a session in pg_stat_activity uniquely, also across restarts of the server."""


def export(session: Session, *probes: str) -> Snapshot:
    """Lock what is to be read, then take a snapshot, and hold both until the session ends or `release`s them.

    A snapshot older than a TRUNCATE, a rewrite or a swap of a table finds no rows in it. So each relation is locked
    before the snapshot is taken: planning the probes locks everything that they read, including partitions, and views
    with their tables. After the snapshot, the probes are planned again. If this takes another lock, a name was
    redirected or a partition was attached meanwhile, and a newer snapshot is taken.

    The session uses READ COMMITTED, in which a transaction can export any number of snapshots. It does not use the
    snapshot itself. From now on it can only read.

    Args:
        session: The session that holds the locks and the snapshot.
        probes: SELECTs of everything that will be read, without LIMIT.

    Raises:
        TransientError: A lock was not granted within `WAIT` seconds.
    """
    with table_locks.awaited(session, WAIT):
        _begin(session, "READ COMMITTED")
        return _locked_and_exported(session, probes)


def export_another(session: Session, probe: str) -> Snapshot:
    """Take a newer snapshot in the transaction that holds others, like `export`."""
    with table_locks.awaited(session, WAIT):
        return _locked_and_exported(session, [probe])


def _locked_and_exported(session: Session, probes: Sequence[str]) -> Snapshot:
    for probe in probes:
        session.describe(probe)
    while True:
        locked = table_locks.held_relations(session)
        exported = _exported(session)
        for probe in probes:
            session.describe(probe)
        if table_locks.held_relations(session) <= locked:
            return exported


def _exported(session: Session) -> Snapshot:
    [identifier, seen, holder] = session.row(
        3,
        "SELECT pg_export_snapshot(), CASE WHEN pg_is_in_recovery() THEN '' ELSE pg_current_snapshot()::text END, "
        f"{HOLDER} FROM pg_stat_activity WHERE pid = pg_backend_pid()",
    )
    return Snapshot(identifier, seen, holder)


def release(session: Session) -> None:
    """End the transaction that holds the snapshot."""
    session.run("COMMIT")


@contextmanager
def adopted(session: Session, snapshot: Snapshot, access: str = "READ ONLY") -> Iterator[None]:
    """Adopt the snapshot for the block.

    Args:
        session: A session without an open transaction.
        snapshot: The snapshot.
        access: What the transaction may do: READ ONLY or READ WRITE.

    Raises:
        SnapshotLost: The snapshot is no longer held.
        TransientError: A lock was not granted within `READERS_WAIT` seconds.
    """
    with table_locks.awaited(session, READERS_WAIT):
        _begin(session, "REPEATABLE READ", access)
        try:
            session.run(
                f"SET TRANSACTION SNAPSHOT '{snapshot.id}'"
            )  # this statement takes no bound value; the server generated the id
        except DatabaseError as error:
            if error.sqlstate not in _LOST:
                raise
            raise _lost() from None
        is_held = session.value(f"SELECT EXISTS (SELECT 1 FROM pg_stat_activity WHERE {HOLDER} = %s)", snapshot.holder)
        if not is_held:  # after a restart, another extract's snapshot has this id
            raise _lost()
        yield
        session.run("COMMIT")


def _lost() -> SnapshotLost:
    return SnapshotLost(
        "The snapshot of all parts is lost: the driver's connection has ended, or this one reached another server.",
        "Nothing of this run is kept. Run it again; the server's log shows who ended the connection. "
        "Connect to a single server, without a balancer.",
    )


def _begin(session: Session, isolation: str, access: str = "READ ONLY") -> None:
    """Begin a transaction with our own settings, whatever those of the role or the database are."""
    session.run(
        "SELECT set_config(pg_settings.name, wanted.value, false) FROM pg_settings JOIN unnest(%s::text[], %s::text[]) "
        "AS wanted (name, value) ON lower(pg_settings.name) = lower(wanted.name)",
        list(_SETTINGS),
        list(_SETTINGS.values()),
    )
    session.run(f"BEGIN ISOLATION LEVEL {isolation} {access} NOT DEFERRABLE")
