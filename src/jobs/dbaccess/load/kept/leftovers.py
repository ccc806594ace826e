"""Leftovers: staging of loads that ended without publishing or discarding it. It is found, and swept.

A load's driver may have died. The tables of a running load are locked, and those that are kept have a note.
"""

from __future__ import annotations

import logging
from dataclasses import replace

from jobs.dbaccess import locks
from jobs.dbaccess.errors import DatabaseError, TransientError
from jobs.dbaccess.load import staging
from jobs.dbaccess.load.staging import Staging
from jobs.dbaccess.session import Session
from jobs.dbaccess.sql import TableName

KEPT = "kept by pgjobs until "
"""The comment on kept tables begins with this, and with the second since 1970 until which `sweep` leaves them alone."""

_IS_KEPT = (
    "coalesce(substring(obj_description(c.oid, 'pg_class') "
    f"from '^{KEPT}([0-9]{{1,12}}) ')::bigint > extract(epoch FROM now()), false)"
)

logger = logging.getLogger(__name__)


def of_stream(session: Session, target: TableName, stream: str) -> list[Staging]:
    """Return the tables of a stream's batches that ended without being published or discarded, with their notes."""
    found = session.run(
        "SELECT c.relname, coalesce(obj_description(c.oid, 'pg_class'), '') "
        "FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace "
        "WHERE c.relkind = 'r' AND n.nspname = %s AND c.relname ~ %s ORDER BY 1",
        target.schema,
        staging.parts_of(stream),
    )
    return [replace(staging.named_like(target.sibling(name)), note=note) for name, note in found]


def sweep(session: Session) -> list[str]:
    """Drop the tables of loads whose driver died, and return the names of the dropped tables.

    The tables of a running load are locked, and those that are kept stay until their time. Tables of other users, and
    those that a task still copies into, are left to a later sweep. A table that cannot be dropped, for example because
    a view depends on it, is reported and remains.
    """
    leftovers = session.run(
        "SELECT n.nspname, c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace "
        "WHERE c.relkind IN ('r', 'p') AND c.relname ~ %s AND pg_has_role(c.relowner, 'USAGE') "
        f"AND NOT {_IS_KEPT} ORDER BY 2, 1",
        staging.OF_ANY,
    )
    dropped = []
    for schema, name in leftovers:
        table = TableName(name, schema)
        try:
            with session.transaction(lock_timeout="1s"):
                if _is_free(session, table):
                    session.run(f"DROP TABLE IF EXISTS {table.quoted}")
                    dropped.append(name)
        except TransientError:
            continue
        except DatabaseError as error:
            logger.warning("%s, left behind by a load, cannot be dropped: %s", table, error.message)
    for name in dropped:
        logger.info("Dropped %s, left behind by a load whose driver died.", name)
    return dropped


def _is_free(session: Session, table: TableName) -> bool:
    """Return whether no load holds a staging table. If so, this transaction holds its lock."""
    return locks.take_in_transaction(session, locks.staging(staging.named_like(table).rows))
