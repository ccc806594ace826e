"""What is kept in staging: it is listed, and dropped when it is not needed any more."""

from __future__ import annotations

import logging
from contextlib import suppress
from dataclasses import dataclass

from jobs.dbaccess import locks
from jobs.dbaccess.errors import JobError, TransientError, UndefinedTable
from jobs.dbaccess.load import staging
from jobs.dbaccess.load.kept import leftovers
from jobs.dbaccess.load.kept.notes import Note, read_note
from jobs.dbaccess.load.staging import Staging
from jobs.dbaccess.session import Session
from jobs.dbaccess.sql import TableName

logger = logging.getLogger(__name__)


def give_up(session: Session, target: TableName, stream: str, why: str) -> None:
    """Drop what earlier runs of a load have kept, if that is possible now: the load is done without it.

    Args:
        session: A session that holds the load id.
        target: The table of the load.
        stream: What the names of the load's runs have in common.
        why: Why it is not needed, for the log.
    """
    for earlier in leftovers.of_stream(session, target, stream):
        if earlier.note:
            note = read_note(earlier.note)
            try:
                _drop(session, earlier)
            except JobError as error:
                logger.warning("What an earlier run has kept in %s could not be dropped: %s", earlier.rows, error)
            else:
                load_id = "" if note is None else f" of the load {note.load_id!r}"
                logger.warning("Dropped what an earlier run%s had kept in staging: %s.", load_id, why)


@dataclass(frozen=True)
class Listed:
    """Kept staging, for people.

    Attributes:
        claimed: How many parts are staged, or None if this user may not see that.
        size: The size of both tables, in bytes.
        in_use: Whether a run of the load holds them.
    """

    names: Staging
    note: Note
    owner: str
    claimed: int | None
    size: int
    in_use: bool


def listed(session: Session, load_id: str | None = None) -> list[Listed]:
    """Return what is kept in the database, of all loads or of one.

    Args:
        session: A session of the database.
        load_id: The load id; None for all.
    """
    found = []
    for schema, name, comment, owner, may_read in session.run(_LIST, staging.OF_PARTS):
        note, names = read_note(comment), staging.named_like(TableName(name, schema))
        if note is not None and load_id in (None, note.load_id):
            with suppress(UndefinedTable):  # it was dropped since
                found.append(_look_at(session, names, note, owner, may_read=may_read))
    return found


def _look_at(session: Session, names: Staging, note: Note, owner: str, *, may_read: bool) -> Listed:
    size = session.value(
        "SELECT coalesce(pg_total_relation_size(to_regclass(%s)), 0) "
        "+ coalesce(pg_total_relation_size(to_regclass(%s)), 0)",
        *(names.rows.quoted, names.parts.quoted),
    )
    count = f"SELECT count(DISTINCT part) FROM {names.parts.quoted} WHERE rows IS NOT NULL"
    claimed = session.value(count) if may_read else None
    in_use = locks.holding_process(session, locks.staging(names.rows)) is not None
    return Listed(names=names, note=note, owner=owner, claimed=claimed, size=int(size), in_use=in_use)


_LIST = """
SELECT n.nspname, c.relname, obj_description(c.oid, 'pg_class'), r.rolname,
    has_table_privilege(c.oid, 'SELECT') AND has_schema_privilege(n.oid, 'USAGE')
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace JOIN pg_roles r ON r.oid = c.relowner
WHERE c.relkind = 'r' AND c.relname ~ %s AND obj_description(c.oid, 'pg_class') IS NOT NULL ORDER BY 1, 2
"""


def drop_kept(session: Session, kept: Listed) -> None:
    """Drop what is kept.

    Raises:
        TransientError: A run of the load is using it.
        DatabaseError: This user may not drop it.
    """
    _drop(session, kept.names)


def _drop(session: Session, names: Staging) -> None:
    with session.transaction(lock_timeout=staging.CLEANUP_LOCK_TIMEOUT):
        if not locks.take_in_transaction(session, locks.staging(names.rows)):
            raise TransientError(
                f"{names.rows} is in use by {locks.holder(session, locks.staging(names.rows))}.",
                "Wait for its end, or end it.",
            )
        staging.end_writers(session, names)
        session.run(staging.dropping(names))
