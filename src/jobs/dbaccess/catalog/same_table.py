"""Tells whether two sessions see the same table: of the same server, or of a server and a standby that follows it."""

from __future__ import annotations

from jobs.dbaccess.session import Session
from jobs.dbaccess.sql import TableName

_STARTED = "SELECT extract(epoch FROM pg_catalog.pg_postmaster_start_time())::pg_catalog.text"

_PLACE = (
    "SELECT d.oid::pg_catalog.int8, pg_catalog.to_regclass(%s)::pg_catalog.oid::pg_catalog.int8 "
    "FROM pg_catalog.pg_database AS d WHERE d.datname OPERATOR(pg_catalog.=) pg_catalog.current_database()"
)

_FOLLOWS = (
    "SELECT CASE WHEN pg_catalog.pg_is_in_recovery() THEN NOT pg_catalog.pg_is_wal_replay_paused() ELSE false END"
)
"""Whether the server is a standby that replays: one that somebody has paused is there to be read as it was."""

_SYSTEM = "SELECT system_identifier::pg_catalog.text FROM pg_catalog.pg_control_system()"
"""A server that was restored from another one's backup has the same one, and so have standbys."""


def is_same(there: Session, source: TableName, here: Session, target: TableName) -> bool:
    """Return whether a table that is read is the one that is written.

    Args:
        there: A session that reads.
        source: The table there.
        here: A session without an open transaction, that writes.
        target: The table here.
    """
    if there.run(_PLACE, source.quoted) != here.run(_PLACE, target.quoted):
        return False
    if there.value(_STARTED) == here.value(_STARTED):
        return True
    return bool(there.value(_FOLLOWS)) and _system(there) == _system(here) != ""


def _system(session: Session) -> str:
    """Return the identifier of the server's data; empty if this user may not see it."""
    if not session.value("SELECT pg_catalog.has_function_privilege('pg_catalog.pg_control_system()', 'EXECUTE')"):
        return ""
    return str(session.value(_SYSTEM))
