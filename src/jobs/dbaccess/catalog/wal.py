"""The server's WAL: how far it is written, and how far each standby has replayed it."""

from __future__ import annotations

from dataclasses import dataclass

from jobs.dbaccess.errors import UsageError
from jobs.dbaccess.session import Session
from jobs.dbaccess.sql import quote_name


@dataclass(frozen=True)
class Standby:
    """A server that replays the WAL.

    Attributes:
        pid: The server process that sends to it.
        name: Its application_name.
        replayed: The position up to which it has replayed, in bytes from the beginning.
        lag: The server's own measure of the delay until recent WAL was replayed, in seconds; 0 if it has none.
    """

    pid: int
    name: str
    replayed: int
    lag: float


@dataclass(frozen=True)
class Wal:
    """Positions in the WAL at one moment, in bytes from the beginning.

    Attributes:
        written: The position up to which the server has written and flushed. Standbys receive no more than that.
        standbys: The servers that replay it.
    """

    written: int
    standbys: tuple[Standby, ...] = ()


def read(session: Session) -> Wal:
    """Return the current positions."""
    written = session.value("SELECT (pg_current_wal_flush_lsn() - '0/0'::pg_lsn)::bigint")
    return Wal(written, tuple(Standby(*row) for row in session.run(_STANDBYS)))


# A subscriber of logical replication also has a row. It applies a transaction after its commit, so a load that waited
# for it would wait for itself.
_STANDBYS = """
SELECT r.pid, coalesce(nullif(r.application_name, ''), r.pid::text), (r.replay_lsn - '0/0'::pg_lsn)::bigint,
    coalesce(extract(epoch FROM r.replay_lag), 0)::float8
FROM pg_stat_replication r
WHERE r.replay_lsn IS NOT NULL AND r.state IN ('catchup', 'streaming')
    AND NOT EXISTS (SELECT FROM pg_replication_slots s WHERE s.active_pid = r.pid AND s.slot_type = 'logical')
ORDER BY r.pid
"""


def request_replies(session: Session) -> None:
    """Write a few bytes of WAL, so that standbys say how far they have replayed.

    They do so when they receive WAL, and otherwise only every 10 seconds (wal_receiver_status_interval).
    """
    with session.transaction(synchronous_commit="local"):
        session.run("SELECT pg_logical_emit_message(true, 'pgjobs', '')")


def check_standbys_visible(session: Session) -> None:
    """Check that the user may see how far standbys are. Without the privilege, PostgreSQL shows NULLs.

    Raises:
        UsageError: The user may not. The message names the role that has it.
    """
    if not session.value("SELECT pg_has_role(current_user, 'pg_read_all_stats', 'USAGE')"):
        user = session.value("SELECT current_user::text")
        raise UsageError(
            f"The role {user} may not see how far standbys are behind.",
            f"Have an administrator run: GRANT pg_monitor TO {quote_name(user)}; or leave out --max-replica-lag.",
        )
